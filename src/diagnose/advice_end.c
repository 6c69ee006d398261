// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Tasks that hold a page by a call, a mapping or something unknown: ending them. */
#include "diagnose/advice_parts.h"
#include "diagnose/phrase.h"
#include "diagnose/signals.h"

const struct wfg_task *hold_only_process(const struct wfg_hold *h)
{
	const struct wfg_releaser *r = h->releasers;

	/* Releasers come ordered by process. */
	if (!h->nr_releasers || h->nr_releasers < h->h.nr_releasers ||
	    r->task->t.pid != r[h->nr_releasers - 1].task->t.pid)
		return NULL;
	return r->task;
}

void advice_add_kill(struct strbuf *sb, const struct wfg_task *const *tasks, u32 n)
{
	const char *before = "; kill -CONT";

	sb_puts(sb, "kill");
	for (u32 i = 0; i < n; i++)
		sb_printf(sb, " %u", tasks[i]->t.pid);
	for (u32 i = 0; i < n; i++) {
		if (tasks[i]->t.state != 'T')
			continue;
		sb_printf(sb, "%s %u", before, tasks[i]->t.pid);
		before = "";
	}
}

void note_not_ended(struct verdict *v, const struct wfg_task *task, const char *why)
{
	struct strbuf sb = { 0 };

	sb_puts(&sb, "Ending ");
	phrase_task(&sb, task);
	sb_printf(&sb, " is not advised: it %s.", why);
	verdict_note(v, &sb);
}

void advise_handler(struct verdict *v, const struct wfg_hold *h)
{
	struct strbuf action = { 0 }, effect = { 0 };

	sb_printf(&action, "Let %s be read.", h->h.target ? h->h.target : "the core dump");
	sb_puts(&effect, "When the dump goes on,");
	advice_add_outcome(&effect, v->wait, h->h.refs);
	verdict_advice(v, ADVICE_SENTENCE, "advice-core-handler", &action, &effect);
}

/* While a task dumps core it takes no other signal than SIGKILL, signal.c prepare_signal(). */
static const char *sigkill_useless(const struct wfg_task *task)
{
	const char *why = signal_unreachable(task);

	return why || task->t.state != 'D' ? why : "sleeps in state D";
}

/*
 * Ptrace does not stall while it has a page, and no virtual machine was ever ended because of one.
 */
static const char *proof_of_end(enum fact_how how)
{
	switch (how) {
	case HOW_COREDUMP:
		return "advice-coredump";
	case HOW_PROCESS_VM:
		return "advice-process-vm";
	default:
		return NULL;
	}
}

void advise_end_call(struct verdict *v, const struct wfg_hold *h)
{
	const char *proof = proof_of_end(h->h.how);
	struct strbuf action = { 0 }, effect = { 0 };
	const struct wfg_task *task = h->nr_releasers ? h->releasers[0].task : NULL;
	bool dumps = h->h.how == HOW_COREDUMP;
	const char *why;

	if (!task || !proof || task->t.pid == v->wait->task->t.pid)
		return;
	why = dumps ? sigkill_useless(task) : sigterm_useless(task);
	if (why) {
		note_not_ended(v, task, why);
		return;
	}
	if (dumps)
		sb_printf(&action, "kill -KILL %u", task->t.pid);
	else
		advice_add_kill(&action, &task, 1);
	sb_puts(&effect, "Ends ");
	phrase_task(&effect, task);
	sb_puts(&effect,
		dumps ? ", which is dead but for its core dump; the dump stays incomplete." :
			" and with it the call that holds the page.");
	advice_add_remaining(&effect, v->wait->page, h->h.refs);
	verdict_advice(v, ADVICE_COMMAND, proof, &action, &effect);
}

void advise_end_owner(struct verdict *v, const struct wfg_hold *h)
{
	struct strbuf action = { 0 }, effect = { 0 };
	const struct wfg_task *task = hold_only_process(h);

	if (!task || task->t.pid == v->wait->task->t.pid || sigterm_useless(task))
		return;
	sb_puts(&action, "If nothing else helps end ");
	phrase_task(&action, task);
	sb_puts(&action, ".");
	sb_puts(&effect, "What holds the page seems to belong to it, and mostly goes with it: that "
			 "is likely and not certain.");
	advice_add_remaining(&effect, v->wait->page, h->h.refs);
	verdict_advice(v, ADVICE_SENTENCE, "packet-tls", &action, &effect);
}

/* Processes that map the page; returns the references they explain, -1 when one is not known. */
static s64 collect_mappers(const struct wfg_page *page, struct processes *p)
{
	s64 refs = 0;

	for (u32 i = 0; i < wfg_page_holders(page); i++) {
		const struct wfg_hold *h = page->holds[i];

		if (h->h.how != HOW_MAPPING)
			continue;
		if (!h->nr_releasers || h->nr_releasers < h->h.nr_releasers)
			return -1;
		refs += h->h.refs;
		processes_add(p, h);
	}
	processes_sort(p);
	return refs;
}

/*
 * Whether SIGTERM would end every one of them: ending only some frees nothing. Notes say who not.
 */
static bool all_end(struct verdict *v, const struct processes *p)
{
	bool all = p->n && !p->failed;

	for (u32 i = 0; i < p->n; i++) {
		const char *why = sigterm_useless(p->t[i]);

		if (p->t[i]->t.pid == v->wait->task->t.pid) {
			all = false;
		} else if (why) {
			note_not_ended(v, p->t[i], why);
			all = false;
		}
	}
	return all;
}

void advise_end_mappers(struct verdict *v)
{
	struct strbuf action = { 0 }, effect = { 0 };
	struct processes p = { 0 };
	s64 refs = collect_mappers(v->wait->page, &p);

	if (v->wait->page->mapped && refs > 0 && all_end(v, &p)) {
		advice_add_kill(&action, p.t, p.n);
		sb_puts(&effect, "Ends ");
		phrase_processes(&effect, &p, NAMED);
		sb_puts(&effect,
			p.n == 1 ? " and with it its mapping" : " and with them the mappings");
		sb_puts(&effect, " (munmap(2) by the program itself does the same).");
		advice_add_remaining(&effect, v->wait->page, refs);
		verdict_advice(v, ADVICE_COMMAND, "advice-retouch", &action, &effect);
	}
	processes_free(&p);
}
