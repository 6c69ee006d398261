// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * UNPROTECTED_FREE, seen afterwards: pages that are referenced and belong to no file any more. Up
 * to 6.14 a truncate waits for nobody when no task maps the file, and the inode's end never does;
 * on any kernel, invalidation drops clean pages without looking at their references.
 */
#include <errno.h>

#include "diagnose/phrase.h"
#include "diagnose/verdict.h"

static bool is_orphan(const struct wfg *g, const struct wfg_page *page)
{
	(void)g;
	return page->p.orphan && page->busy > page->mapped;
}

bool orphans_apply(const struct wfg *g)
{
	for (size_t i = 0; i < wfg_nr_pages(g); i++)
		if (is_orphan(g, wfg_page(g, i)))
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
	phrase_more_pages(&sb, n - 1);
	sb_putc(&sb, '.');
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
	const struct wfg_page *first;
	struct processes p = { 0 };
	u64 n = explain_held_pages(v, is_orphan, &first, &p);

	explain_text(v, first, n);
	explain_impact_of(v);
	advise(v, &p);
	v->err = p.failed ? -ENOMEM : v->err;
	processes_free(&p);
}
