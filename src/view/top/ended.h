/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Waits that are over. */
#ifndef VIEW_TOP_ENDED_H
#define VIEW_TOP_ENDED_H

#include <daxtop/model.h>

#include "view/buckets.h"

enum { ENDED_KEPT = 128, ENDED_PATH = 128 };

struct ended_wait {
	struct fact_end end;   /* its path is not */
	char path[ENDED_PATH]; /* the end of it, if it is longer */
	s64 ended_sec;         /* CLOCK_REALTIME, if need be of the look that missed it */
};

struct ended {
	struct ended_wait last[ENDED_KEPT]; /* a ring */
	struct buckets durations;           /* of all of them */
};

/* Takes the ends among the facts of a look. */
void ended_update(struct ended *e, const struct wfg *g);

/* How many ended waits are kept, and number i of them, the latest first. */
u32 ended_kept(const struct ended *e);
const struct ended_wait *ended_wait(const struct ended *e, u32 i);

#endif
