// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Synchronous O_DIRECT in flight whose buffer is the busy page: the task sleeps in read or write
 * and its registers say descriptor, buffer and length. Where the page itself is still seen in the
 * bio on the task's own stack, the hold is exact; else it is likely.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>

#include "collect/snap.h"

enum { SECTOR = 512 };

/* How many bytes of the buffers can lie in the folio: all of it, where its index is unknown. */
struct overlap {
	struct snap *s;
	const struct kpage *page;
	u64 mm;
	u64 bytes;
};

struct rw_call {
	s32 nr;
	bool vectored;
};

static const struct rw_call rw_calls[] = {
	{ SYS_read, false },     { SYS_write, false },  { SYS_pread64, false },
	{ SYS_pwrite64, false }, { SYS_readv, true },   { SYS_writev, true },
	{ SYS_preadv, true },    { SYS_pwritev, true }, { SYS_preadv2, true },
	{ SYS_pwritev2, true },
};

/*
 * A frame that says: pages are pinned and the I/O was submitted. A task in the same system call
 * that still waits for a lock before it pins anything has none of these.
 */
static const struct {
	const char *function;
	enum fact_how how;
} in_flight[] = {
	{ "submit_bio_wait", HOW_DIRECT_IO },
	{ "bio_await", HOW_DIRECT_IO },
	{ "__blkdev_direct_IO_simple", HOW_DIRECT_IO },
	{ "__blkdev_direct_IO", HOW_DIRECT_IO },
	{ "blkdev_direct_IO", HOW_DIRECT_IO },
	{ "__iomap_dio_rw", HOW_DIRECT_IO },
	{ "iomap_dio_rw", HOW_DIRECT_IO },
	{ "__blockdev_direct_IO", HOW_DIRECT_IO },
	{ "do_blockdev_direct_IO", HOW_DIRECT_IO },
	{ "fuse_direct_io", HOW_FUSE },
	{ "fuse_direct_IO", HOW_FUSE },
	{ "nfs_file_direct_write", HOW_NFS },
	{ "nfs_file_direct_read", HOW_NFS },
	{ "netfs_unbuffered_write", HOW_DIRECT_IO },
	{ "netfs_unbuffered_read", HOW_DIRECT_IO },
	{ "netfs_wait_for_in_progress", HOW_DIRECT_IO },
};

/* Likewise, if it sleeps there itself: what they call may sleep before the pages are pinned. */
static const char *const sleeps_in[] = { "__cifs_writev", "__cifs_readv", NULL };

static const struct rw_call *rw_call(s32 nr)
{
	for (size_t i = 0; i < sizeof(rw_calls) / sizeof(*rw_calls); i++)
		if (rw_calls[i].nr == nr)
			return &rw_calls[i];
	return NULL;
}

static u64 min_u64(u64 a, u64 b)
{
	return a < b ? a : b;
}

static u64 max_u64(u64 a, u64 b)
{
	return a > b ? a : b;
}

/* Adds what a user buffer has in common with the folio, through any mapping of its file. */
static void add_buffer(struct overlap *o, u64 base, u64 len)
{
	u32 n;
	const struct kvma *v = vmas_of(o->s, o->mm, &n);

	for (u32 i = 0; i < n; i++) {
		u64 from, to;

		if (!vma_covers(&v[i], o->page))
			continue;
		vma_range(&v[i], o->page, &from, &to);
		from = max_u64(base, from);
		to = min_u64(base + len, to);
		if (from < to)
			o->bytes += to - from;
	}
}

static void add_vector(struct overlap *o, const struct arch_regs *regs)
{
	static struct iovec iov[ARCH_IOVECS_MAX];
	u64 n = regs->args[2], pgd;

	if (n > ARCH_IOVECS_MAX || kmem_get(o->s->k, o->mm, KF_MM_PGD, &pgd) ||
	    arch_read_iovecs(&o->s->arch, o->s->k, pgd, regs, regs->args[1], iov, n))
		return;
	for (u64 i = 0; i < n; i++)
		add_buffer(o, (u64)iov[i].iov_base, iov[i].iov_len);
}

/*
 * Whether two words are a bio_vec {bv_page, bv_len, bv_offset} of a direct I/O that reaches into
 * the folio. Neighbouring pages share one bio_vec.
 */
static bool is_bio_vec_of(struct snap *s, const u64 *words, const struct kpage *p)
{
	u64 first = words[0], size = s->k->field[KF_PAGE].off;
	u32 len = words[1], off = words[1] >> 32;
	u64 end = first + ((off + (u64)len + ARCH_PAGE_SIZE - 1) >> ARCH_PAGE_SHIFT) * size;

	if (!len || len % SECTOR || off % SECTOR || off >= ARCH_PAGE_SIZE || first % 8)
		return false;
	return first < p->head + (size << p->order) && end > p->head && page_is_fsdax(s, first);
}

/* The bio of a short request lies on its submitter's stack, bio_vecs included. */
static bool page_on_stack(struct snap *s, const struct ktask *t, const struct kpage *p)
{
	u64 start;
	u32 n;
	const u64 *words = task_stack_words(s, t, &n, &start);

	for (u32 i = 0; i + 1 < n; i++)
		if (is_bio_vec_of(s, words + i, p))
			return true;
	return false;
}

/* The function in which it waits for the I/O; NULL none. */
static const char *waits_in(const struct ktask *t, enum fact_how *how)
{
	for (size_t i = 0; i < sizeof(in_flight) / sizeof(*in_flight); i++)
		if (task_stack_has(t, in_flight[i].function)) {
			*how = in_flight[i].how;
			return in_flight[i].function;
		}
	for (const char *const *f = sleeps_in; *f; f++)
		if (t->r.nr_stack && frame_is(t->frames[0], *f))
			return *f;
	return NULL;
}

/* How sure it is that this call pins the page, by what, and the clause that says why. */
static enum fact_confidence judge(struct snap *s, const struct ktask *t, const struct kpage *p,
				  u64 bytes, enum fact_how *how, const char **detail)
{
	const char *where = waits_in(t, how);
	unsigned long long n = bytes;

	if (where && *how == HOW_DIRECT_IO && page_on_stack(s, t, p)) {
		*detail = "its bio, on its kernel stack, names the page";
		return CONF_EXACT;
	}
	if (!where) {
		*detail = "its buffer is in this file, but it does not sleep in direct I/O";
		return CONF_CANDIDATE;
	}
	if (p->index == FACT_UNKNOWN) {
		*detail = snap_text(s, "%llu bytes of its buffer are in this file; it sleeps in %s",
				    n, where);
		return CONF_CANDIDATE;
	}
	*detail = snap_text(s, "%llu bytes of its buffer are this page; it sleeps in %s", n, where);
	return CONF_LIKELY;
}

/* Its device has the bio; whether in a queue, walk_bios() finds out. */
static void tell_below(struct snap *s, u64 file, struct fact_hold *h)
{
	u64 disk = file_disk(s, file), answers;
	const struct kbelow *below = disk ? disk_below(s, disk, h->held_ns) : NULL;

	if (!below || (!below->disk && !below->type))
		return;
	below_tell(below, h);
	answers = below_answers(below, disk);
	if (answers != disk) {
		h->device = disk_describe(s, answers);
		h->target = snap_text(s, "%s on %s", file_describe(s, file), h->device);
	}
	if (below->disk)
		h->detail = snap_text(s, "%s; below other I/O waits for %s", h->detail, h->device);
}

/* What holds the I/O back, where that is known. */
static void tell_delay(struct snap *s, const struct ktask *t, u64 file, struct fact_hold *h)
{
	if (throttled_tell(s, t, h)) {
		h->detail = snap_text(s, "%s; %s of cgroup %s holds it back", h->detail,
				      h->limit_by, h->limit);
	} else if (bio_submission_sleeps(t)) {
		h->unqueued = true;
		h->detail = snap_text(s, "%s; it is in no queue, and the call sleeps in %s()",
				      h->detail, frame_function(s, t->frames[0]));
	} else {
		tell_below(s, file, h);
	}
}

static void tell_hold(struct snap *s, struct ktask *t, const struct kpage *p, u64 file, u64 bytes)
{
	struct fact_releaser r = { .task = t->r.task, .fd = (s32)t->regs.args[0] };
	struct fact f = { .type = FACT_HOLD };

	task_tell(s, t);
	f.hold.page = p->head;
	f.hold.how = HOW_DIRECT_IO;
	f.hold.confidence = judge(s, t, p, bytes, &f.hold.how, &f.hold.detail);
	f.hold.refs = f.hold.confidence == CONF_CANDIDATE ? 0 : 1;
	f.hold.object_kind = "file";
	f.hold.object_id = snap_text(s, "fd %d of %u", (s32)t->regs.args[0], t->r.tid);
	file_tell_target(s, file, &f.hold);
	f.hold.held_ns = task_asleep_ns(s, t);
	if (f.hold.confidence != CONF_CANDIDATE && f.hold.how == HOW_DIRECT_IO)
		tell_delay(s, t, file, &f.hold);
	f.hold.releasers = &r;
	f.hold.nr_releasers = 1;
	snap_emit(s, &f);
}

/* The file of a call on an O_DIRECT descriptor; 0 for any other. */
static u64 direct_file(struct snap *s, const struct ktask *t)
{
	u64 file = fd_file(s, t, t->regs.args[0]), flags;

	if (!file || kmem_get(s->k, file, KF_FILE_FLAGS, &flags) || !(flags & O_DIRECT))
		return 0;
	return file;
}

static void look_at(struct snap *s, struct ktask *t)
{
	const struct arch_regs *regs = task_regs(s, t);
	const struct rw_call *call = regs ? rw_call(regs->syscall) : NULL;
	u64 file = call ? direct_file(s, t) : 0;

	for (u32 i = 0; file && i < s->nr_pages; i++) {
		struct overlap o = { .s = s, .page = &s->pages[i], .mm = t->r.mm };

		if (call->vectored)
			add_vector(&o, regs);
		else
			add_buffer(&o, regs->args[1], regs->args[2]);
		if (o.bytes)
			tell_hold(s, t, o.page, file, o.bytes);
	}
}

const char *walk_direct_io_lacks(const struct snap *s)
{
	return arch_lacks(&s->arch, ARCH_REGS) ?: KMEM_LACKS(s->k, KF_FILE_FLAGS, KF_FDT_FD);
}

int walk_direct_io(struct snap *s)
{
	for (u32 i = 0; i < s->tasks.n; i++) {
		struct ktask *t = &s->tasks.v[i];
		u32 n;

		if (t->r.mm && task_is_asleep(t) && vmas_of(s, t->r.mm, &n))
			look_at(s, t);
	}
	return 0;
}
