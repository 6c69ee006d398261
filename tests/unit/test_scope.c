// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "collect/scope.h"
#include "tree.h"

/*
 * 259:0 pmem0 with DAX, 259:1 its partition, 8:0 a disk without, 253:0 a mapping of pmem0; an ext4
 * on 259:1, an XFS on 8:0, virtiofs with and without DAX, and a mount point with a blank.
 */
static int setup(void **state)
{
	char *root = tree_new();

	tree_file(root, "sys/devices/pmem0/queue/dax", "1\n");
	tree_file(root, "sys/devices/pmem0/pmem0p1/size", "0\n");
	tree_file(root, "sys/devices/sda/queue/dax", "0\n");
	tree_file(root, "sys/devices/dm-0/queue/dax", "1\n");
	tree_file(root, "sys/devices/loop0/size", "0\n");
	tree_link(root, "sys/dev/block/259:0", "../../devices/pmem0");
	tree_link(root, "sys/dev/block/259:1", "../../devices/pmem0/pmem0p1");
	tree_link(root, "sys/dev/block/8:0", "../../devices/sda");
	tree_link(root, "sys/dev/block/253:0", "../../devices/dm-0");
	tree_link(root, "sys/dev/block/7:0", "../../devices/loop0");
	tree_file(root, "proc/self/mountinfo",
		  "20 1 8:0 / / rw,relatime shared:1 - xfs /dev/sda rw,attr2\n"
		  "21 20 259:1 / /pmem rw - ext4 /dev/pmem0p1 rw,dax=always\n"
		  "22 20 0:40 / /vfs rw - virtiofs share rw,dax=inode\n"
		  "23 20 0:41 / /vfs2 rw - virtiofs share rw\n"
		  "24 20 0:42 / /vfs3 rw - virtiofs share rw,dax\n"
		  "25 20 0:43 / /vfs4 rw - virtiofs share rw,dax=never\n"
		  "26 20 253:0 / /a\\040b rw - xfs /dev/dm-0 rw\n");
	*state = root;
	return 0;
}

static int teardown(void **state)
{
	tree_free(*state);
	return 0;
}

static struct statx made(mode_t type, u32 major, u32 minor)
{
	return (struct statx){
		.stx_mode = type | 0644,
		.stx_ino = 4711,
		.stx_dev_major = major,
		.stx_dev_minor = minor,
		.stx_attributes_mask = STATX_ATTR_DAX | STATX_ATTR_MOUNT_ROOT,
	};
}

static int ask(const char *root, const struct statx *stx, struct scope_member *m,
	       struct refusal *why)
{
	memset(m, 0xff, sizeof(*m));
	return scope_member_from(m, "/x/y", stx, root, why);
}

static int ask_mount(const char *root, u32 major, u32 minor, struct refusal *why)
{
	struct statx stx = made(S_IFDIR, major, minor);
	struct scope_member m;
	int ret;

	stx.stx_attributes = STATX_ATTR_MOUNT_ROOT;
	ret = ask(root, &stx, &m, why);
	if (!ret)
		assert_int_equal(m.ino, 0);
	return ret;
}

static void regular_file(void **state)
{
	struct statx stx = made(S_IFREG, 259, 1);
	struct scope_member m;
	struct refusal why;

	assert_int_equal(ask(*state, &stx, &m, &why), -1);
	assert_int_equal(why.status, STATUS_ERROR);
	assert_non_null(strstr(why.cause, "/x/y is not on DAX"));
	stx.stx_attributes = STATX_ATTR_DAX;
	assert_int_equal(ask(*state, &stx, &m, &why), 0);
	assert_int_equal(m.dev_major, 259);
	assert_int_equal(m.dev_minor, 1);
	assert_int_equal(m.ino, 4711);
}

static void mount_point(void **state)
{
	struct refusal why;

	assert_int_equal(ask_mount(*state, 259, 0, &why), 0);
	assert_int_equal(ask_mount(*state, 259, 1, &why), 0);
	assert_int_equal(ask_mount(*state, 253, 0, &why), 0);
	assert_int_equal(ask_mount(*state, 8, 0, &why), -1);
	assert_non_null(strstr(why.cause, "not on DAX"));
	/* A device that does not say whether it can is not refused. */
	assert_int_equal(ask_mount(*state, 7, 0, &why), 0);
}

static void mount_without_device(void **state)
{
	struct refusal why;

	assert_int_equal(ask_mount(*state, 0, 40, &why), 0);
	/* without an option its server decides, file by file */
	assert_int_equal(ask_mount(*state, 0, 41, &why), 0);
	assert_int_equal(ask_mount(*state, 0, 42, &why), 0);
	assert_int_equal(ask_mount(*state, 0, 43, &why), -1);
	assert_int_equal(ask_mount(*state, 0, 99, &why), -1);
}

static void plain_directory(void **state)
{
	struct statx stx = made(S_IFDIR, 259, 1);
	struct scope_member m;
	struct refusal why;

	assert_int_equal(ask(*state, &stx, &m, &why), -1);
	assert_non_null(strstr(why.cause, "is a directory"));
	assert_string_equal(why.command, "daxtrace /pmem");
	/* mountinfo's escapes are not a shell's. */
	stx = made(S_IFDIR, 253, 0);
	assert_int_equal(ask(*state, &stx, &m, &why), -1);
	assert_string_equal(why.command, "daxtrace PATH");
}

static void block_device(void **state)
{
	struct statx stx = made(S_IFBLK, 0, 5);
	struct scope_member m;
	struct refusal why;

	stx.stx_rdev_major = 259;
	stx.stx_rdev_minor = 1;
	assert_int_equal(ask(*state, &stx, &m, &why), 0);
	assert_int_equal(m.dev_major, 259);
	assert_int_equal(m.dev_minor, 1);
	assert_int_equal(m.ino, 0);
	stx.stx_rdev_major = 8;
	stx.stx_rdev_minor = 0;
	assert_int_equal(ask(*state, &stx, &m, &why), -1);
}

static void other_types(void **state)
{
	static const mode_t types[] = { S_IFCHR, S_IFIFO, S_IFSOCK };
	struct scope_member m;
	struct refusal why;

	for (size_t i = 0; i < 3; i++) {
		struct statx stx = made(types[i], 259, 1);

		assert_int_equal(ask(*state, &stx, &m, &why), -1);
		assert_int_equal(why.status, STATUS_ERROR);
	}
}

static void refused_paths(void **state)
{
	struct refusal why;

	(void)state;
	assert_int_equal(scope_refuse_path("/pmem/f", -ETIMEDOUT, &why), -1);
	assert_int_equal(why.status, STATUS_ERROR);
	assert_non_null(strstr(why.cause, "does not answer within 2 s"));
	assert_string_equal(why.command, "daxtrace");
	scope_refuse_path("/pmem/f", -EACCES, &why);
	assert_int_equal(why.status, STATUS_NOPERM);
	assert_string_equal(why.command, "sudo daxtrace /pmem/f");
	scope_refuse_path("/pmem/a b;c", -EACCES, &why);
	assert_string_equal(why.command, "sudo daxtrace '/pmem/a b;c'");
	scope_refuse_path("/pmem/a'b", -EACCES, &why);
	assert_string_equal(why.command, "sudo daxtrace PATH");
	scope_refuse_path("-f", -EACCES, &why);
	assert_string_equal(why.command, "sudo daxtrace PATH");
	scope_refuse_path("/pmem/f", -ELOOP, &why);
	assert_int_equal(why.status, STATUS_ERROR);
	assert_non_null(strstr(why.cause, strerror(ELOOP)));
}

static void resolves_real_paths(void **state)
{
	char *root = *state, path[4096], *paths[] = { path };
	struct refusal why;
	struct scope s;

	snprintf(path, sizeof(path), "%s/gone", root);
	assert_int_equal(scope_resolve(&s, paths, 1, &why), -1);
	assert_int_equal(why.status, STATUS_ERROR);
	assert_non_null(strstr(why.cause, "is gone"));
	/* No test machine has its temporary files on DAX. */
	snprintf(path, sizeof(path), "%s/proc/self/mountinfo", root);
	assert_int_equal(scope_resolve(&s, paths, 1, &why), -1);
	assert_non_null(strstr(why.cause, "not on DAX"));
}

static void nothing_asked(void **state)
{
	struct refusal why;
	struct scope s;

	(void)state;
	assert_int_equal(scope_resolve(&s, NULL, 0, &why), 0);
	assert_int_equal(s.n, 0);
	assert_true(scope_matches(&s, 259, 1, 12));
	scope_free(&s);
}

static void matches(void **state)
{
	struct scope_member m[] = {
		{ .dev_major = 259, .dev_minor = 1, .ino = 12 },
		{ .dev_major = 253, .dev_minor = 0, .ino = 0 },
	};
	struct scope s = { .m = m, .n = 2 };

	(void)state;
	assert_true(scope_matches(&s, 259, 1, 12));
	assert_false(scope_matches(&s, 259, 1, 13));
	assert_false(scope_matches(&s, 259, 0, 12));
	assert_true(scope_matches(&s, 253, 0, 12));
	assert_true(scope_matches(&s, 253, 0, 99));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(regular_file, setup, teardown),
		cmocka_unit_test_setup_teardown(mount_point, setup, teardown),
		cmocka_unit_test_setup_teardown(mount_without_device, setup, teardown),
		cmocka_unit_test_setup_teardown(plain_directory, setup, teardown),
		cmocka_unit_test_setup_teardown(block_device, setup, teardown),
		cmocka_unit_test_setup_teardown(other_types, setup, teardown),
		cmocka_unit_test(refused_paths),
		cmocka_unit_test_setup_teardown(resolves_real_paths, setup, teardown),
		cmocka_unit_test(nothing_asked),
		cmocka_unit_test(matches),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
