// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Random damage to every image: lines of the file that are missing, and bits of kernel memory and
 * of task records that are wrong. The seeds are fixed, so that a failure is the same every time;
 * other ones are tried with FLIPS_SEED=N. No look may crash or go on for ever, and no exact hold
 * may be made up.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include <daxtop/view.h>

#include "body.h"
#include "images.h"

#ifdef __SANITIZE_ADDRESS__
#include <sanitizer/common_interface_defs.h>
#endif

enum {
	FILES = 30,
	FILES_LARGE = 3, /* of an image that takes long */
	LARGE = 1200,    /* lines */
	SEEDS_PER_FILE = 10,
	FLIPS_MAX = 64,
};

int usleep(useconds_t us)
{
	(void)us;
	return 0;
}

/* What to say when a look fails. */
static struct {
	const char *image;
	u32 file, seed;
	bool running;
} now;

static void tell_seed(void)
{
	if (now.running)
		fprintf(stderr, "# %s: file %u, seed %u\n", now.image, now.file, now.seed);
}

/* splitmix64 */
static u64 next_random(u64 *state)
{
	u64 z = *state += 0x9E3779B97F4A7C15ULL;

	z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9ULL;
	z = (z ^ z >> 27) * 0x94D049BB133111EBULL;
	return z ^ z >> 31;
}

static u64 below(u64 *state, u64 n)
{
	return next_random(state) % n;
}

/* Writes the image without some lines; the first file has all. The first and last line stay. */
static void write_file(struct temp *t, const struct lines *l, u32 file, u64 *rng)
{
	u32 drop = file ? 1 + below(rng, file) : 0;
	bool *dropped = calloc(l->n, sizeof(*dropped));

	assert_non_null(dropped);
	for (u32 i = 0; i < drop; i++)
		dropped[1 + below(rng, l->n - 2)] = true;
	temp_open(t);
	for (u32 i = 0; i < l->n; i++)
		if (!dropped[i])
			temp_write(t, l->v[i], strlen(l->v[i]));
	free(dropped);
}

/* Flips a bit of a byte that the image has. */
static void flip_memory(struct damage *d, const struct lines *l, u64 *rng)
{
	u64 addr;
	int digits;
	u8 byte;

	while (sscanf(l->v[below(rng, l->n)], "mem %lx %n", &addr, &digits) != 1)
		;
	addr += below(rng, 8); /* most of it is read as words: their first bytes matter most */
	if (kmem_read(d->inner, addr, &byte, 1))
		return;
	byte ^= 1 << below(rng, 8);
	damage_bytes(d, addr, &byte, 1);
}

struct task_flip {
	u32 tid; /* of the task that is hit, the same each time they are listed */
	u64 bit;
};

static bool flip_task(void *arg, struct task_rec *rec)
{
	const struct task_flip *f = arg;

	if (rec->tid == f->tid)
		((u8 *)rec)[f->bit / 8 % offsetof(struct task_rec, nr_stack)] ^= 1 << f->bit % 8;
	return true;
}

static void render(const struct look *l)
{
	struct view_opts opts = { .stacks = STACKS_BOTH, .verbose = 2 };
	FILE *out = fopen("/dev/null", "w");

	assert_non_null(out);
	assert_int_equal(view_report(out, l->g, &l->f, &opts), 0);
	assert_int_equal(view_json(out, l->g, &l->f, &opts), 0);
	fclose(out);
}

static void look_once(struct kmem *image, const struct lines *lines, u64 *rng)
{
	static struct damage d;
	struct task_flip f = { .tid = below(rng, 300), .bit = next_random(rng) };
	u32 flips = 1 + below(rng, FLIPS_MAX);
	struct look l;

	damage_init(&d, image);
	for (u32 i = 0; i < flips; i++)
		flip_memory(&d, lines, rng);
	d.edit_task = flip_task;
	d.edit_arg = &f;
	look_init(&l, &d.k);
	render(&l);
	if (l.seconds > 0.2) {
		fprintf(stderr, "SLOW %s %u %u %.2f reads %llu facts %u\n", now.image, now.file,
			now.seed, l.seconds, (unsigned long long)d.nr_reads, l.n);
		for (int t = 0; t < 10; t++)
			fprintf(stderr, "%u ", look_count(&l, t));
		for (size_t i = 0; i < wfg_nr_losses(l.g); i++)
			fprintf(stderr, "%s %llu\n", wfg_loss(l.g, i)->where,
				(unsigned long long)wfg_loss(l.g, i)->count);
	}
	assert_honest(&l, &d.k);
	look_free(&l);
}

static void look_at_file(const struct lines *lines, u32 file, u64 *rng)
{
	struct refusal why;
	struct kmem *k;
	struct temp t;

	write_file(&t, lines, file, rng);
	k = kmem_image(t.path, &why);
	temp_close(&t);
	assert_non_null(k);
	for (now.seed = 0; now.seed < SEEDS_PER_FILE; now.seed++)
		look_once(k, lines, rng);
	kmem_close(k);
}

static void test_flips(void **state)
{
	const char *base = getenv("FLIPS_SEED");
	struct lines lines;
	u32 files;

	now.image = *state;
	now.running = true;
	lines_read(&lines, *state);
	files = lines.n < LARGE ? FILES : FILES_LARGE;
	for (now.file = 0; now.file < files; now.file++) {
		u64 rng = now.file + (base ? strtoull(base, NULL, 0) << 32 : 0);

		look_at_file(&lines, now.file, &rng);
	}
	now.running = false;
	lines_free(&lines);
}

static int tear_down(void **state)
{
	(void)state;
	tell_seed();
	now.running = false;
	return 0;
}

int main(void)
{
	static struct CMUnitTest tests[IMAGES_MAX];
	static const char *names[IMAGES_MAX];
	size_t n = image_names(names);

#ifdef __SANITIZE_ADDRESS__
	__sanitizer_set_death_callback(tell_seed);
#endif
	cmocka_set_test_filter(getenv("TEST_FILTER")); /* for one alone: "woken*" */
	for (size_t i = 0; i < n; i++)
		tests[i] = (struct CMUnitTest){ .name = names[i],
						.test_func = test_flips,
						.teardown_func = tear_down,
						.initial_state = (void *)names[i] };
	return _cmocka_run_group_tests("flips", tests, n, NULL, NULL);
}
