// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * ENTRY_LOCK: the lock of one DAX entry, which a page fault or writeback keeps while it waits for
 * something else; or the invalidate lock of the file, which such a page fault keeps as well. Nobody
 * sleeps for a page reference, and no signal ends either wait.
 */
#include <string.h>

#include "diagnose/advice.h"
#include "diagnose/mechanism.h"
#include "diagnose/phrase.h"
#include "diagnose/verdict.h"

#define NAMED 2

bool entry_lock_applies(const struct wfg *g, const struct wfg_wait *wait)
{
	(void)g;
	if (wait->page)
		return false;
	return wait->w.on == ON_ENTRY_LOCK || (wait->w.on == ON_LOCK && wait->nr_holds);
}

static void phrase_holder(struct strbuf *sb, const struct wfg_hold *h)
{
	sb_printf(sb, ", which %s of ", mechanism_of(h->h.how)->purpose);
	phrase_releasers(sb, h, NAMED);
	sb_puts(sb, h->h.confidence == CONF_EXACT ? " keeps" : " probably keeps");
	if (h->h.target)
		sb_printf(sb, " while it waits for I/O to %s", h->h.target);
}

static void explain_text(struct verdict *v)
{
	const struct wfg_wait *wait = v->wait;
	struct strbuf sb = { 0 };

	sb_puts(&sb, "ENTRY LOCK: ");
	phrase_wait(&sb, wait);
	if (wait->nr_holds)
		phrase_holder(&sb, wait->holds[0]);
	else if (wait->w.is_free)
		sb_puts(&sb, ", but nobody has that lock: its wake-up was lost, a kernel bug");
	else
		sb_puts(&sb, "; who has the lock is not known");
	sb_putc(&sb, '.');
	verdict_text(v, &sb);
}

static void explain_hold(struct verdict *v, const struct wfg_hold *h)
{
	struct strbuf sb = { 0 };

	sb_printf(&sb, "[%s] ", fact_confidence_name(h->h.confidence));
	phrase_releasers(&sb, h, NAMED);
	sb_puts(&sb, v->wait->w.on == ON_LOCK ? " has it shared" : " locked the entry");
	sb_printf(&sb, " for %s", mechanism_of(h->h.how)->purpose);
	if (h->h.target)
		sb_printf(&sb, " that waits for I/O to %s", h->h.target);
	if (h->h.detail)
		sb_printf(&sb, " (%s)", h->h.detail);
	if (h->h.held_ns != FACT_UNKNOWN) {
		sb_puts(&sb, ", for ");
		phrase_time(&sb, h->h.held_ns);
	}
	sb_putc(&sb, '.');
	verdict_cause(v, &sb);
}

static void explain_nobody(struct verdict *v)
{
	struct strbuf sb = { 0 };

	if (v->wait->w.is_free)
		sb_puts(&sb, "The entry is not locked, the same on every read, and the waiter is "
			     "still in the queue for it.");
	else
		sb_puts(&sb, "[unknown] No task that sleeps was seen to have the lock. One that "
			     "runs may have it, or the handler of a memory failure.");
	verdict_cause(v, &sb);
}

/* A fault also keeps the invalidate lock of the file, shared. */
static void explain_reach(struct verdict *v)
{
	bool on_lock = v->wait->w.on == ON_LOCK;
	struct strbuf sb = { 0 };

	if (!v->wait->nr_holds || v->wait->holds[0]->h.how != HOW_FAULT ||
	    (on_lock && wfg_session(v->g)->readers_pass))
		return;
	if (on_lock)
		sb_puts(&sb, "Page faults of the file that come later sleep behind this wait, "
			     "whatever page they need.");
	else
		sb_puts(&sb,
			"As long as the page fault lasts, truncate, hole punch and reflink of the "
			"file cannot begin either: it keeps them out of the page cache of the "
			"file.");
	verdict_impact(v, &sb);
}

/* Several faults may wait for one device. */
static bool is_advised(const struct wfg_wait *wait, u32 i)
{
	const char *device = wait->holds[i]->h.device;

	for (u32 j = 0; device && j < i; j++)
		if (wait->holds[j]->h.device && !strcmp(wait->holds[j]->h.device, device))
			return true;
	return false;
}

static void advise(struct verdict *v, const struct wfg_hold *h)
{
	struct strbuf sb = { 0 };

	if (h->h.confidence == CONF_EXACT && h->h.target && advise_resume(v, h, 1))
		return;
	sb_puts(&sb, "The lock is released when ");
	phrase_releasers(&sb, h, NAMED);
	sb_puts(&sb, " can go on: ");
	if (h->h.target)
		sb_printf(&sb, "when its I/O to %s completes.", h->h.target);
	else
		sb_puts(&sb, "its kernel stack (-k) shows what it waits for.");
	verdict_note(v, &sb);
	if (h->h.confidence == CONF_EXACT)
		advise_disconnect(v, h, 1);
}

void entry_lock_explain(struct verdict *v)
{
	const struct wfg_wait *wait = v->wait;

	explain_text(v);
	for (u32 i = 0; i < wait->nr_holds; i++)
		explain_hold(v, wait->holds[i]);
	if (!wait->nr_holds)
		explain_nobody(v);
	explain_reach(v);
	for (u32 i = 0; i < wait->nr_holds; i++)
		if (!is_advised(wait, i))
			advise(v, wait->holds[i]);
	advise_interrupt(v, NULL);
}
