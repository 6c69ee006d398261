/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The live view as a program: looks, keys and signals go in, frames come out. */
#ifndef LIVE_LIVE_H
#define LIVE_LIVE_H

#include <daxtop/collect.h>

#include "opts/opts.h"

/* Runs until it is quit or o says so. STATUS_OK, or another status with what went wrong printed. */
int live_run(const struct opts *o);

#endif
