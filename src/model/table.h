/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Rows of one type with a hash index over their u64 key, which is the first member of a row. */
#ifndef MODEL_TABLE_H
#define MODEL_TABLE_H

#include <stddef.h>

#include <daxtop/types.h>

struct table {
	size_t row_size;
	void *rows; /* moves when a row is added */
	u32 n;
	u32 *slots;   /* row number + 1; 0 free */
	u32 nr_slots; /* a power of two, or 0 */
};

/* Row i. */
void *table_row(const struct table *t, u32 i);

/* The indexed row with this key, NULL none. */
void *table_find(const struct table *t, u64 key);

/* A zeroed row behind the others, not indexed. NULL without memory. */
void *table_append(struct table *t);

/* The row with this key, a new zeroed one if there is none. NULL without memory. */
void *table_upsert(struct table *t, u64 key);

/* Brings the index up to date after rows were reordered or t->n was lowered. */
void table_reindex(struct table *t);

void table_free(struct table *t);

#endif
