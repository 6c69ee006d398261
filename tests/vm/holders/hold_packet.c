// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Holds one page of a DAX file in a packet that is on no queue of a socket, or not yet complete.
 *
 * usage: hold_packet WAY FILE INDEX [ADDRESS]
 *   cork     spliced into a datagram of UDP that waits for more data, until a line comes
 *   tcp      sent with MSG_ZEROCOPY over TCP to ADDRESS
 *   queued   a datagram sent with MSG_ZEROCOPY to ADDRESS, whose device does not send it
 *   gone     the same, and the process that sent it has ended
 *   tls      spliced into a TLS record of the kernel's that waits for more data
 *   vsock    sent with MSG_ZEROCOPY over AF_VSOCK to itself, and not read
 *
 * What a kernel has not it says: READY with "refused", the errno.
 */
#define _GNU_SOURCE
#include "common.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/tls.h>
#include <linux/vm_sockets.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#ifndef TCP_ULP
#define TCP_ULP 31
#endif

enum { PORT = 9, VSOCK_PORT = 4711 };

static int refused;

static bool may(bool ok)
{
	if (!ok && !refused)
		refused = errno;
	return ok;
}

static int udp_socket(const char *address)
{
	struct sockaddr_in to = { .sin_family = AF_INET, .sin_port = htons(PORT) };
	int fd = socket(AF_INET, SOCK_DGRAM, 0), one = 1;

	need(inet_pton(AF_INET, address, &to.sin_addr) == 1, "address");
	need(!setsockopt(fd, SOL_SOCKET, SO_ZEROCOPY, &one, sizeof(one)), "SO_ZEROCOPY");
	need(!connect(fd, (void *)&to, sizeof(to)), "connect");
	return fd;
}

/* A whole page and the header of a packet do not fit in one frame of a usual size. */
static void send_part(int fd, const char *page)
{
	need(send(fd, page, PAGE / 4, MSG_ZEROCOPY) == PAGE / 4, "send");
}

static void splice_page(int fd, char *page)
{
	struct iovec vec = { page, PAGE };
	int ends[2];

	need(!pipe(ends) && vmsplice(ends[1], &vec, 1, 0) == (ssize_t)PAGE, "vmsplice");
	need(splice(ends[0], NULL, fd, NULL, PAGE, SPLICE_F_MORE) == (ssize_t)PAGE, "splice");
	close(ends[0]);
	close(ends[1]);
}

static int hold_cork(char *page, const char *address)
{
	int fd = udp_socket(address);

	splice_page(fd, page);
	return fd;
}

static int hold_queued(const char *page, const char *address)
{
	int fd = udp_socket(address);

	send_part(fd, page);
	return fd;
}

static int hold_tls(char *page)
{
	struct tls12_crypto_info_aes_gcm_128 info = { .info.version = TLS_1_2_VERSION,
						      .info.cipher_type = TLS_CIPHER_AES_GCM_128 };
	struct sockaddr_in at = { .sin_family = AF_INET,
				  .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t len = sizeof(at);
	int listener = socket(AF_INET, SOCK_STREAM, 0), fd = socket(AF_INET, SOCK_STREAM, 0);

	need(!bind(listener, (void *)&at, len) && !listen(listener, 1), "listen");
	need(!getsockname(listener, (void *)&at, &len), "getsockname");
	need(!connect(fd, (void *)&at, len), "connect");
	if (may(!setsockopt(fd, IPPROTO_TCP, TCP_ULP, "tls", sizeof("tls"))) &&
	    may(!setsockopt(fd, SOL_TLS, TLS_TX, &info, sizeof(info))))
		splice_page(fd, page);
	return fd;
}

static int hold_vsock(const char *page)
{
	struct sockaddr_vm at = { .svm_family = AF_VSOCK,
				  .svm_cid = VMADDR_CID_LOCAL,
				  .svm_port = VSOCK_PORT };
	int listener = socket(AF_VSOCK, SOCK_STREAM, 0), fd = socket(AF_VSOCK, SOCK_STREAM, 0);
	int one = 1, receiver;

	if (!may(listener >= 0 && fd >= 0))
		return fd;
	need(!bind(listener, (void *)&at, sizeof(at)) && !listen(listener, 1), "listen");
	need(!connect(fd, (void *)&at, sizeof(at)), "connect");
	receiver = accept(listener, NULL, NULL);
	need(receiver >= 0, "accept");
	if (may(!setsockopt(fd, SOL_SOCKET, SO_ZEROCOPY, &one, sizeof(one))))
		need(send(fd, page, PAGE, MSG_ZEROCOPY) == (ssize_t)PAGE, "send");
	return receiver;
}

static int hold_tcp(const char *page, const char *address)
{
	struct sockaddr_in to = { .sin_family = AF_INET, .sin_port = htons(PORT) };
	int fd = socket(AF_INET, SOCK_STREAM, 0), one = 1;

	need(inet_pton(AF_INET, address, &to.sin_addr) == 1, "address");
	need(!setsockopt(fd, SOL_SOCKET, SO_ZEROCOPY, &one, sizeof(one)), "SO_ZEROCOPY");
	need(!connect(fd, (void *)&to, sizeof(to)), "connect");
	need(send(fd, page, PAGE, MSG_ZEROCOPY) == (ssize_t)PAGE, "send");
	return fd;
}

static int hold(const char *way, char *page, const char *address)
{
	if (!strcmp(way, "cork"))
		return hold_cork(page, address);
	if (!strcmp(way, "tls"))
		return hold_tls(page);
	if (!strcmp(way, "vsock"))
		return hold_vsock(page);
	if (!strcmp(way, "tcp"))
		return hold_tcp(page, address);
	return hold_queued(page, address);
}

static void hold_in_child(const char *way, char *page, const char *address)
{
	pid_t child = fork();
	int status;

	if (!child) {
		hold(way, page, address);
		_exit(0);
	}
	need(waitpid(child, &status, 0) == child && !status, "child");
}

int main(int argc, char **argv)
{
	const char *address = argc > 4 ? argv[4] : "127.0.0.1";
	struct dax_map map;
	char *page;
	int fd = -1;

	need(argc > 3, "usage");
	map = map_dax(argv[2]);
	page = map.addr + strtoul(argv[3], NULL, 0) * PAGE;
	if (!strcmp(argv[1], "gone"))
		hold_in_child(argv[1], page, address);
	else
		fd = hold(argv[1], page, address);
	say("READY {\"pid\": %d, \"tid\": %d, \"refused\": %d, \"object\": \"socket:[%lu]\"}",
	    initial_pid(), initial_tid(), refused, fd >= 0 ? inode_of(fd) : 0);
	while (hear()) {
		need(send(fd, "", 1, 0) == 1, "send");
		say("OK");
	}
	return 0;
}
