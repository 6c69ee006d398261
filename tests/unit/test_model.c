// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <time.h>

#include <cmocka.h>

#include "build_graph.h"

static const struct wfg_page *linked_page(struct scene *s)
{
	scene_link(s);
	assert_int_equal(wfg_nr_waits(s->g), 1);
	assert_non_null(wfg_wait(s->g, 0)->page);
	return wfg_wait(s->g, 0)->page;
}

static void assert_accounts(const struct wfg_page *page, s64 busy, s64 pins, s64 mapped, s64 rest)
{
	assert_int_equal(page->busy, busy);
	assert_int_equal(page->pins, pins);
	assert_int_equal(page->mapped, mapped);
	assert_int_equal(page->unattributed, rest);
}

static void one_based_get(void **state)
{
	assert_accounts(linked_page(*state), 1, 0, 0, 1);
}

static void one_based_pin_and_gets(void **state)
{
	struct scene *s = *state;

	s->page.refs = 1 + 2 * 1024 + 3;
	assert_accounts(linked_page(s), 5, 2, 0, 5);
}

static void one_based_idle(void **state)
{
	struct scene *s = *state;

	s->page.refs = 1;
	assert_accounts(linked_page(s), 0, 0, 0, 0);
}

static void zero_based_counts_mappings(void **state)
{
	struct scene *s = *state;

	scene_zero_based(s, 1024 + 1 + 2, 2);
	assert_accounts(linked_page(s), 4, 1, 2, 4);
}

static void zero_based_idle(void **state)
{
	struct scene *s = *state;

	scene_zero_based(s, 0, 0);
	assert_accounts(linked_page(s), 0, 0, 0, 0);
}

/* A large folio keeps a count of its pins, so 2000 references are 2000. */
static void large_folio(void **state)
{
	struct scene *s = *state;

	scene_zero_based(s, 2003, 1);
	s->page.order = 9;
	s->page.pincount = 2;
	assert_accounts(linked_page(s), 2003, 2, 1, 2003);
}

static void scene_pipe_of(struct scene *s, const char *id, u32 refs)
{
	struct fact_hold h = make_pipe(id);

	h.refs = refs;
	scene_hold(s, h, NULL, 0);
}

/* 1024 plain references count as much as one pin: what was seen tells which of them it is. */
static void many_gets_that_were_seen_are_no_pin(void **state)
{
	struct scene *s = *state;

	s->page.refs = 1 + 2000;
	scene_pipe_of(s, "pipe:[1]", 1500);
	scene_pipe_of(s, "pipe:[2]", 500);
	assert_accounts(linked_page(s), 2000, 0, 0, 0);
}

static void a_pin_beside_gets_that_were_seen(void **state)
{
	struct scene *s = *state;

	s->page.refs = 1 + 1024 + 976;
	scene_pipe_of(s, "pipe:[1]", 976);
	assert_accounts(linked_page(s), 977, 1, 0, 1);
}

static void a_get_that_was_seen_is_no_part_of_a_pin(void **state)
{
	struct scene *s = *state;

	s->page.refs = 1 + 1024;
	scene_pipe_of(s, "pipe:[1]", 1);
	assert_accounts(linked_page(s), 1024, 0, 0, 1023);
}

/* Up to 6.2 direct I/O takes plain references, later pins: a hold does not say which. */
static void many_io_references_may_be_gets(void **state)
{
	struct scene *s = *state;
	struct fact_hold h = make_hold(HOW_AIO, CONF_EXACT);

	s->page.refs = 1 + 2000;
	h.refs = 2000;
	scene_hold(s, h, NULL, 0);
	assert_accounts(linked_page(s), 2000, 0, 0, 0);
}

static void pins_of_several_mechanisms(void **state)
{
	struct scene *s = *state;

	s->page.refs = 1 + 2 * 1024 + 4;
	scene_hold(s, make_hold(HOW_AIO, CONF_EXACT), NULL, 0);
	scene_hold(s, make_hold(HOW_DIRECT_IO, CONF_EXACT), NULL, 0);
	scene_hold(s, make_hold(HOW_SOCKET, CONF_EXACT), NULL, 0);
	scene_pipe_of(s, "pipe:[1]", 3);
	assert_accounts(linked_page(s), 6, 2, 0, 0);
}

static void garbage_counts_stay_in_bounds(void **state)
{
	static const s64 values[] = { INT64_MIN, INT64_MIN + 1, -1,       0, 1, 1023, 1024,
				      INT32_MAX, INT64_MAX - 1, INT64_MAX };
	const size_t n = sizeof(values) / sizeof(values[0]);

	(void)state;
	for (size_t i = 0; i < n * n * n * n; i++) {
		struct fact_page p = {
			.id = PAGE_ID,
			.refs = values[i % n],
			.idle_refs = values[i / n % n],
			.mapcount = values[i / n / n % n],
			.pincount = values[i / n / n / n],
		};
		struct wfg *g = wfg_new();
		const struct wfg_page *page;

		ADD(g, FACT_PAGE, page, p);
		assert_int_equal(wfg_link(g), 0);
		page = wfg_page(g, 0);
		assert_in_range(page->busy, 0, UINT32_MAX);
		assert_in_range(page->pins, 0, page->busy);
		assert_in_range(page->mapped, 0, page->busy - page->pins);
		assert_int_equal(page->unattributed, page->busy);
		if (p.refs <= p.idle_refs)
			assert_int_equal(page->busy, 0);
		wfg_free(g);
	}
}

static void exact_and_likely_explain(void **state)
{
	struct scene *s = *state;
	struct fact_hold likely = make_hold(HOW_DIRECT_IO, CONF_LIKELY);
	struct fact_hold candidate = make_hold(HOW_UNKNOWN, CONF_CANDIDATE);
	const struct wfg_page *page;

	s->page.refs = 1 + 1024 + 3;
	candidate.refs = 100;
	scene_hold(s, candidate, NULL, 0);
	scene_hold(s, likely, NULL, 0);
	scene_hold(s, make_pipe("pipe:[1]"), NULL, 0);
	page = linked_page(s);
	assert_accounts(page, 4, 1, 0, 2);
	assert_int_equal(page->nr_holds, 3);
	assert_int_equal(page->holds[0]->h.confidence, CONF_EXACT);
	assert_int_equal(page->holds[1]->h.confidence, CONF_LIKELY);
	assert_int_equal(page->holds[2]->h.confidence, CONF_CANDIDATE);
}

static void holds_never_explain_more_than_there_is(void **state)
{
	struct scene *s = *state;
	struct fact_hold h = make_pipe("pipe:[1]");

	h.refs = UINT32_MAX;
	scene_hold(s, h, NULL, 0);
	h.object_id = "pipe:[2]";
	scene_hold(s, h, NULL, 0);
	assert_accounts(linked_page(s), 1, 0, 0, 0);
}

static void a_mapping_explains_no_pin(void **state)
{
	struct scene *s = *state;
	struct fact_hold h = make_hold(HOW_MAPPING, CONF_EXACT);

	scene_zero_based(s, 1024 + 2, 2);
	h.refs = 3;
	scene_hold(s, h, NULL, 0);
	assert_accounts(linked_page(s), 3, 1, 2, 1);
}

static void a_pipe_explains_no_mapping(void **state)
{
	struct scene *s = *state;
	struct fact_hold h = make_pipe("pipe:[1]");

	scene_zero_based(s, 2, 1);
	h.refs = 2;
	scene_hold(s, h, NULL, 0);
	assert_accounts(linked_page(s), 2, 0, 1, 1);
}

static void a_second_fact_replaces_the_first(void **state)
{
	struct scene *s = *state;
	struct fact_releaser rel[] = { { .task = task_id(31), .fd = 4, .reads = true },
				       { .task = task_id(32), .fd = 5, .reads = false } };
	struct fact_hold h = make_pipe("pipe:[1]");
	struct fact_task before = make_task(31, "before");
	const struct wfg_page *page;

	before.call = "read(0)";
	scene_task(s, before);
	scene_task(s, make_task(31, "after"));
	scene_task(s, make_task(32, "second"));
	scene_hold(s, h, rel, 1);
	h.refs = 2;
	scene_hold(s, h, rel, 2);
	s->page.refs = 4;
	page = linked_page(s);
	assert_int_equal(page->nr_holds, 1);
	assert_int_equal(page->holds[0]->h.refs, 2);
	assert_int_equal(page->holds[0]->nr_releasers, 2);
	assert_string_equal(page->holds[0]->releasers[0].task->t.comm, "after");
	assert_null(page->holds[0]->releasers[0].task->t.call);
	assert_null(page->holds[0]->h.releasers);
	assert_int_equal(page->unattributed, 1);
}

static void holds_without_object_stay_apart(void **state)
{
	struct scene *s = *state;

	s->page.refs = 4;
	scene_hold(s, make_hold(HOW_DIRECT_IO, CONF_EXACT), NULL, 0);
	scene_hold(s, make_hold(HOW_DIRECT_IO, CONF_EXACT), NULL, 0);
	assert_int_equal(linked_page(s)->unattributed, 1);
}

/* Two tasks that write through descriptors of the same number are two holders. */
static void io_of_two_tasks_stays_apart(void **state)
{
	struct scene *s = *state;
	struct fact_releaser rel[] = { { .task = task_id(31), .fd = 5, .reads = false },
				       { .task = task_id(32), .fd = 5, .reads = false } };
	struct fact_hold h = make_hold(HOW_DIRECT_IO, CONF_EXACT);

	h.object_kind = "file";
	h.object_id = "fd 5";
	s->page.refs = 4;
	scene_task(s, make_task(31, "a"));
	scene_task(s, make_task(32, "b"));
	scene_hold(s, h, &rel[0], 1);
	scene_hold(s, h, &rel[1], 1);
	scene_hold(s, h, &rel[1], 1);
	assert_int_equal(linked_page(s)->nr_holds, 2);
}

/* Who asks again and again has never slept for long. */
static void age_of_a_wait_that_asks_again(void **state)
{
	struct scene *s = *state;

	s->wait.on = ON_LEASE;
	s->wait.page = 0;
	s->waiter.asleep_ns = 3000000;
	scene_link(s);
	assert_true(wfg_wait(s->g, 0)->age_ns == FACT_UNKNOWN);
}

static void age_of_a_wait_for_a_lease(void **state)
{
	struct scene *s = *state;

	s->wait.on = ON_LEASE;
	s->wait.page = 0;
	s->waiter.asleep_ns = 5 * SECOND;
	scene_link(s);
	assert_int_equal(wfg_wait(s->g, 0)->age_ns, 5 * SECOND);
}

static void facts_are_copied(void **state)
{
	struct scene *s = *state;
	char path[] = "/pmem1/a", comm[] = "frame+0x1", why[] = "because";
	const char *frames[] = { comm, NULL };
	const struct wfg_task *t;

	s->file.path = path;
	s->waiter.kstack = (struct fact_stack){ .frames = frames, .n = 2 };
	s->waiter.ustack.why_missing = why;
	scene_link(s);
	memset(path, '!', sizeof(path) - 1);
	memset(comm, '!', sizeof(comm) - 1);
	memset(why, '!', sizeof(why) - 1);
	t = wfg_wait(s->g, 0)->task;
	assert_string_equal(wfg_wait(s->g, 0)->file->f.path, "/pmem1/a");
	assert_string_equal(t->t.kstack.frames[0], "frame+0x1");
	assert_string_equal(t->t.kstack.frames[1], "?");
	assert_string_equal(t->t.ustack.why_missing, "because");
}

static void absurd_facts_are_bounded(void **state)
{
	struct scene *s = *state;
	const char *frames[FACT_STACK_MAX];
	struct fact_hold h = make_pipe("pipe:[1]");

	for (int i = 0; i < FACT_STACK_MAX; i++)
		frames[i] = "f";
	memset(s->waiter.comm, 'x', sizeof(s->waiter.comm));
	s->waiter.kstack = (struct fact_stack){ .frames = frames, .n = UINT32_MAX };
	s->waiter.ustack.n = 7;
	h.confidence = 77;
	scene_hold(s, h, NULL, 9);
	scene_link(s);
	assert_int_equal(strlen(wfg_wait(s->g, 0)->task->t.comm), FACT_COMM_LEN);
	assert_int_equal(wfg_wait(s->g, 0)->task->t.kstack.n, FACT_STACK_MAX);
	assert_int_equal(wfg_wait(s->g, 0)->task->t.ustack.n, 0);
	assert_int_equal(wfg_wait(s->g, 0)->page->holds[0]->h.confidence, CONF_CANDIDATE);
	assert_int_equal(wfg_wait(s->g, 0)->page->holds[0]->nr_releasers, 0);
}

static void dangling_references_are_lost(void **state)
{
	struct scene *s = *state;
	struct fact_releaser rel = { .task = task_id(404), .fd = 1 };
	struct fact_hold elsewhere = make_pipe("pipe:[2]");
	struct fact_wait nobody = { .task = task_id(405) };
	struct fact_queued q = { .wait = s->waiter.id, .task = task_id(406) };
	const struct wfg_wait *w;

	scene_hold(s, make_pipe("pipe:[1]"), &rel, 1);
	elsewhere.page = 0x1234;
	scene_hold(s, elsewhere, NULL, 0);
	ADD(s->g, FACT_WAIT, wait, nobody);
	ADD(s->g, FACT_QUEUED, queued, q);
	s->page.file = 0x5678;
	scene_link(s);
	assert_int_equal(wfg_nr_waits(s->g), 1);
	w = wfg_wait(s->g, 0);
	assert_int_equal(w->nr_queued, 0);
	assert_null(w->page->file);
	assert_string_equal(w->file->f.path, "/pmem1/db/seg.0042");
	assert_int_equal(w->page->nr_holds, 1);
	assert_int_equal(w->page->holds[0]->nr_releasers, 0);
	assert_int_equal(w->page->holds[0]->h.nr_releasers, 1);
	assert_int_equal(wfg_losses(s->g, LOSS_LOST), 5);
}

static void the_page_names_the_file(void **state)
{
	struct scene *s = *state;

	s->wait.file = 0;
	scene_link(s);
	assert_string_equal(wfg_wait(s->g, 0)->file->f.path, "/pmem1/db/seg.0042");
	assert_int_equal(wfg_losses(s->g, LOSS_LOST), 0);
}

static void offsets(void **state)
{
	struct wfg_page page = { .p.index = 0x1a3 };

	(void)state;
	assert_int_equal(wfg_page_offset(&page), 1716224);
	page.p.index = FACT_UNKNOWN;
	assert_true(wfg_page_offset(&page) == FACT_UNKNOWN);
	page.p.index = 1ULL << 52;
	assert_true(wfg_page_offset(&page) == FACT_UNKNOWN);
}

static void losses_add_up(void **state)
{
	struct scene *s = *state;
	struct fact_loss torn = { .kind = LOSS_TORN, .count = 2, .where = "bit_wait_table" };
	struct fact_loss lost = { .kind = LOSS_LOST, .count = UINT64_MAX - 1, .where = "pipes" };

	ADD(s->g, FACT_LOSS, loss, torn);
	ADD(s->g, FACT_LOSS, loss, torn);
	ADD(s->g, FACT_LOSS, loss, lost);
	ADD(s->g, FACT_LOSS, loss, lost);
	lost.where = NULL;
	ADD(s->g, FACT_LOSS, loss, lost);
	assert_int_equal(wfg_nr_losses(s->g), 3);
	assert_int_equal(wfg_losses(s->g, LOSS_TORN), 4);
	assert_true(wfg_losses(s->g, LOSS_LOST) == UINT64_MAX);
	assert_string_equal(wfg_loss(s->g, 2)->where, "");
}

static void probes_keep_their_order(void **state)
{
	struct scene *s = *state;

	ADD(s->g, FACT_PROBE, probe, ((struct fact_probe){ "btf", PROBE_OK, NULL }));
	ADD(s->g, FACT_PROBE, probe, ((struct fact_probe){ "iter", PROBE_OK, NULL }));
	ADD(s->g, FACT_PROBE, probe, ((struct fact_probe){ "btf", PROBE_MISSING, "all" }));
	assert_int_equal(wfg_nr_probes(s->g), 2);
	assert_string_equal(wfg_probe(s->g, 0)->costs, "all");
	assert_string_equal(wfg_probe(s->g, 1)->name, "iter");
}

static void unknown_types_are_refused(void **state)
{
	struct scene *s = *state;
	struct fact f = { .type = 99 };

	assert_int_equal(wfg_add(s->g, &f), -EINVAL);
	f.type = FACT_PROBE;
	assert_int_equal(wfg_add(s->g, &f), -EINVAL);
}

/* Waits on n tasks, of which some ages are unknown; the oldest comes first. */
static void waits_are_sorted_by_age(void **state)
{
	static const u64 ages[] = { 3, FACT_UNKNOWN, 9, 9, 1 };
	static const u32 order[] = { 3, 4, 1, 5, 2 };
	struct wfg *g = wfg_new();

	(void)state;
	for (u32 i = 0; i < 5; i++) {
		struct fact_task t = make_task(i + 1, "w");
		struct fact_wait w = { .task = t.id };

		t.asleep_ns = ages[i];
		ADD(g, FACT_TASK, task, t);
		ADD(g, FACT_WAIT, wait, w);
	}
	assert_int_equal(wfg_link(g), 0);
	assert_int_equal(wfg_nr_waits(g), 5);
	for (u32 i = 0; i < 5; i++) {
		char id[8];

		snprintf(id, sizeof(id), "w%u", i + 1);
		assert_int_equal(wfg_wait(g, i)->task->t.pid, order[i]);
		assert_string_equal(wfg_wait_id(g, wfg_wait(g, i)), id);
	}
	wfg_free(g);
}

static void an_empty_graph(void **state)
{
	struct wfg *g = wfg_new();

	(void)state;
	assert_int_equal(wfg_link(g), 0);
	assert_int_equal(wfg_nr_waits(g), 0);
	assert_int_equal(wfg_nr_pages(g), 0);
	assert_int_equal(wfg_session(g)->time_sec, 0);
	wfg_free(g);
	wfg_free(NULL);
}

/* Quadratic work anywhere would take minutes here. */
static void large_graphs_are_fast(void **state)
{
	enum { TASKS = 200000, WAITS = 2000 };
	struct wfg *g = wfg_new();
	clock_t start = clock();

	(void)state;
	for (u32 i = 1; i <= TASKS; i++) {
		struct fact_task t = make_task(i, "t");
		struct fact_queued q = { .wait = task_id(i % WAITS + 1), .task = task_id(i) };
		struct fact_wait w = { .task = t.id, .page = 0x1000 + i * 64 };
		struct fact_page p = { .id = 0x1000 + i * 64, .refs = 2, .idle_refs = 1 };
		struct fact_hold h = make_pipe("pipe:[1]");

		h.page = p.id;
		ADD(g, FACT_TASK, task, t);
		if (i > WAITS) {
			ADD(g, FACT_QUEUED, queued, q);
			continue;
		}
		ADD(g, FACT_WAIT, wait, w);
		ADD(g, FACT_PAGE, page, p);
		ADD(g, FACT_HOLD, hold, h);
	}
	assert_int_equal(wfg_link(g), 0);
	assert_in_range(clock() - start, 0, 10 * CLOCKS_PER_SEC);
	assert_int_equal(wfg_nr_waits(g), WAITS);
	for (u32 i = 0; i < WAITS; i++) {
		assert_int_equal(wfg_wait(g, i)->nr_queued, TASKS / WAITS - 1);
		assert_int_equal(wfg_wait(g, i)->page->nr_holds, 1);
	}
	assert_int_equal(wfg_losses(g, LOSS_LOST), 0);
	wfg_free(g);
}

static void queue_is_longest_first(void **state)
{
	struct scene *s = *state;
	const struct wfg_wait *w;

	scene_queued(s, 51, "a", 3 * SECOND);
	scene_queued(s, 52, "b", FACT_UNKNOWN);
	scene_queued(s, 53, "c", 4 * SECOND);
	scene_queued(s, 53, "c", 5 * SECOND);
	scene_link(s);
	w = wfg_wait(s->g, 0);
	assert_int_equal(w->nr_queued, 3);
	assert_int_equal(w->queued[0].task->t.pid, 53);
	assert_int_equal(w->queued[1].task->t.pid, 51);
	assert_int_equal(w->queued[2].task->t.pid, 52);
}

static void names(void **state)
{
	(void)state;
	assert_string_equal(fact_op_name(OP_COLLAPSE_RANGE), "collapse_range");
	assert_string_equal(fact_op_name(OP_ALLOCATE), "other");
	assert_string_equal(fact_op_name(77), "other");
	assert_string_equal(fact_trigger_name(TRIGGER_LAST_CLOSE), "last_close");
	assert_string_equal(fact_trigger_name(77), "none");
	assert_string_equal(fact_on_name(ON_ENTRY_LOCK), "entry_lock");
	assert_string_equal(fact_how_name(HOW_DIRECT_IO), "direct_io");
	assert_string_equal(fact_how_name(77), "unknown");
	assert_string_equal(fact_confidence_name(CONF_EXACT), "exact");
	assert_string_equal(fact_confidence_name(77), "candidate");
	assert_string_equal(fact_seen_name(SEEN_TRACE), "trace");
	assert_string_equal(fact_probe_state_name(PROBE_FALLBACK), "fallback");
	assert_string_equal(fact_probe_state_name(77), "missing");
	for (int op = 0; op < OP_MAX; op++)
		assert_non_null(fact_op_name(op));
	for (int trigger = 0; trigger < TRIGGER_MAX; trigger++)
		assert_non_null(fact_trigger_name(trigger));
	for (int how = 0; how < HOW_MAX; how++)
		assert_non_null(fact_how_name(how));
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, scene_setup, scene_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(one_based_get),
		TEST(one_based_pin_and_gets),
		TEST(one_based_idle),
		TEST(zero_based_counts_mappings),
		TEST(zero_based_idle),
		TEST(large_folio),
		TEST(many_gets_that_were_seen_are_no_pin),
		TEST(a_pin_beside_gets_that_were_seen),
		TEST(a_get_that_was_seen_is_no_part_of_a_pin),
		TEST(many_io_references_may_be_gets),
		TEST(pins_of_several_mechanisms),
		cmocka_unit_test(garbage_counts_stay_in_bounds),
		TEST(exact_and_likely_explain),
		TEST(holds_never_explain_more_than_there_is),
		TEST(a_mapping_explains_no_pin),
		TEST(a_pipe_explains_no_mapping),
		TEST(a_second_fact_replaces_the_first),
		TEST(holds_without_object_stay_apart),
		TEST(io_of_two_tasks_stays_apart),
		TEST(age_of_a_wait_that_asks_again),
		TEST(age_of_a_wait_for_a_lease),
		TEST(facts_are_copied),
		TEST(absurd_facts_are_bounded),
		TEST(dangling_references_are_lost),
		TEST(the_page_names_the_file),
		cmocka_unit_test(offsets),
		TEST(losses_add_up),
		TEST(probes_keep_their_order),
		TEST(unknown_types_are_refused),
		cmocka_unit_test(waits_are_sorted_by_age),
		cmocka_unit_test(an_empty_graph),
		cmocka_unit_test(large_graphs_are_fast),
		TEST(queue_is_longest_first),
		cmocka_unit_test(names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
