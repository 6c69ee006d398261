/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Durations, counted by their order of magnitude. */
#ifndef VIEW_BUCKETS_H
#define VIEW_BUCKETS_H

#include <daxtop/fact.h>

#include "util/strbuf.h"

enum { BUCKETS = 10 };

struct buckets {
	u64 n[BUCKETS]; /* bucket_end_ns() is each one's upper bound, exclusive */
	u64 count;      /* all, also of unknown duration */
	u64 longest_ns; /* of those that are known */
};

/* ns may be FACT_UNKNOWN. */
void buckets_add(struct buckets *b, u64 ns);

/* Upper bound of a bucket; FACT_UNKNOWN for the last, which has none. */
u64 bucket_end_ns(u32 bucket);

/* Appends one line without a newline: what the bucket is, how many, and a bar. */
void bucket_line(struct strbuf *sb, const struct buckets *b, u32 bucket);

#endif
