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
	u32 missing; /* references of the page that nothing explained before */
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

/*
 * A list that was freed, or a request that is over, may still name a bio that lives again
 * elsewhere; what a limit of a cgroup holds back is in that list and in no other.
 */
static bool is_better(const struct hit *hit, const struct hit *known)
{
	return known->doubtful || (hit->bio.cgroup && !known->bio.cgroup);
}

static int add_hit(struct search *w, const struct hit *hit)
{
	struct hit *known = find_hit(w, hit);
	int err;

	if (known) {
		if (is_better(hit, known))
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
	snap_saw(s, top.vecs, (top.vcnt ? n : top.idx + n) * sizeof(*vecs));
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
	w->groups[w->nr_groups++] = (struct group){
		.page = h->page,
		.owner = o,
		.first = h,
		.missing = page_unexplained(w->s, h->page),
	};
	return &w->groups[i];
}

static void group_hits(struct search *w)
{
	for (u32 i = 0; i < w->nr_hits && !w->s->err; i++) {
		const struct hit *h = &w->hits[i];
		struct group *g;

		/* it may be made of what was found: a reference must not count twice */
		if (h->doubtful &&
		    (page_is_explained(w, h->page) || !page_unexplained(w->s, h->page)))
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

static void tell_server(struct snap *s, const struct hit *hit, u64 disk, struct fact_hold *h)
{
	struct kserver server;

	disk_server(s, disk, hit->bio.rq, &server);
	h->server = server.task;
	h->server_likely = server.likely || disk != hit->disk;
	h->target = disk_target(s, h->target, &server);
}

/* "loop0 over /a (ext4)" than "loop0". */
static bool tells_more(const char *device, const char *target)
{
	size_t len = strlen(target);

	return device && !strncmp(device, target, len) && device[len] == ' ';
}

static void tell_target(struct snap *s, const struct group *g, u64 file, struct fact_hold *h)
{
	u64 disk = g->first->disk;

	if (g->first->bio.stray) {
		const struct kbelow *below = disk_below(s, disk, h->held_ns);

		below_tell(below, h);
		disk = below_answers(below, disk);
	}
	if (file || disk != g->first->disk)
		h->target = file ? file_describe(s, file) : disk_describe(s, g->first->disk);
	h->device = disk_describe(s, disk);
	if (!h->target || tells_more(h->device, h->target))
		h->target = h->device;
	else if (h->device && strcmp(h->target, h->device) != 0)
		h->target = snap_text(s, "%s on %s", h->target, h->device);
	if (g->first->bio.writes)
		h->frozen = frozen_below(s, disk);
	tell_server(s, g->first, disk, h);
}

static bool is_of_process(struct snap *s, const struct ktask *t, const struct fact_hold *h)
{
	for (u32 i = 0; i < h->nr_releasers; i++) {
		const struct ktask *r = task_find(s, h->releasers[i].task);

		if (r && r->r.tgid == t->r.tgid)
			return true;
	}
	return false;
}

/*
 * A thread of the submitter that has submitted a bio and has not come back: it sleeps for a limit
 * of its cgroup, for a tag, for a queue that is frozen. NULL none.
 */
static const struct ktask *asleep_in_submission(struct snap *s, const struct fact_hold *h)
{
	for (u32 i = 0; i < s->tasks.n; i++) {
		const struct ktask *t = &s->tasks.v[i];

		if (bio_submission_sleeps(t) && is_of_process(s, t, h))
			return t;
	}
	return NULL;
}

/* The limit that holds a bio back, if any. */
static void tell_limit(struct snap *s, const struct kbio *bio, const struct ktask *submitter,
		       struct fact_hold *h)
{
	h->limit = bio->cgroup ? cgroup_path(s, bio->cgroup) : NULL;
	if (h->limit)
		h->limit_by = "io.max";
	else
		throttled_tell(s, submitter, h);
}

/* What holds the bio back, where that is known. */
static const char *describe_delay(struct snap *s, const struct kbio *bio,
				  const struct ktask *submitter, const struct fact_hold *h)
{
	if (h->limit)
		return snap_text(s, "; %s of cgroup %s holds it back", h->limit_by, h->limit);
	if (submitter)
		return snap_text(s, "; it is in no queue, and who submits I/O sleeps in %s()",
				 frame_function(s, submitter->frames[0]));
	if (bio->stray && !h->unqueued)
		return snap_text(s, "; it is in no queue, but below other I/O waits for %s",
				 h->device);
	return bio->stray ? "; it was found in memory and in no queue" : "";
}

static const char *describe(struct snap *s, const struct group *g, const struct fact_hold *h,
			    const char *delay)
{
	const char *who = "";

	if (g->owner.gone)
		who = "; the task that submitted it has ended";
	else if (!h->nr_releasers)
		who = "; the task that submitted it was not found";

	if (g->bios == 1)
		return snap_text(s, "its bio names the page%s%s", delay, who);
	return snap_text(s, "%u of its bios name the page%s%s", g->bios, delay, who);
}

/*
 * What is in a queue is under way. A stray may be a freed one that looks like it: then memory shows
 * more references than the page has, and which of them are true cannot be told.
 */
static enum fact_confidence confidence_of(struct search *w, const struct group *g, u32 known)
{
	u32 refs = 0;

	if (!g->first->bio.stray)
		return CONF_EXACT;
	for (u32 i = 0; i < w->nr_groups; i++)
		if (w->groups[i].page == g->page)
			refs += w->groups[i].refs;
	if (refs > g->missing)
		return CONF_CANDIDATE;
	return g->first->bio.doubtful || !known ? CONF_LIKELY : CONF_EXACT;
}

static void tell_hold(struct search *w, const struct group *g)
{
	struct snap *s = w->s;
	struct fact f = { .type = FACT_HOLD };
	struct fact_hold *h = &f.hold;
	struct fact_releaser *releasers = io_releasers(s, &g->owner, &h->nr_releasers);
	const struct ktask *submitter;
	u64 file = g->owner.file;

	h->page = g->page->head;
	h->how = g->owner.how;
	h->confidence = confidence_of(w, g, h->nr_releasers);
	h->refs = h->confidence == CONF_CANDIDATE ? 0 : g->refs;
	h->object_kind = "bio";
	h->object_id = snap_text(s, "0x%llx", (unsigned long long)g->first->bio.addr);
	h->held_ns = bio_age_ns(s, &g->first->bio);
	h->releasers = releasers;
	if (h->how == HOW_DIRECT_IO && h->nr_releasers)
		file = io_name_call(s, &g->owner, h, releasers);
	tell_target(s, g, file, h);
	submitter = g->first->bio.stray ? asleep_in_submission(s, h) : NULL;
	tell_limit(s, &g->first->bio, submitter, h);
	h->detail = describe(s, g, h, describe_delay(s, &g->first->bio, submitter, h));
	snap_emit(s, &f);
	free(releasers);
}

const char *walk_bios_lacks(const struct snap *s)
{
	return bios_lack(s) ?: KMEM_LACKS(s->k, KF_PAGE);
}

int bios_tell(struct snap *s, bios_walk_fn walk, void *what)
{
	struct search w = { .s = s };
	const struct kpage *last = s->nr_pages ? &s->pages[s->nr_pages - 1] : NULL;
	int err;

	if (!last)
		return 0;
	w.first = s->pages[0].head;
	w.end = last->head + ((u64)s->k->field[KF_PAGE].off << last->order);
	err = walk(s, what, take_bio, &w);
	if (!err)
		group_hits(&w);
	for (u32 i = 0; i < w.nr_groups && !s->err && !err; i++)
		tell_hold(&w, &w.groups[i]);
	free(w.hits);
	free(w.groups);
	return err;
}

static int walk_queues(struct snap *s, void *what, bio_fn fn, void *arg)
{
	(void)what;
	return bios_walk(s, fn, arg);
}

int walk_bios(struct snap *s)
{
	return bios_tell(s, walk_queues, NULL);
}
