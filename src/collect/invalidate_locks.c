// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Who sleeps for the invalidate lock of a DAX file because of a page fault. A fault keeps it shared
 * for as long as it is in fs/dax.c; who truncates the file takes it exclusively before it looks for
 * busy pages, and again after each one that it has waited for. With a fault that cannot go on
 * neither comes to an end, though no page is waited for.
 *
 * The kernel does not keep who has a lock shared, but how many: where as many faults of the file
 * sleep, these are all of them.
 */
#include <errno.h>
#include <stdlib.h>

#include "collect/entry_locks.h"
#include "collect/task_flags.h"

enum { FILES_MAX = 64 }; /* files with a fault that sleeps */

struct files {
	u64 inode[FILES_MAX];
	u32 n;
};

static void add_file(struct snap *s, struct files *f, u64 inode)
{
	for (u32 i = 0; i < f->n; i++)
		if (f->inode[i] == inode)
			return;
	if (f->n < FILES_MAX)
		f->inode[f->n++] = inode;
	else
		snap_lost(s, LOSS_LOST, "page faults", 1);
}

static void find_files(struct snap *s, struct files *f)
{
	for (u32 i = 0; i < s->tasks.n; i++) {
		u64 inode = fault_file(s, &s->tasks.v[i]);

		if (inode)
			add_file(s, f, inode);
	}
}

/*
 * Up to 5.14 each filesystem has a lock of its own for this, in its structure around the inode
 * (730633f0b7f9 "mm: Protect operations adding pages to page cache with invalidate_lock").
 */
static bool is_beside_inode(struct snap *s, u64 inode, u64 lock)
{
	struct slab_object o;

	return !slab_object(s, inode, &o) && lock - o.addr < o.size &&
	       lock - inode >= (u64)s->k->field[KF_INODE].off;
}

static bool is_invalidate_lock(struct snap *s, u64 inode, u64 lock)
{
	if (kmem_has(s->k, KF_MAPPING_INVALIDATE_LOCK))
		return lock == kmem_at(s->k, kmem_at(s->k, inode, KF_INODE_DATA),
				       KF_MAPPING_INVALIDATE_LOCK);
	return is_beside_inode(s, inode, lock);
}

/* The lock that the task sleeps for if it is such a one, held shared. */
static bool find_lock(struct snap *s, const struct ktask *t, const struct files *f, struct kwait *w)
{
	struct klock l;

	if (lock_of_task(s, t, &l) || l.kind != KLOCK_RWSEM || l.mode != MODE_READ)
		return false;
	for (u32 i = 0; i < f->n; i++) {
		if (!is_invalidate_lock(s, f->inode[i], l.addr))
			continue;
		w->inode = f->inode[i];
		w->lock = l.addr;
		return true;
	}
	return false;
}

/* Faults want the lock, too, but shared: they are behind who truncates. */
static bool wants_exclusively(struct snap *s, struct ktask *t)
{
	struct op op = op_of(s, t);

	return op.op != OP_OTHER && op.op != OP_FAULT && op.op != OP_WRITEBACK;
}

const char *walk_invalidate_locks_lacks(const struct snap *s)
{
	return walk_entry_locks_lacks(s) ?: KMEM_LACKS(s->k, KF_INODE, KF_INODE_DATA);
}

int invalidate_locks_find(struct snap *s)
{
	struct files f = { .n = 0 };
	int err = 0;

	if (walk_invalidate_locks_lacks(s))
		return 0;
	find_files(s, &f);
	for (u32 i = 0; i < s->nr_waits && f.n; i++) {
		struct ktask *t = s->waits[i].on == ON_LOCK ? task_find(s, s->waits[i].task) : NULL;

		if (t)
			find_lock(s, t, &f, &s->waits[i]);
	}
	for (u32 i = 0; i < s->tasks.n && f.n && !err; i++) {
		struct ktask *t = &s->tasks.v[i];
		struct kwait w = { .task = t->r.task, .on = ON_LOCK };

		if (t->r.state & TASK_UNINTERRUPTIBLE && !wait_is_known(s, t->r.task) &&
		    wants_exclusively(s, t) && find_lock(s, t, &f, &w))
			err = waits_add(s, w);
	}
	return err;
}

static u32 count_faults(struct snap *s, u64 inode)
{
	u32 n = 0;

	for (u32 i = 0; i < s->tasks.n; i++)
		n += fault_file(s, &s->tasks.v[i]) == inode;
	return n;
}

static void tell_faults(struct snap *s, const struct kwait *w)
{
	struct klock l = { .addr = w->lock, .kind = KLOCK_RWSEM };
	enum fact_confidence confidence;

	lock_read_owner(s, &l);
	if (l.mode != MODE_READ)
		return;
	confidence = l.readers && l.readers == count_faults(s, w->inode) ? CONF_EXACT : CONF_LIKELY;
	for (u32 i = 0; i < s->tasks.n && !s->err; i++)
		if (fault_file(s, &s->tasks.v[i]) == w->inode)
			entry_holder_tell(s, w, &s->tasks.v[i], HOW_FAULT, confidence);
}

int walk_invalidate_locks(struct snap *s)
{
	for (u32 i = 0; i < s->nr_waits && !s->err; i++)
		if (s->waits[i].on == ON_LOCK && s->waits[i].lock && wait_is_first_of_lock(s, i))
			tell_faults(s, &s->waits[i]);
	return 0;
}
