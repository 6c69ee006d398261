// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include <errno.h>
#include <linux/capability.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "collect/preflight.h"
#include "tree.h"

#define BIT(n) (1ULL << (n))

static const u64 no_caps;
static const u64 needed = BIT(CAP_BPF) | BIT(CAP_PERFMON) | BIT(CAP_SYSLOG);

/* The probes of the last run. */
static struct {
	char name[32];
	enum fact_probe_state state;
	bool costs;
} probes[16];
static size_t nr_probes;

static int take_probe(void *arg, const struct fact *fact)
{
	assert_int_equal(fact->type, FACT_PROBE);
	assert_true(nr_probes < 16);
	snprintf(probes[nr_probes].name, sizeof(probes[0].name), "%s", fact->probe.name);
	probes[nr_probes].state = fact->probe.state;
	probes[nr_probes++].costs = fact->probe.costs != NULL;
	return *(int *)arg;
}

static int run(const char *root, u64 caps, struct refusal *why)
{
	int sink_answer = 0, ret;

	nr_probes = 0;
	ret = preflight_at(root, caps, take_probe, &sink_answer, why);
	/* Every check reports, whatever the ones before it said. */
	assert_int_equal(nr_probes, 6);
	for (size_t i = 0; i < nr_probes; i++)
		assert_int_equal(probes[i].costs, probes[i].state != PROBE_OK);
	return ret;
}

static enum fact_probe_state probe_state(const char *name)
{
	for (size_t i = 0; i < nr_probes; i++)
		if (!strcmp(probes[i].name, name))
			return probes[i].state;
	fail_msg("no probe %s", name);
	return PROBE_STATE_MAX;
}

/* A machine on which everything works. */
static int setup(void **state)
{
	char *root = tree_new();

	tree_file(root, "sys/kernel/btf/vmlinux", "");
	tree_file(root, "sys/kernel/security/lockdown", "none [integrity] confidentiality\n");
	tree_file(root, "proc/self/uid_map", "         0          0 4294967295\n");
	tree_file(root, "proc/sys/kernel/kptr_restrict", "1\n");
	tree_file(root, "proc/sys/kernel/perf_event_paranoid", "3\n");
	*state = root;
	return 0;
}

static int teardown(void **state)
{
	tree_free(*state);
	return 0;
}

static void all_is_well(void **state)
{
	struct refusal why;

	assert_int_equal(run(*state, needed, &why), 0);
	assert_int_equal(why.status, STATUS_OK);
	for (size_t i = 0; i < nr_probes; i++)
		assert_int_equal(probes[i].state, PROBE_OK);
	assert_int_equal(run(*state, BIT(CAP_SYS_ADMIN) | BIT(CAP_SYSLOG), &why), 0);
}

static void no_btf(void **state)
{
	struct refusal why;

	tree_remove(*state, "sys/kernel/btf/vmlinux");
	assert_int_equal(run(*state, no_caps, &why), -1);
	assert_int_equal(why.status, STATUS_NOTSUPP);
	assert_non_null(strstr(why.cause, "CONFIG_DEBUG_INFO_BTF"));
	assert_non_null(strstr(why.cause, "5.10"));
	assert_int_equal(probe_state("btf"), PROBE_MISSING);
	assert_int_equal(probe_state("capabilities"), PROBE_MISSING);
}

static void no_sysfs(void **state)
{
	struct refusal why;

	tree_remove(*state, "sys");
	assert_int_equal(run(*state, needed, &why), -1);
	assert_int_equal(why.status, STATUS_NOTSUPP);
	assert_non_null(strstr(why.cause, "/sys is not mounted"));
}

static void missing_capabilities_are_named(void **state)
{
	struct refusal why;

	assert_int_equal(run(*state, no_caps, &why), -1);
	assert_int_equal(why.status, STATUS_NOPERM);
	assert_string_equal(why.cause, "missing CAP_BPF and CAP_PERFMON");
	assert_non_null(strstr(why.command, "sudo daxtrace"));
	assert_non_null(strstr(why.command, "setcap cap_bpf,cap_perfmon,cap_syslog+ep"));

	assert_int_equal(run(*state, BIT(CAP_BPF) | BIT(CAP_SYSLOG), &why), -1);
	assert_string_equal(why.cause, "missing CAP_PERFMON");
	assert_int_equal(run(*state, BIT(CAP_BPF) | BIT(CAP_PERFMON), &why), -1);
	assert_string_equal(why.cause, "missing CAP_SYSLOG");
	assert_int_equal(why.status, STATUS_NOPERM);
}

static void lockdown(void **state)
{
	struct refusal why;

	tree_file(*state, "sys/kernel/security/lockdown", "none integrity [confidentiality]\n");
	assert_int_equal(run(*state, needed, &why), -1);
	assert_int_equal(why.status, STATUS_NOPERM);
	assert_non_null(strstr(why.cause, "lockdown"));
	assert_int_equal(probe_state("lockdown"), PROBE_MISSING);
	tree_remove(*state, "sys/kernel/security");
	assert_int_equal(run(*state, needed, &why), 0);
}

static void user_namespace(void **state)
{
	struct refusal why;

	tree_file(*state, "proc/self/uid_map", "         0     100000      65536\n");
	assert_int_equal(run(*state, needed, &why), -1);
	assert_int_equal(why.status, STATUS_NOPERM);
	assert_non_null(strstr(why.cause, "namespace"));
}

static void pid_namespace(void **state)
{
	struct refusal why;

	tree_link(*state, "proc/self/ns/pid", "pid:[4026531836]");
	assert_int_equal(run(*state, needed, &why), 0);
	tree_remove(*state, "proc/self/ns/pid");
	tree_link(*state, "proc/self/ns/pid", "pid:[4026532170]");
	assert_int_equal(run(*state, needed, &why), -1);
	assert_int_equal(why.status, STATUS_NOPERM);
	assert_non_null(strstr(why.cause, "PID namespace"));
	assert_non_null(strstr(why.cause, "--pid=host"));
}

static void hidden_addresses(void **state)
{
	struct refusal why;
	u64 no_syslog = needed & ~BIT(CAP_SYSLOG);

	tree_file(*state, "proc/sys/kernel/kptr_restrict", "2\n");
	assert_int_equal(run(*state, needed, &why), -1);
	assert_int_equal(why.status, STATUS_NOPERM);
	assert_non_null(strstr(why.cause, "kptr_restrict is 2"));
	assert_non_null(strstr(why.command, "sysctl -w kernel.kptr_restrict=1"));

	tree_file(*state, "proc/sys/kernel/kptr_restrict", "0\n");
	assert_int_equal(run(*state, no_syslog, &why), -1);
	tree_file(*state, "proc/sys/kernel/perf_event_paranoid", "-1\n");
	assert_int_equal(run(*state, no_syslog, &why), 0);
	tree_remove(*state, "proc/sys/kernel/perf_event_paranoid");
	assert_int_equal(run(*state, no_syslog, &why), -1);
	assert_int_equal(run(*state, needed, &why), 0);
}

static void sink_error_is_reported(void **state)
{
	int sink_answer = -ENOMEM;
	struct refusal why;

	nr_probes = 0;
	assert_int_equal(preflight_at(*state, needed, take_probe, &sink_answer, &why), -1);
	assert_int_equal(why.status, STATUS_ERROR);
	assert_int_equal(nr_probes, 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(all_is_well, setup, teardown),
		cmocka_unit_test_setup_teardown(no_btf, setup, teardown),
		cmocka_unit_test_setup_teardown(no_sysfs, setup, teardown),
		cmocka_unit_test_setup_teardown(missing_capabilities_are_named, setup, teardown),
		cmocka_unit_test_setup_teardown(lockdown, setup, teardown),
		cmocka_unit_test_setup_teardown(user_namespace, setup, teardown),
		cmocka_unit_test_setup_teardown(pid_namespace, setup, teardown),
		cmocka_unit_test_setup_teardown(hidden_addresses, setup, teardown),
		cmocka_unit_test_setup_teardown(sink_error_is_reported, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
