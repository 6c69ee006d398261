// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Who submitted a bio. Its completion function says what bi_private is, which leads to a kiocb, and
 * the kiocb's own completion function says who started the I/O. What belongs to a synchronous call,
 * a kiocb or a completion, lies on the kernel stack of the task that sleeps in it.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "collect/snap.h"
#include "util/array.h"

enum { LEVELS_MAX = 8, AROUND = 256, IOCTXS_MAX = 1 << 16, IOCTX_BATCH = 128, NAME_MAX_LEN = 64 };

/* "f+0x1/0x20 [m]" of the address behind the first byte of f: "f". */
static const char *function_at(struct snap *s, u64 addr)
{
	u64 behind = addr + 1; /* texts are made for return addresses: of the byte before */
	char *text = NULL, *plus;
	const char *name = "";

	if (s->k->ops->symbolize(s->k, &behind, &text, 1) || !text)
		return name;
	plus = strchr(text, '+');
	if (plus && !strncmp(plus, "+0x1/", 5))
		name = snap_text(s, "%.*s", (int)strcspn(text, "+. "), text);
	free(text);
	return name;
}

/* Name of the function that starts at an address; "" none. */
static const char *symbol(struct snap *s, struct symbol_cache *c, u64 addr)
{
	const u32 size = sizeof(c->v) / sizeof(*c->v);
	u32 at = c->next++ % size;

	if (!kmem_is_kernel_ptr(addr))
		return "";
	for (u32 i = 0; i < size; i++)
		if (c->v[i].addr == addr)
			return c->v[i].name;
	c->v[at].addr = addr;
	c->v[at].name = function_at(s, addr);
	return c->v[at].name;
}

static bool is_one_of(const char *name, const char *const *names)
{
	for (; *names; names++)
		if (!strcmp(name, *names))
			return true;
	return false;
}

/* The task whose kernel stack an address is in; 0 none. */
static u64 task_of_stack(struct snap *s, u64 addr)
{
	u64 size = s->arch.stack_size ? s->arch.stack_size : s->arch.regs_off;

	for (u32 i = 0; i < s->tasks.n; i++)
		if (addr - s->tasks.v[i].r.stack < size)
			return s->tasks.v[i].r.task;
	return 0;
}

static void take_io_kiocb(struct snap *s, struct io_owner *o, u64 req)
{
	u64 tctx;

	o->how = HOW_IO_URING;
	if (kmem_get(s->k, req, KF_IO_KIOCB_TASK, &o->task) &&
	    !kmem_get(s->k, req, KF_IO_KIOCB_TCTX, &tctx))
		kmem_get(s->k, tctx, KF_IO_TCTX_TASK, &o->task);
}

/* struct aio_kiocb and struct io_kiocb both start with their kiocb. */
static void take_kiocb(struct snap *s, struct symbol_cache *c, struct io_owner *o, u64 iocb)
{
	static const char *const uring[] = { "io_complete_rw", "io_complete_rw_iopoll", NULL };
	struct kget g[] = { { iocb, KF_KIOCB_FILP, 0, 0 }, { iocb, KF_KIOCB_COMPLETE, 0, 0 } };
	const char *name;

	if (!kmem_is_kernel_ptr(iocb) || kmem_getv(s->k, g, 2) || g[0].err || g[1].err)
		return;
	o->file = g[0].val;
	if (!g[1].val) {
		o->task = task_of_stack(s, iocb);
		return;
	}
	name = symbol(s, c, g[1].val);
	if (is_one_of(name, uring)) {
		take_io_kiocb(s, o, iocb);
	} else if (!strcmp(name, "aio_complete_rw")) {
		o->how = HOW_AIO;
		kmem_get(s->k, iocb, KF_AIO_KIOCB_CTX, &o->ioctx);
	}
}

/* The first field of a blkdev_dio is the waiting task or the kiocb, block/fops.c. */
static void take_blkdev_dio(struct snap *s, struct symbol_cache *c, struct io_owner *o, u64 dio)
{
	u64 ptr;

	if (kmem_get(s->k, dio, KF_BLKDEV_DIO_IOCB, &ptr))
		return;
	if (task_find(s, ptr))
		o->task = ptr;
	else
		take_kiocb(s, c, o, ptr);
}

/* Where a field of an object is the kiocb. */
static void take_dio(struct snap *s, struct symbol_cache *c, struct io_owner *o, u64 dio, enum kf f)
{
	u64 iocb;

	if (!kmem_get(s->k, dio, f, &iocb))
		take_kiocb(s, c, o, iocb);
}

/* A pass-through request, as of SG_IO: who waits for it has the completion on its stack. */
static void take_request(struct snap *s, struct io_owner *o, u64 rq)
{
	u64 data;

	o->how = HOW_UNKNOWN;
	if (rq && !kmem_get(s->k, rq, KF_RQ_END_DATA, &data))
		o->task = task_of_stack(s, data);
}

struct io_owner bio_owner(struct snap *s, struct symbol_cache *c, const struct kbio *bio)
{
	static const char *const on_stack[] = { "submit_bio_wait_endio", "bio_wait_end_io", NULL };
	static const char *const generic[] = { "dio_bio_end_io", "dio_bio_end_aio", NULL };
	const char *name = symbol(s, c, bio->end_io);
	struct io_owner o = { .how = HOW_DIRECT_IO };

	if (!bio->end_io)
		take_request(s, &o, bio->rq);
	else if (!strcmp(name, "iomap_dio_bio_end_io"))
		take_dio(s, c, &o, bio->private, KF_IOMAP_DIO_IOCB);
	else if (is_one_of(name, generic))
		take_dio(s, c, &o, bio->private, KF_DIO_IOCB);
	else if (!strcmp(name, "blkdev_bio_end_io"))
		take_blkdev_dio(s, c, &o, bio->private);
	else if (!strcmp(name, "blkdev_bio_end_io_async") && kmem_has(s->k, KF_BLKDEV_DIO_BIO))
		take_blkdev_dio(s, c, &o, kmem_container(s->k, bio->addr, KF_BLKDEV_DIO_BIO));
	else if (is_one_of(name, on_stack))
		o.task = task_of_stack(s, bio->private);
	else if (!strcmp(name, "blkdev_bio_end_io_simple"))
		o.task = bio->private;
	if (!task_find(s, o.task))
		o.task = 0;
	return o;
}

static bool is_clone(struct snap *s, const struct kbio *bio)
{
	return bio->flags >> s->k->field[KF_BIO_CLONED].off & 1;
}

/* A bio with the same table of bio_vecs is what the clone was made of, or another clone. */
static bool is_source(struct snap *s, const struct kbio *clone, u64 addr, struct kbio *ret)
{
	if (addr == clone->addr || bio_read(s, addr, ret) || ret->vecs != clone->vecs)
		return false;
	ret->from = clone->from;
	ret->first = clone->first;
	ret->rq = clone->rq;
	ret->cgroup = clone->cgroup;
	ret->stray = clone->stray;
	ret->doubtful = clone->doubtful;
	return true;
}

static bool source_near(struct snap *s, const struct kbio *clone, u64 addr, struct kbio *ret)
{
	u64 words[AROUND / sizeof(u64)];

	if (!kmem_is_kernel_ptr(addr) || kmem_read(s->k, addr, words, sizeof(words)))
		return false;
	for (u32 i = 0; i < sizeof(words) / sizeof(*words); i++)
		if (kmem_is_kernel_ptr(words[i]) && is_source(s, clone, words[i], ret))
			return true;
	return false;
}

/*
 * What a clone was made of. A short bio has its table right behind it; a split points to it; and
 * drivers keep the pointer in front of the clone they embed (dm_io) or in its bi_private (md).
 */
static bool source_of(struct snap *s, struct symbol_cache *c, const struct kbio *clone,
		      struct kbio *ret)
{
	if (!strcmp(symbol(s, c, clone->end_io), "bio_chain_endio"))
		return is_source(s, clone, clone->private, ret);
	return is_source(s, clone, clone->vecs - s->k->field[KF_BIO].off, ret) ||
	       source_near(s, clone, clone->addr - AROUND, ret) ||
	       source_near(s, clone, clone->private, ret);
}

struct kbio bio_original(struct snap *s, struct symbol_cache *c, const struct kbio *bio)
{
	struct kbio at = *bio, up;

	for (u32 n = 0; n < LEVELS_MAX && is_clone(s, &at) && source_of(s, c, &at, &up); n++)
		at = up;
	return at;
}

static bool table_has(struct snap *s, u64 mm, u64 ioctx)
{
	u64 table, n, ptrs[IOCTX_BATCH];

	if (kmem_get(s->k, mm, KF_MM_IOCTX_TABLE, &table) || !kmem_is_kernel_ptr(table) ||
	    kmem_get(s->k, table, KF_IOCTX_TABLE_NR, &n) || n > IOCTXS_MAX)
		return false;
	for (u64 at = 0; at < n; at += IOCTX_BATCH) {
		u64 batch = n - at < IOCTX_BATCH ? n - at : IOCTX_BATCH;

		if (kmem_read(s->k, kmem_at(s->k, table, KF_IOCTX_TABLE_TABLE) + at * 8, ptrs,
			      batch * 8))
			return false;
		for (u64 i = 0; i < batch; i++)
			if (ptrs[i] == ioctx)
				return true;
	}
	return false;
}

static u64 mm_of_ioctx(struct snap *s, u64 ioctx)
{
	u64 last = 0;

	if (!ioctx || !kmem_has(s->k, KF_IOCTX_TABLE_TABLE))
		return 0;
	for (u32 i = 0; i < s->tasks.n; i++) {
		u64 mm = s->tasks.v[s->tasks.by_mm[i]].r.mm;

		if (mm && mm != last && table_has(s, mm, ioctx))
			return mm;
		last = mm;
	}
	return 0;
}

/* exit_aio() waits on its own stack, for I/O of an mm_struct that its task has no more. */
static u64 task_in_exit_aio(struct snap *s, u64 ioctx)
{
	u64 wait;

	return !ioctx || kmem_get(s->k, ioctx, KF_KIOCTX_RQ_WAIT, &wait) ? 0 :
									   task_of_stack(s, wait);
}

struct releasers {
	struct fact_releaser *v;
	u32 n;
};

static void add_releaser(struct snap *s, struct releasers *r, struct ktask *t)
{
	if (!t || s->err)
		return;
	s->err = array_grow(&r->v, r->n, sizeof(*r->v));
	if (s->err)
		return;
	r->v[r->n++] = (struct fact_releaser){ .task = t->r.task, .fd = -1 };
	task_tell(s, t);
}

/* Of each process that shares the mm its leader; of one whose leader is gone any thread. */
static void add_processes(struct snap *s, struct releasers *r, u64 mm)
{
	struct ktask *t, *other;

	for (u32 i = 0; (t = task_of_mm(s, mm, i)); i++) {
		bool stands = true;

		for (u32 j = 0; stands && (other = task_of_mm(s, mm, j)); j++)
			stands = other->r.tgid != t->r.tgid || other == t ||
				 (other->r.tid != t->r.tgid && (t->r.tid == t->r.tgid || j > i));
		if (stands)
			add_releaser(s, r, t);
	}
}

struct fact_releaser *io_releasers(struct snap *s, const struct io_owner *o, u32 *n)
{
	struct releasers r = { 0 };
	u64 mm = o->how == HOW_AIO ? mm_of_ioctx(s, o->ioctx) : 0;

	if (mm)
		add_processes(s, &r, mm);
	else if (o->how == HOW_AIO)
		add_releaser(s, &r, task_find(s, task_in_exit_aio(s, o->ioctx)));
	else
		add_releaser(s, &r, task_find(s, o->task));
	*n = r.n;
	return r.v;
}
