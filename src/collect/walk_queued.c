// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Who is stuck behind whom: the tasks in the queues of locks, and the owners of these. A waiter
 * sleeps with the inode lock held, so every reader and writer of the file is in its queue; one of
 * them may have another lock, behind which there are more; and one of them may be a holder.
 *
 * First the queues of the inode locks of the waiters, of which each may be long. Who sleeps
 * uninterruptibly and is in none of them is asked for its lock, whose whole queue is then taken. Told
 * is what has to do with a waiter: locks that a task which was told has, or waits for.
 */
#include <errno.h>
#include <stdlib.h>

#include "collect/snap.h"
#include "collect/task_flags.h"
#include "util/array.h"

struct queued {
	u64 task;
	bool shared;
};

struct queue {
	struct klock lock;
	u64 wait;         /* a waiter that surely has the lock although its owner is unreadable */
	struct queued *v; /* the first in the queue first */
	u32 n;
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
	return false;
}

static void tell_queue(struct snap *s, struct queue *q)
{
	struct fact f = { .type = FACT_LOCK };
	struct ktask *owner = q->lock.owner ? task_find(s, q->lock.owner) : NULL;
	struct fact_releaser rel = { .task = q->lock.owner, .fd = -1 };
	u64 wait = q->wait;

	q->told = true;
	tell_loss(s, q);
	f.lock.id = q->lock.addr;
	f.lock.mode = q->lock.mode;
	f.lock.readers = q->lock.readers;
	if (owner) {
		task_tell(s, owner);
		f.lock.owners = &rel;
		f.lock.nr_owners = 1;
	}
	if (owner && q->lock.mode == MODE_WRITE && wait_is_known(s, owner->r.task))
		wait = owner->r.task;
	lock_identify(s, &q->lock, &f.lock);
	snap_emit(s, &f);
	for (u32 i = 0; i < q->n && !s->err; i++)
		queued_tell(s, &(struct fact_queued){ .wait = wait,
						      .task = q->v[i].task,
						      .lock = f.lock.name,
						      .on = q->lock.addr,
						      .shared = q->v[i].shared });
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
