// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Facts to bytes and back. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "build_graph.h"

static struct strbuf packed;

/* One fact of each type, with everything that can be pointed to, and with nothing. */
static void pack_everything(void)
{
	static const char *const frames[] = { "inner+0x1", NULL, "outer+0x2" };
	struct fact_releaser rel[] = { { .task = task_id(5), .fd = 4 }, { .task = task_id(6) } };
	struct fact_hold pipe = make_pipe("pipe:[7]");
	struct scene s;

	sb_reset(&packed);
	scene_packed = &packed;
	scene_init(&s);
	s.waiter.kstack = (struct fact_stack){ .frames = frames, .n = 3 };
	s.waiter.ustack.why_missing = "no reason";
	pipe.detail = "";
	pipe.target = "sda";
	scene_hold(&s, pipe, rel, 2);
	scene_hold(&s, make_hold(HOW_UNKNOWN, CONF_LIKELY), NULL, 0);
	scene_task(&s, make_task(5, "five"));
	scene_queued(&s, 6, "six", SECOND);
	ADD(s.g, FACT_LOSS, loss, ((struct fact_loss){ LOSS_TORN, 3, "somewhere" }));
	ADD(s.g, FACT_PROBE, probe, ((struct fact_probe){ "a probe", PROBE_OK, NULL }));
	ADD(s.g, FACT_END, end, ((struct fact_end){ .pid = 9, .tid = 9, .path = "/it/was" }));
	ADD(s.g, FACT_LOCK, lock,
	    ((struct fact_lock){ .id = 7, .name = "i_rwsem", .owners = rel, .nr_owners = 1 }));
	scene_link(&s);
	scene_packed = NULL;
	scene_free(&s);
}

static int teardown(void **state)
{
	(void)state;
	sb_free(&packed);
	return 0;
}

static void come_back_as_they_were(void **state)
{
	struct strbuf again = { 0 };
	u32 at = 0;

	(void)state;
	pack_everything();
	assert_int_equal(fact_unpack(packed.s, packed.len, fact_pack, &again), 0);
	assert_int_equal(again.len, packed.len);
	/* but for the pointers, the bytes are the same: compare what a reader sees */
	for (; at < packed.len && packed.s[at] == again.s[at]; at++)
		;
	assert_true(at > 16);
	assert_non_null(memmem(again.s, again.len, "inner+0x1", 10));
	assert_non_null(memmem(again.s, again.len, "outer+0x2", 10));
	assert_non_null(memmem(again.s, again.len, "no reason", 10));
	assert_non_null(memmem(again.s, again.len, "somewhere", 10));
	sb_free(&again);
}

static int check(void *arg, const struct fact *f)
{
	int *seen = arg;

	*seen |= 1 << f->type;
	if (f->type == FACT_TASK && f->task.pid == 20911) {
		assert_int_equal(f->task.kstack.n, 3);
		assert_string_equal(f->task.kstack.frames[0], "inner+0x1");
		assert_string_equal(f->task.kstack.frames[1], "?");
		assert_string_equal(f->task.ustack.why_missing, "no reason");
		assert_int_equal(f->task.ustack.n, 0);
		assert_string_equal(f->task.call, "ftruncate(17, 4096)");
	}
	if (f->type == FACT_HOLD && f->hold.object_id) {
		assert_int_equal(f->hold.nr_releasers, 2);
		assert_int_equal(f->hold.releasers[0].fd, 4);
		assert_int_equal(f->hold.releasers[1].task, task_id(6));
		assert_string_equal(f->hold.detail, "");
		assert_string_equal(f->hold.target, "sda");
	}
	return 0;
}

static void lead_to_what_they_led_to(void **state)
{
	int seen = 0;

	(void)state;
	pack_everything();
	assert_int_equal(fact_unpack(packed.s, packed.len, check, &seen), 0);
	assert_int_equal(seen, (1 << (FACT_LOCK + 1)) - 2);
}

static int count(void *arg, const struct fact *f)
{
	(void)f;
	++*(int *)arg;
	return 0;
}

static void are_refused_when_cut_off(void **state)
{
	int n = 0, whole = 0;

	(void)state;
	pack_everything();
	for (size_t len = 1; len < packed.len; len++) {
		/* a copy of just that size, so that a byte too many is seen by ASan */
		char *part = malloc(len);
		int err;

		memcpy(part, packed.s, len);
		err = fact_unpack(part, len, count, &n);
		assert_true(!err || err == -EPROTO);
		whole += !err;
		free(part);
	}
	assert_true(whole < 16);
}

static void damaged_ones_do_no_harm(void **state)
{
	int n = 0;

	(void)state;
	pack_everything();
	for (size_t at = 0; at < packed.len; at++) {
		char *copy = malloc(packed.len);

		memcpy(copy, packed.s, packed.len);
		/* pointers only tell whether something follows, so they cannot lead astray */
		copy[at] ^= 0xff;
		fact_unpack(copy, packed.len, count, &n);
		free(copy);
	}
	assert_true(n > 0);
}

static int stop(void *arg, const struct fact *f)
{
	(void)arg, (void)f;
	return -ENOSPC;
}

static void the_sink_stops_it(void **state)
{
	(void)state;
	pack_everything();
	assert_int_equal(fact_unpack(packed.s, packed.len, stop, NULL), -ENOSPC);
	assert_int_equal(fact_unpack(NULL, 0, stop, NULL), 0);
}

static void unknown_types_are_refused(void **state)
{
	struct fact f = { .type = FACT_FREED + 1 };

	(void)state;
	assert_int_equal(fact_pack(&packed, &f), -EINVAL);
	f.type = 0;
	assert_int_equal(fact_pack(&packed, &f), -EINVAL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(come_back_as_they_were, teardown),
		cmocka_unit_test_teardown(lead_to_what_they_led_to, teardown),
		cmocka_unit_test_teardown(are_refused_when_cut_off, teardown),
		cmocka_unit_test_teardown(damaged_ones_do_no_harm, teardown),
		cmocka_unit_test_teardown(the_sink_stops_it, teardown),
		cmocka_unit_test_teardown(unknown_types_are_refused, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
