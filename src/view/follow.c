// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Waits as they come and go, one line each. */
#include <daxtop/view.h>

#include "diagnose/phrase.h"
#include "util/text.h"
#include "view/stream.h"

static void add_time(struct strbuf *sb, const struct fact_session *s)
{
	if (s->time_sec && text_date(sb, s->time_sec, s->time_nsec / 1000000, s->utc_offset))
		sb_putc(sb, ' ');
}

static int put_line(FILE *out, struct strbuf *sb)
{
	int err = sb->failed ? -ENOMEM : text_line(out, "", sb->s);

	sb_free(sb);
	return err ? err : stream_finish(out);
}

int view_begun(FILE *out, const struct wfg *g, const struct finding *f)
{
	struct strbuf sb = { 0 };

	add_time(&sb, wfg_session(g));
	sb_puts(&sb, f->text);
	return put_line(out, &sb);
}

int view_freed(FILE *out, const struct wfg *g, const struct fact_freed *freed)
{
	struct strbuf sb = { 0 };

	add_time(&sb, wfg_session(g));
	sb_puts(&sb, "UNPROTECTED: ");
	phrase_freed(&sb, freed);
	sb_putc(&sb, '.');
	return put_line(out, &sb);
}

int view_ended(FILE *out, const struct wfg *g, const struct fact_end *end)
{
	struct strbuf sb = { 0 };

	add_time(&sb, wfg_session(g));
	sb_puts(&sb, "ENDED: ");
	phrase_end(&sb, end);
	sb_putc(&sb, '.');
	return put_line(out, &sb);
}
