// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "live/live.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <unistd.h>

#include "live/parts.h"
#include "util/log.h"
#include "view/top/screen.h"

/* How long the start waits for the collector before it shows a screen without an answer. */
#define FIRST_ANSWER_NS (2 * NSEC_PER_SEC)

/* For how long that the second look loads hooks is reason enough for its silence. */
#define ATTACH_NS (5 * NSEC_PER_SEC)

static void take_note(struct live *p, const char *note)
{
	if (*note && p->batch && !*p->note)
		log_msg(LOG_ERROR, "%s", note);
	snprintf(p->note, sizeof(p->note), "%s", note);
	p->top.feed.note = *p->note ? p->note : NULL;
}

/* All of a recording was read: it can be stepped through, but there is nothing to wait for. */
static void take_end(struct live *p)
{
	p->top.feed.ended = true;
	p->quit |= p->batch;
	if (p->looks)
		return;
	refuse(&p->why, STATUS_ERROR, "nothing can be told from it", "", "%s holds no look",
	       p->o->read);
	p->quit = true;
}

/* A look that failed leaves the last one on the screen, and says so. */
static void take_answer(struct live *p, const struct feed_answer *a)
{
	int err;

	take_note(p, a->trouble);
	p->top.feed.silent_ns = 0;
	if (a->end) {
		take_end(p);
		return;
	}
	p->looks++;
	p->why = a->why;
	p->top.feed.error = NULL;
	if (a->why.status == STATUS_OK) {
		err = top_take(&p->top, a->facts, a->len);
		if (err)
			refuse(&p->why, STATUS_ERROR, "this look is lost", "", "%s",
			       strerror(-err));
	}
	if (p->why.status != STATUS_OK)
		p->top.feed.error = p->why.cause;
	/* what is wrong with a recording is wrong with all that follows */
	if (p->why.status != STATUS_OK && p->o->read)
		p->top.feed.ended = true;
	if (p->batch && p->why.status == STATUS_OK)
		live_print(p);
	p->quit |= p->batch && p->top.feed.ended;
	p->quit |= p->o->iterations && p->looks >= p->o->iterations;
}

static void read_feed(struct live *p)
{
	struct feed_answer a;
	int got = feed_read(p->feed, &a);

	if (got > 0)
		take_answer(p, &a);
	if (got >= 0)
		return;
	refuse(&p->why, STATUS_ERROR, "nothing new is seen", "daxtop", "the collector ended: %s",
	       strerror(-got));
	p->top.feed.error = p->why.cause;
	p->top.feed.gone = true;
	p->quit |= p->batch;
}

/* Nothing more is to be asked for. */
static bool is_over(const struct live *p)
{
	return p->top.feed.gone || p->top.feed.ended;
}

static void ask_when_due(struct live *p, u64 now)
{
	if (is_over(p) || feed_is_busy(p->feed) || now < p->due_ns)
		return;
	p->asked_ns = now;
	p->due_ns += p->delay_ns;
	if (p->due_ns < now)
		p->due_ns = now + p->delay_ns;
	if (feed_ask(p->feed))
		p->top.feed.gone = true;
}

static void note_silence(struct live *p, u64 now)
{
	u64 patience = p->delay_ns > FIRST_ANSWER_NS ? p->delay_ns : FIRST_ANSWER_NS;
	bool silent = !is_over(p) && feed_is_busy(p->feed) && now > p->asked_ns + patience;

	p->top.feed.silent_ns = silent ? now - p->asked_ns : 0;
	p->top.feed.attaching = p->looks == 1 && p->looks_opts.traces && silent &&
				p->top.feed.silent_ns < ATTACH_NS;
}

/*
 * Milliseconds to sleep: to the next look, and a second at most where a clock on the screen runs.
 */
static int sleep_ms(const struct live *p, u64 now)
{
	u64 until = is_over(p) || feed_is_busy(p->feed) ? now + NSEC_PER_SEC : p->due_ns;

	return until > now ? (until - now + NSEC_PER_MSEC - 1) / NSEC_PER_MSEC : 0;
}

/* One round: what has come since the last one. */
static void run_once(struct live *p)
{
	struct pollfd fds[] = {
		{ .fd = p->signals, .events = POLLIN },
		{ .fd = p->top.feed.gone ? -1 : feed_fd(p->feed), .events = POLLIN },
		{ .fd = p->batch ? -1 : STDIN_FILENO, .events = POLLIN },
	};
	u64 now;

	if (poll(fds, 3, sleep_ms(p, clock_now())) < 0 && errno != EINTR)
		p->quit = true;
	if (fds[0].revents)
		live_read_signal(p);
	if (fds[1].revents)
		read_feed(p);
	if (fds[2].revents & (POLLHUP | POLLERR | POLLNVAL))
		p->quit = true; /* the terminal is gone */
	else if (fds[2].revents)
		live_read_keys(p);
	now = clock_now();
	ask_when_due(p, now);
	note_silence(p, now);
	if (!p->batch && !p->quit)
		live_draw(p);
}

/* What the very first look says decides whether there is anything to show. 0, or -1. */
static int first_answer(struct live *p)
{
	u64 end = clock_now() + FIRST_ANSWER_NS;

	while (!p->looks && !p->top.feed.gone && !p->quit && clock_now() < end) {
		struct pollfd fds[] = { { .fd = feed_fd(p->feed), .events = POLLIN },
					{ .fd = p->signals, .events = POLLIN } };

		poll(fds, 2, (end - clock_now()) / NSEC_PER_MSEC + 1);
		if (fds[0].revents)
			read_feed(p);
		if (fds[1].revents)
			live_read_signal(p);
	}
	return p->why.status == STATUS_OK ? 0 : -1;
}

static int run(struct live *p)
{
	p->asked_ns = clock_now();
	p->due_ns = p->asked_ns + p->delay_ns;
	if (first_answer(p) || (!p->batch && !p->quit && live_open_screen(p)))
		return -1;
	if (!p->batch && !p->quit)
		live_draw(p);
	while (!p->quit)
		run_once(p);
	screen_close();
	return p->batch && p->why.status != STATUS_OK && is_over(p) ? -1 : 0;
}

/* A recording that ends early is an error, however good the screen was. 0, or -1. */
static int finish_recording(struct live *p)
{
	int err = p->o->write ? feed_finish(p->feed, p->note, sizeof(p->note)) : 0;

	if (err)
		return refuse(&p->why, STATUS_ERROR, "what came last may not be in it", "",
			      "cannot end the recording %s: %s", p->o->write, strerror(-err));
	if (!p->o->write || !*p->note)
		return 0;
	return refuse(&p->why, STATUS_ERROR, "it can be read up to there", "df -h", "%s", p->note);
}

/* 0, or -1 with p->why filled. */
static int run_feed(struct live *p)
{
	struct scope scope;
	int err;

	if (scope_resolve(&scope, p->o->paths, p->o->nr_paths, &p->why))
		return -1;
	p->looks_opts.snap.scope = &scope;
	p->feed = feed_start(&p->looks_opts, &p->why);
	err = p->feed ? run(p) : -1;
	if (!err)
		err = finish_recording(p);
	feed_stop(p->feed);
	scope_free(&scope);
	return err;
}

static void prepare(struct live *p, const struct opts *o)
{
	bool utf8 = screen_locale_is_utf8(), tty = isatty(STDOUT_FILENO);

	p->o = o;
	p->looks_opts = (struct looks_opts){
		.snap = {
			.user_stacks = o->stacks & STACKS_USER,
			.recording = o->write,
			.image_read = o->image_read,
			.without = o->without,
			.pins_ns = o->pins_ns,
		},
		.traces = opts_traces(o),
		.trace = opts_trace(o),
		.read = o->read,
		.write = o->write,
	};
	p->batch = o->batch || !tty;
	p->color = live_wants_color(o, tty && !o->batch);
	p->canvas.ascii = o->ascii || !utf8;
	p->signals = live_open_signals();
	p->delay_ns = o->delay_ns;
	top_init(&p->top);
	if (o->read)
		history_init(&p->top.history, REPLAY_LOOKS, REPLAY_BYTES);
	p->top.feed.delay_ns = o->delay_ns;
	p->top.feed.replay = o->read;
	p->top.batch = p->batch;
	filter_compile(&p->top.filter, &o->filter);
	if (o->sort)
		top_sort_by(&p->top, o->sort);
	if (o->config_error[0])
		top_say(&p->top, "%s", o->config_error);
}

int live_run(const struct opts *o)
{
	static struct live p;
	int status = STATUS_OK;

	prepare(&p, o);
	if (run_feed(&p)) {
		log_refusal(p.why.cause, p.why.consequence, p.why.command);
		status = p.why.status;
	}
	top_free(&p.top);
	canvas_free(&p.canvas);
	return status;
}
