/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Wait-for graphs of any size, made from facts: tasks that wait for pages, which others keep in
 * pipes, and for locks, which others have. For unit tests and for the bench; a failure ends it.
 */
#ifndef DAXTOP_TESTS_TANGLE_H
#define DAXTOP_TESTS_TANGLE_H

#include <stdio.h>
#include <stdlib.h>

#include <daxtop/diagnose.h>

#define TANGLE_SECOND 1000000000ULL

static inline u64 tangle_id(u32 kind, u32 i)
{
	return 0xffff888000000000ULL + ((u64)kind << 36) + (u64)i * 0x2000;
}

#define TANGLE_PID(nr)   (1000 + (nr))
#define TANGLE_TASK(pid) tangle_id(1, pid)
#define TANGLE_FILE(i)   tangle_id(2, i)
#define TANGLE_PAGE(i)   tangle_id(3, i)
#define TANGLE_LOCK(i)   tangle_id(4, i)

static inline void tangle_add(struct wfg *g, struct fact f)
{
	if (wfg_add(g, &f))
		abort();
}

static inline void tangle_task(struct wfg *g, u32 pid, u32 threads, char state)
{
	struct fact f = { .type = FACT_TASK };

	f.task = (struct fact_task){
		.id = TANGLE_TASK(pid),
		.pid = TANGLE_PID(pid),
		.tid = TANGLE_PID(pid),
		.threads = threads,
		.asleep_ns = (100000 - pid % 100000) * (TANGLE_SECOND / 1000),
		.state = state,
		.syscall = -1,
		.call = state == 'D' ? "read(3, 0x7ffd10, 1)" : "ftruncate(4, 4096)",
		.signals.known = true,
	};
	snprintf(f.task.comm, sizeof(f.task.comm), "task%u", pid % 7);
	tangle_add(g, f);
}

static inline void tangle_file(struct wfg *g, u32 i)
{
	struct fact f = { .type = FACT_FILE };
	char path[64];

	snprintf(path, sizeof(path), "/pmem1/db/seg.%u", i);
	f.file = (struct fact_file){ .id = TANGLE_FILE(i),
				     .dev_major = 259,
				     .ino = 1000 + i,
				     .path = path,
				     .fstype = "xfs",
				     .device = "pmem0" };
	tangle_add(g, f);
}

/* The task truncates file i and waits for its page i. */
static inline void tangle_wait(struct wfg *g, u32 pid, u32 i)
{
	struct fact f = { .type = FACT_PAGE };

	tangle_file(g, i);
	f.page = (struct fact_page){ .id = TANGLE_PAGE(i),
				     .file = TANGLE_FILE(i),
				     .index = 5,
				     .refs = 2,
				     .idle_refs = 1,
				     .pincount = -1 };
	tangle_add(g, f);
	tangle_task(g, pid, 1, 'S');
	f = (struct fact){ .type = FACT_WAIT };
	f.wait = (struct fact_wait){ .task = TANGLE_TASK(pid),
				     .file = TANGLE_FILE(i),
				     .page = TANGLE_PAGE(i),
				     .op = OP_TRUNCATE,
				     .interruptible = true };
	tangle_add(g, f);
}

/* The page of file i is in a pipe that the task has open. */
static inline void tangle_hold(struct wfg *g, u32 pid, u32 i, enum fact_confidence confidence)
{
	struct fact_releaser rel = { .task = TANGLE_TASK(pid), .fd = 3, .reads = true };
	struct fact f = { .type = FACT_HOLD };
	char pipe[32];

	snprintf(pipe, sizeof(pipe), "pipe:[%u]", 7000 + pid);
	f.hold = (struct fact_hold){ .page = TANGLE_PAGE(i),
				     .how = HOW_VMSPLICE,
				     .confidence = confidence,
				     .refs = 1,
				     .object_kind = "pipe",
				     .object_id = pipe,
				     .held_ns = FACT_UNKNOWN,
				     .drain_bytes = 4096,
				     .pipe_user = UINT32_MAX,
				     .releasers = &rel,
				     .nr_releasers = 1 };
	tangle_add(g, f);
}

/* Lock i, of file i: the task has it, or had it last. */
static inline void tangle_lock(struct wfg *g, u32 pid, u32 i, enum fact_mode mode)
{
	struct fact_releaser rel = { .task = TANGLE_TASK(pid), .fd = -1 };
	struct fact f = { .type = FACT_LOCK };

	tangle_file(g, i);
	f.lock = (struct fact_lock){ .id = TANGLE_LOCK(i),
				     .name = mode == MODE_PIPE ? "full pipe" : "i_rwsem",
				     .of = mode == MODE_PIPE ? "pipe:[4712]" : NULL,
				     .file = mode == MODE_PIPE ? 0 : TANGLE_FILE(i),
				     .mode = mode,
				     .readers = mode == MODE_READ ? 2 : 0,
				     .owners = &rel,
				     .nr_owners = 1 };
	tangle_add(g, f);
}

/* A task of its own, single-threaded, in the queue of lock i. */
static inline void tangle_queue(struct wfg *g, u32 pid, u32 i)
{
	struct fact f = { .type = FACT_QUEUED };

	tangle_task(g, pid, 1, 'D');
	f.queued = (struct fact_queued){
		.task = TANGLE_TASK(pid), .lock = "i_rwsem", .on = TANGLE_LOCK(i), .shared = true
	};
	tangle_add(g, f);
}

/*
 * Ten trees: in each a truncate has an inode lock for which a tenth of the tasks queue, every fifth
 * of them with a lock of its own for which the next four queue. And a circle in a circle: a holder
 * in the first tree is behind it, and so is one that keeps the page of the second tree, whose
 * own holder waits in the first. Needs tasks > 100.
 */
static inline void tangle_forest(struct wfg *g, u32 tasks)
{
	enum { TREES = 10 };
	u32 pid = 100, each = (tasks - 3 * TREES) / TREES;

	for (u32 t = 0; t < TREES; t++) {
		tangle_wait(g, 10 + t, t);
		tangle_lock(g, 10 + t, t, MODE_WRITE);
		for (u32 i = 0; i < each; i++, pid++) {
			bool own = i % 5 == 0;

			tangle_queue(g, pid, own ? t : TREES + pid - i % 5);
			if (own)
				tangle_lock(g, pid, TREES + pid, MODE_WRITE);
		}
	}
	tangle_hold(g, 100, 0, CONF_EXACT); /* the first one in the first tree's queue */
	tangle_hold(g, 101, 1, CONF_EXACT); /* who is behind that one */
	tangle_hold(g, 100 + each, 0, CONF_EXACT);
	for (u32 t = 2; t < TREES; t++) {
		tangle_task(g, 50 + t, 1, 'S');
		tangle_hold(g, 50 + t, t, CONF_EXACT);
	}
}

/* Each truncates the file of which the next one keeps a page, the last one that of the first. */
static inline void tangle_circle(struct wfg *g, u32 tasks)
{
	for (u32 i = 0; i < tasks; i++)
		tangle_wait(g, 1 + i, i);
	for (u32 i = 0; i < tasks; i++)
		tangle_hold(g, 1 + (i + 1) % tasks, i, CONF_EXACT);
}

/* Two that wait for each other, and behind them one after the other: tasks waits in all. */
static inline void tangle_behind(struct wfg *g, u32 tasks)
{
	for (u32 i = 0; i < tasks; i++)
		tangle_wait(g, 1 + i, i);
	tangle_hold(g, 2, 0, CONF_EXACT);
	for (u32 i = 1; i < tasks; i++)
		tangle_hold(g, i, i, CONF_EXACT);
}

#endif
