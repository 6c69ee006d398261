/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The command lines of daxtrace and daxtop, and what is typed as a filter into daxtop. */
#ifndef OPTS_OPTS_H
#define OPTS_OPTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#include <daxtop/collect.h>
#include <daxtop/view.h>

enum program {
	DAXTRACE = 1, /* bits: an option may be of both */
	DAXTOP = 2,
};

enum filter_kind { FILTER_NAME = 0, FILTER_PID, FILTER_COMM, FILTER_OP, FILTER_HOW, FILTER_MIN };

enum { FILTER_KINDS = FILTER_MIN + 1, FILTER_WORDS = 16 };

/* One condition on the waits to show. */
struct filter_word {
	enum filter_kind key;
	const char *arg;
};

struct filter_words {
	struct filter_word w[FILTER_WORDS];
	u32 n;
};

enum { OPTS_ERROR = 256 };

enum color { COLOR_AUTO = 0, COLOR_ALWAYS, COLOR_NEVER };

struct opts {
	char **paths; /* points into argv */
	size_t nr_paths;
	char *const *command; /* what follows "--", NULL-terminated; NULL none */
	enum view_stacks stacks;
	u32 verbose;
	bool json;
	bool ndjson;
	enum view_which folded;
	enum view_which hist;
	bool follow;
	bool check;
	bool exit_code;
	bool quiet;
	bool no_trace;
	bool no_pins;
	u64 ring_bytes;          /* of the buffer between the hooks and us */
	u64 max_waits;           /* that hooks follow at one time */
	u64 max_pins;            /* held pages, likewise */
	u64 max_stacks;          /* of who took them, likewise */
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
	u64 count;                 /* waits that end; 0 not limited */
	u64 search_ns;             /* how long memory may be searched; 0 not at all */
	u64 pins_ns;               /* how long to look for held pages, in each look; 0 not at all */
	const char *before_unbind; /* NULL no */
	/* of daxtop only */
	u64 delay_ns;   /* 0 only with read: without delay */
	u64 iterations; /* 0 without end */
	bool batch;
	bool ascii;
	enum color color;
	const char *sort; /* a column, "-" before it inverts; NULL by age */
	struct filter_words filter;
	const char *config; /* the configuration file; NULL the usual ones */
	bool no_config;
	u32 config_filters;            /* so many of the filters are of the file */
	char config_error[OPTS_ERROR]; /* the first thing that is wrong in it; "" nothing */
	int shell;                     /* of --completion */
};

enum opt_arg { ARG_NO, ARG_OPTIONAL, ARG_REQUIRED };

/* What an option's argument is, and so what it becomes in struct opts. */
enum opt_kind {
	OPT_FLAG,    /* bool: none; it is set */
	OPT_COUNTER, /* u32: none; one more */
	OPT_TEXT,    /* const char *: anything */
	OPT_FILE,    /* the same: a file */
	OPT_DIR,     /* the same: a directory */
	OPT_WORD,    /* an enum: the number of one of the words */
	OPT_NUMBER,  /* u64: from min to max */
	OPT_TIME,    /* u64: ns, from min to max; 0 for one of the words */
	OPT_SIZE,    /* u64: bytes, from min to max */
	OPT_FILTER,  /* struct filter_words: one more */
	OPT_COLUMN,  /* const char *: one of the words, with or without "-" before it */
	OPT_HELP,
	OPT_VERSION,
	OPT_COMPLETION, /* an int: the number of the shell, one of the words */
};

/*
 * One option: getopt, --help, completion, and what becomes of its argument come from it, and the
 * manual's OPTIONS are tested against it.
 */
struct opt_def {
	char letter;      /* short option; 0 none */
	const char *name; /* long name, without the dashes */
	enum opt_arg arg;
	const char *arg_name; /* as in --help; NULL for ARG_NO */
	const char *group;
	const char *help;
	unsigned int programs; /* bits of enum program */
	enum opt_kind kind;
	u32 at;                     /* of its member in struct opts */
	const char *(*word)(u32 i); /* words that it may be, up to a NULL; NULL: there are none */
	const char *otherwise;      /* what an ARG_OPTIONAL without argument stands for */
	u64 min, max;               /* of numbers; max 0: not bounded */
	const char *wanted;         /* "a time with a unit", for who gave something else */
	enum filter_kind filter;    /* of OPT_FILTER */
	bool setting;               /* may stand in the configuration file */
};

/* All options of both, in the order of --help; an entry without a name ends them. */
extern const struct opt_def opt_table[];

/* No exit status: the program is to run. */
enum { OPTS_RUN = -1 };

/*
 * Fills o from the command line of a program; argv is permuted. Returns OPTS_RUN, or the exit
 * status when there is nothing left to do: 0 after --help and --version, 1 after a usage error.
 * Errors have been printed then.
 */
int opts_parse(struct opts *o, enum program program, int argc, char **argv);

/*
 * The filter options among daxtop's, from text that was typed in: words between blanks. A word that
 * is no option is (part of) a path or command name. Writes NULs into text, which words then point
 * to. 0, or -EINVAL with the reason in error.
 */
int opts_filter(struct filter_words *words, char *text, char *error, size_t len);

/* Whether more than one look was asked for. */
bool opts_watch(const struct opts *o);

/* Whether looks, if there are several, are to be joined by hooks; and by which. */
bool opts_traces(const struct opts *o);
struct trace_opts opts_trace(const struct opts *o);

/* Prints the completion script for a shell, by its number among the words of --completion. */
void opts_completion(FILE *out, enum program program, u32 shell);

/* Prints --help. Errors stick in the stream. */
void opts_help(FILE *out, enum program program);

#endif
