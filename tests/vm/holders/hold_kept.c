// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Holds one page of a DAX file in a pipe that is kept in an unusual way, or unusually often.
 *
 * usage: hold_kept WAY FILE INDEX [TIMES]
 * TIMES is how many references of the page the pipe gets (1). WAY is
 *   uring     both ends are registered with an io_uring and closed
 *   ring      the io_uring, too: its only reference is its registration with the task
 *   mapped    the same, but its only reference is its mapping
 *   request   all descriptors are closed; a request in an io_uring keeps the pipe
 *   thread    the thread group's leader has exited, another thread lives on
 *   files     only a thread with a descriptor table of its own has the pipe
 *   exec      the process has called execve(2) since
 *   fifo      the pipe has a name, beside the file
 *   stopped   the process is stopped
 *   traced    the process is stopped by the one that traces it
 *   userns    the process is in user, pid and mount namespaces of its own
 *   plain     nothing unusual
 *   chain     the page went through two more pipes, of which the second got a duplicate
 */
#define _GNU_SOURCE
#include "common.h"

#include <fcntl.h>
#include <linux/io_uring.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#ifndef IORING_REGISTER_RING_FDS
#define IORING_REGISTER_RING_FDS 20
#endif

enum { IOV_BATCH = 512 };

static struct {
	int ends[2];
	unsigned long more; /* inode of a second pipe with the page; 0 none */
	const char *name;   /* of the pipe, when it has one */
	size_t times;
} held = { .times = 1 };

static void report(void)
{
	char object[512], more[64] = "";

	if (held.name)
		snprintf(object, sizeof(object), "%s", held.name);
	else
		snprintf(object, sizeof(object), "pipe:[%lu]", inode_of(held.ends[0]));
	if (held.more)
		snprintf(more, sizeof(more), ", \"more\": \"pipe:[%lu]\"", held.more);
	say("READY {\"how\": \"vmsplice\", \"pid\": %d, \"tid\": %d, \"refs\": %zu, "
	    "\"object\": \"%s\"%s}",
	    initial_pid(), initial_tid(), held.times, object, more);
}

static void fill_pipe(char *page)
{
	struct iovec vec[IOV_BATCH];
	size_t left = held.times;

	need(fcntl(held.ends[1], F_SETPIPE_SZ, held.times * PAGE) >= 0, "F_SETPIPE_SZ");
	for (size_t i = 0; i < IOV_BATCH; i++)
		vec[i] = (struct iovec){ page, PAGE };
	while (left) {
		size_t n = left < IOV_BATCH ? left : IOV_BATCH;
		ssize_t done = vmsplice(held.ends[1], vec, n, 0);

		need(done > 0, "vmsplice");
		left -= (size_t)done / PAGE;
	}
}

static void close_ends(void)
{
	close(held.ends[0]);
	close(held.ends[1]);
}

static int ring_make(struct io_uring_params *params)
{
	int ring = (int)syscall(SYS_io_uring_setup, 4, params);

	need(ring >= 0, "io_uring_setup");
	return ring;
}

static int keep_in_uring(void)
{
	struct io_uring_params params = {};
	int ring = ring_make(&params);

	need(!syscall(SYS_io_uring_register, ring, IORING_REGISTER_FILES, held.ends, 2),
	     "IORING_REGISTER_FILES");
	report();
	close_ends();
	return ring;
}

static void keep_in_ring(void)
{
	int ring = keep_in_uring();
	/* struct io_uring_rsrc_update: offset (-1 any), reserved, data */
	struct {
		unsigned int offset, reserved;
		unsigned long long data;
	} update = { .offset = -1U, .data = (unsigned int)ring };

	need(syscall(SYS_io_uring_register, ring, IORING_REGISTER_RING_FDS, &update, 1) == 1,
	     "IORING_REGISTER_RING_FDS");
	close(ring);
}

static void *map_ring(int ring, size_t size, off_t offset)
{
	void *at = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, ring, offset);

	need(at != MAP_FAILED, "mmap of the ring");
	return at;
}

static void keep_in_mapped_ring(void)
{
	int ring = keep_in_uring();

	map_ring(ring, PAGE, IORING_OFF_SQ_RING);
	close(ring);
}

/* A poll for what a pipe never has; it keeps one file for both ends, so neither is missing. */
static void keep_in_request(void)
{
	struct io_uring_params p = {};
	int ring = ring_make(&p), both;
	char name[32];
	char *sq = map_ring(ring, p.sq_off.array + p.sq_entries * sizeof(__u32),
			    IORING_OFF_SQ_RING);
	struct io_uring_sqe *sqe = map_ring(ring, p.sq_entries * sizeof(*sqe), IORING_OFF_SQES);

	snprintf(name, sizeof(name), "/proc/self/fd/%d", held.ends[0]);
	both = open(name, O_RDWR);
	need(both >= 0, name);
	*sqe = (struct io_uring_sqe){
		.opcode = IORING_OP_POLL_ADD,
		.fd = both,
		.poll_events = POLLPRI,
	};
	*(__u32 *)(sq + p.sq_off.array) = 0;
	__atomic_store_n((__u32 *)(sq + p.sq_off.tail), 1, __ATOMIC_RELEASE);
	need(syscall(SYS_io_uring_enter, ring, 1, 0, 0, NULL, 0) == 1, "io_uring_enter");
	report();
	close_ends();
	close(both);
}

static void wait_until_zombie(pid_t tid)
{
	while (task_state(tid) != 'Z')
		usleep(1000);
}

static void *outlive_leader(void *arg)
{
	(void)arg;
	wait_until_zombie(getpid());
	report();
	hear();
	_exit(0);
}

static void *keep_own_files(void *arg)
{
	need(!unshare(CLONE_FILES), "unshare");
	need(!pthread_barrier_wait(arg) || true, "barrier");
	pause();
	return NULL;
}

static void keep_in_thread(bool own_files)
{
	static pthread_barrier_t unshared;
	pthread_t thread;

	pthread_barrier_init(&unshared, NULL, 2);
	need(!pthread_create(&thread, NULL, own_files ? keep_own_files : outlive_leader, &unshared),
	     "pthread_create");
	if (!own_files)
		pthread_exit(NULL);
	pthread_barrier_wait(&unshared);
	report();
	close_ends();
}

/* The new program reports; it has the pipe as the same descriptors. */
static void keep_by_exec(char *self)
{
	char read_end[16], write_end[16];
	char *argv[] = { "hold_execed", read_end, write_end, NULL };

	snprintf(read_end, sizeof(read_end), "%d", held.ends[0]);
	snprintf(write_end, sizeof(write_end), "%d", held.ends[1]);
	execv(self, argv);
	need(false, "execve");
}

/* Returns in the first process of the namespaces. */
static void enter_namespaces(void)
{
	pid_t child;

	need(!unshare(CLONE_NEWUSER | CLONE_NEWPID | CLONE_NEWNS), "unshare");
	child = fork();
	need(child >= 0, "fork");
	if (!child)
		return;
	waitpid(child, NULL, 0);
	_exit(0);
}

/* Returns in a child that the parent traces, and leaves stopped. */
static void become_traced(void)
{
	pid_t child = fork();
	int status = 0;

	need(child >= 0, "fork");
	if (!child) {
		need(!ptrace(PTRACE_TRACEME, 0, NULL, NULL), "ptrace");
		return;
	}
	while (waitpid(child, &status, 0) == child && WIFSTOPPED(status))
		;
	_exit(0);
}

static void pass_through_chain(void)
{
	int second[2], third[2];
	ssize_t size = (ssize_t)(held.times * PAGE);

	need(!pipe(second) && !pipe(third), "pipe");
	need(fcntl(second[1], F_SETPIPE_SZ, size) >= 0 && fcntl(third[1], F_SETPIPE_SZ, size) >= 0,
	     "F_SETPIPE_SZ");
	need(splice(held.ends[0], NULL, second[1], NULL, (size_t)size, 0) == size, "splice");
	need(tee(second[0], third[1], (size_t)size, 0) == size, "tee");
	memcpy(held.ends, second, sizeof(second));
	held.more = inode_of(third[0]);
}

/* Beside the file: the path of a FIFO is found like that of any file. */
static void make_fifo(const char *path)
{
	static char name[256];

	snprintf(name, sizeof(name), "%s.fifo", path);
	need(!mkfifo(name, 0600), "mkfifo");
	held.name = name;
	held.ends[0] = open(name, O_RDWR);
	held.ends[1] = open(name, O_WRONLY);
	need(held.ends[0] >= 0 && held.ends[1] >= 0, name);
}

static void keep(const char *way, char *self)
{
	bool own_files = !strcmp(way, "files");

	if (!strcmp(way, "uring")) {
		keep_in_uring();
	} else if (!strcmp(way, "ring")) {
		keep_in_ring();
	} else if (!strcmp(way, "mapped")) {
		keep_in_mapped_ring();
	} else if (!strcmp(way, "request")) {
		keep_in_request();
	} else if (!strcmp(way, "thread") || own_files) {
		keep_in_thread(own_files);
	} else if (!strcmp(way, "exec")) {
		keep_by_exec(self);
	} else {
		if (!strcmp(way, "chain"))
			pass_through_chain();
		report();
	}
	if (!strcmp(way, "stopped") || !strcmp(way, "traced"))
		raise(SIGSTOP);
}

/* What execve(2) made of it: the ends, and nothing else of what it was. */
static int run_execed(char **argv)
{
	held.ends[0] = atoi(argv[1]);
	held.ends[1] = atoi(argv[2]);
	report();
	hear();
	return 0;
}

int main(int argc, char **argv)
{
	struct dax_map map;
	const char *way;

	if (argc == 3)
		return run_execed(argv);
	if (argc < 4)
		exit(2);
	way = argv[1];
	held.times = argc > 4 ? strtoul(argv[4], NULL, 0) : 1;
	if (!strcmp(way, "userns"))
		enter_namespaces();
	if (!strcmp(way, "traced"))
		become_traced();
	if (!strcmp(way, "fifo"))
		make_fifo(argv[2]);
	else
		need(!pipe(held.ends), "pipe");
	map = map_dax(argv[2]);
	fill_pipe(map.addr + strtoul(argv[3], NULL, 0) * PAGE);
	unmap(&map);
	close(map.fd);
	keep(way, argv[0]);
	hear();
	return 0;
}
