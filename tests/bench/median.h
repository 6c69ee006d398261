/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#ifndef BENCH_MEDIAN_H
#define BENCH_MEDIAN_H

#include <stdlib.h>

#include <daxtop/types.h>

static inline int compare_u64(const void *a, const void *b)
{
	const u64 *x = a, *y = b;

	return (*x > *y) - (*x < *y);
}

/* Of n times in ns, in microseconds; orders them. */
static inline u64 median_us(u64 *ns, size_t n)
{
	qsort(ns, n, sizeof(*ns), compare_u64);
	return ns[n / 2] / 1000;
}

#endif
