/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#ifndef BENCH_NEED_H
#define BENCH_NEED_H

#include <stdio.h>
#include <stdlib.h>

/* Ends the program, with errno's message, unless something worked. */
static inline void need(int ok, const char *what)
{
	if (ok)
		return;
	perror(what);
	exit(1);
}

#endif
