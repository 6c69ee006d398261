// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Images: what is written is read again, and what is not an image is refused with the line that
 * makes no sense. The images themselves are looked at in test_walkers.c.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include <cmocka.h>

#include <daxtop/view.h>

#include "images.h"

enum { CUTS = 50 };

static const char *names[IMAGES_MAX];
static size_t nr_names;

int usleep(useconds_t us)
{
	(void)us;
	return 0;
}

/* What a look at an image says, as text; the image is closed. */
static char *json_of(struct kmem *k)
{
	struct view_opts opts = { .stacks = STACKS_BOTH };
	size_t len;
	char *text = NULL;
	FILE *out = open_memstream(&text, &len);
	struct look l;

	look_init(&l, k);
	assert_int_equal(view_json(out, l.g, &l.f, &opts), 0);
	fclose(out);
	look_free(&l);
	return text;
}

static void assert_same_header(const struct kmem *a, const struct kmem *b)
{
	for (int f = 0; f < KF_MAX; f++) {
		assert_int_equal(a->field[f].off, b->field[f].off);
		assert_int_equal(a->field[f].size, b->field[f].size);
	}
	assert_memory_equal(a->sym, b->sym, sizeof(a->sym));
	assert_int_equal(a->self, b->self);
	assert_int_equal(a->now, b->now);
	assert_int_equal(a->time.sec, b->time.sec);
	assert_int_equal(a->time.nsec, b->time.nsec);
	assert_int_equal(a->time.utc_offset, b->time.utc_offset);
	assert_int_equal(a->time.mono_ns, b->time.mono_ns);
}

/* An image of a look at an image shows the same. */
static void test_round_trip(void **state)
{
	struct kmem *recorder, *again;
	struct refusal why;
	char *first, *second;
	struct temp t;

	(void)state;
	for (size_t i = 0; i < nr_names; i++) {
		temp_open(&t);
		recorder = kmem_record(image_open(names[i]), t.path);
		first = json_of(recorder);
		assert_int_equal(kmem_record_save(recorder), 0);
		again = kmem_image(t.path, &why);
		assert_non_null(again);
		assert_same_header(recorder, again);
		kmem_close(recorder);
		second = json_of(again);
		assert_string_equal(first, second);
		kmem_close(again);
		temp_close(&t);
		free(first);
		free(second);
	}
}

/* Lists tasks and reads a file twice, as a look does that meets a torn record. */
static void test_nothing_is_kept_twice(void **state)
{
	struct kmem *k = kmem_record(image_open(names[0]), "/dev/null"), *again;
	struct task_rec *recs;
	struct refusal why;
	size_t first, second;
	struct temp t;

	(void)state;
	kmem_close(k);
	temp_open(&t);
	k = kmem_record(image_open(names[0]), t.path);
	for (int i = 0; i < 2; i++) {
		assert_int_equal(k->ops->tasks(k, &recs, &first), 0);
		free(recs);
		free(k->ops->read_file(k, "/proc/sys/kernel/hostname"));
	}
	assert_int_equal(kmem_record_save(k), 0);
	kmem_close(k);
	again = kmem_image(t.path, &why);
	assert_int_equal(again->ops->tasks(again, &recs, &second), 0);
	assert_int_equal(first, second);
	free(recs);
	kmem_close(again);
	temp_close(&t);
}

static void test_only_for_its_owner(void **state)
{
	char path[] = "/tmp/daxtop-image-XXXXXX";
	int fd = mkstemp(path);
	struct stat st;
	struct kmem *k;

	(void)state;
	assert_true(fd >= 0);
	close(fd);
	unlink(path);
	k = kmem_record(image_open(names[0]), path);
	assert_int_equal(kmem_record_save(k), 0);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
	unlink(path);
	kmem_close(k);
}

static void test_cannot_be_written(void **state)
{
	struct kmem *k = kmem_record(image_open(names[0]), "/nonexistent/image");

	(void)state;
	assert_int_equal(kmem_record_save(k), -ENOENT);
	kmem_close(k);
	k = kmem_record(image_open(names[0]), "/dev/full");
	assert_int_equal(kmem_record_save(k), -EIO);
	kmem_close(k);
}

/* Reads text as an image. NULL, with the cause, when it is refused. */
static struct kmem *read_text(const char *text, size_t len, char *cause, size_t size)
{
	struct refusal why = { 0 };
	struct kmem *k;
	struct temp t;

	temp_open(&t);
	temp_write(&t, text, len);
	k = kmem_image(t.path, &why);
	temp_close(&t);
	snprintf(cause, size, "%s", k ? "" : why.cause);
	if (!k)
		assert_int_equal(why.status, STATUS_ERROR);
	return k;
}

static void assert_refused(const char *text, size_t len, const char *because)
{
	char cause[512];

	assert_null(read_text(text, len, cause, sizeof(cause)));
	if (!strstr(cause, because))
		fail_msg("the cause is \"%s\", not \"%s\"", cause, because);
}

/* An image of one line, which is the second. */
static void one_line(char *text, size_t size, const char *line)
{
	snprintf(text, size, "%s\n%s\nend\n", IMAGE_MAGIC, line);
}

static void assert_line_refused(const char *line)
{
	char text[512];

	one_line(text, sizeof(text), line);
	assert_refused(text, strlen(text), "line 2 makes no sense");
}

static void assert_line_taken(const char *line)
{
	char text[512], cause[512];
	struct kmem *k;

	one_line(text, sizeof(text), line);
	k = read_text(text, strlen(text), cause, sizeof(cause));
	if (!k)
		fail_msg("%s: %s", line, cause);
	kmem_close(k);
}

static void test_good_lines(void **state)
{
	static const char *const lines[] = {
		"field page._refcount 34 4",
		"field page 40 0",
		"field enum:PG_head 0 0",
		"field enum:FOLL_PIN 80000 0",
		"field kioctx_table.table 18 0",
		"field some.later_field 8 8",
		"symbol bit_wait_table ffffffff82a00000",
		"symbol some_later_symbol 0",
		"self ffff888000000000",
		"now 0",
		"now ffffffffffffffff",
		"time 68e0a1b2 3b9ac9ff ffff9d90 1",
		"name ffffffff81000000 schedule+0x10/0x20 [module]",
		"file /proc/x 6162",
		"file /proc/x ",
		"mem ffff888000000000 00",
		"mem 0 00ff",
	};

	(void)state;
	for (size_t i = 0; i < sizeof(lines) / sizeof(*lines); i++)
		assert_line_taken(lines[i]);
}

static void test_hostile_lines(void **state)
{
	static const char *const lines[] = {
		/* not a record */
		"",
		" ",
		"daxtop-image 1",
		"MEM 0 00",
		"memory 0 00",
		"end 1",
		"mem",
		"end ",
		"field",
		/* numbers */
		"self",
		"self ",
		"self -1",
		"self +1",
		"self 0x1",
		"self  1",
		"self 1 ",
		"self 1 2",
		"self 11111111111111111",
		"self g",
		"now 1.0",
		"time 1 2 3",
		"time 1 2 3 4 5",
		"time 1 2 3 ",
		"symbol bit_wait_table",
		"symbol bit_wait_table 1 2",
		"symbol x zz",
		/* fields that no kernel has */
		"field page",
		"field page 40",
		"field page 40 0 0",
		"field page 0 0",
		"field page 100000000 0",
		"field page._refcount ffffffffffffffff 4",
		"field page._refcount 34 100000004",
		"field page._refcount 34 ffffffff",
		"field enum:PG_head 100 0",
		"field enum:FOLL_PIN 100000000 0",
		"field enum:PG_head 4 4",
		"field enum:FOLL_PIN 80000 4",
		/* bytes */
		"mem 0 ",
		"mem 0 0",
		"mem 0 000",
		"mem 0 0g",
		"mem 0 0G",
		"mem 0 FF",
		"mem 0 00 00",
		"mem 0 00 ",
		"mem  00",
		"mem fffffffffffffffe 000000",
		"mem ffffffffffffffff 0000",
		"file",
		"file ",
		"file /x",
		"file /x 6",
		"file /x 6g",
		"task",
		"task ",
		"task 00",
		"task 0000000000000000",
		"name 0",
		"name x y",
		"name",
	};

	(void)state;
	for (size_t i = 0; i < sizeof(lines) / sizeof(*lines); i++)
		assert_line_refused(lines[i]);
}

static void test_tasks(void **state)
{
	char line[2 * sizeof(struct task_rec) + 64] = "task ", text[sizeof(line) + 64], cause[512];
	struct task_rec rec = { .task = 1, .nr_stack = 2 }, *recs;
	struct kmem *k;
	size_t n;

	(void)state;
	for (size_t i = 0; i < task_rec_size(2); i++)
		sprintf(line + strlen(line), "%02x", ((u8 *)&rec)[i]);
	one_line(text, sizeof(text), line);
	k = read_text(text, strlen(text), cause, sizeof(cause));
	assert_non_null(k);
	assert_int_equal(k->ops->tasks(k, &recs, &n), 0);
	assert_int_equal(n, 1);
	assert_memory_equal(recs, &rec, sizeof(rec));
	free(recs);
	kmem_close(k);
	/* fewer and more frames than it says that it has */
	strcat(line, "00");
	one_line(text, sizeof(text), line);
	assert_refused(text, strlen(text), "line 2 makes no sense");
	line[strlen(line) - 4] = '\0';
	one_line(text, sizeof(text), line);
	assert_refused(text, strlen(text), "line 2 makes no sense");
}

/* Each may be there, but not together: walkers take the one out of a copy of the other. */
static void test_field_outside_its_struct(void **state)
{
	static const char text[] = IMAGE_MAGIC "\nfield pipe_buffer 28 0\n"
					       "field pipe_buffer.page 28 8\n"
					       "field page 40 0\nfield page._refcount 34 4\nend\n";
	char cause[512];
	struct kmem *k = read_text(text, strlen(text), cause, sizeof(cause));

	(void)state;
	assert_non_null(k);
	assert_false(kmem_has(k, KF_PIPE_BUF));
	assert_false(kmem_has(k, KF_PIPE_BUF_PAGE));
	assert_int_equal(k->field[KF_PAGE].off, 64);
	kmem_close(k);
}

static void test_not_an_image(void **state)
{
	static const char *const texts[] = {
		"",
		"\n",
		"x",
		"daxtop-image 1",
		"daxtop-image 2\nend\n",
		"daxtop-image 11\nend\n",
		" daxtop-image 1\nend\n",
		"daxtop-image 1\r\nend\n",
		"end\n",
		"\x1f\x8b",
		"\x7f"
		"ELF",
	};

	(void)state;
	for (size_t i = 0; i < sizeof(texts) / sizeof(*texts); i++)
		assert_refused(texts[i], strlen(texts[i]), "is not an image");
}

static void test_no_file(void **state)
{
	struct refusal why;

	(void)state;
	assert_null(kmem_image("/nonexistent/image.gz", &why));
	assert_non_null(strstr(why.cause, "No such file"));
	assert_null(kmem_image("/", &why));
}

static void test_no_end(void **state)
{
	static const char cut[] = IMAGE_MAGIC "\nself 1\n",
			  no_newline[] = IMAGE_MAGIC "\nself 1\nend";

	(void)state;
	assert_refused(cut, strlen(cut), "cut off behind line 2");
	assert_refused(no_newline, strlen(no_newline), "line 3 makes no sense");
}

static void test_nul_in_a_line(void **state)
{
	static const char text[] = IMAGE_MAGIC "\nself\0 1\nend\n";

	(void)state;
	assert_refused(text, sizeof(text) - 1, "line 2 makes no sense");
}

static void test_line_too_long(void **state)
{
	size_t head = strlen(IMAGE_MAGIC "\nmem 0 "), len = head + IMAGE_LINE_MAX;
	char *text = malloc(len + 6);

	(void)state;
	assert_non_null(text);
	memset(text, '0', len);
	memcpy(text, IMAGE_MAGIC "\nmem 0 ", head);
	memcpy(text + len, "\nend\n", 6);
	assert_refused(text, len + 5, "line 2 makes no sense");
	free(text);
}

static char *slurp(const char *path, size_t *len)
{
	FILE *f = fopen(path, "r");
	char *text = malloc(1 << 20);

	assert_non_null(f);
	assert_non_null(text);
	*len = fread(text, 1, 1 << 20, f);
	fclose(f);
	return text;
}

static void cut_everywhere(const char *text, size_t len, size_t harmless)
{
	char cause[512];
	struct kmem *k;

	for (size_t i = 0; i < CUTS; i++) {
		k = read_text(text, len * i / CUTS, cause, sizeof(cause));
		assert_null(k);
	}
	for (size_t i = 1; i < CUTS; i++) {
		k = read_text(text, len - i, cause, sizeof(cause));
		assert_true(!k || i <= harmless);
		kmem_close(k);
	}
}

/* Cut off anywhere, it is refused; but for what only closes the packed lines. */
static void test_cut(void **state)
{
	char path[2 * PATH_MAX], *packed, *text;
	struct lines lines;
	size_t len, at = 0;

	(void)state;
	snprintf(path, sizeof(path), "%s/%s.gz", image_dir(), names[0]);
	packed = slurp(path, &len);
	cut_everywhere(packed, len, 16);
	free(packed);
	lines_read(&lines, names[0]);
	text = calloc(1, 1 << 20);
	for (u32 i = 0; i < lines.n; i++)
		at += sprintf(text + at, "%s", lines.v[i]);
	cut_everywhere(text, at, 0);
	free(text);
	lines_free(&lines);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_round_trip),
		cmocka_unit_test(test_nothing_is_kept_twice),
		cmocka_unit_test(test_only_for_its_owner),
		cmocka_unit_test(test_cannot_be_written),
		cmocka_unit_test(test_good_lines),
		cmocka_unit_test(test_hostile_lines),
		cmocka_unit_test(test_tasks),
		cmocka_unit_test(test_field_outside_its_struct),
		cmocka_unit_test(test_not_an_image),
		cmocka_unit_test(test_no_file),
		cmocka_unit_test(test_no_end),
		cmocka_unit_test(test_nul_in_a_line),
		cmocka_unit_test(test_line_too_long),
		cmocka_unit_test(test_cut),
	};

	nr_names = image_names(names);
	return cmocka_run_group_tests_name("image", tests, NULL, NULL);
}
