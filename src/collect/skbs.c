// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Busy pages in network packets. A page is a fragment of a packet, with one reference of its folio
 * however long the fragment is. Packets that were cloned share their fragments and these
 * references: one skb_shared_info counts once.
 */
#include <errno.h>
#include <stdlib.h>

#include "collect/skbs.h"
#include "util/array.h"

#define NETMEM_TAG 3ULL /* netmem_ref, include/net/netmem.h: a tagged pointer since v6.9 */

enum {
	FRAGS_MAX = 45, /* MAX_SKB_FRAGS */
	FRAG_SIZE = 16,
};

/* skb_frag_t: a bio_vec, or a netmem_ref in its place */
struct frag {
	u64 page;
	u32 len, off;
};

/*
 * Not by destructor_arg, which is not initialized in a packet without such a sender: __alloc_skb()
 * clears the skb_shared_info only up to dataref, which is in front of it.
 */
static bool is_zerocopy(const struct kmem *k, u64 flags)
{
	s64 bit = k->field[KF_SKB_ZEROCOPY].off;

	return bit != KFIELD_MISSING && flags & bit;
}

/* from: index of the packet's first hit. */
static int add_hit(struct skb_walk *w, u32 from, struct kpage *page, u64 shinfo, bool zerocopy)
{
	int err;

	for (u32 i = from; i < w->n; i++)
		if (w->v[i].page == page) {
			w->v[i].refs++;
			return 0;
		}
	err = array_grow(&w->v, w->n, sizeof(*w->v));
	if (!err)
		w->v[w->n++] = (struct skb_hit){ page, w->owner, shinfo, 1, zerocopy, w->sent };
	return err;
}

/* The number of fragments; 0 when there are none or the packet makes no sense. */
static u64 read_frags(struct kmem *k, u64 shinfo, u64 nr, struct frag *frags)
{
	_Static_assert(sizeof(struct frag) == FRAG_SIZE, "skb_frag_t");
	return nr > FRAGS_MAX || !nr ||
			       kmem_read(k, kmem_at(k, shinfo, KF_SHINFO_FRAGS), frags,
					 nr * FRAG_SIZE) ?
		       0 :
		       nr;
}

static int take_frags(struct skb_walk *w, u64 shinfo, u64 nr, bool zerocopy)
{
	struct frag frags[FRAGS_MAX];
	u32 from = w->n;
	bool found = false;
	int err = 0;

	nr = read_frags(w->s->k, shinfo, nr, frags);
	for (u64 i = 0; i < nr && !err; i++) {
		struct kpage *page = page_find(w->s, frags[i].page & ~NETMEM_TAG);

		err = page ? add_hit(w, from, page, shinfo, zerocopy) : 0;
		found |= page != NULL;
	}
	if (found)
		snap_saw(w->s, kmem_at(w->s->k, shinfo, KF_SHINFO_FRAGS), nr * FRAG_SIZE);
	return err;
}

/* A packet's list of packets, which have none of their own (skb_shinfo(skb)->frag_list). */
static int take_frag_list(struct skb_walk *w, u64 skb)
{
	int err = 0;

	if (w->nested)
		return 0;
	w->nested = true;
	while (kmem_is_kernel_ptr(skb) && !err) {
		err = skb_take(w, skb);
		if (kmem_get(w->s->k, skb, KF_SKB_NEXT, &skb))
			break;
	}
	w->nested = false;
	return err;
}

int skb_take(void *arg, u64 skb)
{
	struct skb_walk *w = arg;
	struct kmem *k = w->s->k;
	struct kget at[] = { { skb, KF_SKB_HEAD, 0, 0 }, { skb, KF_SKB_END, 0, 0 } };
	enum kf flags = kmem_has(k, KF_SHINFO_FLAGS) ? KF_SHINFO_FLAGS : KF_SHINFO_TX_FLAGS;
	struct kget g[3];
	u64 shinfo;
	int err;

	if (!w->budget)
		return -E2BIG;
	w->budget--;
	if (kmem_getv(k, at, 2) || at[0].err || at[1].err)
		return 0;
	shinfo = at[0].val + at[1].val;
	g[0] = (struct kget){ shinfo, KF_SHINFO_NR_FRAGS, 0, 0 };
	g[1] = (struct kget){ shinfo, flags, 0, 0 };
	g[2] = (struct kget){ shinfo, KF_SHINFO_FRAG_LIST, 0, 0 };
	if (kmem_getv(k, g, 3) || g[0].err)
		return 0;
	err = take_frags(w, shinfo, g[0].val, is_zerocopy(k, g[1].val));
	return err || !g[2].val ? err : take_frag_list(w, g[2].val);
}

/* What was received comes first: it is the receiver that lets go of a packet. */
static int compare_packets(const void *a, const void *b)
{
	const struct skb_hit *x = a, *y = b;

	if (x->shinfo != y->shinfo)
		return x->shinfo < y->shinfo ? -1 : 1;
	if (x->page != y->page)
		return x->page < y->page ? -1 : 1;
	return x->sent - y->sent;
}

static int compare_owners(const void *a, const void *b)
{
	const struct skb_hit *x = a, *y = b;

	if (x->page != y->page)
		return x->page < y->page ? -1 : 1;
	if (x->owner != y->owner)
		return x->owner < y->owner ? -1 : 1;
	if (x->zerocopy != y->zerocopy)
		return x->zerocopy - y->zerocopy;
	return x->sent - y->sent;
}

/* Queues are not locked: the packet must still be there, with the page. */
static bool is_still_there(struct snap *s, const struct skb_hit *h)
{
	struct frag frags[FRAGS_MAX];
	u64 nr;
	u32 refs = 0;

	if (kmem_get(s->k, h->shinfo, KF_SHINFO_NR_FRAGS, &nr))
		return false;
	nr = read_frags(s->k, h->shinfo, nr, frags);
	for (u64 i = 0; i < nr; i++)
		refs += page_find(s, frags[i].page & ~NETMEM_TAG) == h->page;
	return refs >= h->refs;
}

void skb_hits_count_once(struct skb_walk *w)
{
	u32 kept = 0;

	if (w->n)
		qsort(w->v, w->n, sizeof(*w->v), compare_packets);
	for (u32 i = 0; i < w->n; i++) {
		const struct skb_hit *last = kept ? &w->v[kept - 1] : NULL;

		if (last && last->shinfo == w->v[i].shinfo && last->page == w->v[i].page)
			continue;
		w->v[kept++] = w->v[i];
	}
	w->n = kept;
}

void skb_hits_sum(struct skb_walk *w, const char *where)
{
	u32 kept = 0;

	if (w->n)
		qsort(w->v, w->n, sizeof(*w->v), compare_owners);
	for (u32 i = 0; i < w->n; i++) {
		struct skb_hit *last = kept ? &w->v[kept - 1] : NULL;
		struct skb_hit *h = &w->v[i];

		if (!is_still_there(w->s, h))
			snap_lost(w->s, LOSS_TORN, where, 1);
		else if (last && last->page == h->page && last->owner == h->owner &&
			 last->zerocopy == h->zerocopy)
			last->refs += h->refs;
		else
			w->v[kept++] = *h;
	}
	w->n = kept;
}
