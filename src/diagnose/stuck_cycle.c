// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * The shortest way from a task that is stuck, over others that are, back to itself. Most are in no
 * circle but behind one: these are sorted out first, so that nobody looks for a way that is not
 * there.
 */
#include <errno.h>
#include <stdlib.h>

#include "diagnose/mechanism.h"
#include "diagnose/stuck_parts.h"
#include "diagnose/verdict.h"

/* Of some holds one task decides, whatever others there are of its process. */
static bool is_of_task(const struct wfg_hold *h)
{
	return !h->server && (hold_is_call(h) || hold_is_lock(h));
}

/* Whom a node waits for: this task, or of its process any that is stuck. by NULL: for a lock. */
typedef void (*next_fn)(void *arg, const struct wfg_task *task, bool any,
			const struct wfg_hold *by);

static void follow_hold(const struct stuck *s, const struct wfg_hold *h, next_fn fn, void *arg)
{
	bool readers = hold_is_unread(h) && has_reader(h);

	if (!hold_stuck(s, h))
		return;
	if (h->server) {
		fn(arg, h->server, true, h);
		return;
	}
	for (u32 i = 0; i < h->nr_releasers; i++)
		if (!readers || may_read(&h->releasers[i]))
			fn(arg, h->releasers[i].task, !is_of_task(h), h);
}

static void follow_lock(const struct wfg_queued *sleeps, next_fn fn, void *arg)
{
	const struct wfg_lock *lock = sleeps->on;

	if (sleeps->behind) {
		fn(arg, sleeps->behind, false, NULL);
		return;
	}
	for (u32 i = 0; lock && i < lock->nr_owners; i++)
		fn(arg, lock->owners[i].task, lock->l.mode == MODE_PIPE, NULL);
}

static void follow(const struct stuck *s, const struct node *n, next_fn fn, void *arg)
{
	const struct wfg_wait *w = n->wait;

	for (u32 i = 0; w && wait_needs_holds(w) && i < w->nr_holds; i++)
		follow_hold(s, w->holds[i], fn, arg);
	if (n->sleeps && lock_stuck(s, n->sleeps))
		follow_lock(n->sleeps, fn, arg);
}

/* --- who is in no circle for nobody waits for it who could be */

struct trim {
	struct stuck *s;
	u32 left; /* in the list */
};

static void count_awaited(void *arg, const struct wfg_task *task, bool any,
			  const struct wfg_hold *by)
{
	const struct stuck *s = arg;

	(void)by;
	if (any)
		process_of(s, task)->awaited++;
	else
		node_of(s, task)->awaited++;
}

static void trim_if_unawaited(struct trim *t, u32 at)
{
	struct node *n = &t->s->nodes[at];

	if (!n->circles || n->awaited || t->s->processes[n->process].awaited)
		return;
	n->circles = false;
	t->s->list[t->left++] = at;
}

static void await_no_more(void *arg, const struct wfg_task *task, bool any,
			  const struct wfg_hold *by)
{
	struct trim *t = arg;
	struct process *p = process_of(t->s, task);

	(void)by;
	if (any)
		p->awaited--;
	else
		node_of(t->s, task)->awaited--;
	if (!any)
		trim_if_unawaited(t, wfg_task_index(t->s->g, task));
	for (u32 i = 0; any && !p->awaited && i < p->n; i++)
		trim_if_unawaited(t, t->s->members[p->first + i]);
}

void stuck_trim(struct stuck *s)
{
	struct trim t = { .s = s };

	for (u32 i = 0; i < s->n; i++) {
		s->nodes[i].circles = s->nodes[i].stuck;
		if (s->nodes[i].stuck)
			follow(s, &s->nodes[i], count_awaited, s);
	}
	for (u32 i = 0; i < s->n; i++)
		trim_if_unawaited(&t, i);
	for (u32 i = 0; i < t.left; i++)
		follow(s, &s->nodes[s->list[i]], await_no_more, &t);
}

/* --- the way round */

struct search {
	struct stuck *s;
	u32 start, at; /* nodes */
	u32 left;      /* in the list behind at */
	u32 found;     /* the node whose next one is start; UINT32_MAX none yet */
	u32 next;      /* of at; UINT32_MAX none yet */
	bool forks;    /* a node has more than one next */
	const struct wfg_hold *by;
};

static void go_to(struct search *q, u32 to, const struct wfg_hold *by)
{
	struct node *n = &q->s->nodes[to];

	if (!n->circles)
		return;
	q->forks |= q->next != UINT32_MAX && q->next != to;
	q->next = to;
	if (q->found != UINT32_MAX)
		return;
	if (to == q->start) {
		/* what holds itself up is no circle of several */
		if (q->at != q->start) {
			q->found = q->at;
			q->by = by;
		}
		return;
	}
	if (n->turn == q->s->turn)
		return;
	n->turn = q->s->turn;
	n->came_from = q->at;
	n->by = by;
	q->s->list[q->left++] = to;
}

static void go_on(void *arg, const struct wfg_task *task, bool any, const struct wfg_hold *by)
{
	struct search *q = arg;
	const struct process *p = process_of(q->s, task);

	if (!any)
		go_to(q, wfg_task_index(q->s->g, task), by);
	for (u32 i = 0; any && i < p->n; i++)
		go_to(q, q->s->members[p->first + i], by);
}

/* Whether what the step says was seen, and the next task alone decides about it. */
static bool step_is_proven(const struct cycle_step *step, const struct wfg_task *next)
{
	const struct wfg_hold *h = step->hold;

	if (h)
		return h->h.confidence == CONF_EXACT && !(h->server && h->h.server_likely) &&
		       (is_of_task(h) || next->t.threads == 1);
	return step->sleeps->on &&
	       (step->sleeps->on->l.mode == MODE_WRITE ||
		(step->sleeps->on->l.mode == MODE_READ && step->sleeps->behind));
}

/* The steps twice in a row are a circle from wherever one starts. */
static void share_cycle(struct stuck *s, struct cycle *c)
{
	for (u32 i = 0; i < c->n; i++) {
		struct node *node = node_of(s, c->steps[i].task);

		c->own[c->n + i] = c->own[i];
		node->only = c;
		node->at = i;
	}
}

static int fill_cycle(const struct search *q, struct cycle *ret)
{
	struct stuck *s = q->s;
	const struct wfg_hold *by = q->by;
	const struct wfg_task *next = wfg_task(s->g, q->start);
	u32 n = 1;

	for (u32 at = q->found; at != q->start; at = s->nodes[at].came_from)
		n++;
	ret->own = calloc(q->forks ? n : 2 * (size_t)n, sizeof(*ret->own));
	if (!ret->own)
		return -ENOMEM;
	ret->steps = ret->own;
	ret->n = n;
	for (u32 at = q->found; n--; at = s->nodes[at].came_from) {
		struct cycle_step *step = &ret->own[n];

		*step = (struct cycle_step){
			.task = wfg_task(s->g, at),
			.wait = s->nodes[at].wait,
			.sleeps = s->nodes[at].sleeps,
			.hold = by,
		};
		step->proven = s->proven || step_is_proven(step, next);
		by = s->nodes[at].by;
		next = step->task;
	}
	if (!q->forks)
		share_cycle(s, ret);
	return 0;
}

int stuck_cycle(struct stuck *s, const struct wfg_wait *wait, struct cycle *ret)
{
	struct search q = { .s = s, .found = UINT32_MAX };

	*ret = (struct cycle){ .proven = s->proven, .of = wait };
	q.start = wfg_task_index(s->g, wait->task);
	if (!s->nodes[q.start].circles)
		return 0;
	if (s->nodes[q.start].only) {
		*ret = *s->nodes[q.start].only;
		ret->steps += s->nodes[q.start].at;
		ret->own = NULL;
		return 0;
	}
	s->turn++;
	s->list[q.left++] = q.start;
	for (u32 i = 0; i < q.left && q.found == UINT32_MAX; i++) {
		q.at = s->list[i];
		q.next = UINT32_MAX;
		follow(s, &s->nodes[q.at], go_on, &q);
	}
	return q.found == UINT32_MAX ? 0 : fill_cycle(&q, ret);
}
