/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Calls that may never return. On a hung machine a stat() or a read() of one file can sleep in
 * state D for ever, and no signal or timer gets it back. So it runs in a child, and only the
 * child is lost.
 */
#ifndef DAXTOP_BOUNDED_H
#define DAXTOP_BOUNDED_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

/* Fills buf with at most len bytes. Returns how many, or -errno. */
typedef ssize_t (*bounded_fn)(void *arg, void *buf, size_t len);

/*
 * Runs fn(arg, buf, len) in a forked child and copies what it returned and stored. Returns the
 * number of bytes in buf, -errno from fn, -ETIMEDOUT when there was no answer after timeout_ms,
 * -EIO when the child died without one, or -errno when it could not be started.
 *
 * The child has a copy of memory, no descriptor but /dev/null as 0 to 2, and dies with its parent.
 * What it changes is lost. After a timeout it is killed and left behind: if it sleeps in D it goes
 * when that sleep ends. Only for a process with one thread, or an fn that takes no locks.
 */
ssize_t bounded_call(bounded_fn fn, void *arg, void *buf, size_t len, int timeout_ms);

/* The first len bytes of a file. Returns how many there were, or -errno; may sleep for ever. */
ssize_t read_file(const char *path, void *buf, size_t len);

/* The same in a bounded_call(). */
ssize_t bounded_read_file(const char *path, void *buf, size_t len, int timeout_ms);

/*
 * For a child that lives longer: called first in it, it makes the child die with its parent and
 * leaves it fd, as descriptor 3, and /dev/null as 0 to 2. 0, or -1: it is to exit.
 */
int bounded_child(int fd, pid_t parent);

/* Writes all of buf. 0 or -errno. */
int bounded_write(int fd, const void *buf, size_t len);

/*
 * Waits a moment for the end of a child, kills it when it does not come, or at once when it has not
 * answered. Never blocks for long: even the exit of a child can sleep in D.
 */
void bounded_reap(pid_t pid, bool answered);

#endif
