// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Data in a pipe or a socket that nobody has read: let it be read, or let all close it. */
#include "diagnose/advice_parts.h"
#include "diagnose/phrase.h"
#include "diagnose/signals.h"

bool advise_drain(struct verdict *v, const struct wfg_hold *h)
{
	const struct wfg_releaser *r = h->nr_releasers ? &h->releasers[0] : NULL;
	struct strbuf action = { 0 }, effect = { 0 };

	if (h->h.how != HOW_VMSPLICE || !r || r->fd < 0 || !h->h.drain_bytes)
		return false;
	sb_printf(&action, "dd if=/proc/%u/fd/%d of=/dev/null bs=%llu count=1", r->task->t.pid,
		  r->fd, (unsigned long long)h->h.drain_bytes);
	/* to open a FIFO, which has a path, would wait for a writer */
	if (h->h.object_id && h->h.object_id[0] == '/')
		sb_puts(&action, " iflag=nonblock");
	sb_puts(&effect, "Reads ");
	phrase_count(&effect, h->h.drain_bytes, "byte");
	sb_printf(&effect,
		  " out of %s, which releases the page; this data is lost to the pipe's reader.",
		  h->h.object_id ? h->h.object_id : "the pipe");
	verdict_advice(v, ADVICE_COMMAND, "self/close", &action, &effect);
	return true;
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
		else if (t->t.frozen)
			note_stuck_reader(v, t, "is frozen with its cgroup");
		else if (t->t.state == 'D')
			note_stuck_reader(v, t, "sleeps in state D");
		else
			processes_add_task(p, t);
	}
}

/* Packets that are read may still be freed late, by another CPU. */
static void add_late_free(struct strbuf *sb, const struct wfg_hold *h)
{
	if (h->h.target && h->h.how != HOW_VMSPLICE)
		sb_puts(sb, " Should the wait go on, run daxtrace again: the kernel may put off "
			    "freeing packets.");
}

void advise_readers(struct verdict *v, const struct wfg_hold *h, s64 refs)
{
	struct strbuf action = { 0 }, effect = { 0 };
	struct processes readers = { 0 };

	collect_readers(v, h, &readers);
	processes_sort(&readers);
	if (!readers.n)
		return;
	sb_puts(&action, "Let ");
	phrase_processes(&action, &readers, NAMED);
	sb_printf(&action, " read %s.", hold_reads(h) ? hold_reads(h) : "the pipe");
	if (h->h.drain_bytes) {
		sb_puts(&effect, "Once ");
		phrase_count(&effect, h->h.drain_bytes, "byte");
		sb_puts(&effect, h->h.drain_bytes == 1 ? " is read," : " are read,");
	} else {
		sb_puts(&effect, "Once the data of the page is read,");
	}
	advice_add_outcome(&effect, v->wait, refs);
	add_late_free(&effect, h);
	processes_free(&readers);
	verdict_advice(v, ADVICE_SENTENCE,
		       h->h.how == HOW_VMSPLICE ? "advice-read" : "tcp-splice-full", &action,
		       &effect);
}

static void note_many(struct verdict *v, const struct wfg_hold *h)
{
	struct strbuf sb = { 0 };

	sb_puts(&sb, hold_reads(h) ? hold_reads(h) : "The pipe");
	sb_puts(&sb, h->h.peer ? " has to be read, or closed by all of these: " :
				 " holds the page until it is read or until all of these have "
				 "closed it: ");
	phrase_releasers(&sb, h, NAMED);
	if (h->nr_releasers < h->h.nr_releasers)
		sb_puts(&sb, ", and tasks that could not be identified");
	sb_putc(&sb, '.');
	verdict_note(v, &sb);
}

static const char *proof_of_kill(const struct wfg_task *task, const struct wfg_hold *h)
{
	if (h->h.how != HOW_VMSPLICE)
		return "advice-socket";
	return task->t.state == 'T' ? "advice-stopped" : "advice-vmsplice";
}

/* Why ending the process does not release what it has open; NULL when it does. */
static const char *end_useless(const struct verdict *v, const struct wfg_hold *h)
{
	const char *why = sigterm_useless(h->releasers[0].task);

	/* the worker that frees ranges of a DAX window keeps no inode lock */
	if (why || v->wait->task->t.kthread)
		return why;
	for (u32 i = 0; i < h->nr_releasers; i++)
		if (h->releasers[i].exit_waits)
			return "has the file open as well, and its exit would sleep for the lock "
			       "that the waiter keeps before it lets go of the page";
	return NULL;
}

void advise_end_holder(struct verdict *v, const struct wfg_hold *h, s64 refs)
{
	struct strbuf action = { 0 }, effect = { 0 };
	const struct wfg_task *task = hold_only_process(h);
	const char *why;

	if (!h->nr_releasers || !refs)
		return;
	if (!task) {
		note_many(v, h);
		return;
	}
	if (task->t.pid == v->wait->task->t.pid)
		return;
	why = end_useless(v, h);
	if (why) {
		note_not_ended(v, task, why);
		return;
	}
	advice_add_kill(&action, &task, 1);
	sb_puts(&effect, "Ends ");
	phrase_task(&effect, task);
	sb_printf(&effect, ", which closes %s; what %s is lost.",
		  hold_reads(h) ? hold_reads(h) : "the pipe",
		  h->h.unsent ? "it has not sent" : "nobody has read from it");
	advice_add_remaining(&effect, v->wait->page, refs);
	add_late_free(&effect, h);
	verdict_advice(v, ADVICE_COMMAND, proof_of_kill(task, h), &action, &effect);
}
