// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "util/arena.h"
#include "util/quantity.h"
#include "util/text.h"

static void assert_visible(const char *in, const char *out)
{
	struct strbuf sb = { 0 };

	sb_puts(&sb, "");
	text_visible(&sb, in);
	assert_string_equal(sb.s, out);
	sb_free(&sb);
}

static void visible_escapes_what_moves_or_hides(void **state)
{
	(void)state;
	assert_visible("plain /path-1.txt", "plain /path-1.txt");
	assert_visible("\033[2J\a\r\n\t", "\\x1b[2J\\x07\\x0d\\x0a\\x09");
	assert_visible("\x7f", "\\x7f");
	assert_visible("\xc2\x9b"
		       "31m",
		       "\\u{009b}31m");
	assert_visible("a\xe2\x80\xae"
		       "b\xe2\x81\xa6"
		       "c\xd8\x9c",
		       "a\\u{202e}b\\u{2066}c\\u{061c}");
	assert_visible("\xe2\x80\x8b\xef\xbb\xbf\xf3\xa0\x81\x81", "\\u{200b}\\u{feff}\\u{e0041}");
	assert_visible("a\\x1b", "a\\\\x1b");
	assert_visible("gr\xc3\xbc\xc3\x9f \xe6\x97\xa5", "gr\xc3\xbc\xc3\x9f \xe6\x97\xa5");
}

static void visible_escapes_broken_utf8(void **state)
{
	(void)state;
	assert_visible("\x80\xff", "\\x80\\xff");
	assert_visible("\xc3", "\\xc3");
	assert_visible("\xe2\x80", "\\xe2\\x80");
	assert_visible("\xc0\xaf", "\\xc0\\xaf"); /* overlong slash */
	assert_visible("\xe0\x80\xaf", "\\xe0\\x80\\xaf");
	assert_visible("\xed\xa0\x80", "\\xed\\xa0\\x80");          /* surrogate */
	assert_visible("\xf4\x90\x80\x80", "\\xf4\\x90\\x80\\x80"); /* beyond U+10FFFF */
}

static void utf8_keeps_what_is_valid(void **state)
{
	struct strbuf sb = { 0 };

	(void)state;
	text_utf8(&sb, "\033\\ \xe2\x80\xae \xff\xc3\xbc\xed\xa0\x80");
	assert_string_equal(sb.s, "\033\\ \xe2\x80\xae \\xff\xc3\xbc\\xed\\xa0\\x80");
	sb_free(&sb);
}

static void assert_duration(u64 ns, const char *out)
{
	struct strbuf sb = { 0 };

	text_duration(&sb, ns);
	assert_string_equal(sb.s, out);
	sb_free(&sb);
}

static void durations(void **state)
{
	(void)state;
	assert_duration(0, "0ms");
	assert_duration(412999999, "412ms");
	assert_duration(2399999999, "2.3s");
	assert_duration(59999999999, "59.9s");
	assert_duration(60000000000, "1m00s");
	assert_duration(854100000000, "14m14s");
	assert_duration(3599999999999, "59m59s");
	assert_duration(11100000000000, "3h05m");
	assert_duration(187200000000000, "2d04h");
	assert_duration(UINT64_MAX - 1, "213503d23h");
}

static void assert_date(s64 sec, s32 ms, s32 offset, const char *out)
{
	struct strbuf sb = { 0 };

	assert_true(text_date(&sb, sec, ms, offset));
	assert_string_equal(sb.s, out);
	sb_free(&sb);
}

static void dates(void **state)
{
	struct strbuf sb = { 0 };

	(void)state;
	assert_date(1772421171, 315, 0, "2026-03-02T03:12:51.315+00:00");
	assert_date(1772421171, 5, 20700, "2026-03-02T08:57:51.005+05:45");
	assert_date(1772421171, -1, -12600, "2026-03-01T23:42:51-03:30");
	assert_false(text_date(&sb, INT64_MAX, 0, 3600));
	assert_false(text_date(&sb, INT64_MAX, 0, 0));
	assert_false(text_date(&sb, 0, 0, INT32_MIN));
	sb_free(&sb);
}

static char *wrapped(const char *first, const char *rest, const char *s)
{
	char *out = NULL;
	size_t len;
	FILE *f = open_memstream(&out, &len);

	assert_int_equal(text_wrap(f, first, rest, s), 0);
	fclose(f);
	return out;
}

static void assert_wrapped(const char *first, const char *rest, const char *s, const char *expected)
{
	char *out = wrapped(first, rest, s);

	assert_string_equal(out, expected);
	free(out);
}

static void wrap_breaks_at_spaces(void **state)
{
	(void)state;
	assert_wrapped("A ", "  ", "", "A \n");
	assert_wrapped("A ", "  ", "one two", "A one two\n");
	assert_wrapped("", "  ",
		       "123456789 123456789 123456789 123456789 123456789 123456789 123456789 "
		       "1234567890 next",
		       "123456789 123456789 123456789 123456789 123456789 123456789 123456789 "
		       "1234567890\n  next\n");
	assert_wrapped("", "  ",
		       "123456789 123456789 123456789 123456789 123456789 123456789 123456789 "
		       "12345678901 next",
		       "123456789 123456789 123456789 123456789 123456789 123456789 123456789\n"
		       "  12345678901 next\n");
}

static void wrap_breaks_long_words(void **state)
{
	char word[4097];
	char *out, *line;

	(void)state;
	memset(word, 'x', sizeof(word) - 1);
	word[sizeof(word) - 1] = '\0';
	out = wrapped("PATH  ", "      ", word);
	for (line = strtok(out, "\n"); line; line = strtok(NULL, "\n"))
		assert_in_range(strlen(line), 7, TEXT_WIDTH);
	free(out);
}

/* Wide characters fill two columns: 40 of them are a line. */
static void wrap_counts_columns(void **state)
{
	struct strbuf sb = { 0 };
	char *out;

	(void)state;
	for (int i = 0; i < 41; i++)
		sb_puts(&sb, "\xe6\x97\xa5");
	out = wrapped("", "", sb.s);
	assert_int_equal(strcspn(out, "\n"), 120);
	free(out);
	sb_free(&sb);
}

static void a_command_stays_on_one_line(void **state)
{
	char *out = NULL, word[201];
	size_t len;
	FILE *f = open_memstream(&out, &len);

	(void)state;
	memset(word, 'x', 200);
	word[200] = '\0';
	assert_int_equal(text_line(f, "  1  ", word), 0);
	fclose(f);
	assert_int_equal(len, 5 + 200 + 1);
	free(out);
}

static void strbuf_grows(void **state)
{
	struct strbuf sb = { 0 };
	char *s;

	(void)state;
	for (int i = 0; i < 1000; i++)
		sb_printf(&sb, "%03d,", i);
	assert_int_equal(sb.len, 4000);
	s = sb_take(&sb);
	assert_memory_equal(s + 3996, "999,", 5);
	free(s);
	s = sb_take(&sb);
	assert_string_equal(s, "");
	free(s);
}

static void arena_keeps_copies(void **state)
{
	struct arena a = { 0 };
	const char *s = "text", *none = NULL, *kept;
	char *big;

	(void)state;
	kept = s;
	assert_int_equal(arena_keep(&a, &kept), 0);
	assert_ptr_not_equal(kept, s);
	assert_string_equal(kept, "text");
	assert_int_equal(arena_keep(&a, &none), 0);
	assert_null(none);
	big = arena_alloc(&a, 3, 100000);
	assert_non_null(big);
	assert_int_equal((uintptr_t)big % 16, 0);
	assert_int_equal(big[299999], 0);
	assert_null(arena_alloc(&a, SIZE_MAX / 2, 3));
	assert_null(arena_alloc(&a, 0, 3));
	arena_free(&a);
}

static void times(void **state)
{
	static const struct {
		const char *text;
		u64 ns;
	} good[] = {
		{ "1us", 1000 },          { "250ms", 250000000 },     { "1s", 1000000000 },
		{ "1.5s", 1500000000 },   { "0.25min", 15000000000 }, { "2h", 7200000000000 },
		{ "1d", 86400000000000 }, { "0.000001s", 1000 },      { "0.0000000019s", 1 },
	};
	static const char *const bad[] = { "",     "s",      "1",      "1m",
					   "1 s",  "+1s",    "-1s",    "0s",
					   ".5s",  "1.s",    "1,5s",   "1s ",
					   "0x1s", "1.2.3s", "1min5s", "9223372036854775808us" };
	u64 ns;

	(void)state;
	for (size_t i = 0; i < sizeof(good) / sizeof(*good); i++) {
		assert_true(quantity_time(good[i].text, &ns));
		assert_int_equal(ns, good[i].ns);
	}
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++)
		if (quantity_time(bad[i], &ns))
			fail_msg("\"%s\" is taken", bad[i]);
}

static void sizes(void **state)
{
	u64 bytes;

	(void)state;
	assert_true(quantity_size("4096", &bytes) && bytes == 4096);
	assert_true(quantity_size("64M", &bytes) && bytes == 64 << 20);
	assert_true(quantity_size("1.5K", &bytes) && bytes == 1536);
	assert_false(quantity_size("64m", &bytes));
	assert_false(quantity_size("M", &bytes));
	assert_false(quantity_size("99999999999G", &bytes));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(visible_escapes_what_moves_or_hides),
		cmocka_unit_test(visible_escapes_broken_utf8),
		cmocka_unit_test(utf8_keeps_what_is_valid),
		cmocka_unit_test(durations),
		cmocka_unit_test(dates),
		cmocka_unit_test(wrap_breaks_at_spaces),
		cmocka_unit_test(wrap_breaks_long_words),
		cmocka_unit_test(wrap_counts_columns),
		cmocka_unit_test(a_command_stays_on_one_line),
		cmocka_unit_test(strbuf_grows),
		cmocka_unit_test(times),
		cmocka_unit_test(sizes),
		cmocka_unit_test(arena_keeps_copies),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
