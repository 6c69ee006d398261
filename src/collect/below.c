// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * What keeps a bio that is in no queue. A device that is made of others need not hand it on:
 * dm-crypt writes a copy, dm-snapshot saves first what is overwritten, dm-thin takes space from a
 * pool. Until that is done the bio is in a list of its own; but what is to be done is I/O to a
 * device below, and if that does not answer, it can be seen there.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "collect/snap.h"
#include "util/array.h"

/* I/O that takes longer is called waiting, if no better measure is known. */
#define BUSY_NS 1000000000ULL

enum {
	SLAVES_MAX = 1 << 10, /* of one device */
	DISKS_MAX = 1 << 10,  /* below one */
	DEPTH_MAX = 16,
};

struct bdev {
	u64 bdev, disk, dir;
};

struct edge {
	u64 above, below; /* gendisks */
};

/* A device that the one in question is made of, or of which one is. */
struct level {
	u64 disk;
	u32 depth;
	u64 waits_ns; /* oldest I/O that waits for it, FACT_UNKNOWN for longer than it tells; 0 none */
};

struct stack {
	struct snap *s;
	struct bdev *bdevs;
	u32 nr_bdevs;
	struct edge *edges;
	u32 nr_edges;
	struct level *levels;
	u32 nr_levels;
	u64 least_ns; /* I/O that is younger is no sign */
};

static int add_edge(struct stack *w, u64 above, u64 below)
{
	int err;

	if (!kmem_is_kernel_ptr(above) || !below || above == below)
		return 0;
	for (u32 i = 0; i < w->nr_edges; i++)
		if (w->edges[i].above == above && w->edges[i].below == below)
			return 0;
	err = array_grow(&w->edges, w->nr_edges, sizeof(*w->edges));
	if (!err)
		w->edges[w->nr_edges++] = (struct edge){ above, below };
	return err;
}

typedef int (*holder_fn)(struct stack *w, u64 holder_disk, u64 disk);

/* Calls fn for each struct bd_holder_disk of a list. */
static int each_holder(struct stack *w, u64 head, u64 disk, holder_fn fn)
{
	struct kmem *k = w->s->k;
	int err = 0;
	u64 node;

	if (kmem_get(k, head, KF_LIST_NEXT, &node))
		return 0;
	for (u32 n = 0; node != head && kmem_is_kernel_ptr(node) && !err; n++) {
		if (n >= SLAVES_MAX) {
			snap_lost(w->s, LOSS_LOST, "block devices", 1);
			break;
		}
		err = fn(w, kmem_container(k, node, KF_HOLDER_DISK_LIST), disk);
		if (kmem_get(k, node, KF_LIST_NEXT, &node))
			break;
	}
	return err;
}

/* An entry of block_device.bd_holder_disks. */
static int take_above(struct stack *w, u64 holder_disk, u64 disk)
{
	u64 above;

	return kmem_get(w->s->k, holder_disk, KF_HOLDER_DISK_DISK, &above) ?
		       0 :
		       add_edge(w, above, disk);
}

/* An entry of gendisk.slave_bdevs. */
static int take_slave(struct stack *w, u64 holder_disk, u64 disk)
{
	u64 bdev = 0, dir = 0;

	if (kmem_get(w->s->k, holder_disk, KF_HOLDER_DISK_BDEV, &bdev))
		kmem_get(w->s->k, holder_disk, KF_HOLDER_DISK_DIR, &dir);
	for (u32 i = 0; i < w->nr_bdevs; i++)
		if ((bdev && w->bdevs[i].bdev == bdev) || (dir && w->bdevs[i].dir == dir))
			return add_edge(w, disk, w->bdevs[i].disk);
	return 0;
}

static int take_bdev(void *arg, u64 bdev, u64 disk)
{
	struct stack *w = arg;
	struct bdev b = { .bdev = bdev, .disk = disk };
	int err = array_grow(&w->bdevs, w->nr_bdevs, sizeof(b));

	if (err)
		return err;
	kmem_get(w->s->k, bdev, KF_BDEV_HOLDER_DIR, &b.dir);
	w->bdevs[w->nr_bdevs++] = b;
	return kmem_has(w->s->k, KF_BDEV_HOLDER_DISKS) ?
		       each_holder(w, kmem_at(w->s->k, bdev, KF_BDEV_HOLDER_DISKS), disk,
				   take_above) :
		       0;
}

static int find_edges(struct stack *w)
{
	int err;

	if (!kmem_has(w->s->k, KF_HOLDER_DISK_LIST))
		return 0;
	err = bdevs_walk(w->s, take_bdev, w);
	for (u32 i = 0; kmem_has(w->s->k, KF_DISK_SLAVE_BDEVS) && i < w->nr_bdevs && !err; i++)
		err = each_holder(w, kmem_at(w->s->k, w->bdevs[i].disk, KF_DISK_SLAVE_BDEVS),
				  w->bdevs[i].disk, take_slave);
	return err;
}

static struct level *level_of(const struct stack *w, u64 disk)
{
	for (u32 i = 0; i < w->nr_levels; i++)
		if (w->levels[i].disk == disk)
			return &w->levels[i];
	return NULL;
}

/* A disk that two ways lead to is as deep as the longer one. */
static int add_level(struct stack *w, u64 disk, u32 depth)
{
	struct level *known = level_of(w, disk);
	int err;

	if (known || w->nr_levels >= DISKS_MAX) {
		if (known && known->depth < depth)
			known->depth = depth;
		return 0;
	}
	err = array_grow(&w->levels, w->nr_levels, sizeof(*w->levels));
	if (!err)
		w->levels[w->nr_levels++] = (struct level){ disk, depth, 0 };
	return err;
}

static bool is_target(struct snap *s, u64 disk, const char *type)
{
	const char *is = dm_target_type(s, disk);

	return is && !strcmp(is, type);
}

/* A write to the origin waits for all its snapshots, which are made of the same device. */
static int add_snapshots(struct stack *w, u64 origin)
{
	int err = 0;

	for (u32 i = 0; i < w->nr_edges && !err; i++)
		for (u32 j = 0; j < w->nr_edges && !err; j++)
			if (w->edges[i].above == origin && w->edges[j].above != origin &&
			    w->edges[j].below == w->edges[i].below &&
			    is_target(w->s, w->edges[j].above, "snapshot"))
				err = add_level(w, w->edges[j].above, 0);
	return err;
}

static int find_levels(struct stack *w, u64 disk, const char *type)
{
	int err = add_level(w, disk, 0);

	if (!err && type && !strcmp(type, "snapshot-origin"))
		err = add_snapshots(w, disk);
	for (u32 depth = 0; depth < DEPTH_MAX && !err; depth++)
		for (u32 i = 0; i < w->nr_levels && !err; i++)
			for (u32 j = 0; w->levels[i].depth == depth && j < w->nr_edges && !err; j++)
				if (w->edges[j].above == w->levels[i].disk)
					err = add_level(w, w->edges[j].below, depth + 1);
	return err;
}

/* What is in no request waits for as long as its device is suspended, or a limit holds it back. */
static int take_bio(void *arg, const struct kbio *bio)
{
	struct stack *w = arg;
	u64 age = bio->rq ? bio_age_ns(w->s, bio) : FACT_UNKNOWN;
	struct level *level;

	if (bio->rq && (age == FACT_UNKNOWN || age < w->least_ns))
		return 0;
	level = level_of(w, bio_disk(w->s, bio));
	if (level && age > level->waits_ns)
		level->waits_ns = age;
	return 0;
}

/* The deepest one that has I/O waiting, of these the one that has it longest. */
static u64 waits_below(const struct stack *w)
{
	const struct level *best = NULL;

	for (u32 i = 0; i < w->nr_levels; i++) {
		const struct level *l = &w->levels[i];

		if (!l->depth || !l->waits_ns)
			continue;
		if (!best || l->depth > best->depth ||
		    (l->depth == best->depth && l->waits_ns > best->waits_ns))
			best = l;
	}
	return best ? best->disk : 0;
}

static u64 pool_below(const struct stack *w)
{
	for (u32 i = 0; i < w->nr_levels; i++)
		if (w->levels[i].depth == 1 && is_target(w->s, w->levels[i].disk, "thin-pool"))
			return w->levels[i].disk;
	return 0;
}

static int find(struct snap *s, u64 disk, u64 held_ns, struct kbelow *ret)
{
	struct stack w = { .s = s };
	int err;

	*ret = (struct kbelow){ .type = dm_target_type(s, disk) };
	w.least_ns = held_ns == FACT_UNKNOWN ? BUSY_NS : held_ns / 2;
	err = find_edges(&w);
	err = err ? err : find_levels(&w, disk, ret->type);
	if (!err && w.nr_levels > 1) {
		err = bios_walk(s, take_bio, &w);
		ret->disk = waits_below(&w);
		ret->pool = ret->type && !strcmp(ret->type, "thin") ? pool_below(&w) : 0;
	}
	free(w.bdevs);
	free(w.edges);
	free(w.levels);
	return err;
}

const struct kbelow *disk_below(struct snap *s, u64 disk, u64 held_ns)
{
	int err;

	if (s->below_of != disk) {
		s->below_of = disk;
		err = find(s, disk, held_ns, &s->below);
		s->err = s->err ? s->err : err;
	}
	return &s->below;
}

u64 below_answers(const struct kbelow *below, u64 disk)
{
	if (below->disk)
		return below->disk;
	return below->pool ? below->pool : disk;
}

void below_tell(const struct kbelow *below, struct fact_hold *h)
{
	h->unqueued = !below->disk;
	h->device_type = below->disk ? NULL : below->pool ? "thin-pool" : below->type;
}
