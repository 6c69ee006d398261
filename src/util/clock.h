/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#ifndef DAXTOP_CLOCK_H
#define DAXTOP_CLOCK_H

#include <daxtop/types.h>

#define NSEC_PER_SEC  1000000000ULL
#define NSEC_PER_MSEC 1000000ULL

/* CLOCK_MONOTONIC, ns: what the kernel's bpf_ktime_get_ns() counts, too. */
u64 clock_now(void);

#endif
