// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* The shortest way from a task that is stuck, over others that are, back to itself. */
#include <errno.h>
#include <stdlib.h>

#include "diagnose/mechanism.h"
#include "diagnose/stuck_parts.h"
#include "diagnose/verdict.h"

struct search {
	struct stuck *s;
	u32 start, at; /* nodes */
	u32 left;      /* in the list behind at */
	u32 found;     /* the node whose next one is start; UINT32_MAX none yet */
	const struct wfg_hold *by;
};

static void go_to(struct search *q, u32 to, const struct wfg_hold *by)
{
	struct node *n = &q->s->nodes[to];

	if (!n->stuck || q->found != UINT32_MAX)
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

static void go_to_process(struct search *q, const struct wfg_task *task, const struct wfg_hold *by)
{
	const struct process *p = process_of(q->s, task);

	for (u32 i = 0; i < p->n; i++)
		go_to(q, q->s->members[p->first + i], by);
}

/* Of some holds one task decides, whatever others there are of its process. */
static bool is_of_task(const struct wfg_hold *h)
{
	return !h->server && (hold_is_call(h) || hold_is_lock(h));
}

static void follow_hold(struct search *q, const struct wfg_hold *h)
{
	bool readers = hold_is_unread(h) && has_reader(h);

	if (!hold_stuck(q->s, h))
		return;
	if (h->server) {
		go_to_process(q, h->server, h);
		return;
	}
	if (is_of_task(h)) {
		go_to(q, wfg_task_index(q->s->g, h->releasers[0].task), h);
		return;
	}
	for (u32 i = 0; i < h->nr_releasers; i++)
		if (!readers || may_read(&h->releasers[i]))
			go_to_process(q, h->releasers[i].task, h);
}

static void follow_lock(struct search *q, const struct wfg_queued *sleeps)
{
	const struct wfg_lock *lock = sleeps->on;

	if (sleeps->behind) {
		go_to(q, wfg_task_index(q->s->g, sleeps->behind), NULL);
		return;
	}
	for (u32 i = 0; lock && i < lock->nr_owners; i++) {
		if (lock->l.mode == MODE_PIPE)
			go_to_process(q, lock->owners[i].task, NULL);
		else
			go_to(q, wfg_task_index(q->s->g, lock->owners[i].task), NULL);
	}
}

static void follow(struct search *q)
{
	const struct node *n = &q->s->nodes[q->at];
	const struct wfg_wait *w = n->wait;

	for (u32 i = 0; w && wait_needs_holds(w) && i < w->nr_holds; i++)
		follow_hold(q, w->holds[i]);
	if (n->sleeps)
		follow_lock(q, n->sleeps);
}

/* Whether what the step says was seen, and the next task alone decides about it. */
static bool step_is_proven(const struct cycle_step *step, const struct wfg_task *next)
{
	const struct wfg_hold *h = step->hold;

	if (h)
		return h->h.confidence == CONF_EXACT && !(h->server && h->h.server_likely) &&
		       (is_of_task(h) || next->t.threads == 1);
	return step->sleeps->on && step->sleeps->on->l.mode == MODE_WRITE;
}

static int fill_cycle(const struct search *q, struct cycle *ret)
{
	const struct stuck *s = q->s;
	const struct wfg_hold *by = q->by;
	const struct wfg_task *next = wfg_task(s->g, q->start);
	u32 n = 1;

	for (u32 at = q->found; at != q->start; at = s->nodes[at].came_from)
		n++;
	ret->steps = calloc(n, sizeof(*ret->steps));
	if (!ret->steps)
		return -ENOMEM;
	ret->n = n;
	for (u32 at = q->found; n--; at = s->nodes[at].came_from) {
		struct cycle_step *step = &ret->steps[n];

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
	return 0;
}

int stuck_cycle(struct stuck *s, const struct wfg_wait *wait, struct cycle *ret)
{
	struct search q = { .s = s, .found = UINT32_MAX };

	*ret = (struct cycle){ .proven = s->proven };
	q.start = wfg_task_index(s->g, wait->task);
	if (!s->nodes[q.start].stuck)
		return 0;
	s->turn++;
	s->list[q.left++] = q.start;
	for (u32 i = 0; i < q.left && q.found == UINT32_MAX; i++) {
		q.at = s->list[i];
		follow(&q);
	}
	return q.found == UINT32_MAX ? 0 : fill_cycle(&q, ret);
}
