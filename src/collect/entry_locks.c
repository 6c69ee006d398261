// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Who sleeps for the lock of a DAX entry. Page faults, writeback and what takes pages out of a DAX
 * file lock a bit of the entry in address_space.i_pages; who finds it locked queues in a hash table
 * of fs/dax.c, uninterruptibly. Its name, wait_table, is not its own. But it is not needed: the
 * record that is queued lies on the sleeper's stack and names the xarray and the index.
 *
 * A record counts when its task, the list around it and a DAX file agree with it.
 */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "collect/entry_locks.h"
#include "collect/task_flags.h"
#include "collect/xarray.h"

enum { LOOKS = 4, LOOK_US = 10000 };

struct record {
	u64 entry, next, prev; /* where its list_head is, and what that says */
	u64 xa, start;
};

/* All waits for an entry lock are in a function that has this in its name, or in one it called. */
static bool is_in_dax(const struct ktask *t)
{
	for (u32 i = 0; i < t->r.nr_stack; i++)
		if (t->frames[i] && strstr(t->frames[i], "dax_"))
			return true;
	return false;
}

static int read_record(struct snap *s, u64 wait, struct record *r)
{
	u64 queued = kmem_container(s->k, wait, KF_ENTRY_WAIT_WAIT);
	u64 entry = kmem_at(s->k, wait, KF_WQE_ENTRY);
	struct kget g[] = {
		{ entry, KF_LIST_NEXT, 0, 0 },
		{ entry, KF_LIST_PREV, 0, 0 },
		{ queued, KF_ENTRY_WAIT_XA, 0, 0 },
		{ queued, KF_ENTRY_WAIT_START, 0, 0 },
	};
	int err = kmem_getv(s->k, g, 4);

	for (int i = 0; i < 4 && !err; i++)
		err = g[i].err;
	*r = (struct record){ entry, g[0].val, g[1].val, g[2].val, g[3].val };
	return err;
}

/* Its neighbours in the list point back at it; one that was woken is in no list. */
static bool is_queued(struct snap *s, const struct record *r)
{
	struct kget g[] = { { r->next, KF_LIST_PREV, 0, 0 }, { r->prev, KF_LIST_NEXT, 0, 0 } };

	return r->next != r->entry && kmem_is_kernel_ptr(r->next) && kmem_is_kernel_ptr(r->prev) &&
	       !kmem_getv(s->k, g, 2) && !g[0].err && !g[1].err && g[0].val == r->entry &&
	       g[1].val == r->entry;
}

/* The DAX file that an xarray is the i_pages of; 0 none. */
static u64 file_of_xarray(struct snap *s, u64 xa)
{
	u64 inode = kmem_is_kernel_ptr(xa) && !(xa & 7) ?
			    file_of_word(s, kmem_container(s->k, xa, KF_MAPPING_I_PAGES)) :
			    0;

	return inode && entry_xarray(s, inode) == xa ? inode : 0;
}

u64 entry_xarray(struct snap *s, u64 inode)
{
	return kmem_at(s->k, kmem_at(s->k, inode, KF_INODE_DATA), KF_MAPPING_I_PAGES);
}

/* The record on a task's own stack. */
static bool find_record(struct snap *s, const struct ktask *t, struct kwait *w)
{
	struct stack_scan scan = stack_scan(s, t, KF_WQE_PRIVATE);
	struct record r, again;
	u64 wait;

	while ((wait = stack_scan_next(&scan))) {
		if (read_record(s, wait, &r) || !is_queued(s, &r))
			continue;
		w->inode = file_of_xarray(s, r.xa);
		w->index = r.start;
		/* the same again, so that it was no record in the making */
		if (w->inode && !read_record(s, wait, &again) && !memcmp(&r, &again, sizeof(r)))
			return true;
	}
	return false;
}

/* Made up, as an entry lock has no address: good for telling whether two are the same. */
static u64 lock_number(u64 xa, u64 index)
{
	return (xa ^ index) * 0x9e3779b97f4a7c15ULL | 1;
}

bool entry_is_locked(struct snap *s, const struct kwait *w, u64 *entry)
{
	*entry = xarray_load(s->k, entry_xarray(s, w->inode), w->index);
	return *entry & DAX_ENTRY_VALUE && *entry & DAX_ENTRY_LOCKED;
}

/* A lock that changes hands is free for a moment; one whose wake-up was lost stays so. */
static bool stays_free(struct snap *s, const struct kwait *w)
{
	u64 entry;

	for (int look = 0; look < LOOKS; look++) {
		entry_is_locked(s, w, &entry);
		if (!(entry & DAX_ENTRY_VALUE) || entry & DAX_ENTRY_LOCKED)
			return false;
		usleep(LOOK_US);
	}
	return true;
}

static bool available(const struct snap *s)
{
	return !KMEM_LACKS(s->k, KF_WQE_PRIVATE, KF_WQE_ENTRY, KF_ENTRY_WAIT_WAIT, KF_ENTRY_WAIT_XA,
			   KF_ENTRY_WAIT_START, KF_MAPPING_I_PAGES);
}

int entry_locks_find(struct snap *s)
{
	int err = 0;

	for (u32 i = 0; i < s->tasks.n && available(s) && !err; i++) {
		const struct ktask *t = &s->tasks.v[i];
		struct kwait w = { .task = t->r.task, .on = ON_ENTRY_LOCK };

		if (!(t->r.state & TASK_UNINTERRUPTIBLE) || !is_in_dax(t) ||
		    wait_is_known(s, t->r.task) || !find_record(s, t, &w))
			continue;
		w.lock = lock_number(entry_xarray(s, w.inode), w.index);
		w.is_free = stays_free(s, &w);
		err = waits_add(s, w);
	}
	return err;
}
