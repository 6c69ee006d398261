// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "view/top/ended.h"

#include <stdio.h>
#include <string.h>

#include "util/clock.h"

/* The end of a path tells more than its start. */
static void keep_path(struct ended_wait *n, const char *path)
{
	size_t len = path ? strlen(path) : 0;

	snprintf(n->path, sizeof(n->path), "%s",
		 len < sizeof(n->path) ? (path ? path : "") : path + len - sizeof(n->path) + 1);
}

/* Hooks saw it end; a look only that it is over. */
static s64 end_time(const struct fact_session *s, const struct fact_end *end)
{
	u64 ago = end->ended_ns && end->ended_ns < s->mono_ns ? s->mono_ns - end->ended_ns : 0;

	return s->time_sec - (s64)(ago / NSEC_PER_SEC);
}

void ended_update(struct ended *e, const struct wfg *g)
{
	for (size_t i = 0; i < wfg_nr_ends(g); i++) {
		struct ended_wait *n = &e->last[e->durations.count % ENDED_KEPT];

		*n = (struct ended_wait){ .end = *wfg_end(g, i),
					  .ended_sec = end_time(wfg_session(g), wfg_end(g, i)) };
		keep_path(n, n->end.path);
		n->end.path = NULL;
		buckets_add(&e->durations, n->end.waited_ns);
	}
}

u32 ended_kept(const struct ended *e)
{
	return e->durations.count < ENDED_KEPT ? e->durations.count : ENDED_KEPT;
}

const struct ended_wait *ended_wait(const struct ended *e, u32 i)
{
	return &e->last[(e->durations.count - 1 - i) % ENDED_KEPT];
}
