// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include <string.h>

#include <daxtop/view.h>

#include "util/text.h"
#include "view/stream.h"

#define NSEC_PER_USEC 1000

/* Without its offset, which would tell apart what belongs together; ';' separates frames. */
static void add_frame(struct strbuf *sb, const char *frame)
{
	size_t from = sb->len;
	const char *end = frame ? strstr(frame, "+0x") : NULL;
	struct strbuf name = { 0 };

	sb_add(&name, frame ? frame : "?",
	       end ? (size_t)(end - frame) : strlen(frame ? frame : "?"));
	text_visible(sb, name.failed ? "?" : name.s);
	sb_free(&name);
	for (size_t i = from; !sb->failed && i < sb->len; i++)
		if (sb->s[i] == ';' || sb->s[i] == ' ')
			sb->s[i] = '_';
}

static void add_stack(struct strbuf *sb, const struct fact_stack *s)
{
	for (u32 i = s->n; i > 0; i--) {
		sb_putc(sb, ';');
		add_frame(sb, s->frames[i - 1]);
	}
}

/* A line for a task; how, the last frame, is what it does with the page; NULL none. */
static int put_stack(FILE *out, const struct fact_task *t, const char *how, u64 ns)
{
	struct strbuf sb = { 0 };
	int err;

	add_frame(&sb, t ? t->comm : "(no task)");
	if (t) {
		add_stack(&sb, &t->ustack);
		add_stack(&sb, &t->kstack);
	}
	if (how)
		sb_printf(&sb, ";[%s]", how);
	err = sb.failed ? -ENOMEM : 0;
	if (!err)
		fprintf(out, "%s %llu\n", sb.s, (unsigned long long)(ns / NSEC_PER_USEC));
	sb_free(&sb);
	return err;
}

static int put_hold(FILE *out, const struct wfg_hold *h)
{
	const char *how = fact_how_name(h->h.how);
	int err = 0;

	if (h->h.held_ns == FACT_UNKNOWN || h->h.confidence == CONF_CANDIDATE)
		return 0;
	for (u32 i = 0; i < h->nr_releasers && !err; i++)
		err = put_stack(out, &h->releasers[i].task->t, how, h->h.held_ns);
	return h->nr_releasers ? err : put_stack(out, NULL, how, h->h.held_ns);
}

static int put_holds(FILE *out, const struct wfg *g)
{
	int err = 0;

	for (size_t i = 0; i < wfg_nr_pages(g); i++) {
		const struct wfg_page *p = wfg_page(g, i);

		for (u32 j = 0; j < p->nr_holds && !err; j++)
			err = put_hold(out, p->holds[j]);
	}
	return err;
}

static int put_waits(FILE *out, const struct wfg *g)
{
	int err = 0;

	for (size_t i = 0; i < wfg_nr_waits(g) && !err; i++) {
		const struct wfg_wait *w = wfg_wait(g, i);

		if (w->age_ns != FACT_UNKNOWN)
			err = put_stack(out, &w->task->t, NULL, w->age_ns);
	}
	return err;
}

int view_folded(FILE *out, const struct wfg *g, enum view_which which)
{
	int err = which == WHICH_HOLD ? put_holds(out, g) : put_waits(out, g);

	return err ? err : stream_finish(out);
}
