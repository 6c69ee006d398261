// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "live/looks.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <daxtop/model.h>

#include "record/recording.h"
#include "util/fact_pack.h"

struct looks {
	const struct looks_opts *opts;
	struct snapshot_opts snap; /* as in opts, and later with hooks */
	u64 nr;                    /* looks at this machine */
	struct source *src;        /* NULL: in */
	struct recording_in *in;   /* NULL: src */
	struct recording_out *out; /* NULL: nothing is recorded, or no more */
	int out_err;               /* why not, -errno */
	u64 out_looks;             /* recorded before that */
	struct wfg *before;        /* the last look without losses; NULL none */
	struct wfg *now;           /* the look under way */
	struct strbuf *facts;      /* its facts */
};

static int refuse_memory(struct refusal *why)
{
	return refuse(why, STATUS_ERROR, "this look is lost", "", "%s", strerror(ENOMEM));
}

static bool open_input(struct looks *l, struct refusal *why)
{
	if (l->opts->read)
		l->in = recording_open(l->opts->read, why);
	else
		l->src = source_open(&l->snap, why);
	return l->in || l->src;
}

static bool open_output(struct looks *l, struct refusal *why)
{
	l->out = l->opts->write ? recording_create(l->opts->write) : NULL;
	if (l->opts->write && !l->out)
		refuse(why, STATUS_ERROR, "nothing would be recorded", "",
		       "cannot write the recording %s: %s", l->opts->write, strerror(errno));
	return l->out || !l->opts->write;
}

struct looks *looks_open(const struct looks_opts *opts, struct refusal *why)
{
	struct looks *l = calloc(1, sizeof(*l));
	char none[1];

	if (!l) {
		refuse_memory(why);
		return NULL;
	}
	l->opts = opts;
	l->snap = opts->snap;
	if (open_input(l, why) && open_output(l, why))
		return l;
	looks_close(l, none, sizeof(none));
	return NULL;
}

static int take(void *arg, const struct fact *fact)
{
	struct looks *l = arg;
	int err = fact_pack(l->facts, fact);

	return err || !l->now ? err : wfg_add(l->now, fact);
}

/* Whether the hooks told already that a wait of the task ended: they know better. */
static bool end_was_traced(const struct wfg *g, u64 task)
{
	for (size_t i = 0; i < wfg_nr_ends(g); i++)
		if (wfg_end(g, i)->task == task)
			return true;
	return false;
}

static int take_vanished(void *arg, const struct fact *fact)
{
	struct looks *l = arg;

	return end_was_traced(l->now, fact->end.task) ? 0 : take(l, fact);
}

/* What ended is known by what was there before. 0 or -errno. */
static int tell_ends(struct looks *l)
{
	int err = wfg_link(l->now);

	if (!err && l->before)
		err = wfg_tell_ends(l->before, l->now, take_vanished, l);
	if (!err && !wfg_nr_losses(l->now)) {
		wfg_free(l->before);
		l->before = l->now;
		l->now = NULL;
	}
	return err;
}

/* To load hooks takes longer than a look does, and whoever starts this wants to see something. */
static void attach_hooks(struct looks *l)
{
	if (l->opts->traces && !l->snap.trace && l->nr)
		l->snap.trace = trace_new(&l->opts->trace);
	l->nr++;
}

static int look_at_machine(struct looks *l, struct refusal *why)
{
	int ret;

	attach_hooks(l);
	l->now = wfg_new();
	if (!l->now)
		return refuse_memory(why);
	ret = source_look(l->src, take, l, why);
	if (!ret && tell_ends(l))
		ret = refuse_memory(why);
	wfg_free(l->now);
	l->now = NULL;
	return ret ? -1 : 1;
}

static int look_into_recording(struct looks *l, struct refusal *why)
{
	int ret = recording_next(l->in, take, l, why);

	if (ret < -1)
		return refuse_memory(why);
	return ret > LOOK_NONE ? 1 : ret;
}

int looks_next(struct looks *l, struct strbuf *facts, struct refusal *why)
{
	l->facts = facts;
	return l->in ? look_into_recording(l, why) : look_at_machine(l, why);
}

static void stop_recording(struct looks *l, int err)
{
	l->out_err = err;
	l->out_looks = recording_looks(l->out);
	recording_close(l->out, END_ERROR);
	l->out = NULL;
}

void looks_keep(struct looks *l, const char *facts, size_t len)
{
	int err;

	if (!l->out)
		return;
	err = recording_look(l->out);
	err = err ? err : fact_unpack(facts, len, recording_add, l->out);
	err = err ? err : recording_look_end(l->out);
	if (err)
		stop_recording(l, err);
}

void looks_trouble(const struct looks *l, char *trouble, size_t len)
{
	u64 unknown = l->in ? recording_unknown(l->in) : 0;

	trouble[0] = '\0';
	if (l->out_err)
		snprintf(trouble, len, "the recording %s ends behind look %llu: %s", l->opts->write,
			 (unsigned long long)l->out_looks, strerror(-l->out_err));
	else if (unknown)
		snprintf(trouble, len, "%s: %llu fields or records of another version were skipped",
			 l->opts->read, (unsigned long long)unknown);
}

void looks_close(struct looks *l, char *trouble, size_t len)
{
	trouble[0] = '\0';
	if (!l)
		return;
	if (l->out) {
		l->out_looks = recording_looks(l->out);
		l->out_err = recording_close(l->out, END_SIGNAL);
		l->out = NULL;
	}
	looks_trouble(l, trouble, len);
	source_close(l->src);
	trace_free(l->snap.trace);
	recording_free(l->in);
	wfg_free(l->before);
	free(l);
}
