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
#include <sys/stat.h>

#include "collect/skbs.h"
#include "collect/strays.h"
#include "util/array.h"

enum {
	COUNT_MAX = 1 << 16,
	NAME_LEN = 16,
	TUN_FILE_MAX = 4096,
	TUN_RDEV = 10 << 20 | 200, /* /dev/net/tun: MISC_MAJOR, TUN_MINOR */
	NETDEV_ALIGN = 32,
};

/* Packets in no queue of a socket, with one page, of one owner and with one device. */
struct stray_skb {
	u64 skb; /* one of them */
	const struct kpage *page;
	bool more;             /* there are others */
	u64 sk;                /* struct sock whose packet it is; 0 unknown */
	u64 dev;               /* net_device, where there is a name of it */
	bool received;         /* it came in by the device, and has not been passed on */
	bool outbound;         /* it was sent, and has yet to leave */
	char device[NAME_LEN]; /* network device that has it; "" none or unknown */
};

struct strays {
	struct stray_skb *v;
	u32 n;
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

/*
 * A closed one has no inode that would say so: then it must be an object in use of a likely kind.
 */
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

/* What was forwarded has another device than the one by which it came in. */
static bool was_received(struct snap *s, u64 skb, u64 dev)
{
	u64 iif, ifindex;

	return !kmem_get(s->k, skb, KF_SKB_IIF, &iif) && iif &&
	       !kmem_get(s->k, dev, KF_NETDEV_IFINDEX, &ifindex) && iif == ifindex;
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
	*p = (struct stray_skb){ .skb = skb, .sk = is_sock(s, g[2].val) ? g[2].val : 0 };
	p->dev = g[3].val;
	read_device(s, p->dev, p->device, sizeof(p->device));
	p->received = *p->device && was_received(s, skb, p->dev);
	return true;
}

static void find_owner(struct snap *s, struct stray_skb *p, u64 shinfo, bool zerocopy)
{
	u64 sender = zerocopy ? zerocopy_sender(s, shinfo) : 0;

	p->outbound = sender ? !p->sk || p->sk == sender : *p->device && !p->received;
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

static bool is_tun(struct snap *s, u32 inode)
{
	u64 rdev;

	return S_ISCHR(s->fds.modes[inode]) &&
	       !kmem_get(s->k, s->fds.inodes[inode], KF_INODE_RDEV, &rdev) && rdev == TUN_RDEV;
}

/* Whether a tun_file points to what its device has of its own, which is a tun_struct. */
static bool points_to(struct snap *s, u64 file, u64 priv)
{
	u64 words[TUN_FILE_MAX / sizeof(u64)], object;
	struct slab_object o;
	u32 n;

	if (kmem_get(s->k, file, KF_FILE_PRIVATE, &object) || slab_object(s, object, &o) ||
	    o.addr != object)
		return false;
	n = (o.size < TUN_FILE_MAX ? o.size : TUN_FILE_MAX) / sizeof(u64);
	if (kmem_read(s->k, object, words, n * sizeof(u64)))
		return false;
	for (u32 i = 0; i < n; i++)
		if (words[i] == priv)
			return true;
	return false;
}

/*
 * ", which openvpn[4711] has open, fd 5": who reads what is sent to a tun or tap device; "" none.
 */
static const char *tun_reader(struct snap *s, u64 dev)
{
	const struct kfds *f = &s->fds;
	u64 size = kmem_has(s->k, KF_NETDEV) ? s->k->field[KF_NETDEV].off : 0;
	u64 priv = dev +
		   (size + NETDEV_ALIGN - 1) / NETDEV_ALIGN * NETDEV_ALIGN; /* netdev_priv() */
	u32 tun = 0;

	while (tun < f->nr_inodes && !is_tun(s, tun))
		tun++;
	for (u32 i = 0; size && tun < f->nr_inodes && i < f->n; i++) {
		const struct ktask *t = f->inode_of[i] == tun && f->v[i].task ?
						task_find(s, f->v[i].task) :
						NULL;

		if (t && points_to(s, f->v[i].file, priv))
			return snap_text(s, ", which %.*s[%u] has open, fd %d",
					 (int)sizeof(t->r.comm), t->r.comm, t->r.tgid, f->v[i].fd);
	}
	return "";
}

static const char *describe(struct snap *s, const struct stray_skb *p, u64 inode)
{
	const char *who = inode ? "" : p->sk ? ", its socket was closed" : "";

	const char *packets = p->more ? "this and other packets are" : "its packet is";

	if (*p->device && p->received)
		return snap_text(s, "%s in memory and in no queue, and came by network device %s%s",
				 packets, p->device, who);
	if (*p->device)
		return snap_text(s, "%s with network device %s%s%s", packets, p->device,
				 tun_reader(s, p->dev), who);
	return snap_text(s, "%s in memory and in no queue%s", packets, who);
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

static bool same_stray(const struct stray_skb *a, const struct stray_skb *b)
{
	return a->page == b->page && a->sk == b->sk && a->dev == b->dev &&
	       a->received == b->received && a->outbound == b->outbound;
}

/* Index of those with the same owner and device, to which the packet is added. 0 or -ENOMEM. */
static int add_stray(struct strays *all, const struct stray_skb *p, u64 *index)
{
	int err;

	for (*index = 0; *index < all->n; ++*index)
		if (same_stray(&all->v[*index], p)) {
			all->v[*index].more = true;
			return 0;
		}
	err = array_grow(&all->v, all->n, sizeof(*all->v));
	if (!err)
		all->v[all->n++] = *p;
	return err;
}

/* Adds the hits of one packet. 0, -E2BIG or -ENOMEM. */
static int take_packet(struct skb_walk *w, struct strays *all, const struct referrer *r)
{
	struct stray_skb p;
	u64 shinfo;
	u32 from = w->n;
	int err;

	if (!read_packet(w->s, r, &p, &shinfo))
		return 0;
	err = skb_take(w, p.skb);
	if (err || w->n == from)
		return err;
	find_owner(w->s, &p, shinfo, w->v[from].zerocopy);
	for (u32 i = from; i < w->n && !err; i++) {
		p.page = w->v[i].page;
		err = add_stray(all, &p, &w->v[i].owner);
	}
	return err;
}

/* All that the search found of packets; a hit's owner is an index of the strays. */
static int take_packets(struct skb_walk *w, struct strays *all, const struct referrers *r)
{
	int err = 0;

	w->nested = true; /* what is in a list of fragments has a head of its own */
	for (u32 i = 0; i < r->n && !err; i++)
		err = take_packet(w, all, &r->v[i]);
	return err;
}

int stray_skbs_tell(struct snap *s, const struct referrers *r)
{
	struct skb_walk w = { .s = s, .budget = SKBS_BUDGET };
	struct strays all = { 0 };
	int err = can_read(s->k) ? take_packets(&w, &all, r) : 0;

	if (err == -E2BIG) {
		snap_lost(s, LOSS_LOST, "packets", 1);
		err = 0;
	}
	skb_hits_count_once(&w);
	skb_hits_sum(&w, "packets");
	for (u32 i = 0; i < w.n && !err; i++)
		tell_hold(s, &w.v[i], &all.v[w.v[i].owner]);
	free(all.v);
	free(w.v);
	return err;
}
