// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Who maps the files that are waited for, or of which a page is held: the interval tree of each
 * file's address_space (i_mmap), the same on every kernel, whereas a task's own list of mappings
 * became a tree in 6.1.
 */
#include <errno.h>
#include <stdlib.h>

#include "collect/snap.h"
#include "util/array.h"

enum { VMAS_MAX = 65536, TREE_DEPTH_MAX = 128, INODES_MAX = 65536, FILESYSTEMS_MAX = 16 };

static int read_vma(struct snap *s, u64 node, u64 inode, u64 *left, u64 *right)
{
	u64 vma = kmem_container(s->k, node, KF_VMA_RB);
	struct kget g[] = {
		{ vma, KF_VMA_START, 0, 0 }, { vma, KF_VMA_END, 0, 0 },
		{ vma, KF_VMA_PGOFF, 0, 0 }, { vma, KF_VMA_MM, 0, 0 },
		{ node, KF_RB_LEFT, 0, 0 },  { node, KF_RB_RIGHT, 0, 0 },
	};
	struct kvma v = { .addr = vma, .inode = inode };
	int err = kmem_getv(s->k, g, 6);

	for (int i = 0; i < 6 && !err; i++)
		err = g[i].err;
	v.start = g[0].val;
	v.end = g[1].val;
	v.pgoff = g[2].val;
	v.mm = g[3].val;
	if (err || v.start >= v.end || !kmem_is_kernel_ptr(v.mm))
		return -ESTALE;
	*left = g[4].val;
	*right = g[5].val;
	err = array_grow(&s->vmas, s->nr_vmas, sizeof(v));
	if (!err)
		s->vmas[s->nr_vmas++] = v;
	return err;
}

/* Depth first; the left branch by recursion, the right one by the loop. */
static int walk_tree(struct snap *s, u64 node, u64 inode, u32 depth)
{
	while (kmem_is_kernel_ptr(node)) {
		u64 left, right;
		int err;

		if (depth > TREE_DEPTH_MAX || s->nr_vmas >= VMAS_MAX)
			return -E2BIG;
		err = read_vma(s, node, inode, &left, &right);
		err = err ? err : walk_tree(s, left, inode, depth + 1);
		if (err)
			return err;
		node = right;
		depth++;
	}
	return 0;
}

static int load_inode(struct snap *s, u64 inode)
{
	u64 mapping, root;
	int err;

	if (kmem_get(s->k, inode, KF_INODE_MAPPING, &mapping) ||
	    kmem_get(s->k, kmem_at(s->k, mapping, KF_MAPPING_I_MMAP), KF_RB_NODE, &root))
		return 0;
	err = walk_tree(s, root, inode, 0);
	if (err == -ENOMEM)
		return err;
	if (err)
		snap_lost(s, err == -E2BIG ? LOSS_LOST : LOSS_TORN, "mappings of a file", 1);
	return 0;
}

static int compare_by_mm(const void *a, const void *b)
{
	const struct kvma *x = a, *y = b;

	if (x->mm != y->mm)
		return x->mm < y->mm ? -1 : 1;
	return x->start < y->start ? -1 : x->start > y->start;
}

/* A tree that changed while it was walked may have shown a mapping twice. */
static void sort_vmas(struct snap *s)
{
	u32 kept = 0;

	if (s->nr_vmas)
		qsort(s->vmas, s->nr_vmas, sizeof(*s->vmas), compare_by_mm);
	for (u32 i = 0; i < s->nr_vmas; i++)
		if (!kept || s->vmas[kept - 1].addr != s->vmas[i].addr)
			s->vmas[kept++] = s->vmas[i];
	s->nr_vmas = kept;
}

/* The inodes that are waited for, and those of held pages: ascending, each once. */
struct inodes {
	u64 *v;
	u32 n;
};

static int compare_inodes(const void *a, const void *b)
{
	u64 x = *(const u64 *)a, y = *(const u64 *)b;

	return x < y ? -1 : x > y;
}

static int list_inodes(const struct snap *s, struct inodes *ret)
{
	u64 *v = calloc((size_t)s->nr_waits + s->nr_pages + 1, sizeof(*v));
	u32 n = 0, kept = 0;

	if (!v)
		return -ENOMEM;
	for (u32 i = 0; i < s->nr_waits; i++)
		v[n++] = s->waits[i].inode;
	for (u32 i = 0; i < s->nr_pages; i++)
		v[n++] = s->pages[i].scanned ? s->pages[i].inode : 0;
	qsort(v, n, sizeof(*v), compare_inodes);
	for (u32 i = 0; i < n; i++)
		if (v[i] && (!kept || v[i] != v[kept - 1]))
			v[kept++] = v[i];
	*ret = (struct inodes){ v, kept };
	return 0;
}

static bool is_listed(const struct inodes *list, u64 inode)
{
	return bsearch(&inode, list->v, list->n, sizeof(inode), compare_inodes);
}

/*
 * A page that files share names none of them, and the waiter takes it out of its own file's page
 * tables only. So look at all files of the filesystem that are mapped.
 */
static int load_clones(struct snap *s, const struct inodes *known, u64 inode)
{
	u64 sb, head, at;
	u32 first = s->nr_vmas;
	int err = 0;

	if (!kmem_has(s->k, KF_INODE_SB_LIST) || !kmem_has(s->k, KF_SB_INODES) ||
	    kmem_get(s->k, inode, KF_INODE_SB, &sb))
		return 0;
	head = kmem_at(s->k, sb, KF_SB_INODES);
	if (kmem_get(s->k, head, KF_LIST_NEXT, &at))
		return 0;
	for (u32 i = 0; at != head && kmem_is_kernel_ptr(at) && !err; i++) {
		u64 other = kmem_container(s->k, at, KF_INODE_SB_LIST);

		if (i >= INODES_MAX) {
			snap_lost(s, LOSS_LOST, "files that may share a page", 1);
			break;
		}
		if (!is_listed(known, other) && file_is_dax(s, other))
			err = load_inode(s, other);
		if (kmem_get(s->k, at, KF_LIST_NEXT, &at))
			break;
	}
	for (u32 i = first; i < s->nr_vmas; i++)
		s->vmas[i].clone = true;
	return err;
}

/* Once for each filesystem of which a shared page is waited for. */
static int load_all_clones(struct snap *s, const struct inodes *inodes)
{
	u64 done[FILESYSTEMS_MAX], sb;
	u32 nr_done = 0;
	int err = 0;

	for (u32 i = 0; i < s->nr_pages && nr_done < FILESYSTEMS_MAX && !err; i++) {
		const struct kpage *p = &s->pages[i];
		bool known = !p->shared || !p->inode || kmem_get(s->k, p->inode, KF_INODE_SB, &sb);

		for (u32 j = 0; j < nr_done && !known; j++)
			known = done[j] == sb;
		if (known)
			continue;
		done[nr_done++] = sb;
		err = load_clones(s, inodes, p->inode);
	}
	return err;
}

int vmas_load(struct snap *s)
{
	struct inodes inodes = { 0 };
	int err = list_inodes(s, &inodes);

	for (u32 i = 0; !err && i < inodes.n; i++)
		err = load_inode(s, inodes.v[i]);
	err = err ? err : load_all_clones(s, &inodes);
	free(inodes.v);
	sort_vmas(s);
	return err;
}

const struct kvma *vmas_of(const struct snap *s, u64 mm, u32 *n)
{
	u32 lo = 0, hi = s->nr_vmas;

	while (lo < hi) {
		u32 mid = lo + (hi - lo) / 2;

		if (s->vmas[mid].mm < mm)
			lo = mid + 1;
		else
			hi = mid;
	}
	for (*n = 0; lo + *n < s->nr_vmas && s->vmas[lo + *n].mm == mm;)
		++*n;
	return *n ? &s->vmas[lo] : NULL;
}

bool vma_covers(const struct kvma *v, const struct kpage *p)
{
	u64 pages = (v->end - v->start) >> ARCH_PAGE_SHIFT;

	if (p->inode != v->inode)
		return v->clone && p->shared;
	return p->index == FACT_UNKNOWN ||
	       (p->index < v->pgoff + pages && p->index + (1ULL << p->order) > v->pgoff);
}

void vma_range(const struct kvma *v, const struct kpage *p, u64 *from, u64 *to)
{
	u64 last = p->index + (1ULL << p->order);

	*from = v->start;
	*to = v->end;
	if (p->index == FACT_UNKNOWN)
		return;
	if (p->index > v->pgoff)
		*from += (p->index - v->pgoff) << ARCH_PAGE_SHIFT;
	if (last - v->pgoff < (v->end - v->start) >> ARCH_PAGE_SHIFT)
		*to = v->start + ((last - v->pgoff) << ARCH_PAGE_SHIFT);
}
