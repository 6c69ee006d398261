// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "util/text.h"

#include "util/clock.h"

struct range {
	u32 first, last;
};

/* Code points that are valid but lie about what is printed. */
static const struct range deceptive[] = {
	{ 0x80, 0x9f },       /* C1 controls: CSI, OSC, ... */
	{ 0xad, 0xad },       /* soft hyphen */
	{ 0x61c, 0x61c },     /* Arabic letter mark */
	{ 0x180e, 0x180e },   /* Mongolian vowel separator */
	{ 0x200b, 0x200f },   /* zero width, direction marks */
	{ 0x2028, 0x202e },   /* line separators, bidi embeddings and overrides */
	{ 0x2060, 0x206f },   /* word joiner, bidi isolates, deprecated format characters */
	{ 0xfeff, 0xfeff },   /* byte order mark */
	{ 0xfff9, 0xfffb },   /* interlinear annotation */
	{ 0xe0000, 0xe0fff }, /* tags */
};

static const struct range wide[] = {
	{ 0x1100, 0x115f }, { 0x2e80, 0xa4cf },   { 0xac00, 0xd7a3 },
	{ 0xf900, 0xfaff }, { 0xfe30, 0xfe6f },   { 0xff00, 0xff60 },
	{ 0xffe0, 0xffe6 }, { 0x1f300, 0x1faff }, { 0x20000, 0x3fffd },
};

/* What is drawn over the character before it. */
static const struct range combining[] = {
	{ 0x300, 0x36f },   { 0x483, 0x489 },   { 0x591, 0x5bd },   { 0x610, 0x61a },
	{ 0x64b, 0x65f },   { 0x6d6, 0x6dc },   { 0x900, 0x902 },   { 0x93c, 0x93c },
	{ 0x941, 0x948 },   { 0xe31, 0xe31 },   { 0xe34, 0xe3a },   { 0xe47, 0xe4e },
	{ 0x1ab0, 0x1aff }, { 0x1dc0, 0x1dff }, { 0x20d0, 0x20ff }, { 0xfe00, 0xfe0f },
	{ 0xfe20, 0xfe2f },
};

static bool in_ranges(u32 cp, const struct range *r, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (cp >= r[i].first && cp <= r[i].last)
			return true;
	return false;
}

#define IN(cp, ranges) in_ranges(cp, ranges, sizeof(ranges) / sizeof((ranges)[0]))

static size_t sequence_length(u8 lead)
{
	if (lead < 0x80)
		return 1;
	if (lead >= 0xc2 && lead <= 0xdf)
		return 2;
	if (lead >= 0xe0 && lead <= 0xef)
		return 3;
	if (lead >= 0xf0 && lead <= 0xf4)
		return 4;
	return 0;
}

size_t text_decode(const char *s, u32 *cp)
{
	static const u32 smallest[] = { 0, 0, 0x80, 0x800, 0x10000 };
	const u8 *p = (const u8 *)s;
	size_t n = sequence_length(p[0]);
	u32 c = n > 1 ? p[0] & (0x7f >> n) : p[0];

	/* A NUL is no continuation byte, so this never reads past the end. */
	for (size_t i = 1; i < n; i++) {
		if ((p[i] & 0xc0) != 0x80)
			return 0;
		c = c << 6 | (p[i] & 0x3f);
	}
	if (c < smallest[n] || c > 0x10ffff || (c >= 0xd800 && c <= 0xdfff))
		return 0;
	*cp = c;
	return n;
}

static void add_byte(struct strbuf *sb, char c)
{
	sb_printf(sb, "\\x%02x", (u8)c);
}

void text_visible(struct strbuf *sb, const char *s)
{
	while (*s) {
		u32 cp;
		size_t n = text_decode(s, &cp);

		if (!n || cp < 0x20 || cp == 0x7f)
			add_byte(sb, *s);
		else if (cp == '\\')
			sb_puts(sb, "\\\\");
		else if (IN(cp, deceptive))
			sb_printf(sb, "\\u{%04x}", cp);
		else
			sb_add(sb, s, n);
		s += n ? n : 1;
	}
}

void text_utf8(struct strbuf *sb, const char *s)
{
	while (*s) {
		u32 cp;
		size_t n = text_decode(s, &cp);

		if (n)
			sb_add(sb, s, n);
		else
			add_byte(sb, *s);
		s += n ? n : 1;
	}
}

void text_duration(struct strbuf *sb, u64 ns)
{
	unsigned long long s = ns / NSEC_PER_SEC, m = s / 60, h = m / 60;

	if (!s)
		sb_printf(sb, "%llums", ns / NSEC_PER_MSEC);
	else if (!m)
		sb_printf(sb, "%llu.%llus", s, ns % NSEC_PER_SEC / (NSEC_PER_SEC / 10));
	else if (!h)
		sb_printf(sb, "%llum%02llus", m, s % 60);
	else if (h < 24)
		sb_printf(sb, "%lluh%02llum", h, m % 60);
	else
		sb_printf(sb, "%llud%02lluh", h / 24, h % 24);
}

bool text_date(struct strbuf *sb, s64 sec, s32 ms, s32 utc_offset)
{
	unsigned int minutes = utc_offset < 0 ? -(s64)utc_offset / 60 : utc_offset / 60;
	char date[64];
	s64 local;
	time_t t;
	struct tm tm;

	if (minutes >= 24 * 60 || __builtin_add_overflow(sec, utc_offset, &local))
		return false;
	t = local;
	if (!gmtime_r(&t, &tm) || !strftime(date, sizeof(date), "%Y-%m-%dT%H:%M:%S", &tm))
		return false;
	sb_puts(sb, date);
	if (ms >= 0 && ms < 1000)
		sb_printf(sb, ".%03d", ms);
	sb_printf(sb, "%c%02u:%02u", utc_offset < 0 ? '-' : '+', minutes / 60, minutes % 60);
	return true;
}

size_t text_columns(u32 cp)
{
	if (IN(cp, combining))
		return 0;
	return IN(cp, wide) ? 2 : 1;
}

size_t text_width(const char *s)
{
	size_t w = 0;
	u32 cp;

	for (size_t n; *s && (n = text_decode(s, &cp)); s += n)
		w += text_columns(cp);
	return w;
}

size_t text_fit(const char *s, size_t room)
{
	size_t at = 0, space = 0, w = 0, n;
	u32 cp;

	for (; s[at]; at += n) {
		n = text_decode(s + at, &cp);
		w += text_columns(cp);
		if (s[at] == ' ' && at && w <= room + 1)
			space = at;
		if (w > room)
			return space ? space : (at ? at : n);
	}
	return at;
}

static void wrap_visible(FILE *out, const char *first, const char *rest, const char *s)
{
	const char *prefix = first;

	do {
		size_t used = text_width(prefix);
		size_t n = text_fit(s, used < TEXT_WIDTH ? TEXT_WIDTH - used : 1);

		fprintf(out, "%s%.*s\n", prefix, (int)n, s);
		s += n;
		if (*s == ' ')
			s++;
		prefix = rest;
	} while (*s);
}

/* The whole of s made visible, malloc'ed; NULL without memory. */
static char *visible_text(const char *s)
{
	struct strbuf sb = { 0 };

	text_visible(&sb, s);
	return sb_take(&sb);
}

int text_wrap(FILE *out, const char *first, const char *rest, const char *s)
{
	char *visible = visible_text(s);

	if (!visible)
		return -ENOMEM;
	wrap_visible(out, first, rest, visible);
	free(visible);
	return 0;
}

int text_line(FILE *out, const char *first, const char *s)
{
	char *visible = visible_text(s);

	if (!visible)
		return -ENOMEM;
	fprintf(out, "%s%s\n", first, visible);
	free(visible);
	return 0;
}
