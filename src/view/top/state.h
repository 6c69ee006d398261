/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What the files that change the state of the live view share. */
#ifndef VIEW_TOP_STATE_H
#define VIEW_TOP_STATE_H

#include "view/top/top.h"

/* Moves the cursor to a row, or to the last one. */
void state_select(struct top *t, u32 row);

/* Lists the rows anew; the cursor stays on what it is on. */
void state_list(struct top *t);

/* Shows a look of the history. false when it is not kept. */
bool state_show(struct top *t, u64 number);

#endif
