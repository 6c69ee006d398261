// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Who is stuck behind whom: the tasks in the queues of locks, and the owners of these. A waiter
 * sleeps with the inode lock held, so every reader and writer of the file is in its queue; one of
 * them may have another lock, behind which there are more; and one of them may be a holder.
 *
 * First the queues of the inode locks of the waiters, of which each may be long. Who sleeps
 * uninterruptibly and is in none of them is asked for its lock, whose whole queue is then taken.
 * Told is what has to do with a waiter: locks that a task which was told has, or waits for.
 */
#include <errno.h>
#include <stdlib.h>

#include "collect/entry_locks.h"
#include "collect/task_flags.h"
#include "util/array.h"

enum { KEEPERS_MAX = 16 }; /* tasks that are told to have one lock shared */

struct queued {
	u64 task;
	bool shared;
};

struct queue {
	struct klock lock;
	u64 wait;         /* a waiter that surely has the lock although its owner is unreadable */
	struct queued *v; /* the first in the queue first */
	u32 n;
	u64 keepers[KEEPERS_MAX]; /* tasks that are seen to have it shared */
	u32 nr_keepers;
	int err; /* why it is not whole, if that is not told yet */
	bool told;
};

struct queues {
	struct snap *s;
	struct queue *v;
	u32 n;
};

static int add_queued(void *arg, u64 task, bool shared)
{
	struct queue *q = arg;
	int err = array_grow(&q->v, q->n, sizeof(*q->v));

	if (!err)
		q->v[q->n++] = (struct queued){ task, shared };
	return err;
}

static bool is_known(const struct queues *qs, u64 lock)
{
	for (u32 i = 0; i < qs->n; i++)
		if (qs->v[i].lock.addr == lock)
			return true;
	return false;
}

/* A queue may change while it is read: of a lock that matters, that is a loss. */
static void tell_loss(struct snap *s, struct queue *q)
{
	if (q->err)
		snap_lost(s, q->err == -E2BIG ? LOSS_LOST : LOSS_TORN, "queued tasks", 1);
	q->err = 0;
}

/* Who has a lock of a mm_struct shared, as far as a page fault of a DAX file shows it. */
static void find_keepers(struct snap *s, struct queue *q)
{
	for (u32 i = 0; q->lock.mode == MODE_READ && i < s->tasks.n; i++) {
		struct ktask *t = &s->tasks.v[i];

		if (q->nr_keepers < KEEPERS_MAX && fault_lock(s, t) == q->lock.addr)
			q->keepers[q->nr_keepers++] = t->r.task;
	}
}

/* Takes the whole queue of a lock. wait: see struct queue. matters: whatever it turns out to be. */
static void take_queue(struct queues *qs, const struct klock *lock, u64 wait, bool matters)
{
	struct snap *s = qs->s;
	struct queue *q;

	if (is_known(qs, lock->addr))
		return;
	s->err = s->err ? s->err : array_grow(&qs->v, qs->n, sizeof(*qs->v));
	if (s->err)
		return;
	q = &qs->v[qs->n];
	*q = (struct queue){ .lock = *lock, .wait = wait };
	q->err = lock_walk(s, lock, add_queued, q);
	if (q->err == -ENOMEM)
		s->err = q->err;
	else if (matters)
		tell_loss(s, q);
	if (!q->n) {
		free(q->v);
		return;
	}
	qs->n++;
	find_keepers(s, q);
	for (u32 i = 0; i < q->n; i++) {
		struct ktask *t = task_find(s, q->v[i].task);

		if (t)
			t->queued = true;
	}
}

static void take_inode_lock(struct queues *qs, const struct kwait *w)
{
	struct klock l = { .addr = kmem_at(qs->s->k, w->inode, KF_INODE_RWSEM),
			   .kind = KLOCK_RWSEM };
	int err = lock_read_owner(qs->s, &l);

	take_queue(qs, &l, err ? w->task : 0, true);
}

/* A task that sleeps for a lock is in state D; told ones may do so interruptibly. */
static bool may_queue(const struct ktask *t)
{
	if (t->queued || t->r.state & TASK_NOLOAD)
		return false;
	return t->r.state & TASK_UNINTERRUPTIBLE || (t->told && t->r.state & TASK_INTERRUPTIBLE);
}

static void find_others(struct queues *qs)
{
	struct snap *s = qs->s;

	for (u32 i = 0; i < s->tasks.n && !s->err; i++) {
		struct klock l;

		if (may_queue(&s->tasks.v[i]) && !lock_of_task(s, &s->tasks.v[i], &l))
			take_queue(qs, &l, 0, false);
	}
}

static bool is_told(struct snap *s, u64 task)
{
	const struct ktask *t = task ? task_find(s, task) : NULL;

	return t && t->told;
}

static bool is_relevant(struct snap *s, const struct queue *q)
{
	if (q->wait || is_told(s, q->lock.owner))
		return true;
	for (u32 i = 0; i < q->n; i++)
		if (is_told(s, q->v[i].task))
			return true;
	for (u32 i = 0; i < q->nr_keepers; i++)
		if (is_told(s, q->keepers[i]))
			return true;
	return false;
}

/* Who has the lock, or has taken it last. Returns how many. */
static u32 owners_of(struct snap *s, const struct queue *q, struct fact_releaser *ret)
{
	u32 n = 0;

	for (u32 i = 0; i < q->nr_keepers; i++)
		ret[n++] = (struct fact_releaser){ .task = q->keepers[i], .fd = -1 };
	if (!n && q->lock.owner)
		ret[n++] = (struct fact_releaser){ .task = q->lock.owner, .fd = -1 };
	for (u32 i = 0; i < n; i++)
		task_tell(s, task_find(s, ret[i].task));
	return n;
}

/*
 * While others share a lock, the first in its queue wants it for writing, and nobody else is woken
 * before that one has had it (rwsem_mark_wake()). On PREEMPT_RT readers do not queue behind it.
 */
static u64 first_writer(struct snap *s, const struct queue *q)
{
	bool in_turn = q->lock.mode == MODE_READ && !rt_locks_available(s->k);

	return in_turn && q->n && !q->v[0].shared ? q->v[0].task : 0;
}

static void tell_queued(struct snap *s, const struct queue *q, u64 wait, const char *name)
{
	u64 first = first_writer(s, q);

	for (u32 i = 0; i < q->n && !s->err; i++)
		queued_tell(s, &(struct fact_queued){ .wait = wait,
						      .task = q->v[i].task,
						      .lock = name,
						      .on = q->lock.addr,
						      .shared = q->v[i].shared,
						      .after = i ? first : 0 });
}

static void tell_queue(struct snap *s, struct queue *q)
{
	struct fact f = { .type = FACT_LOCK };
	struct fact_releaser owners[KEEPERS_MAX];
	u64 wait = q->wait;

	q->told = true;
	tell_loss(s, q);
	f.lock.id = q->lock.addr;
	f.lock.mode = q->lock.mode;
	f.lock.readers = q->lock.readers;
	f.lock.owners = owners;
	f.lock.nr_owners = owners_of(s, q, owners);
	f.lock.sure = q->nr_keepers;
	if (q->lock.owner && q->lock.mode == MODE_WRITE && wait_is_known(s, q->lock.owner))
		wait = q->lock.owner;
	lock_identify(s, &q->lock, &f.lock);
	snap_emit(s, &f);
	tell_queued(s, q, wait, f.lock.name);
}

/* What is told makes more relevant. */
static void tell_all(struct queues *qs)
{
	bool more = true;

	while (more && !qs->s->err) {
		more = false;
		for (u32 i = 0; i < qs->n; i++) {
			if (qs->v[i].told || !is_relevant(qs->s, &qs->v[i]))
				continue;
			tell_queue(qs->s, &qs->v[i]);
			more = true;
		}
	}
}

const char *walk_queued_lacks(const struct snap *s)
{
	return KMEM_LACKS(s->k, KF_INODE_RWSEM) ?: locks_lack_queues(s->k);
}

int walk_queued(struct snap *s)
{
	struct queues qs = { .s = s };

	for (u32 i = 0; i < s->nr_waits && !s->err; i++)
		if (s->waits[i].inode)
			take_inode_lock(&qs, &s->waits[i]);
	find_others(&qs);
	do
		tell_all(&qs);
	while (!s->err && pipe_waits_tell(s));
	for (u32 i = 0; i < qs.n; i++)
		free(qs.v[i].v);
	free(qs.v);
	return 0;
}
