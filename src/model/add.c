// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Facts come in; a second fact about the same object replaces the first. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "model/graph.h"
#include "util/array.h"

struct wfg *wfg_new(void)
{
	struct wfg *g = calloc(1, sizeof(*g));

	if (!g)
		return NULL;
	g->tasks.row_size = sizeof(struct wfg_task);
	g->files.row_size = sizeof(struct wfg_file);
	g->pages.row_size = sizeof(struct wfg_page);
	g->waits.row_size = sizeof(struct wfg_wait);
	g->holds.row_size = sizeof(struct hold_row);
	g->queued.row_size = sizeof(struct queued_row);
	g->locks.row_size = sizeof(struct wfg_lock);
	g->probes.row_size = sizeof(struct probe_row);
	g->freed.row_size = sizeof(struct freed_row);
	return g;
}

void wfg_free(struct wfg *g)
{
	if (!g)
		return;
	table_free(&g->tasks);
	table_free(&g->files);
	table_free(&g->pages);
	table_free(&g->waits);
	table_free(&g->holds);
	table_free(&g->queued);
	table_free(&g->locks);
	table_free(&g->probes);
	table_free(&g->freed);
	arena_free(&g->arena);
	free(g->losses);
	free(g->ends);
	free(g);
}

static u64 mix(u64 hash, const void *data, size_t len)
{
	const u8 *p = data;

	while (len--)
		hash = (hash ^ *p++) * 0x100000001b3ULL;
	return hash;
}

/* With its NUL, so that "ab" "c" and "a" "bc" differ. */
static u64 mix_string(u64 hash, const char *s)
{
	return s ? mix(hash, s, strlen(s) + 1) : hash;
}

#define MIX_START 0xcbf29ce484222325ULL

static int add_task(struct wfg *g, const struct fact_task *fact)
{
	struct fact_task f = *fact;
	struct wfg_task *row;

	if (copy_task(&g->arena, &f))
		return -ENOMEM;
	row = table_upsert(&g->tasks, f.id);
	if (!row)
		return -ENOMEM;
	row->t = f;
	return 0;
}

static int add_file(struct wfg *g, const struct fact_file *fact)
{
	struct fact_file f = *fact;
	struct wfg_file *row;

	if (copy_file(&g->arena, &f))
		return -ENOMEM;
	row = table_upsert(&g->files, f.id);
	if (!row)
		return -ENOMEM;
	row->f = f;
	return 0;
}

static int add_page(struct wfg *g, const struct fact_page *fact)
{
	struct fact_page f = *fact;
	struct wfg_page *row;

	if (copy_page(&g->arena, &f))
		return -ENOMEM;
	row = table_upsert(&g->pages, f.id);
	if (!row)
		return -ENOMEM;
	row->p = f;
	return 0;
}

static int add_wait(struct wfg *g, const struct fact_wait *fact, enum fact_seen seen)
{
	struct wfg_wait *row = table_upsert(&g->waits, fact->task);

	if (!row)
		return -ENOMEM;
	row->w = *fact;
	row->seen = seen;
	return 0;
}

/* Without the name of an object two facts cannot be told to be one hold: both are kept. */
static struct hold_row *hold_row(struct wfg *g, const struct fact_hold *f)
{
	u64 key = mix(MIX_START, &f->page, sizeof(f->page));

	if (!f->object_id)
		return table_append(&g->holds);
	key = mix(key, &f->lock, sizeof(f->lock));
	key = mix(key, &f->how, sizeof(f->how));
	key = mix_string(key, f->object_kind);
	key = mix_string(key, f->object_id);
	/* I/O of two tasks may go through descriptors of one number. */
	if ((f->how == HOW_DIRECT_IO || f->how == HOW_FUSE) && f->nr_releasers)
		key = mix(key, &f->releasers[0].task, sizeof(f->releasers[0].task));
	return table_upsert(&g->holds, key);
}

static int add_hold(struct wfg *g, const struct fact_hold *fact, enum fact_seen seen)
{
	struct fact_hold f = *fact;
	struct hold_row *row;

	f.lock = f.page ? 0 : f.lock;
	if (copy_hold(&g->arena, &f))
		return -ENOMEM;
	row = hold_row(g, &f);
	if (!row)
		return -ENOMEM;
	row->hold.h = f;
	row->hold.seen = seen;
	return 0;
}

static int add_queued(struct wfg *g, const struct fact_queued *fact)
{
	struct fact_queued f = *fact;
	u64 key = mix(MIX_START, &f.wait, sizeof(f.wait));
	struct queued_row *row;

	if (arena_keep(&g->arena, &f.lock))
		return -ENOMEM;
	row = table_upsert(&g->queued, mix(key, &f.task, sizeof(f.task)));
	if (!row)
		return -ENOMEM;
	row->q = f;
	return 0;
}

static int add_lock(struct wfg *g, const struct fact_lock *fact)
{
	struct fact_lock f = *fact;
	struct wfg_lock *row;

	if (copy_lock(&g->arena, &f))
		return -ENOMEM;
	row = table_upsert(&g->locks, f.id);
	if (!row)
		return -ENOMEM;
	row->l = f;
	return 0;
}

static int add_probe(struct wfg *g, const struct fact_probe *fact)
{
	struct fact_probe f = *fact;
	struct probe_row *row;

	if (!f.name)
		return -EINVAL;
	if (arena_keep(&g->arena, &f.name) || arena_keep(&g->arena, &f.costs))
		return -ENOMEM;
	row = table_upsert(&g->probes, mix_string(MIX_START, f.name));
	if (!row)
		return -ENOMEM;
	row->probe = f;
	return 0;
}

static int add_session(struct wfg *g, const struct fact_session *fact)
{
	struct fact_session f = *fact;

	if (copy_session(&g->arena, &f))
		return -ENOMEM;
	g->session = f;
	return 0;
}

static struct fact_loss *same_loss(struct wfg *g, const struct fact_loss *f)
{
	const char *where = f->where ? f->where : "";

	for (u32 i = 0; i < g->nr_losses; i++)
		if (g->losses[i].kind == f->kind && !strcmp(g->losses[i].where, where))
			return &g->losses[i];
	return NULL;
}

int add_loss(struct wfg *g, const struct fact_loss *fact)
{
	struct fact_loss f = *fact;
	struct fact_loss *known = same_loss(g, fact);

	if (known) {
		if (__builtin_add_overflow(known->count, f.count, &known->count))
			known->count = UINT64_MAX;
		return 0;
	}
	f.where = f.where ? f.where : "";
	if (arena_keep(&g->arena, &f.where) ||
	    array_grow(&g->losses, g->nr_losses, sizeof(*g->losses)))
		return -ENOMEM;
	g->losses[g->nr_losses++] = f;
	return 0;
}

static int add_end(struct wfg *g, const struct fact_end *fact)
{
	struct fact_end f = *fact;

	if (copy_end(&g->arena, &f) || array_grow(&g->ends, g->nr_ends, sizeof(*g->ends)))
		return -ENOMEM;
	g->ends[g->nr_ends++] = f;
	return 0;
}

static int add_freed(struct wfg *g, const struct fact_freed *fact)
{
	struct fact_freed f = *fact;
	struct freed_row *row;

	if (copy_freed(&g->arena, &f))
		return -ENOMEM;
	row = table_upsert(&g->freed, mix(mix(MIX_START, &f.page, sizeof(f.page)), &f.freed_ns,
					  sizeof(f.freed_ns)));
	if (!row)
		return -ENOMEM;
	row->freed = f;
	return 0;
}

int wfg_add(void *graph, const struct fact *fact)
{
	struct wfg *g = graph;

	switch (fact->type) {
	case FACT_SESSION:
		return add_session(g, &fact->session);
	case FACT_TASK:
		return add_task(g, &fact->task);
	case FACT_FILE:
		return add_file(g, &fact->file);
	case FACT_PAGE:
		return add_page(g, &fact->page);
	case FACT_WAIT:
		return add_wait(g, &fact->wait, fact->seen);
	case FACT_HOLD:
		return add_hold(g, &fact->hold, fact->seen);
	case FACT_QUEUED:
		return add_queued(g, &fact->queued);
	case FACT_LOSS:
		return add_loss(g, &fact->loss);
	case FACT_PROBE:
		return add_probe(g, &fact->probe);
	case FACT_END:
		return add_end(g, &fact->end);
	case FACT_LOCK:
		return add_lock(g, &fact->lock);
	case FACT_FREED:
		return add_freed(g, &fact->freed);
	}
	return -EINVAL;
}
