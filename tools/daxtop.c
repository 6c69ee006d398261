// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* daxtop: who blocks whom on DAX files, live. Wiring only: what is shown is made in src/view/top. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <time.h>
#include <unistd.h>

#include <daxtop/collect.h>

#include "collect/feed.h"
#include "util/log.h"
#include "opts/opts.h"
#include "util/std.h"
#include "view/top/dump.h"
#include "view/top/screen.h"
#include "view/top/top.h"

#define NSEC_PER_MSEC 1000000ULL
#define NSEC_PER_SEC  1000000000ULL

/* How long the start waits for the collector before it shows a screen without an answer. */
#define FIRST_ANSWER_NS (2 * NSEC_PER_SEC)

enum { BATCH_WIDTH = 120, BATCH_HEIGHT = 24, BATCH_HEIGHT_MAX = 4000 };

struct live {
	const struct opts *o;
	struct top top;
	struct canvas canvas;
	struct feed *feed;
	struct refusal why; /* of the last look */
	bool batch, color;
	int signals;  /* signalfd */
	u64 asked_ns; /* when the look under way was asked for */
	u64 due_ns;   /* when the next one is to be */
	u64 looks;
	bool repaint, quit;
	int status;
};

static u64 now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * NSEC_PER_SEC + ts.tv_nsec;
}

static bool want_color(const struct opts *o, bool tty)
{
	const char *no_color = getenv("NO_COLOR");

	if (o->color != COLOR_AUTO)
		return o->color == COLOR_ALWAYS;
	return tty && !(no_color && *no_color);
}

static u16 environment_number(const char *name, u16 otherwise)
{
	const char *text = getenv(name);
	long n = text ? strtol(text, NULL, 10) : 0;

	return n > 0 && n <= 1000 ? n : otherwise;
}

/* As high as what there is to say, which the rows tell. */
static void print_frame(struct live *p)
{
	u32 h = 20 + 3 * p->top.rows.n;

	h = h < BATCH_HEIGHT ? BATCH_HEIGHT : h > BATCH_HEIGHT_MAX ? BATCH_HEIGHT_MAX : h;
	if (canvas_resize(&p->canvas, environment_number("COLUMNS", BATCH_WIDTH), h))
		return;
	if (p->looks > 1)
		putchar('\n');
	top_draw(&p->top, &p->canvas);
	canvas_print(stdout, &p->canvas, p->color);
	p->quit |= fflush(stdout) || ferror(stdout);
}

static void draw_screen(struct live *p)
{
	u16 w, h;

	screen_size(&w, &h);
	if ((w != p->canvas.w || h != p->canvas.h) && canvas_resize(&p->canvas, w, h))
		return;
	top_draw(&p->top, &p->canvas);
	screen_show(&p->canvas, p->repaint);
	p->repaint = false;
}

/* A look that failed leaves the last one on the screen, and says so. */
static void take_answer(struct live *p, const struct feed_answer *a)
{
	int err;

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
	if (p->batch && p->why.status == STATUS_OK)
		print_frame(p);
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

static void ask_when_due(struct live *p, u64 now)
{
	if (p->top.feed.gone || feed_is_busy(p->feed) || now < p->due_ns)
		return;
	p->asked_ns = now;
	p->due_ns += p->o->delay_ns;
	if (p->due_ns < now)
		p->due_ns = now + p->o->delay_ns;
	if (feed_ask(p->feed))
		p->top.feed.gone = true;
}

static void note_silence(struct live *p, u64 now)
{
	u64 patience = p->o->delay_ns > FIRST_ANSWER_NS ? p->o->delay_ns : FIRST_ANSWER_NS;
	bool silent = feed_is_busy(p->feed) && now > p->asked_ns + patience;

	p->top.feed.silent_ns = silent ? now - p->asked_ns : 0;
}

/* Also after a SIGSTOP that was not ours: the shell had the terminal meanwhile. */
static void go_on(struct live *p)
{
	screen_resume();
	p->repaint = true;
}

/* Leaves the terminal to the shell until the job is continued. */
static void stop_here(struct live *p)
{
	if (p->batch) {
		raise(SIGSTOP);
		return;
	}
	screen_close();
	raise(SIGSTOP);
	go_on(p);
}

static void read_signal(struct live *p)
{
	struct signalfd_siginfo info;

	if (read(p->signals, &info, sizeof(info)) != sizeof(info))
		return;
	if (info.ssi_signo == SIGTSTP)
		stop_here(p);
	else if (info.ssi_signo == SIGCONT && !p->batch)
		go_on(p);
	else if (info.ssi_signo != SIGWINCH)
		p->quit = true;
}

static void read_keys(struct live *p)
{
	u32 key;

	while (!p->quit && screen_key(&key)) {
		switch (top_key(&p->top, key)) {
		case ACTION_QUIT:
			p->quit = true;
			break;
		case ACTION_REPAINT:
			p->repaint = true;
			break;
		case ACTION_DUMP:
			dump_shown(&p->top);
			break;
		default:
			break;
		}
	}
}

/* Milliseconds to sleep: to the next look, and a second at most where a clock on the screen runs. */
static int sleep_ms(const struct live *p, u64 now)
{
	u64 until = feed_is_busy(p->feed) || p->top.feed.gone ? now + NSEC_PER_SEC : p->due_ns;

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

	if (poll(fds, 3, sleep_ms(p, now_ns())) < 0 && errno != EINTR)
		p->quit = true;
	if (fds[0].revents)
		read_signal(p);
	if (fds[1].revents)
		read_feed(p);
	if (fds[2].revents & (POLLHUP | POLLERR | POLLNVAL))
		p->quit = true; /* the terminal is gone */
	else if (fds[2].revents)
		read_keys(p);
	now = now_ns();
	ask_when_due(p, now);
	note_silence(p, now);
	if (!p->batch && !p->quit)
		draw_screen(p);
}

/* Signals come as data, so that nothing is ever done in a handler. */
static int open_signals(void)
{
	static const int caught[] = {
		SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGTSTP, SIGCONT, SIGWINCH
	};
	sigset_t set;

	sigemptyset(&set);
	for (size_t i = 0; i < sizeof(caught) / sizeof(caught[0]); i++)
		sigaddset(&set, caught[i]);
	sigprocmask(SIG_BLOCK, &set, NULL);
	return signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
}

/* Keys come from the terminal even where standard input is something else. 0, or -1. */
static int open_screen(struct live *p)
{
	int fd = isatty(STDIN_FILENO) ? STDIN_FILENO : open("/dev/tty", O_RDWR | O_CLOEXEC);

	if (fd > STDIN_FILENO) {
		dup2(fd, STDIN_FILENO);
		close(fd);
	}
	if (fd >= 0 && !screen_open(p->color))
		return 0;
	return refuse(&p->why, STATUS_ERROR, "the live view needs a terminal", "daxtop -b",
		      "cannot use this terminal (TERM=%s)", getenv("TERM") ? getenv("TERM") : "");
}

/* What the very first look says decides whether there is anything to show. 0, or -1. */
static int first_answer(struct live *p)
{
	u64 end = now_ns() + FIRST_ANSWER_NS;

	while (!p->looks && !p->top.feed.gone && !p->quit && now_ns() < end) {
		struct pollfd fds[] = { { .fd = feed_fd(p->feed), .events = POLLIN },
					{ .fd = p->signals, .events = POLLIN } };

		poll(fds, 2, (end - now_ns()) / NSEC_PER_MSEC + 1);
		if (fds[0].revents)
			read_feed(p);
		if (fds[1].revents)
			read_signal(p);
	}
	return p->why.status == STATUS_OK ? 0 : -1;
}

static int run(struct live *p)
{
	p->asked_ns = now_ns();
	p->due_ns = p->asked_ns + p->o->delay_ns;
	if (first_answer(p) || (!p->batch && !p->quit && open_screen(p)))
		return -1;
	if (!p->batch && !p->quit)
		draw_screen(p);
	while (!p->quit)
		run_once(p);
	screen_close();
	return p->batch && p->top.feed.gone ? -1 : 0;
}

static void prepare(struct live *p, const struct opts *o)
{
	bool utf8 = screen_locale_is_utf8(), tty = isatty(STDOUT_FILENO);

	p->o = o;
	p->batch = o->batch || !tty;
	p->color = want_color(o, tty && !o->batch);
	p->canvas.ascii = o->ascii || !utf8;
	p->signals = open_signals();
	top_init(&p->top);
	p->top.feed.delay_ns = o->delay_ns;
	p->top.batch = p->batch;
}

/* The parts of the options that only the view can check. 0, or -1 with the reason printed. */
static int take_view_options(struct live *p)
{
	char error[MESSAGE] = "";

	if (filter_compile(&p->top.filter, &p->o->filter, error, sizeof(error))) {
		log_msg(LOG_ERROR, "%s", error);
		return -1;
	}
	if (p->o->sort && !top_sort_by(&p->top, p->o->sort)) {
		log_msg(LOG_ERROR, "--sort=%s: it is age, pid, comm, op, file or queued",
			p->o->sort);
		return -1;
	}
	return 0;
}

static int run_feed(struct live *p)
{
	struct snapshot_opts snap = {
		.user_stacks = p->o->stacks & STACKS_USER,
		.image_read = p->o->image_read,
		.without = p->o->without,
	};
	struct scope scope;
	int err;

	if (scope_resolve(&scope, p->o->paths, p->o->nr_paths, &p->why))
		return -1;
	snap.scope = &scope;
	p->feed = feed_start(&snap, &p->why);
	err = p->feed ? run(p) : -1;
	feed_stop(p->feed);
	scope_free(&scope);
	return err;
}

/* The exit status; what went wrong has been printed. */
static int run_and_tell(const struct opts *o)
{
	static struct live p;
	int status = STATUS_OK;

	prepare(&p, o);
	if (take_view_options(&p)) {
		status = STATUS_ERROR;
	} else if (run_feed(&p)) {
		log_refusal(p.why.cause, p.why.consequence, p.why.command);
		status = p.why.status;
	}
	top_free(&p.top);
	canvas_free(&p.canvas);
	return status;
}

int main(int argc, char **argv)
{
	struct opts o;
	int status;

	std_occupy();
	signal(SIGPIPE, SIG_IGN);
	status = opts_parse(&o, DAXTOP, argc, argv);
	if (status == OPTS_RUN)
		status = run_and_tell(&o);
	return std_close(status);
}
