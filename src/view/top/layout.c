// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Which pane gets which rows. On a small screen they go in this order: the detail, two rows of the
 * header, the footer, the tree, the header. The verdict stays.
 */
#include "view/top/pane.h"

enum { DETAIL_MIN = 6, TREE_MIN = 6, DETAIL_LEFT = 5 };

static void draw_input(struct top *t, struct canvas *c, u16 y)
{
	struct strbuf *sb = pane_scratch(t);

	if (t->message[0])
		sb_printf(sb, "(%s)  ", t->message);
	sb_printf(sb, "%s: %s_", t->input == INPUT_FIND ? "find" : "filter", t->typed);
	canvas_text(c, 0, y, c->w, ATTR_NORMAL, sb->s);
}

void pane_footer(struct top *t, struct canvas *c, struct area a)
{
	const char *keys = t->view == VIEW_MAIN ?
				   "F1Help F3Find F4Filter F5Fold F6Sort F7Chain F8Why F9Dump "
				   "Spc:Pause t/T:Step q:Q" :
				   "Esc:Back Up/Down/PgUp/PgDn:Scroll F1Help F7Chain F8Why "
				   "F9Dump t/T:Step q:Q";
	const char *text = t->message[0] ? t->message : keys;

	if (!a.h)
		return;
	if (t->input != INPUT_NONE) {
		draw_input(t, c, a.y);
		return;
	}
	if (!t->message[0] && (t->feed.error || t->feed.note)) {
		struct strbuf *sb = pane_scratch(t);

		if (t->feed.error)
			sb_puts(sb, t->feed.replay ? "the recording: " : "the last look failed: ");
		sb_puts(sb, t->feed.error ? t->feed.error : t->feed.note);
		text = sb->s;
	}
	canvas_text(c, 0, a.y, c->w, ATTR_NORMAL, text);
	canvas_row(c, a.y, text == keys ? ATTR_BAR : ATTR_TITLE);
}

static void draw_main(struct top *t, struct canvas *c, struct area a)
{
	u32 wanted = 1 + t->rows.n, tree = a.h;

	if (!t->rows.n && !t->rows.hidden) {
		if (t->g && a.h > 2)
			pane_explain(t, c, a);
		return;
	}
	if (t->rows.n && a.h >= TREE_MIN + DETAIL_MIN) {
		tree = a.h / 2 > TREE_MIN ? a.h / 2 : TREE_MIN;
		tree = wanted < tree ? wanted : tree;
	} else if (t->rows.n && wanted + DETAIL_LEFT <= a.h) {
		tree = wanted;
	}
	pane_tree(t, c, (struct area){ a.y, tree });
	if (tree < a.h && t->rows.n)
		pane_detail(t, c, (struct area){ a.y + tree, a.h - tree }, false);
}

static void draw_view(struct top *t, struct canvas *c, struct area a)
{
	switch (t->view) {
	case VIEW_DETAIL:
		pane_detail(t, c, a, true);
		break;
	case VIEW_EXPLAIN:
		pane_explain(t, c, a);
		break;
	case VIEW_CHAIN:
		pane_chain(t, c, a);
		break;
	case VIEW_HOLDS:
		pane_holds(t, c, a);
		break;
	case VIEW_ENDED:
		pane_ended(t, c, a);
		break;
	case VIEW_HELP:
		pane_help(t, c, a);
		break;
	default:
		draw_main(t, c, a);
	}
}

/* Rows for the verdict: all that is left on a tiny screen. */
static u32 verdict_rows(struct top *t, const struct canvas *c, u16 rest)
{
	u32 max = rest >= 20 ? 5 : rest >= 8 ? 3 : rest;
	u32 h;

	/* a view of text has the screen, but for what it is about; two of them need not be told */
	if (t->view == VIEW_EXPLAIN || t->view == VIEW_HELP)
		max = rest >= 5 ? 1 : max;
	else if (t->view != VIEW_MAIN && rest >= 5)
		max = rest >= 16 ? 3 : 1;
	h = verdict_height(t, c->w, max);
	return rest < 5 ? rest : h;
}

void top_draw(struct top *t, struct canvas *c)
{
	struct area header = { 0, c->h >= 16 ? 3 : c->h >= 6 };
	struct area footer = { c->h - 1, c->h >= 8 && !t->batch };
	u16 rest = c->h - header.h - footer.h;
	struct area verdict = { header.h, 0 }, view;

	canvas_clear(c);
	t->text_below = 0;
	if (!c->h || !c->w)
		return;
	verdict.h = verdict_rows(t, c, rest);
	view = (struct area){ verdict.y + verdict.h, rest - verdict.h };
	pane_header(t, c, header);
	pane_verdict(t, c, verdict);
	if (view.h)
		draw_view(t, c, view);
	pane_footer(t, c, footer);
}
