// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* The tree: waits, who holds their pages, who is queued behind them. */
#include <string.h>

#include "diagnose/phrase.h"
#include "util/text.h"
#include "view/top/pane.h"

/* Where a column starts and how wide it is, with the blank after it; 0: there is no room for it. */
struct column {
	u16 x, w;
};

struct columns {
	struct column state, pid, comm, op, age, conf, fs, file;
};

enum { TREE_WIDTH = 6, WIDE = 110, QUEUE_NAMES = 5, NAME_MIN = 10 };

static struct column take(u16 *x, u16 w, bool wanted)
{
	struct column col = { *x, wanted ? w : 0 };

	*x += col.w;
	return col;
}

/* On a narrow screen columns go in a fixed order; the name, the age and the file stay. */
static struct columns make_columns(u16 w)
{
	struct columns k;
	u16 x = TREE_WIDTH;

	k.state = take(&x, 2, w >= 64);
	k.pid = take(&x, 8, w >= 56);
	k.comm = take(&x, w >= WIDE ? 17 : 13, true);
	k.op = take(&x, w >= WIDE ? 15 : 11, w >= 48);
	k.age = take(&x, 9, true);
	k.conf = take(&x, 6, w >= 72);
	k.fs = take(&x, 7, w >= WIDE);
	k.file = (struct column){ x, x < w ? w - x : 0 };
	return k;
}

/* One row being drawn. */
struct tree_row {
	struct top *t;
	struct canvas *c;
	u16 y;
	const struct columns *k;
	const struct row *row;
};

static void put(struct tree_row *r, struct column col, const char *s)
{
	if (col.w)
		canvas_text(r->c, col.x, r->y, col.w - 1, ATTR_NORMAL, s);
}

/* The last column has no blank after it. */
static void put_last(struct tree_row *r, const char *s)
{
	canvas_text(r->c, r->k->file.x, r->y, r->k->file.w, ATTR_NORMAL, s);
}

static void put_right(struct tree_row *r, struct column col, const char *s)
{
	size_t width = text_width(s);

	if (!col.w)
		return;
	if (width < col.w)
		canvas_text(r->c, col.x + col.w - 1 - width, r->y, width, ATTR_NORMAL, s);
	else
		put(r, col, s);
}

static void put_age(struct tree_row *r, u64 ns)
{
	struct strbuf *sb = pane_scratch(r->t);

	if (ns == FACT_UNKNOWN)
		sb_putc(sb, '?');
	else
		text_duration(sb, ns);
	put_right(r, r->k->age, sb->s);
}

static void put_task(struct tree_row *r, const struct wfg_task *task)
{
	const char state[2] = { task->t.state ? task->t.state : '?', '\0' };
	struct strbuf *sb = pane_scratch(r->t);

	put(r, r->k->state, state);
	sb_printf(sb, "%u", task->t.tid);
	put_right(r, r->k->pid, sb->s);
	put(r, r->k->comm, task->t.comm[0] ? task->t.comm : "?");
}

static void put_nobody(struct tree_row *r, u32 n)
{
	struct strbuf *sb = pane_scratch(r->t);

	put(r, r->k->state, "-");
	put_right(r, r->k->pid, "-");
	if (n)
		phrase_count(sb, n, "task");
	else
		sb_puts(sb, "(no task)");
	put(r, r->k->comm, sb->s);
}

/* The end of the path is what tells files apart, so its start is cut off. */
static void put_file(struct tree_row *r, const struct wfg_wait *w)
{
	const struct column col = r->k->file;
	struct strbuf *sb = pane_scratch(r->t);
	char after[48] = "", ino[32] = "(not known)";
	size_t width;
	u16 x;

	if (w->page && w->page->p.index != FACT_UNKNOWN)
		sb_printf(sb, " @0x%llx", (unsigned long long)w->page->p.index);
	else if (!w->page && w->w.on == ON_ENTRY_LOCK && w->w.lock)
		sb_printf(sb, " @0x%llx", (unsigned long long)w->w.index);
	if (w->file && w->file->f.deleted)
		sb_puts(sb, " (deleted)");
	snprintf(after, sizeof(after), "%s", sb->s);
	width = strlen(after);
	if (width + NAME_MIN > col.w)
		width = 0;
	if (w->file)
		snprintf(ino, sizeof(ino), "ino %llu", (unsigned long long)w->file->f.ino);
	x = col.x + canvas_tail(r->c, col.x, r->y, col.w - width, ATTR_NORMAL,
				w->file && w->file->f.path ? w->file->f.path : ino);
	canvas_text(r->c, x, r->y, width, ATTR_NORMAL, after);
}

static void draw_wait(struct tree_row *r)
{
	const struct wfg_wait *w = r->row->wait;

	put_task(r, w->task);
	put(r, r->k->op, fact_op_name(w->w.op));
	put_age(r, w->age_ns);
	put(r, r->k->conf, "-");
	put(r, r->k->fs, w->file && w->file->f.fstype ? w->file->f.fstype : "?");
	put_file(r, w);
}

static void add_descriptor(struct strbuf *sb, const struct wfg_releaser *rel)
{
	if (rel->fd >= 0)
		sb_printf(sb, "fd %d%s", rel->fd, rel->reads ? ", can read" : "");
	else if (rel->receives)
		sb_puts(sb, "can receive it");
}

static void draw_hold(struct tree_row *r)
{
	static const char *const conf[CONF_MAX] = { "cand", "likely", "exact" };
	const struct wfg_hold *h = r->row->hold;
	const struct fact_hold *f = &h->h;
	struct strbuf *sb;

	if (r->row->task)
		put_task(r, r->row->task);
	else
		put_nobody(r, h->nr_releasers);
	put(r, r->k->op, fact_how_name(f->how));
	put_age(r, f->held_ns);
	put(r, r->k->conf, conf[f->confidence]);
	sb = pane_scratch(r->t);
	if (f->object_id)
		sb_printf(sb, "%s ", f->object_id);
	if (f->target)
		sb_printf(sb, "to %s ", f->target);
	if (f->refs > 1)
		sb_printf(sb, "x%u ", f->refs);
	if (h->nr_releasers == 1)
		add_descriptor(sb, &h->releasers[0]);
	else if (!h->nr_releasers && f->taker_tid)
		phrase_taker(sb, f);
	if (f->confidence == CONF_CANDIDATE && f->detail)
		sb_puts(sb, f->detail);
	put_last(r, sb->s);
}

static void draw_releaser(struct tree_row *r)
{
	const struct wfg_releaser *rel = r->row->releaser;
	struct strbuf *sb;

	put_task(r, rel->task);
	sb = pane_scratch(r->t);
	add_descriptor(sb, rel);
	if (rel->task->t.call)
		sb_printf(sb, "%s%s", sb->len ? ", in " : "in ", rel->task->t.call);
	put_last(r, sb->s);
}

static void draw_unattributed(struct tree_row *r)
{
	s64 n = r->row->wait->page->unattributed;
	struct strbuf *sb;

	put(r, r->k->state, "?");
	put_right(r, r->k->pid, "-");
	put(r, r->k->comm, "not known");
	put(r, r->k->op, "unknown");
	put_age(r, FACT_UNKNOWN);
	put(r, r->k->conf, "none");
	sb = pane_scratch(r->t);
	phrase_count(sb, n, "reference");
	sb_puts(sb, " that nothing explains");
	put_last(r, sb->s);
}

/* "postgres x16, vacuum": the first few names, those of who sleeps longest first. */
static void add_names(struct strbuf *sb, const struct wfg_wait *w)
{
	struct {
		const char *comm;
		u32 n;
	} name[QUEUE_NAMES];
	u32 names = 0, others = 0, at;

	for (u32 i = 0; i < w->nr_queued; i++) {
		const char *comm = w->queued[i].task->t.comm;

		for (at = 0; at < names && strcmp(name[at].comm, comm) != 0; at++)
			;
		if (at == QUEUE_NAMES) {
			others++;
			continue;
		}
		if (at == names) {
			name[names].comm = comm;
			name[names++].n = 0;
		}
		name[at].n++;
	}
	for (at = 0; at < names; at++) {
		sb_printf(sb, "%s %s", at ? "," : "", name[at].comm);
		if (name[at].n > 1)
			sb_printf(sb, " x%u", name[at].n);
	}
	if (others)
		sb_printf(sb, ", %u others", others);
}

static void draw_queue(struct tree_row *r)
{
	const struct wfg_wait *w = r->row->wait;
	struct strbuf *sb;

	put_nobody(r, w->nr_queued);
	put(r, r->k->op, r->row->lock ? r->row->lock : "a lock");
	put_age(r, w->queued[0].task->t.asleep_ns);
	put(r, r->k->conf, "-");
	sb = pane_scratch(r->t);
	sb_puts(sb, "queued:");
	add_names(sb, w);
	put_last(r, sb->s);
}

static void draw_queued(struct tree_row *r)
{
	put_task(r, r->row->task);
	put(r, r->k->op, r->row->lock ? r->row->lock : "a lock");
	put_age(r, r->row->task->t.asleep_ns);
	if (r->row->task->t.call)
		put_last(r, r->row->task->t.call);
}

static void draw_tree_mark(struct tree_row *r)
{
	const struct row *row = r->row;
	const char *fold = r->c->ascii ? (row->folded ? "+" : "-") : (row->folded ? "▸" : "▾");
	const char *twig = r->c->ascii ? (row->last ? "`-" : "|-") : (row->last ? "└─" : "├─");

	if (row->depth == 2 && !row->parent_last)
		canvas_text(r->c, 1, r->y, 1, ATTR_DIM, r->c->ascii ? "|" : "│");
	if (row->depth)
		canvas_text(r->c, row->depth == 1 ? 1 : 3, r->y, 2, ATTR_DIM, twig);
	if (row->parent)
		canvas_text(r->c, row->depth == 0 ? 1 : 3, r->y, 1, ATTR_NORMAL, fold);
}

static void draw_row(struct tree_row *r, bool selected)
{
	static void (*const draw[])(struct tree_row * r) = {
		[ROW_WAIT] = draw_wait,         [ROW_HOLD] = draw_hold,
		[ROW_RELEASER] = draw_releaser, [ROW_UNATTRIBUTED] = draw_unattributed,
		[ROW_QUEUE] = draw_queue,       [ROW_QUEUED] = draw_queued,
	};

	draw[r->row->kind](r);
	draw_tree_mark(r);
	if (!selected)
		return;
	canvas_text(r->c, 0, r->y, 1, ATTR_NORMAL, ">");
	canvas_row(r->c, r->y, ATTR_SELECTED);
}

static void draw_head(struct top *t, struct canvas *c, u16 y, const struct columns *k)
{
	struct tree_row r = { .t = t, .c = c, .y = y, .k = k };

	put(&r, k->state, "S");
	put_right(&r, k->pid, "TID");
	put(&r, k->comm, "COMM");
	put(&r, k->op, "OP / HOW");
	put_right(&r, k->age, "AGE");
	put(&r, k->conf, "CONF");
	put(&r, k->fs, "FS");
	put_last(&r, "FILE or OBJECT");
	canvas_row(c, y, ATTR_BAR);
}

static void keep_in_sight(struct top *t, u32 h)
{
	if (t->selected < t->scroll)
		t->scroll = t->selected;
	if (h && t->selected >= t->scroll + h)
		t->scroll = t->selected - h + 1;
	if (t->scroll + h > t->rows.n)
		t->scroll = t->rows.n > h ? t->rows.n - h : 0;
}

const char *pane_why_empty(const struct top *t)
{
	if (!t->rows.hidden)
		return "Nobody waits.";
	return t->batch ? "The filter hides all of them." :
			  "The filter hides all of them; Esc clears it.";
}

void pane_tree(struct top *t, struct canvas *c, struct area a)
{
	struct columns k = make_columns(c->w);
	struct tree_row r = { .t = t, .c = c, .k = &k };
	u16 h = a.h ? a.h - 1 : 0;

	t->tree_h = h;
	if (!a.h)
		return;
	draw_head(t, c, a.y, &k);
	keep_in_sight(t, h);
	if (!t->rows.n && h)
		canvas_text(c, TREE_WIDTH, a.y + 1, c->w, ATTR_NORMAL, pane_why_empty(t));
	for (u32 i = 0; i < h && t->scroll + i < t->rows.n; i++) {
		r.y = a.y + 1 + i;
		r.row = &t->rows.row[t->scroll + i];
		draw_row(&r, t->scroll + i == t->selected && !t->batch);
	}
}
