/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * One look after the other, as packed facts: at this machine, at an image, or out of a recording.
 */
#ifndef LIVE_LOOKS_H
#define LIVE_LOOKS_H

#include <daxtop/collect.h>

#include "util/strbuf.h"

/* What to look at. All of it must outlive who looks. */
struct looks_opts {
	struct snapshot_opts snap;
	bool traces;             /* hooks join in from the second look on */
	struct trace_opts trace; /* how large their maps are */
	const char *read;        /* a recording, instead of snap; NULL no */
	const char *write;       /* a recording to write; NULL no */
};

struct looks;

/* Opens what is needed. NULL with *why filled. */
struct looks *looks_open(const struct looks_opts *opts, struct refusal *why);

/*
 * Appends the facts of the next look, with the waits that ended since the one before, to facts. 1,
 * or 0 at the end of a recording, or -1 with *why filled: this look is lost, the next may succeed.
 */
int looks_next(struct looks *l, struct strbuf *facts, struct refusal *why);

/* Writes the facts of a look to the recording. What goes wrong tells looks_trouble(). */
void looks_keep(struct looks *l, const char *facts, size_t len);

/*
 * Closes what was opened and ends the recording. Writes what is wrong with a recording to trouble,
 * for a person; "" nothing. l may be NULL.
 */
void looks_close(struct looks *l, char *trouble, size_t len);

/* The same, meanwhile. */
void looks_trouble(const struct looks *l, char *trouble, size_t len);

#endif
