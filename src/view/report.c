// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* The report for a terminal or a ticket: what matters first, and at the end how far to trust it. */
#include <string.h>

#include <daxtop/view.h>

#include "diagnose/phrase.h"
#include "util/clock.h"
#include "util/text.h"
#include "view/report.h"
#include "view/stream.h"

#define MAX_HOLDERS  12 /* holders of a page that are shown without -v */
#define MAX_TASKS    8  /* tasks of a holder, and causes, likewise */
#define MAX_FINDINGS 10 /* findings in full, likewise; of others only the verdict */
#define MAX_VERDICTS 20 /* and of so many not even that */
#define MAX_ENDS     12 /* waits that are over, likewise */
#define MAX_PAGES    12 /* held pages, likewise */

#define INDENT          "         " /* as wide as a heading with its padding */
#define INDENT_EVIDENCE "             "

struct report {
	FILE *out;
	const struct wfg *g;
	const struct view_opts *opts;
	int err; /* the first -ENOMEM sticks */
};

/* Prints what sb holds and leaves it empty. */
static void say(struct report *r, const char *first, const char *rest, struct strbuf *sb)
{
	sb_puts(sb, "");
	if (!r->err)
		r->err = sb->failed ? -ENOMEM : text_wrap(r->out, first, rest, sb->s);
	sb_free(sb);
}

static void say_string(struct report *r, const char *first, const char *rest, const char *s)
{
	if (!r->err)
		r->err = text_wrap(r->out, first, rest, s);
}

/* How many of n items to show. */
static u32 shown(const struct report *r, u32 n, u32 max)
{
	return r->opts->verbose || n <= max ? n : max;
}

static void say_more(struct report *r, const char *indent, u32 n, const char *what)
{
	struct strbuf sb = { 0 };

	if (!n)
		return;
	sb_printf(&sb, "and %u more %s; -v shows all", n, what);
	say(r, indent, indent, &sb);
}

static void say_section(struct report *r, const char *heading, const struct sentences *list)
{
	u32 n = shown(r, list->n, MAX_TASKS);

	for (u32 i = 0; i < n; i++)
		say_string(r, i ? INDENT : heading, INDENT, list->s[i]);
	say_more(r, INDENT, list->n - n, "like these");
}

static void say_advice(struct report *r, const struct finding *f)
{
	fprintf(r->out, "WHAT HELPS%s\n", f->nr_advice > 1 ? ", safest first" : "");
	if (!f->nr_advice)
		fputs("  -  No command that is known to work here.\n", r->out);
	for (u32 i = 0; i < f->nr_advice; i++) {
		const struct advice *a = &f->advice[i];
		char first[16];

		snprintf(first, sizeof(first), "%3u  ", i + 1);
		if (!a->command)
			say_string(r, first, "     ", a->action);
		else if (!r->err)
			r->err = text_line(r->out, first, a->action);
		say_string(r, "     ", "     ", a->effect);
	}
	for (u32 i = 0; i < f->notes.n; i++)
		say_string(r, "  -  ", "     ", f->notes.s[i]);
}

static void say_stack(struct report *r, char kind, const struct fact_stack *s)
{
	struct strbuf sb = { 0 };

	sb_printf(&sb, "%c ", kind);
	for (u32 i = 0; i < s->n; i++)
		sb_printf(&sb, "%s%s", i ? " < " : "", s->frames[i]);
	if (!s->n && s->why_missing)
		sb_printf(&sb, "not available: %s", s->why_missing);
	else if (!s->n)
		sb_puts(&sb, "not collected");
	say(r, INDENT_EVIDENCE, INDENT_EVIDENCE "  ", &sb);
}

static void say_call_and_stacks(struct report *r, const struct fact_task *t)
{
	if (t->call)
		say_string(r, INDENT_EVIDENCE, INDENT_EVIDENCE, t->call);
	if (r->opts->stacks & STACKS_KERNEL)
		say_stack(r, 'k', &t->kstack);
	if (r->opts->stacks & STACKS_USER)
		say_stack(r, 'u', &t->ustack);
}

static void add_task(struct strbuf *sb, const struct wfg_task *task)
{
	const struct fact_task *t = &task->t;

	phrase_task(sb, task);
	sb_printf(sb, ", uid %u, state %c", t->uid, t->state ? t->state : '?');
	if (t->io_worker)
		sb_puts(sb, ", worker of io_uring");
	if (t->exiting)
		sb_puts(sb, ", exiting");
}

static void add_cgroup(struct strbuf *sb, const struct wfg_task *task)
{
	if (task->t.cgroup)
		sb_printf(sb, ", cgroup %s", task->t.cgroup);
}

static void add_date(struct strbuf *sb, const struct fact_session *s, u64 ago)
{
	u64 sec = ago / NSEC_PER_SEC;

	if (!s->time_sec || ago == FACT_UNKNOWN)
		return;
	sb_puts(sb, " since ");
	if (!text_date(sb, s->time_sec - (s64)sec, -1, s->utc_offset))
		sb_puts(sb, "an unknown date");
}

static void say_waiter(struct report *r, const struct wfg_wait *w)
{
	struct strbuf sb = { 0 };

	add_task(&sb, w->task);
	sb_puts(&sb, w->w.interruptible ? "; interruptible" : "; not interruptible");
	sb_puts(&sb, w->w.spins ? ", runs" : ", asleep");
	if (!w->w.spins && w->task->t.asleep_ns == FACT_UNKNOWN)
		sb_puts(&sb, " for an unknown time");
	add_date(&sb, wfg_session(r->g), w->task->t.asleep_ns);
	add_cgroup(&sb, w->task);
	say(r, "  waiter     ", INDENT_EVIDENCE, &sb);
	say_call_and_stacks(r, &w->task->t);
}

/* What kinds of reference keep the page busy, where that is more than plain ones. */
static void add_kinds(struct strbuf *sb, const struct wfg_page *page)
{
	s64 others = page->busy - page->pins - page->mapped;

	if (!page->pins && !page->mapped)
		return;
	sb_puts(sb, " (");
	if (page->pins)
		phrase_count(sb, page->pins, "FOLL_PIN");
	if (page->mapped)
		sb_printf(sb, "%s%lld page table entr%s", page->pins ? ", " : "",
			  (long long)page->mapped, page->mapped == 1 ? "y" : "ies");
	if (others)
		sb_printf(sb, ", %lld other%s", (long long)others, others == 1 ? "" : "s");
	sb_putc(sb, ')');
}

static void add_page(struct strbuf *sb, const struct wfg_page *page)
{
	sb_printf(sb, "references %lld, idle at %lld: %lld busy", (long long)page->p.refs,
		  (long long)page->p.idle_refs, (long long)page->busy);
	add_kinds(sb, page);
	sb_printf(sb, ", %lld explained, %lld unexplained",
		  (long long)(page->busy - page->unattributed), (long long)page->unattributed);
}

static void say_page(struct report *r, const struct wfg_page *page)
{
	struct strbuf sb = { 0 };

	if (!page)
		return;
	add_page(&sb, page);
	say(r, "  page       ", INDENT_EVIDENCE, &sb);
}

static void say_releaser(struct report *r, const struct wfg_releaser *rel,
			 const struct wfg_task *waiter)
{
	struct strbuf sb = { 0 };

	if (rel->task == waiter) {
		phrase_task(&sb, rel->task);
		sb_puts(&sb, ", the waiter itself");
	} else {
		add_task(&sb, rel->task);
	}
	if (rel->fd >= 0)
		sb_printf(&sb, ", fd %d", rel->fd);
	if (rel->task != waiter)
		add_cgroup(&sb, rel->task);
	say(r, INDENT_EVIDENCE, INDENT_EVIDENCE, &sb);
	if (rel->task != waiter)
		say_call_and_stacks(r, &rel->task->t);
}

/* "pipe:[88123], ", "mm 0xffff888100a1c000, " */
static void add_object(struct strbuf *sb, const struct fact_hold *h)
{
	const char *kind = h->object_kind ? h->object_kind : "object";

	if (!h->object_id)
		return;
	if (strncmp(h->object_id, kind, strlen(kind)) != 0)
		sb_printf(sb, "%s ", kind);
	sb_printf(sb, "%s, ", h->object_id);
}

/* Whom the hooks saw take it, and where; it may be gone by now. */
static void say_taker(struct report *r, const struct fact_hold *h)
{
	struct strbuf sb = { 0 };

	phrase_taker(&sb, h);
	say(r, INDENT_EVIDENCE, INDENT_EVIDENCE, &sb);
	if (r->opts->stacks & STACKS_KERNEL && h->kstack.n)
		say_stack(r, 'k', &h->kstack);
}

static void say_holder(struct report *r, const struct wfg_hold *h, const struct wfg_task *waiter)
{
	bool candidate = h->h.confidence == CONF_CANDIDATE;
	u32 n = shown(r, h->nr_releasers, MAX_TASKS);
	struct strbuf sb = { 0 };

	add_object(&sb, &h->h);
	if (candidate) {
		sb_puts(&sb, h->h.detail ? h->h.detail : "no reference was seen");
	} else {
		sb_printf(&sb, "%s, %s", fact_how_name(h->h.how),
			  fact_confidence_name(h->h.confidence));
		if (h->h.page)
			sb_puts(&sb, ", ");
		if (h->h.page)
			phrase_count(&sb, h->h.refs, "reference");
	}
	if (h->h.target)
		sb_printf(&sb, ", to %s", h->h.target);
	add_date(&sb, wfg_session(r->g), h->h.held_ns);
	say(r, candidate ? "  candidate  " : "  holder     ", INDENT_EVIDENCE, &sb);
	if (h->h.taker_tid)
		say_taker(r, &h->h);
	for (u32 i = 0; i < n; i++)
		say_releaser(r, &h->releasers[i], waiter);
	say_more(r, INDENT_EVIDENCE, h->nr_releasers - n, "tasks");
}

/* waiter: NULL when nobody waits. */
static void say_holders(struct report *r, const struct wfg_hold *const *holds, u32 nr_holds,
			const struct wfg_task *waiter)
{
	u32 n = shown(r, nr_holds, MAX_HOLDERS);

	for (u32 i = 0; i < n; i++)
		say_holder(r, holds[i], waiter);
	say_more(r, INDENT_EVIDENCE, nr_holds - n, "holders");
}

static void say_queued(struct report *r, const struct wfg_wait *w)
{
	for (u32 i = 0; r->opts->verbose && i < w->nr_queued; i++) {
		struct strbuf sb = { 0 };

		add_task(&sb, w->queued[i].task);
		sb_puts(&sb, ", asleep ");
		phrase_time(&sb, w->queued[i].task->t.asleep_ns);
		if (w->queued[i].lock)
			sb_printf(&sb, " on %s", w->queued[i].lock);
		if (w->queued[i].depth && w->queued[i].behind) {
			sb_puts(&sb, ", behind ");
			phrase_task(&sb, w->queued[i].behind);
		}
		if (w->queued[i].task->t.call)
			sb_printf(&sb, ", in %s", w->queued[i].task->t.call);
		say(r, "  queued     ", INDENT_EVIDENCE, &sb);
	}
}

static void say_evidence(struct report *r, const struct wfg_wait *w)
{
	fputs("EVIDENCE\n", r->out);
	say_waiter(r, w);
	say_page(r, w->page);
	say_holders(r, w->holds, w->nr_holds, w->task);
	say_queued(r, w);
}

/* The others of a circle are the same story told from another place. */
static bool is_told_before(const struct finding *f)
{
	return f->cycle.n && f->cycle_of != f->wait;
}

static void say_finding(struct report *r, const struct finding *f, bool in_full)
{
	say_string(r, "", "", f->text);
	if (r->opts->quiet)
		return;
	if (!in_full) {
		if (is_told_before(f))
			fputs(INDENT "The same circle as above.\n", r->out);
		fputc('\n', r->out);
		return;
	}
	fputc('\n', r->out);
	say_section(r, "CAUSE    ", &f->cause);
	say_section(r, "IMPACT   ", &f->impact);
	say_advice(r, f);
	if (f->wait)
		say_evidence(r, f->wait);
	fputc('\n', r->out);
}

static void add_source(struct strbuf *sb, const struct fact_session *s)
{
	if (s->snapshot && s->trace)
		sb_puts(sb, "snapshot and trace");
	else if (s->trace)
		sb_puts(sb, "trace");
	else
		sb_puts(sb, s->snapshot ? "snapshot" : "unknown source");
	sb_printf(sb, " of %s", s->host ? s->host : "an unknown host");
	if (s->kernel)
		sb_printf(sb, ", Linux %s", s->kernel);
	if (s->time_sec) {
		sb_puts(sb, ", ");
		if (!text_date(sb, s->time_sec, -1, s->utc_offset))
			sb_puts(sb, "unknown date");
	}
	if (s->recording)
		sb_printf(sb, ", kept in %s", s->recording);
}

static void add_coverage(struct strbuf *sb, const struct wfg *g)
{
	const struct fact_session *s = wfg_session(g);
	size_t n = wfg_nr_probes(g), ok = 0;

	for (size_t i = 0; i < n; i++)
		ok += wfg_probe(g, i)->state == PROBE_OK;
	phrase_count(sb, s->dax_mounts, "DAX filesystem");
	sb_puts(sb, ", ");
	phrase_count(sb, s->dax_devices, "DAX device");
	sb_puts(sb, "; ");
	phrase_count(sb, wfg_losses(g, LOSS_LOST), "record");
	sb_printf(sb, " lost, %llu torn", (unsigned long long)wfg_losses(g, LOSS_TORN));
	if (n)
		sb_printf(sb, "; %zu of %zu probes ok", ok, n);
}

/* Each loss and each probe that is not whole, with what it means for the reader. */
static void say_gaps(struct report *r)
{
	for (size_t i = 0; i < wfg_nr_losses(r->g); i++) {
		const struct fact_loss *l = wfg_loss(r->g, i);
		struct strbuf sb = { 0 };

		sb_printf(&sb, "%s %llu of %s: what was there is not in this report.",
			  l->kind == LOSS_TORN ? "torn:" : "lost:", (unsigned long long)l->count,
			  l->where[0] ? l->where : "unknown records");
		say(r, INDENT, INDENT "  ", &sb);
	}
	for (size_t i = 0; i < wfg_nr_probes(r->g); i++) {
		const struct fact_probe *p = wfg_probe(r->g, i);
		struct strbuf sb = { 0 };

		if (p->state == PROBE_OK)
			continue;
		sb_printf(&sb, "%s: %s: %s", fact_probe_state_name(p->state), p->name,
			  p->costs ? p->costs : "consequence unknown");
		say(r, INDENT, INDENT "  ", &sb);
	}
}

static void say_trust(struct report *r, bool ages)
{
	const struct fact_session *s = wfg_session(r->g);
	struct strbuf sb = { 0 };

	add_source(&sb, s);
	sb_puts(&sb, ": ");
	add_coverage(&sb, r->g);
	sb_putc(&sb, '.');
	say(r, "TRUST    ", INDENT, &sb);
	if (ages && s->snapshot && !s->trace)
		say_string(r, INDENT, INDENT,
			   "A snapshot does not see when a reference was taken. Ages count from "
			   "when a task last ran.");
	say_gaps(r);
}

static void unbind_nothing_found(struct strbuf *sb, const struct wfg *g)
{
	const struct fact_session *s = wfg_session(g);

	if (wfg_losses(g, LOSS_LOST) || !s->pins_pages)
		sb_printf(sb,
			  "UNKNOWN: not every page of %s could be looked at; of the others none is "
			  "referenced.",
			  s->unbind);
	else
		sb_printf(sb,
			  "OK: no page of %s is referenced: unbinding it now would neither hang "
			  "nor crash.",
			  s->unbind);
	if (s->unbind_mount)
		sb_printf(sb,
			  " But a filesystem on it is mounted on %s: unmount it first, as a page "
			  "may be referenced at any moment.",
			  s->unbind_mount);
}

void report_nothing_found(struct strbuf *sb, const struct wfg *g)
{
	const char *scope = wfg_session(g)->scope;

	if (wfg_session(g)->unbind) {
		unbind_nothing_found(sb, g);
		return;
	}
	if (wfg_losses(g, LOSS_LOST))
		sb_puts(sb,
			"UNKNOWN: records were lost; nobody was seen to wait for a busy DAX page on ");
	else
		sb_puts(sb, "OK: nobody waits for a busy DAX page on ");
	sb_printf(sb, "%s.", scope ? scope : "any DAX mount");
}

int report_trust(FILE *out, const struct wfg *g)
{
	const struct view_opts opts = { .quiet = false };
	struct report r = { .out = out, .g = g, .opts = &opts };

	say_trust(&r, false);
	return r.err ? r.err : stream_finish(out);
}

static const struct wfg_wait *wait_for(const struct wfg *g, const struct wfg_page *page)
{
	for (size_t i = 0; i < wfg_nr_waits(g); i++)
		if (wfg_wait(g, i)->page == page)
			return wfg_wait(g, i);
	return NULL;
}

static void say_held_page(struct report *r, const struct wfg_page *page)
{
	const struct wfg_wait *wait = wait_for(r->g, page);
	struct strbuf sb = { 0 };

	phrase_page_of_file(&sb, page);
	if (wait) {
		sb_puts(&sb, ", for which ");
		phrase_task(&sb, wait->task);
		sb_puts(&sb, " waits, see above");
		say(r, "  page       ", INDENT_EVIDENCE, &sb);
		return;
	}
	sb_puts(&sb, ": ");
	add_page(&sb, page);
	say(r, "  page       ", INDENT_EVIDENCE, &sb);
	say_holders(r, page->holds, page->nr_holds, NULL);
}

static void add_looked_at(struct strbuf *sb, const struct fact_session *s)
{
	sb_printf(sb, " among %llu pages of DAX memory, looked at in ",
		  (unsigned long long)s->pins_pages);
	phrase_time(sb, s->pins_ns);
	if (s->pins_left)
		sb_printf(sb, "; %llu were not looked at", (unsigned long long)s->pins_left);
	sb_putc(sb, '.');
}

/* Every held page, if they were looked for. */
static void say_held(struct report *r)
{
	const struct fact_session *s = wfg_session(r->g);
	u32 n = 0, left = 0, max = r->opts->verbose ? UINT32_MAX : MAX_PAGES;
	struct strbuf sb = { 0 };

	if (!s->pins_pages)
		return;
	for (size_t i = 0; i < wfg_nr_pages(r->g); i++)
		n += wfg_page_is_held(r->g, wfg_page(r->g, i));
	phrase_count(&sb, n, s->unbind ? "referenced page" : "held page");
	add_looked_at(&sb, s);
	say(r, "HELD     ", INDENT, &sb);
	for (size_t i = 0; i < wfg_nr_pages(r->g); i++) {
		const struct wfg_page *page = wfg_page(r->g, i);

		if (!wfg_page_is_held(r->g, page))
			continue;
		if (n - left > max) {
			left++;
			continue;
		}
		say_held_page(r, page);
	}
	say_more(r, INDENT_EVIDENCE, left, "pages");
}

static void say_findings(struct report *r, const struct findings *f)
{
	bool all = r->opts->verbose || r->opts->quiet;
	u32 full = 0, n = 0;

	for (size_t i = 0; i < f->n; i++) {
		bool in_full = all || (full < MAX_FINDINGS && !is_told_before(&f->f[i]));

		if (!in_full && n - full >= MAX_VERDICTS)
			continue;
		say_finding(r, &f->f[i], in_full);
		full += in_full;
		n++;
	}
	say_more(r, "", f->n - n, "that wait");
	if (f->n > n)
		fputc('\n', r->out);
}

static void say_nothing_found(struct report *r)
{
	struct strbuf sb = { 0 };

	report_nothing_found(&sb, r->g);
	say(r, "", "", &sb);
}

/* What was seen to wait, and went on. */
static void say_ends(struct report *r)
{
	size_t n = wfg_nr_ends(r->g), left_out = n - shown(r, n, MAX_ENDS);

	if (left_out) {
		struct strbuf sb = { 0 };

		sb_printf(&sb, "%zu earlier ones; -v shows all", left_out);
		say(r, "ENDED    ", INDENT, &sb);
	}
	for (size_t i = left_out; i < n; i++) {
		struct strbuf sb = { 0 };

		phrase_end(&sb, wfg_end(r->g, i));
		say(r, i ? INDENT : "ENDED    ", INDENT, &sb);
	}
}

/* What was lost under a reference, seen as it happened. */
static void say_freed(struct report *r)
{
	size_t n = wfg_nr_freed(r->g), left_out = n - shown(r, n, MAX_ENDS);

	if (left_out) {
		struct strbuf sb = { 0 };

		sb_printf(&sb, "%zu earlier ones; -v shows all", left_out);
		say(r, "FREED    ", INDENT, &sb);
	}
	for (size_t i = left_out; i < n; i++) {
		struct strbuf sb = { 0 };

		phrase_freed(&sb, wfg_freed(r->g, i));
		say(r, i ? INDENT : "FREED    ", INDENT, &sb);
	}
}

int view_report(FILE *out, const struct wfg *g, const struct findings *f,
		const struct view_opts *opts)
{
	struct report r = { .out = out, .g = g, .opts = opts };

	say_findings(&r, f);
	if (!f->n)
		say_nothing_found(&r);
	if (!opts->quiet) {
		say_held(&r);
		say_freed(&r);
		say_ends(&r);
		say_trust(&r, f->n);
	}
	return r.err ? r.err : stream_finish(out);
}
