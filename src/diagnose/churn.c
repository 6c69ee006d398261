// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Churn: while the waiter sleeps it lets go of the lock that keeps page faults out, so a workload
 * that goes on may take references of further pages, and each one that goes only leads to the next.
 */
#include "diagnose/phrase.h"
#include "diagnose/verdict.h"

#define MOVES_MIN 2 /* a file with two holders is no churn */

static bool churns(const struct wfg_wait *wait)
{
	return wait->w.on == ON_PAGE && wait->moves >= MOVES_MIN;
}

void phrase_churn(struct strbuf *sb, const struct wfg *g, const struct wfg_wait *wait)
{
	u64 now = wfg_session(g)->mono_ns;

	if (!churns(wait))
		return;
	sb_printf(sb, "; it was seen to go on to another page %u times", wait->moves);
	if (!wait->since_ns || wait->since_ns >= now)
		return;
	sb_puts(sb, " in ");
	phrase_time(sb, now - wait->since_ns);
}

void note_churn(struct verdict *v)
{
	struct strbuf sb = { 0 };

	if (!churns(v->wait))
		return;
	sb_puts(&sb,
		"To release this page may only lead to the next one: the workload keeps taking "
		"references while the waiter sleeps. Stop the workload for a moment.");
	verdict_note(v, &sb);
}
