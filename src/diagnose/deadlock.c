// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * DEADLOCK: the waiter waits for a task that waits, perhaps over others, for the waiter. The holder
 * of a page reads the file that is being truncated; two tasks truncate each the file of which the
 * other one keeps a page. SUSPECTED_DEADLOCK: the same, but some step was not seen.
 */
#include <string.h>

#include "diagnose/advice.h"
#include "diagnose/mechanism.h"
#include "diagnose/phrase.h"
#include "diagnose/signals.h"
#include "diagnose/verdict.h"

#define NAMED 6  /* tasks in the verdict */
#define STEPS 64 /* of a circle whose evidence is told; one that has more is large */

static const struct cycle_step *next_of(const struct cycle *c, u32 i)
{
	return &c->steps[(i + 1) % c->n];
}

static void explain_text(struct verdict *v)
{
	const struct cycle *c = &v->f->cycle;
	struct strbuf sb = { 0 };

	sb_puts(&sb, c->proven ? "DEADLOCK: " : "SUSPECTED DEADLOCK: ");
	phrase_wait(&sb, v->wait);
	sb_puts(&sb, ", in a circle: ");
	for (u32 i = 0; i < c->n && i < NAMED; i++) {
		sb_puts(&sb, i ? ", that one for " : "");
		if (!i) {
			phrase_task(&sb, c->steps[0].task);
			sb_puts(&sb, " waits for ");
		}
		if (i + 1 == c->n)
			phrase_task(&sb, c->steps[0].task);
		else if (i + 1 == NAMED)
			sb_printf(&sb, "%u more tasks, the last of them for the first",
				  c->n - NAMED);
		else
			phrase_task(&sb, next_of(c, i)->task);
	}
	sb_putc(&sb, '.');
	verdict_text(v, &sb);
}

/* "i_rwsem of /pmem1/x (xfs on pmem0, ino 7)" */
static void phrase_lock(struct strbuf *sb, const struct wfg_queued *q)
{
	const struct wfg_lock *lock = q->on;

	sb_puts(sb, q->lock ? q->lock : "a lock");
	if (!lock || (!lock->l.of && !lock->file))
		return;
	sb_puts(sb, " of ");
	if (lock->file)
		phrase_file(sb, lock->file);
	else
		sb_puts(sb, lock->l.of);
}

static void phrase_sleep(struct strbuf *sb, const struct wfg_task *task)
{
	phrase_task(sb, task);
	sb_puts(sb, " sleeps");
	if (task->t.call)
		sb_printf(sb, " in %s", task->t.call);
}

static void explain_pipe(struct strbuf *sb, const struct cycle_step *step,
			 const struct wfg_task *next)
{
	const struct wfg_lock *pipe = step->sleeps->on;

	phrase_sleep(sb, step->task);
	sb_printf(sb, " because of %s, a%s, whose other end nobody else than ",
		  pipe->l.of ? pipe->l.of : "a pipe",
		  step->sleeps->lock && *step->sleeps->lock == 'e' ? "n empty pipe" : " full pipe");
	phrase_task(sb, next);
	sb_puts(sb,
		pipe->nr_owners > 1 ? " and others that are stuck, too, has open" : " has open");
}

static bool is_owner(const struct wfg_lock *lock, const struct wfg_task *task)
{
	for (u32 i = 0; i < lock->nr_owners; i++)
		if (lock->owners[i].task == task)
			return true;
	return false;
}

static void explain_shared(struct strbuf *sb, const struct wfg_queued *sleeps,
			   const struct wfg_task *next)
{
	const struct wfg_lock *lock = sleeps->on;

	sb_puts(sb, ", in whose queue it was seen. ");
	if (sleeps->behind && is_owner(lock, next)) {
		phrase_task(sb, next);
		sb_puts(sb, " has it shared in a page fault");
	} else if (sleeps->behind) {
		sb_puts(sb, "Others have it shared, but first in the queue is ");
		phrase_task(sb, next);
		sb_puts(sb, ", which wants it exclusively");
	} else {
		sb_puts(sb, "It is held shared");
		if (lock->l.readers)
			sb_printf(sb, " by %u", lock->l.readers);
		sb_puts(sb, ", by whom the kernel does not keep; the last to take it was ");
		phrase_task(sb, next);
	}
}

static void explain_lock(struct strbuf *sb, const struct cycle_step *step,
			 const struct wfg_task *next)
{
	const struct wfg_lock *lock = step->sleeps->on;
	enum fact_mode mode = lock ? lock->l.mode : MODE_UNKNOWN;

	if (mode == MODE_PIPE) {
		explain_pipe(sb, step, next);
		return;
	}
	phrase_sleep(sb, step->task);
	sb_puts(sb, " for ");
	phrase_lock(sb, step->sleeps);
	switch (mode) {
	case MODE_WRITE:
		sb_puts(sb, ", in whose queue it was seen; the owner in the lock is ");
		phrase_task(sb, next);
		break;
	case MODE_READ:
		explain_shared(sb, step->sleeps, next);
		break;
	default:
		sb_puts(sb, ", which it seems ");
		phrase_task(sb, next);
		sb_puts(sb, " has; the lock does not say so");
	}
}

/* "which a page fault of a[1] keeps while it waits for I/O to nbd0; b[2] alone could answer it" */
static void explain_lock_hold(struct strbuf *sb, const struct wfg_hold *h,
			      const struct wfg_task *next)
{
	sb_printf(sb, ", which %s of ", mechanism_of(h->h.how)->purpose);
	phrase_releasers(sb, h, NAMED);
	sb_puts(sb, " keeps");
	if (!h->server)
		return;
	sb_printf(sb, " while it waits for I/O to %s; ", h->h.target ? h->h.target : "a server");
	phrase_task(sb, next);
	sb_puts(sb, " alone could answer it");
}

static void explain_hold(struct strbuf *sb, const struct cycle_step *step,
			 const struct wfg_task *next)
{
	const struct wfg_hold *h = step->hold;

	phrase_sleep(sb, step->task);
	sb_puts(sb, " for ");
	phrase_what(sb, step->wait);
	sb_puts(sb, " of ");
	phrase_file(sb, step->wait->file);
	if (hold_is_lock(h)) {
		explain_lock_hold(sb, h, next);
		return;
	}
	if (hold_is_unread(h)) {
		sb_printf(sb, ", which %s keeps as unread data; ",
			  h->h.object_id ? h->h.object_id : "a pipe");
		phrase_task(sb, next);
		sb_puts(sb, h->nr_releasers > 1 ?
				    " and others that are stuck, too, could read or close it" :
				    " alone could read or close it");
	} else if (h->server) {
		sb_printf(sb, ", which I/O to %s keeps; ", h->h.target ? h->h.target : "a server");
		phrase_task(sb, next);
		sb_puts(sb, " alone could answer it");
	} else if (h->h.how == HOW_MAPPING) {
		sb_puts(sb, ", which is in a page table of ");
		phrase_task(sb, next);
	} else {
		sb_puts(sb, ", which a call of ");
		phrase_task(sb, next);
		sb_puts(sb, " holds");
	}
}

static void explain_doubt(struct strbuf *sb, const struct cycle_step *step,
			  const struct wfg_task *next)
{
	if (step->hold && step->hold->server && step->hold->h.server_likely)
		sb_puts(sb, ". That it is this I/O which keeps it busy was not seen");
	if (step->hold && next->t.threads > 1)
		sb_printf(sb, ". Its process has %u threads, of which another may yet let go of it",
			  next->t.threads);
}

bool finding_tells_cycle(const struct finding *f)
{
	return f->cycle.n && (f->cycle.n <= STEPS || f->cycle_of == f->wait);
}

static void explain_steps(struct verdict *v)
{
	const struct cycle *c = &v->f->cycle;
	u32 told = finding_tells_cycle(v->f) ? STEPS : 1;
	struct strbuf more = { 0 };

	for (u32 i = 0; i < c->n && i < told; i++) {
		const struct cycle_step *step = &c->steps[i];
		const struct wfg_task *next = next_of(c, i)->task;
		struct strbuf sb = { 0 };

		sb_printf(&sb, "[%s] ", step->proven ? "exact" : "suspected");
		if (step->hold)
			explain_hold(&sb, step, next);
		else
			explain_lock(&sb, step, next);
		if (!step->proven)
			explain_doubt(&sb, step, next);
		sb_putc(&sb, '.');
		verdict_cause(v, &sb);
	}
	if (c->n > told) {
		sb_printf(&more, "The circle has %u more steps.", c->n - told);
		verdict_cause(v, &more);
	}
}

/* The wait of a step that is over if the step is; NULL: it is no wait for a page. */
static const struct wfg_wait *wait_of(const struct cycle_step *step)
{
	return step->hold ? step->wait : NULL;
}

static bool advises_interrupt(const struct wfg_wait *wait)
{
	return !wait_uninterruptible(wait) && signal_ends(wait->task);
}

/*
 * The cheapest step to break is a wait that a signal ends: only its operation is not done. One is
 * enough.
 */
static bool advise_signal(struct verdict *v)
{
	const struct cycle *c = &v->f->cycle;
	struct verdict other = *v;

	for (u32 i = 0; i < c->n; i++) {
		other.wait = wait_of(&c->steps[i]);
		if (!other.wait || !advises_interrupt(other.wait))
			continue;
		advise_interrupt(&other, "advice-deadlock");
		v->err = v->err ? v->err : other.err;
		return true;
	}
	return false;
}

/* Who sleeps for a pipe takes a signal, too. */
static bool advise_end_writer(struct verdict *v)
{
	const struct cycle *c = &v->f->cycle;

	for (u32 i = 0; i < c->n; i++) {
		const struct cycle_step *step = &c->steps[i];
		struct strbuf action = { 0 }, effect = { 0 };

		if (step->hold || !step->sleeps->on || step->sleeps->on->l.mode != MODE_PIPE ||
		    step->task->t.state != 'S' || sigterm_useless(step->task))
			continue;
		sb_printf(&action, "kill %u", step->task->t.pid);
		sb_puts(&effect, "Ends ");
		phrase_task(&effect, step->task);
		sb_puts(&effect, ", which closes what it has open; what it had in hand is lost.");
		verdict_advice(v, ADVICE_COMMAND, "advice-deadlock-pipe", &action, &effect);
		return true;
	}
	return false;
}

/* Somebody who is stuck keeps the pipe itself locked: reading it would be stuck, too. */
static bool pipe_is_locked(const struct verdict *v, const struct wfg_hold *h)
{
	for (size_t i = 0; i < wfg_nr_locks(v->g); i++) {
		const struct wfg_lock *lock = wfg_lock(v->g, i);

		if (lock->l.mode != MODE_PIPE && lock->l.of && h->h.object_id &&
		    !strcmp(lock->l.of, h->h.object_id))
			return true;
	}
	return false;
}

/* What makes the holder of the waiter's own page let go; of others it would not end this wait. */
static void advise_release_own(struct verdict *v)
{
	const struct wfg_hold *h = v->f->cycle.steps[0].hold;

	if (!h)
		return;
	if (!pipe_is_locked(v, h))
		advise_drain(v, h);
	if (h->server && !advise_abort(v, h, h->h.refs))
		advise_disconnect(v, h, h->h.refs);
}

static void note_no_signal(struct verdict *v)
{
	struct strbuf sb = { 0 };

	sb_puts(&sb,
		"No signal is known to end any of these sleeps: none of the tasks can be ended.");
	verdict_note(v, &sb);
}

/* Each wait in the circle needs its other holds gone, too. */
static void note_others(struct verdict *v)
{
	const struct wfg_page *page = v->wait->page;
	struct strbuf sb = { 0 };
	s64 others = page ? page->busy - (v->f->cycle.steps[0].hold ?
						  v->f->cycle.steps[0].hold->h.refs :
						  0) :
			    0;

	if (others <= 0 || !v->f->cycle.steps[0].hold)
		return;
	sb_puts(&sb, "Beside what the circle holds, ");
	phrase_count(&sb, others, "more reference");
	sb_printf(&sb, " keep%s the page busy: when the circle is broken, run daxtrace again.",
		  others == 1 ? "s" : "");
	verdict_note(v, &sb);
}

void deadlock_explain(struct verdict *v)
{
	bool breaks;

	explain_text(v);
	explain_steps(v);
	breaks = advise_signal(v);
	advise_release_own(v);
	if (!breaks || finding_tells_cycle(v->f))
		breaks |= advise_end_writer(v);
	if (!breaks)
		note_no_signal(v);
	note_others(v);
}
