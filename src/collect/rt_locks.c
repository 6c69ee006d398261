// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Locks of a kernel with PREEMPT_RT, whose mutex and rw_semaphore are built on rt_mutex. Who sleeps
 * for a rt_mutex names in task_struct.pi_blocked_on a structure on its own stack, which is a node
 * of the lock's tree of waiters and names the lock.
 *
 * Of a rw_semaphore, readers are counted beside the rt_mutex, and a writer has the rt_mutex as long
 * as it has the lock. While there are still readers it has the rt_mutex already, and sleeps without
 * such a structure: its stack leads to the lock, and the lock back to it. New readers pass a writer
 * that still waits, so they queue only behind one that has the lock (kernel/locking/rwbase_rt.c).
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "collect/snap.h"

#define READER_BIAS 0x80000000U /* in the count of readers: there is no writer */
#define WRITER_BIAS 0x40000000U /* all of the count when a writer has the lock */
#define READERS_MAX (1U << 24)  /* beyond it is no count of readers */
#define OWNER_FLAGS 1ULL        /* RT_MUTEX_HAS_WAITERS */
#define RB_FLAGS    3ULL        /* of rb_node.__rb_parent_color */

enum {
	QUEUE_MAX = 100000,
	UNKNOWN_MAX = 256, /* tasks of a queue that began after the tasks were listed */
	DEPTH_MAX = 48,    /* of a balanced tree with more nodes than memory can hold */
	NEAR = 48,         /* words between a waiter and where its task called the lock */
};

static const enum kf needed[] = {
	KF_RWSEM_READERS,
	KF_RWSEM_RTMUTEX,
	KF_MUTEX_RTMUTEX,
	KF_RTMUTEX_WAITERS,
	KF_RTMUTEX_OWNER,
	KF_RT_WAITER_NODE,
	KF_RT_WAITER_TASK,
	KF_RT_WAITER_LOCK,
	KF_RB_NODE,
	KF_RB_LEFT,
	KF_RB_RIGHT,
	KF_RB_PARENT,
	KF_TASK_PI_BLOCKED_ON,
};

bool rt_locks_available(const struct kmem *k)
{
	return !kmem_lacks(k, needed, sizeof(needed) / sizeof(*needed));
}

static enum kf rtmutex_field(enum klock_kind kind)
{
	return kind == KLOCK_RWSEM ? KF_RWSEM_RTMUTEX : KF_MUTEX_RTMUTEX;
}

static u64 rtmutex_of(const struct kmem *k, const struct klock *l)
{
	return kmem_at(k, l->addr, rtmutex_field(l->kind));
}

/* What a lock says of itself. */
struct state {
	u64 owner;   /* of the rt_mutex; 0 none */
	u32 readers; /* the count as it is stored; of a mutex as if a writer had it */
};

static int read_state(struct snap *s, const struct klock *l, struct state *ret)
{
	bool rwsem = l->kind == KLOCK_RWSEM;
	struct kget g[] = { { rtmutex_of(s->k, l), KF_RTMUTEX_OWNER, 0, 0 },
			    { l->addr, KF_RWSEM_READERS, 0, 0 } };

	if (kmem_getv(s->k, g, rwsem ? 2 : 1) || g[0].err || g[1].err)
		return -EFAULT;
	*ret = (struct state){ g[0].val & ~OWNER_FLAGS, rwsem ? g[1].val : WRITER_BIAS };
	return 0;
}

/* How many have a rw_semaphore shared. */
static u32 readers_of(const struct state *st)
{
	u32 n = st->readers & ~READER_BIAS;

	return n < READERS_MAX ? n : 0;
}

int rt_lock_read_owner(struct snap *s, struct klock *l)
{
	struct state st;
	int err = read_state(s, l, &st);

	if (err)
		return err;
	l->readers = readers_of(&st);
	if (st.readers == WRITER_BIAS) {
		l->mode = MODE_WRITE;
		l->owner = st.owner;
	} else if (l->readers) {
		l->mode = MODE_READ;
	}
	return 0;
}

/* What a task called to get a lock, by the name of the function. */
enum call { CALL_OTHER = 0, CALL_READ, CALL_WRITE, CALL_MUTEX };

static enum call call_of(const char *frame)
{
	static const struct {
		const char *begin;
		enum call call;
	} calls[] = {
		{ "down_read", CALL_READ },          { "__down_read", CALL_READ },
		{ "__rwbase_read_lock", CALL_READ }, { "down_write", CALL_WRITE },
		{ "__down_write", CALL_WRITE },      { "rwbase_write_lock", CALL_WRITE },
		{ "mutex_lock", CALL_MUTEX },        { "_mutex_lock", CALL_MUTEX },
		{ "rt_mutex_lock", CALL_MUTEX },
	};

	for (size_t i = 0; frame && i < sizeof(calls) / sizeof(*calls); i++)
		if (!strncmp(frame, calls[i].begin, strlen(calls[i].begin)))
			return calls[i].call;
	return CALL_OTHER;
}

/* The same by a return address. Few are ever new: all that queue for a lock called it alike. */
static enum call call_at(struct snap *s, u64 addr)
{
	struct lock_calls *c = &s->lock_calls;
	u32 at = addr % (sizeof(c->addr) / sizeof(*c->addr));
	char *name = NULL;

	if (addr < ARCH_TEXT_FIRST || !kmem_is_kernel_ptr(addr))
		return CALL_OTHER;
	if (c->addr[at] != addr) {
		if (s->k->ops->symbolize(s->k, &addr, &name, 1))
			return CALL_OTHER;
		c->addr[at] = addr;
		c->call[at] = call_of(name);
		free(name);
	}
	return c->call[at];
}

/*
 * What a task that sleeps for a lock called, from the words on its stack around the place where it
 * keeps what it sleeps with: that is in a frame of the function, or in one that this called.
 */
static enum call call_around(struct snap *s, const struct ktask *t, u64 place)
{
	u64 start = 0;
	u32 n;
	const u64 *words = task_stack_words(s, t, &n, &start);
	u64 at = (place - start) / sizeof(*words);
	enum call call = CALL_OTHER;

	if (at >= n)
		return CALL_OTHER;
	for (u64 i = 0; i < NEAR && at + i < n && !call; i++)
		call = call_at(s, words[at + i]);
	for (u64 i = 1; i < NEAR && i <= at && !call; i++)
		call = call_at(s, words[at - i]);
	return call;
}

/* A writer that has the rt_mutex of a rw_semaphore which others still read. */
static bool waits_for_readers(struct snap *s, const struct ktask *t, const struct klock *l)
{
	u64 waiter;
	struct state st;

	return l->kind == KLOCK_RWSEM && task_is_asleep(t) && !read_state(s, l, &st) &&
	       st.owner == t->r.task && st.readers && readers_of(&st) == st.readers &&
	       !kmem_get(s->k, t->r.task, KF_TASK_PI_BLOCKED_ON, &waiter) && !waiter;
}

struct walk {
	struct snap *s;
	const struct klock *lock;
	u64 rtmutex;
	lock_waiter_fn fn;
	void *arg;
	u32 n, unknown;
};

/* Such a writer comes before all that sleep for the rt_mutex. */
static int tell_first(struct walk *w)
{
	struct state st;
	const struct ktask *t;

	if (read_state(w->s, w->lock, &st))
		return -EFAULT;
	t = task_find(w->s, st.owner);
	return t && waits_for_readers(w->s, t, w->lock) &&
			       task_stack_names(w->s, t, w->lock->addr) ?
		       w->fn(w->arg, st.owner, false) :
		       0;
}

static int tell_waiter(struct walk *w, u64 node)
{
	struct snap *s = w->s;
	u64 waiter = kmem_container(s->k, node, KF_RT_WAITER_NODE);
	struct kget g[] = { { waiter, KF_RT_WAITER_TASK, 0, 0 },
			    { waiter, KF_RT_WAITER_LOCK, 0, 0 } };
	const struct ktask *t;

	if (w->n++ == QUEUE_MAX)
		return -E2BIG;
	if (kmem_getv(s->k, g, 2) || g[0].err || g[1].err || g[1].val != w->rtmutex)
		return -EFAULT;
	/* woken meanwhile, or this is no waiter; few tasks are that new */
	t = task_find(s, g[0].val);
	if (t ? !task_stack_holds(s, t, node) : ++w->unknown > UNKNOWN_MAX)
		return -EFAULT;
	return w->fn(w->arg, g[0].val, t && call_around(s, t, waiter) == CALL_READ);
}

/* The tree of waiters in its order, which is that of their priority and then of their coming. */
static int walk_tree(struct walk *w, u64 node)
{
	u64 path[DEPTH_MAX];
	u32 depth = 0;
	int err = 0;

	while (!err && (node || depth)) {
		if (node && depth == DEPTH_MAX)
			return -EFAULT;
		if (node) {
			path[depth++] = node;
			err = kmem_get(w->s->k, node, KF_RB_LEFT, &node);
			continue;
		}
		node = path[--depth];
		err = tell_waiter(w, node);
		err = err ? err : kmem_get(w->s->k, node, KF_RB_RIGHT, &node);
	}
	return err;
}

int rt_lock_walk(struct snap *s, const struct klock *lock, lock_waiter_fn fn, void *arg)
{
	struct walk w = {
		.s = s, .lock = lock, .rtmutex = rtmutex_of(s->k, lock), .fn = fn, .arg = arg
	};
	u64 root;
	int err = tell_first(&w);

	err = err ? err :
		    kmem_get(s->k, kmem_at(s->k, w.rtmutex, KF_RTMUTEX_WAITERS), KF_RB_NODE, &root);
	return err ? err : walk_tree(&w, root);
}

/* Whether a waiter is in the tree of its lock: what is above it leads to it. */
static bool is_queued(struct snap *s, u64 rtmutex, u64 waiter)
{
	u64 node = kmem_at(s->k, waiter, KF_RT_WAITER_NODE), parent, root;
	struct kget g[] = { { 0, KF_RB_LEFT, 0, 0 }, { 0, KF_RB_RIGHT, 0, 0 } };

	if (kmem_get(s->k, node, KF_RB_PARENT, &parent))
		return false;
	parent &= ~RB_FLAGS;
	if (!parent)
		return !kmem_get(s->k, kmem_at(s->k, rtmutex, KF_RTMUTEX_WAITERS), KF_RB_NODE,
				 &root) &&
		       root == node;
	g[0].obj = g[1].obj = parent;
	return !kmem_getv(s->k, g, 2) && (g[0].val == node || g[1].val == node);
}

/*
 * What a rt_mutex is part of. Where the function that was called is not known, such as for the lock
 * of a futex, it is a rw_semaphore if the count before it says that a writer has it.
 */
static enum klock_kind kind_of(struct snap *s, enum call call, u64 rtmutex)
{
	struct klock l = { .addr = kmem_container(s->k, rtmutex, KF_RWSEM_RTMUTEX),
			   .kind = KLOCK_RWSEM };
	struct state st;

	if (call == CALL_OTHER)
		return !read_state(s, &l, &st) && st.readers == WRITER_BIAS ? KLOCK_RWSEM :
									      KLOCK_MUTEX;
	return call == CALL_MUTEX ? KLOCK_MUTEX : KLOCK_RWSEM;
}

static int by_waiter(struct snap *s, const struct ktask *t, u64 waiter, struct klock *ret)
{
	struct kget g[] = { { waiter, KF_RT_WAITER_TASK, 0, 0 },
			    { waiter, KF_RT_WAITER_LOCK, 0, 0 } };

	if (!task_stack_holds(s, t, waiter) || kmem_getv(s->k, g, 2) || g[0].err || g[1].err ||
	    g[0].val != t->r.task || !is_queued(s, g[1].val, waiter))
		return -ENOENT;
	ret->kind = kind_of(s, call_around(s, t, waiter), g[1].val);
	ret->addr = kmem_container(s->k, g[1].val, rtmutex_field(ret->kind));
	return 0;
}

/*
 * Whether one of the words where a task called the scheduler is in a function that gets a lock so.
 */
static bool has_called(struct snap *s, const u64 *words, u32 n, enum call call)
{
	for (u32 i = 0; i < n && i < NEAR; i++)
		if (call_at(s, words[i]) == call)
			return true;
	return false;
}

/* Of a writer that waits for readers: the rw_semaphore among the words of its stack. */
static int by_stack(struct snap *s, const struct ktask *t, struct klock *ret)
{
	u64 start;
	u32 n;
	const u64 *words = task_stack_words(s, t, &n, &start);

	if (!has_called(s, words, n, CALL_WRITE))
		return -ENOENT;
	for (u32 i = 0; i < n; i++) {
		*ret = (struct klock){ .addr = words[i], .kind = KLOCK_RWSEM };
		if (kmem_is_kernel_ptr(words[i]) && !(words[i] & 7) &&
		    !task_stack_holds(s, t, words[i]) && waits_for_readers(s, t, ret))
			return 0;
	}
	return -ENOENT;
}

int rt_lock_of_task(struct snap *s, const struct ktask *t, struct klock *ret)
{
	u64 waiter;

	if (kmem_get(s->k, t->r.task, KF_TASK_PI_BLOCKED_ON, &waiter))
		return -ENOENT;
	return waiter ? by_waiter(s, t, waiter, ret) : by_stack(s, t, ret);
}
