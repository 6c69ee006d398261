// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "collect/feed.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "util/bounded.h"
#include "util/fact_pack.h"

/* What the child sends: this, and len bytes of packed facts. */
struct answer_head {
	u64 len;
	struct refusal why;
};

/* Far above what a machine with a hundred thousand tasks in a queue would take. */
enum { ANSWER_MAX = 512 << 20, READ_STEP = 256 << 10 };

struct feed {
	pid_t pid;
	int fd;
	bool busy;
	struct strbuf in; /* the answer so far */
};

/* One look and its answer. 0, or -errno when nobody listens any more. */
static int answer(int fd, struct source *src, struct refusal *why, struct strbuf *facts)
{
	struct answer_head head = { .why = *why };
	int err;

	facts->len = 0;
	facts->failed = false;
	if (src && source_look(src, fact_pack, facts, &head.why))
		facts->len = 0;
	head.len = facts->len;
	err = bounded_write(fd, &head, sizeof(head));
	return err ? err : bounded_write(fd, facts->s, facts->len);
}

static void run_child(const struct snapshot_opts *opts, int fd, pid_t parent)
{
	struct refusal why = { .status = STATUS_OK };
	struct strbuf facts = { 0 };
	struct source *src;
	sigset_t none;
	char request;

	if (bounded_child(fd, parent))
		_exit(1);
	/* The terminal's signals are for the screen, the others as if it had been started anew. */
	signal(SIGINT, SIG_IGN);
	signal(SIGQUIT, SIG_IGN);
	signal(SIGTSTP, SIG_IGN);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	src = source_open(opts, &why);
	do {
		if (answer(3, src, &why, &facts))
			break;
	} while (src && read(3, &request, 1) == 1);
	source_close(src);
	_exit(0);
}

struct feed *feed_start(const struct snapshot_opts *opts, struct refusal *why)
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
	sb_reset(&f->in);
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
	*ret = (struct feed_answer){ .why = head.why,
				     .facts = f->in.s + sizeof(head),
				     .len = head.len };
	f->busy = false;
	return 1;
}

int feed_read(struct feed *f, struct feed_answer *ret)
{
	static char step[READ_STEP];
	ssize_t n = recv(f->fd, step, sizeof(step), MSG_DONTWAIT);

	if (n < 0)
		return errno == EAGAIN || errno == EINTR ? 0 : -errno;
	if (!n)
		return -EPIPE;
	sb_add(&f->in, step, n);
	return f->in.failed ? -ENOMEM : complete(f, ret);
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
