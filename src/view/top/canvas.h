/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * A screen in memory: a grid of cells that panes draw on, and that is then copied to a terminal or
 * printed as text. Every string that is drawn is made visible first, so no name can move the cursor
 * or break a column.
 */
#ifndef VIEW_TOP_CANVAS_H
#define VIEW_TOP_CANVAS_H

#include <stdio.h>

#include <daxtop/types.h>

#include "util/strbuf.h"

enum attr {
	ATTR_NORMAL = 0,
	ATTR_DIM,
	ATTR_TITLE,
	ATTR_BAR, /* table head, key help */
	ATTR_GOOD,
	ATTR_WARN,
	ATTR_BAD,
	ATTR_MAX,
	ATTR_SELECTED = 0x80, /* added to one of the above */
};

#define CELL_BYTES 20 /* one character with what is drawn over it; more of that is left out */

struct cell {
	char ch[CELL_BYTES]; /* UTF-8, NUL-terminated; empty right of a character two columns wide */
	u8 attr;
};

struct canvas {
	u16 w, h;
	bool ascii;         /* draw ? for what is not ASCII */
	struct cell *cells; /* h rows of w */
	size_t cap;
	struct strbuf visible; /* scratch */
};

/* Gives the canvas a size and clears it. 0, or -ENOMEM: it then has no cells. */
int canvas_resize(struct canvas *c, u16 w, u16 h);
void canvas_free(struct canvas *c);
void canvas_clear(struct canvas *c);

/*
 * Draws s from column x of row y on, in at most room columns; what does not fit is cut off with a
 * mark. Outside of the canvas nothing is drawn. Returns the columns used.
 */
u16 canvas_text(struct canvas *c, u16 x, u16 y, u16 room, enum attr attr, const char *s);

/* As canvas_text() for what text_visible() has made. */
u16 canvas_visible(struct canvas *c, u16 x, u16 y, u16 room, enum attr attr, const char *s);

/* As canvas_text(), but keeps the end of s and cuts off its start: for paths. */
u16 canvas_tail(struct canvas *c, u16 x, u16 y, u16 room, enum attr attr, const char *s);

/* Sets the attribute of a whole row, or adds ATTR_SELECTED to it. */
void canvas_row(struct canvas *c, u16 y, enum attr attr);

/* A row of dashes with a title in it. */
void canvas_rule(struct canvas *c, u16 y, const char *title);

/*
 * Prints what is not blank at the end of rows and of the canvas; with escape sequences for
 * attributes if colour is set.
 */
void canvas_print(FILE *out, const struct canvas *c, bool color);

#endif
