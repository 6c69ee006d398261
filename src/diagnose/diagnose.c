// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include <errno.h>
#include <stdlib.h>

#include "diagnose/verdict.h"

struct rule {
	enum finding_code code;
	bool (*applies)(const struct wfg *g, const struct wfg_wait *wait);
	void (*explain)(struct verdict *v);
};

/* Worst first: the first rule that applies explains the wait. */
static const struct rule rules[] = {
	{ FINDING_SELF_DEADLOCK, self_deadlock_applies, self_deadlock_explain },
	{ FINDING_LOST_WAKEUP, lost_wakeup_applies, lost_wakeup_explain },
	{ FINDING_BLOCKED, blocked_applies, blocked_explain },
};
#define NR_RULES (sizeof(rules) / sizeof(rules[0]))

/* What is found though nobody waits: at most once. */
struct general_rule {
	enum finding_code code;
	bool (*applies)(const struct wfg *g);
	void (*explain)(struct verdict *v);
};

static const struct general_rule general_rules[] = {
	{ FINDING_UNBIND, unbind_applies, unbind_explain },
	{ FINDING_UNPROTECTED_FREE, orphans_apply, orphans_explain },
};
#define NR_GENERAL (sizeof(general_rules) / sizeof(general_rules[0]))

static int explain(const struct wfg *g, const struct wfg_wait *wait, const struct rule *rule,
		   struct finding *f)
{
	struct verdict v = { .g = g, .wait = wait, .f = f };

	f->code = rule->code;
	f->wait = wait;
	rule->explain(&v);
	explain_impact(&v);
	return v.err;
}

static const struct rule *rule_for(const struct wfg *g, const struct wfg_wait *wait)
{
	size_t i = 0;

	while (i < NR_RULES - 1 && !rules[i].applies(g, wait))
		i++;
	return &rules[i];
}

/* Waits come oldest first, so one pass for each rule leaves worst first, then oldest. */
static int explain_waits(const struct wfg *g, struct findings *f)
{
	size_t nr_waits = wfg_nr_waits(g);
	int err = 0;

	for (size_t r = 0; r < NR_RULES; r++)
		for (size_t i = 0; i < nr_waits && !err; i++)
			if (rule_for(g, wfg_wait(g, i)) == &rules[r])
				err = explain(g, wfg_wait(g, i), &rules[r], &f->f[f->n++]);
	return err;
}

static int explain_rest(const struct wfg *g, struct findings *f)
{
	int err = 0;

	for (size_t r = 0; r < NR_GENERAL && !err; r++) {
		struct verdict v = { .g = g, .f = &f->f[f->n] };

		if (!general_rules[r].applies(g))
			continue;
		f->f[f->n++].code = general_rules[r].code;
		general_rules[r].explain(&v);
		err = v.err;
	}
	return err;
}

int diagnose(const struct wfg *g, struct findings *ret)
{
	struct findings f = { .f = calloc(wfg_nr_waits(g) + NR_GENERAL, sizeof(*f.f)) };
	int err = f.f ? explain_waits(g, &f) : -ENOMEM;

	err = err ? err : explain_rest(g, &f);
	if (err)
		findings_free(&f);
	*ret = f;
	return err;
}

static void sentences_free(struct sentences *list)
{
	for (u32 i = 0; i < list->n; i++)
		free(list->s[i]);
	free(list->s);
}

static void finding_free(struct finding *f)
{
	free(f->text);
	sentences_free(&f->cause);
	sentences_free(&f->impact);
	sentences_free(&f->notes);
	for (u32 i = 0; i < f->nr_advice; i++) {
		free(f->advice[i].action);
		free(f->advice[i].effect);
	}
	free(f->advice);
}

void findings_free(struct findings *f)
{
	for (size_t i = 0; i < f->n; i++)
		finding_free(&f->f[i]);
	free(f->f);
	*f = (struct findings){ 0 };
}

const char *finding_code_name(enum finding_code code)
{
	switch (code) {
	case FINDING_SELF_DEADLOCK:
		return "SELF_DEADLOCK";
	case FINDING_LOST_WAKEUP:
		return "LOST_WAKEUP";
	case FINDING_UNPROTECTED_FREE:
		return "UNPROTECTED_FREE";
	case FINDING_UNBIND:
		return "UNBIND";
	default:
		return "BLOCKED";
	}
}

/* Whether every reference of a busy page was seen. */
static bool page_is_exact(const struct wfg_page *page)
{
	if (!page->busy || page->unattributed)
		return false;
	for (u32 i = 0; i < page->nr_holds; i++)
		if (page->holds[i]->h.confidence == CONF_LIKELY)
			return false;
	return true;
}

/* Whether every reference that keeps the waiter asleep was seen. */
static bool all_exact(const struct wfg_wait *wait)
{
	return wait->w.on == ON_PAGE && wait->page && page_is_exact(wait->page);
}

/* Of the device that is to be unbound nothing counts but its pages. */
static int unbind_status(const struct wfg *g)
{
	int status = wfg_losses(g, LOSS_LOST) ? 13 : 0;

	for (size_t i = 0; i < wfg_nr_pages(g) && status != 11; i++) {
		const struct wfg_page *page = wfg_page(g, i);

		if (wfg_page_is_held(g, page))
			status = page_is_exact(page) ? 10 : 11;
	}
	return status;
}

int findings_exit_status(const struct wfg *g, const struct findings *f)
{
	int status = wfg_losses(g, LOSS_LOST) ? 13 : 0;

	if (wfg_session(g)->unbind)
		return unbind_status(g);
	for (size_t i = 0; i < f->n; i++) {
		if (!f->f[i].wait)
			continue;
		if (f->f[i].code != FINDING_BLOCKED)
			return 12;
		if (status != 11)
			status = all_exact(f->f[i].wait) ? 10 : 11;
	}
	return status;
}
