// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Fields are found by name in BTF, whatever a kernel wraps around them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <bpf/btf.h>
#include <cmocka.h>

#include "collect/kfield.h"

/* Types that every test starts with. */
struct types {
	struct btf *btf;
	int u32_id, u64_id, ptr_id;
	struct kfield field[KF_MAX];
};

static int setup(void **state)
{
	static struct types t;

	t = (struct types){ .btf = btf__new_empty() };
	if (!t.btf)
		return -1;
	t.u32_id = btf__add_int(t.btf, "unsigned int", 4, 0);
	t.u64_id = btf__add_int(t.btf, "unsigned long", 8, 0);
	t.ptr_id = btf__add_ptr(t.btf, 0);
	*state = &t;
	return 0;
}

static int teardown(void **state)
{
	btf__free(((struct types *)*state)->btf);
	return 0;
}

static int add_struct(struct types *t, const char *name, u32 size)
{
	int id = btf__add_struct(t->btf, name, size);

	assert_true(id > 0);
	return id;
}

/* A member of the type added last; at is its offset in bytes. */
static void add_member(struct types *t, const char *name, int type, u32 at)
{
	assert_int_equal(btf__add_field(t->btf, name, type, at * 8, 0), 0);
}

static void resolve(struct types *t)
{
	memset(t->field, 0x55, sizeof(t->field));
	assert_int_equal(kfields_resolve(t->field, t->btf), 0);
}

static void assert_field(const struct types *t, enum kf f, s64 off, u32 size)
{
	assert_int_equal(t->field[f].off, off);
	assert_int_equal(t->field[f].size, size);
}

static void assert_missing(const struct types *t, enum kf f)
{
	assert_int_equal(t->field[f].off, KFIELD_MISSING);
}

static void test_nothing_there(void **state)
{
	struct types *t = *state;

	resolve(t);
	for (int f = 0; f < KF_MAX; f++)
		assert_missing(t, f);
}

static void test_member_and_size(void **state)
{
	struct types *t = *state;

	add_struct(t, "range", 16);
	add_member(t, "start", t->u64_id, 0);
	add_member(t, "end", t->u64_id, 8);
	resolve(t);
	assert_field(t, KF_RANGE, 16, 0);
	assert_field(t, KF_RANGE_START, 0, 8);
	assert_field(t, KF_RANGE_END, 8, 8);
}

/* task_struct.thread.sp: through a named struct, which is a type of its own. */
static void test_path(void **state)
{
	struct types *t = *state;
	int thread = add_struct(t, "thread_struct", 40);

	add_member(t, "sp", t->u64_id, 24);
	add_struct(t, "task_struct", 9000);
	add_member(t, "stack", t->ptr_id, 32);
	add_member(t, "thread", thread, 8192);
	resolve(t);
	assert_field(t, KF_TASK_STACK, 32, 8);
	assert_field(t, KF_TASK_SP, 8192 + 24, 8);
}

/* struct page { flags; union { struct { pad; mapping; union { index; ... } }; }; _refcount } */
static void test_anonymous(void **state)
{
	struct types *t = *state;
	int innermost, inner, outer;

	innermost = btf__add_union(t->btf, NULL, 8);
	add_member(t, "share", t->u64_id, 0);
	add_member(t, "index", t->u64_id, 0);
	inner = add_struct(t, NULL, 32);
	add_member(t, "lru", t->u64_id, 0);
	add_member(t, "mapping", t->ptr_id, 16);
	add_member(t, NULL, innermost, 24);
	outer = btf__add_union(t->btf, NULL, 40);
	add_member(t, NULL, inner, 0);
	add_struct(t, "page", 64);
	add_member(t, "flags", t->u64_id, 0);
	add_member(t, NULL, outer, 8);
	add_member(t, "_refcount", t->u32_id, 52);
	resolve(t);
	assert_field(t, KF_PAGE, 64, 0);
	assert_field(t, KF_PAGE_MAPPING, 8 + 16, 8);
	assert_field(t, KF_PAGE_INDEX, 8 + 24, 8);
	assert_field(t, KF_FOLIO_SHARE, 8 + 24, 8);
	assert_field(t, KF_PAGE_REFCOUNT, 52, 4);
	assert_missing(t, KF_PAGE_COMPOUND_HEAD);
}

/* Anonymous members are searched where they stand: a later one does not win. */
static void test_anonymous_in_order(void **state)
{
	struct types *t = *state;
	int anonymous = add_struct(t, NULL, 16);

	add_member(t, "flags", t->u64_id, 8);
	add_struct(t, "page", 64);
	add_member(t, NULL, anonymous, 16);
	add_member(t, "flags", t->u32_id, 0);
	resolve(t);
	assert_field(t, KF_PAGE_FLAGS, 24, 8);
}

/* typedef const volatile struct {} rb_root_t, as a member of a typedef'ed struct. */
static void test_modifiers(void **state)
{
	struct types *t = *state;
	int id = add_struct(t, "rb_root", 8);

	add_member(t, "rb_node", t->ptr_id, 0);
	id = btf__add_const(t->btf, id);
	id = btf__add_volatile(t->btf, id);
	id = btf__add_typedef(t->btf, "rb_root_t", id);
	add_struct(t, "rb_root_cached", 24);
	add_member(t, "rb_root", id, 8);
	resolve(t);
	assert_field(t, KF_RB_NODE, 8, 8);
}

static void test_anonymous_typedef(void **state)
{
	struct types *t = *state;
	int id = add_struct(t, NULL, 16);

	add_member(t, "mapping", t->ptr_id, 8);
	id = btf__add_typedef(t->btf, "inner_t", id);
	add_struct(t, "page", 64);
	add_member(t, NULL, id, 8);
	resolve(t);
	assert_field(t, KF_PAGE_MAPPING, 16, 8);
}

/* The member's type comes after the struct: const, typedef, int. */
static void test_size_through_typedef(void **state)
{
	struct types *t = *state;
	int page = add_struct(t, "page", 64);

	add_member(t, "_mapcount", page + 1, 48);
	assert_int_equal(btf__add_const(t->btf, page + 2), page + 1);
	assert_int_equal(btf__add_typedef(t->btf, "atomic_t", t->u32_id), page + 2);
	resolve(t);
	assert_field(t, KF_PAGE_MAPCOUNT, 48, 4);
}

static void test_newer_name(void **state)
{
	struct types *t = *state;

	add_struct(t, "page", 64);
	add_member(t, "__folio_index", t->u64_id, 32);
	resolve(t);
	assert_field(t, KF_PAGE_INDEX, 32, 8);
}

static void test_older_name(void **state)
{
	struct types *t = *state;

	add_struct(t, "kernfs_node", 128);
	add_member(t, "parent", t->ptr_id, 8);
	resolve(t);
	assert_field(t, KF_KN_PARENT, 8, 8);
	assert_missing(t, KF_KN_NAME);
}

/* folio.share|page.share: alternatives may lie in different structs. */
static void test_alternative_struct(void **state)
{
	struct types *t = *state;

	add_struct(t, "page", 64);
	add_member(t, "share", t->u64_id, 32);
	add_struct(t, "folio", 256);
	add_member(t, "_flags_1", t->u64_id, 64);
	resolve(t);
	assert_field(t, KF_FOLIO_SHARE, 32, 8);
	assert_field(t, KF_FOLIO_FLAGS_1, 64, 8);
}

static void test_steps_missing(void **state)
{
	struct types *t = *state;

	add_struct(t, "rw_semaphore", 40);
	add_member(t, "count", t->u64_id, 0);
	/* a scalar where a struct was expected; a member with a longer and a shorter name */
	add_struct(t, "task_struct", 64);
	add_member(t, "thread", t->u64_id, 0);
	add_member(t, "stack_canary", t->u64_id, 8);
	add_member(t, "stac", t->u64_id, 16);
	resolve(t);
	assert_missing(t, KF_RWSEM_WAIT_LIST);
	assert_missing(t, KF_TASK_SP);
	assert_missing(t, KF_TASK_STACK);
}

static void test_first_definition_wins(void **state)
{
	struct types *t = *state;

	add_struct(t, "range", 16);
	add_member(t, "start", t->u64_id, 0);
	add_struct(t, "range", 8);
	add_member(t, "start", t->u32_id, 4);
	add_member(t, "end", t->u32_id, 0);
	resolve(t);
	assert_field(t, KF_RANGE, 16, 0);
	assert_field(t, KF_RANGE_START, 0, 8);
	assert_missing(t, KF_RANGE_END);
}

/* A function, a typedef or a forward declaration of the name is no struct. */
static void test_kinds(void **state)
{
	struct types *t = *state;

	btf__add_typedef(t->btf, "range", t->u64_id);
	btf__add_fwd(t->btf, "page", BTF_FWD_STRUCT);
	add_struct(t, "range", 16);
	add_member(t, "start", t->u64_id, 8);
	add_struct(t, "page", 64);
	add_struct(t, "dax_layout_busy_page", 8);
	resolve(t);
	assert_field(t, KF_RANGE, 16, 0);
	assert_field(t, KF_RANGE_START, 8, 8);
	assert_field(t, KF_PAGE, 64, 0);
	assert_missing(t, KF_HAS_DAX_BUSY_PAGE);
}

static void test_enumerator(void **state)
{
	struct types *t = *state;

	assert_true(btf__add_enum(t->btf, "memory_type", 4) > 0);
	assert_int_equal(btf__add_enum_value(t->btf, "MEMORY_DEVICE_PRIVATE", 1), 0);
	assert_int_equal(btf__add_enum_value(t->btf, "MEMORY_DEVICE_FS_DAX", 3), 0);
	assert_true(btf__add_enum(t->btf, NULL, 4) > 0);
	assert_int_equal(btf__add_enum_value(t->btf, "PG_head", 0), 0);
	resolve(t);
	assert_field(t, KF_MEMORY_DEVICE_FS_DAX, 3, 0);
	assert_field(t, KF_PG_HEAD, 0, 0);
}

static void test_function(void **state)
{
	struct types *t = *state;
	int proto = btf__add_func_proto(t->btf, 0);

	assert_true(btf__add_func(t->btf, "dax_layout_busy_page", BTF_FUNC_GLOBAL, proto) > 0);
	resolve(t);
	assert_field(t, KF_HAS_DAX_BUSY_PAGE, 1, 0);
}

static void test_array_and_union(void **state)
{
	struct types *t = *state;
	int slots = btf__add_array(t->btf, t->u32_id, t->ptr_id, 64);

	add_struct(t, "xa_node", 576);
	add_member(t, "slots", slots, 40);
	assert_true(btf__add_union(t->btf, "xarray", 8) > 0);
	add_member(t, "xa_head", t->ptr_id, 0);
	resolve(t);
	assert_field(t, KF_XA_NODE_SLOTS, 40, 64 * 8);
	assert_field(t, KF_XA_HEAD, 0, 8);
}

static void test_names(void **state)
{
	(void)state;
	for (int f = 0; f < KF_MAX; f++)
		for (int g = 0; g < f; g++)
			assert_string_not_equal(kfield_name(f), kfield_name(g));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	static const struct CMUnitTest tests[] = {
		TEST(test_nothing_there),
		TEST(test_member_and_size),
		TEST(test_path),
		TEST(test_anonymous),
		TEST(test_anonymous_in_order),
		TEST(test_modifiers),
		TEST(test_anonymous_typedef),
		TEST(test_size_through_typedef),
		TEST(test_newer_name),
		TEST(test_older_name),
		TEST(test_alternative_struct),
		TEST(test_steps_missing),
		TEST(test_first_definition_wins),
		TEST(test_kinds),
		TEST(test_enumerator),
		TEST(test_function),
		TEST(test_array_and_union),
		TEST(test_names),
	};

	return cmocka_run_group_tests_name("kfield", tests, NULL, NULL);
}
