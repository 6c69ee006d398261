// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* What can be done about the holders of a page: which advice is for which of them. */
#include <string.h>

#include "diagnose/advice_parts.h"
#include "diagnose/phrase.h"

void advice_add_remaining(struct strbuf *sb, const struct wfg_page *page, s64 released)
{
	s64 rest = page->busy - released;

	if (rest <= 0)
		return;
	sb_putc(sb, ' ');
	phrase_count(sb, rest, "other reference");
	sb_puts(sb, rest == 1 ? " has" : " have");
	sb_puts(sb, " to go as well before the wait ends.");
}

void advice_add_outcome(struct strbuf *sb, const struct wfg_wait *wait, s64 released)
{
	sb_puts(sb, released == 1 ? " the reference goes" : " the references go");
	if (wait->page->busy <= released) {
		sb_puts(sb, " and the ");
		phrase_op(sb, wait);
		sb_puts(sb, " goes on");
	}
	sb_puts(sb, "; nothing is lost.");
	advice_add_remaining(sb, wait->page, released);
}

static void note_own(struct verdict *v, const struct wfg_hold *h)
{
	const struct fact_task *t = &v->wait->task->t;
	struct strbuf sb = { 0 };

	sb_puts(&sb, "Only the waiter's own process could ");
	if (h->server)
		sb_printf(&sb, "answer the I/O to %s", h->h.target ? h->h.target : "its server");
	else if (h->h.how == HOW_MAPPING)
		sb_puts(&sb, "release the mapping");
	else
		sb_printf(&sb, "release %s", h->h.object_id ? h->h.object_id : "the pipe");
	if (t->threads)
		sb_printf(&sb, ". It has %u threads, and another of them", t->threads);
	else
		sb_puts(&sb, ". How many threads it has is unknown, and another of them");
	sb_puts(&sb, " may still do so: therefore this is not called a deadlock.");
	verdict_note(v, &sb);
}

static bool same_text(const char *x, const char *y)
{
	return x && y ? !strcmp(x, y) : x == y;
}

/* A pipe that splice(2) is in the middle of writing to a file or a socket. */
static bool is_written_out(const struct wfg_hold *h)
{
	return h->h.how == HOW_VMSPLICE && h->h.target;
}

static bool is_sent(const struct wfg_hold *h)
{
	return is_written_out(h) && !strncmp(h->h.target, "socket:[", 8);
}

static bool needs_device(const struct wfg_hold *h)
{
	return hold_is_io(h) || (is_written_out(h) && !is_sent(h));
}

static bool same_target(const struct wfg_hold *a, const struct wfg_hold *b)
{
	return needs_device(a) && needs_device(b) && same_text(hold_device(a), hold_device(b));
}

/* Reading one socket releases what it has received and what its peer has yet to send. */
static bool same_reading(const struct wfg_hold *a, const struct wfg_hold *b)
{
	return hold_is_unread(a) && hold_is_unread(b) && hold_reads(a) &&
	       same_text(hold_reads(a), hold_reads(b));
}

static bool same_end(const struct wfg_hold *a, const struct wfg_hold *b)
{
	const struct wfg_task *x = hold_only_process(a), *y = hold_only_process(b);

	return hold_is_unread(a) && hold_is_unread(b) && x && y && x->t.pid == y->t.pid &&
	       a->h.confidence == b->h.confidence;
}

/* References of all holds that are the same as hold i; 0 when an earlier hold is. */
static s64 same_refs(const struct wfg_page *page, u32 i,
		     bool (*same)(const struct wfg_hold *a, const struct wfg_hold *b))
{
	const struct wfg_hold *h = page->holds[i];
	s64 refs = h->h.refs;

	for (u32 j = 0; j < wfg_page_holders(page); j++) {
		if (j == i || !same(page->holds[j], h))
			continue;
		if (j < i)
			return 0;
		refs += page->holds[j]->h.refs;
	}
	return refs;
}

/*
 * References of all that waits for the target of hold i; 0 when an earlier hold has the same
 * target.
 */
static s64 target_refs(const struct wfg_page *page, u32 i)
{
	return needs_device(page->holds[i]) ? same_refs(page, i, same_target) : 0;
}

void advise_release(struct verdict *v)
{
	const struct wfg_page *page = v->wait->page;

	for (u32 i = 0; i < wfg_page_holders(page); i++) {
		const struct wfg_hold *h = page->holds[i];
		s64 io = target_refs(page, i);
		s64 unread = hold_is_unread(h) ? same_refs(page, i, same_reading) : 0;

		if (h->h.unsent)
			advise_uncork(v, h, unread);
		else if (is_sent(h))
			advise_splice(v, h);
		else if (unread && !is_written_out(h))
			advise_readers(v, h, unread);
		else if (h->h.outbound && !h->h.peer)
			advise_peer(v, h);
		else if (io)
			advise_target(v, h, io);
		else if (h->h.how == HOW_COREDUMP)
			advise_handler(v, h);
		else
			advise_traffic(v, h);
	}
}

void advise_end(struct verdict *v)
{
	const struct wfg_page *page = v->wait->page;

	for (u32 i = 0; i < wfg_page_holders(page); i++) {
		const struct wfg_hold *h = page->holds[i];

		if (hold_is_own(h, v->wait->task))
			note_own(v, h);
		else if (hold_is_unread(h) && h->h.confidence == CONF_EXACT)
			advise_end_holder(v, h, same_refs(page, i, same_end));
		else if (h->h.outbound && !h->h.peer)
			advise_end_sender(v, h);
		else if (hold_is_io(h))
			note_io(v, h);
		else if (hold_is_call(h))
			advise_end_call(v, h);
		else if (h->h.how == HOW_UNKNOWN && h->h.confidence == CONF_LIKELY)
			advise_end_owner(v, h);
		advise_abort(v, h, target_refs(page, i));
	}
	advise_end_mappers(v);
}
