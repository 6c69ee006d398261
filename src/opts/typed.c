// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Filters that are typed into the live view, in the words of the command line. */
#include "opts/parts.h"

#include <errno.h>
#include <string.h>

/* Words between blanks, as argv; returns how many. */
static int split_words(char *text, char **argv, int max)
{
	int argc = 0;

	argv[argc++] = program_invocation_short_name;
	for (char *save = NULL, *word = strtok_r(text, " ", &save); word && argc < max;
	     word = strtok_r(NULL, " ", &save))
		argv[argc++] = word;
	argv[argc] = NULL;
	return argc;
}

int opts_filter(struct filter_words *words, char *text, char *error, size_t len)
{
	char *argv[2 * FILTER_WORDS + 2];
	int argc = split_words(text, argv, 2 * FILTER_WORDS + 1), key, err = 0;
	struct getopt_args g;

	memset(words, 0, sizeof(*words));
	opt_getopt_args(&g, DAXTOP);
	opterr = 0;
	optind = 0;
	while (!err && (key = getopt_long(argc, argv, g.shorts, g.longs, NULL)) != -1) {
		const struct opt_def *d = opt_of(DAXTOP, key);

		if (key != KEY_PATH && (!d || d->kind != OPT_FILTER)) {
			snprintf(error, len, "filters are -p -C --op --how -m, and names");
			return -EINVAL;
		}
		err = opt_add_filter(words, d ? d->filter : FILTER_NAME, optarg);
	}
	while (!err && optind < argc)
		err = opt_add_filter(words, FILTER_NAME, argv[optind++]);
	if (!err)
		return 0;
	snprintf(error, len, "more than %d filters", FILTER_WORDS);
	return -EINVAL;
}
