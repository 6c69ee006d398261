/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The panes of a frame. Each draws into the rows that it is given and nowhere else. */
#ifndef VIEW_TOP_PANE_H
#define VIEW_TOP_PANE_H

#include "view/top/top.h"

struct area {
	u16 y, h;
};

/* Who, where, how many; at most 3 rows are of use. */
void pane_header(struct top *t, struct canvas *c, struct area a);

/* Rows that the verdicts take at a width; at least 1. */
u32 verdict_height(struct top *t, u16 w, u32 max);
/* What is wrong, the worst first. */
void pane_verdict(struct top *t, struct canvas *c, struct area a);

/* The tree with its head. */
void pane_tree(struct top *t, struct canvas *c, struct area a);
/* What to say where a wait should be. */
const char *pane_why_empty(const struct top *t);

/* Stacks of the selected wait and what helps; full: with nothing left out, scrolled. */
void pane_detail(struct top *t, struct canvas *c, struct area a, bool full);

void pane_explain(struct top *t, struct canvas *c, struct area a);
void pane_chain(struct top *t, struct canvas *c, struct area a);
void pane_holds(struct top *t, struct canvas *c, struct area a);
void pane_ended(struct top *t, struct canvas *c, struct area a);
void pane_help(struct top *t, struct canvas *c, struct area a);

/* Keys, what is being typed, or a message. */
void pane_footer(struct top *t, struct canvas *c, struct area a);

/* Draws t->lines below a title, scrolled by t->text_scroll, which it keeps within bounds. */
void pane_text(struct top *t, struct canvas *c, struct area a, const char *title);

/* t->sb, emptied. */
struct strbuf *pane_scratch(struct top *t);

/* How bad a finding is, as a colour. The words say it too. */
enum attr finding_attr(const struct finding *f);

#endif
