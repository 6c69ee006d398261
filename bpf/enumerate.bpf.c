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

/*
 * Reads instead of typed loads: the verifier searches all of BTF for every typed one, which made
 * loading take 5 ms longer. What only a few tasks are asked for, user space reads itself.
 */
static void record_task(struct task_struct *task)
{
	rec.task = (u64)task;
	rec.mm = (u64)BPF_CORE_READ(task, mm);
	rec.files = (u64)BPF_CORE_READ(task, files);
	rec.stack = (u64)BPF_CORE_READ(task, stack);
	rec.start_ns = BPF_CORE_READ(task, start_time);
	rec.tid = BPF_CORE_READ(task, pid);
	rec.tgid = BPF_CORE_READ(task, tgid);
	rec.flags = BPF_CORE_READ(task, flags);
	rec.state = task_state(task) | BPF_CORE_READ(task, exit_state);
	rec.nr_stack = 0;
	BPF_CORE_READ_STR_INTO(&rec.comm, task, comm);
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
