// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Pages in socket queues. splice(2) into a socket and MSG_ZEROCOPY make a page a fragment of a
 * packet. It is released when the packet is: for a UNIX socket, or over loopback, when the receiver
 * reads it, else when the peer acknowledges it. A packet that was cloned shares its fragments and
 * their references, so each skb_shared_info counts once, and for the receiver if there is one.
 */
#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include "collect/snap.h"
#include "util/array.h"

#define NETMEM_TAG 3ULL /* netmem_ref, include/net/netmem.h: a tagged pointer since v6.9 */

enum {
	FRAGS_MAX = 45,
	FRAG_SIZE = 16,
	PACKETS_MAX = 200000,
	RTX_DEPTH_MAX = 64
}; /* MAX_SKB_FRAGS */

/* skb_frag_t: a bio_vec, or a netmem_ref in its place */
struct frag {
	u64 page;
	u32 len, off;
};

/* References of one page in one socket. */
struct hit {
	struct kpage *page;
	u64 inode;
	u64 shinfo; /* skb_shared_info of the first packet */
	u32 refs;
	bool zerocopy, received;
};

struct walk {
	struct snap *s;
	u64 inode, sk;
	bool received; /* the queue at hand is a receive queue */
	bool nested;   /* inside a frag_list */
	u32 budget;    /* packets that may still be looked at */
	u64 *seen;     /* skb_shared_infos with busy pages: few, unlike packets */
	u32 nr_seen;
	struct hit *hits;
	u32 nr_hits;
};

static int add_hit(struct walk *w, struct kpage *page, u64 shinfo, bool zerocopy)
{
	int err;

	for (u32 i = 0; i < w->nr_hits; i++)
		if (w->hits[i].page == page && w->hits[i].inode == w->inode) {
			w->hits[i].refs++;
			return 0;
		}
	err = array_grow(&w->hits, w->nr_hits, sizeof(*w->hits));
	if (!err)
		w->hits[w->nr_hits++] = (struct hit){ page, w->inode, shinfo,
						      1,    zerocopy, w->received };
	return err;
}

/* Whether this shared info was counted; else it is from now on. 1, 0 or -ENOMEM. */
static int count_once(struct walk *w, u64 shinfo)
{
	int err;

	for (u32 i = 0; i < w->nr_seen; i++)
		if (w->seen[i] == shinfo)
			return 1;
	err = array_grow(&w->seen, w->nr_seen, sizeof(shinfo));
	if (!err)
		w->seen[w->nr_seen++] = shinfo;
	return err;
}

/* Each fragment has one reference of its page's folio, however long it is. */
static int take_frags(struct walk *w, u64 shinfo, u64 nr_frags, bool zerocopy)
{
	struct kmem *k = w->s->k;
	struct frag frags[FRAGS_MAX];
	bool counted = false;
	int err = 0;

	_Static_assert(sizeof(struct frag) == FRAG_SIZE, "skb_frag_t");
	if (nr_frags > FRAGS_MAX ||
	    kmem_read(k, kmem_at(k, shinfo, KF_SHINFO_FRAGS), frags, nr_frags * FRAG_SIZE))
		return 0;
	for (u64 i = 0; i < nr_frags && !err; i++) {
		struct kpage *page = page_find(w->s, frags[i].page & ~NETMEM_TAG);

		if (!page)
			continue;
		if (!counted)
			snap_saw(w->s, kmem_at(k, shinfo, KF_SHINFO_FRAGS), nr_frags * FRAG_SIZE);
		err = counted ? 0 : count_once(w, shinfo);
		counted = true;
		err = err ? err : add_hit(w, page, shinfo, zerocopy);
	}
	return err < 0 ? err : 0;
}

static int take_skb(void *arg, u64 skb);

/* A packet's list of packets, which have none of their own (skb_shinfo(skb)->frag_list). */
static int take_frag_list(struct walk *w, u64 skb)
{
	int err = 0;

	if (w->nested)
		return 0;
	w->nested = true;
	while (kmem_is_kernel_ptr(skb) && !err) {
		err = take_skb(w, skb);
		if (kmem_get(w->s->k, skb, KF_SKB_NEXT, &skb))
			break;
	}
	w->nested = false;
	return err;
}

static int take_skb(void *arg, u64 skb)
{
	struct walk *w = arg;
	struct kmem *k = w->s->k;
	struct kget at[] = { { skb, KF_SKB_HEAD, 0, 0 }, { skb, KF_SKB_END, 0, 0 } };
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
	g[1] = (struct kget){ shinfo, KF_SHINFO_UARG, 0, 0 };
	g[2] = (struct kget){ shinfo, KF_SHINFO_FRAG_LIST, 0, 0 };
	if (kmem_getv(k, g, 3) || g[0].err)
		return 0;
	err = take_frags(w, shinfo, g[0].val, g[1].val != 0);
	return err || !g[2].val ? err : take_frag_list(w, g[2].val);
}

/* Sent and not acknowledged: a tree by sequence number. */
static int walk_rtx(struct walk *w, u64 node, u32 depth)
{
	while (kmem_is_kernel_ptr(node)) {
		struct kget g[] = { { node, KF_RB_LEFT, 0, 0 }, { node, KF_RB_RIGHT, 0, 0 } };
		int err;

		err = take_skb(w, kmem_container(w->s->k, node, KF_SKB_RBNODE));
		if (err || kmem_getv(w->s->k, g, 2))
			return err;
		err = depth < RTX_DEPTH_MAX ? walk_rtx(w, g[0].val, depth + 1) : -E2BIG;
		if (err)
			return err;
		node = g[1].val;
	}
	return 0;
}

static int walk_received(struct walk *w)
{
	w->received = true;
	return skb_queue_walk(w->s, kmem_at(w->s->k, w->sk, KF_SK_RECEIVE_QUEUE), take_skb, w);
}

static int walk_sent(struct walk *w)
{
	u64 protocol, root;
	int err;

	w->received = false;
	err = skb_queue_walk(w->s, kmem_at(w->s->k, w->sk, KF_SK_WRITE_QUEUE), take_skb, w);
	/* elsewhere the field is something else */
	if (err || kmem_get(w->s->k, w->sk, KF_SK_PROTOCOL, &protocol) || protocol != IPPROTO_TCP ||
	    kmem_get(w->s->k, w->sk, KF_SK_RTX_QUEUE, &root))
		return err;
	return walk_rtx(w, root, 0);
}

static int walk_all(struct walk *w, int (*walk)(struct walk *w))
{
	const struct kfds *f = &w->s->fds;
	int err = 0;

	for (u32 i = 0; i < f->nr_inodes && !err; i++) {
		if (!S_ISSOCK(f->modes[i]))
			continue;
		w->inode = f->inodes[i];
		w->sk = sock_of_inode(w->s, w->inode);
		err = w->sk ? walk(w) : 0;
	}
	return err;
}

static void tell_hold(struct snap *s, const struct hit *h)
{
	struct fact f = { .type = FACT_HOLD };
	u64 ino = 0, sk = sock_of_inode(s, h->inode);
	struct fact_releaser *releasers = fds_releasers(s, h->inode, &f.hold.nr_releasers, NULL);

	kmem_get(s->k, h->inode, KF_INODE_INO, &ino);
	f.hold.page = h->page->head;
	f.hold.how = h->zerocopy ? HOW_ZEROCOPY : HOW_SOCKET;
	f.hold.confidence = CONF_EXACT;
	f.hold.refs = h->refs;
	f.hold.object_kind = "socket";
	f.hold.object_id = snap_text(s, "socket:[%llu]", (unsigned long long)ino);
	f.hold.target = sk ? sock_peer(s, sk) : NULL;
	f.hold.outbound = !h->received;
	f.hold.held_ns = FACT_UNKNOWN;
	f.hold.releasers = releasers;
	snap_emit(s, &f);
	free(releasers);
}

bool walk_sockets_available(const struct snap *s)
{
	const struct kmem *k = s->k;

	return kmem_has(k, KF_SOCKET_ALLOC_INODE) && kmem_has(k, KF_SK_RECEIVE_QUEUE) &&
	       kmem_has(k, KF_SK_WRITE_QUEUE) && kmem_has(k, KF_SKB_HEAD) &&
	       kmem_has(k, KF_SHINFO_FRAGS) && kmem_has(k, KF_SKB_RBNODE) &&
	       k->field[KF_SKB_END].size == 4; /* an offset, as on every 64-bit kernel */
}

/* Queues are not locked: the packet must still be there, with the page, when it was found. */
static bool is_still_there(struct snap *s, const struct hit *h)
{
	struct frag frags[FRAGS_MAX];
	u64 n;

	if (kmem_get(s->k, h->shinfo, KF_SHINFO_NR_FRAGS, &n) || n > FRAGS_MAX ||
	    kmem_read(s->k, kmem_at(s->k, h->shinfo, KF_SHINFO_FRAGS), frags, n * FRAG_SIZE))
		return false;
	for (u64 i = 0; i < n; i++)
		if (page_find(s, frags[i].page & ~NETMEM_TAG) == h->page)
			return true;
	return false;
}

static void tell_hits(struct snap *s, const struct walk *w)
{
	for (u32 i = 0; i < w->nr_hits; i++) {
		if (is_still_there(s, &w->hits[i]))
			tell_hold(s, &w->hits[i]);
		else
			snap_lost(s, LOSS_TORN, "socket queues", 1);
	}
}

int walk_sockets(struct snap *s)
{
	struct walk w = { .s = s, .budget = PACKETS_MAX };
	int err = walk_all(&w, walk_received);

	err = err ? err : walk_all(&w, walk_sent);
	if (err == -E2BIG) {
		snap_lost(s, LOSS_LOST, "socket queues", 1);
		err = 0;
	}
	if (!err)
		tell_hits(s, &w);
	free(w.seen);
	free(w.hits);
	return err;
}
