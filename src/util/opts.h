/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The command line of daxtrace. */
#ifndef DAXTOP_OPTS_H
#define DAXTOP_OPTS_H

#include <stdbool.h>
#include <stdio.h>

#include <daxtop/view.h>

struct opts {
	char *const *paths; /* points into argv */
	size_t nr_paths;
	enum view_stacks stacks;
	int verbose;
	bool json;
	bool check;
	bool exit_code;
	bool quiet;
	const char *image_write;      /* NULL no */
	const char *image_read;       /* NULL no */
	const char *without;          /* NULL no */
	unsigned long long search_ns; /* how long memory may be searched; 0 not at all */
};

enum opt_arg { ARG_NO, ARG_OPTIONAL, ARG_REQUIRED };

/* What to say when an option of the contract is not in this version. */
struct opt_later {
	const char *cause, *consequence, *command;
};

/* One option. All of getopt, --help and the manual's OPTIONS come from or are tested against it. */
struct opt_def {
	int key;          /* the short option's letter, or a number above 255 */
	const char *name; /* long name, without the dashes */
	enum opt_arg arg;
	const char *arg_name; /* as in --help; NULL for ARG_NO */
	const char *group;
	const char *help;
	const struct opt_later *later; /* NULL: it is in this version */
};

/* All options, in the order of --help; an entry without a name ends them. */
extern const struct opt_def opt_table[];

/* No exit status: the program is to run. */
enum { OPTS_RUN = -1 };

/*
 * Fills o from the command line; argv is permuted. Returns OPTS_RUN, or the exit status when there
 * is nothing left to do: 0 after --help and --version, 1 after a usage error, 2 when what was
 * asked for is not in this version. Errors have been printed then.
 */
int opts_parse(struct opts *o, int argc, char **argv);

/* Prints --help. Errors stick in the stream. */
void opts_help(FILE *out);

#endif
