/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Waits that were there in one look and were gone in a later one. Between two looks nothing is
 * seen, so a duration is how long the wait is known to have lasted, and short waits are missed.
 */
#ifndef VIEW_TOP_ENDED_H
#define VIEW_TOP_ENDED_H

#include <daxtop/model.h>

enum { ENDED_KEPT = 128, ENDED_PATH = 128, ENDED_BUCKETS = 7 };

struct ended_wait {
	u64 task, start_ns, file; /* identity: of the task, of its start, of the inode */
	u32 pid;
	enum fact_op op;
	char comm[FACT_COMM_LEN + 1];
	char path[ENDED_PATH]; /* its end, if it is longer */
	u64 since_ns;          /* CLOCK_MONOTONIC when it fell asleep; FACT_UNKNOWN */
	u64 lasted_ns;         /* seen waiting for so long, at least */
	s64 ended_sec;         /* CLOCK_REALTIME of the look that missed it */
	bool there;            /* in the look under way */
};

struct ended {
	struct ended_wait *now; /* waits of the last look */
	u32 nr_now, cap;
	struct ended_wait last[ENDED_KEPT]; /* a ring */
	u64 count;                          /* of all that ended */
	u64 longest_ns;
	u64 histogram[ENDED_BUCKETS]; /* ended_bucket_ns() is each one's upper bound */
};

/* Compares a linked graph with the one before. 0 or -ENOMEM. */
int ended_update(struct ended *e, const struct wfg *g);
void ended_free(struct ended *e);

/* How many ended waits are kept, and number i of them, the latest first. */
u32 ended_kept(const struct ended *e);
const struct ended_wait *ended_wait(const struct ended *e, u32 i);

/* Upper bound of a bucket, exclusive; FACT_UNKNOWN for the last, which has none. */
u64 ended_bucket_ns(u32 bucket);

#endif
