// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "util/clock.h"

#include <time.h>

u64 clock_now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * NSEC_PER_SEC + t.tv_nsec;
}
