// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Who is stuck behind a waiter without sleeping in the queue of a lock that it has:
 *
 *   freeze       a waiter that writes keeps its filesystem from being frozen (sb_start_write()), and
 *                who freezes it keeps all new writers out until then. A percpu_rw_semaphore names
 *                the freezing task and queues the others.
 *   eviction     who looks up an inode that is being evicted sleeps until it is gone, in
 *                bit_wait_table under an address within the inode.
 */
#include "collect/snap.h"
#include "collect/task_flags.h"

enum { QUEUE_MAX = 100000, LEVEL_WRITE = 0 /* SB_FREEZE_WRITE - 1, include/linux/fs.h */ };

static void tell_behind(struct snap *s, const struct kwait *w, u64 task, const char *lock)
{
	queued_tell(s, &(struct fact_queued){ .wait = w->task, .task = task, .lock = lock });
}

/* Operations that mnt_want_write() or file_start_write() come before. */
static bool writes(struct snap *s, const struct kwait *w)
{
	struct op op = w->spins || w->traced ? w->op : op_of(s, task_find(s, w->task));

	switch (op.op) {
	case OP_TRUNCATE:
	case OP_OPEN_TRUNC:
	case OP_PUNCH_HOLE:
	case OP_ZERO_RANGE:
	case OP_COLLAPSE_RANGE:
	case OP_INSERT_RANGE:
	case OP_ALLOCATE:
	case OP_REFLINK:
	case OP_DEDUPE:
	case OP_EXCHANGE:
	case OP_WRITE:
		return true;
	default:
		return op.op == OP_EVICT && op.trigger == TRIGGER_UNLINK;
	}
}

/* Entries of a wait queue are on the stacks of those who sleep in it. */
static void tell_queue(struct snap *s, const struct kwait *w, u64 head)
{
	u64 at, task;

	if (kmem_get(s->k, head, KF_LIST_NEXT, &at))
		return;
	for (u32 n = 0; at != head; n++) {
		u64 entry = kmem_container(s->k, at, KF_WQE_ENTRY);

		if (n == QUEUE_MAX || !kmem_is_kernel_ptr(at) ||
		    kmem_get(s->k, entry, KF_WQE_PRIVATE, &task) ||
		    kmem_get(s->k, at, KF_LIST_NEXT, &at)) {
			snap_lost(s, n == QUEUE_MAX ? LOSS_LOST : LOSS_TORN, "queued tasks", 1);
			return;
		}
		tell_behind(s, w, task, "sb_writers");
	}
}

static void walk_freeze(struct snap *s, const struct kwait *w)
{
	u64 sb, sem, freezer;

	if (kmem_get(s->k, w->inode, KF_INODE_SB, &sb) || !writes(s, w))
		return;
	sem = kmem_at(s->k, sb, KF_SB_WRITERS_RWSEM) +
	      LEVEL_WRITE * s->k->field[KF_PERCPU_RWSEM].off;
	/*
	 * until it has the lock it waits for whoever writes; afterwards nobody who writes is left
	 */
	if (kmem_get(s->k, sem, KF_PERCPU_RWSEM_WRITER, &freezer) || !task_find(s, freezer))
		return;
	tell_behind(s, w, freezer, "sb_writers");
	tell_queue(s, w,
		   kmem_at(s->k, kmem_at(s->k, sem, KF_PERCPU_RWSEM_WAITERS), KF_WAIT_HEAD_HEAD));
}

/* One of these is on the stack of who waits for the end of an inode. */
static const char *const lookups[] = {
	"__wait_on_freeing_inode",
	"find_inode",
	"find_inode_fast",
	"iget_locked",
	"iget5_locked",
	"ilookup",
	"ilookup5",
	"insert_inode_locked",
	"insert_inode_locked4",
	NULL,
};

/* Whether its wait queue entry, on its stack, is for an address within the inode. */
static bool waits_for_inode(struct snap *s, const struct ktask *t, u64 inode)
{
	struct stack_scan scan = stack_scan(s, t, KF_WBQE_PRIVATE);
	u64 wbqe, key;

	while ((wbqe = stack_scan_next(&scan)))
		if (!kmem_get(s->k, wbqe, KF_WBQE_KEY_FLAGS, &key) &&
		    key - inode < (u64)s->k->field[KF_INODE].off)
			return true;
	return false;
}

static void walk_lookups(struct snap *s, struct ktask *t)
{
	for (u32 i = 0; i < s->nr_waits; i++)
		if (s->waits[i].inode && waits_for_inode(s, t, s->waits[i].inode))
			tell_behind(s, &s->waits[i], t->r.task, "i_state");
}

const char *walk_behind_lacks(const struct snap *s)
{
	return KMEM_LACKS(s->k, KF_SB_WRITERS_RWSEM, KF_PERCPU_RWSEM, KF_PERCPU_RWSEM_WRITER,
			  KF_PERCPU_RWSEM_WAITERS, KF_WQE_ENTRY, KF_WQE_PRIVATE, KF_INODE,
			  KF_WBQE_KEY_FLAGS, KF_WBQE_PRIVATE);
}

int walk_behind(struct snap *s)
{
	for (u32 i = 0; i < s->nr_waits && !s->err; i++)
		if (s->waits[i].inode)
			walk_freeze(s, &s->waits[i]);
	for (u32 i = 0; i < s->tasks.n && !s->err; i++) {
		struct ktask *t = &s->tasks.v[i];

		if (t->r.state & TASK_UNINTERRUPTIBLE && task_stack_any(t, lookups))
			walk_lookups(s, t);
	}
	return 0;
}
