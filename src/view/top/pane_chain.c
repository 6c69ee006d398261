// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Who waits for whom, from the selected wait on: the task, the page, what holds it, who could
 * release that, and whether that task waits in turn. Links only: what they mean is in the verdict.
 */
#include "diagnose/phrase.h"
#include "util/text.h"
#include "view/top/pane.h"

enum { MAX_LINKS = 8, MAX_BRANCHES = 8, MAX_STEPS = 16 };

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
	phrase_time(sb, w->age_ns);
	add(ch, ATTR_TITLE, "", sb);
	if (w->nr_queued) {
		sb = pane_scratch(ch->t);
		sb_printf(sb, "%s, for which ", w->queued[0].lock ? w->queued[0].lock : "a lock");
		phrase_count(sb, w->nr_queued, "task");
		sb_printf(sb, " wait%s", w->nr_queued == 1 ? "s" : "");
		add(ch, ATTR_NORMAL, "  HOLDS       ", sb);
	}
	sb = pane_scratch(ch->t);
	phrase_what(sb, w);
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

static bool is_seen(const struct chain *ch, const struct wfg_wait *w)
{
	for (u32 i = 0; i < ch->n; i++)
		if (ch->seen[i] == w)
			return true;
	return false;
}

/* "i_rwsem of /pmem1/q/log.7", "pipe:[4711], an empty pipe" */
static void add_lock(struct strbuf *sb, const struct wfg_queued *q)
{
	const struct wfg_lock *lock = q->on;

	if (lock && lock->l.mode == MODE_PIPE && lock->l.of && q->lock) {
		sb_printf(sb, "%s, a%s %s", lock->l.of, *q->lock == 'e' ? "n" : "", q->lock);
		return;
	}
	sb_puts(sb, q->lock ? q->lock : "a lock");
	if (lock && lock->file && lock->file->f.path)
		sb_printf(sb, " of %s", lock->file->f.path);
	else if (lock && lock->l.of)
		sb_printf(sb, " of %s", lock->l.of);
}

/*
 * Who has the lock that a task sleeps for, and the lock that this one sleeps for, up to a waiter or
 * to one that sleeps for no lock. Returns the waiter's wait; NULL none.
 */
static const struct wfg_wait *add_owners(struct chain *ch, const struct wfg_queued *q)
{
	const struct wfg_wait *wait = NULL;

	for (u32 n = 0; q && q->behind && !wait && n < MAX_LINKS; n++) {
		struct strbuf *sb = pane_scratch(ch->t);

		wait = wait_of(ch->t->g, q->behind);
		sb_puts(sb, "which ");
		phrase_task(sb, q->behind);
		sb_puts(sb, " has");
		q = wait ? NULL : wfg_queued_of(ch->t->g, q->behind);
		if (q) {
			sb_puts(sb, ", who waits for ");
			add_lock(sb, q);
		}
		add(ch, ATTR_NORMAL, "              ", sb);
	}
	return wait;
}

/* What the task that could release the page waits for; NULL nothing known. */
static const struct wfg_wait *add_releaser(struct chain *ch, const struct wfg_releaser *rel)
{
	const struct wfg_wait *next = wait_of(ch->t->g, rel->task);
	const struct wfg_queued *q = wfg_queued_of(ch->t->g, rel->task);
	struct strbuf *sb = pane_scratch(ch->t);

	phrase_task(sb, rel->task);
	if (rel->fd >= 0)
		sb_printf(sb, "  fd %d%s", rel->fd, rel->reads ? ", can read" : "");
	sb_printf(sb, "  %c", rel->task->t.state ? rel->task->t.state : '?');
	if (next) {
		sb_puts(sb, ", waits for a page itself");
	} else if (q) {
		sb_puts(sb, ", waits for ");
		add_lock(sb, q);
	}
	add(ch, next && is_seen(ch, next) ? ATTR_BAD : ATTR_NORMAL, "    freed by  ", sb);
	if (!next && q)
		next = add_owners(ch, q);
	if (!next || !is_seen(ch, next))
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
	u32 holds = w->nr_holds;
	const struct wfg_wait *next = NULL;

	add_waiter(ch, w);
	for (u32 i = 0; i < holds && i < MAX_BRANCHES; i++) {
		const struct wfg_hold *h = w->holds[i];

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

/* What a step waits for, which the next one has. */
static void add_wanted(struct strbuf *sb, const struct cycle_step *step)
{
	if (!step->hold) {
		add_lock(sb, step->sleeps);
		return;
	}
	phrase_page(sb, step->wait->page);
	if (step->wait->file && step->wait->file->f.path)
		sb_printf(sb, " of %s", step->wait->file->f.path);
	sb_printf(sb, ", in %s", step->hold->h.object_id ? step->hold->h.object_id : "memory");
}

static void add_step(struct chain *ch, const struct cycle *c, u32 i)
{
	const struct cycle_step *step = &c->steps[i], *before = &c->steps[(i + c->n - 1) % c->n];
	const struct fact_task *t = &step->task->t;
	struct strbuf *sb = pane_scratch(ch->t);

	phrase_task(sb, step->task);
	sb_printf(sb, "  %s  %c, ", t->call ? t->call : "", t->state ? t->state : '?');
	phrase_time(sb, t->asleep_ns);
	add(ch, ATTR_TITLE, i ? " |   " : " +-> ", sb);
	sb = pane_scratch(ch->t);
	add_wanted(sb, before);
	add(ch, ATTR_NORMAL, " |     HOLDS  ", sb);
	sb = pane_scratch(ch->t);
	add_wanted(sb, step);
	sb_puts(sb, step->proven ? "" : "  (not proven)");
	add(ch, step->proven ? ATTR_NORMAL : ATTR_WARN,
	    i + 1 == c->n ? " +---- WAITS  " : " |     WAITS  ", sb);
}

static void draw_circle(struct chain *ch, const struct cycle *c)
{
	struct strbuf *sb = pane_scratch(ch->t);

	sb_printf(sb, "circle of %u tasks, ", c->n);
	sb_puts(sb, c->proven ? "each step was seen" : "suspected: not each step was seen");
	add(ch, ATTR_BAD, "", sb);
	for (u32 i = 0; i < c->n; i++) {
		/* of a large one the start and the end */
		if (c->n > MAX_STEPS && i == MAX_STEPS / 2) {
			u32 skipped = c->n - MAX_STEPS;

			sb = pane_scratch(ch->t);
			sb_printf(sb, "%u more", skipped);
			add(ch, ATTR_DIM, " |   ... ", sb);
			i += skipped;
		}
		add_step(ch, c, i);
	}
}

static void draw_chain(struct chain *ch, const struct wfg_wait *w)
{
	while (w && ch->n < MAX_LINKS) {
		ch->seen[ch->n++] = w;
		w = add_link(ch, w);
		if (w)
			lines_add(&ch->t->lines, ATTR_DIM, "     |");
	}
	if (!ch->n)
		lines_add(&ch->t->lines, ATTR_NORMAL, pane_why_empty(ch->t));
}

void pane_chain(struct top *t, struct canvas *c, struct area a)
{
	const struct finding *f = top_finding(t);
	struct chain ch = { .t = t };

	lines_reset(&t->lines, c->w);
	if (f && f->cycle.n)
		draw_circle(&ch, &f->cycle);
	else
		draw_chain(&ch, top_wait(t));
	pane_text(t, c, a, f ? finding_code_name(f->code) : "chain");
}
