// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Handing facts over, and the texts in them. */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "collect/snap.h"
#include "util/array.h"

/* Two holds of one object with one page are one, and the last one counts. */
struct told_hold {
	struct kpage *page;
	const char *kind, *id; /* in the arena */
	u32 refs;
};

static bool same_text(const char *a, const char *b)
{
	return a && b && !strcmp(a, b);
}

static void take_back(struct snap *s, const struct kpage *page, const struct fact_hold *h)
{
	for (u32 i = 0; i < s->nr_told_holds; i++) {
		struct told_hold *t = &s->told_holds[i];

		if (t->page != page || !same_text(t->kind, h->object_kind) ||
		    !same_text(t->id, h->object_id))
			continue;
		t->page->explained -= t->refs;
		t->refs = 0;
	}
}

/* Keeps count of the references that are explained; a mapping's are of another kind. */
static void count_hold(struct snap *s, const struct fact_hold *h)
{
	struct kpage *page = page_find(s, h->page);

	if (!page || h->confidence < CONF_LIKELY || h->how == HOW_MAPPING)
		return;
	take_back(s, page, h);
	s->err = array_grow(&s->told_holds, s->nr_told_holds, sizeof(*s->told_holds));
	if (s->err)
		return;
	s->told_holds[s->nr_told_holds++] = (struct told_hold){
		.page = page,
		.kind = h->object_kind ? snap_text(s, "%s", h->object_kind) : NULL,
		.id = h->object_id ? snap_text(s, "%s", h->object_id) : NULL,
		.refs = h->refs,
	};
	page->explained += h->refs;
}

void snap_emit(struct snap *s, const struct fact *f)
{
	/* what hooks saw are the same references as those that a walker finds */
	if (!s->err && f->type == FACT_HOLD && f->seen == SEEN_SNAPSHOT)
		count_hold(s, &f->hold);
	if (!s->err)
		s->err = s->sink(s->sink_arg, f);
}

void snap_saw(struct snap *s, u64 addr, u64 len)
{
	if (s->err)
		return;
	s->err = array_grow(&s->seen, s->nr_seen, sizeof(*s->seen));
	if (!s->err)
		s->seen[s->nr_seen++] = (struct kspan){ addr, len };
}

bool snap_has_seen(const struct snap *s, u64 addr)
{
	for (u32 i = 0; i < s->nr_seen; i++)
		if (addr - s->seen[i].addr < s->seen[i].len)
			return true;
	return false;
}

void snap_lost(struct snap *s, enum fact_loss_kind kind, const char *where, u64 count)
{
	struct fact f = { .type = FACT_LOSS, .loss = { kind, count, where } };

	if (count)
		snap_emit(s, &f);
}

void snap_probe(struct snap *s, const char *name, enum fact_probe_state state, const char *costs)
{
	struct fact f = { .type = FACT_PROBE, .probe = { name, state, costs } };

	snap_emit(s, &f);
}

void snap_probe_needs(struct snap *s, const char *name, const char *lacks, const char *costs)
{
	if (lacks)
		snap_probe(s, name, PROBE_MISSING,
			   snap_text(s, "%s, as this kernel does not show %s", costs, lacks));
	else
		snap_probe(s, name, PROBE_OK, NULL);
}

const char *snap_text(struct snap *s, const char *fmt, ...)
{
	va_list args;
	char *text;
	int len;

	va_start(args, fmt);
	len = vsnprintf(NULL, 0, fmt, args);
	va_end(args);
	text = len < 0 ? NULL : arena_alloc(&s->arena, len + 1, 1);
	if (!text) {
		s->err = s->err ? s->err : -ENOMEM;
		return "";
	}
	va_start(args, fmt);
	vsnprintf(text, len + 1, fmt, args);
	va_end(args);
	return text;
}
