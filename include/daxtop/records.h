/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What the BPF programs and user space hand each other. One header, so that it cannot drift. */
#ifndef DAXTOP_RECORDS_H
#define DAXTOP_RECORDS_H

#include <daxtop/types.h>

#define REC_STACK_DEPTH 32 /* frames kept; deeper ones are the system call entry's */

/*
 * One task, written by enumerate.bpf.c. Only the first nr_stack slots of kstack are written to
 * the stream: a record is task_rec_size() bytes long.
 */
struct task_rec {
	u64 task;      /* address of the task_struct */
	u64 mm;        /* its mm_struct; 0 for kernel threads and late in exit */
	u64 files;     /* its files_struct; 0 late in exit */
	u64 stack;     /* lowest address of its kernel stack */
	u64 start_ns;  /* task_struct.start_time: CLOCK_MONOTONIC, ns */
	u32 tid, tgid; /* in the init pid namespace */
	u32 flags;     /* PF_* */
	u32 state;     /* __state | exit_state */
	u32 nr_stack;  /* frames in kstack; 0 when it was running or has no stack */
	u32 pad;
	char comm[16];               /* TASK_COMM_LEN, NUL-terminated */
	u64 kstack[REC_STACK_DEPTH]; /* return addresses, innermost first */
};

static inline u64 task_rec_size(u32 nr_stack)
{
	return __builtin_offsetof(struct task_rec, kstack) + 8 * (u64)nr_stack;
}

#define PEEK_BATCH   128          /* addresses per run; the verifier walks each turn (60 us) */
#define PEEK_LEN_MAX 65535        /* bytes per address; a mask */
#define PEEK_OUT     (512 * 1024) /* bytes of answers per run; a power of two */

/* One address to read. */
struct peek_req {
	u64 addr; /* kernel address */
	u32 off;  /* where the answer goes in the output area, bytes */
	u32 len;  /* 1 to PEEK_LEN_MAX bytes */
	s32 err;  /* answer: 0, or -EFAULT when any byte is unreadable */
	u32 pad;
};

#define SYMBOLIZE_BATCH 1024 /* addresses per run of the symbolize iterator */
#define KSYM_NAME_LEN   64   /* longest name looked up, with its NUL */

#endif
