// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Who has a reference, by who was seen taking one, and what becomes of it in the model. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "build_graph.h"
#include "collect/pins.h"

/* --- what a page counts */

static void counts_of_both_models(void **state)
{
	struct pin_counts small = { .refs = 1 + 2 * 1024 + 3, .mapcount = -1, .pincount = -1 };
	struct pin_counts mapped = { .refs = 1024 + 1 + 2, .mapcount = 1, .pincount = -1 };
	struct pin_counts large = { .refs = 2003, .mapcount = 0, .pincount = 2 };

	(void)state;
	assert_int_equal(pin_refs(&small, 1, PIN_GET, false), 3);
	assert_int_equal(pin_refs(&small, 1, PIN_PIN, false), 2);
	assert_int_equal(pin_refs(&small, 1, PIN_GET, true), 5);
	assert_int_equal(pin_refs(&mapped, 0, PIN_GET, false), 1);
	assert_int_equal(pin_refs(&mapped, 0, PIN_PIN, false), 1);
	assert_int_equal(pin_refs(&large, 0, PIN_GET, false), 2000);
	assert_int_equal(pin_refs(&large, 0, PIN_PIN, false), 2);
}

/* --- who has what */

static struct pin_entry make_entry(u32 a, u32 b, u32 released)
{
	struct pin_entry e = { .key = PAGE_ID, .p = { .taken = a + b, .released = released } };
	u32 refs[] = { a, b };

	for (int i = 0; i < 2; i++)
		if (refs[i])
			e.p.takers[i] = (struct pin_taker){ .task = task_id(70 + i),
							    .key = PAGE_ID,
							    .tgid = 70 + i,
							    .tid = 70 + i,
							    .refs = refs[i] };
	return e;
}

static void assert_claim(const struct pin_claim *c, enum fact_confidence confidence, u32 refs)
{
	assert_int_equal(c->confidence, confidence);
	assert_int_equal(c->refs, refs);
}

static void alone_has_all(void **state)
{
	struct pin_entry e = make_entry(3, 0, 0);
	struct pin_claim c[PIN_TAKERS];

	(void)state;
	pins_judge(&e, 3, 0, false, c);
	assert_claim(&c[0], CONF_EXACT, 3);
	assert_true(c[0].since_taken);
	/* one was released, seen or unseen */
	pins_judge(&e, 2, 0, false, c);
	assert_claim(&c[0], CONF_EXACT, 2);
	assert_false(c[0].since_taken);
	e.p.released = 1;
	pins_judge(&e, 2, 0, false, c);
	assert_claim(&c[0], CONF_EXACT, 2);
}

static void what_the_count_does_not_support_is_gone(void **state)
{
	struct pin_entry e = make_entry(1, 0, 0);
	struct pin_claim c[PIN_TAKERS];

	(void)state;
	pins_judge(&e, 0, 0, true, c);
	assert_claim(&c[0], CONF_CANDIDATE, 0);
	pins_judge(&e, -1, 0, true, c);
	assert_claim(&c[0], CONF_CANDIDATE, 0);
}

/* Somebody had one before: the one that is left may be that one. */
static void one_of_before_may_be_the_last(void **state)
{
	struct pin_entry e = make_entry(1, 0, 0);
	struct pin_claim c[PIN_TAKERS];

	(void)state;
	pins_judge(&e, 2, 1, true, c);
	assert_claim(&c[0], CONF_EXACT, 1);
	pins_judge(&e, 2, 1, false, c);
	assert_claim(&c[0], CONF_LIKELY, 1);
	pins_judge(&e, 1, 1, true, c);
	assert_claim(&c[0], CONF_CANDIDATE, 0);
}

static void two_takers_and_no_release(void **state)
{
	struct pin_entry e = make_entry(1, 2, 0);
	struct pin_claim c[PIN_TAKERS];

	(void)state;
	pins_judge(&e, 3, 0, true, c);
	assert_claim(&c[0], CONF_EXACT, 1);
	assert_claim(&c[1], CONF_EXACT, 2);
	pins_judge(&e, 3, 0, false, c);
	assert_claim(&c[0], CONF_LIKELY, 1);
}

/*
 * Whose reference was dropped nobody knows: only who took more than are gone has one for certain.
 */
static void two_takers_and_a_release(void **state)
{
	struct pin_entry e = make_entry(1, 2, 1);
	struct pin_claim c[PIN_TAKERS];

	(void)state;
	pins_judge(&e, 2, 0, true, c);
	assert_claim(&c[0], CONF_CANDIDATE, 0);
	assert_claim(&c[1], CONF_EXACT, 1);
	/* released while the first one ran */
	e.p.takers[0].given = 1;
	pins_judge(&e, 2, 0, true, c);
	assert_claim(&c[0], CONF_CANDIDATE, 0);
	assert_claim(&c[1], CONF_EXACT, 1);
	e = make_entry(1, 1, 1);
	e.p.takers[0].given = 1;
	pins_judge(&e, 1, 0, true, c);
	assert_claim(&c[0], CONF_CANDIDATE, 0);
	assert_claim(&c[1], CONF_LIKELY, 1);
}

static void those_without_a_slot_count(void **state)
{
	struct pin_entry e = make_entry(1, 0, 0);
	struct pin_claim c[PIN_TAKERS];

	(void)state;
	e.p.others = 5;
	e.p.taken = 6;
	pins_judge(&e, 1, 0, true, c);
	assert_claim(&c[0], CONF_CANDIDATE, 0);
	pins_judge(&e, 6, 0, true, c);
	assert_claim(&c[0], CONF_EXACT, 1);
}

static void a_spoiled_entry_says_nothing(void **state)
{
	struct pin_entry e = make_entry(1, 1, 0);
	struct pin_claim c[PIN_TAKERS];

	(void)state;
	e.p.takers[1].key ^= 64;
	pins_judge(&e, 2, 0, true, c);
	assert_claim(&c[0], CONF_CANDIDATE, 0);
	e = make_entry(1, 1, 0);
	e.p.taken = 3;
	pins_judge(&e, 3, 0, true, c);
	assert_claim(&c[0], CONF_CANDIDATE, 0);
}

/* --- by what mechanism */

#define HOW_OF(...)                                    \
	pins_how((const char *const[]){ __VA_ARGS__ }, \
		 sizeof((const char *const[]){ __VA_ARGS__ }) / sizeof(char *))

static void mechanism_by_stack(void **state)
{
	(void)state;
	assert_int_equal(HOW_OF("try_grab_folio_fast+0x5/0x1", NULL, "iov_iter_get_pages2+0x1/0x2",
				"__do_sys_vmsplice+0x1/0x2"),
			 HOW_VMSPLICE);
	assert_int_equal(HOW_OF("gup_fast_fallback+0x5/0x1", "nfs_direct_write_schedule_iovec+0x1",
				"io_submit_one+0x1/0x2"),
			 HOW_NFS);
	assert_int_equal(HOW_OF("iov_iter_extract_pages+0x5/0x1", "bio_iov_iter_get_pages+0x1/0x2",
				"blkdev_direct_IO+0x1/0x2", "aio_write+0x1/0x2",
				"io_submit_one+0x1/0x2"),
			 HOW_AIO);
	assert_int_equal(HOW_OF("bio_iov_iter_get_pages+0x1/0x2", "__iomap_dio_rw+0x1/0x2",
				"vfs_write+0x1/0x2"),
			 HOW_DIRECT_IO);
	assert_int_equal(HOW_OF("pin_user_pages+0x1/0x2", "acme_map+0x1/0x2 [acme]"), HOW_UNKNOWN);
	assert_int_equal(pins_how(NULL, 0), HOW_UNKNOWN);
}

static void asker_is_no_helper(void **state)
{
	const char *frames[] = { "bpf_prog_1_take+0x1/0x2",     "bpf_trampoline_6442+0x1/0x2",
				 "try_grab_folio_fast+0x5/0x1", NULL,
				 "pin_user_pages_fast+0x1/0x2", "acme_map+0x1/0x2 [acme]" };

	(void)state;
	assert_int_equal(pins_own_frames(frames, 6), 2);
	assert_string_equal(pins_asker(frames, 6), "acme_map+0x1/0x2 [acme]");
	assert_null(pins_asker(frames, 3));
}

/* --- in the model */

static void scene_taken(struct scene *s, enum fact_how how, enum fact_confidence confidence,
			u32 pid, u32 refs)
{
	struct fact_releaser rel = { .task = task_id(pid), .fd = -1 };
	struct fact f = { .type = FACT_HOLD, .seen = SEEN_TRACE };
	static const char *const frames[] = { "try_grab_page+0x1/0x2" };

	f.hold = make_hold(how, confidence);
	f.hold.page = PAGE_ID;
	f.hold.refs = refs;
	f.hold.held_ns = 7 * SECOND;
	f.hold.taker_pid = f.hold.taker_tid = pid;
	f.hold.taker_comm[0] = 'x';
	f.hold.kstack = (struct fact_stack){ .frames = frames, .n = 1 };
	f.hold.releasers = how == HOW_VMSPLICE ? NULL : &rel;
	f.hold.nr_releasers = f.hold.releasers ? 1 : 0;
	add_fact(s->g, f);
}

static const struct wfg_page *scene_page(struct scene *s)
{
	scene_link(s);
	return wfg_wait(s->g, 0)->page;
}

/* Found by a walker and seen being taken: one hold, which knows more. */
static void both_are_one(void **state)
{
	struct scene *s = *state;
	const struct wfg_page *page;

	scene_task(s, make_task(42, "wal"));
	scene_pipe(s, "pipe:[7]", 42, 3);
	scene_taken(s, HOW_VMSPLICE, CONF_EXACT, 41, 1);
	page = scene_page(s);
	assert_int_equal(page->unattributed, 0);
	assert_int_equal(page->nr_holds, 1);
	assert_int_equal(page->holds[0]->seen, SEEN_SNAPSHOT);
	assert_true(page->holds[0]->traced);
	assert_int_equal(page->holds[0]->h.held_ns, 7 * SECOND);
	assert_int_equal(page->holds[0]->h.taker_pid, 41);
	assert_int_equal(page->holds[0]->h.kstack.n, 1);
	assert_int_equal(page->holds[0]->releasers[0].task->t.pid, 42);
}

static void likely_becomes_exact(void **state)
{
	struct fact_releaser rel = { .task = task_id(42), .fd = 5 };
	struct scene *s = *state;
	const struct wfg_page *page;

	scene_task(s, make_task(42, "wal"));
	scene_hold(s, make_hold(HOW_NFS, CONF_LIKELY), &rel, 1);
	scene_taken(s, HOW_NFS, CONF_EXACT, 42, 1);
	page = scene_page(s);
	assert_int_equal(page->nr_holds, 1);
	assert_int_equal(page->holds[0]->h.confidence, CONF_EXACT);
	assert_int_equal(page->holds[0]->h.refs, 1);
	assert_int_equal(page->holds[0]->releasers[0].fd, 5);
}

/* A suspect of whom no look saw a reference: only hooks did. */
static void candidate_was_not_found(void **state)
{
	struct fact_hold h = make_hold(HOW_KVM, CONF_CANDIDATE);
	struct fact_releaser rel = { .task = task_id(42), .fd = -1 };
	struct scene *s = *state;
	const struct wfg_page *page;

	h.refs = 0;
	s->page.refs = 3;
	scene_task(s, make_task(42, "qemu"));
	scene_hold(s, h, &rel, 1);
	scene_taken(s, HOW_KVM, CONF_EXACT, 42, 2);
	page = scene_page(s);
	assert_int_equal(page->nr_holds, 1);
	assert_int_equal(page->holds[0]->seen, SEEN_TRACE);
	assert_int_equal(page->holds[0]->h.how, HOW_KVM);
	assert_int_equal(page->holds[0]->h.confidence, CONF_EXACT);
	assert_int_equal(page->holds[0]->h.refs, 2);
	assert_int_equal(page->holds[0]->releasers[0].task->t.pid, 42);
	assert_int_equal(page->unattributed, 0);
}

/* Put into a pipe and found in an unknown object: it has been moved on, and no read(2) frees it. */
static void moved_on_from_a_pipe(void **state)
{
	struct fact_hold h = make_hold(HOW_UNKNOWN, CONF_LIKELY);
	struct fact_releaser rel = { .task = task_id(42), .fd = 5 };
	struct scene *s = *state;
	const struct wfg_hold *found;

	h.object_kind = "slab";
	h.object_id = "kmalloc-4k object 0x1";
	scene_task(s, make_task(42, "acme"));
	scene_hold(s, h, &rel, 1);
	scene_taken(s, HOW_VMSPLICE, CONF_EXACT, 42, 1);
	found = scene_page(s)->holds[0];
	assert_int_equal(found->h.how, HOW_UNKNOWN);
	assert_int_equal(found->h.confidence, CONF_EXACT);
	assert_int_equal(found->h.taker_pid, 42);
}

/* What no walker finds is told by the trace alone. */
static void unseen_otherwise(void **state)
{
	struct scene *s = *state;
	const struct wfg_page *page;

	scene_task(s, make_task(42, "acme"));
	scene_taken(s, HOW_UNKNOWN, CONF_EXACT, 42, 1);
	page = scene_page(s);
	assert_int_equal(page->nr_holds, 1);
	assert_int_equal(page->holds[0]->seen, SEEN_TRACE);
	assert_int_equal(page->holds[0]->h.refs, 1);
	assert_int_equal(page->unattributed, 0);
}

/* A page with one reference has one holder, whatever was seen of it how often. */
static void never_more_than_the_page_has(void **state)
{
	struct scene *s = *state;
	const struct wfg_page *page;

	scene_task(s, make_task(42, "wal"));
	scene_task(s, make_task(43, "acme"));
	scene_pipe(s, "pipe:[7]", 42, 3);
	scene_taken(s, HOW_DIRECT_IO, CONF_EXACT, 43, 1);
	page = scene_page(s);
	assert_int_equal(page->nr_holds, 1);
	assert_int_equal(page->holds[0]->h.how, HOW_VMSPLICE);
	assert_false(page->holds[0]->traced);
}

/* What was seen being taken is in the right against what is only likely. */
static void likely_gives_way(void **state)
{
	struct fact_releaser rel = { .task = task_id(42), .fd = 5 };
	struct scene *s = *state;
	const struct wfg_page *page;

	scene_task(s, make_task(42, "wal"));
	scene_task(s, make_task(43, "acme"));
	scene_hold(s, make_hold(HOW_DIRECT_IO, CONF_LIKELY), &rel, 1);
	scene_taken(s, HOW_FUSE, CONF_EXACT, 43, 1);
	page = scene_page(s);
	assert_int_equal(wfg_page_holders(page), 1);
	assert_int_equal(page->holds[0]->h.how, HOW_FUSE);
	assert_int_equal(page->holds[0]->h.confidence, CONF_EXACT);
	assert_int_equal(page->unattributed, 0);
}

/* Of three that were taken a pipe has two. */
static void the_rest_stays(void **state)
{
	struct fact_hold pipe = make_pipe("pipe:[7]");
	struct scene *s = *state;
	const struct wfg_page *page;

	pipe.refs = 2;
	s->page.refs = 4;
	scene_hold(s, pipe, NULL, 0);
	scene_taken(s, HOW_VMSPLICE, CONF_EXACT, 42, 3);
	page = scene_page(s);
	assert_int_equal(page->nr_holds, 2);
	assert_int_equal(page->holds[0]->h.refs, 2);
	assert_int_equal(page->holds[1]->h.refs, 1);
	assert_int_equal(page->holds[1]->seen, SEEN_TRACE);
	assert_int_equal(page->unattributed, 0);
}

#define IN_SCENE(test) cmocka_unit_test_setup_teardown(test, scene_setup, scene_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(counts_of_both_models),
		cmocka_unit_test(alone_has_all),
		cmocka_unit_test(what_the_count_does_not_support_is_gone),
		cmocka_unit_test(one_of_before_may_be_the_last),
		cmocka_unit_test(two_takers_and_no_release),
		cmocka_unit_test(two_takers_and_a_release),
		cmocka_unit_test(those_without_a_slot_count),
		cmocka_unit_test(a_spoiled_entry_says_nothing),
		cmocka_unit_test(mechanism_by_stack),
		cmocka_unit_test(asker_is_no_helper),
		IN_SCENE(both_are_one),
		IN_SCENE(likely_becomes_exact),
		IN_SCENE(candidate_was_not_found),
		IN_SCENE(moved_on_from_a_pipe),
		IN_SCENE(unseen_otherwise),
		IN_SCENE(never_more_than_the_page_has),
		IN_SCENE(likely_gives_way),
		IN_SCENE(the_rest_stays),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
