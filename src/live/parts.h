/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What the files of the live view's loop share. */
#ifndef LIVE_PARTS_H
#define LIVE_PARTS_H

#include "live/feed.h"
#include "opts/opts.h"
#include "util/clock.h"
#include "view/top/top.h"

struct live {
	const struct opts *o;
	struct looks_opts looks_opts;
	struct top top;
	struct canvas canvas;
	struct feed *feed;
	struct refusal why; /* of the last look */
	char note[FEED_TROUBLE];
	bool batch, color;
	int signals;  /* signalfd */
	u64 delay_ns; /* between looks; 0: as fast as they come */
	u64 asked_ns; /* when the look under way was asked for */
	u64 due_ns;   /* when the next one is to be */
	u64 looks;    /* that came or failed */
	bool repaint, quit;
};

/* output.c */
bool live_wants_color(const struct opts *o, bool tty);
/* A frame as text; sets quit when nobody reads it. */
void live_print(struct live *p);
void live_draw(struct live *p);

/* terminal.c: signals come as data, so that nothing is ever done in a handler. */
int live_open_signals(void);
void live_read_signal(struct live *p);
void live_read_keys(struct live *p);
/* 0, or -1 with p->why filled. */
int live_open_screen(struct live *p);

#endif
