// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Recordings: what was written is read again, to the byte of what is printed; what is damaged is
 * told with its line, and what comes before it is kept.
 */
#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include <cmocka.h>

#include "record/codec.h"
#include "record/fields.h"
#include "record/ring.h"
#include "recordings.h"
#include "tree.h"
#include "util/base64.h"

enum { ROUNDS = 300, CUTS = 200, FLIPS = 2000 };

static const char *names[IMAGES_MAX];
static size_t nr_names;

int usleep(useconds_t us)
{
	(void)us;
	return 0;
}

/* A look that goes to a graph and to a recording. */
struct tee {
	struct wfg *g;
	struct recording_out *out;
};

static int tee_add(void *arg, const struct fact *fact)
{
	struct tee *t = arg;

	assert_int_equal(recording_add(t->out, fact), 0);
	return wfg_add(t->g, fact);
}

/* A look at an image goes to a recording; what is printed of it. */
static char *record_image(const char *name, struct recording_out *out)
{
	const struct snapshot_opts opts = { .user_stacks = true, .recording = "case.dxt" };
	struct kmem *k = image_open(name);
	struct tee t = { wfg_new(), out };
	char *text;

	assert_int_equal(recording_look(out), 0);
	assert_int_equal(snapshot_kmem(k, &opts, tee_add, &t), 0);
	assert_int_equal(recording_look_end(out), 0);
	assert_int_equal(wfg_link(t.g), 0);
	text = all_views(t.g);
	wfg_free(t.g);
	kmem_close(k);
	return text;
}

static void test_images_replay_to_the_byte(void **state)
{
	struct recording_out *out;
	char *live, *replayed;
	struct heard h;
	struct temp t;

	(void)state;
	for (size_t i = 0; i < nr_names; i++) {
		temp_open(&t);
		out = recording_create(t.path);
		assert_non_null(out);
		live = record_image(names[i], out);
		assert_int_equal(recording_close(out, END_DONE), 0);
		heard_read(&h, t.path);
		assert_int_equal(h.why.status, STATUS_OK);
		assert_int_equal(h.looks, 1);
		assert_int_equal(h.unknown, 0);
		replayed = all_views(h.g);
		assert_string_equal(live, replayed);
		heard_free(&h);
		temp_close(&t);
		free(live);
		free(replayed);
	}
}

/* All images as looks of one recording; the last is what is shown. */
static void test_many_looks(void **state)
{
	struct recording_out *out;
	char *live = NULL, *replayed;
	struct heard h;
	struct temp t;

	(void)state;
	temp_open(&t);
	out = recording_create(t.path);
	for (size_t i = 0; i < nr_names; i++) {
		free(live);
		live = record_image(names[i], out);
	}
	assert_int_equal(recording_looks(out), nr_names);
	assert_true(recording_size(out) > 100 * nr_names);
	assert_int_equal(recording_close(out, END_SIGNAL), 0);
	heard_read(&h, t.path);
	assert_int_equal(h.why.status, STATUS_OK);
	assert_int_equal(h.looks, nr_names);
	replayed = all_views(h.g);
	assert_string_equal(live, replayed);
	heard_free(&h);
	temp_close(&t);
	free(live);
	free(replayed);
}

/* Bytes of a recording of two images, packed or plain; the caller frees. */
static char *two_looks(bool packed, size_t *len)
{
	struct recording_out *out;
	struct temp t;
	FILE *plain;
	char *text;

	temp_open(&t);
	plain = fopen(t.path, "w");
	out = packed ? recording_create(t.path) : recording_stream(plain);
	free(record_image(names[0], out));
	free(record_image(names[nr_names - 1], out));
	assert_int_equal(recording_close(out, END_DONE), 0);
	assert_int_equal(fclose(plain), 0);
	*len = lseek(t.fd, 0, SEEK_END);
	text = malloc(*len);
	assert_int_equal(pread(t.fd, text, *len, 0), *len);
	temp_close(&t);
	return text;
}

static void test_recordings_behind_each_other(void **state)
{
	(void)state;
	for (int packed = 0; packed < 2; packed++) {
		size_t len;
		char *text = two_looks(packed, &len);
		struct heard h;
		struct temp t;

		temp_open(&t);
		temp_write(&t, text, len);
		temp_write(&t, text, len);
		heard_read(&h, t.path);
		assert_int_equal(h.why.status, STATUS_OK);
		assert_int_equal(h.looks, 4);
		heard_free(&h);
		temp_close(&t);
		free(text);
	}
}

/* However it is cut, the looks before stay, and the loss is told. */
static void test_cut_anywhere(void **state)
{
	(void)state;
	for (int packed = 0; packed < 2; packed++) {
		size_t len;
		char *text = two_looks(packed, &len);
		u32 looks = 0;

		for (int i = 0; i <= CUTS; i++) {
			size_t keep = i < CUTS ? len * i / CUTS : len - 1;
			struct heard h;

			heard_text(&h, text, keep);
			assert_int_equal(h.why.status, STATUS_ERROR);
			assert_true(h.looks >= looks && h.looks <= 2);
			if (h.cut)
				assert_int_equal(wfg_losses(h.g, LOSS_LOST) > 0, true);
			looks = h.looks;
			heard_free(&h);
		}
		assert_int_equal(looks, 2);
		free(text);
	}
}

static void test_flipped_bits(void **state)
{
	(void)state;
	srand(1);
	for (int packed = 0; packed < 2; packed++) {
		size_t len;
		char *text = two_looks(packed, &len);

		for (int i = 0; i < FLIPS; i++) {
			size_t at = ((size_t)rand() << 15 ^ rand()) % len;
			char bit = 1 << rand() % 8;
			struct heard h;

			text[at] ^= bit;
			heard_text(&h, text, len);
			if (h.g)
				free(all_views(h.g));
			heard_free(&h);
			text[at] ^= bit;
		}
		free(text);
	}
}

/* The checksum is the last to be wrong: everything before it is good. */
static void test_flip_behind_the_last_look(void **state)
{
	struct heard h;
	size_t len;
	char *text = two_looks(true, &len);

	(void)state;
	text[len - 6] ^= 1;
	heard_text(&h, text, len);
	assert_int_equal(h.looks, 2);
	assert_int_equal(h.cut, 0);
	assert_non_null(strstr(h.why.cause, "packed is damaged"));
	heard_free(&h);
	free(text);
}

/* Texts of all kinds; the caller has no need to free. */
static const char *any_text(void)
{
	static const char *const texts[] = {
		NULL,
		"",
		"plain",
		"\"quoted\\\" {}[],:",
		"\x01\x1f\x7f\n\r\t\033[2J",
		"\xff",
		"a\xc3(\xa0\xa1z",
		"\xed\xa0\x80",
		"\xf4\x90\x80\x80",
		"\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80",
		"\\xff",
		"\xe2\x80\xae",
	};

	return texts[rand() % (sizeof(texts) / sizeof(*texts))];
}

static u64 any_bits(void)
{
	u64 bits = (u64)rand() << 42 ^ (u64)rand() << 21 ^ rand();

	switch (rand() % 4) {
	case 0:
		return 0;
	case 1:
		return FACT_UNKNOWN;
	default:
		return bits >> rand() % 64;
	}
}

static void fill_stack(struct fact_stack *s)
{
	static const char *frames[FACT_STACK_MAX];

	for (u32 i = 0; i < FACT_STACK_MAX; i++)
		frames[i] = any_text();
	s->n = rand() % (FACT_STACK_MAX + 1);
	s->frames = frames;
}

static void fill_releasers(struct releaser_list *r)
{
	static struct fact_releaser list[8];

	for (u32 i = 0; i < 8; i++)
		list[i] = (struct fact_releaser){ any_bits(), any_bits(), rand() % 2,
						  rand() % 2, rand() % 2, rand() % 2 };
	r->n = rand() % 9;
	r->v = list;
}

static void fill_field(const struct field *f, struct fact *fact)
{
	char *at = (char *)fact + f->offset;
	const char *s = any_text();

	switch (f->kind) {
	case FIELD_TEXT:
		*(const char **)at = s || !f->required ? s : "x";
		break;
	case FIELD_COMM:
		snprintf(at, FACT_COMM_LEN + 1, "%s", s ? s : "");
		break;
	case FIELD_LETTER:
		*at = "SDRZ"[rand() % 4];
		break;
	case FIELD_BOOL:
		field_store(f, fact, rand() % 2);
		break;
	case FIELD_WORD:
		field_store(f, fact, rand() % f->words->n);
		break;
	case FIELD_HEX6:
		for (int i = 0; i < 6; i++)
			((u64 *)at)[i] = any_bits();
		break;
	case FIELD_FRAMES:
		fill_stack((struct fact_stack *)at);
		break;
	case FIELD_RELEASERS:
		fill_releasers((struct releaser_list *)at);
		break;
	default:
		field_store(f, fact, any_bits());
	}
}

static void assert_same_text(const char *a, const char *b)
{
	if (a && b)
		assert_string_equal(a, b);
	else
		assert_true(a == b);
}

static void assert_same_stack(const struct fact_stack *a, const struct fact_stack *b)
{
	assert_int_equal(a->n, b->n);
	for (u32 i = 0; i < a->n; i++)
		assert_same_text(a->frames[i], b->frames[i]);
}

static void assert_same_releasers(const struct releaser_list *a, const struct releaser_list *b)
{
	assert_int_equal(a->n, b->n);
	for (u32 i = 0; i < a->n; i++) {
		assert_int_equal(a->v[i].task, b->v[i].task);
		assert_int_equal(a->v[i].fd, b->v[i].fd);
		assert_int_equal(a->v[i].reads, b->v[i].reads);
		assert_int_equal(a->v[i].receives, b->v[i].receives);
	}
}

static void assert_same_field(const struct field *f, const struct fact *a, const struct fact *b)
{
	const char *x = (const char *)a + f->offset, *y = (const char *)b + f->offset;

	switch (f->kind) {
	case FIELD_TEXT:
		assert_same_text(*(const char *const *)x, *(const char *const *)y);
		break;
	case FIELD_FRAMES:
		assert_same_stack((const struct fact_stack *)x, (const struct fact_stack *)y);
		break;
	case FIELD_RELEASERS:
		assert_same_releasers((const struct releaser_list *)x,
				      (const struct releaser_list *)y);
		break;
	default:
		if (memcmp(x, y, field_size(f)) != 0)
			fail_msg("%s differs", f->name);
	}
}

/* Through text, as a file would have it. */
static void round_trip(const struct record_type *t, struct decoder *d)
{
	struct fact in = { .type = t->type, .seen = rand() % SEEN_MAX }, out;
	json_t *j, *again;
	char *line;

	for (const struct field *f = t->fields; f->name; f++)
		fill_field(f, &in);
	j = fact_encode(&in);
	assert_non_null(j);
	line = json_dumps(j, JSON_COMPACT | JSON_ENSURE_ASCII);
	assert_null(strchr(line, '\n'));
	again = json_loads(line, JSON_REJECT_DUPLICATES, NULL);
	assert_non_null(again);
	if (fact_decode(d, again, t->name, &out) != 1)
		fail_msg("%s: %s", d->reason, line);
	assert_int_equal(in.seen, out.seen);
	for (const struct field *f = t->fields; f->name; f++)
		assert_same_field(f, &in, &out);
	json_decref(j);
	json_decref(again);
	free(line);
}

static void test_every_field_survives(void **state)
{
	struct decoder d = { .unknown = 0 };

	(void)state;
	srand(2);
	for (const struct record_type *t = record_types; t->name; t++)
		for (int i = 0; i < ROUNDS; i++)
			round_trip(t, &d);
	assert_int_equal(d.unknown, 0);
	decoder_free(&d);
}

static const struct record_type *type_of(enum fact_type type)
{
	const struct record_type *t = record_types;

	while (t->name && t->type != type)
		t++;
	if (!t->name)
		fail_msg("fact type %d is in no recording", type);
	return t;
}

static size_t alignment(size_t size)
{
	return size % 8 == 0 ? 8 : size % 4 == 0 ? 4 : 1;
}

/* The field that starts first at or behind an offset; NULL none. */
static const struct field *field_behind(const struct field *fields, size_t offset)
{
	const struct field *found = NULL;

	for (const struct field *f = fields; f->name; f++)
		if (f->offset >= offset && (!found || f->offset < found->offset))
			found = f;
	return found;
}

/* In struct fact, only padding may lie between two fields of a table. */
static void assert_covers(const struct record_type *t, size_t from, size_t size)
{
	const struct field *f;
	size_t at = from;

	while ((f = field_behind(t->fields, at))) {
		/* the array of a stack, and that of releasers, end with their number */
		bool array = f->kind == FIELD_FRAMES || f->kind == FIELD_RELEASERS;
		size_t align = array ? 8 : alignment(field_size(f));

		if (f->offset != (at + align - 1) / align * align)
			fail_msg("before %s.%s a field is missing", t->name, f->name);
		at = f->offset + field_size(f);
	}
	if ((at + 7) / 8 * 8 < from + size)
		fail_msg("behind the last field of %s one is missing", t->name);
}

#define COVERS(type, member)                                        \
	assert_covers(type_of(type), offsetof(struct fact, member), \
		      sizeof(((struct fact *)0)->member))

static void test_table_has_every_field(void **state)
{
	(void)state;
	COVERS(FACT_SESSION, session);
	COVERS(FACT_TASK, task);
	COVERS(FACT_FILE, file);
	COVERS(FACT_PAGE, page);
	COVERS(FACT_WAIT, wait);
	COVERS(FACT_HOLD, hold);
	COVERS(FACT_QUEUED, queued);
	COVERS(FACT_LOSS, loss);
	COVERS(FACT_PROBE, probe);
	COVERS(FACT_END, end);
	COVERS(FACT_LOCK, lock);
	COVERS(FACT_FREED, freed);
}

/* The section of a record in the manual; the caller frees. */
static char *manual_section(const char *type)
{
	const char *path = getenv("DAXTRACE_MAN5") ? getenv("DAXTRACE_MAN5") : "man/daxtrace.5";
	char heading[64], *text = calloc(1, 65536), *from, *to;
	FILE *f = fopen(path, "r");

	assert_non_null(f);
	assert_true(fread(text, 1, 65535, f) > 0);
	fclose(f);
	snprintf(heading, sizeof(heading), "\n.SS %s\n", type);
	from = strstr(text, heading);
	if (!from)
		fail_msg("%s has no section %s", path, type);
	to = strstr(from + 1, "\n.S");
	memmove(text, from, to - from);
	text[to - from] = '\0';
	return text;
}

static bool has_word(const char *text, const char *word)
{
	size_t len = strlen(word);

	for (const char *at = text; (at = strstr(at, word)); at++)
		if (strchr(" \n", at[-1]) && strchr(" \n,.", at[len]))
			return true;
	return false;
}

static void test_manual_has_every_field(void **state)
{
	(void)state;
	for (const struct record_type *t = record_types; t->name; t++) {
		char *text = manual_section(t->name);

		for (const struct field *f = t->fields; f->name; f++)
			if (!has_word(text, f->name))
				fail_msg("daxtrace(5), %s lacks %s", t->name, f->name);
		free(text);
	}
}

static void assert_damaged(const char *text, u32 looks, const char *because)
{
	struct heard h;

	heard_text(&h, text, strlen(text));
	if (h.why.status != STATUS_ERROR || !strstr(h.why.cause, because))
		fail_msg("the cause is \"%s\", not \"%s\", of:\n%s", h.why.cause, because, text);
	assert_int_equal(h.looks, looks);
	heard_free(&h);
}

static void test_hostile_lines(void **state)
{
	static const struct {
		const char *line, *because;
	} cases[] = {
		{ "", "line 3: " },
		{ "{", "line 3: " },
		{ "[]", "line 3: no object with a type" },
		{ "{}", "line 3: no object with a type" },
		{ "{\"type\":7}", "line 3: no object with a type" },
		{ "{\"type\":\"task\",\"type\":\"task\"}", "line 3: duplicate" },
		{ "{\"type\":\"task\"}", "line 3: task: id is missing" },
		{ "{\"type\":\"task\",\"id\":null}", "task: id is missing" },
		{ "{\"type\":\"task\",\"id\":1}", "task: id is not a string" },
		{ "{\"type\":\"task\",\"id\":\"1\"}", "task: id is not a string" },
		{ "{\"type\":\"task\",\"id\":\"0x\"}", "task: id is not a string" },
		{ "{\"type\":\"task\",\"id\":\"0x11111111111111111\"}", "id is not a string" },
		{ "{\"type\":\"task\",\"id\":\"0xg\"}", "task: id is not a string" },
		{ "{\"type\":\"task\",\"id\":\"0x1\",\"pid\":-1}", "pid is not a number" },
		{ "{\"type\":\"task\",\"id\":\"0x1\",\"pid\":4294967296}", "pid is not" },
		{ "{\"type\":\"task\",\"id\":\"0x1\",\"pid\":1.5}", "pid is not a number" },
		{ "{\"type\":\"task\",\"id\":\"0x1\",\"pid\":\"1\"}", "pid is not a number" },
		{ "{\"type\":\"task\",\"id\":\"0x1\",\"pid\":{\"a\":[]}}", "pid is not" },
		{ "{\"type\":\"task\",\"id\":\"0x1\",\"pid\":99999999999999999999}", "line 3: " },
		{ "{\"type\":\"task\",\"id\":\"0x1\",\"start_ns\":-1}", "start_ns is not" },
		{ "{\"type\":\"task\",\"id\":\"0x1\",\"comm\":\"12345678901234567\"}", "comm is" },
		{ "{\"type\":\"task\",\"id\":\"0x1\",\"comm\":\"a\\u0000b\"}", "line 3: " },
		{ "{\"type\":\"task\",\"id\":\"0x1\",\"comm\":\"\xff\"}", "line 3: " },
		{ "{\"type\":\"task\",\"id\":\"0x1\",\"state\":\"SD\"}", "state is not a letter" },
		{ "{\"type\":\"task\",\"id\":\"0x1\",\"state\":\"\\u001b\"}", "state is not" },
		{ "{\"type\":\"task\",\"id\":\"0x1\",\"exiting\":1}", "exiting is not true" },
		{ "{\"type\":\"task\",\"id\":\"0x1\",\"args\":[\"0x1\"]}", "args is not" },
		{ "{\"type\":\"task\",\"id\":\"0x1\",\"args\":[1,2,3,4,5,6]}", "args is not" },
		{ "{\"type\":\"task\",\"id\":\"0x1\",\"kstack\":\"x\"}", "kstack is not" },
		{ "{\"type\":\"task\",\"id\":\"0x1\",\"kstack\":[1]}", "kstack is not a string" },
		{ "{\"type\":\"task\",\"id\":\"0x1\",\"cgroup\":\"x\",\"cgroup_b64\":\"x\"}",
		  "cgroup_b64 is no Base64" },
		{ "{\"type\":\"task\",\"id\":\"0x1\",\"cgroup\":\"x\",\"cgroup_b64\":1}",
		  "cgroup is not a string" },
		{ "{\"type\":\"task\",\"id\":\"0x1\",\"seen\":1}", "seen is not a string" },
		{ "{\"type\":\"hold\",\"page\":\"0x1\",\"releasers\":{}}", "releasers is not" },
		{ "{\"type\":\"hold\",\"page\":\"0x1\",\"releasers\":[1]}", "releasers is not" },
		{ "{\"type\":\"hold\",\"page\":\"0x1\",\"releasers\":[{}]}", "task is missing" },
		{ "{\"type\":\"loss\",\"kind\":\"lost\"}", "count is missing" },
		{ LOOK, "a look starts before" },
		{ SCHEMA, "a schema in the middle" },
		{ SUMMARY "1}", "it ends before its end" },
		{ "{\"type\":\"look_end\",\"look\":1,\"facts\":7}",
		  "facts of the look are missing" },
		{ "{\"type\":\"look_end\",\"look\":1}", "facts of the look are missing" },
	};
	char text[2048];

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		snprintf(text, sizeof(text), SCHEMA LOOK "%s\n" END(1) SUMMARY "1}\n",
			 cases[i].line);
		assert_damaged(text, 0, cases[i].because);
	}
}

static void test_out_of_order(void **state)
{
	(void)state;
	assert_damaged(SCHEMA TASK "\n", 0, "line 2: a fact outside a look");
	assert_damaged(SCHEMA LOOK TASK "\n" END(1) LOOK, 1, "line 5: look 2 is missing");
	assert_damaged(SCHEMA LOOK TASK "\n" END(1) SUMMARY "2}\n", 1, "line 5: it ends before");
	assert_damaged(SCHEMA LOOK TASK "\n" END(1), 1, "cut off behind line 4");
	assert_damaged(SCHEMA LOOK TASK "\n" END(1) "{\"type\":\"summ", 1, "cut off behind line 4");
	assert_damaged(SCHEMA END(0), 0, "line 2: facts of the look are missing");
	assert_damaged(ONE(TASK) LOOK, 1, "line 6: a look starts before");
	assert_damaged(ONE(TASK) "x\n", 1, "line 6: ");
}

static void test_not_a_recording(void **state)
{
	static const char *const texts[] = { "",
					     "\n",
					     "x\n",
					     "{}\n",
					     TASK "\n",
					     "daxtop-image 1\n",
					     "\x7f"
					     "ELF\n",
					     "\x1f\x8b",
					     "\x1f\x8b\x08",
					     SCHEMA + 1 };

	(void)state;
	for (size_t i = 0; i < sizeof(texts) / sizeof(*texts); i++)
		assert_damaged(texts[i], 0, "is not a recording of daxtrace");
	assert_damaged("{\"type\":\"schema\"}\n", 0, "no recording of daxtrace");
	assert_damaged("{\"type\":\"schema\",\"schema\":\"x/1\"}\n", 0, "no recording of daxtrace");
}

static void test_no_file(void **state)
{
	struct refusal why;

	(void)state;
	assert_null(recording_open("/nonexistent/case.dxt", &why));
	assert_non_null(strstr(why.cause, "No such file"));
	assert_null(recording_open("/", &why));
	assert_non_null(strstr(why.cause, "Is a directory"));
}

static void test_other_schemas(void **state)
{
	static const char *const refused[] = { "2", "0", "10", "", "x", "1x", "1e", "-1", "11.1" };
	char text[512];
	struct heard h;

	(void)state;
	for (size_t i = 0; i < sizeof(refused) / sizeof(*refused); i++) {
		snprintf(text, sizeof(text),
			 "{\"type\":\"schema\",\"schema\":\"daxtrace-facts/%s\"}\n", refused[i]);
		assert_damaged(text, 0, "this version reads daxtrace-facts/1");
	}
	snprintf(text, sizeof(text), "{\"type\":\"schema\",\"schema\":\"daxtrace-facts/1.7\"}\n%s",
		 ONE(TASK) + strlen(SCHEMA));
	heard_text(&h, text, strlen(text));
	assert_int_equal(h.why.status, STATUS_OK);
	assert_int_equal(h.looks, 1);
	heard_free(&h);
}

/* What a version has written every later one has to read: add files, change none. */
static void test_kept_recordings(void **state)
{
	char path[2 * PATH_MAX];
	const struct wfg_wait *w;
	struct heard h;

	(void)state;
	snprintf(path, sizeof(path), "%s/../recordings/0.1.0.dxt", image_dir());
	heard_read(&h, path);
	assert_int_equal(h.why.status, STATUS_OK);
	assert_int_equal(h.looks, 1);
	assert_int_equal(h.unknown, 0);
	assert_int_equal(wfg_nr_waits(h.g), 1);
	w = wfg_wait(h.g, 0);
	assert_string_equal(w->file->f.path, "/mnt/xfs/vmsplice-readers.truncate");
	assert_int_equal(w->nr_queued, 2);
	assert_int_equal(wfg_page_holders(w->page), 1);
	assert_int_equal(w->page->holds[0]->h.how, HOW_VMSPLICE);
	assert_int_equal(w->page->unattributed, 0);
	heard_free(&h);
}

/* A later version: what is known is taken, the rest is skipped and counted. */
static void test_later_versions(void **state)
{
	static const char text[] = SCHEMA
		"{\"type\":\"weather\",\"sky\":\"blue\"}\n" LOOK
		"{\"type\":\"task\",\"id\":\"0x1\",\"pid\":7,\"mood\":{\"a\":[1]},\"zeal\":null}\n"
		"{\"type\":\"spell\",\"id\":7}\n"
		"{\"type\":\"wait\",\"task\":\"0x1\",\"op\":\"levitate\",\"on\":\"page\"}\n" END(3)
			SUMMARY "3,\"mood\":1}\n";
	struct heard h;

	(void)state;
	heard_text(&h, text, strlen(text));
	assert_int_equal(h.why.status, STATUS_OK);
	assert_int_equal(h.facts, 2);
	assert_int_equal(h.unknown, 5);
	assert_int_equal(wfg_nr_waits(h.g), 1);
	assert_int_equal(wfg_wait(h.g, 0)->w.op, OP_OTHER);
	assert_int_equal(wfg_wait(h.g, 0)->task->t.pid, 7);
	heard_free(&h);
}

/* An earlier version: what it did not know is unknown. */
static void test_absent_is_unknown(void **state)
{
	static const char text[] = SCHEMA LOOK
		"{\"type\":\"task\",\"id\":\"0x1\",\"asleep_ns\":null}\n"
		"{\"type\":\"page\",\"id\":\"0x2\"}\n"
		"{\"type\":\"wait\",\"task\":\"0x1\",\"page\":\"0x2\"}\n" END(3) SUMMARY "3}\n";
	const struct wfg_wait *w;
	struct heard h;

	(void)state;
	heard_text(&h, text, strlen(text));
	assert_int_equal(h.why.status, STATUS_OK);
	w = wfg_wait(h.g, 0);
	assert_int_equal(w->task->t.uid, UINT32_MAX);
	assert_true(w->task->t.asleep_ns == FACT_UNKNOWN);
	assert_int_equal(w->task->t.syscall, -1);
	assert_true(w->page->p.index == FACT_UNKNOWN);
	assert_int_equal(w->page->p.pincount, -1);
	assert_int_equal(w->w.on, ON_PAGE);
	heard_free(&h);
}

static void test_deeply_nested(void **state)
{
	size_t depth = 500000, head = strlen(SCHEMA LOOK);
	char *text = malloc(head + depth + 2);
	struct heard h;

	(void)state;
	memcpy(text, SCHEMA LOOK, head);
	memset(text + head, '[', depth);
	text[head + depth] = '\n';
	heard_text(&h, text, head + depth + 1);
	assert_int_equal(h.why.status, STATUS_ERROR);
	assert_non_null(strstr(h.why.cause, "line 3: maximum parsing depth"));
	assert_int_equal(h.cut, 1);
	heard_free(&h);
	free(text);
}

static void test_long_line(void **state)
{
	size_t head = strlen(SCHEMA LOOK), len = head + RECORDING_LINE_MAX + 10;
	char *text = malloc(len);
	struct heard h;

	(void)state;
	memset(text, ' ', len);
	memcpy(text, SCHEMA LOOK, head);
	heard_text(&h, text, len);
	assert_non_null(strstr(h.why.cause, "a line longer than 1 MiB behind line 2"));
	heard_free(&h);
	free(text);
}

/* A few KiB that unpack to a look without end. */
static void test_look_too_large(void **state)
{
	char *line = malloc(RECORDING_LINE_MAX);
	struct rusage usage;
	struct heard h;
	struct temp t;
	gzFile gz;

	(void)state;
	temp_open(&t);
	gz = gzopen(t.path, "wb1");
	gzputs(gz, SCHEMA LOOK);
	memset(line, ' ', RECORDING_LINE_MAX);
	memcpy(line, TASK, strlen(TASK));
	line[RECORDING_LINE_MAX - 1] = '\n';
	for (int i = 0; i < 70; i++)
		assert_int_equal(gzwrite(gz, line, RECORDING_LINE_MAX), RECORDING_LINE_MAX);
	gzclose(gz);
	heard_read(&h, t.path);
	assert_non_null(strstr(h.why.cause, "line 67: a look of more than 64 MiB"));
	assert_int_equal(h.facts, 64 + 1);
	heard_free(&h);
	getrusage(RUSAGE_SELF, &usage);
	assert_true(usage.ru_maxrss < 2048 * 1024);
	temp_close(&t);
	free(line);
}

/* What is too long for a line is a loss, not a line that nobody can read. */
static void test_fact_too_long(void **state)
{
	char *path = malloc(RECORDING_LINE_MAX + 1);
	struct fact fact = { .type = FACT_FILE, .file = { .id = 1, .path = path } };
	struct recording_out *out;
	struct heard h;
	struct temp t;

	(void)state;
	memset(path, 'x', RECORDING_LINE_MAX);
	path[RECORDING_LINE_MAX] = '\0';
	temp_open(&t);
	out = recording_create(t.path);
	assert_int_equal(recording_look(out), 0);
	assert_int_equal(recording_add(out, &fact), 0);
	assert_int_equal(recording_look_end(out), 0);
	assert_int_equal(recording_close(out, END_DONE), 0);
	heard_read(&h, t.path);
	assert_int_equal(h.why.status, STATUS_OK);
	assert_int_equal(wfg_losses(h.g, LOSS_LOST), 1);
	heard_free(&h);
	temp_close(&t);
	free(path);
}

static void test_full_disk(void **state)
{
	struct recording_out *out = recording_create("/dev/full");
	static const struct fact loss = { .type = FACT_LOSS };

	(void)state;
	assert_non_null(out);
	assert_int_equal(recording_look(out), -ENOSPC);
	assert_int_equal(recording_add(out, &loss), -ENOSPC);
	assert_int_equal(recording_looks(out), 0);
	assert_int_equal(recording_close(out, END_DONE), -ENOSPC);
	assert_null(recording_create("/nonexistent/case.dxt"));
	assert_int_equal(errno, ENOENT);
}

/* A file may not grow beyond some size: the looks before are whole. */
static void test_disk_fills_up(void **state)
{
	struct rlimit before, limit = { 12000, RLIM_INFINITY };
	struct recording_out *out;
	int err = 0;
	struct heard h;
	struct temp t;
	u32 looks = 0;

	(void)state;
	signal(SIGXFSZ, SIG_IGN);
	temp_open(&t);
	out = recording_create(t.path);
	getrlimit(RLIMIT_FSIZE, &before);
	setrlimit(RLIMIT_FSIZE, &limit);
	for (; !err && looks < 10000; looks += !err) {
		const struct fact loss = { .type = FACT_LOSS, .loss = { LOSS_TORN, rand(), "x" } };

		recording_look(out);
		recording_add(out, &loss);
		err = recording_look_end(out);
	}
	assert_int_equal(err, -EFBIG);
	assert_int_equal(recording_looks(out), looks);
	assert_int_equal(recording_close(out, END_DONE), -EFBIG);
	setrlimit(RLIMIT_FSIZE, &before);
	heard_read(&h, t.path);
	assert_int_equal(h.why.status, STATUS_ERROR);
	assert_true(h.looks >= looks);
	heard_free(&h);
	temp_close(&t);
}

static void test_only_for_its_owner(void **state)
{
	char *root = tree_new(), path[128];
	struct stat st;

	(void)state;
	snprintf(path, sizeof(path), "%s/case.dxt", root);
	assert_int_equal(recording_close(recording_create(path), END_DONE), 0);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
	tree_free(root);
}

static u64 ring_bytes(const char *root, size_t *files)
{
	char pattern[128];
	glob_t found;
	u64 sum = 0;

	snprintf(pattern, sizeof(pattern), "%s/daxtrace-*.dxt", root);
	assert_int_equal(glob(pattern, 0, NULL, &found), 0);
	for (size_t i = 0; i < found.gl_pathc; i++) {
		struct stat st;

		assert_int_equal(stat(found.gl_pathv[i], &st), 0);
		sum += st.st_size;
	}
	*files = found.gl_pathc;
	globfree(&found);
	return sum;
}

static void ring_look(struct ring *ring)
{
	struct recording_out *out = ring_turn(ring);
	char noise[256];
	const struct fact loss = { .type = FACT_LOSS, .loss = { LOSS_TORN, 1, noise } };

	assert_non_null(out);
	for (size_t i = 0; i < sizeof(noise) - 1; i++)
		noise[i] = 'a' + rand() % 26;
	noise[sizeof(noise) - 1] = '\0';
	recording_look(out);
	recording_add(out, &loss);
	assert_int_equal(recording_look_end(out), 0);
}

static void test_ring_is_bounded(void **state)
{
	enum { KEEP = 20000, LOOKS = 500 };
	char *root = tree_new();
	struct refusal why;
	struct ring *ring = ring_open(root, KEEP, &why);
	struct heard h;
	size_t files;
	glob_t found;
	char path[128];
	u32 looks = 0;

	(void)state;
	tree_file(root, "other.dxt", "not ours");
	assert_non_null(ring);
	for (int i = 0; i < LOOKS; i++) {
		ring_look(ring);
		assert_true(ring_bytes(root, &files) <= KEEP + KEEP / 8);
	}
	assert_true(files > 4 && files < 12);
	assert_int_equal(ring_close(ring, END_SIGNAL), 0);
	snprintf(path, sizeof(path), "%s/daxtrace-*.dxt", root);
	assert_int_equal(glob(path, 0, NULL, &found), 0);
	for (size_t i = 0; i < found.gl_pathc; i++) {
		heard_read(&h, found.gl_pathv[i]);
		assert_int_equal(h.why.status, STATUS_OK);
		looks += h.looks;
		heard_free(&h);
	}
	assert_true(looks > 20 && looks < LOOKS);
	globfree(&found);
	snprintf(path, sizeof(path), "%s/other.dxt", root);
	assert_int_equal(access(path, F_OK), 0);
	tree_free(root);
}

static void test_ring_without_directory(void **state)
{
	struct refusal why;

	(void)state;
	assert_null(ring_open("/nonexistent", 1 << 20, &why));
	assert_non_null(strstr(why.cause, "/nonexistent"));
}

static void test_base64(void **state)
{
	static const struct {
		const char *bytes, *text;
	} cases[] = {
		/* RFC 4648, section 10 */
		{ "", "" },
		{ "f", "Zg==" },
		{ "fo", "Zm8=" },
		{ "foo", "Zm9v" },
		{ "foob", "Zm9vYg==" },
		{ "fooba", "Zm9vYmE=" },
		{ "foobar", "Zm9vYmFy" },
		{ "\xff\xfe\xfb", "//77" },
	};
	static const char *const bad[] = { "Z",        "Zg",      "Zg=",     "Zg= ",
					   "====",     "Z===",    "Zm9v=",   "Zm9v====",
					   "Zg==Zg==", "Z\xff==", "Zm9vYm=y" };
	struct strbuf sb = { 0 };

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		sb_puts(&sb, "");
		base64_encode(&sb, cases[i].bytes, strlen(cases[i].bytes));
		assert_string_equal(sb.s, cases[i].text);
		sb_free(&sb);
		sb_puts(&sb, "");
		assert_true(base64_decode(&sb, cases[i].text));
		assert_string_equal(sb.s, cases[i].bytes);
		sb_free(&sb);
	}
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		if (base64_decode(&sb, bad[i]))
			fail_msg("%s is taken", bad[i]);
		sb_free(&sb);
	}
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_images_replay_to_the_byte),
		cmocka_unit_test(test_many_looks),
		cmocka_unit_test(test_recordings_behind_each_other),
		cmocka_unit_test(test_cut_anywhere),
		cmocka_unit_test(test_flipped_bits),
		cmocka_unit_test(test_flip_behind_the_last_look),
		cmocka_unit_test(test_every_field_survives),
		cmocka_unit_test(test_table_has_every_field),
		cmocka_unit_test(test_manual_has_every_field),
		cmocka_unit_test(test_hostile_lines),
		cmocka_unit_test(test_out_of_order),
		cmocka_unit_test(test_not_a_recording),
		cmocka_unit_test(test_no_file),
		cmocka_unit_test(test_other_schemas),
		cmocka_unit_test(test_kept_recordings),
		cmocka_unit_test(test_later_versions),
		cmocka_unit_test(test_absent_is_unknown),
		cmocka_unit_test(test_deeply_nested),
		cmocka_unit_test(test_long_line),
		cmocka_unit_test(test_look_too_large),
		cmocka_unit_test(test_fact_too_long),
		cmocka_unit_test(test_full_disk),
		cmocka_unit_test(test_disk_fills_up),
		cmocka_unit_test(test_only_for_its_owner),
		cmocka_unit_test(test_ring_is_bounded),
		cmocka_unit_test(test_ring_without_directory),
		cmocka_unit_test(test_base64),
	};

	nr_names = image_names(names);
	return cmocka_run_group_tests_name("recording", tests, NULL, NULL);
}
