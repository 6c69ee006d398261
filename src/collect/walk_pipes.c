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

#include "collect/snap.h"
#include "util/array.h"

enum {
	BATCH = 128,
	RING_MAX = 1 << 16, /* slots; sysctl fs.pipe-max-size is 1 MiB, 256 slots */
	PIPE_SPAN_MAX = 512,
	HITS_MAX = 64,
};

struct pipe {
	u64 addr; /* pipe_inode_info */
	u64 inode;
	u32 head, tail, ring_size;
	u64 bufs;
};

static u32 u32_at(const char *span, s64 off)
{
	u32 val;

	memcpy(&val, span + off, sizeof(val));
	return val;
}

/* i_pipe of those inodes that are pipes, 0 for the others. */
static int read_i_pipe(struct snap *s, u32 from, u32 n, u64 *i_pipe)
{
	struct kget g[BATCH];
	int err;

	for (u32 i = 0; i < n; i++)
		g[i] = (struct kget){ s->fds.inodes[from + i], KF_INODE_PIPE, 0, 0 };
	err = kmem_getv(s->k, g, n);
	for (u32 i = 0; i < n; i++)
		i_pipe[i] = S_ISFIFO(s->fds.modes[from + i]) ? g[i].val : 0;
	return err;
}

/* One read per pipe for all of its fields. */
static int read_spans(struct snap *s, const u64 *i_pipe, u32 n, char (*span)[PIPE_SPAN_MAX],
		      struct kread *r)
{
	u32 len = s->k->field[KF_PIPE_BUFS].off + 8;

	for (u32 i = 0; i < n; i++)
		r[i] = (struct kread){ .addr = i_pipe[i], .dst = span[i], .len = len };
	return kmem_readv(s->k, r, n);
}

static struct pipe parse_pipe(const struct kmem *k, const char *span, u64 addr)
{
	struct pipe p = {
		.addr = addr,
		.head = u32_at(span, k->field[KF_PIPE_HEAD].off),
		.tail = u32_at(span, k->field[KF_PIPE_TAIL].off),
		.ring_size = u32_at(span, k->field[KF_PIPE_RING_SIZE].off),
	};

	memcpy(&p.bufs, span + k->field[KF_PIPE_BUFS].off, sizeof(p.bufs));
	return p;
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

static void tell_hold(struct snap *s, const struct pipe *p, const struct hit *h)
{
	struct fact f = { .type = FACT_HOLD };
	u64 ino = 0, via;
	struct fact_releaser *releasers = fds_releasers(s, p->inode, &f.hold.nr_releasers, &via);

	kmem_get(s->k, p->inode, KF_INODE_INO, &ino);
	f.hold.page = h->page->head;
	f.hold.how = HOW_VMSPLICE;
	f.hold.confidence = CONF_EXACT;
	f.hold.refs = h->refs;
	f.hold.object_kind = "pipe";
	f.hold.object_id = snap_text(s, "pipe:[%llu]", (unsigned long long)ino);
	f.hold.detail = describe(s, p, h, via);
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

static void look_into(struct snap *s, const struct pipe *p)
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
				tell_hold(s, p, &hits[i]);
	}
	free(ring);
}

static bool is_sane(const struct pipe *p)
{
	return p->ring_size && p->ring_size <= RING_MAX && !(p->ring_size & (p->ring_size - 1)) &&
	       p->head - p->tail <= p->ring_size && kmem_is_kernel_ptr(p->bufs);
}

static int walk_batch(struct snap *s, u32 from, u32 n)
{
	static char span[BATCH][PIPE_SPAN_MAX];
	static struct kread r[BATCH];
	u64 i_pipe[BATCH];
	int err = read_i_pipe(s, from, n, i_pipe);

	err = err ? err : read_spans(s, i_pipe, n, span, r);
	for (u32 i = 0; i < n && !err && !s->err; i++) {
		struct pipe p = parse_pipe(s->k, span[i], i_pipe[i]);

		if (!i_pipe[i] || r[i].err || p.head == p.tail)
			continue;
		p.inode = s->fds.inodes[from + i];
		if (is_sane(&p))
			look_into(s, &p);
		else
			snap_lost(s, LOSS_TORN, "pipe buffers", 1);
	}
	return err;
}

bool walk_pipes_available(const struct snap *s)
{
	const struct kmem *k = s->k;

	return kmem_has(k, KF_INODE_PIPE) && kmem_has(k, KF_PIPE_HEAD) &&
	       kmem_has(k, KF_PIPE_TAIL) && kmem_has(k, KF_PIPE_RING_SIZE) &&
	       kmem_has(k, KF_PIPE_BUFS) && kmem_has(k, KF_PIPE_BUF) &&
	       kmem_has(k, KF_PIPE_BUF_PAGE) && kmem_has(k, KF_PIPE_BUF_LEN) &&
	       k->field[KF_PIPE_BUFS].off + 8 <= PIPE_SPAN_MAX &&
	       k->field[KF_PIPE_HEAD].off < k->field[KF_PIPE_BUFS].off &&
	       k->field[KF_PIPE_RING_SIZE].off < k->field[KF_PIPE_BUFS].off;
}

int walk_pipes(struct snap *s)
{
	int err = 0;

	for (u32 at = 0; at < s->fds.nr_inodes && !err; at += BATCH)
		err = walk_batch(s, at,
				 s->fds.nr_inodes - at < BATCH ? s->fds.nr_inodes - at : BATCH);
	return err;
}
