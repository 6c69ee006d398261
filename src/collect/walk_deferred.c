// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Packets that were read and are not freed yet. A packet goes back to the CPU that allocated it:
 * read or dropped on another one, it is put on a list of that CPU, which frees it when it next
 * processes received packets (skb_attempt_defer_free(), net_rx_action()). On a CPU without network
 * traffic that may be never, and no task has anything to do with it any more.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "collect/skbs.h"

enum { CPUS_MAX = 8192, NODES_MAX = 1024 };

/* The last number of a list such as "0-3,8-11"; 0 when there is no such file. */
static u32 last_number(struct snap *s, const char *path)
{
	char *text = s->k->ops->read_file(s->k, path);
	size_t at = text ? strcspn(text, "\n") : 0;
	u32 last;

	while (at && text[at - 1] >= '0' && text[at - 1] <= '9')
		at--;
	last = text ? strtoul(text + at, NULL, 10) : 0;
	free(text);
	return last;
}

static int walk_list(struct skb_walk *w, u64 skb)
{
	int err = 0;

	while (kmem_is_kernel_ptr(skb) && !err) {
		err = skb_take(w, skb);
		if (kmem_get(w->s->k, skb, KF_SKB_NEXT, &skb))
			break; /* it was freed meanwhile */
	}
	return err;
}

/* One list a CPU. */
static int walk_softnet(struct skb_walk *w, u64 offset)
{
	u64 skb;

	return kmem_get(w->s->k, w->s->k->sym[KSYM_SOFTNET_DATA] + offset, KF_SOFTNET_DEFER_LIST,
			&skb) ?
		       0 :
		       walk_list(w, skb);
}

/* One list a CPU for each NUMA node on which packets are freed. */
static int walk_nodes(struct skb_walk *w, u64 nodes, u32 nr_nodes)
{
	const struct kfield *node = &w->s->k->field[KF_DEFER_NODE];
	int err = 0;

	for (u32 i = 0; i < nr_nodes && !err; i++) {
		u64 skb;

		if (!kmem_get(w->s->k, nodes + i * (u64)node->off, KF_DEFER_NODE_LIST, &skb))
			err = walk_list(w, skb);
	}
	return err;
}

static int walk_cpu(struct skb_walk *w, u64 offset, u64 nodes, u32 nr_nodes)
{
	return nodes ? walk_nodes(w, nodes + offset, nr_nodes) : walk_softnet(w, offset);
}

static int walk_cpus(struct skb_walk *w)
{
	struct kmem *k = w->s->k;
	u32 last = last_number(w->s, "/sys/devices/system/cpu/possible");
	u32 node = last_number(w->s, "/sys/devices/system/node/possible");
	u64 nodes = 0, offset;
	int err = 0;

	if (kmem_has(k, KF_HOTDATA_DEFER_NODES))
		kmem_get(k, k->sym[KSYM_NET_HOTDATA], KF_HOTDATA_DEFER_NODES, &nodes);
	for (u32 cpu = 0; cpu <= last && cpu < CPUS_MAX && !err; cpu++) {
		w->owner = cpu;
		if (!kmem_read(k, k->sym[KSYM_PER_CPU_OFFSET] + cpu * 8ULL, &offset, 8) && offset)
			err = walk_cpu(w, offset, nodes, node < NODES_MAX ? node + 1 : NODES_MAX);
	}
	return err;
}

static void tell_hold(struct snap *s, const struct skb_hit *h)
{
	struct fact f = { .type = FACT_HOLD };

	f.hold.page = h->page->head;
	f.hold.how = HOW_KERNEL;
	f.hold.confidence = CONF_EXACT;
	f.hold.refs = h->refs;
	f.hold.object_kind = "cpu";
	f.hold.object_id = snap_text(s, "CPU %llu", (unsigned long long)h->owner);
	f.hold.detail = "in packets that are read but not freed before this CPU next processes "
			"received packets";
	f.hold.held_ns = FACT_UNKNOWN;
	f.hold.pipe_user = UINT32_MAX;
	snap_emit(s, &f);
}

/* Where the kernel frees at once there is nothing to be missed. */
const char *walk_deferred_lacks(const struct snap *s)
{
	const struct kmem *k = s->k;
	bool nodes = kmem_has(k, KF_HOTDATA_DEFER_NODES);
	const char *hidden = kmem_hides(k, KSYM_PER_CPU_OFFSET);

	if (!nodes && !kmem_has(k, KF_SOFTNET_DEFER_LIST))
		return NULL;
	if (!hidden)
		hidden = kmem_hides(k, nodes ? KSYM_NET_HOTDATA : KSYM_SOFTNET_DATA);
	return hidden ? hidden : KMEM_LACKS(k, KF_SHINFO_FRAGS);
}

int walk_deferred(struct snap *s)
{
	struct skb_walk w = { .s = s, .budget = SKBS_BUDGET };
	int err;

	if (!kmem_has(s->k, KF_SOFTNET_DEFER_LIST) && !kmem_has(s->k, KF_HOTDATA_DEFER_NODES))
		return 0;
	err = walk_cpus(&w);
	if (err == -E2BIG) {
		snap_lost(s, LOSS_LOST, "packets to free", 1);
		err = 0;
	}
	skb_hits_count_once(&w);
	skb_hits_sum(&w, "packets to free");
	for (u32 i = 0; i < w.n && !err; i++)
		tell_hold(s, &w.v[i]);
	free(w.v);
	return err;
}
