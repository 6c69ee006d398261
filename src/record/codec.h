/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Facts as JSON objects and back, by the table of record/fields.h. */
#ifndef RECORD_CODEC_H
#define RECORD_CODEC_H

#include <jansson.h>

#include <daxtop/fact.h>

#include "util/arena.h"

/* The fact as an object; NULL without memory or for an unknown type. */
json_t *fact_encode(const struct fact *fact);

struct decoder {
	struct arena arena; /* of the arrays of the last fact */
	char reason[160];   /* why the last object was refused; unsanitised */
	u64 unknown;        /* fields and words that this version does not know, all together */
};

/*
 * Fills *fact from an object of the given type. Its texts live as long as the object, its arrays
 * until the next call. 1; 0 for a type that this version does not know; -EPROTO with d->reason
 * filled; -ENOMEM.
 */
int fact_decode(struct decoder *d, const json_t *object, const char *type, struct fact *fact);
void decoder_free(struct decoder *d);

#endif
