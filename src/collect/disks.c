// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Bios in flight, from the devices' side. Of a request-based device every request is an element of
 * static_rqs of some blk_mq_tags: the driver's, or the I/O scheduler's where there is one. A
 * bio-based device keeps no list that is known here, but for device-mapper's of what came while it
 * was suspended. Of either kind a device has lists of what a limit of a cgroup holds back.
 */
#include <errno.h>
#include <stdlib.h>

#include "collect/snap.h"
#include "collect/xarray.h"
#include "util/array.h"

enum {
	BDEVS_MAX = 1 << 16,
	ADDRS_MAX = 1 << 12, /* disks; sets of tags */
	HW_QUEUES_MAX = 1 << 12,
	HCTX_NODES_MAX = 1 << 7, /* of an xarray of hardware queues */
	TAGS_MAX = 1 << 17,      /* BLK_MQ_MAX_DEPTH is 10240, with a scheduler some more */
	REF_MAX = 1 << 16,
	BATCH = 128,
};

struct addrs {
	u64 *v;
	u32 n;
};

struct walk {
	struct snap *s;
	bio_fn fn;
	void *arg;
	struct addrs disks, tags; /* distinct */
};

/* 0 when it was known or nothing, 1 when it is new, -ENOMEM. */
static int add_addr(struct walk *w, struct addrs *a, u64 addr)
{
	if (!kmem_is_kernel_ptr(addr))
		return 0;
	for (u32 i = 0; i < a->n; i++)
		if (a->v[i] == addr)
			return 0;
	if (a->n >= ADDRS_MAX) {
		snap_lost(w->s, LOSS_LOST, "block devices", 1);
		return 0;
	}
	if (array_grow(&a->v, a->n, sizeof(addr)))
		return -ENOMEM;
	a->v[a->n++] = addr;
	return 1;
}

/* The inodes of the bdev filesystem are embedded in a bdev_inode each, bdev included. */
int bdevs_walk(struct snap *s, bdev_fn fn, void *arg)
{
	struct kmem *k = s->k;
	u64 sb, head, node;
	int err = 0;

	if (kmem_read(k, k->sym[KSYM_BLOCKDEV_SB], &sb, 8) || !kmem_is_kernel_ptr(sb))
		return 0;
	head = kmem_at(k, sb, KF_SB_INODES);
	if (kmem_get(k, head, KF_LIST_NEXT, &node))
		return 0;
	for (u32 n = 0; node != head && n < BDEVS_MAX && err >= 0; n++) {
		u64 inode = kmem_container(k, node, KF_INODE_SB_LIST);
		u64 outer = kmem_container(k, inode, KF_BDEV_INODE_INODE);
		u64 bdev = kmem_at(k, outer, KF_BDEV_INODE_BDEV);
		struct kget g[] = {
			{ bdev, KF_BDEV_DISK, 0, 0 },
			{ node, KF_LIST_NEXT, 0, 0 },
		};

		if (kmem_getv(k, g, 2) || g[1].err || !kmem_is_kernel_ptr(g[1].val)) {
			snap_lost(s, LOSS_TORN, "block devices", 1);
			break;
		}
		err = kmem_is_kernel_ptr(g[0].val) ? fn(arg, bdev, g[0].val) : 0;
		node = g[1].val;
	}
	return err < 0 ? err : 0;
}

static int take_disk(void *arg, u64 bdev, u64 disk)
{
	struct walk *w = arg;

	(void)bdev;
	return add_addr(w, &w->disks, disk);
}

typedef int (*ptr_fn)(void *arg, u64 ptr);

/* Calls fn for each of n pointers at addr. */
static int each_pointer(struct walk *w, u64 addr, u64 n, ptr_fn fn)
{
	u64 ptrs[BATCH];
	int err = 0;

	if (!kmem_is_kernel_ptr(addr))
		return 0;
	for (u64 at = 0; at < n && err >= 0; at += BATCH) {
		u64 batch = n - at < BATCH ? n - at : BATCH;

		if (kmem_read(w->s->k, addr + at * 8, ptrs, batch * 8))
			return 0;
		for (u64 i = 0; i < batch && err >= 0; i++)
			err = kmem_is_kernel_ptr(ptrs[i]) ? fn(w, ptrs[i]) : 0;
	}
	return err < 0 ? err : 0;
}

static u64 hw_queues(struct walk *w, u64 obj, enum kf f)
{
	u64 n;

	if (kmem_get(w->s->k, obj, f, &n))
		return 0;
	if (n > HW_QUEUES_MAX) {
		snap_lost(w->s, LOSS_LOST, "hardware queues", n - HW_QUEUES_MAX);
		n = HW_QUEUES_MAX;
	}
	return n;
}

static int take_tags(void *arg, u64 tags)
{
	struct walk *w = arg;

	return add_addr(w, &w->tags, tags);
}

static int take_hctx(void *arg, u64 hctx)
{
	struct walk *w = arg;
	u64 tags;

	return kmem_get(w->s->k, hctx, KF_HCTX_SCHED_TAGS, &tags) ? 0 : take_tags(w, tags);
}

static int take_hctxs(void *arg, const u64 *entries, u32 n)
{
	int err = 0;

	for (u32 i = 0; i < n && err >= 0; i++)
		err = kmem_is_kernel_ptr(entries[i]) ? take_hctx(arg, entries[i]) : 0;
	return err < 0 ? err : 0;
}

static int find_sched_tags(struct walk *w, u64 queue, u64 elevator)
{
	struct kmem *k = w->s->k;
	u64 at;

	if (!kmem_get(k, elevator, KF_ELEVATOR_ET, &at))
		return each_pointer(w, kmem_has(k, KF_ET_TAGS) ? kmem_at(k, at, KF_ET_TAGS) : 0,
				    hw_queues(w, at, KF_ET_NR_HW), take_tags);
	if (!kmem_get(k, queue, KF_QUEUE_HW_CTX, &at))
		return each_pointer(w, at, hw_queues(w, queue, KF_QUEUE_NR_HW), take_hctx);
	if (!kmem_has(k, KF_QUEUE_HCTX_TABLE))
		return 0;
	return xarray_walk(k, kmem_at(k, queue, KF_QUEUE_HCTX_TABLE), HCTX_NODES_MAX, take_hctxs,
			   w);
}

/* Queues share a set of tags when their devices share an adapter. */
static int find_tags(struct walk *w, u64 queue)
{
	struct kget q[] = { { queue, KF_QUEUE_TAG_SET, 0, 0 }, { queue, KF_QUEUE_ELEVATOR, 0, 0 } };
	u64 tags;
	int err = 0;

	if (kmem_getv(w->s->k, q, 2) || !kmem_is_kernel_ptr(q[0].val))
		return 0;
	if (!kmem_get(w->s->k, q[0].val, KF_TAG_SET_TAGS, &tags))
		err = each_pointer(w, tags, hw_queues(w, q[0].val, KF_TAG_SET_NR_HW), take_tags);
	if (err >= 0 && kmem_is_kernel_ptr(q[1].val))
		err = find_sched_tags(w, queue, q[1].val);
	return err < 0 ? err : 0;
}

/*
 * A request that waits in a scheduler is idle by its state; what is in use has a reference count,
 * and what is not has none. The bio of a freed one is stale.
 */
static int walk_requests(struct walk *w, const u64 *rqs, u32 n)
{
	struct kget g[2 * BATCH];
	int err = 0;

	for (u32 i = 0; i < n; i++) {
		g[2 * i] = (struct kget){ rqs[i], KF_RQ_REF, 0, 0 };
		g[2 * i + 1] = (struct kget){ rqs[i], KF_RQ_BIO, 0, 0 };
	}
	if (kmem_getv(w->s->k, g, 2 * n))
		return 0;
	for (u32 i = 0; i < n && err >= 0; i++)
		if (g[2 * i].val && g[2 * i].val < REF_MAX && g[2 * i + 1].val)
			err = bio_chain_walk(w->s, kmem_at(w->s->k, rqs[i], KF_RQ_BIO), rqs[i], 0,
					     w->fn, w->arg);
	return err;
}

static int walk_tags(struct walk *w, u64 tags)
{
	struct kget t[] = { { tags, KF_TAGS_NR, 0, 0 }, { tags, KF_TAGS_RQS, 0, 0 } };
	u64 rqs[BATCH];
	int err = 0;

	if (kmem_getv(w->s->k, t, 2) || !kmem_is_kernel_ptr(t[1].val))
		return 0;
	if (t[0].val > TAGS_MAX) {
		snap_lost(w->s, LOSS_TORN, "block device tags", 1);
		return 0;
	}
	for (u64 at = 0; at < t[0].val && err >= 0; at += BATCH) {
		u32 n = t[0].val - at < BATCH ? t[0].val - at : BATCH;

		if (kmem_read(w->s->k, t[1].val + at * 8, rqs, n * 8)) {
			snap_lost(w->s, LOSS_TORN, "block device tags", 1);
			return 0;
		}
		err = walk_requests(w, rqs, n);
	}
	return err;
}

static int walk_throttled(void *arg, u64 from, u64 cgroup)
{
	struct walk *w = arg;

	return bio_chain_walk(w->s, from, 0, cgroup, w->fn, w->arg);
}

static int walk_disk(struct walk *w, u64 disk)
{
	u64 queue;
	int err = 0;

	if (!kmem_get(w->s->k, disk, KF_DISK_QUEUE, &queue) && kmem_is_kernel_ptr(queue)) {
		err = find_tags(w, queue);
		err = err < 0 ? err : throttled_walk(w->s, queue, walk_throttled, w);
	}
	return err < 0 ? err : dm_deferred_walk(w->s, disk, w->fn, w->arg);
}

int bios_walk(struct snap *s, bio_fn fn, void *arg)
{
	struct walk w = { .s = s, .fn = fn, .arg = arg };
	int err = bdevs_walk(s, take_disk, &w);

	for (u32 i = 0; i < w.disks.n && err >= 0; i++)
		err = walk_disk(&w, w.disks.v[i]);
	for (u32 i = 0; i < w.tags.n && err >= 0; i++)
		err = walk_tags(&w, w.tags.v[i]);
	free(w.disks.v);
	free(w.tags.v);
	return err < 0 ? err : 0;
}

const char *bios_lack(const struct snap *s)
{
	const char *lacks = KMEM_LACKS(
		s->k, KF_BIO, KF_BIO_NEXT, KF_BIO_FLAGS, KF_BIO_CLONED, KF_BIO_IDX, KF_BIO_SIZE,
		KF_BIO_DONE, KF_BIO_END_IO, KF_BIO_PRIVATE, KF_BIO_VCNT, KF_BIO_IO_VEC,
		KF_SB_INODES, KF_BDEV_DISK, KF_DISK_NAME, KF_BDEV_INODE_BDEV, KF_BDEV_INODE_INODE,
		KF_DISK_QUEUE, KF_DISK_PRIVATE, KF_INODE_SB_LIST, KF_QUEUE_TAG_SET, KF_TAG_SET_TAGS,
		KF_TAGS_NR, KF_TAGS_RQS, KF_TAG_SET_NR_HW, KF_RQ_BIO, KF_RQ_REF, KF_QUEUE_ELEVATOR);

	if (lacks)
		return lacks;
	return s->k->field[KF_BIO_VEC].off == 16 ? kmem_hides(s->k, KSYM_BLOCKDEV_SB) :
						   kfield_name(KF_BIO_VEC);
}

/* Every page of a bio has one reference, also where neighbours share a bio_vec. */
u32 vecs_count_refs(struct snap *s, const struct kbio_vec *vecs, u32 n, const struct kpage *p)
{
	u64 size = s->k->field[KF_PAGE].off, end = p->head + (size << p->order);
	u32 refs = 0;

	for (u32 i = 0; i < n; i++) {
		u64 from = vecs[i].page + (vecs[i].off >> ARCH_PAGE_SHIFT) * size;
		u64 bytes = (vecs[i].off & (ARCH_PAGE_SIZE - 1)) + (u64)vecs[i].len;
		u64 to = from + ((bytes + ARCH_PAGE_SIZE - 1) >> ARCH_PAGE_SHIFT) * size;

		from = from > p->head ? from : p->head;
		to = to < end ? to : end;
		if (from < to)
			refs += (to - from) / size;
	}
	return refs;
}
