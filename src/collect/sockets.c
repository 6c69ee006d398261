// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* What every look into a socket needs. */
#include <arpa/inet.h>
#include <errno.h>

#include "collect/snap.h"

enum { SKBS_MAX = 100000 };

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

const char *sock_peer(struct snap *s, u64 sk)
{
	char text[INET6_ADDRSTRLEN];
	u64 family = sock_family(s, sk), port;
	u8 addr[16];
	u32 len = family == AF_INET6 ? 16 : 4;
	enum kf field = family == AF_INET6 ? KF_SK_V6_DADDR : KF_SK_DADDR;

	if ((family != AF_INET && family != AF_INET6) || !kmem_has(s->k, field) ||
	    kmem_read(s->k, kmem_at(s->k, sk, field), addr, len) ||
	    kmem_get(s->k, sk, KF_SK_DPORT, &port) || !inet_ntop(family, addr, text, sizeof(text)))
		return NULL;
	return snap_text(s, family == AF_INET6 ? "[%s]:%u" : "%s:%u", text, ntohs(port));
}
