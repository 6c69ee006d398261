// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/syscall.h>

#include <cmocka.h>

#include "collect/ia32.h"

/* arch/x86/entry/syscalls/syscall_32.tbl */
enum {
	READ = 3,
	PREAD64 = 180,
	FTRUNCATE64 = 194,
	FALLOCATE = 324,
	PWRITEV2 = 379,
	CLOCK_GETTIME64 = 403
};

static void has_the_same_arguments(void **state)
{
	u64 args[] = { 3, 0xf7000000, 4096, 4, 5, 6 };

	(void)state;
	assert_int_equal(ia32_translate(READ, args), SYS_read);
	for (u64 i = 0; i < 6; i++)
		assert_int_equal(args[i], ((u64[]){ 3, 0xf7000000, 4096, 4, 5, 6 })[i]);
}

static void joins_an_offset(void **state)
{
	u64 args[] = { 3, 0xf7000000, 4096, 0x2000, 5, 0 }, size[] = { 3, 0x1000, 1, 0, 0, 0 };

	(void)state;
	assert_int_equal(ia32_translate(PREAD64, args), SYS_pread64);
	assert_int_equal(args[3], 0x500002000);
	assert_int_equal(args[4], 0);
	assert_int_equal(ia32_translate(FTRUNCATE64, size), SYS_ftruncate);
	assert_int_equal(size[1], 0x100001000);
	assert_int_equal(size[2], 0);
}

static void joins_offset_and_length(void **state)
{
	u64 args[] = { 3, 2, 0x1000, 1, 0x2000, 2 };

	(void)state;
	assert_int_equal(ia32_translate(FALLOCATE, args), SYS_fallocate);
	assert_int_equal(args[1], 2);
	assert_int_equal(args[2], 0x100001000);
	assert_int_equal(args[3], 0x200002000);
	assert_int_equal(args[4], 0);
	assert_int_equal(args[5], 0);
}

static void keeps_what_is_behind_an_offset(void **state)
{
	u64 args[] = { 3, 0xf7000000, 2, 0x2000, 0, 8 };

	(void)state;
	assert_int_equal(ia32_translate(PWRITEV2, args), SYS_pwritev2);
	assert_int_equal(args[3], 0x2000);
	assert_int_equal(args[5], 8);
}

static void knows_common_numbers(void **state)
{
	u64 args[6] = { 0 };

	(void)state;
	assert_int_equal(ia32_translate(SYS_io_uring_enter, args), SYS_io_uring_enter);
	assert_int_equal(ia32_translate(CLOCK_GETTIME64, args), -1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(has_the_same_arguments),
		cmocka_unit_test(joins_an_offset),
		cmocka_unit_test(joins_offset_and_length),
		cmocka_unit_test(keeps_what_is_behind_an_offset),
		cmocka_unit_test(knows_common_numbers),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
