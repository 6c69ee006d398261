// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* The selected wait: what waiter and holder are doing, and what helps. */
#include <string.h>

#include "diagnose/phrase.h"
#include "util/text.h"
#include "view/top/pane.h"

enum { NO_LIMIT = UINT32_MAX, STACK_ROWS = 2 };

static void add_stack(struct top *t, const char *first, const struct fact_stack *s, u32 max)
{
	struct strbuf *sb = pane_scratch(t);

	for (u32 i = 0; i < s->n; i++)
		sb_printf(sb, "%s%s", i ? " < " : "", s->frames[i]);
	if (!s->n && s->why_missing)
		sb_printf(sb, "not available: %s", s->why_missing);
	else if (!s->n)
		sb_puts(sb, "not collected");
	lines_wrap(&t->lines, ATTR_NORMAL, first, "    ", sb->s, max);
}

/* Without limit: also what says that a stack is missing. */
static void add_task(struct top *t, const char *what, const struct wfg_task *task, u32 max)
{
	struct strbuf *sb = pane_scratch(t);

	sb_printf(sb, "%s ", what);
	phrase_task(sb, task);
	sb_printf(sb, "  state %c", task->t.state ? task->t.state : '?');
	if (task->t.call)
		sb_printf(sb, "  %s", task->t.call);
	lines_wrap(&t->lines, ATTR_NORMAL, " ", "   ", sb->s, max == NO_LIMIT ? max : 1);
	if (max == NO_LIMIT && task->t.cgroup) {
		sb = pane_scratch(t);
		sb_printf(sb, "uid %u  cgroup %s", task->t.uid, task->t.cgroup);
		lines_wrap(&t->lines, ATTR_NORMAL, "   ", "   ", sb->s, max);
	}
	if (!max)
		return;
	if (task->t.kstack.n || max == NO_LIMIT)
		add_stack(t, "  k ", &task->t.kstack, max);
	if (task->t.ustack.n || max == NO_LIMIT)
		add_stack(t, "  u ", &task->t.ustack, max == NO_LIMIT ? max : 1);
}

/* The task that the selected row is about, else the first that could release the page. */
static const struct wfg_task *other_task(const struct top *t, const struct wfg_wait *w)
{
	const struct row *row = &t->rows.row[t->selected];

	if (row->kind != ROW_WAIT && row->task)
		return row->task != w->task ? row->task : NULL;
	if (row->kind == ROW_QUEUE)
		return w->queued[0].task;
	if (row->hold && row->hold->nr_releasers)
		return row->hold->releasers[0].task;
	if (!w->nr_holds || !w->holds[0]->nr_releasers)
		return NULL;
	return w->holds[0]->releasers[0].task != w->task ? w->holds[0]->releasers[0].task : NULL;
}

static const char *role(const struct top *t)
{
	enum row_kind kind = t->rows.row[t->selected].kind;

	return kind == ROW_QUEUED || kind == ROW_QUEUE ? "queued" : "holder";
}

static void add_advice(struct top *t, const struct finding *f, bool full)
{
	struct strbuf *sb;

	lines_add(&t->lines, ATTR_TITLE,
		  f->nr_advice > 1 ? "What helps, safest first" : "What helps");
	if (!f->nr_advice)
		lines_add(&t->lines, ATTR_NORMAL, " -  No command that is known to work here.");
	for (u32 i = 0; i < f->nr_advice; i++) {
		const struct advice *a = &f->advice[i];

		sb = pane_scratch(t);
		sb_printf(sb, "%2u  %s", i + 1, a->action);
		/* copied as a whole, the line does what the command alone does */
		if (!full)
			sb_printf(sb, "  %s%s", a->command ? "# " : "", a->effect);
		/* a command stays in one piece, to be copied */
		lines_add(&t->lines, ATTR_NORMAL, sb->s);
		if (full)
			lines_wrap(&t->lines, ATTR_NORMAL, "    ", "    ", a->effect, NO_LIMIT);
	}
	for (u32 i = 0; i < f->notes.n; i++)
		lines_wrap(&t->lines, ATTR_NORMAL, " -  ", "    ", f->notes.s[i],
			   full ? NO_LIMIT : 1);
}

static void add_sentences(struct top *t, const char *title, const struct sentences *s)
{
	lines_add(&t->lines, ATTR_TITLE, title);
	for (u32 i = 0; i < s->n; i++)
		lines_wrap(&t->lines, ATTR_NORMAL, "    ", "    ", s->s[i], NO_LIMIT);
}

static void add_files(struct top *t, const struct wfg_wait *w)
{
	struct strbuf *sb = pane_scratch(t);

	lines_add(&t->lines, ATTR_TITLE, "File and page");
	phrase_file(sb, w->file);
	lines_wrap(&t->lines, ATTR_NORMAL, "    ", "    ", sb->s, NO_LIMIT);
	sb = pane_scratch(t);
	phrase_what(sb, w);
	if (w->page)
		sb_printf(sb,
			  ": references %lld, idle at %lld, pins %lld, mapped %lld, "
			  "unexplained %lld",
			  (long long)w->page->p.refs, (long long)w->page->p.idle_refs,
			  (long long)w->page->pins, (long long)w->page->mapped,
			  (long long)w->page->unattributed);
	lines_wrap(&t->lines, ATTR_NORMAL, "    ", "    ", sb->s, NO_LIMIT);
}

static const char *holder_name(enum fact_confidence confidence)
{
	static const char *const names[CONF_MAX] = {
		[CONF_CANDIDATE] = "candidate",
		[CONF_LIKELY] = "likely holder",
		[CONF_EXACT] = "holder",
	};

	return names[confidence];
}

/* Whom the hooks saw take the reference, and where; it may be gone by now. */
static void add_taker(struct top *t, const struct fact_hold *h)
{
	struct strbuf *sb = pane_scratch(t);

	phrase_taker(sb, h);
	if (h->held_ns != FACT_UNKNOWN) {
		sb_puts(sb, " ");
		text_duration(sb, h->held_ns);
		sb_puts(sb, " ago");
	}
	lines_wrap(&t->lines, ATTR_NORMAL, " ", "   ", sb->s, NO_LIMIT);
	if (h->kstack.n)
		add_stack(t, "  k ", &h->kstack, NO_LIMIT);
}

static void add_holders(struct top *t, const struct wfg_wait *w)
{
	for (u32 i = 0; i < w->nr_holds; i++) {
		const struct wfg_hold *h = w->holds[i];

		if (h->h.taker_tid)
			add_taker(t, &h->h);
		for (u32 j = 0; j < h->nr_releasers; j++)
			if (h->releasers[j].task != w->task)
				add_task(t, holder_name(h->h.confidence), h->releasers[j].task,
					 NO_LIMIT);
	}
}

static void fill_full(struct top *t, const struct wfg_wait *w, const struct finding *f)
{
	lines_add(&t->lines, ATTR_TITLE, "Tasks");
	add_task(t, "waiter", w->task, NO_LIMIT);
	add_holders(t, w);
	add_files(t, w);
	if (!f)
		return;
	add_sentences(t, "Cause", &f->cause);
	add_sentences(t, "Impact", &f->impact);
	add_advice(t, f, true);
}

/* Rows of what helps with nothing cut off. */
static u32 advice_height(struct top *t, const struct finding *f)
{
	u32 n;

	add_advice(t, f, true);
	n = t->lines.n;
	lines_reset(&t->lines, t->lines.width);
	return n;
}

/*
 * What helps comes first when there is not room for all: with what it does in full if that fits,
 * for who has to choose. Stacks are for the rows that are left.
 */
static void fill_short(struct top *t, const struct wfg_wait *w, const struct finding *f, u16 h)
{
	u32 whole = f ? advice_height(t, f) : 0;
	u32 least = f ? 1 + f->nr_advice + f->notes.n + !f->nr_advice : 0;
	u32 advice = whole <= h ? whole : least;
	u32 room = h > advice ? h - advice : 0;
	u32 max = room >= 8 ? STACK_ROWS : room >= 4;
	const struct wfg_task *other = other_task(t, w);

	if (room)
		add_task(t, "waiter", w->task, max);
	if (room > t->lines.n && other)
		add_task(t, role(t), other, room - t->lines.n >= 3 ? max : 0);
	if (f)
		add_advice(t, f, whole <= h);
}

void pane_detail(struct top *t, struct canvas *c, struct area a, bool full)
{
	const struct finding *f = top_finding(t);
	const struct wfg_wait *w = top_wait(t);
	struct strbuf *sb;

	if (!a.h)
		return;
	lines_reset(&t->lines, c->w);
	if (w && full)
		fill_full(t, w, f);
	else if (w)
		fill_short(t, w, f, a.h - 1);
	sb = pane_scratch(t);
	if (w)
		phrase_task(sb, w->task);
	else
		sb_puts(sb, "nothing is selected");
	if (full) {
		pane_text(t, c, a, sb->s);
		return;
	}
	canvas_rule(c, a.y, sb->s);
	lines_draw(&t->lines, 0, c, 0, a.y + 1, a.h - 1);
}
