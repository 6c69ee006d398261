/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* A string that grows. A failed allocation sticks, so that callers check once, at the end. */
#ifndef UTIL_STRBUF_H
#define UTIL_STRBUF_H

#include <stdbool.h>
#include <stddef.h>

struct strbuf {
	char *s; /* NUL-terminated once something was added */
	size_t len, cap;
	bool failed; /* out of memory: the content is incomplete */
};

void sb_add(struct strbuf *sb, const char *s, size_t len);
void sb_puts(struct strbuf *sb, const char *s);
void sb_putc(struct strbuf *sb, char c);

__attribute__((format(printf, 2, 3))) void sb_printf(struct strbuf *sb, const char *fmt, ...);

/* Empties sb and keeps its memory for the next string; s is then "" unless memory ran out. */
void sb_reset(struct strbuf *sb);

/* Hands the string over to the caller, who frees it, and empties sb. NULL without memory. */
char *sb_take(struct strbuf *sb);

void sb_free(struct strbuf *sb);

#endif
