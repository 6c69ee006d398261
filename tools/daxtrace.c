// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* daxtrace: who blocks whom on DAX files. Wiring and exit statuses only. */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include <daxtop/collect.h>
#include <daxtop/diagnose.h>
#include <daxtop/model.h>
#include <daxtop/view.h>

#include "util/log.h"
#include "opts/opts.h"
#include "util/std.h"
#include "view/hist.h"
#include "watch/pace.h"
#include "watch/watch.h"

/* Turns an error into what the user reads; returns -1. */
static int refuse_errno(struct refusal *why, int err)
{
	return refuse(why, STATUS_ERROR, "there is no answer to print", "", "%s", strerror(-err));
}

/* What look_live() needs. */
struct machine {
	const struct opts *o;
	struct trace *trace; /* NULL: none */
};

/* What this machine, or a saved image, holds. As look_source.look. */
static int look_live(void *arg, fact_sink_fn sink, void *sink_arg, struct refusal *why)
{
	const struct machine *m = arg;
	const struct opts *o = m->o;
	struct pmem unbind;
	struct snapshot_opts snap = {
		.user_stacks = o->stacks & STACKS_USER,
		.recording = o->write,
		.image_write = o->image_write,
		.image_read = o->image_read,
		.without = o->without,
		.search_ns = o->search_ns,
		.pins_ns = o->pins_ns,
		.unbind = o->before_unbind ? &unbind : NULL,
		.trace = m->trace,
	};
	struct scope scope;
	int err;

	if (o->before_unbind && pmem_resolve(&unbind, o->before_unbind, why))
		return -1;
	if (scope_resolve(&scope, o->paths, o->nr_paths, why))
		return -1;
	snap.scope = &scope;
	/* An image needs nothing of this machine. */
	err = o->image_read ? 0 : preflight(sink, sink_arg, why);
	if (!err)
		err = snapshot(&snap, sink, sink_arg, why);
	scope_free(&scope);
	return err ? err : LOOK_WHOLE;
}

static int look_replay(void *arg, fact_sink_fn sink, void *sink_arg, struct refusal *why)
{
	return recording_next(arg, sink, sink_arg, why);
}

static int show(const struct opts *o, const struct wfg *g, const struct findings *f,
		const struct hist *hist)
{
	struct view_opts view = {
		.stacks = o->stacks,
		.quiet = o->quiet,
		.verbose = o->verbose,
	};

	if (o->ndjson || o->recorder)
		return 0;
	if (o->folded)
		return view_folded(stdout, g, o->folded);
	if (o->hist == WHICH_HOLD)
		return view_hist_holds(stdout, g);
	if (o->hist)
		return view_hist(stdout, g, hist);
	return o->json ? view_json(stdout, g, f, &view) : view_report(stdout, g, f, &view);
}

/* Turns an error of printing the answer into what the user reads. */
static int refuse_output(struct refusal *why, int err)
{
	if (ferror(stdout))
		return refuse(why, STATUS_ERROR, "the answer is incomplete", "",
			      "cannot write the output: %s", strerror(-err));
	return refuse_errno(why, err);
}

/*
 * Prints what works here; above all when a snapshot does not, and why it does not is then part of
 * the answer. The exit status, or -1 with *why filled.
 */
static int check(const struct opts *o, struct wfg *g, struct refusal *why)
{
	struct findings none = { 0 };
	struct refusal found = *why;
	int err = wfg_link(g);

	if (!err)
		err = o->json ? show(o, g, &none, NULL) : view_check(stdout, g, &found);
	return err ? refuse_output(why, err) : found.status;
}

static struct trace *open_trace(const struct opts *o)
{
	struct trace_opts opts = opts_trace(o);

	return opts_traces(o) ? trace_new(&opts) : NULL;
}

static int look_and_check(const struct opts *o, struct refusal *why)
{
	struct machine m = { .o = o, .trace = open_trace(o) };
	struct wfg *g = wfg_new();
	int ret = g ? look_live(&m, wfg_add, g, why) : -ENOMEM;

	ret = ret < -1 ? refuse_errno(why, ret) : check(o, g, why);
	wfg_free(g);
	trace_free(m.trace);
	return ret;
}

/* A recording that ends early because it cannot be written; what was printed is whole. */
static int refuse_recording(const char *path, u64 looks, int err, struct refusal *why)
{
	char consequence[128];

	snprintf(consequence, sizeof(consequence),
		 "the recording ends behind look %llu, and can be read up to there",
		 (unsigned long long)looks);
	return refuse(why, STATUS_ERROR, consequence, err == -ENOSPC ? "df -h" : "",
		      "cannot write the recording %s: %s", path, strerror(-err));
}

/* Opens what facts come from and go to. 0, or -1 with *why filled. */
static int open_files(struct machine *m, struct watch *w, struct refusal *why)
{
	const struct opts *o = m->o;

	if (o->read) {
		w->source = (struct look_source){ look_replay, recording_open(o->read, why),
						  false };
		return w->source.arg ? 0 : -1;
	}
	w->source = (struct look_source){ look_live, m, true };
	m->trace = opts_watch(o) ? open_trace(o) : NULL;
	if (o->recorder) {
		w->ring = ring_open(o->recorder, o->keep_size, why);
		return w->ring ? 0 : -1;
	}
	if (o->write) {
		w->file = recording_create(o->write);
		return w->file ? 0 : refuse_recording(o->write, 0, -errno, why);
	}
	return 0;
}

/* Ends the recordings. 0, or -1 with *why filled. */
static int close_files(const struct opts *o, struct watch *w, struct refusal *why)
{
	u64 looks = w->file ? recording_looks(w->file) : 0;
	int err = recording_close(w->stream, w->end);
	int ring_err = ring_close(w->ring, w->end);
	int file_err = recording_close(w->file, w->end);

	if (o->read && w->source.arg) {
		if (recording_unknown(w->source.arg))
			log_msg(LOG_ERROR,
				"%s: %llu fields or records of another version were skipped",
				o->read, (unsigned long long)recording_unknown(w->source.arg));
		recording_free(w->source.arg);
	}
	if (err)
		return refuse_output(why, err);
	if (ring_err)
		return refuse(why, STATUS_ERROR, "what came last was not recorded", "df -h",
			      "cannot write to %s: %s", o->recorder, strerror(-ring_err));
	return file_err ? refuse_recording(o->write, looks, file_err, why) : 0;
}

/* Prints what was seen. The exit status, or -1 with *why filled. */
static int explain(const struct opts *o, const struct watch *w, struct refusal *why)
{
	int err = show(o, w->g, &w->f, w->hist);

	if (err)
		return refuse_output(why, err);
	if (o->exit_code)
		return findings_exit_status(w->g, &w->f);
	return w->end == END_COMMAND ? w->command_status : STATUS_OK;
}

static int watch_and_explain(const struct opts *o, struct watch *w, struct refusal *why)
{
	struct refusal seen_why = { .status = STATUS_OK };
	int ret = watch_run(w, why), status;

	if (!w->g)
		return ret ? ret :
			     refuse(why, STATUS_ERROR, "nothing can be told from it", "",
				    "%s holds no look", o->read);
	status = explain(o, w, &seen_why);
	if (!ret && status < 0)
		*why = seen_why;
	return ret ? ret : status;
}

static int run(const struct opts *o, struct refusal *why)
{
	struct hist hist = { 0 };
	struct watch w = {
		.hist = &hist,
		.once = !o->read && !opts_watch(o),
		.interval_ns = o->interval_ns,
		.duration_ns = o->duration_ns,
		.stuck_ns = o->stuck_ns,
		.count = o->count,
		.command = o->command,
		.follow = o->follow && !o->ndjson ? stdout : NULL,
	};
	struct machine m = { .o = o };
	int status = open_files(&m, &w, why);
	struct refusal second;

	if (status)
		return status;
	if (opts_watch(o) || o->write)
		pace_block_signals();
	w.look_at_end = m.trace;
	w.stream = o->ndjson ? recording_stream(stdout) : NULL;
	status = o->ndjson && !w.stream ? refuse_errno(why, -ENOMEM) :
					  watch_and_explain(o, &w, why);
	if (close_files(o, &w, status < 0 ? &second : why))
		status = -1;
	trace_free(m.trace);
	watch_free(&w);
	return status;
}

/* The exit status; what went wrong has been printed. */
static int run_and_tell(const struct opts *o)
{
	struct refusal why = { .status = STATUS_OK };
	int status = o->check ? look_and_check(o, &why) : run(o, &why);

	if (status >= 0)
		return status;
	log_refusal(why.cause, why.consequence, why.command);
	return why.status;
}

int main(int argc, char **argv)
{
	struct opts o;
	int status;

	std_occupy();
	signal(SIGPIPE, SIG_IGN);
	status = opts_parse(&o, DAXTRACE, argc, argv);
	if (status == OPTS_RUN) {
		/* who reads from a pipe sees each line when it is there */
		if (o.ndjson || opts_watch(&o))
			setvbuf(stdout, NULL, _IOLBF, 0);
		log_set_level(o.verbose);
		collect_set_verbosity(o.verbose);
		status = run_and_tell(&o);
	}
	return std_close(status);
}
