// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * At first everybody who sleeps for something that somebody else has is taken to be stuck. Then who
 * may go on after all is found out, starting with those who do not sleep: when a task may go on, so
 * may perhaps those who wait for it. Who is left waits in a circle, or behind one.
 */
#include "diagnose/stuck.h"

#include <errno.h>
#include <stdlib.h>

#include "diagnose/mechanism.h"
#include "diagnose/verdict.h"
#include "util/array.h"

/* When a task of process from may go on, task to is to be looked at again. */
struct edge {
	u32 from, to;
};

struct node {
	const struct wfg_wait *wait;
	const struct wfg_queued *sleeps;
	u32 process;
	bool stuck;
	bool listed;               /* to be looked at again */
	u32 turn;                  /* of the search that came here */
	u32 came_from;             /* the node before in that search */
	const struct wfg_hold *by; /* of the node before: what leads here; NULL its lock */
};

/* Tasks of one process: members[first] to members[first + n - 1]. */
struct process {
	u32 first, n;
	u32 stuck;   /* how many of them */
	u32 threads; /* that are alive; 0 unknown */
};

struct stuck {
	const struct wfg *g;
	bool proven;
	struct node *nodes; /* by wfg_task_index() */
	u32 n;
	u32 *members;
	struct process *processes;
	u32 nr_processes;
	struct edge *edges; /* by from */
	u32 nr_edges;
	u32 *list; /* nodes to be looked at: as many as there are */
	u32 turn;
};

static struct node *node_of(const struct stuck *s, const struct wfg_task *task)
{
	return &s->nodes[wfg_task_index(s->g, task)];
}

static struct process *process_of(const struct stuck *s, const struct wfg_task *task)
{
	return &s->processes[node_of(s, task)->process];
}

/* No thread of the process is left that could do anything. */
static bool process_stuck(const struct stuck *s, const struct wfg_task *task)
{
	const struct process *p = process_of(s, task);

	if (!s->proven)
		return p->stuck;
	/* an exiting task may have left the count of its group already */
	if (!p->threads)
		return p->n == 1 && p->stuck && task->t.exiting;
	return p->stuck >= p->threads;
}

static bool may_read(const struct wfg_releaser *r)
{
	return r->reads || r->receives || r->registered;
}

static bool has_reader(const struct wfg_hold *h)
{
	for (u32 i = 0; i < h->nr_releasers; i++)
		if (may_read(&h->releasers[i]))
			return true;
	return false;
}

/* Data goes when one of its readers reads; if there is none, when all have closed it. */
static bool unread_stuck(const struct stuck *s, const struct wfg_hold *h)
{
	bool readers = has_reader(h);

	for (u32 i = 0; i < h->nr_releasers; i++) {
		bool is = process_stuck(s, h->releasers[i].task);

		if (readers && may_read(&h->releasers[i]) && !is)
			return false;
		if (!readers && is)
			return true;
	}
	return readers;
}

static bool unmap_stuck(const struct stuck *s, const struct wfg_hold *h)
{
	for (u32 i = 0; i < h->nr_releasers; i++)
		if (process_stuck(s, h->releasers[i].task))
			return true;
	return false;
}

/* Whether tasks decide about the hold at all, and all of these are known. */
static bool hold_counts(const struct stuck *s, const struct wfg_hold *h)
{
	if (h->server)
		return h->h.confidence >= (s->proven ? CONF_EXACT : CONF_LIKELY);
	if (!h->nr_releasers || h->nr_releasers != h->h.nr_releasers)
		return false;
	return h->h.confidence >= (s->proven ? CONF_EXACT : CONF_LIKELY);
}

static bool hold_stuck(const struct stuck *s, const struct wfg_hold *h)
{
	if (!hold_counts(s, h))
		return false;
	if (h->server)
		return process_stuck(s, h->server);
	if (hold_is_unread(h))
		return unread_stuck(s, h);
	if (h->h.how == HOW_MAPPING)
		return unmap_stuck(s, h);
	return hold_is_call(h) && node_of(s, h->releasers[0].task)->stuck;
}

/* The lock is with tasks that are stuck. */
static bool lock_stuck(const struct stuck *s, const struct wfg_queued *q)
{
	const struct wfg_lock *lock = q->on;

	if (!lock || lock->l.mode == MODE_UNKNOWN)
		return !s->proven && q->behind && node_of(s, q->behind)->stuck;
	if (lock->l.mode == MODE_WRITE)
		return q->behind && node_of(s, q->behind)->stuck;
	/* who has taken it last may not be the only one, or have let go of it */
	if (lock->l.mode == MODE_READ)
		return !s->proven && lock->nr_owners && node_of(s, lock->owners[0].task)->stuck;
	for (u32 i = 0; i < lock->nr_owners; i++)
		if (!process_stuck(s, lock->owners[i].task))
			return false;
	return lock->nr_owners && lock->nr_owners == lock->l.nr_owners;
}

static bool page_stuck(const struct stuck *s, const struct wfg_wait *w)
{
	if (w->w.on != ON_PAGE || !w->page || !w->page->busy)
		return false;
	for (u32 i = 0; i < w->page->nr_holds; i++)
		if (hold_stuck(s, w->page->holds[i]))
			return true;
	return false;
}

static bool node_stuck(const struct stuck *s, const struct node *n)
{
	if (n->sleeps)
		return lock_stuck(s, n->sleeps);
	return n->wait && page_stuck(s, n->wait);
}

/* --- building */

static const struct stuck *sort_base; /* qsort() has no context argument in C11 */

static int compare_members(const void *a, const void *b)
{
	const struct fact_task *x = &wfg_task(sort_base->g, *(const u32 *)a)->t;
	const struct fact_task *y = &wfg_task(sort_base->g, *(const u32 *)b)->t;

	if (x->pid != y->pid)
		return x->pid < y->pid ? -1 : 1;
	return (x->tid > y->tid) - (x->tid < y->tid);
}

static int compare_edges(const void *a, const void *b)
{
	const struct edge *x = a, *y = b;

	return (x->from > y->from) - (x->from < y->from);
}

static void group_members(struct stuck *s)
{
	for (u32 i = 0; i < s->n; i++)
		s->members[i] = i;
	sort_base = s;
	if (s->n)
		qsort(s->members, s->n, sizeof(*s->members), compare_members);
	for (u32 i = 0; i < s->n; i++) {
		const struct fact_task *t = &wfg_task(s->g, s->members[i])->t;
		struct process *p;

		if (!i || wfg_task(s->g, s->members[i - 1])->t.pid != t->pid)
			s->processes[s->nr_processes++].first = i;
		p = &s->processes[s->nr_processes - 1];
		p->n++;
		if (t->threads > p->threads)
			p->threads = t->threads;
		s->nodes[s->members[i]].process = s->nr_processes - 1;
	}
}

static int add_edge(struct stuck *s, const struct wfg_task *from, u32 to)
{
	if (array_grow(&s->edges, s->nr_edges, sizeof(*s->edges)))
		return -ENOMEM;
	s->edges[s->nr_edges++] = (struct edge){ node_of(s, from)->process, to };
	return 0;
}

static int add_releasers(struct stuck *s, const struct wfg_releaser *r, u32 n, u32 to)
{
	int err = 0;

	for (u32 i = 0; i < n && !err; i++)
		err = add_edge(s, r[i].task, to);
	return err;
}

static int add_edges_of(struct stuck *s, u32 i)
{
	const struct node *n = &s->nodes[i];
	const struct wfg_page *page = !n->sleeps && n->wait ? n->wait->page : NULL;
	int err = 0;

	if (n->sleeps && n->sleeps->behind)
		err = add_edge(s, n->sleeps->behind, i);
	if (n->sleeps && n->sleeps->on && !err)
		err = add_releasers(s, n->sleeps->on->owners, n->sleeps->on->nr_owners, i);
	for (u32 h = 0; page && h < page->nr_holds && !err; h++)
		err = add_releasers(s, page->holds[h]->releasers, page->holds[h]->nr_releasers, i);
	for (u32 h = 0; page && h < page->nr_holds && !err; h++)
		err = page->holds[h]->server ? add_edge(s, page->holds[h]->server, i) : 0;
	return err;
}

/* First of all everybody who sleeps for something is taken to be stuck. */
static int build(struct stuck *s)
{
	int err = 0;

	for (size_t i = 0; i < wfg_nr_waits(s->g); i++)
		node_of(s, wfg_wait(s->g, i)->task)->wait = wfg_wait(s->g, i);
	for (size_t i = 0; i < wfg_nr_queued(s->g); i++)
		node_of(s, wfg_queued(s->g, i)->task)->sleeps = wfg_queued(s->g, i);
	group_members(s);
	for (u32 i = 0; i < s->n && !err; i++) {
		struct node *n = &s->nodes[i];

		if (!n->wait && !n->sleeps)
			continue;
		n->stuck = true;
		s->processes[n->process].stuck++;
		err = add_edges_of(s, i);
	}
	if (s->nr_edges)
		qsort(s->edges, s->nr_edges, sizeof(*s->edges), compare_edges);
	return err;
}

/* The first edge from a process. */
static u32 edges_from(const struct stuck *s, u32 process)
{
	u32 lo = 0, hi = s->nr_edges;

	while (lo < hi) {
		u32 mid = lo + (hi - lo) / 2;

		if (s->edges[mid].from < process)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

/* Who may go on lets others go on. Each is listed at most once at a time. */
static void free_all(struct stuck *s)
{
	u32 head = 0, left = 0;

	for (u32 i = 0; i < s->n; i++) {
		s->nodes[i].listed = s->nodes[i].stuck;
		if (s->nodes[i].stuck)
			s->list[left++] = i;
	}
	for (; left; left--) {
		u32 at = s->list[head];
		struct node *n = &s->nodes[at];

		head = (head + 1) % s->n;
		n->listed = false;
		if (!n->stuck || node_stuck(s, n))
			continue;
		n->stuck = false;
		s->processes[n->process].stuck--;
		for (u32 e = edges_from(s, n->process);
		     e < s->nr_edges && s->edges[e].from == n->process; e++) {
			struct node *to = &s->nodes[s->edges[e].to];

			if (!to->stuck || to->listed)
				continue;
			to->listed = true;
			/* its own place is free by now, or behind the others */
			s->list[(head + left++ - 1) % s->n] = s->edges[e].to;
		}
	}
}

struct stuck *stuck_new(const struct wfg *g, bool proven)
{
	struct stuck *s = calloc(1, sizeof(*s));

	if (!s)
		return NULL;
	s->g = g;
	s->proven = proven;
	s->n = wfg_nr_tasks(g);
	s->nodes = calloc(s->n + 1, sizeof(*s->nodes));
	s->members = calloc(s->n + 1, sizeof(*s->members));
	s->processes = calloc(s->n + 1, sizeof(*s->processes));
	s->list = calloc(s->n + 1, sizeof(*s->list));
	if (!s->nodes || !s->members || !s->processes || !s->list || build(s)) {
		stuck_free(s);
		return NULL;
	}
	free_all(s);
	return s;
}

void stuck_free(struct stuck *s)
{
	if (!s)
		return;
	free(s->nodes);
	free(s->members);
	free(s->processes);
	free(s->edges);
	free(s->list);
	free(s);
}

bool stuck_is(const struct stuck *s, const struct wfg_task *task)
{
	return node_of(s, task)->stuck;
}

/* --- circles */

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

static void follow_hold(struct search *q, const struct wfg_hold *h)
{
	bool readers = hold_is_unread(h) && has_reader(h);

	if (!hold_stuck(q->s, h))
		return;
	if (h->server) {
		go_to_process(q, h->server, h);
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
	const struct wfg_page *page = n->wait ? n->wait->page : NULL;

	if (n->sleeps) {
		follow_lock(q, n->sleeps);
		return;
	}
	for (u32 i = 0; page && i < page->nr_holds; i++)
		follow_hold(q, page->holds[i]);
}

/* Whether what the step says was seen, and the next task alone decides about it. */
static bool step_is_proven(const struct cycle_step *step, const struct wfg_task *next)
{
	if (step->hold)
		return step->hold->h.confidence == CONF_EXACT &&
		       (hold_is_call(step->hold) || next->t.threads == 1);
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
