// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * The last resort, for references that no other walker explains: all slab memory is searched for
 * the page's address. A hit is in an object, of which the cache tells the kind. Where it is in the
 * bio_vecs of a bio, the way back to who submitted it is known; else the object is all there is to
 * tell. Memory that was freed keeps its contents, and so does the unused part of an object in use:
 * a hit is evidence only if its object is in use, and only as long as there are not more of them
 * than references to explain.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "collect/search.h"
#include "collect/strays.h"
#include "util/array.h"

#define BVEC_BYTES_MAX (1ULL << 32) /* bio_vec.bv_len has 32 bits */
#define PAGE_TAGS      3ULL         /* scatterlist.page_link and netmem_ref keep flags there */

enum {
	OBJECT_MAX = 8192, /* the largest cache for kmalloc(); larger ones are no slabs */
	USED_MAX = 4096,   /* hits that are looked at */
	TABLES_MAX = 64,   /* of bio_vecs, apart from their bio */
};

/* Sorted, and those that touch made one. */
static u32 merge_ranges(struct krange *r, u32 n)
{
	u32 kept = 0;

	for (u32 i = 1; i < n; i++) {
		if (r[i].lo > r[kept].hi)
			r[++kept] = r[i];
		else if (r[i].hi > r[kept].hi)
			r[kept].hi = r[i].hi;
	}
	return n ? kept + 1 : 0;
}

/* First struct page from which a bio_vec can reach this one: both are of one device. */
static u64 reach(struct snap *s, const struct kpage *p)
{
	u64 span = (BVEC_BYTES_MAX >> ARCH_PAGE_SHIFT) * s->k->field[KF_PAGE].off;

	for (u32 i = 0; i < s->pgmaps.n; i++)
		if (p->head - s->pgmaps.v[i].first < s->pgmaps.v[i].end - s->pgmaps.v[i].first)
			return p->head - s->pgmaps.v[i].first < span ? s->pgmaps.v[i].first :
								       p->head - span;
	return p->head;
}

/* Addresses of the pages that somebody must have; malloc'ed, NULL none. */
static struct krange *wanted_ranges(struct snap *s, u32 *n)
{
	struct krange *r = calloc(s->nr_pages + 1, sizeof(*r));

	*n = 0;
	s->err = r ? s->err : -ENOMEM;
	for (u32 i = 0; r && i < s->nr_pages; i++) {
		const struct kpage *p = &s->pages[i];

		if (page_unexplained(s, p))
			r[(*n)++] = (struct krange){
				reach(s, p),
				p->head + ((u64)s->k->field[KF_PAGE].off << p->order),
			};
	}
	*n = merge_ranges(r, *n);
	return r;
}

int memory_search(struct snap *s, const struct krange *ranges, u32 n, struct kfound *found)
{
	struct ksearch q = {
		.ranges = ranges,
		.n = n,
		.vmemmap = s->arch.vmemmap,
		.direct_map = s->arch.direct_map,
		.budget_ns = s->opts->search_ns,
	};
	int err = kmem_search(s->k, &q, found);

	if (err == -ENOENT)
		snap_probe(s, "memory", PROBE_MISSING,
			   "references that nothing else explains stay unexplained: no search of "
			   "memory is in this image");
	if (!err && found->left)
		snap_probe(
			s, "memory", PROBE_FALLBACK,
			snap_text(s,
				  "time was up before the last %llu MiB of memory were searched: "
				  "a holder there is missed, --search=TIME allows for more",
				  (unsigned long long)found->left >> 20));
	if (!err && found->left + found->lost)
		snap_lost(s, LOSS_LOST, "memory search", found->lost ? found->lost : 1);
	return err;
}

static bool value_is_still_there(struct snap *s, const struct khit *h)
{
	u64 now;

	return !kmem_read(s->k, h->addr, &now, sizeof(now)) && now == h->val;
}

/* Whether a bio_vec there, which starts at a page before it, contains a busy page. */
static bool reaches_page(struct snap *s, const struct khit *h)
{
	u64 first = (h->val - s->arch.vmemmap) / s->k->field[KF_PAGE].off, last;
	struct kbio_vec v;

	if (kmem_read(s->k, h->addr, &v, sizeof(v)) || v.page != h->val || !v.len)
		return false;
	last = first + ((v.off + (u64)v.len - 1) >> ARCH_PAGE_SHIFT);
	for (u32 i = 0; i < s->nr_pages; i++) {
		u64 pfn = arch_page_to_pfn(&s->arch, s->k, s->pages[i].head);

		if (first < pfn + (1ULL << s->pages[i].order) && pfn <= last)
			return true;
	}
	return false;
}

/* Keeps a hit whose object is in use. 0 or -ENOMEM. */
static int take_hit(struct memory *m, const struct khit *h)
{
	struct used u = { .hit = *h, .page = page_find(m->s, h->val & ~PAGE_TAGS) };
	int err;

	if (snap_has_seen(m->s, h->addr) || (!u.page && !reaches_page(m->s, h)) ||
	    slab_object(m->s, h->addr, &u.o) || !slab_object_is_used(m->s, &u.o) ||
	    !value_is_still_there(m->s, h))
		return 0;
	if (m->nr_used >= USED_MAX) {
		snap_lost(m->s, LOSS_LOST, "memory search", 1);
		return 0;
	}
	err = array_grow(&m->used, m->nr_used, sizeof(u));
	if (!err)
		m->used[m->nr_used++] = u;
	return err;
}

/*
 * Whether it is under way: one that ended has no blkcg_gq any more (bio_uninit()), also when it is
 * kept for reuse by a mempool or by a CPU (bio_alloc_cache), where the allocator takes it for used.
 */
static bool bio_is_alive(struct snap *s, struct kbio *bio)
{
	u64 blkg;

	bio->doubtful = !kmem_has(s->k, KF_BIO_BLKG);
	return bio->doubtful ||
	       (!kmem_get(s->k, bio->addr, KF_BIO_BLKG, &blkg) && kmem_is_kernel_ptr(blkg));
}

/* Keeps the bio at an address if its table has the hit. 1, 0 when not, -ENOMEM. */
static int take_bio(struct memory *m, u64 addr, const struct khit *h)
{
	struct kbio bio;
	int err;

	if (bio_read(m->s, addr, &bio) ||
	    h->addr - bio.vecs >= bio.vcnt * sizeof(struct kbio_vec) ||
	    (h->addr - bio.vecs) % sizeof(struct kbio_vec) || !bio_is_alive(m->s, &bio))
		return 0;
	bio.from = h->addr;
	bio.first = h->val;
	bio.stray = true;
	err = array_grow(&m->bios, m->nr_bios, sizeof(bio));
	if (!err)
		m->bios[m->nr_bios++] = bio;
	return err ? err : 1;
}

/* The bio of a table that follows it in the same object (bi_inline_vecs). 1, 0 or -ENOMEM. */
static int find_bio_inside(struct memory *m, const struct used *u)
{
	u64 words[OBJECT_MAX / sizeof(u64)], at = m->s->k->field[KF_BIO_IO_VEC].off;
	u32 size = u->o.size < OBJECT_MAX ? u->o.size : OBJECT_MAX;
	int found = 0;

	if (kmem_read(m->s->k, u->o.addr, words, size))
		return 0;
	for (u32 i = at / sizeof(u64); i < size / sizeof(u64) && !found; i++) {
		u64 bio = u->o.addr + i * sizeof(u64) - at;

		if (words[i] >= bio + m->s->k->field[KF_BIO].off && words[i] <= u->hit.addr)
			found = take_bio(m, bio, &u->hit);
	}
	return found;
}

static bool is_table(const struct used *u)
{
	return !strncmp(u->o.name, "biovec-", 7);
}

/* Tables that are objects of their own: their bios are what points to them. */
static int find_bios_of_tables(struct memory *m)
{
	struct krange r[TABLES_MAX];
	struct kfound found = { 0 };
	u32 n = 0;
	int err = 0;

	for (u32 i = 0; i < m->nr_used && n < TABLES_MAX; i++)
		if (is_table(&m->used[i]) && (!n || r[n - 1].lo != m->used[i].o.addr))
			r[n++] = (struct krange){ m->used[i].o.addr, m->used[i].o.addr + 1 };
	if (n)
		err = memory_search(m->s, r, n, &found);
	for (u32 i = 0; i < found.n && !err; i++) {
		struct slab_object o;
		u64 bio = found.v[i].addr - m->s->k->field[KF_BIO_IO_VEC].off;

		if (slab_object(m->s, found.v[i].addr, &o) || !slab_object_is_used(m->s, &o))
			continue;
		for (u32 j = 0; j < m->nr_used && !err; j++)
			if (m->used[j].o.addr == found.v[i].val &&
			    take_bio(m, bio, &m->used[j].hit) < 0)
				err = -ENOMEM;
	}
	free(found.v);
	return err == -ENOENT ? 0 : err;
}

static int find_bios(struct memory *m)
{
	int err = 0;

	for (u32 i = 0; i < m->nr_used && err >= 0; i++)
		err = find_bio_inside(m, &m->used[i]);
	return err < 0 ? err : find_bios_of_tables(m);
}

static int hand_over(struct snap *s, void *what, bio_fn fn, void *arg)
{
	struct memory *m = what;
	int err = 0;

	(void)s;
	for (u32 i = 0; i < m->nr_bios && !err; i++)
		err = fn(arg, &m->bios[i]);
	return err;
}

static int look_at_hits(struct memory *m, const struct kfound *found)
{
	int err = 0;

	for (u32 i = 0; i < found->n && !err; i++)
		err = take_hit(m, &found->v[i]);
	if (!err && !bios_lack(m->s))
		err = find_bios(m);
	if (!err && m->nr_bios)
		err = bios_tell(m->s, hand_over, m);
	if (!err && !m->s->err)
		err = stray_objects_tell(m);
	return err;
}

const char *walk_memory_lacks(const struct snap *s)
{
	return slabs_lack(s->k) ?: arch_lacks(&s->arch, ARCH_VMEMMAP | ARCH_DIRECT_MAP);
}

int walk_memory(struct snap *s)
{
	struct memory m = { .s = s };
	struct kfound found = { 0 };
	struct krange *ranges;
	int err = 0;
	u32 n;

	if (!s->opts->search_ns)
		return 0;
	ranges = wanted_ranges(s, &n);
	if (n)
		err = memory_search(s, ranges, n, &found);
	if (!err)
		err = look_at_hits(&m, &found);
	free(ranges);
	free(found.v);
	free(m.used);
	free(m.bios);
	return err;
}
