// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include <stddef.h>

#include <daxtop/fact.h>

/* The word for value, or for a value out of range (a recording may hold any) the first one. */
#define NAME(names, value) \
	((names)[(size_t)(value) < sizeof(names) / sizeof((names)[0]) ? (size_t)(value) : 0])

const char *fact_op_name(enum fact_op op)
{
	static const char *const names[OP_MAX] = {
		[OP_OTHER] = "other",
		[OP_TRUNCATE] = "truncate",
		[OP_OPEN_TRUNC] = "open_trunc",
		[OP_PUNCH_HOLE] = "punch_hole",
		[OP_ZERO_RANGE] = "zero_range",
		[OP_COLLAPSE_RANGE] = "collapse_range",
		[OP_INSERT_RANGE] = "insert_range",
		[OP_ALLOCATE] = "other",
		[OP_REFLINK] = "reflink",
		[OP_DEDUPE] = "dedupe",
		[OP_EXCHANGE] = "exchange",
		[OP_WRITE] = "write",
		[OP_SETFLAGS] = "setflags",
		[OP_EVICT] = "evict",
		[OP_UMOUNT] = "umount",
		[OP_RECLAIM] = "reclaim",
		[OP_FAULT] = "fault",
		[OP_WRITEBACK] = "writeback",
		[OP_UNBIND] = "unbind",
	};

	return NAME(names, op);
}

const char *fact_unbind_name(enum fact_unbind effect)
{
	static const char *const names[UNBIND_MAX] = {
		[UNBIND_UNKNOWN] = "unknown",
		[UNBIND_HANGS] = "hangs",
		[UNBIND_CRASHES] = "crashes",
	};

	return NAME(names, effect);
}

const char *fact_trigger_name(enum fact_trigger trigger)
{
	static const char *const names[TRIGGER_MAX] = {
		[TRIGGER_NONE] = "none",
		[TRIGGER_UNLINK] = "unlink",
		[TRIGGER_LAST_CLOSE] = "last_close",
		[TRIGGER_EXIT] = "exit",
		[TRIGGER_UMOUNT] = "umount",
		[TRIGGER_DEVICE_REMOVAL] = "device_removal",
		[TRIGGER_SHRINKER] = "shrinker",
		[TRIGGER_DAX_WINDOW] = "dax_window",
	};

	return NAME(names, trigger);
}

const char *fact_on_name(enum fact_on on)
{
	static const char *const names[ON_MAX] = {
		[ON_PAGE] = "page",
		[ON_LOCK] = "lock",
		[ON_ENTRY_LOCK] = "entry_lock",
		[ON_LEASE] = "lease",
	};

	return NAME(names, on);
}

const char *fact_how_name(enum fact_how how)
{
	static const char *const names[HOW_MAX] = {
		[HOW_UNKNOWN] = "unknown",
		[HOW_VMSPLICE] = "vmsplice",
		[HOW_SOCKET] = "socket",
		[HOW_ZEROCOPY] = "zerocopy",
		[HOW_DIRECT_IO] = "direct_io",
		[HOW_AIO] = "aio",
		[HOW_IO_URING] = "io_uring",
		[HOW_FUSE] = "fuse",
		[HOW_NFS] = "nfs",
		[HOW_P9] = "9p",
		[HOW_SG_IO] = "sg_io",
		[HOW_PROCESS_VM] = "process_vm",
		[HOW_PTRACE] = "ptrace",
		[HOW_COREDUMP] = "coredump",
		[HOW_KVM] = "kvm",
		[HOW_MAPPING] = "mapping",
		[HOW_KERNEL] = "kernel",
		[HOW_FAULT] = "fault",
		[HOW_WRITEBACK] = "writeback",
		[HOW_LEASE] = "lease",
	};

	return NAME(names, how);
}

const char *fact_confidence_name(enum fact_confidence confidence)
{
	static const char *const names[CONF_MAX] = {
		[CONF_CANDIDATE] = "candidate",
		[CONF_LIKELY] = "likely",
		[CONF_EXACT] = "exact",
	};

	return NAME(names, confidence);
}

const char *fact_seen_name(enum fact_seen seen)
{
	return seen == SEEN_TRACE ? "trace" : "snapshot";
}

const char *fact_loss_name(enum fact_loss_kind kind)
{
	return kind == LOSS_TORN ? "torn" : "lost";
}

const char *fact_mode_name(enum fact_mode mode)
{
	static const char *const names[MODE_MAX] = {
		[MODE_UNKNOWN] = "unknown",
		[MODE_WRITE] = "write",
		[MODE_READ] = "read",
		[MODE_PIPE] = "pipe",
	};

	return NAME(names, mode);
}

const char *fact_result_name(enum fact_result result)
{
	static const char *const names[RESULT_MAX] = {
		[RESULT_UNKNOWN] = "unknown",
		[RESULT_DONE] = "done",
		[RESULT_INTERRUPTED] = "interrupted",
		[RESULT_FAILED] = "failed",
	};

	return NAME(names, result);
}

const char *fact_probe_state_name(enum fact_probe_state state)
{
	static const char *const names[PROBE_STATE_MAX] = {
		[PROBE_OK] = "ok",
		[PROBE_FALLBACK] = "fallback",
		[PROBE_MISSING] = "missing",
	};

	/* Out of range must not read as ok. */
	return (size_t)state < PROBE_STATE_MAX ? names[state] : "missing";
}
