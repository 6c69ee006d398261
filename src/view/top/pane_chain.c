// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Who waits for whom, from the selected wait on: the task, the page, what holds it, who could
 * release that, and whether that task waits in turn. Links only: what they mean is in the verdict.
 */
#include "diagnose/phrase.h"
#include "util/text.h"
#include "view/top/pane.h"

enum { MAX_LINKS = 8, MAX_BRANCHES = 8 };

struct chain {
	struct top *t;
	const struct wfg_wait *seen[MAX_LINKS]; /* waits on the way, the first first */
	u32 n;
};

static void add(struct chain *ch, enum attr attr, const char *indent, struct strbuf *sb)
{
	lines_wrap(&ch->t->lines, attr, indent, "              ", sb->s, UINT32_MAX);
}

static void add_waiter(struct chain *ch, const struct wfg_wait *w)
{
	struct strbuf *sb = pane_scratch(ch->t);

	phrase_task(sb, w->task);
	if (w->task->t.call)
		sb_printf(sb, "  %s", w->task->t.call);
	sb_printf(sb, "  %c, %s, ", w->task->t.state ? w->task->t.state : '?',
		  w->w.interruptible ? "a signal ends it" : "no signal ends it");
	phrase_time(sb, w->task->t.asleep_ns);
	add(ch, ATTR_TITLE, "", sb);
	if (w->nr_queued) {
		sb = pane_scratch(ch->t);
		sb_printf(sb, "%s, for which ", w->queued[0].lock ? w->queued[0].lock : "a lock");
		phrase_count(sb, w->nr_queued, "task");
		sb_printf(sb, " wait%s", w->nr_queued == 1 ? "s" : "");
		add(ch, ATTR_NORMAL, "  HOLDS       ", sb);
	}
	sb = pane_scratch(ch->t);
	phrase_page(sb, w->page);
	sb_puts(sb, " of ");
	phrase_file(sb, w->file);
	if (w->page) {
		sb_puts(sb, ": ");
		phrase_count(sb, w->page->busy > 0 ? w->page->busy : 0, "busy reference");
	}
	add(ch, ATTR_NORMAL, "  WAITS FOR   ", sb);
}

static void add_object(struct chain *ch, const struct wfg_hold *h)
{
	struct strbuf *sb = pane_scratch(ch->t);

	sb_printf(sb, "%s  %s, %s, ", h->h.object_id ? h->h.object_id : "(no object seen)",
		  fact_how_name(h->h.how), fact_confidence_name(h->h.confidence));
	phrase_count(sb, h->h.refs, "reference");
	if (h->h.target)
		sb_printf(sb, ", to %s", h->h.target);
	add(ch, ATTR_TITLE, "  held by  ", sb);
	if (h->nr_releasers)
		return;
	sb = pane_scratch(ch->t);
	sb_puts(sb, "no task that was found");
	add(ch, ATTR_NORMAL, "    freed by  ", sb);
}

/* A wait of the task itself; NULL none. */
static const struct wfg_wait *wait_of(const struct wfg *g, const struct wfg_task *task)
{
	for (size_t i = 0; i < wfg_nr_waits(g); i++)
		if (wfg_wait(g, i)->task == task)
			return wfg_wait(g, i);
	return NULL;
}

/* The wait that a task is queued behind; NULL none. */
static const struct wfg_wait *queue_of(const struct wfg *g, const struct wfg_task *task,
				       const char **lock)
{
	for (size_t i = 0; i < wfg_nr_waits(g); i++) {
		const struct wfg_wait *w = wfg_wait(g, i);

		for (u32 j = 0; j < w->nr_queued; j++) {
			if (w->queued[j].task != task)
				continue;
			*lock = w->queued[j].lock;
			return w;
		}
	}
	return NULL;
}

static bool is_seen(const struct chain *ch, const struct wfg_wait *w)
{
	for (u32 i = 0; i < ch->n; i++)
		if (ch->seen[i] == w)
			return true;
	return false;
}

/* What the task that could release the page waits for; NULL nothing known. */
static const struct wfg_wait *add_releaser(struct chain *ch, const struct wfg_releaser *rel)
{
	const struct wfg_wait *next = wait_of(ch->t->g, rel->task);
	struct strbuf *sb = pane_scratch(ch->t);
	const char *lock = NULL;
	bool back;

	phrase_task(sb, rel->task);
	if (rel->fd >= 0)
		sb_printf(sb, "  fd %d%s", rel->fd, rel->reads ? ", can read" : "");
	sb_printf(sb, "  %c", rel->task->t.state ? rel->task->t.state : '?');
	if (next) {
		sb_puts(sb, ", waits for a page itself");
	} else {
		next = queue_of(ch->t->g, rel->task, &lock);
		if (next)
			sb_printf(sb, ", waits for %s of ", lock ? lock : "a lock");
		if (next)
			phrase_task(sb, next->task);
	}
	back = next && is_seen(ch, next);
	add(ch, back ? ATTR_BAD : ATTR_NORMAL, "    freed by  ", sb);
	if (!back)
		return next;
	sb = pane_scratch(ch->t);
	sb_puts(sb, "<== back to ");
	phrase_task(sb, next->task);
	sb_puts(sb, " above: a cycle");
	add(ch, ATTR_BAD, "              ", sb);
	return NULL;
}

/* Returns the wait that the chain goes on with; NULL when it ends here. */
static const struct wfg_wait *add_link(struct chain *ch, const struct wfg_wait *w)
{
	u32 holds = w->page ? w->page->nr_holds : 0;
	const struct wfg_wait *next = NULL;

	add_waiter(ch, w);
	for (u32 i = 0; i < holds && i < MAX_BRANCHES; i++) {
		const struct wfg_hold *h = w->page->holds[i];

		add_object(ch, h);
		for (u32 j = 0; j < h->nr_releasers && j < MAX_BRANCHES; j++) {
			const struct wfg_wait *found = add_releaser(ch, &h->releasers[j]);

			next = next ? next : found;
		}
	}
	if (w->page && w->page->unattributed)
		lines_add(&ch->t->lines, ATTR_WARN,
			  "  held by  somebody unknown: some references are not explained");
	return next;
}

void pane_chain(struct top *t, struct canvas *c, struct area a)
{
	const struct finding *f = top_finding(t);
	const struct wfg_wait *w = top_wait(t);
	struct chain ch = { .t = t };

	lines_reset(&t->lines, c->w);
	while (w && ch.n < MAX_LINKS) {
		ch.seen[ch.n++] = w;
		w = add_link(&ch, w);
		if (w)
			lines_add(&t->lines, ATTR_DIM, "     |");
	}
	if (!ch.n)
		lines_add(&t->lines, ATTR_NORMAL, "Nobody waits.");
	pane_text(t, c, a, f ? finding_code_name(f->code) : "chain");
}
