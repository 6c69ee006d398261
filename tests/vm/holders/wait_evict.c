// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Makes the kernel evict the inode of a DAX file, of which a page may be busy.
 *
 * usage: wait_evict HOW PATH
 *   close      last descriptor of a file without a name
 *   munmap     last mapping of one
 *   exit       as close, by exit
 *   rename     PATH is replaced by another file
 *   gc         as close, but the descriptor is in flight in a circle of sockets: a worker of the
 *              kernel collects it
 *   drop_caches  the DAX flag of PATH is cleared, which takes effect once its inode is evicted; a
 *              second name keeps it until the dentry shrinker drops that
 *   allocate   likewise, but the shrinker runs because memory is allocated: for a cgroup whose
 *              limit that exceeds
 *   detach     last descriptor below the mount point PATH, which is detached already
 *   namespace  exit of the last task of a mount namespace with a mount of its own
 *   unbind     PATH is the sysfs file to which the name of the device is written, HOW:NAME
 *
 * Says READY when all is prepared, does it on the next line from stdin, and then says DONE.
 */
#define _GNU_SOURCE
#include "common.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

static struct {
	const char *path;
	char other[4096];
	int fd, sockets[2];
	struct dax_map map;
} evict;

static int open_unlinked(void)
{
	int fd = open(evict.path, O_RDWR);

	need(fd >= 0, evict.path);
	need(!unlink(evict.path), "unlink");
	return fd;
}

static void prepare_close(void)
{
	evict.fd = open_unlinked();
}

static int act_close(void)
{
	return close(evict.fd);
}

static int act_exit(void)
{
	_exit(0);
}

static void prepare_munmap(void)
{
	evict.map = map_dax_untouched(evict.path);
	need(!unlink(evict.path), "unlink");
	close(evict.map.fd);
}

static int act_munmap(void)
{
	return munmap(evict.map.addr, evict.map.size);
}

static void prepare_rename(void)
{
	int fd;

	snprintf(evict.other, sizeof(evict.other), "%s.new", evict.path);
	fd = open(evict.other, O_RDWR | O_CREAT | O_EXCL, 0644);
	need(fd >= 0, evict.other);
	close(fd);
}

static int act_rename(void)
{
	return rename(evict.other, evict.path);
}

/* A socket that holds itself in its own queue is garbage once it is closed. */
static void prepare_gc(void)
{
	int fds[2] = { open_unlinked() };
	char byte = 0, control[CMSG_SPACE(sizeof(fds))] = { 0 };
	struct iovec vec = { &byte, 1 };
	struct msghdr msg = { .msg_iov = &vec,
			      .msg_iovlen = 1,
			      .msg_control = control,
			      .msg_controllen = sizeof(control) };
	struct cmsghdr *header = CMSG_FIRSTHDR(&msg);

	need(!socketpair(AF_UNIX, SOCK_DGRAM, 0, evict.sockets), "socketpair");
	fds[1] = evict.sockets[1];
	header->cmsg_level = SOL_SOCKET;
	header->cmsg_type = SCM_RIGHTS;
	header->cmsg_len = CMSG_LEN(sizeof(fds));
	memcpy(CMSG_DATA(header), fds, sizeof(fds));
	need(sendmsg(evict.sockets[0], &msg, 0) == 1, "sendmsg");
	close(fds[0]);
}

static int act_gc(void)
{
	return close(evict.sockets[1]) || close(evict.sockets[0]) ? -1 : 0;
}

static int write_text(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY);

	need(fd >= 0, path);
	return write(fd, text, strlen(text)) < 0 ? -1 : 0;
}

/* A dentry that was used of late survives the first time. */
static int drop_dentries(void)
{
	int ret = 0;

	for (int i = 0; i < 3; i++)
		ret |= write_text("/proc/sys/vm/drop_caches", "2");
	return ret;
}

/* What is cached when the flag changes leaves the cache with its last user; so the new name. */
static void prepare_drop_caches(void)
{
	struct fsxattr attr;
	struct stat st;

	evict.fd = open(evict.path, O_RDONLY);
	need(evict.fd >= 0, evict.path);
	snprintf(evict.other, sizeof(evict.other), "%s.second", evict.path);
	need(!link(evict.path, evict.other), "link");
	need(!drop_dentries(), "drop_caches");
	need(!ioctl(evict.fd, FS_IOC_FSGETXATTR, &attr), "FS_IOC_FSGETXATTR");
	attr.fsx_xflags &= ~FS_XFLAG_DAX;
	need(!ioctl(evict.fd, FS_IOC_FSSETXATTR, &attr), "FS_IOC_FSSETXATTR");
	need(!stat(evict.other, &st), evict.other);
	close(evict.fd);
}

static int act_allocate(void)
{
	size_t size = 256UL << 20;
	char *memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	need(memory != MAP_FAILED, "mmap");
	for (size_t at = 0; at < size; at += PAGE)
		memory[at] = 1;
	return 0;
}

static void prepare_detach(void)
{
	evict.fd = open(evict.path, O_RDONLY);
	need(evict.fd >= 0, evict.path);
	need(!umount2(evict.path, MNT_DETACH), "umount");
}

static void prepare_namespace(void)
{
	need(!unshare(CLONE_NEWNS), "unshare");
	need(!mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL), "mount");
}

static int act_unbind(void)
{
	char *name = strchr(evict.path, ':');

	need(name, "no device name");
	*name = '\0';
	return write_text(evict.path, name + 1);
}

static const struct {
	const char *how;
	void (*prepare)(void);
	int (*act)(void);
} ways[] = {
	{ "close", prepare_close, act_close },
	{ "munmap", prepare_munmap, act_munmap },
	{ "exit", prepare_close, act_exit },
	{ "rename", prepare_rename, act_rename },
	{ "gc", prepare_gc, act_gc },
	{ "drop_caches", prepare_drop_caches, drop_dentries },
	{ "allocate", prepare_drop_caches, act_allocate },
	{ "detach", prepare_detach, act_close },
	{ "namespace", prepare_namespace, act_exit },
	{ "unbind", NULL, act_unbind },
};

int main(int argc, char **argv)
{
	int ret;

	if (argc != 3)
		exit(2);
	evict.path = argv[2];
	for (size_t i = 0; i < sizeof(ways) / sizeof(*ways); i++) {
		if (strcmp(argv[1], ways[i].how))
			continue;
		if (ways[i].prepare)
			ways[i].prepare();
		say("READY {\"pid\": %d, \"tid\": %d}", initial_pid(), initial_tid());
		hear();
		ret = ways[i].act();
		say("DONE %d %d", ret, ret < 0 ? errno : 0);
		return 0;
	}
	return 2;
}
