/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What kmem_scan() does on a live kernel: looks at every struct page of a range. */
#ifndef COLLECT_PAGE_SCAN_H
#define COLLECT_PAGE_SCAN_H

#include "collect/kmem.h"

/* Whether struct pages are understood well enough to be scanned. */
bool pages_scannable(const struct kmem *k);

/* See kmem_scan(). */
int pages_scan(struct kmem *k, const struct kscan *q, struct kfound *found);

#endif
