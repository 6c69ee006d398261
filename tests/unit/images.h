/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The files of tests/unit/images: their names, their lines, and files made of such lines. */
#ifndef DAXTOP_TESTS_IMAGES_H
#define DAXTOP_TESTS_IMAGES_H

#include <glob.h>
#include <sys/mman.h>
#include <unistd.h>

#include <zlib.h>

#include "collect/image_format.h"
#include "look.h"

enum { IMAGES_MAX = 256 };

/* Names without suffix, sorted; they live as long as the program. Ends it when there is none. */
static inline size_t image_names(const char **names)
{
	char pattern[2 * PATH_MAX];
	glob_t found;
	size_t n;

	snprintf(pattern, sizeof(pattern), "%s/*.gz", image_dir());
	if (glob(pattern, 0, NULL, &found) || found.gl_pathc > IMAGES_MAX) {
		fprintf(stderr, "no image, or too many: %s\n", pattern);
		exit(1);
	}
	for (n = 0; n < found.gl_pathc; n++) {
		const char *name = strrchr(found.gl_pathv[n], '/') + 1;

		names[n] = strndup(name, strlen(name) - strlen(".gz"));
	}
	globfree(&found);
	return n;
}

/* An image as text, whole lines with their newlines. */
struct lines {
	char **v;
	u32 n;
};

static inline void lines_read(struct lines *l, const char *name)
{
	char path[2 * PATH_MAX], *line = malloc(IMAGE_LINE_MAX);
	gzFile gz;

	snprintf(path, sizeof(path), "%s/%s.gz", image_dir(), name);
	gz = gzopen(path, "rbe");
	assert_non_null(gz);
	assert_non_null(line);
	*l = (struct lines){ 0 };
	while (gzgets(gz, line, IMAGE_LINE_MAX)) {
		assert_int_equal(array_grow(&l->v, l->n, sizeof(*l->v)), 0);
		l->v[l->n++] = strdup(line);
	}
	gzclose(gz);
	free(line);
}

static inline void lines_free(struct lines *l)
{
	for (u32 i = 0; i < l->n; i++)
		free(l->v[i]);
	free(l->v);
}

/* A file in memory; its name is valid until temp_close(). */
struct temp {
	int fd;
	char path[32];
};

static inline void temp_open(struct temp *t)
{
	t->fd = memfd_create("image", MFD_CLOEXEC);
	assert_true(t->fd >= 0);
	snprintf(t->path, sizeof(t->path), "/proc/self/fd/%d", t->fd);
}

static inline void temp_write(struct temp *t, const void *data, size_t len)
{
	assert_int_equal(write(t->fd, data, len), len);
}

static inline void temp_close(struct temp *t)
{
	close(t->fd);
}

#endif
