// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* What a bio says: its pages, its device, whether the references are its own. */
#include <errno.h>

#include "collect/snap.h"

#define OP_IS_WRITE     1                  /* op_is_write(), include/linux/blk_types.h */
#define ISSUE_TIME_MASK ((1ULL << 51) - 1) /* the same file, up to 6.17 */

enum {
	VECS_MAX = 1 << 10,  /* BIO_MAX_VECS is 256 */
	CHAIN_MAX = 1 << 16, /* bios of one request, or that wait for one device */
};

int bio_read(struct snap *s, u64 addr, struct kbio *ret)
{
	struct kget g[] = {
		{ addr, KF_BIO_IO_VEC, 0, 0 },  { addr, KF_BIO_END_IO, 0, 0 },
		{ addr, KF_BIO_PRIVATE, 0, 0 }, { addr, KF_BIO_FLAGS, 0, 0 },
		{ addr, KF_BIO_VCNT, 0, 0 },    { addr, KF_BIO_IDX, 0, 0 },
		{ addr, KF_BIO_SIZE, 0, 0 },    { addr, KF_BIO_DONE, 0, 0 },
		{ addr, KF_BIO_OPF, 0, 0 },
	};

	if (!kmem_is_kernel_ptr(addr) || addr & 7 || kmem_getv(s->k, g, 9) || g[0].err || g[4].err)
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
		.writes = g[8].val & OP_IS_WRITE,
	};
	/* a flush has no data, and a discard no pages */
	if (!ret->vecs && ret->vcnt)
		return -ESTALE;
	if ((ret->vecs && !kmem_is_kernel_ptr(ret->vecs)) || ret->vecs & 7 ||
	    ret->vcnt > VECS_MAX || ret->idx > VECS_MAX ||
	    (ret->end_io && !kmem_is_kernel_ptr(ret->end_io)))
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
	if (!bio->vecs)
		return 0;
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

bool bio_is_clone(struct snap *s, const struct kbio *bio)
{
	return bio->flags >> s->k->field[KF_BIO_CLONED].off & 1;
}

static bool has_flag(struct snap *s, const struct kbio *bio, enum kf flag)
{
	return kmem_has(s->k, flag) && bio->flags >> s->k->field[flag].off & 1;
}

bool bio_has_refs(struct snap *s, const struct kbio *bio)
{
	if (bio_is_clone(s, bio))
		return false;
	if (!kmem_has(s->k, KF_BIO_PAGE_PINNED))
		return !has_flag(s, bio, KF_BIO_NO_PAGE_REF);
	return has_flag(s, bio, KF_BIO_PAGE_PINNED) || has_flag(s, bio, KF_BIO_PAGE_REFFED);
}

static u64 rq_disk(struct snap *s, u64 rq)
{
	u64 queue, disk;

	if (kmem_get(s->k, rq, KF_RQ_DISK, &disk) && !kmem_get(s->k, rq, KF_RQ_QUEUE, &queue))
		kmem_get(s->k, queue, KF_QUEUE_DISK, &disk);
	return disk;
}

/* The bio of a pass-through request need not name a device: blk_rq_map_user() of 6.1 sets none. */
u64 bio_disk(struct snap *s, const struct kbio *bio)
{
	u64 bdev, disk = 0;

	if (!kmem_get(s->k, bio->addr, KF_BIO_BDEV, &bdev))
		kmem_get(s->k, bdev, KF_BDEV_DISK, &disk);
	else
		kmem_get(s->k, bio->addr, KF_BIO_DISK, &disk);
	return disk || !bio->rq ? disk : rq_disk(s, bio->rq);
}

u64 bio_age_ns(struct snap *s, const struct kbio *bio)
{
	u64 start, now = s->k->time.mono_ns;
	int err = bio->rq ? kmem_get(s->k, bio->rq, KF_RQ_START, &start) :
			    kmem_get(s->k, bio->addr, KF_BIO_ISSUE, &start);

	if (!bio->rq)
		start &= ISSUE_TIME_MASK;
	return err || !start || start > now ? FACT_UNKNOWN : now - start;
}

bool bio_submission_sleeps(const struct ktask *t)
{
	static const char *const submits[] = { "submit_bio_noacct", "submit_bio_noacct_nocheck",
					       "submit_bio",        "__submit_bio",
					       "blk_mq_submit_bio", NULL };

	return task_is_asleep(t) && t->frames[0] && task_stack_any(t, submits);
}

int bio_chain_walk(struct snap *s, u64 from, u64 rq, u64 cgroup, bio_fn fn, void *arg)
{
	u64 first, addr;
	int err = 0;

	if (kmem_read(s->k, from, &first, sizeof(first)))
		return 0;
	addr = first;
	for (u32 n = 0; kmem_is_kernel_ptr(addr) && err >= 0; n++) {
		struct kbio bio;

		if (n >= CHAIN_MAX) {
			snap_lost(s, LOSS_LOST, "bios", 1);
			break;
		}
		if (bio_read(s, addr, &bio))
			break;
		bio.from = from;
		bio.first = first;
		bio.rq = rq;
		bio.cgroup = cgroup;
		err = fn(arg, &bio);
		if (kmem_get(s->k, addr, KF_BIO_NEXT, &addr))
			break;
	}
	return err;
}

bool bio_list_is(struct snap *s, u64 head, u64 tail, u64 disk)
{
	struct kbio bio;
	u64 next = head;

	if (!kmem_is_kernel_ptr(tail) || tail & 7)
		return false;
	for (u32 n = 0; n < CHAIN_MAX && !bio_read(s, head, &bio); n++) {
		if (!bio.end_io || bio_disk(s, &bio) != disk ||
		    kmem_get(s->k, head, KF_BIO_NEXT, &next))
			return false;
		if (!next || head == tail)
			return !next && head == tail;
		head = next;
	}
	return false;
}
