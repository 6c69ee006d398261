// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Every walker on memory of real kernels: each image of tests/unit/images (made by
 * tests/vm/capture) must give exactly what was staged while it was taken.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "collect/mm.h"
#include "expect.h"
#include "images.h"

/* An idle page is looked at again after a while; nothing changes in an image. */
int usleep(useconds_t us)
{
	(void)us;
	return 0;
}

static void test_staged(void **state)
{
	struct kmem *k = image_open(*state);
	json_t *doc = expect_open(*state);
	struct look l;

	look_init(&l, k);
	assert_staged(&l, doc);
	assert_string_equal(wfg_session(l.g)->kernel, text(doc, "kernel"));
	assert_string_equal(wfg_session(l.g)->host, "guest");
	assert_int_equal(wfg_session(l.g)->dax_mounts, number(doc, "dax_mounts"));
	assert_int_equal(wfg_session(l.g)->dax_devices, number(doc, "dax_devices"));
	assert_true(wfg_session(l.g)->coherent_idle);
	look_free(&l);
	json_decref(doc);
	kmem_close(k);
}

/* What is found where the kernel hides a symbol. */
static void look_without(const char *name, enum ksym hidden)
{
	struct kmem *k = image_open(name);
	json_t *doc = expect_open(name);
	struct look l;

	k->sym[hidden] = 0;
	look_init(&l, k);
	assert_staged(&l, doc);
	look_free(&l);
	json_decref(doc);
	kmem_close(k);
}

static void test_without_table(void **state)
{
	look_without(*state, KSYM_BIT_WAIT_TABLE);
}

static void test_without_ranges(void **state)
{
	look_without(*state, KSYM_PGMAP_ARRAY);
}

struct maps {
	const json_t *truth; /* [[start, end], ...] */
	size_t seen;
};

static void take_mapping(void *arg, const struct mm_vma *v)
{
	struct maps *m = arg;
	const json_t *range = json_array_get(m->truth, m->seen++);

	assert_int_equal(v->start, json_integer_value(json_array_get(range, 0)));
	assert_int_equal(v->end, json_integer_value(json_array_get(range, 1)));
}

static const struct ktask *task_of_pid(const struct snap *s, u32 pid)
{
	for (u32 i = 0; i < s->tasks.n; i++)
		if (s->tasks.v[i].r.tid == pid)
			return &s->tasks.v[i];
	fail_msg("there is no task %u", pid);
	return NULL;
}

/* A task's mappings are those of /proc/PID/maps. */
static void test_mappings(void **state)
{
	struct snap s = { .k = image_open(*state) };
	json_t *doc = expect_open(*state), *truth;
	const char *pid;

	assert_int_equal(tasks_load(&s), 0);
	json_object_foreach(json_object_get(doc, "maps"), pid, truth)
	{
		const struct ktask *t = task_of_pid(&s, atoi(pid));
		struct maps m = { .truth = truth };

		assert_int_equal(mm_walk_vmas(&s, t->r.mm, take_mapping, &m), 0);
		assert_int_equal(m.seen, json_array_size(truth));
	}
	tasks_free(&s.tasks);
	json_decref(doc);
	kmem_close(s.k);
}

/* cmocka wants them in one array; they live as long as the program. */
static struct CMUnitTest tests[1024];
static size_t nr_tests;

static void add_test(const char *what, const char *image, CMUnitTestFunction test)
{
	char name[PATH_MAX];

	if (nr_tests == sizeof(tests) / sizeof(*tests))
		abort();
	snprintf(name, sizeof(name), "%s: %s", what, image);
	tests[nr_tests++] = (struct CMUnitTest){ .name = strdup(name),
						 .test_func = test,
						 .initial_state = (void *)image };
}

/* The images that hold every way of looking are those with the mappings, see capture. */
static void add_tests(const char *image)
{
	add_test("as staged", image, test_staged);
	if (!strstr(image, "-ext4-vmsplice-truncate"))
		return;
	add_test("as staged without bit_wait_table", image, test_without_table);
	add_test("as staged without pgmap_array", image, test_without_ranges);
	add_test("mappings", image, test_mappings);
}

int main(void)
{
	static const char *names[IMAGES_MAX];
	size_t n = image_names(names);

	cmocka_set_test_filter(getenv("TEST_FILTER")); /* for one alone: "woken*" */
	for (size_t i = 0; i < n; i++)
		add_tests(names[i]);
	return _cmocka_run_group_tests("images", tests, nr_tests, NULL, NULL);
}
