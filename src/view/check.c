// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* daxtrace --check: what works on this machine, and what is lost where it does not. */
#include <string.h>

#include <daxtop/collect.h>
#include <daxtop/view.h>

#include "util/text.h"
#include "view/stream.h"

#define STATE_WIDTH 10

/* One line: state, then the name, then what it costs. */
static int print_line(FILE *out, const char *state, const char *name, const char *costs)
{
	struct strbuf sb = { 0 };
	char first[STATE_WIDTH + 1], rest[STATE_WIDTH + 3];
	int err;

	snprintf(first, sizeof(first), "%-*.*s", STATE_WIDTH, STATE_WIDTH - 1, state);
	snprintf(rest, sizeof(rest), "%*s", STATE_WIDTH + 2, "");
	sb_puts(&sb, name);
	if (costs && costs[0])
		sb_printf(&sb, ": %s", costs);
	err = sb.failed ? -ENOMEM : text_wrap(out, first, rest, sb.s);
	sb_free(&sb);
	return err;
}

static int print_kernel(FILE *out, const struct fact_session *s)
{
	struct strbuf sb = { 0 };
	int err;

	sb_puts(&sb, s->kernel ? s->kernel : "unknown");
	if (s->host)
		sb_printf(&sb, " on %s", s->host);
	err = sb.failed ? -ENOMEM : print_line(out, "kernel", sb.s, NULL);
	sb_free(&sb);
	return err;
}

static int print_result(FILE *out, const struct refusal *why)
{
	struct strbuf sb = { 0 };
	int err;

	if (!why || why->status == STATUS_OK)
		return print_line(out, "snapshot", "works", NULL);
	sb_printf(&sb, "refused: %s", why->cause);
	err = sb.failed ? -ENOMEM : print_line(out, "snapshot", sb.s, why->consequence);
	sb_free(&sb);
	if (!err && why->command[0])
		err = text_line(out, "  run:    ", why->command);
	return err;
}

int view_check(FILE *out, const struct wfg *g, const struct refusal *why)
{
	int err = print_kernel(out, wfg_session(g));

	for (size_t i = 0; !err && i < wfg_nr_probes(g); i++) {
		const struct fact_probe *p = wfg_probe(g, i);

		err = print_line(out, fact_probe_state_name(p->state), p->name, p->costs);
	}
	if (!err)
		err = print_result(out, why);
	return err ? err : stream_finish(out);
}
