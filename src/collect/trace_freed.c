// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Pages that leave their file while they are referenced. Up to 6.14 a truncate waits for nobody
 * when no task maps the file, and the end of an inode never does. That is told when it happens; and
 * again by each look, with who still refers to the page, until nobody does.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "collect/trace.h"
#include "util/array.h"

enum {
	FREED_MAX = 4096, /* that are kept */
	PAGES_MAX = 512,  /* of one entry, include/linux/pfn_t.h: a 2 MiB page */
};

int trace_take_freed(struct trace *t, const struct trace_rec *rec)
{
	if (t->nr_freed == FREED_MAX) {
		t->freed_lost++;
		return 0;
	}
	if (array_grow(&t->freed, t->nr_freed, sizeof(*t->freed)))
		return -ENOMEM;
	t->freed[t->nr_freed++] = (struct freed){ .rec = *rec };
	return 0;
}

/* The pages of an entry that are still referenced join those whose holders are looked for. */
static int add_pages(struct snap *s, struct freed *f)
{
	u64 size = s->k->field[KF_PAGE].off;
	u32 n = f->rec.nr_pages < PAGES_MAX ? f->rec.nr_pages : PAGES_MAX;
	int err = 0;

	f->busy = 0;
	for (u32 i = 0; i < n && !err; i++) {
		u64 page = s->arch.vmemmap + f->rec.pfn * size + i * size;
		struct kpage p;

		if (!page_is_fsdax(s, page) || page_refs_now(s, page) <= page_idle_refs(s) ||
		    page_read(s, page, page_idle_refs(s), &p))
			continue;
		if (!f->busy++)
			f->first = i;
		if (!page_find(s, page))
			err = page_add(s, &p);
	}
	return err;
}

int trace_add_freed(struct snap *s, struct trace *t)
{
	int err = 0;

	for (u32 i = 0; i < t->nr_freed && !err; i++)
		err = add_pages(s, &t->freed[i]);
	return err;
}

/* A block stays the file's when only its inode leaves memory. */
static bool gives_up_block(const struct trace_head *h, enum fact_op op)
{
	bool evicted = op == OP_EVICT || op == OP_UMOUNT || op == OP_RECLAIM;

	return h->flags & TRACE_TRUNC && (!evicted || !h->nlink);
}

static void tell_freed(struct snap *s, struct trace *t, struct freed *freed)
{
	const struct trace_head *h = &freed->rec.h;
	u64 at = freed->first * s->k->field[KF_PAGE].off;
	struct fact f = { .type = FACT_FREED, .seen = SEEN_TRACE };
	struct ktask task;
	struct op op;

	trace_task(s, t, &freed->rec, &task);
	op = op_of(s, &task);
	f.freed = (struct fact_freed){
		.page = h->page + at,
		.index = h->index == FACT_UNKNOWN ? h->index : h->index + freed->first,
		.pages = h->pages,
		.block = gives_up_block(h, op.op),
		.task = h->task,
		.pid = h->tgid,
		.tid = h->tid,
		.op = op.op,
		.trigger = op.trigger,
		.freed_ns = h->now_ns,
		.path = trace_path(s, h),
		.dev_major = TRACE_MAJOR(h->dev),
		.dev_minor = TRACE_MINOR(h->dev),
		.ino = h->ino,
		.kstack = { .frames = task.frames, .n = task.r.nr_stack },
	};
	memcpy(f.freed.comm, h->comm, sizeof(h->comm));
	if (trace_in_scope(s, h))
		snap_emit(s, &f);
}

static void tell_pages(struct snap *s, const struct freed *f)
{
	u64 size = s->k->field[KF_PAGE].off;

	for (u32 i = 0; i < f->rec.nr_pages && i < PAGES_MAX && f->busy; i++) {
		struct kpage *p = page_find(s, s->arch.vmemmap + (f->rec.pfn + i) * size);

		if (p)
			page_tell(s, p);
	}
}

void trace_tell_freed(struct snap *s, struct trace *t)
{
	u32 kept = 0;

	for (u32 i = 0; i < t->nr_freed; i++) {
		tell_pages(s, &t->freed[i]);
		tell_freed(s, t, &t->freed[i]);
		if (t->freed[i].busy)
			t->freed[kept++] = t->freed[i];
	}
	t->nr_freed = kept;
	if (t->freed_lost)
		snap_lost(s, LOSS_LOST, "pages freed while referenced", t->freed_lost);
	t->freed_lost = 0;
}
