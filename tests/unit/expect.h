/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The .expect file next to an image: what was staged, against what a look at the image found. */
#ifndef DAXTOP_TESTS_EXPECT_H
#define DAXTOP_TESTS_EXPECT_H

#include <jansson.h>

#include "look.h"

static inline json_t *expect_open(const char *name)
{
	char path[2 * PATH_MAX];
	json_error_t error;
	json_t *doc;

	snprintf(path, sizeof(path), "%s/%s.expect", image_dir(), name);
	doc = json_load_file(path, 0, &error);
	if (!doc)
		fail_msg("%s: %s", path, error.text);
	return doc;
}

static inline u64 number(const json_t *object, const char *key)
{
	assert_true(json_is_integer(json_object_get(object, key)));
	return json_integer_value(json_object_get(object, key));
}

static inline bool flag(const json_t *object, const char *key)
{
	return json_is_true(json_object_get(object, key));
}

/* NULL when it is null. */
static inline const char *text(const json_t *object, const char *key)
{
	return json_string_value(json_object_get(object, key));
}

static inline size_t length(const json_t *object, const char *key)
{
	return json_array_size(json_object_get(object, key));
}

static inline u64 number_at(const json_t *object, const char *key, size_t i)
{
	return json_integer_value(json_array_get(json_object_get(object, key), i));
}

static inline const char *text_at(const json_t *object, const char *key, size_t i)
{
	return json_string_value(json_array_get(json_object_get(object, key), i));
}

static inline bool lists_text(const json_t *object, const char *key, const char *wanted)
{
	for (size_t i = 0; i < length(object, key); i++)
		if (!strcmp(text_at(object, key, i), wanted))
			return true;
	return false;
}

static inline bool lists_number(const json_t *object, const char *key, u64 wanted)
{
	for (size_t i = 0; i < length(object, key); i++)
		if (number_at(object, key, i) == wanted)
			return true;
	return false;
}

static inline const struct wfg_wait *wait_of(const struct look *l, u64 tid)
{
	for (size_t i = 0; i < wfg_nr_waits(l->g); i++)
		if (wfg_wait(l->g, i)->task->t.tid == tid)
			return wfg_wait(l->g, i);
	fail_msg("thread %llu does not wait", (unsigned long long)tid);
	return NULL;
}

static inline void assert_waiter(const struct wfg_wait *w, const json_t *truth)
{
	const struct fact_task *t = &w->task->t;
	const char *on = text(truth, "on");

	assert_int_equal(t->pid, number(truth, "pid"));
	assert_int_equal(t->state, text(truth, "state")[0]);
	assert_true(lists_text(truth, "ops", fact_op_name(w->w.op)));
	assert_string_equal(fact_on_name(w->w.on), on ? on : "page");
	assert_int_equal(w->w.interruptible, t->state == 'S');
	assert_int_equal(t->threads, 1);
	assert_string_equal(t->cgroup, "/");
	assert_true(t->signals.known);
	assert_true(t->kstack.n > 2);
}

static inline void assert_file(const struct wfg_wait *w, const json_t *truth)
{
	const struct fact_file *f = &w->file->f;

	assert_non_null(w->file);
	assert_int_equal(f->dev_major, number_at(truth, "dev", 0));
	assert_int_equal(f->dev_minor, number_at(truth, "dev", 1));
	assert_int_equal(f->ino, number(truth, "ino"));
	assert_string_equal(f->fstype, text(truth, "fstype"));
	assert_int_equal(f->deleted, flag(truth, "deleted"));
	if (text(truth, "path"))
		assert_string_equal(f->path, text(truth, "path"));
}

/* A page that files share has no place in one; its file is that of the waiter. */
static inline void assert_place(const struct wfg_wait *w, const json_t *truth)
{
	const struct fact_page *p = &w->page->p;
	u64 index = number(truth, "index");

	if (flag(truth, "shared")) {
		assert_true(p->shared > 0);
		assert_true(p->index == FACT_UNKNOWN);
	} else {
		assert_int_equal(p->shared, 0);
		assert_true(p->index <= index && index < p->index + (1ULL << p->order));
	}
}

static inline void assert_page(const struct wfg_wait *w, const json_t *truth)
{
	assert_non_null(w->page);
	assert_int_equal(w->page->p.file, w->file->f.id);
	assert_place(w, truth);
	assert_int_equal(w->page->p.order, flag(truth, "huge") ? 9 : 0);
	assert_int_equal(w->page->p.idle_refs, number(truth, "idle_refs"));
}

static inline bool releases(const struct wfg_hold *h, u64 pid)
{
	for (u32 i = 0; i < h->nr_releasers; i++)
		if (h->releasers[i].task->t.pid == pid)
			return true;
	return false;
}

static inline bool leads_to(const struct wfg_hold *h, const json_t *truth)
{
	for (size_t i = 0; i < length(truth, "targets"); i++)
		if (h->h.target && strstr(h->h.target, text_at(truth, "targets", i)))
			return true;
	return !length(truth, "targets");
}

/* Everything but how sure it is. */
static inline bool is_holder(const struct wfg_hold *h, const json_t *truth)
{
	const char *object = text(truth, "object");

	if (strcmp(fact_how_name(h->h.how), text(truth, "how")) || !leads_to(h, truth) ||
	    (object && (!h->h.object_id || strcmp(h->h.object_id, object))) ||
	    h->nr_releasers != length(truth, "pids") || h->h.nr_releasers != h->nr_releasers)
		return false;
	for (u32 i = 0; i < h->nr_releasers; i++)
		if (!releases(h, number_at(truth, "pids", i)))
			return false;
	return h->h.how != HOW_DIRECT_IO || h->releasers[0].task->t.tid == number(truth, "tid");
}

/* Its references; how many they must be is not known of all. */
static inline s64 assert_holder(const struct wfg_page *p, const json_t *truth)
{
	for (u32 i = 0; i < wfg_page_holders(p); i++) {
		const struct wfg_hold *h = p->holds[i];

		if (!is_holder(h, truth))
			continue;
		assert_true(
			lists_text(truth, "confidences", fact_confidence_name(h->h.confidence)));
		assert_true(h->h.refs > 0);
		if (!json_is_null(json_object_get(truth, "refs")))
			assert_int_equal(h->h.refs, number(truth, "refs"));
		return h->h.refs;
	}
	fail_msg("%s by %llu is not found", text(truth, "how"),
		 (unsigned long long)number_at(truth, "pids", 0));
	return 0;
}

/* Exactly those that were staged are more than candidates, and explain every reference. */
static inline void assert_holders(const struct wfg_wait *w, const json_t *truth)
{
	const json_t *holders = json_object_get(truth, "holders");
	s64 refs = 0;

	for (size_t i = 0; i < json_array_size(holders); i++) {
		refs += assert_holder(w->page, json_array_get(holders, i));
	}
	assert_int_equal(wfg_page_holders(w->page), json_array_size(holders));
	for (u32 i = wfg_page_holders(w->page); i < w->page->nr_holds; i++)
		assert_int_equal(w->page->holds[i]->h.refs, 0);
	assert_int_equal(w->page->busy, refs);
	assert_int_equal(w->page->unattributed, 0);
}

/* Of a lock exactly those who were staged to have it; of an entry lock, the right one. */
static inline void assert_lock(const struct wfg_wait *w, const json_t *truth)
{
	const json_t *holders = json_object_get(truth, "holders");

	assert_null(w->page);
	assert_int_not_equal(w->w.lock, 0);
	if (w->w.on == ON_ENTRY_LOCK)
		assert_int_equal(w->w.index, number(truth, "index"));
	assert_false(w->w.is_free);
	assert_int_equal(w->nr_holds, json_array_size(holders));
	for (u32 i = 0; i < w->nr_holds; i++) {
		const json_t *holder = json_array_get(holders, i);

		assert_int_equal(w->holds[i]->h.confidence, CONF_EXACT);
		assert_true(is_holder(w->holds[i], holder));
	}
}

static inline void assert_queued(const struct wfg_wait *w, const json_t *truth)
{
	assert_int_equal(w->nr_queued, length(truth, "queued"));
	for (u32 i = 0; i < w->nr_queued; i++)
		assert_true(lists_number(truth, "queued", w->queued[i].task->t.pid));
}

static inline void assert_findings(const struct look *l, const struct wfg_wait *w,
				   const json_t *truth)
{
	u32 n = 0;

	for (size_t i = 0; i < l->f.n; i++) {
		if (l->f.f[i].wait != w)
			continue;
		assert_true(lists_text(truth, "findings", finding_code_name(l->f.f[i].code)));
		n++;
	}
	assert_int_equal(n, length(truth, "findings"));
}

/* The whole of what was staged, and nothing else. */
static inline void assert_staged(const struct look *l, const json_t *doc)
{
	const json_t *truths = json_object_get(doc, "waits");

	assert_int_equal(look_count(l, FACT_WAIT), json_array_size(truths));
	for (size_t i = 0; i < json_array_size(truths); i++) {
		const json_t *truth = json_array_get(truths, i);
		const struct wfg_wait *w = wait_of(l, number(truth, "tid"));

		assert_waiter(w, truth);
		assert_file(w, truth);
		if (w->w.on == ON_PAGE) {
			assert_page(w, truth);
			assert_holders(w, truth);
		} else {
			assert_lock(w, truth);
		}
		assert_queued(w, truth);
		assert_findings(l, w, truth);
	}
	for (size_t i = 0; i < wfg_nr_losses(l->g); i++)
		fail_msg("lost or torn: %s", wfg_loss(l->g, i)->where);
}

#endif
