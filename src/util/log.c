// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "util/log.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>

#include "util/text.h"

static int max_level = LOG_ERROR;

void log_set_level(int level)
{
	max_level = level;
}

static void tell(const char *s)
{
	char first[32];

	snprintf(first, sizeof(first), "%s: ", program_invocation_short_name);
	text_wrap(stderr, first, "  ", s);
}

void log_msg(enum log_level level, const char *fmt, ...)
{
	char line[1024];
	va_list ap;

	if ((int)level > max_level)
		return;
	va_start(ap, fmt);
	vsnprintf(line, sizeof(line), fmt, ap);
	va_end(ap);
	tell(line);
}

void log_refusal(const char *cause, const char *consequence, const char *command)
{
	tell(cause);
	if (*consequence)
		text_wrap(stderr, "  without it: ", "    ", consequence);
	if (*command)
		text_line(stderr, "  run:  ", command);
}
