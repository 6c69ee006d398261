/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What a recording says of each type of fact: one table, which writes and reads. A new field of a
 * fact is one line here and one in daxtrace(5).
 */
#ifndef RECORD_FIELDS_H
#define RECORD_FIELDS_H

#include <stddef.h>

#include <daxtop/fact.h>

enum field_kind {
	FIELD_TEXT,      /* const char *: a string, with NAME_b64 when it is not UTF-8 */
	FIELD_COMM,      /* char[FACT_COMM_LEN + 1]: the same */
	FIELD_LETTER,    /* char: a string of one character */
	FIELD_BOOL,      /* bool */
	FIELD_U32,       /* u32: a number */
	FIELD_S32,       /* s32: a number */
	FIELD_S64,       /* s64: a number */
	FIELD_U64,       /* u64: a number; above INT64_MAX as FIELD_HEX */
	FIELD_HEX,       /* u64: a string, "0x..." */
	FIELD_HEX6,      /* u64[6]: an array of such strings */
	FIELD_WORD,      /* enum: a string */
	FIELD_FRAMES,    /* struct fact_stack, without why_missing: an array of strings */
	FIELD_RELEASERS, /* struct releaser_list: an array of objects */
};

/* As struct fact_hold and struct fact_lock have it. */
struct releaser_list {
	const struct fact_releaser *v;
	u32 n;
};

/* The words of an enum; a word that is not known is read as unknown. */
struct words {
	const char *(*name)(u32 value);
	u32 n;
	u32 unknown;
};

struct field {
	const char *name;
	enum field_kind kind;
	u32 offset;    /* in struct fact; of a releaser, in struct fact_releaser */
	u64 absent;    /* this value is not written, and what is not there is read as it */
	bool always;   /* write it even when it has that value */
	bool required; /* a record without it is refused */
	const struct words *words; /* of FIELD_WORD */
};

struct record_type {
	const char *name;
	enum fact_type type;
	const struct field *fields; /* up to one without a name */
};

/* Of all facts, up to one without a name. */
extern const struct record_type record_types[];
/* Fields that every fact has. */
extern const struct field common_fields[];
extern const struct field releaser_fields[];

/* Bytes that the field takes up in its struct. */
size_t field_size(const struct field *field);

/* The integer at base + offset, sign-extended; for all kinds that hold one. */
u64 field_load(const struct field *field, const void *base);
void field_store(const struct field *field, void *base, u64 value);

#endif
