/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#ifndef VIEW_TOP_FIND_H
#define VIEW_TOP_FIND_H

#include "view/top/top.h"

/* Moves the cursor to the next row, after the last the first, in which t->find occurs. */
void find_next(struct top *t);

#endif
