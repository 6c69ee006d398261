// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "model/graph.h"

size_t wfg_nr_waits(const struct wfg *g)
{
	return g->waits.n;
}

const struct wfg_wait *wfg_wait(const struct wfg *g, size_t i)
{
	return table_row(&g->waits, i);
}

size_t wfg_nr_pages(const struct wfg *g)
{
	return g->pages.n;
}

const struct wfg_page *wfg_page(const struct wfg *g, size_t i)
{
	return table_row(&g->pages, i);
}

u32 wfg_page_holders(const struct wfg_page *page)
{
	u32 n = 0;

	while (n < page->nr_holds && page->holds[n]->h.confidence != CONF_CANDIDATE)
		n++;
	return n;
}

bool wfg_page_is_held(const struct wfg *g, const struct wfg_page *page)
{
	return page->busy > (g->session.unbind ? 0 : page->mapped);
}

u64 wfg_page_offset(const struct wfg_page *page)
{
	u64 offset;

	if (page->p.index == FACT_UNKNOWN ||
	    __builtin_mul_overflow(page->p.index, (u64)WFG_PAGE_SIZE, &offset))
		return FACT_UNKNOWN;
	return offset;
}

size_t wfg_nr_tasks(const struct wfg *g)
{
	return g->tasks.n;
}

const struct wfg_task *wfg_task(const struct wfg *g, size_t i)
{
	return table_row(&g->tasks, i);
}

size_t wfg_task_index(const struct wfg *g, const struct wfg_task *task)
{
	return task - (const struct wfg_task *)g->tasks.rows;
}

size_t wfg_nr_locks(const struct wfg *g)
{
	return g->locks.n;
}

const struct wfg_lock *wfg_lock(const struct wfg *g, size_t i)
{
	return table_row(&g->locks, i);
}

size_t wfg_nr_queued(const struct wfg *g)
{
	return g->nr_sleepers;
}

const struct wfg_queued *wfg_queued(const struct wfg *g, size_t i)
{
	return &g->sleepers[i];
}

const struct wfg_queued *wfg_queued_of(const struct wfg *g, const struct wfg_task *task)
{
	u32 lo = 0, hi = g->nr_sleepers;

	while (lo < hi) {
		u32 mid = lo + (hi - lo) / 2;

		if (g->sleepers[mid].task == task)
			return &g->sleepers[mid];
		if (g->sleepers[mid].task < task)
			lo = mid + 1;
		else
			hi = mid;
	}
	return NULL;
}

size_t wfg_nr_probes(const struct wfg *g)
{
	return g->probes.n;
}

const struct fact_probe *wfg_probe(const struct wfg *g, size_t i)
{
	const struct probe_row *row = table_row(&g->probes, i);

	return &row->probe;
}

const struct fact_session *wfg_session(const struct wfg *g)
{
	return &g->session;
}

size_t wfg_nr_losses(const struct wfg *g)
{
	return g->nr_losses;
}

const struct fact_loss *wfg_loss(const struct wfg *g, size_t i)
{
	return &g->losses[i];
}

u64 wfg_losses(const struct wfg *g, enum fact_loss_kind kind)
{
	u64 sum = 0;

	for (u32 i = 0; i < g->nr_losses; i++)
		if (g->losses[i].kind == kind &&
		    __builtin_add_overflow(sum, g->losses[i].count, &sum))
			return UINT64_MAX;
	return sum;
}

size_t wfg_nr_freed(const struct wfg *g)
{
	return g->freed.n;
}

const struct fact_freed *wfg_freed(const struct wfg *g, size_t i)
{
	const struct freed_row *row = table_row(&g->freed, i);

	return &row->freed;
}

size_t wfg_nr_ends(const struct wfg *g)
{
	return g->nr_ends;
}

const struct fact_end *wfg_end(const struct wfg *g, size_t i)
{
	return &g->ends[i];
}

const char *wfg_wait_id(const struct wfg *g, const struct wfg_wait *wait)
{
	return g->wait_ids[wait - (const struct wfg_wait *)g->waits.rows];
}
