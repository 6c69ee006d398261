// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Looks that follow each other: what began, what ended, when it is enough, and what is kept. */
#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "build_graph.h"
#include "recordings.h"
#include "util/clock.h"
#include "watch/pace.h"
#include "watch/watch.h"

#define MSEC 1000000ULL

/* One task of a script: who waits at a look, and since when. */
struct waiter {
	u32 pid; /* 0: nobody */
	u64 asleep_ns;
	enum fact_op op;
};

struct scripted {
	u64 mono_ns;
	struct waiter waiters[3];
	bool lossy;
	int ret; /* of the look; 0 is LOOK_WHOLE */
};

struct script {
	const struct scripted *looks;
	u32 n, at;
};

static int emit(fact_sink_fn sink, void *arg, struct fact f)
{
	return sink(arg, &f);
}

static int emit_waiter(const struct waiter *w, fact_sink_fn sink, void *arg)
{
	struct fact_task t = make_task(w->pid, "segtrim");
	struct fact_wait wait = { .task = t.id, .file = FILE_ID, .op = w->op };
	int err;

	t.asleep_ns = w->asleep_ns;
	err = emit(sink, arg, (struct fact){ .type = FACT_TASK, .task = t });
	return err ? err : emit(sink, arg, (struct fact){ .type = FACT_WAIT, .wait = wait });
}

/* As look_source.look: what the script has next; the last look stays. */
static int play(void *arg, fact_sink_fn sink, void *sink_arg, struct refusal *why)
{
	static const struct fact_file file = { .id = FILE_ID, .path = "/pmem1/x", .fstype = "xfs" };
	static const struct fact_loss loss = { LOSS_TORN, 1, "waiters" };
	struct script *s = arg;
	const struct scripted *look = &s->looks[s->at < s->n ? s->at : s->n - 1];
	struct fact_session session = { .mono_ns = look->mono_ns, .snapshot = true };
	int err = emit(sink, sink_arg, (struct fact){ .type = FACT_FILE, .file = file });

	s->at++;
	if (look->ret < 0)
		return look->ret == -1 ? refuse(why, STATUS_ERROR, "", "", "scripted") : look->ret;
	for (u32 i = 0; i < 3 && look->waiters[i].pid && !err; i++)
		err = emit_waiter(&look->waiters[i], sink, sink_arg);
	if (look->lossy && !err)
		err = emit(sink, sink_arg, (struct fact){ .type = FACT_LOSS, .loss = loss });
	if (!err)
		err = emit(sink, sink_arg,
			   (struct fact){ .type = FACT_SESSION, .session = session });
	return err ? err : look->ret ? look->ret : LOOK_WHOLE;
}

#define SCRIPT(...)                                                        \
	{                                                                  \
		(const struct scripted[]){ __VA_ARGS__ },                  \
			sizeof((const struct scripted[]){ __VA_ARGS__ }) / \
				sizeof(struct scripted),                   \
			0                                                  \
	}

static struct watch watch_of(struct script *s)
{
	return (struct watch){
		.source = { play, s, true },
		.interval_ns = MSEC,
		.duration_ns = 500 * MSEC,
	};
}

static void run_watch(struct watch *w)
{
	struct refusal why = { .status = STATUS_OK };

	alarm(LOOK_TIMEOUT);
	if (watch_run(w, &why))
		fail_msg("%s", why.cause);
	alarm(0);
}

static void test_one_look(void **state)
{
	struct script s = SCRIPT({ .mono_ns = SECOND, .waiters = { { 7, SECOND, OP_TRUNCATE } } });
	struct watch w = watch_of(&s);

	(void)state;
	w.once = true;
	run_watch(&w);
	assert_int_equal(s.at, 1);
	assert_int_equal(w.end, END_DONE);
	assert_int_equal(wfg_nr_waits(w.g), 1);
	assert_int_equal(w.f.n, 1);
	watch_free(&w);
}

/* Of three waits one ends, one goes on to wait for something else, and one stays. */
static void test_what_ended(void **state)
{
	struct script s =
		SCRIPT({ .mono_ns = 10 * SECOND,
			 .waiters = { { 7, 2 * SECOND, OP_TRUNCATE },
				      { 8, FACT_UNKNOWN, OP_PUNCH_HOLE },
				      { 9, SECOND, OP_TRUNCATE } } },
		       { .mono_ns = 13 * SECOND,
			 .waiters = { { 8, SECOND, OP_TRUNCATE }, { 9, MSEC, OP_TRUNCATE } } });
	struct watch w = watch_of(&s);
	const struct fact_end *e;

	(void)state;
	w.count = 2;
	run_watch(&w);
	assert_int_equal(w.end, END_COUNT);
	assert_int_equal(s.at, 2);
	assert_int_equal(wfg_nr_ends(w.g), 2);
	e = wfg_end(w.g, 0)->pid == 7 ? wfg_end(w.g, 0) : wfg_end(w.g, 1);
	assert_int_equal(e->pid, 7);
	assert_string_equal(e->comm, "segtrim");
	assert_string_equal(e->path, "/pmem1/x");
	assert_int_equal(e->waited_ns, 2 * SECOND);
	assert_int_equal(e->unseen_ns, 3 * SECOND);
	e = wfg_end(w.g, 0)->pid == 7 ? wfg_end(w.g, 1) : wfg_end(w.g, 0);
	assert_int_equal(e->pid, 8);
	assert_int_equal(e->op, OP_PUNCH_HOLE);
	assert_true(e->waited_ns == FACT_UNKNOWN);
	watch_free(&w);
}

/* A trace tells of an end that a look would tell too, and of one that no look could. */
static int play_traced(void *arg, fact_sink_fn sink, void *sink_arg, struct refusal *why)
{
	struct script *s = arg;
	bool second = s->at == 1;
	struct fact_end e = {
		.task = make_task(7, "").id,
		.pid = 7,
		.op = OP_TRUNCATE,
		.path = "/pmem1/x",
		.waited_ns = 3 * SECOND + 1,
		.result = RESULT_INTERRUPTED,
		.ended_ns = 12 * SECOND,
	};
	const char *const frames[] = { "dax_break_layout", NULL };
	int ret = play(arg, sink, sink_arg, why);

	e.kstack = (struct fact_stack){ .frames = frames, .n = 2 };
	if (second) {
		emit(sink, sink_arg,
		     (struct fact){ .type = FACT_END, .seen = SEEN_TRACE, .end = e });
		e.task = make_task(9, "").id;
		e.pid = 9;
		emit(sink, sink_arg,
		     (struct fact){ .type = FACT_END, .seen = SEEN_TRACE, .end = e });
	}
	return ret;
}

static void test_traced_ends(void **state)
{
	struct script s = SCRIPT(
		{ .mono_ns = 10 * SECOND,
		  .waiters = { { 7, 2 * SECOND, OP_TRUNCATE }, { 8, SECOND, OP_TRUNCATE } } },
		{ .mono_ns = 13 * SECOND });
	struct watch w = watch_of(&s);

	(void)state;
	w.source.look = play_traced;
	w.count = 3;
	run_watch(&w);
	assert_int_equal(s.at, 2);
	assert_int_equal(wfg_nr_ends(w.g), 3);
	assert_int_equal(wfg_end(w.g, 0)->pid, 7);
	assert_int_equal(wfg_end(w.g, 0)->waited_ns, 3 * SECOND + 1);
	assert_int_equal(wfg_end(w.g, 0)->result, RESULT_INTERRUPTED);
	assert_int_equal(wfg_end(w.g, 0)->kstack.n, 2);
	assert_string_equal(wfg_end(w.g, 0)->kstack.frames[0], "dax_break_layout");
	assert_int_equal(wfg_end(w.g, 1)->pid, 9);
	assert_int_equal(wfg_end(w.g, 2)->pid, 8);
	assert_int_equal(wfg_end(w.g, 2)->result, RESULT_UNKNOWN);
	assert_int_equal(wfg_end(w.g, 2)->ended_ns, 0);
	watch_free(&w);
}

/* A look that lost records says nothing of what it did not see; the next one does. */
static void test_losses_end_nothing(void **state)
{
	struct script s =
		SCRIPT({ .mono_ns = 10 * SECOND, .waiters = { { 7, SECOND, OP_TRUNCATE } } },
		       { .mono_ns = 11 * SECOND, .lossy = true },
		       { .mono_ns = 12 * SECOND, .waiters = { { 7, 3 * SECOND, OP_TRUNCATE } } },
		       { .mono_ns = 13 * SECOND, .lossy = true }, { .mono_ns = 14 * SECOND });
	struct watch w = watch_of(&s);

	(void)state;
	w.count = 1;
	run_watch(&w);
	assert_int_equal(s.at, 5);
	assert_int_equal(wfg_nr_ends(w.g), 1);
	assert_int_equal(wfg_end(w.g, 0)->waited_ns, 3 * SECOND);
	assert_int_equal(wfg_end(w.g, 0)->unseen_ns, 2 * SECOND);
	watch_free(&w);
}

/* A truncate that sleeps for one page after another is one wait. */
static void test_one_wait_for_many_pages(void **state)
{
	struct script s =
		SCRIPT({ .mono_ns = 10 * SECOND, .waiters = { { 7, 2 * SECOND, OP_TRUNCATE } } },
		       { .mono_ns = 13 * SECOND, .waiters = { { 7, SECOND, OP_TRUNCATE } } },
		       { .mono_ns = 14 * SECOND, .waiters = { { 7, FACT_UNKNOWN, OP_TRUNCATE } } },
		       { .mono_ns = 15 * SECOND, .waiters = { { 7, MSEC, OP_TRUNCATE } } },
		       { .mono_ns = 16 * SECOND });
	struct watch w = watch_of(&s);

	(void)state;
	w.count = 1;
	run_watch(&w);
	assert_int_equal(wfg_nr_ends(w.g), 1);
	assert_int_equal(wfg_end(w.g, 0)->waited_ns, 7 * SECOND);
	watch_free(&w);
}

static void test_until_stuck(void **state)
{
	struct script s =
		SCRIPT({ .mono_ns = SECOND },
		       { .mono_ns = 2 * SECOND, .waiters = { { 7, FACT_UNKNOWN, OP_TRUNCATE } } },
		       { .mono_ns = 3 * SECOND, .waiters = { { 7, 2 * SECOND - 1, OP_TRUNCATE } } },
		       { .mono_ns = 4 * SECOND, .waiters = { { 7, 2 * SECOND, OP_TRUNCATE } } });
	struct watch w = watch_of(&s);

	(void)state;
	w.stuck_ns = 2 * SECOND;
	run_watch(&w);
	assert_int_equal(w.end, END_STUCK);
	assert_int_equal(s.at, 4);
	assert_int_equal(wfg_nr_waits(w.g), 1);
	watch_free(&w);
}

static void test_duration(void **state)
{
	struct script s = SCRIPT({ .mono_ns = SECOND });
	struct watch w = watch_of(&s);
	u64 start = clock_now();

	(void)state;
	w.duration_ns = 50 * MSEC;
	w.interval_ns = 20 * MSEC;
	run_watch(&w);
	assert_int_equal(w.end, END_DURATION);
	assert_true(clock_now() - start >= 50 * MSEC);
	assert_true(s.at >= 2 && s.at <= 4);
	watch_free(&w);
}

static void test_signal(void **state)
{
	struct script s = SCRIPT({ .mono_ns = SECOND });
	struct watch w = watch_of(&s);

	(void)state;
	w.duration_ns = 0;
	kill(getpid(), SIGTERM);
	run_watch(&w);
	assert_int_equal(w.end, END_SIGNAL);
	assert_int_equal(s.at, 1);
	watch_free(&w);
}

static void test_command(void **state)
{
	char *const commands[][4] = { { "sh", "-c", "exit 3", NULL },
				      { "sh", "-c", "kill -TERM $$", NULL } };
	static const int statuses[] = { 3, 128 + SIGTERM };

	(void)state;
	for (int i = 0; i < 2; i++) {
		struct script s = SCRIPT({ .mono_ns = SECOND });
		struct watch w = watch_of(&s);

		w.duration_ns = 0;
		w.interval_ns = 10 * SECOND;
		w.command = commands[i];
		run_watch(&w);
		assert_int_equal(w.end, END_COMMAND);
		assert_int_equal(w.command_status, statuses[i]);
		assert_int_equal(s.at, 2);
		watch_free(&w);
	}
}

/* Where nothing can be seen, nothing is run. */
static void test_no_look_no_command(void **state)
{
	char *const command[] = { "sh", "-c", "kill -KILL $PPID", NULL };
	struct script s = SCRIPT({ .ret = -1 });
	struct watch w = watch_of(&s);
	struct refusal why;

	(void)state;
	w.command = command;
	assert_int_equal(watch_run(&w, &why), -1);
	assert_string_equal(why.cause, "scripted");
	assert_null(w.g);
	assert_int_equal(w.end, END_ERROR);
	watch_free(&w);
}

/* What was seen before a look failed is kept, and the recording says that it failed. */
static void test_failed_look(void **state)
{
	static const int errors[] = { -1, -ENOMEM };

	(void)state;
	for (int i = 0; i < 2; i++) {
		struct script s =
			SCRIPT({ .mono_ns = SECOND, .waiters = { { 7, SECOND, OP_TRUNCATE } } },
			       { .ret = errors[i] });
		struct watch w = watch_of(&s);
		struct refusal why;
		struct heard h;
		struct temp t;

		temp_open(&t);
		w.file = recording_create(t.path);
		assert_int_equal(watch_run(&w, &why), -1);
		assert_int_equal(why.status, STATUS_ERROR);
		assert_int_equal(wfg_nr_waits(w.g), 1);
		assert_int_equal(recording_close(w.file, w.end), 0);
		heard_read(&h, t.path);
		assert_int_equal(h.why.status, STATUS_OK);
		assert_int_equal(h.looks, 2);
		assert_int_equal(wfg_losses(h.g, LOSS_LOST), 1);
		heard_free(&h);
		temp_close(&t);
		watch_free(&w);
	}
}

static void test_look_that_was_cut(void **state)
{
	struct script s = SCRIPT({ .mono_ns = SECOND, .waiters = { { 7, SECOND, OP_TRUNCATE } } },
				 { .mono_ns = SECOND, .lossy = true, .ret = LOOK_CUT },
				 { .ret = -1 });
	struct watch w = watch_of(&s);
	struct refusal why;

	(void)state;
	w.source.live = false;
	assert_int_equal(watch_run(&w, &why), -1);
	assert_int_equal(wfg_nr_waits(w.g), 1);
	assert_int_equal(wfg_losses(w.g, LOSS_TORN), 1);
	watch_free(&w);
}

static char *followed(struct watch *w)
{
	char *text = NULL;
	size_t len;

	w->follow = open_memstream(&text, &len);
	run_watch(w);
	assert_int_equal(fclose(w->follow), 0);
	return text;
}

static void test_follow_is_the_same_replayed(void **state)
{
	struct script s =
		SCRIPT({ .mono_ns = 10 * SECOND, .waiters = { { 7, SECOND, OP_TRUNCATE } } },
		       { .mono_ns = 11 * SECOND,
			 .waiters = { { 7, 2 * SECOND, OP_TRUNCATE }, { 8, MSEC, OP_TRUNCATE } } },
		       { .mono_ns = 12 * SECOND });
	struct watch w = watch_of(&s), again;
	char *live, *replayed, *live_views, *replayed_views;
	struct refusal why;
	struct temp t;

	(void)state;
	temp_open(&t);
	w.file = recording_create(t.path);
	w.count = 2;
	live = followed(&w);
	assert_int_equal(recording_close(w.file, w.end), 0);
	live_views = all_views(w.g);
	again = (struct watch){
		.source = { (int (*)(void *, fact_sink_fn, void *, struct refusal *))recording_next,
			    recording_open(t.path, &why), false },
	};
	replayed = followed(&again);
	replayed_views = all_views(again.g);
	assert_string_equal(live, replayed);
	assert_string_equal(live_views, replayed_views);
	assert_non_null(strstr(live, "BLOCKED"));
	assert_non_null(strstr(live,
			       "ENDED: truncate by segtrim[7] of /pmem1/x ended after 2.0s to "
			       "3.0s."));
	assert_non_null(strstr(live_views, "ENDED    truncate by segtrim"));
	recording_free(again.source.arg);
	watch_free(&w);
	watch_free(&again);
	temp_close(&t);
	free(live);
	free(replayed);
	free(live_views);
	free(replayed_views);
}

/* A full disk ends the recording, and nothing else. */
static void test_full_disk(void **state)
{
	struct script s = SCRIPT({ .mono_ns = SECOND, .waiters = { { 7, SECOND, OP_TRUNCATE } } });
	struct watch w = watch_of(&s);

	(void)state;
	w.once = true;
	w.file = recording_create("/dev/full");
	run_watch(&w);
	assert_int_equal(w.file_err, -ENOSPC);
	assert_int_equal(wfg_nr_waits(w.g), 1);
	assert_int_equal(recording_close(w.file, w.end), -ENOSPC);
	watch_free(&w);
}

/* A reader that has gone ends the watch. */
static void test_closed_stream(void **state)
{
	struct script s = SCRIPT({ .mono_ns = SECOND, .waiters = { { 7, SECOND, OP_TRUNCATE } } });
	struct watch w = watch_of(&s);
	FILE *full = fopen("/dev/full", "w");
	struct refusal why;

	(void)state;
	w.stream = recording_stream(full);
	assert_int_equal(watch_run(&w, &why), -1);
	assert_non_null(strstr(why.cause, "No space left"));
	recording_close(w.stream, w.end);
	fclose(full);
	watch_free(&w);
}

/* As look_source.look, like a recording of a trace. */
static int play_ends(void *arg, fact_sink_fn sink, void *sink_arg, struct refusal *why)
{
	int err = 0;

	(void)why;
	for (u32 i = 0; i < *(u32 *)arg && !err; i++)
		err = emit(sink, sink_arg,
			   (struct fact){ .type = FACT_END, .end = { .pid = i, .path = "/x" } });
	return err ? err : LOOK_WHOLE;
}

/* Ends do not pile up for ever. */
static void test_many_ends(void **state)
{
	u32 n = WATCH_ENDS_MAX + 5;
	struct watch w = { .source = { play_ends, &n, false }, .once = true };

	(void)state;
	run_watch(&w);
	assert_int_equal(wfg_nr_ends(w.g), WATCH_ENDS_MAX);
	assert_int_equal(wfg_end(w.g, 0)->pid, 5);
	assert_int_equal(wfg_losses(w.g, LOSS_LOST), 5);
	watch_free(&w);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_one_look),
		cmocka_unit_test(test_what_ended),
		cmocka_unit_test(test_traced_ends),
		cmocka_unit_test(test_losses_end_nothing),
		cmocka_unit_test(test_one_wait_for_many_pages),
		cmocka_unit_test(test_until_stuck),
		cmocka_unit_test(test_duration),
		cmocka_unit_test(test_signal),
		cmocka_unit_test(test_command),
		cmocka_unit_test(test_no_look_no_command),
		cmocka_unit_test(test_failed_look),
		cmocka_unit_test(test_look_that_was_cut),
		cmocka_unit_test(test_follow_is_the_same_replayed),
		cmocka_unit_test(test_full_disk),
		cmocka_unit_test(test_closed_stream),
		cmocka_unit_test(test_many_ends),
	};

	pace_block_signals();
	return cmocka_run_group_tests_name("watch", tests, NULL, NULL);
}
