// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Who queues behind a waiter: it sleeps with the inode lock held, so every reader and writer of
 * the file sleeps in that lock's wait list.
 */
#include <errno.h>

#include "collect/snap.h"

enum { QUEUE_MAX = 100000 };

/*
 * First entry of the list and the address that ends it. A head in the lock up to 7.1; since
 * then the lock points at its first waiter and the waiters form a ring.
 */
static int list_of(struct snap *s, u64 sem, u64 *first, u64 *end)
{
	u64 waiter;
	int err;

	if (kmem_has(s->k, KF_RWSEM_WAIT_LIST)) {
		*end = kmem_at(s->k, sem, KF_RWSEM_WAIT_LIST);
		return kmem_get(s->k, *end, KF_LIST_NEXT, first);
	}
	err = kmem_get(s->k, sem, KF_RWSEM_FIRST_WAITER, &waiter);
	*first = waiter ? kmem_at(s->k, waiter, KF_RWSEM_WAITER_LIST) : 0;
	*end = 0;
	return err;
}

static void tell_queued(struct snap *s, const struct kwait *w, u64 task)
{
	struct fact f = { .type = FACT_QUEUED };
	struct ktask *t = task_find(s, task);

	if (!t || t->r.task == w->task)
		return;
	task_tell(s, t);
	f.queued.wait = w->task;
	f.queued.task = task;
	f.queued.lock = "i_rwsem";
	snap_emit(s, &f);
}

static void walk_lock(struct snap *s, const struct kwait *w, u64 sem)
{
	u64 at, end;

	if (list_of(s, sem, &at, &end))
		return;
	for (u32 n = 0; at && at != end; n++) {
		u64 waiter = kmem_container(s->k, at, KF_RWSEM_WAITER_LIST), task, prev = at;

		if (n >= QUEUE_MAX) {
			snap_lost(s, LOSS_LOST, "queued tasks", 1);
			return;
		}
		if (kmem_get(s->k, waiter, KF_RWSEM_WAITER_TASK, &task) ||
		    kmem_get(s->k, at, KF_LIST_NEXT, &at)) {
			snap_lost(s, LOSS_TORN, "queued tasks", 1);
			return;
		}
		tell_queued(s, w, task);
		if (!end)
			end = prev; /* a ring ends where it began */
	}
}

bool walk_queued_available(const struct snap *s)
{
	const struct kmem *k = s->k;

	return kmem_has(k, KF_INODE_RWSEM) && kmem_has(k, KF_RWSEM_WAITER_LIST) &&
	       kmem_has(k, KF_RWSEM_WAITER_TASK) &&
	       (kmem_has(k, KF_RWSEM_WAIT_LIST) || kmem_has(k, KF_RWSEM_FIRST_WAITER));
}

int walk_queued(struct snap *s)
{
	for (u32 i = 0; i < s->nr_waits && !s->err; i++)
		if (s->waits[i].inode)
			walk_lock(s, &s->waits[i],
				  kmem_at(s->k, s->waits[i].inode, KF_INODE_RWSEM));
	return 0;
}
