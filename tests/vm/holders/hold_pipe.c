// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Holds one page of a DAX file in a pipe that nobody reads; of further files the same page.
 *
 * usage: hold_pipe [options] FILE INDEX [FILE...]
 *   --read          only load from the file's pages
 *   --splice        move the page on into a second pipe with splice(2)
 *   --tee           duplicate it into a second pipe with tee(2), then drain the first
 *   --unmap         drop the mapping once the page is in the pipe
 *   --close         drop the mapping and the descriptor of the file as well
 *   --mapped        drop the descriptor of the file and keep the mapping
 *   --share         a child has the pipe open as well
 *   --heir          a child inherits the pipe and the process that filled it ends
 *   --pidns         do all of it in a pid namespace of its own
 *   --out TARGET    write the pipe to a file or device that stalls with splice(2); says DONE
 *   --then ACT      on the next line from stdin, run into a wait for the own page:
 *                   ftruncate, or unlink-close, or unlink-exit
 */
#define _GNU_SOURCE
#include "common.h"

#include <fcntl.h>
#include <getopt.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

struct options {
	const char *path;
	size_t index;
	char *const *more; /* further files, up to a null pointer */
	bool read, splice, tee, unmap, close, mapped, share, heir, pidns;
	const char *then, *out;
};

static void parse(int argc, char **argv, struct options *opt)
{
	static const struct option longs[] = {
		{ "read", no_argument, NULL, 'r' },       { "splice", no_argument, NULL, 's' },
		{ "tee", no_argument, NULL, 't' },        { "unmap", no_argument, NULL, 'u' },
		{ "close", no_argument, NULL, 'c' },      { "share", no_argument, NULL, 'b' },
		{ "heir", no_argument, NULL, 'h' },       { "pidns", no_argument, NULL, 'n' },
		{ "then", required_argument, NULL, 'a' }, { "mapped", no_argument, NULL, 'm' },
		{ "out", required_argument, NULL, 'o' },  {}
	};
	int c;

	while ((c = getopt_long(argc, argv, "", longs, NULL)) != -1) {
		opt->read |= c == 'r';
		opt->splice |= c == 's';
		opt->tee |= c == 't';
		opt->unmap |= c == 'u' || c == 'c';
		opt->close |= c == 'c';
		opt->mapped |= c == 'm';
		opt->share |= c == 'b';
		opt->heir |= c == 'h';
		opt->pidns |= c == 'n';
		if (c == 'a')
			opt->then = optarg;
		if (c == 'o')
			opt->out = optarg;
		if (c == '?')
			exit(2);
	}
	if (argc - optind < 2)
		exit(2);
	opt->path = argv[optind];
	opt->index = strtoul(argv[optind + 1], NULL, 0);
	opt->more = argv + optind + 2;
}

/* The process that the runner started waits outside; only the new namespace's first one holds. */
static void enter_pid_namespace(void)
{
	pid_t child;

	need(!unshare(CLONE_NEWPID), "unshare");
	child = fork();
	need(child >= 0, "fork");
	if (!child)
		return;
	waitpid(child, NULL, 0);
	exit(0);
}

static void fill_pipe(const struct dax_map *map, size_t index, int to)
{
	struct iovec vec = { map->addr + index * PAGE, PAGE };

	need(vmsplice(to, &vec, 1, 0) == (ssize_t)PAGE, "vmsplice");
}

static void add_files(const struct options *opt, int to)
{
	char *const *path;
	struct dax_map map;

	for (path = opt->more; *path; path++) {
		map = map_dax(*path);
		fill_pipe(&map, opt->index, to);
	}
}

static void close_pipe(int ends[2])
{
	close(ends[0]);
	close(ends[1]);
}

/* Afterwards ends[] is the second pipe, and the first is empty and gone. */
static void pass_on(int ends[2], bool copy)
{
	char page[PAGE];
	int next[2];

	need(!pipe(next), "pipe");
	if (copy) {
		need(tee(ends[0], next[1], PAGE, 0) == (ssize_t)PAGE, "tee");
		need(read(ends[0], page, PAGE) == (ssize_t)PAGE, "read");
	} else {
		need(splice(ends[0], NULL, next[1], NULL, PAGE, 0) == (ssize_t)PAGE, "splice");
	}
	close_pipe(ends);
	memcpy(ends, next, sizeof(next));
}

/* Returns in the child once the parent has ended. */
static void leave_to_heir(void)
{
	pid_t parent = getpid(), child = fork();

	need(child >= 0, "fork");
	if (child)
		_exit(0);
	while (getppid() == parent)
		usleep(1000);
}

/* The child only keeps the pipe; without a mapping it is no suspect in any other way. */
static pid_t share_with_child(struct dax_map *map)
{
	pid_t child = fork();

	need(child >= 0, "fork");
	if (child)
		return child;
	unmap(map);
	close(map->fd);
	for (;;)
		pause();
}

static void write_out(const char *path, int from)
{
	int to = open(path, O_WRONLY | O_DIRECT);
	ssize_t ret;

	need(to >= 0, path);
	ret = splice(from, NULL, to, NULL, PAGE, 0);
	say("DONE %zd", ret);
}

static void report(const struct options *opt, const struct dax_map *map, int read_end, pid_t child)
{
	pid_t pid = initial_pid();
	char pids[64];

	snprintf(pids, sizeof(pids), child ? "%d, %d" : "%d", pid, child);
	say("READY {\"how\": \"vmsplice\", \"pid\": %d, \"tid\": %d, \"pids\": [%s], \"index\": %zu, "
	    "\"object\": \"pipe:[%lu]\", \"read_fd\": %d, \"faults\": %ld}",
	    pid, initial_tid(), pids, opt->index, inode_of(read_end), read_end, map->faults);
}

static void wait_for_own_page(const struct options *opt, const struct dax_map *map)
{
	int ret;

	if (!strcmp(opt->then, "ftruncate")) {
		ret = ftruncate(map->fd, PAGE);
		say("DONE %d", ret);
		return;
	}
	need(!unlink(opt->path), "unlink");
	/*
	 * On exit files are closed by rising number but put in reverse: the DAX file comes first.
	 */
	if (!strcmp(opt->then, "unlink-exit"))
		_exit(0);
	close(map->fd);
	say("DONE 0");
}

int main(int argc, char **argv)
{
	struct options opt = {};
	struct dax_map map;
	pid_t child = 0;
	int ends[2];

	parse(argc, argv, &opt);
	if (opt.pidns)
		enter_pid_namespace();
	need(!pipe(ends), "pipe");
	map = opt.read ? map_dax_readonly(opt.path) : map_dax(opt.path);
	fill_pipe(&map, opt.index, ends[1]);
	add_files(&opt, ends[1]);
	if (opt.splice || opt.tee)
		pass_on(ends, opt.tee);
	if (opt.heir)
		leave_to_heir();
	if (opt.unmap)
		unmap(&map);
	if (opt.close || opt.mapped)
		close(map.fd);
	if (opt.share)
		child = share_with_child(&map);
	report(&opt, &map, ends[0], child);
	if (opt.out)
		write_out(opt.out, ends[0]);
	if (hear() && opt.then)
		wait_for_own_page(&opt, &map);
	hear();
	return 0;
}
