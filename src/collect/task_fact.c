// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* What is told of a task: only of those that wait, hold or queue. */
#include <string.h>

#include "collect/snap.h"
#include "collect/task_flags.h"
#include "collect/ustack.h"

/* The letter that ps prints, fs/proc/array.c get_task_state(). */
static char state_letter(u32 state)
{
	static const struct {
		u32 bits;
		char letter;
	} map[] = {
		{ EXIT_ZOMBIE, 'Z' },
		{ EXIT_DEAD, 'X' },
		{ TASK_TRACED, 't' },
		{ TASK_STOPPED, 'T' },
	};

	for (size_t i = 0; i < sizeof(map) / sizeof(*map); i++)
		if (state & map[i].bits)
			return map[i].letter;
	if (state & TASK_UNINTERRUPTIBLE)
		return state & TASK_NOLOAD ? 'I' : 'D';
	if (state & (TASK_RTLOCK_WAIT | TASK_FROZEN))
		return 'D';
	return state & TASK_INTERRUPTIBLE ? 'S' : 'R';
}

u64 task_asleep_ns(struct snap *s, const struct ktask *t)
{
	u64 arrival;

	if (!s->k->now || !task_is_asleep(t) ||
	    kmem_get(s->k, t->r.task, KF_TASK_LAST_ARRIVAL, &arrival) || !arrival)
		return FACT_UNKNOWN;
	return s->k->now > arrival ? s->k->now - arrival : 0;
}

static void fill_call(struct snap *s, struct ktask *t, struct fact_task *f)
{
	const struct arch_regs *regs = task_regs(s, t);

	f->syscall = regs ? regs->syscall : -1;
	if (f->syscall < 0)
		return;
	memcpy(f->args, regs->args, sizeof(f->args));
	f->call = call_text(s, t);
}

static u32 live_threads(struct snap *s, const struct ktask *t)
{
	u64 signal, n;

	if (kmem_get(s->k, t->r.task, KF_TASK_SIGNAL, &signal) ||
	    kmem_get(s->k, signal, KF_SIGNAL_NR_THREADS, &n))
		return 0;
	return n;
}

static u32 real_uid(struct snap *s, const struct ktask *t)
{
	u64 cred, uid;

	if (kmem_get(s->k, t->r.task, KF_TASK_REAL_CRED, &cred) ||
	    kmem_get(s->k, cred, KF_CRED_UID, &uid))
		return UINT32_MAX;
	return uid;
}

/* Who sleeps uninterruptibly is not frozen until it wakes. */
static bool is_frozen(struct snap *s, const struct ktask *t)
{
	u64 jobctl;

	return t->r.state & TASK_INTERRUPTIBLE &&
	       !kmem_get(s->k, t->r.task, KF_TASK_JOBCTL, &jobctl) && jobctl & JOBCTL_TRAP_FREEZE;
}

void task_tell(struct snap *s, struct ktask *t)
{
	struct fact f = { .type = FACT_TASK };

	if (t->told)
		return;
	t->told = true;
	f.task = (struct fact_task){
		.id = t->r.task,
		.pid = t->r.tgid,
		.tid = t->r.tid,
		.uid = real_uid(s, t),
		.threads = live_threads(s, t),
		.start_ns = t->r.start_ns,
		.asleep_ns = task_asleep_ns(s, t),
		.state = state_letter(t->r.state),
		.exiting = t->r.flags & PF_EXITING,
		.frozen = is_frozen(s, t),
		.kthread = t->r.flags & PF_KTHREAD,
		.io_worker = !(t->r.flags & PF_KTHREAD) && t->r.flags & PF_IO_WORKER,
		.cgroup = cgroup_path(s, cgroup_of_task(s, t->r.task)),
		.nfs_client = nfsd_serves(s, t),
		.syscall = -1,
		.kstack = { .frames = t->frames, .n = t->r.nr_stack },
	};
	memcpy(f.task.comm, t->r.comm, sizeof(t->r.comm));
	if (!t->r.nr_stack)
		f.task.kstack.why_missing = "it was running";
	fill_call(s, t, &f.task);
	signals_read(s, t, &f.task.signals);
	if (s->opts->user_stacks)
		ustack_read(s, t, &f.task.ustack);
	snap_emit(s, &f);
}

void queued_tell(struct snap *s, const struct fact_queued *q)
{
	const struct fact f = { .type = FACT_QUEUED, .queued = *q };
	struct ktask *t = task_find(s, q->task);

	if (!t || q->task == q->wait)
		return;
	task_tell(s, t);
	snap_emit(s, &f);
}
