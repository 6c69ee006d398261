/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Which tasks cannot go on unless something from outside happens, and the circles in which they
 * wait for each other. Everything that a task may wait for here is one of two things: all of
 * several holds of a page have to go, or who has a lock has to give it back.
 */
#ifndef DIAGNOSE_STUCK_H
#define DIAGNOSE_STUCK_H

#include <daxtop/diagnose.h>

struct stuck;

/*
 * proven: a task counts as stuck only if what it waits for was seen, and nobody was seen who could
 * still let it go on. Otherwise it is enough that all who were seen to be able to are stuck. NULL
 * without memory.
 */
struct stuck *stuck_new(const struct wfg *g, bool proven);
void stuck_free(struct stuck *s); /* NULL-safe */

bool stuck_is(const struct stuck *s, const struct wfg_task *task);

/*
 * The shortest circle that leads from the waiter over others back to it. ret->n is 0 when there is
 * none. Later searches may return parts of it: it has to stay as it is. 0 or -ENOMEM.
 */
int stuck_cycle(struct stuck *s, const struct wfg_wait *wait, struct cycle *ret);

#endif
