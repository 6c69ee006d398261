// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Packets that are in no queue of a socket: a queueing discipline, a network driver or a protocol
 * that is not known here has them. The search of memory finds the data of such a packet, and what
 * points at that is its sk_buff, which tells whose it is.
 */
#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "collect/skbs.h"
#include "collect/strays.h"

enum { COUNT_MAX = 1 << 16, NAME_LEN = 16 };

/* A packet in no queue of a socket. */
struct stray_skb {
	u64 skb;
	u64 sk;                /* struct sock whose packet it is; 0 unknown */
	bool outbound;         /* it was sent, and has yet to leave */
	char device[NAME_LEN]; /* network device that has it; "" none or unknown */
};

/* The inode of a socket that is open; 0 when it is none or was closed. */
static u64 inode_of_sock(struct snap *s, u64 sk)
{
	u64 socket, inode;

	if (!kmem_is_kernel_ptr(sk) || !kmem_has(s->k, KF_SOCKET_ALLOC_INODE) ||
	    kmem_get(s->k, sk, KF_SK_SOCKET, &socket) || !kmem_is_kernel_ptr(socket))
		return 0;
	inode = kmem_at(s->k, socket, KF_SOCKET_ALLOC_INODE);
	return sock_of_inode(s, inode) == sk ? inode : 0;
}

/* A closed one has no inode that would say so: then it must be an object in use of a likely kind. */
static bool is_sock(struct snap *s, u64 sk)
{
	struct slab_object o;
	u64 family;

	if (!kmem_is_kernel_ptr(sk))
		return false;
	if (inode_of_sock(s, sk))
		return true;
	family = sock_family(s, sk);
	return family && family < AF_MAX && !slab_object(s, sk, &o) && o.addr == sk &&
	       slab_object_is_used(s, &o);
}

/*
 * Who sent with MSG_ZEROCOPY: the notification is kept in the control block of a packet for the
 * sender's error queue (msg_zerocopy_alloc()).
 */
static u64 zerocopy_sender(struct snap *s, u64 shinfo)
{
	u64 uarg, sk;

	if (kmem_get(s->k, shinfo, KF_SHINFO_UARG, &uarg) || !kmem_is_kernel_ptr(uarg & ~3ULL) ||
	    kmem_get(s->k, kmem_container(s->k, uarg & ~3ULL, KF_SKB_CB), KF_SKB_SK, &sk))
		return 0;
	return is_sock(s, sk) ? sk : 0;
}

/* Name of a net_device; "" when it is none. */
static void read_device(struct snap *s, u64 dev, char *name, size_t size)
{
	if (!kmem_is_kernel_ptr(dev) || !kmem_has(s->k, KF_NETDEV_NAME) ||
	    kmem_read_string(s->k, kmem_at(s->k, dev, KF_NETDEV_NAME), name, size))
		*name = '\0';
	for (const char *c = name; *c; c++)
		if (*c <= ' ' || *c == '/' || *c > '~')
			*name = '\0';
}

/* Whether there is room for a skb_shared_info behind the data, in the same object. */
static bool is_data(struct snap *s, u64 head, u64 end)
{
	struct slab_object o;

	return !slab_object(s, head, &o) && o.addr == head && end < o.size &&
	       end + s->k->field[KF_SHINFO_FRAGS].off < o.size;
}

/* Whether the word is the head of a packet that has not been freed. */
static bool read_packet(struct snap *s, const struct referrer *r, struct stray_skb *p, u64 *shinfo)
{
	u64 skb = kmem_container(s->k, r->hit.addr, KF_SKB_HEAD);
	struct kget g[] = { { skb, KF_SKB_END, 0, 0 },
			    { skb, KF_SKB_USERS, 0, 0 },
			    { skb, KF_SKB_SK, 0, 0 },
			    { skb, KF_SKB_DEV, 0, 0 } };
	u64 dataref;

	if (r->hit.addr - r->o.addr < (u64)s->k->field[KF_SKB_HEAD].off || kmem_getv(s->k, g, 4) ||
	    g[0].err || !g[1].val || g[1].val > COUNT_MAX || !is_data(s, r->hit.val, g[0].val))
		return false;
	*shinfo = r->hit.val + g[0].val;
	if (kmem_get(s->k, *shinfo, KF_SHINFO_DATAREF, &dataref) || !(dataref & 0xffff))
		return false;
	p->skb = skb;
	p->sk = is_sock(s, g[2].val) ? g[2].val : 0;
	read_device(s, g[3].val, p->device, sizeof(p->device));
	return true;
}

static void find_owner(struct snap *s, struct stray_skb *p, u64 shinfo, bool zerocopy)
{
	u64 sender = zerocopy ? zerocopy_sender(s, shinfo) : 0;

	p->outbound = sender ? !p->sk || p->sk == sender : *p->device;
	if (!p->sk)
		p->sk = sender;
}

static const char *name_of(struct snap *s, const struct stray_skb *p, u64 inode)
{
	u64 ino, protocol = 0;
	const char *local, *peer;

	if (inode && !kmem_get(s->k, inode, KF_INODE_INO, &ino))
		return snap_text(s, "socket:[%llu]", (unsigned long long)ino);
	local = p->sk ? sock_local(s, p->sk) : NULL;
	peer = p->sk ? sock_peer(s, p->sk) : NULL;
	if (!local && !peer)
		return snap_text(s, "packet 0x%llx", (unsigned long long)p->skb);
	kmem_get(s->k, p->sk, KF_SK_PROTOCOL, &protocol);
	return snap_text(s, "%s socket %s>%s",
			 protocol == IPPROTO_UDP ? "udp" :
			 protocol == IPPROTO_TCP ? "tcp" :
						   "inet",
			 local ? local : "?", peer ? peer : "?");
}

static const char *describe(struct snap *s, const struct stray_skb *p, u64 inode)
{
	const char *who = inode ? "" : p->sk ? ", its socket was closed" : "";

	if (*p->device)
		return snap_text(s, "its packet is with network device %s%s", p->device, who);
	return snap_text(s, "its packet was found in memory and in no queue%s", who);
}

static void tell_hold(struct snap *s, const struct skb_hit *hit, const struct stray_skb *p)
{
	u64 inode = inode_of_sock(s, p->sk), uid;
	struct fact f = { .type = FACT_HOLD };
	struct fact_hold *h = &f.hold;
	struct fact_releaser *releasers = NULL;

	if (inode)
		releasers = fds_releasers(s, inode, &h->nr_releasers, NULL);
	h->page = hit->page->head;
	h->how = hit->zerocopy ? HOW_ZEROCOPY : HOW_SOCKET;
	h->confidence = CONF_EXACT;
	h->refs = hit->refs;
	h->object_kind = p->sk ? "socket" : "packet";
	h->object_id = name_of(s, p, inode);
	h->target = p->sk ? sock_peer(s, p->sk) : NULL;
	h->device = *p->device ? snap_text(s, "%s", p->device) : NULL;
	h->detail = describe(s, p, inode);
	h->outbound = p->outbound;
	h->unqueued = true;
	h->held_ns = FACT_UNKNOWN;
	h->pipe_user = inode || !p->sk || kmem_get(s->k, p->sk, KF_SK_UID, &uid) ? UINT32_MAX : uid;
	h->releasers = releasers;
	snap_emit(s, &f);
	free(releasers);
}

static bool can_read(const struct kmem *k)
{
	return kmem_has(k, KF_SKB_HEAD) && kmem_has(k, KF_SKB_USERS) && kmem_has(k, KF_SKB_SK) &&
	       kmem_has(k, KF_SKB_CB) && kmem_has(k, KF_SHINFO_FRAGS) &&
	       kmem_has(k, KF_SHINFO_DATAREF) && kmem_has(k, KF_SK_SOCKET) &&
	       k->field[KF_SKB_END].size == 4;
}

/* All that the search found of packets; a hit's owner is the index of the referrer. */
static int take_packets(struct skb_walk *w, const struct referrers *r)
{
	struct stray_skb p = { 0 };
	u64 shinfo;
	int err = 0;

	w->nested = true; /* what is in a list of fragments has a head of its own */
	for (u32 i = 0; i < r->n && !err; i++) {
		w->owner = i;
		if (read_packet(w->s, &r->v[i], &p, &shinfo))
			err = skb_take(w, p.skb);
	}
	return err;
}

int stray_skbs_tell(struct snap *s, const struct referrers *r)
{
	struct skb_walk w = { .s = s, .budget = SKBS_BUDGET };
	int err = can_read(s->k) ? take_packets(&w, r) : 0;

	if (err == -E2BIG) {
		snap_lost(s, LOSS_LOST, "packets", 1);
		err = 0;
	}
	skb_hits_count_once(&w);
	skb_hits_sum(&w, "packets");
	for (u32 i = 0; i < w.n && !err; i++) {
		struct stray_skb p = { 0 };
		u64 shinfo;

		if (!read_packet(s, &r->v[w.v[i].owner], &p, &shinfo))
			continue;
		find_owner(s, &p, shinfo, w.v[i].zerocopy);
		tell_hold(s, &w.v[i], &p);
	}
	free(w.v);
	return err;
}
