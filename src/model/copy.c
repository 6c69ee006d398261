// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include <errno.h>
#include <string.h>

#include "model/graph.h"
#include "util/fact_visit.h"

/* Replaces each pointer by a copy in the arena. */
struct copier {
	struct fact_visitor v;
	struct arena *arena;
};

static int copy_string(struct fact_visitor *v, const char **s)
{
	return arena_keep(((struct copier *)v)->arena, s);
}

static int copy_array(struct fact_visitor *v, const void **array, u32 n, size_t size)
{
	void *copy = arena_alloc(((struct copier *)v)->arena, n, size);

	if (!copy)
		return -ENOMEM;
	*array = memcpy(copy, *array, n * size);
	return 0;
}

static int copy_frames(struct fact_visitor *v, const char *const **ret, u32 n)
{
	struct arena *a = ((struct copier *)v)->arena;
	const char **frames = arena_alloc(a, n, sizeof(*frames));

	if (!frames)
		return -ENOMEM;
	for (u32 i = 0; i < n; i++) {
		frames[i] = (*ret)[i] ? (*ret)[i] : "?";
		if (arena_keep(a, &frames[i]))
			return -ENOMEM;
	}
	*ret = frames;
	return 0;
}

static struct copier make_copier(struct arena *a)
{
	return (struct copier){ { copy_string, copy_array, copy_frames }, a };
}

int copy_task(struct arena *a, struct fact_task *f)
{
	struct copier c = make_copier(a);

	f->comm[FACT_COMM_LEN] = '\0';
	return fact_visit_task(f, &c.v);
}

int copy_file(struct arena *a, struct fact_file *f)
{
	struct copier c = make_copier(a);

	return fact_visit_file(f, &c.v);
}

int copy_page(struct arena *a, struct fact_page *f)
{
	struct copier c = make_copier(a);

	return fact_visit_page(f, &c.v);
}

int copy_hold(struct arena *a, struct fact_hold *f)
{
	struct copier c = make_copier(a);

	if (f->confidence >= CONF_MAX)
		f->confidence = CONF_CANDIDATE;
	return fact_visit_hold(f, &c.v);
}

int copy_session(struct arena *a, struct fact_session *f)
{
	struct copier c = make_copier(a);

	return fact_visit_session(f, &c.v);
}

int copy_end(struct arena *a, struct fact_end *f)
{
	struct copier c = make_copier(a);

	f->comm[FACT_COMM_LEN] = '\0';
	return fact_visit_end(f, &c.v);
}

int copy_lock(struct arena *a, struct fact_lock *f)
{
	struct copier c = make_copier(a);

	if (f->mode >= MODE_MAX)
		f->mode = MODE_UNKNOWN;
	return fact_visit_lock(f, &c.v);
}

int copy_freed(struct arena *a, struct fact_freed *f)
{
	struct copier c = make_copier(a);

	f->comm[FACT_COMM_LEN] = '\0';
	return fact_visit_freed(f, &c.v);
}
