// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "view/top/filter.h"

#include <fnmatch.h>
#include <stdlib.h>
#include <string.h>

#include "util/quantity.h"
#include "util/text.h"

/* Calls fn for each item of a comma list; true when one of them returns true. */
static bool any_item(const char *list, bool (*fn)(const char *item, size_t len, const void *arg),
		     const void *arg)
{
	for (;;) {
		size_t len = strcspn(list, ",");

		if (fn(list, len, arg))
			return true;
		if (!list[len])
			return false;
		list += len + 1;
	}
}

static bool item_is_number(const char *item, size_t len, const void *arg)
{
	(void)len;
	return strtoul(item, NULL, 10) == *(const u32 *)arg;
}

static bool item_is_word(const char *item, size_t len, const void *arg)
{
	return strlen(arg) == len && !strncmp(item, arg, len);
}

void filter_compile(struct filter *f, const struct filter_words *words)
{
	*f = (struct filter){ .words = *words };
	for (u32 i = 0; i < words->n; i++)
		if (words->w[i].key == FILTER_MIN)
			quantity_time(words->w[i].arg, &f->min_ns);
}

/* What a wait is about and who holds its page: true when any of it fits the word. */
typedef bool (*task_test)(const struct fact_task *t, const char *arg);

static bool any_task(const struct wfg_wait *wait, task_test test, const char *arg)
{
	if (test(&wait->task->t, arg))
		return true;
	for (u32 i = 0; i < wait->nr_holds; i++) {
		const struct wfg_hold *h = wait->holds[i];

		for (u32 j = 0; j < h->nr_releasers; j++)
			if (test(&h->releasers[j].task->t, arg))
				return true;
	}
	return false;
}

static bool has_pid(const struct fact_task *t, const char *list)
{
	return any_item(list, item_is_number, &t->pid) || any_item(list, item_is_number, &t->tid);
}

static bool has_comm(const struct fact_task *t, const char *glob)
{
	return !fnmatch(glob, t->comm, 0);
}

static bool has_how(const struct wfg_wait *wait, const char *list)
{
	for (u32 i = 0; i < wait->nr_holds; i++)
		if (any_item(list, item_is_word, fact_how_name(wait->holds[i]->h.how)))
			return true;
	return false;
}

/* A path, a part of one, or a part of a command name. */
static bool comm_contains(const struct fact_task *t, const char *part)
{
	return strstr(t->comm, part);
}

static bool names(const struct wfg_wait *wait, const char *part)
{
	const char *path = wait->file ? wait->file->f.path : NULL;

	return (path && strstr(path, part)) || any_task(wait, comm_contains, part);
}

static bool word_matches(const struct filter_word *w, const struct wfg_wait *wait)
{
	switch (w->key) {
	case FILTER_PID:
		return any_task(wait, has_pid, w->arg);
	case FILTER_COMM:
		return w->arg[0] == '!' ? !any_task(wait, has_comm, w->arg + 1) :
					  any_task(wait, has_comm, w->arg);
	case FILTER_OP:
		return any_item(w->arg, item_is_word, fact_op_name(wait->w.op));
	case FILTER_HOW:
		return has_how(wait, w->arg);
	case FILTER_NAME:
		return names(wait, w->arg);
	default:
		return true;
	}
}

bool filter_matches(const struct filter *f, const struct wfg_wait *wait)
{
	bool fits[FILTER_KINDS] = { false }, given[FILTER_KINDS] = { false };
	u64 age = wait->age_ns;

	for (u32 i = 0; i < f->words.n; i++) {
		given[f->words.w[i].key] = true;
		fits[f->words.w[i].key] |= word_matches(&f->words.w[i], wait);
	}
	for (int kind = 0; kind < FILTER_KINDS; kind++)
		if (given[kind] && !fits[kind])
			return false;
	return !f->min_ns || (age != FACT_UNKNOWN && age >= f->min_ns);
}
