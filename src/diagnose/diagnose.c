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

int diagnose(const struct wfg *g, struct findings *ret)
{
	size_t nr_waits = wfg_nr_waits(g);
	struct findings f = { 0 };

	*ret = f;
	if (!nr_waits)
		return 0;
	f.f = calloc(nr_waits, sizeof(*f.f));
	if (!f.f)
		return -ENOMEM;
	/* Waits come oldest first, so one pass for each rule leaves worst first, then oldest. */
	for (size_t r = 0; r < NR_RULES; r++) {
		for (size_t i = 0; i < nr_waits; i++) {
			if (rule_for(g, wfg_wait(g, i)) != &rules[r])
				continue;
			if (explain(g, wfg_wait(g, i), &rules[r], &f.f[f.n++])) {
				findings_free(&f);
				return -ENOMEM;
			}
		}
	}
	*ret = f;
	return 0;
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
	default:
		return "BLOCKED";
	}
}

/* Whether every reference that keeps the waiter asleep was seen. */
static bool all_exact(const struct wfg_wait *wait)
{
	const struct wfg_page *page = wait->page;

	if (wait->w.on != ON_PAGE || !page || !page->busy || page->unattributed)
		return false;
	for (u32 i = 0; i < page->nr_holds; i++)
		if (page->holds[i]->h.confidence == CONF_LIKELY)
			return false;
	return true;
}

int findings_exit_status(const struct wfg *g, const struct findings *f)
{
	int status = wfg_losses(g, LOSS_LOST) ? 13 : 0;

	for (size_t i = 0; i < f->n; i++) {
		if (f->f[i].code != FINDING_BLOCKED)
			return 12;
		if (status != 11)
			status = all_exact(f->f[i].wait) ? 10 : 11;
	}
	return status;
}
