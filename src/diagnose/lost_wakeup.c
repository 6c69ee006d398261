// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * LOST_WAKEUP: the page is idle and its waiter sleeps on. Real on Linux 6.1.y, where completing
 * O_DIRECT drops the page through folio_put_refs(), which does not wake.
 */
#include "diagnose/advice.h"
#include "diagnose/phrase.h"
#include "diagnose/verdict.h"

bool lost_wakeup_applies(const struct wfg *g, const struct wfg_wait *wait)
{
	const struct wfg_page *page = wait->page;
	char state = wait->task->t.state;

	if (wait->w.on != ON_PAGE || (state != 'S' && state != 'D') || !page)
		return false;
	/* A count below idle is no idle page but a misread one. */
	return page->p.refs == page->p.idle_refs && wfg_session(g)->coherent_idle;
}

void lost_wakeup_explain(struct verdict *v)
{
	const struct fact_page *p = &v->wait->page->p;
	struct strbuf sb = { 0 };

	sb_puts(&sb, "LOST WAKE-UP: ");
	phrase_wait(&sb, v->wait);
	sb_puts(&sb, ", but the page is idle: its last reference went without waking the waiter");
	sb_puts(&sb, ", a kernel bug.");
	verdict_text(v, &sb);

	sb_printf(&sb,
		  "Nobody holds the page: references %lld, idle at %lld, the same on every read.",
		  (long long)p->refs, (long long)p->idle_refs);
	verdict_cause(v, &sb);
	sb_puts(&sb, "Known on Linux 6.1: when O_DIRECT I/O from the page completes, "
		     "folio_put_refs() drops the reference and bypasses the wake-up.");
	verdict_cause(v, &sb);
	if (!advise_restart(v, "finds the page idle", "", "lost-wakeup"))
		advise_interrupt(v, "advice-vmsplice");
}
