// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Pages in socket queues. splice(2) into a socket and MSG_ZEROCOPY make a page a fragment of a
 * packet. It is released when the packet is: for a UNIX socket, or over loopback, when the receiver
 * reads it, else when the peer acknowledges it.
 *
 * Over loopback a spliced page itself gets to the receiver, but one that was sent with MSG_ZEROCOPY
 * is copied on its way (skb_orphan_frags_rx()) and stays only in what was not sent yet because the
 * receiver's window is full.
 */
#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <sys/socket.h>

#include "collect/skbs.h"
#include "collect/socks.h"
#include "util/array.h"

enum {
	BATCH = 16,
	TREE_DEPTH_MAX = 64,
};

/* The lists of packets that a socket has. */
static const struct list {
	enum kf head;
	enum { QUEUE, CHAIN, TREE } shape;
	bool sent;
	u16 protocol; /* that has it; 0 any */
} lists[] = {
	{ KF_SK_RECEIVE_QUEUE, QUEUE, false, 0 },
	/* with SO_TIMESTAMPING: clones of what was sent */
	{ KF_SK_ERROR_QUEUE, QUEUE, false, 0 },
	{ KF_SK_BACKLOG, CHAIN, false, 0 },
	{ KF_UDP_READER_QUEUE, QUEUE, false, IPPROTO_UDP },
	{ KF_TCP_OUT_OF_ORDER, TREE, false, IPPROTO_TCP },
	{ KF_SK_WRITE_QUEUE, QUEUE, true, 0 },
	/* sent and not acknowledged; elsewhere the field is something else */
	{ KF_SK_RTX_QUEUE, TREE, true, IPPROTO_TCP },
};

enum { NR_LISTS = sizeof(lists) / sizeof(*lists) };

static int walk_tree(struct skb_walk *w, u64 node, u32 depth)
{
	while (kmem_is_kernel_ptr(node)) {
		struct kget g[] = { { node, KF_RB_LEFT, 0, 0 }, { node, KF_RB_RIGHT, 0, 0 } };
		int err;

		err = skb_take(w, kmem_container(w->s->k, node, KF_SKB_RBNODE));
		if (err || kmem_getv(w->s->k, g, 2))
			return err;
		err = depth < TREE_DEPTH_MAX ? walk_tree(w, g[0].val, depth + 1) : -E2BIG;
		if (err)
			return err;
		node = g[1].val;
	}
	return 0;
}

static int walk_list(struct skb_walk *w, const struct list *list, u64 sk, u64 first)
{
	int err = 0;

	w->sent = list->sent;
	if (list->shape == QUEUE)
		return skb_queue_walk(w->s, kmem_at(w->s->k, sk, list->head), skb_take, w);
	if (list->shape == TREE)
		return walk_tree(w, first, 0);
	while (kmem_is_kernel_ptr(first) && !err) {
		err = skb_take(w, first);
		if (kmem_get(w->s->k, first, KF_SKB_NEXT, &first))
			break;
	}
	return err;
}

/* IPPROTO_TCP or IPPROTO_UDP for each socket that is a tcp_sock or an udp_sock, else 0. */
static int read_protocols(struct snap *s, const struct ksock *socks, u32 n, u16 *protocols)
{
	struct kget g[3 * BATCH];
	int err;

	for (u32 i = 0; i < n; i++) {
		g[3 * i] = (struct kget){ socks[i].sk, KF_SK_FAMILY, 0, 0 };
		g[3 * i + 1] = (struct kget){ socks[i].sk, KF_SK_PROTOCOL, 0, 0 };
		g[3 * i + 2] = (struct kget){ socks[i].sk, KF_SK_TYPE, 0, 0 };
	}
	err = kmem_getv(s->k, g, 3 * n);
	for (u32 i = 0; i < n; i++) {
		u64 family = g[3 * i].val, protocol = g[3 * i + 1].val;
		u64 type = protocol == IPPROTO_TCP ? SOCK_STREAM : SOCK_DGRAM;
		bool known = (family == AF_INET || family == AF_INET6) &&
			     (g[3 * i + 2].err || g[3 * i + 2].val == type);

		protocols[i] = known ? protocol : 0;
	}
	return err;
}

static bool has_list(const struct snap *s, const struct list *list, u16 protocol)
{
	return kmem_has(s->k, list->head) && (!list->protocol || list->protocol == protocol);
}

/* Most queues are empty, which their heads tell. */
static int read_heads(struct snap *s, const struct ksock *socks, u32 n, struct kget *g)
{
	for (u32 i = 0; i < n * NR_LISTS; i++) {
		const struct list *list = &lists[i % NR_LISTS];
		u64 sk = socks[i / NR_LISTS].sk;

		g[i] = list->shape == QUEUE ?
			       (struct kget){ kmem_at(s->k, sk, list->head), KF_SKB_NEXT, 0, 0 } :
			       (struct kget){ sk, list->head, 0, 0 };
	}
	return kmem_getv(s->k, g, n * NR_LISTS);
}

static int walk_batch(struct skb_walk *w, const struct ksock *socks, u32 n)
{
	struct kget heads[BATCH * NR_LISTS];
	u16 protocols[BATCH];
	int err = read_protocols(w->s, socks, n, protocols);

	err = err ? err : read_heads(w->s, socks, n, heads);
	for (u32 i = 0; i < n * NR_LISTS && !err; i++) {
		const struct ksock *sock = &socks[i / NR_LISTS];
		const struct list *list = &lists[i % NR_LISTS];

		if (!has_list(w->s, list, protocols[i / NR_LISTS]) || heads[i].err ||
		    !heads[i].val || heads[i].val == heads[i].obj)
			continue;
		w->owner = sock->listener ? sock->listener : sock->sk;
		err = walk_list(w, list, sock->sk, heads[i].val);
	}
	return err;
}

static int walk_all(struct skb_walk *w, const struct socks *all)
{
	int err = 0;

	for (u32 at = 0; at < all->n && !err; at += BATCH)
		err = walk_batch(w, all->v + at, all->n - at < BATCH ? all->n - at : BATCH);
	return err;
}

/* " in net:[4026532008]" for a socket in another network namespace than ours, else "". */
static const char *namespace_text(struct snap *s, u64 sk)
{
	u64 net, nsproxy, own, inum;

	if (kmem_get(s->k, sk, KF_SK_NET, &net) ||
	    kmem_get(s->k, s->k->self, KF_TASK_NSPROXY, &nsproxy) ||
	    kmem_get(s->k, nsproxy, KF_NSPROXY_NET, &own) || net == own ||
	    kmem_get(s->k, net, KF_NET_INUM, &inum))
		return "";
	return snap_text(s, " in net:[%llu]", (unsigned long long)inum);
}

/*
 * The inode by which a program has it open: that of its file. SMC that fell back to TCP has a
 * socket below the one of the program, which got the program's file: smc_switch_to_fallback().
 */
static u64 open_inode(struct snap *s, const struct ksock *sock)
{
	u64 socket = kmem_container(s->k, sock->inode, KF_SOCKET_ALLOC_INODE), file, inode;

	if (!sock->inode || kmem_get(s->k, socket, KF_SOCKET_FILE, &file) || !file ||
	    kmem_get(s->k, file, KF_FILE_INODE, &inode) || !kmem_is_kernel_ptr(inode))
		return sock->inode;
	return inode;
}

/* By its inode, as in /proc/PID/fd; a socket without one by both of its ends. */
static const char *sock_name(struct snap *s, const struct ksock *sock)
{
	const char *local, *peer;
	u64 ino = 0;

	if (sock->inode) {
		kmem_get(s->k, open_inode(s, sock), KF_INODE_INO, &ino);
		return snap_text(s, "socket:[%llu]", (unsigned long long)ino);
	}
	local = sock_local(s, sock->sk);
	peer = sock_peer(s, sock->sk);
	return snap_text(s, "tcp %s>%s%s", local ? local : "?", peer ? peer : "?",
			 namespace_text(s, sock->sk));
}

static const char *state_name(u64 state)
{
	static const char *const names[] = { "",           "ESTABLISHED", "SYN_SENT", "SYN_RECV",
					     "FIN_WAIT1",  "FIN_WAIT2",   "",         "CLOSE",
					     "CLOSE_WAIT", "LAST_ACK",    "",         "CLOSING" };

	return state < sizeof(names) / sizeof(*names) ? names[state] : "";
}

/* "nginx[4711], fd 5": who has an end open that is not whose page it is; NULL unknown. */
static const char *opener_text(struct snap *s, const struct ksock *sock)
{
	u32 n;
	struct fact_releaser *openers = fds_releasers(s, open_inode(s, sock), &n, NULL);
	const struct ktask *t = n ? task_find(s, openers[0].task) : NULL;
	const char *text = NULL;

	if (t && openers[0].fd >= 0)
		text = snap_text(s, "%.*s[%u], fd %d", (int)sizeof(t->r.comm), t->r.comm, t->r.tgid,
				 openers[0].fd);
	free(openers);
	return text;
}

static const char *sender_text(struct snap *s, const struct ksock *sock)
{
	const char *opener = opener_text(s, sock);

	return opener ? snap_text(s, "sent by %s", opener) : NULL;
}

static const char *other_end_text(struct snap *s, const struct ksock *peer)
{
	const char *opener = opener_text(s, peer);

	return snap_text(s, "the other end, %s%s%s%s, has read all that reached it",
			 sock_name(s, peer), opener ? " (" : "", opener ? opener : "",
			 opener ? ")" : "");
}

/* A driver's: sock_create_kern() opens no file. */
static bool is_of_kernel(struct snap *s, const struct ksock *sock)
{
	u64 socket = kmem_container(s->k, sock->inode, KF_SOCKET_ALLOC_INODE), file;

	return !kmem_get(s->k, socket, KF_SOCKET_FILE, &file) && !file;
}

static const char *describe(struct snap *s, const struct ksock *sock, bool by_peer)
{
	u64 state = sock_state(s, sock->sk);

	if (state == TCP_LISTEN)
		return "in connections that were not accepted yet";
	if (!sock->inode)
		return snap_text(s, "closed by whoever had it, in state %s", state_name(state));
	if (by_peer)
		return sender_text(s, sock);
	return is_of_kernel(s, sock) ? "the kernel's own, as NVMe and iSCSI over TCP have" : NULL;
}

/* Only what is corked stays there, until its sender completes it: ip_append_data(). */
static bool is_datagram(struct snap *s, u64 sk)
{
	u64 family = sock_family(s, sk), type, protocol;

	if ((family != AF_INET && family != AF_INET6) ||
	    kmem_get(s->k, sk, KF_SK_PROTOCOL, &protocol))
		return false;
	return protocol == IPPROTO_UDP ||
	       (!kmem_get(s->k, sk, KF_SK_TYPE, &type) && (type == SOCK_DGRAM || type == SOCK_RAW));
}

static u32 uid_of(struct snap *s, const struct ksock *sock)
{
	u64 uid;

	return sock->inode || kmem_get(s->k, sock->sk, KF_SK_UID, &uid) ? UINT32_MAX : uid;
}

/* Nothing that was received is left to be read: tcp_inq(). */
static bool has_read_all(struct snap *s, u64 sk)
{
	struct kget g[] = { { sk, KF_TCP_RCV_NXT, 0, 0 }, { sk, KF_TCP_COPIED_SEQ, 0, 0 } };

	return !kmem_getv(s->k, g, 2) && !g[0].err && !g[1].err && g[0].val == g[1].val;
}

/* Those who have the other end open, if that can read what was sent: only then it is up to them. */
static struct fact_releaser *find_readers(struct snap *s, const struct socks *all, u64 sk,
					  struct fact_hold *hold)
{
	const struct ksock *peer = socks_peer(s, all, sk);
	u64 received = peer ? peer->sk : 0;
	struct fact_releaser *found = NULL;

	if (peer && peer->listener)
		peer = socks_find(all, peer->listener);
	if (peer && peer->inode)
		found = fds_releasers(s, open_inode(s, peer), &hold->nr_releasers, NULL);
	if (found && has_read_all(s, received)) {
		hold->undelivered = true;
		hold->detail = other_end_text(s, peer);
		hold->nr_releasers = 0;
		free(found);
		return NULL;
	}
	if (found)
		hold->peer = sock_name(s, peer);
	return found;
}

static struct fact_releaser *find_releasers(struct snap *s, const struct socks *all,
					    const struct skb_hit *h, const struct ksock *sock,
					    struct fact_hold *hold)
{
	struct fact_releaser *found = h->sent ? find_readers(s, all, sock->sk, hold) : NULL;

	if (!found && sock->inode)
		found = fds_releasers(s, open_inode(s, sock), &hold->nr_releasers, NULL);
	exits_mark(s, h->page->inode, found, hold->nr_releasers);
	return found;
}

/* What names the connection to ss(8), of one that a reset does no harm to the kernel by. */
static const char *local_end(struct snap *s, const struct ksock *sock, const struct fact_hold *hold)
{
	u64 protocol;
	bool tcp = !kmem_get(s->k, sock->sk, KF_SK_PROTOCOL, &protocol) && protocol == IPPROTO_TCP;

	if (!tcp || !hold->outbound || hold->peer || (sock->inode && !hold->nr_releasers) ||
	    *namespace_text(s, sock->sk))
		return NULL;
	return sock_local(s, sock->sk);
}

static void tell_hold(struct snap *s, const struct socks *all, const struct skb_hit *h)
{
	struct fact f = { .type = FACT_HOLD };
	const struct ksock *sock = socks_find(all, h->owner);
	struct fact_releaser *releasers;

	if (!sock)
		return;
	releasers = find_releasers(s, all, h, sock, &f.hold);
	f.hold.page = h->page->head;
	f.hold.how = h->zerocopy ? HOW_ZEROCOPY : HOW_SOCKET;
	f.hold.confidence = CONF_EXACT;
	f.hold.refs = h->refs;
	f.hold.object_kind = "socket";
	f.hold.object_id = sock_name(s, sock);
	f.hold.target = sock_state(s, sock->sk) == TCP_LISTEN ? NULL : sock_peer(s, sock->sk);
	if (!f.hold.detail)
		f.hold.detail = describe(s, sock, f.hold.peer);
	f.hold.unsent = h->sent && is_datagram(s, sock->sk);
	f.hold.outbound = h->sent && !f.hold.unsent;
	f.hold.local = local_end(s, sock, &f.hold);
	f.hold.held_ns = FACT_UNKNOWN;
	f.hold.pipe_user = uid_of(s, sock);
	f.hold.releasers = releasers;
	snap_emit(s, &f);
	free(releasers);
}

const char *walk_sockets_lacks(const struct snap *s)
{
	const char *lacks = KMEM_LACKS(s->k, KF_SOCKET_ALLOC_INODE, KF_SK_RECEIVE_QUEUE,
				       KF_SK_WRITE_QUEUE, KF_SKB_HEAD, KF_SHINFO_FRAGS,
				       KF_SKB_RBNODE);

	/* an offset, as on every 64-bit kernel */
	return lacks || s->k->field[KF_SKB_END].size == 4 ? lacks : kfield_name(KF_SKB_END);
}

int walk_sockets(struct snap *s)
{
	struct skb_walk w = { .s = s, .budget = SKBS_BUDGET };
	struct socks all = { 0 };
	int err = socks_load(s, &all);

	err = err ? err : walk_all(&w, &all);
	if (err == -E2BIG) {
		snap_lost(s, LOSS_LOST, "socket queues", 1);
		err = 0;
	}
	skb_hits_count_once(&w);
	skb_hits_sum(&w, "socket queues");
	for (u32 i = 0; i < w.n && !err; i++)
		tell_hold(s, &all, &w.v[i]);
	socks_free(&all);
	free(w.v);
	return err;
}
