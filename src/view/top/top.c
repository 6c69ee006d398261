// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "view/top/top.h"

#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "util/fact_pack.h"
#include "view/top/state.h"

void top_init(struct top *t)
{
	memset(t, 0, sizeof(*t));
	t->feed.delay_ns = 1000000000ULL;
	history_init(&t->history, HISTORY_LOOKS, HISTORY_BYTES);
}

static void forget_shown(struct top *t)
{
	findings_free(&t->f);
	wfg_free(t->g);
	t->g = NULL;
	t->rows.n = 0;
}

void top_free(struct top *t)
{
	forget_shown(t);
	history_free(&t->history);
	rows_free(&t->rows);
	lines_free(&t->lines);
	sb_free(&t->sb);
	free(t->report);
}

void top_say(struct top *t, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(t->message, sizeof(t->message), fmt, ap);
	va_end(ap);
}

const struct wfg_wait *top_wait(const struct top *t)
{
	return t->selected < t->rows.n ? t->rows.row[t->selected].wait : NULL;
}

const struct finding *top_finding(const struct top *t)
{
	const struct wfg_wait *w = top_wait(t);

	for (size_t i = 0; w && i < t->f.n; i++)
		if (t->f.f[i].wait == w)
			return &t->f.f[i];
	return NULL;
}

void state_select(struct top *t, u32 row)
{
	t->selected = row < t->rows.n ? row : t->rows.n ? t->rows.n - 1 : 0;
	t->cursor = t->rows.n ? t->rows.row[t->selected].key : 0;
}

/* The row of the cursor stays on its line of the screen, whatever comes or goes above it. */
void state_list(struct top *t)
{
	const struct rows_opts opts = {
		.filter = &t->filter,
		.sort = t->sort,
		.inverted = t->inverted,
		.folds = t->folds,
		.nr_folds = t->nr_folds < FOLDS ? t->nr_folds : FOLDS,
	};
	u32 line = t->selected - t->scroll, found;

	rows_fill(&t->rows, t->g, &opts);
	found = rows_find(&t->rows, t->cursor);
	if (found == t->rows.n) {
		state_select(t, t->selected);
		return;
	}
	t->selected = found;
	t->scroll = found > line ? found - line : 0;
}

/* Makes the graph of packed facts. 0, -ENOMEM or -EPROTO. */
static int make_graph(const char *facts, size_t len, struct wfg **ret)
{
	struct wfg *g = wfg_new();
	int err = g ? fact_unpack(facts, len, wfg_add, g) : -ENOMEM;

	if (!err)
		err = wfg_link(g);
	if (err) {
		wfg_free(g);
		return err;
	}
	*ret = g;
	return 0;
}

/* Takes over the graph. 0 or -ENOMEM. */
static int show(struct top *t, struct wfg *g, u64 number)
{
	struct findings f;
	int err = diagnose(g, &f);

	if (err) {
		wfg_free(g);
		return err;
	}
	forget_shown(t);
	t->g = g;
	t->f = f;
	t->shown = number;
	state_list(t);
	return 0;
}

/* A sum, as the order of waits means nothing here; spread by a multiplication as hashes are. */
static u64 hash_waits(const struct wfg *g)
{
	u64 sum = wfg_nr_waits(g);

	for (size_t i = 0; i < wfg_nr_waits(g); i++) {
		const struct wfg_wait *w = wfg_wait(g, i);
		u64 one = w->w.task ^ w->task->t.start_ns ^ w->w.file << 1 ^ (u64)w->w.op << 56;

		sum += (one ^ one >> 32) * 0x9e3779b97f4a7c15ULL;
	}
	return sum;
}

int top_take(struct top *t, const char *facts, size_t len)
{
	struct wfg *g;
	int err = make_graph(facts, len, &g);

	if (err)
		return err;
	if (t->g && t->shown + 1 == t->history.next)
		wfg_carry_on(t->g, g);
	ended_update(&t->ended, g);
	err = history_add(&t->history, facts, len, hash_waits(g));
	if (!err && !(t->paused && t->g))
		return show(t, g, t->history.next - 1);
	wfg_free(g);
	return err;
}

bool state_show(struct top *t, u64 number)
{
	const struct history_look *l = history_look(&t->history, number);
	struct wfg *g;

	return l && !make_graph(l->facts, l->len, &g) && !show(t, g, number);
}

bool top_sort_by(struct top *t, const char *column)
{
	bool inverted = *column == '-';

	for (int i = 0; i < SORT_MAX; i++) {
		if (strcmp(column + inverted, row_sort_name(i)))
			continue;
		t->sort = i;
		t->inverted = inverted;
		state_list(t);
		return true;
	}
	return false;
}

bool top_filter(struct top *t, const char *text)
{
	char copy[TEXT_INPUT], error[MESSAGE];
	struct filter_words words;

	/* a look at the words first: they are cut out of what the filter in force points to */
	snprintf(copy, sizeof(copy), "%s", text);
	if (opts_filter(&words, copy, error, sizeof(error))) {
		top_say(t, "%s", error);
		return false;
	}
	snprintf(t->filter_text, sizeof(t->filter_text), "%s", text);
	snprintf(t->filter_words, sizeof(t->filter_words), "%s", text);
	opts_filter(&words, t->filter_words, error, sizeof(error));
	filter_compile(&t->filter, &words);
	state_list(t);
	return true;
}
