// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "view/top/history.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static void drop_oldest(struct history *h)
{
	struct history_look *l = &h->look[h->first++ % h->cap];

	h->bytes -= l->len;
	free(l->facts);
	*l = (struct history_look){ 0 };
}

void history_init(struct history *h, u32 max_looks, size_t max_bytes)
{
	*h = (struct history){ .max_looks = max_looks, .max_bytes = max_bytes };
}

/* Room for one more in the ring, if its bound allows that. 0 or -ENOMEM. */
static int grow(struct history *h)
{
	u32 cap = h->cap ? 2 * h->cap : 64;
	struct history_look *look;

	if (h->next - h->first < h->cap || h->cap >= h->max_looks)
		return 0;
	cap = cap < h->max_looks ? cap : h->max_looks;
	look = calloc(cap, sizeof(*look));
	if (!look)
		return -ENOMEM;
	for (u64 i = h->first; i < h->next; i++)
		look[i % cap] = h->look[i % h->cap];
	free(h->look);
	h->look = look;
	h->cap = cap;
	return 0;
}

int history_add(struct history *h, const char *facts, size_t len, u64 waits)
{
	char *copy = malloc(len + 1);

	if (!copy || grow(h)) {
		free(copy);
		return -ENOMEM;
	}
	memcpy(copy, facts, len);
	while (h->first < h->next &&
	       (h->next - h->first == h->cap || h->bytes + len > h->max_bytes))
		drop_oldest(h);
	h->look[h->next++ % h->cap] = (struct history_look){ copy, len, waits };
	h->bytes += len;
	return 0;
}

const struct history_look *history_look(const struct history *h, u64 number)
{
	if (number < h->first || number >= h->next)
		return NULL;
	return &h->look[number % h->cap];
}

u64 history_change(const struct history *h, u64 from, s32 by)
{
	const struct history_look *at = history_look(h, from), *l;

	for (u64 n = from + by; at && (l = history_look(h, n)); n += by)
		if (l->waits != at->waits)
			return n;
	return from;
}

void history_free(struct history *h)
{
	while (h->first < h->next)
		drop_oldest(h);
	free(h->look);
	h->look = NULL;
	h->cap = 0;
}
