// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Waits that come to an end between two looks. */
#include <string.h>

#include "model/graph.h"

static bool same_wait(const struct wfg_wait *a, const struct wfg_wait *b)
{
	u64 a_file = a->file ? a->file->f.id : 0, b_file = b->file ? b->file->f.id : 0;

	if (a->w.began_ns && b->w.began_ns && a->w.began_ns != b->w.began_ns)
		return false;
	/* a task_struct may be used again for another task */
	return a->task->t.start_ns == b->task->t.start_ns && a->w.op == b->w.op && a_file == b_file;
}

bool wfg_still_waits(const struct wfg *g, const struct wfg_wait *w)
{
	const struct wfg_wait *again = table_find(&g->waits, w->w.task);

	return again && same_wait(w, again);
}

static u64 time_between(const struct wfg *before, const struct wfg *now)
{
	u64 from = before->session.mono_ns, to = now->session.mono_ns;

	return to > from ? to - from : 0;
}

/* How long it is known to have waited at the time of its look. */
static u64 waited(const struct wfg *g, const struct wfg_wait *w)
{
	u64 asleep = w->age_ns, now = g->session.mono_ns;
	u64 known = w->since_ns && w->since_ns < now ? now - w->since_ns : 0;

	if (asleep == FACT_UNKNOWN)
		return known ? known : asleep;
	return known > asleep ? known : asleep;
}

/* One operation may sleep for several pages in turn: it began when it first slept. */
static void carry_start(const struct wfg *before, const struct wfg_wait *w, struct wfg *now)
{
	struct wfg_wait *again = table_find(&now->waits, w->w.task);
	u64 waited_ns = waited(before, w);

	if (waited_ns < before->session.mono_ns)
		again->since_ns = before->session.mono_ns - waited_ns;
	again->moves = w->moves + (w->w.page && again->w.page && w->w.page != again->w.page);
}

void wfg_carry_on(const struct wfg *before, struct wfg *now)
{
	for (u32 i = 0; i < before->waits.n; i++) {
		const struct wfg_wait *w = table_row(&before->waits, i);

		if (wfg_still_waits(now, w))
			carry_start(before, w, now);
	}
}

static struct fact end_of(const struct wfg *g, const struct wfg_wait *w, u64 unseen_ns)
{
	const struct fact_task *t = &w->task->t;
	struct fact f = { .type = FACT_END, .seen = w->seen };

	f.end = (struct fact_end){
		.task = w->w.task,
		.pid = t->pid,
		.tid = t->tid,
		.op = w->w.op,
		.path = w->file ? w->file->f.path : NULL,
		.waited_ns = waited(g, w),
		.unseen_ns = unseen_ns,
		.trigger = w->w.trigger,
		.began_ns = w->w.began_ns,
		.pages = w->w.pages,
	};

	if (w->file) {
		f.end.dev_major = w->file->f.dev_major;
		f.end.dev_minor = w->file->f.dev_minor;
		f.end.ino = w->file->f.ino;
	}
	memcpy(f.end.comm, t->comm, sizeof(t->comm));
	return f;
}

int wfg_tell_ends(const struct wfg *before, struct wfg *now, fact_sink_fn sink, void *arg)
{
	u64 between = time_between(before, now);
	int err = 0;

	for (u32 i = 0; i < before->waits.n && !now->nr_losses && !err; i++) {
		const struct wfg_wait *w = table_row(&before->waits, i);
		struct fact f = end_of(before, w, between);

		if (wfg_still_waits(now, w))
			carry_start(before, w, now);
		else
			err = sink(arg, &f);
	}
	return err;
}
