/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The anatomy of an image with one wait: where the structures lie that a test wants to damage, and
 * an oracle that tells whether an exact hold is really in the memory, damaged as it may be. What
 * the oracle knows it reads by itself, straight ahead, from the task that is accused.
 */
#ifndef DAXTOP_TESTS_BODY_H
#define DAXTOP_TESTS_BODY_H

#include "damage.h"
#include "look.h"

enum { ORACLE_SLOTS_MAX = 1 << 16, ORACLE_STACK = 16384, BIO_VEC_PAGES_MAX = 1 << 20 };

struct body {
	struct damage d; /* patch this, look at this */
	struct kmem *image;
	struct snap s;         /* what the collectors found in the undamaged image */
	u64 task, inode, page; /* of the first wait; page: head */
	u64 planted;           /* inode that a test made something else of */
	u64 entry, head;       /* list_head of its wait queue entry and of the bucket */
};

static inline int drop_fact(void *arg, const struct fact *f)
{
	(void)arg, (void)f;
	return 0;
}

static inline void body_open(struct body *b, const char *name)
{
	static const struct snapshot_opts opts = { .search_ns = 1 };
	const struct kwait *w;

	memset(b, 0, sizeof(*b));
	b->image = image_open(name);
	damage_init(&b->d, b->image);
	b->s = (struct snap){ .k = b->image, .opts = &opts, .sink = drop_fact };
	arch_init(&b->s.arch, b->image);
	assert_int_equal(pgmaps_load(&b->s), 0);
	assert_int_equal(tasks_load(&b->s), 0);
	assert_int_equal(waits_find(&b->s), 0);
	assert_int_equal(fds_load(&b->s), 0);
	assert_int_equal(vmas_load(&b->s), 0);
	assert_int_equal(b->s.nr_waits, 1);
	w = &b->s.waits[0];
	b->task = w->task;
	b->inode = w->inode;
	b->page = w->page;
	b->entry = kmem_at(b->image, w->wbqe, KF_WBQE_ENTRY);
	assert_int_equal(kmem_get(b->image, b->entry, KF_LIST_PREV, &b->head), 0);
}

static inline void body_close(struct body *b)
{
	tasks_free(&b->s.tasks);
	fds_free(&b->s.fds);
	free(b->s.pgmaps.v);
	free(b->s.waits);
	free(b->s.pages);
	free(b->s.vmas);
	free(b->s.told_files);
	arena_free(&b->s.arena);
	kmem_close(b->image);
}

/* A field that must be readable in the undamaged image. */
static inline u64 body_get(struct body *b, u64 obj, enum kf f)
{
	u64 val;

	assert_int_equal(kmem_get(b->image, obj, f, &val), 0);
	return val;
}

static inline struct ktask *body_task(struct body *b, u64 task)
{
	struct ktask *t = task_find(&b->s, task);

	assert_non_null(t);
	return t;
}

/* Whether an address is that of a struct page of the folio. */
static inline bool in_folio(const struct kmem *k, const struct fact_page *p, u64 page)
{
	return page >= p->id && (page - p->id) / k->field[KF_PAGE].off < 1ULL << p->order;
}

/* The pipe_inode_info behind a descriptor; 0 none. */
static inline u64 pipe_of(struct kmem *k, const struct task_rec *t, s32 fd)
{
	u64 fdt, array, file, inode, pipe;

	if (kmem_get(k, t->files, KF_FILES_FDT, &fdt) || kmem_get(k, fdt, KF_FDT_FD, &array) ||
	    kmem_read(k, array + (u64)fd * 8, &file, 8) ||
	    kmem_get(k, file & ~7ULL, KF_FILE_INODE, &inode) ||
	    kmem_get(k, inode, KF_INODE_PIPE, &pipe))
		return 0;
	return pipe;
}

static inline bool pipe_shows(struct kmem *k, u64 pipe, const struct fact_page *p)
{
	u64 size, bufs, page, step = k->field[KF_PIPE_BUF].off;

	if (kmem_get(k, pipe, KF_PIPE_RING_SIZE, &size) || kmem_get(k, pipe, KF_PIPE_BUFS, &bufs))
		return false;
	for (u64 i = 0; i < size && i < ORACLE_SLOTS_MAX; i++)
		if (!kmem_get(k, bufs + i * step, KF_PIPE_BUF_PAGE, &page) && in_folio(k, p, page))
			return true;
	return false;
}

/* The first word of a bio_vec that reaches the folio: of a page in it, or of one before. */
static inline bool may_reach(const struct kmem *k, const struct fact_page *p, u64 word)
{
	return in_folio(k, p, word) ||
	       (word < p->id && (p->id - word) / k->field[KF_PAGE].off < BIO_VEC_PAGES_MAX);
}

/* All of the stack that there is: who comes from a device's requests needs no stack pointer. */
static inline bool stack_shows(struct kmem *k, const struct task_rec *t, const struct fact_page *p)
{
	u64 word;

	for (u64 at = 0; at < ORACLE_STACK; at += sizeof(word))
		if (!kmem_read(k, t->stack + at, &word, sizeof(word)) && may_reach(k, p, word))
			return true;
	return false;
}

static inline const struct task_rec *rec_of(const struct task_rec *recs, size_t n, u64 task)
{
	for (size_t i = 0; i < n; i++)
		if (recs[i].task == task)
			return &recs[i];
	return NULL;
}

static inline bool memory_shows(struct kmem *k, const struct fact_hold *h,
				const struct fact_releaser *r, const struct task_rec *t,
				const struct fact_page *p)
{
	if (h->how == HOW_VMSPLICE) /* no descriptor leads to what a closing task still holds */
		return r->fd < 0 || pipe_shows(k, pipe_of(k, t, r->fd), p);
	return h->how != HOW_DIRECT_IO || stack_shows(k, t, p);
}

static inline bool is_waited_for(const struct look *l, u64 lock)
{
	for (u32 i = 0; i < l->n; i++)
		if (l->facts[i].type == FACT_WAIT && l->facts[i].wait.lock == lock)
			return true;
	return false;
}

static inline void assert_hold_honest(const struct look *l, struct kmem *k,
				      const struct fact_hold *h, const struct task_rec *recs,
				      size_t n)
{
	const struct fact *page = look_fact(l, FACT_PAGE, h->page);
	/*
	 * what nobody has open, what the kernel alone has, and a bio that nobody knows whose it is
	 */
	bool shown = !h->nr_releasers && h->how != HOW_VMSPLICE;

	assert_true(page || (h->lock && is_waited_for(l, h->lock)));
	assert_true(h->refs > 0);
	for (u32 i = 0; i < h->nr_releasers; i++) {
		const struct task_rec *t = rec_of(recs, n, h->releasers[i].task);

		assert_non_null(t);
		assert_non_null(look_fact(l, FACT_TASK, h->releasers[i].task));
		shown = shown || !page || memory_shows(k, h, &h->releasers[i], t, &page->page);
	}
	if (!shown)
		fail_msg("%s is named exact, but memory does not show it", fact_how_name(h->how));
}

/* Every exact hold is of a page and a task that exist, and the memory shows it. */
static inline void assert_honest(const struct look *l, struct kmem *k)
{
	struct task_rec *recs;
	size_t n;

	assert_int_equal(k->ops->tasks(k, &recs, &n), 0);
	for (u32 i = 0; i < l->n; i++)
		if (l->facts[i].type == FACT_HOLD && l->facts[i].hold.confidence == CONF_EXACT)
			assert_hold_honest(l, k, &l->facts[i].hold, recs, n);
	free(recs);
}

#endif
