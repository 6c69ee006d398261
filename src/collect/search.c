// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Searches all slab memory for words. Which memory that is, each struct page says; nothing else is
 * touched, as memory without a kernel object may be user data, a device's, or not there at all.
 *
 * The struct pages are read in pieces of a subsection (mm/sparse.c), of which all or none exist,
 * and what they show is searched at once: when time is up, what was begun is complete.
 */
#include "collect/search.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "collect/arch.h"
#include "util/clock.h"

#define PAGE_TYPE_SHIFT 24 /* enum pagetype is the upper byte of page_type */

enum {
	SUBSECTION_PAGES = 512,
	PIECE = 32 * 1024, /* bytes of one read */
	PIECES = 16,
	CACHES = 1024, /* slots of the table of caches; a power of two */
	HITS_MAX = 1 << 16,
};

struct cache {
	u64 addr;
	u32 size; /* bytes of one object, with what pads it; 0: is not searched */
};

struct search {
	struct kmem *k;
	const struct ksearch *q;
	struct kfound *found;
	struct cache caches[CACHES];
	u32 nr_caches;
	u64 lo, span; /* of all ranges together */
	u64 buf[PIECES][PIECE / sizeof(u64)];
	struct kread reads[PIECES];
	u32 nr_reads;
};

static int search_words(struct search *s, u64 addr, const u64 *words, u32 n)
{
	u64 lo = s->lo, span = s->span;
	int err = 0;

	for (u32 i = 0; i < n && !err; i++)
		if (words[i] - lo < span && ksearch_wants(s->q, words[i]))
			err = kfound_add(s->found, HITS_MAX, addr + i * sizeof(u64), words[i]);
	return err;
}

/* Reads what is queued and searches it. 0 or -errno. */
static int flush(struct search *s)
{
	int err = kmem_readv(s->k, s->reads, s->nr_reads);

	for (u32 i = 0; i < s->nr_reads && !err; i++) {
		const struct kread *r = &s->reads[i];

		if (r->err)
			continue; /* freed meanwhile and taken from the direct map */
		s->found->bytes += r->len;
		err = search_words(s, r->addr, r->dst, r->len / sizeof(u64));
	}
	s->nr_reads = 0;
	return err;
}

static int queue_memory(struct search *s, u64 addr, u64 len)
{
	int err = 0;

	while (len && !err) {
		u32 step = len < PIECE ? len : PIECE;

		s->reads[s->nr_reads] =
			(struct kread){ .addr = addr, .dst = s->buf[s->nr_reads], .len = step };
		if (++s->nr_reads == PIECES)
			err = flush(s);
		addr += step;
		len -= step;
	}
	return err;
}

/*
 * Caches that are large and whose objects refer to no page, though a task_struct has what was in
 * the registers of the task, which may be anything. None of them shares its slabs with
 * another cache of the same size (mm/slab_common.c, slab_unmergeable()), but for buffer_head, whose
 * flags only inode caches have.
 */
static bool holds_no_pages(const char *name)
{
	static const char *const names[] = { "dentry",     "radix_tree_node", "buffer_head",
					     "filp",       "vm_area_struct",  "xfs_inode",
					     "task_struct" };
	static const char inodes[] = "inode_cache";
	size_t len = strlen(name), tail = sizeof(inodes) - 1;

	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++)
		if (!strcmp(name, names[i]))
			return true;
	return len >= tail && !strcmp(name + len - tail, inodes);
}

/* Size of the objects; 0 when it makes no sense or is not to be searched. */
static u32 read_cache(struct search *s, u64 addr)
{
	struct kget g[] = { { addr, KF_CACHE_SIZE, 0, 0 }, { addr, KF_CACHE_NAME, 0, 0 } };
	char name[32];

	if (kmem_getv(s->k, g, 2) || g[0].err || g[1].err || g[0].val > SLAB_BYTES_MAX ||
	    kmem_read_string(s->k, g[1].val, name, sizeof(name)) || holds_no_pages(name))
		return 0;
	return g[0].val;
}

static u32 object_size(struct search *s, u64 cache)
{
	u32 at = cache / 64 % CACHES;

	for (u32 i = 0; i < CACHES; i++, at = (at + 1) % CACHES) {
		if (s->caches[at].addr == cache)
			return s->caches[at].size;
		if (!s->caches[at].addr)
			break;
	}
	if (s->nr_caches >= CACHES / 2) /* garbage: no kernel has so many */
		return 0;
	s->nr_caches++;
	s->caches[at] = (struct cache){ cache, read_cache(s, cache) };
	return s->caches[at].size;
}

u64 slab_field(const struct kmem *k, const char *page, enum kf f)
{
	u64 val = 0;

	memcpy(&val, page + k->field[f].off, k->field[f].size);
	return val;
}

bool slab_is_first(const struct kmem *k, const char *page)
{
	if (kmem_has(k, KF_PG_SLAB))
		return slab_field(k, page, KF_PAGE_FLAGS) >> k->field[KF_PG_SLAB].off & 1;
	return slab_field(k, page, KF_PAGE_TYPE) >> PAGE_TYPE_SHIFT ==
	       (u64)k->field[KF_PGTY_SLAB].off;
}

u64 slab_objects(const struct kmem *k, const char *page)
{
	return slab_field(k, page, KF_SLAB_COUNTERS) >> 16 & 0x7fff; /* inuse:16, objects:15 */
}

static int take_pages(struct search *s, u64 pfn, const char *pages)
{
	u64 page_size = s->k->field[KF_PAGE].off;
	int err = 0;

	for (u32 i = 0; i < SUBSECTION_PAGES && !err; i++, pages += page_size) {
		u64 cache, bytes;

		if (!slab_is_first(s->k, pages))
			continue;
		cache = slab_field(s->k, pages, KF_SLAB_CACHE);
		if (!kmem_is_kernel_ptr(cache))
			continue;
		bytes = slab_objects(s->k, pages) * object_size(s, cache);
		if (bytes <= SLAB_BYTES_MAX)
			err = queue_memory(s, s->q->direct_map + ((pfn + i) << ARCH_PAGE_SHIFT),
					   bytes & ~7ULL);
	}
	return err;
}

static int search_all(struct search *s, u64 max_pfn)
{
	u64 size = s->k->field[KF_PAGE].off, start = clock_now(), pfn;
	static char pages[SUBSECTION_PAGES * STRUCT_PAGE_MAX];
	int err = 0;

	for (pfn = 0; pfn < max_pfn && !err; pfn += SUBSECTION_PAGES) {
		if (clock_now() - start > s->q->budget_ns)
			break;
		if (!kmem_read(s->k, s->q->vmemmap + pfn * size, pages, SUBSECTION_PAGES * size))
			err = take_pages(s, pfn, pages);
	}
	err = err ? err : flush(s);
	s->found->left = pfn < max_pfn ? (max_pfn - pfn) << ARCH_PAGE_SHIFT : 0;
	s->found->ns = clock_now() - start;
	return err;
}

static bool in_page(const struct kmem *k, enum kf f)
{
	return kmem_has(k, f) && k->field[f].size <= sizeof(u64) &&
	       k->field[f].off + k->field[f].size <= k->field[KF_PAGE].off;
}

const char *slabs_lack(const struct kmem *k)
{
	const char *lacks = KMEM_LACKS(k, KF_PAGE, KF_CACHE_NAME, KF_CACHE_SIZE);
	enum kf type = kmem_has(k, KF_PG_SLAB) ? KF_PAGE_FLAGS : KF_PAGE_TYPE;
	enum kf needed[] = { type, KF_SLAB_CACHE, KF_SLAB_FREELIST, KF_SLAB_COUNTERS };

	if (!lacks && k->field[KF_PAGE].off > STRUCT_PAGE_MAX)
		lacks = kfield_name(KF_PAGE);
	if (!lacks && type == KF_PAGE_TYPE)
		lacks = KMEM_LACKS(k, KF_PGTY_SLAB);
	for (size_t i = 0; i < sizeof(needed) / sizeof(*needed) && !lacks; i++)
		lacks = in_page(k, needed[i]) ? NULL : kfield_name(needed[i]);
	return lacks ?: kmem_hides(k, KSYM_MAX_PFN);
}

int slabs_search(struct kmem *k, const struct ksearch *q, struct kfound *found)
{
	struct search *s;
	u64 max_pfn;
	int err;

	*found = (struct kfound){ 0 };
	if (slabs_lack(k) || !q->vmemmap || !q->direct_map || !q->n ||
	    kmem_read(k, k->sym[KSYM_MAX_PFN], &max_pfn, sizeof(max_pfn)))
		return -ENOENT;
	s = calloc(1, sizeof(*s));
	if (!s)
		return -ENOMEM;
	s->k = k;
	s->q = q;
	s->found = found;
	s->lo = q->ranges[0].lo;
	s->span = q->ranges[q->n - 1].hi - s->lo;
	err = search_all(s, max_pfn);
	free(s);
	return err;
}
