// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Page references: how many keep the page busy, of what kind, and how many of them the holds
 * explain. Counts may be garbage when the page was read while it changed: nothing here trusts one.
 */
#include "model/graph.h"

/*
 * A FOLL_PIN of a page that keeps no separate count adds this to the reference count
 * (GUP_PIN_COUNTING_BIAS, include/linux/mm.h).
 */
#define PIN_BIAS 1024

/* The kernel keeps these counts in an int. */
static s64 sane(s64 count)
{
	if (count > INT32_MAX)
		return INT32_MAX;
	return count < INT32_MIN ? INT32_MIN : count;
}

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

/*
 * The most pins that a count can mean: PIN_BIAS plain references look like one pin. But plain
 * references that were seen are none, and a reading with fewer references than were seen is wrong:
 * one pin less makes it PIN_BIAS - 1 more.
 */
static s64 most_pins(const struct wfg_page *page, s64 count)
{
	s64 pins = (count - explained_gets(page)) / PIN_BIAS;
	s64 most = (count - explained(page, false)) / (PIN_BIAS - 1);

	return between(0, pins < most ? pins : most, count / PIN_BIAS);
}

/* Splits the references above idle into page table entries, FOLL_PINs and plain references. */
static s64 decode(struct wfg_page *page)
{
	const struct fact_page *p = &page->p;
	s64 above = between(0, sane(p->refs) - sane(p->idle_refs), INT32_MAX);
	s64 rest;

	page->mapped = between(0, p->mapcount, above);
	rest = above - page->mapped;
	if (p->pincount >= 0) {
		/* A large folio: each pin is one reference and counted apart. */
		page->pins = between(0, p->pincount, rest);
		return rest - page->pins;
	}
	page->pins = most_pins(page, rest);
	return rest - page->pins * PIN_BIAS;
}

void account_page(struct wfg_page *page)
{
	s64 gets = decode(page);
	s64 taken = page->pins + gets;

	page->busy = taken + page->mapped;
	page->unattributed = taken - between(0, explained(page, false), taken);
	page->unattributed += page->mapped - between(0, explained(page, true), page->mapped);
	/* nothing is left that a candidate could hold */
	if (!page->unattributed)
		page->nr_holds = wfg_page_holders(page);
}
