// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include <signal.h>

#include "diagnose/signals.h"

enum disposition signal_disposition(const struct wfg_task *task, int signo)
{
	const struct fact_signals *s = &task->t.signals;
	u64 bit = 1ULL << (signo - 1);

	if (!s->known)
		return DISPOSITION_UNKNOWN;
	if (s->blocked & bit)
		return DISPOSITION_BLOCKED;
	if (s->ignored & bit)
		return DISPOSITION_IGNORED;
	if (s->caught & bit)
		return s->restarts & bit ? DISPOSITION_RESTARTS : DISPOSITION_CAUGHT;
	return DISPOSITION_DEFAULT;
}

const char *disposition_text(enum disposition d)
{
	switch (d) {
	case DISPOSITION_DEFAULT:
		return "has its default action";
	case DISPOSITION_UNKNOWN:
		return "could not be checked";
	case DISPOSITION_BLOCKED:
		return "is blocked";
	case DISPOSITION_IGNORED:
		return "is ignored";
	case DISPOSITION_CAUGHT:
		return "runs a handler of the program";
	case DISPOSITION_RESTARTS:
		return "runs a handler with SA_RESTART, after which it would wait again";
	}
	return "could not be checked";
}

const char *signal_unreachable(const struct wfg_task *task)
{
	const struct fact_task *t = &task->t;

	if (t->kthread)
		return "is a kernel thread";
	if (t->state == 'Z' || t->state == 'X')
		return "is dead";
	if (t->exiting)
		return "is exiting already";
	return t->pid <= 1 ? "is the init process" : NULL;
}

bool signal_ends(const struct wfg_task *task)
{
	return signal_disposition(task, SIGINT) == DISPOSITION_DEFAULT ||
	       signal_disposition(task, SIGTERM) == DISPOSITION_DEFAULT;
}

const char *sigterm_useless(const struct wfg_task *task)
{
	const char *why = signal_unreachable(task);

	if (why)
		return why;
	if (task->t.state == 'D')
		return "sleeps in state D, where no signal ends it";
	if (task->t.state == 't')
		return "is stopped by the task that traces it";
	switch (signal_disposition(task, SIGTERM)) {
	case DISPOSITION_DEFAULT:
		return NULL;
	case DISPOSITION_UNKNOWN:
		return "handles signals in a way that could not be read";
	default:
		return "blocks, ignores or handles SIGTERM";
	}
}
