// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Files in flight: sent over a UNIX socket with SCM_RIGHTS and not received yet. No task has a
 * descriptor of them; the socket's receive queue keeps them open.
 */
#include <errno.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include "collect/snap.h"

enum {
	SCM_MAX_FD = 253, /* include/net/scm.h */
	DEPTH_MAX = 64,   /* sockets in flight in one another: the kernel knows no limit */
};

struct scm {
	struct snap *s;
	u64 inode; /* of the socket */
	u32 added;
};

/* A file may be sent many times; once is enough to know who could receive it. */
static bool was_added(const struct scm *c, u64 file)
{
	const struct kfds *f = &c->s->fds;

	for (u32 i = f->n - c->added; i < f->n; i++)
		if (f->v[i].file == file && f->v[i].via == c->inode)
			return true;
	return false;
}

static int take_files(void *arg, u64 skb)
{
	struct scm *c = arg;
	struct kmem *k = c->s->k;
	u64 list, count, files[SCM_MAX_FD];

	if (kmem_get(k, kmem_at(k, skb, KF_SKB_CB), KF_UNIX_CB_FP, &list) || !list ||
	    kmem_get(k, list, KF_SCM_FP_COUNT, &count) || count > SCM_MAX_FD ||
	    kmem_read(k, kmem_at(k, list, KF_SCM_FP_FILES), files, count * sizeof(*files)))
		return 0;
	for (u64 i = 0; i < count; i++) {
		struct kfd fd = { .via = c->inode, .file = files[i], .fd = -1 };
		int err;

		if (!kmem_is_kernel_ptr(files[i]) || was_added(c, files[i]))
			continue;
		err = fds_add(c->s, fd);
		if (err)
			return err;
		c->added++;
	}
	return 0;
}

static int take_received(void *arg, u64 sk)
{
	struct scm *c = arg;

	return skb_queue_walk(c->s, kmem_at(c->s->k, sk, KF_SK_RECEIVE_QUEUE), take_files, c);
}

/* What was sent over a connection can be received by whoever accepts it. */
static int look_into(struct scm *c)
{
	u64 sk = sock_of_inode(c->s, c->inode);
	int err;

	if (!sk || sock_family(c->s, sk) != AF_UNIX)
		return 0;
	err = sock_state(c->s, sk) == TCP_LISTEN ? sock_unaccepted(c->s, sk, take_received, c) :
						   take_received(c, sk);
	return err == -ENOMEM ? err : 0;
}

static bool available(const struct kmem *k)
{
	return kmem_has(k, KF_SK_RECEIVE_QUEUE) && kmem_has(k, KF_SKB_CB) &&
	       kmem_has(k, KF_UNIX_CB_FP) && kmem_has(k, KF_SCM_FP_FILES);
}

/* What was in flight may be a socket with something in flight. */
int scm_add(struct snap *s)
{
	u32 from = 0;

	for (int depth = 0; available(s->k); depth++) {
		struct scm c = { .s = s };
		u32 nr = s->fds.nr_inodes;
		int err = 0;

		for (u32 i = from; i < nr && !err; i++) {
			c.inode = s->fds.inodes[i];
			err = S_ISSOCK(s->fds.modes[i]) ? look_into(&c) : 0;
		}
		if (err || !c.added)
			return err;
		if (depth == DEPTH_MAX) {
			snap_lost(s, LOSS_LOST, "files in flight", c.added);
			return 0;
		}
		err = fds_resolve(s);
		if (err)
			return err;
		from = nr;
	}
	return 0;
}
