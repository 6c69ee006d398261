// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "util/strbuf.h"

/* Room for len more bytes and a NUL. */
static bool reserve(struct strbuf *sb, size_t len)
{
	size_t cap = sb->cap ? sb->cap : 64;
	char *bigger;

	if (sb->failed || len > SIZE_MAX / 4 - sb->len)
		goto failed;
	while (cap - sb->len <= len)
		cap *= 2;
	if (cap == sb->cap)
		return true;
	bigger = realloc(sb->s, cap);
	if (!bigger)
		goto failed;
	sb->s = bigger;
	sb->cap = cap;
	return true;
failed:
	sb->failed = true;
	return false;
}

void sb_add(struct strbuf *sb, const char *s, size_t len)
{
	if (!reserve(sb, len))
		return;
	memcpy(sb->s + sb->len, s, len);
	sb->len += len;
	sb->s[sb->len] = '\0';
}

void sb_puts(struct strbuf *sb, const char *s)
{
	sb_add(sb, s, strlen(s));
}

void sb_putc(struct strbuf *sb, char c)
{
	sb_add(sb, &c, 1);
}

void sb_printf(struct strbuf *sb, const char *fmt, ...)
{
	va_list args, again;
	int len;

	va_start(args, fmt);
	va_copy(again, args);
	len = vsnprintf(NULL, 0, fmt, args);
	va_end(args);
	if (len < 0)
		sb->failed = true;
	else if (reserve(sb, len))
		sb->len += vsnprintf(sb->s + sb->len, (size_t)len + 1, fmt, again);
	va_end(again);
}

void sb_reset(struct strbuf *sb)
{
	sb->len = 0;
	sb->failed = false;
	sb_add(sb, "", 0);
}

char *sb_take(struct strbuf *sb)
{
	char *s;

	sb_add(sb, "", 0);
	s = sb->failed ? NULL : sb->s;
	if (sb->failed)
		free(sb->s);
	*sb = (struct strbuf){ 0 };
	return s;
}

void sb_free(struct strbuf *sb)
{
	free(sb->s);
	*sb = (struct strbuf){ 0 };
}
