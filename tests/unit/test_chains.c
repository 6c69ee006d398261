// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Damage to what leads to a reference, for each mechanism of which there is an image: every word
 * that is the busy page's address, every pointer into the object that it is in, and so on
 * backwards. Each of them is broken in every way that a walker may meet. Each look must end, soon,
 * and name nobody exact whom the memory does not show; and without the page's address nobody may be
 * exact.
 */
#include <fnmatch.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "body.h"
#include "images.h"

#define UNMAPPED 0xffffc90000badba8ULL /* in no image */
#define USER     0x00007f1234567000ULL

enum {
	NEAR = 1024, /* bytes in front of a word in which its object may begin */
	LEVELS = 4,
	WORDS_MAX = 48, /* of a level */
	READS_MAX = 4000000,
};

int usleep(useconds_t us)
{
	(void)us;
	return 0;
}

struct word {
	u64 addr, val;
};

/* All memory of an image, word by word. */
struct memory_words {
	struct word *v;
	u32 n;
};

static void read_words(struct memory_words *m, const char *name)
{
	struct lines l;

	lines_read(&l, name);
	for (u32 i = 0; i < l.n; i++) {
		u64 addr;
		int at = 0;

		if (sscanf(l.v[i], "mem %lx %n", &addr, &at) != 1 || !at || addr % 8)
			continue;
		for (const char *c = l.v[i] + at; strlen(c) > 16; c += 16, addr += 8) {
			struct word w = { addr, 0 };
			unsigned int byte;

			for (int b = 0; b < 8 && sscanf(c + 2 * b, "%2x", &byte) == 1; b++)
				w.val |= (u64)byte << 8 * b;
			assert_int_equal(array_grow(&m->v, m->n, sizeof(w)), 0);
			m->v[m->n++] = w;
		}
	}
	lines_free(&l);
}

static bool has_word(const struct word *v, u32 n, u64 addr)
{
	for (u32 i = 0; i < n; i++)
		if (v[i].addr == addr)
			return true;
	return false;
}

/* Words with the page's address, other than the key of the wait. */
static u32 find_references(const struct memory_words *m, const struct body *b, struct word *v)
{
	u64 wbqe = kmem_container(b->image, b->entry, KF_WBQE_ENTRY);
	u32 n = 0;

	for (u32 i = 0; i < m->n && n < WORDS_MAX; i++)
		if (m->v[i].val == b->page && !has_word(v, n, m->v[i].addr) &&
		    m->v[i].addr - wbqe > b->image->field[KF_WBQE_ENTRY].off + 64ULL)
			v[n++] = m->v[i];
	return n;
}

/* Words that point to somewhere in front of one of these. */
static u32 find_pointers(const struct memory_words *m, const struct word *to, u32 nr,
			 struct word *v)
{
	u32 n = 0;

	for (u32 i = 0; i < m->n && n < WORDS_MAX; i++)
		for (u32 j = 0; j < nr && n < WORDS_MAX; j++)
			if (to[j].addr - m->v[i].val < NEAR && !has_word(v, n, m->v[i].addr) &&
			    !has_word(to, nr, m->v[i].addr))
				v[n++] = m->v[i];
	return n;
}

/* Number of holds that are at least so sure. */
static u32 look_once(struct body *b, enum fact_confidence least)
{
	struct look l;
	u32 holds = 0;

	b->d.nr_reads = 0;
	look_init(&l, &b->d.k);
	assert_honest(&l, &b->d.k);
	assert_true(b->d.nr_reads < READS_MAX);
	for (u32 i = 0; i < l.n; i++)
		holds += l.facts[i].type == FACT_HOLD && l.facts[i].hold.confidence >= least &&
			 l.facts[i].hold.how != HOW_MAPPING;
	look_free(&l);
	return holds;
}

/* In every way, one by one. */
static void break_word(struct body *b, const struct word *w)
{
	u64 page_size = b->image->field[KF_PAGE].off;
	const u64 values[] = { 0,    w->addr, w->addr - w->addr % 64, w->val + page_size, UNMAPPED,
			       USER, -8ULL };

	for (size_t i = 0; i < sizeof(values) / sizeof(*values); i++) {
		b->d.n = 0;
		damage_word(&b->d, w->addr, values[i]);
		look_once(b, CONF_EXACT);
	}
	b->d.n = 0;
	damage_hole(&b->d, w->addr, 8);
	look_once(b, CONF_EXACT);
	b->d.n = 0;
}

/* Without the page's address anywhere nobody can be exact; a call's buffer may still be likely. */
static void break_all(struct body *b, const struct word *v, u32 n)
{
	for (u32 i = 0; i < n; i++)
		damage_word(&b->d, v[i].addr, 0);
	assert_int_equal(look_once(b, CONF_EXACT), 0);
	b->d.n = 0;
}

static void test_chains(void **state)
{
	static struct body b;
	static struct word words[2][WORDS_MAX];
	struct memory_words m = { 0 };
	u32 n;

	body_open(&b, *state);
	read_words(&m, *state);
	assert_true(look_once(&b, CONF_LIKELY) > 0);
	n = find_references(&m, &b, words[0]);
	assert_true(n > 0);
	break_all(&b, words[0], n);
	for (u32 level = 0; level < LEVELS && n; level++) {
		const struct word *v = words[level % 2];

		for (u32 i = 0; i < n; i++)
			break_word(&b, &v[i]);
		n = find_pointers(&m, v, n, words[(level + 1) % 2]);
	}
	free(m.v);
	body_close(&b);
}

/* Of each mechanism one kernel of either page count model, where there is one. */
static const char *const images[] = {
	"*-aio-truncate",   "*-fuse-*",
	"*-tcp-zerocopy-*", "*-packet-*",
	"*-delay-aio-*",    "*-nbd-io_uring*",
	"*-volume-aio-*",   "*-iomax-aio-*",
	"*-process-vm-*",   "*-coredump-*",
	"*-nfs-aio-*",      "*-pipe-uring-*",
	"*-socket-*",       "*-advice-deferred-*",
};

static bool is_wanted(const char *name)
{
	for (size_t i = 0; i < sizeof(images) / sizeof(*images); i++)
		if (!fnmatch(images[i], name, 0))
			return true;
	return false;
}

int main(void)
{
	static const char *names[IMAGES_MAX];
	static struct CMUnitTest tests[IMAGES_MAX];
	size_t n = image_names(names), nr_tests = 0;

	cmocka_set_test_filter(getenv("TEST_FILTER")); /* for one alone: "7.2-*" */
	for (size_t i = 0; i < n; i++)
		if (is_wanted(names[i]))
			tests[nr_tests++] =
				(struct CMUnitTest){ .name = names[i],
						     .test_func = test_chains,
						     .initial_state = (void *)names[i] };
	return _cmocka_run_group_tests("chains", tests, nr_tests, NULL, NULL);
}
