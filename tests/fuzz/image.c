// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Anything as an image, through the whole of a look: the reader, every walker, the model, the
 * diagnosis and both views. It must not crash, run for long or take much memory; what it says does
 * not matter here (tests/unit/test_flips.c asks for that). See tests/fuzz/run.
 */
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <daxtop/diagnose.h>
#include <daxtop/model.h>
#include <daxtop/view.h>

#include "collect/snap.h"

enum { WORD_DIGITS = 16, CHANGES_MAX = 8, TRIES = 64, HEADER = 4096 };

int LLVMFuzzerTestOneInput(const u8 *data, size_t len);
size_t LLVMFuzzerCustomMutator(u8 *data, size_t len, size_t max, unsigned int seed);
size_t LLVMFuzzerMutate(u8 *data, size_t len, size_t max);

/* An idle page is looked at again after a while; nothing changes in an image. */
int usleep(useconds_t us)
{
	(void)us;
	return 0;
}

static struct kmem *read_image(const u8 *data, size_t len)
{
	struct refusal why;
	struct kmem *k = NULL;
	char path[32];
	int fd = memfd_create("image", MFD_CLOEXEC);

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	if (fd >= 0 && write(fd, data, len) == (ssize_t)len)
		k = kmem_image(path, &why);
	close(fd);
	return k;
}

static void show(const struct wfg *g, const struct findings *f)
{
	struct view_opts opts = { .stacks = STACKS_BOTH, .verbose = 2 };
	FILE *out = fopen("/dev/null", "w");

	view_report(out, g, f, &opts);
	view_json(out, g, f, &opts);
	view_check(out, g, NULL);
	fclose(out);
}

int LLVMFuzzerTestOneInput(const u8 *data, size_t len)
{
	struct kmem *k = read_image(data, len);
	struct snapshot_opts opts = { .search_ns = 1, .walk_all = true };
	struct findings f = { 0 };
	struct wfg *g;

	if (!k)
		return -1; /* nothing to be learned from: not for the corpus */
	g = wfg_new();
	if (!snapshot_kmem(k, &opts, wfg_add, g) && !wfg_link(g) && !diagnose(g, &f))
		show(g, &f);
	findings_free(&f);
	wfg_free(g);
	kmem_close(k);
	return 0;
}

/* A place where hexadecimal digits of some length stand; 0 when chance finds none. */
static size_t find_digits(const u8 *data, size_t len, size_t digits)
{
	for (int i = 0; i < TRIES && len > digits; i++) {
		size_t at = 1 + rand() % (len - digits), n = 0;

		while (n < digits && isxdigit(data[at + n]))
			n++;
		if (n == digits)
			return at;
	}
	return 0;
}

static void change_digit(u8 *data, size_t len)
{
	/* fields and symbols come first and lead all the rest */
	size_t reach = rand() % 4 || len < HEADER ? len : HEADER;
	size_t at = find_digits(data, reach, 1);

	if (at)
		data[at] = "0123456789abcdef"[rand() % 16];
}

/* Half of all pointers that matter are in the image already: cycles are made of them. */
static void copy_word(u8 *data, size_t len)
{
	size_t from = find_digits(data, len, WORD_DIGITS), to = find_digits(data, len, WORD_DIGITS);

	if (from && to)
		memmove(data + to, data + from, WORD_DIGITS);
}

/* Most of what a blind mutation makes of an image is refused by its first line that was hit. */
size_t LLVMFuzzerCustomMutator(u8 *data, size_t len, size_t max, unsigned int seed)
{
	srand(seed);
	if (rand() % 16 == 0)
		return LLVMFuzzerMutate(data, len, max);
	for (int i = 1 + rand() % CHANGES_MAX; i; i--) {
		if (rand() % 2)
			change_digit(data, len);
		else
			copy_word(data, len);
	}
	return len;
}
