// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* The search of slab memory and what is in use there, on the memory of a kernel made for it. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "collect/search.h"
#include "images.h"
#include "machine.h"

#define DIRECT_MAP 0xffff888000000000ULL
#define VMEMMAP    0xffffea0000000000ULL
#define VARIABLES  0xffffffff82000000ULL
#define CACHES     (DIRECT_MAP + 0x100000) /* of struct kmem_cache: not slab memory here */
#define PER_CPU    (DIRECT_MAP + 0x110000)
#define SHEAF      (DIRECT_MAP + 0x118000)
#define BARN       (DIRECT_MAP + 0x119000)
#define NODE       (DIRECT_MAP + 0x11a000)
#define WANTED     (VMEMMAP + 0x40000000)
#define RANDOM     0x123456789abcdef1ULL

enum { SLAB_PFN = 16, OTHER_PFN = 32, PAGES = 512, OBJECTS = 4, SIZE = 256, FREE_AT = 128 };

static void close_nothing(struct kmem *k)
{
	(void)k;
}

static const struct kmem_ops ops = {
	.readv = read_memory,
	.search = slabs_search,
	.close = close_nothing,
};

static void set_field(struct machine *m, enum kf f, s64 off, u32 size)
{
	m->k.field[f] = (struct kfield){ off, size };
}

static void set_fields(struct machine *m)
{
	for (int f = 0; f < KF_MAX; f++)
		m->k.field[f].off = KFIELD_MISSING;
	set_field(m, KF_PAGE, 64, 0);
	set_field(m, KF_PAGE_FLAGS, 0, 8);
	set_field(m, KF_PG_SLAB, 9, 0);
	set_field(m, KF_PAGE_COMPOUND_HEAD, 8, 8);
	set_field(m, KF_SLAB_CACHE, 24, 8);
	set_field(m, KF_SLAB_FREELIST, 32, 8);
	set_field(m, KF_SLAB_COUNTERS, 40, 8);
	set_field(m, KF_CACHE_SIZE, 0, 4);
	set_field(m, KF_CACHE_OBJECT_SIZE, 4, 4);
	set_field(m, KF_CACHE_FREE_OFFSET, 8, 4);
	set_field(m, KF_CACHE_NAME, 16, 8);
	set_field(m, KF_CACHE_RANDOM, 24, 8);
	set_field(m, KF_CACHE_CPU_SLAB, 32, 8);
	set_field(m, KF_CPU_SLAB_FREELIST, 0, 8);
}

static void set_sheaves(struct machine *m)
{
	set_field(m, KF_CACHE_CPU_SHEAVES, 40, 8);
	set_field(m, KF_SHEAVES_MAIN, 0, 8);
	set_field(m, KF_SHEAVES_SPARE, 8, 8);
	set_field(m, KF_SHEAVES_RCU_FREE, 16, 8);
	set_field(m, KF_SHEAF_LIST, 0, 16);
	set_field(m, KF_SHEAF_CACHE, 16, 8);
	set_field(m, KF_SHEAF_SIZE, 24, 4);
	set_field(m, KF_SHEAF_OBJECTS, 32, 0);
	set_field(m, KF_LIST_NEXT, 0, 8);
	set_field(m, KF_BARN_FULL, 8, 16);
	set_field(m, KF_CACHE_NODES, 48, 8);
	set_field(m, KF_CACHE_NODE_BARN, 0, 8);
}

static void add_cache(struct machine *m, u64 cache, const char *name)
{
	u32 sizes[] = { SIZE, SIZE - 8, FREE_AT, 0 };

	assert_int_equal(memstore_write(&m->mem, cache, sizes, sizeof(sizes)), 0);
	poke(m, cache + 16, cache + 64);
	poke(m, cache + 24, RANDOM);
	for (u64 at = 32; at < 64; at += 8)
		poke(m, cache + at, 0);
	assert_int_equal(memstore_write(&m->mem, cache + 64, (char[64]){ 0 }, 64), 0);
	assert_int_equal(memstore_write(&m->mem, cache + 64, name, strlen(name)), 0);
}

static void add_slab(struct machine *m, u64 pfn, u64 cache)
{
	static const char zeros[OBJECTS * SIZE];
	u64 page = VMEMMAP + pfn * 64;

	poke(m, page, 1 << 9);
	poke(m, page + 24, cache);
	poke(m, page + 40, OBJECTS << 16 | OBJECTS);
	assert_int_equal(memstore_write(&m->mem, DIRECT_MAP + pfn * 4096, zeros, sizeof(zeros)), 0);
}

static u64 object(u32 i)
{
	return DIRECT_MAP + SLAB_PFN * 4096 + i * SIZE;
}

/* Makes the objects a free list, as the kernel stores it; the address of its first one. */
static u64 link_objects(struct machine *m, const u32 *which, u32 n)
{
	for (u32 i = 0; i < n; i++) {
		u64 at = object(which[i]) + FREE_AT, next = i + 1 < n ? object(which[i + 1]) : 0;

		poke(m, at, next ^ RANDOM ^ __builtin_bswap64(at));
	}
	return object(which[0]);
}

static struct machine *machine_new(void)
{
	static const char zeros[PAGES * 64];
	struct machine *m = calloc(1, sizeof(*m));

	assert_non_null(m);
	m->k.ops = &ops;
	m->s.k = &m->k;
	m->s.arch = (struct arch){ .vmemmap = VMEMMAP, .direct_map = DIRECT_MAP };
	set_fields(m);
	assert_int_equal(memstore_write(&m->mem, VMEMMAP, zeros, sizeof(zeros)), 0);
	m->k.sym[KSYM_MAX_PFN] = VARIABLES;
	poke(m, VARIABLES, PAGES);
	m->k.sym[KSYM_NR_CPU_IDS] = VARIABLES + 8;
	poke(m, VARIABLES + 8, 2);
	m->k.sym[KSYM_PER_CPU_OFFSET] = VARIABLES + 16;
	poke(m, VARIABLES + 16, PER_CPU);
	poke(m, VARIABLES + 24, PER_CPU + 4096);
	add_cache(m, CACHES, "kmalloc-256");
	add_slab(m, SLAB_PFN, CACHES);
	for (u64 cpu = 0; cpu < 2; cpu++)
		for (u64 at = 0; at < 64; at += 8)
			poke(m, PER_CPU + cpu * 4096 + at, 0);
	/* the CPU's structure at its offset, as base 0 is none */
	poke(m, CACHES + 32, 8);
	return m;
}

static void machine_free(struct machine *m)
{
	memstore_free(&m->mem);
	free(m);
}

static struct kfound search_for(struct machine *m, const struct krange *r, u32 n)
{
	struct ksearch q = { r, n, VMEMMAP, DIRECT_MAP, 1000000000 };
	struct kfound found;

	assert_int_equal(slabs_search(&m->k, &q, &found), 0);
	return found;
}

static void finds_words_of_slabs_only(void **state)
{
	static const struct krange ranges[] = { { WANTED, WANTED + 64 },
						{ WANTED + 4096, WANTED + 4160 } };
	struct machine *m = machine_new();
	struct kfound found;

	(void)state;
	add_cache(m, CACHES + 256, "ext4_inode_cache");
	add_slab(m, OTHER_PFN, CACHES + 256);
	poke(m, DIRECT_MAP + OTHER_PFN * 4096, WANTED);
	poke(m, DIRECT_MAP + 64 * 4096, WANTED); /* of no slab */
	poke(m, object(1) + 8, WANTED);
	poke(m, object(2), WANTED + 64); /* behind the range, before the next one */
	poke(m, object(3) + SIZE - 8, WANTED + 4096 + 63);
	found = search_for(m, ranges, 2);
	assert_int_equal(found.n, 2);
	assert_int_equal(found.v[0].addr, object(1) + 8);
	assert_int_equal(found.v[0].val, WANTED);
	assert_int_equal(found.v[1].addr, object(3) + SIZE - 8);
	assert_int_equal(found.bytes, OBJECTS * SIZE);
	assert_int_equal(found.left, 0);
	free(found.v);
	machine_free(m);
}

static void pages_marked_by_a_type(void **state)
{
	static const struct krange range = { WANTED, WANTED + 64 };
	struct machine *m = machine_new();
	struct kfound found;

	(void)state;
	set_field(m, KF_PG_SLAB, KFIELD_MISSING, 0);
	set_field(m, KF_PGTY_SLAB, 0xf5, 0);
	set_field(m, KF_PAGE_TYPE, 48, 4);
	poke(m, object(0), WANTED);
	found = search_for(m, &range, 1);
	assert_int_equal(found.n, 0);
	free(found.v);
	poke(m, VMEMMAP + SLAB_PFN * 64 + 48, 0xf5000000);
	found = search_for(m, &range, 1);
	assert_int_equal(found.n, 1);
	free(found.v);
	machine_free(m);
}

static void without_what_is_needed(void **state)
{
	struct machine *m = machine_new();
	struct krange range = { WANTED, WANTED + 64 };
	struct ksearch q = { &range, 1, VMEMMAP, 0, 1000000000 };
	struct kfound found;

	(void)state;
	assert_int_equal(slabs_search(&m->k, &q, &found), -ENOENT);
	q.direct_map = DIRECT_MAP;
	m->k.sym[KSYM_MAX_PFN] = 0;
	assert_int_equal(slabs_search(&m->k, &q, &found), -ENOENT);
	machine_free(m);
}

/* What a search found is in the image of the run, and answers the same question. */
static void image_keeps_what_was_found(void **state)
{
	static const struct krange range = { WANTED, WANTED + 64 },
				   other = { WANTED + 64, WANTED + 128 };
	struct machine *m = machine_new();
	struct ksearch q = { &range, 1, VMEMMAP, DIRECT_MAP, 1000000000 };
	struct refusal why;
	struct kfound found;
	struct kmem *k;
	struct temp t;

	(void)state;
	poke(m, object(1), WANTED);
	temp_open(&t);
	k = kmem_record(&m->k, t.path);
	assert_int_equal(kmem_search(k, &q, &found), 0);
	assert_int_equal(found.n, 1);
	free(found.v);
	assert_int_equal(kmem_record_save(k), 0);
	kmem_close(k);
	k = kmem_image(t.path, &why);
	assert_non_null(k);
	assert_int_equal(kmem_search(k, &q, &found), 0);
	assert_int_equal(found.n, 1);
	assert_int_equal(found.v[0].addr, object(1));
	assert_int_equal(found.v[0].val, WANTED);
	free(found.v);
	q.ranges = &other;
	assert_int_equal(kmem_search(k, &q, &found), 0);
	assert_int_equal(found.n, 0);
	kmem_close(k);
	temp_close(&t);
	machine_free(m);
}

static void object_of_an_address(void **state)
{
	struct machine *m = machine_new();
	struct slab_object o;

	(void)state;
	assert_int_equal(slab_object(&m->s, object(2) + 16, &o), 0);
	assert_int_equal(o.addr, object(2));
	assert_int_equal(o.size, SIZE - 8);
	assert_string_equal(o.name, "kmalloc-256");
	/* what pads an object, what is behind the last one, and what is no slab */
	assert_int_equal(slab_object(&m->s, object(2) + SIZE - 8, &o), -ENOENT);
	assert_int_equal(slab_object(&m->s, object(OBJECTS), &o), -ENOENT);
	assert_int_equal(slab_object(&m->s, CACHES, &o), -ENOENT);
	assert_int_equal(slab_object(&m->s, 4096, &o), -ENOENT);
	machine_free(m);
}

static void assert_used(struct machine *m, const char *wanted)
{
	for (u32 i = 0; i < OBJECTS; i++) {
		struct slab_object o;

		assert_int_equal(slab_object(&m->s, object(i), &o), 0);
		if (slab_object_is_used(&m->s, &o) != (wanted[i] == 'u'))
			fail_msg("object %u: wanted %s", i, wanted);
	}
}

static void free_by_the_slab_or_a_cpu(void **state)
{
	struct machine *m = machine_new();

	(void)state;
	assert_used(m, "uuuu");
	poke(m, VMEMMAP + SLAB_PFN * 64 + 32, link_objects(m, (u32[]){ 2, 0 }, 2));
	assert_used(m, "fufu");
	poke(m, PER_CPU + 4096 + 8, link_objects(m, (u32[]){ 3 }, 1));
	assert_used(m, "fuff");
	/* a list that leads nowhere tells nothing */
	poke(m, object(0) + FREE_AT, 0x4141);
	assert_used(m, "ffff");
	machine_free(m);
}

static void free_in_a_sheaf(void **state)
{
	struct machine *m = machine_new();

	(void)state;
	set_sheaves(m);
	poke(m, CACHES + 32, 0);
	poke(m, CACHES + 40, 16);
	poke(m, CACHES + 48, NODE);
	poke(m, NODE, BARN);
	poke(m, BARN + 8, BARN + 8);
	assert_used(m, "uuuu");
	poke(m, PER_CPU + 16 + 8, SHEAF); /* spare */
	poke(m, SHEAF + 16, CACHES);
	poke(m, SHEAF + 24, 2);
	poke(m, SHEAF + 32, object(1));
	poke(m, SHEAF + 40, object(3));
	assert_used(m, "ufuf");
	/* the same one, full and given to the node */
	poke(m, PER_CPU + 16 + 8, 0);
	assert_used(m, "uuuu");
	poke(m, BARN + 8, SHEAF);
	poke(m, SHEAF, BARN + 8);
	assert_used(m, "ufuf");
	/* a list that never ends */
	poke(m, SHEAF, SHEAF);
	assert_used(m, "ffff");
	machine_free(m);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(finds_words_of_slabs_only),
		cmocka_unit_test(pages_marked_by_a_type),
		cmocka_unit_test(without_what_is_needed),
		cmocka_unit_test(image_keeps_what_was_found),
		cmocka_unit_test(object_of_an_address),
		cmocka_unit_test(free_by_the_slab_or_a_cpu),
		cmocka_unit_test(free_in_a_sheaf),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
