// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* The scan of struct pages, on memory made for it, and what a device's name means. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "collect/page_scan.h"
#include "collect/pmem.h"
#include "tree.h"

#define VMEMMAP 0xffffea0000000000ULL
#define FIRST   (VMEMMAP + 300 * 64ULL) /* not where a subsection begins */
#define SECOND  1000000000ULL

enum { SIZE = 64, PAGES = 20000, AT_FLAGS = 0, AT_MAPCOUNT = 48, AT_REFCOUNT = 52, HEAD = 6 };

struct machine {
	struct kmem k;
	char pages[PAGES * SIZE];
	u64 gone_from, gone_to; /* addresses that fault */
	u64 reads;
};

static int read_pages(struct kmem *k, struct kread *r, size_t n)
{
	struct machine *m = (struct machine *)k;

	for (size_t i = 0; i < n; i++) {
		u64 off = r[i].addr - FIRST;

		assert_true(r[i].addr >= FIRST && off + r[i].len <= sizeof(m->pages));
		r[i].err = r[i].addr < m->gone_to && r[i].addr + r[i].len > m->gone_from ? -EFAULT :
											   0;
		memcpy(r[i].dst, m->pages + off, r[i].len);
	}
	m->reads++;
	return 0;
}

static const struct kmem_ops ops = { .readv = read_pages, .scan = pages_scan };

static void set_field(struct machine *m, enum kf f, s64 off, u32 size)
{
	m->k.field[f] = (struct kfield){ off, size };
}

static void set_page(struct machine *m, u32 nr, u64 flags, s32 refs, s32 entries)
{
	char *page = m->pages + nr * SIZE;
	s32 mapcount = entries - 1;

	memcpy(page + AT_FLAGS, &flags, sizeof(flags));
	memcpy(page + AT_MAPCOUNT, &mapcount, sizeof(mapcount));
	memcpy(page + AT_REFCOUNT, &refs, sizeof(refs));
}

static int setup(void **state)
{
	struct machine *m = calloc(1, sizeof(*m));

	assert_non_null(m);
	m->k.ops = &ops;
	for (int f = 0; f < KF_MAX; f++)
		m->k.field[f].off = KFIELD_MISSING;
	set_field(m, KF_PAGE, SIZE, 0);
	set_field(m, KF_PAGE_FLAGS, AT_FLAGS, 8);
	set_field(m, KF_PAGE_MAPCOUNT, AT_MAPCOUNT, 4);
	set_field(m, KF_PAGE_REFCOUNT, AT_REFCOUNT, 4);
	set_field(m, KF_FOLIO_LARGE_MAPCOUNT, SIZE + 16, 4);
	set_field(m, KF_PG_HEAD, HEAD, 0);
	*state = m;
	return 0;
}

static int teardown(void **state)
{
	free(*state);
	return 0;
}

static struct kscan whole(s64 idle_refs)
{
	return (struct kscan){
		.first = FIRST,
		.end = FIRST + PAGES * SIZE,
		.vmemmap = VMEMMAP,
		.idle_refs = idle_refs,
		.budget_ns = 60 * SECOND,
	};
}

static void assert_found(struct machine *m, const struct kscan *q, const u32 *pages, u32 n)
{
	struct kfound found;

	assert_int_equal(kmem_scan(&m->k, q, &found), 0);
	assert_int_equal(found.n, n);
	for (u32 i = 0; i < n; i++)
		assert_int_equal(found.v[i].addr, FIRST + pages[i] * (u64)SIZE);
	assert_int_equal(found.left, 0);
	free(found.v);
}

/* Up to 6.14: idle at 1, and page table entries do not count. */
static void test_counts_from_one(void **state)
{
	struct machine *m = *state;
	const struct kscan q = whole(1);
	static const u32 held[] = { 0, 211, 212, 19999 };

	for (u32 i = 0; i < PAGES; i++)
		set_page(m, i, 0, 1, i % 3);
	for (u32 i = 0; i < 4; i++)
		set_page(m, held[i], 0, 2 + 1024 * (i == 1), 0);
	set_page(m, 5, 0, 0, 0);  /* is being freed */
	set_page(m, 6, 0, -1, 0); /* was never used */
	assert_found(m, &q, held, 4);
}

/* From 6.15 on: a page that is only mapped is not held, unless that was asked. */
static void test_counts_from_zero(void **state)
{
	struct machine *m = *state;
	static const u32 held[] = { 17, 18 }, mapped[] = { 16, 17, 18, 19 };
	struct kscan q = whole(0);

	for (u32 i = 0; i < PAGES; i++)
		set_page(m, i, 0, 0, 0);
	set_page(m, 16, 0, 3, 3);
	set_page(m, 17, 0, 1, 0);
	set_page(m, 18, 0, 4, 3);
	set_page(m, 19, 0, 1, 1);
	assert_found(m, &q, held, 2);
	q.mapped_too = true;
	assert_found(m, &q, mapped, 4);
}

/* Millions of pages that are only mapped do not hide the one that is held. */
static void test_mapped_make_room(void **state)
{
	struct machine *m = *state;
	struct kscan q = whole(0);
	struct kfound found;

	q.mapped_too = true;
	for (u32 i = 0; i < PAGES; i++)
		set_page(m, i, 0, 1 + (i == 19000), 1);
	assert_int_equal(kmem_scan(&m->k, &q, &found), 0);
	assert_true(found.n < 1000);
	assert_int_equal(found.v[found.n - 1].addr, FIRST + 19000 * SIZE);
	assert_int_equal(found.n + found.lost, PAGES);
	free(found.v);
}

/* A folio counts its page table entries in its second struct page; its tails have no references. */
static void test_folios(void **state)
{
	struct machine *m = *state;
	static const u32 held[] = { 1236 };
	const struct kscan q = whole(0);
	s32 entries = 4 - 1;

	for (u32 i = 0; i < PAGES; i++)
		set_page(m, i, 0, 0, 0);
	set_page(m, 724, 1 << HEAD, 4, 1);
	memcpy(m->pages + 725 * SIZE + 16, &entries, sizeof(entries));
	set_page(m, 1236, 1 << HEAD, 5, 1);
	memcpy(m->pages + 1237 * SIZE + 16, &entries, sizeof(entries));
	assert_found(m, &q, held, 1);
}

static void test_goes_on(void **state)
{
	struct machine *m = *state;
	struct kscan q = whole(0);
	u64 bytes = 0, rounds = 0, n = 0;

	for (u32 i = 0; i < PAGES; i++)
		set_page(m, i, 0, i % 5000 == 7, 0);
	q.budget_ns = 0;
	while (q.first < q.end) {
		struct kfound found;

		assert_int_equal(kmem_scan(&m->k, &q, &found), 0);
		assert_true(found.bytes > 0);
		assert_int_equal(found.bytes + found.left, q.end - q.first);
		q.first += found.bytes;
		bytes += found.bytes;
		n += found.n;
		rounds++;
		free(found.v);
	}
	assert_int_equal(bytes, PAGES * SIZE);
	assert_int_equal(n, 4);
	assert_true(rounds > 1);
	assert_int_equal(m->reads, rounds);
}

/* A device that goes meanwhile; more pages than are kept. */
static void test_bounds(void **state)
{
	struct machine *m = *state;
	const struct kscan q = whole(0);
	struct kfound found;

	for (u32 i = 0; i < PAGES; i++)
		set_page(m, i, 0, 1, 0);
	m->gone_from = FIRST + 5000 * SIZE;
	m->gone_to = FIRST + PAGES * SIZE;
	assert_int_equal(kmem_scan(&m->k, &q, &found), 0);
	assert_true(found.n > 4000 && found.n < 5001);
	assert_int_equal(found.left, 0);
	assert_true(found.bytes / SIZE == found.n + found.lost);
	free(found.v);
	m->gone_from = m->gone_to = 0;
	assert_int_equal(kmem_scan(&m->k, &q, &found), 0);
	assert_int_equal(found.n + found.lost, PAGES);
	free(found.v);
}

static void close_nothing(struct kmem *k)
{
	(void)k;
}

/* An image shows the same pages, of the same ranges. */
static void test_image(void **state)
{
	static const struct kmem_ops kept = { .readv = read_pages,
					      .scan = pages_scan,
					      .close = close_nothing };
	struct machine *m = *state;
	char path[] = "/tmp/daxtop-held-XXXXXX";
	struct kscan q = whole(1), before = q;
	struct kmem *recorder, *image;
	struct kfound found;
	struct refusal why;

	close(mkstemp(path));
	for (u32 i = 0; i < PAGES; i++)
		set_page(m, i, 0, 1 + (i == 77), 0);
	m->k.ops = &kept;
	recorder = kmem_record(&m->k, path);
	assert_int_equal(kmem_scan(recorder, &q, &found), 0);
	assert_int_equal(found.n, 1);
	free(found.v);
	assert_int_equal(kmem_record_save(recorder), 0);
	image = kmem_image(path, &why);
	assert_non_null(image);
	assert_int_equal(kmem_scan(image, &q, &found), 0);
	assert_int_equal(found.n, 1);
	assert_int_equal(found.v[0].addr, FIRST + 77 * SIZE);
	assert_int_equal(found.v[0].val, 2);
	assert_int_equal(found.bytes, PAGES * SIZE);
	free(found.v);
	before.end = FIRST + 77 * SIZE;
	assert_int_equal(kmem_scan(image, &before, &found), 0);
	assert_int_equal(found.n, 0);
	kmem_close(image);
	kmem_close(recorder);
	unlink(path);
}

static void test_unknown_layout(void **state)
{
	struct machine *m = *state;
	const struct kscan q = whole(0);
	static const enum kf needed[] = { KF_PAGE, KF_PAGE_REFCOUNT, KF_PAGE_MAPCOUNT,
					  KF_PAGE_FLAGS };
	struct kfound found;

	for (u32 i = 0; i < 4; i++) {
		struct kfield was = m->k.field[needed[i]];

		m->k.field[needed[i]].off = KFIELD_MISSING;
		assert_int_equal(kmem_scan(&m->k, &q, &found), -ENOENT);
		/* too small for its fields, or beyond its end */
		m->k.field[needed[i]].off = needed[i] == KF_PAGE ? 52 : 62;
		assert_int_equal(kmem_scan(&m->k, &q, &found), -ENOENT);
		m->k.field[needed[i]] = was;
	}
}

static char *machine_with_pmem(void)
{
	char *root = tree_new();

	tree_file(root, "sys/devices/region0/resource", "0x40000000\n");
	tree_file(root, "sys/devices/region0/size", "1073741824\n");
	tree_file(root, "sys/devices/region0/namespace0.0/resource", "0x40000000\n");
	tree_file(root, "sys/devices/region0/namespace0.0/size", "536870912\n");
	tree_file(root, "sys/devices/region0/namespace0.0/block/pmem0/pmem0p1/size", "8\n");
	tree_link(root, "sys/devices/region0/namespace0.0/block/pmem0/device", "../..");
	tree_file(root, "sys/devices/region0/namespace0.1/resource", "0xffffffffffffffff\n");
	tree_file(root, "sys/devices/region0/namespace0.1/size", "0\n");
	tree_file(root, "sys/devices/sda/size", "8\n");
	tree_link(root, "sys/class/block/pmem0", "../../devices/region0/namespace0.0/block/pmem0");
	tree_link(root, "sys/class/block/pmem0p1",
		  "../../devices/region0/namespace0.0/block/pmem0/pmem0p1");
	tree_link(root, "sys/class/block/sda", "../../devices/sda");
	tree_link(root, "sys/bus/nd/devices/region0", "../../../devices/region0");
	tree_link(root, "sys/bus/nd/devices/namespace0.0", "../../../devices/region0/namespace0.0");
	tree_link(root, "sys/bus/nd/devices/namespace0.1", "../../../devices/region0/namespace0.1");
	return root;
}

static void test_devices(void **state)
{
	static const struct {
		const char *name, *base;
		u64 end;
	} known[] = {
		{ "/dev/pmem0", "pmem0", 0x60000000 },
		{ "pmem0", "pmem0", 0x60000000 },
		{ "/dev/pmem0p1", "pmem0p1", 0x60000000 },
		{ "namespace0.0", "namespace0.0", 0x60000000 },
		{ "region0", "region0", 0x80000000 },
	};
	static const char *const unknown[] = {
		"/dev/sda", "pmem1", "namespace0.1", "", "..", "a/../b", "/dev/", "/etc/passwd"
	};
	char *root = machine_with_pmem();
	struct refusal why;
	struct pmem d;

	(void)state;
	for (size_t i = 0; i < sizeof(known) / sizeof(*known); i++) {
		assert_int_equal(pmem_resolve_at(root, &d, known[i].name, &why), 0);
		assert_string_equal(d.name, known[i].base);
		assert_int_equal(d.start, 0x40000000);
		assert_int_equal(d.end, known[i].end);
	}
	for (size_t i = 0; i < sizeof(unknown) / sizeof(*unknown); i++) {
		assert_int_equal(pmem_resolve_at(root, &d, unknown[i], &why), -1);
		assert_int_equal(why.status, STATUS_ERROR);
		assert_true(*why.cause && *why.consequence && *why.command);
	}
	tree_free(root);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_counts_from_one),
		TEST(test_counts_from_zero),
		TEST(test_folios),
		TEST(test_goes_on),
		TEST(test_bounds),
		TEST(test_unknown_layout),
		TEST(test_image),
		TEST(test_mapped_make_room),
		cmocka_unit_test(test_devices),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
