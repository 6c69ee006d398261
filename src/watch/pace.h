/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Sleeping between looks, so that a signal or the end of a command ends the sleep. */
#ifndef WATCH_PACE_H
#define WATCH_PACE_H

#include <daxtop/types.h>

enum woken {
	WOKEN_TIME,   /* it is time */
	WOKEN_SIGNAL, /* SIGINT, SIGTERM or SIGHUP */
	WOKEN_CHILD,  /* a child ended */
};

/* From now on these signals are kept for pace_until(); a look that is under way goes on. */
void pace_block_signals(void);

/* Sleeps until that clock_now(); one that is over only looks for a signal. */
enum woken pace_until(u64 ns);

/*
 * Runs a command, found by PATH, with the signals as they were. 0 with *pid filled, or -errno of
 * what could not be started.
 */
int pace_run(char *const *command, s32 *pid);

/*
 * Whether the command has ended, with *status as a shell would have it: its exit status, or 128
 * and the number of the signal that killed it.
 */
bool pace_command_ended(s32 pid, int *status);

#endif
