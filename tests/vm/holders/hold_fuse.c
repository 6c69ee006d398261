// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Holds one page of a DAX file as the buffer of direct I/O to a FUSE file whose server does not
 * answer. The server is a process of its own, without libfuse.
 *
 * usage: hold_fuse [--interrupt] pwrite|pread|aio|loop FILE INDEX DIRECTORY
 * Mounts on DIRECTORY. --interrupt: the call is interrupted by a signal, of which the server is
 * told but does not read it. pread opens the file without FOPEN_DIRECT_IO: then the call sleeps in
 * state D. loop reads from a loop device over such a file. Says READY once the server has the
 * request; "answer" on standard input lets the server answer it, then it says DONE with what the
 * call returned. "read" lets it read FILE first, "truncate" truncate it.
 */
#define _GNU_SOURCE
#include "common.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/aio_abi.h>
#include <linux/fuse.h>
#include <linux/loop.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#define LOOP "/dev/loop0"

enum { FILE_ID = 2, FILE_SIZE = 1 << 20, REQUEST_MAX = 1 << 18 };

struct io {
	const char *call;
	int fd;
	char *buffer;
	volatile pid_t tid;
};

static void reply(int dev, uint64_t unique, int error, const void *body, size_t len)
{
	char out[sizeof(struct fuse_out_header) + PAGE];
	struct fuse_out_header head = { .len = sizeof(head) + (error ? 0 : len),
					.error = -error,
					.unique = unique };

	memcpy(out, &head, sizeof(head));
	memcpy(out + sizeof(head), body, error ? 0 : len);
	need(write(dev, out, head.len) == (ssize_t)head.len || errno == ENOENT, "reply");
}

static struct fuse_attr attr_of(uint64_t node)
{
	return (struct fuse_attr){ .ino = node,
				   .size = node == FILE_ID ? FILE_SIZE : 0,
				   .mode = node == FILE_ID ? S_IFREG | 0666 : S_IFDIR | 0777,
				   .nlink = 1,
				   .blksize = PAGE };
}

static void answer(int dev, const struct fuse_in_header *in, uint32_t open_flags)
{
	struct fuse_init_out init = { .major = FUSE_KERNEL_VERSION,
				      .minor = 31,
				      .flags = FUSE_ASYNC_DIO,
				      .max_write = 1 << 17 };
	struct fuse_entry_out entry = { .nodeid = FILE_ID, .attr = attr_of(FILE_ID) };
	struct fuse_attr_out attr = { .attr_valid = 3600, .attr = attr_of(in->nodeid) };
	struct fuse_open_out open = { .open_flags = open_flags };

	switch (in->opcode) {
	case FUSE_INIT:
		reply(dev, in->unique, 0, &init, sizeof(init));
		break;
	case FUSE_LOOKUP:
		reply(dev, in->unique, 0, &entry, sizeof(entry));
		break;
	case FUSE_GETATTR:
		reply(dev, in->unique, 0, &attr, sizeof(attr));
		break;
	case FUSE_OPEN:
		reply(dev, in->unique, 0, &open, sizeof(open));
		break;
	default:
		reply(dev, in->unique, ENOSYS, NULL, 0);
	}
}

static void read_first_byte(const char *path)
{
	int fd = open(path, O_RDONLY);
	char byte;

	need(fd >= 0 && pread(fd, &byte, 1, 0) == 1, path);
	close(fd);
}

/* Tells about each READ or WRITE, and keeps it until it hears of it. */
static void serve(int dev, uint32_t open_flags, int told, int orders, const char *file)
{
	static char request[REQUEST_MAX];
	struct fuse_in_header *in = (void *)request;
	struct fuse_write_out written = { .size = PAGE };
	char zeros[PAGE] = "", order;

	while (read(dev, request, sizeof(request)) > 0) {
		if (in->opcode != FUSE_READ && in->opcode != FUSE_WRITE) {
			if (in->opcode != FUSE_INTERRUPT)
				answer(dev, in, open_flags);
			continue;
		}
		need(write(told, "", 1) == 1, "write");
		if (read(orders, &order, 1) != 1)
			return;
		if (order == 'r')
			read_first_byte(file);
		if (order == 't')
			need(!truncate(file, PAGE), "truncate");
		if (in->opcode == FUSE_READ)
			reply(dev, in->unique, 0, zeros, sizeof(zeros));
		else
			reply(dev, in->unique, 0, &written, sizeof(written));
	}
}

/* Takes the mount away when nobody is left that could: alive keeps no other end of the pipe. */
static void start_janitor(const char *dir, int alive[2])
{
	char end;

	if (fork())
		return;
	close(alive[1]);
	if (read(alive[0], &end, 1) == 0)
		umount2(dir, MNT_DETACH);
	_exit(0);
}

static pid_t start_server(int dev, uint32_t open_flags, const int told[2], const int orders[2],
			  const char *file)
{
	pid_t pid = fork();

	need(pid >= 0, "fork");
	if (pid)
		return pid;
	need(!prctl(PR_SET_PDEATHSIG, SIGKILL), "prctl");
	close(orders[1]);
	serve(dev, open_flags, told[1], orders[0], file);
	_exit(0);
}

static ssize_t submit_aio(const struct io *io)
{
	struct iocb iocb = { .aio_fildes = io->fd,
			     .aio_lio_opcode = IOCB_CMD_PWRITE,
			     .aio_buf = (uintptr_t)io->buffer,
			     .aio_nbytes = PAGE };
	struct iocb *list[] = { &iocb };
	struct io_event event = {};
	aio_context_t context = 0;

	need(!syscall(SYS_io_setup, 1, &context), "io_setup");
	need(syscall(SYS_io_submit, context, 1, list) == 1, "io_submit");
	need(syscall(SYS_io_getevents, context, 1, 1, &event, NULL) == 1, "io_getevents");
	return event.res;
}

static void *submitter(void *arg)
{
	struct io *io = arg;
	ssize_t ret;

	io->tid = initial_tid();
	if (!strcmp(io->call, "aio"))
		ret = submit_aio(io);
	else if (!strcmp(io->call, "pread") || !strcmp(io->call, "loop"))
		ret = pread(io->fd, io->buffer, PAGE, 0);
	else
		ret = pwrite(io->fd, io->buffer, PAGE, 0);
	say("DONE %zd %d", ret, ret < 0 ? errno : 0);
	return NULL;
}

static void ignore(int signo)
{
	(void)signo;
}

/*
 * Its state tells when the call has heard of the signal: only another one that kills wakes it then.
 */
static void interrupt(pthread_t thread, pid_t tid)
{
	struct sigaction action = { .sa_handler = ignore };

	need(!sigaction(SIGUSR1, &action, NULL), "sigaction");
	while (task_state(tid) != 'S')
		usleep(1000);
	need(!pthread_kill(thread, SIGUSR1), "pthread_kill");
	while (task_state(tid) != 'D')
		usleep(1000);
}

/* It goes with its last descriptor. */
static int open_loop(int file)
{
	struct loop_config config = { .fd = file,
				      .block_size = PAGE,
				      .info.lo_flags = LO_FLAGS_AUTOCLEAR };
	int fd = open(LOOP, O_RDWR | O_DIRECT);

	need(fd >= 0 && !ioctl(fd, LOOP_CONFIGURE, &config), LOOP);
	close(file);
	return fd;
}

int main(int argc, char **argv)
{
	bool interrupted = argc > 1 && !strcmp(argv[1], "--interrupt");
	int dev = open("/dev/fuse", O_RDWR), told[2], orders[2], alive[2];
	char options[128], path[256], byte;
	struct io io = {};
	bool cached;
	const char *order;
	pthread_t thread;
	struct dax_map map;
	struct stat st;
	pid_t server;

	argc -= interrupted;
	argv += interrupted;
	if (argc != 5)
		exit(2);
	io.call = argv[1];
	cached = !strcmp(io.call, "pread") || !strcmp(io.call, "loop");
	need(dev >= 0, "/dev/fuse");
	need(!pipe(told) && !pipe(orders) && !pipe2(alive, O_CLOEXEC), "pipe");
	snprintf(options, sizeof(options), "fd=%d,rootmode=40000,user_id=0,group_id=0", dev);
	need(!mount("hold_fuse", argv[4], "fuse", MS_NOSUID | MS_NODEV, options), "mount");
	server = start_server(dev, cached ? 0 : FOPEN_DIRECT_IO, told, orders, argv[2]);
	close(dev);
	start_janitor(argv[4], alive);
	map = map_dax(argv[2]);
	io.buffer = map.addr + strtoul(argv[3], NULL, 0) * PAGE;
	snprintf(path, sizeof(path), "%s/file", argv[4]);
	io.fd = open(path, strcmp(io.call, "loop") ? O_RDWR | O_DIRECT : O_RDWR);
	need(io.fd >= 0 && !fstat(io.fd, &st), path);
	if (!strcmp(io.call, "loop"))
		io.fd = open_loop(io.fd);
	need(!pthread_create(&thread, NULL, submitter, &io), "pthread_create");
	need(read(told[0], &byte, 1) == 1, "no request");
	if (interrupted)
		interrupt(thread, io.tid);
	say("READY {\"how\": \"fuse\", \"pid\": %d, \"tid\": %d, \"server\": %d, "
	    "\"connection\": %u}",
	    initial_pid(), io.tid, server, minor(st.st_dev));
	while ((order = hear()))
		need(write(orders[1], order, 1) == 1, "write");
	return 0;
}
