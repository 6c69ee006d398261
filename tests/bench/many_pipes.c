// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * usage: many_pipes [TASKS [PIPES [SECONDS]]]
 *
 * Keeps TASKS processes (200) with PIPES pipes each (450, so 900 descriptors) until standard input
 * ends or SECONDS (60) have passed. Prints READY and the number of pipe descriptors.
 */
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

/* Has its pipes, says so by closing the descriptor, and sleeps. */
static void hold(int pipes, int seconds, int ready, pid_t parent)
{
	int fds[2];

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != parent)
		_exit(1);
	for (int i = 0; i < pipes; i++)
		if (pipe(fds))
			_exit(1);
	if (write(ready, "", 1) != 1)
		_exit(1);
	close(ready);
	sleep(seconds);
	_exit(0);
}

static int start(int tasks, int pipes, int seconds, int ready)
{
	pid_t parent = getpid();

	for (int i = 0; i < tasks; i++) {
		pid_t pid = fork();

		if (pid < 0)
			return -1;
		if (!pid)
			hold(pipes, seconds, ready, parent);
	}
	return 0;
}

/* How many tasks are ready, once no more will be. */
static int count_ready(int fd)
{
	char buf[256];
	ssize_t n;
	int tasks = 0;

	while ((n = read(fd, buf, sizeof(buf))) > 0)
		tasks += n;
	return tasks;
}

int main(int argc, char **argv)
{
	int tasks = argc > 1 ? atoi(argv[1]) : 200;
	int pipes = argc > 2 ? atoi(argv[2]) : 450;
	int seconds = argc > 3 ? atoi(argv[3]) : 60;
	struct rlimit limit = { 2 * pipes + 64, 2 * pipes + 64 };
	struct pollfd p = { .fd = 0, .events = POLLIN };
	int ready[2];

	if (setrlimit(RLIMIT_NOFILE, &limit) || pipe(ready)) {
		perror("many_pipes");
		return 1;
	}
	signal(SIGCHLD, SIG_IGN);
	if (start(tasks, pipes, seconds, ready[1])) {
		perror("many_pipes: fork");
		return 1;
	}
	close(ready[1]);
	if (count_ready(ready[0]) != tasks) {
		fputs("many_pipes: a task could not make its pipes\n", stderr);
		return 1;
	}
	printf("READY %d\n", 2 * tasks * pipes);
	fflush(stdout);
	poll(&p, 1, seconds * 1000);
	return 0;
}
