/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The live view without a terminal: looks and keys go in, frames come out on a canvas. No I/O and
 * no clock of its own, so that every screen is tested as text.
 */
#ifndef VIEW_TOP_TOP_H
#define VIEW_TOP_TOP_H

#include <daxtop/diagnose.h>

#include "view/top/canvas.h"
#include "view/top/ended.h"
#include "view/top/filter.h"
#include "view/top/history.h"
#include "view/top/keys.h"
#include "view/top/lines.h"
#include "view/top/rows.h"

/* What fills the screen below the header. */
enum top_view {
	VIEW_MAIN = 0, /* verdict, tree, detail of the selected wait */
	VIEW_DETAIL,   /* the detail in full */
	VIEW_EXPLAIN,  /* daxtrace's report of the selected wait */
	VIEW_CHAIN,    /* who waits for whom, link by link */
	VIEW_HOLDS,    /* every held page */
	VIEW_ENDED,    /* waits that are over */
	VIEW_HELP,
};

enum top_input { INPUT_NONE = 0, INPUT_FIND, INPUT_FILTER };

/* What a key asks of the program; everything else top_key() does itself. */
enum top_action {
	ACTION_NONE = 0, /* draw the next frame, no more */
	ACTION_QUIT,
	ACTION_REPAINT, /* the terminal's content is not to be trusted */
	ACTION_DUMP,    /* what is shown, to files */
};

enum { TEXT_INPUT = 80, MESSAGE = 160, FOLDS = 256 };

/* How the collector fares, for the header. */
struct top_feed {
	u64 delay_ns;      /* between looks */
	u64 silent_ns;     /* since an answer is overdue; 0: it is not */
	bool attaching;    /* that is the one before which hooks are loaded */
	bool gone;         /* the collector has ended */
	bool replay;       /* looks come from a recording */
	bool ended;        /* and this was all of it */
	const char *error; /* why the last look failed; NULL it did not */
	const char *note;  /* about a recording; NULL nothing */
};

struct top {
	/* what is shown: look number `shown`, kept even when the history has forgotten it */
	struct wfg *g; /* NULL before the first look */
	struct findings f;
	u64 shown;

	struct history history;
	struct ended ended;
	struct top_feed feed;

	struct rows rows;
	u32 selected, scroll; /* rows: of the cursor, and at the top of the tree */
	u32 tree_h, text_h;   /* rows that the tree and the text had in the last frame */
	u32 text_scroll;      /* line at the top of a text view */
	u32 text_below;       /* lines of it for which the last frame had no room */
	u64 cursor;           /* key of the selected row; 0 none */
	enum row_sort sort;
	bool inverted;
	u64 folds[FOLDS]; /* keys of rows whose fold is not the default, a ring */
	u32 nr_folds;

	enum top_view view;
	bool paused;
	bool batch; /* frames are printed: no keys are of use */
	enum top_input input;
	char typed[TEXT_INPUT]; /* what is being typed */
	char find[TEXT_INPUT];
	char filter_text[TEXT_INPUT];  /* as typed */
	char filter_words[TEXT_INPUT]; /* its words, which the filter points to */
	struct filter filter;
	char message[MESSAGE]; /* in the last row until the next key */

	/* scratch, kept from frame to frame */
	struct lines lines;
	struct strbuf sb;
	char *report;  /* of the explained wait; NULL not made */
	u64 report_of; /* its wait, and the look that it is of */
	u64 report_look;
};

/* Starts empty. feed.delay_ns, sort and filter may be set afterwards. */
void top_init(struct top *t);
void top_free(struct top *t);

/* Takes the packed facts of a look. Shows it, unless paused. 0, -ENOMEM or -EPROTO. */
int top_take(struct top *t, const char *facts, size_t len);

/* Sorts by a column of --sort, "-age". false: there is none of that name. */
bool top_sort_by(struct top *t, const char *column);

/* Filters as text that was typed; an error becomes the message. */
bool top_filter(struct top *t, const char *text);

enum top_action top_key(struct top *t, u32 key);

/* Draws the frame for the size of the canvas. */
void top_draw(struct top *t, struct canvas *c);

/* The wait of the selected row, and what was found out about it; NULL none. */
const struct wfg_wait *top_wait(const struct top *t);
const struct finding *top_finding(const struct top *t);

/* Shows a message in the last row. */
__attribute__((format(printf, 2, 3))) void top_say(struct top *t, const char *fmt, ...);

#endif
