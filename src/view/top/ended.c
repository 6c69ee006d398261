// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "view/top/ended.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "util/array.h"

#define SECOND 1000000000ULL

u64 ended_bucket_ns(u32 bucket)
{
	static const u64 bounds[ENDED_BUCKETS] = {
		1 * SECOND,   5 * SECOND,    15 * SECOND,  60 * SECOND,
		300 * SECOND, 1800 * SECOND, FACT_UNKNOWN,
	};

	return bounds[bucket];
}

static struct ended_wait *find(struct ended *e, const struct wfg_wait *w)
{
	for (u32 i = 0; i < e->nr_now; i++) {
		struct ended_wait *n = &e->now[i];

		if (n->task == w->w.task && n->start_ns == w->task->t.start_ns &&
		    n->file == w->w.file && n->op == w->w.op)
			return n;
	}
	return NULL;
}

/* The end of a path tells more than its start. */
static void keep_path(struct ended_wait *n, const struct wfg_file *file)
{
	const char *path = file && file->f.path ? file->f.path : "";
	size_t len = strlen(path);

	snprintf(n->path, sizeof(n->path), "%s",
		 len < sizeof(n->path) ? path : path + len - sizeof(n->path) + 1);
}

static struct ended_wait *add(struct ended *e, const struct wfg_wait *w)
{
	struct ended_wait *n;

	if (e->nr_now == e->cap) {
		if (array_grow(&e->now, e->cap, sizeof(*e->now)))
			return NULL;
		e->cap = e->cap ? e->cap * 2 : 1;
	}
	n = &e->now[e->nr_now++];
	*n = (struct ended_wait){
		.task = w->w.task,
		.start_ns = w->task->t.start_ns,
		.file = w->w.file,
		.pid = w->task->t.pid,
		.op = w->w.op,
		.since_ns = FACT_UNKNOWN,
	};
	memcpy(n->comm, w->task->t.comm, sizeof(n->comm));
	keep_path(n, w->file);
	return n;
}

/* One operation may sleep for several pages in turn: it began when it first slept. */
static void see(struct ended_wait *n, const struct wfg_wait *w, u64 mono_ns)
{
	u64 asleep = w->task->t.asleep_ns;
	u64 since = asleep <= mono_ns ? mono_ns - asleep : mono_ns;

	n->there = true;
	if (since < n->since_ns)
		n->since_ns = since;
	n->lasted_ns = mono_ns - n->since_ns;
}

static void end(struct ended *e, struct ended_wait *n, s64 now_sec)
{
	u32 bucket = 0;

	n->ended_sec = now_sec;
	e->last[e->count++ % ENDED_KEPT] = *n;
	if (n->lasted_ns > e->longest_ns)
		e->longest_ns = n->lasted_ns;
	while (n->lasted_ns >= ended_bucket_ns(bucket))
		bucket++;
	e->histogram[bucket]++;
}

int ended_update(struct ended *e, const struct wfg *g)
{
	const struct fact_session *s = wfg_session(g);
	bool whole = !wfg_losses(g, LOSS_LOST) && !wfg_losses(g, LOSS_TORN);
	u32 kept = 0;

	for (u32 i = 0; i < e->nr_now; i++)
		e->now[i].there = false;
	for (size_t i = 0; i < wfg_nr_waits(g); i++) {
		const struct wfg_wait *w = wfg_wait(g, i);
		struct ended_wait *n = find(e, w);

		n = n ? n : add(e, w);
		if (!n)
			return -ENOMEM;
		see(n, w, s->mono_ns);
	}
	for (u32 i = 0; i < e->nr_now; i++) {
		/* where something was lost, what is missing may be there all the same */
		if (e->now[i].there || !whole)
			e->now[kept++] = e->now[i];
		else
			end(e, &e->now[i], s->time_sec);
	}
	e->nr_now = kept;
	return 0;
}

void ended_free(struct ended *e)
{
	free(e->now);
	*e = (struct ended){ 0 };
}

u32 ended_kept(const struct ended *e)
{
	return e->count < ENDED_KEPT ? e->count : ENDED_KEPT;
}

const struct ended_wait *ended_wait(const struct ended *e, u32 i)
{
	return &e->last[(e->count - 1 - i) % ENDED_KEPT];
}
