// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "view/buckets.h"

#define MSEC 1000000ULL
#define SEC  1000000000ULL

enum { BAR_WIDTH = 40 };

/* Those that a person tells apart: not noticed, noticed, a nuisance, an incident. */
u64 bucket_end_ns(u32 bucket)
{
	static const u64 ends[BUCKETS] = {
		1 * MSEC, 10 * MSEC, 100 * MSEC, 1 * SEC,    5 * SEC,
		15 * SEC, 60 * SEC,  300 * SEC,  1800 * SEC, FACT_UNKNOWN,
	};

	return ends[bucket];
}

void buckets_add(struct buckets *b, u64 ns)
{
	u32 bucket = 0;

	b->count++;
	if (ns == FACT_UNKNOWN)
		return;
	while (ns >= bucket_end_ns(bucket))
		bucket++;
	b->n[bucket]++;
	if (ns > b->longest_ns)
		b->longest_ns = ns;
}

static const char *bound_name(u32 bucket)
{
	static const char *const names[BUCKETS] = {
		"below 1ms", "below 10ms", "below 100ms", "below 1s",    "below 5s",
		"below 15s", "below 1min", "below 5min",  "below 30min", "longer",
	};

	return names[bucket];
}

void bucket_line(struct strbuf *sb, const struct buckets *b, u32 bucket)
{
	u64 most = 0, n = b->n[bucket], bar;

	for (u32 i = 0; i < BUCKETS; i++)
		most = b->n[i] > most ? b->n[i] : most;
	bar = n && most ? 1 + (n * BAR_WIDTH - n) / most : 0;
	sb_printf(sb, "%-12s%8llu%s", bound_name(bucket), (unsigned long long)n, bar ? "  " : "");
	while (bar--)
		sb_putc(sb, '#');
}
