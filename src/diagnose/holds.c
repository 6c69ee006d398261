// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* What keeps a page busy, in sentences: one for each hold, one for what no hold explains. */
#include <string.h>

#include "diagnose/mechanism.h"
#include "diagnose/phrase.h"
#include "diagnose/verdict.h"

#define NAMED     4 /* processes of a hold by name */
#define PAGES_MAX 8 /* that are told one by one */

static void add_common(struct strbuf *sb, const struct wfg_hold *h)
{
	if (h->h.detail)
		sb_printf(sb, " (%s)", h->h.detail);
	if (h->h.held_ns != FACT_UNKNOWN) {
		sb_puts(sb, ", held for ");
		phrase_time(sb, h->h.held_ns);
	}
	sb_putc(sb, '.');
}

static const char *without_descriptor(const struct wfg_releaser *r)
{
	if (r->receives)
		return " (can receive it)";
	if (r->registered)
		return " (registered with its io_uring)";
	return " (no descriptor left, the close is pending)";
}

static void explain_tasks(struct strbuf *sb, const struct wfg_hold *h)
{
	u32 shown = h->nr_releasers <= NAMED ? h->nr_releasers : NAMED;

	if (!h->nr_releasers) {
		sb_puts(sb, " No task that has it open was found");
		if (h->h.pipe_user != UINT32_MAX)
			sb_printf(sb, "; it was made by uid %u", h->h.pipe_user);
		sb_putc(sb, '.');
		return;
	}
	sb_puts(sb, h->h.peer ? " The other end is open in " : " Open in ");
	for (u32 i = 0; i < shown; i++) {
		const struct wfg_releaser *r = &h->releasers[i];

		sb_puts(sb, phrase_separator(i, h->nr_releasers));
		phrase_task(sb, r->task);
		if (r->fd >= 0)
			sb_printf(sb, " (fd %d%s)", r->fd, r->reads ? ", can read" : "");
		else
			sb_puts(sb, without_descriptor(r));
	}
	if (h->nr_releasers > shown)
		sb_printf(sb, " and %u more", h->nr_releasers - shown);
	sb_putc(sb, '.');
}

static bool has_descriptor(const struct wfg_hold *h)
{
	for (u32 i = 0; i < h->nr_releasers; i++)
		if (h->releasers[i].fd >= 0)
			return true;
	return false;
}

static void explain_pipe(struct strbuf *sb, const struct wfg_hold *h)
{
	sb_printf(sb, "%s keeps the page as unread data, ",
		  h->h.object_id ? h->h.object_id : "A pipe");
	phrase_count(sb, h->h.refs, "reference");
	add_common(sb, h);
	explain_tasks(sb, h);
	if (h->h.drain_bytes && has_descriptor(h)) {
		sb_puts(sb, " The page goes when ");
		phrase_count(sb, h->h.drain_bytes, "byte");
		sb_puts(sb, " are read from the pipe, or when every end of it is closed.");
	}
	if (h->h.target)
		sb_printf(sb,
			  " A splice(2) is writing it to %s, and until that is done nobody else "
			  "can read it.",
			  h->h.target);
}

/* On its way through the kernel: no socket has it. */
static bool is_packet(const struct wfg_hold *h)
{
	return h->h.object_kind && !strcmp(h->h.object_kind, "packet");
}

static void explain_socket(struct strbuf *sb, const struct wfg_hold *h)
{
	sb_printf(sb, "%s keeps the page in data that ",
		  h->h.object_id ? h->h.object_id : "A socket");
	if (h->h.outbound)
		sb_printf(sb, "was sent%s%s and %s, ", h->h.target ? " to " : "",
			  h->h.target ? h->h.target : "",
			  h->h.unqueued ? "has not left this machine" : "is not acknowledged");
	else if (h->h.unsent)
		sb_printf(sb, "waits for more before it is sent%s%s, ", h->h.target ? " to " : "",
			  h->h.target ? h->h.target : "");
	else
		sb_printf(sb, "was received and not %s yet, ", is_packet(h) ? "delivered" : "read");
	phrase_count(sb, h->h.refs, "reference");
	add_common(sb, h);
	if (!is_packet(h))
		explain_tasks(sb, h);
	if (h->h.peer)
		sb_printf(sb, " The page goes when %s is read, or closed.", h->h.peer);
	else if (h->h.outbound && h->h.unqueued)
		sb_puts(sb, " The page goes when its packet is sent or dropped.");
	else if (is_packet(h))
		sb_puts(sb, " The page goes when its packet is delivered or dropped.");
	else if (h->h.unsent)
		sb_puts(sb, " The page goes when the datagram is sent (UDP_CORK), or the socket "
			    "closed.");
	else
		sb_puts(sb, h->h.outbound ?
				    " The page goes when the peer takes the data, or is gone." :
				    " The page goes when the data is read, or the socket closed.");
}

static void explain_queue(struct strbuf *sb, const struct wfg_hold *h)
{
	if (h->h.how == HOW_VMSPLICE)
		explain_pipe(sb, h);
	else
		explain_socket(sb, h);
}

/* A task that submitted I/O and goes on may be in any call by now. */
static const char *submitting_call(const struct wfg_hold *h)
{
	if (h->h.how == HOW_AIO || h->h.how == HOW_IO_URING || h->nr_releasers != 1 ||
	    (h->h.how == HOW_FUSE && h->releasers[0].fd < 0))
		return NULL;
	return h->releasers[0].task->t.call;
}

static void explain_io(struct strbuf *sb, const struct wfg_hold *h)
{
	const struct mechanism *m = mechanism_of(h->h.how);
	const char *call = submitting_call(h);

	if (h->nr_releasers) {
		phrase_releasers(sb, h, NAMED);
		sb_puts(sb, h->nr_releasers > 1 ? " use" : " uses");
		sb_puts(sb, " the page");
	} else {
		sb_puts(sb, "The page is used");
	}
	sb_printf(sb, " as buffer of %s to %s%s that has not completed, ", m->purpose,
		  h->h.target ? h->h.target : "an unknown target", m->by);
	phrase_count(sb, h->h.refs, "reference");
	add_common(sb, h);
	if (call)
		sb_printf(sb, " The call is %s.", call);
}

static void explain_call(struct strbuf *sb, const struct wfg_hold *h)
{
	/* the call that a core dump interrupted has nothing to do with it */
	const char *call = h->h.how == HOW_COREDUMP ? NULL : submitting_call(h);

	phrase_releasers(sb, h, NAMED);
	sb_puts(sb, h->nr_releasers > 1 ? " hold" : " holds");
	sb_printf(sb, " the page for %s", mechanism_of(h->h.how)->purpose);
	if (h->h.target)
		sb_printf(sb, "%s%s", mechanism_at(h->h.how), h->h.target);
	sb_puts(sb, " that has not ended, ");
	phrase_count(sb, h->h.refs, "reference");
	add_common(sb, h);
	if (call)
		sb_printf(sb, " The call is %s.", call);
}

/* No task can let go of it. */
static void explain_kernel(struct strbuf *sb, const struct wfg_hold *h)
{
	sb_printf(sb, "%s keeps the page, ",
		  h->h.object_id ? h->h.object_id : "An object of the kernel");
	phrase_count(sb, h->h.refs, "reference");
	add_common(sb, h);
}

static void explain_mapping(struct strbuf *sb, const struct wfg_hold *h)
{
	phrase_releasers(sb, h, NAMED);
	sb_printf(sb, " map%s the page: ", h->nr_releasers > 1 ? "" : "s");
	if (h->h.detail)
		sb_puts(sb, h->h.detail);
	else
		sb_printf(sb, "%u page table entr%s", h->h.refs, h->h.refs == 1 ? "y" : "ies");
	sb_puts(sb, ". On this kernel each entry counts as a reference.");
}

static void explain_other(struct strbuf *sb, const struct wfg_hold *h)
{
	phrase_releasers(sb, h, NAMED);
	sb_puts(sb, h->nr_releasers > 1 ? " hold " : " holds ");
	phrase_count(sb, h->h.refs, "reference");
	sb_puts(sb, " by an unknown mechanism");
	if (h->h.object_id)
		sb_printf(sb, " through %s", h->h.object_id);
	add_common(sb, h);
}

/* "[exact] page 0x5 (byte 20480) of /mnt/x: "; the page only where it is not known anyway. */
static void begin_cause(struct verdict *v, struct strbuf *sb, const struct wfg_page *page,
			const char *confidence)
{
	sb_printf(sb, "[%s] ", confidence);
	if (v->wait)
		return;
	phrase_page_of_file(sb, page);
	sb_puts(sb, ": ");
}

static void explain_hold(struct verdict *v, const struct wfg_page *page, const struct wfg_hold *h)
{
	static void (*const explain[])(struct strbuf * sb, const struct wfg_hold *h) = {
		[ENDS_UNKNOWN] = explain_other, [ENDS_READ] = explain_queue,
		[ENDS_IO] = explain_io,         [ENDS_CALL] = explain_call,
		[ENDS_UNMAP] = explain_mapping, [ENDS_ITSELF] = explain_kernel,
		[ENDS_LOCK] = explain_other,
	};
	struct strbuf sb = { 0 };

	begin_cause(v, &sb, page, fact_confidence_name(h->h.confidence));
	explain[mechanism_of(h->h.how)->ends](&sb, h);
	verdict_cause(v, &sb);
}

/* Whether two candidates are suspected for the same reason. */
static bool same_reason(const struct fact_hold *a, const struct fact_hold *b)
{
	if (a->how != b->how || !a->detail || !b->detail)
		return a->how == b->how && a->detail == b->detail;
	return !strcmp(a->detail, b->detail);
}

/* One sentence for all candidates with the reason of hold first; nothing if that was said. */
static void explain_candidates(struct verdict *v, const struct wfg_page *page, u32 first)
{
	const struct fact_hold *h = &page->holds[first]->h;
	struct processes p = { 0 };
	struct strbuf sb = { 0 };

	for (u32 i = wfg_page_holders(page); i < page->nr_holds; i++) {
		if (!same_reason(&page->holds[i]->h, h))
			continue;
		if (i < first)
			return;
		processes_add(&p, page->holds[i]);
	}
	processes_sort(&p);
	begin_cause(v, &sb, page, "candidate");
	phrase_processes(&sb, &p, NAMED);
	sb_printf(&sb, ": %s. No reference was seen.",
		  h->detail ? h->detail : "has the means to hold a reference");
	processes_free(&p);
	verdict_cause(v, &sb);
}

void explain_held_page(struct verdict *v, const struct wfg_page *page)
{
	u32 holders = page ? wfg_page_holders(page) : 0;
	struct strbuf sb = { 0 };

	for (u32 i = 0; i < holders; i++)
		explain_hold(v, page, page->holds[i]);
	/* Where everything is explained nobody is under suspicion. */
	if (!page || !page->unattributed)
		return;
	for (u32 i = holders; i < page->nr_holds; i++)
		explain_candidates(v, page, i);
	begin_cause(v, &sb, page, "unknown");
	phrase_count(&sb, page->unattributed, "reference");
	sb_puts(&sb, page->unattributed == 1 ? " is" : " are");
	sb_puts(&sb, " not explained by anything that was seen.");
	verdict_cause(v, &sb);
}

void explain_holds(struct verdict *v)
{
	explain_held_page(v, v->wait->page);
}

u64 explain_held_pages(struct verdict *v, page_test_fn wanted, const struct wfg_page **first,
		       struct processes *holders)
{
	u64 n = 0;

	*first = NULL;
	for (size_t i = 0; i < wfg_nr_pages(v->g); i++) {
		const struct wfg_page *page = wfg_page(v->g, i);

		if (!wanted(v->g, page))
			continue;
		*first = *first ? *first : page;
		if (n++ < PAGES_MAX)
			explain_held_page(v, page);
		for (u32 j = 0; j < wfg_page_holders(page); j++)
			processes_add(holders, page->holds[j]);
	}
	return n;
}

bool hold_is_unread(const struct wfg_hold *h)
{
	return mechanism_of(h->h.how)->ends == ENDS_READ && (!h->h.outbound || h->h.peer);
}

const char *hold_reads(const struct wfg_hold *h)
{
	return h->h.peer ? h->h.peer : h->h.object_id;
}

bool hold_is_io(const struct wfg_hold *h)
{
	return mechanism_of(h->h.how)->ends == ENDS_IO;
}

bool hold_is_call(const struct wfg_hold *h)
{
	return mechanism_of(h->h.how)->ends == ENDS_CALL;
}

bool hold_is_lock(const struct wfg_hold *h)
{
	return mechanism_of(h->h.how)->ends == ENDS_LOCK && h->h.how != HOW_LEASE;
}

static bool needs_a_task(const struct wfg_hold *h)
{
	return hold_is_unread(h) || h->h.how == HOW_MAPPING;
}

bool hold_is_own(const struct wfg_hold *h, const struct wfg_task *waiter)
{
	if (h->server)
		return h->h.confidence == CONF_EXACT && !h->h.server_likely &&
		       h->server->t.pid == waiter->t.pid;
	if (!needs_a_task(h) || !h->nr_releasers || h->nr_releasers != h->h.nr_releasers)
		return false;
	for (u32 i = 0; i < h->nr_releasers; i++)
		if (h->releasers[i].task->t.pid != waiter->t.pid)
			return false;
	return true;
}
