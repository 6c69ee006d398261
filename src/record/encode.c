// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "record/codec.h"
#include "record/fields.h"
#include "util/base64.h"
#include "util/json_build.h"

static bool is_utf8(const char *s)
{
	u32 cp;

	for (size_t n; *s; s += n) {
		n = text_decode(s, &cp);
		if (!n)
			return false;
	}
	return true;
}

static json_t *base64(const char *s)
{
	struct strbuf sb = { 0 };
	json_t *j;

	if (!s)
		return json_null();
	sb_puts(&sb, "");
	base64_encode(&sb, s, strlen(s));
	j = sb.failed ? NULL : json_string(sb.s);
	sb_free(&sb);
	return j;
}

/* Under the name of the field, with _b64: the bytes themselves. */
static void set_raw(json_t **j, const struct field *f, json_t *raw)
{
	char name[64];

	snprintf(name, sizeof(name), "%s_b64", f->name);
	set(j, name, raw);
}

static void encode_text(json_t **j, const struct field *f, const char *s)
{
	if (!s)
		return;
	set(j, f->name, text(s));
	if (!is_utf8(s))
		set_raw(j, f, base64(s));
}

static void encode_comm(json_t **j, const struct field *f, const char *comm)
{
	char s[FACT_COMM_LEN + 1];

	snprintf(s, sizeof(s), "%s", comm);
	encode_text(j, f, s);
}

static void encode_letter(json_t **j, const struct field *f, char letter)
{
	char s[] = { isgraph((unsigned char)letter) ? letter : '?', '\0' };

	if (letter)
		set(j, f->name, json_string(s));
}

static void encode_frames(json_t **j, const struct field *f, const struct fact_stack *s)
{
	json_t *frames = json_array(), *raw = json_array();
	bool whole = true;

	for (u32 i = 0; s->frames && i < s->n; i++) {
		append(&frames, text(s->frames[i]));
		append(&raw, base64(s->frames[i]));
		whole = whole && (!s->frames[i] || is_utf8(s->frames[i]));
	}
	if (!frames || json_array_size(frames))
		set(j, f->name, frames);
	else
		json_decref(frames);
	if (whole)
		json_decref(raw);
	else
		set_raw(j, f, raw);
}

static void encode_hex6(json_t **j, const struct field *f, const u64 *args)
{
	static const u64 none[6];
	json_t *list;

	if (!memcmp(args, none, sizeof(none)))
		return;
	list = json_array();
	for (u32 i = 0; i < 6; i++)
		append(&list, address(args[i]));
	set(j, f->name, list);
}

static json_t *number_of(const struct field *f, u64 value)
{
	switch (f->kind) {
	case FIELD_BOOL:
		return json_boolean(value);
	case FIELD_WORD:
		return json_string(f->words->name(value));
	case FIELD_U64:
		return value > INT64_MAX ? address(value) : json_integer(value);
	case FIELD_HEX:
		return address(value);
	default:
		return json_integer((s64)value);
	}
}

static void encode_fields(json_t **j, const struct field *fields, const void *base);

static void encode_releasers(json_t **j, const struct field *f, const struct releaser_list *r)
{
	json_t *list;

	if (!r->v || !r->n)
		return;
	list = json_array();
	for (u32 i = 0; i < r->n; i++) {
		json_t *item = json_object();

		encode_fields(&item, releaser_fields, &r->v[i]);
		append(&list, item);
	}
	set(j, f->name, list);
}

static void encode_field(json_t **j, const struct field *f, const void *base)
{
	const void *at = (const char *)base + f->offset;
	u64 value;

	switch (f->kind) {
	case FIELD_TEXT:
		encode_text(j, f, *(const char *const *)at);
		break;
	case FIELD_COMM:
		encode_comm(j, f, at);
		break;
	case FIELD_LETTER:
		encode_letter(j, f, *(const char *)at);
		break;
	case FIELD_FRAMES:
		encode_frames(j, f, at);
		break;
	case FIELD_HEX6:
		encode_hex6(j, f, at);
		break;
	case FIELD_RELEASERS:
		encode_releasers(j, f, at);
		break;
	default:
		value = field_load(f, base);
		if (f->always || value != f->absent)
			set(j, f->name, number_of(f, value));
	}
}

static void encode_fields(json_t **j, const struct field *fields, const void *base)
{
	for (const struct field *f = fields; f->name; f++)
		encode_field(j, f, base);
}

json_t *fact_encode(const struct fact *fact)
{
	const struct record_type *t = record_types;
	json_t *j;

	while (t->name && t->type != fact->type)
		t++;
	if (!t->name)
		return NULL;
	j = json_object();
	set(&j, "type", json_string(t->name));
	encode_fields(&j, common_fields, fact);
	encode_fields(&j, t->fields, fact);
	return j;
}
