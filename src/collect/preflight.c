// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * What the machine allows, found out before anything is loaded. libbpf's own errors would name the
 * system call that failed; these name what is missing and the command that helps. What only a try
 * can tell (iterators, helpers) is left to the snapshot.
 */
#include "collect/preflight.h"

#include <errno.h>
#include <linux/capability.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#define CAP_BIT(cap) (1ULL << (cap))

/* PROC_PID_INIT_INO, include/linux/proc_ns.h: since v3.8, and part of the ABI since v6.18 */
#define INITIAL_PID_NAMESPACE "pid:[4026531836]"

/* The machine, and what the checks have found so far. */
struct check {
	const char *root;
	u64 caps;
	fact_sink_fn sink;
	void *arg;
	int sink_err;
	struct refusal *why;
};

static const char no_memory[] = "kernel memory cannot be read, so neither waits nor holders";

static void emit(struct check *c, const char *name, enum fact_probe_state state, const char *costs)
{
	struct fact fact = {
		.type = FACT_PROBE,
		.probe = { .name = name, .state = state, .costs = costs },
	};

	if (!c->sink_err)
		c->sink_err = c->sink(c->arg, &fact);
}

/* The first refusal is the one that the user reads: checks run from the hardest to the easiest. */
static struct refusal *refusal_of(struct check *c, struct refusal *spare)
{
	return c->why->status == STATUS_OK ? c->why : spare;
}

static bool exists(const struct check *c, const char *path)
{
	char full[4096];

	snprintf(full, sizeof(full), "%s%s", c->root, path);
	return !access(full, F_OK);
}

/* Reads the first line of a file of /sys or /proc. 0 or -errno. */
static int read_line(const struct check *c, const char *path, char *line, size_t len)
{
	char full[4096];
	FILE *f;
	int err = 0;

	snprintf(full, sizeof(full), "%s%s", c->root, path);
	f = fopen(full, "re");
	if (!f)
		return -errno;
	if (!fgets(line, len, f))
		err = -ENODATA;
	fclose(f);
	return err;
}

/* A setting of /proc/sys, or what it counts as when there is no such setting. */
static long read_long(const struct check *c, const char *path, long otherwise)
{
	char line[32];

	return read_line(c, path, line, sizeof(line)) ? otherwise : strtol(line, NULL, 10);
}

static void check_btf(struct check *c)
{
	struct refusal spare, *why = refusal_of(c, &spare);

	if (exists(c, "/sys/kernel/btf/vmlinux")) {
		emit(c, "btf", PROBE_OK, NULL);
		return;
	}
	emit(c, "btf", PROBE_MISSING, "the layout of this kernel's structures is unknown");
	if (!exists(c, "/sys/kernel"))
		refuse(why, STATUS_NOTSUPP, "the kernel's type information cannot be read",
		       "mount -t sysfs sysfs /sys", "/sys is not mounted here");
	else
		refuse(why, STATUS_NOTSUPP,
		       "the layout of this kernel's structures is unknown, so nothing can be read",
		       "grep CONFIG_DEBUG_INFO_BTF \"/boot/config-$(uname -r)\"",
		       "this kernel has no BTF (/sys/kernel/btf/vmlinux): "
		       "5.10 or later built with CONFIG_DEBUG_INFO_BTF is needed");
}

static void check_lockdown(struct check *c)
{
	struct refusal spare, *why = refusal_of(c, &spare);
	char line[128];

	if (read_line(c, "/sys/kernel/security/lockdown", line, sizeof(line)) ||
	    !strstr(line, "[confidentiality]")) {
		emit(c, "lockdown", PROBE_OK, NULL);
		return;
	}
	emit(c, "lockdown", PROBE_MISSING, no_memory);
	refuse(why, STATUS_NOPERM, no_memory, "cat /sys/kernel/security/lockdown",
	       "kernel lockdown is [confidentiality]: even root may not read kernel memory until "
	       "a boot with lockdown=integrity or none");
}

/* In a user namespace a process has all capabilities, and none of them counts here. */
static void check_user_namespace(struct check *c)
{
	struct refusal spare, *why = refusal_of(c, &spare);
	unsigned int inside, outside, count;
	char line[64];

	if (read_line(c, "/proc/self/uid_map", line, sizeof(line)) ||
	    sscanf(line, "%u %u %u", &inside, &outside, &count) != 3 ||
	    (!inside && !outside && count == UINT32_MAX)) {
		emit(c, "user namespace", PROBE_OK, NULL);
		return;
	}
	emit(c, "user namespace", PROBE_MISSING, "capabilities held here do not count");
	refuse(why, STATUS_NOPERM, no_memory, "",
	       "this is a user namespace (a rootless container?), whose capabilities do not count: "
	       "run daxtrace on the host");
}

/* The kernel's iterator lists the tasks of its reader's namespace, and says nothing of others. */
static void check_pid_namespace(struct check *c)
{
	struct refusal spare, *why = refusal_of(c, &spare);
	static const char costs[] =
		"tasks outside of it cannot be seen, neither waiters nor holders";
	char full[4096], name[64];
	ssize_t len;

	snprintf(full, sizeof(full), "%s/proc/self/ns/pid", c->root);
	len = readlink(full, name, sizeof(name) - 1);
	name[len < 0 ? 0 : len] = '\0';
	if (len < 0 || !strcmp(name, INITIAL_PID_NAMESPACE)) {
		emit(c, "pid namespace", PROBE_OK, NULL);
		return;
	}
	emit(c, "pid namespace", PROBE_MISSING, costs);
	refuse(why, STATUS_NOPERM, costs, "",
	       "this is a PID namespace (a container?): run daxtrace on the host, or in a container "
	       "that shares the host's, as with --pid=host");
}

static void add_name(char *list, size_t len, const char *name)
{
	size_t at = strlen(list);

	snprintf(list + at, len - at, "%s%s", at ? " and " : "", name);
}

static void check_bpf_capabilities(struct check *c)
{
	struct refusal spare, *why = refusal_of(c, &spare);
	char missing[64] = "";

	if (!(c->caps & CAP_BIT(CAP_SYS_ADMIN))) {
		if (!(c->caps & CAP_BIT(CAP_BPF)))
			add_name(missing, sizeof(missing), "CAP_BPF");
		if (!(c->caps & CAP_BIT(CAP_PERFMON)))
			add_name(missing, sizeof(missing), "CAP_PERFMON");
	}
	emit(c, "capabilities", *missing ? PROBE_MISSING : PROBE_OK, *missing ? no_memory : NULL);
	if (*missing)
		refuse(why, STATUS_NOPERM, no_memory,
		       "sudo daxtrace    (or once: sudo setcap cap_bpf,cap_perfmon,cap_syslog+ep "
		       "\"$(command -v daxtrace)\")",
		       "missing %s", missing);
}

/*
 * Mirrors kallsyms_show_value(): the same test guards /proc/kallsyms and the BPF helper that looks
 * a symbol up, and without addresses the walks have nowhere to start.
 */
static void check_symbols(struct check *c)
{
	struct refusal spare, *why = refusal_of(c, &spare);
	long restrict_to = read_long(c, "/proc/sys/kernel/kptr_restrict", 0);
	/* Without perf events nobody sees addresses on their account. */
	long paranoid = read_long(c, "/proc/sys/kernel/perf_event_paranoid", 3);
	bool syslog = c->caps & CAP_BIT(CAP_SYSLOG);
	static const char costs[] = "addresses of kernel symbols are hidden: no wait can be found";

	if (restrict_to < 2 && (syslog || (!restrict_to && paranoid <= 1))) {
		emit(c, "kernel symbols", PROBE_OK, NULL);
		return;
	}
	emit(c, "kernel symbols", PROBE_MISSING, costs);
	if (restrict_to >= 2)
		refuse(why, STATUS_NOPERM, costs, "sudo sysctl -w kernel.kptr_restrict=1",
		       "kernel.kptr_restrict is %ld, which hides kernel addresses even from root",
		       restrict_to);
	else
		refuse(why, STATUS_NOPERM, costs, "sudo daxtrace", "missing CAP_SYSLOG");
}

int preflight_at(const char *root, u64 caps, fact_sink_fn sink, void *arg, struct refusal *why)
{
	struct check c = { .root = root, .caps = caps, .sink = sink, .arg = arg, .why = why };

	why->status = STATUS_OK;
	check_btf(&c);
	check_lockdown(&c);
	check_user_namespace(&c);
	check_pid_namespace(&c);
	check_bpf_capabilities(&c);
	check_symbols(&c);
	if (c.sink_err && why->status == STATUS_OK)
		refuse(why, STATUS_ERROR, "what works here is not known", "", "%s",
		       strerror(-c.sink_err));
	return why->status == STATUS_OK ? 0 : -1;
}

/*
 * The kernel's own answer, not a uid: root may have dropped them, a user may have been given them.
 */
static u64 effective_capabilities(void)
{
	struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3] = { 0 };

	if (syscall(SYS_capget, &header, data))
		return 0;
	return data[0].effective | (u64)data[1].effective << 32;
}

int preflight(fact_sink_fn sink, void *arg, struct refusal *why)
{
	return preflight_at("", effective_capabilities(), sink, arg, why);
}
