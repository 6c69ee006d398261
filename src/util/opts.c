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
#define GENERAL   "General"
#define DEBUGGING "Debugging"

enum { OPTS_MAX = 32 };

enum { KEY_CHECK = 256, KEY_IMAGE_WRITE, KEY_IMAGE_READ, KEY_WITHOUT, KEY_SEARCH };

#define SEARCH_NS 2000000000ULL /* nobody at a hung machine waits for more */

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
	{ 'J', "json", ARG_NO, NULL, OUTPUT, "one JSON document", NULL },
	{ 'j', "ndjson", ARG_NO, NULL, OUTPUT, "one fact per line (not in this version)",
	  &ndjson_later },
	{ 'k', "stacks", ARG_OPTIONAL, "WHICH", OUTPUT,
	  "with stacks: kernel, user, both (default) or none", NULL },
	{ 'e', "exit-code", ARG_NO, NULL, OUTPUT, "tell the finding by the exit status, see below",
	  NULL },
	{ 'q', "quiet", ARG_NO, NULL, OUTPUT, "verdict sentences only", NULL },
	{ 'v', "verbose", ARG_NO, NULL, OUTPUT, "more detail; twice: libbpf's messages too", NULL },
	{ 'w', "write", ARG_REQUIRED, "FILE", RECORDING,
	  "also write a recording (not in this version)", &write_later },
	{ 'r', "read", ARG_REQUIRED, "FILE", RECORDING, "explain a recording (not in this version)",
	  &read_later },
	{ 'd', "duration", ARG_REQUIRED, "TIME", RECORDING,
	  "trace for TIME, then report (not in this version)", &duration_later },
	{ KEY_CHECK, "check", ARG_NO, NULL, GENERAL, "what works on this machine, and what is lost",
	  NULL },
	{ KEY_SEARCH, "search", ARG_REQUIRED, "TIME", GENERAL,
	  "search memory for holders for TIME (2s), or off", NULL },
	{ KEY_IMAGE_WRITE, "image-write", ARG_REQUIRED, "FILE", DEBUGGING,
	  "save the kernel memory that this run reads", NULL },
	{ KEY_IMAGE_READ, "image-read", ARG_REQUIRED, "FILE", DEBUGGING,
	  "explain saved kernel memory, not this machine", NULL },
	{ KEY_WITHOUT, "without", ARG_REQUIRED, "SYMBOL", DEBUGGING,
	  "pretend that the kernel hides this symbol", NULL },
	{ 'h', "help", ARG_NO, NULL, GENERAL, "print this and exit", NULL },
	{ 'V', "version", ARG_NO, NULL, GENERAL, "print the version and exit", NULL },
	{ 0, NULL, ARG_NO, NULL, NULL, NULL, NULL },
};

/* The forms that getopt_long() wants. */
struct getopt_args {
	char shorts[3 * OPTS_MAX + 1];
	struct option longs[OPTS_MAX + 1];
};

static void make_getopt_args(struct getopt_args *g)
{
	static const int has_arg[] = { no_argument, optional_argument, required_argument };
	static const char *const colons[] = { "", "::", ":" };
	char *s = g->shorts;
	int i;

	_Static_assert(sizeof(opt_table) / sizeof(opt_table[0]) <= OPTS_MAX + 1, "OPTS_MAX");
	memset(g, 0, sizeof(*g));
	for (i = 0; opt_table[i].name; i++) {
		const struct opt_def *d = &opt_table[i];

		g->longs[i] = (struct option){ d->name, has_arg[d->arg], NULL, d->key };
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

static void print_group(FILE *out, const char *group)
{
	fprintf(out, "\n%s:\n", group);
	for (const struct opt_def *d = opt_table; d->name; d++)
		if (!strcmp(d->group, group))
			print_option(out, d);
}

void opts_help(FILE *out)
{
	fputs("Usage: daxtrace [OPTION]... [PATH]...\n"
	      "\n"
	      "Names the tasks whose page references keep truncate, hole punch, reflink or\n"
	      "eviction of a file on DAX asleep, and what safely ends it. Start it when it\n"
	      "hangs; nothing has to be set up before. PATH is a file, a mount point or a\n"
	      "block device; without one it looks at every DAX mount.\n",
	      out);
	print_group(out, OUTPUT);
	print_group(out, RECORDING);
	print_group(out, GENERAL);
	print_group(out, DEBUGGING);
	fputs("\n"
	      "Exit status: 0 done, 1 usage or runtime error, 2 this kernel or build lacks\n"
	      "what is needed, 3 a privilege is missing. With -e also: 10 somebody waits and\n"
	      "every holder was seen, 11 somebody waits and some holder is only likely or\n"
	      "unknown, 12 deadlock or lost wake-up, 13 nothing found, but records were lost.\n",
	      out);
}

static int usage_error(void)
{
	fputs("Try 'daxtrace --help' for more information.\n", stderr);
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

/* Seconds, with or without a fraction and the unit. */
static int parse_search(struct opts *o, const char *time)
{
	char *end;
	double seconds = strtod(time, &end);

	if (!strcmp(time, "off")) {
		o->search_ns = 0;
		return OPTS_RUN;
	}
	if (end != time && (!*end || !strcmp(end, "s")) && seconds > 0 && seconds <= 86400) {
		o->search_ns = seconds * 1e9;
		return OPTS_RUN;
	}
	log_msg(LOG_ERROR, "--search=%s: it is a number of seconds, or off", time);
	return usage_error();
}

static int refuse_later(int key)
{
	for (const struct opt_def *d = opt_table; d->name; d++)
		if (d->key == key && d->later)
			log_refusal(d->later->cause, d->later->consequence, d->later->command);
	return STATUS_NOTSUPP;
}

static int take_option(struct opts *o, int key, const char *arg)
{
	switch (key) {
	case 'J':
		o->json = true;
		break;
	case 'e':
		o->exit_code = true;
		break;
	case 'k':
		return parse_stacks(o, arg);
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
	case KEY_IMAGE_READ:
		o->image_read = arg;
		break;
	case KEY_WITHOUT:
		o->without = arg;
		break;
	case KEY_SEARCH:
		return parse_search(o, arg);
	case 'h':
		opts_help(stdout);
		return STATUS_OK;
	case 'V':
		puts("daxtrace " DAXTOP_VERSION);
		return STATUS_OK;
	case '?':
		return usage_error();
	default:
		return refuse_later(key);
	}
	return OPTS_RUN;
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

int opts_parse(struct opts *o, int argc, char **argv)
{
	struct getopt_args g;
	int key, status = OPTS_RUN;

	*o = (struct opts){ .search_ns = SEARCH_NS };
	make_getopt_args(&g);
	/* getopt_long() names the program by argv[0], everything else by its name. */
	if (argc > 0)
		argv[0] = program_invocation_short_name;
	/* 0 and not 1 makes glibc and musl forget an earlier command line. */
	optind = 0;
	while (status == OPTS_RUN && (key = getopt_long(argc, argv, g.shorts, g.longs, NULL)) != -1)
		status = take_option(o, key, optarg);
	if (status != OPTS_RUN)
		return status;
	o->paths = argv + optind;
	o->nr_paths = argc - optind;
	return check_together(o);
}
