// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "collect/memstore.h"

#include <errno.h>
#include <search.h>
#include <stdlib.h>
#include <string.h>

#define PAGE 4096UL

struct page {
	u64 addr;
	u8 data[PAGE];
	u8 kept[PAGE]; /* 1: the byte was written */
};

static int compare(const void *a, const void *b)
{
	u64 x = ((const struct page *)a)->addr, y = ((const struct page *)b)->addr;

	return x < y ? -1 : x > y;
}

static struct page *find(struct memstore *m, u64 addr)
{
	struct page **at = tfind(&addr, &m->root, compare);

	return at ? *at : NULL;
}

static struct page *find_or_add(struct memstore *m, u64 addr)
{
	struct page *p = find(m, addr);

	if (p)
		return p;
	p = calloc(1, sizeof(*p));
	if (!p)
		return NULL;
	p->addr = addr;
	if (!tsearch(p, &m->root, compare)) {
		free(p);
		return NULL;
	}
	return p;
}

/* Bytes from addr to the end of its page, at most len. */
static size_t in_page(u64 addr, size_t len)
{
	size_t room = PAGE - addr % PAGE;

	return len < room ? len : room;
}

int memstore_write(struct memstore *m, u64 addr, const void *data, size_t len)
{
	const u8 *from = data;

	while (len) {
		size_t step = in_page(addr, len);
		struct page *p = find_or_add(m, addr - addr % PAGE);

		if (!p)
			return -ENOMEM;
		memcpy(p->data + addr % PAGE, from, step);
		memset(p->kept + addr % PAGE, 1, step);
		addr += step;
		from += step;
		len -= step;
	}
	return 0;
}

int memstore_read(struct memstore *m, u64 addr, void *dst, size_t len)
{
	u8 *to = dst;

	while (len) {
		size_t step = in_page(addr, len);
		struct page *p = find(m, addr - addr % PAGE);

		if (!p || memchr(p->kept + addr % PAGE, 0, step))
			return -EFAULT;
		memcpy(to, p->data + addr % PAGE, step);
		addr += step;
		to += step;
		len -= step;
	}
	return 0;
}

struct visit {
	memstore_fn fn;
	void *arg;
};

static void visit_page(const void *node, VISIT which, void *closure)
{
	const struct page *p = *(struct page *const *)node;
	const struct visit *v = closure;

	if (which != postorder && which != leaf)
		return;
	for (size_t at = 0; at < PAGE;) {
		size_t end = at;

		while (end < PAGE && p->kept[end] == p->kept[at])
			end++;
		if (p->kept[at])
			v->fn(v->arg, p->addr + at, p->data + at, end - at);
		at = end;
	}
}

void memstore_each(struct memstore *m, memstore_fn fn, void *arg)
{
	struct visit v = { fn, arg };

	twalk_r(m->root, visit_page, &v);
}

void memstore_free(struct memstore *m)
{
	tdestroy(m->root, free);
	m->root = NULL;
}
