/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#ifndef VIEW_STREAM_H
#define VIEW_STREAM_H

#include <errno.h>
#include <stdio.h>

/* Flushes; 0, or -errno of the first error that the stream met, -EIO when it is forgotten. */
static inline int stream_finish(FILE *out)
{
	errno = 0;
	if (!fflush(out) && !ferror(out))
		return 0;
	return errno ? -errno : -EIO;
}

#endif
