// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Pages in bios: O_DIRECT in flight, whoever submitted it. libaio and io_uring leave no trace on
 * the stack of their task, but the page is in the bio, the bio in its device, and from the bio the
 * way leads back to the task. A synchronous call is told as walk_direct_io() tells it, so that the
 * two are one hold.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "collect/snap.h"
#include "util/array.h"

enum { VECS_MAX = 1024, HITS_MAX = 1 << 14 };

/* A bio that names a busy page. */
struct hit {
	const struct kpage *page;
	struct kbio bio;
	u64 disk; /* gendisk in which it waits: further down than bio where that was cloned */
	u32 refs;
	bool doubtful; /* clone of what was not found, or of unknown make: may have no references */
};

/* All bios of one submitter to one target that hold one page. */
struct group {
	const struct kpage *page;
	struct io_owner owner;
	const struct hit *first;
	u32 refs, bios;
};

struct search {
	struct snap *s;
	struct symbol_cache symbols;
	u64 first, end; /* all busy pages are between */
	struct hit *hits;
	u32 nr_hits;
	struct group *groups;
	u32 nr_groups;
};

/* Another clone of the same pages, or the bio by way of another clone; NULL none. */
static struct hit *find_hit(const struct search *w, const struct hit *hit)
{
	for (u32 i = 0; i < w->nr_hits; i++)
		if (w->hits[i].page == hit->page && w->hits[i].bio.vecs == hit->bio.vecs)
			return &w->hits[i];
	return NULL;
}

static int add_hit(struct search *w, const struct hit *hit)
{
	struct hit *known = find_hit(w, hit);
	int err;

	if (known) {
		if (known->doubtful)
			*known = *hit;
		return 0;
	}
	if (w->nr_hits >= HITS_MAX) {
		snap_lost(w->s, LOSS_LOST, "bios", 1);
		return 0;
	}
	err = array_grow(&w->hits, w->nr_hits, sizeof(*hit));
	if (!err)
		w->hits[w->nr_hits++] = *hit;
	return err;
}

static int add_hits(struct search *w, const struct kbio *bio)
{
	static struct kbio_vec vecs[VECS_MAX];
	struct snap *s = w->s;
	struct kbio top = bio_original(s, &w->symbols, bio);
	struct io_owner owner = bio_owner(s, &w->symbols, &top);
	u32 n = bio_vecs(s, &top, vecs, VECS_MAX);
	int err = 0;

	if (!bio_is_clone(s, &top) && !bio_has_refs(s, &top))
		return 0; /* the pages belong to whoever made it, such as a pipe or a loop device */
	if (!bio_still_there(s, bio)) {
		snap_lost(s, LOSS_TORN, "bios", 1);
		return 0;
	}
	for (u32 i = 0; i < s->nr_pages && !err; i++) {
		struct hit h = {
			.page = &s->pages[i],
			.bio = top,
			.refs = vecs_count_refs(s, vecs, n, &s->pages[i]),
			.disk = bio_disk(s, bio),
			.doubtful = bio_is_clone(s, &top) || !owner.known,
		};

		err = h.refs ? add_hit(w, &h) : 0;
	}
	return err;
}

static bool has_busy_page(const struct search *w, const struct kbio_vec *vecs, u32 n)
{
	u64 size = w->s->k->field[KF_PAGE].off;

	for (u32 i = 0; i < n; i++) {
		u64 bytes = vecs[i].off + (u64)vecs[i].len;
		u64 end = vecs[i].page + ((bytes + ARCH_PAGE_SIZE - 1) >> ARCH_PAGE_SHIFT) * size;

		if (vecs[i].page < w->end && end > w->first)
			return true;
	}
	return false;
}

static int take_bio(void *arg, const struct kbio *bio)
{
	static struct kbio_vec vecs[VECS_MAX];
	struct search *w = arg;
	u32 n = bio_vecs(w->s, bio, vecs, VECS_MAX);

	return has_busy_page(w, vecs, n) ? add_hits(w, bio) : 0;
}

static bool page_is_explained(const struct search *w, const struct kpage *p)
{
	for (u32 i = 0; i < w->nr_hits; i++)
		if (w->hits[i].page == p && !w->hits[i].doubtful)
			return true;
	return false;
}

static struct group *group_of(struct search *w, const struct hit *h)
{
	struct io_owner o = bio_owner(w->s, &w->symbols, &h->bio);
	u32 i = 0;

	for (; i < w->nr_groups; i++) {
		const struct io_owner *known = &w->groups[i].owner;

		if (w->groups[i].page == h->page && known->how == o.how && known->task == o.task &&
		    known->ioctx == o.ioctx && known->file == o.file &&
		    (o.how == HOW_DIRECT_IO || w->groups[i].first->disk == h->disk))
			return &w->groups[i];
	}
	w->s->err = array_grow(&w->groups, w->nr_groups, sizeof(*w->groups));
	if (w->s->err)
		return NULL;
	w->groups[w->nr_groups++] = (struct group){ h->page, o, h, 0, 0 };
	return &w->groups[i];
}

static void group_hits(struct search *w)
{
	for (u32 i = 0; i < w->nr_hits && !w->s->err; i++) {
		const struct hit *h = &w->hits[i];
		struct group *g;

		/* it may be made of what was found: a reference must not count twice */
		if (h->doubtful && page_is_explained(w, h->page))
			continue;
		g = group_of(w, h);
		if (!g)
			return;
		g->refs += h->refs;
		g->bios++;
	}
}

/* Where a frozen filesystem is mounted, if that keeps the device from writing. */
static const char *frozen_below(struct snap *s, u64 disk)
{
	u64 file = disk ? loop_file(s, disk) : 0, inode, sb, frozen;

	if (!file || kmem_get(s->k, file, KF_FILE_INODE, &inode) ||
	    kmem_get(s->k, inode, KF_INODE_SB, &sb) || kmem_get(s->k, sb, KF_SB_FROZEN, &frozen) ||
	    !frozen)
		return NULL;
	return file_mount(s, inode);
}

static void tell_target(struct snap *s, const struct group *g, u64 file, struct fact_hold *h)
{
	u64 disk = g->first->disk;

	h->target = file ? file_describe(s, file) : NULL;
	h->device = disk_describe(s, disk);
	if (!h->target)
		h->target = h->device;
	else if (h->device && strcmp(h->target, h->device) != 0)
		h->target = snap_text(s, "%s on %s", h->target, h->device);
	if (g->first->bio.writes)
		h->frozen = frozen_below(s, disk);
}

/* How long a request is under way; a bio outside of one says no time. */
static u64 age_of(struct snap *s, const struct kbio *bio)
{
	u64 start, now = s->k->time.mono_ns;

	if (!bio->rq || kmem_get(s->k, bio->rq, KF_RQ_START, &start) || !start || start > now)
		return FACT_UNKNOWN;
	return now - start;
}

static const char *describe(struct snap *s, const struct group *g, bool known)
{
	const char *who = "";

	if (g->owner.gone)
		who = "; the task that submitted it has ended";
	else if (!known)
		who = "; the task that submitted it was not found";

	if (g->bios == 1)
		return snap_text(s, "its bio names the page%s", who);
	return snap_text(s, "%u of its bios name the page%s", g->bios, who);
}

static void tell_hold(struct snap *s, const struct group *g)
{
	struct fact f = { .type = FACT_HOLD };
	struct fact_hold *h = &f.hold;
	struct fact_releaser *releasers = io_releasers(s, &g->owner, &h->nr_releasers);
	u64 file = g->owner.file;

	h->page = g->page->head;
	h->how = g->owner.how;
	h->confidence = CONF_EXACT;
	h->refs = g->refs;
	h->object_kind = "bio";
	h->object_id = snap_text(s, "0x%llx", (unsigned long long)g->first->bio.addr);
	h->held_ns = age_of(s, &g->first->bio);
	h->releasers = releasers;
	if (h->how == HOW_DIRECT_IO && h->nr_releasers)
		file = io_name_call(s, &g->owner, h, releasers);
	tell_target(s, g, file, h);
	h->detail = describe(s, g, h->nr_releasers);
	snap_emit(s, &f);
	free(releasers);
}

bool walk_bios_available(const struct snap *s)
{
	return bios_available(s) && kmem_has(s->k, KF_PAGE);
}

int walk_bios(struct snap *s)
{
	struct search w = { .s = s };
	const struct kpage *last = s->nr_pages ? &s->pages[s->nr_pages - 1] : NULL;
	int err;

	if (!last)
		return 0;
	w.first = s->pages[0].head;
	w.end = last->head + ((u64)s->k->field[KF_PAGE].off << last->order);
	err = bios_walk(s, take_bio, &w);
	if (!err)
		group_hits(&w);
	for (u32 i = 0; i < w.nr_groups && !s->err && !err; i++)
		tell_hold(s, &w.groups[i]);
	free(w.hits);
	free(w.groups);
	return err;
}
