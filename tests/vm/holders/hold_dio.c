// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Holds one page of a DAX file as the buffer of synchronous direct I/O to a device that stalls.
 *
 * usage: hold_dio [--read] CALL FILE INDEX DEVICE
 * CALL is read, write, pread, pwrite, readv, writev, preadv or pwritev. Says READY once the thread
 * that called it is asleep in the kernel, and DONE with what the call returned. With --read it only
 * loads from the file's pages. Says SPINS instead of READY when the thread runs on and on.
 */
#define _GNU_SOURCE
#include "common.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

enum { SPINNING = 2000 }; /* milliseconds that no call runs without sleeping */

struct io {
	const char *call;
	int fd;
	char *buffer;
	volatile pid_t tid;
};

static ssize_t submit(const struct io *io)
{
	struct iovec vec = { io->buffer, PAGE };

	if (!strcmp(io->call, "read"))
		return read(io->fd, io->buffer, PAGE);
	if (!strcmp(io->call, "write"))
		return write(io->fd, io->buffer, PAGE);
	if (!strcmp(io->call, "pread"))
		return pread(io->fd, io->buffer, PAGE, 0);
	if (!strcmp(io->call, "pwrite"))
		return pwrite(io->fd, io->buffer, PAGE, 0);
	if (!strcmp(io->call, "readv"))
		return readv(io->fd, &vec, 1);
	if (!strcmp(io->call, "writev"))
		return writev(io->fd, &vec, 1);
	if (!strcmp(io->call, "preadv"))
		return preadv(io->fd, &vec, 1, 0);
	if (!strcmp(io->call, "pwritev"))
		return pwritev(io->fd, &vec, 1, 0);
	exit(2);
}

static void *submitter(void *arg)
{
	struct io *io = arg;
	ssize_t ret;

	io->tid = initial_tid();
	ret = submit(io);
	say("DONE %zd %d", ret, ret < 0 ? errno : 0);
	return NULL;
}

int main(int argc, char **argv)
{
	pthread_t thread;
	struct dax_map map;
	struct io io = {};
	bool readonly = argc == 6 && !strcmp(argv[1], "--read");
	size_t index;
	int polls;

	argv += readonly;
	if (argc - readonly != 5)
		exit(2);
	io.call = argv[1];
	map = readonly ? map_dax_readonly(argv[2]) : map_dax(argv[2]);
	index = strtoul(argv[3], NULL, 0);
	io.buffer = map.addr + index * PAGE;
	io.fd = open(argv[4], O_RDWR | O_DIRECT);
	need(io.fd >= 0, argv[4]);
	need(!pthread_create(&thread, NULL, submitter, &io), "pthread_create");
	for (polls = 0; !io.tid || task_state(io.tid) != 'D'; polls++) {
		usleep(1000);
		if (polls == SPINNING)
			say("SPINS");
	}
	say("READY {\"how\": \"direct_io\", \"pid\": %d, \"tid\": %d, \"index\": %zu}",
	    initial_pid(), io.tid, index);
	hear();
	return 0;
}
