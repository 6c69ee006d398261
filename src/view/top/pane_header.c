// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Whose machine, how fresh, how complete; how many wait, for how long; what is held. */
#include <string.h>

#include "diagnose/phrase.h"
#include "util/text.h"
#include "view/top/pane.h"

/* Which look, and of how many once all are read. */
static void add_replay(struct strbuf *sb, const struct top *t)
{
	sb_puts(sb, "[REPLAY");
	if (t->g)
		sb_printf(sb, " %llu", (unsigned long long)t->shown + 1);
	if (t->g && t->feed.ended)
		sb_printf(sb, "/%llu", (unsigned long long)t->history.next);
	else if (t->feed.gone)
		sb_puts(sb, ", READER ENDED");
	else if (t->feed.silent_ns)
		sb_puts(sb, ", NO ANSWER");
	if (t->feed.error)
		sb_puts(sb, ", FAILED");
	sb_putc(sb, ']');
}

static void add_state(struct strbuf *sb, const struct top *t)
{
	u64 behind = t->history.next ? t->history.next - 1 - t->shown : 0;

	if (t->feed.replay)
		add_replay(sb, t);
	else if (t->paused && behind)
		sb_printf(sb, "[PAUSED, %llu back]", (unsigned long long)behind);
	else if (t->paused)
		sb_puts(sb, "[PAUSED]");
	else if (t->feed.gone)
		sb_puts(sb, "[COLLECTOR ENDED]");
	else if (t->feed.silent_ns) {
		sb_puts(sb, t->feed.attaching ? "[LOADING HOOKS " : "[NO ANSWER ");
		text_duration(sb, t->feed.silent_ns);
		sb_putc(sb, ']');
	} else if (t->feed.error)
		sb_puts(sb, "[FAILED]");
	else if (!t->g)
		sb_puts(sb, "[STARTING]");
	else {
		sb_puts(sb, "[LIVE ");
		text_duration(sb, t->feed.delay_ns);
		sb_putc(sb, ']');
	}
}

static void add_coverage(struct strbuf *sb, const struct wfg *g)
{
	size_t n = wfg_nr_probes(g), ok = 0;

	for (size_t i = 0; i < n; i++)
		ok += wfg_probe(g, i)->state == PROBE_OK;
	sb_printf(sb, "  probes %zu/%zu  lost %llu", ok, n,
		  (unsigned long long)wfg_losses(g, LOSS_LOST));
	if (wfg_losses(g, LOSS_TORN))
		sb_printf(sb, "  torn %llu", (unsigned long long)wfg_losses(g, LOSS_TORN));
}

static const char *who(struct top *t, bool kernel)
{
	const struct fact_session *s = t->g ? wfg_session(t->g) : NULL;
	struct strbuf *sb = pane_scratch(t);

	if (s)
		sb_printf(sb, "%s  ", s->host ? s->host : "?");
	if (s && kernel)
		sb_printf(sb, "%s  ", s->kernel ? s->kernel : "?");
	add_state(sb, t);
	if (s)
		add_coverage(sb, t->g);
	return sb->s;
}

/* Where there is not room for all, what was lost is worth more than which kernel this is. */
static void draw_who(struct top *t, struct canvas *c, u16 y)
{
	bool lost = t->g && wfg_losses(t->g, LOSS_LOST);
	u16 x = canvas_text(c, 0, y, c->w, ATTR_TITLE, "daxtop " DAXTOP_VERSION "  ");
	const char *text = who(t, true);

	if (text_width(text) > (size_t)(c->w - x))
		text = who(t, false);
	canvas_text(c, x, y, c->w - x, lost ? ATTR_WARN : ATTR_NORMAL, text);
}

/* The time of day of the look, at the right end of the row where the rest leaves room. */
static void draw_time(struct top *t, struct canvas *c, u16 y)
{
	const struct fact_session *s = t->g ? wfg_session(t->g) : NULL;
	struct strbuf *sb = pane_scratch(t);
	char time[sizeof("03:12:51")];

	if (!s || !s->time_sec || c->w < 60 || !text_date(sb, s->time_sec, -1, s->utc_offset))
		return;
	snprintf(time, sizeof(time), "%s", strchr(sb->s, 'T') + 1);
	canvas_text(c, c->w - strlen(time), y, sizeof(time), ATTR_NORMAL, time);
}

struct totals {
	u64 waits, queued, oldest, pages, refs, unattributed;
};

static struct totals count(const struct wfg *g)
{
	struct totals n = { .oldest = FACT_UNKNOWN };

	n.waits = wfg_nr_waits(g);
	for (size_t i = 0; i < n.waits; i++) {
		u64 age = wfg_wait(g, i)->age_ns;

		n.queued += wfg_wait(g, i)->nr_queued;
		if (age != FACT_UNKNOWN && (n.oldest == FACT_UNKNOWN || age > n.oldest))
			n.oldest = age;
	}
	for (size_t i = 0; i < wfg_nr_pages(g); i++) {
		const struct wfg_page *p = wfg_page(g, i);

		n.pages += p->busy > 0;
		n.refs += p->busy > 0 ? p->busy : 0;
		n.unattributed += p->unattributed;
	}
	return n;
}

static void draw_held(struct top *t, struct canvas *c, u16 y, const struct totals *n)
{
	const struct fact_session *s = wfg_session(t->g);
	struct strbuf *sb = pane_scratch(t);

	sb_printf(sb, "DAX mounts %u, devices %u   held: ", s->dax_mounts, s->dax_devices);
	phrase_count(sb, n->pages, "page");
	sb_puts(sb, ", ");
	phrase_count(sb, n->refs, "reference");
	sb_printf(sb, " (%llu unattributed)", (unsigned long long)n->unattributed);
	canvas_text(c, 0, y, c->w - (c->w >= 60 ? 10 : 0),
		    n->unattributed ? ATTR_WARN : ATTR_NORMAL, sb->s);
}

static void draw_waits(struct top *t, struct canvas *c, u16 y, const struct totals *n)
{
	struct strbuf *sb = pane_scratch(t);

	sb_printf(sb, "Waits %llu", (unsigned long long)n->waits);
	if (n->waits) {
		sb_puts(sb, ", oldest ");
		phrase_time(sb, n->oldest);
		sb_printf(sb, ", queued behind them %llu", (unsigned long long)n->queued);
	}
	/* before what is only good to know: it says why there is less to see */
	if (t->filter_text[0])
		sb_printf(sb, "   filter: %s", t->filter_text);
	if (t->rows.hidden)
		sb_printf(sb, "%s%u", t->filter_text[0] ? ", hides " : "   hidden by the filter ",
			  t->rows.hidden);
	sb_printf(sb, "   ended %llu", (unsigned long long)t->ended.durations.count);
	if (t->ended.durations.longest_ns) {
		sb_puts(sb, ", longest ");
		text_duration(sb, t->ended.durations.longest_ns);
	}
	if (t->sort || t->inverted)
		sb_printf(sb, "   sort: %s%s", t->inverted ? "-" : "", row_sort_name(t->sort));
	canvas_text(c, 0, y, c->w, n->waits ? ATTR_TITLE : ATTR_NORMAL, sb->s);
}

void pane_header(struct top *t, struct canvas *c, struct area a)
{
	struct totals n = { 0 };

	if (a.h)
		draw_who(t, c, a.y);
	if (!t->g)
		return;
	n = count(t->g);
	if (a.h > 1) {
		draw_held(t, c, a.y + 1, &n);
		draw_time(t, c, a.y + 1);
	}
	if (a.h > 2)
		draw_waits(t, c, a.y + 2, &n);
}
