// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "view/top/history.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static void drop_oldest(struct history *h)
{
	struct history_look *l = &h->look[h->first++ % HISTORY_LOOKS];

	h->bytes -= l->len;
	free(l->facts);
	*l = (struct history_look){ 0 };
}

int history_add(struct history *h, const char *facts, size_t len)
{
	char *copy = malloc(len + 1);

	if (!copy)
		return -ENOMEM;
	memcpy(copy, facts, len);
	while (h->first < h->next &&
	       (h->next - h->first == HISTORY_LOOKS || h->bytes + len > HISTORY_BYTES))
		drop_oldest(h);
	h->look[h->next++ % HISTORY_LOOKS] = (struct history_look){ copy, len };
	h->bytes += len;
	return 0;
}

const struct history_look *history_look(const struct history *h, u64 number)
{
	if (number < h->first || number >= h->next)
		return NULL;
	return &h->look[number % HISTORY_LOOKS];
}

void history_free(struct history *h)
{
	while (h->first < h->next)
		drop_oldest(h);
}
