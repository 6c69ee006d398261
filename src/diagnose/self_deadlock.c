// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * SELF_DEADLOCK: the only task that could release the page is the one that waits for it. Real from
 * Linux 6.15 on in eviction (state D, unkillable), and on every kernel in ftruncate (state S).
 */
#include "diagnose/advice.h"
#include "diagnose/phrase.h"
#include "diagnose/verdict.h"

/* A file that the waiter has closed, whose release is work that it would do after this wait. */
static bool in_own_pending_work(const struct wfg_hold *h, const struct wfg_task *waiter)
{
	return h->h.how == HOW_VMSPLICE && h->nr_releasers == 1 && h->releasers[0].task == waiter &&
	       h->releasers[0].fd < 0 && !h->releasers[0].receives && !h->releasers[0].registered;
}

bool other_thread_could(const struct wfg_hold *h, const struct wfg_task *waiter)
{
	if (in_own_pending_work(h, waiter))
		return false;
	/* An exiting task may have left the count of its group already. */
	return waiter->t.threads > 1 || (!waiter->t.threads && !waiter->t.exiting);
}

bool self_deadlock_applies(const struct wfg *g, const struct wfg_wait *wait)
{
	const struct wfg_page *page = wait->page;
	u32 holders;

	(void)g;
	if (wait->w.on != ON_PAGE || !page || !page->busy || page->unattributed)
		return false;
	holders = wfg_page_holders(page);
	for (u32 i = 0; i < holders; i++) {
		const struct wfg_hold *h = page->holds[i];

		if (!hold_is_own(h, wait->task) || other_thread_could(h, wait->task))
			return false;
	}
	return holders;
}

static void phrase_hold(struct strbuf *sb, const struct wfg_hold *h)
{
	if (h->server)
		sb_printf(sb, "held by I/O to %s, which the waiter itself has to answer",
			  h->h.target ? h->h.target : "a server");
	else if (h->h.how == HOW_MAPPING)
		sb_puts(sb, "mapped by the waiter itself");
	else
		sb_printf(sb, "held in %s of the waiter itself",
			  h->h.object_id ? h->h.object_id : "a pipe");
}

static void explain_text(struct verdict *v)
{
	const struct wfg_page *page = v->wait->page;
	u32 holders = wfg_page_holders(page);
	struct strbuf sb = { 0 };

	sb_puts(&sb, "SELF-DEADLOCK: ");
	phrase_wait(&sb, v->wait);
	sb_puts(&sb, ", ");
	phrase_hold(&sb, page->holds[0]);
	if (holders > 1)
		sb_printf(&sb, " and %u more of its own", holders - 1);
	sb_puts(&sb, ": nobody else could release it.");
	verdict_text(v, &sb);
}

static void advise_hold(struct verdict *v, const struct wfg_hold *h)
{
	struct strbuf sb = { 0 };

	if (advise_drain(v, h) || advise_abort(v, h, h->h.refs) ||
	    advise_disconnect(v, h, h->h.refs))
		return;
	if (h->h.how == HOW_VMSPLICE && h->releasers[0].fd < 0)
		sb_puts(&sb,
			"The descriptors of the pipe are closed already, so nothing can read it "
			"any more: only a reboot ends this wait.");
	else
		sb_puts(&sb, "No way to release the page from outside is known: only a reboot ends "
			     "this wait.");
	verdict_note(v, &sb);
}

void self_deadlock_explain(struct verdict *v)
{
	const struct wfg_page *page = v->wait->page;
	struct strbuf sb = { 0 };

	explain_text(v);
	explain_holds(v);
	if (v->wait->w.interruptible) {
		sb_puts(&sb, "The wait is interruptible: a signal ends it.");
		verdict_cause(v, &sb);
		advise_interrupt(v, "self/ftruncate");
		return;
	}
	sb_puts(&sb, "The wait is not interruptible: no signal ends it, not even SIGKILL.");
	verdict_cause(v, &sb);
	for (u32 i = 0; i < wfg_page_holders(page); i++)
		advise_hold(v, page->holds[i]);
}
