// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "build_graph.h"

/* A string of the finding that contains all of s, NULL none. */
static const char *find(const struct sentences *list, const char *s)
{
	for (u32 i = 0; i < list->n; i++)
		if (strstr(list->s[i], s))
			return list->s[i];
	return NULL;
}

static const struct advice *advice_for(const struct finding *f, const char *action)
{
	for (u32 i = 0; i < f->nr_advice; i++)
		if (!strcmp(f->advice[i].action, action))
			return &f->advice[i];
	return NULL;
}

static void assert_advice(const struct finding *f, const char *action, const char *proven_by)
{
	const struct advice *a = advice_for(f, action);

	assert_non_null(a);
	assert_true(a->command);
	assert_string_equal(a->proven_by, proven_by);
	assert_true(a->effect[0]);
}

static void assert_status(struct scene *s, int status)
{
	assert_int_equal(findings_exit_status(s->g, &s->f), status);
}

#define assert_has(string, part)   assert_non_null(strstr(string, part))
#define assert_hasnt(string, part) assert_null(strstr(string, part))

static void assert_no_command(const struct finding *f, const char *name)
{
	for (u32 i = 0; i < f->nr_advice; i++)
		assert_hasnt(f->advice[i].action, name);
}

/* A pipe of another process that nobody reads. */
static const struct finding *foreign_pipe(struct scene *s)
{
	scene_task(s, make_task(31802, "feeder"));
	scene_pipe(s, "pipe:[88123]", 31802, 4);
	return scene_diagnose(s);
}

static void a_foreign_pipe_blocks(void **state)
{
	const struct finding *f = foreign_pipe(*state);

	assert_int_equal(f->code, FINDING_BLOCKED);
	assert_string_equal(f->text, "STUCK: ftruncate by segtrim[20911] has waited 14m14s for "
				     "page 0x1a3 (byte 1716224) of /pmem1/db/seg.0042 (xfs on "
				     "pmem0, ino 8391), held in pipe:[88123] by feeder[31802].");
	assert_advice(f, "kill -INT 20911", "advice-vmsplice");
	assert_advice(f, "kill 31802", "advice-vmsplice");
	/* Safest first: the reader loses nothing, the waiter its operation, the holder its data. */
	assert_string_equal(f->advice[0].action, "Let feeder[31802] read pipe:[88123].");
	assert_string_equal(f->advice[1].action, "kill -INT 20911");
	assert_status(*state, 10);
}

static struct fact_hold make_socket(bool outbound)
{
	struct fact_hold h = make_hold(outbound ? HOW_ZEROCOPY : HOW_SOCKET, CONF_EXACT);

	h.object_kind = "socket";
	h.object_id = "socket:[99]";
	h.target = outbound ? "10.0.0.9:443" : NULL;
	h.outbound = outbound;
	return h;
}

static void a_received_packet_waits_to_be_read(void **state)
{
	struct fact_releaser rel = { .task = task_id(31802), .fd = 5, .reads = true };
	struct scene *s = *state;
	const struct finding *f;

	scene_task(s, make_task(31802, "feeder"));
	scene_hold(s, make_socket(false), &rel, 1);
	f = scene_diagnose(s);
	assert_has(f->text, "held in socket:[99] by feeder[31802].");
	assert_string_equal(f->advice[0].action, "Let feeder[31802] read socket:[99].");
	assert_advice(f, "kill 31802", "advice-socket");
	assert_status(s, 10);
}

static void a_sent_packet_waits_for_its_peer(void **state)
{
	struct fact_releaser rel = { .task = task_id(31802), .fd = 5, .reads = true };
	struct scene *s = *state;
	const struct finding *f;

	scene_task(s, make_task(31802, "feeder"));
	scene_hold(s, make_socket(true), &rel, 1);
	f = scene_diagnose(s);
	assert_string_equal(f->advice[0].action, "Let the peer 10.0.0.9:443 of socket:[99] read.");
	assert_null(advice_for(f, "kill 31802"));
	assert_non_null(find(&f->notes, "Ending feeder[31802] may not release the page"));
}

/* The other end is on this machine, and no reading of it would help. */
static void packets_that_do_not_arrive_are_not_to_be_read(void **state)
{
	struct fact_releaser rel = { .task = task_id(31802), .fd = 5, .reads = true };
	struct fact_hold h = make_socket(true);
	struct scene *s = *state;
	const struct finding *f;

	h.local = "10.0.0.1:80";
	h.undelivered = true;
	scene_task(s, make_task(31802, "feeder"));
	scene_hold(s, h, &rel, 1);
	f = scene_diagnose(s);
	assert_string_equal(f->advice[0].action,
			    "Let the packets of socket:[99] reach 10.0.0.9:443.");
	assert_advice(f, "ss -tK src 10.0.0.1:80 dst 10.0.0.9:443", "tcp-reset");
	assert_has(advice_for(f, "ss -tK src 10.0.0.1:80 dst 10.0.0.9:443")->effect,
		   "Resets this connection of feeder[31802]");
	assert_null(advice_for(f, "kill 31802"));
}

static u32 count_advice(const struct finding *f, const char *action)
{
	u32 n = 0;

	for (u32 i = 0; i < f->nr_advice; i++)
		n += !strcmp(f->advice[i].action, action);
	return n;
}

/* One end of a connection has sent to the other, which has not read: both queues have the page. */
static void one_reader_releases_both_queues(void **state)
{
	struct fact_releaser rel = { .task = task_id(31802), .fd = 5, .reads = true };
	struct fact_hold sent = make_socket(true), received = make_socket(false);
	struct scene *s = *state;
	const struct finding *f;

	scene_task(s, make_task(31802, "feeder"));
	sent.peer = "socket:[98]";
	received.object_id = "socket:[98]";
	s->page.refs = s->page.idle_refs + 2;
	scene_hold(s, sent, &rel, 1);
	scene_hold(s, received, &rel, 1);
	f = scene_diagnose(s);
	assert_non_null(find(&f->cause, "The other end is open in feeder[31802] (fd 5, can read). "
					"The page goes when socket:[98] is read, or closed."));
	assert_int_equal(count_advice(f, "Let feeder[31802] read socket:[98]."), 1);
	assert_int_equal(count_advice(f, "kill 31802"), 1);
	assert_has(advice_for(f, "Let feeder[31802] read socket:[98].")->effect,
		   "the references go and the ftruncate goes on");
	assert_null(strstr(advice_for(f, "kill 31802")->effect, "other reference"));
}

static void a_connection_without_a_task_can_be_reset(void **state)
{
	struct fact_hold h = make_socket(true);
	struct scene *s = *state;
	const struct finding *f;

	h.object_id = "tcp 10.0.0.1:80>10.0.0.9:443";
	h.local = "10.0.0.1:80";
	scene_hold(s, h, NULL, 0);
	f = scene_diagnose(s);
	assert_advice(f, "ss -tK src 10.0.0.1:80 dst 10.0.0.9:443", "advice-orphan");
	assert_null(find(&f->notes, "no known task"));
}

static void no_command_is_made_of_what_is_no_address(void **state)
{
	struct fact_hold h = make_socket(true);
	struct scene *s = *state;
	const struct finding *f;

	h.local = "10.0.0.1:80; reboot";
	scene_hold(s, h, NULL, 0);
	f = scene_diagnose(s);
	for (u32 i = 0; i < f->nr_advice; i++)
		assert_null(strstr(f->advice[i].action, "reboot"));
}

/* ss(8) looks into the network namespace in which it runs. */
static void a_connection_elsewhere_gets_no_command(void **state)
{
	struct fact_hold h = make_socket(true);
	struct scene *s = *state;
	const struct finding *f;

	h.object_id = "tcp 10.0.0.1:80>10.0.0.9:443 in net:[4026532169]";
	scene_hold(s, h, NULL, 0);
	f = scene_diagnose(s);
	for (u32 i = 0; i < f->nr_advice; i++)
		assert_null(strstr(f->advice[i].action, "ss "));
}

static void traffic_frees_packets_of_a_cpu(void **state)
{
	struct fact_hold h = make_hold(HOW_KERNEL, CONF_EXACT);
	struct scene *s = *state;

	h.object_kind = "cpu";
	h.object_id = "CPU 3";
	scene_hold(s, h, NULL, 0);
	assert_advice(scene_diagnose(s), "taskset -c 3 ping -c 1 127.0.0.1", "advice-deferred");
}

/*
 * The waiter has the socket that would receive its own pipe: no pending close, no deadlock proof.
 */
static void a_pipe_in_flight_is_no_pending_close(void **state)
{
	struct scene *s = *state;
	struct fact_releaser rel = { .task = s->waiter.id, .fd = -1, .receives = true };
	const struct finding *f;

	s->waiter.threads = 2;
	scene_hold(s, make_pipe("pipe:[4711]"), &rel, 1);
	f = scene_diagnose(s);
	assert_int_equal(f->code, FINDING_BLOCKED);
	assert_non_null(find(&f->cause, "(can receive it)"));
}

static void age_decides_the_word(void **state)
{
	struct scene *s = *state;

	s->waiter.asleep_ns = 59 * SECOND;
	assert_has(foreign_pipe(s)->text, "BLOCKED: ftruncate by segtrim[20911] has waited 59.0s");
}

static void unknown_is_said(void **state)
{
	struct scene *s = *state;
	const struct finding *f;

	s->waiter.asleep_ns = FACT_UNKNOWN;
	s->waiter.call = NULL;
	s->file.path = NULL;
	s->file.fstype = NULL;
	s->file.device = NULL;
	s->page.index = FACT_UNKNOWN;
	f = foreign_pipe(s);
	assert_has(f->text, "BLOCKED: truncate by segtrim[20911] has waited an unknown time for a "
			    "page of an unnamed file (unknown filesystem on device 259:1, ino "
			    "8391), held in");
}

static void nothing_known_does_not_crash(void **state)
{
	struct scene *s = *state;
	const struct finding *f;

	s->wait.page = 0;
	s->wait.file = 0;
	f = scene_diagnose(s);
	assert_int_equal(f->code, FINDING_BLOCKED);
	assert_has(f->text, "a DAX page that could not be read of an unknown file");
	assert_non_null(find(&f->notes, "could not be read"));
	assert_status(s, 11);
}

static void operations_have_words(void **state)
{
	struct scene *s = *state;

	s->wait.op = OP_PUNCH_HOLE;
	s->waiter.call = "fallocate(3, 3, 0, 4096)";
	assert_has(foreign_pipe(s)->text, "hole punch by segtrim[20911]");
	assert_has(advice_for(&s->f.f[0], "kill -INT 20911")->effect, "the file stays as it is");
}

static void a_thread_is_named(void **state)
{
	struct scene *s = *state;

	s->waiter.tid = 20915;
	s->waiter.threads = 3;
	assert_has(foreign_pipe(s)->text, "segtrim[20911] thread 20915 has waited");
}

static void folios_and_shared_pages(void **state)
{
	struct scene *s = *state;

	s->page.order = 9;
	s->page.pincount = 0;
	s->page.shared = 2;
	assert_has(foreign_pipe(s)->text,
		   "page 0x1a3 (byte 1716224, in a folio of 2 MiB, shared by 2 files) of");
}

static void the_strongest_of_several_is_named(void **state)
{
	struct scene *s = *state;
	struct fact_hold io = make_hold(HOW_DIRECT_IO, CONF_LIKELY);
	struct fact_releaser rel = { .task = task_id(4181), .fd = -1 };
	const struct finding *f;

	s->page.refs = 1 + 1024 + 2;
	io.target = "nvme0n1";
	scene_task(s, make_task(4181, "pgbackrest"));
	scene_hold(s, io, &rel, 1);
	f = foreign_pipe(s);
	assert_has(f->text, "held in pipe:[88123] by feeder[31802] and 1 more holder, and 1 more "
			    "reference is unexplained.");
	assert_has(advice_for(f, "kill 31802")->effect, "2 other references have to go");
	assert_status(s, 11);
}

static void many_tasks_are_counted(void **state)
{
	struct scene *s = *state;
	struct fact_releaser rel[5];
	const struct finding *f;

	for (u32 i = 0; i < 5; i++) {
		scene_task(s, make_task(50 + i, "heir"));
		rel[i] = (struct fact_releaser){ .task = task_id(54 - i), .fd = 3 };
	}
	scene_hold(s, make_pipe("pipe:[5]"), rel, 5);
	f = scene_diagnose(s);
	assert_has(f->text, "held in pipe:[5] by heir[50], heir[51] and 3 other processes.");
	assert_null(advice_for(f, "kill 50"));
	assert_has(find(&f->notes, "all of these have closed it"),
		   "heir[50], heir[51], heir[52], heir[53] and heir[54].");
}

static void a_pipe_without_tasks(void **state)
{
	struct scene *s = *state;
	const struct finding *f;

	scene_hold(s, make_pipe("pipe:[5]"), NULL, 0);
	f = scene_diagnose(s);
	assert_has(f->text, "held in pipe:[5], which no known task has open.");
	assert_has(f->cause.s[0], "it was made by uid 1000");
	assert_status(s, 10);
}

static void an_unknown_releaser_is_not_forgotten(void **state)
{
	struct scene *s = *state;
	struct fact_releaser rel[] = { { .task = task_id(31802), .fd = 4, .reads = true },
				       { .task = task_id(404), .fd = 4, .reads = true } };
	const struct finding *f;

	scene_task(s, make_task(31802, "feeder"));
	scene_hold(s, make_pipe("pipe:[5]"), rel, 2);
	f = scene_diagnose(s);
	assert_null(advice_for(f, "kill 31802"));
	assert_non_null(find(&f->notes, "could not be identified"));
}

static void unexplained_references(void **state)
{
	struct scene *s = *state;
	struct fact_releaser rel[] = { { .task = task_id(61), .fd = -1, .reads = false },
				       { .task = task_id(62), .fd = -1, .reads = false } };
	const struct finding *f;

	s->page.refs = 3;
	scene_task(s, make_task(61, "mapper"));
	scene_task(s, make_task(62, "other"));
	scene_hold(s, make_hold(HOW_UNKNOWN, CONF_CANDIDATE), rel, 2);
	f = scene_diagnose(s);
	assert_has(f->text, "; who holds its 2 busy references is not known, candidates: "
			    "mapper[61] and other[62].");
	assert_non_null(find(&f->cause, "[unknown] 2 references are not explained"));
	assert_non_null(find(&f->cause, "[candidate] mapper[61] and other[62]: has the means"));
	assert_null(advice_for(f, "kill 61"));
	assert_status(s, 11);
}

/* One sentence for each reason, not for each task. */
static void candidates_are_grouped(void **state)
{
	struct scene *s = *state;
	struct fact_hold h = make_hold(HOW_UNKNOWN, CONF_CANDIDATE);
	const struct finding *f;

	for (u32 i = 0; i < 6; i++) {
		struct fact_releaser rel = { .task = task_id(60 + i), .fd = -1 };

		scene_task(s, make_task(60 + i, "mapper"));
		h.detail = i == 3 ? "reads it" : "maps it";
		scene_hold(s, h, &rel, 1);
	}
	f = scene_diagnose(s);
	assert_int_equal(f->cause.n, 3);
	assert_string_equal(f->cause.s[0], "[candidate] mapper[60], mapper[61], mapper[62], "
					   "mapper[64] and 1 other process: maps it. No reference "
					   "was seen.");
	assert_string_equal(f->cause.s[1],
			    "[candidate] mapper[63]: reads it. No reference was seen.");
}

static void candidates_are_cleared_by_an_explanation(void **state)
{
	struct scene *s = *state;
	struct fact_releaser rel = { .task = task_id(60), .fd = -1 };

	scene_task(s, make_task(60, "mapper"));
	scene_hold(s, make_hold(HOW_UNKNOWN, CONF_CANDIDATE), &rel, 1);
	assert_null(find(&foreign_pipe(s)->cause, "[candidate]"));
}

static const struct finding *direct_io(struct scene *s, const char *target)
{
	struct fact_hold h = make_hold(HOW_DIRECT_IO, CONF_EXACT);
	struct fact_releaser rel = { .task = task_id(4181), .fd = -1 };
	struct fact_task t = make_task(4181, "pgbackrest");

	t.state = 'D';
	h.target = target;
	scene_task(s, t);
	scene_hold(s, h, &rel, 1);
	return scene_diagnose(s);
}

static void direct_io_to_device_mapper(void **state)
{
	const struct finding *f = direct_io(*state, "dm-0 (slow-disk)");

	assert_has(f->text, "held by pgbackrest[4181] for O_DIRECT I/O to dm-0 (slow-disk).");
	assert_string_equal(f->advice[0].action, "dmsetup info slow-disk");
	assert_string_equal(f->advice[1].action, "dmsetup resume slow-disk");
	assert_string_equal(f->advice[1].proven_by, "advice-dio");
	assert_string_equal(f->advice[2].action, "kill -INT 20911");
	assert_null(advice_for(f, "kill 4181"));
	assert_non_null(find(&f->notes, "does not release the page"));
	assert_non_null(find(&f->notes, "state D"));
}

static void direct_io_elsewhere(void **state)
{
	const struct finding *f = direct_io(*state, "nvme0n1");

	assert_string_equal(f->advice[0].action, "Make nvme0n1 answer.");
	assert_string_equal(f->advice[0].proven_by, "nbd-dio");
}

/* One task that holds the page by a mechanism with this target. */
static const struct finding *held_for(struct scene *s, enum fact_how how, const char *target)
{
	struct fact_hold h = make_hold(how, CONF_EXACT);
	struct fact_releaser rel = { .task = task_id(4181), .fd = -1 };

	h.target = target;
	scene_task(s, make_task(4181, "backup"));
	scene_hold(s, h, &rel, 1);
	return scene_diagnose(s);
}

static const struct finding *io_stuck_in(struct scene *s, const char *device, const char *frozen)
{
	struct fact_hold h = make_hold(HOW_AIO, CONF_EXACT);
	struct fact_releaser rel = { .task = task_id(4181), .fd = -1 };

	h.target = "dm-0 (volume)";
	h.device = device;
	h.frozen = frozen;
	scene_task(s, make_task(4181, "qemu"));
	scene_hold(s, h, &rel, 1);
	return scene_diagnose(s);
}

static void process_vm_is_ended_with_its_caller(void **state)
{
	const struct finding *f = held_for(*state, HOW_PROCESS_VM, "memory of db[77]");

	assert_has(f->text, "process_vm_writev(2) on memory of db[77]");
	assert_advice(f, "kill 4181", "advice-process-vm");
}

static void core_dump_takes_sigkill_only(void **state)
{
	const struct finding *f = held_for(*state, HOW_COREDUMP, "pipe:[12] of collector[99]");

	assert_has(f->text, "for a core dump to pipe:[12] of collector[99]");
	assert_string_equal(f->advice[0].action, "Let pipe:[12] of collector[99] be read.");
	assert_advice(f, "kill -KILL 4181", "advice-coredump");
}

static void fuse_connection_is_aborted_by_number(void **state)
{
	const struct finding *f = held_for(*state, HOW_FUSE,
					   "/mnt/f/a (fuse: sshfs[9], connection 45)");

	assert_advice(f, "echo 1 > /sys/fs/fuse/connections/45/abort", "advice-fuse");
	assert_null(advice_for(f, "kill 4181"));
}

/* The number comes last; what looks like one before it is part of a name. */
static void no_other_fuse_connection_is_aborted(void **state)
{
	static const char *const targets[] = { "/mnt/x, connection 7) (fuse)",
					       "/mnt/x, connection 7;reboot)",
					       "/mnt/x, connection 7", "/mnt/x, connection )",
					       "/mnt/x" };

	scene_teardown(state);
	for (size_t i = 0; i < sizeof(targets) / sizeof(targets[0]); i++) {
		const struct finding *f;

		scene_init(*state);
		f = held_for(*state, HOW_FUSE, targets[i]);
		for (u32 a = 0; a < f->nr_advice; a++)
			assert_hasnt(f->advice[a].action, "abort");
		scene_teardown(state);
	}
	scene_init(*state);
}

static void advice_is_for_the_device_that_stalls(void **state)
{
	const struct finding *f = io_stuck_in(*state, "sda", NULL);

	assert_string_equal(f->advice[0].action, "Make sda answer.");
	assert_no_command(f, "dmsetup");
}

static void network_block_device_can_be_disconnected(void **state)
{
	const struct finding *f = io_stuck_in(*state, "nbd12p1", NULL);

	assert_string_equal(f->advice[0].action, "Make nbd12p1 answer.");
	assert_string_equal(f->advice[1].action, "nbd-client -d /dev/nbd12");
	assert_has(f->advice[1].effect, "What was to be written is lost");
	assert_string_equal(f->advice[1].proven_by, "advice-nbd");
}

static void frozen_filesystem_is_to_be_thawed(void **state)
{
	const struct finding *f = io_stuck_in(*state, "loop0 over /mnt/lower/image (ext4)",
					      "/mnt/lower");

	assert_string_equal(f->advice[0].action, "fsfreeze -u /mnt/lower");
	assert_string_equal(f->advice[0].proven_by, "advice-loop");
}

static void hostile_mount_points_reach_no_shell(void **state)
{
	const struct finding *f = io_stuck_in(*state, "loop0 over /a b/image (ext4)", "/a b");

	assert_no_command(f, "fsfreeze");
	assert_string_equal(f->advice[0].action, "Make loop0 over /a b/image (ext4) answer.");
}

static void hostile_device_names_reach_no_shell(void **state)
{
	static const char *const names[] = { "dm-0 (a;reboot)", "dm-0 (a b)", "dm-0 (-f)",
					     "dm-0 ($(id))",    "dm-0 ()",    "dm-0 (a",
					     "dm-0 (a\n)" };

	scene_teardown(state);
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		struct scene *s = *state;

		scene_init(s);
		assert_no_command(direct_io(s, names[i]), "dmsetup");
		scene_teardown(state);
	}
	scene_init(*state);
}

/* Which of the targets keeps the I/O decides what shows why, and what lets it go on. */
static void unqueued_io_is_for_its_target(void **state)
{
	static const struct {
		const char *type, *command, *action, *proof;
	} cases[] = {
		{ "thin-pool", "dmsetup status data",
		  "Give the pool data more space, as with lvextend.", "thin-aio" },
		{ "multipath", "dmsetup status data", "Make one of the paths of data work.",
		  "multipath-bio" },
		{ "delay", "dmsetup table data", "Suspend and resume data.", "delay-aio" },
		{ "dust", "dmsetup table data", "Make data answer.", "delay-aio" },
		{ NULL, "dmsetup table data", "Make data answer.", "delay-aio" },
	};

	scene_teardown(state);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct fact_hold h = make_hold(HOW_AIO, CONF_EXACT);
		struct fact_releaser rel = { .task = task_id(4181), .fd = -1 };
		const struct finding *f;

		scene_init(*state);
		h.device = "dm-3 (data)";
		h.device_type = cases[i].type;
		h.unqueued = true;
		scene_task(*state, make_task(4181, "qemu"));
		scene_hold(*state, h, &rel, 1);
		f = scene_diagnose(*state);
		assert_string_equal(f->advice[0].action, cases[i].command);
		assert_string_equal(f->advice[1].action, cases[i].action);
		assert_string_equal(f->advice[1].proven_by, cases[i].proof);
		scene_teardown(state);
	}
	scene_init(*state);
}

static const struct finding *held_back_in(struct scene *s, const char *limit_by)
{
	struct fact_hold h = make_hold(HOW_AIO, CONF_EXACT);
	struct fact_releaser rel = { .task = task_id(4181), .fd = -1 };

	h.target = h.device = "nbd0";
	h.limit = "/slow";
	h.limit_by = limit_by;
	scene_task(s, make_task(4181, "qemu"));
	scene_hold(s, h, &rel, 1);
	return scene_diagnose(s);
}

static void limit_of_a_cgroup_is_to_be_raised(void **state)
{
	static const char *const by[] = { NULL, "io.max" }; /* NULL: an older recording */

	scene_teardown(state);
	for (size_t i = 0; i < sizeof(by) / sizeof(by[0]); i++) {
		const struct finding *f;

		scene_init(*state);
		f = held_back_in(*state, by[i]);
		assert_string_equal(f->advice[0].action, "Raise or remove the limit in io.max of "
							 "cgroup /slow for nbd0.");
		assert_no_command(f, "nbd-client");
		scene_teardown(state);
	}
	scene_init(*state);
}

/* Nobody has seen that it helps to raise it. */
static void share_of_a_cgroup_is_a_note(void **state)
{
	const struct finding *f = held_back_in(*state, "io.cost");

	assert_non_null(find(&f->notes, "io.weight"));
	for (u32 i = 0; i < f->nr_advice; i++)
		assert_null(strstr(f->advice[i].action, "/slow"));
	assert_no_command(f, "nbd-client");
}

static void array_that_takes_no_io_is_looked_at(void **state)
{
	struct fact_hold h = make_hold(HOW_DIRECT_IO, CONF_EXACT);
	struct fact_releaser rel = { .task = task_id(4181), .fd = 4 };
	const struct finding *f;

	h.target = h.device = "md127p1";
	h.unqueued = true;
	scene_task(*state, make_task(4181, "qemu"));
	scene_hold(*state, h, &rel, 1);
	f = scene_diagnose(*state);
	assert_string_equal(f->advice[0].action, "cat /sys/block/md127/md/array_state "
						 "/sys/block/md127/md/suspend_hi");
	assert_string_equal(f->advice[1].action, "Make md127p1 answer.");
}

/* An I/O completes by itself, so its task is not deadlocked with itself. */
static void own_direct_io_is_no_deadlock(void **state)
{
	struct scene *s = *state;
	struct fact_releaser rel = { .task = s->waiter.id, .fd = -1 };

	scene_hold(s, make_hold(HOW_DIRECT_IO, CONF_EXACT), &rel, 1);
	assert_int_equal(scene_diagnose(s)->code, FINDING_BLOCKED);
}

static const struct finding *only_mapped(struct scene *s, u64 caught)
{
	struct fact_hold h = make_hold(HOW_MAPPING, CONF_EXACT);
	struct fact_releaser rel[] = { { .task = task_id(71), .fd = -1, .reads = false },
				       { .task = task_id(72), .fd = -1, .reads = false } };
	struct fact_task t = make_task(72, "dog");

	t.signals.caught = caught;
	scene_zero_based(s, 2, 2);
	h.refs = 2;
	scene_task(s, make_task(71, "cat"));
	scene_task(s, t);
	scene_hold(s, h, rel, 2);
	return scene_diagnose(s);
}

static void mappings_alone(void **state)
{
	const struct finding *f = only_mapped(*state, 0);

	assert_has(f->text, "; nobody pins it, but 2 page table entries of cat[71] and dog[72] map "
			    "it, and each counts as a reference.");
	assert_advice(f, "kill 71 72", "advice-retouch");
	assert_status(*state, 10);
}

static void ending_some_mappers_is_not_advised(void **state)
{
	const struct finding *f = only_mapped(*state, SIGBIT(SIGTERM));

	assert_null(advice_for(f, "kill 71"));
	assert_null(advice_for(f, "kill 71 72"));
	assert_non_null(find(&f->notes, "Ending dog[72] is not advised"));
}

/* Before 6.15 a page table entry is no reference, so ending its task frees nothing. */
static void mappers_that_do_not_count_are_left_alone(void **state)
{
	struct scene *s = *state;
	struct fact_releaser rel = { .task = task_id(71), .fd = -1 };

	scene_task(s, make_task(71, "cat"));
	scene_hold(s, make_hold(HOW_MAPPING, CONF_EXACT), &rel, 1);
	assert_null(advice_for(scene_diagnose(s), "kill 71"));
}

/* Lost wake-up */

static void lost_wakeup(void **state)
{
	struct scene *s = *state;
	const struct finding *f;

	s->page.refs = 1;
	f = scene_diagnose(s);
	assert_int_equal(f->code, FINDING_LOST_WAKEUP);
	assert_has(f->text, "LOST WAKE-UP: ftruncate by segtrim[20911] has waited 14m14s for page "
			    "0x1a3");
	assert_advice(f, "kill -STOP 20911; kill -CONT 20911", "lost-wakeup");
	assert_status(s, 12);
}

static void an_incoherent_read_proves_no_lost_wakeup(void **state)
{
	struct scene *s = *state;
	const struct finding *f;

	s->page.refs = 1;
	s->session.coherent_idle = false;
	f = scene_diagnose(s);
	assert_int_equal(f->code, FINDING_BLOCKED);
	assert_has(f->text, "became idle just now");
	assert_non_null(find(&f->notes, "Run daxtrace again"));
	assert_int_equal(f->nr_advice, 0);
	assert_status(s, 11);
}

static void a_running_waiter_lost_no_wakeup(void **state)
{
	struct scene *s = *state;

	s->page.refs = 1;
	s->waiter.state = 'R';
	assert_int_equal(scene_diagnose(s)->code, FINDING_BLOCKED);
}

static void a_count_below_idle_is_no_idle_page(void **state)
{
	struct scene *s = *state;
	const struct finding *f;

	s->page.refs = -3;
	f = scene_diagnose(s);
	assert_int_equal(f->code, FINDING_BLOCKED);
	assert_has(f->text, "cannot be right");
}

static void only_mapped_is_no_lost_wakeup(void **state)
{
	struct scene *s = *state;

	scene_zero_based(s, 1, 1);
	assert_int_equal(scene_diagnose(s)->code, FINDING_BLOCKED);
}

static void stop_and_continue_needs_a_restart(void **state)
{
	struct scene *s = *state;
	const struct finding *f;

	s->page.refs = 1;
	s->waiter.signals.caught = SIGBIT(SIGCONT);
	f = scene_diagnose(s);
	assert_int_equal(f->nr_advice, 1);
	assert_advice(f, "kill -INT 20911", "advice-vmsplice");
	assert_non_null(find(&f->notes, "SIGCONT runs a handler"));
}

static void a_restarting_sigcont_is_fine(void **state)
{
	struct scene *s = *state;

	s->page.refs = 1;
	s->waiter.signals.caught = s->waiter.signals.restarts = SIGBIT(SIGCONT);
	assert_non_null(advice_for(scene_diagnose(s), "kill -STOP 20911; kill -CONT 20911"));
}

static void an_uninterruptible_lost_wakeup_has_no_cure(void **state)
{
	struct scene *s = *state;
	const struct finding *f;

	scene_evict(s, TRIGGER_UNLINK);
	s->page.refs = 0;
	f = scene_diagnose(s);
	assert_int_equal(f->code, FINDING_LOST_WAKEUP);
	assert_int_equal(f->nr_advice, 0);
	assert_non_null(find(&f->notes, "not even SIGKILL"));
}

static void a_kernel_thread_takes_no_signal(void **state)
{
	struct scene *s = *state;
	const struct finding *f;

	s->page.refs = 1;
	s->waiter.kthread = true;
	f = scene_diagnose(s);
	assert_int_equal(f->nr_advice, 0);
	assert_non_null(find(&f->notes, "is a kernel thread"));
}

/* Self-deadlock */

static void evicting_its_own_pipe(void **state)
{
	struct scene *s = *state;
	const struct finding *f;

	scene_evict(s, TRIGGER_LAST_CLOSE);
	scene_pipe(s, "pipe:[7]", 20911, 4);
	f = scene_diagnose(s);
	assert_int_equal(f->code, FINDING_SELF_DEADLOCK);
	assert_has(f->text, "SELF-DEADLOCK: eviction after the last close by segtrim[20911]");
	assert_has(f->text,
		   ", held in pipe:[7] of the waiter itself: nobody else could release it.");
	assert_int_equal(f->nr_advice, 1);
	assert_advice(f, "dd if=/proc/20911/fd/4 of=/dev/null bs=4096 count=1", "self/close");
	assert_has(f->advice[0].effect, "lost to the pipe's reader");
	assert_status(s, 12);
}

static void exit_with_closed_descriptors(void **state)
{
	struct scene *s = *state;
	const struct finding *f;

	scene_evict(s, TRIGGER_EXIT);
	s->waiter.exiting = true;
	s->waiter.threads = 0;
	scene_pipe(s, "pipe:[7]", 20911, -1);
	f = scene_diagnose(s);
	assert_int_equal(f->code, FINDING_SELF_DEADLOCK);
	assert_int_equal(f->nr_advice, 0);
	assert_non_null(find(&f->notes, "only a reboot"));
}

/* Work that a thread has put off is its alone. */
static void pending_work_of_a_thread(void **state)
{
	struct scene *s = *state;

	scene_evict(s, TRIGGER_LAST_CLOSE);
	s->waiter.threads = 8;
	scene_pipe(s, "pipe:[7]", 20911, -1);
	assert_int_equal(scene_diagnose(s)->code, FINDING_SELF_DEADLOCK);
}

static void truncating_its_own_pipe(void **state)
{
	struct scene *s = *state;
	const struct finding *f;

	scene_pipe(s, "pipe:[7]", 20911, 4);
	f = scene_diagnose(s);
	assert_int_equal(f->code, FINDING_SELF_DEADLOCK);
	assert_non_null(find(&f->cause, "The wait is interruptible"));
	assert_int_equal(f->nr_advice, 1);
	assert_advice(f, "kill -INT 20911", "self/ftruncate");
	assert_has(f->advice[0].effect, "What nobody has read from pipe:[7] is lost.");
}

static void another_thread_could_release(void **state)
{
	struct scene *s = *state;
	const struct finding *f;

	s->waiter.threads = 3;
	scene_pipe(s, "pipe:[7]", 20911, 4);
	f = scene_diagnose(s);
	assert_int_equal(f->code, FINDING_BLOCKED);
	assert_non_null(find(&f->notes, "It has 3 threads, and another of them may still do so"));
	assert_null(advice_for(f, "kill 20911"));
	assert_advice(f, "kill -INT 20911", "advice-vmsplice");
}

static void an_unknown_number_of_threads_proves_nothing(void **state)
{
	struct scene *s = *state;

	s->waiter.threads = 0;
	scene_pipe(s, "pipe:[7]", 20911, 4);
	assert_int_equal(scene_diagnose(s)->code, FINDING_BLOCKED);
}

static void another_process_could_release(void **state)
{
	struct scene *s = *state;
	struct fact_releaser rel[] = { { .task = task_id(20911), .fd = 4, .reads = true },
				       { .task = task_id(99), .fd = 4, .reads = true } };

	scene_task(s, make_task(99, "child"));
	scene_hold(s, make_pipe("pipe:[7]"), rel, 2);
	assert_int_equal(scene_diagnose(s)->code, FINDING_BLOCKED);
}

static void a_lost_releaser_could_release(void **state)
{
	struct scene *s = *state;
	struct fact_releaser rel[] = { { .task = task_id(20911), .fd = 4, .reads = true },
				       { .task = task_id(404), .fd = 4, .reads = true } };

	scene_hold(s, make_pipe("pipe:[7]"), rel, 2);
	assert_int_equal(scene_diagnose(s)->code, FINDING_BLOCKED);
}

static void an_unexplained_reference_proves_nothing(void **state)
{
	struct scene *s = *state;

	s->page.refs = 3;
	scene_pipe(s, "pipe:[7]", 20911, 4);
	assert_int_equal(scene_diagnose(s)->code, FINDING_BLOCKED);
}

static void a_foreign_hold_beside_its_own(void **state)
{
	struct scene *s = *state;

	s->page.refs = 3;
	scene_pipe(s, "pipe:[7]", 20911, 4);
	assert_int_equal(foreign_pipe(s)->code, FINDING_BLOCKED);
}

static void candidates_make_no_deadlock(void **state)
{
	struct scene *s = *state;
	struct fact_releaser rel = { .task = task_id(20911), .fd = -1 };

	scene_hold(s, make_hold(HOW_MAPPING, CONF_CANDIDATE), &rel, 1);
	assert_int_equal(scene_diagnose(s)->code, FINDING_BLOCKED);
}

/* Interrupting the waiter, by what it does with signals */

struct disposition_case {
	struct fact_signals signals;
	const char *command; /* NULL: no signal is advised */
	const char *why;     /* in the effect or in the note */
};

static const struct disposition_case dispositions[] = {
	{ { .known = true }, "kill -INT 20911", "the file keeps its size" },
	{ { .known = true, .blocked = SIGBIT(SIGINT) }, "kill -TERM 20911", "SIGINT is blocked" },
	{ { .known = true, .ignored = SIGBIT(SIGINT) }, "kill -TERM 20911", "SIGINT is ignored" },
	{ { .known = true, .caught = SIGBIT(SIGINT) },
	  "kill -TERM 20911",
	  "SIGINT runs a handler of the program" },
	{ { .known = true, .caught = SIGBIT(SIGINT), .restarts = SIGBIT(SIGINT) },
	  "kill -TERM 20911",
	  "SA_RESTART, after which it would wait again" },
	{ { .known = true, .caught = SIGBIT(SIGINT) | SIGBIT(SIGTERM), .restarts = ~0ULL },
	  NULL,
	  "SIGTERM runs a handler with SA_RESTART" },
	{ { .known = true, .blocked = ~0ULL }, NULL, "SIGINT is blocked, SIGTERM is blocked" },
	{ { .known = true, .ignored = SIGBIT(SIGTERM), .blocked = SIGBIT(SIGINT) },
	  NULL,
	  "SIGTERM is ignored" },
	{ { .known = false }, NULL, "could not be read" },
};

static void assert_disposition(const struct finding *f, const struct disposition_case *c)
{
	if (c->command) {
		assert_advice(f, c->command, "advice-vmsplice");
		assert_has(advice_for(f, c->command)->effect, c->why);
		return;
	}
	for (u32 i = 0; i < f->nr_advice; i++)
		assert_hasnt(f->advice[i].action, "20911");
	assert_non_null(find(&f->notes, c->why));
}

static void every_disposition(void **state)
{
	scene_teardown(state);
	for (size_t i = 0; i < sizeof(dispositions) / sizeof(dispositions[0]); i++) {
		scene_init(*state);
		((struct scene *)*state)->waiter.signals = dispositions[i].signals;
		assert_disposition(foreign_pipe(*state), &dispositions[i]);
		scene_teardown(state);
	}
	scene_init(*state);
}

static void no_signal_for(struct scene *s, const char *why)
{
	const struct finding *f = foreign_pipe(s);

	for (u32 i = 0; i < f->nr_advice; i++)
		assert_hasnt(f->advice[i].action, "-INT");
	assert_non_null(find(&f->notes, why));
}

/* Its signals are those of its process, which takes it along when it ends. */
static void an_io_worker_ends_with_its_process(void **state)
{
	struct scene *s = *state;
	const struct finding *f;

	s->waiter.io_worker = true;
	s->waiter.tid = s->waiter.pid + 2;
	f = foreign_pipe(s);
	assert_advice(f, "kill -INT 20911", "advice-vmsplice");
	assert_has(advice_for(f, "kill -INT 20911")->effect,
		   "Ends the process of segtrim[20911] thread 20913");
}

static void an_io_worker_is_not_stopped(void **state)
{
	struct scene *s = *state;
	const struct finding *f;

	s->page.refs = 1;
	s->waiter.io_worker = true;
	f = scene_diagnose(s);
	assert_int_equal(f->nr_advice, 1);
	assert_advice(f, "kill -INT 20911", "advice-vmsplice");
	assert_non_null(find(&f->notes, "a worker of io_uring"));
}

/* Reflink on XFS with the page in the file of the higher inode number. */
static void a_spinner_is_said_to_spin(void **state)
{
	struct scene *s = *state;
	const struct finding *f;

	s->wait.op = OP_REFLINK;
	s->wait.spins = true;
	s->wait.interruptible = false;
	s->waiter.state = 'R';
	s->waiter.asleep_ns = FACT_UNKNOWN;
	f = foreign_pipe(s);
	assert_string_equal(f->text, "BLOCKED: reflink by segtrim[20911] spins in the kernel until "
				     "nobody holds page 0x1a3 (byte 1716224) of "
				     "/pmem1/db/seg.0042 (xfs on pmem0, ino 8391), held in "
				     "pipe:[88123] by feeder[31802].");
	assert_null(advice_for(f, "kill -INT 20911"));
	assert_advice(f, "kill 31802", "advice-vmsplice");
	assert_non_null(find(&f->notes, "SIGKILL included"));
	assert_non_null(find(&f->impact, "a whole CPU"));
}

static void an_exiting_waiter_takes_no_signal(void **state)
{
	((struct scene *)*state)->waiter.exiting = true;
	no_signal_for(*state, "is exiting already");
}

static void init_is_never_killed(void **state)
{
	struct scene *s = *state;

	s->waiter.pid = s->waiter.tid = 1;
	no_signal_for(s, "is the init process");
}

static void no_signal_ends_an_eviction(void **state)
{
	struct scene *s = *state;

	scene_evict(s, TRIGGER_UNLINK);
	no_signal_for(s, "not even SIGKILL");
	assert_advice(&s->f.f[0], "kill 31802", "advice-vmsplice");
}

/* Ending the holder */

struct holder_case {
	const char *why;
	void (*change)(struct fact_task *t);
};

static void in_state_d(struct fact_task *t)
{
	t->state = 'D';
}

static void kernel_thread(struct fact_task *t)
{
	t->kthread = true;
}

static void unknown_signals(struct fact_task *t)
{
	t->signals.known = false;
}

static void handles_sigterm(struct fact_task *t)
{
	t->signals.caught = SIGBIT(SIGTERM);
}

static void already_exiting(struct fact_task *t)
{
	t->exiting = true;
}

static void traced(struct fact_task *t)
{
	t->state = 't';
}

static void holders_that_do_not_end(void **state)
{
	static const struct holder_case cases[] = {
		{ "sleeps in state D", in_state_d },
		{ "is a kernel thread", kernel_thread },
		{ "could not be read", unknown_signals },
		{ "blocks, ignores or handles SIGTERM", handles_sigterm },
		{ "is exiting already", already_exiting },
		{ "is stopped by the task that traces it", traced },
	};

	scene_teardown(state);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct scene *s = *state;
		struct fact_task t = make_task(31802, "feeder");
		const struct finding *f;

		scene_init(s);
		cases[i].change(&t);
		scene_task(s, t);
		scene_pipe(s, "pipe:[88123]", 31802, 4);
		f = scene_diagnose(s);
		assert_null(advice_for(f, "kill 31802"));
		assert_non_null(find(&f->notes, cases[i].why));
		scene_teardown(state);
	}
	scene_init(*state);
}

static void a_pipe_that_is_written_out_waits_for_a_device(void **state)
{
	struct scene *s = *state;
	struct fact_task t = make_task(31802, "feeder");
	struct fact_releaser rel = { .task = task_id(31802), .fd = 4, .reads = true };
	const struct finding *f;

	t.state = 'D';
	scene_task(s, t);
	for (int i = 0; i < 2; i++) {
		struct fact_hold h = make_pipe(i ? "pipe:[1]" : "pipe:[2]");

		h.target = "/out (xfs) on dm-0 (slow)";
		h.device = "dm-0 (slow)";
		scene_hold(s, h, &rel, 1);
	}
	s->page.refs = 3;
	f = scene_diagnose(s);
	assert_non_null(find(&f->cause, "splice(2) is writing it to /out (xfs) on dm-0 (slow)"));
	assert_string_equal(f->advice[0].action, "dmsetup info slow");
	assert_string_equal(f->advice[1].action, "dmsetup resume slow");
	assert_has(f->advice[1].effect, "the references go");
	assert_string_equal(f->advice[2].action, "kill -INT 20911");
	assert_null(find(&f->notes, "could read the data"));
}

static void a_stopped_holder_must_go_on_to_end(void **state)
{
	struct scene *s = *state;
	struct fact_task t = make_task(31802, "feeder");

	t.state = 'T';
	scene_task(s, t);
	scene_pipe(s, "pipe:[1]", 31802, 4);
	assert_advice(scene_diagnose(s), "kill 31802; kill -CONT 31802", "advice-stopped");
}

/*
 * Only an io_uring keeps the pipe: no descriptor by which it could be drained, but a task to end.
 */
static void a_pipe_registered_with_an_io_uring(void **state)
{
	struct scene *s = *state;
	struct fact_releaser rel = { .task = task_id(31802), .fd = -1, .registered = true };
	const struct finding *f;

	scene_task(s, make_task(31802, "feeder"));
	scene_hold(s, make_pipe("pipe:[1]"), &rel, 1);
	f = scene_diagnose(s);
	assert_non_null(find(&f->cause, "feeder[31802] (registered with its io_uring)"));
	assert_advice(f, "kill 31802", "advice-vmsplice");
}

static void a_likely_holder_is_not_killed(void **state)
{
	struct scene *s = *state;
	struct fact_hold h = make_pipe("pipe:[1]");
	struct fact_releaser rel = { .task = task_id(31802), .fd = 4 };
	const struct finding *f;

	h.confidence = CONF_LIKELY;
	scene_task(s, make_task(31802, "feeder"));
	scene_hold(s, h, &rel, 1);
	f = scene_diagnose(s);
	assert_has(f->text, "probably held in pipe:[1]");
	assert_null(advice_for(f, "kill 31802"));
	assert_status(s, 11);
}

static const struct finding *open_file_of_holder(struct scene *s)
{
	struct fact_releaser rel = { .task = task_id(31802), .fd = 4, .exit_waits = true };

	scene_task(s, make_task(31802, "feeder"));
	scene_hold(s, make_pipe("pipe:[1]"), &rel, 1);
	return scene_diagnose(s);
}

/* Where closing a file takes the inode lock, the exit of who has it open waits for the waiter. */
static void a_holder_whose_exit_waits_is_not_killed(void **state)
{
	const struct finding *f = open_file_of_holder(*state);

	assert_null(advice_for(f, "kill 31802"));
	assert_non_null(find(&f->notes, "Ending feeder[31802] is not advised: it has the file open "
					"as well"));
	assert_non_null(advice_for(f, "kill -INT 20911"));
}

static void the_worker_of_a_window_keeps_no_inode_lock(void **state)
{
	struct scene *s = *state;
	const struct finding *f;

	s->waiter.kthread = true;
	s->waiter.call = NULL;
	s->wait.op = OP_RECLAIM;
	s->wait.trigger = TRIGGER_DAX_WINDOW;
	f = open_file_of_holder(s);
	assert_has(f->text, "reclaim of the DAX window by segtrim[20911]");
	assert_non_null(advice_for(f, "kill 31802"));
	assert_non_null(find(&f->impact, "no range of the DAX window is freed"));
	assert_non_null(find(&f->notes, "No signal ends this wait"));
}

static void a_thread_of_the_nfs_server_has_a_client(void **state)
{
	struct scene *s = *state;
	const struct finding *f;

	s->waiter.kthread = true;
	s->waiter.call = NULL;
	s->waiter.nfs_client = "10.0.0.9";
	f = open_file_of_holder(s);
	assert_non_null(find(&f->impact, "its client 10.0.0.9 waits for the answer"));
}

static void a_queued_reader_cannot_read(void **state)
{
	struct scene *s = *state;
	struct fact_task other = make_task(31803, "stopped"), third = make_task(31804, "frozen");
	const struct finding *f;
	struct fact_releaser rel[] = { { .task = task_id(31802), .fd = 0, .reads = true },
				       { .task = task_id(31803), .fd = 0, .reads = true },
				       { .task = task_id(31804), .fd = 0, .reads = true } };

	/* others can, else it were a deadlock; but one is stopped and one is frozen */
	scene_queued(s, 31802, "logger", SECOND);
	other.state = 'T';
	scene_task(s, other);
	third.frozen = true;
	scene_task(s, third);
	scene_hold(s, make_pipe("pipe:[1]"), rel, 3);
	f = scene_diagnose(s);
	assert_int_equal(f->code, FINDING_BLOCKED);
	assert_non_null(find(&f->notes, "itself queued behind this wait"));
	assert_non_null(find(&f->notes, "it is frozen with its cgroup"));
	for (u32 i = 0; i < f->nr_advice; i++)
		assert_hasnt(f->advice[i].action, "Let ");
}

static void impact_counts_the_queue(void **state)
{
	struct scene *s = *state;
	const struct finding *f;

	for (u32 i = 0; i < 16; i++)
		scene_queued(s, 5000 + i, "postgres", (800 + i) * SECOND);
	scene_queued(s, 6000, "vacuum", 845 * SECOND);
	f = foreign_pipe(s);
	assert_string_equal(f->impact.s[0], "17 tasks queue behind it on i_rwsem, the longest for "
					    "14m05s: postgres x16, vacuum.");
	assert_non_null(find(&f->impact, "hung-task watchdog"));
	assert_has(advice_for(f, "kill -INT 20911")->effect,
		   "the 17 tasks queued behind it run on");
}

/* Other waits, order and exit status */

static void a_lock_wait_names_no_holder(void **state)
{
	struct scene *s = *state;
	const struct finding *f;

	s->wait.on = ON_LOCK;
	f = foreign_pipe(s);
	assert_has(f->text, "to retake a lock, after it was woken from its wait for page 0x1a3");
	assert_hasnt(f->text, "feeder");
	assert_int_equal(f->nr_advice, 0);
	assert_status(s, 11);
}

static void worst_first_then_oldest(void **state)
{
	static const s64 refs[] = { 2, 1, 2, 1 };
	struct scene *s = *state;

	for (u32 i = 0; i < 4; i++) {
		struct fact_task t = make_task(i + 1, "w");
		struct fact_page p = { .id = 64 * (i + 1), .refs = refs[i], .idle_refs = 1 };
		struct fact_wait w = { .task = t.id, .page = p.id };

		t.asleep_ns = i * SECOND;
		ADD(s->g, FACT_TASK, task, t);
		ADD(s->g, FACT_PAGE, page, p);
		ADD(s->g, FACT_WAIT, wait, w);
	}
	s->page.refs = 3;
	scene_link(s);
	assert_int_equal(diagnose(s->g, &s->f), 0);
	assert_int_equal(s->f.n, 5);
	assert_int_equal(s->f.f[0].wait->task->t.pid, 4);
	assert_int_equal(s->f.f[1].wait->task->t.pid, 2);
	assert_int_equal(s->f.f[2].wait->task->t.pid, 20911);
	assert_int_equal(s->f.f[3].wait->task->t.pid, 3);
	assert_int_equal(s->f.f[4].wait->task->t.pid, 1);
}

static void nothing_found(void **state)
{
	struct fact_loss torn = { .kind = LOSS_TORN, .count = 1 };
	struct fact_loss lost = { .kind = LOSS_LOST, .count = 1 };
	struct wfg *g = wfg_new();
	struct findings f;

	(void)state;
	ADD(g, FACT_LOSS, loss, torn);
	assert_int_equal(diagnose(g, &f), 0);
	assert_int_equal(f.n, 0);
	assert_int_equal(findings_exit_status(g, &f), 0);
	ADD(g, FACT_LOSS, loss, lost);
	assert_int_equal(findings_exit_status(g, &f), 13);
	findings_free(&f);
	wfg_free(g);
}

/* A held page that nobody waits for: the scene without its waiter. */
static void held_page(struct scene *s)
{
	s->session.pins_pages = 131072;
	ADD(s->g, FACT_PAGE, page, s->page);
	if (s->page.file)
		ADD(s->g, FACT_FILE, file, s->file);
	scene_task(s, make_task(31802, "feeder"));
	scene_pipe(s, "pipe:[88123]", 31802, 3);
	ADD(s->g, FACT_SESSION, session, s->session);
	assert_int_equal(wfg_link(s->g), 0);
	assert_int_equal(diagnose(s->g, &s->f), 0);
}

static void held_page_is_no_finding(void **state)
{
	struct scene *s = *state;

	held_page(s);
	assert_int_equal(s->f.n, 0);
	assert_true(wfg_page_is_held(s->g, wfg_page(s->g, 0)));
	assert_status(s, 0);
}

static void orphan(void **state)
{
	struct scene *s = *state;

	scene_orphan(s);
	held_page(s);
	assert_int_equal(s->f.n, 1);
	assert_int_equal(s->f.f[0].code, FINDING_UNPROTECTED_FREE);
	assert_null(s->f.f[0].wait);
	assert_has(s->f.f[0].text,
		   "page frame 0x140041 (byte 266240 of pmem0) of no file any more");
	assert_has(s->f.f[0].text, "pipe:[88123] by feeder[31802]");
	assert_has(s->f.f[0].cause.s[0], "[exact] page frame 0x140041");
	assert_no_command(&s->f.f[0], "kill");
	/* nobody waits */
	assert_status(s, 0);
}

static void unbind(void **state)
{
	static const char *const said[] = { "hang, or crash", "hang, unkillable",
					    "crash this kernel" };
	struct scene *s = *state;

	for (int effect = 0; effect < UNBIND_MAX; effect++) {
		scene_free(s);
		*s = (struct scene){ 0 };
		scene_init(s);
		s->session.unbind = "pmem0";
		s->session.unbind_mount = "/pmem1";
		s->session.unbind_effect = effect;
		held_page(s);
		assert_int_equal(s->f.n, 1);
		assert_int_equal(s->f.f[0].code, FINDING_UNBIND);
		assert_has(s->f.f[0].text, said[effect]);
		assert_has(s->f.f[0].text, "unbinding pmem0");
		assert_has(s->f.f[0].text, "feeder[31802]");
		assert_has(s->f.f[0].advice[0].action, "unmount /pmem1");
		assert_status(s, 10);
	}
}

static void unbind_unexplained(void **state)
{
	struct scene *s = *state;

	s->session.unbind = "pmem0";
	s->page.refs = 3;
	held_page(s);
	assert_status(s, 11);
}

/* From 6.15 on each page table entry is a reference, but somebody who only maps does not hold. */
static void unbind_mapped(void **state)
{
	struct fact_releaser rel = { .task = task_id(31802), .fd = -1 };
	struct fact_hold h = make_hold(HOW_MAPPING, CONF_EXACT);
	struct scene *s = *state;

	scene_zero_based(s, 1, 1);
	s->session.unbind = "pmem0";
	s->session.unbind_effect = UNBIND_CRASHES;
	ADD(s->g, FACT_PAGE, page, s->page);
	ADD(s->g, FACT_FILE, file, s->file);
	scene_task(s, make_task(31802, "feeder"));
	scene_hold(s, h, &rel, 1);
	ADD(s->g, FACT_SESSION, session, s->session);
	assert_int_equal(wfg_link(s->g), 0);
	assert_int_equal(diagnose(s->g, &s->f), 0);
	assert_int_equal(s->f.n, 1);
	assert_has(s->f.f[0].text, "nobody pins it");
	assert_status(s, 10);
	s->session.unbind = NULL;
	ADD(s->g, FACT_SESSION, session, s->session);
	assert_false(wfg_page_is_held(s->g, wfg_page(s->g, 0)));
}

/* A wait elsewhere on the machine is not what was asked about. */
static void unbind_nothing(void **state)
{
	const struct fact_loss lost = { LOSS_LOST, 1, "scan for held pages" };
	struct scene *s = *state;

	s->session.unbind = "pmem0";
	ADD(s->g, FACT_SESSION, session, s->session);
	assert_int_equal(wfg_link(s->g), 0);
	assert_int_equal(diagnose(s->g, &s->f), 0);
	assert_int_equal(s->f.n, 0);
	assert_status(s, 0);
	ADD(s->g, FACT_LOSS, loss, lost);
	assert_status(s, 13);
}

static void freeing(struct scene *s, enum fact_op op, const char *call, u64 a1, u64 a2, u64 a3)
{
	s->wait.op = op;
	s->waiter.syscall = 285;
	s->waiter.call = call;
	s->waiter.args[1] = a1;
	s->waiter.args[2] = a2;
	s->waiter.args[3] = a3;
}

/* The page is that at byte 0x1a3000. */
static void outside(void **state)
{
	static const struct {
		enum fact_op op;
		const char *call;
		u64 a1, a2, a3;
		bool outside;
	} calls[] = {
		{ OP_TRUNCATE, "ftruncate(17, 1716224)", 0x1a3000, 0, 0, false },
		{ OP_TRUNCATE, "ftruncate(17, 1720319)", 0x1a3fff, 0, 0, false },
		{ OP_TRUNCATE, "truncate(\"/x\", 1720320)", 0x1a4000, 0, 0, true },
		{ OP_TRUNCATE, "open(\"/x\", 513)", 0x1a4000, 0, 0, false },
		{ OP_PUNCH_HOLE, "fallocate(3, 3, 1716224, 4096)", 3, 0x1a3000, 0x1000, false },
		{ OP_PUNCH_HOLE, "fallocate(3, 3, 1712128, 4096)", 3, 0x1a2000, 0x1000, true },
		{ OP_PUNCH_HOLE, "fallocate(3, 3, 1720320, 4096)", 3, 0x1a4000, 0x1000, true },
		{ OP_ZERO_RANGE, "fallocate(3, 16, 0, 4096)", 16, 0, 0x1000, true },
		{ OP_COLLAPSE_RANGE, "fallocate(3, 8, 0, 4096)", 8, 0, 0x1000, false },
		{ OP_INSERT_RANGE, "fallocate(3, 32, 1720320, 4096)", 32, 0x1a4000, 0x1000, true },
		{ OP_ALLOCATE, "fallocate(3, 0, 0, 8388608)", 0, 0, 0x800000, true },
		{ OP_PUNCH_HOLE, "io_uring_enter(3, 1, 1, 1)", 1, 1, 1, false },
		{ OP_PUNCH_HOLE, "fallocate(3, 3, -1, 4096)", 3, UINT64_MAX, 0x1000, false },
	};

	for (size_t i = 0; i < sizeof(calls) / sizeof(*calls); i++) {
		struct scene *s = *state;
		const struct finding *f;

		scene_free(s);
		scene_init(s);
		freeing(s, calls[i].op, calls[i].call, calls[i].a1, calls[i].a2, calls[i].a3);
		scene_task(s, make_task(31802, "feeder"));
		scene_pipe(s, "pipe:[88123]", 31802, 3);
		f = scene_diagnose(s);
		assert_int_equal(strstr(f->text, "outside of what it frees") != NULL,
				 calls[i].outside);
		assert_int_equal(strstr(f->impact.s[0], "any held page") != NULL, calls[i].outside);
	}
}

/* A folio of which the operation frees a part. */
static void partly_outside(void **state)
{
	struct scene *s = *state;
	const struct finding *f;

	scene_zero_based(s, 1, 0);
	s->page.index = 512;
	s->page.order = 9;
	freeing(s, OP_TRUNCATE, "ftruncate(17, 3145728)", 3 << 20, 0, 0);
	scene_task(s, make_task(31802, "feeder"));
	scene_pipe(s, "pipe:[88123]", 31802, 3);
	f = scene_diagnose(s);
	assert_hasnt(f->text, "outside");
	assert_has(f->impact.s[0], "folio reaches beyond");
}

/* What looks one after the other saw; the last of them is diagnosed. */
static void churn(void **state)
{
	struct scene *last = *state, look[4];

	for (u32 i = 0; i < 4; i++) {
		struct scene *s = i < 3 ? &look[i] : last;

		if (i < 3)
			scene_init(s);
		s->session.mono_ns += i * SECOND;
		s->waiter.asleep_ns = SECOND / 2;
		/* the second look sees the page of the first */
		s->page.id = s->wait.page = PAGE_ID + (i ? i - 1 : 0) * 64;
		if (i < 3)
			scene_link(s);
		else
			scene_diagnose(s);
		if (i)
			wfg_carry_on(look[i - 1].g, s->g);
	}
	assert_int_equal(wfg_wait(last->g, 0)->moves, 2);
	findings_free(&last->f);
	assert_int_equal(diagnose(last->g, &last->f), 0);
	assert_has(last->f.f[0].text, "go on to another page 2 times in 3.5s");
	assert_has(last->f.f[0].notes.s[0], "Stop the workload");
	for (u32 i = 0; i < 3; i++)
		scene_free(&look[i]);
}

static void code_names(void **state)
{
	(void)state;
	assert_string_equal(finding_code_name(FINDING_BLOCKED), "BLOCKED");
	assert_string_equal(finding_code_name(FINDING_LOST_WAKEUP), "LOST_WAKEUP");
	assert_string_equal(finding_code_name(FINDING_SELF_DEADLOCK), "SELF_DEADLOCK");
	assert_string_equal(finding_code_name(FINDING_UNPROTECTED_FREE), "UNPROTECTED_FREE");
	assert_string_equal(finding_code_name(FINDING_UNBIND), "UNBIND");
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, scene_setup, scene_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_foreign_pipe_blocks),
		TEST(a_received_packet_waits_to_be_read),
		TEST(a_sent_packet_waits_for_its_peer),
		TEST(packets_that_do_not_arrive_are_not_to_be_read),
		TEST(one_reader_releases_both_queues),
		TEST(a_connection_without_a_task_can_be_reset),
		TEST(a_connection_elsewhere_gets_no_command),
		TEST(no_command_is_made_of_what_is_no_address),
		TEST(traffic_frees_packets_of_a_cpu),
		TEST(a_pipe_in_flight_is_no_pending_close),
		TEST(age_decides_the_word),
		TEST(unknown_is_said),
		TEST(nothing_known_does_not_crash),
		TEST(operations_have_words),
		TEST(a_thread_is_named),
		TEST(folios_and_shared_pages),
		TEST(the_strongest_of_several_is_named),
		TEST(many_tasks_are_counted),
		TEST(a_pipe_without_tasks),
		TEST(an_unknown_releaser_is_not_forgotten),
		TEST(unexplained_references),
		TEST(candidates_are_grouped),
		TEST(candidates_are_cleared_by_an_explanation),
		TEST(process_vm_is_ended_with_its_caller),
		TEST(core_dump_takes_sigkill_only),
		TEST(fuse_connection_is_aborted_by_number),
		TEST(no_other_fuse_connection_is_aborted),
		TEST(direct_io_to_device_mapper),
		TEST(direct_io_elsewhere),
		TEST(advice_is_for_the_device_that_stalls),
		TEST(network_block_device_can_be_disconnected),
		TEST(frozen_filesystem_is_to_be_thawed),
		TEST(unqueued_io_is_for_its_target),
		TEST(limit_of_a_cgroup_is_to_be_raised),
		TEST(share_of_a_cgroup_is_a_note),
		TEST(array_that_takes_no_io_is_looked_at),
		TEST(hostile_mount_points_reach_no_shell),
		TEST(hostile_device_names_reach_no_shell),
		TEST(own_direct_io_is_no_deadlock),
		TEST(mappings_alone),
		TEST(ending_some_mappers_is_not_advised),
		TEST(mappers_that_do_not_count_are_left_alone),
		TEST(lost_wakeup),
		TEST(an_incoherent_read_proves_no_lost_wakeup),
		TEST(a_running_waiter_lost_no_wakeup),
		TEST(a_count_below_idle_is_no_idle_page),
		TEST(only_mapped_is_no_lost_wakeup),
		TEST(stop_and_continue_needs_a_restart),
		TEST(a_restarting_sigcont_is_fine),
		TEST(an_uninterruptible_lost_wakeup_has_no_cure),
		TEST(a_kernel_thread_takes_no_signal),
		TEST(evicting_its_own_pipe),
		TEST(exit_with_closed_descriptors),
		TEST(pending_work_of_a_thread),
		TEST(truncating_its_own_pipe),
		TEST(another_thread_could_release),
		TEST(an_unknown_number_of_threads_proves_nothing),
		TEST(another_process_could_release),
		TEST(a_lost_releaser_could_release),
		TEST(an_unexplained_reference_proves_nothing),
		TEST(a_foreign_hold_beside_its_own),
		TEST(candidates_make_no_deadlock),
		TEST(every_disposition),
		TEST(an_io_worker_ends_with_its_process),
		TEST(an_io_worker_is_not_stopped),
		TEST(a_spinner_is_said_to_spin),
		TEST(an_exiting_waiter_takes_no_signal),
		TEST(init_is_never_killed),
		TEST(no_signal_ends_an_eviction),
		TEST(holders_that_do_not_end),
		TEST(a_pipe_that_is_written_out_waits_for_a_device),
		TEST(a_stopped_holder_must_go_on_to_end),
		TEST(a_pipe_registered_with_an_io_uring),
		TEST(a_likely_holder_is_not_killed),
		TEST(a_holder_whose_exit_waits_is_not_killed),
		TEST(the_worker_of_a_window_keeps_no_inode_lock),
		TEST(a_thread_of_the_nfs_server_has_a_client),
		TEST(a_queued_reader_cannot_read),
		TEST(impact_counts_the_queue),
		TEST(a_lock_wait_names_no_holder),
		TEST(worst_first_then_oldest),
		TEST(outside),
		TEST(partly_outside),
		TEST(churn),
		TEST(held_page_is_no_finding),
		TEST(orphan),
		TEST(unbind),
		TEST(unbind_unexplained),
		TEST(unbind_mapped),
		TEST(unbind_nothing),
		cmocka_unit_test(nothing_found),
		cmocka_unit_test(code_names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
