/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Damaged kernel memory: a kmem backend that passes everything on to an image and puts patches over
 * the answers. What it does not patch reads as it was.
 */
#ifndef DAXTOP_TESTS_DAMAGE_H
#define DAXTOP_TESTS_DAMAGE_H

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "collect/kmem.h"

enum { PATCHES_MAX = 128, PATCH_BYTES_MAX = 1024 };

struct patch {
	u64 addr;
	u32 len;
	u32 after; /* leaves so many reads of it as they are, then changes all later ones */
	u32 reads;
	bool fault; /* nothing is there */
	u8 bytes[PATCH_BYTES_MAX];
};

struct damage {
	struct kmem k;
	struct kmem *inner; /* not owned */
	struct patch patches[PATCHES_MAX];
	u32 n;
	/* May change a task; false: it is not there. NULL: all stay as they are. */
	bool (*edit_task)(void *arg, struct task_rec *rec);
	void *edit_arg;
	u64 named_addr; /* this address has this name; 0 none */
	const char *name;
	u64 nr_reads;
};

static inline bool damage_covers(const struct patch *p, const struct kread *r)
{
	return r->addr >= p->addr && r->addr - p->addr + r->len <= p->len;
}

static inline bool damage_touches(const struct patch *p, const struct kread *r)
{
	return r->addr < p->addr ? p->addr - r->addr < r->len : r->addr - p->addr < p->len;
}

/* Copies what read and patch have in common. */
static inline void damage_copy(const struct patch *p, struct kread *r)
{
	u64 from = p->addr > r->addr ? p->addr : r->addr;
	u64 to = p->addr + p->len < r->addr + r->len ? p->addr + p->len : r->addr + r->len;

	memcpy((char *)r->dst + (from - r->addr), p->bytes + (from - p->addr), to - from);
}

static inline void damage_read(struct damage *d, struct kread *r)
{
	for (u32 i = 0; i < d->n; i++) {
		struct patch *p = &d->patches[i];

		if (!damage_touches(p, r) || p->reads++ < p->after)
			continue;
		if (p->fault) {
			r->err = -EFAULT;
			memset(r->dst, 0, r->len);
			return;
		}
		/* a patch may also put memory where the image has none */
		if (damage_covers(p, r))
			r->err = 0;
		if (!r->err)
			damage_copy(p, r);
	}
}

static inline int damage_readv(struct kmem *k, struct kread *r, size_t n)
{
	struct damage *d = (struct damage *)k;
	int err = kmem_readv(d->inner, r, n);

	d->nr_reads += n;
	for (size_t i = 0; i < n && !err; i++)
		damage_read(d, &r[i]);
	return err;
}

static inline int damage_symbolize(struct kmem *k, const u64 *addrs, char **names, size_t n)
{
	struct damage *d = (struct damage *)k;
	int err = d->inner->ops->symbolize(d->inner, addrs, names, n);

	for (size_t i = 0; i < n && !err && d->named_addr; i++) {
		if (addrs[i] != d->named_addr)
			continue;
		free(names[i]);
		names[i] = strdup(d->name);
	}
	return err;
}

static inline int damage_tasks(struct kmem *k, struct task_rec **recs, size_t *n)
{
	struct damage *d = (struct damage *)k;
	int err = d->inner->ops->tasks(d->inner, recs, n);
	size_t kept = 0;

	if (err || !d->edit_task)
		return err;
	for (size_t i = 0; i < *n; i++)
		if (d->edit_task(d->edit_arg, &(*recs)[i]))
			(*recs)[kept++] = (*recs)[i];
	*n = kept;
	return 0;
}

static inline char *damage_read_file(struct kmem *k, const char *path)
{
	struct damage *d = (struct damage *)k;

	return d->inner->ops->read_file(d->inner, path);
}

/* Finds what there was: whoever uses a hit reads it again. */
static inline int damage_search(struct kmem *k, const struct ksearch *q, struct kfound *found)
{
	return kmem_search(((struct damage *)k)->inner, q, found);
}

static const struct kmem_ops damage_ops = {
	.readv = damage_readv,
	.symbolize = damage_symbolize,
	.tasks = damage_tasks,
	.read_file = damage_read_file,
	.search = damage_search,
};

static inline void damage_init(struct damage *d, struct kmem *inner)
{
	memset(d, 0, sizeof(*d));
	d->k = *inner;
	d->k.ops = &damage_ops;
	d->inner = inner;
}

/* A later patch lies over an earlier one. The patch, to fill or to change. */
static inline struct patch *damage_add(struct damage *d, u64 addr, u32 len)
{
	struct patch *p = &d->patches[d->n];

	if (d->n == PATCHES_MAX || len > PATCH_BYTES_MAX)
		abort();
	d->n++;
	*p = (struct patch){ .addr = addr, .len = len };
	return p;
}

static inline struct patch *damage_bytes(struct damage *d, u64 addr, const void *bytes, u32 len)
{
	struct patch *p = damage_add(d, addr, len);

	memcpy(p->bytes, bytes, len);
	return p;
}

static inline struct patch *damage_word(struct damage *d, u64 addr, u64 val)
{
	return damage_bytes(d, addr, &val, sizeof(val));
}

/* Gives a field of an object another value. */
static inline struct patch *damage_field(struct damage *d, u64 obj, enum kf f, u64 val)
{
	return damage_bytes(d, kmem_at(&d->k, obj, f), &val, d->k.field[f].size);
}

static inline void damage_hole(struct damage *d, u64 addr, u32 len)
{
	struct patch *p = damage_add(d, addr, 0);

	p->len = len;
	p->fault = true;
}

#endif
