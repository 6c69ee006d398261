// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "util/base64.h"

#include <string.h>

static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

void base64_encode(struct strbuf *sb, const void *data, size_t len)
{
	const u8 *p = data;

	for (size_t i = 0; i < len; i += 3) {
		size_t n = len - i < 3 ? len - i : 3;
		u32 bits = p[i] << 16 | (n > 1 ? p[i + 1] << 8 : 0) | (n > 2 ? p[i + 2] : 0);

		for (size_t digit = 0; digit < 4; digit++)
			sb_putc(sb, digit <= n ? digits[bits >> (18 - 6 * digit) & 63] : '=');
	}
}

/* Value of a digit, or -1; strchr() finds the terminator too. */
static int digit_value(char c)
{
	const char *at = c ? strchr(digits, c) : NULL;

	return at ? at - digits : -1;
}

/* Appends the bytes of four digits, the last n of which are padding. */
static bool decode_four(struct strbuf *sb, const char *four, size_t padding)
{
	u32 bits = 0;

	for (size_t i = 0; i < 4; i++) {
		int value = i < 4 - padding ? digit_value(four[i]) : 0;

		if (value < 0)
			return false;
		bits = bits << 6 | value;
	}
	for (size_t i = 0; i < 3 - padding; i++)
		sb_putc(sb, bits >> (16 - 8 * i));
	return true;
}

bool base64_decode(struct strbuf *sb, const char *text)
{
	size_t len = strlen(text), padding = 0;

	if (len % 4)
		return false;
	while (padding < 2 && padding < len && text[len - 1 - padding] == '=')
		padding++;
	for (size_t i = 0; i < len; i += 4)
		if (!decode_four(sb, text + i, i + 4 == len ? padding : 0))
			return false;
	return true;
}
