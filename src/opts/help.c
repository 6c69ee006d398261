// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "opts/parts.h"

#include <string.h>

static void print_option(FILE *out, const struct opt_def *d)
{
	static const char *const before[] = { "", "[=", " " }, *const after[] = { "", "]", "" };
	char left[64], letter[8] = "    ";

	if (d->letter)
		snprintf(letter, sizeof(letter), "-%c, ", d->letter);
	snprintf(left, sizeof(left), "%s--%s%s%s%s", letter, d->name, before[d->arg],
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
	fprintf(out, "Usage: %s [OPTION]... [PATH]...%s\n\n%s", program_name(program),
		program == DAXTRACE ? " [-- COMMAND [ARG]...]" : "",
		program == DAXTOP ? top_purpose : trace_purpose);
	for (const char *const *group = opt_groups; *group; group++)
		print_group(out, program, *group);
	fprintf(out, "%s%s\n", statuses, program == DAXTRACE ? trace_statuses : "");
}
