// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * The hooks know when a wait began and how it ended; the snapshot knows what it waits for and why.
 * A wait that was there before the hooks is handed to them, so that they see it end. One that the
 * snapshot misses, because its task spins or was awake just then, is told all the same. A wait that
 * left no trace of its end (a probe was missed, its task was killed by an oops) is given up after a
 * while.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "collect/task_flags.h"
#include "collect/trace.h"
#include "collect/ustack.h"
#include "util/clock.h"

enum {
	MISSED_MAX = 2, /* looks that did not find a wait before it is given up */
	SPINS_MIN = 20, /* looks at a page in a second: nobody who sleeps is woken as often */
	USTACKS_MAX = 8,
};

static struct kwait *wait_of(struct snap *s, u64 task)
{
	for (u32 i = 0; i < s->nr_waits; i++)
		if (s->waits[i].task == task)
			return &s->waits[i];
	return NULL;
}

static const struct trace_wait *live_of(const struct trace *t, u64 task)
{
	for (u32 i = 0; i < t->nr_live; i++)
		if (t->live_tasks[i] == task)
			return &t->live[i];
	return NULL;
}

static void learn_path(struct snap *s, struct traced *w, u64 inode)
{
	struct fact_file f;

	if (!w->path && inode && !file_read(s, inode, &f) && f.path)
		w->path = strdup(f.path);
}

/* Frames that outlive the look, in one piece of memory; unchanged without that. */
static void keep_frames(struct fact_stack *ret, const struct fact_stack *from)
{
	size_t len = from->n * sizeof(*from->frames);
	const char **frames;
	char *text;

	for (u32 i = 0; i < from->n; i++)
		len += strlen(from->frames[i]) + 1;
	frames = from->n ? malloc(len) : NULL;
	if (!frames)
		return;
	text = (char *)(frames + from->n);
	for (u32 i = 0; i < from->n; i++) {
		frames[i] = text;
		text = stpcpy(text, from->frames[i]) + 1;
	}
	*ret = (struct fact_stack){ .frames = frames, .n = from->n };
}

/* While it sleeps: when it has ended, its program may be gone, and the names with it. */
static void learn_ustack(struct snap *s, struct traced *w, struct ktask *task)
{
	struct fact_stack stack;

	ustack_read(s, task, &stack);
	keep_frames(&w->ustack, &stack);
}

/* A look found it: that tells more than its beginning. */
static void note_seen(struct snap *s, struct traced *w, const struct kwait *k)
{
	struct ktask *task = task_find(s, k->task);

	w->missed = 0;
	if (w->seen || !task)
		return;
	w->seen = true;
	w->op = k->spins || k->traced ? k->op : op_of(s, task);
	learn_path(s, w, k->inode);
	if (s->opts->user_stacks)
		learn_ustack(s, w, task);
}

/* Whether its task looked at one page again and again, since the last look or its beginning. */
static bool spins(struct traced *w, const struct trace_wait *l)
{
	u64 scans = l->scans - w->scans, ns = l->last_ns - (w->at_ns ? w->at_ns : l->begin_ns);

	w->scans = l->scans;
	w->at_ns = l->last_ns;
	return scans > SPINS_MIN && scans > SPINS_MIN * ns / NSEC_PER_SEC;
}

/* Its hooks see it from now on; when it began they cannot know. */
static int hand_over(struct snap *s, struct trace *t, const struct kwait *k)
{
	const struct kpage *page = page_find(s, k->page);
	struct ktask *task = task_find(s, k->task);
	u64 asleep = task ? task_asleep_ns(s, task) : FACT_UNKNOWN;
	u64 look = s->k->time.mono_ns; /* it had slept so long then, maybe seconds ago */
	struct trace_wait l = { .flags = TRACE_SEEDED, .last_ns = clock_now(), .page = k->page };
	struct traced *w;

	if (!task || !page || !k->inode || k->on != ON_PAGE)
		return 0;
	l.begin_ns = asleep != FACT_UNKNOWN && asleep < look ? look - asleep : look;
	l.start_ns = task->r.start_ns;
	l.pages = l.scans = 1;
	l.mapping = page->mapping ? page->mapping : kmem_at(s->k, k->inode, KF_INODE_DATA);
	w = trace_add(t, k->task, l.begin_ns);
	if (!w)
		return -ENOMEM;
	w->goes_on = true;
	note_seen(s, w, k);
	trace_learn(t, k->task, &l);
	return 0;
}

/* Whether the hooks have seen it end since the look began. */
static bool has_just_ended(struct snap *s, const struct trace *t, u64 task)
{
	for (u32 i = 0; i < t->nr_waits; i++)
		if (t->waits[i].task == task && t->waits[i].ended &&
		    t->waits[i].end.now_ns >= s->k->time.mono_ns)
			return true;
	return false;
}

static int join_wait(struct snap *s, struct trace *t, struct kwait *k)
{
	const struct trace_wait *l = live_of(t, k->task);
	struct traced *w = l ? trace_find(t, k->task, l->begin_ns) : NULL;

	if (!w)
		return has_just_ended(s, t, k->task) ? 0 : hand_over(s, t, k);
	k->began_ns = l->flags & TRACE_SEEDED ? 0 : l->begin_ns;
	k->pages = l->pages;
	note_seen(s, w, k);
	return 0;
}

/* The snapshot does not have it, so it is told here. 0 or -ENOMEM. */
static int add_wait(struct snap *s, struct trace *t, struct traced *w, const struct trace_wait *l)
{
	struct kwait k = { .task = w->task, .on = ON_PAGE, .traced = true };
	struct ktask task;

	k.spins = spins(w, l);
	k.began_ns = l->begin_ns;
	k.pages = l->pages;
	if (kmem_get(s->k, l->mapping, KF_MAPPING_HOST, &k.inode) || !file_is_dax(s, k.inode) ||
	    waits_add_page(s, l->page, &k.page))
		return 0;
	trace_task(s, t, &w->rec, &task);
	k.op = op_of(s, &task);
	note_seen(s, w, &k);
	return waits_add(s, k);
}

static void give_up(struct trace *t, struct traced *w, const struct trace_wait *l)
{
	trace_forget(t, w->task);
	w->goes_on = false;
	if (!l->left_ns)
		return;
	w->ended = true;
	w->end = w->began ? w->rec.h : (struct trace_head){ .task = w->task };
	w->end.now_ns = l->left_ns;
	w->end.pages = l->pages;
	w->end.result = -512; /* ERESTARTSYS, which is no errno of user space */
}

/* A task stops on its way to user space: a wait of before is over, if no hook saw that either. */
static bool has_stopped(const struct snap *s, const struct ktask *task, const struct trace_wait *l)
{
	return task->r.state & (TASK_STOPPED | TASK_TRACED) && l->last_ns < s->k->time.mono_ns;
}

static bool may_wait(struct snap *s, const struct traced *w, const struct trace_wait *l)
{
	const struct ktask *task = task_find(s, w->task);

	return task && task->r.start_ns == l->start_ns && !has_stopped(s, task, l);
}

/* One that the hooks have and the snapshot has not. */
static int judge_missing(struct snap *s, struct trace *t, struct traced *w,
			 const struct trace_wait *l)
{
	u64 now = t->read_ns;
	bool recent = now < l->last_ns + NSEC_PER_SEC &&
		      (!l->left_ns || now < l->left_ns + NSEC_PER_SEC);

	if (w->ended)
		return 0;
	if (l->flags & TRACE_SEEDED || !may_wait(s, w, l)) {
		give_up(t, w, l);
		return 0;
	}
	/* one that has begun since is seen by the next look */
	if (recent)
		return l->begin_ns < s->k->time.mono_ns ? add_wait(s, t, w, l) : 0;
	if (l->left_ns || ++w->missed >= MISSED_MAX)
		give_up(t, w, l);
	return 0;
}

/* Each that the kernel has gets its place among those we know. 0 or -ENOMEM. */
static int note_live(struct trace *t)
{
	for (u32 i = 0; i < t->nr_waits; i++)
		t->waits[i].goes_on = false;
	for (u32 i = 0; i < t->nr_live; i++) {
		struct traced *w = trace_find(t, t->live_tasks[i], t->live[i].begin_ns);

		if (!w)
			w = trace_add(t, t->live_tasks[i], t->live[i].begin_ns);
		if (!w)
			return -ENOMEM;
		w->goes_on = true;
	}
	return 0;
}

int trace_join(struct snap *s, struct trace *t)
{
	int err = trace_read(s, t);

	err = err ? err : note_live(t);
	for (u32 i = 0; i < s->nr_waits && !err; i++)
		err = join_wait(s, t, &s->waits[i]);
	for (u32 i = 0; i < t->nr_live && !err; i++) {
		struct traced *w = trace_find(t, t->live_tasks[i], t->live[i].begin_ns);

		if (w && !wait_of(s, w->task))
			err = judge_missing(s, t, w, &t->live[i]);
	}
	return err;
}

static enum fact_result result_of(s32 result)
{
	/* include/linux/errno.h: ERESTARTSYS and what follows ask for the call to be made again */
	if (result == -EINTR || (result <= -512 && result >= -516))
		return RESULT_INTERRUPTED;
	return result ? RESULT_FAILED : RESULT_DONE;
}

/* To name addresses takes some milliseconds: only as many in a look as a reader wants to see. */
static void name_ustack(struct snap *s, struct trace *t, const struct traced *w,
			struct fact_stack *ret)
{
	u32 n = w->rec.nr_ustack < TRACE_STACK_DEPTH ? w->rec.nr_ustack : TRACE_STACK_DEPTH;
	struct ktask *task = task_find(s, w->task);

	if (!n)
		ret->why_missing = "it has no user stack";
	else if (!task || task->r.start_ns != w->rec.h.start_ns || task->r.mm != w->rec.mm)
		ret->why_missing = "its program was gone before a look";
	else if (t->ustacks_named++ >= USTACKS_MAX)
		ret->why_missing = "too many waits ended in this look";
	else
		ustack_name(s, task, w->rec.ustack, n, ret);
}

static void fill_stacks(struct snap *s, struct trace *t, const struct traced *w,
			const struct ktask *task, struct fact_end *e)
{
	e->kstack.frames = task->frames;
	e->kstack.n = task->r.nr_stack;
	if (!w->began)
		e->kstack.why_missing = "it was not kept";
	if (w->ustack.n)
		e->ustack = w->ustack;
	else if (!w->began)
		e->ustack.why_missing = "it was not kept";
	else if (s->opts->user_stacks)
		name_ustack(s, t, w, &e->ustack);
}

/* It is over, and the record of that was lost. */
static void add_unknown_end(const struct snap *s, struct fact_end *e, u64 begin_ns)
{
	e->waited_ns = 0;
	e->unseen_ns = s->k->time.mono_ns - begin_ns;
	e->result = RESULT_UNKNOWN;
	e->ended_ns = 0;
}

static void tell_end(struct snap *s, struct trace *t, const struct traced *w)
{
	const struct trace_head *h = w->ended ? &w->end : &w->rec.h;
	struct fact f = { .type = FACT_END, .seen = SEEN_TRACE };
	struct ktask task = { .r = { 0 } };
	struct op op = w->op;

	if (w->began)
		trace_task(s, t, &w->rec, &task);
	if (!w->seen)
		op = op_of(s, &task);
	f.end = (struct fact_end){
		.task = w->task,
		.pid = h->tgid,
		.tid = h->tid,
		.op = op.op,
		.trigger = op.trigger,
		.waited_ns = h->now_ns - w->begin_ns,
		.result = result_of(h->result),
		.began_ns = h->flags & TRACE_SEEDED ? 0 : w->begin_ns,
		.ended_ns = h->now_ns,
		.pages = h->pages,
		.dev_major = TRACE_MAJOR(h->dev),
		.dev_minor = TRACE_MINOR(h->dev),
		.ino = h->ino,
	};
	if (!w->ended)
		add_unknown_end(s, &f.end, w->begin_ns);
	memcpy(f.end.comm, h->comm, sizeof(h->comm));
	f.end.path = w->path ? w->path : trace_path(s, h);
	if (!trace_in_scope(s, h))
		return;
	fill_stacks(s, t, w, &task, &f.end);
	snap_emit(s, &f);
}

/* This look tells it as a wait, so the next one tells its end. */
static bool is_told_as_wait(struct snap *s, const struct trace *t, const struct traced *w)
{
	return wait_of(s, w->task) && (w->goes_on || !live_of(t, w->task));
}

/* It has begun before the look, and the kernel does not have it any more. */
static bool has_vanished(const struct snap *s, const struct traced *w)
{
	return w->began && !w->goes_on && w->begin_ns < s->k->time.mono_ns;
}

void trace_tell_ends(struct snap *s, struct trace *t)
{
	u32 kept = 0;

	t->ustacks_named = 0;
	for (u32 i = 0; i < t->nr_waits && !s->err; i++) {
		struct traced *w = &t->waits[i];
		bool over = w->ended ? !is_told_as_wait(s, t, w) : has_vanished(s, w);

		if (over)
			tell_end(s, t, w);
		w->told = over || (!w->ended && !w->goes_on && !w->began);
	}
	for (u32 i = 0; i < t->nr_waits; i++) {
		if (t->waits[i].told)
			trace_drop(&t->waits[i]);
		else
			t->waits[kept++] = t->waits[i];
	}
	t->nr_waits = kept;
}
