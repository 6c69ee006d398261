// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Who is stuck behind whom. A task in the queue of a lock is behind its owner; and when that one is
 * a waiter, or behind a waiter itself, so are both. The queue of a wait is all of them.
 */
#include <errno.h>
#include <stdlib.h>

#include "model/graph.h"
#include "util/array.h"

enum { ENTRIES_MAX = 1 << 20 }; /* of all queues: in a deadlock each task is behind each */

/* Rows of one kind are next to each other in an index. */
struct index {
	const void *key;
	u32 row;
};

struct queues {
	struct linker *l;
	const struct wfg_task **keepers; /* of each sleeper, NULL none */
	struct index *behind;            /* sleepers by keeper */
	u32 nr_behind;
	struct index *on; /* sleepers by pipe */
	u32 nr_on;
	struct index *pipes; /* pipes by owner: row is that of the lock */
	u32 nr_pipes;
	u32 *seen;                  /* by task: number of the wait that has it in its queue */
	struct wfg_queued *entries; /* of all waits */
	u32 n;
	bool cut;
};

static int compare_index(const void *a, const void *b)
{
	const struct index *x = a, *y = b;
	int order = COMPARE((const char *)x->key, (const char *)y->key);

	return order ? order : COMPARE(x->row, y->row);
}

/* The first entry with the key; *end is behind the last. */
static u32 index_find(const struct index *v, u32 n, const void *key, u32 *end)
{
	u32 lo = 0, hi = n;

	while (lo < hi) {
		u32 mid = lo + (hi - lo) / 2;

		if ((const char *)v[mid].key < (const char *)key)
			lo = mid + 1;
		else
			hi = mid;
	}
	for (*end = lo; *end < n && v[*end].key == key;)
		++*end;
	return lo;
}

static int link_locks(struct linker *l)
{
	for (u32 i = 0; i < l->g->locks.n; i++) {
		struct wfg_lock *lock = table_row(&l->g->locks, i);
		const struct fact_releaser *from = lock->l.owners;

		lock->file = table_find(&l->g->files, lock->l.file);
		if (lock->l.file && !lock->file)
			l->dangling++;
		lock->l.owners = NULL;
		if (link_releasers(l, from, lock->l.nr_owners, &lock->owners, &lock->nr_owners))
			return -ENOMEM;
	}
	return 0;
}

static int compare_sleepers(const void *a, const void *b)
{
	const struct wfg_queued *x = a, *y = b;
	int order = COMPARE(x->task, y->task);

	/* where a task is told twice, the one that says who has the lock is kept */
	return order ? order : COMPARE(!x->behind, !y->behind);
}

/* One that has to let go of the lock first. */
static const struct wfg_task *owner_of(const struct wfg_lock *lock)
{
	if (lock->l.mode == MODE_READ)
		return lock->l.sure && lock->nr_owners ? lock->owners[0].task : NULL;
	return lock->l.mode == MODE_WRITE && lock->nr_owners == 1 ? lock->owners[0].task : NULL;
}

/* One sleeper; false when what it refers to never came. */
static bool resolve(struct linker *l, const struct fact_queued *q, struct wfg_queued *to)
{
	const struct wfg_wait *wait = q->wait ? table_find(&l->g->waits, q->wait) : NULL;
	const struct wfg_lock *on = q->on ? table_find(&l->g->locks, q->on) : NULL;
	const struct wfg_task *after = q->after ? table_find(&l->g->tasks, q->after) : NULL;

	*to = (struct wfg_queued){
		.task = table_find(&l->g->tasks, q->task),
		.lock = q->lock,
		.on = on,
		.shared = q->shared,
	};
	to->behind = after ? after : on && owner_of(on) ? owner_of(on) : wait ? wait->task : NULL;
	if (!to->task || (q->wait && !wait) || (q->on && !on) || (q->after && !after))
		l->dangling++;
	return to->task && (wait || on);
}

static int link_sleepers(struct linker *l)
{
	struct wfg *g = l->g;
	u32 n = 0, kept = 0;

	g->sleepers = arena_alloc(&g->arena, g->queued.n, sizeof(*g->sleepers));
	if (!g->sleepers)
		return -ENOMEM;
	for (u32 i = 0; i < g->queued.n; i++) {
		const struct queued_row *row = table_row(&g->queued, i);

		n += resolve(l, &row->q, &g->sleepers[n]);
	}
	qsort(g->sleepers, n, sizeof(*g->sleepers), compare_sleepers);
	for (u32 i = 0; i < n; i++)
		if (!kept || g->sleepers[kept - 1].task != g->sleepers[i].task)
			g->sleepers[kept++] = g->sleepers[i];
	g->nr_sleepers = kept;
	return 0;
}

/* Pipes by each of the tasks that could let their sleepers go on. */
static int index_pipes(struct queues *q)
{
	const struct wfg *g = q->l->g;

	for (u32 i = 0; i < g->locks.n; i++) {
		const struct wfg_lock *lock = table_row(&g->locks, i);

		for (u32 j = 0; lock->l.mode == MODE_PIPE && j < lock->nr_owners; j++) {
			if (array_grow(&q->pipes, q->nr_pipes, sizeof(*q->pipes)))
				return -ENOMEM;
			q->pipes[q->nr_pipes++] = (struct index){ lock->owners[j].task, i };
		}
	}
	return 0;
}

static int index_all(struct queues *q)
{
	const struct wfg *g = q->l->g;
	u32 n = g->nr_sleepers;

	q->behind = calloc(n + 1, sizeof(*q->behind));
	q->on = calloc(n + 1, sizeof(*q->on));
	q->seen = calloc(g->tasks.n + 1, sizeof(*q->seen));
	if (!q->behind || !q->on || !q->seen || index_pipes(q))
		return -ENOMEM;
	for (u32 i = 0; i < n; i++) {
		const struct wfg_queued *s = &g->sleepers[i];

		if (s->behind)
			q->behind[q->nr_behind++] = (struct index){ s->behind, i };
		else if (s->on && s->on->l.mode == MODE_PIPE)
			q->on[q->nr_on++] = (struct index){ s->on, i };
	}
	qsort(q->behind, q->nr_behind, sizeof(*q->behind), compare_index);
	qsort(q->on, q->nr_on, sizeof(*q->on), compare_index);
	if (q->nr_pipes)
		qsort(q->pipes, q->nr_pipes, sizeof(*q->pipes), compare_index);
	return 0;
}

static u32 *seen_of(struct queues *q, const struct wfg_task *task)
{
	return &q->seen[wfg_task_index(q->l->g, task)];
}

static int add_entry(struct queues *q, u32 row, u32 wait, u32 depth, const struct wfg_task *behind)
{
	const struct wfg_queued *s = &q->l->g->sleepers[row];

	if (*seen_of(q, s->task) == wait)
		return 0;
	if (q->n >= ENTRIES_MAX) {
		q->cut = true;
		return 0;
	}
	if (array_grow(&q->entries, q->n, sizeof(*q->entries)))
		return -ENOMEM;
	*seen_of(q, s->task) = wait;
	q->entries[q->n] = *s;
	q->entries[q->n].behind = behind;
	q->entries[q->n++].depth = depth;
	return 0;
}

/* Nobody is left who could let the sleepers of a pipe go on. */
static bool all_seen(struct queues *q, const struct wfg_lock *pipe, u32 wait)
{
	for (u32 i = 0; i < pipe->nr_owners; i++)
		if (*seen_of(q, pipe->owners[i].task) != wait ||
		    pipe->owners[i].task->t.threads != 1)
			return false;
	return pipe->nr_owners == pipe->l.nr_owners;
}

/* Adds who is directly behind a task. */
static int add_behind(struct queues *q, const struct wfg_task *task, u32 wait, u32 depth)
{
	u32 end, from = index_find(q->behind, q->nr_behind, task, &end);
	int err = 0;

	for (u32 i = from; i < end && !err; i++)
		err = add_entry(q, q->behind[i].row, wait, depth, task);
	from = index_find(q->pipes, q->nr_pipes, task, &end);
	for (u32 i = from; i < end && !err; i++) {
		const struct wfg_lock *pipe = table_row(&q->l->g->locks, q->pipes[i].row);
		u32 last, at = index_find(q->on, q->nr_on, pipe, &last);

		for (; all_seen(q, pipe, wait) && at < last && !err; at++)
			err = add_entry(q, q->on[at].row, wait, depth, task);
	}
	return err;
}

static int compare_entries(const void *a, const void *b)
{
	const struct wfg_queued *x = a, *y = b;

	return compare_asleep(&x->task->t, &y->task->t);
}

/* The entries of one wait, from *first on: breadth first. */
static int fill_queue(struct queues *q, const struct wfg_wait *w, u32 number, u32 *first)
{
	int err;

	*first = q->n;
	*seen_of(q, w->task) = number;
	err = add_behind(q, w->task, number, 0);
	for (u32 i = *first; i < q->n && !err; i++) {
		struct wfg_queued e = q->entries[i];

		err = add_behind(q, e.task, number, e.depth + 1);
	}
	if (q->n > *first)
		qsort(q->entries + *first, q->n - *first, sizeof(*q->entries), compare_entries);
	return err;
}

static int fill_queues(struct queues *q)
{
	struct wfg *g = q->l->g;
	u32 *first = calloc(g->waits.n + 1, sizeof(*first));
	struct wfg_queued *all;
	int err = first ? 0 : -ENOMEM;

	for (u32 i = 0; i < g->waits.n && !err; i++)
		err = fill_queue(q, table_row(&g->waits, i), i + 1, &first[i]);
	/* one more, as nothing cannot be allocated */
	all = err ? NULL : arena_alloc(&g->arena, q->n + 1, sizeof(*all));
	if (!all) {
		free(first);
		return -ENOMEM;
	}
	first[g->waits.n] = q->n;
	for (u32 i = 0; i < q->n; i++)
		all[i] = q->entries[i];
	for (u32 i = 0; i < g->waits.n; i++) {
		struct wfg_wait *w = table_row(&g->waits, i);

		w->nr_queued = first[i + 1] - first[i];
		w->queued = w->nr_queued ? all + first[i] : NULL;
	}
	free(first);
	return 0;
}

int link_queues(struct linker *l)
{
	struct fact_loss loss = { .kind = LOSS_LOST, .count = 1, .where = "queued tasks" };
	struct queues q = { .l = l };
	int err = link_locks(l);

	if (err || !l->g->queued.n)
		return err;
	err = link_sleepers(l);
	err = err ? err : index_all(&q);
	err = err ? err : fill_queues(&q);
	if (!err && q.cut)
		err = add_loss(l->g, &loss);
	free(q.behind);
	free(q.on);
	free(q.pipes);
	free(q.seen);
	free(q.entries);
	return err;
}
