// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * One crafted fault for everything that a walker follows, on images of all kernels. Each look must
 * end, soon, name nobody exact whom the memory does not show, and count what it had to drop.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cmocka.h>

#include "collect/arch.h"
#include "collect/mm.h"
#include "collect/task_flags.h"
#include "body.h"

#define UNMAPPED 0xffffc90000badba8ULL /* in no image */
#define FRESH    0xffff888fed000000ULL /* where a test puts structures of its own; aligned */
#define USER     0x00007f1234567000ULL

#define NODE_READS_MAX 200000 /* what a walk may read that has lost its way, at most */

int usleep(useconds_t us)
{
	(void)us;
	return 0;
}

static void look_damaged(struct body *b, struct look *l)
{
	look_init(l, &b->d.k);
	assert_honest(l, &b->d.k);
	assert_true(b->d.nr_reads < 10 * NODE_READS_MAX);
}

/* How many waits and torn waiters, and pipe holds, there must be. */
static void expect(struct body *b, u32 waits, u32 torn, u32 holds)
{
	struct look l;

	look_damaged(b, &l);
	assert_int_equal(look_count(&l, FACT_WAIT), waits);
	assert_int_equal(look_losses(&l, LOSS_TORN, "waiters"), torn);
	assert_int_equal(look_holds(&l, HOW_VMSPLICE, CONF_EXACT), holds);
	look_free(&l);
}

/* The same, and how much is lost at a place. */
static void expect_loss(struct body *b, u32 holds, enum fact_loss_kind kind, const char *where,
			u64 count)
{
	struct look l;

	look_damaged(b, &l);
	assert_int_equal(look_count(&l, FACT_WAIT), 1);
	assert_int_equal(look_holds(&l, HOW_VMSPLICE, CONF_EXACT), holds);
	assert_int_equal(look_losses(&l, kind, where), count);
	look_free(&l);
}

/* --- the wait table */

/* The entry was read before its list turns out to lead nowhere: it counts, and so does the tear. */
static void next_leads_to(struct body *b, u64 next)
{
	damage_word(&b->d, kmem_at(b->image, b->entry, KF_LIST_NEXT), next);
	expect(b, 1, 1, 1);
}

static void test_list_of_itself(struct body *b)
{
	next_leads_to(b, b->entry);
}

static void test_list_into_another_bucket(struct body *b)
{
	u64 size = b->image->field[KF_WAIT_HEAD].off, table = b->image->sym[KSYM_BIT_WAIT_TABLE];

	next_leads_to(b, b->head - size >= table ? b->head - size : b->head + size);
}

static void test_list_into_user_space(struct body *b)
{
	next_leads_to(b, USER);
}

static void test_list_into_nothing(struct body *b)
{
	next_leads_to(b, UNMAPPED);
}

static void test_wrong_prev(struct body *b)
{
	damage_word(&b->d, kmem_at(b->image, b->entry, KF_LIST_PREV), b->entry);
	/* once as an entry, once as a task that sleeps in the loop and is in no list */
	expect(b, 0, 2, 0);
}

static void test_prev_changes_meanwhile(struct body *b)
{
	damage_word(&b->d, kmem_at(b->image, b->entry, KF_LIST_PREV), b->entry)->after = 1;
	expect(b, 0, 2, 0);
}

static void test_gone_from_list(struct body *b)
{
	damage_word(&b->d, kmem_at(b->image, b->head, KF_LIST_NEXT), b->head);
	expect(b, 0, 1, 0);
}

static void test_torn_only_once(struct body *b)
{
	/* wrong for the first look only: the second one finds it in order */
	damage_word(&b->d, kmem_at(b->image, b->entry, KF_LIST_PREV), b->entry);
	damage_word(&b->d, kmem_at(b->image, b->entry, KF_LIST_PREV), b->head)->after = 1;
	expect(b, 1, 0, 1);
}

static void test_bucket_unreadable(struct body *b)
{
	damage_hole(&b->d, b->head, 16);
	expect(b, 0, 1, 0);
}

static void test_task_of_another(struct body *b)
{
	u64 wbqe = kmem_container(b->image, b->entry, KF_WBQE_ENTRY);
	u64 other = b->s.tasks.v[0].r.task == b->task ? b->s.tasks.v[1].r.task :
							b->s.tasks.v[0].r.task;

	damage_field(&b->d, wbqe, KF_WBQE_PRIVATE, other);
	expect(b, 0, 2, 0);
}

static void test_task_of_nobody(struct body *b)
{
	u64 wbqe = kmem_container(b->image, b->entry, KF_WBQE_ENTRY);

	damage_field(&b->d, wbqe, KF_WBQE_PRIVATE, FRESH);
	expect(b, 0, 2, 0);
}

/* Whatever it waits for, it is no DAX page; but its stack says that it waits for one. */
static void test_key_is_no_page(struct body *b)
{
	u64 wbqe = kmem_container(b->image, b->entry, KF_WBQE_ENTRY);

	damage_field(&b->d, wbqe, KF_WBQE_KEY_FLAGS, b->task);
	expect(b, 0, 1, 0);
}

static void test_key_inside_page(struct body *b)
{
	u64 wbqe = kmem_container(b->image, b->entry, KF_WBQE_ENTRY);

	damage_field(&b->d, wbqe, KF_WBQE_KEY_FLAGS, b->page + 8);
	expect(b, 0, 1, 0);
}

static void test_bit_wait(struct body *b)
{
	u64 wbqe = kmem_container(b->image, b->entry, KF_WBQE_ENTRY);

	damage_field(&b->d, wbqe, KF_WBQE_KEY_BIT_NR, 7);
	expect(b, 0, 1, 0);
}

/* In the loop as before, but retaking the lock that it had dropped: its state says so. */
static bool wake(void *arg, struct task_rec *rec)
{
	struct body *b = arg;

	if (rec->task == b->task)
		rec->state = TASK_UNINTERRUPTIBLE;
	return true;
}

/* Awake when the tasks were listed: what it was doing then is not known. */
static bool awake(void *arg, struct task_rec *rec)
{
	struct body *b = arg;

	if (rec->task == b->task)
		rec->state = rec->nr_stack = 0;
	return true;
}

static void test_awake(struct body *b)
{
	b->d.edit_task = awake;
	b->d.edit_arg = b;
	expect(b, 0, 1, 0);
}

static void test_woken(struct body *b)
{
	struct look l;

	damage_word(&b->d, kmem_at(b->image, b->head, KF_LIST_NEXT), b->head);
	b->d.edit_task = wake;
	b->d.edit_arg = b;
	look_damaged(b, &l);
	assert_int_equal(look_count(&l, FACT_WAIT), 1);
	assert_int_equal(wfg_wait(l.g, 0)->w.on, ON_LOCK);
	assert_int_equal(wfg_wait(l.g, 0)->w.task, b->task);
	assert_int_equal(wfg_wait(l.g, 0)->w.file, b->inode);
	assert_int_equal(wfg_nr_losses(l.g), 0);
	look_free(&l);
}

/* --- the page */

static void test_negative_refs(struct body *b)
{
	damage_field(&b->d, b->page, KF_PAGE_REFCOUNT, -5);
	expect(b, 0, 2, 0);
}

static void test_page_unreadable(struct body *b)
{
	damage_hole(&b->d, b->page, 64);
	expect(b, 0, 2, 0);
}

static void test_no_host(struct body *b)
{
	u64 mapping = body_get(b, b->page, KF_PAGE_MAPPING);

	damage_field(&b->d, mapping, KF_MAPPING_HOST, 0);
	/* the inode is then that of the waiter, from its stack */
	expect(b, 1, 0, 1);
}

static void test_order_63(struct body *b)
{
	u64 flags = body_get(b, b->page, KF_FOLIO_FLAGS_1);

	damage_field(&b->d, b->page, KF_FOLIO_FLAGS_1, (flags & ~0xffULL) | 63);
	expect(b, 0, 2, 0);
}

static void test_head_elsewhere(struct body *b)
{
	enum kf f = kmem_has(b->image, KF_PAGE_COMPOUND_HEAD) ? KF_PAGE_COMPOUND_HEAD :
								KF_PAGE_COMPOUND_INFO;

	damage_field(&b->d, b->page, f, UNMAPPED | 1);
	expect(b, 0, 2, 0);
}

/* --- fsdax ranges */

static void test_xarray_cycle(struct body *b)
{
	u64 node[64], head = b->image->sym[KSYM_PGMAP_ARRAY];
	struct look l;

	for (size_t i = 0; i < 64; i++)
		node[i] = FRESH | 2;
	damage_bytes(&b->d, kmem_at(b->image, FRESH, KF_XA_NODE_SLOTS), node, sizeof(node));
	damage_field(&b->d, head, KF_XA_HEAD, FRESH | 2);
	look_damaged(b, &l);
	assert_int_equal(look_count(&l, FACT_WAIT), 0);
	/* cut off is one thing, however often it would have gone round */
	assert_int_equal(look_losses(&l, LOSS_LOST, "pgmap_array"), 1);
	assert_true(b->d.nr_reads < NODE_READS_MAX);
	look_free(&l);
}

/* A dev_pagemap of our own in the array. */
static void plant_pgmap(struct body *b, u64 nr, u64 start, u64 end)
{
	const struct kfield *f = b->image->field;

	damage_field(&b->d, b->image->sym[KSYM_PGMAP_ARRAY], KF_XA_HEAD, FRESH);
	damage_field(&b->d, FRESH, KF_PGMAP_TYPE, f[KF_MEMORY_DEVICE_FS_DAX].off);
	damage_field(&b->d, FRESH, KF_PGMAP_NR_RANGE, nr);
	for (u64 i = 0; i < 8; i++) {
		u64 range = kmem_at(b->image, FRESH, KF_PGMAP_RANGE) + i * f[KF_RANGE].off;

		damage_field(&b->d, range, KF_RANGE_START, start);
		damage_field(&b->d, range, KF_RANGE_END, end);
	}
}

static void test_absurd_ranges(struct body *b)
{
	static const u64 ranges[][2] = {
		{ 0, -1 },         { -1, 0 },
		{ 1, 1 },          { 0x1000, 1ULL << 63 },
		{ 0, 1ULL << 52 }, { 0xffffffffff000, 0xfffffffffffff },
	};

	for (size_t i = 0; i < sizeof(ranges) / sizeof(*ranges); i++) {
		b->d.n = 0;
		plant_pgmap(b, 1ULL << 31, ranges[i][0], ranges[i][1]);
		/* no DAX page is known, so nobody waits for one; or the loop's stack is a riddle */
		struct look l;

		look_damaged(b, &l);
		assert_int_equal(look_count(&l, FACT_WAIT), 0);
		look_free(&l);
	}
}

/* A range that covers all of memory must not make a DAX page of what is none. */
static void test_range_of_everything(struct body *b)
{
	struct look l;

	plant_pgmap(b, 1, 0, (1ULL << 46) - 1);
	look_damaged(b, &l);
	assert_true(look_count(&l, FACT_WAIT) <= 1);
	look_free(&l);
}

/* --- names */

static u64 dentry_of(struct body *b)
{
	u64 node = body_get(b, kmem_at(b->image, b->inode, KF_INODE_DENTRIES), KF_HLIST_FIRST);

	return kmem_container(b->image, node, KF_DENTRY_ALIAS);
}

/* Without a name everything else still stands. */
static void expect_no_path(struct body *b)
{
	struct look l;

	look_damaged(b, &l);
	assert_int_equal(look_count(&l, FACT_WAIT), 1);
	assert_int_equal(look_holds(&l, HOW_VMSPLICE, CONF_EXACT), 1);
	assert_null(look_fact(&l, FACT_FILE, b->inode)->file.path);
	assert_int_equal(wfg_nr_losses(l.g), 0);
	look_free(&l);
}

static void test_dentry_cycle(struct body *b)
{
	u64 dentry = dentry_of(b), root = body_get(b, dentry, KF_DENTRY_PARENT);

	damage_field(&b->d, root, KF_DENTRY_PARENT, dentry);
	expect_no_path(b);
}

static void test_dentry_name_too_long(struct body *b)
{
	damage_field(&b->d, dentry_of(b), KF_DENTRY_NAME_LEN, 1ULL << 31);
	expect_no_path(b);
}

static void test_dentry_name_unreadable(struct body *b)
{
	damage_field(&b->d, dentry_of(b), KF_DENTRY_NAME, UNMAPPED);
	expect_no_path(b);
}

static void test_alias_cycle(struct body *b)
{
	u64 dentry = dentry_of(b), node = kmem_at(b->image, dentry, KF_DENTRY_ALIAS);

	damage_field(&b->d, dentry, KF_DENTRY_HASH_PPREV, 0);
	damage_field(&b->d, node, KF_HLIST_NEXT, node);
	expect(b, 1, 0, 1);
}

static void test_kernfs_cycle(struct body *b)
{
	u64 cgroups = body_get(b, b->task, KF_TASK_CGROUPS);
	u64 cgroup = body_get(b, cgroups, KF_CSS_SET_DFL_CGRP);
	u64 kn = body_get(b, cgroup, KF_CGROUP_KN);
	const char name[64] = "cycle";
	struct look l;

	damage_field(&b->d, kn, KF_KN_PARENT, kn);
	damage_field(&b->d, kn, KF_KN_NAME, FRESH);
	damage_bytes(&b->d, FRESH, name, sizeof(name));
	look_damaged(b, &l);
	assert_null(look_fact(&l, FACT_TASK, b->task)->task.cgroup);
	assert_int_equal(look_holds(&l, HOW_VMSPLICE, CONF_EXACT), 1);
	look_free(&l);
}

/* --- mappings */

static u64 rb_root(struct body *b)
{
	u64 mapping = body_get(b, b->inode, KF_INODE_MAPPING);

	return body_get(b, kmem_at(b->image, mapping, KF_MAPPING_I_MMAP), KF_RB_NODE);
}

static void rb_cycle(struct body *b, enum kf left_or_right)
{
	u64 root = rb_root(b);
	struct look l;

	damage_field(&b->d, root, left_or_right, root);
	look_damaged(b, &l);
	assert_int_equal(look_count(&l, FACT_WAIT), 1);
	assert_int_equal(look_losses(&l, LOSS_LOST, "mappings of a file") +
				 look_losses(&l, LOSS_TORN, "mappings of a file"),
			 1);
	/* met twice, a mapping does not hold twice */
	for (u32 i = 0; i < l.n; i++)
		if (l.facts[i].type == FACT_HOLD && l.facts[i].hold.how == HOW_MAPPING)
			assert_int_equal(l.facts[i].hold.refs, 1);
	look_free(&l);
}

static void test_rb_cycle_left(struct body *b)
{
	rb_cycle(b, KF_RB_LEFT);
}

static void test_rb_cycle_right(struct body *b)
{
	rb_cycle(b, KF_RB_RIGHT);
}

static void test_vma_backwards(struct body *b)
{
	u64 vma = kmem_container(b->image, rb_root(b), KF_VMA_RB);

	damage_field(&b->d, vma, KF_VMA_END, 0);
	expect_loss(b, 1, LOSS_TORN, "mappings of a file", 1);
}

static void test_vma_of_user_mm(struct body *b)
{
	u64 vma = kmem_container(b->image, rb_root(b), KF_VMA_RB);

	damage_field(&b->d, vma, KF_VMA_MM, USER);
	expect_loss(b, 1, LOSS_TORN, "mappings of a file", 1);
}

static void test_vma_huge(struct body *b)
{
	u64 vma = kmem_container(b->image, rb_root(b), KF_VMA_RB);

	damage_field(&b->d, vma, KF_VMA_START, 0x1000);
	damage_field(&b->d, vma, KF_VMA_END, 1ULL << 63);
	damage_field(&b->d, vma, KF_VMA_PGOFF, 0);
	expect(b, 1, 0, 1);
}

/* --- pipes */

/* The pipe that holds the page, by its inode's place among all. */
static u64 holding_pipe(struct body *b)
{
	struct fact_page p = { .id = b->page, .order = page_find(&b->s, b->page)->order };

	for (u32 i = 0; i < b->s.fds.nr_inodes; i++) {
		u64 pipe, inode = b->s.fds.inodes[i], mode;

		if (!kmem_get(b->image, inode, KF_INODE_MODE, &mode) && S_ISFIFO(mode) &&
		    !kmem_get(b->image, inode, KF_INODE_PIPE, &pipe) &&
		    pipe_shows(b->image, pipe, &p))
			return pipe;
	}
	fail_msg("no pipe holds the page");
	return 0;
}

static void expect_torn_pipe(struct body *b)
{
	expect_loss(b, 0, LOSS_TORN, "pipe buffers", 1);
}

static void test_pipe_overfull(struct body *b)
{
	u64 pipe = holding_pipe(b), tail = body_get(b, pipe, KF_PIPE_TAIL);

	damage_field(&b->d, pipe, KF_PIPE_HEAD, tail + body_get(b, pipe, KF_PIPE_RING_SIZE) + 1);
	expect_torn_pipe(b);
}

static void test_pipe_backwards(struct body *b)
{
	u64 pipe = holding_pipe(b);

	damage_field(&b->d, pipe, KF_PIPE_TAIL, body_get(b, pipe, KF_PIPE_HEAD) + 1);
	expect_torn_pipe(b);
}

static void test_pipe_sizes(struct body *b)
{
	static const u64 sizes[] = { 0, 3, 17, 1U << 17, 1U << 31, UINT32_MAX };
	u64 pipe = holding_pipe(b);

	for (size_t i = 0; i < sizeof(sizes) / sizeof(*sizes); i++) {
		b->d.n = 0;
		damage_field(&b->d, pipe, KF_PIPE_RING_SIZE, sizes[i]);
		expect_torn_pipe(b);
	}
}

/* A ring that is larger than what is there. */
static void test_pipe_ring_cut(struct body *b)
{
	u64 pipe = holding_pipe(b);

	damage_field(&b->d, pipe, KF_PIPE_RING_SIZE, 1 << 16);
	expect_torn_pipe(b);
}

static void test_pipe_ring_unmapped(struct body *b)
{
	damage_field(&b->d, holding_pipe(b), KF_PIPE_BUFS, UNMAPPED);
	expect_torn_pipe(b);
}

static void test_pipe_ring_in_user_space(struct body *b)
{
	damage_field(&b->d, holding_pipe(b), KF_PIPE_BUFS, USER);
	expect_torn_pipe(b);
}

static void test_pipe_moves(struct body *b)
{
	u64 pipe = holding_pipe(b);

	damage_field(&b->d, pipe, KF_PIPE_HEAD, body_get(b, pipe, KF_PIPE_HEAD) + 1)->after = 1;
	expect_torn_pipe(b);
}

static void test_pipe_drained_meanwhile(struct body *b)
{
	u64 pipe = holding_pipe(b);

	damage_field(&b->d, pipe, KF_PIPE_TAIL, body_get(b, pipe, KF_PIPE_HEAD))->after = 1;
	expect_torn_pipe(b);
}

/* Empty, though its slots still name the page: that is not a reference. */
static void test_pipe_empty(struct body *b)
{
	u64 pipe = holding_pipe(b);

	damage_field(&b->d, pipe, KF_PIPE_TAIL, body_get(b, pipe, KF_PIPE_HEAD));
	expect_loss(b, 0, LOSS_TORN, "pipe buffers", 0);
}

/* A full turn of the 32-bit counters is no matter. */
static void test_pipe_counters_wrap(struct body *b)
{
	u64 pipe = holding_pipe(b), size = body_get(b, pipe, KF_PIPE_RING_SIZE), bytes = 4096;
	u64 bufs = body_get(b, pipe, KF_PIPE_BUFS), step = b->image->field[KF_PIPE_BUF].off;

	damage_field(&b->d, pipe, KF_PIPE_TAIL, UINT32_MAX);
	damage_field(&b->d, pipe, KF_PIPE_HEAD, 1);
	damage_field(&b->d, bufs + (size - 1) * step, KF_PIPE_BUF_PAGE, b->page);
	damage_field(&b->d, bufs + (size - 1) * step, KF_PIPE_BUF_LEN, bytes);
	expect(b, 1, 0, 1);
}

/* Which page the slot that held the folio names; whether that still is a reference to it. */
static void slot_names(struct body *b, u64 page, bool holds)
{
	u64 pipe = holding_pipe(b), bufs = body_get(b, pipe, KF_PIPE_BUFS);
	u64 slot = body_get(b, pipe, KF_PIPE_TAIL) & (body_get(b, pipe, KF_PIPE_RING_SIZE) - 1);
	struct look l;

	b->d.n = 0;
	damage_field(&b->d, bufs + slot * b->image->field[KF_PIPE_BUF].off, KF_PIPE_BUF_PAGE, page);
	look_damaged(b, &l);
	assert_int_equal(look_holds(&l, HOW_VMSPLICE, CONF_EXACT), holds);
	assert_int_equal(wfg_page(l.g, 0)->unattributed, !holds);
	look_free(&l);
}

static void test_pipe_part_of_folio(struct body *b)
{
	u64 size = b->image->field[KF_PAGE].off, nr = 1ULL << page_find(&b->s, b->page)->order;

	slot_names(b, b->page, true);
	slot_names(b, b->page + (nr - 1) * size, true);
	slot_names(b, b->page + nr / 2 * size, true);
	slot_names(b, b->page + nr * size, false);
	slot_names(b, b->page - size, false);
	slot_names(b, 0, false);
}

static void test_pipe_user_unreadable(struct body *b)
{
	damage_field(&b->d, holding_pipe(b), KF_PIPE_USER, UNMAPPED);
	expect(b, 1, 0, 1);
}

/* --- descriptors */

static u64 fdt_of_holder(struct body *b)
{
	u64 pipe = holding_pipe(b);

	for (u32 i = 0; i < b->s.fds.n; i++) {
		u64 of;

		if (!kmem_get(b->image, b->s.fds.inodes[b->s.fds.inode_of[i]], KF_INODE_PIPE,
			      &of) &&
		    of == pipe)
			return body_get(b, body_task(b, b->s.fds.v[i].task)->r.files, KF_FILES_FDT);
	}
	fail_msg("nobody has the pipe open");
	return 0;
}

static void test_table_of_2_31(struct body *b)
{
	struct look l;

	damage_field(&b->d, fdt_of_holder(b), KF_FDT_MAX_FDS, 1ULL << 31);
	look_damaged(b, &l);
	assert_int_equal(look_count(&l, FACT_WAIT), 1);
	assert_true(look_losses(&l, LOSS_LOST, "descriptors") > 0);
	look_free(&l);
}

static void test_table_elsewhere(struct body *b)
{
	damage_field(&b->d, fdt_of_holder(b), KF_FDT_FD, UNMAPPED);
	expect(b, 1, 0, 0);
}

/* Every slot of a table leads to the same file, which is no file. */
static void test_table_of_rubbish(struct body *b)
{
	u64 array = body_get(b, fdt_of_holder(b), KF_FDT_FD), slots[64];

	for (size_t i = 0; i < 64; i++)
		slots[i] = b->page;
	damage_bytes(&b->d, array, slots, sizeof(slots));
	expect(b, 1, 0, 0);
}

/* --- the lock's queue */

static u64 first_queued(struct body *b)
{
	u64 sem = kmem_at(b->image, b->inode, KF_INODE_RWSEM);

	if (kmem_has(b->image, KF_RWSEM_WAIT_LIST))
		return body_get(b, kmem_at(b->image, sem, KF_RWSEM_WAIT_LIST), KF_LIST_NEXT);
	return kmem_at(b->image, body_get(b, sem, KF_RWSEM_FIRST_WAITER), KF_RWSEM_WAITER_LIST);
}

static void test_queue_cycle(struct body *b)
{
	u64 first = first_queued(b), second = body_get(b, first, KF_LIST_NEXT);
	struct look l;

	damage_field(&b->d, second, KF_LIST_NEXT, second);
	look_damaged(b, &l);
	assert_int_equal(look_losses(&l, LOSS_LOST, "queued tasks") +
				 look_losses(&l, LOSS_TORN, "queued tasks"),
			 1);
	assert_int_equal(wfg_wait(l.g, 0)->nr_queued, 2);
	assert_int_equal(look_holds(&l, HOW_VMSPLICE, CONF_EXACT), 1);
	look_free(&l);
}

static void test_queue_into_nothing(struct body *b)
{
	damage_field(&b->d, first_queued(b), KF_LIST_NEXT, UNMAPPED);
	expect_loss(b, 1, LOSS_TORN, "queued tasks", 1);
}

static void test_queue_into_user_space(struct body *b)
{
	damage_field(&b->d, first_queued(b), KF_LIST_NEXT, USER);
	expect_loss(b, 1, LOSS_TORN, "queued tasks", 1);
}

/* --- direct I/O */

static u64 regs_of(struct body *b, s32 syscall)
{
	for (u32 i = 0; i < b->s.tasks.n; i++) {
		struct ktask *t = &b->s.tasks.v[i];
		const struct arch_regs *regs = task_regs(&b->s, t);

		if (regs && regs->syscall == syscall && task_is_asleep(t))
			return t->r.stack + b->s.arch.regs_off;
	}
	fail_msg("nobody is in system call %d", syscall);
	return 0;
}

/* What can no longer be told to be its buffer is not held against it. */
static void expect_no_io(struct body *b)
{
	struct look l;

	look_damaged(b, &l);
	assert_int_equal(look_holds(&l, HOW_DIRECT_IO, CONF_CANDIDATE), 0);
	assert_int_equal(wfg_page(l.g, 0)->unattributed, 1);
	look_free(&l);
}

static void test_iovec_of_2_40(struct body *b)
{
	damage_field(&b->d, regs_of(b, SYS_pwritev), KF_PT_DX, 1ULL << 40);
	expect_no_io(b);
}

static void test_iovec_elsewhere(struct body *b)
{
	static const u64 where[] = { 0, UNMAPPED, 1ULL << 48, (1ULL << 55) + 8, -8ULL };

	for (size_t i = 0; i < sizeof(where) / sizeof(*where); i++) {
		b->d.n = 0;
		damage_field(&b->d, regs_of(b, SYS_pwritev), KF_PT_SI, where[i]);
		expect_no_io(b);
	}
}

static void test_buffer_elsewhere(struct body *b)
{
	u64 regs = regs_of(b, SYS_pwrite64);

	damage_field(&b->d, regs, KF_PT_SI, 0x1000);
	expect_no_io(b);
	b->d.n = 0;
	damage_field(&b->d, regs, KF_PT_DX, 0);
	expect_no_io(b);
}

static void test_no_such_descriptor(struct body *b)
{
	damage_field(&b->d, regs_of(b, SYS_pwrite64), KF_PT_DI, 1ULL << 40);
	expect_no_io(b);
}

/* Without the bio on its stack it is likely, no more. */
static void test_bio_gone(struct body *b)
{
	u64 regs = regs_of(b, SYS_pwrite64);
	struct look l;

	for (u32 i = 0; i < b->s.tasks.n; i++) {
		const struct ktask *t = &b->s.tasks.v[i];
		u64 sp;

		if (t->r.stack + b->s.arch.regs_off == regs &&
		    !kmem_get(b->image, t->r.task, KF_TASK_SP, &sp))
			damage_hole(&b->d, sp, regs - sp);
	}
	look_damaged(b, &l);
	assert_int_equal(look_holds(&l, HOW_DIRECT_IO, CONF_EXACT), 0);
	assert_int_equal(look_holds(&l, HOW_DIRECT_IO, CONF_LIKELY), 1);
	look_free(&l);
}

/* --- page tables and mappings of a task */

/* Every entry of the top table leads back to it. */
static void test_page_table_cycle(struct body *b)
{
	const struct kvma *v = b->s.vmas;
	struct look l;
	u64 entries[PATCH_BYTES_MAX / 8];

	for (u32 i = 0; i < b->s.nr_vmas; i++) {
		u64 pgd = body_get(b, v[i].mm, KF_MM_PGD);

		for (size_t e = 0; e < sizeof(entries) / 8; e++)
			entries[e] = (pgd - b->s.arch.direct_map) | 1;
		for (u64 at = 0; at < 4096; at += sizeof(entries))
			damage_bytes(&b->d, pgd + at, entries, sizeof(entries));
	}
	look_damaged(b, &l);
	assert_int_equal(look_holds(&l, HOW_MAPPING, CONF_CANDIDATE), 0);
	look_free(&l);
}

static void ignore_mapping(void *arg, const struct mm_vma *v)
{
	(void)arg, (void)v;
}

/* Nodes of every type that all lead back to themselves. */
static void test_maple_cycle(struct body *b)
{
	u64 mm = body_task(b, b->task)->r.mm, slots[32];
	struct snap s = b->s;

	s.k = &b->d.k;
	for (u64 type = 1; type <= 3; type++) {
		double start = cpu_seconds();

		b->d.n = 0;
		b->d.nr_reads = 0;
		for (size_t i = 0; i < 32; i++)
			slots[i] = FRESH | type << 3 | 6;
		damage_bytes(&b->d, FRESH, slots, sizeof(slots));
		damage_field(&b->d, mm, KF_MM_MT_ROOT, FRESH | type << 3 | 2);
		mm_walk_vmas(&s, mm, ignore_mapping, NULL);
		assert_true(b->d.nr_reads < NODE_READS_MAX);
		assert_true(cpu_seconds() - start < LOOK_SECONDS);
	}
}

static void test_vma_list_cycle(struct body *b)
{
	u64 mm = body_task(b, b->task)->r.mm, vma = body_get(b, mm, KF_MM_MMAP);
	struct snap s = b->s;

	s.k = &b->d.k;
	damage_field(&b->d, vma, KF_VMA_NEXT, vma);
	assert_true(mm_walk_vmas(&s, mm, ignore_mapping, NULL) < 0);
	assert_true(b->d.nr_reads < 10 * NODE_READS_MAX);
}

/* --- pending fputs */

/* The words of the waiter's stack that lead to a pending fput. */
static u64 pending_work(struct body *b, u64 *where)
{
	u64 start, func;
	u32 n;
	const u64 *words = task_stack_words(&b->s, body_task(b, b->task), &n, &start);

	for (u32 i = 0; i < n; i++)
		if (kmem_is_kernel_ptr(words[i]) && !(words[i] & 7) &&
		    !kmem_get(b->image, words[i], KF_WORK_FUNC, &func) &&
		    func == b->image->sym[KSYM_FPUT]) {
			*where = start + i * 8;
			return words[i];
		}
	return 0;
}

/* A work that follows itself, and that several words of the stack lead to. */
static void test_work_cycle(struct body *b)
{
	u64 where, work = pending_work(b, &where);
	struct look l;

	if (!work) /* none was pending: then one that follows itself is put there */
		assert_int_equal(kmem_get(b->image, b->task, KF_TASK_SP, &where), 0);
	work = work ? work : FRESH;
	damage_field(&b->d, work, KF_WORK_FUNC, b->image->sym[KSYM_FPUT]);
	damage_field(&b->d, work, KF_WORK_NEXT, work);
	for (u64 i = 0; i < 8; i++)
		damage_word(&b->d, where + i * 8, work);
	look_damaged(b, &l);
	assert_int_equal(look_losses(&l, LOSS_LOST, "pending fputs"), 1);
	assert_true(b->d.nr_reads < NODE_READS_MAX);
	look_free(&l);
}

/* --- sockets */

enum { PLANTED_SK = 0x1000, PLANTED_SKB = 0x2000, PLANTED_HEAD = 0x3000 };

/* A descriptor of the bystander, its standard input, becomes a socket. Address of its sock. */
static u64 plant_socket(struct body *b, u64 family)
{
	static const u8 nothing[PATCH_BYTES_MAX];
	u64 inode = 0, sk = FRESH + PLANTED_SK, mode = S_IFSOCK | 0600;
	u64 queue = kmem_at(b->image, sk, KF_SK_RECEIVE_QUEUE);

	for (u32 i = 0; i < b->s.fds.n && !inode; i++)
		if (b->s.fds.v[i].fd == 0 &&
		    body_task(b, b->s.fds.v[i].task)->r.mm == b->s.vmas[0].mm)
			inode = b->s.fds.inodes[b->s.fds.inode_of[i]];
	assert_true(inode != 0);
	b->planted = inode;
	damage_field(&b->d, inode, KF_INODE_MODE, mode);
	damage_field(&b->d, kmem_container(b->image, inode, KF_SOCKET_ALLOC_INODE), KF_SOCKET_SK,
		     sk);
	damage_bytes(&b->d, sk, nothing, sizeof(nothing));
	damage_field(&b->d, sk, KF_SK_FAMILY, family);
	damage_field(&b->d, queue, KF_SKB_NEXT, queue);
	damage_field(&b->d, kmem_at(b->image, sk, KF_SK_WRITE_QUEUE), KF_SKB_NEXT,
		     kmem_at(b->image, sk, KF_SK_WRITE_QUEUE));
	return sk;
}

/* A packet with one fragment, of the busy page; next is what follows it. Its skb_shared_info. */
static u64 plant_skb(struct body *b, u64 next)
{
	static const u8 nothing[512];
	u64 skb = FRESH + PLANTED_SKB, shinfo = FRESH + PLANTED_HEAD + 64;
	u64 frag[2] = { b->page, 4096 };

	damage_bytes(&b->d, skb, nothing, sizeof(nothing));
	damage_field(&b->d, skb, KF_SKB_NEXT, next);
	damage_field(&b->d, skb, KF_SKB_HEAD, FRESH + PLANTED_HEAD);
	damage_field(&b->d, skb, KF_SKB_END, 64);
	damage_bytes(&b->d, shinfo, nothing, sizeof(nothing));
	damage_field(&b->d, shinfo, KF_SHINFO_NR_FRAGS, 1);
	damage_bytes(&b->d, kmem_at(b->image, shinfo, KF_SHINFO_FRAGS), frag, sizeof(frag));
	return shinfo;
}

static u64 plant_received(struct body *b, u64 family, u64 next)
{
	u64 queue = kmem_at(b->image, plant_socket(b, family), KF_SK_RECEIVE_QUEUE);

	damage_field(&b->d, queue, KF_SKB_NEXT, FRESH + PLANTED_SKB);
	return plant_skb(b, next ? next : queue);
}

static void expect_socket(struct body *b, u32 holds, u32 lost)
{
	struct look l;

	look_damaged(b, &l);
	assert_int_equal(look_holds(&l, HOW_SOCKET, CONF_EXACT), holds);
	assert_int_equal(look_holds(&l, HOW_VMSPLICE, CONF_EXACT), 1);
	assert_int_equal(look_losses(&l, LOSS_LOST, "socket queues") +
				 look_losses(&l, LOSS_TORN, "socket queues"),
			 lost);
	assert_true(b->d.nr_reads < 10 * NODE_READS_MAX);
	look_free(&l);
}

static void test_socket(struct body *b)
{
	plant_received(b, AF_INET, 0);
	expect_socket(b, 1, 0);
}

static void test_socket_queue_cycle(struct body *b)
{
	plant_received(b, AF_INET, FRESH + PLANTED_SKB);
	expect_socket(b, 1, 1);
}

static void test_socket_queue_into_user_space(struct body *b)
{
	plant_received(b, AF_INET, USER);
	expect_socket(b, 1, 1);
}

static void test_socket_frags_255(struct body *b)
{
	damage_field(&b->d, plant_received(b, AF_INET, 0), KF_SHINFO_NR_FRAGS, 255);
	expect_socket(b, 0, 0);
}

/* A packet that is in its own list of fragments, beside its page. */
static void test_socket_frag_list_cycle(struct body *b)
{
	u64 shinfo = plant_received(b, AF_INET, 0);

	damage_field(&b->d, shinfo, KF_SHINFO_FRAG_LIST, FRESH + PLANTED_SKB);
	damage_field(&b->d, FRESH + PLANTED_SKB, KF_SKB_NEXT, FRESH + PLANTED_SKB);
	expect_socket(b, 1, 1);
}

static void test_socket_rtx_cycle(struct body *b)
{
	u64 sk = plant_socket(b, AF_INET);
	u64 node = kmem_at(b->image, FRESH + PLANTED_SKB, KF_SKB_RBNODE);

	plant_skb(b, 0);
	damage_field(&b->d, sk, KF_SK_PROTOCOL, IPPROTO_TCP);
	damage_field(&b->d, sk, KF_SK_RTX_QUEUE, node);
	damage_field(&b->d, node, KF_RB_LEFT, node);
	damage_field(&b->d, node, KF_RB_RIGHT, node);
	expect_socket(b, 1, 1);
}

/* A message that carries as many files as it likes to say. */
static void test_scm(struct body *b)
{
	static const u64 counts[] = { 0, 1, 253, 254, 65535 };
	u64 list = FRESH, cb, files[PATCH_BYTES_MAX / 8];

	for (size_t i = 0; i < sizeof(counts) / sizeof(*counts); i++) {
		b->d.n = 0;
		plant_received(b, AF_UNIX, 0);
		cb = kmem_at(b->image, FRESH + PLANTED_SKB, KF_SKB_CB);
		damage_field(&b->d, cb, KF_UNIX_CB_FP, list);
		damage_field(&b->d, list, KF_SCM_FP_COUNT, counts[i]);
		for (size_t f = 0; f < sizeof(files) / sizeof(*files); f++)
			files[f] = b->s.fds.v[0].file;
		damage_bytes(&b->d, kmem_at(b->image, list, KF_SCM_FP_FILES), files, sizeof(files));
		expect_socket(b, 1, 0);
	}
}

static u64 file_of_fd(struct body *b, u64 inode)
{
	for (u32 i = 0; i < b->s.fds.n; i++)
		if (b->s.fds.inodes[b->s.fds.inode_of[i]] == inode)
			return b->s.fds.v[i].file;
	fail_msg("nobody has the inode open");
	return 0;
}

/* The pipe in flight beside 99 times the very socket that it is in flight to. */
static void test_scm_of_itself(struct body *b)
{
	u64 pipe = holding_pipe(b), inode = 0, files[128];
	u64 cb = kmem_at(b->image, FRESH + PLANTED_SKB, KF_SKB_CB);

	plant_received(b, AF_UNIX, 0);
	damage_field(&b->d, cb, KF_UNIX_CB_FP, FRESH);
	damage_field(&b->d, FRESH, KF_SCM_FP_COUNT, 100);
	for (u32 i = 0; i < b->s.fds.nr_inodes; i++) {
		u64 of;

		if (!kmem_get(b->image, b->s.fds.inodes[i], KF_INODE_PIPE, &of) && of == pipe)
			inode = b->s.fds.inodes[i];
	}
	for (size_t i = 0; i < sizeof(files) / sizeof(*files); i++)
		files[i] = i ? file_of_fd(b, b->planted) : file_of_fd(b, inode);
	damage_bytes(&b->d, kmem_at(b->image, FRESH, KF_SCM_FP_FILES), files, sizeof(files));
	expect_socket(b, 1, 0);
}

/* --- packets that no descriptor leads to: the images were made before these fields were read */

enum { PLANTED_TABLE = 0x4000, PLANTED_HASHINFO = 0x4100, PLANTED_REQUEST = 0x4200 };

static void lay_out(struct body *b, enum kf f, s64 off, u32 size)
{
	b->d.k.field[f] = (struct kfield){ .off = off, .size = size };
}

/* A table of one bucket, with the planted socket in it, which no descriptor leads to. Its node. */
static u64 plant_connection(struct body *b, u64 next)
{
	static const u8 nothing[PATCH_BYTES_MAX];
	u64 sk = FRESH + PLANTED_SK, hashinfo = FRESH + PLANTED_HASHINFO, node;

	lay_out(b, KF_SK_STATE, 18, 1);
	lay_out(b, KF_SK_NULLS_NODE, 104, 16);
	lay_out(b, KF_NULLS_NEXT, 0, 8);
	lay_out(b, KF_NULLS_PPREV, 8, 8);
	lay_out(b, KF_HASHINFO_EHASH, 0, 8);
	lay_out(b, KF_HASHINFO_EHASH_MASK, 16, 4);
	lay_out(b, KF_EHASH_BUCKET, 8, 8);
	b->d.k.sym[KSYM_TCP_HASHINFO] = hashinfo;
	damage_bytes(&b->d, sk, nothing, sizeof(nothing));
	damage_field(&b->d, sk, KF_SK_FAMILY, AF_INET);
	damage_field(&b->d, sk, KF_SK_STATE, 4);
	damage_field(&b->d, kmem_at(b->image, sk, KF_SK_WRITE_QUEUE), KF_SKB_NEXT,
		     FRESH + PLANTED_SKB);
	plant_skb(b, kmem_at(b->image, sk, KF_SK_WRITE_QUEUE));
	node = kmem_at(&b->d.k, sk, KF_SK_NULLS_NODE);
	damage_field(&b->d, node, KF_NULLS_NEXT, next ? next : node);
	damage_field(&b->d, node, KF_NULLS_PPREV, FRESH + PLANTED_TABLE);
	damage_field(&b->d, hashinfo, KF_HASHINFO_EHASH, FRESH + PLANTED_TABLE);
	damage_field(&b->d, hashinfo, KF_HASHINFO_EHASH_MASK, 0);
	damage_word(&b->d, FRESH + PLANTED_TABLE, node);
	return node;
}

static void expect_orphan(struct body *b, u32 holds, u32 torn)
{
	struct look l;

	look_damaged(b, &l);
	assert_int_equal(look_holds(&l, HOW_SOCKET, CONF_EXACT), holds);
	assert_int_equal(look_losses(&l, LOSS_TORN, "sockets"), torn);
	look_free(&l);
}

static void test_orphan(struct body *b)
{
	plant_connection(b, 1);
	expect_orphan(b, 1, 0);
}

static void test_orphan_chain_cycle(struct body *b)
{
	plant_connection(b, 0);
	expect_orphan(b, 1, 1);
}

static void test_orphan_chain_into_nothing(struct body *b)
{
	plant_connection(b, FRESH + 0x80000);
	expect_orphan(b, 1, 1);
}

static void test_orphan_table_of_2_31(struct body *b)
{
	plant_connection(b, 1);
	damage_field(&b->d, FRESH + PLANTED_HASHINFO, KF_HASHINFO_EHASH_MASK, 0x7fffffff);
	expect_orphan(b, 0, 0);
}

/* A request in the accept queue that is followed by itself. */
static void test_accept_queue_cycle(struct body *b)
{
	u64 listener = plant_socket(b, AF_INET), request = FRESH + PLANTED_REQUEST;
	struct look l;

	lay_out(b, KF_SK_STATE, 18, 1);
	lay_out(b, KF_ICSK_ACCEPT_HEAD, 1000, 8);
	lay_out(b, KF_REQSK_NEXT, 0, 8);
	lay_out(b, KF_REQSK_SK, 8, 8);
	damage_field(&b->d, listener, KF_SK_STATE, TCP_LISTEN);
	damage_field(&b->d, listener, KF_SK_PROTOCOL, IPPROTO_TCP);
	damage_field(&b->d, listener, KF_ICSK_ACCEPT_HEAD, request);
	damage_field(&b->d, request, KF_REQSK_NEXT, request);
	damage_field(&b->d, request, KF_REQSK_SK, FRESH + 0x80000);
	look_damaged(b, &l);
	assert_int_equal(look_holds(&l, HOW_SOCKET, CONF_EXACT), 0);
	assert_int_equal(look_losses(&l, LOSS_LOST, "unaccepted connections"), 1);
	look_free(&l);
}

/* --- which fault on which images */

typedef void (*damage_test_fn)(struct body *b);

struct fault {
	const char *name;
	damage_test_fn test;
};

#define FAULT(name)                \
	{                          \
#name, test_##name \
	}

static const struct fault pipe_faults[] = {
	FAULT(list_of_itself),
	FAULT(list_into_another_bucket),
	FAULT(list_into_user_space),
	FAULT(list_into_nothing),
	FAULT(wrong_prev),
	FAULT(prev_changes_meanwhile),
	FAULT(gone_from_list),
	FAULT(torn_only_once),
	FAULT(bucket_unreadable),
	FAULT(task_of_another),
	FAULT(task_of_nobody),
	FAULT(key_is_no_page),
	FAULT(key_inside_page),
	FAULT(bit_wait),
	FAULT(woken),
	FAULT(awake),
	FAULT(negative_refs),
	FAULT(page_unreadable),
	FAULT(no_host),
	FAULT(head_elsewhere),
	FAULT(xarray_cycle),
	FAULT(absurd_ranges),
	FAULT(range_of_everything),
	FAULT(dentry_cycle),
	FAULT(dentry_name_too_long),
	FAULT(dentry_name_unreadable),
	FAULT(alias_cycle),
	FAULT(kernfs_cycle),
	FAULT(rb_cycle_left),
	FAULT(rb_cycle_right),
	FAULT(vma_backwards),
	FAULT(vma_of_user_mm),
	FAULT(vma_huge),
	FAULT(pipe_overfull),
	FAULT(pipe_backwards),
	FAULT(pipe_sizes),
	FAULT(pipe_ring_cut),
	FAULT(pipe_ring_unmapped),
	FAULT(pipe_ring_in_user_space),
	FAULT(pipe_moves),
	FAULT(pipe_drained_meanwhile),
	FAULT(pipe_empty),
	FAULT(pipe_counters_wrap),
	FAULT(pipe_part_of_folio),
	FAULT(pipe_user_unreadable),
	FAULT(table_of_2_31),
	FAULT(table_elsewhere),
	FAULT(table_of_rubbish),
	FAULT(socket),
	FAULT(socket_queue_cycle),
	FAULT(socket_queue_into_user_space),
	FAULT(socket_frags_255),
	FAULT(socket_frag_list_cycle),
	FAULT(socket_rtx_cycle),
	FAULT(scm),
	FAULT(scm_of_itself),
	FAULT(orphan),
	FAULT(orphan_chain_cycle),
	FAULT(orphan_chain_into_nothing),
	FAULT(orphan_table_of_2_31),
	FAULT(accept_queue_cycle),
};

static const struct fault list_faults[] = { FAULT(vma_list_cycle) };
static const struct fault maple_faults[] = { FAULT(maple_cycle) };
static const struct fault huge_faults[] = { FAULT(order_63), FAULT(pipe_part_of_folio) };
static const struct fault queue_faults[] = { FAULT(queue_cycle), FAULT(queue_into_nothing),
					     FAULT(queue_into_user_space) };
static const struct fault io_faults[] = { FAULT(buffer_elsewhere), FAULT(no_such_descriptor),
					  FAULT(bio_gone) };
static const struct fault vector_faults[] = { FAULT(iovec_of_2_40), FAULT(iovec_elsewhere) };
static const struct fault mapping_faults[] = { FAULT(rb_cycle_left), FAULT(rb_cycle_right),
					       FAULT(page_table_cycle) };
static const struct fault fput_faults[] = { FAULT(work_cycle) };

#define FAULTS(of) of##_faults, sizeof(of##_faults) / sizeof(*of##_faults)

static const struct {
	const char *kernels;
	const char *image;
	const struct fault *faults;
	size_t n;
} plan[] = {
	{ "5.10 6.1 6.12 6.18 7.2", "ext4-vmsplice-truncate", FAULTS(pipe) },
	{ "5.10", "ext4-vmsplice-truncate", FAULTS(list) },
	{ "6.1 6.12 6.18 7.2", "ext4-vmsplice-truncate", FAULTS(maple) },
	{ "6.18 7.2", "ext4-vmsplice-huge-truncate", FAULTS(huge) },
	{ "5.10 6.1 6.12 6.18 7.2", "xfs-vmsplice-readers-truncate", FAULTS(queue) },
	{ "5.10 6.1 6.12 6.18 7.2", "xfs-dio-pwrite-truncate", FAULTS(io) },
	{ "5.10 7.2", "ext4-dio-pwritev-collapse_range", FAULTS(vector) },
	{ "6.18 7.2", "ext4-retouch-truncate", FAULTS(mapping) },
	{ "6.18 7.2", "xfs-self-exit", FAULTS(fput) },
};

struct job {
	char image[64];
	damage_test_fn test;
};

static void run_job(void **state)
{
	const struct job *job = *state;
	static struct body b;

	body_open(&b, job->image);
	job->test(&b);
	body_close(&b);
}

static struct CMUnitTest tests[512];
static struct job jobs[sizeof(tests) / sizeof(*tests)];
static size_t nr_tests;

static void add_test(const char *kernel, int len, const char *image, const struct fault *fault)
{
	struct job *job = &jobs[nr_tests];
	char name[128];

	if (nr_tests == sizeof(tests) / sizeof(*tests))
		abort();
	snprintf(job->image, sizeof(job->image), "%.*s-%s", len, kernel, image);
	job->test = fault->test;
	snprintf(name, sizeof(name), "%s: %s", fault->name, job->image);
	tests[nr_tests++] = (struct CMUnitTest){ .name = strdup(name),
						 .test_func = run_job,
						 .initial_state = job };
}

static void add_tests(const char *kernels, const char *image, const struct fault *faults, size_t n)
{
	while (*kernels) {
		int len = strcspn(kernels, " ");

		for (size_t i = 0; i < n; i++)
			add_test(kernels, len, image, &faults[i]);
		kernels += len + (kernels[len] == ' ');
	}
}

int main(void)
{
	cmocka_set_test_filter(getenv("TEST_FILTER")); /* for one alone: "woken*" */
	for (size_t i = 0; i < sizeof(plan) / sizeof(*plan); i++)
		add_tests(plan[i].kernels, plan[i].image, plan[i].faults, plan[i].n);
	return _cmocka_run_group_tests("damage", tests, nr_tests, NULL, NULL);
}
