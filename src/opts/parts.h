/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What the files of this folder share. */
#ifndef OPTS_PARTS_H
#define OPTS_PARTS_H

#include "opts/opts.h"

#include <getopt.h>

enum { OPTS_MAX = 96 };

/* The forms that getopt_long() wants. What it returns, opt_of() understands. */
struct getopt_args {
	char shorts[3 * OPTS_MAX + 2];
	struct option longs[OPTS_MAX + 1];
};

enum { KEY_PATH = 1 }; /* getopt_long() found no option but a word */

void opt_getopt_args(struct getopt_args *g, enum program program);

/* The option that getopt_long() found; NULL none. */
const struct opt_def *opt_of(enum program program, int key);

/*
 * Its argument as what it is in o; NULL when none was given. 0, or -EINVAL with the reason in
 * error.
 */
int opt_take(struct opts *o, const struct opt_def *d, const char *arg, char *error, size_t len);

/* The same for a filter. */
int opt_add_filter(struct filter_words *words, const struct opt_def *d, const char *arg,
		   char *error, size_t len);

/* Takes the settings of the configuration file, and tells what is wrong with it. */
void opts_config(struct opts *o);

/* The shells that a completion can be printed for. */
const char *opt_shell_word(u32 i);

/* Options that exclude each other: what to say, or NULL. */
const char *opts_conflict(const struct opts *o, enum program program);

const char *program_name(enum program program);

/* The headings of --help, in order, up to a NULL. */
extern const char *const opt_groups[];

#endif
