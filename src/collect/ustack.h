/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#ifndef DAXTOP_USTACK_H
#define DAXTOP_USTACK_H

#include "collect/snap.h"

/*
 * The user stack of a sleeping task, unwound with elfutils from its saved registers, once in a
 * look. Takes no lock of the task and gives up after a second. Texts live as long as the snapshot.
 * Where there is no stack, ret->why_missing says why.
 */
void ustack_read(struct snap *s, struct ktask *t, struct fact_stack *ret);

/* The same of n addresses, innermost first, that the stack of the task was seen to have. */
void ustack_name(struct snap *s, struct ktask *t, const u64 *addrs, u32 n, struct fact_stack *ret);

#endif
