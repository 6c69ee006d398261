// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * False sharing: ext4 and XFS wait for any held page of the file, also for one that the operation
 * does not touch (dax_layout_busy_page(), and the whole file given to dax_break_layout()).
 */
#include <string.h>

#include "diagnose/phrase.h"
#include "diagnose/verdict.h"

enum relation { RELATION_UNKNOWN = 0, RELATION_INSIDE, RELATION_PARTLY, RELATION_OUTSIDE };

static bool is_call(const struct fact_task *t, const char *name)
{
	size_t len = strlen(name);

	return t->syscall >= 0 && t->call && !strncmp(t->call, name, len) && t->call[len] == '(';
}

/* The bytes [from, to) that the operation frees or moves; from == to none. false: not known. */
static bool freed_range(const struct wfg_wait *wait, u64 *from, u64 *to)
{
	const struct fact_task *t = &wait->task->t;

	*to = UINT64_MAX;
	if (wait->w.op == OP_TRUNCATE && (is_call(t, "truncate") || is_call(t, "ftruncate"))) {
		*from = t->args[1];
		return true;
	}
	if (!is_call(t, "fallocate"))
		return false;
	*from = t->args[2];
	switch (wait->w.op) {
	case OP_ALLOCATE:
		*to = *from;
		return true;
	case OP_PUNCH_HOLE:
	case OP_ZERO_RANGE:
		return t->args[3] && !__builtin_add_overflow(*from, t->args[3], to);
	default:
		return wait->w.op == OP_COLLAPSE_RANGE || wait->w.op == OP_INSERT_RANGE;
	}
}

static enum relation relation_of(const struct wfg_wait *wait)
{
	u64 first = wait->page ? wfg_page_offset(wait->page) : FACT_UNKNOWN, end, from, to;

	if (wait->w.on != ON_PAGE || first == FACT_UNKNOWN || wait->page->p.order > 32 ||
	    __builtin_add_overflow(first, (u64)WFG_PAGE_SIZE << wait->page->p.order, &end) ||
	    !freed_range(wait, &from, &to))
		return RELATION_UNKNOWN;
	if (from >= to || end <= from || first >= to)
		return RELATION_OUTSIDE;
	return first >= from && end <= to ? RELATION_INSIDE : RELATION_PARTLY;
}

void phrase_outside(struct strbuf *sb, const struct wfg_wait *wait)
{
	if (relation_of(wait) == RELATION_OUTSIDE)
		sb_puts(sb, ", a page outside of what it frees");
}

void explain_outside(struct verdict *v)
{
	enum relation r = relation_of(v->wait);
	struct strbuf sb = { 0 };

	if (r == RELATION_OUTSIDE)
		sb_puts(&sb, "The page is not part of what the operation frees or moves: the "
			     "filesystem waits for any held page of the file, wherever it is.");
	else if (r == RELATION_PARTLY && v->wait->page->p.order)
		sb_puts(&sb,
			"The folio reaches beyond what the operation frees or moves: what is held "
			"of it may lie outside.");
	if (sb.len)
		verdict_impact(v, &sb);
}
