// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Facts refer to each other by id; here the ids become pointers. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "model/graph.h"

#define JIFFIES_NS 20000000ULL /* two at CONFIG_HZ=100 */

int compare_asleep(const struct fact_task *a, const struct fact_task *b)
{
	bool a_unknown = a->asleep_ns == FACT_UNKNOWN, b_unknown = b->asleep_ns == FACT_UNKNOWN;
	int order = a_unknown - b_unknown;

	if (!order)
		order = COMPARE(b->asleep_ns, a->asleep_ns);
	if (!order)
		order = COMPARE(a->tid, b->tid);
	return order ? order : COMPARE(a->id, b->id);
}

static const void *resolve(struct linker *l, const struct table *t, u64 id)
{
	const void *row = id ? table_find(t, id) : NULL;

	if (id && !row)
		l->dangling++;
	return row;
}

static void link_pages(struct linker *l)
{
	for (u32 i = 0; i < l->g->pages.n; i++) {
		struct wfg_page *page = table_row(&l->g->pages, i);

		page->file = resolve(l, &l->g->files, page->p.file);
	}
	for (u32 i = 0; i < l->g->freed.n; i++) {
		const struct freed_row *row = table_row(&l->g->freed, i);
		struct wfg_page *page = table_find(&l->g->pages, row->freed.page);

		/* what came last counts; the page's fact may be missing */
		if (page)
			page->freed = &row->freed;
	}
}

static int compare_waits(const void *a, const void *b)
{
	const struct wfg_wait *x = a, *y = b;
	int order = (x->age_ns == FACT_UNKNOWN) - (y->age_ns == FACT_UNKNOWN);

	if (!order)
		order = COMPARE(y->age_ns, x->age_ns);
	return order ? order : compare_asleep(&x->task->t, &y->task->t);
}

/*
 * Who waits for a lease without a limit, as those of the NFS server are, asks again each jiffy
 * (__break_lease()): that it slept for no longer says nothing.
 */
static bool may_ask_again(const struct wfg_wait *w)
{
	return w->w.on == ON_LEASE && w->task->t.asleep_ns < JIFFIES_NS;
}

static u64 age_of(const struct wfg *g, const struct wfg_wait *w)
{
	u64 began = w->w.began_ns, now = g->session.mono_ns;

	if (began && now > began)
		return now - began;
	return may_ask_again(w) ? FACT_UNKNOWN : w->task->t.asleep_ns;
}

static void link_waits(struct linker *l)
{
	struct table *waits = &l->g->waits;
	u32 kept = 0;

	for (u32 i = 0; i < waits->n; i++) {
		struct wfg_wait w = *(struct wfg_wait *)table_row(waits, i);

		w.task = table_find(&l->g->tasks, w.w.task);
		if (!w.task) {
			l->dangling++;
			continue;
		}
		w.page = resolve(l, &l->g->pages, w.w.page);
		w.file = resolve(l, &l->g->files, w.w.file);
		if (!w.file && w.page)
			w.file = w.page->file;
		w.age_ns = age_of(l->g, &w);
		*(struct wfg_wait *)table_row(waits, kept++) = w;
	}
	waits->n = kept;
	if (kept)
		qsort(waits->rows, kept, waits->row_size, compare_waits);
	table_reindex(waits);
}

static int name_waits(struct wfg *g)
{
	if (!g->waits.n)
		return 0;
	g->wait_ids = arena_alloc(&g->arena, g->waits.n, sizeof(*g->wait_ids));
	if (!g->wait_ids)
		return -ENOMEM;
	for (u32 i = 0; i < g->waits.n; i++)
		snprintf(g->wait_ids[i], sizeof(g->wait_ids[i]), "w%u", i + 1);
	return 0;
}

/* Of one process the lowest descriptor that can read comes first. */
static int compare_releasers(const void *a, const void *b)
{
	const struct wfg_releaser *x = a, *y = b;
	int order = COMPARE(x->task->t.pid, y->task->t.pid);

	if (!order)
		order = y->reads - x->reads;
	if (!order)
		order = COMPARE(x->task->t.tid, y->task->t.tid);
	return order ? order : COMPARE(x->fd, y->fd);
}

int link_releasers(struct linker *l, const struct fact_releaser *from, u32 n,
		   const struct wfg_releaser **ret, u32 *nr)
{
	struct wfg_releaser *to;

	*ret = NULL;
	*nr = 0;
	if (!n)
		return 0;
	to = arena_alloc(&l->g->arena, n, sizeof(*to));
	if (!to)
		return -ENOMEM;
	for (u32 i = 0; i < n; i++) {
		struct wfg_releaser *r = &to[*nr];

		r->task = table_find(&l->g->tasks, from[i].task);
		r->fd = from[i].fd;
		r->reads = from[i].reads;
		r->receives = from[i].receives;
		r->registered = from[i].registered;
		r->exit_waits = from[i].exit_waits;
		if (r->task)
			++*nr;
		else
			l->dangling++;
	}
	qsort(to, *nr, sizeof(*to), compare_releasers);
	*ret = to;
	return 0;
}

static int link_hold(struct linker *l, struct wfg_hold *hold)
{
	const struct fact_releaser *from = hold->h.releasers;

	hold->h.releasers = NULL;
	hold->server = resolve(l, &l->g->tasks, hold->h.server);
	return link_releasers(l, from, hold->h.nr_releasers, &hold->releasers, &hold->nr_releasers);
}

/* By page or lock, then strongest first. */
static int compare_holds(const void *a, const void *b)
{
	const struct wfg_hold *x = *(const struct wfg_hold *const *)a;
	const struct wfg_hold *y = *(const struct wfg_hold *const *)b;
	int order = COMPARE(x->h.page, y->h.page);

	if (!order)
		order = COMPARE(x->h.lock, y->h.lock);
	if (!order)
		order = COMPARE(y->h.confidence, x->h.confidence);
	if (!order)
		order = COMPARE(y->h.refs, x->h.refs);
	return order ? order : COMPARE(x, y);
}

/* Returns how many of the left ones are the page's. */
static u32 give_page_its_holds(struct wfg_page *page, struct wfg_hold **holds, u32 left)
{
	u32 n = 0;

	while (n < left && holds[n]->h.page == page->p.id)
		n++;
	page->holds = (const struct wfg_hold *const *)holds;
	page->nr_holds = join_holds(&page->p, holds, n);
	qsort(holds, page->nr_holds, sizeof(*holds), compare_holds);
	return n;
}

/* How many holds in a row are of what the first one is of. */
static u32 same_object(struct wfg_hold **holds, u32 left)
{
	u32 n = 1;

	while (n < left && holds[n]->h.page == holds[0]->h.page &&
	       holds[n]->h.lock == holds[0]->h.lock)
		n++;
	return n;
}

static int compare_locks(const void *a, const void *b)
{
	const struct wfg_wait *x = *(struct wfg_wait *const *)a;
	const struct wfg_wait *y = *(struct wfg_wait *const *)b;

	return COMPARE(x->w.lock, y->w.lock);
}

/* Waits for a lock and no page, by lock; returns how many. */
static u32 waits_for_locks(struct linker *l, struct wfg_wait **waits)
{
	u32 n = 0;

	for (u32 i = 0; i < l->g->waits.n; i++) {
		struct wfg_wait *wait = table_row(&l->g->waits, i);

		if (!wait->page && wait->w.lock)
			waits[n++] = wait;
	}
	if (n)
		qsort(waits, n, sizeof(struct wfg_wait *), compare_locks);
	return n;
}

/* Both by lock: all who wait for a lock get the holds of it. */
static void give_locks(struct linker *l, struct wfg_wait **waits, u32 nr_waits,
		       struct wfg_hold **holds, u32 nr_holds)
{
	for (u32 i = 0, at = 0, n; i < nr_holds; i += n) {
		u64 lock = holds[i]->h.lock;

		n = same_object(holds + i, nr_holds - i);
		while (at < nr_waits && waits[at]->w.lock < lock)
			at++;
		if (at == nr_waits || waits[at]->w.lock != lock)
			l->dangling += n;
		for (; at < nr_waits && waits[at]->w.lock == lock; at++) {
			waits[at]->holds = (const struct wfg_hold *const *)(holds + i);
			waits[at]->nr_holds = n;
		}
	}
}

static int link_locks(struct linker *l, struct wfg_hold **holds, u32 n)
{
	struct wfg_wait **waits;

	if (!n)
		return 0;
	waits = reallocarray(NULL, l->g->waits.n + 1, sizeof(struct wfg_wait *));
	if (!waits)
		return -ENOMEM;
	give_locks(l, waits, waits_for_locks(l, waits), holds, n);
	free(waits);
	return 0;
}

/* Holds that are of a lock have no page, and so come first. */
static u32 count_of_locks(struct wfg_hold **holds, u32 n)
{
	u32 first = 0;

	while (first < n && !holds[first]->h.page)
		first++;
	return first;
}

static int link_holds(struct linker *l)
{
	struct wfg *g = l->g;
	struct wfg_hold **holds;
	u32 n = 0, first;

	if (!g->holds.n)
		return 0;
	holds = arena_alloc(&g->arena, g->holds.n, sizeof(*holds));
	if (!holds)
		return -ENOMEM;
	for (u32 i = 0; i < g->holds.n; i++) {
		struct hold_row *row = table_row(&g->holds, i);

		if (link_hold(l, &row->hold))
			return -ENOMEM;
		if (row->hold.h.lock || table_find(&g->pages, row->hold.h.page))
			holds[n++] = &row->hold;
		else
			l->dangling++;
	}
	qsort(holds, n, sizeof(*holds), compare_holds);
	first = count_of_locks(holds, n);
	for (u32 i = first; i < n;) {
		struct wfg_page *page = table_find(&g->pages, holds[i]->h.page);

		i += give_page_its_holds(page, holds + i, n - i);
	}
	return link_locks(l, holds, first);
}

/* A wait for a page has the holds of that, as many as are left after accounting. */
static void show_holds(struct wfg *g)
{
	for (u32 i = 0; i < g->waits.n; i++) {
		struct wfg_wait *wait = table_row(&g->waits, i);

		if (!wait->page)
			continue;
		wait->holds = wait->page->holds;
		wait->nr_holds = wait->page->nr_holds;
	}
}

int wfg_link(struct wfg *g)
{
	struct linker l = { .g = g };
	struct fact_loss loss = { .kind = LOSS_LOST, .where = "facts referred to" };

	link_pages(&l);
	link_waits(&l);
	if (name_waits(g) || link_holds(&l) || link_queues(&l))
		return -ENOMEM;
	for (u32 i = 0; i < g->pages.n; i++)
		account_page(table_row(&g->pages, i));
	show_holds(g);
	loss.count = l.dangling;
	return loss.count ? add_loss(g, &loss) : 0;
}
