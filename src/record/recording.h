/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Recordings, daxtrace(5): facts as JSON, one on a line, gzip'ed when they go to a file. The facts
 * of one look at a machine stand together, and any number of looks follow each other.
 */
#ifndef RECORD_RECORDING_H
#define RECORD_RECORDING_H

#include <stdio.h>

#include <daxtop/collect.h>

#define RECORDING_SCHEMA   "daxtrace-facts"
#define RECORDING_MAJOR    1
#define RECORDING_LINE_MAX (1024 * 1024) /* bytes of a line, with its newline */
/* Bytes of lines in one look. What reads them takes some ten times as much memory. */
#define RECORDING_LOOK_MAX (64 * 1024 * 1024)

/* Why a recording ends: in its last record, and what a program that watches has to say. */
enum recording_end {
	END_DONE = 0, /* there was one look, or nothing more to replay */
	END_DURATION, /* --duration is over */
	END_COUNT,    /* --count waits have ended */
	END_STUCK,    /* --until-stuck: somebody is */
	END_SIGNAL,   /* SIGINT or SIGTERM */
	END_COMMAND,  /* the command has ended */
	END_ERROR,    /* a look failed */
	END_MAX,
};

const char *recording_end_name(enum recording_end end); /* "done", "duration", ... */

struct recording_out;

/* Starts a recording in a new file of mode 0600, which replaces one of that name. NULL, errno. */
struct recording_out *recording_create(const char *path);
/* The same as plain text on a stream, which stays open. NULL without memory. */
struct recording_out *recording_stream(FILE *stream);

/*
 * Between these two the facts of one look are written. The end of a look reaches the file at once:
 * whatever happens later, it can be read. 0, or the first -errno that the recording met; from then
 * on nothing more is written.
 */
int recording_look(struct recording_out *out);
int recording_look_end(struct recording_out *out);
/* A fact_sink_fn; arg is the recording. A fact longer than a line may be is written as a loss. */
int recording_add(void *arg, const struct fact *fact);

/* Looks that were written whole. */
u64 recording_looks(const struct recording_out *out);
/* Bytes of the file up to the end of the last look. */
u64 recording_size(const struct recording_out *out);

/* Writes the summary and frees. 0 or the first -errno. out may be NULL. */
int recording_close(struct recording_out *out, enum recording_end end);

struct recording_in;

/* Opens a recording, packed or plain. NULL with *why filled. */
struct recording_in *recording_open(const char *path, struct refusal *why);

enum {
	LOOK_NONE = 0, /* there is no other look */
	LOOK_WHOLE,
	LOOK_CUT, /* its end is missing or makes no sense; a loss says so among its facts */
};

/*
 * Hands over the facts of the next look. One of the above; or -1 with *why filled: the recording is
 * damaged, which is told after everything before the damage was handed over. An error of the sink
 * is returned as it is, which is never -1.
 */
int recording_next(struct recording_in *in, fact_sink_fn sink, void *arg, struct refusal *why);

/* Fields, words and records so far that this version does not know. */
u64 recording_unknown(const struct recording_in *in);
void recording_free(struct recording_in *in);

#endif
