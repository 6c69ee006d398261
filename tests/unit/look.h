/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * One look at an image of tests/unit/images: the facts as the collectors emitted them, and what the
 * model and the diagnosis made of them. Every failure ends the test.
 */
#ifndef DAXTOP_TESTS_LOOK_H
#define DAXTOP_TESTS_LOOK_H

#include <libgen.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <daxtop/diagnose.h>

#include "collect/snap.h"
#include "model/graph.h"
#include "util/array.h"

#define LOOK_SECONDS 1.0 /* a look at an image takes milliseconds; even a damaged one must end */
#define LOOK_TIMEOUT 60  /* seconds after which one that does not end ends the program */

struct look {
	struct wfg *g;
	struct findings f;
	struct fact *facts; /* but for losses, which are in the graph, and probes */
	u32 n;
	struct arena arena; /* texts and arrays of the facts */
	double seconds;
};

/* Directory of the images, wherever the tests run. */
static inline const char *image_dir(void)
{
	static char dir[PATH_MAX];
	char source[] = __FILE__;

	snprintf(dir, sizeof(dir), "%s/images", dirname(source));
	return dir;
}

static inline struct kmem *image_open(const char *name)
{
	struct refusal why = { 0 };
	char path[2 * PATH_MAX];
	struct kmem *k;

	snprintf(path, sizeof(path), "%s/%s.gz", image_dir(), name);
	k = kmem_image(path, &why);
	if (!k)
		fail_msg("%s", why.cause);
	return k;
}

static inline int look_copy(struct look *l, struct fact *f)
{
	switch (f->type) {
	case FACT_TASK:
		return copy_task(&l->arena, &f->task);
	case FACT_FILE:
		return copy_file(&l->arena, &f->file);
	case FACT_HOLD:
		return copy_hold(&l->arena, &f->hold);
	case FACT_LOCK:
		return copy_lock(&l->arena, &f->lock);
	case FACT_SESSION:
		return copy_session(&l->arena, &f->session);
	default:
		return 0;
	}
}

static inline int look_take(void *arg, const struct fact *fact)
{
	struct look *l = arg;
	struct fact f = *fact;
	int err = wfg_add(l->g, fact);

	if (err || f.type == FACT_LOSS || f.type == FACT_PROBE)
		return err;
	err = look_copy(l, &f);
	err = err ? err : array_grow(&l->facts, l->n, sizeof(f));
	if (!err)
		l->facts[l->n++] = f;
	return err;
}

static inline double cpu_seconds(void)
{
	struct timespec t;

	/* of this program: a machine with much to do must not fail a test */
	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
	return t.tv_sec + t.tv_nsec / 1e9;
}

static inline void look_init(struct look *l, struct kmem *k)
{
	static const struct snapshot_opts opts = { .search_ns = 1 };
	double start = cpu_seconds();
	int err;

	*l = (struct look){ .g = wfg_new() };
	assert_non_null(l->g);
	alarm(LOOK_TIMEOUT);
	err = snapshot_kmem(k, &opts, look_take, l);
	assert_int_equal(err, 0);
	assert_int_equal(wfg_link(l->g), 0);
	assert_int_equal(diagnose(l->g, &l->f), 0);
	alarm(0);
	l->seconds = cpu_seconds() - start;
	if (l->seconds > LOOK_SECONDS)
		fail_msg("took %.1f s", l->seconds);
}

static inline void look_free(struct look *l)
{
	findings_free(&l->f);
	wfg_free(l->g);
	arena_free(&l->arena);
	free(l->facts);
}

/* The fact of a type that has this id; NULL none. */
static inline const struct fact *look_fact(const struct look *l, enum fact_type type, u64 id)
{
	for (u32 i = 0; i < l->n; i++) {
		const struct fact *f = &l->facts[i];

		if (f->type == type && id == (type == FACT_TASK ? f->task.id :
					      type == FACT_FILE ? f->file.id :
					      type == FACT_PAGE ? f->page.id :
								  f->wait.task))
			return f;
	}
	return NULL;
}

static inline u32 look_count(const struct look *l, enum fact_type type)
{
	u32 n = 0;

	for (u32 i = 0; i < l->n; i++)
		n += l->facts[i].type == type;
	return n;
}

/* Losses of one kind at one place. */
static inline u64 look_losses(const struct look *l, enum fact_loss_kind kind, const char *where)
{
	for (size_t i = 0; i < wfg_nr_losses(l->g); i++)
		if (wfg_loss(l->g, i)->kind == kind && !strcmp(wfg_loss(l->g, i)->where, where))
			return wfg_loss(l->g, i)->count;
	return 0;
}

/* Holds of one mechanism that are at least so sure. */
static inline u32 look_holds(const struct look *l, enum fact_how how, enum fact_confidence least)
{
	u32 n = 0;

	for (u32 i = 0; i < l->n; i++)
		n += l->facts[i].type == FACT_HOLD && l->facts[i].hold.how == how &&
		     l->facts[i].hold.confidence >= least;
	return n;
}

#endif
