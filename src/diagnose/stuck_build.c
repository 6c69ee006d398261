// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * The graph that stuck.c works on: a node for each task, an edge for each one that may free
 * another.
 */
#include <errno.h>
#include <stdlib.h>

#include "diagnose/stuck_parts.h"
#include "util/array.h"

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
	const struct wfg_wait *w = n->wait;
	u32 nr_holds = w && wait_needs_holds(w) ? w->nr_holds : 0;
	int err = 0;

	if (n->sleeps && n->sleeps->behind)
		err = add_edge(s, n->sleeps->behind, i);
	if (n->sleeps && n->sleeps->on && !err)
		err = add_releasers(s, n->sleeps->on->owners, n->sleeps->on->nr_owners, i);
	for (u32 h = 0; h < nr_holds && !err; h++)
		err = add_releasers(s, w->holds[h]->releasers, w->holds[h]->nr_releasers, i);
	for (u32 h = 0; h < nr_holds && !err; h++)
		err = w->holds[h]->server ? add_edge(s, w->holds[h]->server, i) : 0;
	return err;
}

int stuck_build(struct stuck *s)
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
