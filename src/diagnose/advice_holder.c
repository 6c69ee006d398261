// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* What can be done about the holders: let them let go, or end them. */
#include <signal.h>
#include <string.h>

#include "diagnose/advice.h"
#include "diagnose/phrase.h"
#include "diagnose/signals.h"

#define NAMED 8 /* processes named in advice */

bool advise_drain(struct verdict *v, const struct wfg_hold *h)
{
	const struct wfg_releaser *r = h->nr_releasers ? &h->releasers[0] : NULL;
	struct strbuf action = { 0 }, effect = { 0 };

	if (h->h.how != HOW_VMSPLICE || !r || r->fd < 0 || !h->h.drain_bytes)
		return false;
	sb_printf(&action, "dd if=/proc/%u/fd/%d of=/dev/null bs=%llu count=1", r->task->t.pid,
		  r->fd, (unsigned long long)h->h.drain_bytes);
	sb_puts(&effect, "Reads ");
	phrase_count(&effect, h->h.drain_bytes, "byte");
	sb_printf(&effect,
		  " out of %s, which releases the page; this data is lost to the pipe's reader.",
		  h->h.object_id ? h->h.object_id : "the pipe");
	verdict_advice(v, ADVICE_COMMAND, "self/close", &action, &effect);
	return true;
}

/* What has to go as well, beside the references that the advice releases. */
static void add_remaining(struct strbuf *sb, const struct wfg_page *page, s64 released)
{
	s64 rest = page->busy - released;

	if (rest <= 0)
		return;
	sb_putc(sb, ' ');
	phrase_count(sb, rest, "other reference");
	sb_puts(sb, rest == 1 ? " has" : " have");
	sb_puts(sb, " to go as well before the wait ends.");
}

/* What comes of it when references of the page go and the holder loses nothing. */
static void add_outcome(struct strbuf *sb, const struct wfg_wait *wait, s64 released)
{
	sb_puts(sb, released == 1 ? " the reference goes" : " the references go");
	if (wait->page->busy <= released) {
		sb_puts(sb, " and the ");
		phrase_op(sb, wait);
		sb_puts(sb, " goes on");
	}
	sb_puts(sb, "; nothing is lost.");
	add_remaining(sb, wait->page, released);
}

static bool is_queued(const struct wfg_wait *wait, const struct wfg_task *task)
{
	for (u32 i = 0; i < wait->nr_queued; i++)
		if (wait->queued[i].task->t.pid == task->t.pid)
			return true;
	return false;
}

static void note_stuck_reader(struct verdict *v, const struct wfg_task *reader, const char *why)
{
	struct strbuf sb = { 0 };

	phrase_task(&sb, reader);
	sb_printf(&sb, " could read the data, but it %s.", why);
	verdict_note(v, &sb);
}

/* Readers of the pipe, other than the waiter's process, that are able to read. */
static void collect_readers(struct verdict *v, const struct wfg_hold *h, struct processes *p)
{
	const struct wfg_wait *wait = v->wait;

	for (u32 i = 0; i < h->nr_releasers; i++) {
		const struct wfg_task *t = h->releasers[i].task;

		if (!h->releasers[i].reads || t->t.pid == wait->task->t.pid)
			continue;
		if (is_queued(wait, t))
			note_stuck_reader(v, t, "is itself queued behind this wait");
		else if (t->t.state == 'T' || t->t.state == 't')
			note_stuck_reader(v, t, "is stopped");
		else if (t->t.state == 'D')
			note_stuck_reader(v, t, "sleeps in state D");
		else
			processes_add_task(p, t);
	}
}

static void advise_readers(struct verdict *v, const struct wfg_hold *h)
{
	struct strbuf action = { 0 }, effect = { 0 };
	struct processes readers = { 0 };

	collect_readers(v, h, &readers);
	processes_sort(&readers);
	if (!readers.n)
		return;
	sb_puts(&action, "Let ");
	phrase_processes(&action, &readers, NAMED);
	sb_printf(&action, " read %s.", h->h.object_id ? h->h.object_id : "the pipe");
	if (h->h.drain_bytes) {
		sb_puts(&effect, "Once ");
		phrase_count(&effect, h->h.drain_bytes, "byte");
		sb_puts(&effect, h->h.drain_bytes == 1 ? " is read," : " are read,");
	} else {
		sb_puts(&effect, "Once the data of the page is read,");
	}
	add_outcome(&effect, v->wait, h->h.refs);
	processes_free(&readers);
	verdict_advice(v, ADVICE_SENTENCE, NULL, &action, &effect);
}

static void advise_peer(struct verdict *v, const struct wfg_hold *h)
{
	struct strbuf action = { 0 }, effect = { 0 };

	sb_printf(&action, "Let the peer%s%s of %s read.", h->h.target ? " " : "",
		  h->h.target ? h->h.target : "", h->h.object_id ? h->h.object_id : "the socket");
	sb_puts(&effect, "Once it has taken the data,");
	add_outcome(&effect, v->wait, h->h.refs);
	verdict_advice(v, ADVICE_SENTENCE, NULL, &action, &effect);
}

/*
 * The device-mapper name in "dm-0 (slow)". Only what the shell takes literally: dmsetup(8) allows
 * more in a name, but a name is chosen by others and the command is pasted as root.
 */
static bool dm_name(const char *target, const char **name, int *len)
{
	static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
				    "+.:@_-";
	const char *s = target;

	if (!s || strncmp(s, "dm-", 3) != 0)
		return false;
	s += 3 + strspn(s + 3, "0123456789");
	if (strncmp(s, " (", 2) != 0)
		return false;
	*name = s + 2;
	*len = strspn(*name, plain);
	return *len && **name != '-' && (*name)[*len] == ')';
}

/*
 * Where a count of 1 is idle, only one of the ways to drop a reference wakes the waiter, and the
 * completion of a bio took another one for some time (6.1.y, bio.c __bio_release_pages()).
 */
static void add_lost_wakeup(struct strbuf *sb, const struct wfg_page *page)
{
	if (page->p.idle_refs == 1)
		sb_puts(sb, " Should it sleep on, run daxtrace again: Linux 6.1 can lose this "
			    "wake-up.");
}

static void advise_dm(struct verdict *v, const char *name, int len, s64 refs)
{
	struct strbuf action = { 0 }, effect = { 0 };

	sb_printf(&action, "dmsetup info %.*s", len, name);
	sb_puts(&effect, "Shows whether the device is SUSPENDED; changes nothing.");
	verdict_advice(v, ADVICE_COMMAND, "advice-dio", &action, &effect);
	sb_printf(&action, "dmsetup resume %.*s", len, name);
	sb_puts(&effect, "Lets a suspended device go on: when the I/O completes,");
	add_outcome(&effect, v->wait, refs);
	add_lost_wakeup(&effect, v->wait->page);
	verdict_advice(v, ADVICE_COMMAND, "advice-dio", &action, &effect);
}

static void advise_limit(struct verdict *v, const struct wfg_hold *h, s64 refs)
{
	struct strbuf action = { 0 }, effect = { 0 };

	sb_printf(&action, "Raise or remove the limit in io.max of cgroup %s%s%s.", h->h.limit,
		  h->h.target ? " for " : "", h->h.target ? h->h.target : "");
	sb_puts(&effect, "The I/O goes on at once; when it completes,");
	add_outcome(&effect, v->wait, refs);
	add_lost_wakeup(&effect, v->wait->page);
	verdict_advice(v, ADVICE_SENTENCE, "iomax-aio", &action, &effect);
}

/* What was asked of a suspended device waits in a queue of it: this device is not suspended. */
static void advise_unqueued_dm(struct verdict *v, const char *name, int len, s64 refs)
{
	struct strbuf action = { 0 }, effect = { 0 };

	sb_printf(&action, "Look at the output of: dmsetup table %.*s", len, name);
	sb_puts(&effect,
		"It names the target that keeps the I/O; a delay target passes on all that "
		"it keeps when it is suspended and resumed. When the I/O completes,");
	add_outcome(&effect, v->wait, refs);
	add_lost_wakeup(&effect, v->wait->page);
	verdict_advice(v, ADVICE_SENTENCE, NULL, &action, &effect);
}

static bool same_target(const struct wfg_hold *a, const struct wfg_hold *b)
{
	const char *x = a->h.target, *y = b->h.target;

	return hold_is_io(a) && hold_is_io(b) && (x && y ? !strcmp(x, y) : x == y);
}

/* References of all I/O to the target of hold i; 0 when an earlier hold has the same target. */
static s64 target_refs(const struct wfg_page *page, u32 i)
{
	const struct wfg_hold *h = page->holds[i];
	s64 refs = 0;

	for (u32 j = 0; j < wfg_page_holders(page); j++) {
		if (!same_target(page->holds[j], h))
			continue;
		if (j < i)
			return 0;
		refs += page->holds[j]->h.refs;
	}
	return refs;
}

static void advise_target(struct verdict *v, const struct wfg_hold *h, s64 refs)
{
	struct strbuf action = { 0 }, effect = { 0 };
	const char *name;
	int len;

	if (h->h.limit) {
		advise_limit(v, h, refs);
		return;
	}
	if (dm_name(h->h.target, &name, &len)) {
		if (h->h.unqueued)
			advise_unqueued_dm(v, name, len, refs);
		else
			advise_dm(v, name, len, refs);
		return;
	}
	sb_printf(&action, "Make %s answer.",
		  h->h.target ? h->h.target : "the device or server that the I/O goes to");
	sb_puts(&effect, "When the I/O completes,");
	add_outcome(&effect, v->wait, refs);
	add_lost_wakeup(&effect, v->wait->page);
	verdict_advice(v, ADVICE_SENTENCE, NULL, &action, &effect);
}

static void note_io(struct verdict *v, const struct wfg_hold *h)
{
	struct strbuf sb = { 0 };

	if (!h->nr_releasers)
		return;
	sb_puts(&sb, "Ending ");
	phrase_releasers(&sb, h, NAMED);
	sb_puts(&sb, " does not release the page: the reference goes when the I/O completes");
	if (h->releasers[0].task->t.state == 'D')
		sb_puts(&sb, ", and until then the task stays in state D");
	sb_putc(&sb, '.');
	verdict_note(v, &sb);
}

static void note_not_ended(struct verdict *v, const struct wfg_task *task, const char *why)
{
	struct strbuf sb = { 0 };

	sb_puts(&sb, "Ending ");
	phrase_task(&sb, task);
	sb_printf(&sb, " is not advised: it %s.", why);
	verdict_note(v, &sb);
}

static void note_many(struct verdict *v, const struct wfg_hold *h)
{
	struct strbuf sb = { 0 };

	sb_puts(&sb, h->h.object_id ? h->h.object_id : "The pipe");
	sb_puts(&sb, " holds the page until it is read or until all of these have closed it: ");
	phrase_releasers(&sb, h, NAMED);
	if (h->nr_releasers < h->h.nr_releasers)
		sb_puts(&sb, ", and tasks that could not be identified");
	sb_putc(&sb, '.');
	verdict_note(v, &sb);
}

static void note_own(struct verdict *v, const struct wfg_hold *h)
{
	const struct fact_task *t = &v->wait->task->t;
	struct strbuf sb = { 0 };

	sb_puts(&sb, "Only the waiter's own process could release ");
	if (h->h.how == HOW_MAPPING)
		sb_puts(&sb, "the mapping");
	else
		sb_puts(&sb, h->h.object_id ? h->h.object_id : "the pipe");
	if (t->threads)
		sb_printf(&sb, ". It has %u threads, and another of them", t->threads);
	else
		sb_puts(&sb, ". How many threads it has is unknown, and another of them");
	sb_puts(&sb, " may still do so: therefore this is not called a deadlock.");
	verdict_note(v, &sb);
}

static void advise_end_holder(struct verdict *v, const struct wfg_hold *h)
{
	struct strbuf action = { 0 }, effect = { 0 };
	const struct wfg_releaser *first = h->releasers;
	const char *why;

	if (!h->nr_releasers)
		return;
	/* Releasers come ordered by process. */
	if (h->nr_releasers < h->h.nr_releasers ||
	    first->task->t.pid != first[h->nr_releasers - 1].task->t.pid) {
		note_many(v, h);
		return;
	}
	if (first->task->t.pid == v->wait->task->t.pid)
		return;
	why = sigterm_useless(first->task);
	if (why) {
		note_not_ended(v, first->task, why);
		return;
	}
	sb_printf(&action, "kill %u", first->task->t.pid);
	sb_puts(&effect, "Ends ");
	phrase_task(&effect, first->task);
	sb_printf(&effect, ", which closes %s; what nobody has read from it is lost.",
		  h->h.object_id ? h->h.object_id : "the pipe");
	add_remaining(&effect, v->wait->page, h->h.refs);
	verdict_advice(v, ADVICE_COMMAND, "advice-vmsplice", &action, &effect);
}

static void advise_end_call(struct verdict *v, const struct wfg_hold *h)
{
	struct strbuf action = { 0 }, effect = { 0 };
	const struct wfg_task *task = h->nr_releasers ? h->releasers[0].task : NULL;
	const char *why = task ? sigterm_useless(task) : NULL;

	if (!task || task->t.pid == v->wait->task->t.pid)
		return;
	if (why) {
		note_not_ended(v, task, why);
		return;
	}
	sb_printf(&action, "kill %u", task->t.pid);
	sb_puts(&effect, "Ends ");
	phrase_task(&effect, task);
	sb_puts(&effect, " and with it the call that holds the page.");
	add_remaining(&effect, v->wait->page, h->h.refs);
	verdict_advice(v, ADVICE_COMMAND, NULL, &action, &effect);
}

static void note_sent(struct verdict *v, const struct wfg_hold *h)
{
	struct strbuf sb = { 0 };

	sb_puts(&sb, "Ending ");
	phrase_releasers(&sb, h, NAMED);
	sb_puts(&sb, " may not release the page: what was sent stays queued until the peer takes "
		     "it or the connection is reset.");
	verdict_note(v, &sb);
}

/* Processes that map the page; returns the references they explain, -1 when one is not known. */
static s64 collect_mappers(const struct wfg_page *page, struct processes *p)
{
	s64 refs = 0;

	for (u32 i = 0; i < wfg_page_holders(page); i++) {
		const struct wfg_hold *h = page->holds[i];

		if (h->h.how != HOW_MAPPING)
			continue;
		if (!h->nr_releasers || h->nr_releasers < h->h.nr_releasers)
			return -1;
		refs += h->h.refs;
		processes_add(p, h);
	}
	processes_sort(p);
	return refs;
}

/* Whether SIGTERM would end every one of them: ending only some frees nothing. Notes say who not. */
static bool all_end(struct verdict *v, const struct processes *p)
{
	bool all = p->n && !p->failed;

	for (u32 i = 0; i < p->n; i++) {
		const char *why = sigterm_useless(p->t[i]);

		if (p->t[i]->t.pid == v->wait->task->t.pid) {
			all = false;
		} else if (why) {
			note_not_ended(v, p->t[i], why);
			all = false;
		}
	}
	return all;
}

static void advise_end_mappers(struct verdict *v)
{
	struct strbuf action = { 0 }, effect = { 0 };
	struct processes p = { 0 };
	s64 refs = collect_mappers(v->wait->page, &p);

	if (v->wait->page->mapped && refs > 0 && all_end(v, &p)) {
		sb_puts(&action, "kill");
		for (u32 i = 0; i < p.n; i++)
			sb_printf(&action, " %u", p.t[i]->t.pid);
		sb_puts(&effect, "Ends ");
		phrase_processes(&effect, &p, NAMED);
		sb_puts(&effect,
			p.n == 1 ? " and with it its mapping" : " and with them the mappings");
		sb_puts(&effect, " (munmap(2) by the program itself does the same).");
		add_remaining(&effect, v->wait->page, refs);
		verdict_advice(v, ADVICE_COMMAND, "advice-retouch", &action, &effect);
	}
	processes_free(&p);
}

void advise_release(struct verdict *v)
{
	const struct wfg_page *page = v->wait->page;

	for (u32 i = 0; i < wfg_page_holders(page); i++) {
		const struct wfg_hold *h = page->holds[i];
		s64 refs = target_refs(page, i);

		if (hold_is_unread(h))
			advise_readers(v, h);
		else if (h->h.outbound)
			advise_peer(v, h);
		else if (refs)
			advise_target(v, h, refs);
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
			advise_end_holder(v, h);
		else if (h->h.outbound)
			note_sent(v, h);
		else if (hold_is_io(h))
			note_io(v, h);
		else if (hold_is_call(h))
			advise_end_call(v, h);
	}
	advise_end_mappers(v);
}
