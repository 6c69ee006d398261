/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The parts of preflight.c that take the machine as an argument; for its tests. */
#ifndef DAXTOP_PREFLIGHT_H
#define DAXTOP_PREFLIGHT_H

#include <daxtop/collect.h>

/* As preflight(), with root before /sys and /proc, and caps as the effective capabilities. */
int preflight_at(const char *root, u64 caps, fact_sink_fn sink, void *arg, struct refusal *why);

#endif
