// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Every open file of every task. Descriptor tables are read whole, a files_struct once however
 * many threads share it, and of each file only its inode: with 180,000 descriptors the rest must
 * wait until something about the inode matters.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "collect/snap.h"
#include "util/array.h"

#define FPUT_WORKS_MAX 1024
#define FMODE_READ     1 /* include/linux/fs.h */

enum {
	FDS_PER_TABLE_MAX = 1 << 20, /* sysctl fs.nr_open */
	FDS_MAX = 8 << 20,
	CHUNK = 512,
};

int fds_add(struct snap *s, struct kfd fd)
{
	int err;

	if (s->fds.n >= FDS_MAX) {
		snap_lost(s, LOSS_LOST, "descriptors", 1);
		return -E2BIG;
	}
	err = array_grow(&s->fds.v, s->fds.n, sizeof(fd));
	if (!err)
		s->fds.v[s->fds.n++] = fd;
	return err;
}

static int read_slots(struct snap *s, u64 task, u64 array, u64 nr)
{
	u64 slots[CHUNK];

	for (u64 at = 0; at < nr; at += CHUNK) {
		u64 n = nr - at < CHUNK ? nr - at : CHUNK;

		if (kmem_read(s->k, array + at * 8, slots, n * 8))
			return 0; /* the table was replaced: its task is not stuck */
		for (u64 i = 0; i < n; i++) {
			/* low bits: reserved for flags of resizable tables */
			struct kfd fd = { .task = task, .file = slots[i] & ~7ULL, .fd = at + i };
			int err = kmem_is_kernel_ptr(fd.file) ? fds_add(s, fd) : 0;

			if (err)
				return err == -E2BIG ? 0 : err;
		}
	}
	return 0;
}

static int read_table(struct snap *s, u64 files, u64 task)
{
	u64 fdt, max, array;

	if (kmem_get(s->k, files, KF_FILES_FDT, &fdt) ||
	    kmem_get(s->k, fdt, KF_FDT_MAX_FDS, &max) || kmem_get(s->k, fdt, KF_FDT_FD, &array))
		return 0;
	if (max > FDS_PER_TABLE_MAX) {
		snap_lost(s, LOSS_LOST, "descriptors", max - FDS_PER_TABLE_MAX);
		max = FDS_PER_TABLE_MAX;
	}
	return read_slots(s, task, array, max);
}

static int compare_files(const void *a, const void *b)
{
	const struct ktask *x = *(const struct ktask *const *)a;
	const struct ktask *y = *(const struct ktask *const *)b;

	if (x->r.files != y->r.files)
		return x->r.files < y->r.files ? -1 : 1;
	/* the leader stands for the table when it shares it */
	return (y->r.tid == y->r.tgid) - (x->r.tid == x->r.tgid);
}

static int read_tables(struct snap *s)
{
	const struct ktask **order = calloc(s->tasks.n + 1, sizeof(*order));
	u64 last = 0;
	int err = 0;

	if (!order)
		return -ENOMEM;
	for (u32 i = 0; i < s->tasks.n; i++)
		order[i] = &s->tasks.v[i];
	qsort(order, s->tasks.n, sizeof(*order), compare_files);
	for (u32 i = 0; i < s->tasks.n && !err; i++) {
		if (order[i]->r.files && order[i]->r.files != last)
			err = read_table(s, order[i]->r.files, order[i]->r.task);
		last = order[i]->r.files;
	}
	free(order);
	return err;
}

/*
 * A task on its way out of close() or exit() runs its pending fputs last in, first out. While it
 * waits in one of them, the files behind it are in no descriptor table any more, and only this
 * task can release them. The next work is in a register that task_work_run() saved on the stack.
 */
static int add_works(struct snap *s, const struct ktask *t, u64 work, u32 *budget)
{
	u64 func;

	while (kmem_is_kernel_ptr(work) && !(work & 7) &&
	       !kmem_get(s->k, work, KF_WORK_FUNC, &func) && func == s->k->sym[KSYM_FPUT]) {
		struct kfd fd = { .task = t->r.task,
				  .fd = -1,
				  .file = kmem_container(s->k, work, KF_FILE_TASK_WORK) };
		int err = *budget ? fds_add(s, fd) : -E2BIG;

		if (err)
			return err;
		--*budget;
		if (kmem_get(s->k, work, KF_WORK_NEXT, &work))
			break;
	}
	return 0;
}

static int add_pending_fputs(struct snap *s, const struct ktask *t)
{
	u64 start;
	u32 n;
	const u64 *words = task_stack_words(s, t, &n, &start);
	u32 budget = FPUT_WORKS_MAX;
	int err = 0;

	for (u32 i = 0; i < n && !err; i++)
		err = add_works(s, t, words[i], &budget);
	if (err != -E2BIG)
		return err;
	snap_lost(s, LOSS_LOST, "pending fputs", 1);
	return 0;
}

static int read_pending(struct snap *s)
{
	int err = 0;

	if (!s->k->sym[KSYM_FPUT] || !kmem_has(s->k, KF_FILE_TASK_WORK))
		return 0;
	for (u32 i = 0; i < s->nr_waits && !err; i++) {
		const struct ktask *t = task_find(s, s->waits[i].task);

		if (t && task_stack_has(t, "task_work_run"))
			err = add_pending_fputs(s, t);
	}
	return err;
}

/* Open addressing set of addresses; the value is the order of insertion. */
struct addr_set {
	u64 *keys;
	u32 *vals;
	u32 size, n;
};

static int set_init(struct addr_set *set, u32 expected)
{
	for (set->size = 64; set->size < expected * 2; set->size *= 2)
		;
	set->keys = calloc(set->size, sizeof(*set->keys));
	set->vals = calloc(set->size, sizeof(*set->vals));
	return set->keys && set->vals ? 0 : -ENOMEM;
}

static void set_free(struct addr_set *set)
{
	free(set->keys);
	free(set->vals);
}

/* The value of a key, which is added with the next value when it is new. */
static u32 set_add(struct addr_set *set, u64 key)
{
	u32 at = key * 0x9E3779B97F4A7C15ULL >> 32 & (set->size - 1);

	while (set->keys[at] && set->keys[at] != key)
		at = (at + 1) & (set->size - 1);
	if (!set->keys[at]) {
		set->keys[at] = key;
		set->vals[at] = set->n++;
	}
	return set->vals[at];
}

/* One field of each object into an array of 8 bytes each, one batch of reads after the other. */
static int read_column(struct snap *s, const u64 *objs, u32 n, enum kf f, u64 *vals)
{
	struct kget g[CHUNK];
	int err = 0;

	for (u32 at = 0; at < n && !err; at += CHUNK) {
		u32 batch = n - at < CHUNK ? n - at : CHUNK;

		for (u32 i = 0; i < batch; i++)
			g[i] = (struct kget){ .obj = objs[at + i], .f = f };
		err = kmem_getv(s->k, g, batch);
		for (u32 i = 0; i < batch; i++)
			vals[at + i] = g[i].val;
	}
	return err;
}

static void number_inodes(struct kfds *f, struct addr_set *set, const u64 *inode_of_file)
{
	for (u32 i = 0; i < f->n; i++) {
		u64 inode = inode_of_file[f->inode_of[i]];

		f->inode_of[i] = inode ? set_add(set, inode) : UINT32_MAX;
		if (inode)
			f->inodes[f->inode_of[i]] = inode;
	}
	f->nr_inodes = set->n;
}

static int read_modes(struct snap *s, u64 *scratch)
{
	struct kfds *f = &s->fds;
	int err = read_column(s, f->inodes, f->nr_inodes, KF_INODE_MODE, scratch);

	for (u32 i = 0; i < f->nr_inodes; i++)
		f->modes[i] = scratch[i];
	return err;
}

static void drop_columns(struct kfds *f)
{
	free(f->inodes);
	free(f->modes);
	free(f->inode_of);
	f->inodes = NULL;
	f->modes = NULL;
	f->inode_of = NULL;
}

static int alloc_columns(struct kfds *f)
{
	drop_columns(f);
	f->inode_of = calloc(f->n + 1, sizeof(*f->inode_of));
	f->inodes = calloc(f->n + 1, sizeof(*f->inodes));
	f->modes = calloc(f->n + 1, sizeof(*f->modes));
	return f->inode_of && f->inodes && f->modes ? 0 : -ENOMEM;
}

/* First the distinct files, then their distinct inodes: forks share files, both ends an inode. */
int fds_resolve(struct snap *s)
{
	struct addr_set files = { 0 }, inodes = { 0 };
	struct kfds *f = &s->fds;
	u64 *distinct = calloc(f->n + 1, sizeof(*distinct));
	u64 *scratch = calloc(f->n + 1, sizeof(*scratch));
	int err = -ENOMEM;

	if (distinct && scratch && !alloc_columns(f) && !set_init(&files, f->n) &&
	    !set_init(&inodes, f->n)) {
		for (u32 i = 0; i < f->n; i++) {
			f->inode_of[i] = set_add(&files, f->v[i].file);
			distinct[f->inode_of[i]] = f->v[i].file;
		}
		err = read_column(s, distinct, files.n, KF_FILE_INODE, scratch);
		number_inodes(f, &inodes, scratch);
		err = err ? err : read_modes(s, scratch);
	}
	set_free(&files);
	set_free(&inodes);
	free(distinct);
	free(scratch);
	return err;
}

int fds_load(struct snap *s)
{
	int err = read_tables(s);

	err = err ? err : read_pending(s);
	err = err ? err : fds_resolve(s);
	err = err ? err : uring_add(s);
	return err ? err : scm_add(s);
}

void fds_free(struct kfds *f)
{
	drop_columns(f);
	free(f->v);
	*f = (struct kfds){ 0 };
}

struct releasers {
	struct fact_releaser *v;
	u32 n;
};

/* How a task gets at a file, the worst step of the way. */
enum way { WAY_OPEN, WAY_REGISTERED, WAY_IN_FLIGHT };

static void add_releaser(struct snap *s, struct releasers *r, const struct kfd *fd, enum way way)
{
	struct ktask *t = task_find(s, fd->task);
	u64 mode = 0;
	u32 at = 0;

	if (!t)
		return;
	kmem_get(s->k, fd->file, KF_FILE_MODE, &mode);
	while (at < r->n && r->v[at].task != fd->task)
		at++;
	if (at == r->n) {
		s->err = s->err ? s->err : array_grow(&r->v, r->n, sizeof(*r->v));
		if (s->err)
			return;
		r->v[r->n++] = (struct fact_releaser){ .task = fd->task,
						       .fd = way == WAY_OPEN ? fd->fd : -1,
						       .receives = way == WAY_IN_FLIGHT,
						       .registered = way == WAY_REGISTERED };
		task_tell(s, t);
	}
	r->v[at].reads |= way != WAY_IN_FLIGHT && mode & FMODE_READ;
}

/* Every file of an inode, or one file of it; and how a task gets at it. */
struct sought {
	u64 inode, file;
	enum way way;
};

static bool is_sought(const struct kfds *f, u32 i, const struct sought *what)
{
	if (what->file)
		return f->v[i].file == what->file;
	return f->inode_of[i] != UINT32_MAX && f->inodes[f->inode_of[i]] == what->inode;
}

/* What leads to an object: itself, then the sockets that it is in flight to and its rings. */
struct routes {
	struct sought *v;
	u32 n;
};

static void add_route(struct snap *s, struct routes *r, struct sought what)
{
	for (u32 i = 0; i < r->n; i++)
		if (r->v[i].inode == what.inode && r->v[i].file == what.file)
			return;
	s->err = s->err ? s->err : array_grow(&r->v, r->n, sizeof(*r->v));
	if (!s->err)
		r->v[r->n++] = what;
}

/* A file without a descriptor is kept by a file that may be kept likewise. */
static void follow_route(struct snap *s, struct routes *routes, struct releasers *r,
			 struct sought what)
{
	const struct kfds *f = &s->fds;

	for (u32 i = 0; i < f->n && !s->err; i++) {
		const struct kfd *fd = &f->v[i];
		enum way step = fd->ring ? WAY_REGISTERED : WAY_IN_FLIGHT;
		struct sought keeper = { fd->via, fd->ring, what.way > step ? what.way : step };

		if (!is_sought(f, i, &what))
			continue;
		if (fd->task)
			add_releaser(s, r, fd, what.way);
		else
			add_route(s, routes, keeper);
	}
}

/* The first socket that the object itself is in flight to; 0 none. */
static u64 first_socket(const struct routes *r)
{
	for (u32 i = 1; i < r->n; i++)
		if (r->v[i].inode)
			return r->v[i].inode;
	return 0;
}

static struct fact_releaser *releasers_of(struct snap *s, struct sought what, u32 *n, u64 *via)
{
	struct routes routes = { 0 };
	struct releasers r = { 0 };

	if (via)
		*via = 0;
	add_route(s, &routes, what);
	for (u32 i = 0; i < routes.n && !s->err; i++) {
		follow_route(s, &routes, &r, routes.v[i]);
		if (!i && via)
			*via = first_socket(&routes);
	}
	free(routes.v);
	*n = r.n;
	return r.v;
}

struct fact_releaser *fds_releasers(struct snap *s, u64 inode, u32 *n, u64 *via)
{
	return releasers_of(s, (struct sought){ .inode = inode, .way = WAY_OPEN }, n, via);
}

struct fact_releaser *fds_releasers_of_file(struct snap *s, u64 file, u32 *n)
{
	return releasers_of(s, (struct sought){ .file = file, .way = WAY_OPEN }, n, NULL);
}

u64 fds_file(const struct snap *s, u64 inode)
{
	struct sought what = { .inode = inode };

	for (u32 i = 0; i < s->fds.n; i++)
		if (is_sought(&s->fds, i, &what))
			return s->fds.v[i].file;
	return 0;
}

u64 fd_file(struct snap *s, const struct ktask *t, u64 fd)
{
	u64 fdt, max, array, file;

	if (!t->r.files || kmem_get(s->k, t->r.files, KF_FILES_FDT, &fdt) ||
	    kmem_get(s->k, fdt, KF_FDT_MAX_FDS, &max) || kmem_get(s->k, fdt, KF_FDT_FD, &array) ||
	    fd >= max || kmem_read(s->k, array + fd * 8, &file, 8))
		return 0;
	return file & ~7ULL;
}
