// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Page table entries. From 6.15 on each counts as a reference, so a task that touched the page
 * again while the waiter slept keeps it asleep, pinned or not. Before, they do not count; then
 * those who map the file are only candidates for references that nothing else explains.
 */
#include <errno.h>
#include <stdlib.h>

#include "collect/mm.h"

/* Entries of one address space that map the folio. */
struct count {
	u64 first_pfn, nr_pfns;
	u32 entries;
};

static void count_entry(void *arg, u64 addr, u64 pfn, u64 nr_pages)
{
	struct count *c = arg;

	(void)addr;
	if (pfn < c->first_pfn + c->nr_pfns && pfn + nr_pages > c->first_pfn)
		c->entries++;
}

/* Page table entries of a mapping that lead to the folio; -errno when they cannot be read. */
static int entries_of(struct snap *s, const struct kvma *v, const struct kpage *p)
{
	struct count c = {
		.first_pfn = arch_page_to_pfn(&s->arch, s->k, p->head),
		.nr_pfns = 1ULL << p->order,
	};
	u64 addr, end, pgd;
	int err = kmem_get(s->k, v->mm, KF_MM_PGD, &pgd);

	if (err)
		return err;
	vma_range(v, p, &addr, &end);
	err = arch_walk_ptes(&s->arch, s->k, pgd, addr, end - addr, count_entry, &c);
	return err < 0 ? err : (int)c.entries;
}

/*
 * All entries of an address space, through any of its mappings; -ENOENT when none covers it.
 * *clone: another file that shares the page, through a mapping of which an entry leads to it; 0
 * none.
 */
static int entries_of_mm(struct snap *s, u64 mm, const struct kpage *p, u64 *clone)
{
	int sum = 0;
	bool covered = false;
	u32 n;
	const struct kvma *v = vmas_of(s, mm, &n);

	*clone = 0;
	for (u32 i = 0; i < n; i++) {
		int found = vma_covers(&v[i], p) ? entries_of(s, &v[i], p) : 0;

		if (found < 0)
			return found;
		/* a clone's mapping matters only if it leads to the page */
		covered |= vma_covers(&v[i], p) && (!v[i].clone || found);
		if (v[i].clone && found)
			*clone = v[i].inode;
		sum += found;
	}
	return covered ? sum : -ENOENT;
}

static const char *describe(struct snap *s, int entries, bool counts, u64 clone)
{
	const char *file = clone ? file_name(s, clone) : NULL, *what;

	if (counts)
		what = entries == 1 ? "1 page table entry" :
				      snap_text(s, "%d page table entries", entries);
	else
		what = entries < 0 ? "maps this part of the file; its page tables cannot be read" :
				     "maps this part of the file";
	return file ? snap_text(s, "%s, through %s, which shares the page", what, file) : what;
}

static void tell_hold(struct snap *s, u64 mm, const struct kpage *p, int entries, u64 clone)
{
	struct fact f = { .type = FACT_HOLD };
	struct fact_releaser *releasers = mm_releasers(s, mm, &f.hold.nr_releasers);
	bool counts = p->mapcount > 0 && entries > 0; /* 0 where they do not count */

	f.hold.page = p->head;
	f.hold.how = counts ? HOW_MAPPING : HOW_UNKNOWN;
	f.hold.confidence = counts ? CONF_EXACT : CONF_CANDIDATE;
	f.hold.refs = counts ? entries : 0;
	f.hold.object_kind = "mm";
	f.hold.object_id = snap_text(s, "0x%llx", (unsigned long long)mm);
	f.hold.detail = describe(s, entries, counts, clone);
	f.hold.held_ns = FACT_UNKNOWN;
	f.hold.releasers = releasers;
	if (f.hold.nr_releasers)
		snap_emit(s, &f);
	free(releasers);
}

/* Mappings are sorted by address space. */
static void look_at(struct snap *s, const struct kpage *p)
{
	for (u32 i = 0; i < s->nr_vmas; i++) {
		u64 mm = s->vmas[i].mm, clone;
		int entries = i && s->vmas[i - 1].mm == mm ? -ENOENT :
							     entries_of_mm(s, mm, p, &clone);

		if (entries != -ENOENT)
			tell_hold(s, mm, p, entries, clone);
	}
}

/* Of many held pages most are explained: page tables are walked for the others. */
static bool is_needed(struct snap *s, const struct kpage *p)
{
	return !p->scanned || page_unexplained(s, p) || p->mapcount > 0;
}

const char *walk_mappings_lacks(const struct snap *s)
{
	const char *lacks = arch_lacks(&s->arch, ARCH_DIRECT_MAP | ARCH_VMEMMAP);

	return lacks ? lacks : KMEM_LACKS(s->k, KF_MM_PGD, KF_VMA_RB);
}

int walk_mappings(struct snap *s)
{
	for (u32 i = 0; i < s->nr_pages && !s->err; i++)
		if (is_needed(s, &s->pages[i]))
			look_at(s, &s->pages[i]);
	return 0;
}
