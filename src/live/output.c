// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Frames, on the terminal or as text. */
#include <stdio.h>
#include <stdlib.h>

#include "live/parts.h"
#include "view/top/screen.h"

enum { BATCH_WIDTH = 120, BATCH_HEIGHT = 24, BATCH_HEIGHT_MAX = 4000 };

bool live_wants_color(const struct opts *o, bool tty)
{
	const char *no_color = getenv("NO_COLOR");

	if (o->color != COLOR_AUTO)
		return o->color == COLOR_ALWAYS;
	return tty && !(no_color && *no_color);
}

static u16 environment_number(const char *name, u16 otherwise)
{
	const char *text = getenv(name);
	long n = text ? strtol(text, NULL, 10) : 0;

	return n > 0 && n <= 1000 ? n : otherwise;
}

/* As high as what there is to say, which the rows tell. */
void live_print(struct live *p)
{
	u32 h = 20 + 3 * p->top.rows.n;

	h = h < BATCH_HEIGHT ? BATCH_HEIGHT : h > BATCH_HEIGHT_MAX ? BATCH_HEIGHT_MAX : h;
	if (canvas_resize(&p->canvas, environment_number("COLUMNS", BATCH_WIDTH), h))
		return;
	if (p->looks > 1)
		putchar('\n');
	top_draw(&p->top, &p->canvas);
	h += p->top.text_below;
	if (p->top.text_below &&
	    !canvas_resize(&p->canvas, p->canvas.w, h < BATCH_HEIGHT_MAX ? h : BATCH_HEIGHT_MAX))
		top_draw(&p->top, &p->canvas);
	canvas_print(stdout, &p->canvas, p->color);
	p->quit |= fflush(stdout) || ferror(stdout);
}

void live_draw(struct live *p)
{
	u16 w, h;

	screen_size(&w, &h);
	if ((w != p->canvas.w || h != p->canvas.h) && canvas_resize(&p->canvas, w, h))
		return;
	top_draw(&p->top, &p->canvas);
	screen_show(&p->canvas, p->repaint);
	p->repaint = false;
}
