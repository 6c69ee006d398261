// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Who needs a range of a DAX window of virtiofs. The window shows a part of the files at a time, in
 * ranges of 2 MiB. When all are in use one worker frees some, oldest first; if a page of the oldest
 * is held it sleeps like a truncate, and page faults, reads and writes of all other files sleep in
 * range_waitq of the same fuse_conn_dax: struct fuse_conn_dax, fs/fuse/dax.c, 5.10 to 7.3. FUSE is
 * a module on many kernels, whose type information is not read, so the object is recognised:
 * it has the wait queue in it, and the fuse_conn of the worker's file points at it.
 */
#include <errno.h>
#include <stdlib.h>

#include "collect/snap.h"
#include "collect/task_flags.h"
#include "util/array.h"

enum {
	QUEUE_MAX = 100000,
	CONN_WORDS = 128, /* of a fuse_conn, which is smaller */
};

/* Where a task may sleep for a range; the queue it is in decides. */
static const char *const sleepers[] = {
	"__fuse_dax_fault", "fuse_dax_fault",  "fuse_dax_huge_fault",
	"fuse_iomap_begin", "fuse_iomap_next", NULL,
};

/* The tasks in one wait queue. */
struct queue {
	u64 object; /* that the head of the queue is in */
	u64 *tasks;
	u32 n;
};

static bool is_linked(struct snap *s, u64 node, u64 *next)
{
	u64 prev, back, forth;

	return !kmem_get(s->k, node, KF_LIST_NEXT, next) &&
	       !kmem_get(s->k, node, KF_LIST_PREV, &prev) && *next != node &&
	       !kmem_get(s->k, *next, KF_LIST_PREV, &back) && back == node &&
	       !kmem_get(s->k, prev, KF_LIST_NEXT, &forth) && forth == node;
}

/* The list node of a wait_queue_entry on the task's own stack that is in a queue; 0 none. */
static u64 entry_of(struct snap *s, const struct ktask *t)
{
	struct stack_scan scan = stack_scan(s, t, KF_WQE_PRIVATE);
	u64 wqe, next;

	while ((wqe = stack_scan_next(&scan)))
		if (is_linked(s, kmem_at(s->k, wqe, KF_WQE_ENTRY), &next))
			return kmem_at(s->k, wqe, KF_WQE_ENTRY);
	return 0;
}

static int add_task(struct queue *q, u64 task)
{
	int err = array_grow(&q->tasks, q->n, sizeof(task));

	if (!err)
		q->tasks[q->n++] = task;
	return err;
}

/* All around the ring from one entry: entries are on stacks, the head is in an object. */
static int read_queue(struct snap *s, u64 first, struct queue *q)
{
	struct slab_object o;
	u64 at = first, next, task;
	int err = 0;

	for (u32 n = 0; !err && (!n || at != first); n++, at = next) {
		if (n >= QUEUE_MAX)
			return -E2BIG;
		if (!is_linked(s, at, &next))
			return -ESTALE;
		if (!slab_object(s, at, &o))
			q->object = o.addr;
		else if (!kmem_get(s->k, kmem_container(s->k, at, KF_WQE_ENTRY), KF_WQE_PRIVATE,
				   &task))
			err = add_task(q, task);
	}
	return err;
}

/* Whether the file is of the connection that has this fuse_conn_dax. */
static bool conn_has(struct snap *s, u64 inode, u64 object)
{
	u64 sb, conn, words[CONN_WORDS];

	if (!object || kmem_get(s->k, inode, KF_INODE_SB, &sb))
		return false;
	conn = fuse_conn(s, sb);
	if (!kmem_is_kernel_ptr(conn) || kmem_read(s->k, conn, words, sizeof(words)))
		return false;
	for (u32 i = 0; i < CONN_WORDS; i++)
		if (words[i] == object)
			return true;
	return false;
}

static void tell_queue(struct snap *s, const struct kwait *w, const struct queue *q)
{
	for (u32 i = 0; i < q->n; i++)
		queued_tell(s, &(struct fact_queued){ .wait = w->task,
						      .task = q->tasks[i],
						      .lock = "range_waitq" });
}

static bool is_told(const struct queue *q, u32 n, u64 task)
{
	for (u32 i = 0; i < n; i++)
		for (u32 j = 0; j < q[i].n; j++)
			if (q[i].tasks[j] == task)
				return true;
	return false;
}

/* Every queue that a task sleeps in at one of those functions, each once. 0 or -ENOMEM. */
static int find_queues(struct snap *s, struct queue **found, u32 *n)
{
	for (u32 i = 0; i < s->tasks.n; i++) {
		const struct ktask *t = &s->tasks.v[i];
		struct queue q = { 0 };
		u64 entry;
		int err;

		if (!task_is_asleep(t) || !task_stack_any(t, sleepers) ||
		    wait_is_known(s, t->r.task) || is_told(*found, *n, t->r.task))
			continue;
		entry = entry_of(s, t);
		err = entry ? read_queue(s, entry, &q) : 0;
		if (err == -ESTALE || err == -E2BIG)
			snap_lost(s, err == -ESTALE ? LOSS_TORN : LOSS_LOST, "DAX window queue", 1);
		if (err != -ENOMEM)
			err = array_grow(found, *n, sizeof(**found));
		if (err) {
			free(q.tasks);
			return err;
		}
		(*found)[(*n)++] = q;
	}
	return 0;
}

const char *walk_window_lacks(const struct snap *s)
{
	return KMEM_LACKS(s->k, KF_WQE_PRIVATE, KF_WQE_ENTRY, KF_SB_FS_INFO);
}

/* The worker that frees ranges: nobody else's wait keeps a range from those who queue. */
static bool is_worker(struct snap *s, const struct kwait *w)
{
	struct ktask *t = task_find(s, w->task);

	return w->inode && t->r.flags & PF_KTHREAD && op_of(s, t).trigger == TRIGGER_DAX_WINDOW;
}

int walk_window(struct snap *s)
{
	struct queue *queues = NULL;
	u32 nr_queues = 0;
	bool searched = false;
	int err = 0;

	for (u32 i = 0; i < s->nr_waits && !err && !s->err; i++) {
		const struct kwait *w = &s->waits[i];

		if (!is_worker(s, w))
			continue;
		if (!searched)
			err = find_queues(s, &queues, &nr_queues);
		searched = true;
		for (u32 j = 0; j < nr_queues; j++)
			if (conn_has(s, w->inode, queues[j].object))
				tell_queue(s, w, &queues[j]);
	}
	for (u32 j = 0; j < nr_queues; j++)
		free(queues[j].tasks);
	free(queues);
	return err;
}
