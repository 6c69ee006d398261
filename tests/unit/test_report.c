// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Reports against golden/NAME.txt, byte by byte. GOLDEN_UPDATE=1 writes the files anew: read the
 * difference before it is committed.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include <daxtop/collect.h>
#include <daxtop/view.h>

#include "build_graph.h"
#include "golden.h"
#include "view/hist.h"
#include "util/text.h"

static int setup(void **state)
{
	static struct scene s;

	scene_init(&s);
	ADD(s.g, FACT_PROBE, probe, ((struct fact_probe){ "kernel BTF", PROBE_OK, NULL }));
	ADD(s.g, FACT_PROBE, probe, ((struct fact_probe){ "task iterator", PROBE_OK, NULL }));
	*state = &s;
	return 0;
}

static int teardown(void **state)
{
	scene_free(*state);
	return 0;
}

static char *report(struct scene *s, const struct view_opts *opts)
{
	char *text = NULL;
	size_t len;
	FILE *out = open_memstream(&text, &len);

	assert_int_equal(view_report(out, s->g, &s->f, opts), 0);
	assert_int_equal(fclose(out), 0);
	return text;
}

static void assert_report(struct scene *s, const char *name, enum view_stacks stacks)
{
	const struct view_opts opts = { .stacks = stacks };
	char *text;

	scene_link(s);
	assert_int_equal(diagnose(s->g, &s->f), 0);
	text = report(s, &opts);
	assert_golden("golden", name, text);
	free(text);
}

static void waiter_stacks(struct scene *s)
{
	static const char *const k[] = {
		"xfs_break_dax_layouts+0x6d [xfs]",
		"xfs_break_layouts+0xc5 [xfs]",
		"xfs_vn_setattr+0x88 [xfs]",
		"notify_change+0x2f1",
		"do_truncate+0x91",
		"do_sys_ftruncate+0x1c2",
	};

	s->waiter.kstack = (struct fact_stack){ .frames = k, .n = 6 };
	s->waiter.ustack.why_missing = "the program was replaced since it started";
}

/* The scene's page, held by a pipe, and nobody who waits. */
static void held_report(struct scene *s, const char *name)
{
	const struct view_opts opts = { 0 };
	char *text;

	s->session.pins_pages = 131072;
	s->session.pins_ns = 12000000;
	ADD(s->g, FACT_PAGE, page, s->page);
	ADD(s->g, FACT_FILE, file, s->file);
	scene_task(s, make_task(31802, "feeder"));
	scene_pipe(s, "pipe:[88123]", 31802, 3);
	ADD(s->g, FACT_SESSION, session, s->session);
	assert_int_equal(wfg_link(s->g), 0);
	assert_int_equal(diagnose(s->g, &s->f), 0);
	text = report(s, &opts);
	assert_golden("golden", name, text);
	free(text);
}

static void pins(void **state)
{
	held_report(*state, "pins");
}

static void unprotected(void **state)
{
	struct scene *s = *state;

	scene_orphan(s);
	s->session.pins_left = 1000;
	held_report(s, "unprotected");
}

static void unbind(void **state)
{
	struct scene *s = *state;

	s->session.unbind = "pmem0";
	s->session.unbind_mount = "/pmem1";
	s->session.unbind_effect = UNBIND_CRASHES;
	held_report(s, "unbind");
}

static void unbind_ok(void **state)
{
	struct scene *s = *state;

	s->page.refs = s->page.idle_refs;
	s->session.unbind = "pmem0";
	s->session.unbind_mount = "/pmem1";
	held_report(s, "unbind_ok");
}

static void vmsplice(void **state)
{
	struct scene *s = *state;
	struct fact_releaser rel[] = { { .task = task_id(31802), .fd = 4, .reads = false },
				       { .task = task_id(5104), .fd = 0, .reads = true } };
	struct fact_hold h = make_pipe("pipe:[88123]");
	struct fact_task feeder = make_task(31802, "feeder");

	waiter_stacks(s);
	feeder.call = "nanosleep(0x7ffd1c20)";
	feeder.cgroup = "/user.slice/feeder.scope";
	h.detail = "in 1 of 2 filled pipe buffers";
	h.drain_bytes = 8192;
	scene_task(s, feeder);
	scene_task(s, make_task(5104, "logger"));
	scene_hold(s, h, rel, 2);
	for (u32 i = 0; i < 16; i++)
		scene_queued(s, 5200 + i, "postgres", (830 + i) * SECOND);
	scene_queued(s, 6000, "vacuum", 5 * SECOND);
	assert_report(s, "vmsplice", STACKS_BOTH);
}

static void two_holders(void **state)
{
	struct scene *s = *state;
	struct fact_releaser io = { .task = task_id(4181), .fd = -1 };
	struct fact_hold h = make_hold(HOW_DIRECT_IO, CONF_LIKELY);
	struct fact_task t = make_task(4181, "pgbackrest");

	s->page.refs = 1 + 1024 + 1;
	s->wait.op = OP_PUNCH_HOLE;
	s->waiter.call = "fallocate(17, 3, 1716224, 4096)";
	s->waiter.signals.caught = s->waiter.signals.restarts = SIGBIT(SIGINT);
	t.state = 'D';
	t.call = "pwrite64(9, 0x7f3a1c1a3000, 262144, 0)";
	h.target = "nvme0n1";
	scene_task(s, make_task(31802, "feeder"));
	scene_task(s, t);
	scene_pipe(s, "pipe:[88123]", 31802, 3);
	scene_hold(s, h, &io, 1);
	assert_report(s, "two_holders", STACKS_NONE);
}

static void direct_io(void **state)
{
	static const char *const k[] = { "submit_bio_wait+0x8d", "__blkdev_direct_IO_simple+0x1b0",
					 "blkdev_write_iter+0x20e", "vfs_write+0x2ab" };
	struct scene *s = *state;
	struct fact_releaser rel = { .task = task_id(4181), .fd = -1 };
	struct fact_hold h = make_hold(HOW_DIRECT_IO, CONF_EXACT);
	struct fact_task t = make_task(4181, "pgbackrest");

	waiter_stacks(s);
	t.state = 'D';
	t.call = "pwrite64(9, 0x7f3a1c1a3000, 262144, 0)";
	t.kstack = (struct fact_stack){ .frames = k, .n = 4 };
	h.target = "dm-0 (slow)";
	h.held_ns = 856200000000ULL;
	h.object_kind = "file";
	h.object_id = "fd 9";
	h.detail = "its bio, on its kernel stack, names the page";
	scene_task(s, t);
	scene_hold(s, h, &rel, 1);
	assert_report(s, "direct_io", STACKS_KERNEL);
}

static void mapping(void **state)
{
	struct scene *s = *state;
	struct fact_releaser rel[] = { { .task = task_id(71), .fd = -1, .reads = false },
				       { .task = task_id(72), .fd = -1, .reads = false } };
	struct fact_hold h = make_hold(HOW_MAPPING, CONF_EXACT);

	scene_zero_based(s, 2, 2);
	s->page.order = 9;
	s->page.index = 0x200;
	s->page.pincount = 0;
	h.object_kind = "mm";
	h.object_id = "0xffff888100a1c000";
	h.detail = "1 page table entries lead to the page";
	scene_task(s, make_task(71, "cat"));
	scene_task(s, make_task(72, "dog"));
	scene_hold(s, h, &rel[0], 1);
	h.object_id = "0xffff888100a1d000";
	h.detail = NULL;
	scene_hold(s, h, &rel[1], 1);
	assert_report(s, "mapping", STACKS_NONE);
}

static void lost_wakeup(void **state)
{
	struct scene *s = *state;

	s->page.refs = 1;
	assert_report(s, "lost_wakeup", STACKS_NONE);
}

static void self_deadlock(void **state)
{
	struct scene *s = *state;

	scene_evict(s, TRIGGER_LAST_CLOSE);
	s->file.path = NULL;
	scene_pipe(s, "pipe:[4711]", 20911, 4);
	assert_report(s, "self_deadlock", STACKS_NONE);
}

static void self_deadlock_exit(void **state)
{
	struct scene *s = *state;

	scene_evict(s, TRIGGER_EXIT);
	s->waiter.exiting = true;
	s->waiter.call = NULL;
	scene_pipe(s, "pipe:[4711]", 20911, -1);
	assert_report(s, "self_deadlock_exit", STACKS_NONE);
}

static void evict(void **state)
{
	struct scene *s = *state;
	struct fact_probe vma = { "vma iterator", PROBE_MISSING,
				  "tasks that map the file are not named" };
	struct fact_loss torn = { .kind = LOSS_TORN, .count = 2, .where = "bit_wait_table" };

	scene_evict(s, TRIGGER_UNLINK);
	s->waiter.call = "unlink(0x7ffc01020304)";
	s->waiter.asleep_ns = 11 * SECOND;
	scene_task(s, make_task(31802, "feeder"));
	scene_task(s, make_task(31803, "feeder"));
	scene_hold(s, make_pipe("pipe:[4711]"),
		   (struct fact_releaser[]){ { .task = task_id(31802), .fd = 3, .reads = true },
					     { .task = task_id(31803), .fd = 3, .reads = true } },
		   2);
	ADD(s->g, FACT_PROBE, probe, vma);
	ADD(s->g, FACT_LOSS, loss, torn);
	assert_report(s, "evict", STACKS_NONE);
}

static void unattributed(void **state)
{
	struct scene *s = *state;
	struct fact_releaser rel[] = { { .task = task_id(61), .fd = -1, .reads = false },
				       { .task = task_id(62), .fd = -1, .reads = false } };
	struct fact_hold h = make_hold(HOW_UNKNOWN, CONF_CANDIDATE);

	h.object_kind = "mm";
	h.detail = "maps this part of the file";
	s->page.refs = 1 + 1024;
	s->waiter.signals.known = false;
	s->waiter.asleep_ns = FACT_UNKNOWN;
	scene_task(s, make_task(61, "mapper"));
	scene_task(s, make_task(62, "other"));
	h.object_id = "0xffff888100a1c000";
	scene_hold(s, h, &rel[0], 1);
	h.object_id = "0xffff888100a1d000";
	scene_hold(s, h, &rel[1], 1);
	assert_report(s, "unattributed", STACKS_NONE);
}

/* Names that would clear the screen, forge lines, reorder text or run past the margin. */
static void hostile(void **state)
{
	struct scene *s = *state;
	char path[4097];

	memset(path, 'a', sizeof(path) - 1);
	path[0] = '/';
	path[sizeof(path) - 1] = '\0';
	memcpy(path + 100, "\033[2J\n\xe2\x80\xae \xff\x7f\xc2\x9b", 13);
	s->file.path = path;
	s->waiter.cgroup = "/\033]0;title\007\n TRUST all is well";
	memcpy(s->waiter.comm, "\033[31m\r\xc0\xaf", 9);
	scene_task(s, make_task(66, "\033[H\xe2\x81\xa6x\n"));
	scene_pipe(s, "pipe:[1\033c]", 66, 3);
	assert_report(s, "hostile", STACKS_NONE);
}

static void ok(void **state)
{
	const struct view_opts opts = { 0 };
	struct scene *s = *state;
	char *text;

	s->session.scope = "/pmem1";
	ADD(s->g, FACT_SESSION, session, s->session);
	assert_int_equal(wfg_link(s->g), 0);
	assert_int_equal(diagnose(s->g, &s->f), 0);
	text = report(s, &opts);
	assert_golden("golden", "ok", text);
	free(text);
}

static void nothing_found_but_lost(void **state)
{
	const struct view_opts opts = { 0 };
	struct scene *s = *state;
	struct fact_loss lost = { .kind = LOSS_LOST, .count = 3, .where = "bit_wait_table" };
	char *text;

	ADD(s->g, FACT_SESSION, session, s->session);
	ADD(s->g, FACT_LOSS, loss, lost);
	assert_int_equal(wfg_link(s->g), 0);
	text = report(s, &opts);
	assert_golden("golden", "lost", text);
	free(text);
}

/* Two waits, the worse one first, one trust section for both. */
static void several_waits(void **state)
{
	struct scene *s = *state;
	struct fact_task t = make_task(700, "punch");
	struct fact_wait w = {
		.task = t.id, .page = 0x40, .op = OP_PUNCH_HOLE, .interruptible = true
	};
	struct fact_page p = { .id = 0x40, .file = FILE_ID, .index = 7, .refs = 1, .idle_refs = 1 };

	ADD(s->g, FACT_TASK, task, t);
	ADD(s->g, FACT_PAGE, page, p);
	ADD(s->g, FACT_WAIT, wait, w);
	scene_pipe(s, "pipe:[9]", 20911, 4);
	assert_report(s, "several_waits", STACKS_NONE);
}

static void quiet_prints_verdicts_only(void **state)
{
	const struct view_opts opts = { .quiet = true, .stacks = STACKS_BOTH };
	struct scene *s = *state;
	char *text;

	s->page.refs = 1;
	scene_diagnose(s);
	text = report(s, &opts);
	assert_string_equal(text,
			    "LOST WAKE-UP: ftruncate by segtrim[20911] has waited 14m14s for page "
			    "0x1a3 (byte\n1716224) of /pmem1/db/seg.0042 (xfs on pmem0, ino 8391), "
			    "but the page is idle:\nits last reference went without waking the "
			    "waiter, a kernel bug.\n");
	free(text);
}

static void long_lists_are_cut(void **state)
{
	struct view_opts opts = { 0 };
	struct scene *s = *state;
	struct fact_releaser rel[100];
	char *text;

	for (u32 i = 0; i < 100; i++) {
		scene_task(s, make_task(1000 + i, "heir"));
		rel[i] = (struct fact_releaser){ .task = task_id(1000 + i), .fd = 3 };
	}
	scene_hold(s, make_pipe("pipe:[5]"), rel, 100);
	scene_diagnose(s);
	text = report(s, &opts);
	assert_non_null(strstr(text, "and 92 more tasks; -v shows all"));
	assert_null(strstr(text, "heir[1099]"));
	free(text);
	opts.verbose = 1;
	text = report(s, &opts);
	assert_non_null(strstr(text, "heir[1099]"));
	free(text);
}

/* Whatever the names, a report is printable and fits the width, commands apart. */
static void every_line_fits(void **state)
{
	static const char *const names[] = { "vmsplice", "two_holders",   "direct_io",
					     "hostile",  "self_deadlock", "unattributed",
					     "evict" };

	(void)state;
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		char source[] = __FILE__, path[512];
		char *text, *line;

		snprintf(path, sizeof(path), "%s/golden/%s.txt", dirname(source), names[i]);
		text = slurp(fopen(path, "r"));
		assert_true(text[0]);
		for (line = strtok(text, "\n"); line; line = strtok(NULL, "\n")) {
			assert_in_range(strlen(line), 1, TEXT_WIDTH);
			for (char *c = line; *c; c++)
				assert_in_range(*c, ' ', '~');
		}
		free(text);
	}
}

static void a_full_disk_is_an_error(void **state)
{
	const struct view_opts opts = { 0 };
	struct scene *s = *state;
	FILE *full = fopen("/dev/full", "w");

	assert_non_null(full);
	scene_diagnose(s);
	assert_int_equal(view_report(full, s->g, &s->f, &opts), -ENOSPC);
	assert_int_equal(view_json(full, s->g, &s->f, &opts), -ENOSPC);
	fclose(full);
}

static void check(void **state)
{
	struct refusal why = { .status = STATUS_NOPERM,
			       .cause = "missing CAP_BPF and CAP_PERFMON",
			       .consequence = "kernel memory cannot be read",
			       .command = "sudo daxtrace" };
	struct scene *s = *state;
	struct fact_probe vma = { "vma iterator", PROBE_MISSING,
				  "tasks that map the file are found through their system calls "
				  "only" };
	char *text = NULL;
	size_t len;
	FILE *out = open_memstream(&text, &len);

	ADD(s->g, FACT_PROBE, probe, vma);
	ADD(s->g, FACT_SESSION, session, s->session);
	assert_int_equal(wfg_link(s->g), 0);
	assert_int_equal(view_check(out, s->g, &why), 0);
	why.status = STATUS_OK;
	assert_int_equal(view_check(out, s->g, &why), 0);
	fclose(out);
	assert_golden("golden", "check", text);
	free(text);
}

/* Waits that are over stand before how far to trust it; the latest are shown. */
static void ended(void **state)
{
	const struct view_opts brief = { 0 }, verbose = { .verbose = 1 };
	struct scene *s = *state;
	char *text;

	ADD(s->g, FACT_SESSION, session, s->session);
	for (u32 i = 0; i < 14; i++) {
		struct fact_end e = { .pid = 100 + i, .tid = 100 + i, .comm = "a\033b" };

		e.op = OP_PUNCH_HOLE;
		e.path = i % 2 ? "/pmem1/x\n" : NULL;
		e.waited_ns = i % 3 ? i * SECOND : FACT_UNKNOWN;
		e.unseen_ns = SECOND;
		ADD(s->g, FACT_END, end, e);
	}
	assert_int_equal(wfg_link(s->g), 0);
	assert_int_equal(diagnose(s->g, &s->f), 0);
	text = report(s, &brief);
	assert_golden("golden", "ended", text);
	free(text);
	text = report(s, &verbose);
	assert_non_null(strstr(text, "[100]"));
	free(text);
}

/* Frames are cut at their offset; what separates them is not in them. */
static void folded(void **state)
{
	static const char *const kernel[] = { "schedule+0x1/0x2", NULL,
					      "do_sys_truncate+0x3/0x4 [xfs]" };
	static const char *const user[] = { "f;g h+0x1 [a.out]", "main" };
	struct scene *s = *state;
	char *text = NULL;
	size_t len;
	FILE *out = open_memstream(&text, &len);

	s->waiter.kstack = (struct fact_stack){ kernel, 3, NULL };
	s->waiter.ustack = (struct fact_stack){ user, 2, NULL };
	memcpy(s->waiter.comm, "a;b\n", 5);
	scene_link(s);
	assert_int_equal(view_folded(out, s->g, WHICH_WAIT), 0);
	assert_int_equal(fclose(out), 0);
	assert_string_equal(text, "a_b\\x0a;main;f_g_h;do_sys_truncate;?;schedule 854100000\n");
	free(text);
}

/* Whoever could release it, for as long as it is held; an object without a task is there too. */
static void folded_holds(void **state)
{
	static const char *const kernel[] = { "pipe_read+0x3f2/0x480", "vfs_read+0x1/0x2" };
	struct fact_hold unknown = make_pipe("pipe:[3]"), candidate = make_pipe("pipe:[4]");
	struct fact_releaser rel[] = { { .task = task_id(7), .fd = 3 }, { .task = task_id(8) } };
	struct fact_hold shared = make_pipe("pipe:[1]"), nobody = make_pipe("pipe:[2]");
	struct fact_task t = make_task(7, "reader");
	struct scene *s = *state;
	char *text = NULL;
	size_t len;
	FILE *out = open_memstream(&text, &len);

	t.kstack = (struct fact_stack){ kernel, 2, NULL };
	scene_task(s, t);
	scene_task(s, make_task(8, "writer"));
	shared.held_ns = 3 * SECOND;
	nobody.held_ns = SECOND;
	nobody.how = HOW_ZEROCOPY;
	candidate.held_ns = SECOND;
	candidate.confidence = CONF_CANDIDATE;
	scene_hold(s, shared, rel, 2);
	scene_hold(s, nobody, NULL, 0);
	scene_hold(s, unknown, rel, 2);
	scene_hold(s, candidate, rel, 2);
	scene_link(s);
	assert_int_equal(view_folded(out, s->g, WHICH_HOLD), 0);
	assert_int_equal(fclose(out), 0);
	assert_non_null(strstr(text, "reader;vfs_read;pipe_read;[vmsplice] 3000000\n"));
	assert_non_null(strstr(text, "writer;[vmsplice] 3000000\n"));
	assert_non_null(strstr(text, "(no_task);[zerocopy] 1000000\n"));
	assert_int_equal(len, strlen("reader;vfs_read;pipe_read;[vmsplice] 3000000\n"
				     "writer;[vmsplice] 3000000\n"
				     "(no_task);[zerocopy] 1000000\n"));
	free(text);
}

static void histogram(void **state)
{
	static const struct {
		enum fact_op op;
		u64 ns;
	} ends[] = {
		{ OP_TRUNCATE, 0 },
		{ OP_TRUNCATE, SECOND / 1000 - 1 },
		{ OP_TRUNCATE, SECOND / 1000 },
		{ OP_TRUNCATE, 59 * SECOND },
		{ OP_EVICT, 100000 * SECOND },
		{ OP_EVICT, FACT_UNKNOWN },
		{ OP_ALLOCATE, SECOND },
		{ OP_OTHER, SECOND },
	};
	struct scene *s = *state;
	struct hist h = { 0 };
	char *text = NULL;
	size_t len;
	FILE *out = open_memstream(&text, &len);

	scene_link(s);
	for (size_t i = 0; i < sizeof(ends) / sizeof(*ends); i++) {
		struct fact_end e = { .op = ends[i].op, .waited_ns = ends[i].ns };

		hist_add(&h, &e);
	}
	for (u32 i = 0; i < 997; i++)
		hist_add(&h, &(struct fact_end){ .op = OP_TRUNCATE, .waited_ns = SECOND });
	assert_int_equal(view_hist(out, s->g, &h), 0);
	assert_int_equal(fclose(out), 0);
	assert_golden("golden", "hist", text);
	free(text);
}

static void histogram_of_holds(void **state)
{
	struct scene *s = *state;
	struct fact_hold pipe = make_pipe("pipe:[88123]"), other = make_pipe("pipe:[88124]");
	struct fact_hold maybe = make_pipe("pipe:[88125]"), nobody = make_pipe("pipe:[88126]");
	char *text = NULL;
	size_t len;
	FILE *out = open_memstream(&text, &len);

	pipe.held_ns = 61 * SECOND;
	maybe.confidence = CONF_CANDIDATE;
	scene_hold(s, pipe, NULL, 0);
	scene_hold(s, other, NULL, 0);
	scene_hold(s, maybe, NULL, 0);
	nobody.how = HOW_ZEROCOPY;
	nobody.held_ns = SECOND;
	scene_hold(s, nobody, NULL, 0);
	scene_link(s);
	assert_int_equal(view_hist_holds(out, s->g), 0);
	assert_int_equal(fclose(out), 0);
	assert_golden("golden", "hist-holds", text);
	free(text);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(vmsplice),
		TEST(pins),
		TEST(unprotected),
		TEST(unbind),
		TEST(unbind_ok),
		TEST(two_holders),
		TEST(direct_io),
		TEST(mapping),
		TEST(lost_wakeup),
		TEST(self_deadlock),
		TEST(self_deadlock_exit),
		TEST(evict),
		TEST(unattributed),
		TEST(hostile),
		TEST(ok),
		TEST(ended),
		TEST(folded),
		TEST(folded_holds),
		TEST(histogram),
		TEST(histogram_of_holds),
		TEST(nothing_found_but_lost),
		TEST(several_waits),
		TEST(quiet_prints_verdicts_only),
		TEST(long_lists_are_cut),
		cmocka_unit_test(every_line_fits),
		TEST(a_full_disk_is_an_error),
		TEST(check),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
