// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* What comes from the terminal: keys and signals. */
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "live/parts.h"
#include "view/top/dump.h"
#include "view/top/screen.h"

int live_open_signals(void)
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

void live_read_signal(struct live *p)
{
	struct signalfd_siginfo info;

	if (read(p->signals, &info, sizeof(info)) != sizeof(info))
		return;
	if (info.ssi_signo == SIGTSTP)
		stop_here(p);
	else if (info.ssi_signo == SIGCONT && !p->batch)
		go_on(p);
	else if (info.ssi_signo != SIGWINCH && info.ssi_signo != SIGCONT)
		p->quit = true;
}

void live_read_keys(struct live *p)
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

/* Keys come from the terminal even where standard input is something else. */
int live_open_screen(struct live *p)
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
