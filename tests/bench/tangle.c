// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * usage: tangle forest|behind|circle TASKS
 *
 * What it costs to link and to diagnose a wait-for graph with so many tasks: ten trees and a circle
 * in a circle, or all of them waiters: one behind the other and the last two in a circle, or all in
 * one. Prints both median processor times in microseconds, and how many lines the report has.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <daxtop/view.h>

#include "../unit/tangle.h"
#include "median.h"

enum { RUNS = 21 };

static u64 now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &ts);
	return ts.tv_sec * 1000000000ULL + ts.tv_nsec;
}

static u32 report_lines(const struct wfg *g, const struct findings *f)
{
	const struct view_opts opts = { .stacks = STACKS_NONE };
	char *text = NULL;
	size_t len = 0;
	FILE *out = open_memstream(&text, &len);
	u32 lines = 0;

	if (!out || view_report(out, g, f, &opts))
		exit(1);
	fclose(out);
	for (size_t i = 0; i < len; i++)
		lines += text[i] == '\n';
	free(text);
	return lines;
}

int main(int argc, char **argv)
{
	static u64 link[RUNS], explain[RUNS];
	u32 tasks = argc > 2 ? strtoul(argv[2], NULL, 0) : 10000, lines = 0;
	const char *kind = argc > 1 ? argv[1] : "forest";

	for (int i = 0; i < RUNS; i++) {
		struct wfg *g = wfg_new();
		struct findings f;
		u64 start, linked;

		if (!g)
			return 1;
		if (!strcmp(kind, "behind"))
			tangle_behind(g, tasks);
		else if (!strcmp(kind, "circle"))
			tangle_circle(g, tasks);
		else
			tangle_forest(g, tasks);
		start = now_ns();
		if (wfg_link(g))
			return 1;
		linked = now_ns();
		if (diagnose(g, &f))
			return 1;
		link[i] = linked - start;
		explain[i] = now_ns() - linked;
		lines = report_lines(g, &f);
		findings_free(&f);
		wfg_free(g);
	}
	printf("%llu %llu %u\n", (unsigned long long)median_us(link, RUNS),
	       (unsigned long long)median_us(explain, RUNS), lines);
	return 0;
}
