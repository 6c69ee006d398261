/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The lines of a file that may be gzip'ed, up to the byte where it is damaged. */
#ifndef RECORD_LINES_H
#define RECORD_LINES_H

#include <stddef.h>

#include <daxtop/types.h>

struct lines;

/* NULL with errno. */
struct lines *lines_open(const char *path);

enum {
	LINE_END = 0,  /* the file ends behind the last line */
	LINE_READ = 1, /* *line is one, with *len bytes, without its newline; NUL-terminated */
	LINE_CUT,      /* the file ends within a line, or within what is packed */
	LINE_DAMAGED,  /* what is packed makes no sense */
	LINE_LONG,     /* longer than RECORDING_LINE_MAX */
};

/* One of the above or -errno; *line is valid until the next call. */
int lines_next(struct lines *l, char **line, size_t *len);

/* Number of the line that was read last, from 1. */
u64 lines_number(const struct lines *l);
void lines_close(struct lines *l);

#endif
