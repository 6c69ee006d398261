// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Bios in flight, from the devices' side. Of a request-based device every request is an element of
 * static_rqs of some blk_mq_tags: the driver's, or the I/O scheduler's where there is one. A
 * bio-based device keeps no list that is known here, but for device-mapper's of what came while it
 * was suspended. Of either kind a device has lists of what a limit of a cgroup holds back.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "collect/snap.h"
#include "util/array.h"

/* include/linux/xarray.h */
#define XA_CHUNK     64
#define XA_NODE_TAG  2
#define XA_DEPTH_MAX 3 /* 2^18 hardware queues */

enum {
	BDEVS_MAX = 1 << 16,
	ADDRS_MAX = 1 << 12, /* disks; sets of tags */
	HW_QUEUES_MAX = 1 << 12,
	TAGS_MAX = 1 << 17,  /* BLK_MQ_MAX_DEPTH is 10240, with a scheduler some more */
	CHAIN_MAX = 1 << 16, /* bios of one request, or that wait for one device */
	VECS_MAX = 1 << 10,  /* BIO_MAX_VECS is 256 */
	REF_MAX = 1 << 16,
	BATCH = 128,
	DM_SPAN = 2048, /* of struct mapped_device */
	DM_STEP = 256,
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
static int find_disks(struct walk *w)
{
	struct kmem *k = w->s->k;
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
		struct kget g[] = {
			{ kmem_at(k, outer, KF_BDEV_INODE_BDEV), KF_BDEV_DISK, 0, 0 },
			{ node, KF_LIST_NEXT, 0, 0 },
		};

		if (kmem_getv(k, g, 2) || g[1].err || !kmem_is_kernel_ptr(g[1].val)) {
			snap_lost(w->s, LOSS_TORN, "block devices", 1);
			break;
		}
		err = add_addr(w, &w->disks, g[0].val);
		node = g[1].val;
	}
	return err < 0 ? err : 0;
}

typedef int (*ptr_fn)(struct walk *w, u64 ptr);

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

static int take_tags(struct walk *w, u64 tags)
{
	return add_addr(w, &w->tags, tags);
}

static int take_hctx(struct walk *w, u64 hctx)
{
	u64 tags;

	return kmem_get(w->s->k, hctx, KF_HCTX_SCHED_TAGS, &tags) ? 0 : take_tags(w, tags);
}

static int take_xarray(struct walk *w, u64 entry, u32 depth)
{
	u64 slots[XA_CHUNK];
	int err = 0;

	if (!kmem_is_kernel_ptr(entry))
		return 0;
	if ((entry & 3) != XA_NODE_TAG)
		return entry & 3 ? 0 : take_hctx(w, entry);
	if (depth >= XA_DEPTH_MAX ||
	    kmem_read(w->s->k, kmem_at(w->s->k, entry & ~3ULL, KF_XA_NODE_SLOTS), slots,
		      sizeof(slots)))
		return 0;
	for (u32 i = 0; i < XA_CHUNK && err >= 0; i++)
		err = take_xarray(w, slots[i], depth + 1);
	return err;
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
	if (kmem_has(k, KF_QUEUE_HCTX_TABLE) &&
	    !kmem_get(k, kmem_at(k, queue, KF_QUEUE_HCTX_TABLE), KF_XA_HEAD, &at))
		return take_xarray(w, at, 0);
	return 0;
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

int bio_read(struct snap *s, u64 addr, struct kbio *ret)
{
	struct kget g[] = {
		{ addr, KF_BIO_IO_VEC, 0, 0 },  { addr, KF_BIO_END_IO, 0, 0 },
		{ addr, KF_BIO_PRIVATE, 0, 0 }, { addr, KF_BIO_FLAGS, 0, 0 },
		{ addr, KF_BIO_VCNT, 0, 0 },    { addr, KF_BIO_IDX, 0, 0 },
		{ addr, KF_BIO_SIZE, 0, 0 },    { addr, KF_BIO_DONE, 0, 0 },
	};

	if (!kmem_is_kernel_ptr(addr) || addr & 7 || kmem_getv(s->k, g, 8) || g[0].err || g[4].err)
		return -EFAULT;
	*ret = (struct kbio){
		.addr = addr,
		.vecs = g[0].val,
		.end_io = g[1].val,
		.private = g[2].val,
		.flags = g[3].val,
		.vcnt = g[4].val,
		.idx = g[5].val,
		.size = g[6].val,
		.done = g[7].val,
	};
	if (!kmem_is_kernel_ptr(ret->vecs) || ret->vecs & 7 || ret->vcnt > VECS_MAX ||
	    ret->idx > VECS_MAX || (ret->end_io && !kmem_is_kernel_ptr(ret->end_io)))
		return -ESTALE;
	return 0;
}

bool bio_still_there(struct snap *s, const struct kbio *bio)
{
	struct kbio now;
	u64 first, ref = 1;

	return !bio_read(s, bio->addr, &now) && now.vecs == bio->vecs &&
	       now.end_io == bio->end_io && now.private == bio->private && now.vcnt == bio->vcnt &&
	       !kmem_read(s->k, bio->from, &first, 8) && first == bio->first &&
	       (!bio->rq || (!kmem_get(s->k, bio->rq, KF_RQ_REF, &ref) && ref));
}

/* A clone has no table of its own: only its bi_iter says which part of another one's it is. */
u32 bio_vecs(struct snap *s, const struct kbio *bio, struct kbio_vec *vecs, u32 max)
{
	u32 from = bio->vcnt ? 0 : bio->idx, n = bio->vcnt;
	u64 left = (u64)bio->size + bio->done;

	_Static_assert(sizeof(struct kbio_vec) == 16, "struct bio_vec");
	if (!n)
		n = (bio->size + ARCH_PAGE_SIZE - 1) / ARCH_PAGE_SIZE + 1;
	if (n > max)
		n = max;
	while (n && kmem_read(s->k, bio->vecs + from * sizeof(*vecs), vecs, n * sizeof(*vecs)))
		n = bio->vcnt ? 0 : n / 2; /* the end of the table is not known */
	for (u32 i = 0; i < n && !bio->vcnt; i++) {
		if (!left)
			return i;
		left -= vecs[i].len < left ? vecs[i].len : left;
	}
	return n;
}

const char *bio_disk_name(struct snap *s, const struct kbio *bio)
{
	char name[32];
	u64 disk;

	if (kmem_get(s->k, bio->addr, KF_BIO_BDEV, &disk)) {
		if (kmem_get(s->k, bio->addr, KF_BIO_DISK, &disk))
			return NULL;
	} else if (kmem_get(s->k, disk, KF_BDEV_DISK, &disk)) {
		return NULL;
	}
	if (!kmem_has(s->k, KF_DISK_NAME) ||
	    kmem_read_string(s->k, kmem_at(s->k, disk, KF_DISK_NAME), name, sizeof(name)))
		return NULL;
	return snap_text(s, "%s", name);
}

/* Hands over a chain of bios; from is where the pointer to its first one is. */
static int walk_chain(struct walk *w, u64 from, u64 first, u64 rq, u64 cgroup)
{
	u64 addr = first;
	int err = 0;

	for (u32 n = 0; kmem_is_kernel_ptr(addr) && err >= 0; n++) {
		struct kbio bio;

		if (n >= CHAIN_MAX) {
			snap_lost(w->s, LOSS_LOST, "bios", 1);
			break;
		}
		if (bio_read(w->s, addr, &bio))
			break;
		bio.from = from;
		bio.first = first;
		bio.rq = rq;
		bio.cgroup = cgroup;
		err = w->fn(w->arg, &bio);
		if (kmem_get(w->s->k, addr, KF_BIO_NEXT, &addr))
			break;
	}
	return err;
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
			err = walk_chain(w, kmem_at(w->s->k, rqs[i], KF_RQ_BIO), g[2 * i + 1].val,
					 rqs[i], 0);
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

/* Whether {head, tail} are a bio_list: the end of the chain is its tail. */
static bool is_bio_list(struct snap *s, u64 head, u64 tail)
{
	struct kbio bio;
	u64 next = head;

	if (!kmem_is_kernel_ptr(tail) || tail & 7)
		return false;
	for (u32 n = 0; n < CHAIN_MAX && !bio_read(s, head, &bio); n++) {
		if (!bio.end_io || kmem_get(s->k, head, KF_BIO_NEXT, &next))
			return false;
		if (!next || head == tail)
			return !next && head == tail;
		head = next;
	}
	return false;
}

static u32 read_span(struct snap *s, u64 addr, u64 *words)
{
	u32 n = 0;

	while (n < DM_SPAN && !kmem_read(s->k, addr + n, (char *)words + n, DM_STEP))
		n += DM_STEP;
	return n / sizeof(*words);
}

/*
 * What comes to a suspended device-mapper device waits in mapped_device.deferred (drivers/md/dm.c,
 * queue_io()). The struct is private to a module, so both are recognised by what they contain: it
 * points back to its gendisk, and its list consists of bios.
 */
static int walk_mapped_device(struct walk *w, u64 disk, u64 md)
{
	u64 words[DM_SPAN / sizeof(u64)];
	char name[4] = "";
	bool is_md = false;
	u32 n;
	int err = 0;

	kmem_read_string(w->s->k, kmem_at(w->s->k, disk, KF_DISK_NAME), name, sizeof(name));
	if (strcmp(name, "dm-") != 0 || !kmem_is_kernel_ptr(md))
		return 0;
	n = read_span(w->s, md, words);
	for (u32 i = 0; i < n; i++)
		is_md |= words[i] == disk;
	for (u32 i = 0; is_md && i + 1 < n && err >= 0; i++)
		if (is_bio_list(w->s, words[i], words[i + 1]))
			err = walk_chain(w, md + i * sizeof(*words), words[i], 0, 0);
	return err;
}

static int walk_throttled(void *arg, u64 from, u64 first, u64 cgroup)
{
	return walk_chain(arg, from, first, 0, cgroup);
}

static int walk_disk(struct walk *w, u64 disk)
{
	struct kget g[] = { { disk, KF_DISK_QUEUE, 0, 0 }, { disk, KF_DISK_PRIVATE, 0, 0 } };
	int err;

	if (kmem_getv(w->s->k, g, 2))
		return 0;
	err = kmem_is_kernel_ptr(g[0].val) ? find_tags(w, g[0].val) : 0;
	err = err < 0 ? err : throttled_walk(w->s, g[0].val, walk_throttled, w);
	return err < 0 ? err : walk_mapped_device(w, disk, g[1].val);
}

int bios_walk(struct snap *s, bio_fn fn, void *arg)
{
	struct walk w = { .s = s, .fn = fn, .arg = arg };
	int err = find_disks(&w);

	for (u32 i = 0; i < w.disks.n && err >= 0; i++)
		err = walk_disk(&w, w.disks.v[i]);
	for (u32 i = 0; i < w.tags.n && err >= 0; i++)
		err = walk_tags(&w, w.tags.v[i]);
	free(w.disks.v);
	free(w.tags.v);
	return err < 0 ? err : 0;
}

bool bios_available(const struct snap *s)
{
	static const enum kf needed[] = {
		KF_BIO,          KF_BIO_NEXT,     KF_BIO_FLAGS,       KF_BIO_CLONED,
		KF_BIO_IDX,      KF_BIO_SIZE,     KF_BIO_DONE,        KF_BIO_END_IO,
		KF_BIO_PRIVATE,  KF_BIO_VCNT,     KF_BIO_IO_VEC,      KF_SB_INODES,
		KF_BDEV_DISK,    KF_DISK_NAME,    KF_BDEV_INODE_BDEV, KF_BDEV_INODE_INODE,
		KF_DISK_QUEUE,   KF_DISK_PRIVATE, KF_INODE_SB_LIST,   KF_QUEUE_TAG_SET,
		KF_TAG_SET_TAGS, KF_TAGS_NR,      KF_TAGS_RQS,        KF_TAG_SET_NR_HW,
		KF_RQ_BIO,       KF_RQ_REF,       KF_QUEUE_ELEVATOR,
	};
	const struct kmem *k = s->k;

	for (size_t i = 0; i < sizeof(needed) / sizeof(*needed); i++)
		if (!kmem_has(k, needed[i]))
			return false;
	return k->sym[KSYM_BLOCKDEV_SB] && k->field[KF_BIO_VEC].off == 16;
}
