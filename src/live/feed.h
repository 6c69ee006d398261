/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Looks in a child process, so that whoever asks never waits: not for a look that takes long, and
 * not for one that hangs with the machine, or with the disk that a recording is on.
 */
#ifndef LIVE_FEED_H
#define LIVE_FEED_H

#include "live/looks.h"

enum { FEED_TROUBLE = 256 };

struct feed;

/* What a look brought; valid until the next call for the same feed. */
struct feed_answer {
	struct refusal why;  /* why.status is STATUS_OK when it succeeded */
	bool end;            /* the recording has no more looks; there is none in this answer */
	const char *trouble; /* with a recording, for a person; "" none */
	const char *facts;   /* packed, see util/fact_pack.h; empty when it failed */
	size_t len;
};

/*
 * Starts the child, which loads what it needs and takes a first look. NULL with *why filled. Opts
 * and what it points to must stay until feed_stop().
 */
struct feed *feed_start(const struct looks_opts *opts, struct refusal *why);

/* A descriptor that is readable when feed_read() has something to do. */
int feed_fd(const struct feed *f);

/* Asks for a look; nothing while an answer is due. 0 or -errno. */
int feed_ask(struct feed *f);

/* Whether an answer is due. */
bool feed_is_busy(const struct feed *f);

/*
 * Takes what has come, without waiting. 1 when the answer is complete, 0 when it is not yet, -EPIPE
 * when the child has ended, -ENOMEM or another -errno.
 */
int feed_read(struct feed *f, struct feed_answer *ret);

/*
 * Lets the child end its recording, for two seconds at most. 0 with what is wrong with it in
 * trouble ("" nothing), or -ETIMEDOUT, or another -errno.
 */
int feed_finish(struct feed *f, char *trouble, size_t len);

/* Ends the child and frees the feed; NULL is nothing. */
void feed_stop(struct feed *f);

#endif
