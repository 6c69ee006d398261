/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Busy pages in network packets, wherever the packets are. */
#ifndef COLLECT_SKBS_H
#define COLLECT_SKBS_H

#include "collect/snap.h"

#define SKBS_BUDGET 200000 /* packets that one walker looks at */

/* References of one page in one packet; after skb_hits_sum() in all packets of one owner. */
struct skb_hit {
	struct kpage *page;
	u64 owner;  /* skb_walk.owner when it was found */
	u64 shinfo; /* skb_shared_info of the (first) packet */
	u32 refs;
	bool zerocopy; /* sent with MSG_ZEROCOPY or io_uring's SEND_ZC */
	bool sent;     /* skb_walk.sent when it was found */
};

struct skb_walk {
	struct snap *s;
	u64 owner;   /* what has the packets at hand: a struct sock, or the number of a list */
	bool sent;   /* they wait to be sent or acknowledged, not to be read */
	bool nested; /* inside a frag_list; for skb_take() */
	u32 budget;  /* packets that may still be looked at */
	struct skb_hit *v;
	u32 n;
};

/* An skb_fn: adds what a packet has of busy pages to a struct skb_walk. 0, -E2BIG or -ENOMEM. */
int skb_take(void *walk, u64 skb);

/* Leaves each packet once, though clones of it were met, and for its receiver if there is one. */
void skb_hits_count_once(struct skb_walk *w);

/* Leaves one hit for each page and owner; packets that have gone are lost under the name given. */
void skb_hits_sum(struct skb_walk *w, const char *where);

#endif
