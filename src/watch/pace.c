// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "watch/pace.h"

#include <errno.h>
#include <signal.h>
#include <spawn.h>
#include <stddef.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "util/clock.h"

static sigset_t wanted, before;

void pace_block_signals(void)
{
	sigemptyset(&wanted);
	sigaddset(&wanted, SIGINT);
	sigaddset(&wanted, SIGTERM);
	sigaddset(&wanted, SIGHUP);
	sigaddset(&wanted, SIGCHLD);
	sigprocmask(SIG_BLOCK, &wanted, &before);
}

enum woken pace_until(u64 ns)
{
	for (;;) {
		u64 now = clock_now(), left = ns > now ? ns - now : 0;
		struct timespec t = { left / NSEC_PER_SEC, left % NSEC_PER_SEC };
		int sig = sigtimedwait(&wanted, NULL, &t);

		if (sig == SIGCHLD)
			return WOKEN_CHILD;
		if (sig > 0)
			return WOKEN_SIGNAL;
		if (errno == EAGAIN)
			return WOKEN_TIME;
	}
}

int pace_run(char *const *command, s32 *pid)
{
	posix_spawnattr_t attr;
	sigset_t ignored_here;
	pid_t child;
	int err;

	sigemptyset(&ignored_here);
	sigaddset(&ignored_here, SIGPIPE);
	err = posix_spawnattr_init(&attr);
	if (err)
		return -err;
	posix_spawnattr_setsigmask(&attr, &before);
	posix_spawnattr_setsigdefault(&attr, &ignored_here);
	posix_spawnattr_setflags(&attr, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
	err = posix_spawnp(&child, command[0], NULL, &attr, command, environ);
	posix_spawnattr_destroy(&attr);
	*pid = child;
	return -err;
}

bool pace_command_ended(s32 pid, int *status)
{
	int wstatus;

	if (waitpid(pid, &wstatus, WNOHANG) != pid)
		return false;
	*status = WIFEXITED(wstatus) ? WEXITSTATUS(wstatus) : 128 + WTERMSIG(wstatus);
	return true;
}
