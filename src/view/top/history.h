/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The last looks, packed, in bounded memory: the oldest go first. */
#ifndef VIEW_TOP_HISTORY_H
#define VIEW_TOP_HISTORY_H

#include <stddef.h>

#include <daxtop/types.h>

/* Of this machine; and of a recording, of which more is to be at hand. */
enum { HISTORY_LOOKS = 3600, HISTORY_BYTES = 4 << 20 };
enum { REPLAY_LOOKS = 1 << 20, REPLAY_BYTES = 256 << 20 };

struct history_look {
	char *facts; /* packed, see util/fact_pack.h */
	size_t len;
	u64 waits; /* the same in another look: the same tasks wait for the same */
};

struct history {
	struct history_look *look; /* a ring of cap */
	u32 cap;
	u32 max_looks;
	size_t max_bytes;
	u64 first, next; /* numbers of the oldest look and of the one to come */
	size_t bytes;
};

/* Starts empty, with bounds. */
void history_init(struct history *h, u32 max_looks, size_t max_bytes);

/*
 * Copies a look; its number is then next - 1. One that is larger than all is kept alone. 0, -ENOMEM
 */
int history_add(struct history *h, const char *facts, size_t len, u64 waits);

/* NULL when it is not kept (any more). */
const struct history_look *history_look(const struct history *h, u64 number);

/*
 * The nearest look before (by -1) or after (by 1) number from at which waits came or went; when
 * there is none, from itself.
 */
u64 history_change(const struct history *h, u64 from, s32 by);

void history_free(struct history *h);

#endif
