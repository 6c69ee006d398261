// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Handing facts over, and the texts in them. */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>

#include "collect/snap.h"

void snap_emit(struct snap *s, const struct fact *f)
{
	if (!s->err)
		s->err = s->sink(s->sink_arg, f);
}

void snap_lost(struct snap *s, enum fact_loss_kind kind, const char *where, u64 count)
{
	struct fact f = { .type = FACT_LOSS, .loss = { kind, count, where } };

	snap_emit(s, &f);
}

void snap_probe(struct snap *s, const char *name, enum fact_probe_state state, const char *costs)
{
	struct fact f = { .type = FACT_PROBE, .probe = { name, state, costs } };

	snap_emit(s, &f);
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
