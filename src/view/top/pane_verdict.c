// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * The verdicts: the worst one in full, one row for each of the others. Last to go on a small
 * screen.
 */
#include "view/report.h"
#include "view/top/pane.h"

enum attr finding_attr(const struct finding *f)
{
	u64 age = f->wait ? f->wait->age_ns : FACT_UNKNOWN;

	if (f->code != FINDING_BLOCKED || (age != FACT_UNKNOWN && age >= FINDING_STUCK_NS))
		return ATTR_BAD;
	return ATTR_WARN;
}

/* Colour says nothing that the mark does not say. */
static const char *mark(enum attr attr)
{
	return attr == ATTR_BAD ? "!! " : "!  ";
}

static void fill_empty(struct top *t, u16 w, u32 max)
{
	struct strbuf *sb = pane_scratch(t);

	if (!t->g)
		sb_puts(sb, "Waiting for the first look at this machine.");
	else
		report_nothing_found(sb, t->g);
	lines_reset(&t->lines, w);
	lines_wrap(&t->lines, !t->g || wfg_losses(t->g, LOSS_LOST) ? ATTR_WARN : ATTR_GOOD, "", "",
		   sb->s, max);
}

static void fill(struct top *t, u16 w, u32 max)
{
	/* the worst leaves a row to the next one, where there are rows enough */
	u32 first = t->f.n > 1 && max > 3 ? max - 1 : max;

	if (!t->f.n) {
		fill_empty(t, w, max);
		return;
	}
	lines_reset(&t->lines, w);
	for (size_t i = 0; i < t->f.n && t->lines.n < max; i++) {
		enum attr attr = finding_attr(&t->f.f[i]);

		lines_wrap(&t->lines, attr, mark(attr), mark(attr), t->f.f[i].text, i ? 1 : first);
	}
}

u32 verdict_height(struct top *t, u16 w, u32 max)
{
	fill(t, w, max);
	return t->lines.n;
}

void pane_verdict(struct top *t, struct canvas *c, struct area a)
{
	fill(t, c->w, a.h);
	lines_draw(&t->lines, 0, c, 0, a.y, a.h);
}
