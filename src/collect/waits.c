// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Who sleeps on a DAX page. wait_var_event() queues the sleeper in bit_wait_table under the
 * address it waits for: &page->_refcount up to 6.14, the page itself from 6.15 on. The two differ
 * modulo the size of a struct page, so the key tells the model.
 *
 * Nothing is locked, so a record counts only when the entry lies on its task's own stack, the list
 * around it is consistent, and it reads the same again afterwards.
 *
 * A waiter that was just woken is off the list, retaking the lock it had dropped to sleep. It is
 * found by its stack; and so are all where the kernel hides the table. Those who sleep for
 * something else of a DAX file are found by entry_locks.c and leases.c.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "collect/snap.h"
#include "collect/task_flags.h"
#include "util/array.h"

#define WAIT_TABLE_SIZE 256  /* 1 << WAIT_TABLE_BITS, kernel/sched/wait_bit.c */
#define BIT_NR_VAR      (-1) /* wait_bit_key.bit_nr of wait_var_event() */

enum { ENTRIES_MAX = 100000, ATTEMPTS = 3 };

struct entry {
	u64 wbqe;
	u64 key, task, next, prev;
	s64 bit_nr;
};

static int read_entry(struct snap *s, u64 wbqe, struct entry *e)
{
	struct kget g[] = {
		{ wbqe, KF_WBQE_KEY_FLAGS, 0, 0 },
		{ wbqe, KF_WBQE_KEY_BIT_NR, 0, 0 },
		{ wbqe, KF_WBQE_PRIVATE, 0, 0 },
		{ kmem_at(s->k, wbqe, KF_WBQE_ENTRY), KF_LIST_NEXT, 0, 0 },
		{ kmem_at(s->k, wbqe, KF_WBQE_ENTRY), KF_LIST_PREV, 0, 0 },
	};
	int err = kmem_getv(s->k, g, 5);

	for (int i = 0; i < 5 && !err; i++)
		err = g[i].err;
	*e = (struct entry){ wbqe, g[0].val, g[2].val, g[3].val, g[4].val, (s32)g[1].val };
	return err;
}

/* The page a key stands for, and the count at which its waiters are woken; 0 for another key. */
static u64 key_page(struct snap *s, u64 key, s64 *idle_refs)
{
	/* vmemmap unknown: 0 will do, as long as the size of a struct page is a power of two */
	u64 in_page = (key - s->arch.vmemmap) % s->k->field[KF_PAGE].off;

	*idle_refs = in_page ? 1 : 0;
	if (in_page && in_page != (u64)s->k->field[KF_PAGE_REFCOUNT].off)
		return 0;
	return page_is_fsdax(s, key - in_page) ? key - in_page : 0;
}

int waits_add(struct snap *s, struct kwait w)
{
	int err = array_grow(&s->waits, s->nr_waits, sizeof(w));

	if (!err)
		s->waits[s->nr_waits++] = w;
	return err;
}

static int add_page(struct snap *s, u64 page, s64 idle_refs, u64 *head)
{
	struct kpage p;
	int err = page_read(s, page, idle_refs, &p);

	if (err)
		return err;
	*head = p.head;
	return page_find(s, p.head) ? 0 : page_add(s, &p);
}

int waits_add_page(struct snap *s, u64 page, u64 *head)
{
	return add_page(s, page, page_idle_refs(s), head);
}

static int take_entry(struct snap *s, const struct entry *e)
{
	struct kwait w = { .task = e->task, .key = e->key, .wbqe = e->wbqe, .on = ON_PAGE };
	struct ktask *t = task_find(s, e->task);
	struct entry again;
	s64 idle_refs;
	u64 page = e->bit_nr == BIT_NR_VAR ? key_page(s, e->key, &idle_refs) : 0;

	if (!page)
		return 0;
	/* one that was awake when the tasks were listed has no stack that tells what it does */
	if (!t || !task_is_asleep(t) || !task_stack_holds(s, t, e->wbqe) ||
	    read_entry(s, e->wbqe, &again) || memcmp(&again, e, sizeof(again)))
		return -ESTALE;
	if (add_page(s, page, idle_refs, &w.page))
		return -ESTALE;
	w.inode = page_find(s, w.page)->inode;
	return waits_add(s, w);
}

/* Walks one bucket. 0, -ESTALE when the list changed under us, -ENOMEM. */
static int walk_bucket(struct snap *s, u64 head, u64 first, u32 *budget)
{
	u64 at = first, prev = head;
	int err = 0;

	while (at != head && !err) {
		struct entry e;

		if (!*budget)
			return -E2BIG;
		--*budget;
		if (!kmem_is_kernel_ptr(at) ||
		    read_entry(s, kmem_container(s->k, at, KF_WBQE_ENTRY), &e) || e.prev != prev)
			return -ESTALE;
		err = take_entry(s, &e);
		prev = at;
		at = e.next;
	}
	return err;
}

static bool have_table(const struct snap *s)
{
	return s->k->sym[KSYM_BIT_WAIT_TABLE] && kmem_has(s->k, KF_WBQE) &&
	       kmem_has(s->k, KF_WAIT_HEAD);
}

/* One pass over the table; *torn counts the buckets that changed while they were read. */
static int walk_table(struct snap *s, u32 *torn)
{
	u64 table = s->k->sym[KSYM_BIT_WAIT_TABLE], size = s->k->field[KF_WAIT_HEAD].off;
	u32 budget = ENTRIES_MAX;
	struct kget g[WAIT_TABLE_SIZE];

	for (u32 i = 0; i < WAIT_TABLE_SIZE; i++)
		g[i] = (struct kget){ .f = KF_LIST_NEXT,
				      .obj = kmem_at(s->k, table + i * size, KF_WAIT_HEAD_HEAD) };
	if (kmem_getv(s->k, g, WAIT_TABLE_SIZE))
		return -EFAULT;
	for (u32 i = 0; i < WAIT_TABLE_SIZE; i++) {
		int err = g[i].err ? 0 : walk_bucket(s, g[i].obj, g[i].val, &budget);

		if (err == -ENOMEM)
			return err;
		if (err == -E2BIG)
			snap_lost(s, LOSS_LOST, "bit_wait_table", 1);
		else if (err)
			++*torn;
	}
	return 0;
}

/* A function whose stack frame means: in the loop that waits for a page of a DAX file. */
static const char *const wait_loops[] = {
	/* v6.15 on: 0e2f80afcfa6 ("fs/dax: ensure all pages are idle prior to fs unmount") */
	"dax_break_layout",
	"dax_break_layout_final",
	"ext4_wait_dax_page",
	"xfs_wait_dax_page",
	"fuse_wait_dax_page",
	/* before */
	"ext4_break_layouts",
	"xfs_break_dax_layouts",
	"fuse_dax_break_layouts",
	"__fuse_dax_break_layouts",
	/* 5.10, where xfs_break_dax_layouts() is inlined */
	"xfs_break_layouts",
	NULL,
};

/* Takes other locks too, so that only an entry on the stack makes its task a waiter for a page. */
static const char *const reflink_loops[] = {
	"xfs_ilock2_io_mmap",
	NULL,
};

static const char *const lease_waits[] = {
	"__break_lease",
	"xfs_break_leased_layouts",
	NULL,
};

static const char *const entry_lock_waits[] = {
	"get_unlocked_entry",         "get_next_unlocked_entry",
	"wait_entry_unlocked",        "wait_entry_unlocked_exclusive",
	"dax_layout_busy_page_range", NULL,
};

/* The wait queue entry on a task's own stack, where the table cannot be walked. */
static bool entry_on_stack(struct snap *s, const struct ktask *t, struct entry *e)
{
	struct stack_scan scan = stack_scan(s, t, KF_WBQE_PRIVATE);
	s64 idle_refs;
	u64 wbqe;

	while ((wbqe = stack_scan_next(&scan)))
		if (!read_entry(s, wbqe, e) && e->bit_nr == BIT_NR_VAR &&
		    key_page(s, e->key, &idle_refs))
			return true;
	return false;
}

bool wait_is_known(const struct snap *s, u64 task)
{
	for (u32 i = 0; i < s->nr_waits; i++)
		if (s->waits[i].task == task)
			return true;
	return false;
}

bool wait_is_first_of_lock(const struct snap *s, u32 i)
{
	for (u32 j = 0; j < i; j++)
		if (s->waits[j].on == s->waits[i].on && s->waits[j].lock == s->waits[i].lock)
			return false;
	return true;
}

static int take_by_entry(struct snap *s, const struct ktask *t)
{
	struct entry e;

	return entry_on_stack(s, t, &e) ? take_entry(s, &e) : 0;
}

/*
 * The kernel leaves the functions of the scheduler and of its locks (__sched) out of stacks. But a
 * lock is waited for uninterruptibly, and a page interruptibly, save in the wait of an eviction.
 */
static bool is_in_lock(const struct ktask *t)
{
	return t->r.state & TASK_UNINTERRUPTIBLE && !task_stack_has(t, "dax_break_layout_final");
}

static int take_by_stack(struct snap *s, struct ktask *t)
{
	struct kwait w = { .task = t->r.task };

	if (!task_stack_any(t, wait_loops))
		return have_table(s) ? 0 : take_by_entry(s, t);
	if (task_stack_any(t, entry_lock_waits))
		w.on = ON_ENTRY_LOCK;
	else if (is_in_lock(t))
		w.on = ON_LOCK;
	else /* not in the table: it was woken or falls asleep just now, so look again */
		return have_table(s) ? -ESTALE : take_by_entry(s, t);
	w.inode = file_of_waiter(s, t);
	/* these frames also serve files that are not DAX, when their lock is contended */
	return w.inode ? waits_add(s, w) : 0;
}

static int find_by_stack(struct snap *s, u32 *torn)
{
	for (u32 i = 0; i < s->tasks.n; i++) {
		struct ktask *t = &s->tasks.v[i];
		int err;

		if (!task_is_asleep(t) || task_stack_any(t, lease_waits) ||
		    (!task_stack_any(t, wait_loops) && !task_stack_any(t, reflink_loops)) ||
		    wait_is_known(s, t->r.task))
			continue;
		err = take_by_stack(s, t);
		if (err == -ENOMEM)
			return err;
		if (err)
			++*torn;
	}
	return 0;
}

static int find_once(struct snap *s, u32 *torn)
{
	int err = have_table(s) ? walk_table(s, torn) : 0;

	err = err ? err : entry_locks_find(s);
	err = err ? err : leases_find(s);
	err = err ? err : find_by_stack(s, torn);
	err = err ? err : invalidate_locks_find(s);
	return err ? err : unbind_waits_find(s);
}

static void tell_probes(struct snap *s)
{
	if (have_table(s))
		snap_probe(s, "bit_wait_table", PROBE_OK, NULL);
	else
		snap_probe(s, "bit_wait_table", PROBE_FALLBACK,
			   "waiters are found by their stacks only: one whose functions were "
			   "renamed is missed");
	if (!s->arch.regs_off)
		snap_probe(s, "pt_regs", PROBE_MISSING,
			   "system calls of waiters and holders are not known, so no O_DIRECT "
			   "holder is found");
	else
		snap_probe(s, "pt_regs", PROBE_OK, NULL);
}

/*
 * A record that changes while it is read is a task that just fell asleep or woke up; a stuck one
 * holds still. So look again before counting anything as torn.
 */
int waits_find(struct snap *s)
{
	u32 torn = 0;
	int err = 0;

	tell_probes(s);
	if (!s->pgmaps.n && !s->pages_by_inode)
		return 0;
	for (int attempt = 0; attempt < ATTEMPTS; attempt++) {
		torn = 0;
		s->nr_waits = s->nr_pages = 0;
		if (attempt) {
			tasks_free(&s->tasks);
			err = tasks_load(s);
		}
		err = err ? err : find_once(s, &torn);
		if (err || !torn)
			return err;
	}
	snap_lost(s, LOSS_TORN, "waiters", torn);
	return 0;
}

bool wait_still_there(struct snap *s, const struct kwait *w)
{
	struct entry e;

	return w->wbqe && !read_entry(s, w->wbqe, &e) && e.key == w->key && e.task == w->task;
}
