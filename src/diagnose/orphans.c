// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * UNPROTECTED_FREE, seen afterwards: pages that are referenced and belong to no file any more. Up to
 * 6.14 a truncate waits for nobody when no task maps the file, and the inode's end never does; on
 * any kernel, invalidation drops clean pages without looking at their references.
 */
#include <errno.h>

#include "diagnose/phrase.h"
#include "diagnose/verdict.h"

#define PAGES_MAX 8 /* that are told one by one */

static bool is_orphan(const struct wfg_page *page)
{
	return page->p.orphan && page->busy > page->mapped;
}

bool orphans_apply(const struct wfg *g)
{
	for (size_t i = 0; i < wfg_nr_pages(g); i++)
		if (is_orphan(wfg_page(g, i)))
			return true;
	return false;
}

static void explain_text(struct verdict *v, const struct wfg_page *first, u64 n)
{
	struct strbuf sb = { 0 };

	sb_puts(&sb, "UNPROTECTED: ");
	phrase_page_of_file(&sb, first);
	sb_puts(&sb, " is still referenced");
	phrase_holders(&sb, first);
	if (first->freed) {
		sb_puts(&sb, "; ");
		phrase_freed(&sb, first->freed);
	}
	if (n > 1) {
		sb_puts(&sb, "; and so ");
		sb_puts(&sb, n == 2 ? "is " : "are ");
		phrase_count(&sb, n - 1, "more page");
	}
	sb_puts(&sb, ".");
	verdict_text(v, &sb);
}

static void explain_impact_of(struct verdict *v)
{
	struct strbuf sb = { 0 };

	sb_puts(&sb,
		"The block was freed while it was held, or its inode left the cache: no truncate "
		"waits for this reference, and the block may be, or become, part of another "
		"file.");
	verdict_impact(v, &sb);
	sb_puts(&sb, "What the holder reads may then be the other file's data, and what is written "
		     "through the reference destroys it. The kernel warns of this once after boot, "
		     "or never.");
	verdict_impact(v, &sb);
}

static void advise(struct verdict *v, struct processes *p)
{
	struct strbuf action = { 0 }, effect = { 0 };

	processes_sort(p);
	if (!p->n)
		return;
	sb_puts(&action, "Have ");
	phrase_processes(&action, p, 4);
	sb_puts(&action,
		" let go of it, or end, before anything more is written to the filesystem.");
	sb_puts(&effect,
		"The reference goes. What was read or written through it until then stays as "
		"it is: check what it was used for.");
	verdict_advice(v, ADVICE_SENTENCE, "unprotected", &action, &effect);
}

void orphans_explain(struct verdict *v)
{
	const struct wfg_page *first = NULL;
	struct processes p = { 0 };
	u64 n = 0;

	for (size_t i = 0; i < wfg_nr_pages(v->g); i++) {
		const struct wfg_page *page = wfg_page(v->g, i);

		if (!is_orphan(page))
			continue;
		first = first ? first : page;
		if (n++ < PAGES_MAX)
			explain_held_page(v, page);
		for (u32 j = 0; j < wfg_page_holders(page); j++)
			processes_add(&p, page->holds[j]);
	}
	explain_text(v, first, n);
	explain_impact_of(v);
	advise(v, &p);
	v->err = p.failed ? -ENOMEM : v->err;
	processes_free(&p);
}
