// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * LEASE: a lease of the file, a delegation or a layout has to be given back first. It is no
 * reference of a page, and the waiter keeps no lock meanwhile.
 */
#include "diagnose/advice.h"
#include "diagnose/phrase.h"
#include "diagnose/signals.h"
#include "diagnose/verdict.h"

#define NAMED      2
#define PROOF      "advice-lease"
#define PROOF_NFSD "layout"

bool lease_applies(const struct wfg *g, const struct wfg_wait *wait)
{
	(void)g;
	return wait->w.on == ON_LEASE && !wait->page;
}

static bool has_limit(const struct wfg_hold *h)
{
	return h->h.left_ns && h->h.left_ns != FACT_UNKNOWN;
}

static void phrase_limit(struct strbuf *sb, const struct wfg_hold *h)
{
	if (h->h.left_ns == FACT_UNKNOWN) {
		sb_puts(sb, "; when the kernel would take it away is not known");
	} else if (!h->h.left_ns && h->h.of_nfsd) {
		sb_puts(sb, "; the server takes it away once its lease time has passed");
	} else if (!h->h.left_ns) {
		sb_puts(sb, "; the kernel does not take it away");
	} else {
		sb_puts(sb, "; the kernel takes it away in ");
		phrase_time(sb, h->h.left_ns);
	}
}

static void phrase_holder(struct strbuf *sb, const struct wfg_hold *h)
{
	if (h->nr_releasers) {
		sb_puts(sb, ", which ");
		phrase_releasers(sb, h, NAMED);
		sb_puts(sb, " has to give back");
	} else {
		sb_printf(sb, ", %s", h->h.detail ? h->h.detail : "which no known task has");
	}
}

static void explain_text(struct verdict *v)
{
	const struct wfg_wait *wait = v->wait;
	struct strbuf sb = { 0 };

	sb_puts(&sb, "LEASE: ");
	phrase_wait(&sb, wait);
	if (!wait->nr_holds) {
		sb_puts(&sb, "; who has it is not known");
	} else {
		phrase_holder(&sb, wait->holds[0]);
		phrase_limit(&sb, wait->holds[0]);
	}
	sb_putc(&sb, '.');
	verdict_text(v, &sb);
}

static void explain_hold(struct verdict *v, const struct wfg_hold *h)
{
	struct strbuf sb = { 0 };

	sb_printf(&sb, "[%s] It is %s", fact_confidence_name(h->h.confidence),
		  h->h.detail ? h->h.detail : "a lease");
	if (h->nr_releasers) {
		sb_puts(&sb, ", open in ");
		phrase_releasers(&sb, h, NAMED);
		if (h->releasers[0].fd >= 0)
			sb_printf(&sb, " (fd %d)", h->releasers[0].fd);
	}
	phrase_limit(&sb, h);
	sb_putc(&sb, '.');
	verdict_cause(v, &sb);
}

/* The longest time that is left, where all leases have a limit. */
static u64 last_limit(const struct wfg_wait *wait)
{
	u64 last = 0;

	for (u32 i = 0; i < wait->nr_holds; i++) {
		if (!has_limit(wait->holds[i]))
			return 0;
		if (wait->holds[i]->h.left_ns > last)
			last = wait->holds[i]->h.left_ns;
	}
	return last;
}

static void advise_patience(struct verdict *v)
{
	struct strbuf action = { 0 }, effect = { 0 };
	u64 left = last_limit(v->wait);

	if (!left)
		return;
	sb_puts(&action, "Wait for ");
	phrase_time(&action, left);
	sb_putc(&action, '.');
	sb_puts(&effect, "Then the kernel takes away what was not given back (its limit is in "
			 "/proc/sys/fs/lease-break-time), and the ");
	phrase_op(&effect, v->wait);
	sb_puts(&effect, " goes on; nothing is lost.");
	verdict_advice(v, ADVICE_SENTENCE, "lease-limit", &action, &effect);
}

/* Only where one process alone has the open file: the lease goes with its last descriptor. */
static void advise_end_of(struct verdict *v, const struct wfg_hold *h)
{
	struct strbuf action = { 0 }, effect = { 0 };
	struct processes p = { 0 };
	const char *why;

	processes_add(&p, h);
	processes_sort(&p);
	if (p.n == 1 && !p.failed && h->nr_releasers == h->h.nr_releasers &&
	    p.t[0]->t.pid != v->wait->task->t.pid && p.t[0]->t.state != 'T') {
		why = sigterm_useless(p.t[0]);
		if (why)
			sb_puts(&effect, "Ending ");
		else
			sb_puts(&effect, "Ends ");
		phrase_task(&effect, p.t[0]);
		if (why) {
			sb_printf(&effect, " is not advised: it %s.", why);
			verdict_note(v, &effect);
		} else {
			sb_printf(&action, "kill %u", p.t[0]->t.pid);
			sb_puts(&effect, ", and its lease goes with it");
			if (v->wait->nr_holds > 1)
				sb_puts(&effect, "; the others have to go as well");
			sb_putc(&effect, '.');
			verdict_advice(v, ADVICE_COMMAND, PROOF, &action, &effect);
		}
	}
	processes_free(&p);
}

/* Its client loses more than the lease: it is for one that does not answer any more. */
static void advise_expire(struct verdict *v, const struct wfg_hold *h)
{
	struct strbuf action = { 0 }, effect = { 0 };

	if (!h->h.of_nfsd)
		return;
	if (!advice_is_plain_path(h->h.client_dir)) {
		sb_puts(&effect, "The NFS server lists its clients in /proc/fs/nfsd/clients of its "
				 "network namespace, where one can be expired.");
		verdict_note(v, &effect);
		return;
	}
	sb_printf(&action, "cat %s/info", h->h.client_dir);
	sb_puts(&effect, "Shows the client that has it; changes nothing.");
	verdict_advice(v, ADVICE_COMMAND, PROOF_NFSD, &action, &effect);
	sb_printf(&action, "echo expire > %s/ctl", h->h.client_dir);
	sb_printf(&effect,
		  "If the client%s%s does not come back: the server drops all that it has open, "
		  "locked or delegated, and the ",
		  h->h.target ? " " : "", h->h.target ? h->h.target : "");
	phrase_op(&effect, v->wait);
	sb_puts(&effect, v->wait->nr_holds > 1 ? " goes on once the others have gone as well." :
						 " goes on.");
	verdict_advice(v, ADVICE_COMMAND, PROOF_NFSD, &action, &effect);
}

void lease_explain(struct verdict *v)
{
	const struct wfg_wait *wait = v->wait;
	struct strbuf sb = { 0 };

	explain_text(v);
	for (u32 i = 0; i < wait->nr_holds; i++)
		explain_hold(v, wait->holds[i]);
	sb_puts(&sb, "No page reference is waited for yet: that comes after the lease.");
	verdict_cause(v, &sb);
	advise_patience(v);
	advise_interrupt(v, PROOF);
	for (u32 i = 0; i < wait->nr_holds; i++) {
		advise_end_of(v, wait->holds[i]);
		advise_expire(v, wait->holds[i]);
	}
}
