/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * JSON made of kernel strings and numbers, for the document and for recordings.
 *
 * set() and append() take over the value and give up when it is NULL, so a failed allocation
 * anywhere makes the whole of it NULL.
 */
#ifndef UTIL_JSON_BUILD_H
#define UTIL_JSON_BUILD_H

#include <jansson.h>

#include <daxtop/types.h>

#include "util/text.h"

/* Any bytes as valid UTF-8, see text_utf8(); null for NULL. */
static inline json_t *text(const char *s)
{
	struct strbuf sb = { 0 };
	json_t *j;

	if (!s)
		return json_null();
	sb_puts(&sb, "");
	text_utf8(&sb, s);
	j = sb.failed ? NULL : json_string(sb.s);
	sb_free(&sb);
	return j;
}

/* "0x...": more than JSON's readers keep in a number. */
static inline json_t *address(u64 n)
{
	char s[24];

	snprintf(s, sizeof(s), "0x%llx", (unsigned long long)n);
	return json_string(s);
}

/* Keys keep the order in which they are set. */
static inline void set(json_t **object, const char *key, json_t *value)
{
	if (!json_object_set_new(*object, key, value))
		return;
	json_decref(*object);
	*object = NULL;
}

static inline void append(json_t **array, json_t *item)
{
	if (!json_array_append_new(*array, item))
		return;
	json_decref(*array);
	*array = NULL;
}

#endif
