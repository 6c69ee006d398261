/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * One look or many, at a machine or from a recording: where the facts go, when to look again, and
 * when that ends.
 */
#ifndef WATCH_WATCH_H
#define WATCH_WATCH_H

#include <daxtop/diagnose.h>

#include "record/ring.h"
#include "util/strbuf.h"
#include "view/hist.h"

#define WATCH_ENDS_MAX 1000 /* waits that ended and are told at the end; others count as lost */

/* Where facts come from. */
struct look_source {
	/* Hands over one look: LOOK_*, see recording_next(); or -1 with *why filled, or -errno. */
	int (*look)(void *arg, fact_sink_fn sink, void *sink_arg, struct refusal *why);
	void *arg;
	bool live; /* looks at a machine: takes its time, and does not know which waits ended */
};

/* A wait that ended. */
struct kept_end {
	struct strbuf packed; /* the fact, see fact_pack() */
	u64 look;             /* that told it */
	u64 task;             /* fact_end.task if a trace saw it; 0 no */
};

struct watch {
	/* What to do. */
	struct look_source source;
	bool once;
	bool look_at_end; /* after a signal too: hooks have more to tell */
	u64 interval_ns;
	u64 duration_ns;              /* 0: for ever */
	u64 stuck_ns;                 /* ends when a wait is as old; 0: never */
	u32 count;                    /* ends when so many waits have ended; 0: never */
	char *const *command;         /* run it, and end when it does; NULL none */
	FILE *follow;                 /* one line for each wait that begins or ends; NULL no */
	struct hist *hist;            /* counts the waits that end; NULL no */
	struct recording_out *stream; /* gets all facts; NULL none. Its errors end the watch. */
	struct ring *ring;            /* the same; NULL none */
	struct recording_out *file;   /* the same, but its errors do not: see file_err; NULL none */

	/* What came of it; the caller frees by watch_free(). */
	struct wfg *g; /* the last look, linked, with all waits that ended; NULL none */
	struct findings f;
	enum recording_end end;
	int file_err;       /* first error of file, -errno */
	int command_status; /* valid with END_COMMAND */

	/* Between looks. */
	struct wfg *before;            /* the last look without losses; may be g */
	struct wfg *now;               /* the look that is under way */
	struct recording_out *outs[2]; /* that the look goes to, but for file */
	bool recording;                /* the look has begun in them */
	struct kept_end *ends;         /* the latest WATCH_ENDS_MAX that ended */
	u64 nr_ended;                  /* all that ended */
	u64 nr_looks;
	s32 pid; /* of the command; 0 none */
};

/*
 * Looks until one of the above ends it. 0; or -1 with *why filled, then w->g is what was seen
 * before, if anything. Signals have to be blocked, see pace.h, unless there is one look.
 */
int watch_run(struct watch *w, struct refusal *why);
void watch_free(struct watch *w);

#endif
