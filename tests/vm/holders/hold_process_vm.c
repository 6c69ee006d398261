// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Holds pages of a DAX file that another process maps, by process_vm_readv(2) or
 * process_vm_writev(2) whose local buffer is a userfaultfd page that nobody serves.
 *
 * usage: hold_process_vm readv|writev|mem FILE INDEX PAGES
 * The pages are INDEX to INDEX + PAGES - 1, in one iovec. With mem it reads /proc/PID/mem instead,
 * which holds nothing. Says READY once the call waits for its own buffer, and names the process
 * that maps the file: it is innocent.
 */
#define _GNU_SOURCE
#include "common.h"

#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

struct call {
	const char *name;
	pid_t target;
	int mem;
	struct iovec local, remote;
	volatile pid_t tid;
};

/* A buffer whose first access waits for ever. */
static int unserved(struct iovec *buffer)
{
	struct uffdio_api api = { .api = UFFD_API };
	struct uffdio_register range = { .mode = UFFDIO_REGISTER_MODE_MISSING };
	int uffd = syscall(SYS_userfaultfd, O_CLOEXEC);

	need(uffd >= 0 && !ioctl(uffd, UFFDIO_API, &api), "userfaultfd");
	buffer->iov_base = mmap(NULL, buffer->iov_len, PROT_READ | PROT_WRITE,
				MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	need(buffer->iov_base != MAP_FAILED, "mmap");
	range.range.start = (unsigned long)buffer->iov_base;
	range.range.len = buffer->iov_len;
	need(!ioctl(uffd, UFFDIO_REGISTER, &range), "UFFDIO_REGISTER");
	return uffd;
}

static pid_t start_target(const char *path, struct iovec *remote, size_t index)
{
	struct dax_map map;
	int ready[2];
	pid_t pid;

	need(!pipe(ready), "pipe");
	pid = fork();
	need(pid >= 0, "fork");
	if (!pid) {
		need(!prctl(PR_SET_PDEATHSIG, SIGKILL), "prctl");
		map = map_dax(path);
		map.addr += index * PAGE;
		need(write(ready[1], &map.addr, sizeof(map.addr)) == sizeof(map.addr), "write");
		for (;;)
			pause();
	}
	need(read(ready[0], &remote->iov_base, sizeof(remote->iov_base)) > 0, "read");
	return pid;
}

static void *caller(void *arg)
{
	struct call *c = arg;

	c->tid = initial_tid();
	if (!strcmp(c->name, "writev"))
		process_vm_writev(c->target, &c->local, 1, &c->remote, 1, 0);
	else if (!strcmp(c->name, "readv"))
		process_vm_readv(c->target, &c->local, 1, &c->remote, 1, 0);
	else
		need(pread(c->mem, c->local.iov_base, c->local.iov_len, (off_t)c->remote.iov_base) >
			     0,
		     "pread");
	return NULL;
}

int main(int argc, char **argv)
{
	struct pollfd fault = { .events = POLLIN };
	struct call c = { .name = argv[1] };
	char path[64];
	pthread_t thread;
	size_t index;

	if (argc != 5)
		exit(2);
	index = strtoul(argv[3], NULL, 0);
	c.local.iov_len = c.remote.iov_len = strtoul(argv[4], NULL, 0) * PAGE;
	c.target = start_target(argv[2], &c.remote, index);
	snprintf(path, sizeof(path), "/proc/%d/mem", c.target);
	c.mem = open(path, O_RDONLY);
	need(c.mem >= 0, path);
	fault.fd = unserved(&c.local);
	need(!pthread_create(&thread, NULL, caller, &c), "pthread_create");
	need(poll(&fault, 1, -1) == 1, "poll");
	say("READY {\"how\": \"process_vm\", \"pid\": %d, \"tid\": %d, \"target\": %d}",
	    initial_pid(), c.tid, c.target);
	hear();
	return 0;
}
