// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* daxtop: who blocks whom on DAX files, live. Wiring only: the loop is src/live. */
#include <signal.h>

#include "live/live.h"
#include "util/std.h"

int main(int argc, char **argv)
{
	struct opts o;
	int status;

	std_occupy();
	signal(SIGPIPE, SIG_IGN);
	status = opts_parse(&o, DAXTOP, argc, argv);
	if (status == OPTS_RUN)
		status = live_run(&o);
	return std_close(status);
}
