// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* A command line, option by option. */
#include "opts/parts.h"

#include <errno.h>
#include <string.h>

#include <daxtop/collect.h>

#include "util/log.h"

#define SEARCH_NS      2000000000ULL /* nobody at a hung machine waits for more */
#define PINS_TOP_NS    2000000ULL /* in each look of the live view, which is to cost next to nothing */
#define PINS_UNBIND_NS 120000000000ULL
#define INTERVAL_NS    1000000000ULL
#define DELAY_NS       1000000000ULL
#define KEEP_SIZE      (64ULL << 20)
#define RING_SIZE      (4ULL << 20)
#define MAX_WAITS      8192
#define MAX_PINS       32768
#define MAX_STACKS     4096

enum { KEY_LONG = 256 }; /* of opt_table[0], if it has no letter */

void opt_getopt_args(struct getopt_args *g, enum program program)
{
	static const int has_arg[] = { no_argument, optional_argument, required_argument };
	static const char *const colons[] = { "", "::", ":" };
	struct option *l = g->longs;
	char *s = g->shorts;

	memset(g, 0, sizeof(*g));
	*s++ = '-'; /* hand over what is no option in its place: PATHs end at "--" */
	for (const struct opt_def *d = opt_table; d->name; d++) {
		int key = d->letter ? d->letter : KEY_LONG + (int)(d - opt_table);

		if (!(d->programs & program))
			continue;
		*l++ = (struct option){ d->name, has_arg[d->arg], NULL, key };
		if (d->letter) {
			*s++ = d->letter;
			s = stpcpy(s, colons[d->arg]);
		}
	}
}

const struct opt_def *opt_of(enum program program, int key)
{
	if (key >= KEY_LONG)
		return &opt_table[key - KEY_LONG];
	for (const struct opt_def *d = opt_table; d->name; d++)
		if (d->programs & program && d->letter == key)
			return d;
	return NULL;
}

static int usage_error(void)
{
	fprintf(stderr, "Try '%s --help' for more information.\n", program_invocation_short_name);
	return STATUS_ERROR;
}

/* Filters of the command line replace those of the file. */
static void drop_config_filters(struct opts *o)
{
	if (o->config_filters)
		o->filter.n = 0;
	o->config_filters = 0;
}

static int take_option(struct opts *o, enum program program, int key, const char *arg)
{
	const struct opt_def *d = opt_of(program, key);
	char error[OPTS_ERROR];

	if (key == KEY_PATH) {
		o->paths[o->nr_paths++] = (char *)arg;
		return OPTS_RUN;
	}
	if (!d)
		return usage_error();
	switch (d->kind) {
	case OPT_HELP:
		opts_help(stdout, program);
		return STATUS_OK;
	case OPT_VERSION:
		printf("%s " DAXTOP_VERSION "\n", program_name(program));
		return STATUS_OK;
	default:
		break;
	}
	if (d->kind == OPT_FILTER)
		drop_config_filters(o);
	if (opt_take(o, d, arg, error, sizeof(error))) {
		log_msg(LOG_ERROR, "%s", error);
		return usage_error();
	}
	if (d->kind != OPT_COMPLETION)
		return OPTS_RUN;
	opts_completion(stdout, program, o->shell);
	return STATUS_OK;
}

/* The configuration comes before the command line, which can say where it is. */
static void take_config(struct opts *o, enum program program, int argc, char **argv)
{
	struct getopt_args g;
	int key;

	opt_getopt_args(&g, program);
	opterr = 0;
	optind = 0;
	while ((key = getopt_long(argc, argv, g.shorts, g.longs, NULL)) != -1) {
		const struct opt_def *d = opt_of(program, key);

		if (d && !strcmp(d->name, "config"))
			o->config = optarg;
		/* what only prints something needs no settings */
		if (d && (!strcmp(d->name, "no-config") || d->kind >= OPT_HELP))
			o->no_config = true;
	}
	opts_config(o);
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

static int check_together(struct opts *o, enum program program)
{
	const char *why = opts_conflict(o, program);

	if (why) {
		log_msg(LOG_ERROR, "%s", why);
		return usage_error();
	}
	/* only now, as some are told apart by having been given */
	o->interval_ns = o->interval_ns ? o->interval_ns : INTERVAL_NS;
	o->keep_size = o->keep_size ? o->keep_size : KEEP_SIZE;
	/* half an answer is of no use to who is about to unbind the device */
	if (o->before_unbind && !o->pins_ns)
		o->pins_ns = PINS_UNBIND_NS;
	o->exit_code |= o->before_unbind != NULL;
	o->ring_bytes = o->ring_bytes ? o->ring_bytes : RING_SIZE;
	o->max_waits = o->max_waits ? o->max_waits : MAX_WAITS;
	o->max_pins = o->max_pins ? o->max_pins : MAX_PINS;
	o->max_stacks = o->max_stacks ? o->max_stacks : MAX_STACKS;
	/* a recording is read as fast as it can be, unless a pace is asked for */
	if (!o->delay_ns && !o->read)
		o->delay_ns = DELAY_NS;
	return OPTS_RUN;
}

int opts_parse(struct opts *o, enum program program, int argc, char **argv)
{
	struct getopt_args g;
	int key, status = OPTS_RUN;

	memset(o, 0, sizeof(*o));
	o->search_ns = SEARCH_NS;
	o->pins_ns = program == DAXTOP ? PINS_TOP_NS : 0;
	o->stacks = program == DAXTOP ? STACKS_BOTH : STACKS_NONE;
	if (program == DAXTOP)
		take_config(o, program, argc, argv);
	opt_getopt_args(&g, program);
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
	return status == OPTS_RUN ? check_together(o, program) : status;
}
