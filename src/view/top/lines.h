/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Text in lines of a width, to be scrolled over. It keeps its memory from one frame to the next. */
#ifndef VIEW_TOP_LINES_H
#define VIEW_TOP_LINES_H

#include "view/top/canvas.h"

struct line {
	size_t start; /* of its text, which ends with a NUL */
	u8 attr;
};

struct lines {
	u16 width;
	u32 n, cap;
	struct line *line;
	struct strbuf text, scratch;
	bool failed; /* out of memory: incomplete */
};

/* Empties it for lines of a width, in columns. */
void lines_reset(struct lines *l, u16 width);
void lines_free(struct lines *l);

/* One line, however long; what does not fit is cut off when it is drawn. */
void lines_add(struct lines *l, enum attr attr, const char *s);

/* The same for each line of a text that is visible already. */
void lines_add_visible(struct lines *l, enum attr attr, const char *text);

/*
 * s made visible, wrapped, after the prefix first, further lines after the prefix rest; at most max
 * lines, the last of which tells by a mark when there was more.
 */
void lines_wrap(struct lines *l, enum attr attr, const char *first, const char *rest, const char *s,
		u32 max);

/* Draws the lines from number `from` on into the rows y to y + h - 1. Text is visible already. */
void lines_draw(const struct lines *l, u32 from, struct canvas *c, u16 x, u16 y, u16 h);

#endif
