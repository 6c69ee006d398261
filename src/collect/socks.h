/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The sockets of the machine, with and without descriptors. */
#ifndef COLLECT_SOCKS_H
#define COLLECT_SOCKS_H

#include "collect/snap.h"

struct ksock {
	u64 sk;       /* struct sock */
	u64 inode;    /* 0 when it has none: not accepted, or closed */
	u64 listener; /* not accepted: the struct sock that would accept it; else 0 */
};

struct socks {
	struct ksock *v; /* by sk */
	u32 n;
};

/* 0 or -ENOMEM; what a bound cuts off is a loss. The socks are to be freed in any case. */
int socks_load(struct snap *s, struct socks *all);
void socks_free(struct socks *all);
/* Whether connections without descriptors can be found on this kernel. */
bool socks_have_tables(const struct snap *s);
const struct ksock *socks_find(const struct socks *all, u64 sk); /* NULL none */
/* The receiving end of a TCP connection on which sk has sent, if it is on this machine; or NULL. */
const struct ksock *socks_peer(struct snap *s, const struct socks *all, u64 sk);

#endif
