/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The search of a running kernel's slab memory; see kmem_ops.search for what it answers. */
#ifndef DAXTOP_SEARCH_H
#define DAXTOP_SEARCH_H

#include "collect/kmem.h"

int slabs_search(struct kmem *k, const struct ksearch *q, struct kfound *found);

enum {
	STRUCT_PAGE_MAX = 128,    /* bytes; 64 but for debugging */
	SLAB_BYTES_MAX = 1 << 20, /* of all objects of one slab: 32 KiB but for debugging */
};

/* Of a copy of a struct page: whether it is the first one of a slab; that slab's objects. */
bool slab_is_first(const struct kmem *k, const char *page);
u64 slab_objects(const struct kmem *k, const char *page);
u64 slab_field(const struct kmem *k, const char *page, enum kf f);

/* What the kernel does not show of where its slabs are, and of what; NULL: it shows it. */
const char *slabs_lack(const struct kmem *k);

#endif
