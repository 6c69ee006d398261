// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * usage: frame
 *
 * What a frame of daxtop with 1,000 rows costs. Prints the median time to draw one of 200x60 and
 * the median time to take in a look, in microseconds.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "median.h"
#include "util/clock.h"
#include "util/fact_pack.h"
#include "view/top/top.h"

enum { WAITS = 500, RUNS = 101 };

static void add(struct strbuf *facts, struct fact f)
{
	if (fact_pack(facts, &f))
		exit(1);
}

static u64 add_task(struct strbuf *facts, u32 pid, const char *comm)
{
	struct fact f = { .type = FACT_TASK };

	f.task = (struct fact_task){
		.id = 0xffff888000000000ULL + pid * 0x2000ULL,
		.pid = pid,
		.tid = pid,
		.asleep_ns = pid * 1000000ULL,
		.state = 'S',
		.syscall = -1,
		.call = "fallocate(3, 3, 1716224, 4096)",
		.signals.known = true,
	};
	snprintf(f.task.comm, sizeof(f.task.comm), "%s", comm);
	add(facts, f);
	return f.task.id;
}

/* A wait and one holder: two rows. */
static void add_wait(struct strbuf *facts, u32 i)
{
	struct fact_releaser rel = { .fd = 3, .reads = true };
	struct fact f = { .type = FACT_PAGE };
	u64 page = 0xffffea0000000000ULL + i * 64, waiter;
	char pipe[32];

	f.page = (struct fact_page){
		.id = page, .file = 1, .index = i, .refs = 2, .idle_refs = 1, .pincount = -1
	};
	add(facts, f);
	waiter = add_task(facts, 10000 + 2 * i, "segtrim");
	rel.task = add_task(facts, 10001 + 2 * i, "feeder");
	f = (struct fact){ .type = FACT_WAIT };
	f.wait = (struct fact_wait){
		.task = waiter, .file = 1, .page = page, .op = OP_PUNCH_HOLE, .interruptible = true
	};
	add(facts, f);
	snprintf(pipe, sizeof(pipe), "pipe:[%u]", i);
	f = (struct fact){ .type = FACT_HOLD };
	f.hold = (struct fact_hold){
		.page = page,
		.how = HOW_VMSPLICE,
		.confidence = CONF_EXACT,
		.refs = 1,
		.object_kind = "pipe",
		.object_id = pipe,
		.held_ns = FACT_UNKNOWN,
		.releasers = &rel,
		.nr_releasers = 1,
	};
	add(facts, f);
}

int main(void)
{
	static u64 draw[RUNS], take[RUNS];
	struct fact file = { .type = FACT_FILE };
	struct strbuf facts = { 0 };
	struct canvas c = { 0 };
	static struct top t;

	file.file = (struct fact_file){ .id = 1, .path = "/pmem1/db/seg.0042", .fstype = "xfs" };
	add(&facts, file);
	for (u32 i = 0; i < WAITS; i++)
		add_wait(&facts, i);
	top_init(&t);
	if (canvas_resize(&c, 200, 60))
		return 1;
	for (int i = 0; i < RUNS; i++) {
		u64 start = clock_now(), taken;

		if (top_take(&t, facts.s, facts.len))
			return 1;
		taken = clock_now();
		top_draw(&t, &c);
		take[i] = taken - start;
		draw[i] = clock_now() - taken;
	}
	printf("%llu %llu\n", (unsigned long long)median_us(draw, RUNS),
	       (unsigned long long)median_us(take, RUNS));
	top_free(&t);
	canvas_free(&c);
	sb_free(&facts);
	return 0;
}
