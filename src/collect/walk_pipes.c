// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Pages in pipes: vmsplice(2) puts a user page into a pipe buffer and takes a reference, which
 * moves on with splice(2) and is doubled by tee(2). A pipe is one object, however many descriptors
 * of however many tasks lead to it: reading it to behind the page releases the page, and so does
 * closing the last descriptor.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include "collect/snap.h"
#include "util/array.h"

enum {
	BATCH = 128,
	RING_MAX = 1 << 16, /* slots; sysctl fs.pipe-max-size is 1 MiB, 256 slots */
	HITS_MAX = 64,
};

struct pipe {
	u64 addr; /* pipe_inode_info */
	u64 inode;
	u32 head, tail, ring_size;
	u64 bufs;
};

/* A splice(2) that is in the middle of writing a pipe to a file or a socket. */
struct splice {
	u64 from; /* inode of the pipe */
	u64 to;   /* struct file */
};

struct splices {
	struct splice *v;
	u32 n;
};

/* The pipes among the inodes from *at on, at most max; *at moves behind the last one looked at. */
static u32 next_pipes(struct snap *s, u32 *at, struct pipe *p, u32 max)
{
	u32 n = 0;

	for (; *at < s->fds.nr_inodes && n < max; ++*at)
		if (S_ISFIFO(s->fds.modes[*at]))
			p[n++] = (struct pipe){ .inode = s->fds.inodes[*at] };
	return n;
}

static int read_addrs(struct snap *s, struct pipe *p, u32 n)
{
	struct kget g[BATCH];
	int err;

	for (u32 i = 0; i < n; i++)
		g[i] = (struct kget){ p[i].inode, KF_INODE_PIPE, 0, 0 };
	err = kmem_getv(s->k, g, n);
	for (u32 i = 0; i < n; i++)
		p[i].addr = g[i].val;
	return err;
}

/* Most pipes are empty, which head and tail tell. */
static int read_fill(struct snap *s, struct pipe *p, u32 n)
{
	struct kget g[2 * BATCH];
	int err;

	for (u32 i = 0; i < n; i++) {
		g[2 * i] = (struct kget){ p[i].addr, KF_PIPE_HEAD, 0, 0 };
		g[2 * i + 1] = (struct kget){ p[i].addr, KF_PIPE_TAIL, 0, 0 };
	}
	err = kmem_getv(s->k, g, 2 * n);
	for (u32 i = 0; i < n; i++) {
		p[i].head = g[2 * i].val;
		p[i].tail = g[2 * i + 1].val;
	}
	return err;
}

struct hit {
	struct kpage *page;
	u32 refs;
	u64 drain_bytes; /* to read until all of them are released */
};

/* One slot of a ring that was read as a whole. */
static void slot_at(const struct kmem *k, const struct pipe *p, const char *ring, u32 slot,
		    u64 *page, u32 *len)
{
	const char *buf = ring + (u64)(slot & (p->ring_size - 1)) * k->field[KF_PIPE_BUF].off;

	memcpy(page, buf + k->field[KF_PIPE_BUF_PAGE].off, sizeof(*page));
	memcpy(len, buf + k->field[KF_PIPE_BUF_LEN].off, sizeof(*len));
}

static struct hit *hit_of(struct snap *s, struct hit *hits, u32 *n, struct kpage *page)
{
	u32 i = 0;

	while (i < *n && hits[i].page != page)
		i++;
	if (i == *n && *n < HITS_MAX)
		hits[(*n)++] = (struct hit){ .page = page };
	else if (i == *n)
		snap_lost(s, LOSS_LOST, "busy pages of one pipe", 1);
	return i < *n ? &hits[i] : NULL;
}

/* The busy pages in a pipe, in the order in which reading it gets to them. */
static u32 find_hits(struct snap *s, const struct pipe *p, const char *ring, struct hit *hits)
{
	u64 bytes = 0;
	u32 n = 0;

	for (u32 slot = p->tail; slot != p->head; slot++) {
		struct hit *h;
		u64 page;
		u32 len;

		slot_at(s->k, p, ring, slot, &page, &len);
		bytes += len;
		h = page_find(s, page) ? hit_of(s, hits, &n, page_find(s, page)) : NULL;
		if (h) {
			h->refs++;
			h->drain_bytes = bytes;
		}
	}
	return n;
}

static u32 pipe_uid(struct snap *s, u64 pipe)
{
	u64 user, uid;

	if (kmem_get(s->k, pipe, KF_PIPE_USER, &user) || kmem_get(s->k, user, KF_USER_UID, &uid))
		return UINT32_MAX;
	return uid;
}

/* Where a pipe sits that was sent over a socket and not received yet. */
static const char *describe(struct snap *s, const struct pipe *p, const struct hit *h, u64 via)
{
	u64 ino = 0;

	if (!via)
		return snap_text(s, "in %u of %u filled pipe buffers", h->refs, p->head - p->tail);
	kmem_get(s->k, via, KF_INODE_INO, &ino);
	return snap_text(s,
			 "in %u of %u filled pipe buffers; a descriptor of it was sent to "
			 "socket:[%llu] and not received yet",
			 h->refs, p->head - p->tail, (unsigned long long)ino);
}

const char *pipe_name(struct snap *s, u64 inode)
{
	const char *fstype = file_fstype(s, inode), *path = NULL;
	u64 ino = 0;

	if (fstype && strcmp(fstype, "pipefs") != 0)
		path = file_path(s, fds_file(s, inode));
	if (path)
		return path;
	kmem_get(s->k, inode, KF_INODE_INO, &ino);
	return snap_text(s, "pipe:[%llu]", (unsigned long long)ino);
}

static u64 spliced_to(const struct splices *sp, u64 inode)
{
	for (u32 i = 0; i < sp->n; i++)
		if (sp->v[i].from == inode)
			return sp->v[i].to;
	return 0;
}

static int add_splice(struct snap *s, struct ktask *t, struct splices *sp)
{
	const struct arch_regs *regs = task_regs(s, t);
	u64 from;
	int err;

	if (!regs || regs->syscall != SYS_splice ||
	    kmem_get(s->k, fd_file(s, t, regs->args[0]), KF_FILE_INODE, &from))
		return 0;
	err = array_grow(&sp->v, sp->n, sizeof(*sp->v));
	if (!err)
		sp->v[sp->n++] = (struct splice){ from, fd_file(s, t, regs->args[2]) };
	return err;
}

/* Who splices has the lock of its pipe meanwhile: there is one of each. 0 or -ENOMEM. */
static int find_splices(struct snap *s, struct splices *sp)
{
	/* into a socket: splice_to_socket() since 2dc334f1a63a ("splice, net: Use
	 * sendmsg(MSG_SPLICE_PAGES) rather than ->sendpage()", v6.5) */
	static const char *const writing[] = { "iter_file_splice_write", "splice_to_socket",
					       "__splice_from_pipe", NULL };
	int err = 0;

	for (u32 i = 0; i < s->tasks.n && !err; i++) {
		struct ktask *t = &s->tasks.v[i];

		if (task_is_asleep(t) && task_stack_any(t, writing))
			err = add_splice(s, t, sp);
	}
	return err;
}

/* "socket:[4711] to 10.0.0.9:443", or what a file is. */
static void tell_target(struct snap *s, u64 file, struct fact_hold *h)
{
	u64 inode, mode, ino = 0, sk;
	const char *peer;

	if (kmem_get(s->k, file, KF_FILE_INODE, &inode) ||
	    kmem_get(s->k, inode, KF_INODE_MODE, &mode) || !S_ISSOCK(mode)) {
		file_tell_target(s, file, h);
		return;
	}
	kmem_get(s->k, inode, KF_INODE_INO, &ino);
	sk = sock_of_inode(s, inode);
	peer = sk ? sock_peer(s, sk) : NULL;
	h->target = snap_text(s, "socket:[%llu]%s%s", (unsigned long long)ino, peer ? " to " : "",
			      peer ? peer : "");
}

static void tell_hold(struct snap *s, const struct pipe *p, const struct hit *h, u64 to)
{
	struct fact f = { .type = FACT_HOLD };
	u64 via;
	struct fact_releaser *releasers = fds_releasers(s, p->inode, &f.hold.nr_releasers, &via);

	exits_mark(s, h->page->inode, releasers, f.hold.nr_releasers);
	f.hold.page = h->page->head;
	f.hold.how = HOW_VMSPLICE;
	f.hold.confidence = CONF_EXACT;
	f.hold.refs = h->refs;
	f.hold.object_kind = "pipe";
	f.hold.object_id = pipe_name(s, p->inode);
	f.hold.detail = describe(s, p, h, via);
	if (to)
		tell_target(s, to, &f.hold);
	f.hold.held_ns = FACT_UNKNOWN;
	f.hold.drain_bytes = h->drain_bytes;
	f.hold.pipe_user = pipe_uid(s, p->addr);
	f.hold.releasers = releasers;
	snap_emit(s, &f);
	free(releasers);
}

/* The page left the pipe while we looked, or another took its place. */
static bool pipe_changed(struct snap *s, const struct pipe *p)
{
	struct kget g[] = {
		{ p->addr, KF_PIPE_HEAD, 0, 0 },
		{ p->addr, KF_PIPE_TAIL, 0, 0 },
		{ p->inode, KF_INODE_PIPE, 0, 0 },
	};

	return kmem_getv(s->k, g, 3) || g[0].val != p->head || g[1].val != p->tail ||
	       g[2].val != p->addr;
}

static void look_into(struct snap *s, const struct pipe *p, const struct splices *sp)
{
	struct hit hits[HITS_MAX];
	size_t size = (size_t)p->ring_size * s->k->field[KF_PIPE_BUF].off;
	char *ring = malloc(size);
	u32 n;

	if (!ring) {
		s->err = -ENOMEM;
		return;
	}
	if (kmem_read(s->k, p->bufs, ring, size)) {
		snap_lost(s, LOSS_TORN, "pipe buffers", 1);
	} else {
		n = find_hits(s, p, ring, hits);
		if (n && pipe_changed(s, p))
			snap_lost(s, LOSS_TORN, "pipe buffers", 1);
		else
			for (u32 i = 0; i < n; i++)
				tell_hold(s, p, &hits[i], spliced_to(sp, p->inode));
		snap_saw(s, p->bufs, n ? size : 0);
	}
	free(ring);
}

static bool is_sane(const struct pipe *p)
{
	return p->ring_size && p->ring_size <= RING_MAX && !(p->ring_size & (p->ring_size - 1)) &&
	       p->head - p->tail <= p->ring_size && kmem_is_kernel_ptr(p->bufs);
}

static void look_at(struct snap *s, struct pipe *p, const struct splices *sp)
{
	struct kget g[] = {
		{ p->addr, KF_PIPE_RING_SIZE, 0, 0 },
		{ p->addr, KF_PIPE_BUFS, 0, 0 },
	};

	kmem_getv(s->k, g, 2);
	p->ring_size = g[0].val;
	p->bufs = g[1].val;
	if (is_sane(p))
		look_into(s, p, sp);
	else
		snap_lost(s, LOSS_TORN, "pipe buffers", 1);
}

const char *walk_pipes_lacks(const struct snap *s)
{
	return KMEM_LACKS(s->k, KF_INODE_PIPE, KF_PIPE_HEAD, KF_PIPE_TAIL, KF_PIPE_RING_SIZE,
			  KF_PIPE_BUFS, KF_PIPE_BUF, KF_PIPE_BUF_PAGE, KF_PIPE_BUF_LEN);
}

int walk_pipes(struct snap *s)
{
	struct splices sp = { NULL, 0 };
	struct pipe p[BATCH];
	u32 at = 0, n;
	int err = find_splices(s, &sp);

	while (!err && !s->err && (n = next_pipes(s, &at, p, BATCH))) {
		err = read_addrs(s, p, n);
		err = err ? err : read_fill(s, p, n);
		for (u32 i = 0; i < n && !err && !s->err; i++)
			if (p[i].head != p[i].tail)
				look_at(s, &p[i], &sp);
	}
	free(sp.v);
	return err;
}
