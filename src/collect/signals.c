// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* How a process handles signals: what a kill would do, before anybody advises one. */
#include <signal.h>
#include <string.h>

#include "collect/snap.h"

#define KERNEL_NSIG 64

void signals_read(struct snap *s, const struct ktask *t, struct fact_signals *ret)
{
	char actions[KERNEL_NSIG * 64];
	u64 size = s->k->field[KF_K_SIGACTION].off, sighand;

	if (kmem_get(s->k, t->r.task, KF_TASK_SIGHAND, &sighand) ||
	    !kmem_has(s->k, KF_SIGHAND_ACTION) || size > 64 ||
	    kmem_read(s->k, kmem_at(s->k, sighand, KF_SIGHAND_ACTION), actions,
		      KERNEL_NSIG * size) ||
	    kmem_get(s->k, t->r.task, KF_TASK_BLOCKED, &ret->blocked))
		return;
	ret->known = true;
	for (int i = 0; i < KERNEL_NSIG; i++) {
		u64 handler, flags, bit = 1ULL << i;

		memcpy(&handler, actions + i * size + s->k->field[KF_SA_HANDLER].off, 8);
		memcpy(&flags, actions + i * size + s->k->field[KF_SA_FLAGS].off, 8);
		if (handler == (u64)SIG_IGN)
			ret->ignored |= bit;
		else if (handler != (u64)SIG_DFL)
			ret->caught |= bit;
		if (handler > (u64)SIG_IGN && flags & SA_RESTART)
			ret->restarts |= bit;
	}
}
