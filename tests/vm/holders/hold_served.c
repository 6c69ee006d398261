// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Holds one page of a DAX file as the buffer of a write with O_DIRECT to a block device that a
 * process of its own serves, which does not answer.
 *
 * usage: hold_served nbd|nbd-tcp|ublk FILE [INDEX]
 * nbd: over a UNIX socket. The kernel's module has to be there. Says READY once the server has the
 * request, with its pid. Then it takes one line: "answer" lets the server answer, "read" lets it
 * read FILE first, "truncate" truncate it. Says DONE with what the write returned.
 *
 * Without INDEX nothing is held, and the device is a disk that somebody else may use. Its server
 * does not answer the next write after the line "stall"; FILE may come to be until then. The line
 * "kept" waits until there is such a write. Both are answered with OK.
 */
#define _GNU_SOURCE
#include "common.h"

#include <arpa/inet.h>
#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <linux/nbd.h>
#include <linux/ublk_cmd.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "ring.h"

enum { SIZE = 16 << 20, REQUEST_MAX = 1 << 17, SECTOR_SHIFT = 9, PAGE_SHIFT = 12 };

/*
 * Encoded as ioctls are, which headers know since v6.4 and which every kernel takes that is built
 * so.
 */
#define CTRL_CMD(nr) _IOWR('u', nr, struct ublksrv_ctrl_cmd)
#define IO_CMD(nr)   _IOWR('u', nr, struct ublksrv_io_cmd)

struct orders {
	int told, heard; /* pipes: a write has come; what to do about it */
	const char *file;
	volatile bool *stalls; /* shared: writes are kept until something is heard */
};

static char buffer[REQUEST_MAX];
static char disk[SIZE];

/* Keeps a write until it hears of it. */
static void obey(const struct orders *o)
{
	char order, byte;
	int fd;

	if (!*o->stalls)
		return;
	need(write(o->told, "", 1) == 1, "write");
	if (read(o->heard, &order, 1) != 1)
		_exit(0);
	if (order == 't') {
		need(!truncate(o->file, PAGE), "truncate");
	} else if (order == 'r') {
		fd = open(o->file, O_RDONLY);
		need(fd >= 0 && pread(fd, &byte, 1, 0) == 1, o->file);
		close(fd);
	}
}

/* A process that ends with this one. */
static pid_t start_child(void)
{
	pid_t pid = fork();

	need(pid >= 0, "fork");
	if (!pid)
		need(!prctl(PR_SET_PDEATHSIG, SIGKILL), "prctl");
	return pid;
}

/* --- nbd */

static void transfer(int sock, void *at, size_t len, bool in)
{
	for (ssize_t n; len; at = (char *)at + n, len -= n) {
		n = in ? read(sock, at, len) : write(sock, at, len);
		if (n <= 0)
			_exit(0);
	}
}

static void serve_nbd(int sock, const struct orders *o)
{
	for (;;) {
		struct nbd_reply reply = { .magic = htonl(NBD_REPLY_MAGIC) };
		struct nbd_request request;
		uint32_t type, len;
		uint64_t from;

		transfer(sock, &request, sizeof(request), true);
		type = ntohl(request.type) & 0xffff;
		len = ntohl(request.len);
		from = be64toh(request.from);
		memcpy(reply.handle, request.handle, sizeof(reply.handle));
		need(type > NBD_CMD_WRITE || (from <= SIZE && len <= SIZE - from), "request");
		if (type == NBD_CMD_WRITE) {
			transfer(sock, disk + from, len, true);
			obey(o);
		}
		transfer(sock, &reply, sizeof(reply), false);
		if (type == NBD_CMD_READ)
			transfer(sock, disk + from, len, false);
	}
}

static void connect_tcp(int socks[2])
{
	struct sockaddr_in at = { .sin_family = AF_INET,
				  .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t len = sizeof(at);
	int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	socks[1] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	need(!bind(listener, (void *)&at, len) && !listen(listener, 1), "listen");
	need(!getsockname(listener, (void *)&at, &len) && !connect(socks[1], (void *)&at, len),
	     "connect");
	socks[0] = accept(listener, NULL, NULL);
	need(socks[0] >= 0, "accept");
	close(listener);
}

static void connect_both(int socks[2], bool tcp)
{
	if (tcp)
		connect_tcp(socks);
	else
		need(!socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, socks), "socketpair");
}

/* A device that has not started yet has no size. */
static void wait_for_size(int fd)
{
	uint64_t size = 0;

	while (!ioctl(fd, BLKGETSIZE64, &size) && !size)
		usleep(1000);
}

/* The device works as long as a task is in NBD_DO_IT. */
static pid_t start_nbd(const char *device, bool tcp, const struct orders *o)
{
	int fd = open(device, O_RDWR), socks[2];
	pid_t server;

	need(fd >= 0, device);
	connect_both(socks, tcp);
	server = start_child();
	if (!server) {
		close(fd);
		close(socks[1]);
		serve_nbd(socks[0], o);
	}
	close(socks[0]);
	need(!ioctl(fd, NBD_SET_SOCK, socks[1]) && !ioctl(fd, NBD_SET_BLKSIZE, PAGE) &&
		     !ioctl(fd, NBD_SET_SIZE_BLOCKS, SIZE / PAGE),
	     "nbd");
	if (!start_child()) {
		ioctl(fd, NBD_DO_IT, 0);
		_exit(0);
	}
	close(socks[1]);
	wait_for_size(fd);
	close(fd);
	return server;
}

/* --- ublk */

static void control(int fd, unsigned int nr, uint32_t dev, void *at, uint16_t len, uint64_t data)
{
	struct ring ring = { .params.flags = IORING_SETUP_SQE128 };
	/* twice the size of an entry: the command lies in its end and behind it */
	struct io_uring_sqe sqe[2] = {
		{ .opcode = IORING_OP_URING_CMD, .fd = fd, .cmd_op = CTRL_CMD(nr) }
	};
	struct ublksrv_ctrl_cmd cmd = {
		.dev_id = dev, .queue_id = UINT16_MAX, .addr = (uintptr_t)at, .len = len
	};
	int err;

	cmd.data[0] = data;
	memcpy(sqe->cmd, &cmd, sizeof(cmd));
	ring_make(&ring);
	ring_submit(&ring, sqe);
	err = ring_result(&ring);
	errno = -err;
	need(!err, "ublk-control");
	close(ring.fd);
}

static void serve_ublk(int fd, const struct ublksrv_io_desc *desc, const struct orders *o)
{
	struct io_uring_sqe sqe = { .opcode = IORING_OP_URING_CMD,
				    .fd = fd,
				    .cmd_op = IO_CMD(UBLK_IO_FETCH_REQ) };
	struct ublksrv_io_cmd cmd = { .addr = (uintptr_t)buffer };
	struct ring ring = { .fd = -1 };

	ring_make(&ring);
	for (bool first = true;; first = false) {
		memcpy(sqe.cmd, &cmd, sizeof(cmd));
		ring_submit(&ring, &sqe);
		if (first) /* the device may start */
			need(write(o->told, "", 1) == 1, "write");
		if (ring_result(&ring) != UBLK_IO_RES_OK)
			_exit(0);
		if (ublksrv_get_op(desc) == UBLK_IO_OP_WRITE)
			obey(o);
		memset(buffer, 0, sizeof(buffer));
		sqe.cmd_op = IO_CMD(UBLK_IO_COMMIT_AND_FETCH_REQ);
		cmd.result = desc->nr_sectors << SECTOR_SHIFT;
	}
}

static uint32_t add_ublk(int control_fd)
{
	struct ublksrv_ctrl_dev_info info = { .nr_hw_queues = 1,
					      .queue_depth = 1,
					      .max_io_buf_bytes = REQUEST_MAX,
					      .dev_id = UINT32_MAX };
	struct ublk_params params = { .len = sizeof(params),
				      .types = UBLK_PARAM_TYPE_BASIC,
				      .basic = { .logical_bs_shift = PAGE_SHIFT,
						 .physical_bs_shift = PAGE_SHIFT,
						 .io_min_shift = PAGE_SHIFT,
						 .io_opt_shift = PAGE_SHIFT,
						 .max_sectors = REQUEST_MAX >> SECTOR_SHIFT,
						 .dev_sectors = SIZE >> SECTOR_SHIFT } };

	control(control_fd, UBLK_CMD_ADD_DEV, info.dev_id, &info, sizeof(info), 0);
	control(control_fd, UBLK_CMD_SET_PARAMS, info.dev_id, &params, sizeof(params), 0);
	return info.dev_id;
}

static pid_t start_ublk(char *device, size_t size, const struct orders *o, int ready)
{
	int control_fd = open("/dev/ublk-control", O_RDWR | O_CLOEXEC), fd;
	const struct ublksrv_io_desc *desc;
	char path[32], byte;
	uint32_t dev;
	pid_t server;

	need(control_fd >= 0, "/dev/ublk-control");
	dev = add_ublk(control_fd);
	snprintf(path, sizeof(path), "/dev/ublkc%u", dev);
	snprintf(device, size, "/dev/ublkb%u", dev);
	server = start_child();
	if (!server) {
		close(control_fd);
		fd = open(path, O_RDWR);
		need(fd >= 0, path);
		desc = mmap(NULL, PAGE, PROT_READ, MAP_SHARED | MAP_POPULATE, fd,
			    UBLKSRV_CMD_BUF_OFFSET);
		need(desc != MAP_FAILED, "mmap");
		serve_ublk(fd, desc, o);
	}
	need(read(ready, &byte, 1) == 1, "no server");
	control(control_fd, UBLK_CMD_START_DEV, dev, NULL, 0, server);
	close(control_fd);
	return server;
}

struct io {
	int fd;
	const char *page;
	volatile pid_t tid;
};

static void *submitter(void *arg)
{
	struct io *io = arg;
	ssize_t ret;

	io->tid = initial_tid();
	ret = pwrite(io->fd, io->page, PAGE, 0);
	say("DONE %zd %d", ret, ret < 0 ? errno : 0);
	return NULL;
}

static void *share(size_t size)
{
	void *at = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	need(at != MAP_FAILED, "mmap");
	return at;
}

/* Writes a page of the file, and waits until the server has the request. */
static void submit(struct io *io, const char *device, const char *file, const char *index, int told)
{
	pthread_t thread;
	char byte;

	io->fd = open(device, O_RDWR | O_DIRECT);
	need(io->fd >= 0, device);
	io->page = map_dax(file).addr + strtoul(index, NULL, 0) * PAGE;
	need(!pthread_create(&thread, NULL, submitter, io), "pthread_create");
	need(read(told, &byte, 1) == 1, "no request");
}

int main(int argc, char **argv)
{
	int told[2], heard[2];
	struct orders orders;
	char device[32] = "/dev/nbd0", byte;
	struct io io = {};
	const char *order;
	pid_t server;

	if (argc != 3 && argc != 4)
		exit(2);
	need(!pipe2(told, O_CLOEXEC) && !pipe2(heard, O_CLOEXEC), "pipe");
	orders = (struct orders){ told[1], heard[0], argv[2], share(sizeof(bool)) };
	*orders.stalls = argc == 4;
	if (!strcmp(argv[1], "ublk"))
		server = start_ublk(device, sizeof(device), &orders, told[0]);
	else
		server = start_nbd(device, !strcmp(argv[1], "nbd-tcp"), &orders);
	if (argc == 4)
		submit(&io, device, argv[2], argv[3], told[0]);
	say("READY {\"pid\": %d, \"tid\": %d, \"server\": %d, \"device\": \"%s\"}", initial_pid(),
	    io.tid, server, device);
	while ((order = hear())) {
		if (!strcmp(order, "stall")) {
			*orders.stalls = true;
		} else if (!strcmp(order, "kept")) {
			need(read(told[0], &byte, 1) == 1, "no request");
		} else {
			need(write(heard[1], order, 1) == 1, "write");
			continue;
		}
		say("OK");
	}
	return 0;
}
