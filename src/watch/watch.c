// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "watch/watch.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <daxtop/view.h>

#include "util/clock.h"
#include "util/fact_pack.h"
#include "util/log.h"
#include "watch/pace.h"

static int refuse_errno(struct refusal *why, int err)
{
	return refuse(why, STATUS_ERROR, "what was found last is not told", "", "cannot go on: %s",
		      strerror(-err));
}

static int keep_end(struct watch *w, const struct fact *fact)
{
	struct kept_end *slot;

	if (!w->ends)
		w->ends = calloc(WATCH_ENDS_MAX, sizeof(*w->ends));
	if (!w->ends)
		return -ENOMEM;
	slot = &w->ends[w->nr_ended++ % WATCH_ENDS_MAX];
	slot->look = w->nr_looks;
	slot->task = fact->seen == SEEN_TRACE ? fact->end.task : 0;
	sb_reset(&slot->packed);
	if (fact_pack(&slot->packed, fact))
		return -ENOMEM;
	if (w->hist)
		hist_add(w->hist, &fact->end);
	return w->follow ? view_ended(w->follow, w->now, &fact->end) : 0;
}

/* Whether a trace told in this look of a wait of the task that ended: it knows better. */
static bool end_was_traced(const struct watch *w, u64 task)
{
	for (u64 i = w->nr_ended, n = 0; i-- && n < WATCH_ENDS_MAX; n++) {
		const struct kept_end *end = &w->ends[i % WATCH_ENDS_MAX];

		if (end->look != w->nr_looks)
			break;
		if (end->task == task)
			return true;
	}
	return false;
}

/* Who watches for hours has to learn now that nothing is recorded any more. */
static void note_file(struct watch *w, int err)
{
	w->file_err = err;
	if (err && !w->once)
		log_msg(LOG_ERROR, "the recording cannot go on behind look %llu: %s",
			(unsigned long long)recording_looks(w->file), strerror(-err));
}

static int give(struct watch *w, const struct fact *fact)
{
	int err = 0;

	for (int i = 0; i < 2 && !err; i++)
		err = w->outs[i] ? recording_add(w->outs[i], fact) : 0;
	if (w->file && !w->file_err)
		note_file(w, recording_add(w->file, fact));
	return err;
}

static int begin_recordings(struct watch *w)
{
	int err = 0;

	w->recording = true;
	w->outs[0] = w->stream;
	w->outs[1] = w->ring ? ring_turn(w->ring) : NULL;
	if (w->ring && !w->outs[1])
		return errno ? -errno : -ENOMEM;
	for (int i = 0; i < 2 && !err; i++)
		err = w->outs[i] ? recording_look(w->outs[i]) : 0;
	if (w->file && !w->file_err)
		note_file(w, recording_look(w->file));
	return err;
}

static int end_recordings(struct watch *w)
{
	int err = 0;

	if (!w->recording)
		return 0;
	w->recording = false;
	for (int i = 0; i < 2 && !err; i++)
		err = w->outs[i] ? recording_look_end(w->outs[i]) : 0;
	if (w->file && !w->file_err)
		note_file(w, recording_look_end(w->file));
	return err;
}

/* Whether the look before knew of it already. */
static bool was_freed(const struct wfg *g, const struct fact_freed *freed)
{
	for (size_t i = 0; g && i < wfg_nr_freed(g); i++)
		if (wfg_freed(g, i)->page == freed->page &&
		    wfg_freed(g, i)->freed_ns == freed->freed_ns)
			return true;
	return false;
}

/* What was freed under a reference stays worth telling when that is gone. */
static int carry_freed(const struct wfg *before, struct wfg *now)
{
	size_t n = before ? wfg_nr_freed(before) : 0;
	int err = 0;

	for (size_t i = n > WATCH_ENDS_MAX ? n - WATCH_ENDS_MAX : 0; i < n && !err; i++) {
		struct fact f = { .type = FACT_FREED, .freed = *wfg_freed(before, i) };

		err = was_freed(now, &f.freed) ? 0 : wfg_add(now, &f);
	}
	return err;
}

static int take(void *arg, const struct fact *fact)
{
	struct watch *w = arg;
	int err = w->recording ? 0 : begin_recordings(w);

	if (!err)
		err = give(w, fact);
	if (err)
		return err;
	if (fact->type == FACT_END)
		return keep_end(w, fact);
	err = wfg_add(w->now, fact);
	if (!err && fact->type == FACT_FREED && w->follow && !was_freed(w->g, &fact->freed))
		err = view_freed(w->follow, w->now, &fact->freed);
	return err;
}

/* An end that shows only in that a look no longer finds the wait. */
static int take_vanished(void *arg, const struct fact *fact)
{
	return end_was_traced(arg, fact->end.task) ? 0 : take(arg, fact);
}

/* The recordings say that what they have of this look is not all. */
static void tell_failed(struct watch *w)
{
	static const struct fact failed = {
		.type = FACT_LOSS,
		.loss = { LOSS_LOST, 1, "a look that failed" },
	};

	if (w->recording && !give(w, &failed))
		end_recordings(w);
}

/* One look, from the source to the recordings. LOOK_*, or -1 with *why filled. */
static int look(struct watch *w, struct refusal *why)
{
	int ret, err;

	w->now = wfg_new();
	w->nr_looks++;
	if (!w->now)
		return refuse_errno(why, -ENOMEM);
	ret = w->source.look(w->source.arg, take, w, why);
	err = ret < 0 ? ret : carry_freed(w->g, w->now);
	err = err ? err : wfg_link(w->now);
	if (!err && w->source.live && w->before)
		err = wfg_tell_ends(w->before, w->now, take_vanished, w);
	else if (!err && w->before)
		wfg_carry_on(w->before, w->now);
	if (!err)
		err = end_recordings(w);
	if (!err)
		return ret;
	tell_failed(w);
	return ret == -1 ? -1 : refuse_errno(why, err);
}

static int follow_begun(struct watch *w, const struct wfg *shown)
{
	int err = 0;

	for (size_t i = 0; w->follow && i < w->f.n && !err; i++)
		if (w->f.f[i].wait && (!shown || !wfg_still_waits(shown, w->f.f[i].wait)))
			err = view_begun(w->follow, w->g, &w->f.f[i]);
	return err;
}

/* The look that was just made is the one to show. */
static int keep(struct watch *w)
{
	struct wfg *shown = w->g, *before = w->before;
	bool whole = !wfg_nr_losses(w->now);
	int err;

	findings_free(&w->f);
	w->f = (struct findings){ 0 };
	w->g = w->now;
	w->now = NULL;
	if (whole)
		w->before = w->g;
	err = diagnose(w->g, &w->f);
	err = err ? err : follow_begun(w, shown);
	if (shown != w->before)
		wfg_free(shown);
	if (whole && before != shown)
		wfg_free(before);
	return err;
}

/* A look that was cut off is shown only when there is no other; that it was is shown anyway. */
static int keep_cut(struct watch *w)
{
	int err = 0;

	if (!w->g)
		return keep(w);
	for (size_t i = 0; i < wfg_nr_losses(w->now) && !err; i++) {
		struct fact f = { .type = FACT_LOSS, .loss = *wfg_loss(w->now, i) };

		err = wfg_add(w->g, &f);
	}
	return err;
}

static bool is_stuck(const struct watch *w)
{
	for (size_t i = 0; w->stuck_ns && i < wfg_nr_waits(w->g); i++) {
		u64 age = wfg_wait(w->g, i)->age_ns;

		if (age != FACT_UNKNOWN && age >= w->stuck_ns)
			return true;
	}
	return false;
}

/* Sleeps until it is time for the next look; false when there is none: w->end says why. */
static bool wait_for_next(struct watch *w, u64 *next, u64 deadline)
{
	u64 now = clock_now();
	enum woken woken;

	while (*next <= now)
		*next += w->interval_ns;
	do {
		woken = pace_until(*next < deadline ? *next : deadline);
		if (woken == WOKEN_CHILD && w->pid &&
		    pace_command_ended(w->pid, &w->command_status))
			w->end = END_COMMAND;
		else if (woken == WOKEN_SIGNAL)
			w->end = END_SIGNAL;
	} while (woken == WOKEN_CHILD && w->end != END_COMMAND);
	return woken != WOKEN_SIGNAL;
}

/* Whether what was seen, or what has happened, ends the watch. */
static bool has_ended(struct watch *w, u64 deadline)
{
	if (w->end == END_COMMAND || w->once)
		return true;
	if (is_stuck(w))
		w->end = END_STUCK;
	else if (w->count && w->nr_ended >= w->count)
		w->end = END_COUNT;
	else if (w->source.live && clock_now() >= deadline)
		w->end = END_DURATION;
	return w->end != END_DONE;
}

static int start_command(struct watch *w, struct refusal *why)
{
	int err = pace_run(w->command, &w->pid);

	return err ? refuse(why, STATUS_ERROR, "nothing was traced", "", "cannot run %s: %s",
			    w->command[0], strerror(-err)) :
		     0;
}

/* LOOK_* or -1 with *why filled, as look(). */
static int look_and_keep(struct watch *w, struct refusal *why)
{
	int ret = look(w, why), err;

	if (ret <= LOOK_NONE)
		return ret;
	err = ret == LOOK_CUT ? keep_cut(w) : keep(w);
	wfg_free(w->now);
	w->now = NULL;
	return err ? refuse_errno(why, err) : ret;
}

static int watch_looks(struct watch *w, struct refusal *why)
{
	u64 start = clock_now(), next = start;
	u64 deadline = w->duration_ns ? start + w->duration_ns : UINT64_MAX;
	int ret;

	do {
		ret = look_and_keep(w, why);
		if (ret <= LOOK_NONE)
			return ret;
		if (has_ended(w, deadline))
			return 0;
		/* what cannot be traced is not run */
		if (w->command && !w->pid && start_command(w, why))
			return -1;
	} while (!w->source.live || wait_for_next(w, &next, deadline));
	ret = w->look_at_end ? look_and_keep(w, why) : LOOK_NONE;
	return ret < 0 ? ret : 0;
}

/* The waits that ended belong to the last look. */
static int tell_kept_ends(struct watch *w)
{
	u64 first = w->nr_ended > WATCH_ENDS_MAX ? w->nr_ended - WATCH_ENDS_MAX : 0;
	struct fact f = { .type = FACT_LOSS, .loss = { LOSS_LOST, first, "waits that ended" } };
	int err = first ? wfg_add(w->g, &f) : 0;

	for (u64 i = first; i < w->nr_ended && !err; i++) {
		const struct strbuf *packed = &w->ends[i % WATCH_ENDS_MAX].packed;

		err = fact_unpack(packed->s, packed->len, wfg_add, w->g);
	}
	return err;
}

int watch_run(struct watch *w, struct refusal *why)
{
	int ret = watch_looks(w, why), err;

	if (ret)
		w->end = END_ERROR;
	err = w->g ? tell_kept_ends(w) : 0;
	return err ? refuse_errno(why, err) : ret;
}

void watch_free(struct watch *w)
{
	findings_free(&w->f);
	if (w->before != w->g)
		wfg_free(w->before);
	wfg_free(w->g);
	wfg_free(w->now);
	for (int i = 0; w->ends && i < WATCH_ENDS_MAX; i++)
		sb_free(&w->ends[i].packed);
	free(w->ends);
}
