// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Maps a DAX file, touches all of it, and then does what it is told on stdin:
 *   touch INDEX     store to the page again, so that it is mapped again
 *   drop            unmap the file
 *
 * usage: hold_map [--read|--untouched] FILE
 * --read only loads from the pages, --untouched leaves them alone.
 */
#include "common.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int main(int argc, char **argv)
{
	struct dax_map map;
	const char *line;
	size_t index;

	if (argc == 2)
		map = map_dax(argv[1]);
	else if (argc == 3 && !strcmp(argv[1], "--read"))
		map = map_dax_readonly(argv[2]);
	else if (argc == 3 && !strcmp(argv[1], "--untouched"))
		map = map_dax_untouched(argv[2]);
	else
		exit(2);
	say("READY {\"how\": \"mapping\", \"pid\": %d, \"tid\": %d}", initial_pid(), initial_tid());
	while ((line = hear()) && *line) {
		if (sscanf(line, "touch %zu", &index) == 1)
			touch(&map, index);
		else if (!strcmp(line, "drop"))
			unmap(&map);
		say("OK");
	}
	return 0;
}
