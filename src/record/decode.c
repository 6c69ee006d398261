// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* A recording may come from anywhere: every value is checked before it becomes a fact. */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "record/codec.h"
#include "record/fields.h"
#include "util/base64.h"
#include "util/json_build.h"

#define RAW_SUFFIX "_b64"

__attribute__((format(printf, 2, 3))) static int refuse_value(struct decoder *d, const char *fmt,
							      ...)
{
	va_list args;

	va_start(args, fmt);
	vsnprintf(d->reason, sizeof(d->reason), fmt, args);
	va_end(args);
	return -EPROTO;
}

static int wrong(struct decoder *d, const struct field *f, const char *wanted)
{
	return refuse_value(d, "%s is not %s", f->name, wanted);
}

static int decode_hex(const json_t *j, u64 *value)
{
	const char *s = json_string_value(j);
	char *end;

	if (!s || strncmp(s, "0x", 2) != 0 || strlen(s) > 18 ||
	    s[2 + strspn(s + 2, "0123456789abcdef")] || !s[2])
		return -EPROTO;
	*value = strtoull(s, &end, 16);
	return 0;
}

static int decode_integer(struct decoder *d, const struct field *f, const json_t *j, s64 min,
			  s64 max, void *base)
{
	if (!json_is_integer(j) || json_integer_value(j) < min || json_integer_value(j) > max)
		return wrong(d, f, "a number in its range");
	field_store(f, base, json_integer_value(j));
	return 0;
}

static int decode_u64(struct decoder *d, const struct field *f, const json_t *j, void *base)
{
	u64 value;

	if (f->kind == FIELD_U64 && json_is_integer(j))
		return decode_integer(d, f, j, 0, INT64_MAX, base);
	if (decode_hex(j, &value))
		return wrong(d, f, "a string \"0x...\" of at most 16 digits");
	field_store(f, base, value);
	return 0;
}

static int decode_word(struct decoder *d, const struct field *f, const json_t *j, void *base)
{
	const char *word = json_string_value(j);
	u32 value = 0;

	if (!word)
		return wrong(d, f, "a string");
	while (value < f->words->n && strcmp(word, f->words->name(value)) != 0)
		value++;
	if (value == f->words->n) {
		d->unknown++;
		value = f->words->unknown;
	}
	field_store(f, base, value);
	return 0;
}

static int decode_bool(struct decoder *d, const struct field *f, const json_t *j, void *base)
{
	if (!json_is_boolean(j))
		return wrong(d, f, "true or false");
	field_store(f, base, json_is_true(j));
	return 0;
}

static int decode_letter(struct decoder *d, const struct field *f, const json_t *j, void *base)
{
	const char *s = json_string_value(j);

	if (!s || !s[0] || s[1] || (u8)s[0] > 0x7e || (u8)s[0] <= ' ')
		return wrong(d, f, "a letter");
	field_store(f, base, s[0]);
	return 0;
}

/* The raw bytes beside a text, or the text itself. NULL for a NULL; 0 or -errno. */
static int decode_string(struct decoder *d, const struct field *f, const json_t *j,
			 const json_t *raw, const char **ret)
{
	struct strbuf sb = { 0 };
	int err = 0;

	*ret = NULL;
	if ((j && !json_is_null(j) && !json_is_string(j)) ||
	    (raw && !json_is_null(raw) && !json_is_string(raw)))
		return wrong(d, f, "a string");
	if (!json_is_string(raw)) {
		*ret = json_string_value(j);
		return 0;
	}
	sb_puts(&sb, "");
	if (!base64_decode(&sb, json_string_value(raw)))
		err = refuse_value(d, "%s" RAW_SUFFIX " is no Base64", f->name);
	else if (sb.failed)
		err = -ENOMEM;
	*ret = sb.s;
	err = err ? err : arena_keep(&d->arena, ret);
	sb_free(&sb);
	return err;
}

static int decode_comm(struct decoder *d, const struct field *f, const json_t *j, const json_t *raw,
		       char *comm)
{
	const char *s;
	int err = decode_string(d, f, j, raw, &s);

	if (!err && s && strlen(s) > FACT_COMM_LEN)
		return wrong(d, f, "a name of at most 16 bytes");
	if (!err && s)
		memcpy(comm, s, strlen(s));
	return err;
}

static int decode_frames(struct decoder *d, const struct field *f, const json_t *j,
			 const json_t *raw, struct fact_stack *stack)
{
	size_t n = json_array_size(j);
	const char **frames;
	int err = 0;

	if (!json_is_array(j) || n > FACT_STACK_MAX ||
	    (raw && (!json_is_array(raw) || json_array_size(raw) != n)))
		return wrong(d, f, "an array of at most 64 strings");
	frames = arena_alloc(&d->arena, n + 1, sizeof(*frames));
	if (!frames)
		return -ENOMEM;
	for (size_t i = 0; i < n && !err; i++)
		err = decode_string(d, f, json_array_get(j, i), json_array_get(raw, i), &frames[i]);
	stack->frames = frames;
	stack->n = n;
	return err;
}

static int decode_hex6(struct decoder *d, const struct field *f, const json_t *j, u64 *args)
{
	if (!json_is_array(j) || json_array_size(j) != 6)
		return wrong(d, f, "an array of 6 strings \"0x...\"");
	for (size_t i = 0; i < 6; i++)
		if (decode_hex(json_array_get(j, i), &args[i]))
			return wrong(d, f, "an array of 6 strings \"0x...\"");
	return 0;
}

static int decode_fields(struct decoder *d, const json_t *object, const struct field *fields,
			 void *base);

static int decode_releasers(struct decoder *d, const struct field *f, const json_t *j,
			    struct releaser_list *ret)
{
	size_t n = json_array_size(j);
	struct fact_releaser *list;
	int err = 0;

	if (!json_is_array(j))
		return wrong(d, f, "an array");
	list = arena_alloc(&d->arena, n + 1, sizeof(*list));
	if (!list)
		return -ENOMEM;
	for (size_t i = 0; i < n && !err; i++) {
		const json_t *item = json_array_get(j, i);

		err = json_is_object(item) ? decode_fields(d, item, releaser_fields, &list[i]) :
					     wrong(d, f, "an array of objects");
	}
	ret->v = list;
	ret->n = n;
	return err;
}

/* A value that is there, or the raw bytes of one. */
static int decode_field(struct decoder *d, const struct field *f, const json_t *j,
			const json_t *raw, void *base)
{
	void *at = (char *)base + f->offset;

	switch (f->kind) {
	case FIELD_TEXT:
		return decode_string(d, f, j, raw, at);
	case FIELD_COMM:
		return decode_comm(d, f, j, raw, at);
	case FIELD_LETTER:
		return decode_letter(d, f, j, base);
	case FIELD_BOOL:
		return decode_bool(d, f, j, base);
	case FIELD_U32:
		return decode_integer(d, f, j, 0, UINT32_MAX, base);
	case FIELD_S32:
		return decode_integer(d, f, j, INT32_MIN, INT32_MAX, base);
	case FIELD_S64:
		return decode_integer(d, f, j, INT64_MIN, INT64_MAX, base);
	case FIELD_U64:
	case FIELD_HEX:
		return decode_u64(d, f, j, base);
	case FIELD_HEX6:
		return decode_hex6(d, f, j, at);
	case FIELD_WORD:
		return decode_word(d, f, j, base);
	case FIELD_FRAMES:
		return decode_frames(d, f, j, raw, at);
	case FIELD_RELEASERS:
		return decode_releasers(d, f, j, at);
	}
	return -EPROTO;
}

static const json_t *raw_of(const json_t *object, const struct field *f)
{
	char name[64];

	snprintf(name, sizeof(name), "%s" RAW_SUFFIX, f->name);
	return json_object_get(object, name);
}

static bool holds_integer(const struct field *f)
{
	return f->kind >= FIELD_LETTER && f->kind != FIELD_HEX6 && f->kind < FIELD_FRAMES;
}

/* base is zeroed. */
static int decode_fields(struct decoder *d, const json_t *object, const struct field *fields,
			 void *base)
{
	int err = 0;

	for (const struct field *f = fields; f->name && !err; f++) {
		const json_t *j = json_object_get(object, f->name), *raw = raw_of(object, f);

		if (j && !json_is_null(j))
			err = decode_field(d, f, j, raw, base);
		else if (f->required)
			err = refuse_value(d, "%s is missing", f->name);
		else if (holds_integer(f))
			field_store(f, base, f->absent);
	}
	return err;
}

static bool is_field(const struct field *fields, const char *key, size_t len)
{
	for (const struct field *f = fields; f->name; f++)
		if (strlen(f->name) == len && !strncmp(f->name, key, len))
			return true;
	return false;
}

static bool is_known(const struct record_type *t, const char *key)
{
	size_t len = strlen(key), suffix = strlen(RAW_SUFFIX);

	if (!strcmp(key, "type") || is_field(common_fields, key, len) ||
	    is_field(t->fields, key, len))
		return true;
	return len > suffix && !strcmp(key + len - suffix, RAW_SUFFIX) &&
	       is_field(t->fields, key, len - suffix);
}

static void count_unknown(struct decoder *d, const json_t *object, const struct record_type *t)
{
	/* jansson iterates over a constant object, but does not say so */
	json_t *j = (json_t *)object, *value;
	const char *key;

	json_object_foreach(j, key, value) d->unknown += !is_known(t, key);
}

int fact_decode(struct decoder *d, const json_t *object, const char *type, struct fact *fact)
{
	const struct record_type *t = record_types;
	int err;

	arena_free(&d->arena);
	while (t->name && strcmp(t->name, type) != 0)
		t++;
	if (!t->name)
		return 0;
	memset(fact, 0, sizeof(*fact));
	fact->type = t->type;
	err = decode_fields(d, object, common_fields, fact);
	err = err ? err : decode_fields(d, object, t->fields, fact);
	if (!err)
		count_unknown(d, object, t);
	return err ? err : 1;
}

void decoder_free(struct decoder *d)
{
	arena_free(&d->arena);
}
