// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * usage: measure RUNS COMMAND [ARG...]
 *
 * Runs the command RUNS times with its output thrown away and prints one line: the median and the
 * smallest time from start to exit in microseconds, the largest resident set in KiB, whether
 * /proc/kallsyms was opened (0 or 1), the most bytes that a run read with read(), and the least
 * processor time of a run and its children in microseconds.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

struct sample {
	long long us, rss_kib, read_bytes, cpu_us;
};

static long long now_us(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000000LL + ts.tv_nsec / 1000;
}

static void run_command(char **argv)
{
	int null = open("/dev/null", O_RDWR);

	if (null < 0 || dup2(null, 0) < 0 || dup2(null, 1) < 0)
		_exit(127);
	execvp(argv[0], argv);
	fprintf(stderr, "measure: %s: %s\n", argv[0], strerror(errno));
	_exit(127);
}

/* Of a process that has ended and was not waited for; 0 where the kernel does not count. */
static long long bytes_read(pid_t pid)
{
	char path[64];
	long long n = 0;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/io", (int)pid);
	f = fopen(path, "re");
	if (!f)
		return 0;
	if (fscanf(f, "rchar: %lld", &n) != 1)
		n = 0;
	fclose(f);
	return n;
}

static int sample_command(char **argv, struct sample *s)
{
	long long start = now_us();
	struct rusage usage;
	siginfo_t info;
	int status;
	pid_t pid = fork();

	if (!pid)
		run_command(argv);
	if (pid < 0 || waitid(P_PID, pid, &info, WEXITED | WNOWAIT))
		return -1;
	s->us = now_us() - start;
	s->read_bytes = bytes_read(pid);
	if (wait4(pid, &status, 0, &usage) != pid)
		return -1;
	s->rss_kib = usage.ru_maxrss;
	s->cpu_us = (usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * 1000000LL +
		    usage.ru_utime.tv_usec + usage.ru_stime.tv_usec;
	if (WIFEXITED(status) && !WEXITSTATUS(status))
		return 0;
	fprintf(stderr, "measure: %s failed\n", argv[0]);
	return -1;
}

static int by_time(const void *a, const void *b)
{
	const struct sample *x = a, *y = b;

	return (x->us > y->us) - (x->us < y->us);
}

static int was_opened(int watch)
{
	char buf[4096];

	return read(watch, buf, sizeof(buf)) > 0;
}

static void print(struct sample *s, int n, int opened)
{
	long long rss = 0, bytes = 0, cpu = s[0].cpu_us;

	for (int i = 0; i < n; i++) {
		if (s[i].rss_kib > rss)
			rss = s[i].rss_kib;
		if (s[i].read_bytes > bytes)
			bytes = s[i].read_bytes;
		if (s[i].cpu_us < cpu)
			cpu = s[i].cpu_us;
	}
	qsort(s, n, sizeof(*s), by_time);
	printf("%lld %lld %lld %d %lld %lld\n", s[n / 2].us, s[0].us, rss, opened, bytes, cpu);
}

int main(int argc, char **argv)
{
	int runs = argc > 2 ? atoi(argv[1]) : 0;
	int watch = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
	struct sample *s = calloc(runs > 0 ? runs : 1, sizeof(*s));

	if (runs < 1 || watch < 0 || !s) {
		fputs("usage: measure RUNS COMMAND [ARG...]\n", stderr);
		return 1;
	}
	inotify_add_watch(watch, "/proc/kallsyms", IN_OPEN);
	for (int i = 0; i < runs; i++)
		if (sample_command(argv + 2, &s[i]))
			return 1;
	print(s, runs, was_opened(watch));
	free(s);
	return 0;
}
