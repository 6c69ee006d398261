// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#define _GNU_SOURCE
#include "common.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

void need(bool ok, const char *step)
{
	if (ok)
		return;
	fprintf(stderr, "%s: %s: %s\n", program_invocation_short_name, step, strerror(errno));
	_exit(1);
}

void say(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vprintf(format, args);
	va_end(args);
	putchar('\n');
	fflush(stdout);
}

const char *hear(void)
{
	static char line[256];

	if (!fgets(line, sizeof(line), stdin))
		return NULL;
	line[strcspn(line, "\n")] = '\0';
	return line;
}

static pid_t last_number(const char *link)
{
	char target[64] = "";
	const char *slash;

	need(readlink(link, target, sizeof(target) - 1) > 0, link);
	slash = strrchr(target, '/');
	return atoi(slash ? slash + 1 : target);
}

pid_t initial_pid(void)
{
	return last_number("/proc/self");
}

pid_t initial_tid(void)
{
	return last_number("/proc/thread-self");
}

unsigned long inode_of(int fd)
{
	struct stat st;

	need(!fstat(fd, &st), "fstat");
	return st.st_ino;
}

void touch(const struct dax_map *map, size_t index)
{
	volatile char *byte = map->addr + index * PAGE;

	*byte = (char)(*byte + 1);
}

static long minor_faults(void)
{
	struct rusage usage;

	need(!getrusage(RUSAGE_SELF, &usage), "getrusage");
	return usage.ru_minflt;
}

static struct dax_map map_file(const char *path, int protection, int flags)
{
	struct dax_map map = {};
	struct stat st;

	map.fd = open(path, O_RDWR);
	need(map.fd >= 0, path);
	need(!fstat(map.fd, &st), "fstat");
	map.size = (size_t)st.st_size;
	map.addr = mmap(NULL, map.size, protection, flags, map.fd, 0);
	need(map.addr != MAP_FAILED, "mmap");
	return map;
}

struct dax_map map_dax_untouched(const char *path)
{
	return map_file(path, PROT_READ | PROT_WRITE, MAP_SHARED);
}

struct dax_map map_dax_synced(const char *path)
{
	return map_file(path, PROT_READ | PROT_WRITE, MAP_SHARED_VALIDATE | MAP_SYNC);
}

struct dax_map map_dax(const char *path)
{
	struct dax_map map = map_dax_untouched(path);
	size_t i;

	map.faults = minor_faults();
	for (i = 0; i < map.size / PAGE; i++)
		touch(&map, i);
	map.faults = minor_faults() - map.faults;
	return map;
}

struct dax_map map_dax_readonly(const char *path)
{
	struct dax_map map = map_file(path, PROT_READ, MAP_SHARED);
	size_t i;

	map.faults = minor_faults();
	for (i = 0; i < map.size / PAGE; i++)
		(void)*(volatile char *)(map.addr + i * PAGE);
	map.faults = minor_faults() - map.faults;
	return map;
}

void unmap(struct dax_map *map)
{
	need(!munmap(map->addr, map->size), "munmap");
	map->addr = NULL;
}

char task_state(pid_t tid)
{
	char path[64], line[256] = "";
	const char *state;
	FILE *file;

	snprintf(path, sizeof(path), "/proc/self/task/%d/stat", tid);
	file = fopen(path, "r");
	if (!file)
		return '?';
	state = fgets(line, sizeof(line), file) ? strrchr(line, ')') : NULL;
	fclose(file);
	return state ? state[2] : '?';
}
