/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Text for people: the one sanitiser for strings that go to a terminal or a ticket, the one that
 * makes any byte string valid UTF-8 (for JSON), durations, dates and line wrapping.
 */
#ifndef UTIL_TEXT_H
#define UTIL_TEXT_H

#include <stdio.h>

#include <daxtop/types.h>

#include "util/strbuf.h"

#define TEXT_WIDTH 80 /* columns of a line */

/* Bytes of the valid UTF-8 sequence at s (1 to 4) with *cp its code point; 0 when it is none. */
size_t text_decode(const char *s, u32 *cp);

/* Columns that a code point takes on a terminal: 0 when it is drawn over the one before, 1 or 2. */
size_t text_columns(u32 cp);

/* Columns of valid UTF-8; what follows an invalid byte is not counted. */
size_t text_width(const char *s);

/*
 * Bytes of s, valid UTF-8, that go on a line of room columns: up to a space where there is one, at
 * least one character.
 */
size_t text_fit(const char *s, size_t room);

/*
 * Appends s with everything that could move the cursor, hide or reorder text made visible:
 * controls, DEL and bytes that are not UTF-8 as \xNN, C1 controls and invisible or bidirectional
 * format characters as \u{NNNN}, a backslash as two.
 */
void text_visible(struct strbuf *sb, const char *s);

/* Appends s as valid UTF-8: bytes that are not become the four characters \xNN. */
void text_utf8(struct strbuf *sb, const char *s);

/* Appends a duration: 412ms 2.3s 14m14s 3h05m 2d04h. */
void text_duration(struct strbuf *sb, u64 ns);

/*
 * Appends a date as ISO 8601, 2026-03-02T03:12:51.315+00:00, for seconds since the epoch and
 * seconds east of UTC; ms outside 0..999 leaves the fraction out. false when there is no such date.
 */
bool text_date(struct strbuf *sb, s64 sec, s32 ms, s32 utc_offset);

/*
 * Prints s, made visible, after the prefix first, in lines of at most TEXT_WIDTH columns; each
 * further line starts with the prefix rest. Longer words are broken. 0 or -ENOMEM; errors of
 * the stream stick in the stream.
 */
int text_wrap(FILE *out, const char *first, const char *rest, const char *s);

/* As text_wrap(), on one line however long: for commands, which are copied from the screen. */
int text_line(FILE *out, const char *first, const char *s);

#endif
