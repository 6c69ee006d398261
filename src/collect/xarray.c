// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include <errno.h>

#include "collect/snap.h"

/* include/linux/xarray.h */
#define XA_CHUNK     64
#define XA_NODE_TAG  2
#define XA_DEPTH_MAX 11 /* 64-bit index, 6 bits a level */

enum { NODES_MAX = 65536 };

struct xa_walk {
	struct snap *s;
	ptr_fn fn;
	void *arg;
	u32 nodes;
	u64 last; /* a range is stored in many slots: the entry before */
};

static bool is_node(u64 entry)
{
	return (entry & 3) == XA_NODE_TAG && entry > 4096;
}

static int walk_entry(struct xa_walk *w, u64 entry, u32 depth);

static int walk_node(struct xa_walk *w, u64 node, u32 depth)
{
	u64 slots[XA_CHUNK];
	int err = 0;

	if (depth >= XA_DEPTH_MAX || ++w->nodes > NODES_MAX)
		return -E2BIG;
	if (kmem_read(w->s->k, kmem_at(w->s->k, node, KF_XA_NODE_SLOTS), slots, sizeof(slots)))
		return 0;
	for (u32 i = 0; i < XA_CHUNK && err >= 0; i++)
		err = walk_entry(w, slots[i], depth + 1);
	return err;
}

static int walk_entry(struct xa_walk *w, u64 entry, u32 depth)
{
	if (is_node(entry))
		return walk_node(w, entry & ~3ULL, depth);
	/* small internal entries point at a sibling slot: the same range again */
	if (entry & 3 || !kmem_is_kernel_ptr(entry) || entry == w->last)
		return 0;
	w->last = entry;
	return w->fn(w->arg, entry);
}

int xarray_walk(struct snap *s, u64 xarray, ptr_fn fn, void *arg)
{
	struct xa_walk w = { .s = s, .fn = fn, .arg = arg };
	u64 head;
	int err;

	if (!kmem_has(s->k, KF_XA_NODE_SLOTS) || kmem_get(s->k, xarray, KF_XA_HEAD, &head))
		return 0;
	err = walk_entry(&w, head, 0);
	return err < 0 ? err : 0;
}
