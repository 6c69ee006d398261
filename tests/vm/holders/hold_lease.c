// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Has a lease of a file and does not give it back when it is asked to.
 *
 * usage: hold_lease read|write FILE
 */
#define _GNU_SOURCE
#include "common.h"

#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

int main(int argc, char **argv)
{
	bool writes;
	int fd;

	if (argc != 3)
		exit(2);
	writes = !strcmp(argv[1], "write");
	/* the kernel asks by this signal */
	signal(SIGIO, SIG_IGN);
	fd = open(argv[2], writes ? O_RDWR : O_RDONLY);
	need(fd >= 0, argv[2]);
	need(!fcntl(fd, F_SETLEASE, writes ? F_WRLCK : F_RDLCK), "F_SETLEASE");
	say("READY {\"how\": \"lease\", \"pid\": %d, \"tid\": %d}", initial_pid(), initial_tid());
	hear();
	return 0;
}
