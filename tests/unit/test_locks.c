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
};

static int read_memory(struct kmem *k, struct kread *r, size_t n)
{
	struct machine *m = (struct machine *)k;

	for (size_t i = 0; i < n; i++)
		r[i].err = memstore_read(&m->mem, r[i].addr, r[i].dst, r[i].len);
	return 0;
}

static const struct kmem_ops ops = { .readv = read_memory };

static void poke(struct machine *m, u64 addr, u64 val)
{
	assert_int_equal(memstore_write(&m->mem, addr, &val, sizeof(val)), 0);
}

static void set_field(struct machine *m, enum kf f, s64 off)
{
	m->k.field[f] = (struct kfield){ off, 8 };
}

static void set_fields(struct machine *m)
{
	for (int f = 0; f < KF_MAX; f++)
		m->k.field[f].off = KFIELD_MISSING;
	set_field(m, KF_TASK_SP, 64);
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

static int setup_kind(void **state, bool rings)
{
	static struct machine m;
	static const u64 zeros[128];

	m = (struct machine){ .rings = rings };
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
	return setup_kind(state, false);
}

static int setup_rings(void **state)
{
	return setup_kind(state, true);
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

static void rwsem(struct machine *m, u64 count, u64 owner)
{
	poke(m, LOCKS + SEM, count);
	poke(m, LOCKS + SEM + 8, owner);
	queue_up(m, SEM, 24, 3);
}

static void mutex(struct machine *m)
{
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

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
#define TEST_RINGS(f)                                       \
	{                                                   \
		"rings/" #f, f, setup_rings, teardown, NULL \
	}
#define BOTH(f) TEST(f), TEST_RINGS(f)

int main(void)
{
	const struct CMUnitTest tests[] = {
		BOTH(a_rw_semaphore_and_its_owner),  BOTH(one_that_is_held_shared),
		BOTH(a_mutex_and_its_owner),         BOTH(what_the_kernel_says_itself),
		BOTH(an_owner_that_is_no_task),      BOTH(an_owner_that_the_count_denies),
		BOTH(what_only_looks_like_a_waiter), BOTH(the_queue_in_its_order),
		BOTH(a_queue_that_leads_astray),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
