/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Quantities as a person writes them. */
#ifndef UTIL_QUANTITY_H
#define UTIL_QUANTITY_H

#include <daxtop/types.h>

/*
 * Nanoseconds of "250ms", "1.5s", "10min", "2h": a decimal number and one of us, ms, s, min, h, d.
 * A number without a unit is refused: top's -d counts seconds, perf's milliseconds. false when it
 * is no time, is 0 or is longer than 292 years.
 */
bool quantity_time(const char *text, u64 *ns);

/* Bytes of "64M": a number and one of K, M, G, which are powers of 1024, or none. */
bool quantity_size(const char *text, u64 *bytes);

#endif
