// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Who submitted a bio. Its completion function says what bi_private is, which leads to a kiocb, and
 * the kiocb's own completion function says who started the I/O. What belongs to a synchronous call,
 * a kiocb or a completion, lies on the kernel stack of the task that sleeps in it.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "collect/mm.h"
#include "util/array.h"

#define REQ_OP_MASK 0xff /* include/linux/blk_types.h */

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

const char *symbol_name(struct snap *s, struct symbol_cache *c, u64 addr)
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

static bool read_kiocb(struct snap *s, u64 iocb, u64 *file, u64 *complete)
{
	struct kget g[] = { { iocb, KF_KIOCB_FILP, 0, 0 }, { iocb, KF_KIOCB_COMPLETE, 0, 0 } };

	if (!kmem_is_kernel_ptr(iocb) || kmem_getv(s->k, g, 2) || g[0].err || g[1].err)
		return false;
	*file = g[0].val;
	*complete = g[1].val;
	return kmem_is_kernel_ptr(*file);
}

/*
 * A filesystem above another one, as overlayfs or FUSE with passthrough, asks that with a kiocb of
 * its own: struct backing_aio (fs/backing-file.c), until v6.8 ovl_aio_req (fs/overlayfs/file.c),
 * has the one that it was asked with in its next word, or since v5.15 in the one behind a counter.
 */
static u64 kiocb_above(struct snap *s, u64 iocb)
{
	u64 words[2], file, complete;

	if (!kmem_has(s->k, KF_KIOCB) ||
	    kmem_read(s->k, iocb + s->k->field[KF_KIOCB].off, words, sizeof(words)))
		return 0;
	for (u32 i = 0; i < 2; i++)
		if (read_kiocb(s, words[i], &file, &complete) && kmem_is_kernel_ptr(complete))
			return words[i];
	return 0;
}

/* The kiocb of who asked first, and its completion function. */
static const char *first_kiocb(struct snap *s, struct symbol_cache *c, u64 *iocb, u64 complete)
{
	static const char *const stacked[] = { "backing_aio_rw_complete",
					       "backing_aio_queue_completion",
					       "ovl_aio_rw_complete", "ovl_aio_queue_completion",
					       NULL };
	const char *name = symbol_name(s, c, complete);
	u64 above, file;

	for (u32 n = 0; n < LEVELS_MAX && is_one_of(name, stacked); n++) {
		above = kiocb_above(s, *iocb);
		if (!above || !read_kiocb(s, above, &file, &complete))
			break;
		*iocb = above;
		name = symbol_name(s, c, complete);
	}
	return name;
}

/* struct aio_kiocb and struct io_kiocb both start with their kiocb. */
static void take_kiocb(struct snap *s, struct symbol_cache *c, struct io_owner *o, u64 iocb)
{
	static const char *const uring[] = { "io_complete_rw", "io_complete_rw_iopoll", NULL };
	const char *name;
	u64 complete;

	if (!read_kiocb(s, iocb, &o->file, &complete))
		return;
	if (!complete) {
		o->task = task_of_stack(s, iocb);
		return;
	}
	name = first_kiocb(s, c, &iocb, complete);
	if (is_one_of(name, uring)) {
		take_io_kiocb(s, o, iocb);
	} else if (!strcmp(name, "aio_complete_rw")) {
		o->how = HOW_AIO;
		kmem_get(s->k, iocb, KF_AIO_KIOCB_CTX, &o->ioctx);
	}
}

struct io_owner kiocb_owner(struct snap *s, struct symbol_cache *c, u64 iocb)
{
	struct io_owner o = { .how = HOW_DIRECT_IO };

	take_kiocb(s, c, &o, iocb);
	return o;
}

bool iocb_owner(struct snap *s, struct symbol_cache *c, u64 word, struct io_owner *ret)
{
	u64 file, complete, inode, mode;

	if (word & 7 || !read_kiocb(s, word, &file, &complete) || !kmem_is_kernel_ptr(complete) ||
	    kmem_get(s->k, file, KF_FILE_INODE, &inode) || !kmem_is_kernel_ptr(inode) ||
	    kmem_get(s->k, inode, KF_INODE_MODE, &mode) || !S_ISREG(mode))
		return false;
	*ret = kiocb_owner(s, c, word);
	return ret->how != HOW_DIRECT_IO;
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

/* What comes of direct I/O has a kiocb of a file that was opened for that. */
static bool is_iomap_dio(struct snap *s, u64 dio)
{
	u64 iocb, file, complete, flags;

	return kmem_is_kernel_ptr(dio) && !(dio & 7) &&
	       !kmem_get(s->k, dio, KF_IOMAP_DIO_IOCB, &iocb) &&
	       read_kiocb(s, iocb, &file, &complete) &&
	       !kmem_get(s->k, file, KF_FILE_FLAGS, &flags) && flags & O_DIRECT;
}

/*
 * A filesystem may complete the bios of its direct I/O itself and keep in front of a bio, which is
 * embedded then, what it belongs to: struct btrfs_bio has the iomap_dio as private since v6.2.
 */
static bool take_embedded(struct snap *s, struct symbol_cache *c, struct io_owner *o, u64 bio)
{
	u64 words[AROUND / sizeof(u64)];

	if (kmem_read(s->k, bio - AROUND, words, sizeof(words)))
		return false;
	for (u32 i = sizeof(words) / sizeof(*words); i--;) {
		if (!is_iomap_dio(s, words[i]))
			continue;
		take_dio(s, c, o, words[i], KF_IOMAP_DIO_IOCB);
		if (o->how != HOW_DIRECT_IO || o->task)
			return true;
	}
	o->file = 0;
	return false;
}

/* Of a command by io_uring, which starts an io_kiocb: drivers/nvme/host/ioctl.c, v5.19. */
static void take_uring_cmd(struct snap *s, struct io_owner *o, u64 cmd)
{
	enum fact_how how = o->how;

	take_io_kiocb(s, o, cmd);
	o->how = how;
	if (kmem_read(s->k, kmem_at(s->k, cmd, KF_IO_KIOCB_CMD), &o->file, sizeof(o->file)))
		o->file = 0;
}

/* A pass-through request, as of SG_IO: who waits for it has the completion on its stack. */
static void take_request(struct snap *s, struct symbol_cache *c, struct io_owner *o, u64 rq)
{
	static const char *const uring[] = { "nvme_uring_cmd_end_io", "nvme_uring_cmd_end_io_meta",
					     NULL };
	struct kget g[] = { { rq, KF_RQ_FLAGS, 0, 0 }, { rq, KF_RQ_END_DATA, 0, 0 } };
	u64 end_io;

	o->how = HOW_UNKNOWN;
	if (!rq || kmem_getv(s->k, g, 2) || g[0].err || g[1].err)
		return;
	if ((g[0].val & REQ_OP_MASK) >= (u64)s->k->field[KF_REQ_OP_PASSTHROUGH].off)
		o->how = HOW_SG_IO;
	if (!kmem_get(s->k, rq, KF_RQ_END_IO, &end_io) &&
	    is_one_of(symbol_name(s, c, end_io), uring))
		take_uring_cmd(s, o, g[1].val);
	else
		o->task = task_of_stack(s, g[1].val);
}

/* I/O outlives the thread that submitted it: then another one stands for the process, if any. */
static void find_live(struct snap *s, struct io_owner *o)
{
	struct ktask *t = task_find(s, o->task);
	const struct ktask *live = t ? task_live(s, t) : NULL;
	u64 exit_state;

	/* of a task that is waited for no more, the request keeps the task_struct */
	o->gone = !live &&
		  (t || (!kmem_get(s->k, o->task, KF_TASK_EXIT_STATE, &exit_state) && exit_state));
	o->task = live ? live->r.task : 0;
}

struct io_owner bio_owner(struct snap *s, struct symbol_cache *c, const struct kbio *bio)
{
	static const char *const on_stack[] = { "submit_bio_wait_endio", "bio_wait_end_io", NULL };
	static const char *const generic[] = { "dio_bio_end_io", "dio_bio_end_aio", NULL };
	const char *name = symbol_name(s, c, bio->end_io);
	struct io_owner o = { .how = HOW_DIRECT_IO, .known = true };

	if (!bio->end_io)
		take_request(s, c, &o, bio->rq);
	else if (!strcmp(name, "iomap_dio_bio_end_io"))
		take_dio(s, c, &o, bio->private, KF_IOMAP_DIO_IOCB);
	else if (!strcmp(name, "iomap_dio_simple_end_io") && kmem_has(s->k, KF_IOMAP_SIMPLE_BIO))
		take_dio(s, c, &o, kmem_container(s->k, bio->addr, KF_IOMAP_SIMPLE_BIO),
			 KF_IOMAP_SIMPLE_IOCB);
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
	else
		o.known = take_embedded(s, c, &o, bio->addr);
	if (o.task)
		find_live(s, &o);
	return o;
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
	if (!strcmp(symbol_name(s, c, clone->end_io), "bio_chain_endio"))
		return is_source(s, clone, clone->private, ret);
	return is_source(s, clone, clone->vecs - s->k->field[KF_BIO].off, ret) ||
	       source_near(s, clone, clone->addr - AROUND, ret) ||
	       source_near(s, clone, clone->private, ret);
}

struct kbio bio_original(struct snap *s, struct symbol_cache *c, const struct kbio *bio)
{
	struct kbio at = *bio, up;

	for (u32 n = 0; n < LEVELS_MAX && bio_is_clone(s, &at) && source_of(s, c, &at, &up); n++)
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

static struct fact_releaser *one_releaser(struct snap *s, struct ktask *t, u32 *n)
{
	struct fact_releaser *r = NULL;

	*n = 0;
	s->err = s->err || !t ? s->err : array_grow(&r, 0, sizeof(*r));
	if (!r)
		return NULL;
	*r = (struct fact_releaser){ .task = t->r.task, .fd = -1 };
	*n = 1;
	task_tell(s, t);
	return r;
}

struct fact_releaser *io_releasers(struct snap *s, const struct io_owner *o, u32 *n)
{
	u64 mm = o->how == HOW_AIO ? mm_of_ioctx(s, o->ioctx) : 0;

	if (mm)
		return mm_releasers(s, mm, n);
	if (o->how == HOW_AIO)
		return one_releaser(s, task_find(s, task_in_exit_aio(s, o->ioctx)), n);
	return one_releaser(s, task_find(s, o->task), n);
}

/* The descriptor of a synchronous call; -1 when it is no call on an O_DIRECT descriptor. */
static s32 fd_of_call(struct snap *s, struct ktask *t, u64 *file)
{
	const struct arch_regs *regs = t && t->r.mm ? task_regs(s, t) : NULL;
	u64 flags;

	if (!regs || *arch_syscall_args(regs->syscall) != 'd')
		return -1;
	*file = fd_file(s, t, regs->args[0]);
	if (!*file || kmem_get(s->k, *file, KF_FILE_FLAGS, &flags) || !(flags & O_DIRECT))
		return -1;
	return (s32)regs->args[0];
}

u64 io_name_call(struct snap *s, const struct io_owner *o, struct fact_hold *h,
		 struct fact_releaser *r)
{
	struct ktask *t = task_find(s, o->task);
	u64 file = 0;
	s32 fd = fd_of_call(s, t, &file);

	h->held_ns = t ? task_asleep_ns(s, t) : FACT_UNKNOWN;
	if (fd < 0)
		return o->file;
	r->fd = fd;
	h->object_kind = "file";
	h->object_id = snap_text(s, "fd %d of %u", fd, t->r.tid);
	return o->file ? o->file : file;
}
