// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Holds one page of a DAX file in a socket of which this process has both ends.
 *
 * usage: hold_socket MODE FILE INDEX
 *   unix      spliced into a UNIX socket that nobody reads
 *   tcp       the same with TCP over loopback
 *   zerocopy  sent with MSG_ZEROCOPY until the peer's window is full
 *   scm       in a pipe whose both ends were sent over a UNIX socket and not received
 */
#define _GNU_SOURCE
#include "common.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <net/if.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

enum { SENDER, RECEIVER };

static void loopback_up(void)
{
	struct ifreq req = { .ifr_name = "lo", .ifr_flags = IFF_UP | IFF_RUNNING };
	int fd = socket(AF_INET, SOCK_DGRAM, 0);

	need(!ioctl(fd, SIOCSIFFLAGS, &req), "lo");
	close(fd);
}

static void connect_tcp(int *ends)
{
	struct sockaddr_in at = { .sin_family = AF_INET,
				  .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	int listener = socket(AF_INET, SOCK_STREAM, 0);
	socklen_t len = sizeof(at);

	loopback_up();
	need(!bind(listener, (void *)&at, len) && !listen(listener, 1), "listen");
	need(!getsockname(listener, (void *)&at, &len), "getsockname");
	ends[SENDER] = socket(AF_INET, SOCK_STREAM, 0);
	need(!connect(ends[SENDER], (void *)&at, len), "connect");
	ends[RECEIVER] = accept(listener, NULL, NULL);
	need(ends[RECEIVER] >= 0, "accept");
	close(listener);
}

static void fill_pipe(int *pipe_ends, char *page)
{
	struct iovec vec = { page, PAGE };

	need(!pipe(pipe_ends), "pipe");
	need(vmsplice(pipe_ends[1], &vec, 1, 0) == (ssize_t)PAGE, "vmsplice");
}

static void close_pipe(const int *pipe_ends)
{
	close(pipe_ends[0]);
	close(pipe_ends[1]);
}

static void splice_page(int sender, char *page)
{
	int pipe_ends[2];

	fill_pipe(pipe_ends, page);
	need(splice(pipe_ends[0], NULL, sender, NULL, PAGE, 0) == (ssize_t)PAGE, "splice");
	close_pipe(pipe_ends);
}

static void send_zerocopy(int sender, char *page)
{
	int one = 1;

	need(!setsockopt(sender, SOL_SOCKET, SO_ZEROCOPY, &one, sizeof(one)), "SO_ZEROCOPY");
	while (send(sender, page, PAGE, MSG_ZEROCOPY | MSG_DONTWAIT) > 0)
		;
}

static unsigned long send_pipe(int sender, char *page)
{
	char control[CMSG_SPACE(2 * sizeof(int))] = {};
	struct iovec data = { (char[]){ 'x' }, 1 };
	struct msghdr message = { .msg_iov = &data,
				  .msg_iovlen = 1,
				  .msg_control = control,
				  .msg_controllen = sizeof(control) };
	struct cmsghdr *header = CMSG_FIRSTHDR(&message);
	unsigned long inode;
	int pipe_ends[2];

	fill_pipe(pipe_ends, page);
	inode = inode_of(pipe_ends[0]);
	header->cmsg_level = SOL_SOCKET;
	header->cmsg_type = SCM_RIGHTS;
	header->cmsg_len = CMSG_LEN(sizeof(pipe_ends));
	memcpy(CMSG_DATA(header), pipe_ends, sizeof(pipe_ends));
	need(sendmsg(sender, &message, 0) == 1, "sendmsg");
	close_pipe(pipe_ends);
	return inode;
}

static void ready(const char *how, const char *kind, unsigned long inode, size_t index)
{
	say("READY {\"how\": \"%s\", \"pid\": %d, \"tid\": %d, \"index\": %zu, "
	    "\"object\": \"%s:[%lu]\"}",
	    how, initial_pid(), initial_tid(), index, kind, inode);
}

int main(int argc, char **argv)
{
	const char *mode = argc == 4 ? argv[1] : "";
	bool zerocopy = !strcmp(mode, "zerocopy");
	struct dax_map map;
	size_t index;
	int ends[2];
	char *page;

	need(argc == 4, "usage");
	map = map_dax(argv[2]);
	index = strtoul(argv[3], NULL, 0);
	page = map.addr + index * PAGE;
	if (zerocopy || !strcmp(mode, "tcp"))
		connect_tcp(ends);
	else
		need(!socketpair(AF_UNIX, SOCK_STREAM, 0, ends), "socketpair");
	if (!strcmp(mode, "scm")) {
		ready("vmsplice", "pipe", send_pipe(ends[SENDER], page), index);
	} else if (zerocopy) {
		send_zerocopy(ends[SENDER], page);
		ready("zerocopy", "socket", inode_of(ends[SENDER]), index);
	} else {
		splice_page(ends[SENDER], page);
		ready("socket", "socket", inode_of(ends[RECEIVER]), index);
	}
	hear();
	return 0;
}
