// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* The document of contract.md, parsed back: every field of every object is there with its type. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>
#include <jansson.h>

#include <daxtop/view.h>

#include "build_graph.h"

static json_t *document(struct scene *s)
{
	const struct view_opts opts = { 0 };
	char *text = NULL;
	size_t len;
	FILE *out = open_memstream(&text, &len);
	json_error_t error;
	json_t *doc;

	assert_int_equal(diagnose(s->g, &s->f), 0);
	assert_int_equal(view_json(out, s->g, &s->f, &opts), 0);
	assert_int_equal(fclose(out), 0);
	for (size_t i = 0; i < len; i++)
		assert_true(text[i] == '\n' || (text[i] >= ' ' && text[i] <= 0x7f));
	doc = json_loads(text, JSON_REJECT_DUPLICATES, &error);
	assert_non_null(doc);
	free(text);
	return doc;
}

static json_t *linked_document(struct scene *s)
{
	scene_link(s);
	return document(s);
}

/* A value at a path of keys and, for arrays, indices: "waits", "0", "op". */
static const json_t *at(const json_t *j, const char *path)
{
	char copy[128], *save, *key;

	snprintf(copy, sizeof(copy), "%s", path);
	for (key = strtok_r(copy, ".", &save); key; key = strtok_r(NULL, ".", &save)) {
		if (json_is_array(j))
			j = json_array_get(j, strtoul(key, NULL, 10));
		else
			j = json_object_get(j, key);
		if (!j)
			fail_msg("no %s in the document", path);
	}
	return j;
}

static const char *string_at(const json_t *j, const char *path)
{
	assert_true(json_is_string(at(j, path)));
	return json_string_value(at(j, path));
}

static json_int_t int_at(const json_t *j, const char *path)
{
	assert_true(json_is_integer(at(j, path)));
	return json_integer_value(at(j, path));
}

static void assert_null_at(const json_t *j, const char *path)
{
	assert_true(json_is_null(at(j, path)));
}

/*
 * One letter for each field: s string, i integer, f real, b boolean, a array, o object; in capitals
 * null is allowed as well.
 */
struct field {
	const char *name;
	char type;
};

static bool has_type(const json_t *j, char type)
{
	if (type < 'a') {
		if (json_is_null(j))
			return true;
		type += 'a' - 'A';
	}
	switch (type) {
	case 's':
		return json_is_string(j);
	case 'i':
		return json_is_integer(j);
	case 'f':
		return json_is_real(j);
	case 'b':
		return json_is_boolean(j);
	case 'a':
		return json_is_array(j);
	default:
		return json_is_object(j);
	}
}

/* Fields of the contract in its order, before any that were added. */
static void assert_fields(const json_t *j, const struct field *f, size_t n)
{
	void *iter = json_object_iter((json_t *)j);

	assert_true(json_is_object(j));
	for (size_t i = 0; i < n; i++) {
		assert_non_null(iter);
		assert_string_equal(json_object_iter_key(iter), f[i].name);
		if (!has_type(json_object_iter_value(iter), f[i].type))
			fail_msg("%s has the wrong type", f[i].name);
		iter = json_object_iter_next((json_t *)j, iter);
	}
}

#define ASSERT_FIELDS(j, f) assert_fields(j, f, sizeof(f) / sizeof((f)[0]))

static const struct field document_fields[] = {
	{ "schema", 's' },   { "host", 'S' },     { "kernel", 'S' }, { "boot_id", 'S' },
	{ "time", 'S' },     { "mono_ns", 'i' },  { "source", 'o' }, { "waits", 'a' },
	{ "findings", 'a' }, { "coverage", 'o' },
};

static const struct field source_fields[] = {
	{ "snapshot", 'b' },
	{ "trace", 'b' },
	{ "recording", 'S' },
};

static const struct field wait_fields[] = {
	{ "id", 's' },
	{ "op", 's' },
	{ "on", 's' },
	{ "task", 'o' },
	{ "state", 's' },
	{ "interruptible", 'b' },
	{ "age_s", 'F' },
	{ "file", 'O' },
	{ "pages", 'a' },
	{ "holders", 'a' },
	{ "unattributed_refs", 'I' },
	{ "queued", 'a' },
	{ "kstack", 'a' },
	{ "ustack", 'a' },
};

static const struct field task_fields[] = {
	{ "pid", 'i' },      { "tid", 'i' },    { "comm", 's' },    { "uid", 'i' },
	{ "start_ns", 'I' }, { "cgroup", 'S' }, { "exiting", 'b' },
};

static const struct field file_fields[] = {
	{ "path", 'S' }, { "deleted", 'b' }, { "dev", 's' },
	{ "ino", 'i' },  { "fstype", 's' },  { "mount", 'S' },
};

static const struct field page_fields[] = {
	{ "index", 'I' }, { "offset", 'I' },    { "order", 'i' },
	{ "refs", 'i' },  { "idle_refs", 'i' },
};

static const struct field holder_fields[] = {
	{ "how", 's' },    { "confidence", 's' }, { "seen", 's' },   { "tasks", 'a' },
	{ "object", 'O' }, { "target", 'S' },     { "held_s", 'F' }, { "refs", 'i' },
	{ "kstack", 'a' }, { "ustack", 'a' },
};

static const struct field finding_fields[] = {
	{ "code", 's' },
	{ "waits", 'a' },
	{ "text", 's' },
	{ "advice", 'a' },
};

static const struct field advice_fields[] = {
	{ "do", 's' },
	{ "effect", 's' },
	{ "proven_by", 'S' },
};

static const struct field coverage_fields[] = {
	{ "lost", 'i' },
	{ "torn", 'i' },
	{ "probes", 'a' },
};

static const struct field probe_fields[] = {
	{ "name", 's' },
	{ "state", 's' },
	{ "costs", 'S' },
};

static const struct field ended_fields[] = {
	{ "op", 's' },   { "pid", 'i' },      { "tid", 'i' },       { "comm", 's' },
	{ "path", 'S' }, { "waited_s", 'F' }, { "at_most_s", 'F' },
};

static void assert_each(const json_t *list, const struct field *f, size_t n)
{
	size_t i;
	json_t *j;

	assert_true(json_is_array(list));
	json_array_foreach(list, i, j) assert_fields(j, f, n);
}

#define ASSERT_EACH(list, f) assert_each(list, f, sizeof(f) / sizeof((f)[0]))

static void assert_strings(const json_t *list)
{
	size_t i;
	json_t *j;

	assert_true(json_is_array(list));
	json_array_foreach(list, i, j) assert_true(json_is_string(j));
}

static void assert_holder(const json_t *holder)
{
	ASSERT_FIELDS(holder, holder_fields);
	ASSERT_EACH(at(holder, "tasks"), task_fields);
	assert_strings(at(holder, "kstack"));
	assert_strings(at(holder, "ustack"));
	if (!json_is_null(at(holder, "object"))) {
		string_at(holder, "object.kind");
		string_at(holder, "object.id");
	}
}

static void assert_wait(const json_t *wait)
{
	size_t i;
	json_t *j;

	ASSERT_FIELDS(wait, wait_fields);
	ASSERT_FIELDS(at(wait, "task"), task_fields);
	if (!json_is_null(at(wait, "file")))
		ASSERT_FIELDS(at(wait, "file"), file_fields);
	ASSERT_EACH(at(wait, "pages"), page_fields);
	ASSERT_EACH(at(wait, "queued"), task_fields);
	assert_strings(at(wait, "kstack"));
	assert_strings(at(wait, "ustack"));
	json_array_foreach(at(wait, "holders"), i, j) assert_holder(j);
}

static void assert_contract(const json_t *doc)
{
	size_t i;
	json_t *j;

	ASSERT_FIELDS(doc, document_fields);
	assert_string_equal(string_at(doc, "schema"), "daxtrace/1");
	ASSERT_FIELDS(at(doc, "source"), source_fields);
	ASSERT_FIELDS(at(doc, "coverage"), coverage_fields);
	ASSERT_EACH(at(doc, "coverage.probes"), probe_fields);
	ASSERT_EACH(at(doc, "ended"), ended_fields);
	json_array_foreach(at(doc, "waits"), i, j) assert_wait(j);
	ASSERT_EACH(at(doc, "findings"), finding_fields);
	json_array_foreach(at(doc, "findings"), i, j)
	{
		assert_strings(at(j, "waits"));
		ASSERT_EACH(at(j, "advice"), advice_fields);
	}
}

/* A scene in which every part of the document has at least one element. */
static void fill(struct scene *s)
{
	static const char *const frames[] = { "wait+0x1", "truncate+0x2" };
	static const struct fact_releaser pipe[] = { { .fd = 3, .reads = true } };
	static const struct fact_releaser io[] = { { .fd = -1 } };
	struct fact_releaser r0 = pipe[0], r1 = io[0];
	struct fact_hold h = make_hold(HOW_DIRECT_IO, CONF_LIKELY);
	struct fact_loss torn = { .kind = LOSS_TORN, .count = 2, .where = "bit_wait_table" };
	struct fact_task t = make_task(4181, "pgbackrest");

	r0.task = task_id(31802);
	r1.task = task_id(4181);
	t.tid = 4185;
	t.kstack = (struct fact_stack){ .frames = frames, .n = 1 };
	s->waiter.kstack = (struct fact_stack){ .frames = frames, .n = 2 };
	s->page.refs = 1 + 1024 + 2;
	h.target = "dm-0 (slow)";
	h.held_ns = 856200000000ULL;
	scene_task(s, make_task(31802, "feeder"));
	scene_task(s, t);
	scene_hold(s, make_pipe("pipe:[88123]"), &r0, 1);
	scene_hold(s, h, &r1, 1);
	scene_queued(s, 6000, "vacuum", SECOND);
	ADD(s->g, FACT_LOSS, loss, torn);
	ADD(s->g, FACT_PROBE, probe, ((struct fact_probe){ "btf", PROBE_OK, NULL }));
	ADD(s->g, FACT_PROBE, probe, ((struct fact_probe){ "vma", PROBE_MISSING, "no names" }));
}

static void the_contract(void **state)
{
	struct scene *s = *state;
	json_t *doc;

	fill(s);
	doc = linked_document(s);
	assert_contract(doc);
	assert_int_equal(json_array_size(at(doc, "waits.0.holders")), 2);
	assert_int_equal(json_array_size(at(doc, "waits.0.queued")), 1);
	assert_int_equal(json_array_size(at(doc, "coverage.probes")), 2);
	json_decref(doc);
}

static void the_values(void **state)
{
	struct scene *s = *state;
	json_t *doc;

	fill(s);
	doc = linked_document(s);
	assert_string_equal(string_at(doc, "time"), "2026-03-02T04:12:51.315+01:00");
	assert_int_equal(int_at(doc, "mono_ns"), 3554104 * SECOND);
	assert_string_equal(string_at(doc, "waits.0.id"), "w1");
	assert_string_equal(string_at(doc, "waits.0.op"), "truncate");
	assert_string_equal(string_at(doc, "waits.0.on"), "page");
	assert_string_equal(string_at(doc, "waits.0.state"), "S");
	assert_int_equal(int_at(doc, "waits.0.task.pid"), 20911);
	assert_float_equal(json_real_value(at(doc, "waits.0.age_s")), 854.1, 1e-9);
	assert_string_equal(string_at(doc, "waits.0.file.dev"), "259:1");
	assert_int_equal(int_at(doc, "waits.0.pages.0.index"), 0x1a3);
	assert_int_equal(int_at(doc, "waits.0.pages.0.offset"), 1716224);
	assert_int_equal(int_at(doc, "waits.0.pages.0.busy"), 3);
	assert_string_equal(string_at(doc, "waits.0.pages.0.pfn"), "0x140041");
	assert_string_equal(string_at(doc, "waits.0.holders.0.how"), "vmsplice");
	assert_string_equal(string_at(doc, "waits.0.holders.0.confidence"), "exact");
	assert_string_equal(string_at(doc, "waits.0.holders.0.object.id"), "pipe:[88123]");
	assert_int_equal(int_at(doc, "waits.0.holders.0.tasks.0.fd"), 3);
	assert_int_equal(int_at(doc, "waits.0.holders.1.tasks.0.tid"), 4185);
	assert_string_equal(string_at(doc, "waits.0.holders.1.kstack.0"), "wait+0x1");
	assert_string_equal(string_at(doc, "waits.0.holders.1.target"), "dm-0 (slow)");
	assert_float_equal(json_real_value(at(doc, "waits.0.holders.1.held_s")), 856.2, 1e-9);
	assert_int_equal(int_at(doc, "waits.0.unattributed_refs"), 1);
	assert_string_equal(string_at(doc, "waits.0.syscall"), "ftruncate(17, 4096)");
	assert_string_equal(string_at(doc, "findings.0.code"), "BLOCKED");
	assert_string_equal(string_at(doc, "findings.0.waits.0"), "w1");
	assert_string_equal(string_at(doc, "findings.0.advice.1.do"), "dmsetup info slow");
	assert_string_equal(string_at(doc, "findings.0.advice.1.proven_by"), "advice-dio");
	assert_int_equal(int_at(doc, "coverage.torn"), 2);
	assert_string_equal(string_at(doc, "coverage.probes.1.state"), "missing");
	json_decref(doc);
}

static void unknown_is_null(void **state)
{
	struct scene *s = *state;
	json_t *doc;

	s->session = (struct fact_session){ 0 };
	s->waiter.asleep_ns = FACT_UNKNOWN;
	s->waiter.start_ns = FACT_UNKNOWN;
	s->waiter.cgroup = s->waiter.call = NULL;
	s->file.path = s->file.mount = s->file.fstype = NULL;
	s->page.index = FACT_UNKNOWN;
	s->wait.op = OP_ALLOCATE;
	scene_hold(s, make_hold(HOW_UNKNOWN, CONF_CANDIDATE), NULL, 0);
	doc = linked_document(s);
	assert_contract(doc);
	assert_null_at(doc, "host");
	assert_null_at(doc, "time");
	assert_null_at(doc, "source.recording");
	assert_string_equal(string_at(doc, "waits.0.op"), "other");
	assert_null_at(doc, "waits.0.age_s");
	assert_null_at(doc, "waits.0.task.start_ns");
	assert_null_at(doc, "waits.0.task.cgroup");
	assert_null_at(doc, "waits.0.file.path");
	assert_null_at(doc, "waits.0.pages.0.index");
	assert_null_at(doc, "waits.0.pages.0.offset");
	assert_null_at(doc, "waits.0.holders.0.object");
	assert_null_at(doc, "waits.0.holders.0.held_s");
	assert_null_at(doc, "waits.0.trigger");
	assert_null_at(doc, "waits.0.syscall");
	json_decref(doc);
}

static void no_file_and_no_page(void **state)
{
	struct scene *s = *state;
	json_t *doc;

	s->wait.file = s->wait.page = 0;
	doc = linked_document(s);
	assert_contract(doc);
	assert_null_at(doc, "waits.0.file");
	assert_int_equal(json_array_size(at(doc, "waits.0.pages")), 0);
	assert_null_at(doc, "waits.0.unattributed_refs");
	json_decref(doc);
}

static void an_eviction(void **state)
{
	struct scene *s = *state;
	json_t *doc;

	scene_evict(s, TRIGGER_LAST_CLOSE);
	scene_pipe(s, "pipe:[7]", 20911, 4);
	doc = linked_document(s);
	assert_contract(doc);
	assert_string_equal(string_at(doc, "waits.0.op"), "evict");
	assert_string_equal(string_at(doc, "waits.0.trigger"), "last_close");
	assert_string_equal(string_at(doc, "waits.0.state"), "D");
	assert_true(json_is_false(at(doc, "waits.0.interruptible")));
	assert_true(json_is_true(at(doc, "waits.0.file.deleted")));
	assert_string_equal(string_at(doc, "findings.0.code"), "SELF_DEADLOCK");
	json_decref(doc);
}

/* No wait: the document still has all its parts. */
static void nothing_found(void **state)
{
	struct scene *s = *state;
	json_t *doc;

	ADD(s->g, FACT_SESSION, session, s->session);
	assert_int_equal(wfg_link(s->g), 0);
	doc = document(s);
	assert_contract(doc);
	assert_int_equal(json_array_size(at(doc, "waits")), 0);
	assert_int_equal(json_array_size(at(doc, "findings")), 0);
	assert_int_equal(int_at(doc, "coverage.lost"), 0);
	json_decref(doc);
}

static void hostile_strings(void **state)
{
	struct scene *s = *state;
	char path[4097];
	json_t *doc;

	memset(path, 'a', sizeof(path) - 1);
	path[sizeof(path) - 1] = '\0';
	memcpy(path, "/\033[2J\"\\\xff\xed\xa0\x80\xe2\x80\xae\n", 15);
	s->file.path = path;
	memcpy(s->waiter.comm, "\xc3\xbc\x80\x7f\xc2\x9bx", 8);
	s->waiter.state = '\x90';
	scene_pipe(s, "pipe:[\xfe]", 20911, 3);
	doc = linked_document(s);
	assert_contract(doc);
	assert_string_equal(string_at(doc, "waits.0.task.comm"), "\xc3\xbc\\x80\x7f\xc2\x9bx");
	assert_memory_equal(string_at(doc, "waits.0.file.path"),
			    "/\033[2J\"\\\\xff\\xed\\xa0\\x80\xe2\x80\xae\naaa", 30);
	assert_int_equal(strlen(string_at(doc, "waits.0.file.path")), 4096 + 4 * 3);
	assert_string_equal(string_at(doc, "waits.0.holders.0.object.id"), "pipe:[\\xfe]");
	assert_string_equal(string_at(doc, "waits.0.state"), "\\x90");
	json_decref(doc);
}

static void numbers_beyond_json(void **state)
{
	struct scene *s = *state;
	struct fact_loss lost = { .kind = LOSS_LOST, .count = UINT64_MAX };
	json_t *doc;

	s->waiter.start_ns = UINT64_MAX - 1;
	s->page.refs = INT64_MIN;
	s->page.pfn = UINT64_MAX;
	ADD(s->g, FACT_LOSS, loss, lost);
	doc = linked_document(s);
	assert_contract(doc);
	assert_null_at(doc, "waits.0.task.start_ns");
	assert_true(int_at(doc, "waits.0.pages.0.refs") == INT64_MIN);
	assert_string_equal(string_at(doc, "waits.0.pages.0.pfn"), "0xffffffffffffffff");
	assert_true(int_at(doc, "coverage.lost") == INT64_MAX);
	json_decref(doc);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, scene_setup, scene_teardown)

static void pins_not_looked_for(void **state)
{
	json_t *doc = linked_document(*state);

	assert_null_at(doc, "pins");
	assert_null_at(doc, "unbind");
	assert_null_at(doc, "coverage.pins");
	json_decref(doc);
}

static void pins_and_unbind(void **state)
{
	struct scene *s = *state;
	json_t *doc;

	s->session.pins_pages = 4096;
	s->session.pins_ns = SECOND / 2;
	s->session.unbind = "pmem0";
	s->session.unbind_effect = UNBIND_HANGS;
	scene_task(s, make_task(31802, "feeder"));
	scene_pipe(s, "pipe:[88123]", 31802, 3);
	doc = linked_document(s);
	assert_int_equal(json_array_size(at(doc, "pins")), 1);
	assert_string_equal(string_at(doc, "pins.0.file.path"), "/pmem1/db/seg.0042");
	assert_int_equal(json_integer_value(at(doc, "pins.0.page.index")), 0x1a3);
	assert_int_equal(json_integer_value(at(doc, "pins.0.holders.0.tasks.0.pid")), 31802);
	assert_string_equal(string_at(doc, "pins.0.waits.0"), "w1");
	assert_int_equal(json_integer_value(at(doc, "coverage.pins.pages")), 4096);
	assert_int_equal(json_integer_value(at(doc, "coverage.pins.left")), 0);
	assert_string_equal(string_at(doc, "unbind.device"), "pmem0");
	assert_string_equal(string_at(doc, "unbind.effect"), "hangs");
	assert_null_at(doc, "unbind.mount");
	assert_string_equal(string_at(doc, "findings.1.code"), "UNBIND");
	assert_int_equal(json_array_size(at(doc, "findings.1.waits")), 0);
	json_decref(doc);
}

static void waits_that_ended(void **state)
{
	struct scene *s = *state;
	struct fact_end e = { .pid = 7, .tid = 8, .comm = "x\xff", .op = OP_PUNCH_HOLE };
	json_t *doc;

	e.path = "/pmem1/x";
	e.waited_ns = 2 * SECOND;
	e.unseen_ns = SECOND / 2;
	ADD(s->g, FACT_END, end, e);
	e.path = NULL;
	e.waited_ns = FACT_UNKNOWN;
	ADD(s->g, FACT_END, end, e);
	s->session.scope = "/pmem1, /dev/pmem2";
	doc = linked_document(s);
	assert_contract(doc);
	assert_string_equal(string_at(doc, "ended.0.op"), "punch_hole");
	assert_string_equal(string_at(doc, "ended.0.comm"), "x\\xff");
	assert_string_equal(string_at(doc, "ended.0.path"), "/pmem1/x");
	assert_true(json_real_value(at(doc, "ended.0.waited_s")) == 2.0);
	assert_true(json_real_value(at(doc, "ended.0.at_most_s")) == 2.5);
	assert_null_at(doc, "ended.1.path");
	assert_null_at(doc, "ended.1.waited_s");
	assert_null_at(doc, "ended.1.at_most_s");
	assert_string_equal(string_at(doc, "source.scope"), "/pmem1, /dev/pmem2");
	json_decref(doc);
}

/* What only hooks know. */
static void what_was_traced(void **state)
{
	struct scene *s = *state;
	const char *const frames[] = { "dax_break_layout+0x1/0x2" };
	struct fact_end e = { .pid = 7, .tid = 7, .result = RESULT_INTERRUPTED, .pages = 2 };
	struct fact_freed f = { .page = PAGE_ID, .pid = 9, .tid = 9, .comm = "rm", .pages = 1 };
	json_t *doc;

	e.began_ns = SECOND;
	e.ended_ns = 3 * SECOND;
	e.waited_ns = 2 * SECOND;
	e.dev_major = 259;
	e.ino = 12;
	e.kstack = (struct fact_stack){ frames, 1, NULL };
	ADD(s->g, FACT_END, end, e);
	f.op = OP_TRUNCATE;
	f.index = 5;
	f.block = true;
	f.freed_ns = 4 * SECOND;
	ADD(s->g, FACT_FREED, freed, f);
	f.freed_ns = 5 * SECOND;
	ADD(s->g, FACT_FREED, freed, f);
	s->wait.began_ns = s->session.mono_ns - 900 * SECOND;
	s->wait.pages = 3;
	doc = linked_document(s);
	assert_contract(doc);
	assert_string_equal(string_at(doc, "ended.0.result"), "interrupted");
	assert_int_equal(int_at(doc, "ended.0.began_mono_ns"), SECOND);
	assert_int_equal(int_at(doc, "ended.0.ended_mono_ns"), 3 * SECOND);
	assert_int_equal(int_at(doc, "ended.0.pages_waited"), 2);
	assert_string_equal(string_at(doc, "ended.0.dev"), "259:0");
	assert_int_equal(int_at(doc, "ended.0.ino"), 12);
	assert_string_equal(string_at(doc, "ended.0.kstack.0"), frames[0]);
	assert_int_equal(int_at(doc, "freed.0.pid"), 9);
	assert_int_equal(int_at(doc, "freed.0.index"), 5);
	assert_int_equal(int_at(doc, "freed.0.mono_ns"), 4 * SECOND);
	assert_int_equal(int_at(doc, "freed.1.mono_ns"), 5 * SECOND);
	assert_null_at(doc, "freed.0.path");
	assert_true(json_real_value(at(doc, "waits.0.age_s")) == 900.0);
	assert_int_equal(int_at(doc, "waits.0.pages_waited"), 3);
	assert_ptr_equal(wfg_page(s->g, 0)->freed, wfg_freed(s->g, 1));
	json_decref(doc);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(the_contract),        TEST(the_values),          TEST(unknown_is_null),
		TEST(no_file_and_no_page), TEST(an_eviction),         TEST(nothing_found),
		TEST(hostile_strings),     TEST(numbers_beyond_json), TEST(waits_that_ended),
		TEST(pins_not_looked_for), TEST(pins_and_unbind),     TEST(what_was_traced),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
