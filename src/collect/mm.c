// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * The mappings of one address space, read without its mmap lock, which a stuck task may hold: a
 * list up to 6.0, a maple tree since.
 */
#include <errno.h>

#include "collect/mm.h"
#include "util/array.h"

/* include/linux/maple_tree.h: a node address has 256-byte alignment, its type in bits 3 to 6 */
#define MAPLE_NODE_MASK  255ULL
#define MAPLE_TYPE_SHIFT 3
#define MAPLE_TYPE_MASK  15
#define MAPLE_LEAF_64    1
#define MAPLE_RANGE_64   2
#define MAPLE_ARANGE_64  3
#define MAPLE_R64_SLOTS  16
#define MAPLE_A64_SLOTS  10
#define XA_INTERNAL      2

enum { VMAS_MAX = 65536, MAPLE_DEPTH_MAX = 16 };

struct mm_walk {
	struct snap *s;
	u64 mm;
	u64 end;  /* of the last mapping: they ascend */
	u32 seen; /* mappings and nodes */
	mm_vma_fn fn;
	void *arg;
};

static int visit_vma(struct mm_walk *w, u64 vma)
{
	struct kget g[] = {
		{ vma, KF_VMA_START, 0, 0 }, { vma, KF_VMA_END, 0, 0 },
		{ vma, KF_VMA_PGOFF, 0, 0 }, { vma, KF_VMA_FILE, 0, 0 },
		{ vma, KF_VMA_FLAGS, 0, 0 }, { vma, KF_VMA_MM, 0, 0 },
	};
	struct mm_vma v;

	if (++w->seen > VMAS_MAX)
		return -E2BIG;
	/* what is left over in a slot behind the last one in use belongs to nobody, or to before */
	if (kmem_getv(w->s->k, g, 6) || g[5].err || g[5].val != w->mm || g[0].val < w->end ||
	    g[0].val >= g[1].val)
		return 0;
	w->end = g[1].val;
	v = (struct mm_vma){ g[0].val, g[1].val, g[2].val, g[3].val, g[4].val };
	w->fn(w->arg, &v);
	return 0;
}

static int walk_list(struct mm_walk *w)
{
	u64 vma;
	int err = kmem_get(w->s->k, w->mm, KF_MM_MMAP, &vma);

	while (!err && vma) {
		err = visit_vma(w, vma);
		err = err ? err : kmem_get(w->s->k, vma, KF_VMA_NEXT, &vma);
	}
	return err;
}

static int walk_maple(struct mm_walk *w, u64 entry, u32 depth);

static int walk_maple_node(struct mm_walk *w, u64 enode, u32 depth)
{
	u32 type = enode >> MAPLE_TYPE_SHIFT & MAPLE_TYPE_MASK;
	bool arange = type == MAPLE_ARANGE_64;
	u32 n = arange ? MAPLE_A64_SLOTS : MAPLE_R64_SLOTS;
	u64 node = enode & ~MAPLE_NODE_MASK, slots[MAPLE_R64_SLOTS];
	int err;

	if (++w->seen > VMAS_MAX)
		return -E2BIG;
	if (depth > MAPLE_DEPTH_MAX || (type != MAPLE_LEAF_64 && type != MAPLE_RANGE_64 && !arange))
		return -ESTALE;
	err = kmem_read(w->s->k,
			kmem_at(w->s->k, node, arange ? KF_MAPLE_A64_SLOT : KF_MAPLE_R64_SLOT),
			slots, n * sizeof(*slots));
	for (u32 i = 0; i < n && !err; i++) {
		if (type == MAPLE_LEAF_64)
			err = kmem_is_kernel_ptr(slots[i]) && !(slots[i] & 7) ?
				      visit_vma(w, slots[i]) :
				      0;
		else if (kmem_is_kernel_ptr(slots[i]))
			err = walk_maple(w, slots[i], depth + 1);
	}
	return err;
}

static int walk_maple(struct mm_walk *w, u64 entry, u32 depth)
{
	if (!kmem_is_kernel_ptr(entry))
		return 0;
	if ((entry & 3) == XA_INTERNAL || depth)
		return walk_maple_node(w, entry, depth);
	return visit_vma(w, entry); /* a tree of one entry has no node */
}

int mm_walk_vmas(struct snap *s, u64 mm, mm_vma_fn fn, void *arg)
{
	struct mm_walk w = { .s = s, .mm = mm, .fn = fn, .arg = arg };
	u64 root;
	int err;

	if (kmem_has(s->k, KF_MM_MMAP))
		return walk_list(&w);
	err = kmem_get(s->k, mm, KF_MM_MT_ROOT, &root);
	return err ? err : walk_maple(&w, root, 0);
}

static bool names_process(struct snap *s, const struct fact_releaser *r, u32 n, u32 tgid)
{
	for (u32 i = 0; i < n; i++)
		if (task_find(s, r[i].task)->r.tgid == tgid)
			return true;
	return false;
}

/* First the leaders: what is left then are threads of leaders that have exited. */
struct fact_releaser *mm_releasers(struct snap *s, u64 mm, u32 *n)
{
	struct fact_releaser *r = NULL;

	*n = 0;
	for (int pass = 0; pass < 2; pass++) {
		struct ktask *t;

		for (u32 i = 0; (t = task_of_mm(s, mm, i)); i++) {
			if (pass ? names_process(s, r, *n, t->r.tgid) : t->r.tid != t->r.tgid)
				continue;
			s->err = s->err ? s->err : array_grow(&r, *n, sizeof(*r));
			if (s->err)
				return r;
			r[(*n)++] = (struct fact_releaser){ .task = t->r.task, .fd = -1 };
			task_tell(s, t);
		}
	}
	return r;
}
