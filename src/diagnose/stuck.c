// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * At first everybody who sleeps for something that somebody else has is taken to be stuck. Then who
 * may go on after all is found out, starting with those who do not sleep: when a task may go on, so
 * may perhaps those who wait for it. Who is left waits in a circle, or behind one.
 */
#include <stdlib.h>

#include "diagnose/mechanism.h"
#include "diagnose/stuck_parts.h"
#include "diagnose/verdict.h"

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

bool may_read(const struct wfg_releaser *r)
{
	return r->reads || r->receives || r->registered;
}

bool has_reader(const struct wfg_hold *h)
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
	if (h->server && h->h.server_likely && s->proven)
		return false;
	if (!h->server && (!h->nr_releasers || h->nr_releasers != h->h.nr_releasers))
		return false;
	return h->h.confidence >= (s->proven ? CONF_EXACT : CONF_LIKELY);
}

bool hold_stuck(const struct stuck *s, const struct wfg_hold *h)
{
	if (!hold_counts(s, h))
		return false;
	if (h->server)
		return process_stuck(s, h->server);
	if (hold_is_unread(h))
		return unread_stuck(s, h);
	if (h->h.how == HOW_MAPPING)
		return unmap_stuck(s, h);
	return (hold_is_call(h) || hold_is_lock(h)) && node_of(s, h->releasers[0].task)->stuck;
}

bool lock_stuck(const struct stuck *s, const struct wfg_queued *q)
{
	const struct wfg_lock *lock = q->on;

	if (!lock || lock->l.mode == MODE_UNKNOWN)
		return !s->proven && q->behind && node_of(s, q->behind)->stuck;
	if (lock->l.mode == MODE_WRITE || (lock->l.mode == MODE_READ && q->behind))
		return q->behind && node_of(s, q->behind)->stuck;
	/* who has taken it last may not be the only one, or have let go of it */
	if (lock->l.mode == MODE_READ)
		return !s->proven && lock->nr_owners && node_of(s, lock->owners[0].task)->stuck;
	for (u32 i = 0; i < lock->nr_owners; i++)
		if (!process_stuck(s, lock->owners[i].task))
			return false;
	return lock->nr_owners && lock->nr_owners == lock->l.nr_owners;
}

/* A page that is busy, or a lock that a page fault or writeback keeps. */
bool wait_needs_holds(const struct wfg_wait *w)
{
	if (w->w.on == ON_PAGE)
		return w->page && w->page->busy;
	return !w->page && w->w.on != ON_LEASE;
}

static bool wait_stuck(const struct stuck *s, const struct wfg_wait *w)
{
	for (u32 i = 0; wait_needs_holds(w) && i < w->nr_holds; i++)
		if (hold_stuck(s, w->holds[i]))
			return true;
	return false;
}

/* Who waits for the invalidate lock is in its queue as well. */
static bool node_stuck(const struct stuck *s, const struct node *n)
{
	return (n->wait && wait_stuck(s, n->wait)) || (n->sleeps && lock_stuck(s, n->sleeps));
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
	if (!s->nodes || !s->members || !s->processes || !s->list || stuck_build(s)) {
		stuck_free(s);
		return NULL;
	}
	free_all(s);
	stuck_trim(s);
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
