/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Views render findings. A view never computes a verdict. */
#ifndef DAXTOP_VIEW_H
#define DAXTOP_VIEW_H

#include <stdio.h>

#include <daxtop/diagnose.h>

enum view_stacks {
	STACKS_NONE = 0,
	STACKS_KERNEL = 1,
	STACKS_USER = 2,
	STACKS_BOTH = 3,
};

struct view_opts {
	enum view_stacks stacks;
	bool quiet; /* verdict sentences only */
	u32 verbose;
};

struct refusal;

/* The report for a terminal or a ticket. 0, or -errno of the stream. */
int view_report(FILE *out, const struct wfg *g, const struct findings *f,
		const struct view_opts *opts);

/* One JSON document as contract.md "daxtrace/1". 0, -ENOMEM, or -errno of the stream. */
int view_json(FILE *out, const struct wfg *g, const struct findings *f,
	      const struct view_opts *opts);

enum view_which { WHICH_NONE = 0, WHICH_WAIT, WHICH_HOLD };

/*
 * Stacks, one on a line, as flamegraph.pl reads them: command, user and kernel frames from the
 * outermost to the innermost, and a number of microseconds. Those of the waiters, and how long they
 * have slept; or those of all who can release a page, with the mechanism as the innermost frame,
 * and how long it has been held. What is of unknown age, or only a candidate, is left out. 0,
 * -ENOMEM or -errno of the stream.
 */
int view_folded(FILE *out, const struct wfg *g, enum view_which which);

/* One line for a wait that began, and for one that is over; g has the time. As above. */
int view_begun(FILE *out, const struct wfg *g, const struct finding *f);
int view_ended(FILE *out, const struct wfg *g, const struct fact_end *end);
int view_freed(FILE *out, const struct wfg *g, const struct fact_freed *freed);

/*
 * What works on this machine, for --check: the kernel, one line for each probe of the graph, and
 * whether a snapshot works or why not (why->status; why may be NULL). 0, or -errno of the stream.
 */
int view_check(FILE *out, const struct wfg *g, const struct refusal *why);

#endif
