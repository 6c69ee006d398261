// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include <daxtop/collect.h>

#include <stdarg.h>
#include <stdio.h>

int refuse(struct refusal *r, int status, const char *consequence, const char *command,
	   const char *cause_fmt, ...)
{
	va_list ap;

	r->status = status;
	va_start(ap, cause_fmt);
	vsnprintf(r->cause, sizeof(r->cause), cause_fmt, ap);
	va_end(ap);
	snprintf(r->consequence, sizeof(r->consequence), "%s", consequence);
	snprintf(r->command, sizeof(r->command), "%s", command);
	return -1;
}
