// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Does one operation that may have to wait for a page of a DAX file.
 *
 * usage: wait_op [options] OPERATION PATH [SOURCE]
 *   --ignore-int    ignore SIGINT
 *   --restart-int   handle SIGINT, with SA_RESTART
 *   --block-all     block every signal
 *
 * Says READY before the call and DONE with its result and errno after it. The operations that take
 * a range work on the second and third page of the file, madvise on these in a mapping; reflink,
 * dedupe and exchange on all of PATH, with SOURCE as the other file; read and write queue behind a
 * waiter.
 */
#define _GNU_SOURCE
#include "common.h"

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <linux/falloc.h>
#include <linux/fs.h>
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

/* fs/xfs/libxfs/xfs_fs.h from 6.10 on */
struct xfs_exchange_range {
	int32_t file1_fd;
	uint32_t pad;
	uint64_t file1_offset, file2_offset, length, flags;
};
#define XFS_IOC_EXCHANGE_RANGE _IOW('X', 129, struct xfs_exchange_range)

/* include/linux/falloc.h, struct xfs_flock64 of fs/xfs/libxfs/xfs_fs.h */
struct space_resv {
	int16_t type, whence;
	int64_t start, length;
	int32_t sysid;
	uint32_t pid;
	int32_t reserved[4];
};
#define XFS_IOC_UNRESVSP64 _IOW('X', 43, struct space_resv)

enum { GROWN = 64 << 20 }; /* the size to which truncate makes a file grow */

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

static uint64_t size_of(int fd)
{
	struct stat st;

	need(!fstat(fd, &st), "fstat");
	return (uint64_t)st.st_size;
}

static int dedupe(int fd, int source)
{
	struct {
		struct file_dedupe_range range;
		struct file_dedupe_range_info info;
	} arg = { .range = { .src_length = size_of(source), .dest_count = 1 } };

	arg.range.info[0].dest_fd = fd;
	if (ioctl(source, FIDEDUPERANGE, &arg))
		return -1;
	if (arg.range.info[0].status >= 0)
		return 0;
	errno = -arg.range.info[0].status;
	return -1;
}

static int operation_with(const char *op, int fd, int source)
{
	struct xfs_exchange_range exchange = { .file1_fd = source, .length = size_of(source) };

	if (!strcmp(op, "reflink"))
		return ioctl(fd, FICLONE, source);
	if (!strcmp(op, "dedupe"))
		return dedupe(fd, source);
	if (!strcmp(op, "exchange"))
		return ioctl(fd, XFS_IOC_EXCHANGE_RANGE, &exchange);
	exit(2);
}

static int operation(const char *op, const char *path, int fd)
{
	if (!strcmp(op, "truncate"))
		return truncate(path, PAGE);
	if (!strcmp(op, "grow"))
		return truncate(path, GROWN);
	if (!strcmp(op, "open_trunc"))
		return open(path, O_RDWR | O_TRUNC);
	if (!strcmp(op, "unresvsp"))
		return ioctl(fd, XFS_IOC_UNRESVSP64,
			     &(struct space_resv){ .start = PAGE, .length = 2 * PAGE });
	if (!strcmp(op, "madvise"))
		return madvise(map_dax_untouched(path).addr + PAGE, 2 * PAGE, MADV_REMOVE);
	if (!strcmp(op, "unlink"))
		return unlink(path);
	if (!strcmp(op, "umount"))
		return umount2(path, 0);
	return range_operation(op, fd);
}

/* An open descriptor would keep the file from eviction and the filesystem from umount. */
static bool wants_descriptor(const char *op)
{
	return strcmp(op, "truncate") && strcmp(op, "grow") && strcmp(op, "open_trunc") &&
	       strcmp(op, "madvise") && strcmp(op, "unlink") && strcmp(op, "umount");
}

static void nothing(int signo)
{
	(void)signo;
}

static void restart_int(void)
{
	struct sigaction action = { .sa_handler = nothing, .sa_flags = SA_RESTART };

	need(!sigaction(SIGINT, &action, NULL), "sigaction");
}

static void block_all(void)
{
	sigset_t all;

	sigfillset(&all);
	need(!sigprocmask(SIG_BLOCK, &all, NULL), "sigprocmask");
}

static void take_options(int argc, char **argv)
{
	static const struct option longs[] = { { "ignore-int", no_argument, NULL, 'i' },
					       { "restart-int", no_argument, NULL, 'r' },
					       { "block-all", no_argument, NULL, 'b' },
					       {} };
	int c;

	while ((c = getopt_long(argc, argv, "", longs, NULL)) != -1) {
		if (c == 'i')
			signal(SIGINT, SIG_IGN);
		else if (c == 'r')
			restart_int();
		else if (c == 'b')
			block_all();
		else
			exit(2);
	}
}

static int open_file(const char *path)
{
	int fd = open(path, O_RDWR);

	need(fd >= 0, path);
	return fd;
}

int main(int argc, char **argv)
{
	int fd = -1, source = -1, ret;
	const char *op, *path;

	take_options(argc, argv);
	if (argc - optind != 2 && argc - optind != 3)
		exit(2);
	op = argv[optind];
	path = argv[optind + 1];
	if (wants_descriptor(op))
		fd = open_file(path);
	if (argc - optind == 3)
		source = open_file(argv[optind + 2]);
	say("READY {\"pid\": %d, \"tid\": %d}", initial_pid(), initial_tid());
	ret = source < 0 ? operation(op, path, fd) : operation_with(op, fd, source);
	say("DONE %d %d", ret, ret < 0 ? errno : 0);
	return 0;
}
