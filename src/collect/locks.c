// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Which lock a task sleeps for, and who has it. A task that waits for a rw_semaphore or a mutex has
 * a waiter structure on its own stack, linked into the lock. Newer kernels say in the task where
 * the lock is; on the others the stack is searched for the structure, which leads to the lock.
 * Either way it counts only when it is so from both sides: the lock's queue has to name the task.
 *
 * Locks of PREEMPT_RT are others: see rt_locks.c.
 */
#include <errno.h>

#include "collect/snap.h"

/* kernel/locking/rwsem.c and mutex.c, the same from 5.10 to 7.2 */
#define OWNER_FLAGS   7ULL
#define OWNER_READER  1ULL /* RWSEM_READER_OWNED */
#define WRITER_LOCKED 1ULL /* RWSEM_WRITER_LOCKED, in the count */
#define HAS_WAITERS   2ULL /* RWSEM_FLAG_WAITERS */
#define COUNT_UNUSED  0xf8ULL
#define READER_SHIFT  8
#define READERS_MAX   (1ULL << 24) /* beyond it is no count of readers */

/* include/linux/hung_task.h: low bits of task_struct.blocker */
#define BLOCKER_KIND  3ULL
#define BLOCKER_MUTEX 0
#define BLOCKER_READ  2
#define BLOCKER_WRITE 3

enum {
	QUEUE_MAX = 100000,
	UNKNOWN_MAX = 256, /* tasks of a queue that began after the tasks were listed */
};

/* The fields of each kind. */
static const struct layout {
	enum kf list, first, waiter_list, waiter_task, owner;
} layouts[KLOCK_KINDS] = {
	[KLOCK_RWSEM] = { KF_RWSEM_WAIT_LIST, KF_RWSEM_FIRST_WAITER, KF_RWSEM_WAITER_LIST,
			  KF_RWSEM_WAITER_TASK, KF_RWSEM_OWNER },
	[KLOCK_MUTEX] = { KF_MUTEX_WAIT_LIST, KF_MUTEX_FIRST_WAITER, KF_MUTEX_WAITER_LIST,
			  KF_MUTEX_WAITER_TASK, KF_MUTEX_OWNER },
};

static bool has_layout(const struct kmem *k, enum klock_kind kind)
{
	const struct layout *l = &layouts[kind];

	return kmem_has(k, l->waiter_list) && kmem_has(k, l->waiter_task) &&
	       (kmem_has(k, l->list) || kmem_has(k, l->first));
}

/*
 * First entry of the queue and the address that ends it. A head in the lock up to 7.1; since
 * then the lock points at its first waiter and the waiters form a ring.
 */
static int queue_of(struct snap *s, const struct klock *lock, u64 *first, u64 *end)
{
	const struct layout *l = &layouts[lock->kind];
	u64 waiter;
	int err;

	if (kmem_has(s->k, l->list)) {
		*end = kmem_at(s->k, lock->addr, l->list);
		return kmem_get(s->k, *end, KF_LIST_NEXT, first);
	}
	err = kmem_get(s->k, lock->addr, l->first, &waiter);
	*first = waiter ? kmem_at(s->k, waiter, l->waiter_list) : 0;
	*end = 0;
	return err;
}

static int walk_list(struct snap *s, const struct klock *lock, lock_waiter_fn fn, void *arg)
{
	const struct layout *l = &layouts[lock->kind];
	u64 at, end;
	int err = queue_of(s, lock, &at, &end);
	u32 unknown = 0;

	for (u32 n = 0; !err && at && at != end; n++) {
		u64 waiter = kmem_container(s->k, at, l->waiter_list);
		struct kget g[] = { { waiter, l->waiter_task, 0, 0 },
				    { at, KF_LIST_NEXT, 0, 0 },
				    { waiter, KF_RWSEM_WAITER_TYPE, 0, 0 } };
		const struct ktask *t;
		u32 type;

		if (n >= QUEUE_MAX)
			return -E2BIG;
		if (kmem_getv(s->k, g, 3) || g[0].err || g[1].err)
			return -EFAULT;
		/*
		 * woken meanwhile, or this is no queue but some long list; few tasks are that new
		 */
		t = task_find(s, g[0].val);
		if (t ? !task_stack_holds(s, t, at) : ++unknown > UNKNOWN_MAX)
			return -EFAULT;
		type = g[2].val;
		err = fn(arg, g[0].val,
			 lock->kind == KLOCK_RWSEM && !g[2].err &&
				 kmem_has(s->k, KF_RWSEM_FOR_READ) &&
				 type == s->k->field[KF_RWSEM_FOR_READ].off);
		if (!end)
			end = at; /* a ring ends where it began */
		at = g[1].val;
	}
	return err;
}

struct wanted {
	u64 task;
};

static int is_wanted(void *arg, u64 task, bool shared)
{
	(void)shared;
	return task == ((struct wanted *)arg)->task;
}

/* The other side: whether the lock's queue has the task. */
static bool queues(struct snap *s, const struct klock *l, u64 task)
{
	struct wanted w = { task };

	return kmem_is_kernel_ptr(l->addr) && !(l->addr & 7) && has_layout(s->k, l->kind) &&
	       walk_list(s, l, is_wanted, &w) == 1;
}

static int by_blocker(struct snap *s, const struct ktask *t, struct klock *ret)
{
	u64 blocker;

	if (kmem_get(s->k, t->r.task, KF_TASK_BLOCKER, &blocker) || !blocker)
		return -ENOENT;
	ret->addr = blocker & ~BLOCKER_KIND;
	switch (blocker & BLOCKER_KIND) {
	case BLOCKER_MUTEX:
		ret->kind = KLOCK_MUTEX;
		break;
	case BLOCKER_READ:
	case BLOCKER_WRITE:
		ret->kind = KLOCK_RWSEM;
		break;
	default: /* a semaphore, which has no owner */
		return -ENOENT;
	}
	return queues(s, ret, t->r.task) ? 0 : -ENOENT;
}

/* The entry of a queue that lies on no task's stack: the head, in the lock. 0 none. */
static u64 head_of(struct snap *s, const struct layout *l, u64 node)
{
	u64 at = node;

	for (u32 n = 0; n < QUEUE_MAX && kmem_is_kernel_ptr(at); n++) {
		struct kget g[] = { { kmem_container(s->k, at, l->waiter_list), l->waiter_task, 0,
				      0 },
				    { at, KF_LIST_NEXT, 0, 0 } };

		if (kmem_getv(s->k, g, 2) || g[1].err)
			return 0;
		if (g[0].err || !task_stack_holds(s, task_find(s, g[0].val), at))
			return at;
		at = g[1].val;
		if (at == node)
			return 0; /* a ring of waiters */
	}
	return 0;
}

/*
 * A queue alone does not tell a rw_semaphore from a mutex. The count of a rw_semaphore that has
 * waiters says so; what lies before a mutex may look like that, and then as if it were held shared,
 * for which nobody is blamed.
 */
static bool looks_like_rwsem(struct snap *s, u64 head)
{
	u64 count, sem = kmem_container(s->k, head, KF_RWSEM_WAIT_LIST);

	return !kmem_get(s->k, sem, KF_RWSEM_COUNT, &count) && count & HAS_WAITERS &&
	       !(count & COUNT_UNUSED) && count >> READER_SHIFT < READERS_MAX;
}

/* The lock that a waiter structure on the task's stack is linked into. */
static int by_head(struct snap *s, const struct ktask *t, enum klock_kind kind, u64 node,
		   struct klock *ret)
{
	u64 head = head_of(s, &layouts[kind], node);

	if (!head)
		return -ENOENT;
	if (kind == KLOCK_RWSEM ? !looks_like_rwsem(s, head) : !kmem_has(s->k, KF_MUTEX_OWNER))
		return -ENOENT;
	ret->kind = kind;
	ret->addr = kmem_container(s->k, head, layouts[kind].list);
	return queues(s, ret, t->r.task) ? 0 : -ENOENT;
}

/* Where the lock has no head, its address is looked for among the words of the stack. */
static int by_words(struct snap *s, const struct ktask *t, enum klock_kind kind, const u64 *words,
		    u32 n, struct klock *ret)
{
	for (u32 i = 0; i < n; i++) {
		u64 first, task;

		*ret = (struct klock){ .addr = words[i], .kind = kind };
		if (!kmem_is_kernel_ptr(words[i]) || words[i] & 7 ||
		    kmem_get(s->k, words[i], layouts[kind].first, &first) ||
		    kmem_get(s->k, first, layouts[kind].waiter_task, &task) ||
		    !task_stack_holds(s, task_find(s, task), first))
			continue;
		if (queues(s, ret, t->r.task))
			return 0;
	}
	return -ENOENT;
}

static int by_stack_of_kind(struct snap *s, const struct ktask *t, enum klock_kind kind,
			    struct klock *ret)
{
	const struct layout *l = &layouts[kind];
	struct stack_scan scan = stack_scan(s, t, l->waiter_task);
	u64 waiter;

	while ((waiter = stack_scan_next(&scan))) {
		u64 node = kmem_at(s->k, waiter, l->waiter_list), next, back;

		if (kmem_get(s->k, node, KF_LIST_NEXT, &next) ||
		    kmem_get(s->k, next, KF_LIST_PREV, &back) || back != node)
			continue;
		if (kmem_has(s->k, l->list) ? !by_head(s, t, kind, node, ret) :
					      !by_words(s, t, kind, scan.words, scan.n, ret))
			return 0;
	}
	return -ENOENT;
}

static int by_stack(struct snap *s, const struct ktask *t, struct klock *ret)
{
	for (int kind = 0; kind < KLOCK_KINDS; kind++)
		if (has_layout(s->k, kind) && !by_stack_of_kind(s, t, kind, ret))
			return 0;
	return -ENOENT;
}

int lock_walk(struct snap *s, const struct klock *l, lock_waiter_fn fn, void *arg)
{
	if (l->kind == KLOCK_VMA)
		return vma_lock_walk(s, l, fn, arg);
	return (rt_locks_available(s->k) ? rt_lock_walk : walk_list)(s, l, fn, arg);
}

static int by_rt_mutex(struct snap *s, const struct ktask *t, struct klock *ret)
{
	return rt_locks_available(s->k) ? rt_lock_of_task(s, t, ret) : -ENOENT;
}

int lock_of_task(struct snap *s, const struct ktask *t, struct klock *ret)
{
	*ret = (struct klock){ 0 };
	if (!vma_lock_of_task(s, t, ret) || !by_rt_mutex(s, t, ret) || !by_blocker(s, t, ret) ||
	    !by_stack(s, t, ret)) {
		lock_read_owner(s, ret);
		return 0;
	}
	return -ENOENT;
}

/* A count that was not read (an image without it) leaves the owner word alone to say it. */
static int read_rwsem(struct snap *s, struct klock *l)
{
	struct kget g[] = { { l->addr, KF_RWSEM_OWNER, 0, 0 }, { l->addr, KF_RWSEM_COUNT, 0, 0 } };
	u64 readers;

	if (kmem_getv(s->k, g, 2) || g[0].err)
		return -EFAULT;
	readers = g[1].err ? 0 : g[1].val >> READER_SHIFT;
	if (g[0].val & OWNER_READER && (g[1].err || !(g[1].val & WRITER_LOCKED))) {
		l->mode = MODE_READ;
		l->readers = readers < READERS_MAX ? readers : 0;
	} else if (!(g[0].val & OWNER_READER) && (g[1].err || g[1].val & WRITER_LOCKED)) {
		l->mode = MODE_WRITE;
	}
	l->owner = g[0].val & ~OWNER_FLAGS;
	return 0;
}

static int read_mutex(struct snap *s, struct klock *l)
{
	u64 owner;
	int err = kmem_get(s->k, l->addr, KF_MUTEX_OWNER, &owner);

	if (err)
		return err;
	l->owner = owner & ~OWNER_FLAGS;
	l->mode = MODE_WRITE;
	return 0;
}

int lock_read_owner(struct snap *s, struct klock *l)
{
	int err;

	l->owner = 0;
	l->readers = 0;
	l->mode = MODE_UNKNOWN;
	if (l->kind == KLOCK_VMA)
		return vma_lock_read_owner(s, l);
	if (rt_locks_available(s->k))
		err = rt_lock_read_owner(s, l);
	else
		err = l->kind == KLOCK_RWSEM ? read_rwsem(s, l) : read_mutex(s, l);
	if (!task_find(s, l->owner)) {
		l->owner = 0;
		l->mode = l->mode == MODE_READ ? MODE_READ : MODE_UNKNOWN;
	}
	return err;
}

const char *locks_lack_owners(const struct kmem *k)
{
	return rt_locks_available(k) ? NULL : KMEM_LACKS(k, KF_RWSEM_OWNER);
}

const char *locks_lack_queues(const struct kmem *k)
{
	const struct layout *l = &layouts[KLOCK_RWSEM];

	if (has_layout(k, KLOCK_RWSEM) || rt_locks_available(k))
		return NULL;
	return KMEM_LACKS(k, l->waiter_list, l->waiter_task) ?: kfield_name(l->list);
}
