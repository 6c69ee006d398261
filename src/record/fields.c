// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "record/fields.h"

#include <string.h>

/* "other" stands for two operations in the contract; here each needs a word of its own. */
static const char *op_word(u32 value)
{
	return value == OP_ALLOCATE ? "allocate" : fact_op_name(value);
}

static const char *trigger_word(u32 value)
{
	return fact_trigger_name(value);
}

static const char *on_word(u32 value)
{
	return fact_on_name(value);
}

static const char *how_word(u32 value)
{
	return fact_how_name(value);
}

static const char *confidence_word(u32 value)
{
	return fact_confidence_name(value);
}

static const char *unbind_word(u32 value)
{
	return fact_unbind_name(value);
}

static const char *seen_word(u32 value)
{
	return fact_seen_name(value);
}

static const char *loss_word(u32 value)
{
	return fact_loss_name(value);
}

static const char *result_word(u32 value)
{
	return fact_result_name(value);
}

static const char *probe_word(u32 value)
{
	return fact_probe_state_name(value);
}

static const char *mode_word(u32 value)
{
	return fact_mode_name(value);
}

static const struct words ops = { op_word, OP_MAX, OP_OTHER };
static const struct words triggers = { trigger_word, TRIGGER_MAX, TRIGGER_NONE };
static const struct words ons = { on_word, ON_MAX, ON_PAGE };
static const struct words hows = { how_word, HOW_MAX, HOW_UNKNOWN };
static const struct words confidences = { confidence_word, CONF_MAX, CONF_CANDIDATE };
static const struct words seens = { seen_word, SEEN_MAX, SEEN_SNAPSHOT };
static const struct words unbinds = { unbind_word, UNBIND_MAX, UNBIND_UNKNOWN };
static const struct words losses = { loss_word, LOSS_MAX, LOSS_LOST };
static const struct words modes = { mode_word, MODE_MAX, MODE_UNKNOWN };
static const struct words results = { result_word, RESULT_MAX, RESULT_UNKNOWN };
static const struct words probe_states = { probe_word, PROBE_STATE_MAX, PROBE_MISSING };

#define MEMBER(type, field_name, field_kind, member, ...)              \
	{                                                              \
		.name = field_name, .kind = FIELD_##field_kind,        \
		.offset = offsetof(struct type, member), ##__VA_ARGS__ \
	}
#define FIELD(...)    MEMBER(fact, __VA_ARGS__)
#define RELEASER(...) MEMBER(fact_releaser, __VA_ARGS__)
#define REQUIRED      .always = true, .required = true

const struct field common_fields[] = {
	FIELD("seen", WORD, seen, .always = true, .words = &seens),
	{ .name = NULL },
};

static const struct field session_fields[] = {
	FIELD("host", TEXT, session.host),
	FIELD("kernel", TEXT, session.kernel),
	FIELD("boot_id", TEXT, session.boot_id),
	FIELD("time_sec", S64, session.time_sec),
	FIELD("time_nsec", U32, session.time_nsec),
	FIELD("utc_offset", S32, session.utc_offset, .always = true),
	FIELD("mono_ns", U64, session.mono_ns),
	FIELD("snapshot", BOOL, session.snapshot),
	FIELD("trace", BOOL, session.trace),
	FIELD("recording", TEXT, session.recording),
	FIELD("scope", TEXT, session.scope),
	FIELD("dax_mounts", U32, session.dax_mounts, .always = true),
	FIELD("dax_devices", U32, session.dax_devices, .always = true),
	FIELD("coherent_idle", BOOL, session.coherent_idle, .always = true),
	FIELD("readers_pass", BOOL, session.readers_pass),
	FIELD("pins_pages", U64, session.pins_pages),
	FIELD("pins_left", U64, session.pins_left),
	FIELD("pins_ns", U64, session.pins_ns),
	FIELD("unbind", TEXT, session.unbind),
	FIELD("unbind_mount", TEXT, session.unbind_mount),
	FIELD("unbind_effect", WORD, session.unbind_effect, .words = &unbinds),
	{ .name = NULL },
};

static const struct field task_fields[] = {
	FIELD("id", HEX, task.id, REQUIRED),
	FIELD("pid", U32, task.pid, .always = true),
	FIELD("tid", U32, task.tid, .always = true),
	FIELD("comm", COMM, task.comm),
	FIELD("uid", U32, task.uid, .absent = UINT32_MAX),
	FIELD("threads", U32, task.threads),
	FIELD("start_ns", U64, task.start_ns, .always = true),
	FIELD("asleep_ns", U64, task.asleep_ns, .absent = FACT_UNKNOWN),
	FIELD("state", LETTER, task.state),
	FIELD("exiting", BOOL, task.exiting),
	FIELD("frozen", BOOL, task.frozen),
	FIELD("kthread", BOOL, task.kthread),
	FIELD("io_worker", BOOL, task.io_worker),
	FIELD("cgroup", TEXT, task.cgroup),
	FIELD("syscall", S32, task.syscall, .absent = -1),
	FIELD("args", HEX6, task.args),
	FIELD("call", TEXT, task.call),
	FIELD("nfs_client", TEXT, task.nfs_client),
	FIELD("signals_known", BOOL, task.signals.known),
	FIELD("blocked", HEX, task.signals.blocked),
	FIELD("ignored", HEX, task.signals.ignored),
	FIELD("caught", HEX, task.signals.caught),
	FIELD("restarts", HEX, task.signals.restarts),
	FIELD("kstack", FRAMES, task.kstack),
	FIELD("kstack_missing", TEXT, task.kstack.why_missing),
	FIELD("ustack", FRAMES, task.ustack),
	FIELD("ustack_missing", TEXT, task.ustack.why_missing),
	{ .name = NULL },
};

static const struct field file_fields[] = {
	FIELD("id", HEX, file.id, REQUIRED),
	FIELD("dev_major", U32, file.dev_major, .always = true),
	FIELD("dev_minor", U32, file.dev_minor, .always = true),
	FIELD("ino", U64, file.ino, .always = true),
	FIELD("size", U64, file.size, .absent = FACT_UNKNOWN),
	FIELD("path", TEXT, file.path),
	FIELD("deleted", BOOL, file.deleted),
	FIELD("fstype", TEXT, file.fstype),
	FIELD("mount", TEXT, file.mount),
	FIELD("device", TEXT, file.device),
	{ .name = NULL },
};

static const struct field page_fields[] = {
	FIELD("id", HEX, page.id, REQUIRED),
	FIELD("file", HEX, page.file),
	FIELD("index", U64, page.index, .absent = FACT_UNKNOWN),
	FIELD("order", U32, page.order, .always = true),
	FIELD("refs", S64, page.refs, .always = true),
	FIELD("idle_refs", S64, page.idle_refs, .always = true),
	FIELD("mapcount", S64, page.mapcount, .always = true),
	FIELD("pincount", S64, page.pincount, .absent = -1),
	FIELD("shared", U32, page.shared),
	FIELD("pfn", HEX, page.pfn, .always = true),
	FIELD("orphan", BOOL, page.orphan),
	FIELD("device", TEXT, page.device),
	FIELD("device_offset", U64, page.device_offset, .absent = FACT_UNKNOWN),
	{ .name = NULL },
};

static const struct field wait_fields[] = {
	FIELD("task", HEX, wait.task, REQUIRED),
	FIELD("file", HEX, wait.file),
	FIELD("page", HEX, wait.page),
	FIELD("op", WORD, wait.op, .always = true, .words = &ops),
	FIELD("trigger", WORD, wait.trigger, .words = &triggers),
	FIELD("on", WORD, wait.on, .always = true, .words = &ons),
	FIELD("interruptible", BOOL, wait.interruptible, .always = true),
	FIELD("spins", BOOL, wait.spins),
	FIELD("began_ns", U64, wait.began_ns),
	FIELD("pages", U32, wait.pages),
	FIELD("lock", HEX, wait.lock),
	FIELD("index", U64, wait.index),
	FIELD("is_free", BOOL, wait.is_free),
	{ .name = NULL },
};

const struct field releaser_fields[] = {
	RELEASER("task", HEX, task, REQUIRED),
	RELEASER("fd", S32, fd, .absent = -1),
	RELEASER("reads", BOOL, reads),
	RELEASER("receives", BOOL, receives),
	RELEASER("registered", BOOL, registered),
	RELEASER("exit_waits", BOOL, exit_waits),
	{ .name = NULL },
};

static const struct field hold_fields[] = {
	FIELD("page", HEX, hold.page, REQUIRED),
	FIELD("lock", HEX, hold.lock),
	FIELD("how", WORD, hold.how, .always = true, .words = &hows),
	FIELD("confidence", WORD, hold.confidence, .always = true, .words = &confidences),
	FIELD("refs", U32, hold.refs, .always = true),
	FIELD("object_kind", TEXT, hold.object_kind),
	FIELD("object_id", TEXT, hold.object_id),
	FIELD("target", TEXT, hold.target),
	FIELD("device", TEXT, hold.device),
	FIELD("device_type", TEXT, hold.device_type),
	FIELD("frozen", TEXT, hold.frozen),
	FIELD("limit", TEXT, hold.limit),
	FIELD("limit_by", TEXT, hold.limit_by),
	FIELD("server", HEX, hold.server),
	FIELD("server_likely", BOOL, hold.server_likely),
	FIELD("unqueued", BOOL, hold.unqueued),
	FIELD("unsent", BOOL, hold.unsent),
	FIELD("detail", TEXT, hold.detail),
	FIELD("held_ns", U64, hold.held_ns, .absent = FACT_UNKNOWN),
	FIELD("left_ns", U64, hold.left_ns),
	FIELD("of_nfsd", BOOL, hold.of_nfsd),
	FIELD("client_dir", TEXT, hold.client_dir),
	FIELD("drain_bytes", U64, hold.drain_bytes),
	FIELD("pipe_user", U32, hold.pipe_user, .always = true),
	FIELD("outbound", BOOL, hold.outbound),
	FIELD("peer", TEXT, hold.peer),
	FIELD("local", TEXT, hold.local),
	FIELD("undelivered", BOOL, hold.undelivered),
	FIELD("releasers", RELEASERS, hold.releasers),
	FIELD("taker_pid", U32, hold.taker_pid),
	FIELD("taker_tid", U32, hold.taker_tid),
	FIELD("taker_comm", COMM, hold.taker_comm),
	FIELD("kstack", FRAMES, hold.kstack),
	FIELD("kstack_missing", TEXT, hold.kstack.why_missing),
	{ .name = NULL },
};

static const struct field queued_fields[] = {
	FIELD("wait", HEX, queued.wait),
	FIELD("task", HEX, queued.task, REQUIRED),
	FIELD("lock", TEXT, queued.lock),
	FIELD("on", HEX, queued.on),
	FIELD("shared", BOOL, queued.shared),
	FIELD("after", HEX, queued.after),
	{ .name = NULL },
};

static const struct field lock_fields[] = {
	FIELD("id", HEX, lock.id, REQUIRED),
	FIELD("name", TEXT, lock.name),
	FIELD("of", TEXT, lock.of),
	FIELD("file", HEX, lock.file),
	FIELD("mode", WORD, lock.mode, .always = true, .words = &modes),
	FIELD("readers", U32, lock.readers),
	FIELD("owners", RELEASERS, lock.owners),
	FIELD("sure", BOOL, lock.sure),
	{ .name = NULL },
};

static const struct field loss_fields[] = {
	FIELD("kind", WORD, loss.kind, REQUIRED, .words = &losses),
	FIELD("count", U64, loss.count, REQUIRED),
	FIELD("where", TEXT, loss.where),
	{ .name = NULL },
};

static const struct field probe_fields[] = {
	FIELD("name", TEXT, probe.name, REQUIRED),
	FIELD("state", WORD, probe.state, REQUIRED, .words = &probe_states),
	FIELD("costs", TEXT, probe.costs),
	{ .name = NULL },
};

static const struct field end_fields[] = {
	FIELD("task", HEX, end.task, REQUIRED),
	FIELD("pid", U32, end.pid, .always = true),
	FIELD("tid", U32, end.tid, .always = true),
	FIELD("comm", COMM, end.comm),
	FIELD("op", WORD, end.op, .always = true, .words = &ops),
	FIELD("path", TEXT, end.path),
	FIELD("waited_ns", U64, end.waited_ns, .absent = FACT_UNKNOWN),
	FIELD("unseen_ns", U64, end.unseen_ns, .always = true),
	FIELD("result", WORD, end.result, .words = &results),
	FIELD("trigger", WORD, end.trigger, .words = &triggers),
	FIELD("began_ns", U64, end.began_ns),
	FIELD("ended_ns", U64, end.ended_ns),
	FIELD("pages", U32, end.pages),
	FIELD("dev_major", U32, end.dev_major),
	FIELD("dev_minor", U32, end.dev_minor),
	FIELD("ino", U64, end.ino),
	FIELD("kstack", FRAMES, end.kstack),
	FIELD("kstack_missing", TEXT, end.kstack.why_missing),
	FIELD("ustack", FRAMES, end.ustack),
	FIELD("ustack_missing", TEXT, end.ustack.why_missing),
	{ .name = NULL },
};

static const struct field freed_fields[] = {
	FIELD("page", HEX, freed.page, REQUIRED),
	FIELD("index", U64, freed.index, .absent = FACT_UNKNOWN),
	FIELD("pages", U32, freed.pages, .always = true),
	FIELD("block", BOOL, freed.block, .always = true),
	FIELD("task", HEX, freed.task),
	FIELD("pid", U32, freed.pid, .always = true),
	FIELD("tid", U32, freed.tid, .always = true),
	FIELD("comm", COMM, freed.comm),
	FIELD("op", WORD, freed.op, .always = true, .words = &ops),
	FIELD("trigger", WORD, freed.trigger, .words = &triggers),
	FIELD("freed_ns", U64, freed.freed_ns),
	FIELD("path", TEXT, freed.path),
	FIELD("dev_major", U32, freed.dev_major),
	FIELD("dev_minor", U32, freed.dev_minor),
	FIELD("ino", U64, freed.ino),
	FIELD("kstack", FRAMES, freed.kstack),
	FIELD("kstack_missing", TEXT, freed.kstack.why_missing),
	{ .name = NULL },
};

const struct record_type record_types[] = {
	{ "session", FACT_SESSION, session_fields },
	{ "task", FACT_TASK, task_fields },
	{ "file", FACT_FILE, file_fields },
	{ "page", FACT_PAGE, page_fields },
	{ "wait", FACT_WAIT, wait_fields },
	{ "hold", FACT_HOLD, hold_fields },
	{ "queued", FACT_QUEUED, queued_fields },
	{ "loss", FACT_LOSS, loss_fields },
	{ "probe", FACT_PROBE, probe_fields },
	{ "end", FACT_END, end_fields },
	{ "lock", FACT_LOCK, lock_fields },
	{ "freed", FACT_FREED, freed_fields },
	{ .name = NULL },
};

size_t field_size(const struct field *field)
{
	static const u8 sizes[] = {
		[FIELD_TEXT] = sizeof(char *),
		[FIELD_COMM] = FACT_COMM_LEN + 1,
		[FIELD_LETTER] = 1,
		[FIELD_BOOL] = sizeof(bool),
		[FIELD_U32] = 4,
		[FIELD_S32] = 4,
		[FIELD_S64] = 8,
		[FIELD_U64] = 8,
		[FIELD_HEX] = 8,
		[FIELD_HEX6] = 48,
		[FIELD_WORD] = sizeof(enum fact_op),
		[FIELD_FRAMES] = offsetof(struct fact_stack, why_missing),
		[FIELD_RELEASERS] = sizeof(void *) + 4,
	};

	return sizes[field->kind];
}

u64 field_load(const struct field *field, const void *base)
{
	const char *at = (const char *)base + field->offset;
	u32 word;
	u64 value;

	switch (field_size(field)) {
	case 1:
		return *(const u8 *)at;
	case 4:
		memcpy(&word, at, sizeof(word));
		return field->kind == FIELD_S32 ? (u64)(s32)word : word;
	default:
		memcpy(&value, at, sizeof(value));
		return value;
	}
}

void field_store(const struct field *field, void *base, u64 value)
{
	char *at = (char *)base + field->offset;
	u32 word = value;

	switch (field_size(field)) {
	case 1:
		*(u8 *)at = value;
		break;
	case 4:
		memcpy(at, &word, sizeof(word));
		break;
	default:
		memcpy(at, &value, sizeof(value));
	}
}
