// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* What a record of a hook says of its task and its file. */
#include <errno.h>
#include <string.h>

#include "collect/trace.h"

/* Frames of the hook itself are no part of what the task does; returns the first behind them. */
static u32 skip_hook(const char *const *names, u32 n)
{
	static const char *const hooks[] = { "bpf_", "kretprobe_trampoline",
					     "arch_rethook_trampoline" };
	u32 first = 0;

	for (u32 i = 0; i < n; i++)
		for (u32 j = 0; j < sizeof(hooks) / sizeof(hooks[0]); j++)
			if (names[i] && !strncmp(names[i], hooks[j], strlen(hooks[j])))
				first = i + 1;
	return first;
}

void trace_task(struct snap *s, struct trace *t, const struct trace_rec *r, struct ktask *task)
{
	const char *names[TRACE_STACK_DEPTH] = { NULL };
	u32 n = r->nr_kstack < TRACE_STACK_DEPTH ? r->nr_kstack : TRACE_STACK_DEPTH, first;

	*task = (struct ktask){ .regs_err = -ENOENT };
	task->r = (struct task_rec){
		.task = r->h.task,
		.mm = r->mm,
		.stack = r->stack,
		.start_ns = r->h.start_ns,
		.tid = r->h.tid,
		.tgid = r->h.tgid,
		.flags = r->task_flags,
	};
	if (trace_name(s, t, r->kstack, names, n))
		return;
	first = skip_hook(names, n);
	task->r.nr_stack = n - first;
	memcpy(task->frames, names + first, task->r.nr_stack * sizeof(*names));
	if (r->nr_regs)
		task->regs_err = arch_copied_regs(s->k, r->regs, sizeof(r->regs), &task->regs);
}

const char *trace_path(struct snap *s, const struct trace_head *h)
{
	struct fact_file f;

	if (file_read(s, h->inode, &f) || f.ino != h->ino || f.dev_major != TRACE_MAJOR(h->dev) ||
	    f.dev_minor != TRACE_MINOR(h->dev))
		return NULL;
	return f.path;
}

bool trace_in_scope(const struct snap *s, const struct trace_head *h)
{
	const struct scope *scope = s->opts->scope;

	return !scope || !scope->n ||
	       scope_matches(scope, TRACE_MAJOR(h->dev), TRACE_MINOR(h->dev), h->ino);
}
