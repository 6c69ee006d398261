// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include <errno.h>
#include <string.h>

#include "model/graph.h"

static int copy_stack(struct arena *a, struct fact_stack *s)
{
	const char **frames;

	s->n = s->frames ? s->n : 0;
	if (s->n > FACT_STACK_MAX)
		s->n = FACT_STACK_MAX;
	if (arena_keep(a, &s->why_missing))
		return -ENOMEM;
	if (!s->n) {
		s->frames = NULL;
		return 0;
	}
	frames = arena_alloc(a, s->n, sizeof(*frames));
	if (!frames)
		return -ENOMEM;
	for (u32 i = 0; i < s->n; i++) {
		frames[i] = s->frames[i] ? s->frames[i] : "?";
		if (arena_keep(a, &frames[i]))
			return -ENOMEM;
	}
	s->frames = frames;
	return 0;
}

int copy_task(struct arena *a, struct fact_task *f)
{
	f->comm[FACT_COMM_LEN] = '\0';
	if (arena_keep(a, &f->cgroup) || arena_keep(a, &f->call))
		return -ENOMEM;
	if (copy_stack(a, &f->kstack) || copy_stack(a, &f->ustack))
		return -ENOMEM;
	return 0;
}

int copy_file(struct arena *a, struct fact_file *f)
{
	if (arena_keep(a, &f->path) || arena_keep(a, &f->fstype) || arena_keep(a, &f->mount) ||
	    arena_keep(a, &f->device))
		return -ENOMEM;
	return 0;
}

static int copy_releasers(struct arena *a, struct fact_hold *f)
{
	struct fact_releaser *copy;

	if (!f->releasers || !f->nr_releasers) {
		f->releasers = NULL;
		f->nr_releasers = 0;
		return 0;
	}
	copy = arena_alloc(a, f->nr_releasers, sizeof(*copy));
	if (!copy)
		return -ENOMEM;
	memcpy(copy, f->releasers, f->nr_releasers * sizeof(*copy));
	f->releasers = copy;
	return 0;
}

int copy_hold(struct arena *a, struct fact_hold *f)
{
	if (f->confidence >= CONF_MAX)
		f->confidence = CONF_CANDIDATE;
	if (arena_keep(a, &f->object_kind) || arena_keep(a, &f->object_id) ||
	    arena_keep(a, &f->target) || arena_keep(a, &f->detail) || arena_keep(a, &f->limit))
		return -ENOMEM;
	return copy_releasers(a, f);
}

int copy_session(struct arena *a, struct fact_session *f)
{
	if (arena_keep(a, &f->host) || arena_keep(a, &f->kernel) || arena_keep(a, &f->boot_id) ||
	    arena_keep(a, &f->recording))
		return -ENOMEM;
	return 0;
}
