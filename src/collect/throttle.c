// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * I/O that a limit of a cgroup holds back. For io.max (block/blk-throttle.c) a block device has a
 * list of the cgroups that used it, and for each of them the policies keep something; blk-throttle
 * lists of bios, apart by the cgroup they come from. For io.cost (block/blk-iocost.c) who submits a
 * bio sleeps until his cgroup may have more of the device.
 */
#include <errno.h>

#include "collect/snap.h"

enum {
	GROUPS_MAX = 1 << 14, /* of one device */
	QNODES_MAX = 1 << 12, /* of one group: one for each of its children */
	POLICIES_MAX = 16,
};

struct walk {
	struct snap *s;
	bio_list_fn fn;
	void *arg;
	u64 td; /* throtl_data of the device */
};

/* The struct cgroup of a throtl_grp; the group itself where that is not known. */
static u64 cgroup_of_group(struct snap *s, u64 group)
{
	u64 blkg, blkcg, cgroup;

	if (kmem_get(s->k, group, KF_THROTL_GRP_BLKG, &blkg) ||
	    kmem_get(s->k, blkg, KF_BLKG_BLKCG, &blkcg) ||
	    kmem_get(s->k, blkcg, KF_BLKCG_CGROUP, &cgroup))
		return group;
	return cgroup;
}

static int take_bios(struct walk *w, u64 qnode, enum kf f, u64 cgroup)
{
	u64 list, first;

	if (!kmem_has(w->s->k, f))
		return 0;
	list = kmem_at(w->s->k, qnode, f); /* struct bio_list: head, tail */
	if (kmem_read(w->s->k, list, &first, sizeof(first)) || !first)
		return 0;
	return w->fn(w->arg, list, cgroup);
}

/* One list_head of throtl_service_queue.queued: reads, or writes. */
static int take_queue(struct walk *w, u64 head, u64 cgroup)
{
	struct kmem *k = w->s->k;
	int err = 0;
	u64 node;

	if (kmem_get(k, head, KF_LIST_NEXT, &node))
		return 0;
	for (u32 n = 0; node != head && kmem_is_kernel_ptr(node) && err >= 0; n++) {
		u64 qnode = kmem_container(k, node, KF_THROTL_QNODE_NODE);

		if (n >= QNODES_MAX) {
			snap_lost(w->s, LOSS_LOST, "throttled bios", 1);
			break;
		}
		err = take_bios(w, qnode, KF_THROTL_QNODE_BIOS, cgroup);
		if (err >= 0)
			err = take_bios(w, qnode, KF_THROTL_QNODE_BIOS_IOPS, cgroup);
		if (kmem_get(k, node, KF_LIST_NEXT, &node))
			break;
	}
	return err;
}

static int take_group(struct walk *w, u64 group)
{
	u64 queued = kmem_at(w->s->k, kmem_at(w->s->k, group, KF_THROTL_GRP_SQ),
			     KF_THROTL_SQ_QUEUED);
	u64 cgroup = cgroup_of_group(w->s, group);
	int err = take_queue(w, queued, cgroup);

	return err < 0 ?
		       err :
		       take_queue(w, queued + w->s->k->field[KF_THROTL_SQ_QUEUED].size / 2, cgroup);
}

/* Of what the policies keep of a cgroup on a device, the one that leads back to our throtl_data. */
static int take_blkg(struct walk *w, u64 blkg)
{
	u64 pd[POLICIES_MAX], td, n = w->s->k->field[KF_BLKG_PD].size / sizeof(*pd);
	int err = 0;

	n = n < POLICIES_MAX ? n : POLICIES_MAX;
	if (kmem_read(w->s->k, kmem_at(w->s->k, blkg, KF_BLKG_PD), pd, n * sizeof(*pd)))
		return 0;
	for (u64 i = 0; i < n && err >= 0; i++) {
		u64 group = kmem_container(w->s->k, pd[i], KF_THROTL_GRP_PD);

		if (kmem_is_kernel_ptr(pd[i]) && !kmem_get(w->s->k, group, KF_THROTL_GRP_TD, &td) &&
		    td == w->td)
			err = take_group(w, group);
	}
	return err;
}

static bool is_available(const struct snap *s)
{
	return !KMEM_LACKS(s->k, KF_QUEUE_TD, KF_QUEUE_BLKG_LIST, KF_BLKG_NODE, KF_BLKG_PD,
			   KF_THROTL_GRP_PD, KF_THROTL_GRP_TD, KF_THROTL_GRP_SQ,
			   KF_THROTL_SQ_QUEUED, KF_LIST_NEXT, KF_THROTL_QNODE_NODE,
			   KF_THROTL_QNODE_BIOS);
}

int throttled_walk(struct snap *s, u64 queue, bio_list_fn fn, void *arg)
{
	struct walk w = { .s = s, .fn = fn, .arg = arg };
	u64 head, node;
	int err = 0;

	if (!is_available(s) || kmem_get(s->k, queue, KF_QUEUE_TD, &w.td) ||
	    !kmem_is_kernel_ptr(w.td))
		return 0;
	head = kmem_at(s->k, queue, KF_QUEUE_BLKG_LIST);
	if (kmem_get(s->k, head, KF_LIST_NEXT, &node))
		return 0;
	for (u32 n = 0; node != head && kmem_is_kernel_ptr(node) && err >= 0; n++) {
		if (n >= GROUPS_MAX) {
			snap_lost(s, LOSS_LOST, "throttled bios", 1);
			break;
		}
		err = take_blkg(&w, kmem_container(s->k, node, KF_BLKG_NODE));
		if (kmem_get(s->k, node, KF_LIST_NEXT, &node))
			break;
	}
	return err;
}

bool throttled_tell(struct snap *s, const struct ktask *t, struct fact_hold *h)
{
	if (!t || !task_is_asleep(t) || !task_stack_has(t, "ioc_rqos_throttle"))
		return false;
	h->limit = cgroup_path(s, cgroup_of_io(s, t->r.task));
	h->limit_by = h->limit ? "io.cost" : NULL;
	return h->limit;
}
