// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Files registered with io_uring (IORING_REGISTER_FILES). The ring keeps them open when the last
 * descriptor has been closed; and a task may keep the ring itself without a descriptor, as a
 * registered one (IORING_REGISTER_RING_FDS, v5.18) or mapped. What is registered is released by
 * whoever has the ring.
 */
#include <errno.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "collect/mm.h"
#include "util/array.h"

#define FILE_FLAGS 7ULL /* io_uring/filetable.h: FFS_NOWAIT, FFS_ISREG and older ones */

enum {
	BATCH = 256,
	REGISTERED_RINGS = 16,   /* IO_RINGFD_REG_MAX, io_uring/tctx.h */
	REGISTERED_MAX = 1 << 20 /* IORING_MAX_FIXED_FILES, io_uring/rsrc.c */
};

struct files {
	u64 *v;
	u32 n;
};

/* Files of the mappings of one address space. */
struct mapped {
	struct files files;
	int err;
};

static int keep(struct files *f, u64 file)
{
	int err = array_grow(&f->v, f->n, sizeof(file));

	if (!err)
		f->v[f->n++] = file;
	return err;
}

static int compare_u64(const void *a, const void *b)
{
	u64 x = *(const u64 *)a, y = *(const u64 *)b;

	return x < y ? -1 : x > y;
}

static void sort_unique(struct files *f)
{
	u32 kept = 0;

	if (f->n)
		qsort(f->v, f->n, sizeof(*f->v), compare_u64);
	for (u32 i = 0; i < f->n; i++)
		if (!kept || f->v[kept - 1] != f->v[i])
			f->v[kept++] = f->v[i];
	f->n = kept;
}

/*
 * anon_inode files, of which rings are some: mode 0600, without a type before cfd86ef7e8e7
 * ("anon_inode: use a proper mode internally", v6.16). It keeps most files from being looked at.
 */
static bool may_be_anonymous(u16 mode)
{
	return (mode & ~S_IFMT) == (S_IRUSR | S_IWUSR) && (!(mode & S_IFMT) || S_ISREG(mode));
}

static int collect_anonymous(struct snap *s, struct files *found)
{
	const struct kfds *f = &s->fds;
	int err = 0;

	for (u32 i = 0; i < f->n && !err; i++)
		if (f->inode_of[i] != UINT32_MAX && may_be_anonymous(f->modes[f->inode_of[i]]))
			err = keep(found, f->v[i].file);
	sort_unique(found);
	return err;
}

/* Keeps of the files those that are rings. */
static int keep_rings(struct snap *s, struct files *f)
{
	u32 kept = 0;
	int err = 0;

	for (u32 at = 0; at < f->n && !err; at += BATCH) {
		struct kget g[BATCH];
		u32 n = f->n - at < BATCH ? f->n - at : BATCH;

		for (u32 i = 0; i < n; i++)
			g[i] = (struct kget){ f->v[at + i], KF_FILE_OP, 0, 0 };
		err = kmem_getv(s->k, g, n);
		for (u32 i = 0; i < n; i++)
			if (!g[i].err && g[i].val == s->k->sym[KSYM_IO_URING_FOPS])
				f->v[kept++] = g[i].obj;
	}
	f->n = kept;
	return err;
}

/* io_uring_task of every task, in the order of s->tasks; most have none. NULL without memory. */
static u64 *read_tctxs(struct snap *s)
{
	u64 *tctx = calloc(s->tasks.n + 1, sizeof(*tctx));

	for (u32 at = 0; tctx && at < s->tasks.n; at += BATCH) {
		struct kget g[BATCH];
		u32 n = s->tasks.n - at < BATCH ? s->tasks.n - at : BATCH;

		for (u32 i = 0; i < n; i++)
			g[i] = (struct kget){ s->tasks.v[at + i].r.task, KF_TASK_IO_URING, 0, 0 };
		if (kmem_getv(s->k, g, n))
			break;
		for (u32 i = 0; i < n; i++)
			tctx[at + i] = g[i].val;
	}
	return tctx;
}

static int add_ring(struct snap *s, const struct ktask *t, u64 file, struct files *rings)
{
	struct kfd fd = { .task = t->r.task, .file = file, .fd = -1 };
	int err = fds_add(s, fd);

	return err ? err : keep(rings, file);
}

/* The rings that a task reaches by an index of its own, without a descriptor. */
static int add_registered_rings(struct snap *s, const struct ktask *t, u64 tctx,
				struct files *rings)
{
	u64 files[REGISTERED_RINGS];
	int err = 0;

	if (!tctx || !kmem_has(s->k, KF_IO_TCTX_RINGS) ||
	    kmem_read(s->k, kmem_at(s->k, tctx, KF_IO_TCTX_RINGS), files, sizeof(files)))
		return 0;
	for (u32 i = 0; i < REGISTERED_RINGS && !err; i++)
		if (kmem_is_kernel_ptr(files[i]))
			err = add_ring(s, t, files[i], rings);
	return err;
}

static void keep_mapped(void *arg, const struct mm_vma *v)
{
	struct mapped *m = arg;

	if (v->file && !m->err)
		m->err = keep(&m->files, v->file);
}

/* The rings that a task has mapped, of which it may have closed the descriptor. */
static int add_mapped_rings(struct snap *s, const struct ktask *t, const struct files *known,
			    struct files *rings)
{
	struct mapped m = { 0 };
	int err;

	mm_walk_vmas(s, t->r.mm, keep_mapped, &m);
	sort_unique(&m.files);
	err = m.err ? m.err : keep_rings(s, &m.files);
	for (u32 i = 0; i < m.files.n && !err; i++)
		if (!known->n ||
		    !bsearch(&m.files.v[i], known->v, known->n, sizeof(*known->v), compare_u64))
			err = add_ring(s, t, m.files.v[i], rings);
	free(m.files.v);
	return err;
}

/* Rings without a descriptor, of the tasks that have used any. */
static int add_hidden_rings(struct snap *s, struct files *rings)
{
	u64 *tctx = read_tctxs(s), mm = 0;
	struct files more = { 0 };
	int err = tctx ? 0 : -ENOMEM;

	for (u32 i = 0; i < s->tasks.n && !err; i++)
		err = add_registered_rings(s, &s->tasks.v[i], tctx[i], rings);
	sort_unique(rings);
	for (u32 i = 0; i < s->tasks.n && !err; i++) {
		const struct ktask *t = &s->tasks.v[s->tasks.by_mm[i]];

		/* threads share the mm */
		if (!tctx[s->tasks.by_mm[i]] || !t->r.mm || t->r.mm == mm)
			continue;
		mm = t->r.mm;
		err = add_mapped_rings(s, t, rings, &more);
	}
	for (u32 i = 0; i < more.n && !err; i++)
		err = keep(rings, more.v[i]);
	sort_unique(rings);
	free(more.v);
	free(tctx);
	return err;
}

/* Adds a slot's file; last: the one before it, since a file may be registered many times. */
static int add_registered(struct snap *s, u64 ring, u64 slot, u64 *last)
{
	struct kfd fd = { .ring = ring, .file = slot & ~FILE_FLAGS, .fd = -1 };

	if (!kmem_is_kernel_ptr(fd.file) || fd.file == *last)
		return 0;
	*last = fd.file;
	return fds_add(s, fd);
}

/*
 * The slots point at nodes of which each leads to its file since 7029acd8a950 ("io_uring/rsrc: get
 * rid of per-ring io_rsrc_node list", v6.13), and before at the file.
 */
static int add_slots(struct snap *s, u64 ring, const u64 *slots, u32 n, u64 *last)
{
	bool nodes = kmem_has(s->k, KF_RING_FILE_NODES);
	struct kget g[BATCH];
	int err = 0;

	for (u32 i = 0; i < n; i++)
		g[i] = (struct kget){ slots[i], KF_IO_RSRC_NODE_FILE, 0, 0 };
	if (nodes)
		err = kmem_getv(s->k, g, n);
	for (u32 i = 0; i < n && !err; i++)
		err = add_registered(s, ring, nodes ? g[i].val : slots[i], last);
	return err;
}

static int add_files_of(struct snap *s, u64 ring)
{
	bool nodes = kmem_has(s->k, KF_RING_FILE_NODES);
	u64 ctx, table, nr, slots[BATCH], last = 0;
	int err = 0;

	if (kmem_get(s->k, ring, KF_FILE_PRIVATE, &ctx) ||
	    kmem_get(s->k, ctx, nodes ? KF_RING_FILE_NODES : KF_RING_FILES, &table) ||
	    kmem_get(s->k, ctx, nodes ? KF_RING_NR_FILE_NODES : KF_RING_NR_FILES, &nr) || !table)
		return 0;
	if (nr > REGISTERED_MAX) {
		snap_lost(s, LOSS_TORN, "io_uring files", 1);
		return 0;
	}
	for (u64 at = 0; at < nr && !err; at += BATCH) {
		u32 n = nr - at < BATCH ? nr - at : BATCH;

		if (kmem_read(s->k, table + at * sizeof(*slots), slots, n * sizeof(*slots)))
			break;
		err = add_slots(s, ring, slots, n, &last);
	}
	return err;
}

static const char *lacks(const struct kmem *k)
{
	enum kf rings = kmem_has(k, KF_RING_FILES) ? KF_RING_FILES : KF_RING_FILE_NODES;
	const char *hidden = kmem_hides(k, KSYM_IO_URING_FOPS);

	return hidden ? hidden : KMEM_LACKS(k, KF_FILE_OP, KF_FILE_PRIVATE, rings);
}

int uring_add(struct snap *s)
{
	struct files rings = { 0 };
	const char *lacked = lacks(s->k);
	u32 before = s->fds.n;
	int err;

	snap_probe_needs(s, "io_uring files", lacked,
			 "a pipe or socket that is only registered with an io_uring is not found");
	if (lacked)
		return 0;
	err = collect_anonymous(s, &rings);
	err = err ? err : keep_rings(s, &rings);
	if (!err && kmem_has(s->k, KF_TASK_IO_URING))
		err = add_hidden_rings(s, &rings);
	for (u32 i = 0; i < rings.n && !err; i++)
		err = add_files_of(s, rings.v[i]);
	free(rings.v);
	if (err && err != -E2BIG)
		return err;
	return s->fds.n > before ? fds_resolve(s) : 0;
}
