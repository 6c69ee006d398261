// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "view/top/rows.h"

#include <stdlib.h>
#include <string.h>

#include "util/array.h"

enum { FOLD_ABOVE = 3 }; /* children that are shown without being asked for */

const char *row_sort_name(enum row_sort sort)
{
	static const char *const names[SORT_MAX] = {
		[SORT_AGE] = "age", [SORT_PID] = "pid",   [SORT_COMM] = "comm",
		[SORT_OP] = "op",   [SORT_FILE] = "file", [SORT_QUEUED] = "queued",
	};

	return names[sort];
}

/* Orders two waits so that what is greater comes first. */
static int compare_numbers(u64 a, u64 b)
{
	return (a < b) - (a > b);
}

static const char *path_of(const struct wfg_wait *w)
{
	return w->file && w->file->f.path ? w->file->f.path : "";
}

static int by_age(const void *a, const void *b)
{
	const struct wfg_wait *x = *(const struct wfg_wait *const *)a;
	const struct wfg_wait *y = *(const struct wfg_wait *const *)b;
	/* what is not known comes last */
	int order = compare_numbers(x->age_ns + 1, y->age_ns + 1);

	return order ? order : compare_numbers(y->task->t.tid, x->task->t.tid);
}

static int by_pid(const void *a, const void *b)
{
	const struct wfg_wait *x = *(const struct wfg_wait *const *)a;
	const struct wfg_wait *y = *(const struct wfg_wait *const *)b;

	return compare_numbers(y->task->t.tid, x->task->t.tid);
}

static int by_comm(const void *a, const void *b)
{
	int order = strcmp((*(const struct wfg_wait *const *)a)->task->t.comm,
			   (*(const struct wfg_wait *const *)b)->task->t.comm);

	return order ? order : by_age(a, b);
}

static int by_op(const void *a, const void *b)
{
	int order = strcmp(fact_op_name((*(const struct wfg_wait *const *)a)->w.op),
			   fact_op_name((*(const struct wfg_wait *const *)b)->w.op));

	return order ? order : by_age(a, b);
}

static int by_file(const void *a, const void *b)
{
	int order = strcmp(path_of(*(const struct wfg_wait *const *)a),
			   path_of(*(const struct wfg_wait *const *)b));

	return order ? order : by_age(a, b);
}

static int by_queued(const void *a, const void *b)
{
	int order = compare_numbers((*(const struct wfg_wait *const *)a)->nr_queued,
				    (*(const struct wfg_wait *const *)b)->nr_queued);

	return order ? order : by_age(a, b);
}

/* The waits to show, in order. */
static u32 pick_waits(struct rows *r, const struct wfg *g, const struct rows_opts *opts)
{
	static int (*const compare[SORT_MAX])(const void *, const void *) = {
		by_age, by_pid, by_comm, by_op, by_file, by_queued,
	};
	size_t all = wfg_nr_waits(g);
	u32 n = 0;

	if (all > r->wait_cap) {
		const struct wfg_wait **bigger = reallocarray(r->wait, all, sizeof(*bigger));

		r->failed |= !bigger;
		if (!bigger)
			return 0;
		r->wait = bigger;
		r->wait_cap = all;
	}
	for (size_t i = 0; i < all; i++)
		if (filter_matches(opts->filter, wfg_wait(g, i)))
			r->wait[n++] = wfg_wait(g, i);
	r->hidden = all - n;
	if (n)
		qsort(r->wait, n, sizeof(*r->wait), compare[opts->sort]);
	for (u32 i = 0; opts->inverted && i < n / 2; i++) {
		const struct wfg_wait *w = r->wait[i];

		r->wait[i] = r->wait[n - 1 - i];
		r->wait[n - 1 - i] = w;
	}
	return n;
}

/* FNV-1a, continued. */
static u64 hash(u64 h, const void *data, size_t len)
{
	for (const u8 *p = data; len--; p++)
		h = (h ^ *p) * 0x100000001b3ULL;
	return h;
}

static u64 make_key(const struct row *row)
{
	u64 h = hash(0xcbf29ce484222325ULL, &row->kind, sizeof(row->kind));

	h = hash(h, &row->wait->w.task, sizeof(u64));
	if (row->hold) {
		const struct fact_hold *hold = &row->hold->h;

		h = hash(h, &hold->how, sizeof(hold->how));
		if (hold->object_id)
			h = hash(h, hold->object_id, strlen(hold->object_id));
		else if (row->hold->nr_releasers)
			h = hash(h, &row->hold->releasers[0].task->t.id, sizeof(u64));
	}
	if (row->kind != ROW_HOLD && row->task)
		h = hash(h, &row->task->t.id, sizeof(u64));
	return h ? h : 1;
}

static bool is_folded(const struct rows_opts *opts, u64 key, u32 children)
{
	bool folded = children > FOLD_ABOVE;

	for (u32 i = 0; i < opts->nr_folds; i++)
		if (opts->folds[i] == key)
			return !folded;
	return folded;
}

/* Appends a row; the returned copy is valid until the next one. NULL without memory. */
static struct row *add(struct rows *r, const struct rows_opts *opts, struct row row, u32 children)
{
	row.key = make_key(&row);
	row.parent = children > 0;
	row.folded = row.parent && row.kind != ROW_WAIT && is_folded(opts, row.key, children);
	/* a wait shows what holds it unless it was folded by hand */
	if (row.parent && row.kind == ROW_WAIT)
		row.folded = is_folded(opts, row.key, 0);
	if (r->n == r->cap) {
		if (array_grow(&r->row, r->cap, sizeof(*r->row))) {
			r->failed = true;
			return NULL;
		}
		r->cap = r->cap ? r->cap * 2 : 1;
	}
	r->row[r->n] = row;
	return &r->row[r->n++];
}

static void add_hold(struct rows *r, const struct rows_opts *opts, const struct wfg_wait *w,
		     const struct wfg_hold *h, bool last)
{
	u32 n = h->nr_releasers;
	struct row row = { .kind = ROW_HOLD, .depth = 1, .last = last, .wait = w, .hold = h };
	const struct row *added;

	if (n == 1) {
		row.releaser = h->releasers;
		row.task = h->releasers[0].task;
	}
	added = add(r, opts, row, n > 1 ? n : 0);
	if (!added || added->folded || n < 2)
		return;
	for (u32 i = 0; i < n; i++) {
		row = (struct row){ .kind = ROW_RELEASER,
				    .depth = 2,
				    .last = i + 1 == n,
				    .parent_last = last,
				    .wait = w,
				    .hold = h,
				    .releaser = &h->releasers[i],
				    .task = h->releasers[i].task };
		add(r, opts, row, 0);
	}
}

static void add_queue(struct rows *r, const struct rows_opts *opts, const struct wfg_wait *w)
{
	struct row row = { .kind = ROW_QUEUE,
			   .depth = 1,
			   .last = true,
			   .wait = w,
			   .n = w->nr_queued,
			   .lock = w->queued[0].lock };
	const struct row *added = add(r, opts, row, w->nr_queued);

	if (!added || added->folded)
		return;
	for (u32 i = 0; i < w->nr_queued; i++) {
		row = (struct row){ .kind = ROW_QUEUED,
				    .depth = 2,
				    .last = i + 1 == w->nr_queued,
				    .parent_last = true,
				    .wait = w,
				    .task = w->queued[i].task,
				    .lock = w->queued[i].lock };
		add(r, opts, row, 0);
	}
}

static void add_wait(struct rows *r, const struct rows_opts *opts, const struct wfg_wait *w)
{
	u32 holds = w->nr_holds;
	bool unattributed = w->page && w->page->unattributed;
	struct row row = { .kind = ROW_WAIT, .wait = w, .task = w->task };
	const struct row *added = add(r, opts, row, holds + unattributed + !!w->nr_queued);

	if (!added || added->folded)
		return;
	for (u32 i = 0; i < holds; i++)
		add_hold(r, opts, w, w->holds[i], i + 1 == holds && !unattributed && !w->nr_queued);
	row = (struct row){
		.kind = ROW_UNATTRIBUTED, .depth = 1, .last = !w->nr_queued, .wait = w
	};
	if (unattributed)
		add(r, opts, row, 0);
	if (w->nr_queued)
		add_queue(r, opts, w);
}

void rows_fill(struct rows *r, const struct wfg *g, const struct rows_opts *opts)
{
	r->n = r->waits = r->hidden = 0;
	r->failed = false;
	if (!g)
		return;
	r->waits = pick_waits(r, g, opts);
	for (u32 i = 0; i < r->waits; i++)
		add_wait(r, opts, r->wait[i]);
}

void rows_free(struct rows *r)
{
	free(r->row);
	free(r->wait);
	*r = (struct rows){ 0 };
}

u32 rows_find(const struct rows *r, u64 key)
{
	u32 i = 0;

	while (i < r->n && r->row[i].key != key)
		i++;
	return i;
}
