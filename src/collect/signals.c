// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* How a process handles signals: what a kill would do, before anybody advises one. */
#include <signal.h>
#include <string.h>

#include "collect/snap.h"
#include "collect/task_flags.h"

#define KERNEL_NSIG 64

/*
 * A worker of io_uring blocks all signals (create_io_thread()), but is a thread of its process: a
 * signal that ends the process, through another thread, ends the worker's wait as well.
 */
static u64 receiver(struct snap *s, const struct ktask *t)
{
	u64 leader;

	if (t->r.flags & PF_KTHREAD || !(t->r.flags & PF_IO_WORKER) ||
	    kmem_get(s->k, t->r.task, KF_TASK_GROUP_LEADER, &leader))
		return t->r.task;
	return leader;
}

void signals_read(struct snap *s, const struct ktask *t, struct fact_signals *ret)
{
	char actions[KERNEL_NSIG * 64];
	u64 size = s->k->field[KF_K_SIGACTION].off, sighand;

	if (kmem_get(s->k, t->r.task, KF_TASK_SIGHAND, &sighand) ||
	    !kmem_has(s->k, KF_SIGHAND_ACTION) || size > 64 ||
	    kmem_read(s->k, kmem_at(s->k, sighand, KF_SIGHAND_ACTION), actions,
		      KERNEL_NSIG * size) ||
	    kmem_get(s->k, receiver(s, t), KF_TASK_BLOCKED, &ret->blocked))
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
