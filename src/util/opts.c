// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "util/opts.h"

#include <daxtop/collect.h>

#include <errno.h>
#include <getopt.h>
#include <stdlib.h>
#include <string.h>

#include "util/log.h"

#define OUTPUT    "Output"
#define RECORDING "Recording"
#define FILTER    "Filter"
#define LIVE      "Live view"
#define GENERAL   "General"
#define DEBUGGING "Debugging"

enum { OPTS_MAX = 32 };

enum {
	KEY_CHECK = 256,
	KEY_IMAGE_WRITE,
	KEY_IMAGE_READ,
	KEY_WITHOUT,
	KEY_OP,
	KEY_HOW,
	KEY_COLOR,
	KEY_ASCII,
};

#define BOTH (DAXTRACE | DAXTOP)

#define DELAY_MIN_NS (100 * 1000000ULL)
#define DELAY_MAX_NS (3600 * 1000000000ULL)

static const struct opt_later ndjson_later = {
	"--ndjson (facts as they come, one per line) is not in this version",
	"there is one document, printed at the end",
	"daxtrace --json",
};

static const struct opt_later write_later = {
	"--write (a recording) is not in this version",
	"the answer can be kept, but not the facts that it came from",
	"daxtrace --json >FILE",
};

static const struct opt_later read_later = {
	"--read (a recording) is not in this version",
	"only the machine that it runs on can be explained",
	"daxtrace",
};

static const struct opt_later duration_later = {
	"--duration (tracing) is not in this version",
	"what is stuck now is found, but not waits that come and go",
	"daxtrace",
};

const struct opt_def opt_table[] = {
	{ 'J', "json", ARG_NO, NULL, OUTPUT, "one JSON document", NULL, DAXTRACE },
	{ 'j', "ndjson", ARG_NO, NULL, OUTPUT, "one fact per line (not in this version)",
	  &ndjson_later, DAXTRACE },
	{ 'k', "stacks", ARG_OPTIONAL, "WHICH", OUTPUT,
	  "with stacks: kernel, user, both (default) or none", NULL, BOTH },
	{ 'e', "exit-code", ARG_NO, NULL, OUTPUT, "tell the finding by the exit status, see below",
	  NULL, DAXTRACE },
	{ 'q', "quiet", ARG_NO, NULL, OUTPUT, "verdict sentences only", NULL, DAXTRACE },
	{ 'v', "verbose", ARG_NO, NULL, OUTPUT, "more detail; twice: libbpf's messages too", NULL,
	  DAXTRACE },
	{ 'w', "write", ARG_REQUIRED, "FILE", RECORDING,
	  "also write a recording (not in this version)", &write_later, DAXTRACE },
	{ 'r', "read", ARG_REQUIRED, "FILE", RECORDING, "explain a recording (not in this version)",
	  &read_later, DAXTRACE },
	{ 'd', "duration", ARG_REQUIRED, "TIME", RECORDING,
	  "trace for TIME, then report (not in this version)", &duration_later, DAXTRACE },
	{ 'd', "delay", ARG_REQUIRED, "TIME", LIVE, "time between looks: 1s, 100ms to 1h", NULL,
	  DAXTOP },
	{ 'n', "iterations", ARG_REQUIRED, "N", LIVE, "end after N looks", NULL, DAXTOP },
	{ 'b', "batch", ARG_NO, NULL, LIVE, "print each frame as text, as on no terminal", NULL,
	  DAXTOP },
	{ 's', "sort", ARG_REQUIRED, "COLUMN", LIVE,
	  "age, pid, comm, op, file or queued; -COLUMN inverts", NULL, DAXTOP },
	{ KEY_COLOR, "color", ARG_OPTIONAL, "WHEN", LIVE,
	  "auto (default; not with NO_COLOR), always or never", NULL, DAXTOP },
	{ KEY_ASCII, "ascii", ARG_NO, NULL, LIVE, "draw with ASCII only", NULL, DAXTOP },
	{ 'p', "pid", ARG_REQUIRED, "LIST", FILTER, "waiter or holder has one of these PIDs", NULL,
	  DAXTOP },
	{ 'C', "comm", ARG_REQUIRED, "GLOB", FILTER, "command name of waiter or holder; ! negates",
	  NULL, DAXTOP },
	{ KEY_OP, "op", ARG_REQUIRED, "LIST", FILTER, "blocked operation: truncate,evict,...", NULL,
	  DAXTOP },
	{ KEY_HOW, "how", ARG_REQUIRED, "LIST", FILTER, "mechanism: vmsplice,direct_io,...", NULL,
	  DAXTOP },
	{ 'm', "min", ARG_REQUIRED, "TIME", FILTER, "only waits at least that old: 500ms, 5s, 2min",
	  NULL, DAXTOP },
	{ KEY_CHECK, "check", ARG_NO, NULL, GENERAL, "what works on this machine, and what is lost",
	  NULL, DAXTRACE },
	{ KEY_IMAGE_WRITE, "image-write", ARG_REQUIRED, "FILE", DEBUGGING,
	  "save the kernel memory that this run reads", NULL, DAXTRACE },
	{ KEY_IMAGE_READ, "image-read", ARG_REQUIRED, "FILE", DEBUGGING,
	  "explain saved kernel memory, not this machine", NULL, BOTH },
	{ KEY_WITHOUT, "without", ARG_REQUIRED, "SYMBOL", DEBUGGING,
	  "pretend that the kernel hides this symbol", NULL, BOTH },
	{ 'h', "help", ARG_NO, NULL, GENERAL, "print this and exit", NULL, BOTH },
	{ 'V', "version", ARG_NO, NULL, GENERAL, "print the version and exit", NULL, BOTH },
	{ 0, NULL, ARG_NO, NULL, NULL, NULL, NULL, 0 },
};

/* The forms that getopt_long() wants. */
struct getopt_args {
	char shorts[3 * OPTS_MAX + 1];
	struct option longs[OPTS_MAX + 1];
};

static const char *program_name(enum program program)
{
	return program == DAXTOP ? "daxtop" : "daxtrace";
}

static void make_getopt_args(struct getopt_args *g, enum program program)
{
	static const int has_arg[] = { no_argument, optional_argument, required_argument };
	static const char *const colons[] = { "", "::", ":" };
	struct option *l = g->longs;
	char *s = g->shorts;

	_Static_assert(sizeof(opt_table) / sizeof(opt_table[0]) <= OPTS_MAX + 1, "OPTS_MAX");
	memset(g, 0, sizeof(*g));
	for (const struct opt_def *d = opt_table; d->name; d++) {
		if (!(d->programs & program))
			continue;
		*l++ = (struct option){ d->name, has_arg[d->arg], NULL, d->key };
		if (d->key < 256) {
			*s++ = d->key;
			s = stpcpy(s, colons[d->arg]);
		}
	}
}

static void print_option(FILE *out, const struct opt_def *d)
{
	static const char *const before[] = { "", "[=", " " }, *const after[] = { "", "]", "" };
	char left[64], key[8] = "    ";

	if (d->key < 256)
		snprintf(key, sizeof(key), "-%c, ", d->key);
	snprintf(left, sizeof(left), "%s--%s%s%s%s", key, d->name, before[d->arg],
		 d->arg_name ? d->arg_name : "", after[d->arg]);
	fprintf(out, "  %-24s %s\n", left, d->help);
}

static void print_group(FILE *out, enum program program, const char *group)
{
	bool any = false;

	for (const struct opt_def *d = opt_table; d->name; d++) {
		if (!(d->programs & program) || strcmp(d->group, group))
			continue;
		if (!any)
			fprintf(out, "\n%s:\n", group);
		any = true;
		print_option(out, d);
	}
}

static const char trace_purpose[] =
	"Names the tasks whose page references keep truncate, hole punch, reflink or\n"
	"eviction of a file on DAX asleep, and what safely ends it. Start it when it\n"
	"hangs; nothing has to be set up before. PATH is a file, a mount point or a\n"
	"block device; without one it looks at every DAX mount.\n";

static const char top_purpose[] =
	"Shows, live, who waits for a busy page of a file on DAX, who holds it, who is\n"
	"queued behind, and what safely ends it. F1 in it lists the keys; it signals and\n"
	"changes nothing. PATH is a file, a mount point or a block device; without one\n"
	"it looks at every DAX mount.\n";

static const char statuses[] =
	"\n"
	"Exit status: 0 done, 1 usage or runtime error, 2 this kernel or build lacks\n"
	"what is needed, 3 a privilege is missing.";

static const char trace_statuses[] =
	" With -e also: 10 somebody waits and\n"
	"every holder was seen, 11 somebody waits and some holder is only likely or\n"
	"unknown, 12 deadlock or lost wake-up, 13 nothing found, but records were lost.";

void opts_help(FILE *out, enum program program)
{
	static const char *const groups[] = { LIVE, FILTER, OUTPUT, RECORDING, GENERAL, DEBUGGING };

	fprintf(out, "Usage: %s [OPTION]... [PATH]...\n\n%s", program_name(program),
		program == DAXTOP ? top_purpose : trace_purpose);
	for (size_t i = 0; i < sizeof(groups) / sizeof(groups[0]); i++)
		print_group(out, program, groups[i]);
	fprintf(out, "%s%s\n", statuses, program == DAXTRACE ? trace_statuses : "");
}

static int usage_error(void)
{
	fprintf(stderr, "Try '%s --help' for more information.\n", program_invocation_short_name);
	return STATUS_ERROR;
}

static int parse_stacks(struct opts *o, const char *which)
{
	static const char *const names[] = {
		[STACKS_NONE] = "none",
		[STACKS_KERNEL] = "kernel",
		[STACKS_USER] = "user",
		[STACKS_BOTH] = "both",
	};

	for (int i = 0; i <= STACKS_BOTH; i++) {
		if (strcmp(which ? which : "both", names[i]))
			continue;
		o->stacks = i;
		return OPTS_RUN;
	}
	log_msg(LOG_ERROR, "--stacks=%s: it is kernel, user, both or none", which);
	return usage_error();
}

bool opts_time(const char *text, u64 *ns)
{
	static const struct {
		const char *name;
		double ns;
	} units[] = {
		{ "us", 1e3 }, { "ms", 1e6 }, { "s", 1e9 }, { "min", 60e9 }, { "h", 3600e9 },
	};
	size_t digits = strspn(text, "0123456789.");
	double n;
	char *end;

	if (!digits || digits > 12)
		return false;
	n = strtod(text, &end);
	for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++) {
		if (end != text + digits || strcmp(end, units[i].name))
			continue;
		*ns = n * units[i].ns < 1e18 ? n * units[i].ns : 1e18;
		return true;
	}
	return false;
}

static int parse_delay(struct opts *o, const char *text)
{
	if (opts_time(text, &o->delay_ns) && o->delay_ns >= DELAY_MIN_NS &&
	    o->delay_ns <= DELAY_MAX_NS)
		return OPTS_RUN;
	log_msg(LOG_ERROR, "--delay=%s: it is a time with a unit, 100ms to 1h", text);
	return usage_error();
}

static int parse_iterations(struct opts *o, const char *text)
{
	char *end;

	errno = 0;
	o->iterations = strtoull(text, &end, 10);
	if (*text >= '0' && *text <= '9' && !*end && !errno && o->iterations)
		return OPTS_RUN;
	log_msg(LOG_ERROR, "--iterations=%s: it is a number from 1 on", text);
	return usage_error();
}

static int parse_color(struct opts *o, const char *when)
{
	static const char *const names[] = { "auto", "always", "never" };

	for (int i = 0; i <= COLOR_NEVER; i++) {
		if (strcmp(when ? when : "always", names[i]))
			continue;
		o->color = i;
		return OPTS_RUN;
	}
	log_msg(LOG_ERROR, "--color=%s: it is auto, always or never", when);
	return usage_error();
}

static int add_filter(struct filter_words *words, enum filter_kind kind, const char *arg)
{
	if (words->n == FILTER_WORDS)
		return -E2BIG;
	words->w[words->n++] = (struct filter_word){ kind, arg };
	return 0;
}

static enum filter_kind filter_kind(int key)
{
	switch (key) {
	case 'p':
		return FILTER_PID;
	case 'C':
		return FILTER_COMM;
	case KEY_OP:
		return FILTER_OP;
	case KEY_HOW:
		return FILTER_HOW;
	case 'm':
		return FILTER_MIN;
	default:
		return FILTER_NAME; /* no filter option */
	}
}

static int refuse_later(int key)
{
	for (const struct opt_def *d = opt_table; d->name; d++)
		if (d->key == key && d->later)
			log_refusal(d->later->cause, d->later->consequence, d->later->command);
	return STATUS_NOTSUPP;
}

static int take_trace_option(struct opts *o, int key, const char *arg)
{
	switch (key) {
	case 'J':
		o->json = true;
		break;
	case 'e':
		o->exit_code = true;
		break;
	case 'q':
		o->quiet = true;
		break;
	case 'v':
		o->verbose++;
		break;
	case KEY_CHECK:
		o->check = true;
		break;
	case KEY_IMAGE_WRITE:
		o->image_write = arg;
		break;
	default:
		return refuse_later(key);
	}
	return OPTS_RUN;
}

static int take_top_option(struct opts *o, int key, const char *arg)
{
	switch (key) {
	case 'd':
		return parse_delay(o, arg);
	case 'n':
		return parse_iterations(o, arg);
	case 'b':
		o->batch = true;
		return OPTS_RUN;
	case 's':
		o->sort = arg;
		return OPTS_RUN;
	case KEY_COLOR:
		return parse_color(o, arg);
	case KEY_ASCII:
		o->ascii = true;
		return OPTS_RUN;
	default:
		break;
	}
	if (!add_filter(&o->filter, filter_kind(key), arg))
		return OPTS_RUN;
	log_msg(LOG_ERROR, "more than %d filters", FILTER_WORDS);
	return usage_error();
}

static int take_option(struct opts *o, enum program program, int key, const char *arg)
{
	switch (key) {
	case 'k':
		return parse_stacks(o, arg);
	case KEY_IMAGE_READ:
		o->image_read = arg;
		return OPTS_RUN;
	case KEY_WITHOUT:
		o->without = arg;
		return OPTS_RUN;
	case 'h':
		opts_help(stdout, program);
		return STATUS_OK;
	case 'V':
		printf("%s " DAXTOP_VERSION "\n", program_name(program));
		return STATUS_OK;
	case '?':
		return usage_error();
	default:
		return program == DAXTOP ? take_top_option(o, key, arg) :
					   take_trace_option(o, key, arg);
	}
}

/* What each option allows, but not together. */
static int check_together(const struct opts *o)
{
	const char *why = NULL;

	if (o->image_read && o->nr_paths)
		why = "a PATH names a file of this machine, --image-read another's memory";
	else if (o->image_read && (o->image_write || o->check))
		why = "--image-read looks at no machine: it excludes --image-write and --check";
	else if (o->check && (o->nr_paths || o->exit_code))
		why = "--check looks at the machine, not at waits: it excludes PATH and --exit-code";
	if (!why)
		return OPTS_RUN;
	log_msg(LOG_ERROR, "%s", why);
	return usage_error();
}

int opts_parse(struct opts *o, enum program program, int argc, char **argv)
{
	struct getopt_args g;
	int key, status = OPTS_RUN;

	memset(o, 0, sizeof(*o));
	o->delay_ns = 1000000000ULL;
	o->stacks = program == DAXTOP ? STACKS_BOTH : STACKS_NONE;
	make_getopt_args(&g, program);
	/* getopt_long() names the program by argv[0], everything else by its name. */
	if (argc > 0)
		argv[0] = program_invocation_short_name;
	opterr = 1;
	/* 0 and not 1 makes glibc and musl forget an earlier command line. */
	optind = 0;
	while (status == OPTS_RUN && (key = getopt_long(argc, argv, g.shorts, g.longs, NULL)) != -1)
		status = take_option(o, program, key, optarg);
	if (status != OPTS_RUN)
		return status;
	o->paths = argv + optind;
	o->nr_paths = argc - optind;
	return check_together(o);
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
	make_getopt_args(&g, DAXTOP);
	opterr = 0;
	optind = 0;
	while (!err && (key = getopt_long(argc, argv, g.shorts, g.longs, NULL)) != -1) {
		if (filter_kind(key) == FILTER_NAME) {
			snprintf(error, len, "filters are -p -C --op --how -m, and names");
			return -EINVAL;
		}
		err = add_filter(words, filter_kind(key), optarg);
	}
	while (!err && optind < argc)
		err = add_filter(words, FILTER_NAME, argv[optind++]);
	if (!err)
		return 0;
	snprintf(error, len, "more than %d filters", FILTER_WORDS);
	return -EINVAL;
}

void opts_name_scope(struct strbuf *sb, const struct opts *o)
{
	for (size_t i = 0; i < o->nr_paths; i++)
		sb_printf(sb, "%s%s", i ? ", " : "", o->paths[i]);
}
