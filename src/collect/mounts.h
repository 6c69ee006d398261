/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What is mounted where, from mountinfo: it takes no lock that a stuck filesystem keeps. */
#ifndef DAXTOP_MOUNTS_H
#define DAXTOP_MOUNTS_H

#include <limits.h>

#include "collect/snap.h"

/* Kernel dev_t: 12 bits major, 20 bits minor, include/linux/kdev_t.h */
#define KDEV_MAJOR(dev) ((u32)((dev) >> 20))
#define KDEV_MINOR(dev) ((u32)((dev)&0xfffff))

struct mount {
	char root[PATH_MAX];  /* directory of the filesystem that is mounted */
	char point[PATH_MAX]; /* where */
	char source[256];     /* what: a device, or a name such as virtiofs's tag; "" unknown */
};

/* The first mount of a device in a mountinfo file. */
bool mount_in(struct snap *s, const char *mountinfo, u32 major, u32 minor, struct mount *m);

/* The same in our mount namespace; then in init's, for what only another namespace sees. */
bool mount_of(struct snap *s, u32 major, u32 minor, struct mount *m);

/* Absolute path of a path inside the mounted filesystem; lives as long as the snapshot. */
const char *mount_join(struct snap *s, const struct mount *m, const char *path);

/* Physical addresses of a block device of persistent memory, or of its disk. 0, -ENOENT unknown. */
int mount_device_range(struct snap *s, u32 major, u32 minor, struct pmem *d);

/*
 * The device of a mounted filesystem that a physical address is in, "pmem0", and how many bytes
 * behind its start; NULL unknown.
 */
const char *mount_device_of(struct snap *s, u64 addr, u64 *offset);

/* Where a filesystem on any part of a device is mounted; NULL nowhere, or not known. */
const char *mount_of_device(struct snap *s, const struct pmem *d);

/* Mounted filesystems that can hold DAX files, each device once. */
u32 mounts_count_dax(struct snap *s);

#endif
