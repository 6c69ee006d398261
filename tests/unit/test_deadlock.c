// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Who is stuck behind whom, and who waits for each other in a circle. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <daxtop/view.h>

#include "golden.h"
#include "tangle.h"

struct tangle {
	struct wfg *g;
	struct findings f;
};

static int setup(void **state)
{
	static struct tangle t;

	t = (struct tangle){ .g = wfg_new() };
	*state = &t;
	return t.g ? 0 : -1;
}

static int teardown(void **state)
{
	struct tangle *t = *state;

	findings_free(&t->f);
	wfg_free(t->g);
	return 0;
}

static void explain(struct tangle *t)
{
	assert_int_equal(wfg_link(t->g), 0);
	assert_int_equal(wfg_losses(t->g, LOSS_LOST), 0);
	assert_int_equal(diagnose(t->g, &t->f), 0);
}

/* The finding on the wait of a task. */
static const struct finding *finding_of(const struct tangle *t, u32 pid)
{
	for (size_t i = 0; i < t->f.n; i++)
		if (t->f.f[i].wait->task->t.pid == TANGLE_PID(pid))
			return &t->f.f[i];
	fail_msg("task %u does not wait", pid);
	return NULL;
}

/* The tasks of its circle, from the waiter on, up to 0. */
static void assert_cycle(const struct finding *f, const u32 *pids)
{
	u32 n = 0;

	for (; pids[n]; n++) {
		assert_true(n < f->cycle.n);
		assert_int_equal(f->cycle.steps[n].task->t.pid, TANGLE_PID(pids[n]));
	}
	assert_int_equal(f->cycle.n, n);
}

static void assert_code(const struct finding *f, enum finding_code code)
{
	assert_string_equal(finding_code_name(f->code), finding_code_name(code));
	assert_int_equal(f->cycle.n > 0,
			 code == FINDING_DEADLOCK || code == FINDING_SUSPECTED_DEADLOCK);
}

static bool advises(const struct finding *f, const char *action)
{
	for (u32 i = 0; i < f->nr_advice; i++)
		if (!strcmp(f->advice[i].action, action))
			return true;
	return false;
}

static bool says(const struct sentences *list, const char *text)
{
	for (u32 i = 0; i < list->n; i++)
		if (strstr(list->s[i], text))
			return true;
	return false;
}

static char *report(struct tangle *t)
{
	const struct view_opts opts = { .stacks = STACKS_NONE };
	char *text = NULL;
	size_t len;
	FILE *out = open_memstream(&text, &len);

	assert_int_equal(view_report(out, t->g, &t->f, &opts), 0);
	assert_int_equal(fclose(out), 0);
	return text;
}

static void assert_report(struct tangle *t, const char *name)
{
	char *text = report(t);

	assert_golden("golden", name, text);
	free(text);
}

/* 1 truncates and has the lock; 2 keeps the page and reads. */
static void holder_behind(struct tangle *t, u32 threads, enum fact_mode mode,
			  enum fact_confidence confidence)
{
	tangle_wait(t->g, 1, 0);
	tangle_lock(t->g, 1, 0, mode);
	tangle_queue(t->g, 2, 0);
	tangle_task(t->g, 2, threads, 'D');
	tangle_hold(t->g, 2, 0, confidence);
	explain(t);
}

static void a_holder_that_reads_the_file(void **state)
{
	struct tangle *t = *state;
	const struct finding *f;

	holder_behind(t, 1, MODE_WRITE, CONF_EXACT);
	f = finding_of(t, 1);
	assert_code(f, FINDING_DEADLOCK);
	assert_cycle(f, (u32[]){ 1, 2, 0 });
	assert_true(advises(f, "kill -INT 1001"));
	assert_true(advises(f, "dd if=/proc/1002/fd/3 of=/dev/null bs=4096 count=1"));
	assert_int_equal(findings_exit_status(t->g, &t->f), 12);
	assert_report(t, "deadlock");
}

static void another_thread_may_drain(void **state)
{
	struct tangle *t = *state;
	const struct finding *f;

	holder_behind(t, 2, MODE_WRITE, CONF_EXACT);
	f = finding_of(t, 1);
	assert_code(f, FINDING_SUSPECTED_DEADLOCK);
	assert_cycle(f, (u32[]){ 1, 2, 0 });
	assert_false(f->cycle.steps[0].proven);
	assert_true(f->cycle.steps[1].proven);
	assert_true(says(&f->cause, "has 2 threads"));
	assert_int_equal(findings_exit_status(t->g, &t->f), 10);
	assert_report(t, "suspected_deadlock");
}

static void an_unknown_number_of_threads_proves_nothing(void **state)
{
	struct tangle *t = *state;

	holder_behind(t, 0, MODE_WRITE, CONF_EXACT);
	assert_code(finding_of(t, 1), FINDING_SUSPECTED_DEADLOCK);
}

static void a_likely_hold_proves_nothing(void **state)
{
	struct tangle *t = *state;

	holder_behind(t, 1, MODE_WRITE, CONF_LIKELY);
	assert_code(finding_of(t, 1), FINDING_SUSPECTED_DEADLOCK);
	assert_int_equal(findings_exit_status(t->g, &t->f), 11);
}

static void a_candidate_is_not_even_suspected(void **state)
{
	struct tangle *t = *state;

	holder_behind(t, 1, MODE_WRITE, CONF_CANDIDATE);
	assert_code(finding_of(t, 1), FINDING_BLOCKED);
}

/* A circle of a wait and a reader, of a lock that others have shared. */
static void reader_of_shared_lock(struct tangle *t, struct fact_queued q, const struct fact_lock *l)
{
	struct fact f = { .type = FACT_LOCK, .lock = *l };

	tangle_wait(t->g, 1, 0);
	tangle_hold(t->g, 2, 0, CONF_EXACT);
	tangle_task(t->g, 2, 1, 'D');
	tangle_task(t->g, 3, 1, 'D');
	tangle_add(t->g, f);
	f = (struct fact){ .type = FACT_QUEUED, .queued = q };
	tangle_add(t->g, f);
	explain(t);
}

static void a_reader_behind_a_writer(void **state)
{
	struct tangle *t = *state;
	struct fact_releaser last = { .task = TANGLE_TASK(3), .fd = -1 };

	reader_of_shared_lock(t,
			      (struct fact_queued){ .task = TANGLE_TASK(2),
						    .on = TANGLE_LOCK(0),
						    .lock = "invalidate_lock",
						    .shared = true,
						    .after = TANGLE_TASK(1) },
			      &(struct fact_lock){ .id = TANGLE_LOCK(0),
						   .mode = MODE_READ,
						   .readers = 1,
						   .owners = &last,
						   .nr_owners = 1 });
	assert_code(finding_of(t, 1), FINDING_DEADLOCK);
	assert_cycle(finding_of(t, 1), (u32[]){ 1, 2, 0 });
	assert_true(says(&finding_of(t, 1)->cause,
			 "first in the queue is task1[1001], which wants it exclusively"));
	assert_int_equal(finding_of(t, 1)->wait->nr_queued, 1);
}

static void a_reader_that_was_seen(void **state)
{
	struct tangle *t = *state;
	struct fact_releaser fault = { .task = TANGLE_TASK(1), .fd = -1 };

	reader_of_shared_lock(t,
			      (struct fact_queued){ .task = TANGLE_TASK(2),
						    .on = TANGLE_LOCK(0),
						    .lock = "mmap_lock" },
			      &(struct fact_lock){ .id = TANGLE_LOCK(0),
						   .mode = MODE_READ,
						   .readers = 1,
						   .sure = true,
						   .owners = &fault,
						   .nr_owners = 1 });
	assert_code(finding_of(t, 1), FINDING_DEADLOCK);
	assert_true(says(&finding_of(t, 1)->cause, "task1[1001] has it shared in a page fault"));
	assert_int_equal(finding_of(t, 1)->wait->nr_queued, 1);
}

static void a_lock_held_shared_proves_nothing(void **state)
{
	struct tangle *t = *state;
	const struct finding *f;

	holder_behind(t, 1, MODE_READ, CONF_EXACT);
	f = finding_of(t, 1);
	assert_code(f, FINDING_SUSPECTED_DEADLOCK);
	assert_true(says(&f->cause, "held shared by 2"));
	/* nor is anybody counted as stuck behind the waiter */
	assert_int_equal(f->wait->nr_queued, 0);
}

/* 1 truncates and has the lock; 2, which reads, and another one have the page's pipe open. */
static void two_that_have_the_pipe(struct tangle *t, struct fact_releaser *rel)
{
	struct fact f = { .type = FACT_HOLD };

	tangle_wait(t->g, 1, 0);
	tangle_lock(t->g, 1, 0, MODE_WRITE);
	tangle_queue(t->g, 2, 0);
	f.hold = (struct fact_hold){ .page = TANGLE_PAGE(0),
				     .how = HOW_VMSPLICE,
				     .confidence = CONF_EXACT,
				     .refs = 1,
				     .held_ns = FACT_UNKNOWN,
				     .releasers = rel,
				     .nr_releasers = 2 };
	tangle_add(t->g, f);
}

/* A second reader of the pipe is free to drain it. */
static void another_reader_may_drain(void **state)
{
	struct tangle *t = *state;
	struct fact_releaser rel[] = { { .task = TANGLE_TASK(2), .fd = 3, .reads = true },
				       { .task = TANGLE_TASK(3), .fd = 3, .reads = true } };

	tangle_task(t->g, 3, 1, 'S');
	two_that_have_the_pipe(t, rel);
	explain(t);
	assert_code(finding_of(t, 1), FINDING_BLOCKED);
}

/* Who has only the other end has to close it, too. */
static void all_have_to_close(void **state)
{
	struct tangle *t = *state;
	struct fact_releaser rel[] = { { .task = TANGLE_TASK(2), .fd = 4 },
				       { .task = TANGLE_TASK(3), .fd = 4 } };

	tangle_task(t->g, 3, 1, 'S');
	two_that_have_the_pipe(t, rel);
	explain(t);
	assert_code(finding_of(t, 1), FINDING_DEADLOCK);
	assert_cycle(finding_of(t, 1), (u32[]){ 1, 2, 0 });
}

static void a_releaser_that_is_not_known(void **state)
{
	struct tangle *t = *state;
	struct fact_releaser rel[] = { { .task = TANGLE_TASK(2), .fd = 3, .reads = true },
				       { .task = TANGLE_TASK(99), .fd = 3, .reads = true } };

	two_that_have_the_pipe(t, rel);
	assert_int_equal(wfg_link(t->g), 0);
	assert_int_equal(diagnose(t->g, &t->f), 0);
	assert_code(finding_of(t, 1), FINDING_BLOCKED);
}

static void two_that_truncate_each_others_file(void **state)
{
	struct tangle *t = *state;
	char *text;

	tangle_wait(t->g, 1, 0);
	tangle_wait(t->g, 2, 1);
	tangle_hold(t->g, 2, 0, CONF_EXACT);
	tangle_hold(t->g, 1, 1, CONF_EXACT);
	explain(t);
	assert_int_equal(t->f.n, 2);
	assert_code(finding_of(t, 1), FINDING_DEADLOCK);
	assert_cycle(finding_of(t, 1), (u32[]){ 1, 2, 0 });
	assert_cycle(finding_of(t, 2), (u32[]){ 2, 1, 0 });
	assert_ptr_equal(finding_of(t, 2)->cycle_of, finding_of(t, 1)->cycle_of);
	text = report(t);
	assert_non_null(strstr(text, "The same circle as above."));
	free(text);
	assert_report(t, "deadlock_cross");
}

/* Each is told the shortest of its own. */
static void two_circles_with_tasks_in_common(void **state)
{
	struct tangle *t = *state;

	for (u32 i = 0; i < 3; i++)
		tangle_wait(t->g, 1 + i, i);
	tangle_hold(t->g, 2, 0, CONF_EXACT);
	tangle_hold(t->g, 1, 1, CONF_EXACT);
	tangle_hold(t->g, 3, 1, CONF_EXACT);
	tangle_hold(t->g, 1, 2, CONF_EXACT);
	explain(t);
	assert_cycle(finding_of(t, 1), (u32[]){ 1, 2, 0 });
	assert_cycle(finding_of(t, 2), (u32[]){ 2, 1, 0 });
	assert_cycle(finding_of(t, 3), (u32[]){ 3, 1, 2, 0 });
	assert_ptr_equal(finding_of(t, 2)->cycle_of, finding_of(t, 1)->wait);
	assert_ptr_equal(finding_of(t, 3)->cycle_of, finding_of(t, 3)->wait);
}

/* The reader of the page's pipe cannot write to a full one, whose reader reads the file. */
static void three_with_a_full_pipe(void **state)
{
	struct tangle *t = *state;
	const struct finding *f;
	struct fact q = { .type = FACT_QUEUED };

	tangle_wait(t->g, 1, 0);
	tangle_lock(t->g, 1, 0, MODE_WRITE);
	tangle_task(t->g, 2, 1, 'S');
	tangle_hold(t->g, 2, 0, CONF_EXACT);
	tangle_queue(t->g, 3, 0);
	tangle_lock(t->g, 3, 9, MODE_PIPE);
	q.queued = (struct fact_queued){ .task = TANGLE_TASK(2),
					 .lock = "full pipe",
					 .on = TANGLE_LOCK(9) };
	tangle_add(t->g, q);
	explain(t);
	f = finding_of(t, 1);
	assert_code(f, FINDING_DEADLOCK);
	assert_cycle(f, (u32[]){ 1, 2, 3, 0 });
	assert_true(advises(f, "kill 1002"));
	/* the one that cannot write is behind the waiter, too */
	assert_int_equal(f->wait->nr_queued, 2);
	assert_report(t, "deadlock_pipe");
}

/* I/O of task 9 from the page of file i, which the server has to answer. */
static void hold_io(struct tangle *t, u32 server, u32 i, bool likely)
{
	struct fact_releaser rel = { .task = TANGLE_TASK(9), .fd = -1 };
	struct fact f = { .type = FACT_HOLD };

	tangle_task(t->g, 9, 1, 'D');
	f.hold = (struct fact_hold){ .page = TANGLE_PAGE(i),
				     .how = HOW_AIO,
				     .confidence = CONF_EXACT,
				     .refs = 1,
				     .object_kind = "bio",
				     .object_id = "0xffff888104d0c600",
				     .target = "nbd0 (nbd server nbd-server[1002])",
				     .device = "nbd0",
				     .server = TANGLE_TASK(server),
				     .server_likely = likely,
				     .held_ns = FACT_UNKNOWN,
				     .releasers = &rel,
				     .nr_releasers = 1 };
	tangle_add(t->g, f);
}

/* 1 truncates and has the lock; 2, which has to answer I/O from the page, reads the file. */
static void server_behind(struct tangle *t, u32 threads, bool likely)
{
	tangle_wait(t->g, 1, 0);
	tangle_lock(t->g, 1, 0, MODE_WRITE);
	tangle_queue(t->g, 2, 0);
	tangle_task(t->g, 2, threads, 'D');
	hold_io(t, 2, 0, likely);
	explain(t);
}

static void a_server_that_reads_the_file(void **state)
{
	struct tangle *t = *state;
	const struct finding *f;

	server_behind(t, 1, false);
	f = finding_of(t, 1);
	assert_code(f, FINDING_DEADLOCK);
	assert_cycle(f, (u32[]){ 1, 2, 0 });
	assert_true(advises(f, "kill -INT 1001"));
	assert_true(advises(f, "nbd-client -d /dev/nbd0"));
	assert_report(t, "deadlock_server");
}

static void another_thread_may_answer(void **state)
{
	struct tangle *t = *state;

	server_behind(t, 2, false);
	assert_code(finding_of(t, 1), FINDING_SUSPECTED_DEADLOCK);
}

static void a_server_busy_with_what_was_not_seen(void **state)
{
	struct tangle *t = *state;
	const struct finding *f;

	server_behind(t, 1, true);
	f = finding_of(t, 1);
	assert_code(f, FINDING_SUSPECTED_DEADLOCK);
	assert_false(f->cycle.steps[0].proven);
	assert_true(says(&f->cause, "was not seen"));
}

static void a_server_that_waits_for_its_own_answer(void **state)
{
	struct tangle *t = *state;
	const struct finding *f;

	tangle_wait(t->g, 1, 0);
	hold_io(t, 1, 0, false);
	explain(t);
	f = finding_of(t, 1);
	assert_code(f, FINDING_SELF_DEADLOCK);
	assert_non_null(strstr(f->text, "which the waiter itself has to answer"));
	assert_true(advises(f, "kill -INT 1001"));
}

static void a_server_that_may_not_be_the_waiter(void **state)
{
	struct tangle *t = *state;

	tangle_wait(t->g, 1, 0);
	hold_io(t, 1, 0, true);
	explain(t);
	assert_code(finding_of(t, 1), FINDING_BLOCKED);
}

/* 1 truncates file i and waits for a lock that a page fault of 3 keeps. */
static void wait_for_fault(struct tangle *t, u32 i, enum fact_on on, u32 server,
			   enum fact_confidence confidence)
{
	struct fact_releaser rel = { .task = TANGLE_TASK(3), .fd = -1 };
	struct fact f = { .type = FACT_WAIT };

	tangle_file(t->g, i);
	tangle_task(t->g, 1, 1, 'D');
	f.wait = (struct fact_wait){ .task = TANGLE_TASK(1),
				     .file = TANGLE_FILE(i),
				     .op = OP_TRUNCATE,
				     .on = on,
				     .index = 5,
				     .lock = TANGLE_LOCK(500) };
	tangle_add(t->g, f);
	f = (struct fact){ .type = FACT_HOLD };
	f.hold = (struct fact_hold){ .lock = TANGLE_LOCK(500),
				     .how = HOW_FAULT,
				     .confidence = confidence,
				     .refs = 1,
				     .target = server ? "nbd0" : NULL,
				     .device = server ? "nbd0" : NULL,
				     .server = server ? TANGLE_TASK(server) : 0,
				     .held_ns = FACT_UNKNOWN,
				     .releasers = &rel,
				     .nr_releasers = 1 };
	tangle_add(t->g, f);
	tangle_lock(t->g, 1, i, MODE_WRITE);
}

/* 2 would have to answer the I/O of the fault, and reads the file. */
static void a_fault_whose_server_reads_the_file(void **state)
{
	struct tangle *t = *state;

	wait_for_fault(t, 0, ON_LOCK, 2, CONF_EXACT);
	tangle_task(t->g, 3, 2, 'D');
	tangle_queue(t->g, 2, 0);
	explain(t);
	assert_code(finding_of(t, 1), FINDING_DEADLOCK);
	assert_cycle(finding_of(t, 1), (u32[]){ 1, 2, 0 });
	assert_report(t, "deadlock_fault_server");
}

/*
 * The fault needs memory and evicts another file, of which 2 keeps a page; 2 reads the first file.
 */
static void fault_that_evicts(struct tangle *t, enum fact_on on, enum fact_confidence of_lock,
			      enum fact_confidence of_page)
{
	wait_for_fault(t, 0, on, 0, of_lock);
	tangle_wait(t->g, 3, 1);
	tangle_task(t->g, 3, 2, 'D');
	tangle_hold(t->g, 2, 1, of_page);
	tangle_queue(t->g, 2, 0);
	explain(t);
}

static void a_fault_that_waits_for_a_page(void **state)
{
	struct tangle *t = *state;

	fault_that_evicts(t, ON_ENTRY_LOCK, CONF_EXACT, CONF_EXACT);
	assert_code(finding_of(t, 1), FINDING_DEADLOCK);
	assert_cycle(finding_of(t, 1), (u32[]){ 1, 3, 2, 0 });
	assert_cycle(finding_of(t, 3), (u32[]){ 3, 2, 1, 0 });
	assert_report(t, "deadlock_fault");
}

/* 1 is in the queue of the lock as well, which 2 took last: that it has it still is not known. */
static void who_took_a_lock_last_is_no_step(void **state)
{
	struct fact q = { .type = FACT_QUEUED };
	struct tangle *t = *state;

	q.queued = (struct fact_queued){ .task = TANGLE_TASK(1), .on = TANGLE_LOCK(7) };
	tangle_add(t->g, q);
	tangle_lock(t->g, 2, 7, MODE_READ);
	fault_that_evicts(t, ON_LOCK, CONF_EXACT, CONF_EXACT);
	assert_code(finding_of(t, 1), FINDING_DEADLOCK);
	assert_cycle(finding_of(t, 1), (u32[]){ 1, 3, 2, 0 });
}

static void a_fault_that_may_have_the_lock(void **state)
{
	struct tangle *t = *state;

	fault_that_evicts(t, ON_LOCK, CONF_LIKELY, CONF_EXACT);
	assert_code(finding_of(t, 1), FINDING_SUSPECTED_DEADLOCK);
	assert_false(finding_of(t, 1)->cycle.steps[0].proven);
	assert_true(finding_of(t, 1)->cycle.steps[1].proven);
}

/* Its other thread does not matter: the lock is this one's. */
static void a_fault_of_a_task_with_threads(void **state)
{
	struct tangle *t = *state;

	fault_that_evicts(t, ON_LOCK, CONF_EXACT, CONF_LIKELY);
	assert_code(finding_of(t, 1), FINDING_SUSPECTED_DEADLOCK);
	assert_true(finding_of(t, 1)->cycle.steps[0].proven);
	assert_false(finding_of(t, 1)->cycle.steps[1].proven);
}

/* It is behind a task that sleeps for nothing known, and so may yet answer. */
static void a_server_that_may_go_on(void **state)
{
	struct tangle *t = *state;
	const struct finding *f;

	tangle_wait(t->g, 1, 0);
	tangle_task(t->g, 4, 1, 'D');
	tangle_lock(t->g, 4, 2, MODE_WRITE);
	tangle_queue(t->g, 2, 2);
	hold_io(t, 2, 0, false);
	explain(t);
	f = finding_of(t, 1);
	assert_code(f, FINDING_BLOCKED);
	assert_false(says(&f->cause, "first break that"));
}

/* It sleeps for nothing known, and so may go on. */
static void a_fault_that_may_go_on(void **state)
{
	struct tangle *t = *state;

	wait_for_fault(t, 0, ON_ENTRY_LOCK, 0, CONF_EXACT);
	tangle_task(t->g, 3, 1, 'D');
	explain(t);
	assert_code(finding_of(t, 1), FINDING_ENTRY_LOCK);
}

/* Behind a circle, and in none. */
static void who_is_behind_a_deadlock(void **state)
{
	struct tangle *t = *state;

	tangle_wait(t->g, 1, 0);
	tangle_lock(t->g, 1, 0, MODE_WRITE);
	tangle_queue(t->g, 2, 0);
	tangle_hold(t->g, 2, 0, CONF_EXACT);
	tangle_wait(t->g, 5, 3);
	tangle_hold(t->g, 2, 3, CONF_EXACT);
	explain(t);
	assert_code(finding_of(t, 1), FINDING_DEADLOCK);
	assert_code(finding_of(t, 5), FINDING_BLOCKED);
	assert_true(says(&finding_of(t, 5)->cause, "first break that"));
}

static void many_behind_a_deadlock(void **state)
{
	enum { TASKS = 2000 };
	struct tangle *t = *state;
	u32 circles = 0;

	tangle_behind(t->g, TASKS);
	explain(t);
	assert_int_equal(t->f.n, TASKS);
	for (size_t i = 0; i < t->f.n; i++)
		circles += t->f.f[i].code == FINDING_DEADLOCK;
	assert_int_equal(circles, 2);
	assert_cycle(finding_of(t, 2), (u32[]){ 2, 1, 0 });
	assert_true(says(&finding_of(t, TASKS)->cause, "first break that"));
}

/* No circle: the holder is behind a task that sleeps for nothing known. */
static void a_chain_that_ends(void **state)
{
	struct tangle *t = *state;

	tangle_wait(t->g, 1, 0);
	tangle_task(t->g, 4, 1, 'D');
	tangle_lock(t->g, 4, 2, MODE_WRITE);
	tangle_queue(t->g, 2, 2);
	tangle_hold(t->g, 2, 0, CONF_EXACT);
	explain(t);
	assert_code(finding_of(t, 1), FINDING_BLOCKED);
	assert_int_equal(finding_of(t, 1)->wait->nr_queued, 0);
}

/* 2 is behind the waiter and has a lock itself, for which 3 and 4 queue; 5 is behind 4. */
static void a_tree_of_locks(void **state)
{
	struct tangle *t = *state;
	const struct finding *f;
	const struct wfg_wait *w;

	tangle_wait(t->g, 1, 0);
	tangle_task(t->g, 9, 1, 'S');
	tangle_hold(t->g, 9, 0, CONF_EXACT);
	tangle_lock(t->g, 1, 0, MODE_WRITE);
	tangle_lock(t->g, 2, 1, MODE_WRITE);
	tangle_lock(t->g, 4, 2, MODE_WRITE);
	tangle_queue(t->g, 5, 2);
	tangle_queue(t->g, 3, 1);
	tangle_queue(t->g, 4, 1);
	tangle_queue(t->g, 2, 0);
	explain(t);
	f = finding_of(t, 1);
	w = f->wait;
	assert_code(f, FINDING_BLOCKED);
	assert_int_equal(w->nr_queued, 4);
	for (u32 i = 0; i < w->nr_queued; i++) {
		static const struct {
			u32 behind, depth;
		} truth[] = { [2] = { 1, 0 }, [3] = { 2, 1 }, [4] = { 2, 1 }, [5] = { 4, 2 } };
		u32 pid = w->queued[i].task->t.pid - TANGLE_PID(0);

		assert_int_equal(w->queued[i].behind->t.pid, TANGLE_PID(truth[pid].behind));
		assert_int_equal(w->queued[i].depth, truth[pid].depth);
	}
	assert_report(t, "tree");
}

static void ten_trees_stay_readable(void **state)
{
	struct tangle *t = *state;
	u32 lines = 0, queued = 0;
	char *text;

	tangle_forest(t->g, 1100);
	explain(t);
	assert_int_equal(t->f.n, 10);
	for (size_t i = 0; i < t->f.n; i++)
		queued += t->f.f[i].wait->nr_queued;
	assert_int_equal(queued, 1070);
	assert_code(finding_of(t, 10), FINDING_DEADLOCK);
	assert_code(finding_of(t, 11), FINDING_DEADLOCK);
	assert_code(finding_of(t, 12), FINDING_BLOCKED);
	text = report(t);
	for (char *at = text; *at; at++)
		lines += *at == '\n';
	assert_in_range(lines, 50, 400);
	free(text);
}

/* Each truncates the file of which the next one keeps a page: as many findings as tasks. */
static void a_large_circle_is_told_once(void **state)
{
	enum { TASKS = 300 };
	struct tangle *t = *state;
	u32 lines = 0;
	char *text;

	tangle_circle(t->g, TASKS);
	explain(t);
	assert_int_equal(t->f.n, TASKS);
	for (u32 i = 0; i < TASKS; i++) {
		const struct finding *f = finding_of(t, 1 + i);

		assert_int_equal(f->cycle.n, TASKS);
		for (u32 j = 0; j < TASKS; j++)
			assert_int_equal(f->cycle.steps[j].task->t.pid,
					 TANGLE_PID(1 + (i + j) % TASKS));
		assert_ptr_equal(f->cycle_of, t->f.f[0].wait);
	}
	text = report(t);
	for (char *at = text; *at; at++)
		lines += *at == '\n';
	assert_in_range(lines, 50, 250);
	assert_non_null(strstr(text, "and 279 more that wait"));
	free(text);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_holder_that_reads_the_file),
		TEST(another_thread_may_drain),
		TEST(an_unknown_number_of_threads_proves_nothing),
		TEST(a_likely_hold_proves_nothing),
		TEST(a_candidate_is_not_even_suspected),
		TEST(a_lock_held_shared_proves_nothing),
		TEST(a_reader_behind_a_writer),
		TEST(a_reader_that_was_seen),
		TEST(another_reader_may_drain),
		TEST(all_have_to_close),
		TEST(a_releaser_that_is_not_known),
		TEST(two_that_truncate_each_others_file),
		TEST(two_circles_with_tasks_in_common),
		TEST(three_with_a_full_pipe),
		TEST(a_server_that_reads_the_file),
		TEST(another_thread_may_answer),
		TEST(a_server_busy_with_what_was_not_seen),
		TEST(a_server_that_waits_for_its_own_answer),
		TEST(a_server_that_may_not_be_the_waiter),
		TEST(a_fault_whose_server_reads_the_file),
		TEST(a_fault_that_waits_for_a_page),
		TEST(who_took_a_lock_last_is_no_step),
		TEST(a_fault_that_may_have_the_lock),
		TEST(a_fault_of_a_task_with_threads),
		TEST(a_server_that_may_go_on),
		TEST(a_fault_that_may_go_on),
		TEST(who_is_behind_a_deadlock),
		TEST(many_behind_a_deadlock),
		TEST(a_chain_that_ends),
		TEST(a_tree_of_locks),
		TEST(ten_trees_stay_readable),
		TEST(a_large_circle_is_told_once),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
