// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "view/top/canvas.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "util/text.h"

int canvas_resize(struct canvas *c, u16 w, u16 h)
{
	size_t n = (size_t)w * h;

	c->w = c->h = 0;
	if (n > c->cap) {
		free(c->cells);
		c->cells = calloc(n, sizeof(*c->cells));
		c->cap = c->cells ? n : 0;
		if (!c->cells)
			return -ENOMEM;
	}
	c->w = w;
	c->h = h;
	canvas_clear(c);
	return 0;
}

void canvas_free(struct canvas *c)
{
	free(c->cells);
	sb_free(&c->visible);
	*c = (struct canvas){ 0 };
}

void canvas_clear(struct canvas *c)
{
	for (size_t i = 0; i < (size_t)c->w * c->h; i++)
		c->cells[i] = (struct cell){ .ch = " " };
}

static struct cell *cell_at(const struct canvas *c, u16 x, u16 y)
{
	return &c->cells[(size_t)y * c->w + x];
}

static void set_cell(struct canvas *c, u16 x, u16 y, enum attr attr, const char *ch, size_t n)
{
	struct cell *cell = cell_at(c, x, y);

	memcpy(cell->ch, ch, n);
	cell->ch[n] = '\0';
	cell->attr = attr;
}

/* What combines goes on the character before it; at the start of a text, on a blank. */
static u16 draw_combining(struct canvas *c, u16 x, u16 y, u16 used, enum attr attr, const char *s,
			  size_t n)
{
	struct cell *cell = cell_at(c, x + used - (used > 0), y);
	size_t len;

	if (!used) {
		set_cell(c, x, y, attr, " ", 1);
		used = 1;
	} else if (!cell->ch[0] && used > 1) {
		cell--;
	}
	len = strlen(cell->ch);
	if (!c->ascii && len + n < CELL_BYTES)
		snprintf(cell->ch + len, CELL_BYTES - len, "%.*s", (int)n, s);
	return used;
}

/* One character at s of n bytes and the given columns. */
static void draw_character(struct canvas *c, u16 x, u16 y, enum attr attr, const char *s, size_t n,
			   size_t columns)
{
	bool replace = c->ascii && n > 1;

	set_cell(c, x, y, attr, replace ? "?" : s, replace ? 1 : n);
	if (columns == 2)
		set_cell(c, x + 1, y, attr, replace ? "?" : "", replace);
}

static void draw_cut(struct canvas *c, u16 x, u16 y, enum attr attr)
{
	if (c->ascii)
		set_cell(c, x, y, attr, "+", 1);
	else
		set_cell(c, x, y, attr, "…", strlen("…"));
}

/* Draws visible text; the caller made sure that it starts within the canvas. */
static u16 draw(struct canvas *c, u16 x, u16 y, u16 room, enum attr attr, const char *s)
{
	bool cut = text_width(s) > room;
	u16 used = 0;
	size_t n;
	u32 cp;

	for (; *s && (n = text_decode(s, &cp)); s += n) {
		size_t columns = text_columns(cp);

		if (used + columns + cut > room)
			break;
		if (!columns) {
			used = draw_combining(c, x, y, used, attr, s, n);
			continue;
		}
		draw_character(c, x + used, y, attr, s, n, columns);
		used += columns;
	}
	if (cut)
		draw_cut(c, x + used++, y, attr);
	return used;
}

/* Room that the canvas has, or 0. */
static u16 clip(const struct canvas *c, u16 x, u16 y, u16 room)
{
	if (x >= c->w || y >= c->h)
		return 0;
	return room < c->w - x ? room : c->w - x;
}

/* Without memory for a visible copy nothing is drawn. */
static const char *make_visible(struct canvas *c, const char *s)
{
	sb_reset(&c->visible);
	text_visible(&c->visible, s);
	return c->visible.failed ? "" : c->visible.s;
}

u16 canvas_text(struct canvas *c, u16 x, u16 y, u16 room, enum attr attr, const char *s)
{
	return canvas_visible(c, x, y, room, attr, make_visible(c, s));
}

u16 canvas_visible(struct canvas *c, u16 x, u16 y, u16 room, enum attr attr, const char *s)
{
	room = clip(c, x, y, room);
	return room ? draw(c, x, y, room, attr, s) : 0;
}

u16 canvas_tail(struct canvas *c, u16 x, u16 y, u16 room, enum attr attr, const char *s)
{
	size_t width;
	u32 cp;

	room = clip(c, x, y, room);
	if (!room)
		return 0;
	s = make_visible(c, s);
	width = text_width(s);
	if (width <= room)
		return draw(c, x, y, room, attr, s);
	while (*s && width > (size_t)room - 1) {
		size_t n = text_decode(s, &cp);

		width -= text_columns(cp);
		s += n;
	}
	draw_cut(c, x, y, attr);
	return 1 + (room > 1 ? draw(c, x + 1, y, room - 1, attr, s) : 0);
}

void canvas_row(struct canvas *c, u16 y, enum attr attr)
{
	for (u16 x = 0; y < c->h && x < c->w; x++) {
		struct cell *cell = cell_at(c, x, y);

		cell->attr = attr == ATTR_SELECTED ? cell->attr | ATTR_SELECTED : attr;
	}
}

void canvas_rule(struct canvas *c, u16 y, const char *title)
{
	const char *dash = c->ascii ? "-" : "─";
	u16 x;

	for (x = 0; y < c->h && x < c->w; x++)
		set_cell(c, x, y, ATTR_DIM, dash, strlen(dash));
	if (!*title || c->w < 8)
		return;
	x = 3 + canvas_text(c, 3, y, c->w - 6, ATTR_TITLE, title);
	set_cell(c, 2, y, ATTR_DIM, " ", 1);
	set_cell(c, x, y, ATTR_DIM, " ", 1);
}

static const char *attr_sequence(u8 attr)
{
	static const char *const sequences[ATTR_MAX] = {
		[ATTR_NORMAL] = "\033[0m",   [ATTR_DIM] = "\033[0;2m",   [ATTR_TITLE] = "\033[0;1m",
		[ATTR_BAR] = "\033[0;7m",    [ATTR_GOOD] = "\033[0;32m", [ATTR_WARN] = "\033[0;33m",
		[ATTR_BAD] = "\033[0;1;31m",
	};

	return sequences[(attr & ~ATTR_SELECTED) % ATTR_MAX];
}

static void print_row(FILE *out, const struct cell *row, u16 w, bool color)
{
	u8 attr = ATTR_NORMAL;

	while (w && !strcmp(row[w - 1].ch, " ") && (!color || row[w - 1].attr == ATTR_NORMAL))
		w--;
	for (u16 x = 0; x < w; x++) {
		if (color && row[x].attr != attr)
			fputs(attr_sequence(attr = row[x].attr), out);
		fputs(row[x].ch, out);
	}
	if (attr != ATTR_NORMAL)
		fputs(attr_sequence(ATTR_NORMAL), out);
	fputc('\n', out);
}

static bool is_blank(const struct canvas *c, u16 y)
{
	for (u16 x = 0; x < c->w; x++)
		if (strcmp(cell_at(c, x, y)->ch, " ") != 0)
			return false;
	return true;
}

void canvas_print(FILE *out, const struct canvas *c, bool color)
{
	u16 h = c->h;

	while (h && is_blank(c, h - 1))
		h--;
	for (u16 y = 0; y < h; y++)
		print_row(out, cell_at(c, 0, y), c->w, color);
}
