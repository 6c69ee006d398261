// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Does one operation that may have to wait for a page of a DAX file.
 *
 * usage: wait_op OPERATION PATH
 * Says READY before the call and DONE with its result and errno after it. The operations that take
 * a range work on the second and third page of the file; read and write queue behind a waiter.
 */
#define _GNU_SOURCE
#include "common.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/falloc.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <unistd.h>

static const struct {
	const char *name;
	int mode;
} fallocate_modes[] = {
	{ "punch_hole", FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE },
	{ "zero_range", FALLOC_FL_ZERO_RANGE },
	{ "collapse_range", FALLOC_FL_COLLAPSE_RANGE },
	{ "insert_range", FALLOC_FL_INSERT_RANGE },
	{ "fallocate", 0 },
};

static int range_operation(const char *op, int fd)
{
	char byte = 0;
	size_t i;

	for (i = 0; i < sizeof(fallocate_modes) / sizeof(*fallocate_modes); i++)
		if (!strcmp(op, fallocate_modes[i].name))
			return fallocate(fd, fallocate_modes[i].mode, PAGE, 2 * PAGE);
	if (!strcmp(op, "ftruncate"))
		return ftruncate(fd, PAGE);
	if (!strcmp(op, "read"))
		return (int)pread(fd, &byte, 1, 0);
	if (!strcmp(op, "write"))
		return (int)pwrite(fd, &byte, 1, 0);
	exit(2);
}

static int operation(const char *op, const char *path, int fd)
{
	if (!strcmp(op, "truncate"))
		return truncate(path, PAGE);
	if (!strcmp(op, "open_trunc"))
		return open(path, O_RDWR | O_TRUNC);
	if (!strcmp(op, "unlink"))
		return unlink(path);
	if (!strcmp(op, "umount"))
		return umount2(path, 0);
	return range_operation(op, fd);
}

/* An open descriptor would keep the file from eviction and the filesystem from umount. */
static bool wants_descriptor(const char *op)
{
	return strcmp(op, "truncate") && strcmp(op, "open_trunc") && strcmp(op, "unlink") &&
	       strcmp(op, "umount");
}

int main(int argc, char **argv)
{
	int fd = -1, ret;

	if (argc != 3)
		exit(2);
	if (wants_descriptor(argv[1])) {
		fd = open(argv[2], O_RDWR);
		need(fd >= 0, argv[2]);
	}
	say("READY {\"pid\": %d, \"tid\": %d}", initial_pid(), initial_tid());
	ret = operation(argv[1], argv[2], fd);
	say("DONE %d %d", ret, ret < 0 ? errno : 0);
	return 0;
}
