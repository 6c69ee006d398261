// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Every socket that can hold packets. Most have a descriptor. Others have none: a connection that
 * nobody has accepted, which its listening socket leads to, and one that was closed with data to
 * send, which only TCP's table of connections knows until the peer has taken the data.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include "collect/socks.h"
#include "util/array.h"

enum {
	BATCH = 128,
	SOCKS_MAX = 1 << 20,
	NETS_MAX = 65536,
	TABLES_MAX = 1024,
	BUCKETS_MAX = 1 << 24, /* sysctl tcp_ehash_entries; thash_entries= may be more */
	CHUNK = 4088,          /* bytes of a table in one read */
	CHUNKS = 16,           /* reads at once */
};

/* include/net/tcp_states.h */
enum { TCP_TIME_WAIT = 6, TCP_NEW_SYN_RECV = 12 };

static int add(struct socks *all, struct ksock sock)
{
	int err;

	if (all->n >= SOCKS_MAX)
		return -E2BIG;
	err = array_grow(&all->v, all->n, sizeof(sock));
	if (!err)
		all->v[all->n++] = sock;
	return err;
}

/* --- sockets with descriptors */

static int add_open(struct snap *s, struct socks *all)
{
	const struct kfds *f = &s->fds;
	int err = 0;

	for (u32 i = 0; i < f->nr_inodes && !err; i++) {
		u64 sk = S_ISSOCK(f->modes[i]) ? sock_of_inode(s, f->inodes[i]) : 0;

		err = sk ? add(all, (struct ksock){ .sk = sk, .inode = f->inodes[i] }) : 0;
	}
	return err;
}

/* --- connections that are not accepted yet */

struct queue {
	struct socks *all;
	u64 listener;
};

static int add_unaccepted(void *arg, u64 sk)
{
	struct queue *q = arg;

	return add(q->all, (struct ksock){ .sk = sk, .listener = q->listener });
}

static int add_accept_queues(struct snap *s, struct socks *all)
{
	u32 n = all->n;
	int err = 0;

	for (u32 i = 0; i < n && !err; i++) {
		struct queue q = { all, all->v[i].sk };

		err = sock_unaccepted(s, all->v[i].sk, add_unaccepted, &q);
	}
	return err;
}

/* --- TCP's tables of connections */

/* hlist_nulls_node of a connection, and the pointer that led to it. */
struct node {
	u64 at, from;
};

struct table {
	struct snap *s;
	struct socks *all;
	struct node *nodes;
	u32 n;
};

/* A chain ends with an odd number instead of a pointer, include/linux/list_nulls.h. */
static int add_node(struct table *t, u64 at, u64 from)
{
	int err;

	if (at & 1 || !kmem_is_kernel_ptr(at))
		return 0;
	if (t->n >= SOCKS_MAX)
		return -E2BIG;
	err = array_grow(&t->nodes, t->n, sizeof(*t->nodes));
	if (!err)
		t->nodes[t->n++] = (struct node){ at, from };
	return err;
}

static int read_chunks(struct table *t, u64 from, u64 bytes)
{
	static u64 heads[CHUNKS][CHUNK / 8];
	struct kread r[CHUNKS];
	u32 n = 0;
	int err;

	for (; n < CHUNKS && n * (u64)CHUNK < bytes; n++) {
		u64 left = bytes - n * (u64)CHUNK;

		r[n] = (struct kread){ from + n * (u64)CHUNK, heads[n], left < CHUNK ? left : CHUNK,
				       0 };
	}
	err = kmem_readv(t->s->k, r, n);
	for (u32 i = 0; i < n && !err; i++)
		for (u32 at = 0; at < r[i].len / 8 && !r[i].err && !err; at++)
			err = add_node(t, heads[i][at], r[i].addr + at * 8ULL);
	return err;
}

/* The first node of each bucket, which is nothing but a list head. */
static int add_heads(struct table *t, u64 hashinfo)
{
	struct kget g[] = { { hashinfo, KF_HASHINFO_EHASH, 0, 0 },
			    { hashinfo, KF_HASHINFO_EHASH_MASK, 0, 0 } };
	u64 bytes;
	int err = 0;

	if (kmem_getv(t->s->k, g, 2) || g[0].err || g[1].err || g[1].val >= BUCKETS_MAX)
		return 0;
	bytes = (g[1].val + 1) * 8;
	for (u64 at = 0; at < bytes && !err; at += (u64)CHUNK * CHUNKS)
		err = read_chunks(t, g[0].val + at, bytes - at);
	return err;
}

/* inode of a socket; 0 when it has none, as a closed one. */
static u64 inode_of_sock(const struct kmem *k, u64 socket)
{
	return kmem_is_kernel_ptr(socket) ? kmem_at(k, socket, KF_SOCKET_ALLOC_INODE) : 0;
}

/* A connection that was closed or moved to another chain meanwhile says so by its pprev. */
static int take_connection(struct table *t, const struct node *node, const struct kget *g)
{
	const struct kmem *k = t->s->k;
	struct ksock sock = { .sk = kmem_container(k, node->at, KF_SK_NULLS_NODE) };
	u64 state = g[2].val;
	int err;

	if (g[0].err || g[1].val != node->from) {
		snap_lost(t->s, LOSS_TORN, "sockets", 1);
		return 0;
	}
	err = add_node(t, g[0].val, kmem_at(k, node->at, KF_NULLS_NEXT));
	/* both are smaller than a struct sock */
	if (err || state == TCP_TIME_WAIT || state == TCP_NEW_SYN_RECV)
		return err;
	sock.inode = inode_of_sock(k, g[3].val);
	return add(t->all, sock);
}

/* The nodes from one on, a batch of them; their successors are added behind. */
static int take_batch(struct table *t, u32 from, u32 n)
{
	struct kmem *k = t->s->k;
	struct kget g[4 * BATCH];
	int err;

	for (u32 i = 0; i < n; i++) {
		u64 at = t->nodes[from + i].at, sk = kmem_container(k, at, KF_SK_NULLS_NODE);

		g[4 * i] = (struct kget){ at, KF_NULLS_NEXT, 0, 0 };
		g[4 * i + 1] = (struct kget){ at, KF_NULLS_PPREV, 0, 0 };
		g[4 * i + 2] = (struct kget){ sk, KF_SK_STATE, 0, 0 };
		g[4 * i + 3] = (struct kget){ sk, KF_SK_SOCKET, 0, 0 };
	}
	err = kmem_getv(k, g, 4 * n);
	for (u32 i = 0; i < n && !err; i++) {
		struct node node = t->nodes[from + i];

		err = take_connection(t, &node, &g[4 * i]);
	}
	return err;
}

static int add_table(struct snap *s, struct socks *all, u64 hashinfo)
{
	struct table t = { .s = s, .all = all };
	int err = add_heads(&t, hashinfo);

	for (u32 at = 0, n; at < t.n && !err; at += n) {
		n = t.n - at < BATCH ? t.n - at : BATCH;
		err = take_batch(&t, at, n);
	}
	free(t.nodes);
	return err;
}

struct tables {
	u64 v[TABLES_MAX]; /* inet_hashinfos */
	u32 n;
};

/* False when there is no room for another one. */
static bool add_hashinfo(struct snap *s, struct tables *t, u64 hashinfo)
{
	for (u32 i = 0; i < t->n; i++)
		if (t->v[i] == hashinfo)
			return true;
	if (t->n == TABLES_MAX) {
		snap_lost(s, LOSS_LOST, "network namespaces", 1);
		return false;
	}
	t->v[t->n++] = hashinfo;
	return true;
}

static bool add_net(struct snap *s, struct tables *t, u64 net)
{
	u64 hashinfo;

	if (kmem_get(s->k, net, KF_NET_TCP_HASHINFO, &hashinfo) || !kmem_is_kernel_ptr(hashinfo))
		return true;
	return add_hashinfo(s, t, hashinfo);
}

static void add_nets(struct snap *s, struct tables *t, u64 head)
{
	u64 at;

	if (kmem_get(s->k, head, KF_LIST_NEXT, &at))
		return;
	for (u32 i = 0; at != head && kmem_is_kernel_ptr(at); i++) {
		if (i == NETS_MAX) {
			snap_lost(s, LOSS_LOST, "network namespaces", 1);
			return;
		}
		if (!add_net(s, t, kmem_container(s->k, at, KF_NET_LIST)) ||
		    kmem_get(s->k, at, KF_LIST_NEXT, &at))
			return;
	}
}

/* Where the list of namespaces is hidden: those in which some task is. */
static void add_nets_of_tasks(struct snap *s, struct tables *t)
{
	for (u32 i = 0; i < s->tasks.n; i++) {
		u64 nsproxy, net;

		if (!kmem_get(s->k, s->tasks.v[i].r.task, KF_TASK_NSPROXY, &nsproxy) && nsproxy &&
		    !kmem_get(s->k, nsproxy, KF_NSPROXY_NET, &net) && !add_net(s, t, net))
			return;
	}
}

/*
 * One table for all network namespaces, or one of its own for a namespace that was made with
 * sysctl net.ipv4.tcp_child_ehash_entries (d1e5e6408b30 ("tcp: Introduce optional per-netns
 * ehash."), v6.1).
 */
static void find_tables(struct snap *s, struct tables *t)
{
	if (s->k->sym[KSYM_TCP_HASHINFO])
		add_hashinfo(s, t, s->k->sym[KSYM_TCP_HASHINFO]);
	if (s->k->sym[KSYM_NET_LIST] && kmem_has(s->k, KF_NET_LIST))
		add_nets(s, t, s->k->sym[KSYM_NET_LIST]);
	else
		add_nets_of_tasks(s, t);
}

static int add_connections(struct snap *s, struct socks *all)
{
	struct tables *t = calloc(1, sizeof(*t));
	int err = t ? 0 : -ENOMEM;

	if (t)
		find_tables(s, t);
	for (u32 i = 0; t && i < t->n && !err; i++)
		err = add_table(s, all, t->v[i]);
	free(t);
	return err;
}

bool socks_have_tables(const struct snap *s)
{
	const struct kmem *k = s->k;

	return (k->sym[KSYM_TCP_HASHINFO] || kmem_has(k, KF_NET_TCP_HASHINFO)) &&
	       kmem_has(k, KF_HASHINFO_EHASH) && kmem_has(k, KF_HASHINFO_EHASH_MASK) &&
	       kmem_has(k, KF_NULLS_NEXT) && kmem_has(k, KF_NULLS_PPREV) &&
	       kmem_has(k, KF_SK_NULLS_NODE) && kmem_has(k, KF_SK_STATE) &&
	       k->field[KF_EHASH_BUCKET].off == 8;
}

/* --- all of them */

/* Of several entries of one socket the one that tells most comes first. */
static int compare(const void *a, const void *b)
{
	const struct ksock *x = a, *y = b;

	if (x->sk != y->sk)
		return x->sk < y->sk ? -1 : 1;
	if (!x->inode != !y->inode)
		return !x->inode - !y->inode;
	return !x->listener - !y->listener;
}

static void keep_one_each(struct socks *all)
{
	u32 kept = 0;

	if (all->n)
		qsort(all->v, all->n, sizeof(*all->v), compare);
	for (u32 i = 0; i < all->n; i++)
		if (!kept || all->v[kept - 1].sk != all->v[i].sk)
			all->v[kept++] = all->v[i];
	all->n = kept;
}

int socks_load(struct snap *s, struct socks *all)
{
	int err = add_open(s, all);

	err = err ? err : add_accept_queues(s, all);
	if (!err && socks_have_tables(s))
		err = add_connections(s, all);
	if (err == -E2BIG) {
		snap_lost(s, LOSS_LOST, "sockets", 1);
		err = 0;
	}
	keep_one_each(all);
	return err;
}

void socks_free(struct socks *all)
{
	free(all->v);
	*all = (struct socks){ 0 };
}

const struct ksock *socks_find(const struct socks *all, u64 sk)
{
	u32 lo = 0, hi = all->n;

	while (lo < hi) {
		u32 mid = lo + (hi - lo) / 2;

		if (all->v[mid].sk < sk)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo < all->n && all->v[lo].sk == sk ? &all->v[lo] : NULL;
}

/* --- the other end of a connection */

static bool same_address(struct snap *s, u64 a, enum kf f, u64 b, enum kf g, u32 len)
{
	u8 x[16], y[16];

	return !kmem_read(s->k, kmem_at(s->k, a, f), x, len) &&
	       !kmem_read(s->k, kmem_at(s->k, b, g), y, len) && !memcmp(x, y, len);
}

/* An IPv6 socket that speaks IPv4 has the IPv4 addresses as well. */
static bool faces(struct snap *s, u64 a, u64 b)
{
	bool v6 = sock_family(s, a) == AF_INET6 && sock_family(s, b) == AF_INET6;

	if (v6)
		return same_address(s, a, KF_SK_V6_DADDR, b, KF_SK_V6_SADDR, 16) &&
		       same_address(s, a, KF_SK_V6_SADDR, b, KF_SK_V6_DADDR, 16);
	return same_address(s, a, KF_SK_DADDR, b, KF_SK_SADDR, 4) &&
	       same_address(s, a, KF_SK_SADDR, b, KF_SK_DADDR, 4);
}

/*
 * Namespaces may use the same addresses: what the other end expects next must be among what this
 * end has sent and nobody has acknowledged.
 */
static bool agrees(struct snap *s, u64 sender, u64 receiver)
{
	struct kget g[] = { { sender, KF_TCP_SND_UNA, 0, 0 },
			    { sender, KF_TCP_SND_NXT, 0, 0 },
			    { receiver, KF_TCP_RCV_NXT, 0, 0 } };

	return !kmem_getv(s->k, g, 3) && !g[0].err && !g[1].err && !g[2].err &&
	       (u32)(g[2].val - g[0].val) <= (u32)(g[1].val - g[0].val);
}

static u64 swap_port(u64 port)
{
	return (port & 0xff) << 8 | (port >> 8 & 0xff);
}

const struct ksock *socks_peer(struct snap *s, const struct socks *all, u64 sk)
{
	u64 dport, sport;

	if (kmem_get(s->k, sk, KF_SK_DPORT, &dport) || kmem_get(s->k, sk, KF_SK_SPORT, &sport))
		return NULL;
	for (u32 at = 0; at < all->n; at += BATCH / 2) {
		u32 n = all->n - at < BATCH / 2 ? all->n - at : BATCH / 2;
		struct kget g[BATCH];

		for (u32 i = 0; i < n; i++) {
			g[2 * i] = (struct kget){ all->v[at + i].sk, KF_SK_DPORT, 0, 0 };
			g[2 * i + 1] = (struct kget){ all->v[at + i].sk, KF_SK_SPORT, 0, 0 };
		}
		kmem_getv(s->k, g, 2 * n);
		for (u32 i = 0; i < n; i++)
			if (swap_port(g[2 * i].val) == sport &&
			    swap_port(dport) == g[2 * i + 1].val && all->v[at + i].sk != sk &&
			    faces(s, sk, all->v[at + i].sk) && agrees(s, sk, all->v[at + i].sk))
				return &all->v[at + i];
	}
	return NULL;
}
