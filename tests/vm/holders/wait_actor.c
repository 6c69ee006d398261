// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Does what it is told, one line from stdin after the other, so that several of them get into each
 * other's way as a scenario wants it.
 *
 * usage: wait_actor
 *   pin PATH INDEX [FIFO]  puts a page of a DAX file into a pipe of its own, or into a FIFO
 *   unmap                  drops the mapping and the descriptor that pin made
 *   drain                  reads what pin has put into its own pipe
 *   open MODE PATH         keeps a file open: r, w or rw
 *   fill PATH              fills a FIFO that it has open
 *   close-unlinked PATH    keeps the file open and removes its name
 *   call OPERATION PATH    what may have to wait; says DONE with its result and errno
 *   thread OPERATION PATH  the same in a thread of its own, which says nothing
 *   exit
 * OPERATION is truncate, read, write (the first byte), next (read on by what open has opened),
 * unlink, create, or put (write one byte into a FIFO that open has opened).
 * What is not a call is answered with OK.
 */
#define _GNU_SOURCE
#include "common.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

enum { FILES_MAX = 16, PATH_LEN = 512 };

static struct {
	char path[PATH_LEN];
	int fd;
} files[FILES_MAX];
static int nr_files;
static struct dax_map map;
static int own_read_end = -1;

static int opened(const char *path)
{
	for (int i = 0; i < nr_files; i++)
		if (!strcmp(files[i].path, path))
			return files[i].fd;
	return -1;
}

static void keep(const char *path, int fd)
{
	need(fd >= 0 && nr_files < FILES_MAX, path);
	snprintf(files[nr_files].path, PATH_LEN, "%s", path);
	files[nr_files++].fd = fd;
}

static int flags_of(const char *mode)
{
	if (!strcmp(mode, "rw"))
		return O_RDWR;
	return *mode == 'r' ? O_RDONLY : O_WRONLY;
}

static int own_pipe(void)
{
	int ends[2];

	need(!pipe(ends), "pipe");
	own_read_end = ends[0];
	return ends[1];
}

static void pin(const char *path, size_t index, const char *fifo)
{
	int to = fifo ? opened(fifo) : own_pipe();
	struct iovec vec;

	map = map_dax(path);
	vec = (struct iovec){ map.addr + index * PAGE, PAGE };
	need(vmsplice(to, &vec, 1, 0) == (ssize_t)PAGE, "vmsplice");
}

static void drain(void)
{
	static char page[PAGE];

	need(read(own_read_end, page, sizeof(page)) == (ssize_t)PAGE, "drain");
}

static void fill(const char *path)
{
	static const char page[PAGE];
	int fd = opened(path), flags = fcntl(fd, F_GETFL);

	need(!fcntl(fd, F_SETFL, flags | O_NONBLOCK), path);
	while (write(fd, page, sizeof(page)) > 0)
		;
	need(errno == EAGAIN, "fill");
	need(!fcntl(fd, F_SETFL, flags), path);
}

static int with_file(const char *op, const char *path)
{
	int fd = open(path, O_RDWR);
	char byte = 0;

	need(fd >= 0, path);
	return !strcmp(op, "read") ? (int)pread(fd, &byte, 1, 0) : (int)pwrite(fd, &byte, 1, 0);
}

static int operation(const char *op, const char *path)
{
	char byte = 0;

	if (!strcmp(op, "truncate"))
		return truncate(path, PAGE);
	if (!strcmp(op, "unlink"))
		return unlink(path);
	if (!strcmp(op, "create"))
		return open(path, O_RDWR | O_CREAT | O_EXCL, 0644);
	if (!strcmp(op, "next"))
		return (int)read(opened(path), &byte, 1);
	if (!strcmp(op, "put"))
		return (int)write(opened(path), &byte, 1);
	return with_file(op, path);
}

struct order {
	char op[32], path[PATH_LEN];
};

static void *in_thread(void *arg)
{
	struct order *o = arg;

	operation(o->op, o->path);
	free(o);
	pause();
	return NULL;
}

static void start_thread(const char *op, const char *path)
{
	struct order *o = calloc(1, sizeof(*o));
	pthread_t thread;

	need(o, "calloc");
	snprintf(o->op, sizeof(o->op), "%s", op);
	snprintf(o->path, sizeof(o->path), "%s", path);
	need(!pthread_create(&thread, NULL, in_thread, o), "pthread_create");
}

static void obey(char **word)
{
	if (!strcmp(word[0], "pin")) {
		pin(word[1], strtoul(word[2], NULL, 0), word[3]);
	} else if (!strcmp(word[0], "unmap")) {
		unmap(&map);
		close(map.fd);
	} else if (!strcmp(word[0], "drain")) {
		drain();
	} else if (!strcmp(word[0], "open")) {
		keep(word[2], open(word[2], flags_of(word[1])));
	} else if (!strcmp(word[0], "fill")) {
		fill(word[1]);
	} else if (!strcmp(word[0], "close-unlinked")) {
		keep(word[1], open(word[1], O_RDWR));
		need(!unlink(word[1]), word[1]);
	} else if (!strcmp(word[0], "thread")) {
		start_thread(word[1], word[2]);
	} else if (!strcmp(word[0], "exit")) {
		_exit(0);
	} else {
		exit(2);
	}
	say("OK");
}

static void call(const char *op, const char *path)
{
	int ret = operation(op, path);

	say("DONE %d %d", ret, ret < 0 ? errno : 0);
}

int main(void)
{
	const char *line;

	say("READY {\"pid\": %d, \"tid\": %d}", initial_pid(), initial_tid());
	while ((line = hear())) {
		char copy[2 * PATH_LEN], *word[4] = { NULL }, *rest = copy;

		snprintf(copy, sizeof(copy), "%s", line);
		for (int i = 0; i < 4; i++)
			word[i] = strtok_r(rest, " ", &rest);
		if (word[0] && !strcmp(word[0], "call"))
			call(word[1], word[2]);
		else if (word[0])
			obey(word);
	}
	return 0;
}
