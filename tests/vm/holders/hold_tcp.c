// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Holds one page of a DAX file in a TCP connection over loopback. The process that prints READY
 * receives, and a child of it sends; both run on CPU 0.
 *
 * usage: hold_tcp HOW STATE FILE INDEX
 *   HOW    splice, zerocopy (MSG_ZEROCOPY) or send_zc (io_uring)
 *   STATE  unread      one page, which the receiver does not read
 *          half        the same, and the sender has shut down its end
 *          dropped     one page, and a filter of the receiver drops its packet until it reads
 *          window      one page behind other data, of which the receiver's window is full
 *          full        as many pages as the receiver's window and the sender's buffer take
 *          orphan      the same, and the sender has exited
 *          netns       the same, in a network namespace with a table of connections of its own
 *          stuck       as full, and the sender waits in splice(2) for room for one more
 *          alone       as orphan, and the receiver is gone as well, while loopback was down
 *          unaccepted  one page, the connection was not accepted, and the sender has exited
 *          deferred    one page, which the receiver has read on CPU 1
 *
 * A line on standard input makes it read until there is nothing more for a while; then it says OK.
 */
#define _GNU_SOURCE
#include "common.h"
#include "ring.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <net/if.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <sys/wait.h>

enum { SMALL = 4096, FILLING = 128 * 1024, NOTHING_MORE_MS = 500, DELAYED_ACK_US = 500000 };

static const char *how, *state;
static struct sockaddr_in at = { .sin_family = AF_INET };
static int pipe_ends[2];

/* What the receiver says about the sender. */
struct sender {
	unsigned long inode, pipe;
	unsigned int port;
};

static bool is(const char *name)
{
	return !strcmp(state, name);
}

static bool sends_many(void)
{
	return is("full") || is("orphan") || is("netns") || is("alone") || is("stuck");
}

static bool sender_exits(void)
{
	return is("orphan") || is("netns") || is("alone") || is("unaccepted") || is("deferred");
}

static void run_on(int cpu)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	need(!sched_setaffinity(0, sizeof(set), &set), "sched_setaffinity");
}

static void loopback(short flags)
{
	struct ifreq req = { .ifr_name = "lo", .ifr_flags = flags };
	int fd = socket(AF_INET, SOCK_DGRAM, 0);

	need(!ioctl(fd, SIOCSIFFLAGS, &req), "lo");
	close(fd);
}

/* A network namespace with a table of its own, where the kernel can make one. */
static void enter_namespace(void)
{
	int fd = open("/proc/sys/net/ipv4/tcp_child_ehash_entries", O_WRONLY);

	if (fd >= 0) {
		need(write(fd, "1024", 4) == 4, "tcp_child_ehash_entries");
		close(fd);
	}
	need(!unshare(CLONE_NEWNET), "unshare");
}

/* What has no data passes; the connections that it accepts inherit the filter. */
static void drop_data(int fd)
{
	struct sock_filter drop[] = { BPF_STMT(BPF_LD | BPF_W | BPF_LEN, 0),
				      BPF_JUMP(BPF_JMP | BPF_JGE | BPF_K, PAGE, 0, 1),
				      BPF_STMT(BPF_RET | BPF_K, 0),
				      BPF_STMT(BPF_RET | BPF_K, UINT32_MAX) };
	struct sock_fprog filter = { sizeof(drop) / sizeof(*drop), drop };

	need(!setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &filter, sizeof(filter)), "filter");
}

static int listen_somewhere(void)
{
	int fd = socket(AF_INET, SOCK_STREAM, 0), small = SMALL;
	socklen_t len = sizeof(at);

	at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	if (is("window"))
		setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &small, sizeof(small));
	if (is("dropped"))
		drop_data(fd);
	need(!bind(fd, (void *)&at, len) && !listen(fd, 1), "listen");
	need(!getsockname(fd, (void *)&at, &len), "getsockname");
	return fd;
}

/* False when it does not fit: then the page stays in the pipe. */
static bool splice_page(int fd, char *page)
{
	struct iovec vec = { page, PAGE };

	need(vmsplice(pipe_ends[1], &vec, 1, 0) == (ssize_t)PAGE, "vmsplice");
	return splice(pipe_ends[0], NULL, fd, NULL, PAGE, SPLICE_F_NONBLOCK) == (ssize_t)PAGE;
}

/* Waits until what is left in the pipe fits. */
static void splice_rest(int fd)
{
	need(!fcntl(fd, F_SETFL, 0), "fcntl");
	need(splice(pipe_ends[0], NULL, fd, NULL, PAGE, 0) > 0, "splice");
}

static bool send_by_ring(int fd, const char *page)
{
	struct io_uring_sqe sqe = {
		.opcode = IORING_OP_SEND_ZC, .fd = fd, .addr = (unsigned long)page, .len = PAGE
	};
	struct ring ring = {};

	ring_make(&ring);
	ring_submit(&ring, &sqe);
	need(ring_result(&ring) == (int)PAGE, "SEND_ZC");
	return true;
}

/* False when no more fits. */
static bool send_page(int fd, char *page)
{
	if (!strcmp(how, "send_zc"))
		return send_by_ring(fd, page);
	if (!strcmp(how, "zerocopy"))
		return send(fd, page, PAGE, MSG_ZEROCOPY | MSG_DONTWAIT) > 0;
	return splice_page(fd, page);
}

static void send_all(int fd, char *page)
{
	static const char filling[FILLING];
	int one = 1;

	need(!setsockopt(fd, SOL_SOCKET, SO_ZEROCOPY, &one, sizeof(one)), "SO_ZEROCOPY");
	if (is("window"))
		need(send(fd, filling, FILLING, MSG_DONTWAIT) == FILLING, "send");
	need(!pipe(pipe_ends), "pipe");
	while (send_page(fd, page) && sends_many())
		;
}

static void __attribute__((noreturn)) be_sender(char *page, int told)
{
	int fd = socket(AF_INET, SOCK_STREAM, 0), buffer = 2 * FILLING;
	struct sockaddr_in own;
	socklen_t len = sizeof(own);
	struct sender sender;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (is("window"))
		setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &buffer, sizeof(buffer));
	need(!connect(fd, (void *)&at, sizeof(at)), "connect");
	need(!getsockname(fd, (void *)&own, &len), "getsockname");
	need(!fcntl(fd, F_SETFL, O_NONBLOCK), "fcntl");
	send_all(fd, page);
	if (is("half"))
		need(!shutdown(fd, SHUT_WR), "shutdown");
	sender = (struct sender){ inode_of(fd), inode_of(pipe_ends[0]), ntohs(own.sin_port) };
	if (!is("stuck")) {
		close(pipe_ends[0]);
		close(pipe_ends[1]);
	}
	need(write(told, &sender, sizeof(sender)) == sizeof(sender), "write");
	if (sender_exits())
		_exit(0);
	if (is("stuck"))
		splice_rest(fd);
	for (;;)
		pause();
}

/* Once the acknowledgement is sent, that was put off: it would be traffic on CPU 0. */
static void read_page(int fd)
{
	char buf[PAGE];

	usleep(DELAYED_ACK_US);
	run_on(1);
	need(recv(fd, buf, PAGE, MSG_WAITALL) == (ssize_t)PAGE, "recv");
}

static void read_all(int fd)
{
	struct timeval patience = { .tv_usec = NOTHING_MORE_MS * 1000 };
	char buf[PAGE];
	int none = 0;

	if (is("dropped")) {
		need(!setsockopt(fd, SOL_SOCKET, SO_DETACH_FILTER, &none, sizeof(none)), "filter");
		need(recv(fd, buf, PAGE, MSG_WAITALL) == (ssize_t)PAGE, "recv");
	}
	need(!setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience)), "SO_RCVTIMEO");
	while (recv(fd, buf, sizeof(buf), 0) > 0)
		;
	say("OK");
}

int main(int argc, char **argv)
{
	struct sender sender = {};
	int listener, told[2], fd;
	unsigned long inode;
	struct dax_map map;
	size_t index;
	pid_t child;

	need(argc == 5, "usage");
	how = argv[1];
	state = argv[2];
	map = map_dax(argv[3]);
	index = strtoul(argv[4], NULL, 0);
	if (is("netns"))
		enter_namespace();
	run_on(0);
	loopback(IFF_UP | IFF_RUNNING);
	listener = fd = listen_somewhere();
	need(!pipe(told), "pipe");
	child = fork();
	if (!child)
		be_sender(map.addr + index * PAGE, told[1]);
	if (!is("unaccepted")) {
		fd = accept(listener, NULL, NULL);
		need(fd >= 0, "accept");
	}
	need(read(told[0], &sender, sizeof(sender)) == sizeof(sender), "sender");
	if (sender_exits())
		need(waitpid(child, NULL, 0) == child, "waitpid");
	if (is("deferred"))
		read_page(fd);
	inode = inode_of(fd);
	if (is("alone")) {
		loopback(0);
		close(fd);
	}
	say("READY {\"pid\": %d, \"tid\": %d, \"taker\": %d, \"index\": %zu, "
	    "\"receiver\": \"socket:[%lu]\", \"sender\": \"socket:[%lu]\", "
	    "\"pipe\": \"pipe:[%lu]\", \"orphan\": \"tcp 127.0.0.1:%u>127.0.0.1:%u\"}",
	    initial_pid(), initial_tid(), child, index, inode, sender.inode, sender.pipe,
	    sender.port, ntohs(at.sin_port));
	while (hear())
		read_all(fd);
	return 0;
}
