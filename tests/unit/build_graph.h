/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * A made-up hang: one waiter, one file, one page, on a kernel that is idle at 1. A test changes
 * what it is about, adds holds and other facts, and calls scene_diagnose(). Every failure ends the
 * test.
 */
#ifndef DAXTOP_TESTS_BUILD_GRAPH_H
#define DAXTOP_TESTS_BUILD_GRAPH_H

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <daxtop/diagnose.h>

#include "util/fact_pack.h"

#define SECOND     1000000000ULL
#define PAGE_ID    0xffffea0004001000ULL
#define FILE_ID    0xffff888100200000ULL
#define SIGBIT(nr) (1ULL << ((nr)-1))

struct scene {
	struct wfg *g;
	struct findings f;
	struct fact_session session;
	struct fact_task waiter;
	struct fact_file file;
	struct fact_page page;
	struct fact_wait wait;
};

static inline u64 task_id(u32 tid)
{
	return 0xffff888000000000ULL + (u64)tid * 0x2000;
}

static inline struct fact_task make_task(u32 pid, const char *comm)
{
	struct fact_task t = {
		.id = task_id(pid),
		.pid = pid,
		.tid = pid,
		.uid = 1000,
		.threads = 1,
		.start_ns = 100 * SECOND,
		.asleep_ns = 5 * SECOND,
		.state = 'S',
		.syscall = -1,
		.signals.known = true,
	};

	for (u32 i = 0; comm[i] && i < FACT_COMM_LEN; i++)
		t.comm[i] = comm[i];
	return t;
}

/* Where facts are packed, too, if it is set. */
static struct strbuf *scene_packed;

static inline void add_fact(struct wfg *g, struct fact fact)
{
	assert_int_equal(wfg_add(g, &fact), 0);
	if (scene_packed)
		assert_int_equal(fact_pack(scene_packed, &fact), 0);
}

#define ADD(graph, fact_type, member, value) \
	add_fact(graph, (struct fact){ .type = fact_type, .member = value })

static inline void scene_init(struct scene *s)
{
	memset(s, 0, sizeof(*s));
	s->g = wfg_new();
	assert_non_null(s->g);
	s->session = (struct fact_session){
		.host = "pmem-db7",
		.kernel = "6.1.0-56-amd64",
		.boot_id = "6f1c0a52-5d0e-4f0e-9a55-000000000001",
		.time_sec = 1772421171,
		.time_nsec = 315000000,
		.utc_offset = 3600,
		.mono_ns = 3554104 * SECOND,
		.snapshot = true,
		.dax_mounts = 2,
		.dax_devices = 1,
		.coherent_idle = true,
	};
	s->waiter = make_task(20911, "segtrim");
	s->waiter.uid = 26;
	s->waiter.asleep_ns = 854100000000ULL;
	s->waiter.syscall = 77;
	s->waiter.call = "ftruncate(17, 4096)";
	s->waiter.cgroup = "/system.slice/segtrim.service";
	s->file = (struct fact_file){
		.id = FILE_ID,
		.dev_major = 259,
		.dev_minor = 1,
		.ino = 8391,
		.size = 8388608,
		.path = "/pmem1/db/seg.0042",
		.fstype = "xfs",
		.mount = "/pmem1",
		.device = "pmem0",
	};
	s->page = (struct fact_page){
		.id = PAGE_ID,
		.file = FILE_ID,
		.index = 0x1a3,
		.refs = 2,
		.idle_refs = 1,
		.pincount = -1,
		.pfn = 0x140041,
	};
	s->wait = (struct fact_wait){
		.task = s->waiter.id,
		.file = FILE_ID,
		.page = PAGE_ID,
		.op = OP_TRUNCATE,
		.on = ON_PAGE,
		.interruptible = true,
	};
}

/* From Linux 6.15 on: idle at 0, page table entries count. */
static inline void scene_zero_based(struct scene *s, s64 refs, s64 mapcount)
{
	s->session.kernel = "7.2.13-amd64";
	s->page.refs = refs;
	s->page.idle_refs = 0;
	s->page.mapcount = mapcount;
}

/* An eviction that no signal ends. */
static inline void scene_evict(struct scene *s, enum fact_trigger trigger)
{
	scene_zero_based(s, 1, 0);
	s->wait.op = OP_EVICT;
	s->wait.trigger = trigger;
	s->wait.interruptible = false;
	s->waiter.state = 'D';
	s->waiter.call = "close(3)";
	s->file.deleted = true;
}

/* The page belongs to no file any more. */
static inline void scene_orphan(struct scene *s)
{
	s->page.file = 0;
	s->page.index = FACT_UNKNOWN;
	s->page.orphan = true;
	s->page.device = "pmem0";
	s->page.device_offset = 0x41000;
}

static inline void scene_task(struct scene *s, struct fact_task t)
{
	ADD(s->g, FACT_TASK, task, t);
}

/* A hold of the scene's page with the given releasers. */
static inline void scene_hold(struct scene *s, struct fact_hold h, const struct fact_releaser *rel,
			      u32 nr)
{
	h.page = h.page ? h.page : PAGE_ID;
	h.releasers = rel;
	h.nr_releasers = nr;
	ADD(s->g, FACT_HOLD, hold, h);
}

static inline struct fact_hold make_pipe(const char *id)
{
	return (struct fact_hold){
		.how = HOW_VMSPLICE,
		.confidence = CONF_EXACT,
		.refs = 1,
		.object_kind = "pipe",
		.object_id = id,
		.held_ns = FACT_UNKNOWN,
		.drain_bytes = 4096,
		.pipe_user = 1000,
	};
}

static inline struct fact_hold make_hold(enum fact_how how, enum fact_confidence confidence)
{
	return (struct fact_hold){
		.how = how,
		.confidence = confidence,
		.refs = 1,
		.held_ns = FACT_UNKNOWN,
	};
}

/* A pipe with both ends open in one task. */
static inline void scene_pipe(struct scene *s, const char *id, u32 tid, s32 fd)
{
	struct fact_releaser rel = { .task = task_id(tid), .fd = fd, .reads = fd >= 0 };

	scene_hold(s, make_pipe(id), &rel, 1);
}

static inline void scene_queued(struct scene *s, u32 pid, const char *comm, u64 asleep_ns)
{
	struct fact_queued q = { .wait = s->waiter.id, .task = task_id(pid), .lock = "i_rwsem" };
	struct fact_task t = make_task(pid, comm);

	t.state = 'D';
	t.asleep_ns = asleep_ns;
	scene_task(s, t);
	ADD(s->g, FACT_QUEUED, queued, q);
}

static inline void scene_link(struct scene *s)
{
	/* The wait before what it refers to: facts may come in any order. */
	ADD(s->g, FACT_WAIT, wait, s->wait);
	ADD(s->g, FACT_PAGE, page, s->page);
	ADD(s->g, FACT_FILE, file, s->file);
	ADD(s->g, FACT_TASK, task, s->waiter);
	ADD(s->g, FACT_SESSION, session, s->session);
	assert_int_equal(wfg_link(s->g), 0);
}

static inline const struct finding *scene_diagnose(struct scene *s)
{
	scene_link(s);
	assert_int_equal(diagnose(s->g, &s->f), 0);
	assert_int_equal(s->f.n, 1);
	return &s->f.f[0];
}

static inline void scene_free(struct scene *s)
{
	findings_free(&s->f);
	wfg_free(s->g);
}

/* cmocka fixtures: *state is a new scene. */
static inline int scene_setup(void **state)
{
	static struct scene s;

	scene_init(&s);
	*state = &s;
	return 0;
}

static inline int scene_teardown(void **state)
{
	scene_free(*state);
	return 0;
}

#endif
