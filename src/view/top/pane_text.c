// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Views that are text to scroll over: the report of a wait, the holds, ended waits, the help. */
#include <stdlib.h>
#include <string.h>

#include <daxtop/view.h>

#include "diagnose/phrase.h"
#include "util/text.h"
#include "view/report.h"
#include "view/top/pane.h"

struct strbuf *pane_scratch(struct top *t)
{
	sb_reset(&t->sb);
	return &t->sb;
}

void pane_text(struct top *t, struct canvas *c, struct area a, const char *title)
{
	u32 h = a.h ? a.h - 1 : 0;

	if (!a.h)
		return;
	t->text_h = h;
	if (t->text_scroll + h > t->lines.n)
		t->text_scroll = t->lines.n > h ? t->lines.n - h : 0;
	t->text_below = t->lines.n - t->text_scroll > h ? t->lines.n - t->text_scroll - h : 0;
	canvas_rule(c, a.y, title);
	lines_draw(&t->lines, t->text_scroll, c, 0, a.y + 1, h);
	if (t->text_below && c->w > 12)
		canvas_text(c, c->w - 8, a.y, 6, ATTR_TITLE, " more ");
}

/* The text of a wait's report, or of what there is to say without one; kept until the next look. */
static const char *make_report(struct top *t)
{
	const struct view_opts opts = { .stacks = STACKS_BOTH };
	const struct finding *found = top_finding(t);
	struct findings one = { .f = (struct finding *)found, .n = 1 };
	u64 of = found ? found->wait->w.task : 0;
	char *text = NULL;
	size_t len;
	FILE *out;

	if (t->report && t->report_of == of && t->report_look == t->shown)
		return t->report;
	out = open_memstream(&text, &len);
	if (!out)
		return "out of memory\n";
	if (found)
		view_report(out, t->g, &one, &opts);
	else
		report_trust(out, t->g);
	fclose(out);
	free(t->report);
	t->report = text;
	t->report_of = of;
	t->report_look = t->shown;
	return text ? text : "out of memory\n";
}

void pane_explain(struct top *t, struct canvas *c, struct area a)
{
	lines_reset(&t->lines, c->w);
	if (t->g)
		lines_add_visible(&t->lines, ATTR_NORMAL, make_report(t));
	pane_text(t, c, a, t->f.n ? "report, as daxtrace prints it" : "how far to trust this");
}

static void add_hold(struct top *t, const struct wfg_hold *h)
{
	struct strbuf *sb = pane_scratch(t);
	char head[48];

	snprintf(head, sizeof(head), "    %-10s %-9s ", fact_how_name(h->h.how),
		 fact_confidence_name(h->h.confidence));
	phrase_count(sb, h->h.refs, "reference");
	if (h->h.held_ns != FACT_UNKNOWN) {
		sb_puts(sb, " for ");
		phrase_time(sb, h->h.held_ns);
	}
	sb_puts(sb, "  ");
	phrase_releasers(sb, h, 3);
	if (h->h.object_id)
		sb_printf(sb, "  %s", h->h.object_id);
	if (h->h.target)
		sb_printf(sb, "  to %s", h->h.target);
	if (h->h.taker_tid) {
		sb_puts(sb, "  ");
		phrase_taker(sb, &h->h);
	}
	lines_wrap(&t->lines, h->h.confidence == CONF_CANDIDATE ? ATTR_DIM : ATTR_NORMAL, head,
		   "                         ", sb->s, UINT32_MAX);
}

static void add_page(struct top *t, const struct wfg_page *p)
{
	struct strbuf *sb = pane_scratch(t);

	phrase_page_of_file(sb, p);
	sb_printf(sb, ": %lld busy", (long long)p->busy);
	lines_wrap(&t->lines, ATTR_TITLE, "", "  ", sb->s, UINT32_MAX);
	for (u32 i = 0; i < p->nr_holds; i++)
		add_hold(t, p->holds[i]);
	if (!p->unattributed)
		return;
	sb = pane_scratch(t);
	sb_puts(sb, "    unknown    none      ");
	phrase_count(sb, p->unattributed, "reference");
	sb_puts(sb, " that nothing explains");
	lines_add(&t->lines, ATTR_WARN, sb->s);
}

static bool is_waited_for(const struct wfg *g, size_t page)
{
	for (size_t i = 0; i < wfg_nr_waits(g); i++)
		if (wfg_wait(g, i)->page == wfg_page(g, page))
			return true;
	return false;
}

/* How far the collector has come that looks at every page, in as many looks as it needs. */
static void add_progress(struct top *t)
{
	const struct fact_session *s = wfg_session(t->g);
	struct strbuf *sb = pane_scratch(t);
	u64 total = s->pins_pages + s->pins_left;

	if (!total) {
		sb_puts(sb, "Only pages that somebody waits for are looked at.");
	} else {
		sb_printf(sb, "Looked at %llu of %llu pages of DAX memory",
			  (unsigned long long)s->pins_pages, (unsigned long long)total);
		sb_puts(sb, s->pins_left ? ", a part in each look." : ".");
	}
	lines_add(&t->lines, ATTR_DIM, sb->s);
}

void pane_holds(struct top *t, struct canvas *c, struct area a)
{
	size_t n = t->g ? wfg_nr_pages(t->g) : 0, held = 0;

	lines_reset(&t->lines, c->w);
	if (t->g)
		add_progress(t);
	for (size_t i = 0; i < n; i++) {
		if (!wfg_page_is_held(t->g, wfg_page(t->g, i)) && !is_waited_for(t->g, i))
			continue;
		add_page(t, wfg_page(t->g, i));
		held++;
	}
	if (!held)
		lines_add(&t->lines, ATTR_NORMAL, "No held page was seen.");
	pane_text(t, c, a, "held pages");
}

static void add_ended(struct top *t, const struct ended_wait *w)
{
	s32 offset = t->g ? wfg_session(t->g)->utc_offset : 0;
	struct strbuf *sb = pane_scratch(t);

	if (text_date(sb, w->ended_sec, -1, offset))
		sb_puts(sb, "  ");
	sb_printf(sb, "%s[%u]  %s  ", w->end.comm, w->end.pid, fact_op_name(w->end.op));
	phrase_time(sb, w->end.waited_ns);
	if (w->end.result != RESULT_UNKNOWN)
		sb_printf(sb, "  %s", fact_result_name(w->end.result));
	sb_printf(sb, "  %s", w->path[0] ? w->path : "(no name)");
	lines_wrap(&t->lines, ATTR_NORMAL, "", "    ", sb->s, 2);
}

void pane_ended(struct top *t, struct canvas *c, struct area a)
{
	bool traced = t->g && wfg_session(t->g)->trace;

	lines_reset(&t->lines, c->w);
	lines_add(&t->lines, ATTR_TITLE,
		  traced ? "How long they waited" : "How long they were seen to wait");
	for (u32 i = 0; i < BUCKETS; i++) {
		struct strbuf *sb = pane_scratch(t);

		sb_puts(sb, "  ");
		bucket_line(sb, &t->ended.durations, i);
		lines_add(&t->lines, ATTR_NORMAL, sb->s);
	}
	lines_add(&t->lines, ATTR_TITLE,
		  traced ? "The last ones" :
			   "The last ones; what comes and goes between two looks is not seen");
	for (u32 i = 0; i < ended_kept(&t->ended); i++)
		add_ended(t, ended_wait(&t->ended, i));
	pane_text(t, c, a, "waits that ended");
}

void pane_help(struct top *t, struct canvas *c, struct area a)
{
	static const char text[] =
		"daxtop only looks: no key signals a task or changes anything.\n"
		"Up Down j k   move           PgUp PgDn Home End   by pages, to the ends\n"
		"Enter         detail of the selected wait: stacks, file, what helps\n"
		"F7 c          chain: who waits for whom, link by link\n"
		"F8 w          explain: the report that daxtrace prints\n"
		"x             every held page   e   waits that ended, with a histogram\n"
		"F3 /          find              n   the next one\n"
		"F4 \\          filter: -p LIST -C GLOB --op LIST --how LIST -m TIME, or part of\n"
		"              a path or command name; empty shows all\n"
		"F5            fold or unfold\n"
		"F6 > <        sort by the next or previous column   I   inverts\n"
		"F9            dump what is shown to files, as text and as JSON\n"
		"Space Z       pause; looking goes on         t T   step in time; pauses\n"
		"Esc           back; clears the filter        [ ]   to where waits come or go\n"
		"Ctrl-L        draw anew         q F10   quit         F1 h ?   this help\n"
		"S             state as in ps: a signal ends a wait in S, the holder one in D\n"
		"CONF          exact: seen; likely: evidence fits; cand: it could; none: unknown\n"
		"AGE           since the task last ran, or the reference was taken; ? unknown\n";

	lines_reset(&t->lines, c->w);
	lines_add_visible(&t->lines, ATTR_NORMAL, text);
	pane_text(t, c, a, "keys");
}
