/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* A made-up /sys and /proc below a temporary directory. Every failure ends the test. */
#ifndef DAXTOP_TESTS_TREE_H
#define DAXTOP_TESTS_TREE_H

#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static inline char *tree_new(void)
{
	char *root = strdup("/tmp/daxtop-test-XXXXXX");

	assert_non_null(root);
	assert_non_null(mkdtemp(root));
	return root;
}

static inline int tree_unlink(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st, (void)type, (void)ftw;
	return remove(path);
}

/* Removes a file or a directory with all that it holds. */
static inline void tree_remove(const char *root, const char *name)
{
	char path[4096];

	snprintf(path, sizeof(path), "%s/%s", root, name);
	assert_int_equal(nftw(path, tree_unlink, 16, FTW_DEPTH | FTW_PHYS), 0);
}

static inline void tree_free(char *root)
{
	tree_remove(root, "");
	free(root);
}

static inline void tree_directories(const char *root, const char *name)
{
	char path[4096];

	snprintf(path, sizeof(path), "%s/%s", root, name);
	for (char *at = path + strlen(root) + 1; (at = strchr(at, '/')); at++) {
		*at = '\0';
		mkdir(path, 0755);
		*at = '/';
	}
}

/* Writes a file; its directories are made. */
static inline void tree_file(const char *root, const char *name, const char *content)
{
	char path[4096];
	FILE *f;

	tree_directories(root, name);
	snprintf(path, sizeof(path), "%s/%s", root, name);
	f = fopen(path, "w");
	assert_non_null(f);
	fputs(content, f);
	assert_int_equal(fclose(f), 0);
}

static inline void tree_link(const char *root, const char *name, const char *target)
{
	char path[4096];

	tree_directories(root, name);
	snprintf(path, sizeof(path), "%s/%s", root, name);
	assert_int_equal(symlink(target, path), 0);
}

#endif
