// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "util/std.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <daxtop/collect.h>

#include "util/log.h"

void std_occupy(void)
{
	int fd;

	do
		fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
	while (fd >= 0 && fd < 3);
	if (fd >= 3)
		close(fd);
}

int std_close(int status)
{
	int failed = ferror(stdout);

	if ((!fclose(stdout) && !failed) || status == STATUS_ERROR)
		return status;
	log_msg(LOG_ERROR, "the output is incomplete: %s", strerror(errno ? errno : EIO));
	return STATUS_ERROR;
}
