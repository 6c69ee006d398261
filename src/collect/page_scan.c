// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Looks at the reference count of every struct page of a range. The struct pages of 1 TiB are 16
 * GiB: so a page that is idle, or only mapped, costs two compares in a copy of many, and nothing
 * else. The tails of a folio have a count of 0 and are idle in the only model that has folios here.
 */
#include "collect/page_scan.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "util/clock.h"

enum {
	PIECE_PAGES = 512, /* a subsection (mm/sparse.c): all of its struct pages exist, or none */
	PIECES = 16,
	STRUCT_PAGE_MAX = 128,
	BUSY_MAX = 4096,  /* pages that are kept */
	MAPPED_MAX = 512, /* of these, such that are only mapped: there may be millions */
};

struct scan {
	struct kmem *k;
	const struct kscan *q;
	struct kfound *found;
	u32 nr_mapped;
	char buf[PIECES][PIECE_PAGES * STRUCT_PAGE_MAX];
	struct kread reads[PIECES];
};

static s32 count_at(const char *page, const struct kfield *f)
{
	s32 count;

	memcpy(&count, page + f->off, sizeof(count));
	return count;
}

static bool is_large(const struct kmem *k, const char *page)
{
	s64 bit = k->field[KF_PG_HEAD].off;
	u64 flags;

	memcpy(&flags, page + k->field[KF_PAGE_FLAGS].off, sizeof(flags));
	return kmem_has(k, KF_PG_HEAD) && bit < 64 && flags >> bit & 1;
}

/*
 * References by page table entries, where they count as such. A folio keeps their number in its
 * second struct page; where that was not read it is 0, and the page is found though it is mapped
 * only.
 */
static s64 mapped(const struct kmem *k, const char *page, const char *end)
{
	const struct kfield *f = &k->field[KF_PAGE_MAPCOUNT];

	if (is_large(k, page) && kmem_has(k, KF_FOLIO_LARGE_MAPCOUNT)) {
		f = &k->field[KF_FOLIO_LARGE_MAPCOUNT];
		if (page + f->off + sizeof(s32) > end)
			return 0;
	}
	return 1LL + count_at(page, f);
}

/* Whether a page with references above idle is to be found. */
static bool is_wanted(struct scan *s, const char *page, const char *end, s64 above)
{
	if (s->q->idle_refs || above > mapped(s->k, page, end))
		return true;
	if (!s->q->mapped_too)
		return false;
	if (s->nr_mapped++ < MAPPED_MAX)
		return true;
	s->found->lost++;
	return false;
}

static int look_at(struct scan *s, const struct kread *r)
{
	const struct kfield *f = &s->k->field[KF_PAGE_REFCOUNT];
	const char *pages = r->dst, *end = pages + r->len;
	u64 size = s->k->field[KF_PAGE].off;
	s64 idle = s->q->idle_refs;
	int err = 0;

	for (const char *p = pages; p < end && !err; p += size) {
		s64 above = count_at(p, f) - idle;

		if (above > 0 && is_wanted(s, p, end, above))
			err = kfound_add(s->found, BUSY_MAX, r->addr + (p - pages),
					 (u32)(above + idle));
	}
	return err;
}

/* Reads the next pieces and looks at them. How many bytes that was, or -errno. */
static s64 read_some(struct scan *s, u64 at)
{
	u64 piece = PIECE_PAGES * s->k->field[KF_PAGE].off, start = at;
	int err;
	u32 n;

	for (n = 0; n < PIECES && at < s->q->end; n++) {
		/* a piece ends where a subsection does */
		u64 step = piece - (at - s->q->vmemmap) % piece;

		step = step < s->q->end - at ? step : s->q->end - at;
		s->reads[n] = (struct kread){ .addr = at, .dst = s->buf[n], .len = step };
		at += step;
	}
	err = kmem_readv(s->k, s->reads, n);
	for (u32 i = 0; i < n && !err; i++) {
		if (s->reads[i].err) /* not there: the device was removed meanwhile */
			continue;
		s->found->bytes += s->reads[i].len;
		err = look_at(s, &s->reads[i]);
	}
	return err ? err : (s64)(at - start);
}

static bool counts_fit(const struct kmem *k)
{
	static const enum kf fields[] = { KF_PAGE_REFCOUNT, KF_PAGE_MAPCOUNT };
	s64 size = k->field[KF_PAGE].off;

	for (size_t i = 0; i < sizeof(fields) / sizeof(*fields); i++)
		if (!kmem_has(k, fields[i]) || k->field[fields[i]].off + 4 > size)
			return false;
	return kmem_has(k, KF_PAGE_FLAGS) && k->field[KF_PAGE_FLAGS].off + 8 <= size;
}

bool pages_scannable(const struct kmem *k)
{
	return kmem_has(k, KF_PAGE) && k->field[KF_PAGE].off > 0 &&
	       k->field[KF_PAGE].off <= STRUCT_PAGE_MAX && counts_fit(k);
}

int pages_scan(struct kmem *k, const struct kscan *q, struct kfound *found)
{
	u64 start = clock_now(), at = q->first;
	struct scan *s;
	s64 done = 0;

	if (!pages_scannable(k))
		return -ENOENT;
	s = calloc(1, sizeof(*s));
	if (!s)
		return -ENOMEM;
	s->k = k;
	s->q = q;
	s->found = found;
	/* something is looked at in any case: who asks again gets to the end */
	do {
		done = read_some(s, at);
		at += done > 0 ? done : 0;
	} while (done > 0 && at < q->end && clock_now() - start < q->budget_ns);
	free(s);
	found->left = q->end - at;
	found->ns = clock_now() - start;
	return done < 0 ? (int)done : 0;
}
