// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * What filters may say; and filters that are typed into the live view, in the words of the command
 * line.
 */
#include "opts/parts.h"

#include <errno.h>
#include <string.h>

#include "util/quantity.h"

static bool is_number(const char *item, size_t len)
{
	return len && len <= 10 && strspn(item, "0123456789") >= len;
}

static bool is_word(const struct opt_def *d, const char *item, size_t len)
{
	const char *word;

	for (u32 i = 0; (word = d->word(i)); i++)
		if (strlen(word) == len && !strncmp(item, word, len))
			return true;
	return false;
}

/* Whether each item of a comma list is a word of the option's, or a number where it has none. */
static bool is_list(const struct opt_def *d, const char *list)
{
	for (;;) {
		size_t len = strcspn(list, ",");

		if (!(d->word ? is_word(d, list, len) : is_number(list, len)))
			return false;
		if (!list[len])
			return true;
		list += len + 1;
	}
}

static bool fits(const struct opt_def *d, const char *arg)
{
	u64 ns;

	switch (d->filter) {
	case FILTER_PID:
	case FILTER_OP:
	case FILTER_HOW:
		return is_list(d, arg);
	case FILTER_MIN:
		return quantity_time(arg, &ns);
	default:
		return true;
	}
}

static int add_word(struct filter_words *words, enum filter_kind kind, const char *arg, char *error,
		    size_t len)
{
	if (words->n == FILTER_WORDS) {
		snprintf(error, len, "more than %d filters", FILTER_WORDS);
		return -EINVAL;
	}
	words->w[words->n++] = (struct filter_word){ kind, arg };
	return 0;
}

int opt_add_filter(struct filter_words *words, const struct opt_def *d, const char *arg,
		   char *error, size_t len)
{
	if (fits(d, arg))
		return add_word(words, d->filter, arg, error, len);
	snprintf(error, len, "--%s %s", d->name, d->wanted);
	return -EINVAL;
}

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

		if (key == KEY_PATH) {
			err = add_word(words, FILTER_NAME, optarg, error, len);
		} else if (d && d->kind == OPT_FILTER) {
			err = opt_add_filter(words, d, optarg, error, len);
		} else {
			snprintf(error, len, "filters are -p -C --op --how -m, and names");
			err = -EINVAL;
		}
	}
	while (!err && optind < argc)
		err = add_word(words, FILTER_NAME, argv[optind++], error, len);
	return err;
}
