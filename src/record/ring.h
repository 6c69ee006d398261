/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* A directory of recordings that never grows beyond a size: the oldest go first. */
#ifndef RECORD_RING_H
#define RECORD_RING_H

#include "record/recording.h"

struct ring;

/* The directory must exist. NULL with *why filled. */
struct ring *ring_open(const char *dir, u64 keep_bytes, struct refusal *why);

/*
 * The recording that the next look goes to: a new one when the last has its share of the size.
 * Then the oldest are removed until all fit. NULL with errno.
 */
struct recording_out *ring_turn(struct ring *ring);

/* Ends the recording and frees; 0 or -errno. ring may be NULL. */
int ring_close(struct ring *ring, enum recording_end end);

#endif
