// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "collect/xarray.h"

#include <errno.h>

#define INTERNAL     2    /* xa_is_internal(): the low two bits */
#define INTERNAL_MAX 4096 /* xa_is_node(): below are siblings and markers */
#define DEPTH_MAX    11   /* 64-bit index, 6 bits a level */

struct walk {
	struct kmem *k;
	u32 nodes_left;
	xarray_fn fn;
	void *arg;
};

static bool is_node(u64 entry)
{
	return (entry & 3) == INTERNAL && entry > INTERNAL_MAX;
}

static int walk_entries(struct walk *w, u64 *entries, u32 n, u32 depth);

static int walk_node(struct walk *w, u64 node, u32 depth)
{
	u64 slots[XARRAY_CHUNK];

	if (depth >= DEPTH_MAX || !w->nodes_left)
		return -E2BIG;
	w->nodes_left--;
	if (kmem_read(w->k, kmem_at(w->k, node, KF_XA_NODE_SLOTS), slots, sizeof(slots)))
		return 0;
	return walk_entries(w, slots, XARRAY_CHUNK, depth + 1);
}

/* An inner node may hold entries too: those that span many indices. */
static int walk_entries(struct walk *w, u64 *entries, u32 n, u32 depth)
{
	u32 kept = 0;
	int err = 0;

	for (u32 i = 0; i < n && !err; i++) {
		if (is_node(entries[i]))
			err = walk_node(w, entries[i] & ~3ULL, depth);
		else if (entries[i] && (entries[i] & 3) != INTERNAL)
			entries[kept++] = entries[i];
	}
	return err || !kept ? err : w->fn(w->arg, entries, kept);
}

/* Behind the first slot of an entry that spans several, the others name it (xa_mk_sibling()). */
static bool is_sibling(u64 entry)
{
	return (entry & 3) == INTERNAL && entry >> 2 < XARRAY_CHUNK - 1;
}

static u64 load_slot(struct kmem *k, u64 node, u64 slot)
{
	u64 entry;

	return kmem_read(k, kmem_at(k, node, KF_XA_NODE_SLOTS) + slot * sizeof(entry), &entry,
			 sizeof(entry)) ?
		       0 :
		       entry;
}

u64 xarray_load(struct kmem *k, u64 xarray, u64 index)
{
	u64 entry, shift;

	if (!kmem_has(k, KF_XA_NODE_SHIFT) || !xarray_available(k) ||
	    kmem_get(k, xarray, KF_XA_HEAD, &entry))
		return 0;
	if (!is_node(entry))
		return index ? 0 : entry;
	for (u32 depth = 0; depth < DEPTH_MAX && is_node(entry); depth++) {
		u64 node = entry & ~3ULL;

		if (kmem_get(k, node, KF_XA_NODE_SHIFT, &shift) || shift > 63 ||
		    (!depth && index >> shift >= XARRAY_CHUNK))
			return 0;
		entry = load_slot(k, node, index >> shift & (XARRAY_CHUNK - 1));
		if (is_sibling(entry))
			entry = load_slot(k, node, entry >> 2);
	}
	return is_node(entry) || (entry & 3) == INTERNAL ? 0 : entry;
}

bool xarray_available(const struct kmem *k)
{
	return kmem_has(k, KF_XA_HEAD) && kmem_has(k, KF_XA_NODE_SLOTS);
}

int xarray_walk(struct kmem *k, u64 xarray, u32 max_nodes, xarray_fn fn, void *arg)
{
	struct walk w = { .k = k, .nodes_left = max_nodes, .fn = fn, .arg = arg };
	u64 head;

	if (!xarray_available(k) || kmem_get(k, xarray, KF_XA_HEAD, &head))
		return 0;
	return walk_entries(&w, &head, 1, 0);
}
