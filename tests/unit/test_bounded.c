// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "util/bounded.h"

static ssize_t say(void *arg, void *buf, size_t len)
{
	size_t n = strlen(arg);

	memcpy(buf, arg, n < len ? n : len);
	return n;
}

static ssize_t say_nothing(void *arg, void *buf, size_t len)
{
	(void)arg, (void)buf, (void)len;
	return 0;
}

static ssize_t go_stale(void *arg, void *buf, size_t len)
{
	(void)arg, (void)buf, (void)len;
	return -ESTALE;
}

static ssize_t fill(void *arg, void *buf, size_t len)
{
	(void)arg;
	memset(buf, 0x5a, len);
	return len;
}

static ssize_t hang(void *arg, void *buf, size_t len)
{
	(void)arg, (void)buf, (void)len;
	pause();
	return 0;
}

static ssize_t die(void *arg, void *buf, size_t len)
{
	(void)arg, (void)buf, (void)len;
	_exit(7);
}

static ssize_t crash(void *arg, void *buf, size_t len)
{
	(void)arg, (void)buf, (void)len;
	raise(SIGKILL);
	return 0;
}

/* One byte per open descriptor below 256. */
static ssize_t list_descriptors(void *arg, void *buf, size_t len)
{
	unsigned char *out = buf;
	size_t n = 0;

	(void)arg;
	for (int fd = 0; fd < 256 && n < len; fd++)
		if (fcntl(fd, F_GETFD) >= 0)
			out[n++] = fd;
	return n;
}

static ssize_t scribble(void *arg, void *buf, size_t len)
{
	(void)buf, (void)len;
	*(int *)arg = 1;
	return 0;
}

static void returns_bytes(void **state)
{
	char buf[16];

	(void)state;
	assert_int_equal(bounded_call(say, "pmem0", buf, sizeof(buf), 2000), 5);
	assert_memory_equal(buf, "pmem0", 5);
	assert_int_equal(bounded_call(say_nothing, NULL, buf, sizeof(buf), 2000), 0);
	assert_int_equal(bounded_call(say_nothing, NULL, NULL, 0, 2000), 0);
}

/* More than a pipe holds: the child writes while the parent reads. */
static void returns_many_bytes(void **state)
{
	size_t len = 300000;
	unsigned char *buf = calloc(1, len);

	(void)state;
	assert_non_null(buf);
	assert_int_equal(bounded_call(fill, NULL, buf, len, 5000), len);
	assert_int_equal(buf[0], 0x5a);
	assert_int_equal(buf[len - 1], 0x5a);
	free(buf);
}

static void returns_error(void **state)
{
	char buf[4];

	(void)state;
	assert_int_equal(bounded_call(go_stale, NULL, buf, sizeof(buf), 2000), -ESTALE);
	assert_int_equal(bounded_call(say, "too long", buf, sizeof(buf), 2000), -EOVERFLOW);
}

static void child_dies(void **state)
{
	char buf[4];

	(void)state;
	assert_int_equal(bounded_call(die, NULL, buf, sizeof(buf), 2000), -EIO);
	assert_int_equal(bounded_call(crash, NULL, buf, sizeof(buf), 2000), -EIO);
}

static void times_out(void **state)
{
	struct timespec a, b;
	char buf[4];

	(void)state;
	clock_gettime(CLOCK_MONOTONIC, &a);
	assert_int_equal(bounded_call(hang, NULL, buf, sizeof(buf), 50), -ETIMEDOUT);
	clock_gettime(CLOCK_MONOTONIC, &b);
	assert_true(b.tv_sec - a.tv_sec < 2);
}

static void leaves_no_child(void **state)
{
	char buf[4];

	(void)state;
	bounded_call(hang, NULL, buf, sizeof(buf), 10);
	bounded_call(die, NULL, buf, sizeof(buf), 2000);
	bounded_call(say_nothing, NULL, buf, sizeof(buf), 2000);
	assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);
	assert_int_equal(errno, ECHILD);
}

/* A child that never ends must not hold a BPF object or the reader of stdout. */
static void child_has_no_descriptors(void **state)
{
	unsigned char buf[256];
	int high = fcntl(0, F_DUPFD, 100);

	(void)state;
	assert_true(high >= 100);
	assert_int_equal(bounded_call(list_descriptors, NULL, buf, sizeof(buf), 2000), 4);
	assert_memory_equal(buf, "\0\1\2\3", 4);
	close(high);
}

static void parent_is_unchanged(void **state)
{
	int value = 0, before = open("/dev/null", O_RDONLY), after;

	(void)state;
	assert_int_equal(bounded_call(scribble, &value, NULL, 0, 2000), 0);
	assert_int_equal(value, 0);
	after = open("/dev/null", O_RDONLY);
	assert_int_equal(after, before + 1);
	close(before);
	close(after);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(returns_bytes),
		cmocka_unit_test(returns_many_bytes),
		cmocka_unit_test(returns_error),
		cmocka_unit_test(child_dies),
		cmocka_unit_test(times_out),
		cmocka_unit_test(leaves_no_child),
		cmocka_unit_test(child_has_no_descriptors),
		cmocka_unit_test(parent_is_unchanged),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
