/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The command line of daxtrace. */
#ifndef DAXTOP_OPTS_H
#define DAXTOP_OPTS_H

#include <stdbool.h>
#include <stdio.h>

#include <daxtop/view.h>

struct opts {
	char **paths; /* points into argv */
	size_t nr_paths;
	char *const *command; /* what follows "--", NULL-terminated; NULL none */
	enum view_stacks stacks;
	int verbose;
	bool json;
	bool ndjson;
	bool folded;
	bool follow;
	bool check;
	bool exit_code;
	bool quiet;
	const char *image_write; /* NULL no */
	const char *image_read;  /* NULL no */
	const char *without;     /* NULL no */
	const char *write;       /* NULL no */
	const char *read;        /* NULL no */
	const char *recorder;    /* NULL no */
	u64 keep_size;           /* bytes */
	u64 duration_ns;         /* 0 not limited */
	u64 stuck_ns;            /* 0 no */
	u64 interval_ns;
	u32 count; /* waits that end; 0 not limited */
};

enum opt_arg { ARG_NO, ARG_OPTIONAL, ARG_REQUIRED };

/* One option. All of getopt, --help and the manual's OPTIONS come from or are tested against it. */
struct opt_def {
	int key;          /* the short option's letter, or a number above 255 */
	const char *name; /* long name, without the dashes */
	enum opt_arg arg;
	const char *arg_name; /* as in --help; NULL for ARG_NO */
	const char *group;
	const char *help;
};

/* All options, in the order of --help; an entry without a name ends them. */
extern const struct opt_def opt_table[];

/* No exit status: the program is to run. */
enum { OPTS_RUN = -1 };

/*
 * Fills o from the command line; argv is permuted. Returns OPTS_RUN, or the exit status when there
 * is nothing left to do: 0 after --help and --version, 1 after a usage error. Errors have been
 * printed then.
 */
int opts_parse(struct opts *o, int argc, char **argv);

/* Whether more than one look was asked for. */
bool opts_watch(const struct opts *o);

/* Prints --help. Errors stick in the stream. */
void opts_help(FILE *out);

#endif
