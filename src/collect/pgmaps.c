// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Which struct pages are fsdax. mm/memremap.c keeps every dev_pagemap in pgmap_array, an xarray
 * by page frame: its types and ranges answer for any page by its address alone, so that memory
 * which may not be a DAX page is never taken for one.
 */
#include <errno.h>
#include <stdlib.h>

#include "collect/snap.h"
#include "collect/xarray.h"
#include "util/array.h"

enum { NODES_MAX = 65536, RANGES_MAX = 64, PAGES_MAX_SHIFT = 52 };

static bool in_ranges(const struct pgmaps *p, u64 page)
{
	for (u32 i = 0; i < p->n; i++)
		if (page >= p->v[i].first && page < p->v[i].end)
			return true;
	return false;
}

/* Only a DAX page has a DAX inode: its file keeps no other pages. */
static bool inode_is_dax(struct snap *s, u64 page)
{
	u64 mapping, host;

	return kmem_is_kernel_ptr(page) && !kmem_get(s->k, page, KF_PAGE_MAPPING, &mapping) &&
	       !(mapping & 3) && !kmem_get(s->k, mapping, KF_MAPPING_HOST, &host) &&
	       file_is_dax(s, host);
}

bool page_is_fsdax(struct snap *s, u64 page)
{
	return s->pages_by_inode ? inode_is_dax(s, page) : in_ranges(&s->pgmaps, page);
}

static int add_range(struct snap *s, u64 pgmap, u64 start, u64 end)
{
	u64 size = s->k->field[KF_PAGE].off;
	struct pgmap m = {
		.first = s->arch.vmemmap + (start >> ARCH_PAGE_SHIFT) * size,
		.end = s->arch.vmemmap + ((end + 1) >> ARCH_PAGE_SHIFT) * size,
		.addr = pgmap,
	};
	int err;

	/* a large range fills slots of several nodes: the same pgmap is met again */
	if (start >= end || end >> PAGES_MAX_SHIFT || in_ranges(&s->pgmaps, m.first))
		return 0;
	err = array_grow(&s->pgmaps.v, s->pgmaps.n, sizeof(m));
	if (!err)
		s->pgmaps.v[s->pgmaps.n++] = m;
	return err;
}

static int add_pgmap(void *arg, u64 pgmap)
{
	struct snap *s = arg;
	struct kmem *k = s->k;
	u64 type, nr, size = k->field[KF_RANGE].off;
	int err = 0;

	if (kmem_get(k, pgmap, KF_PGMAP_TYPE, &type) ||
	    type != (u64)k->field[KF_MEMORY_DEVICE_FS_DAX].off ||
	    kmem_get(k, pgmap, KF_PGMAP_NR_RANGE, &nr))
		return 0;
	for (u64 i = 0; i < nr && i < RANGES_MAX && !err; i++) {
		u64 range = kmem_at(k, pgmap, KF_PGMAP_RANGE) + i * size;
		struct kget g[] = { { range, KF_RANGE_START, 0, 0 },
				    { range, KF_RANGE_END, 0, 0 } };

		if (!kmem_getv(k, g, 2) && !g[0].err && !g[1].err)
			err = add_range(s, pgmap, g[0].val, g[1].val);
	}
	return err;
}

static int take_pgmaps(void *arg, const u64 *entries, u32 n)
{
	int err = 0;

	/* a range is stored in many slots */
	for (u32 i = 0; i < n && !err; i++)
		if (kmem_is_kernel_ptr(entries[i]) && (!i || entries[i] != entries[i - 1]))
			err = add_pgmap(arg, entries[i]);
	return err;
}

static bool have_fields(const struct kmem *k)
{
	return xarray_available(k) && kmem_has(k, KF_PGMAP_TYPE) && kmem_has(k, KF_PGMAP_RANGE) &&
	       kmem_has(k, KF_MEMORY_DEVICE_FS_DAX) && kmem_has(k, KF_PAGE);
}

/* What can be done without the ranges. */
static void load_nothing(struct snap *s)
{
	if (!kmem_has(s->k, KF_HAS_DAX_BUSY_PAGE)) {
		snap_probe(s, "CONFIG_FS_DAX", PROBE_MISSING,
			   "nothing: this kernel has no DAX files, so nobody can wait for one");
		return;
	}
	s->pages_by_inode = true;
	snap_probe(s, "pgmap_array", PROBE_FALLBACK,
		   "a DAX page is recognised by its inode, because this kernel hides data symbols "
		   "(CONFIG_KALLSYMS_ALL): a wait for a reflinked page is missed");
}

int pgmaps_load(struct snap *s)
{
	int err;

	if (!s->k->sym[KSYM_PGMAP_ARRAY] || !s->arch.vmemmap || !have_fields(s->k)) {
		load_nothing(s);
		return 0;
	}
	snap_probe(s, "pgmap_array", PROBE_OK, NULL);
	err = xarray_walk(s->k, s->k->sym[KSYM_PGMAP_ARRAY], NODES_MAX, take_pgmaps, s);
	if (err == -E2BIG)
		snap_lost(s, LOSS_LOST, "pgmap_array", 1);
	return err == -E2BIG ? 0 : err;
}
