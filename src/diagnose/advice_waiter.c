// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* What can be done to the waiter: let it try again, or give up. */
#include <signal.h>
#include <string.h>

#include "diagnose/advice.h"
#include "diagnose/phrase.h"
#include "diagnose/signals.h"

static void note_no_signal(struct verdict *v, const char *why)
{
	struct strbuf sb = { 0 };

	sb_puts(&sb, "No signal ends this wait: ");
	phrase_task(&sb, v->wait->task);
	sb_printf(&sb, " %s.", why);
	verdict_note(v, &sb);
}

const char *wait_uninterruptible(const struct wfg_wait *wait)
{
	const char *why = signal_unreachable(wait->task);

	if (wait->w.spins)
		return "spins in the kernel without a look at signals, SIGKILL included";
	if (why)
		return why;
	if (wait->w.interruptible && wait->task->t.state == 'S')
		return NULL;
	return "sleeps uninterruptibly, and not even SIGKILL wakes it";
}

bool advise_restart(struct verdict *v, const char *why_it_works, const char *what_may_fail,
		    const char *proven_by)
{
	const struct wfg_task *waiter = v->wait->task;
	const char *why = wait_uninterruptible(v->wait);
	enum disposition cont = signal_disposition(waiter, SIGCONT);
	struct strbuf action = { 0 }, effect = { 0 };

	if (why) {
		note_no_signal(v, why);
		return true;
	}
	if (waiter->t.io_worker) {
		sb_printf(&effect,
			  "Stopping and continuing %u is not advised: a worker of io_uring "
			  "may not start its request again.",
			  waiter->t.pid);
		verdict_note(v, &effect);
		return false;
	}
	if (cont == DISPOSITION_UNKNOWN || cont == DISPOSITION_CAUGHT) {
		sb_printf(&effect, "Stopping and continuing %u is not advised: SIGCONT %s.",
			  waiter->t.pid, disposition_text(cont));
		verdict_note(v, &effect);
		return false;
	}
	sb_printf(&action, "kill -STOP %u; kill -CONT %u", waiter->t.pid, waiter->t.pid);
	sb_printf(&effect, "The wait starts again, %s, and the ", why_it_works);
	phrase_op(&effect, v->wait);
	sb_printf(&effect, " completes%s; nothing is lost.", what_may_fail);
	verdict_advice(v, ADVICE_COMMAND, proven_by, &action, &effect);
	return true;
}

struct gentle {
	int signo;
	const char *name;
};

static const struct gentle gentle[] = { { SIGINT, "INT" }, { SIGTERM, "TERM" } };
#define NR_GENTLE (sizeof(gentle) / sizeof(gentle[0]))

/* "SIGINT is blocked, SIGTERM is ignored" for the first n. */
static void phrase_dispositions(struct strbuf *sb, const struct wfg_task *task, size_t n)
{
	for (size_t i = 0; i < n; i++)
		sb_printf(sb, "%sSIG%s %s", i ? ", " : "", gentle[i].name,
			  disposition_text(signal_disposition(task, gentle[i].signo)));
}

static void phrase_undone(struct strbuf *sb, const struct wfg_wait *wait)
{
	bool size = wait->w.op == OP_TRUNCATE || wait->w.op == OP_OPEN_TRUNC;

	sb_puts(sb, "the ");
	phrase_op(sb, wait);
	sb_puts(sb, size ? " is not done and the file keeps its size" :
			   " is not done and the file stays as it is");
	if (!wait->nr_queued)
		return;
	sb_puts(sb, "; the ");
	if (wait->nr_queued == 1)
		sb_puts(sb, "task queued behind it runs on");
	else
		sb_printf(sb, "%u tasks queued behind it run on", wait->nr_queued);
}

/* Ending the waiter also closes its own pipes. */
static void add_lost_data(struct strbuf *sb, const struct wfg_wait *wait)
{
	for (u32 i = 0; i < wait->nr_holds; i++) {
		const struct wfg_hold *h = wait->holds[i];

		if (h->h.how == HOW_VMSPLICE && h->h.object_id && hold_is_own(h, wait->task))
			sb_printf(sb, " What nobody has read from %s is lost.", h->h.object_id);
	}
}

static void interrupt_with(struct verdict *v, size_t i, const char *proven_by)
{
	struct strbuf action = { 0 }, effect = { 0 };

	sb_printf(&action, "kill -%s %u", gentle[i].name, v->wait->task->t.pid);
	sb_puts(&effect, v->wait->task->t.io_worker ? "Ends the process of " : "Ends ");
	phrase_task(&effect, v->wait->task);
	sb_puts(&effect, ": ");
	phrase_undone(&effect, v->wait);
	sb_putc(&effect, '.');
	add_lost_data(&effect, v->wait);
	if (i) {
		sb_printf(&effect, " SIG%s, because ", gentle[i].name);
		phrase_dispositions(&effect, v->wait->task, i);
		sb_putc(&effect, '.');
	}
	verdict_advice(v, ADVICE_COMMAND, proven_by, &action, &effect);
}

void advise_interrupt(struct verdict *v, const char *proven_by)
{
	const char *why = wait_uninterruptible(v->wait);
	struct strbuf sb = { 0 };

	if (why) {
		note_no_signal(v, why);
		return;
	}
	for (size_t i = 0; i < NR_GENTLE; i++) {
		if (signal_disposition(v->wait->task, gentle[i].signo) == DISPOSITION_DEFAULT) {
			interrupt_with(v, i, proven_by);
			return;
		}
	}
	sb_puts(&sb, "A signal would end the wait, but none is advised for ");
	phrase_task(&sb, v->wait->task);
	sb_puts(&sb, ": ");
	if (v->wait->task->t.signals.known)
		phrase_dispositions(&sb, v->wait->task, NR_GENTLE);
	else
		sb_puts(&sb, "how it handles signals could not be read");
	sb_putc(&sb, '.');
	verdict_note(v, &sb);
}
