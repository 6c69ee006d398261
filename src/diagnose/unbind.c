// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* UNBIND: what comes of unbinding the device that --before-unbind names. */
#include <errno.h>

#include "diagnose/phrase.h"
#include "diagnose/verdict.h"

#define NAMED 4

bool unbind_applies(const struct wfg *g)
{
	for (size_t i = 0; wfg_session(g)->unbind && i < wfg_nr_pages(g); i++)
		if (wfg_page_is_held(g, wfg_page(g, i)))
			return true;
	return false;
}

static const char *effect_text(enum fact_unbind effect)
{
	switch (effect) {
	case UNBIND_HANGS:
		return "would hang, unkillable, until the last reference goes";
	case UNBIND_CRASHES:
		return "would crash this kernel when the reference goes";
	default:
		return "would hang, or crash this kernel when the reference goes; which of them "
		       "is not known here";
	}
}

static void explain_text(struct verdict *v, const struct wfg_page *first, u64 n)
{
	const struct fact_session *s = wfg_session(v->g);
	struct strbuf sb = { 0 };

	sb_printf(&sb, "UNBIND: unbinding %s now %s: ", s->unbind, effect_text(s->unbind_effect));
	phrase_page_of_file(&sb, first);
	sb_puts(&sb, " is referenced");
	phrase_holders(&sb, first);
	phrase_more_pages(&sb, n - 1);
	sb_putc(&sb, '.');
	verdict_text(v, &sb);
}

static void explain_consequence(struct verdict *v)
{
	const struct fact_session *s = wfg_session(v->g);
	struct strbuf sb = { 0 };

	if (s->unbind_effect == UNBIND_CRASHES)
		sb_puts(&sb,
			"The unbinding returns and frees the struct pages all the same; whoever "
			"drops a reference afterwards reads memory that is gone, which kills it "
			"inside the kernel with the locks it has, or panics.");
	else if (s->unbind_effect == UNBIND_HANGS)
		sb_puts(&sb,
			"The unbinding sleeps in state D with the locks of the device: neither "
			"it nor another change to the device ends before the holders do.");
	if (sb.len)
		verdict_impact(v, &sb);
	if (!s->unbind_mount)
		return;
	sb_printf(&sb,
		  "A filesystem on it is mounted on %s, so that further pages may be referenced "
		  "at any moment.",
		  s->unbind_mount);
	verdict_impact(v, &sb);
}

static void advise(struct verdict *v, struct processes *p)
{
	const struct fact_session *s = wfg_session(v->g);
	struct strbuf action = { 0 }, effect = { 0 };

	processes_sort(p);
	if (p->n) {
		sb_puts(&action, "Have ");
		phrase_processes(&action, p, NAMED);
		sb_puts(&action, " let go, or end");
		sb_puts(&action, s->unbind_mount ? "; then unmount " : ".");
		if (s->unbind_mount)
			sb_printf(&action, "%s.", s->unbind_mount);
		sb_puts(&effect, "Without a reference the device can be unbound.");
		verdict_advice(v, ADVICE_SENTENCE, "before-unbind", &action, &effect);
	}
	sb_printf(&action, "daxtrace --before-unbind %s", s->unbind);
	sb_puts(&effect, "Asks again; changes nothing.");
	verdict_advice(v, ADVICE_COMMAND, "before-unbind", &action, &effect);
}

void unbind_explain(struct verdict *v)
{
	const struct wfg_page *first;
	struct processes p = { 0 };
	u64 n = explain_held_pages(v, wfg_page_is_held, &first, &p);

	explain_text(v, first, n);
	explain_consequence(v);
	advise(v, &p);
	v->err = p.failed ? -ENOMEM : v->err;
	processes_free(&p);
}
