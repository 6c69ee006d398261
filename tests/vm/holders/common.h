/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What the holder programs share: talking to the runner, mapping a DAX file, small helpers. */
#ifndef HOLDERS_COMMON_H
#define HOLDERS_COMMON_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#define PAGE 4096UL

struct dax_map {
	int fd;
	char *addr;
	size_t size;
	long faults; /* page faults it took to touch all of it: few if it is mapped in large units */
};

/* Ends the program with the failed step and errno on stderr when ok is false. */
void need(bool ok, const char *step);

/* Prints one line and flushes it, so that the runner sees it at once. */
void say(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* The next line from the runner without its newline; NULL at its end. */
const char *hear(void);

/*
 * Numbers of the calling task as the initial pid namespace has them: /proc answers in the namespace
 * it was mounted in, getpid() in the caller's.
 */
pid_t initial_pid(void);
pid_t initial_tid(void);

/* Number that names the pipe or socket behind fd, as in "pipe:[N]". */
unsigned long inode_of(int fd);

/*
 * Maps the whole file shared and touches each of its pages: by stores, which take a page out of any
 * sharing of extents, or by loads only.
 */
struct dax_map map_dax(const char *path);
struct dax_map map_dax_readonly(const char *path);

/* Maps the whole file shared and writable, without touching it. */
struct dax_map map_dax_untouched(const char *path);
/* The same with MAP_SYNC: the first store to a page waits until its metadata are on the disk. */
struct dax_map map_dax_synced(const char *path);
void touch(const struct dax_map *map, size_t index);
void unmap(struct dax_map *map);

/* State letter of a task of this process, '?' when it has gone. */
char task_state(pid_t tid);

#endif
