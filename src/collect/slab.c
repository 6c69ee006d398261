// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Objects of the slab allocator, mm/slub.c. Freed memory keeps what was in it, so whether an object
 * is in use decides whether what it says is true. A free one is on one of these lists: of its slab;
 * of the CPU that allocates from the slab; or, from 6.18 on, in a sheaf of a CPU or of a node.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "collect/search.h"
#include "collect/snap.h"

enum {
	CPUS_MAX = 8192,
	NODES_MAX = 1024,
	SHEAF_MAX = 1024, /* objects */
	BARN_MAX = 1024,  /* sheaves */
	BATCH = 128,
};

static u64 variable(struct snap *s, enum ksym sym, u64 most)
{
	u32 val;

	if (!s->k->sym[sym] || kmem_read(s->k, s->k->sym[sym], &val, sizeof(val)))
		return 0;
	return val < most ? val : most;
}

/* The slab's struct page, copied. 0 or -ENOENT. */
static int read_slab(struct snap *s, u64 page, char *copy)
{
	if (kmem_read(s->k, page, copy, s->k->field[KF_PAGE].off) || !slab_is_first(s->k, copy))
		return -ENOENT;
	return 0;
}

static u64 slab_memory(struct snap *s, u64 page)
{
	return s->arch.direct_map + (arch_page_to_pfn(&s->arch, s->k, page) << ARCH_PAGE_SHIFT);
}

int slab_object(struct snap *s, u64 addr, struct slab_object *ret)
{
	u64 pfn = (addr - s->arch.direct_map) >> ARCH_PAGE_SHIFT, memory, at;
	char page[STRUCT_PAGE_MAX];
	struct kget g[] = {
		{ 0, KF_CACHE_SIZE, 0, 0 },
		{ 0, KF_CACHE_OBJECT_SIZE, 0, 0 },
		{ 0, KF_CACHE_NAME, 0, 0 },
		{ 0, KF_CACHE_RED_LEFT_PAD, 0, 0 },
	};

	*ret = (struct slab_object){ 0 };
	if (!s->arch.direct_map || !s->arch.vmemmap || addr < s->arch.direct_map)
		return -ENOENT;
	ret->slab = page_head(s->k, s->arch.vmemmap + pfn * s->k->field[KF_PAGE].off);
	if (read_slab(s, ret->slab, page))
		return -ENOENT;
	ret->cache = slab_field(s->k, page, KF_SLAB_CACHE);
	for (size_t i = 0; i < sizeof(g) / sizeof(*g); i++)
		g[i].obj = ret->cache;
	memory = slab_memory(s, ret->slab);
	if (kmem_getv(s->k, g, sizeof(g) / sizeof(*g)) || g[0].err || g[1].err || !g[0].val ||
	    g[1].val > g[0].val || kmem_read_string(s->k, g[2].val, ret->name, sizeof(ret->name)))
		return -ENOENT;
	at = (addr - memory) / g[0].val;
	ret->addr = memory + at * g[0].val + g[3].val;
	ret->size = g[1].val;
	if (at >= slab_objects(s->k, page) || addr - ret->addr >= ret->size)
		return -ENOENT;
	return 0;
}

/* A pointer of a free list, which may be stored encrypted: freelist_ptr_decode(). */
static u64 decode(u64 random, u64 stored, u64 at)
{
	return random ? stored ^ random ^ __builtin_bswap64(at) : stored;
}

/* Whether the object is in a free list. 1, 0, or -ESTALE when the list changed meanwhile. */
static int in_chain(struct snap *s, const struct slab_object *o, u64 first, u64 max)
{
	struct kget g[] = { { o->cache, KF_CACHE_FREE_OFFSET, 0, 0 },
			    { o->cache, KF_CACHE_RANDOM, 0, 0 } };
	u64 at = first;

	if (kmem_getv(s->k, g, 2) || g[0].err || g[0].val >= SLAB_BYTES_MAX)
		return -ESTALE;
	for (u64 n = 0; at && n <= max; n++) {
		u64 link = at + g[0].val, next;

		if (at == o->addr)
			return 1;
		if (!kmem_is_kernel_ptr(at) || kmem_read(s->k, link, &next, sizeof(next)))
			return -ESTALE;
		at = decode(g[1].val, next, link);
	}
	return at ? -ESTALE : 0;
}

/* Calls fn for the cache's per-CPU structure of each CPU, until it returns other than 0. */
typedef int (*cpu_fn)(struct snap *s, const struct slab_object *o, u64 addr, u64 max);

static int each_cpu(struct snap *s, const struct slab_object *o, enum kf f, u64 max, cpu_fn fn)
{
	u64 base, offsets[BATCH], n = variable(s, KSYM_NR_CPU_IDS, CPUS_MAX);
	int found = 0;

	if (!kmem_has(s->k, f))
		return 0;
	if (!n || !s->k->sym[KSYM_PER_CPU_OFFSET] || kmem_get(s->k, o->cache, f, &base))
		return -ESTALE;
	for (u64 at = 0; base && at < n && !found; at += BATCH) {
		u64 batch = n - at < BATCH ? n - at : BATCH;

		if (kmem_read(s->k, s->k->sym[KSYM_PER_CPU_OFFSET] + at * 8, offsets, batch * 8))
			return -ESTALE;
		for (u64 i = 0; i < batch && !found; i++)
			found = fn(s, o, base + offsets[i], max);
	}
	return found;
}

static int in_cpu_slab(struct snap *s, const struct slab_object *o, u64 cpu_slab, u64 max)
{
	u64 first;

	if (kmem_get(s->k, cpu_slab, KF_CPU_SLAB_FREELIST, &first))
		return -ESTALE;
	/* of another slab, most likely: one list never spans two */
	if (!first ||
	    page_head(s->k, s->arch.vmemmap + ((first - s->arch.direct_map) >> ARCH_PAGE_SHIFT) *
						      s->k->field[KF_PAGE].off) != o->slab)
		return 0;
	return in_chain(s, o, first, max);
}

static int in_sheaf(struct snap *s, const struct slab_object *o, u64 sheaf)
{
	struct kget g[] = { { sheaf, KF_SHEAF_CACHE, 0, 0 }, { sheaf, KF_SHEAF_SIZE, 0, 0 } };
	u64 objects[SHEAF_MAX];

	if (!sheaf)
		return 0;
	if (kmem_getv(s->k, g, 2) || g[1].err || g[1].val > SHEAF_MAX)
		return -ESTALE;
	/* the one of a cache without sheaves (bootstrap_sheaf) belongs to nobody */
	if (!g[1].val || g[0].val != o->cache)
		return 0;
	if (kmem_read(s->k, kmem_at(s->k, sheaf, KF_SHEAF_OBJECTS), objects, g[1].val * 8))
		return -ESTALE;
	for (u64 i = 0; i < g[1].val; i++)
		if (objects[i] == o->addr)
			return 1;
	return 0;
}

static int in_cpu_sheaves(struct snap *s, const struct slab_object *o, u64 sheaves, u64 max)
{
	struct kget g[] = { { sheaves, KF_SHEAVES_MAIN, 0, 0 },
			    { sheaves, KF_SHEAVES_SPARE, 0, 0 },
			    { sheaves, KF_SHEAVES_RCU_FREE, 0, 0 } };
	int found = kmem_getv(s->k, g, 3) ? -ESTALE : 0;

	(void)max;
	for (u32 i = 0; i < sizeof(g) / sizeof(*g) && !found; i++)
		found = in_sheaf(s, o, g[i].val);
	return found;
}

static int in_barn(struct snap *s, const struct slab_object *o, u64 barn)
{
	u64 head = kmem_at(s->k, barn, KF_BARN_FULL), node;
	int found = 0;

	if (!kmem_is_kernel_ptr(barn))
		return 0;
	if (kmem_get(s->k, head, KF_LIST_NEXT, &node))
		return -ESTALE;
	for (u32 n = 0; node != head && !found; n++) {
		if (n >= BARN_MAX || !kmem_is_kernel_ptr(node))
			return -ESTALE;
		found = in_sheaf(s, o, kmem_container(s->k, node, KF_SHEAF_LIST));
		if (kmem_get(s->k, node, KF_LIST_NEXT, &node))
			return -ESTALE;
	}
	return found;
}

/* The i-th node's barn; 0 none. */
static u64 barn_of(struct snap *s, const struct slab_object *o, u64 i)
{
	struct kmem *k = s->k;
	u64 node, barn = 0;

	if (kmem_has(k, KF_CACHE_PER_NODE) && kmem_has(k, KF_PER_NODE))
		kmem_get(k, kmem_at(k, o->cache, KF_CACHE_PER_NODE) + i * k->field[KF_PER_NODE].off,
			 KF_PER_NODE_BARN, &barn);
	else if (kmem_has(k, KF_CACHE_NODES) &&
		 !kmem_read(k, kmem_at(k, o->cache, KF_CACHE_NODES) + i * 8, &node, 8))
		kmem_get(k, node, KF_CACHE_NODE_BARN, &barn);
	return barn;
}

static int in_sheaves(struct snap *s, const struct slab_object *o)
{
	u64 nodes = variable(s, KSYM_NR_NODE_IDS, NODES_MAX);
	int found = each_cpu(s, o, KF_CACHE_CPU_SHEAVES, 0, in_cpu_sheaves);

	for (u64 i = 0; i < (nodes ? nodes : 1) && !found; i++)
		found = in_barn(s, o, barn_of(s, o, i));
	return found;
}

bool slab_object_is_used(struct snap *s, const struct slab_object *o)
{
	char page[STRUCT_PAGE_MAX];
	int found;
	u64 max;

	if (read_slab(s, o->slab, page))
		return false;
	max = slab_objects(s->k, page);
	found = in_chain(s, o, slab_field(s->k, page, KF_SLAB_FREELIST), max);
	found = found ? found : each_cpu(s, o, KF_CACHE_CPU_SLAB, max, in_cpu_slab);
	if (!found && kmem_has(s->k, KF_CACHE_CPU_SHEAVES))
		found = in_sheaves(s, o);
	return !found;
}
