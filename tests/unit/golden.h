/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Output that is compared with a file, byte by byte. */
#ifndef DAXTOP_TESTS_GOLDEN_H
#define DAXTOP_TESTS_GOLDEN_H

#include <libgen.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Contents of a stream or file; the caller frees. */
static inline char *slurp(FILE *in)
{
	char *s = NULL;
	size_t size = 0;

	if (!in || getdelim(&s, &size, '\0', in) < 0) {
		free(s);
		s = strdup("");
	}
	if (in)
		fclose(in);
	return s;
}

/* The file is DIRECTORY/NAME.txt beside this one. GOLDEN_UPDATE=1 writes it anew. */
static inline void assert_golden(const char *directory, const char *name, const char *text)
{
	char source[] = __FILE__, path[512];
	char *golden;

	snprintf(path, sizeof(path), "%s/%s/%s.txt", dirname(source), directory, name);
	if (getenv("GOLDEN_UPDATE")) {
		FILE *out = fopen(path, "w");

		assert_non_null(out);
		fputs(text, out);
		assert_int_equal(fclose(out), 0);
	}
	golden = slurp(fopen(path, "r"));
	assert_string_equal(text, golden);
	free(golden);
}

#endif
