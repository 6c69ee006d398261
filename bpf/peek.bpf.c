// SPDX-License-Identifier: GPL-2.0-only
/*
 * Reads kernel memory for user space. Both programs are never attached: user space fills the
 * areas below and runs them with BPF_PROG_TEST_RUN.
 *
 *   peek         copies a batch of addresses. A bad address is an answer (-EFAULT), not an error.
 *                Walks through kernel structures are plain C in user space on top of this: no
 *                verifier limit, one object for all kernels, and testable on saved memory.
 *   lookup_ksym  address of a kernel symbol by name, where the helper exists (5.16).
 */
#include "vmlinux.h"
#include <bpf/bpf_helpers.h>

#include <daxtop/records.h>

char LICENSE[] SEC("license") = "GPL";

u32 nr_reqs;
struct peek_req reqs[PEEK_BATCH];
char out[PEEK_OUT + PEEK_LEN_MAX + 1];
u64 self; /* answer: task_struct of the task that runs the program */

char ksym_name[KSYM_NAME_LEN];
u64 ksym_addr;

SEC("raw_tp/peek")
int peek(void *ctx)
{
	u32 i;

	self = bpf_get_current_task();
	/*
	 * masks, not branches: with branches the verifier's work grows with the square of the loop
	 */
	for (i = 0; i < PEEK_BATCH; i++) {
		struct peek_req *r = &reqs[i];
		u32 off = r->off & (PEEK_OUT - 1), len = r->len & PEEK_LEN_MAX;

		if (i >= nr_reqs)
			break;
		r->err = bpf_probe_read_kernel(&out[off], len, (const void *)r->addr);
	}
	return 0;
}

SEC("syscall")
int lookup_ksym(void *ctx)
{
	return bpf_kallsyms_lookup_name(ksym_name, sizeof(ksym_name), 0, &ksym_addr);
}
