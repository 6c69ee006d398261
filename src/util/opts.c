// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "util/opts.h"

#include <daxtop/collect.h>

#include <errno.h>
#include <getopt.h>
#include <stdlib.h>
#include <string.h>

#include "util/log.h"
#include "util/quantity.h"

#define OUTPUT    "Output"
#define WATCHING  "Watching"
#define RECORDING "Recording"
#define FILTER    "Filter"
#define LIVE      "Live view"
#define GENERAL   "General"
#define DEBUGGING "Debugging"

enum { OPTS_MAX = 64 };

enum {
	KEY_CHECK = 256,
	KEY_IMAGE_WRITE,
	KEY_IMAGE_READ,
	KEY_WITHOUT,
	KEY_OP,
	KEY_HOW,
	KEY_COLOR,
	KEY_ASCII,
	KEY_FOLDED,
	KEY_FOLLOW,
	KEY_UNTIL_STUCK,
	KEY_INTERVAL,
	KEY_RECORDER,
	KEY_KEEP_SIZE,
	KEY_SEARCH,
	KEY_PATH = 1, /* what getopt_long() returns for what is no option */
};

#define BOTH (DAXTRACE | DAXTOP)

#define DELAY_MIN_NS (100 * 1000000ULL)
#define DELAY_MAX_NS (3600 * 1000000000ULL)

#define SEARCH_NS 2000000000ULL /* nobody at a hung machine waits for more */

#define DEFAULT_INTERVAL_NS 1000000000ULL
#define DEFAULT_STUCK       "10s"
#define DEFAULT_KEEP_SIZE   (64ULL << 20)
#define KEEP_SIZE_MIN       (1ULL << 20)

const struct opt_def opt_table[] = {
	{ 'J', "json", ARG_NO, NULL, OUTPUT, "one JSON document", DAXTRACE },
	{ 'j', "ndjson", ARG_NO, NULL, OUTPUT, "the facts instead, one per line, as they come",
	  DAXTRACE },
	{ KEY_FOLDED, "folded", ARG_NO, NULL, OUTPUT, "the waiters' stacks, for flamegraph.pl",
	  DAXTRACE },
	{ 'k', "stacks", ARG_OPTIONAL, "WHICH", OUTPUT,
	  "with stacks: kernel, user, both (default) or none", BOTH },
	{ 'e', "exit-code", ARG_NO, NULL, OUTPUT, "tell the finding by the exit status, see below",
	  DAXTRACE },
	{ 'q', "quiet", ARG_NO, NULL, OUTPUT, "verdict sentences only", DAXTRACE },
	{ 'v', "verbose", ARG_NO, NULL, OUTPUT, "more detail; twice: libbpf's messages too",
	  DAXTRACE },
	{ 'd', "duration", ARG_REQUIRED, "TIME", WATCHING, "look again and again for TIME",
	  DAXTRACE },
	{ 'n', "count", ARG_REQUIRED, "NUM", WATCHING, "until NUM waits have ended", DAXTRACE },
	{ KEY_UNTIL_STUCK, "until-stuck", ARG_OPTIONAL, "TIME", WATCHING,
	  "until a wait is as old as TIME (10s)", DAXTRACE },
	{ KEY_FOLLOW, "follow", ARG_NO, NULL, WATCHING, "one line when a wait begins or ends",
	  DAXTRACE },
	{ KEY_INTERVAL, "interval", ARG_REQUIRED, "TIME", WATCHING, "from look to look (1s)",
	  DAXTRACE },
	{ 'w', "write", ARG_REQUIRED, "FILE", RECORDING, "also write a recording", DAXTRACE },
	{ 'r', "read", ARG_REQUIRED, "FILE", RECORDING, "explain a recording, not this machine",
	  DAXTRACE },
	{ KEY_RECORDER, "recorder", ARG_REQUIRED, "DIR", RECORDING,
	  "only record, in files of bounded size", DAXTRACE },
	{ KEY_KEEP_SIZE, "keep-size", ARG_REQUIRED, "SIZE", RECORDING, "of all files of DIR (64M)",
	  DAXTRACE },
	{ 'd', "delay", ARG_REQUIRED, "TIME", LIVE, "time between looks: 1s, 100ms to 1h", DAXTOP },
	{ 'n', "iterations", ARG_REQUIRED, "N", LIVE, "end after N looks", DAXTOP },
	{ 'b', "batch", ARG_NO, NULL, LIVE, "print each frame as text, as on no terminal", DAXTOP },
	{ 's', "sort", ARG_REQUIRED, "COLUMN", LIVE,
	  "age, pid, comm, op, file or queued; -COLUMN inverts", DAXTOP },
	{ KEY_COLOR, "color", ARG_OPTIONAL, "WHEN", LIVE,
	  "auto (default; not with NO_COLOR), always or never", DAXTOP },
	{ KEY_ASCII, "ascii", ARG_NO, NULL, LIVE, "draw with ASCII only", DAXTOP },
	{ 'p', "pid", ARG_REQUIRED, "LIST", FILTER, "waiter or holder has one of these PIDs",
	  DAXTOP },
	{ 'C', "comm", ARG_REQUIRED, "GLOB", FILTER, "command name of waiter or holder; ! negates",
	  DAXTOP },
	{ KEY_OP, "op", ARG_REQUIRED, "LIST", FILTER, "blocked operation: truncate,evict,...",
	  DAXTOP },
	{ KEY_HOW, "how", ARG_REQUIRED, "LIST", FILTER, "mechanism: vmsplice,direct_io,...",
	  DAXTOP },
	{ 'm', "min", ARG_REQUIRED, "TIME", FILTER, "only waits at least that old: 500ms, 5s, 2min",
	  DAXTOP },
	{ KEY_CHECK, "check", ARG_NO, NULL, GENERAL, "what works on this machine, and what is lost",
	  DAXTRACE },
	{ KEY_SEARCH, "search", ARG_REQUIRED, "TIME", GENERAL,
	  "search memory for holders for TIME (2s), or off", DAXTRACE },
	{ KEY_IMAGE_WRITE, "image-write", ARG_REQUIRED, "FILE", DEBUGGING,
	  "save the kernel memory that this run reads", DAXTRACE },
	{ KEY_IMAGE_READ, "image-read", ARG_REQUIRED, "FILE", DEBUGGING,
	  "explain saved kernel memory, not this machine", BOTH },
	{ KEY_WITHOUT, "without", ARG_REQUIRED, "SYMBOL", DEBUGGING,
	  "pretend that the kernel hides this symbol", BOTH },
	{ 'h', "help", ARG_NO, NULL, GENERAL, "print this and exit", BOTH },
	{ 'V', "version", ARG_NO, NULL, GENERAL, "print the version and exit", BOTH },
	{ .name = NULL },
};

/* The forms that getopt_long() wants. */
struct getopt_args {
	char shorts[3 * OPTS_MAX + 2];
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
	*s++ = '-'; /* hand over what is no option in its place: PATHs end at "--" */
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
	"block device; without one it looks at every DAX mount. With a COMMAND it looks\n"
	"while that runs. TIME is a number and us, ms, s, min, h or d.\n";

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
	"unknown, 12 deadlock or lost wake-up, 13 nothing found, but records were lost.\n"
	"With a COMMAND and without -e, the exit status is the command's.";

void opts_help(FILE *out, enum program program)
{
	static const char *const groups[] = { LIVE,      FILTER,  OUTPUT,   WATCHING,
					      RECORDING, GENERAL, DEBUGGING };

	fprintf(out, "Usage: %s [OPTION]... [PATH]...%s\n\n%s", program_name(program),
		program == DAXTRACE ? " [-- COMMAND [ARG]...]" : "",
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

static int parse_search(struct opts *o, const char *time)
{
	o->search_ns = 0;
	if (!strcmp(time, "off") || quantity_time(time, &o->search_ns))
		return OPTS_RUN;
	log_msg(LOG_ERROR, "--search=%s: it is a time with a unit, as in 500ms, or off", time);
	return usage_error();
}

static int parse_delay(struct opts *o, const char *text)
{
	if (quantity_time(text, &o->delay_ns) && o->delay_ns >= DELAY_MIN_NS &&
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

static int parse_time(const char *option, const char *text, u64 *ns)
{
	if (quantity_time(text, ns))
		return OPTS_RUN;
	log_msg(LOG_ERROR,
		"--%s: \"%s\" is no time: a number and us, ms, s, min, h or d, as in 10s", option,
		text);
	return usage_error();
}

static int parse_count(const char *text, u32 *count)
{
	char *end;
	unsigned long n = strtoul(text, &end, 10);

	*count = n;
	if (*text >= '0' && *text <= '9' && !*end && n && n <= UINT32_MAX)
		return OPTS_RUN;
	log_msg(LOG_ERROR, "--count: \"%s\" is no number from 1 on", text);
	return usage_error();
}

static int parse_size(const char *text, u64 *bytes)
{
	if (quantity_size(text, bytes) && *bytes >= KEEP_SIZE_MIN)
		return OPTS_RUN;
	log_msg(LOG_ERROR, "--keep-size: \"%s\" is no size from 1M on, as in 64M or 1G", text);
	return usage_error();
}

/* What tells when to look and what to keep. OPTS_RUN, or an exit status. */
static int take_watching(struct opts *o, int key, const char *arg)
{
	switch (key) {
	case 'd':
		return parse_time("duration", arg, &o->duration_ns);
	case 'n':
		return parse_count(arg, &o->count);
	case 'w':
		o->write = arg;
		break;
	case 'r':
		o->read = arg;
		break;
	case KEY_UNTIL_STUCK:
		return parse_time("until-stuck", arg ? arg : DEFAULT_STUCK, &o->stuck_ns);
	case KEY_FOLLOW:
		o->follow = true;
		break;
	case KEY_INTERVAL:
		return parse_time("interval", arg, &o->interval_ns);
	case KEY_RECORDER:
		o->recorder = arg;
		break;
	case KEY_KEEP_SIZE:
		return parse_size(arg, &o->keep_size);
	default:
		return usage_error();
	}
	return OPTS_RUN;
}

static int take_trace_option(struct opts *o, int key, const char *arg)
{
	switch (key) {
	case 'J':
		o->json = true;
		break;
	case 'j':
		o->ndjson = true;
		break;
	case KEY_FOLDED:
		o->folded = true;
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
	case KEY_SEARCH:
		return parse_search(o, arg);
	default:
		return take_watching(o, key, arg);
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
	case KEY_PATH:
		o->paths[o->nr_paths++] = (char *)arg;
		return OPTS_RUN;
	case '?':
		return usage_error();
	case 'h':
		opts_help(stdout, program);
		return STATUS_OK;
	case 'V':
		printf("%s " DAXTOP_VERSION "\n", program_name(program));
		return STATUS_OK;
	default:
		return program == DAXTOP ? take_top_option(o, key, arg) :
					   take_trace_option(o, key, arg);
	}
}

/* Where the facts come from, and what looks at this machine. */
static const char *check_source(const struct opts *o)
{
	bool watches = o->duration_ns || o->command || o->interval_ns || o->recorder;

	if (o->image_read && o->nr_paths)
		return "a PATH names a file of this machine, --image-read another's memory";
	if (o->image_read && (o->image_write || o->check))
		return "--image-read looks at no machine: it excludes --image-write and --check";
	if (o->read && o->nr_paths)
		return "a PATH names a file of this machine, --read a recording of another";
	if (o->read && (o->check || o->image_read || o->image_write || o->without || watches))
		return "--read looks at no machine: it excludes --check, --duration, --interval, "
		       "--recorder, the --image options, --without and a COMMAND";
	if (o->read && o->write)
		return "--read and --write exclude each other";
	return NULL;
}

/* What is printed and kept. */
static const char *check_output(const struct opts *o)
{
	bool watches = opts_watch(o);

	if (o->json + o->ndjson + o->folded > 1)
		return "--json, --ndjson and --folded exclude each other";
	if (o->follow && (o->json || o->folded))
		return "--follow prints lines as they come: it excludes --json and --folded";
	if (o->check &&
	    (o->nr_paths || o->exit_code || o->folded || o->ndjson || o->write || watches))
		return "--check looks at the machine, not at waits: it excludes PATH, --exit-code, "
		       "--ndjson, --folded, --write and what watches";
	if (o->recorder && (o->write || o->json || o->ndjson || o->folded || o->follow))
		return "--recorder only records: it excludes --write and other output";
	if (o->keep_size && !o->recorder)
		return "--keep-size is the size of what --recorder keeps";
	if (o->interval_ns && !watches)
		return "--interval is between looks: it needs --duration, --count, --until-stuck, "
		       "--follow, --recorder or a COMMAND";
	if (o->image_write && watches)
		return "--image-write saves one look: it excludes what watches";
	return NULL;
}

bool opts_watch(const struct opts *o)
{
	return o->duration_ns || o->count || o->stuck_ns || o->follow || o->recorder || o->command;
}

/* What each option allows, but not together; then what was not given. */
static int check_together(struct opts *o)
{
	const char *why = check_source(o);

	why = why ? why : check_output(o);
	if (why) {
		log_msg(LOG_ERROR, "%s", why);
		return usage_error();
	}
	o->interval_ns = o->interval_ns ? o->interval_ns : DEFAULT_INTERVAL_NS;
	o->keep_size = o->keep_size ? o->keep_size : DEFAULT_KEEP_SIZE;
	return OPTS_RUN;
}

/* What follows "--": PATHs, or daxtrace's COMMAND, which had better not be empty. */
static int take_rest(struct opts *o, enum program program, char **argv)
{
	if (program == DAXTOP) {
		while (*argv)
			o->paths[o->nr_paths++] = *argv++;
	} else if (*argv) {
		o->command = argv;
	} else if (!strcmp(argv[-1], "--")) {
		log_msg(LOG_ERROR, "no COMMAND after --");
		return usage_error();
	}
	return OPTS_RUN;
}

int opts_parse(struct opts *o, enum program program, int argc, char **argv)
{
	struct getopt_args g;
	int key, status = OPTS_RUN;

	memset(o, 0, sizeof(*o));
	o->delay_ns = 1000000000ULL;
	o->search_ns = SEARCH_NS;
	o->stacks = program == DAXTOP ? STACKS_BOTH : STACKS_NONE;
	make_getopt_args(&g, program);
	/* getopt_long() names the program by argv[0], everything else by its name. */
	if (argc > 0)
		argv[0] = program_invocation_short_name;
	/* PATHs move to the front, over arguments that were taken already. */
	o->paths = argv + 1;
	opterr = 1;
	/* 0 and not 1 makes glibc and musl forget an earlier command line. */
	optind = 0;
	while (status == OPTS_RUN && (key = getopt_long(argc, argv, g.shorts, g.longs, NULL)) != -1)
		status = take_option(o, program, key, optarg);
	if (status == OPTS_RUN && argc > 1)
		status = take_rest(o, program, argv + optind);
	return status == OPTS_RUN ? check_together(o) : status;
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
		if (filter_kind(key) == FILTER_NAME && key != KEY_PATH) {
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
