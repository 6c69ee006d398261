/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What a signal does to a task, without sending one. */
#ifndef DIAGNOSE_SIGNALS_H
#define DIAGNOSE_SIGNALS_H

#include <daxtop/model.h>

enum disposition {
	DISPOSITION_DEFAULT = 0,
	DISPOSITION_UNKNOWN,
	DISPOSITION_BLOCKED,
	DISPOSITION_IGNORED,
	DISPOSITION_CAUGHT,   /* by a handler; the system call fails with EINTR */
	DISPOSITION_RESTARTS, /* by a handler with SA_RESTART */
};

enum disposition signal_disposition(const struct wfg_task *task, int signo);

/* "is blocked"; what follows the name of the signal. */
const char *disposition_text(enum disposition d);

/* Whether SIGINT or SIGTERM ends the process: nothing in it handles, blocks or ignores both. */
bool signal_ends(const struct wfg_task *task);

/* Why no signal reaches the task at all ("is a kernel thread"), NULL when one would. */
const char *signal_unreachable(const struct wfg_task *task);

/* Why `kill PID` would not end the process now, NULL when it would. */
const char *sigterm_useless(const struct wfg_task *task);

#endif
