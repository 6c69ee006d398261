// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "view/top/lines.h"

#include <stdlib.h>
#include <string.h>

#include "util/array.h"
#include "util/text.h"

void lines_reset(struct lines *l, u16 width)
{
	l->width = width;
	l->n = 0;
	l->failed = false;
	sb_reset(&l->text);
}

void lines_free(struct lines *l)
{
	free(l->line);
	sb_free(&l->text);
	sb_free(&l->scratch);
	*l = (struct lines){ 0 };
}

/* Opens a line, which end() closes. */
static bool begin(struct lines *l, enum attr attr)
{
	if (l->n == l->cap) {
		if (array_grow(&l->line, l->cap, sizeof(*l->line))) {
			l->failed = true;
			return false;
		}
		l->cap = l->cap ? l->cap * 2 : 1;
	}
	l->line[l->n++] = (struct line){ .start = l->text.len, .attr = attr };
	return true;
}

static void end(struct lines *l)
{
	sb_putc(&l->text, '\0');
	l->failed |= l->text.failed;
}

void lines_add(struct lines *l, enum attr attr, const char *s)
{
	if (!begin(l, attr))
		return;
	text_visible(&l->text, s);
	end(l);
}

void lines_add_visible(struct lines *l, enum attr attr, const char *text)
{
	while (*text && begin(l, attr)) {
		size_t len = strcspn(text, "\n");

		sb_add(&l->text, text, len);
		end(l);
		text += len + (text[len] == '\n');
	}
}

void lines_wrap(struct lines *l, enum attr attr, const char *first, const char *rest, const char *s,
		u32 max)
{
	const char *prefix = first, *at;

	sb_reset(&l->scratch);
	text_visible(&l->scratch, s);
	at = l->scratch.failed ? "" : l->scratch.s;
	do {
		size_t used = text_width(prefix), room = used < l->width ? l->width - used : 1;
		size_t n = text_fit(at, room);

		if (!begin(l, attr))
			return;
		/* the last one keeps what does not fit, so that drawing it cuts it off */
		if (!--max)
			n = strlen(at);
		sb_puts(&l->text, prefix);
		sb_add(&l->text, at, n);
		end(l);
		at += n;
		at += *at == ' ';
		prefix = rest;
	} while (*at);
}

void lines_draw(const struct lines *l, u32 from, struct canvas *c, u16 x, u16 y, u16 h)
{
	for (u32 i = from; i < l->n && i - from < h; i++)
		canvas_visible(c, x, y + (i - from), l->width, l->line[i].attr,
			       l->text.s + l->line[i].start);
}
