// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Page references: how many keep the page busy, and how many of them the holds explain. Counts may
 * be garbage when the page was read while it changed: nothing here trusts one.
 */
#include "model/graph.h"

static s64 between(s64 low, s64 value, s64 high)
{
	if (value > high)
		value = high;
	return value < low ? low : value;
}

/*
 * References of one kind that holds explain. A pipe buffer cannot explain a page table entry, nor
 * a mapping a pin, so an over-counted hold of one kind never hides a missing holder of the other.
 */
static s64 explained(const struct wfg_page *page, bool mappings)
{
	s64 sum = 0;

	for (u32 i = 0; i < wfg_page_holders(page); i++)
		if ((page->holds[i]->h.how == HOW_MAPPING) == mappings)
			sum += page->holds[i]->h.refs;
	return sum;
}

/* Of these the ones that are no pin on any kernel: pipes and sockets take FOLL_GETs. */
static s64 explained_gets(const struct wfg_page *page)
{
	s64 sum = 0;

	for (u32 i = 0; i < wfg_page_holders(page); i++) {
		const struct fact_hold *h = &page->holds[i]->h;

		if (h->how == HOW_VMSPLICE || h->how == HOW_SOCKET || h->how == HOW_ZEROCOPY)
			sum += h->refs;
	}
	return sum;
}

void account_page(struct wfg_page *page)
{
	s64 seen = explained(page, false);
	s64 taken = fact_page_taken(&page->p, seen, explained_gets(page), &page->pins,
				    &page->mapped);

	page->busy = taken + page->mapped;
	page->unattributed = taken - between(0, seen, taken);
	page->unattributed += page->mapped - between(0, explained(page, true), page->mapped);
	/* nothing is left that a candidate could hold */
	if (!page->unattributed)
		page->nr_holds = wfg_page_holders(page);
}
