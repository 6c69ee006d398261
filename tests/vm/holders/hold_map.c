// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Maps a DAX file, touches all of it, and then does what it is told on stdin:
 *   touch INDEX     store to the page again, so that it is mapped again
 *   drop            unmap the file
 *
 * usage: hold_map [--read|--untouched|--sync|--thread] FILE
 * --read only loads from the pages, --untouched leaves them alone; so does --sync, with MAP_SYNC.
 * --thread: the thread group's leader exits, and another thread goes on.
 */
#include "common.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct dax_map map;

static void *obey(void *leader)
{
	const char *line;
	size_t index;

	if (leader)
		pthread_join(*(pthread_t *)leader, NULL);
	say("READY {\"how\": \"mapping\", \"pid\": %d, \"tid\": %d}", initial_pid(), initial_tid());
	while ((line = hear()) && *line) {
		if (sscanf(line, "touch %zu", &index) == 1)
			touch(&map, index);
		else if (!strcmp(line, "drop"))
			unmap(&map);
		say("OK");
	}
	exit(0);
}

static void leave_to_thread(void)
{
	static pthread_t leader;
	pthread_t thread;

	leader = pthread_self();
	need(!pthread_create(&thread, NULL, obey, &leader), "pthread_create");
	pthread_exit(NULL);
}

int main(int argc, char **argv)
{
	if (argc == 2 || (argc == 3 && !strcmp(argv[1], "--thread")))
		map = map_dax(argv[argc - 1]);
	else if (argc == 3 && !strcmp(argv[1], "--read"))
		map = map_dax_readonly(argv[2]);
	else if (argc == 3 && !strcmp(argv[1], "--untouched"))
		map = map_dax_untouched(argv[2]);
	else if (argc == 3 && !strcmp(argv[1], "--sync"))
		map = map_dax_synced(argv[2]);
	else
		exit(2);
	if (!strcmp(argv[1], "--thread"))
		leave_to_thread();
	obey(NULL);
}
