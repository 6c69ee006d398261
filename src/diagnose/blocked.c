// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* BLOCKED: somebody else keeps the page busy, or it cannot be said who. Always applies. */
#include "diagnose/advice.h"
#include "diagnose/mechanism.h"
#include "diagnose/phrase.h"
#include "diagnose/verdict.h"

#define NAMED 2

bool blocked_applies(const struct wfg *g, const struct wfg_wait *wait)
{
	(void)g;
	(void)wait;
	return true;
}

static void phrase_object(struct strbuf *sb, const struct wfg_hold *h)
{
	sb_printf(sb, "held in %s", h->h.object_id ? h->h.object_id : "a pipe");
	if (!h->nr_releasers) {
		sb_puts(sb, ", which no known task has open");
		return;
	}
	sb_puts(sb, " by ");
	phrase_releasers(sb, h, NAMED);
}

static void phrase_purpose(struct strbuf *sb, const struct wfg_hold *h)
{
	sb_puts(sb, "held ");
	if (h->nr_releasers) {
		sb_puts(sb, "by ");
		phrase_releasers(sb, h, NAMED);
		sb_putc(sb, ' ');
	}
	sb_printf(sb, "for %s", mechanism_of(h->h.how)->purpose);
	if (h->h.target)
		sb_printf(sb, "%s%s", mechanism_at(h->h.how), h->h.target);
	else if (hold_is_io(h))
		sb_puts(sb, " to an unknown target");
}

static void phrase_strongest(struct strbuf *sb, const struct wfg_hold *h)
{
	if (h->h.confidence == CONF_LIKELY)
		sb_puts(sb, "probably ");
	switch (mechanism_of(h->h.how)->ends) {
	case ENDS_READ:
		phrase_object(sb, h);
		break;
	case ENDS_IO:
	case ENDS_CALL:
		phrase_purpose(sb, h);
		break;
	case ENDS_UNMAP:
		sb_puts(sb, "mapped by ");
		phrase_releasers(sb, h, NAMED);
		break;
	case ENDS_ITSELF:
		sb_printf(sb, "held in %s, which no task owns",
			  h->h.object_id ? h->h.object_id : "an object of the kernel");
		break;
	default:
		sb_puts(sb, "held by ");
		phrase_releasers(sb, h, NAMED);
		sb_puts(sb, " in an unknown way");
	}
	if (!h->nr_releasers && h->h.taker_pid) {
		sb_puts(sb, ", ");
		phrase_taker(sb, &h->h);
	}
}

/* Nobody pins the page, page table entries alone keep it busy. */
static void phrase_only_mapped(struct strbuf *sb, const struct wfg_page *page)
{
	struct processes p = { 0 };

	for (u32 i = 0; i < page->nr_holds; i++)
		if (page->holds[i]->h.how == HOW_MAPPING)
			processes_add(&p, page->holds[i]);
	processes_sort(&p);
	sb_printf(sb, "; nobody pins it, but %lld page table entr%s of ", (long long)page->mapped,
		  page->mapped == 1 ? "y" : "ies");
	phrase_processes(sb, &p, NAMED);
	sb_puts(sb, page->mapped == 1 ? " maps it and counts as a reference" :
					" map it, and each counts as a reference");
	processes_free(&p);
}

static void phrase_unexplained(struct strbuf *sb, const struct wfg_page *page, u32 holders)
{
	struct processes p = { 0 };

	if (!page->unattributed)
		return;
	if (holders) {
		sb_puts(sb, ", and ");
		phrase_count(sb, page->unattributed, "more reference");
		sb_puts(sb, page->unattributed == 1 ? " is unexplained" : " are unexplained");
		return;
	}
	sb_puts(sb, "; who holds its ");
	phrase_count(sb, page->unattributed, "busy reference");
	sb_puts(sb, " is not known");
	for (u32 i = 0; i < page->nr_holds; i++)
		processes_add(&p, page->holds[i]);
	processes_sort(&p);
	if (p.n) {
		sb_puts(sb, p.n == 1 ? ", candidate: " : ", candidates: ");
		phrase_processes(sb, &p, NAMED);
	}
	sb->failed |= p.failed;
	processes_free(&p);
}

void phrase_holders(struct strbuf *sb, const struct wfg_page *page)
{
	u32 holders = wfg_page_holders(page);

	if (page->busy == page->mapped && !page->unattributed) {
		phrase_only_mapped(sb, page);
		return;
	}
	if (holders) {
		sb_puts(sb, ", ");
		phrase_strongest(sb, page->holds[0]);
	}
	if (holders > 1) {
		sb_puts(sb, " and ");
		phrase_count(sb, holders - 1, "more holder");
	}
	phrase_unexplained(sb, page, holders);
}

static void phrase_idle(struct strbuf *sb, const struct wfg_page *page)
{
	if (page->p.refs < page->p.idle_refs)
		sb_printf(sb, ", whose reference count %lld, below idle (%lld), cannot be right",
			  (long long)page->p.refs, (long long)page->p.idle_refs);
	else
		sb_puts(sb, ", which became idle just now: it is about to be woken");
}

static void explain_text(struct verdict *v)
{
	const struct wfg_wait *wait = v->wait;
	u64 age = wait->age_ns;
	struct strbuf sb = { 0 };

	sb_puts(&sb, age != FACT_UNKNOWN && age >= FINDING_STUCK_NS ? "STUCK: " : "BLOCKED: ");
	phrase_wait(&sb, wait);
	phrase_outside(&sb, wait);
	if (wait->w.on == ON_PAGE && wait->page) {
		if (wait->page->busy)
			phrase_holders(&sb, wait->page);
		else
			phrase_idle(&sb, wait->page);
	}
	phrase_churn(&sb, v->g, wait);
	sb_putc(&sb, '.');
	verdict_text(v, &sb);
}

/* Waits whose holder is not looked for, or whose page is not busy. */
static void note_no_holder(struct verdict *v)
{
	const struct wfg_wait *wait = v->wait;
	struct strbuf sb = { 0 };

	if (wait->w.on != ON_PAGE)
		sb_puts(&sb, "Who holds what it waits for now was not examined.");
	else if (!wait->page)
		sb_puts(&sb, "The page could not be read, so nothing is known about its holders.");
	else
		sb_puts(&sb, "Run daxtrace again: if the waiter still sleeps and the page is still "
			     "idle, its wake-up was lost.");
	verdict_note(v, &sb);
}

/* Everything that ends an ordinary wait, safest first. */
static void advise(struct verdict *v)
{
	const struct wfg_page *page = v->wait->page;
	struct strbuf sb = { 0 };

	/* each try takes the page table entries away before it looks at the page */
	if (page && page->mapped && page->busy == page->mapped && !wait_uninterruptible(v->wait))
		advise_restart(v, "takes the page out of all page tables",
			       " unless somebody touches the page again in that moment",
			       "advice-retouch");
	if (page)
		advise_release(v);
	advise_interrupt(v, "advice-vmsplice");
	if (page)
		advise_end(v);
	if (!page || !page->unattributed)
		return;
	sb_puts(&sb, "Who holds the unexplained references is not known: ending a task that only "
		     "maps or opens the file may change nothing.");
	verdict_note(v, &sb);
}

static void explain_hopeless(struct verdict *v)
{
	struct strbuf sb = { 0 };

	if (!v->hopeless)
		return;
	sb_puts(&sb, "Who could let go of it is in a deadlock, or behind one: first break that.");
	verdict_cause(v, &sb);
}

void blocked_explain(struct verdict *v)
{
	const struct wfg_wait *wait = v->wait;

	explain_text(v);
	explain_holds(v);
	explain_hopeless(v);
	if (wait->w.on != ON_PAGE || !wait->page || !wait->page->busy)
		note_no_holder(v);
	explain_outside(v);
	note_churn(v);
	if (wait->w.on == ON_PAGE && (!wait->page || wait->page->busy))
		advise(v);
}
