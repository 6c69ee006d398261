// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Waits for the lock of a DAX entry and for a lease: from facts to verdicts, reports and exit
 * status.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include <daxtop/view.h>

#include "build_graph.h"
#include "golden.h"

#define LOCK_ID 0x7e57a11ULL

static void wait_for(struct scene *s, enum fact_on on)
{
	s->wait.page = 0;
	s->wait.on = on;
	s->wait.lock = LOCK_ID;
	if (on == ON_LEASE)
		return;
	s->wait.interruptible = false;
	s->waiter.state = 'D';
	if (on == ON_LOCK)
		return;
	s->wait.op = OP_FAULT;
	s->wait.index = 0x14;
	s->waiter.syscall = -1;
	s->waiter.call = NULL;
}

static void hold_lock(struct scene *s, struct fact_hold h, struct fact_task t, s32 fd)
{
	struct fact_releaser rel = { .task = t.id, .fd = fd };

	scene_task(s, t);
	h.lock = LOCK_ID;
	h.releasers = &rel;
	h.nr_releasers = 1;
	ADD(s->g, FACT_HOLD, hold, h);
}

static void hold_entry(struct scene *s, enum fact_how how, const char *device)
{
	struct fact_hold h = make_hold(how, CONF_EXACT);
	struct fact_task t = make_task(812, "dbwriter");

	t.state = 'D';
	h.held_ns = 6 * SECOND;
	h.target = h.device = device;
	h.detail = "it sleeps in submit_bio_wait()";
	hold_lock(s, h, t, -1);
}

static void hold_lease(struct scene *s, u32 pid, u64 left_ns)
{
	struct fact_hold h = make_hold(HOW_LEASE, CONF_EXACT);

	h.object_kind = "lease";
	h.object_id = pid == 900 ? "lease 0x900" : "lease 0x901";
	h.detail = "a read lease by fcntl(F_SETLEASE) of process 900";
	h.left_ns = left_ns;
	hold_lock(s, h, make_task(pid, "smbd"), 5);
}

static void assert_report(struct scene *s, const char *name)
{
	const struct view_opts opts = { 0 };
	char *text = NULL;
	size_t len;
	FILE *out;

	scene_diagnose(s);
	out = open_memstream(&text, &len);
	assert_int_equal(view_report(out, s->g, &s->f, &opts), 0);
	fclose(out);
	assert_golden("golden", name, text);
	free(text);
}

static void fault_on_suspended_device(void **state)
{
	struct scene *s = *state;

	wait_for(s, ON_ENTRY_LOCK);
	hold_entry(s, HOW_FAULT, "dm-0 (slow)");
	assert_report(s, "entry_lock");
	assert_int_equal(s->f.f[0].code, FINDING_ENTRY_LOCK);
	assert_int_equal(findings_exit_status(s->g, &s->f), 10);
}

static void writeback_elsewhere(void **state)
{
	struct scene *s = *state;

	wait_for(s, ON_ENTRY_LOCK);
	hold_entry(s, HOW_WRITEBACK, NULL);
	assert_report(s, "entry_lock_writeback");
	assert_int_equal(s->f.f[0].nr_advice, 0);
}

static void nobody_was_seen(void **state)
{
	struct scene *s = *state;

	wait_for(s, ON_ENTRY_LOCK);
	assert_non_null(strstr(scene_diagnose(s)->text, "who has the lock is not known"));
	assert_int_equal(findings_exit_status(s->g, &s->f), 11);
}

static void nobody_has_it(void **state)
{
	struct scene *s = *state;

	wait_for(s, ON_ENTRY_LOCK);
	s->wait.is_free = true;
	assert_non_null(strstr(scene_diagnose(s)->text, "its wake-up was lost"));
}

/* One of two that may have it: neither is blamed for certain. */
static void likely_is_no_exact(void **state)
{
	struct fact_hold h = make_hold(HOW_FAULT, CONF_LIKELY);
	struct scene *s = *state;

	wait_for(s, ON_ENTRY_LOCK);
	h.target = h.device = "dm-0 (slow)";
	hold_lock(s, h, make_task(812, "dbwriter"), -1);
	assert_non_null(strstr(scene_diagnose(s)->text, "probably keeps"));
	assert_int_equal(s->f.f[0].nr_advice, 0);
	assert_int_equal(findings_exit_status(s->g, &s->f), 11);
}

static void truncate_behind_a_fault(void **state)
{
	struct scene *s = *state;

	wait_for(s, ON_LOCK);
	hold_entry(s, HOW_FAULT, "dm-0 (slow)");
	assert_report(s, "invalidate_lock");
	assert_int_equal(s->f.f[0].code, FINDING_ENTRY_LOCK);
	assert_int_equal(findings_exit_status(s->g, &s->f), 10);
}

/* With PREEMPT_RT the next fault finds the lock still shared. */
static void readers_pass_a_writer_that_waits(void **state)
{
	struct scene *s = *state;

	wait_for(s, ON_LOCK);
	hold_entry(s, HOW_FAULT, "dm-0 (slow)");
	s->session.readers_pass = true;
	scene_diagnose(s);
	assert_int_equal(s->f.f[0].code, FINDING_ENTRY_LOCK);
	for (u32 i = 0; i < s->f.f[0].impact.n; i++)
		assert_null(strstr(s->f.f[0].impact.s[i], "come later"));
}

/* One command lets both go on. */
static void two_faults_on_one_device(void **state)
{
	struct fact_hold h = make_hold(HOW_FAULT, CONF_EXACT);
	struct scene *s = *state;

	wait_for(s, ON_LOCK);
	h.target = h.device = "dm-0 (slow)";
	hold_lock(s, h, make_task(812, "dbwriter"), -1);
	hold_lock(s, h, make_task(813, "dbwriter"), -1);
	scene_diagnose(s);
	assert_int_equal(wfg_wait(s->g, 0)->nr_holds, 2);
	assert_int_equal(s->f.f[0].nr_advice, 2);
}

/* Woken for a page, and nobody was seen to have the lock. */
static void a_lock_that_nobody_was_seen_to_have(void **state)
{
	struct scene *s = *state;

	wait_for(s, ON_LOCK);
	s->wait.lock = 0;
	assert_non_null(strstr(scene_diagnose(s)->text, "to retake a lock"));
	assert_int_equal(s->f.f[0].code, FINDING_BLOCKED);
}

/* Up to 5.10: the page is waited for in no queue, and its own count is gone. */
static void unbinding_waits_for_a_page(void **state)
{
	struct scene *s = *state;

	s->wait.op = OP_UNBIND;
	s->wait.interruptible = false;
	s->waiter.state = 'D';
	s->waiter.syscall = -1;
	s->waiter.call = NULL;
	s->page.refs = 1;
	s->page.idle_refs = 0;
	scene_task(s, make_task(812, "dbwriter"));
	scene_pipe(s, "pipe:[90210]", 812, 4);
	assert_report(s, "unbinding");
	assert_int_equal(s->f.f[0].code, FINDING_BLOCKED);
	assert_int_equal(findings_exit_status(s->g, &s->f), 10);
}

static void lease_with_a_limit(void **state)
{
	struct scene *s = *state;

	wait_for(s, ON_LEASE);
	hold_lease(s, 900, 41 * SECOND);
	assert_report(s, "lease");
	assert_int_equal(s->f.f[0].code, FINDING_LEASE);
	assert_int_equal(findings_exit_status(s->g, &s->f), 10);
}

/* Patience helps only if all of them have a limit. */
static void two_leases(void **state)
{
	struct scene *s = *state;

	wait_for(s, ON_LEASE);
	hold_lease(s, 900, 41 * SECOND);
	hold_lease(s, 901, 0);
	scene_diagnose(s);
	assert_int_equal(wfg_wait(s->g, 0)->nr_holds, 2);
	for (u32 i = 0; i < s->f.f[0].nr_advice; i++)
		assert_null(strstr(s->f.f[0].advice[i].action, "Wait"));
}

static struct fact_hold layout_by_nfsd(void)
{
	struct fact_hold h = make_hold(HOW_LEASE, CONF_EXACT);

	h.lock = LOCK_ID;
	h.object_kind = "layout";
	h.object_id = "layout 0x900";
	h.of_nfsd = true;
	return h;
}

static void layout_of_a_client(void **state)
{
	struct fact_hold h = layout_by_nfsd();
	struct scene *s = *state;

	wait_for(s, ON_LEASE);
	h.target = "10.0.0.9";
	h.client_dir = "/proc/fs/nfsd/clients/3";
	h.detail = "a pNFS layout, which the NFS server gave to its client 10.0.0.9 "
		   "(\"Linux NFSv4.2 db9\")";
	ADD(s->g, FACT_HOLD, hold, h);
	assert_report(s, "layout");
}

/*
 * Its directory is not mounted here, or could not be read: there is no command that is known to be
 * right.
 */
static void layout_of_an_unknown_client(void **state)
{
	static const char *const dirs[] = { NULL, "/mnt/a b/clients/3" };
	struct scene *s = *state;

	wait_for(s, ON_LEASE);
	for (u32 i = 0; i < 2; i++) {
		struct fact_hold h = layout_by_nfsd();

		h.client_dir = dirs[i];
		ADD(s->g, FACT_HOLD, hold, h);
	}
	scene_diagnose(s);
	for (u32 i = 0; i < s->f.f[0].nr_advice; i++)
		assert_null(strstr(s->f.f[0].advice[i].action, "expire"));
}

/* Who waits for another lock has nothing to do with it. */
static void holds_stay_with_their_lock(void **state)
{
	struct scene *s = *state;
	struct fact_hold h = make_hold(HOW_LEASE, CONF_EXACT);
	struct fact_wait other;

	wait_for(s, ON_LEASE);
	other = s->wait;
	other.task = task_id(77);
	other.lock = LOCK_ID + 1;
	scene_task(s, make_task(77, "other"));
	ADD(s->g, FACT_WAIT, wait, other);
	hold_lease(s, 900, 0);
	h.lock = LOCK_ID + 2; /* nobody waits for it: lost */
	ADD(s->g, FACT_HOLD, hold, h);
	scene_link(s);
	for (size_t i = 0; i < wfg_nr_waits(s->g); i++)
		assert_int_equal(wfg_wait(s->g, i)->nr_holds, wfg_wait(s->g, i)->w.lock == LOCK_ID);
	assert_int_equal(wfg_losses(s->g, LOSS_LOST), 1);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, scene_setup, scene_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(fault_on_suspended_device),
		TEST(writeback_elsewhere),
		TEST(nobody_was_seen),
		TEST(nobody_has_it),
		TEST(likely_is_no_exact),
		TEST(truncate_behind_a_fault),
		TEST(readers_pass_a_writer_that_waits),
		TEST(two_faults_on_one_device),
		TEST(a_lock_that_nobody_was_seen_to_have),
		TEST(unbinding_waits_for_a_page),
		TEST(lease_with_a_limit),
		TEST(two_leases),
		TEST(layout_of_a_client),
		TEST(layout_of_an_unknown_client),
		TEST(holds_stay_with_their_lock),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
