// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "collect/memstore.h"

#define BASE 0xffff888000001000ULL

static int setup(void **state)
{
	*state = calloc(1, sizeof(struct memstore));
	return *state ? 0 : -1;
}

static int teardown(void **state)
{
	memstore_free(*state);
	free(*state);
	return 0;
}

static void keep(struct memstore *m, u64 addr, const char *text)
{
	assert_int_equal(memstore_write(m, addr, text, strlen(text)), 0);
}

static void assert_kept(struct memstore *m, u64 addr, const char *text)
{
	char buf[64] = { 0 };

	assert_int_equal(memstore_read(m, addr, buf, strlen(text)), 0);
	assert_string_equal(buf, text);
}

static void assert_missing(struct memstore *m, u64 addr, size_t len)
{
	char buf[64];

	assert_int_equal(memstore_read(m, addr, buf, len), -EFAULT);
}

static void test_read_back(void **state)
{
	keep(*state, BASE + 5, "hello");
	assert_kept(*state, BASE + 5, "hello");
	assert_kept(*state, BASE + 6, "ell");
}

static void test_every_byte_must_be_kept(void **state)
{
	assert_missing(*state, BASE, 1);
	keep(*state, BASE + 5, "hello");
	assert_missing(*state, BASE + 4, 2);
	assert_missing(*state, BASE + 5, 6);
	keep(*state, BASE + 11, "you");
	assert_missing(*state, BASE + 5, 9);
	keep(*state, BASE + 10, "-");
	assert_kept(*state, BASE + 5, "hello-you");
}

static void test_last_write_wins(void **state)
{
	keep(*state, BASE, "aaaa");
	keep(*state, BASE + 1, "bb");
	assert_kept(*state, BASE, "abba");
}

static void test_across_pages(void **state)
{
	char big[3 * 4096], back[sizeof(big)];

	for (size_t i = 0; i < sizeof(big); i++)
		big[i] = i * 7 + i / 4096;
	assert_int_equal(memstore_write(*state, BASE + 100, big, sizeof(big)), 0);
	assert_int_equal(memstore_read(*state, BASE + 100, back, sizeof(back)), 0);
	assert_memory_equal(big, back, sizeof(big));
	assert_missing(*state, BASE + 100 + sizeof(big) - 1, 2);
}

/* The last byte of all, and what would lie behind it. */
static void test_end_of_address_space(void **state)
{
	keep(*state, -3ULL, "end");
	assert_kept(*state, -3ULL, "end");
	assert_missing(*state, -3ULL, 4);
	assert_missing(*state, 0, 1);
}

static void test_nothing(void **state)
{
	assert_int_equal(memstore_write(*state, BASE, "", 0), 0);
	assert_int_equal(memstore_read(*state, BASE, NULL, 0), 0);
	assert_missing(*state, BASE, 1);
}

struct runs {
	char text[256];
	u64 last;
};

static void add_run(void *arg, u64 addr, const u8 *data, size_t len)
{
	struct runs *r = arg;
	size_t at = strlen(r->text);

	assert_true(addr > r->last);
	r->last = addr;
	snprintf(r->text + at, sizeof(r->text) - at, "%llx %.*s\n",
		 (unsigned long long)(addr - BASE), (int)len, (const char *)data);
}

/* Ascending whatever the order they came in; what touches is one run, but for pages. */
static void test_runs(void **state)
{
	struct runs r = { "", 0 };

	keep(*state, BASE + 0x5000, "later");
	keep(*state, BASE + 0x1ffe, "across");
	keep(*state, BASE + 0x10, "ab");
	keep(*state, BASE + 0x14, "ef");
	keep(*state, BASE + 0x12, "cd");
	memstore_each(*state, add_run, &r);
	assert_string_equal(r.text, "10 abcdef\n1ffe ac\n2000 ross\n5000 later\n");
}

static void test_no_runs(void **state)
{
	struct runs r = { "", 0 };

	memstore_each(*state, add_run, &r);
	assert_string_equal(r.text, "");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	static const struct CMUnitTest tests[] = {
		TEST(test_read_back),
		TEST(test_every_byte_must_be_kept),
		TEST(test_last_write_wins),
		TEST(test_across_pages),
		TEST(test_end_of_address_space),
		TEST(test_nothing),
		TEST(test_runs),
		TEST(test_no_runs),
	};

	return cmocka_run_group_tests_name("memstore", tests, NULL, NULL);
}
