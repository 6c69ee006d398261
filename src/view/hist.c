// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * How long waits lasted that are over, for each operation; how long pages have been held, by how.
 */
#include "view/hist.h"

#include <daxtop/view.h>

#include "diagnose/phrase.h"
#include "util/text.h"
#include "view/stream.h"

void hist_add(struct hist *h, const struct fact_end *end)
{
	/* these two have one name */
	enum fact_op op = end->op == OP_ALLOCATE ? OP_OTHER : end->op;

	buckets_add(&h->all, end->waited_ns);
	buckets_add(&h->op[op], end->waited_ns);
}

static void add_count(struct strbuf *sb, const struct buckets *b)
{
	phrase_count(sb, b->count, "wait");
	sb_puts(sb, " ended");
	if (b->longest_ns) {
		sb_puts(sb, ", the longest after ");
		text_duration(sb, b->longest_ns);
	}
}

static void add_unknown(struct strbuf *sb, const struct buckets *b)
{
	u64 unknown = b->count;

	for (u32 i = 0; i < BUCKETS; i++)
		unknown -= b->n[i];
	if (unknown)
		sb_printf(sb, "  not known   %8llu\n", (unsigned long long)unknown);
}

/* From the first bucket that is not empty to the last one. */
static void add_buckets(struct strbuf *sb, const struct buckets *b)
{
	u32 first = 0, end = BUCKETS;

	while (first < BUCKETS && !b->n[first])
		first++;
	while (end > first && !b->n[end - 1])
		end--;
	for (u32 i = first; i < end; i++) {
		sb_puts(sb, "  ");
		bucket_line(sb, b, i);
		sb_putc(sb, '\n');
	}
	add_unknown(sb, b);
}

static void add_op(struct strbuf *sb, enum fact_op op, const struct buckets *b)
{
	sb_printf(sb, "\n%s: ", fact_op_name(op));
	add_count(sb, b);
	sb_putc(sb, '\n');
	add_buckets(sb, b);
}

static int print(FILE *out, struct strbuf *sb)
{
	int err = sb->failed ? -ENOMEM : 0;

	if (!err)
		fputs(sb->s, out);
	sb_free(sb);
	return err ? err : stream_finish(out);
}

int view_hist(FILE *out, const struct wfg *g, const struct hist *h)
{
	struct strbuf sb = { 0 };

	add_count(&sb, &h->all);
	sb_printf(&sb, "; waiting now: %zu\n", wfg_nr_waits(g));
	for (u32 op = 0; op < OP_MAX; op++)
		if (h->op[op].count)
			add_op(&sb, op, &h->op[op]);
	return print(out, &sb);
}

static void add_holds(struct strbuf *sb, const struct buckets *b)
{
	phrase_count(sb, b->count, "hold");
	if (b->longest_ns) {
		sb_puts(sb, ", the longest for ");
		text_duration(sb, b->longest_ns);
	}
	sb_putc(sb, '\n');
}

/* What a page is held by, apart from what is only a candidate. */
static void count_holds(const struct wfg_page *p, struct buckets *all, struct buckets *by_how)
{
	for (u32 i = 0; i < p->nr_holds; i++) {
		const struct fact_hold *h = &p->holds[i]->h;

		if (h->confidence == CONF_CANDIDATE)
			continue;
		buckets_add(all, h->held_ns);
		buckets_add(&by_how[h->how], h->held_ns);
	}
}

int view_hist_holds(FILE *out, const struct wfg *g)
{
	struct buckets all = { 0 }, by_how[HOW_MAX] = { 0 };
	struct strbuf sb = { 0 };

	for (size_t i = 0; i < wfg_nr_pages(g); i++)
		count_holds(wfg_page(g, i), &all, by_how);
	add_holds(&sb, &all);
	for (u32 how = 0; how < HOW_MAX; how++) {
		if (!by_how[how].count)
			continue;
		sb_printf(&sb, "\n%s: ", fact_how_name(how));
		add_holds(&sb, &by_how[how]);
		add_buckets(&sb, &by_how[how]);
	}
	return print(out, &sb);
}
