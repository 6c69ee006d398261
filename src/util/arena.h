/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Memory that is freed all at once. */
#ifndef UTIL_ARENA_H
#define UTIL_ARENA_H

#include <stddef.h>

struct arena_block;

struct arena {
	struct arena_block *head; /* zero-initialised: empty */
};

/* Zeroed memory for any type; n elements of size bytes. NULL without memory or when 0 bytes. */
void *arena_alloc(struct arena *a, size_t n, size_t size);

/* Replaces the string at *s with a copy in the arena; a NULL stays NULL. 0 or -ENOMEM. */
int arena_keep(struct arena *a, const char **s);

void arena_free(struct arena *a);

#endif
