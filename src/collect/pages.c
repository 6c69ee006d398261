// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * What a struct page says about itself. Two models exist. Up to 6.14 an fsdax page is idle at
 * count 1 and page table entries take no reference. From 6.15 on it is idle at 0, every entry of a
 * page table takes one, and a 2 MiB entry is one folio (38607c62b34b, "fs/dax: properly refcount
 * fs dax pages", v6.15).
 */
#include <errno.h>
#include <string.h>

#include "collect/mounts.h"
#include "collect/snap.h"
#include "util/array.h"

/* include/linux/page-flags.h: mapping with low bits set is not an address_space */
#define MAPPING_FLAGS   3ULL
#define MASK_UPPER_HALF 0xffffffffULL
#define ORDER_MASK      0xffULL /* folio_large_order(): low byte of _flags_1 */

enum { FSDAX_ORDER_MAX = 18 }; /* a 1 GiB entry on x86 */

/* Both ways of a tail page to lead to its head, include/linux/page-flags.h compound_head(). */
u64 page_head(struct kmem *k, u64 page)
{
	u64 info;

	if (!kmem_get(k, page, KF_PAGE_COMPOUND_HEAD, &info))
		return info & 1 ? info - 1 : page;
	if (kmem_get(k, page, KF_PAGE_COMPOUND_INFO, &info) || !(info & 1))
		return page;
	/* A mask has all of its upper bits set; no struct page lies that high. */
	return info >> 32 == MASK_UPPER_HALF ? page & info & ~1ULL : info - 1;
}

static bool is_large(struct kmem *k, u64 flags)
{
	s64 bit = k->field[KF_PG_HEAD].off;

	return bit >= 0 && bit < 64 && kmem_has(k, KF_FOLIO_FLAGS_1) && flags >> bit & 1;
}

static void read_counts(struct snap *s, struct kpage *p, bool large)
{
	struct kget g[] = {
		{ p->head, KF_PAGE_REFCOUNT, 0, 0 },        { p->head, KF_PAGE_MAPCOUNT, 0, 0 },
		{ p->head, KF_FOLIO_LARGE_MAPCOUNT, 0, 0 }, { p->head, KF_FOLIO_PINCOUNT, 0, 0 },
		{ p->head, KF_FOLIO_FLAGS_1, 0, 0 },        { p->head, KF_FOLIO_SHARE, 0, 0 },
	};

	kmem_getv(s->k, g, sizeof(g) / sizeof(*g));
	p->refs = (s32)g[0].val;
	p->pincount = -1;
	if (large) {
		p->order = g[4].val & ORDER_MASK;
		p->pincount = g[3].err ? -1 : (s32)g[3].val;
	}
	if (p->idle_refs == 0)
		p->mapcount = 1LL + (s32)(large && !g[2].err ? g[2].val : g[1].val);
	if (!p->mapping)
		p->shared = g[5].val < 65536 ? g[5].val : 0;
}

s64 page_idle_refs(const struct snap *s)
{
	return kmem_has(s->k, KF_HAS_BREAK_LAYOUT) ? 0 : 1;
}

int page_read(struct snap *s, u64 page, s64 idle_refs, struct kpage *ret)
{
	struct kpage p = { .head = page_head(s->k, page), .idle_refs = idle_refs };
	struct kget g[] = {
		{ p.head, KF_PAGE_FLAGS, 0, 0 },
		{ p.head, KF_PAGE_MAPPING, 0, 0 },
		{ p.head, KF_PAGE_INDEX, 0, 0 },
	};

	if (!page_is_fsdax(s, p.head) || kmem_getv(s->k, g, 3) || g[1].err || g[2].err)
		return -EFAULT;
	p.index = g[2].val;
	p.mapping = g[1].val & MAPPING_FLAGS ? 0 : g[1].val;
	read_counts(s, &p, is_large(s->k, g[0].val));
	if (g[1].val & MAPPING_FLAGS)
		p.shared = 2; /* reflinked, up to 6.14; the count is not needed */
	if (p.order > FSDAX_ORDER_MAX || p.refs < 0)
		return -ESTALE;
	if (p.mapping)
		kmem_get(s->k, p.mapping, KF_MAPPING_HOST, &p.inode);
	else
		p.index = FACT_UNKNOWN;
	p.orphan = !p.mapping && !p.shared && p.refs > p.idle_refs;
	*ret = p;
	return 0;
}

/* Index of the first page whose head lies behind an address. */
static u32 first_behind(const struct snap *s, u64 addr)
{
	u32 lo = 0, hi = s->nr_pages;

	while (lo < hi) {
		u32 mid = lo + (hi - lo) / 2;

		if (s->pages[mid].head > addr)
			hi = mid;
		else
			lo = mid + 1;
	}
	return lo;
}

struct kpage *page_find(struct snap *s, u64 page)
{
	u32 at = first_behind(s, page);
	struct kpage *p = at ? &s->pages[at - 1] : NULL;

	return p && page - p->head < (u64)s->k->field[KF_PAGE].off << p->order ? p : NULL;
}

int page_add(struct snap *s, const struct kpage *p)
{
	u32 at = first_behind(s, p->head);
	int err = array_grow(&s->pages, s->nr_pages, sizeof(*p));

	if (err)
		return err;
	memmove(s->pages + at + 1, s->pages + at, (s->nr_pages - at) * sizeof(*p));
	s->pages[at] = *p;
	s->nr_pages++;
	return 0;
}

s64 page_refs_now(struct snap *s, u64 head)
{
	u64 refs;

	return kmem_get(s->k, head, KF_PAGE_REFCOUNT, &refs) ? -1 : (s64)(s32)refs;
}

static struct fact_page page_fact(struct snap *s, const struct kpage *p)
{
	return (struct fact_page){
		.id = p->head,
		.file = p->inode,
		.index = p->index,
		.order = p->order,
		.refs = p->refs,
		.idle_refs = p->idle_refs,
		.mapcount = p->mapcount,
		.pincount = p->pincount,
		.shared = p->shared,
		.pfn = arch_page_to_pfn(&s->arch, s->k, p->head),
		.orphan = p->orphan,
		.device_offset = FACT_UNKNOWN,
	};
}

s64 page_taken(struct snap *s, const struct kpage *p)
{
	struct fact_page page = page_fact(s, p);
	s64 pins, mapped;

	return fact_page_taken(&page, 0, 0, &pins, &mapped);
}

u32 page_unexplained(struct snap *s, const struct kpage *p)
{
	struct fact_page page = page_fact(s, p);
	s64 pins, mapped, taken = fact_page_taken(&page, p->explained, 0, &pins, &mapped);

	return taken > (s64)p->explained ? taken - p->explained : 0;
}

void page_tell(struct snap *s, struct kpage *p)
{
	struct fact f = { .type = FACT_PAGE };

	if (p->told)
		return;
	p->told = true;
	f.page = page_fact(s, p);
	if (p->inode)
		file_tell(s, p->inode);
	else if (p->orphan)
		f.page.device = mount_device_of(s, f.page.pfn << ARCH_PAGE_SHIFT,
						&f.page.device_offset);
	snap_emit(s, &f);
}
