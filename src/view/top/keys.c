// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* What each key does. Pure: it changes the state of the view and nothing else. */
#include <stdio.h>
#include <string.h>

#include "view/top/find.h"
#include "view/top/state.h"

enum { MAX_STEP = 1 << 20 };

/* Views of text scroll; in the tree and the holds the cursor moves. */
static bool scrolls(const struct top *t)
{
	return t->view != VIEW_MAIN;
}

static u32 add_bounded(u32 at, s32 by)
{
	if (by < 0)
		return at > (u32)-by ? at + by : 0;
	return at + by;
}

static void move(struct top *t, s32 by)
{
	if (scrolls(t))
		t->text_scroll = add_bounded(t->text_scroll, by);
	else
		state_select(t, add_bounded(t->selected, by));
}

static s32 page(const struct top *t)
{
	u32 h = scrolls(t) ? t->text_h : t->tree_h;

	return h > 1 ? h - 1 : 1;
}

static bool move_key(struct top *t, u32 key)
{
	switch (key) {
	case KEY_OF_UP:
	case 'k':
		move(t, -1);
		return true;
	case KEY_OF_DOWN:
	case 'j':
		move(t, 1);
		return true;
	case KEY_OF_PAGE_UP:
		move(t, -page(t));
		return true;
	case KEY_OF_PAGE_DOWN:
		move(t, page(t));
		return true;
	case KEY_OF_HOME:
		move(t, -MAX_STEP);
		return true;
	case KEY_OF_END:
		move(t, MAX_STEP);
		return true;
	default:
		return false;
	}
}

/* The same key goes back. */
static void toggle_view(struct top *t, enum top_view view)
{
	t->view = t->view == view ? VIEW_MAIN : view;
	t->text_scroll = 0;
}

static bool view_key(struct top *t, u32 key)
{
	switch (key) {
	case KEY_OF_F0 + 1:
	case 'h':
	case '?':
		toggle_view(t, VIEW_HELP);
		return true;
	case KEY_OF_ENTER:
		toggle_view(t, VIEW_DETAIL);
		return true;
	case KEY_OF_F0 + 7:
	case 'c':
		toggle_view(t, VIEW_CHAIN);
		return true;
	case KEY_OF_F0 + 8:
	case 'w':
		toggle_view(t, VIEW_EXPLAIN);
		return true;
	case 'x':
		toggle_view(t, VIEW_HOLDS);
		return true;
	case 'e':
		toggle_view(t, VIEW_ENDED);
		return true;
	default:
		return false;
	}
}

static void toggle_fold(struct top *t)
{
	u64 key = t->cursor;

	for (u32 i = 0; i < t->nr_folds && i < FOLDS; i++) {
		if (t->folds[i] != key)
			continue;
		t->folds[i] = 0;
		state_list(t);
		return;
	}
	if (t->selected >= t->rows.n || !t->rows.row[t->selected].parent) {
		top_say(t, "nothing to fold here");
		return;
	}
	t->folds[t->nr_folds++ % FOLDS] = key;
	state_list(t);
}

static void change_sort(struct top *t, s32 by)
{
	t->sort = (t->sort + SORT_MAX + by) % SORT_MAX;
	state_list(t);
	top_say(t, "sort by %s%s", row_sort_name(t->sort), t->inverted ? ", inverted" : "");
}

static void invert(struct top *t)
{
	t->inverted = !t->inverted;
	state_list(t);
	top_say(t, "sort by %s%s", row_sort_name(t->sort), t->inverted ? ", inverted" : "");
}

static void start_input(struct top *t, enum top_input input, const char *text)
{
	t->input = input;
	snprintf(t->typed, sizeof(t->typed), "%s", text);
}

static bool list_key(struct top *t, u32 key)
{
	switch (key) {
	case KEY_OF_F0 + 3:
	case '/':
		start_input(t, INPUT_FIND, "");
		return true;
	case 'n':
		find_next(t);
		return true;
	case KEY_OF_F0 + 4:
	case '\\':
		start_input(t, INPUT_FILTER, t->filter_text);
		return true;
	case KEY_OF_F0 + 5:
		toggle_fold(t);
		return true;
	case KEY_OF_F0 + 6:
	case '>':
		change_sort(t, 1);
		return true;
	case '<':
		change_sort(t, -1);
		return true;
	case 'I':
		invert(t);
		return true;
	default:
		return false;
	}
}

/* Collection goes on; on leaving, the newest look is shown. */
static void toggle_pause(struct top *t)
{
	t->paused = !t->paused;
	if (!t->paused && t->history.next)
		state_show(t, t->history.next - 1);
}

static void step(struct top *t, s32 by)
{
	u64 first = t->history.first, last = t->history.next - 1;
	u64 to = t->shown + by;

	if (!t->g || t->history.next == first)
		return;
	if (by < 0 && t->shown <= first)
		top_say(t, "nothing older is kept");
	else if (by > 0 && t->shown >= last)
		top_say(t, "this is the newest look");
	else
		state_show(t, to < first ? first : to);
	t->paused = true;
}

/* To where waits come or go: between two such looks there may be hours. */
static void jump(struct top *t, s32 by)
{
	u64 to = t->g ? history_change(&t->history, t->shown, by) : 0;

	if (!t->g)
		return;
	if (to == t->shown)
		top_say(t, "no wait comes or goes %s this look", by < 0 ? "before" : "after");
	else
		state_show(t, to);
	t->paused = true;
}

static bool time_key(struct top *t, u32 key)
{
	switch (key) {
	case ' ':
	case 'Z':
		toggle_pause(t);
		return true;
	case 't':
		step(t, -1);
		return true;
	case 'T':
		step(t, 1);
		return true;
	case '[':
		jump(t, -1);
		return true;
	case ']':
		jump(t, 1);
		return true;
	default:
		return false;
	}
}

/* Out of a view of text, or out of the filter. */
static enum top_action leave(struct top *t)
{
	if (t->view != VIEW_MAIN)
		toggle_view(t, VIEW_MAIN);
	else if (t->filter_text[0])
		top_filter(t, "");
	return ACTION_NONE;
}

static void accept(struct top *t)
{
	enum top_input input = t->input;

	t->input = INPUT_NONE;
	if (input == INPUT_FILTER) {
		if (!top_filter(t, t->typed))
			t->input = INPUT_FILTER;
		return;
	}
	snprintf(t->find, sizeof(t->find), "%s", t->typed);
	find_next(t);
}

/* A whole character, if there is room for it. */
static void type(struct top *t, u32 key)
{
	size_t len = strlen(t->typed);
	char utf8[5] = { 0 };

	if (key < 0x80)
		utf8[0] = key;
	else if (key < 0x800)
		snprintf(utf8, sizeof(utf8), "%c%c", 0xc0 | key >> 6, 0x80 | (key & 0x3f));
	else if (key < 0x10000)
		snprintf(utf8, sizeof(utf8), "%c%c%c", 0xe0 | key >> 12, 0x80 | (key >> 6 & 0x3f),
			 0x80 | (key & 0x3f));
	else
		return;
	if (len + strlen(utf8) < sizeof(t->typed))
		strcpy(t->typed + len, utf8);
}

static void erase(struct top *t)
{
	size_t len = strlen(t->typed);

	while (len && (t->typed[--len] & 0xc0) == 0x80)
		;
	t->typed[len] = '\0';
}

static enum top_action input_key(struct top *t, u32 key)
{
	if (key == KEY_OF_ENTER)
		accept(t);
	else if (key == KEY_OF_ESCAPE)
		t->input = INPUT_NONE;
	else if (key == KEY_OF_BACKSPACE)
		erase(t);
	else if (key == KEY_OF_REDRAW)
		return ACTION_REPAINT;
	else if (key >= ' ' && key != 0x7f && key < KEY_OF_UP)
		type(t, key);
	return ACTION_NONE;
}

enum top_action top_key(struct top *t, u32 key)
{
	t->message[0] = '\0';
	if (t->input != INPUT_NONE)
		return input_key(t, key);
	if (move_key(t, key) || view_key(t, key) || list_key(t, key) || time_key(t, key))
		return ACTION_NONE;
	switch (key) {
	case 'q':
	case KEY_OF_F0 + 10:
		return ACTION_QUIT;
	case KEY_OF_F0 + 9:
		return ACTION_DUMP;
	case KEY_OF_ESCAPE:
		return leave(t);
	case KEY_OF_REDRAW:
		return ACTION_REPAINT;
	default:
		return ACTION_NONE;
	}
}
