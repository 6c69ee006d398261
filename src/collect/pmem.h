/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Persistent memory by name: which physical addresses it has. */
#ifndef COLLECT_PMEM_H
#define COLLECT_PMEM_H

#include <daxtop/collect.h>

/* pmem_resolve() with the machine's /sys below root, for tests. */
int pmem_resolve_at(const char *root, struct pmem *d, const char *name, struct refusal *why);

#endif
