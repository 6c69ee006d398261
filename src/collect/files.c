// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* An inode's name, filesystem and mount, read from the dentry cache and mountinfo. */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "collect/mounts.h"
#include "collect/snap.h"
#include "util/array.h"

#define S_DAX_FLAG (1ULL << 13) /* include/linux/fs.h S_DAX */

enum {
	DEPTH_MAX = 256,
	ALIASES_MAX = 64,
	NAME_LEN_MAX = 255,
	DISK_NAME_MAX = 32, /* DISK_NAME_LEN, include/linux/blkdev.h */
	FILES_OF_STACK = 8,
};

int file_ids(struct snap *s, u64 inode, u32 *major, u32 *minor, u64 *ino)
{
	struct kget g[] = { { inode, KF_INODE_SB, 0, 0 }, { inode, KF_INODE_INO, 0, 0 } };
	u64 dev;
	int err = kmem_getv(s->k, g, 2);

	if (err || g[0].err || g[1].err)
		return err ? err : -EFAULT;
	err = kmem_get(s->k, g[0].val, KF_SB_DEV, &dev);
	if (err)
		return err;
	*major = KDEV_MAJOR(dev);
	*minor = KDEV_MINOR(dev);
	*ino = g[1].val;
	return 0;
}

/* Puts "/name" of a dentry in front of the path that starts at *at. 0 or -errno. */
static int prepend_name(struct snap *s, u64 dentry, char *path, size_t *at)
{
	struct kget g[] = { { dentry, KF_DENTRY_NAME, 0, 0 },
			    { dentry, KF_DENTRY_NAME_LEN, 0, 0 } };
	int err = kmem_getv(s->k, g, 2);

	if (err || g[0].err || g[1].err)
		return err ? err : -EFAULT;
	if (!g[1].val || g[1].val > NAME_LEN_MAX || *at < g[1].val + 1)
		return -ENAMETOOLONG;
	*at -= g[1].val;
	err = kmem_read(s->k, g[0].val, path + *at, g[1].val);
	path[--*at] = '/';
	return err;
}

/* Path of a dentry inside its filesystem into the end of path; returns its start or NULL. */
static char *dentry_path(struct snap *s, u64 dentry, char *path, size_t size)
{
	size_t at = size - 1;
	u64 parent;

	path[at] = '\0';
	for (int depth = 0; depth < DEPTH_MAX; depth++) {
		if (kmem_get(s->k, dentry, KF_DENTRY_PARENT, &parent))
			return NULL;
		if (parent == dentry) {
			if (!path[at])
				path[--at] = '/';
			return path + at;
		}
		if (prepend_name(s, dentry, path, &at))
			return NULL;
		dentry = parent;
	}
	return NULL;
}

static bool dentry_is_hashed(struct snap *s, u64 dentry)
{
	u64 pprev;

	return !kmem_get(s->k, dentry, KF_DENTRY_HASH_PPREV, &pprev) && pprev;
}

/* A name of the inode: a hashed one if there is one, else any; 0 when the cache has none. */
static u64 inode_dentry(struct snap *s, u64 inode)
{
	u64 node, any = 0;

	if (kmem_get(s->k, kmem_at(s->k, inode, KF_INODE_DENTRIES), KF_HLIST_FIRST, &node))
		return 0;
	for (int i = 0; i < ALIASES_MAX && kmem_is_kernel_ptr(node); i++) {
		u64 dentry = kmem_container(s->k, node, KF_DENTRY_ALIAS), of;

		if (kmem_get(s->k, dentry, KF_DENTRY_INODE, &of) || of != inode)
			break;
		any = dentry;
		if (dentry_is_hashed(s, dentry) || kmem_get(s->k, node, KF_HLIST_NEXT, &node))
			break;
	}
	return any;
}

bool file_is_used(struct snap *s, u64 inode)
{
	u64 node, users, unused = 0;

	if (kmem_get(s->k, inode, KF_INODE_COUNT, &users) ||
	    kmem_get(s->k, kmem_at(s->k, inode, KF_INODE_DENTRIES), KF_HLIST_FIRST, &node))
		return true;
	for (int i = 0; i < ALIASES_MAX && kmem_is_kernel_ptr(node); i++) {
		u64 count;

		if (kmem_get(s->k, kmem_container(s->k, node, KF_DENTRY_ALIAS), KF_DENTRY_COUNT,
			     &count) ||
		    kmem_get(s->k, node, KF_HLIST_NEXT, &node))
			return true;
		unused += !(s32)count;
	}
	return users > unused;
}

static const char *fstype_of(struct snap *s, u64 sb)
{
	char name[64];
	u64 type, addr;

	if (kmem_get(s->k, sb, KF_SB_TYPE, &type) || kmem_get(s->k, type, KF_FS_TYPE_NAME, &addr) ||
	    kmem_read_string(s->k, addr, name, sizeof(name)))
		return NULL;
	return snap_text(s, "%s", name);
}

static const char *device_of(struct snap *s, u64 sb)
{
	char id[33];

	if (!kmem_has(s->k, KF_SB_ID) ||
	    kmem_read_string(s->k, kmem_at(s->k, sb, KF_SB_ID), id, sizeof(id)))
		return NULL;
	return snap_text(s, "%s", id);
}

const char *sb_device(struct snap *s, u64 sb)
{
	const char *device = device_of(s, sb);

	return device ? device : "an unknown device";
}

/* The file as the waiter sees it, who may have a mount namespace of its own. */
static bool mount_of_viewer(struct snap *s, u32 major, u32 minor, struct mount *m)
{
	char path[32];

	snprintf(path, sizeof(path), "/proc/%u/mountinfo", s->viewer);
	return s->viewer && mount_in(s, path, major, minor, m);
}

static void fill_names(struct snap *s, u64 inode, struct fact_file *f)
{
	static char buf[PATH_MAX];
	static struct mount m;
	u64 dentry = inode_dentry(s, inode);
	char *path = dentry ? dentry_path(s, dentry, buf, sizeof(buf)) : NULL;
	bool mounted = mount_of(s, f->dev_major, f->dev_minor, &m) ||
		       mount_of_viewer(s, f->dev_major, f->dev_minor, &m);

	if (dentry && !dentry_is_hashed(s, dentry))
		f->deleted = true;
	if (mounted)
		f->mount = snap_text(s, "%s", m.point);
	if (mounted && !f->dev_major && m.source[0])
		f->device = snap_text(s, "%s", m.source);
	/* below no mount a path would name some other file */
	if (path && mounted)
		f->path = mount_join(s, &m, path);
}

static bool is_told(const struct snap *s, u64 inode)
{
	for (u32 i = 0; i < s->nr_told_files; i++)
		if (s->told_files[i] == inode)
			return true;
	return false;
}

int file_read(struct snap *s, u64 inode, struct fact_file *f)
{
	struct kget g[] = {
		{ inode, KF_INODE_SB, 0, 0 },
		{ inode, KF_INODE_NLINK, 0, 0 },
		{ inode, KF_INODE_SIZE, 0, 0 },
	};
	int err;

	*f = (struct fact_file){ .id = inode };
	err = file_ids(s, inode, &f->dev_major, &f->dev_minor, &f->ino);
	if (err)
		return err;
	kmem_getv(s->k, g, 3);
	f->deleted = !g[1].err && !g[1].val;
	f->size = g[2].err ? FACT_UNKNOWN : g[2].val;
	f->fstype = fstype_of(s, g[0].val);
	f->device = device_of(s, g[0].val);
	fill_names(s, inode, f);
	return 0;
}

void file_tell(struct snap *s, u64 inode)
{
	struct fact f = { .type = FACT_FILE };

	if (is_told(s, inode) || file_read(s, inode, &f.file))
		return;
	s->err = s->err ? s->err : array_grow(&s->told_files, s->nr_told_files, sizeof(inode));
	if (s->err)
		return;
	s->told_files[s->nr_told_files++] = inode;
	snap_emit(s, &f);
}

/*
 * "dm-0 (slow)": the disk's name, and what device-mapper calls it; NULL when sysfs does not know
 * it.
 */
static const char *named_device(struct snap *s, u32 major, u32 minor)
{
	char path[64], *uevent, *name, *dm;
	const char *text = NULL;

	snprintf(path, sizeof(path), "/sys/dev/block/%u:%u/uevent", major, minor);
	uevent = s->k->ops->read_file(s->k, path);
	snprintf(path, sizeof(path), "/sys/dev/block/%u:%u/dm/name", major, minor);
	dm = s->k->ops->read_file(s->k, path);
	if (dm)
		dm[strcspn(dm, "\n")] = '\0';
	name = uevent ? strstr(uevent, "DEVNAME=") : NULL;
	if (name)
		text = snap_text(s, dm ? "%.*s (%s)" : "%.*s", (int)strcspn(name + 8, "\n"),
				 name + 8, dm);
	free(uevent);
	free(dm);
	return text;
}

static const char *block_device(struct snap *s, u32 major, u32 minor)
{
	const char *name = named_device(s, major, minor);

	return name ? name : snap_text(s, "block device %u:%u", major, minor);
}

const char *file_fstype(struct snap *s, u64 inode)
{
	u64 sb;

	return kmem_get(s->k, inode, KF_INODE_SB, &sb) ? NULL : fstype_of(s, sb);
}

/*
 * Up to v6.6 overlayfs has the file below open by the name of its own, fs/open.c
 * open_with_fake_path().
 */
static u64 name_of_inode(struct snap *s, u64 dentry, u64 inode)
{
	u64 of, real;

	if (kmem_get(s->k, dentry, KF_DENTRY_INODE, &of) || of == inode)
		return dentry;
	real = inode_dentry(s, inode);
	return real ? real : dentry;
}

const char *file_path(struct snap *s, u64 file)
{
	struct kget g[] = { { file, KF_FILE_INODE, 0, 0 }, { file, KF_FILE_DENTRY, 0, 0 } };
	static char buf[PATH_MAX];
	static struct mount m;
	u32 major, minor;
	char *path;
	u64 ino;

	if (kmem_getv(s->k, g, 2) || file_ids(s, g[0].val, &major, &minor, &ino))
		return NULL;
	path = dentry_path(s, name_of_inode(s, g[1].val, g[0].val), buf, sizeof(buf));
	if (!path)
		return NULL;
	return mount_of(s, major, minor, &m) ? mount_join(s, &m, path) : snap_text(s, "%s", path);
}

static const char *named_file(struct snap *s, const char *path, u64 inode)
{
	const char *fstype = file_fstype(s, inode);
	u32 major, minor;
	u64 ino;

	if (!fstype)
		fstype = "?";
	if (path)
		return snap_text(s, "%s (%s)", path, fstype);
	if (file_ids(s, inode, &major, &minor, &ino))
		return NULL;
	return snap_text(s, "ino %llu of %u:%u (%s)", (unsigned long long)ino, major, minor,
			 fstype);
}

static const char *regular_file(struct snap *s, u64 file, u64 inode)
{
	return named_file(s, file_path(s, file), inode);
}

const char *file_name(struct snap *s, u64 inode)
{
	u64 dentry = inode_dentry(s, inode), ino;
	static char buf[PATH_MAX];
	static struct mount m;
	char *path = dentry ? dentry_path(s, dentry, buf, sizeof(buf)) : NULL;
	u32 major, minor;
	bool mounted = path && !file_ids(s, inode, &major, &minor, &ino) &&
		       mount_of(s, major, minor, &m);

	return named_file(s, mounted ? mount_join(s, &m, path) : NULL, inode);
}

const char *file_describe(struct snap *s, u64 file)
{
	struct kget i[2];
	u64 inode;

	if (kmem_get(s->k, file, KF_FILE_INODE, &inode))
		return NULL;
	i[0] = (struct kget){ inode, KF_INODE_MODE, 0, 0 };
	i[1] = (struct kget){ inode, KF_INODE_RDEV, 0, 0 };
	if (kmem_getv(s->k, i, 2) || i[0].err)
		return NULL;
	if (S_ISBLK(i[0].val))
		return block_device(s, KDEV_MAJOR(i[1].val), KDEV_MINOR(i[1].val));
	return regular_file(s, file, inode);
}

/* Number of the device that a file is, or is on; 0 unknown. What has no device has major 0. */
static u64 file_dev(struct snap *s, u64 file)
{
	struct kget i[3];
	u64 inode, dev;

	if (kmem_get(s->k, file, KF_FILE_INODE, &inode))
		return 0;
	i[0] = (struct kget){ inode, KF_INODE_MODE, 0, 0 };
	i[1] = (struct kget){ inode, KF_INODE_RDEV, 0, 0 };
	i[2] = (struct kget){ inode, KF_INODE_SB, 0, 0 };
	if (kmem_getv(s->k, i, 3) || i[0].err || kmem_get(s->k, i[2].val, KF_SB_DEV, &dev))
		return 0;
	if (S_ISBLK(i[0].val))
		dev = i[1].val;
	return KDEV_MAJOR(dev) ? dev : 0;
}

const char *file_device(struct snap *s, u64 file)
{
	u64 dev = file_dev(s, file);

	return dev ? block_device(s, KDEV_MAJOR(dev), KDEV_MINOR(dev)) : NULL;
}

struct disk_search {
	struct snap *s;
	u64 dev, disk;
};

static int take_bdev(void *arg, u64 bdev, u64 disk)
{
	struct disk_search *w = arg;
	u64 dev;

	if (!kmem_get(w->s->k, bdev, KF_BDEV_DEV, &dev) && dev == w->dev)
		w->disk = disk;
	return 0;
}

u64 file_disk(struct snap *s, u64 file)
{
	struct disk_search w = { .s = s, .dev = file_dev(s, file) };

	if (!w.dev || bios_lack(s))
		return 0;
	if (w.dev != s->dev) {
		bdevs_walk(s, take_bdev, &w);
		s->dev = w.dev;
		s->disk_of_dev = w.disk;
	}
	return s->disk_of_dev;
}

void file_tell_target(struct snap *s, u64 file, struct fact_hold *h)
{
	h->target = file_describe(s, file);
	h->device = file_device(s, file);
	if (h->target && h->device && strcmp(h->target, h->device) != 0)
		h->target = snap_text(s, "%s on %s", h->target, h->device);
}

/* What the kernel calls it: one path of several to a disk (nvme0c0n1) has no device file. */
static const char *hidden_disk(struct snap *s, u64 disk)
{
	char name[DISK_NAME_MAX];

	if (kmem_read_string(s->k, kmem_at(s->k, disk, KF_DISK_NAME), name, sizeof(name)) || !*name)
		return NULL;
	return snap_text(s, "%s", name);
}

const char *disk_describe(struct snap *s, u64 disk)
{
	struct kget g[] = { { disk, KF_DISK_MAJOR, 0, 0 }, { disk, KF_DISK_MINOR, 0, 0 } };
	u64 file = disk ? loop_file(s, disk) : 0;
	const char *name, *behind = file ? file_describe(s, file) : NULL;

	if (!disk || kmem_getv(s->k, g, 2) || g[0].err || g[1].err)
		return NULL;
	name = named_device(s, g[0].val, g[1].val);
	if (!name)
		name = hidden_disk(s, disk);
	if (!name)
		name = block_device(s, g[0].val, g[1].val);
	return behind ? snap_text(s, "%s over %s", name, behind) : name;
}

const char *file_mount(struct snap *s, u64 inode)
{
	static struct mount m;
	u32 major, minor;
	u64 ino;

	if (file_ids(s, inode, &major, &minor, &ino) || !mount_of(s, major, minor, &m))
		return NULL;
	return snap_text(s, "%s", m.point);
}

/* Path of a dentry below a mount that a mountinfo file lists; NULL when it lists none. */
static const char *path_in(struct snap *s, u64 dentry, const char *mountinfo)
{
	static char buf[PATH_MAX];
	static struct mount m;
	u64 sb, dev;
	char *path;

	if (kmem_get(s->k, dentry, KF_DENTRY_SB, &sb) || kmem_get(s->k, sb, KF_SB_DEV, &dev) ||
	    !mount_in(s, mountinfo, KDEV_MAJOR(dev), KDEV_MINOR(dev), &m))
		return NULL;
	path = dentry_path(s, dentry, buf, sizeof(buf));
	return path ? mount_join(s, &m, path) : NULL;
}

const char *dentry_path_here(struct snap *s, u64 dentry)
{
	return path_in(s, dentry, "/proc/self/mountinfo");
}

const char *file_path_for(struct snap *s, const struct ktask *t, u64 file)
{
	enum kf where[] = { KF_FILE_DENTRY, KF_BACKING_FILE_DENTRY };
	char theirs[32];

	snprintf(theirs, sizeof(theirs), "/proc/%u/mountinfo", t->r.tgid);
	for (int i = 0; i < 2; i++) {
		const char *path;
		u64 dentry;

		if (kmem_get(s->k, file, where[i], &dentry) || !kmem_is_kernel_ptr(dentry))
			continue;
		path = path_in(s, dentry, theirs);
		if (path)
			return snap_text(s, "/proc/%u/root%s", t->r.tgid, path);
		path = dentry_path_here(s, dentry);
		if (path)
			return path;
	}
	return NULL;
}

bool file_is_dax(struct snap *s, u64 inode)
{
	struct kget g[] = {
		{ inode, KF_INODE_MAPPING, 0, 0 },
		{ inode, KF_INODE_MODE, 0, 0 },
		{ inode, KF_INODE_FLAGS, 0, 0 },
	};

	return kmem_is_kernel_ptr(inode) && !kmem_getv(s->k, g, 3) && !g[0].err && !g[1].err &&
	       !g[2].err && g[0].val == kmem_at(s->k, inode, KF_INODE_DATA) && S_ISREG(g[1].val) &&
	       g[2].val & S_DAX_FLAG;
}

u64 file_of_word(struct snap *s, u64 word)
{
	u64 host;

	if (!kmem_is_kernel_ptr(word) || word & 7)
		return 0;
	if (file_is_dax(s, word))
		return word;
	return !kmem_get(s->k, word, KF_MAPPING_HOST, &host) && file_is_dax(s, host) ? host : 0;
}

bool waiter_knows_file(struct snap *s, struct ktask *t, u64 inode)
{
	u64 start, mapping = kmem_at(s->k, inode, KF_INODE_DATA);
	u32 n;
	const u64 *words = task_stack_words(s, t, &n, &start);

	for (u32 i = 0; i < n; i++)
		if (words[i] == inode || words[i] == mapping)
			return true;
	return false;
}

/*
 * The wait loops keep the inode, or its address_space, in registers that deeper frames saved.
 * Another inode may be in what an earlier user of the stack left there, so the one that is there
 * most counts. An inode is recognised by i_mapping pointing at its own i_data.
 */
u64 file_of_waiter(struct snap *s, struct ktask *t)
{
	struct {
		u64 inode;
		u32 times;
	} found[FILES_OF_STACK] = { 0 }, *best = found;
	u64 start;
	u32 n;
	const u64 *words = task_stack_words(s, t, &n, &start);

	for (u32 i = 0; i < n; i++) {
		u64 inode = file_of_word(s, words[i]);
		u32 at = 0;

		while (inode && at < FILES_OF_STACK && found[at].inode && found[at].inode != inode)
			at++;
		if (!inode || at == FILES_OF_STACK)
			continue;
		found[at].inode = inode;
		if (++found[at].times > best->times)
			best = &found[at];
	}
	return best->inode;
}
