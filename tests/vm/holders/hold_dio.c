// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Holds one page of a DAX file as the buffer of synchronous direct I/O to a device that stalls.
 *
 * usage: hold_dio [--read] [--leave] [--other FILE] CALL FILE INDEX DEVICE
 * CALL is read, write, pread, pwrite, readv, writev, preadv or pwritev. Says READY once the thread
 * that called it is asleep in the kernel, and DONE with what the call returned. With --read it only
 * loads from the file's pages. With --leave the thread group leader ends before it says READY. With
 * --other, which needs a vectored call, it takes the pages from INDEX down to the first one, each
 * followed by the same page of the other file. Says SPINS instead of READY when the thread runs on
 * and on.
 */
#define _GNU_SOURCE
#include "common.h"

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

enum {
	SPINNING = 2000, /* milliseconds that no call runs without sleeping */
	VECTORS = 1024,  /* UIO_MAXIOV */
};

struct io {
	const char *call;
	int fd;
	char *buffer;
	struct iovec vec[VECTORS];
	int vectors;
	volatile pid_t tid;
};

struct options {
	bool readonly, leave;
	const char *other;
};

static ssize_t submit(const struct io *io)
{
	if (!strcmp(io->call, "read"))
		return read(io->fd, io->buffer, PAGE);
	if (!strcmp(io->call, "write"))
		return write(io->fd, io->buffer, PAGE);
	if (!strcmp(io->call, "pread"))
		return pread(io->fd, io->buffer, PAGE, 0);
	if (!strcmp(io->call, "pwrite"))
		return pwrite(io->fd, io->buffer, PAGE, 0);
	if (!strcmp(io->call, "readv"))
		return readv(io->fd, io->vec, io->vectors);
	if (!strcmp(io->call, "writev"))
		return writev(io->fd, io->vec, io->vectors);
	if (!strcmp(io->call, "preadv"))
		return preadv(io->fd, io->vec, io->vectors, 0);
	if (!strcmp(io->call, "pwritev"))
		return pwritev(io->fd, io->vec, io->vectors, 0);
	exit(2);
}

static void *submitter(void *arg)
{
	struct io *io = arg;
	ssize_t ret;

	io->tid = initial_tid();
	ret = submit(io);
	say("DONE %zd %d", ret, ret < 0 ? errno : 0);
	hear();
	exit(0);
}

static void add_page(struct io *io, const struct dax_map *map, size_t index)
{
	need(io->vectors < VECTORS, "too many pages");
	io->vec[io->vectors++] = (struct iovec){ map->addr + index * PAGE, PAGE };
}

static void add_pages(struct io *io, const struct dax_map *map, size_t index, const char *path)
{
	struct dax_map other;

	add_page(io, map, index);
	if (!path)
		return;
	other = map_dax(path);
	add_page(io, &other, index);
	while (index--) {
		add_page(io, map, index);
		add_page(io, &other, index);
	}
}

static struct options take_options(int argc, char **argv)
{
	static const struct option longs[] = { { "read", no_argument, NULL, 'r' },
					       { "leave", no_argument, NULL, 'l' },
					       { "other", required_argument, NULL, 'o' },
					       {} };
	struct options o = {};
	int c;

	while ((c = getopt_long(argc, argv, "", longs, NULL)) != -1) {
		if (c == 'r')
			o.readonly = true;
		else if (c == 'l')
			o.leave = true;
		else if (c == 'o')
			o.other = optarg;
		else
			exit(2);
	}
	return o;
}

/* Until the call sleeps in the kernel. */
static void watch(const struct io *io)
{
	for (int polls = 0; !io->tid || task_state(io->tid) != 'D'; polls++) {
		usleep(1000);
		if (polls == SPINNING)
			say("SPINS");
	}
}

int main(int argc, char **argv)
{
	struct options o = take_options(argc, argv);
	static struct io io;
	pthread_t thread;
	struct dax_map map;
	size_t index;

	argv += optind;
	if (argc - optind != 4)
		exit(2);
	io.call = argv[0];
	map = o.readonly ? map_dax_readonly(argv[1]) : map_dax(argv[1]);
	index = strtoul(argv[2], NULL, 0);
	io.buffer = map.addr + index * PAGE;
	add_pages(&io, &map, index, o.other);
	io.fd = open(argv[3], O_RDWR | O_DIRECT);
	need(io.fd >= 0, argv[3]);
	need(!pthread_create(&thread, NULL, submitter, &io), "pthread_create");
	watch(&io);
	say("READY {\"how\": \"direct_io\", \"pid\": %d, \"tid\": %d, \"index\": %zu}",
	    initial_pid(), io.tid, index);
	if (o.leave)
		pthread_exit(NULL);
	pthread_join(thread, NULL);
	return 0;
}
