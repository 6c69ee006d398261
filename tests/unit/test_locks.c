// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* The lock that a task sleeps for, on the memory of a kernel made for it. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "collect/memstore.h"
#include "collect/snap.h"
#include "collect/task_flags.h"

#define TASKS   0xffff888000100000ULL /* of struct task_struct */
#define STACKS  0xffffc90000000000ULL
#define LOCKS   0xffff888000200000ULL
#define NOWHERE 0xffff888000300000ULL

/* Return addresses into functions of the kernel. */
#define IN_DOWN_READ  (ARCH_TEXT_FIRST + 0x1000)
#define IN_DOWN_WRITE (ARCH_TEXT_FIRST + 0x2000)
#define IN_MUTEX_LOCK (ARCH_TEXT_FIRST + 0x3000)

#define WRITER_HAS_IT 0x40000000ULL /* PREEMPT_RT: all of a rw_semaphore's count */

enum {
	NR_TASKS = 4,
	STACK_SIZE = 16384,
	TOP = 16000,      /* where the registers of the system call begin */
	SP = 8192,        /* of every task */
	WAITER_AT = 9000, /* of the waiter structure on its task's stack */
	SEM = 0,          /* offsets from LOCKS */
	MUTEX = 256,
};

struct machine {
	struct kmem k;
	struct memstore mem;
	struct snap s;
	struct ktask tasks[NR_TASKS];
	u32 by_addr[NR_TASKS];
	bool rings; /* as from 7.2 on: no head */
	bool rt;    /* PREEMPT_RT */
};

static int read_memory(struct kmem *k, struct kread *r, size_t n)
{
	struct machine *m = (struct machine *)k;

	for (size_t i = 0; i < n; i++)
		r[i].err = memstore_read(&m->mem, r[i].addr, r[i].dst, r[i].len);
	return 0;
}

static int name_addresses(struct kmem *k, const u64 *addrs, char **names, size_t n)
{
	(void)k;
	for (size_t i = 0; i < n; i++)
		names[i] = strdup(addrs[i] == IN_DOWN_READ  ? "down_read+0x20/0x40" :
				  addrs[i] == IN_DOWN_WRITE ? "down_write+0x20/0x40" :
				  addrs[i] == IN_MUTEX_LOCK ? "mutex_lock+0x20/0x40" :
							      "ext4_setattr+0x20/0x40 [ext4]");
	return 0;
}

static const struct kmem_ops ops = { .readv = read_memory, .symbolize = name_addresses };

static void poke(struct machine *m, u64 addr, u64 val)
{
	assert_int_equal(memstore_write(&m->mem, addr, &val, sizeof(val)), 0);
}

static void set_field(struct machine *m, enum kf f, s64 off)
{
	m->k.field[f] = (struct kfield){ off, 8 };
}

/* The rt_mutex comes first in a mutex, and after the count in a rw_semaphore. */
static void set_rt_fields(struct machine *m)
{
	set_field(m, KF_RWSEM_READERS, 0);
	set_field(m, KF_RWSEM_RTMUTEX, 8);
	set_field(m, KF_MUTEX_RTMUTEX, 0);
	set_field(m, KF_RTMUTEX_WAITERS, 8);
	set_field(m, KF_RTMUTEX_OWNER, 24);
	set_field(m, KF_RT_WAITER_NODE, 0);
	set_field(m, KF_RT_WAITER_TASK, 24);
	set_field(m, KF_RT_WAITER_LOCK, 32);
	set_field(m, KF_TASK_PI_BLOCKED_ON, 72);
	set_field(m, KF_RB_NODE, 0);
	set_field(m, KF_RB_PARENT, 0);
	set_field(m, KF_RB_RIGHT, 8);
	set_field(m, KF_RB_LEFT, 16);
}

static void set_fields(struct machine *m)
{
	for (int f = 0; f < KF_MAX; f++)
		m->k.field[f].off = KFIELD_MISSING;
	set_field(m, KF_TASK_SP, 64);
	if (m->rt) {
		set_rt_fields(m);
		return;
	}
	set_field(m, KF_LIST_NEXT, 0);
	set_field(m, KF_LIST_PREV, 8);
	set_field(m, KF_RWSEM_COUNT, 0);
	set_field(m, KF_RWSEM_OWNER, 8);
	set_field(m, m->rings ? KF_RWSEM_FIRST_WAITER : KF_RWSEM_WAIT_LIST, 24);
	set_field(m, KF_RWSEM_WAITER_LIST, 0);
	set_field(m, KF_RWSEM_WAITER_TASK, 16);
	set_field(m, KF_RWSEM_WAITER_TYPE, 24);
	set_field(m, KF_RWSEM_FOR_READ, 1);
	set_field(m, KF_MUTEX_OWNER, 0);
	set_field(m, m->rings ? KF_MUTEX_FIRST_WAITER : KF_MUTEX_WAIT_LIST, 16);
	set_field(m, KF_MUTEX_WAITER_LIST, 0);
	set_field(m, KF_MUTEX_WAITER_TASK, 16);
}

static u64 task_at(u32 i)
{
	return TASKS + i * 0x1000;
}

static u64 stack_at(u32 i)
{
	return STACKS + i * 0x8000ULL;
}

static u64 waiter_at(u32 i)
{
	return stack_at(i) + WAITER_AT - WAITER_AT % 8;
}

static void add_tasks(struct machine *m)
{
	static const u64 zeros[STACK_SIZE / 8];

	for (u32 i = 0; i < NR_TASKS; i++) {
		m->tasks[i].r.task = task_at(i);
		m->tasks[i].r.stack = stack_at(i);
		m->tasks[i].r.state = TASK_UNINTERRUPTIBLE;
		m->by_addr[i] = i;
		assert_int_equal(memstore_write(&m->mem, stack_at(i), zeros, sizeof(zeros)), 0);
		poke(m, task_at(i) + 64, stack_at(i) + SP);
		poke(m, task_at(i) + 72, 0);
	}
	m->s.tasks.v = m->tasks;
	m->s.tasks.n = NR_TASKS;
	m->s.tasks.by_addr = m->by_addr;
}

static int setup_kind(void **state, bool rings, bool rt)
{
	static struct machine m;
	static const u64 zeros[128];

	m = (struct machine){ .rings = rings, .rt = rt };
	m.k.ops = &ops;
	m.s.k = &m.k;
	m.s.arch.stack_size = STACK_SIZE;
	m.s.arch.regs_off = TOP;
	set_fields(&m);
	add_tasks(&m);
	assert_int_equal(memstore_write(&m.mem, LOCKS, zeros, sizeof(zeros)), 0);
	*state = &m;
	return 0;
}

static int setup(void **state)
{
	return setup_kind(state, false, false);
}

static int setup_rings(void **state)
{
	return setup_kind(state, true, false);
}

static int setup_rt(void **state)
{
	return setup_kind(state, false, true);
}

static int teardown(void **state)
{
	memstore_free(&((struct machine *)*state)->mem);
	return 0;
}

/* Tasks 1 to n queue for the lock, which task 0 has; all but the first want it for reading. */
static void queue_up(struct machine *m, u64 lock, u32 list_off, u32 n)
{
	u64 head = LOCKS + lock + list_off;

	for (u32 i = 1; i <= n; i++) {
		u64 next = i < n ? waiter_at(i + 1) : m->rings ? waiter_at(1) : head;
		u64 prev = i > 1 ? waiter_at(i - 1) : m->rings ? waiter_at(n) : head;

		poke(m, waiter_at(i), next);
		poke(m, waiter_at(i) + 8, prev);
		poke(m, waiter_at(i) + 16, task_at(i));
		poke(m, waiter_at(i) + 24, i > 1);
		/* what the slow path keeps on the stack */
		poke(m, stack_at(i) + SP + 64, LOCKS + lock);
	}
	poke(m, head, waiter_at(1));
	if (!m->rings)
		poke(m, head + 8, waiter_at(n));
}

/*
 * PREEMPT_RT: the same tasks sleep for a rt_mutex, in a tree whose root is the second one.
 * calls[i]: where task i called the lock.
 */
static void grow_tree(struct machine *m, u64 rtmutex, u32 n, const u64 *calls)
{
	for (u32 i = 1; i <= n; i++) {
		poke(m, waiter_at(i), i == 2 || n < 2 ? 0 : waiter_at(2) | 1);
		poke(m, waiter_at(i) + 8, i == 2 && n > 2 ? waiter_at(3) : 0);
		poke(m, waiter_at(i) + 16, i == 2 ? waiter_at(1) : 0);
		poke(m, waiter_at(i) + 24, task_at(i));
		poke(m, waiter_at(i) + 32, rtmutex);
		poke(m, waiter_at(i) + 64, calls[i]);
		poke(m, task_at(i) + 72, waiter_at(i));
	}
	poke(m, rtmutex + 8, waiter_at(2));
}

static void rt_rwsem(struct machine *m, u64 readers, u64 owner)
{
	static const u64 calls[] = { 0, IN_DOWN_WRITE, IN_DOWN_READ, IN_DOWN_READ };

	poke(m, LOCKS + SEM, readers);
	poke(m, LOCKS + SEM + 8 + 24, owner ? owner | 1 : 0);
	grow_tree(m, LOCKS + SEM + 8, 3, calls);
}

static void rwsem(struct machine *m, u64 count, u64 owner)
{
	if (m->rt) {
		rt_rwsem(m, WRITER_HAS_IT, owner);
		return;
	}
	poke(m, LOCKS + SEM, count);
	poke(m, LOCKS + SEM + 8, owner);
	queue_up(m, SEM, 24, 3);
}

static void mutex(struct machine *m)
{
	static const u64 calls[] = { 0, IN_MUTEX_LOCK, IN_MUTEX_LOCK };

	if (m->rt) {
		poke(m, LOCKS + MUTEX + 24, task_at(0) | 1);
		grow_tree(m, LOCKS + MUTEX, 2, calls);
		return;
	}
	poke(m, LOCKS + MUTEX, task_at(0) | 1);
	queue_up(m, MUTEX, 16, 2);
}

static void assert_lock(struct machine *m, u32 task, u64 lock, enum klock_kind kind,
			enum fact_mode mode)
{
	struct klock l;

	assert_int_equal(lock_of_task(&m->s, &m->tasks[task], &l), 0);
	assert_int_equal(l.addr, LOCKS + lock);
	assert_int_equal(l.kind, kind);
	assert_int_equal(l.mode, mode);
	assert_int_equal(l.owner, task_at(0));
}

static void assert_none(struct machine *m, u32 task)
{
	struct klock l;

	assert_int_equal(lock_of_task(&m->s, &m->tasks[task], &l), -ENOENT);
}

static void a_rw_semaphore_and_its_owner(void **state)
{
	struct machine *m = *state;

	rwsem(m, 3, task_at(0));
	for (u32 i = 1; i < NR_TASKS; i++)
		assert_lock(m, i, SEM, KLOCK_RWSEM, MODE_WRITE);
	assert_none(m, 0);
}

static void one_that_is_held_shared(void **state)
{
	struct machine *m = *state;
	struct klock l;

	rwsem(m, 2 << 8 | 2, task_at(0) | 1);
	assert_lock(m, 2, SEM, KLOCK_RWSEM, MODE_READ);
	assert_int_equal(lock_of_task(&m->s, &m->tasks[2], &l), 0);
	assert_int_equal(l.readers, 2);
}

static void a_mutex_and_its_owner(void **state)
{
	struct machine *m = *state;

	mutex(m);
	assert_lock(m, 1, MUTEX, KLOCK_MUTEX, MODE_WRITE);
	assert_lock(m, 2, MUTEX, KLOCK_MUTEX, MODE_WRITE);
}

static void what_the_kernel_says_itself(void **state)
{
	struct machine *m = *state;

	set_field(m, KF_TASK_BLOCKER, 72);
	rwsem(m, 3, task_at(0));
	/* nothing on the stack leads to the lock */
	poke(m, stack_at(2) + SP + 64, 0);
	poke(m, task_at(2) + 72, (LOCKS + SEM) | 2);
	assert_lock(m, 2, SEM, KLOCK_RWSEM, MODE_WRITE);
	/* and it counts only if the lock agrees */
	poke(m, task_at(2) + 72, (LOCKS + MUTEX) | 2);
	if (m->rings)
		assert_none(m, 2);
	else
		assert_lock(m, 2, SEM, KLOCK_RWSEM, MODE_WRITE);
}

static void an_owner_that_is_no_task(void **state)
{
	struct machine *m = *state;
	struct klock l;

	rwsem(m, 3, NOWHERE);
	assert_int_equal(lock_of_task(&m->s, &m->tasks[1], &l), 0);
	assert_int_equal(l.mode, MODE_UNKNOWN);
	assert_int_equal(l.owner, 0);
}

/* An owner word that a writer has left there while readers have it is not believed. */
static void an_owner_that_the_count_denies(void **state)
{
	struct machine *m = *state;
	struct klock l;

	rwsem(m, 1 << 8 | 2, task_at(0));
	assert_int_equal(lock_of_task(&m->s, &m->tasks[1], &l), 0);
	assert_int_equal(l.mode, MODE_UNKNOWN);
}

static void what_only_looks_like_a_waiter(void **state)
{
	struct machine *m = *state;

	rwsem(m, 3, task_at(0));
	poke(m, waiter_at(2) + 8, NOWHERE);
	assert_none(m, 1);
	assert_none(m, 0);
}

struct seen {
	u64 tasks[8];
	bool shared[8];
	u32 n;
};

static int see(void *arg, u64 task, bool shared)
{
	struct seen *seen = arg;

	if (seen->n == 8)
		return -ENOSPC;
	seen->tasks[seen->n] = task;
	seen->shared[seen->n++] = shared;
	return 0;
}

static void the_queue_in_its_order(void **state)
{
	struct machine *m = *state;
	struct klock l = { .addr = LOCKS + SEM };
	struct seen seen = { .n = 0 };

	rwsem(m, 3, task_at(0));
	assert_int_equal(lock_walk(&m->s, &l, see, &seen), 0);
	assert_int_equal(seen.n, 3);
	for (u32 i = 0; i < 3; i++) {
		assert_int_equal(seen.tasks[i], task_at(i + 1));
		assert_int_equal(seen.shared[i], i > 0);
	}
}

static void a_queue_that_leads_astray(void **state)
{
	struct machine *m = *state;
	struct klock l = { .addr = LOCKS + SEM };
	struct seen seen = { .n = 0 };

	rwsem(m, 3, task_at(0));
	poke(m, waiter_at(2), NOWHERE);
	assert_int_equal(lock_walk(&m->s, &l, see, &seen), -EFAULT);
	assert_int_equal(seen.n, 2);
	assert_none(m, 3);
	/* in a circle that leaves out the end it is cut off */
	poke(m, waiter_at(2), waiter_at(2));
	assert_int_equal(lock_walk(&m->s, &l, see, &seen), -ENOSPC);
}

/* PREEMPT_RT: of readers no more is known than their number. */
static void readers_and_a_writer_that_has_to_wait(void **state)
{
	struct machine *m = *state;
	struct klock l;
	struct seen seen = { .n = 0 };

	rt_rwsem(m, 2, task_at(0));
	assert_int_equal(lock_of_task(&m->s, &m->tasks[1], &l), 0);
	assert_int_equal(l.mode, MODE_READ);
	assert_int_equal(l.readers, 2);
	assert_int_equal(l.owner, 0);
	/* it has the rt_mutex and is in no tree: its stack is all that tells */
	assert_none(m, 0);
	poke(m, stack_at(0) + SP + 64, IN_DOWN_WRITE);
	poke(m, stack_at(0) + SP + 640, LOCKS + SEM);
	assert_int_equal(lock_of_task(&m->s, &m->tasks[0], &l), 0);
	assert_int_equal(l.addr, LOCKS + SEM);
	assert_int_equal(l.kind, KLOCK_RWSEM);
	assert_int_equal(l.mode, MODE_READ);
	assert_int_equal(lock_walk(&m->s, &l, see, &seen), 0);
	assert_int_equal(seen.n, 4);
	assert_int_equal(seen.tasks[0], task_at(0));
	assert_false(seen.shared[0]);
	assert_int_equal(seen.tasks[1], task_at(1));
}

static void a_writer_that_was_let_in(void **state)
{
	struct machine *m = *state;
	struct klock l;

	rt_rwsem(m, WRITER_HAS_IT, task_at(0));
	poke(m, stack_at(0) + SP + 64, IN_DOWN_WRITE);
	poke(m, stack_at(0) + SP + 640, LOCKS + SEM);
	assert_none(m, 0);
	/* nobody has it: the count of one that is free */
	rt_rwsem(m, 0x80000000, 0);
	assert_int_equal(lock_of_task(&m->s, &m->tasks[1], &l), 0);
	assert_int_equal(l.mode, MODE_UNKNOWN);
	assert_int_equal(l.owner, 0);
}

/* A waiter counts if it is its task's, and what is above it in the tree leads to it. */
static void a_waiter_that_is_none(void **state)
{
	struct machine *m = *state;

	rt_rwsem(m, WRITER_HAS_IT, task_at(0));
	poke(m, waiter_at(2) + 16, 0);
	assert_none(m, 1);
	poke(m, task_at(3) + 72, waiter_at(2));
	assert_none(m, 3);
	poke(m, LOCKS + SEM + 8 + 8, 0);
	assert_none(m, 2);
}

static void assert_walk(struct machine *m, int err, u32 n)
{
	struct klock l = { .addr = LOCKS + SEM };
	struct seen seen = { .n = 0 };

	assert_int_equal(lock_walk(&m->s, &l, see, &seen), err);
	assert_int_equal(seen.n, n);
}

static void a_tree_that_leads_astray(void **state)
{
	struct machine *m = *state;

	rt_rwsem(m, WRITER_HAS_IT, task_at(0));
	assert_walk(m, 0, 3);
	poke(m, waiter_at(2) + 8, NOWHERE);
	assert_walk(m, -EFAULT, 2);
	/* deeper than any tree is */
	poke(m, waiter_at(2) + 8, waiter_at(3));
	poke(m, waiter_at(3) + 16, waiter_at(3));
	assert_walk(m, -EFAULT, 2);
	/* without an end */
	poke(m, waiter_at(3) + 16, 0);
	poke(m, waiter_at(3) + 8, waiter_at(2));
	assert_walk(m, -ENOSPC, 8);
	/* of another lock */
	poke(m, waiter_at(1) + 32, NOWHERE);
	assert_walk(m, -EFAULT, 0);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
#define TEST_RINGS(f)                                       \
	{                                                   \
		"rings/" #f, f, setup_rings, teardown, NULL \
	}
#define TEST_RT(f)                                    \
	{                                             \
		"rt/" #f, f, setup_rt, teardown, NULL \
	}
#define BOTH(f) TEST(f), TEST_RINGS(f)
#define ALL(f)  BOTH(f), TEST_RT(f)

int main(void)
{
	const struct CMUnitTest tests[] = {
		ALL(a_rw_semaphore_and_its_owner),   BOTH(one_that_is_held_shared),
		ALL(a_mutex_and_its_owner),          BOTH(what_the_kernel_says_itself),
		ALL(an_owner_that_is_no_task),       BOTH(an_owner_that_the_count_denies),
		BOTH(what_only_looks_like_a_waiter), ALL(the_queue_in_its_order),
		BOTH(a_queue_that_leads_astray),     TEST_RT(readers_and_a_writer_that_has_to_wait),
		TEST_RT(a_writer_that_was_let_in),   TEST_RT(a_waiter_that_is_none),
		TEST_RT(a_tree_that_leads_astray),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
