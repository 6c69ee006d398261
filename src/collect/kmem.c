// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "collect/kmem.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "util/array.h"

enum { GETV_CHUNK = 128, STRING_STEP = 64 };

static const char *const ksym_names[KSYM_MAX] = {
#define KSYM_NAME(id, name) [KSYM_##id] = name,
	KSYMS(KSYM_NAME)
#undef KSYM_NAME
};

const char *ksym_name(enum ksym s)
{
	return ksym_names[s];
}

int kmem_readv(struct kmem *k, struct kread *r, size_t n)
{
	return n ? k->ops->readv(k, r, n) : 0;
}

int kmem_search(struct kmem *k, const struct ksearch *q, struct kfound *found)
{
	*found = (struct kfound){ 0 };
	return k->ops->search ? k->ops->search(k, q, found) : -ENOENT;
}

int kfound_add(struct kfound *f, u32 max, u64 addr, u64 val)
{
	int err;

	if (f->n >= max) {
		f->lost++;
		return 0;
	}
	err = array_grow(&f->v, f->n, sizeof(*f->v));
	if (!err)
		f->v[f->n++] = (struct khit){ addr, val };
	return err;
}

int kmem_scan(struct kmem *k, const struct kscan *q, struct kfound *found)
{
	*found = (struct kfound){ 0 };
	return k->ops->scan ? k->ops->scan(k, q, found) : -ENOENT;
}

const char *kmem_lacks(const struct kmem *k, const enum kf *fields, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (!kmem_has(k, fields[i]))
			return kfield_name(fields[i]);
	return NULL;
}

int kmem_read(struct kmem *k, u64 addr, void *dst, size_t len)
{
	char *to = dst;

	while (len) {
		u32 step = len < PEEK_LEN_MAX ? len : PEEK_LEN_MAX;
		struct kread r = { .addr = addr, .dst = to, .len = step };
		int err = kmem_readv(k, &r, 1);

		if (err || r.err)
			return err ? err : r.err;
		addr += step;
		to += step;
		len -= step;
	}
	return 0;
}

static int getv_chunk(struct kmem *k, struct kget *g, size_t n)
{
	struct kread r[GETV_CHUNK];
	size_t which[GETV_CHUNK], nr = 0;
	int err;

	for (size_t i = 0; i < n; i++) {
		const struct kfield *f = &k->field[g[i].f];

		g[i].val = 0;
		g[i].err = -ENOENT;
		if (f->off == KFIELD_MISSING || !f->size || f->size > sizeof(g[i].val))
			continue;
		which[nr] = i;
		r[nr++] = (struct kread){ .addr = g[i].obj + f->off,
					  .dst = &g[i].val,
					  .len = f->size };
	}
	err = kmem_readv(k, r, nr);
	for (size_t i = 0; i < nr; i++)
		g[which[i]].err = err ? err : r[i].err;
	return err;
}

int kmem_getv(struct kmem *k, struct kget *g, size_t n)
{
	int err = 0;

	for (size_t at = 0; at < n && !err; at += GETV_CHUNK)
		err = getv_chunk(k, g + at, n - at < GETV_CHUNK ? n - at : GETV_CHUNK);
	return err;
}

int kmem_get(struct kmem *k, u64 obj, enum kf f, u64 *val)
{
	struct kget g = { .obj = obj, .f = f };
	int err = kmem_getv(k, &g, 1);

	*val = g.val;
	return err ? err : g.err;
}

int kmem_read_string(struct kmem *k, u64 addr, char *buf, size_t size)
{
	size_t at = 0;

	buf[0] = '\0';
	while (at < size - 1) {
		/* never across a page: the next one may not be there */
		size_t step = STRING_STEP - (addr + at) % STRING_STEP;
		int err;

		if (step > size - 1 - at)
			step = size - 1 - at;
		err = kmem_read(k, addr + at, buf + at, step);
		buf[at + step] = '\0';
		if (err)
			return err;
		if (memchr(buf + at, '\0', step))
			return 0;
		at += step;
	}
	return 0;
}

void kmem_close(struct kmem *k)
{
	if (k)
		k->ops->close(k);
}
