// SPDX-License-Identifier: GPL-2.0-only
/*
 * Iterators, run once and never attached to anything that happens.
 *
 *   tasks      every task as a struct task_rec, with its kernel stack when it sleeps. The iterator
 *              holds a reference to the task, so the record is of one task, not of two.
 *   symbolize  turns the addresses in a map into "name+0xoff/0xsize [module]" lines. The kernel
 *              does it (%pB, 5.9), so nobody has to read all of /proc/kallsyms.
 */
#include "vmlinux.h"
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

#include <daxtop/records.h>

#include "compat.bpf.h"

char LICENSE[] SEC("license") = "GPL";

/* A record is too large for the BPF stack; an iterator runs in one thread at a time. */
struct task_rec rec;

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, SYMBOLIZE_BATCH);
	__type(key, u32);
	__type(value, u64);
} addresses SEC(".maps");

static void record_task(struct task_struct *task)
{
	rec.task = (u64)task;
	rec.mm = (u64)task->mm;
	rec.files = (u64)task->files;
	rec.signal = (u64)task->signal;
	rec.sighand = (u64)task->sighand;
	rec.stack = (u64)task->stack;
	rec.start_ns = task->start_time;
	rec.last_arrival = task->sched_info.last_arrival;
	rec.tid = task->pid;
	rec.tgid = task->tgid;
	rec.uid = task->real_cred->uid.val;
	rec.flags = task->flags;
	rec.state = task_state(task) | task->exit_state;
	rec.nr_stack = 0;
	bpf_probe_read_kernel(rec.comm, sizeof(rec.comm), task->comm);
}

/* Unwinding a running task gives frames that were never live together. */
static void record_stack(struct task_struct *task)
{
	long bytes;

	if (!task_state(task))
		return;
	bytes = bpf_get_task_stack(task, rec.kstack, sizeof(rec.kstack), 0);
	if (bytes > 0 && bytes <= sizeof(rec.kstack))
		rec.nr_stack = bytes / sizeof(u64);
}

SEC("iter/task")
int tasks(struct bpf_iter__task *ctx)
{
	struct task_struct *task = ctx->task;
	u64 size;

	if (!task)
		return 0;
	record_task(task);
	record_stack(task);
	size = task_rec_size(rec.nr_stack);
	/* the compiler knows that size fits; the verifier has to see it compared */
	barrier_var(size);
	if (size <= sizeof(rec))
		bpf_seq_write(ctx->meta->seq, &rec, size);
	return 0;
}

SEC("iter/bpf_map_elem")
int symbolize(struct bpf_iter__bpf_map_elem *ctx)
{
	static const char fmt[] = "%pB\n";
	u64 *addr = ctx->value;
	u64 arg;

	if (!addr || !*addr)
		return 0;
	arg = *addr;
	bpf_seq_printf(ctx->meta->seq, fmt, sizeof(fmt), &arg, sizeof(arg));
	return 0;
}
