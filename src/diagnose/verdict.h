/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* A finding under construction, and the rules that can construct one. */
#ifndef DIAGNOSE_VERDICT_H
#define DIAGNOSE_VERDICT_H

#include <daxtop/diagnose.h>

#include "util/strbuf.h"

struct processes;

struct verdict {
	const struct wfg *g;
	const struct wfg_wait *wait;
	struct finding *f;
	bool hopeless; /* behind a deadlock: nothing but its end can end this wait */
	int err;       /* the first -ENOMEM sticks; 0 so far */
};

/* Each takes what sb holds and leaves it empty. */
void verdict_text(struct verdict *v, struct strbuf *sb);
void verdict_cause(struct verdict *v, struct strbuf *sb);
void verdict_impact(struct verdict *v, struct strbuf *sb);
void verdict_note(struct verdict *v, struct strbuf *sb);

enum advice_kind {
	ADVICE_SENTENCE = 0,
	ADVICE_COMMAND,
};

/* proven_by names a scenario and stays the caller's; NULL none. */
void verdict_advice(struct verdict *v, enum advice_kind kind, const char *proven_by,
		    struct strbuf *action, struct strbuf *effect);

/* One file per finding: whether it explains the wait, and its words. */
bool self_deadlock_applies(const struct wfg *g, const struct wfg_wait *wait);
void self_deadlock_explain(struct verdict *v);
void deadlock_explain(struct verdict *v);
bool lost_wakeup_applies(const struct wfg *g, const struct wfg_wait *wait);
void lost_wakeup_explain(struct verdict *v);
bool entry_lock_applies(const struct wfg *g, const struct wfg_wait *wait);
void entry_lock_explain(struct verdict *v);
bool lease_applies(const struct wfg *g, const struct wfg_wait *wait);
void lease_explain(struct verdict *v);
bool blocked_applies(const struct wfg *g, const struct wfg_wait *wait);
void blocked_explain(struct verdict *v);

/* The same for what is found though nobody waits: v->wait is NULL. */
bool orphans_apply(const struct wfg *g);
void orphans_explain(struct verdict *v);
bool unbind_applies(const struct wfg *g);
void unbind_explain(struct verdict *v);

/* Sentences for the cause, one for each hold of the page and one for what none explains. */
void explain_holds(struct verdict *v);

/* Likewise for a page that nobody waits for: each begins with the page. */
void explain_held_page(struct verdict *v, const struct wfg_page *page);

typedef bool (*page_test_fn)(const struct wfg *g, const struct wfg_page *page);

/*
 * Likewise for the first ones of all pages that pass the test. Adds the tasks that can release any
 * of them to holders. Returns how many pages there are; *first is NULL for none.
 */
u64 explain_held_pages(struct verdict *v, page_test_fn wanted, const struct wfg_page **first,
		       struct processes *holders);

/* ", held in pipe:[4711] by db[311] and 1 more holder": who holds a page, behind its name. */
void phrase_holders(struct strbuf *sb, const struct wfg_page *page);

/* That the page is not part of what the operation frees, if so: a clause, and a sentence. */
void phrase_outside(struct strbuf *sb, const struct wfg_wait *wait);
void explain_outside(struct verdict *v);

/* Likewise that the waiter goes from page to page, as far as earlier looks saw it. */
void phrase_churn(struct strbuf *sb, const struct wfg *g, const struct wfg_wait *wait);
void note_churn(struct verdict *v);

/* Sentences for the impact. */
void explain_impact(struct verdict *v);

/*
 * Data in a pipe or a socket that waits to be read: reading it, or the last close, ends the hold.
 */
bool hold_is_unread(const struct wfg_hold *h);

/* For such a hold: the pipe or socket to be read, "pipe:[4711]"; NULL unknown. */
const char *hold_reads(const struct wfg_hold *h);

/* I/O in flight: releases its pages when it completes, whatever its task does. */
bool hold_is_io(const struct wfg_hold *h);

/* A call that holds the page while it lasts: ending its task ends it. */
bool hold_is_call(const struct wfg_hold *h);

/* No page but a lock, which a task keeps while it is in the middle of something. */
bool hold_is_lock(const struct wfg_hold *h);

/* Whether every task that could release the hold, or answer its I/O, is of the waiter's process. */
bool hold_is_own(const struct wfg_hold *h, const struct wfg_task *waiter);

/* For such a hold: whether another live thread of the process could release it. */
bool other_thread_could(const struct wfg_hold *h, const struct wfg_task *waiter);

#endif
