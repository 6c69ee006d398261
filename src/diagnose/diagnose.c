// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include <errno.h>
#include <stdlib.h>

#include "diagnose/stuck.h"
#include "diagnose/verdict.h"

struct rule {
	enum finding_code code;
	/* NULL: when the waiter is in a circle, of which each step is proven or not */
	bool (*applies)(const struct wfg *g, const struct wfg_wait *wait);
	void (*explain)(struct verdict *v);
	bool proven;
};

/* Worst first: the first rule that applies explains the wait. */
static const struct rule rules[] = {
	{ FINDING_SELF_DEADLOCK, self_deadlock_applies, self_deadlock_explain, false },
	{ FINDING_DEADLOCK, NULL, deadlock_explain, true },
	{ FINDING_LOST_WAKEUP, lost_wakeup_applies, lost_wakeup_explain, false },
	{ FINDING_SUSPECTED_DEADLOCK, NULL, deadlock_explain, false },
	{ FINDING_ENTRY_LOCK, entry_lock_applies, entry_lock_explain, false },
	{ FINDING_LEASE, lease_applies, lease_explain, false },
	{ FINDING_BLOCKED, blocked_applies, blocked_explain, false },
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

static bool rule_applies(const struct rule *rule, const struct wfg *g, const struct finding *f)
{
	if (rule->applies)
		return rule->applies(g, f->wait);
	return f->cycle.n && f->cycle.proven == rule->proven;
}

static const struct rule *rule_for(const struct wfg *g, const struct finding *f)
{
	size_t i = 0;

	while (i < NR_RULES - 1 && !rule_applies(&rules[i], g, f))
		i++;
	return &rules[i];
}

static int rank(enum finding_code code)
{
	int i = 0;

	while (rules[i].code != code)
		i++;
	return i;
}

/* The circle that the waiter is in: one that is proven if there is such. */
static int find_cycle(struct stuck *proven, struct stuck *suspected, struct finding *f)
{
	int err = stuck_cycle(proven, f->wait, &f->cycle);

	return err || f->cycle.n ? err : stuck_cycle(suspected, f->wait, &f->cycle);
}

/* Only a finding that is about the circle shows it. */
static void choose_rule(const struct wfg *g, struct finding *f)
{
	const struct rule *rule = rule_for(g, f);

	f->code = rule->code;
	if (rule->applies)
		f->cycle.n = 0;
}

static int explain(const struct wfg *g, struct finding *f, bool hopeless)
{
	struct verdict v = { .g = g, .wait = f->wait, .f = f, .hopeless = hopeless };

	rules[rank(f->code)].explain(&v);
	explain_impact(&v);
	return v.err;
}

/* Worst first; the waits come oldest first. */
static int compare_findings(const void *a, const void *b)
{
	const struct finding *x = a, *y = b;
	int order = rank(x->code) - rank(y->code);

	return order ? order : (x->wait > y->wait) - (x->wait < y->wait);
}

static bool has_task(const struct cycle *c, const struct wfg_task *task)
{
	u32 i = 0;

	while (i < c->n && c->steps[i].task != task)
		i++;
	return i < c->n;
}

static bool is_same_kind(const struct finding *a, const struct finding *b)
{
	return a->code == b->code && a->cycle.n == b->cycle.n;
}

/* The first of the findings of tasks in a circle that has f's in its own. */
static const struct finding *find_first(const struct finding *f)
{
	const struct finding *first = f;

	for (u32 j = 0; j < f->cycle.n; j++) {
		const struct wfg_wait *w = f->cycle.steps[j].wait;
		const struct finding *other = w ? f + (w - f->wait) : f;

		if (other < first && is_same_kind(other, f))
			first = other;
	}
	return has_task(&first->cycle, f->wait->task) ? first : f;
}

/*
 * Most tasks of a circle see the same circle, but for where it starts. The findings are in the
 * order of the waits.
 */
static void find_same_cycles(struct findings *all)
{
	for (size_t i = 0; i < all->n; i++) {
		struct finding *f = &all->f[i];
		const struct finding *of = f->cycle.n ? f + (f->cycle.of - f->wait) : f;

		if (of == f || !is_same_kind(of, f))
			of = find_first(f);
		f->cycle_of = of->wait;
	}
}

static int find_all(const struct wfg *g, struct stuck *proven, struct stuck *suspected,
		    struct findings *ret)
{
	int err = 0;

	for (size_t i = 0; i < wfg_nr_waits(g) && !err; i++) {
		struct finding *f = &ret->f[ret->n++];

		f->wait = wfg_wait(g, i);
		err = find_cycle(proven, suspected, f);
	}
	for (size_t i = 0; i < ret->n && !err; i++)
		choose_rule(g, &ret->f[i]);
	find_same_cycles(ret);
	for (size_t i = 0; i < ret->n && !err; i++)
		err = explain(g, &ret->f[i], stuck_is(proven, ret->f[i].wait->task));
	return err;
}

/* Worst first, then oldest. */
static int explain_waits(const struct wfg *g, struct findings *f)
{
	struct stuck *proven = stuck_new(g, true), *suspected = stuck_new(g, false);
	int err = proven && suspected ? find_all(g, proven, suspected, f) : -ENOMEM;

	stuck_free(proven);
	stuck_free(suspected);
	if (!err)
		qsort(f->f, f->n, sizeof(*f->f), compare_findings);
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
	int err = f.f ? 0 : -ENOMEM;

	if (!err && wfg_nr_waits(g))
		err = explain_waits(g, &f);
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
	free(f->cycle.own);
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
	case FINDING_DEADLOCK:
		return "DEADLOCK";
	case FINDING_SUSPECTED_DEADLOCK:
		return "SUSPECTED_DEADLOCK";
	case FINDING_LOST_WAKEUP:
		return "LOST_WAKEUP";
	case FINDING_ENTRY_LOCK:
		return "ENTRY_LOCK";
	case FINDING_LEASE:
		return "LEASE";
	case FINDING_UNPROTECTED_FREE:
		return "UNPROTECTED_FREE";
	case FINDING_UNBIND:
		return "UNBIND";
	default:
		return "BLOCKED";
	}
}

static bool none_is_likely(const struct wfg_hold *const *holds, u32 n)
{
	for (u32 i = 0; i < n; i++)
		if (holds[i]->h.confidence == CONF_LIKELY)
			return false;
	return true;
}

/* Whether every reference of a busy page was seen. */
static bool page_is_exact(const struct wfg_page *page)
{
	return page->busy && !page->unattributed && none_is_likely(page->holds, page->nr_holds);
}

/* Whether all that keeps the waiter asleep was seen. */
static bool all_exact(const struct wfg_wait *wait)
{
	if (wait->w.on == ON_PAGE)
		return wait->page && page_is_exact(wait->page);
	return !wait->page && wait->nr_holds && none_is_likely(wait->holds, wait->nr_holds);
}

static bool is_deadlock(enum finding_code code)
{
	return code == FINDING_SELF_DEADLOCK || code == FINDING_DEADLOCK ||
	       code == FINDING_LOST_WAKEUP;
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
		if (is_deadlock(f->f[i].code))
			return 12;
		if (status != 11)
			status = all_exact(f->f[i].wait) ? 10 : 11;
	}
	return status;
}
