// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Tasks that sleep because a pipe is full, or empty: they go on when one that has the other end
 * open reads, or writes. Which pipe it is, the descriptor says that the task gave to its system
 * call; and the pipe's address is on its stack.
 */
#include <stdlib.h>
#include <sys/stat.h>

#include "collect/snap.h"
#include "util/array.h"

#define FMODE_READ  1 /* include/linux/fs.h */
#define FMODE_WRITE 2

/* fs/pipe.c and fs/splice.c; the first ones got their prefix in v6.14 */
static const char *const until_read[] = { "anon_pipe_write", "pipe_write", "wait_for_space",
					  "pipe_wait_writable", NULL };
static const char *const until_written[] = { "anon_pipe_read",     "pipe_read",
					     "ipipe_prep",         "splice_from_pipe_next",
					     "pipe_wait_readable", NULL };

/* Index in s->fds.inodes of the pipe that the task sleeps for; UINT32_MAX none. */
static u32 pipe_of(struct snap *s, struct ktask *t, u64 *pipe)
{
	const struct arch_regs *regs = task_regs(s, t);

	if (!regs || regs->syscall < 0)
		return UINT32_MAX;
	/* read, write, vmsplice have it first; splice third; tee second */
	for (int arg = 0; arg < 3; arg++) {
		u64 file = regs->args[arg] <= INT32_MAX ? fd_file(s, t, regs->args[arg]) : 0;
		u64 inode;

		if (!file || kmem_get(s->k, file, KF_FILE_INODE, &inode) ||
		    kmem_get(s->k, inode, KF_INODE_PIPE, pipe) || !kmem_is_kernel_ptr(*pipe))
			continue;
		for (u32 i = 0; i < s->fds.nr_inodes; i++)
			if (s->fds.inodes[i] == inode && S_ISFIFO(s->fds.modes[i]) &&
			    task_stack_names(s, t, *pipe))
				return i;
	}
	return UINT32_MAX;
}

struct owners {
	struct fact_releaser *v;
	u32 n;
	bool unknown; /* an end is where no task has a descriptor of it */
};

static void add_owner(struct snap *s, struct owners *o, const struct kfd *fd)
{
	struct ktask *t = fd->task ? task_find(s, fd->task) : NULL;

	if (!t || fd->via || fd->ring) {
		o->unknown = true;
		return;
	}
	for (u32 i = 0; i < o->n; i++)
		if (o->v[i].task == fd->task)
			return;
	s->err = s->err ? s->err : array_grow(&o->v, o->n, sizeof(*o->v));
	if (s->err)
		return;
	o->v[o->n++] = (struct fact_releaser){ .task = fd->task, .fd = fd->fd };
	task_tell(s, t);
}

/* Who has the other end open. */
static struct owners owners_of(struct snap *s, u32 inode, u64 mode)
{
	struct owners o = { 0 };

	for (u32 i = 0; i < s->fds.n && !s->err; i++) {
		u64 has;

		if (s->fds.inode_of[i] != inode ||
		    kmem_get(s->k, s->fds.v[i].file, KF_FILE_MODE, &has) || !(has & mode))
			continue;
		add_owner(s, &o, &s->fds.v[i]);
	}
	return o;
}

static void tell(struct snap *s, const struct ktask *t, u32 inode, u64 pipe, bool full)
{
	struct owners o = owners_of(s, inode, full ? FMODE_READ : FMODE_WRITE);
	struct fact f = { .type = FACT_LOCK };

	for (u32 i = 0; i < o.n; i++)
		o.v[i].reads = full;
	f.lock.id = pipe + !full; /* one pipe, two things to wait for */
	f.lock.name = full ? "full pipe" : "empty pipe";
	f.lock.of = pipe_name(s, s->fds.inodes[inode]);
	f.lock.mode = o.unknown ? MODE_UNKNOWN : MODE_PIPE;
	f.lock.owners = o.v;
	f.lock.nr_owners = o.n;
	snap_emit(s, &f);
	queued_tell(s, &(struct fact_queued){
			       .task = t->r.task, .lock = f.lock.name, .on = f.lock.id });
	free(o.v);
}

static bool tell_if_waits(struct snap *s, struct ktask *t)
{
	bool full = task_stack_any(t, until_read);
	u32 inode;
	u64 pipe;

	if (!full && !task_stack_any(t, until_written))
		return false;
	inode = pipe_of(s, t, &pipe);
	if (inode == UINT32_MAX)
		return false;
	t->queued = true;
	tell(s, t, inode, pipe, full);
	return true;
}

bool pipe_waits_tell(struct snap *s)
{
	bool told = false;

	for (u32 i = 0; i < s->tasks.n && !s->err; i++) {
		struct ktask *t = &s->tasks.v[i];

		if (t->told && !t->queued && task_is_asleep(t))
			told |= tell_if_waits(s, t);
	}
	return told;
}
