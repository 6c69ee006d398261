// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Pages that are held though nobody waits for one: every struct page of the fsdax ranges is looked
 * at, as far as time allows. Who looks again goes on where the last look ended, and looks again at
 * what was held then, so that a large device is seen in many looks, each of which is short.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "collect/mounts.h"
#include "collect/snap.h"
#include "util/array.h"

enum { HELD_MAX = 4096 };

static u64 page_size(const struct snap *s)
{
	return s->k->field[KF_PAGE].off;
}

/* Struct pages of physical memory; the ends of a device are whole pages. */
static bool in_device(struct snap *s, const struct pgmap *m, const struct pmem *d)
{
	u64 first = s->arch.vmemmap + (d->start >> ARCH_PAGE_SHIFT) * page_size(s);
	u64 end = s->arch.vmemmap + (d->end >> ARCH_PAGE_SHIFT) * page_size(s);

	return m->first < end && first < m->end;
}

bool held_is_of_unbind(struct snap *s, u64 page)
{
	const struct pgmap m = { .first = page, .end = page + page_size(s) };

	return page && in_device(s, &m, s->opts->unbind);
}

/* Whether pages of a range can be what was asked about. */
static bool is_wanted(struct snap *s, const struct pgmap *m)
{
	const struct scope *scope = s->opts->scope;
	struct pmem d;

	if (s->opts->unbind)
		return in_device(s, m, s->opts->unbind);
	if (!scope || !scope->n)
		return true;
	for (size_t i = 0; i < scope->n; i++)
		if (mount_device_range(s, scope->m[i].dev_major, scope->m[i].dev_minor, &d) ||
		    in_device(s, m, &d))
			return true;
	return false;
}

static bool page_in_scope(struct snap *s, const struct kpage *p)
{
	const struct scope *scope = s->opts->scope;
	u32 major, minor;
	u64 ino;

	if (s->opts->unbind || !scope || !scope->n)
		return true;
	/* of a page without a file nothing but the device can be wanted */
	if (!p->inode || file_ids(s, p->inode, &major, &minor, &ino)) {
		for (size_t i = 0; i < scope->n; i++)
			if (!scope->m[i].ino)
				return true;
		return false;
	}
	return scope_matches(scope, major, minor, ino);
}

static bool is_held(struct snap *s, const struct kpage *p)
{
	return s->opts->unbind ? p->refs > p->idle_refs : page_taken(s, p) > 0;
}

static int take(struct snap *s, u64 page)
{
	struct kpage p;

	if (page_find(s, page) || page_read(s, page, page_idle_refs(s), &p) || !is_held(s, &p) ||
	    !page_in_scope(s, &p))
		return 0;
	if (s->nr_pages >= HELD_MAX) {
		snap_lost(s, LOSS_LOST, "held pages", 1);
		return 0;
	}
	p.scanned = true;
	return page_add(s, &p);
}

/* What a scan of one range is to be. */
static struct kscan make_scan(struct snap *s, const struct pgmap *m, u64 from, u64 budget_ns)
{
	return (struct kscan){
		.first = from > m->first && from < m->end ? from : m->first,
		.end = m->end,
		.vmemmap = s->arch.vmemmap,
		.idle_refs = page_idle_refs(s),
		.mapped_too = s->opts->unbind,
		.budget_ns = budget_ns,
	};
}

/* Looks at one range, from a page on. 0, 1 when time was up in it, or -errno. */
static int scan_range(struct snap *s, const struct kscan *q)
{
	struct kfound found;
	int err = kmem_scan(s->k, q, &found);

	for (u32 i = 0; i < found.n && !err; i++)
		err = take(s, found.v[i].addr);
	if (!err && found.lost)
		snap_lost(s, LOSS_LOST, "held pages", found.lost);
	s->scan.pages += found.bytes / page_size(s);
	s->scan.ns += found.ns;
	s->scan.next = found.left ? q->end - found.left : 0;
	free(found.v);
	return err ? err : found.left > 0;
}

static int compare_ranges(const void *a, const void *b)
{
	const struct pgmap *x = a, *y = b;

	return x->first < y->first ? -1 : x->first > y->first;
}

/* Pages of the wanted ranges, which come first then, ascending. */
static u64 choose_ranges(struct snap *s, u32 *n)
{
	struct pgmap *v = s->pgmaps.v;
	u64 bytes = 0;

	*n = 0;
	for (u32 i = 0; i < s->pgmaps.n; i++) {
		struct pgmap m = v[i];

		if (!is_wanted(s, &m))
			continue;
		v[i] = v[*n];
		v[(*n)++] = m;
		bytes += m.end - m.first;
	}
	qsort(v, *n, sizeof(*v), compare_ranges);
	return bytes / page_size(s);
}

static int scan_ranges(struct snap *s, u32 n)
{
	u64 from = s->held ? s->held->next : 0;
	int err = 0;

	for (u32 i = 0; i < n && !err; i++) {
		struct kscan q;

		if (s->pgmaps.v[i].end <= from)
			continue;
		q = make_scan(s, &s->pgmaps.v[i], from,
			      s->opts->pins_ns > s->scan.ns ? s->opts->pins_ns - s->scan.ns : 0);
		err = scan_range(s, &q);
	}
	return err > 0 ? 0 : err;
}

/* What was held at the last look, and still is. */
static int look_again(struct snap *s)
{
	int err = 0;

	for (u32 i = 0; s->held && i < s->held->n && !err; i++)
		err = take(s, s->held->heads[i]);
	return err;
}

static void tell_cut(struct snap *s, u64 left)
{
	snap_probe(s, "held pages", PROBE_FALLBACK,
		   snap_text(s,
			     "time was up before the last %llu MiB of DAX memory were looked at: "
			     "a page held there is missed, --pins=TIME allows for more",
			     (unsigned long long)left >> (20 - ARCH_PAGE_SHIFT)));
	snap_lost(s, LOSS_LOST, "scan for held pages", 1);
}

/* How far this look came, and all looks of this round. */
static void note_progress(struct snap *s, u64 total)
{
	struct held_memory *m = s->held;
	u64 looked = s->scan.pages;

	if (m) {
		m->looked = m->next ? m->looked + looked : looked;
		m->next = s->scan.next;
		m->whole |= !m->next;
		looked = m->whole ? total : m->looked;
	}
	s->scan.pages = looked < total ? looked : total;
	s->scan.left = s->scan.next || m ? total - s->scan.pages : 0;
	if (s->scan.next && !m)
		tell_cut(s, s->scan.left);
}

static bool available(struct snap *s)
{
	bool ok = s->arch.vmemmap && !s->pages_by_inode && s->pgmaps.n;

	if (!ok && (s->pages_by_inode || !s->arch.vmemmap))
		snap_probe(s, "held pages", PROBE_MISSING,
			   "pages that are held though nobody waits for one are not found, as this "
			   "kernel hides where its struct pages are");
	return ok;
}

int held_find(struct snap *s)
{
	u64 total;
	u32 n;
	int err;

	if (!s->opts->pins_ns || !available(s))
		return 0;
	total = choose_ranges(s, &n);
	err = look_again(s);
	err = err ? err : scan_ranges(s, n);
	if (err == -ENOENT) {
		snap_probe(s, "held pages", PROBE_MISSING,
			   "pages that are held though nobody waits for one are not found: no "
			   "scan of struct pages is in this image");
		return 0;
	}
	if (!err)
		note_progress(s, total);
	return err;
}

void held_settle(struct snap *s)
{
	u32 kept = 0;

	for (u32 i = 0; i < s->nr_pages; i++) {
		struct kpage p = s->pages[i];

		if (p.scanned && (page_read(s, p.head, p.idle_refs, &p) || !is_held(s, &p)))
			continue;
		p.scanned = s->pages[i].scanned;
		s->pages[kept++] = p;
	}
	s->nr_pages = kept;
}

/* So that the next look begins with them. */
static int remember(struct snap *s)
{
	struct held_memory *m = s->held;
	int err = 0;

	m->n = 0;
	for (u32 i = 0; i < s->nr_pages && !err; i++) {
		if (!s->pages[i].scanned)
			continue;
		err = array_grow(&m->heads, m->n, sizeof(*m->heads));
		if (!err)
			m->heads[m->n++] = s->pages[i].head;
	}
	return err;
}

/*
 * What memunmap_pages() waits for (mm/memremap.c). A count that belongs to the device's queue has a
 * reference by each page that is in use, and is waited for. Since 0dc45ca1ce18 at the latest the
 * pages' references are dropped as if nobody had one: it goes on, frees the struct pages, and
 * whoever drops a reference then touches freed memory. From 6.15 on (38607c62b34b) eviction waits
 * for pages, and what comes before memunmap_pages() evicts inodes that nobody uses.
 */
static enum fact_unbind effect_on(struct snap *s, const struct kpage *p)
{
	if (kmem_has(s->k, KF_PGMAP_INTERNAL_REF))
		return UNBIND_HANGS;
	if (!kmem_has(s->k, KF_HAS_BREAK_LAYOUT))
		return kmem_has(s->k, KF_HAS_PAGE_ALLOCATION_REF) ? UNBIND_CRASHES : UNBIND_UNKNOWN;
	return p->inode && !file_is_used(s, p->inode) ? UNBIND_HANGS : UNBIND_CRASHES;
}

/* The worst of what the pages do. */
static enum fact_unbind effect(struct snap *s)
{
	enum fact_unbind worst = UNBIND_UNKNOWN;

	for (u32 i = 0; i < s->nr_pages; i++) {
		enum fact_unbind e = effect_on(s, &s->pages[i]);

		worst = e > worst ? e : worst;
	}
	return worst;
}

void held_tell(struct snap *s, struct fact_session *session)
{
	for (u32 i = 0; i < s->nr_pages; i++) {
		struct kpage *p = &s->pages[i], now;

		if (!p->scanned)
			continue;
		/* let go of meanwhile: no reference is left that somebody would have to explain */
		if (!page_read(s, p->head, p->idle_refs, &now)) {
			p->refs = now.refs;
			p->mapcount = now.mapcount;
			p->pincount = now.pincount;
		}
		page_tell(s, p);
	}
	session->pins_pages = s->scan.pages;
	session->pins_left = s->scan.left;
	session->pins_ns = s->scan.ns;
	if (s->opts->unbind) {
		session->unbind = s->opts->unbind->name;
		session->unbind_mount = mount_of_device(s, s->opts->unbind);
		session->unbind_effect = effect(s);
	}
	if (s->held && !s->err)
		s->err = remember(s);
}

void held_memory_free(struct held_memory *m)
{
	free(m->heads);
}
