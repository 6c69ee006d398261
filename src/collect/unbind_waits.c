// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Who unbinds a device and sleeps until no page of it is referenced. That is so where the pages of
 * a dev_pagemap keep the count of its request queue: memunmap_pages() drops the reference that each
 * page had from the start, then it waits for the queue, in whose count each page that somebody
 * still holds is one. The sleeper is in no queue for a page, but its stack names the dev_pagemap.
 *
 * Later kernels wait for no page here: see effect_on() in held.c.
 */
#include <errno.h>
#include <stdlib.h>

#include "collect/snap.h"
#include "collect/task_flags.h"
#include "util/clock.h"

#define SCAN_NS (2 * NSEC_PER_SEC)

/* Whether the count of pgmap is its queue's, so that its pages are waited for. */
static bool available(const struct snap *s)
{
	return kmem_has(s->k, KF_PGMAP_INTERNAL_REF) && s->arch.vmemmap && !s->pages_by_inode;
}

static bool is_draining(const struct ktask *t)
{
	return t->r.state & TASK_UNINTERRUPTIBLE && task_is_asleep(t) &&
	       task_stack_has(t, "blk_mq_freeze_queue_wait") && task_stack_has(t, "memunmap_pages");
}

/*
 * The first page of a range that is still referenced; 0 none. An idle one has no reference by now.
 */
static int first_held(struct snap *s, const struct pgmap *m, u64 *page)
{
	const struct kscan q = {
		.first = m->first,
		.end = m->end,
		.vmemmap = s->arch.vmemmap,
		.budget_ns = SCAN_NS,
	};
	struct kfound found;
	int err = kmem_scan(s->k, &q, &found);

	*page = !err && found.n ? found.v[0].addr : 0;
	if (!err && !*page && found.left)
		snap_lost(s, LOSS_LOST, "scan for held pages", 1);
	free(found.v);
	return err == -ENOENT ? 0 : err;
}

static int take(struct snap *s, const struct ktask *t, u64 page)
{
	struct kwait w = { .task = t->r.task, .on = ON_PAGE, .page = page };
	struct kpage p;
	int err;

	/* the count of idle pages was 1 up to now, and page table entries are none of the others */
	if (page_read(s, page, 0, &p))
		return 0;
	p.mapcount = 0;
	w.page = p.head;
	w.inode = p.inode;
	err = page_find(s, p.head) ? 0 : page_add(s, &p);
	return err ? err : waits_add(s, w);
}

static int find_page(struct snap *s, const struct ktask *t)
{
	u64 page = 0;
	int err = 0;

	for (u32 i = 0; i < s->pgmaps.n && !page && !err; i++)
		if (task_stack_names(s, t, s->pgmaps.v[i].addr))
			err = first_held(s, &s->pgmaps.v[i], &page);
	return err || !page ? err : take(s, t, page);
}

int unbind_waits_find(struct snap *s)
{
	int err = 0;

	for (u32 i = 0; i < s->tasks.n && available(s) && !err; i++) {
		const struct ktask *t = &s->tasks.v[i];

		if (is_draining(t) && !wait_is_known(s, t->r.task))
			err = find_page(s, t);
	}
	return err;
}
