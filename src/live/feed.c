// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "live/feed.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "util/bounded.h"
#include "util/fact_pack.h"

/* What the child sends: this, and len bytes of packed facts. */
struct answer_head {
	u64 len;
	bool end, last;
	struct refusal why;
	char trouble[FEED_TROUBLE];
};

/* Far above what a machine with a hundred thousand tasks in a queue would take. */
enum { ANSWER_MAX = 512 << 20, READ_STEP = 256 << 10, FINISH_MS = 2000 };

struct feed {
	pid_t pid;
	int fd;
	bool busy, finished;
	struct strbuf in; /* what has come and was not taken */
	size_t taken;     /* of it, by the last answer */
	char trouble[FEED_TROUBLE];
};

/* One look and its answer. 0, or -errno when nobody listens any more. */
static int answer(int fd, struct looks *l, struct refusal *why, struct strbuf *facts)
{
	struct answer_head head = { .why = *why };
	int got, err;

	facts->len = 0;
	facts->failed = false;
	got = l ? looks_next(l, facts, &head.why) : -1;
	head.end = !got;
	if (got <= 0)
		facts->len = 0;
	if (l)
		looks_trouble(l, head.trouble, sizeof(head.trouble));
	head.len = facts->len;
	err = bounded_write(fd, &head, sizeof(head));
	err = err ? err : bounded_write(fd, facts->s, facts->len);
	/* a recording is worth less than an answer that comes at once */
	if (got > 0)
		looks_keep(l, facts->s, facts->len);
	return err;
}

/* The last words, which nobody may listen to any more. */
static void say_goodbye(int fd, struct looks *l)
{
	struct answer_head head = { .last = true };

	looks_close(l, head.trouble, sizeof(head.trouble));
	bounded_write(fd, &head, sizeof(head));
}

/* What ends the program ends the child by closing the socket, when the recording is whole. */
static void ignore_signals(void)
{
	static const int ignored[] = { SIGINT, SIGQUIT, SIGTSTP, SIGTERM, SIGHUP, SIGPIPE };
	sigset_t none;

	for (size_t i = 0; i < sizeof(ignored) / sizeof(ignored[0]); i++)
		signal(ignored[i], SIG_IGN);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
}

static void run_child(const struct looks_opts *opts, int fd, pid_t parent)
{
	struct refusal why = { .status = STATUS_OK };
	struct strbuf facts = { 0 };
	struct looks *l;
	char request;

	if (bounded_child(fd, parent))
		_exit(1);
	ignore_signals();
	l = looks_open(opts, &why);
	do {
		if (answer(3, l, &why, &facts))
			break;
	} while (l && read(3, &request, 1) == 1);
	if (l)
		say_goodbye(3, l);
	_exit(0);
}

struct feed *feed_start(const struct looks_opts *opts, struct refusal *why)
{
	struct feed *f = calloc(1, sizeof(*f));
	pid_t parent = getpid();
	int fds[2];

	if (!f || socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds))
		goto failed;
	f->fd = fds[0];
	f->busy = true;
	f->pid = fork();
	if (!f->pid)
		run_child(opts, fds[1], parent);
	close(fds[1]);
	if (f->pid > 0)
		return f;
	close(fds[0]);
failed:
	refuse(why, STATUS_ERROR, "nothing was looked at", "", "cannot start the collector: %s",
	       strerror(errno));
	free(f);
	return NULL;
}

int feed_fd(const struct feed *f)
{
	return f->fd;
}

bool feed_is_busy(const struct feed *f)
{
	return f->busy;
}

int feed_ask(struct feed *f)
{
	if (f->busy)
		return 0;
	f->busy = true;
	return send(f->fd, "", 1, MSG_NOSIGNAL) == 1 ? 0 : -errno;
}

/* 1 when f->in is a whole answer. */
static int complete(struct feed *f, struct feed_answer *ret)
{
	struct answer_head head;

	if (f->in.len < sizeof(head))
		return 0;
	memcpy(&head, f->in.s, sizeof(head));
	if (head.len > ANSWER_MAX)
		return -EPROTO;
	if (f->in.len < sizeof(head) + head.len)
		return 0;
	memcpy(f->trouble, head.trouble, sizeof(f->trouble));
	f->trouble[FEED_TROUBLE - 1] = '\0';
	f->busy = false;
	f->taken = sizeof(head) + head.len;
	f->finished = head.last;
	*ret = (struct feed_answer){ .why = head.why,
				     .end = head.end,
				     .trouble = f->trouble,
				     .facts = f->in.s + sizeof(head),
				     .len = head.len };
	return head.last ? -EPIPE : 1;
}

/* The last answer is not valid any more. */
static void drop_taken(struct feed *f)
{
	if (!f->taken)
		return;
	memmove(f->in.s, f->in.s + f->taken, f->in.len - f->taken);
	f->in.len -= f->taken;
	f->taken = 0;
}

int feed_read(struct feed *f, struct feed_answer *ret)
{
	static char step[READ_STEP];
	ssize_t n;
	int got;

	drop_taken(f);
	got = complete(f, ret);
	if (got)
		return got;
	n = recv(f->fd, step, sizeof(step), MSG_DONTWAIT);
	if (n < 0)
		return errno == EAGAIN || errno == EINTR ? 0 : -errno;
	if (!n)
		return -EPIPE;
	sb_add(&f->in, step, n);
	return f->in.failed ? -ENOMEM : complete(f, ret);
}

int feed_finish(struct feed *f, char *trouble, size_t len)
{
	struct pollfd p = { .fd = f->fd, .events = POLLIN };
	struct feed_answer a;
	int got = 0;

	trouble[0] = '\0';
	shutdown(f->fd, SHUT_WR);
	while (!f->finished) {
		if (!got && poll(&p, 1, FINISH_MS) <= 0)
			return -ETIMEDOUT;
		got = feed_read(f, &a);
		if (got < 0 && !f->finished)
			return got;
	}
	snprintf(trouble, len, "%s", f->trouble);
	return 0;
}

void feed_stop(struct feed *f)
{
	if (!f)
		return;
	close(f->fd);
	bounded_reap(f->pid, !f->busy);
	sb_free(&f->in);
	free(f);
}
