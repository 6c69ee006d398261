// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Holds one page of a DAX file by a core dump into a pipe that nobody reads. The page is mapped
 * many times over, so it is the one that is being dumped wherever the pipe happens to be full.
 *
 * usage: hold_core FILE INDEX         says READY once the dump is stuck
 *        hold_core --handler          is what the kernel starts: reads nothing until it gets a
 *                                     SIGUSR1, ends with the dump
 */
#define _GNU_SOURCE
#include "common.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <unistd.h>

#define PATTERN "/proc/sys/kernel/core_pattern"

enum { TIMES = 64 }; /* pages, more than fit into a pipe */

static void read_file(const char *path, char *text, size_t size)
{
	int fd = open(path, O_RDONLY);
	ssize_t n;

	need(fd >= 0, path);
	n = read(fd, text, size - 1);
	need(n >= 0, path);
	text[n] = '\0';
	close(fd);
}

static void write_file(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY);

	need(fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text), path);
	close(fd);
}

static void wake(int signo)
{
	(void)signo;
}

static int handle(void)
{
	struct sigaction action = { .sa_handler = wake };
	struct pollfd dump = { .fd = STDIN_FILENO };
	char buffer[PAGE];

	need(!sigaction(SIGUSR1, &action, NULL), "sigaction");
	if (poll(&dump, 1, -1) == 1)
		return 0;
	while (read(STDIN_FILENO, buffer, sizeof(buffer)) > 0)
		;
	return 0;
}

static void die(const char *path, size_t index)
{
	int fd = open(path, O_RDWR);
	char *at = mmap(NULL, TIMES * PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	need(fd >= 0, path);
	need(at != MAP_FAILED, "mmap");
	for (int i = 0; i < TIMES; i++, at += PAGE) {
		need(mmap(at, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, fd,
			  index * PAGE) == at,
		     "mmap");
		*(volatile char *)at = 1;
	}
	write_file("/proc/self/coredump_filter", "0x100"); /* shared DAX mappings, nothing else */
	abort();
}

static void wait_until_stuck(pid_t pid)
{
	char path[64], stack[4096] = "";

	snprintf(path, sizeof(path), "/proc/%d/stack", pid);
	while (!strstr(stack, "dump_user_range") || !strstr(stack, "pipe_write")) {
		usleep(1000);
		read_file(path, stack, sizeof(stack));
	}
}

int main(int argc, char **argv)
{
	char self[128], before[256], pattern[256];
	ssize_t n;
	pid_t pid;

	if (argc == 2 && !strcmp(argv[1], "--handler"))
		return handle();
	if (argc != 3)
		exit(2);
	n = readlink("/proc/self/exe", self, sizeof(self) - 1);
	need(n > 0, "readlink");
	self[n] = '\0';
	snprintf(pattern, sizeof(pattern), "|%s --handler", self);
	read_file(PATTERN, before, sizeof(before));
	write_file(PATTERN, pattern);
	pid = fork();
	need(pid >= 0, "fork");
	if (!pid) {
		need(!prctl(PR_SET_PDEATHSIG, SIGKILL), "prctl");
		die(argv[1], strtoul(argv[2], NULL, 0));
	}
	wait_until_stuck(pid);
	write_file(PATTERN, before);
	say("READY {\"how\": \"coredump\", \"pid\": %d, \"tid\": %d}", pid, pid);
	hear();
	return 0;
}
