// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include <string.h>

#include "model/table.h"
#include "util/array.h"

void *table_row(const struct table *t, u32 i)
{
	return (char *)t->rows + (size_t)i * t->row_size;
}

static u64 row_key(const struct table *t, u32 i)
{
	u64 key;

	memcpy(&key, table_row(t, i), sizeof(key));
	return key;
}

/* Addresses differ in their middle bits: multiply by 2^64 / golden ratio and keep the top. */
static u32 hash(u64 key)
{
	return (key * 0x9e3779b97f4a7c15ULL) >> 32;
}

/* The slot that has the key, or the free one where it belongs. */
static u32 *slot_of(const struct table *t, u64 key)
{
	u32 mask = t->nr_slots - 1;
	u32 i = hash(key) & mask;

	while (t->slots[i] && row_key(t, t->slots[i] - 1) != key)
		i = (i + 1) & mask;
	return &t->slots[i];
}

void *table_find(const struct table *t, u64 key)
{
	u32 slot = t->nr_slots ? *slot_of(t, key) : 0;

	return slot ? table_row(t, slot - 1) : NULL;
}

void table_reindex(struct table *t)
{
	if (!t->nr_slots)
		return;
	memset(t->slots, 0, t->nr_slots * sizeof(*t->slots));
	for (u32 i = 0; i < t->n; i++)
		*slot_of(t, row_key(t, i)) = i + 1;
}

/* Keeps at least half of the slots free. */
static bool room_in_index(struct table *t)
{
	u32 nr = t->nr_slots ? t->nr_slots * 2 : 64;
	u32 *slots;

	if (t->n < t->nr_slots / 2)
		return true;
	slots = reallocarray(t->slots, nr, sizeof(*slots));
	if (!slots)
		return false;
	t->slots = slots;
	t->nr_slots = nr;
	table_reindex(t);
	return true;
}

void *table_append(struct table *t)
{
	void *row;

	if (t->n == UINT32_MAX / 4 || array_grow(&t->rows, t->n, t->row_size))
		return NULL;
	row = table_row(t, t->n++);
	return memset(row, 0, t->row_size);
}

void *table_upsert(struct table *t, u64 key)
{
	void *row = table_find(t, key);

	if (row)
		return row;
	if (!room_in_index(t))
		return NULL;
	row = table_append(t);
	if (!row)
		return NULL;
	memcpy(row, &key, sizeof(key));
	*slot_of(t, key) = t->n;
	return row;
}

void table_free(struct table *t)
{
	free(t->rows);
	free(t->slots);
	t->rows = NULL;
	t->slots = NULL;
	t->n = t->nr_slots = 0;
}
