// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * What it costs to take references of pages and release them again.
 *
 * usage: gup WAY TURNS [FILE]
 * WAY is vmsplice (one page into a pipe and out of it), direct (a page written to /dev/ram0 with
 * O_DIRECT), direct16 (16 pages in one write) or process_vm (a page read by process_vm_readv(2)).
 * The pages are of FILE, or anonymous. Prints nanoseconds for a turn, the least of three rounds; in
 * a guest that counts instructions that is instructions.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#include "need.h"

#define PAGE  4096UL
#define SPAN  (64 * PAGE)
#define ROUND 3

static struct {
	char *pages;
	int pipe[2], sink, disk;
} g;

static unsigned long long now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000000000ULL + t.tv_nsec;
}

static int by_vmsplice(void)
{
	struct iovec from = { g.pages, PAGE };

	return vmsplice(g.pipe[1], &from, 1, 0) == (ssize_t)PAGE &&
	       splice(g.pipe[0], NULL, g.sink, NULL, PAGE, 0) == (ssize_t)PAGE;
}

static int by_direct(void)
{
	return pwrite(g.disk, g.pages, PAGE, 0) == (ssize_t)PAGE;
}

static int by_direct16(void)
{
	return pwrite(g.disk, g.pages, 16 * PAGE, 0) == (ssize_t)(16 * PAGE);
}

static int by_process_vm(void)
{
	static char byte;
	struct iovec to = { &byte, 1 }, from = { g.pages, 1 };

	return process_vm_readv(getpid(), &to, 1, &from, 1, 0) == 1;
}

static const struct {
	const char *name;
	int (*turn)(void);
} ways[] = {
	{ "vmsplice", by_vmsplice },
	{ "direct", by_direct },
	{ "direct16", by_direct16 },
	{ "process_vm", by_process_vm },
};

static unsigned long long round_of(int (*turn)(void), long turns)
{
	unsigned long long start = now();

	for (long i = 0; i < turns; i++)
		need(turn(), "a turn");
	return now() - start;
}

static void open_all(const char *path)
{
	int file = path ? open(path, O_RDWR) : -1;

	need(!path || file >= 0, path);
	g.pages = mmap(NULL, SPAN, PROT_READ | PROT_WRITE,
		       path ? MAP_SHARED : MAP_PRIVATE | MAP_ANONYMOUS, file, 0);
	need(g.pages != MAP_FAILED, "mmap");
	memset(g.pages, 1, SPAN);
	need(!pipe(g.pipe), "pipe");
	g.sink = open("/dev/null", O_WRONLY);
	g.disk = open("/dev/ram0", O_RDWR | O_DIRECT);
}

int main(int argc, char **argv)
{
	unsigned long long least = ~0ULL;
	long turns;

	if (argc < 3)
		return 2;
	turns = strtol(argv[2], NULL, 0);
	open_all(argv[3]);
	for (size_t i = 0; i < sizeof(ways) / sizeof(ways[0]); i++)
		for (int j = 0; j < ROUND && !strcmp(argv[1], ways[i].name); j++) {
			unsigned long long took = round_of(ways[i].turn, turns);

			least = took < least ? took : least;
		}
	need(least != ~0ULL, argv[1]);
	printf("%.1f\n", (double)least / turns);
	return 0;
}
