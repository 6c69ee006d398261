// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* What every look into a socket needs. */
#include <arpa/inet.h>
#include <errno.h>

#include "collect/snap.h"

enum { SKBS_MAX = 100000, UNACCEPTED_MAX = 65536 };

u64 sock_of_inode(struct snap *s, u64 inode)
{
	u64 sk;

	if (!kmem_has(s->k, KF_SOCKET_ALLOC_INODE) ||
	    kmem_get(s->k, kmem_container(s->k, inode, KF_SOCKET_ALLOC_INODE), KF_SOCKET_SK, &sk))
		return 0;
	return kmem_is_kernel_ptr(sk) ? sk : 0;
}

u64 sock_family(struct snap *s, u64 sk)
{
	u64 family;

	return kmem_get(s->k, sk, KF_SK_FAMILY, &family) ? 0 : family;
}

/* A sk_buff_head starts like a sk_buff: with next. */
int skb_queue_walk(struct snap *s, u64 queue, skb_fn fn, void *arg)
{
	u64 skb;

	if (kmem_get(s->k, queue, KF_SKB_NEXT, &skb))
		return 0; /* the socket is gone */
	for (u32 n = 0; skb && skb != queue; n++) {
		int err;

		if (n >= SKBS_MAX) {
			snap_lost(s, LOSS_LOST, "socket queues", 1);
			return 0;
		}
		err = kmem_is_kernel_ptr(skb) ? fn(arg, skb) : 0;
		if (err)
			return err;
		if (!kmem_is_kernel_ptr(skb) || kmem_get(s->k, skb, KF_SKB_NEXT, &skb)) {
			snap_lost(s, LOSS_TORN, "socket queues", 1);
			return 0;
		}
	}
	return 0;
}

/* One end of an Internet socket as "10.0.0.1:443"; NULL for others. */
static const char *end_text(struct snap *s, u64 sk, enum kf v4, enum kf v6, u32 port)
{
	char text[INET6_ADDRSTRLEN];
	u64 family = sock_family(s, sk);
	u8 addr[16];
	u32 len = family == AF_INET6 ? 16 : 4;
	enum kf field = family == AF_INET6 ? v6 : v4;

	if ((family != AF_INET && family != AF_INET6) || !kmem_has(s->k, field) ||
	    kmem_read(s->k, kmem_at(s->k, sk, field), addr, len) ||
	    !inet_ntop(family, addr, text, sizeof(text)))
		return NULL;
	return snap_text(s, family == AF_INET6 ? "[%s]:%u" : "%s:%u", text, port);
}

const char *sock_peer(struct snap *s, u64 sk)
{
	u64 port;

	return kmem_get(s->k, sk, KF_SK_DPORT, &port) ?
		       NULL :
		       end_text(s, sk, KF_SK_DADDR, KF_SK_V6_DADDR, ntohs(port));
}

const char *sock_local(struct snap *s, u64 sk)
{
	u64 port; /* this one is kept in host byte order */

	return kmem_get(s->k, sk, KF_SK_SPORT, &port) ?
		       NULL :
		       end_text(s, sk, KF_SK_SADDR, KF_SK_V6_SADDR, port);
}

u64 sock_state(struct snap *s, u64 sk)
{
	u64 state;

	return kmem_get(s->k, sk, KF_SK_STATE, &state) ? 0 : state;
}

struct unaccepted {
	struct snap *s;
	sock_fn fn;
	void *arg;
};

/* A listening UNIX socket receives packets that stand for connections. */
static int take_unix(void *arg, u64 skb)
{
	const struct unaccepted *u = arg;
	u64 sk;

	if (kmem_get(u->s->k, skb, KF_SKB_SK, &sk) || !kmem_is_kernel_ptr(sk))
		return 0;
	return u->fn(u->arg, sk);
}

/* A listening TCP socket has a list of requests, answered and so with a socket each. */
static int take_tcp(const struct unaccepted *u, u64 listener)
{
	u64 req, sk;
	int err = 0;

	if (kmem_get(u->s->k, listener, KF_ICSK_ACCEPT_HEAD, &req))
		return 0;
	for (u32 n = 0; kmem_is_kernel_ptr(req) && !err; n++) {
		if (n >= UNACCEPTED_MAX) {
			snap_lost(u->s, LOSS_LOST, "unaccepted connections", 1);
			break;
		}
		if (!kmem_get(u->s->k, req, KF_REQSK_SK, &sk) && kmem_is_kernel_ptr(sk))
			err = u->fn(u->arg, sk);
		if (kmem_get(u->s->k, req, KF_REQSK_NEXT, &req))
			break;
	}
	return err;
}

int sock_unaccepted(struct snap *s, u64 sk, sock_fn fn, void *arg)
{
	struct unaccepted u = { s, fn, arg };
	u64 family, protocol;

	if (sock_state(s, sk) != TCP_LISTEN)
		return 0;
	family = sock_family(s, sk);
	if (family == AF_UNIX)
		return skb_queue_walk(s, kmem_at(s->k, sk, KF_SK_RECEIVE_QUEUE), take_unix, &u);
	if ((family != AF_INET && family != AF_INET6) ||
	    kmem_get(s->k, sk, KF_SK_PROTOCOL, &protocol) || protocol != IPPROTO_TCP)
		return 0;
	return take_tcp(&u, sk);
}
