// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * What a lock is: its address is compared with those of the locks in objects that are known: open
 * files and their inodes, superblocks, address spaces, pipes. An inode that no task has open, such
 * as that of a directory, lies in the same slab cache as one that is known, as far from the start
 * of its object. Nothing is taken for an object because it might look like one.
 */
#include <sys/stat.h>

#include "collect/entry_locks.h"

struct member {
	enum kf f;
	const char *name;
};

static const struct member of_mapping[] = {
	{ KF_MAPPING_INVALIDATE_LOCK, "invalidate_lock" },
	{ KF_MAPPING_I_MMAP_RWSEM, "i_mmap_rwsem" },
};

static const struct member of_super[] = {
	{ KF_SB_UMOUNT, "s_umount" },
	{ KF_SB_RENAME_MUTEX, "s_vfs_rename_mutex" },
	{ KF_SB_SYNC_LOCK, "s_sync_lock" },
};

enum { SUPERS_MAX = 256 }; /* open files whose superblock is looked at */

#define NR(array) (sizeof(array) / sizeof((array)[0]))

/* The name of the member at addr of an object; NULL none. */
static const char *member_at(const struct kmem *k, u64 obj, const struct member *m, size_t n,
			     u64 addr)
{
	for (size_t i = 0; i < n; i++)
		if (kmem_has(k, m[i].f) && kmem_at(k, obj, m[i].f) == addr)
			return m[i].name;
	return NULL;
}

/* The name of the lock at addr if it is one of the inode's. */
static const char *inode_lock_name(const struct kmem *k, u64 inode, u64 addr)
{
	if (kmem_at(k, inode, KF_INODE_RWSEM) == addr)
		return "i_rwsem";
	return kmem_has(k, KF_INODE_DATA) ? member_at(k, kmem_at(k, inode, KF_INODE_DATA),
						      of_mapping, NR(of_mapping), addr) :
					    NULL;
}

static bool name_of_inode(struct snap *s, u64 inode, u64 addr, struct fact_lock *f)
{
	f->name = inode ? inode_lock_name(s->k, inode, addr) : NULL;
	if (!f->name)
		return false;
	file_tell(s, inode);
	f->file = inode;
	return true;
}

static bool of_known_inode(struct snap *s, u64 addr, struct fact_lock *f)
{
	for (u32 i = 0; i < s->nr_waits; i++)
		if (name_of_inode(s, s->waits[i].inode, addr, f))
			return true;
	for (u32 i = 0; i < s->fds.nr_inodes; i++)
		if (name_of_inode(s, s->fds.inodes[i], addr, f))
			return true;
	return false;
}

static bool of_super_block(struct snap *s, u64 inode, u64 addr, struct fact_lock *f)
{
	const char *fstype;
	u64 sb;

	if (!inode || kmem_get(s->k, inode, KF_INODE_SB, &sb))
		return false;
	f->name = member_at(s->k, sb, of_super, NR(of_super), addr);
	if (!f->name)
		return false;
	fstype = file_fstype(s, inode);
	f->of = snap_text(s, "the %s on %s", fstype ? fstype : "filesystem", sb_device(s, sb));
	return true;
}

/* Superblocks of the waiters' files, then of all open ones. */
static bool of_known_super(struct snap *s, u64 addr, struct fact_lock *f)
{
	for (u32 i = 0; i < s->nr_waits; i++)
		if (of_super_block(s, s->waits[i].inode, addr, f))
			return true;
	for (u32 i = 0, n = 0; i < s->fds.nr_inodes && n < SUPERS_MAX; i++) {
		if (!S_ISREG(s->fds.modes[i]))
			continue;
		if (of_super_block(s, s->fds.inodes[i], addr, f))
			return true;
		n++;
	}
	return false;
}

static bool of_known_mm(struct snap *s, u64 addr, struct fact_lock *f)
{
	for (u32 i = 0; kmem_has(s->k, KF_MM_MMAP_LOCK) && i < s->tasks.n; i++) {
		struct ktask *t = &s->tasks.v[i];

		if (!t->r.mm)
			continue;
		if (kmem_at(s->k, t->r.mm, KF_MM_MMAP_LOCK) == addr)
			f->name = "mmap_lock";
		else if (fault_lock(s, t) == addr)
			f->name = "VMA lock";
		else
			continue;
		f->of = snap_text(s, "the memory of %s[%u]", t->r.comm, t->r.tgid);
		return true;
	}
	return false;
}

static bool of_known_file(struct snap *s, u64 addr, struct fact_lock *f)
{
	for (u32 i = 0; kmem_has(s->k, KF_FILE_POS_LOCK) && i < s->fds.n; i++) {
		u64 file = s->fds.v[i].file;
		const char *of;

		if (kmem_at(s->k, file, KF_FILE_POS_LOCK) != addr)
			continue;
		f->name = "f_pos_lock";
		of = file_describe(s, file);
		f->of = of ? snap_text(s, "a descriptor of %s", of) : NULL;
		return true;
	}
	return false;
}

static bool of_known_pipe(struct snap *s, u64 addr, struct fact_lock *f)
{
	for (u32 i = 0; kmem_has(s->k, KF_PIPE_MUTEX) && i < s->fds.nr_inodes; i++) {
		u64 inode = s->fds.inodes[i], pipe;

		if (!S_ISFIFO(s->fds.modes[i]) || kmem_get(s->k, inode, KF_INODE_PIPE, &pipe) ||
		    kmem_at(s->k, pipe, KF_PIPE_MUTEX) != addr)
			continue;
		f->name = "pipe mutex";
		f->of = pipe_name(s, inode);
		return true;
	}
	return false;
}

static bool same_cache(const struct slab_object *a, const struct slab_object *b)
{
	return a->cache == b->cache;
}

/* The inode in the object that the lock is in, as a known inode lies in another of its cache. */
static bool of_like_inode(struct snap *s, u64 addr, u64 known, struct fact_lock *f)
{
	struct slab_object lock, object;
	u64 inode, sb, known_sb, mapping;
	const char *fstype;

	if (!known || slab_object(s, addr, &lock) || slab_object(s, known, &object) ||
	    !same_cache(&lock, &object))
		return false;
	inode = lock.addr + (known - object.addr);
	if (kmem_get(s->k, inode, KF_INODE_SB, &sb) ||
	    kmem_get(s->k, known, KF_INODE_SB, &known_sb) || sb != known_sb ||
	    kmem_get(s->k, inode, KF_INODE_MAPPING, &mapping) || !kmem_is_kernel_ptr(mapping))
		return false;
	if (name_of_inode(s, inode, addr, f))
		return true;
	/* beside the inode in the filesystem's own structure: such as i_lock in struct xfs_inode */
	fstype = file_fstype(s, inode);
	f->name = snap_text(s, "%s inode lock", fstype ? fstype : "filesystem");
	file_tell(s, inode);
	f->file = inode;
	return true;
}

static bool of_other_inode(struct snap *s, u64 addr, struct fact_lock *f)
{
	for (u32 i = 0; i < s->nr_waits; i++)
		if (of_like_inode(s, addr, s->waits[i].inode, f))
			return true;
	return false;
}

void lock_identify(struct snap *s, const struct klock *l, struct fact_lock *f)
{
	bool found = l->kind == KLOCK_MUTEX ?
			     of_known_pipe(s, l->addr, f) || of_known_file(s, l->addr, f) :
			     of_known_inode(s, l->addr, f) || of_known_mm(s, l->addr, f);

	if (!found && !of_known_super(s, l->addr, f))
		of_other_inode(s, l->addr, f);
}
