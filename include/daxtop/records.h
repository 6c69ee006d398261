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

/*
 * What hooks tell. A wait begins when dax_layout_busy_page_range() hands its caller a busy page,
 * and ends when it finds none or when the caller gives up.
 */
enum trace_kind {
	TRACE_BEGIN = 1, /* a task is about to wait for a page; struct trace_rec */
	TRACE_MOVE,      /* it waits for another page of the file now; struct trace_head */
	TRACE_FREED,     /* pages left their file while they were referenced; struct trace_rec */
	TRACE_END,       /* it waits no longer; struct trace_head */
};

enum trace_flags {
	TRACE_SEEDED = 1,   /* the wait was there before the hooks: user space made the entry */
	TRACE_RESTARTS = 2, /* its loop was left with -ERESTARTSYS, and may be entered again */
	TRACE_TRUNC = 4,    /* of TRACE_FREED: and not only to be read from the device again */
};

#define TRACE_COMM_LEN    16  /* TASK_COMM_LEN */
#define TRACE_REGS_MAX    168 /* bytes of struct pt_regs on x86-64 */
#define TRACE_STACK_DEPTH 32

/* The head of every record. Times are CLOCK_MONOTONIC, ns. */
struct trace_head {
	u32 kind;   /* enum trace_kind */
	s32 result; /* of TRACE_END: what the loop returned, 0 or -errno (also -ERESTARTSYS) */
	u64 now_ns;
	u64 begin_ns; /* of the wait */
	u64 task;     /* address of the task_struct */
	u64 start_ns; /* task_struct.start_time */
	u64 inode;    /* address */
	u64 page;     /* address of the struct page; of TRACE_FREED: the first of the entry */
	u64 index;    /* of that page in its file; -1 when the page names none */
	u64 ino;
	u64 size; /* i_size, bytes */
	u32 dev;  /* s_dev, 12 bits of major and 20 of minor number */
	u32 nlink;
	u32 tgid, tid; /* in the init pid namespace */
	u32 flags;     /* enum trace_flags */
	u32 pages;     /* waited for so far; of TRACE_FREED: that are referenced */
	char comm[TRACE_COMM_LEN];
};

#define TRACE_MAJOR(dev) ((dev) >> 20)
#define TRACE_MINOR(dev) ((dev)&0xfffff)

struct trace_rec {
	struct trace_head h;
	u64 stack;      /* lowest address of the kernel stack */
	u64 mm;         /* its mm_struct; 0 for kernel threads and late in exit */
	u64 pfn;        /* of TRACE_FREED: where the entry begins */
	u32 nr_pages;   /* of TRACE_FREED: pages of the entry */
	u32 uid;        /* real uid, in the init user namespace */
	u32 task_flags; /* PF_* */
	u32 nr_kstack;  /* frames in kstack */
	u32 nr_ustack;
	u32 nr_regs;                   /* bytes in regs; 0 when they were not read */
	u8 regs[TRACE_REGS_MAX];       /* struct pt_regs of the entry into the kernel */
	u64 kstack[TRACE_STACK_DEPTH]; /* return addresses, innermost first */
	u64 ustack[TRACE_STACK_DEPTH]; /* the same, as far as frame pointers lead */
};

/* A wait that goes on, as the kernel keeps it; the key is the address of its task_struct. */
struct trace_wait {
	u64 begin_ns;
	u64 last_ns;  /* when its task looked for a busy page last */
	u64 left_ns;  /* when its loop was left with -ERESTARTSYS; 0 not since it looked last */
	u64 start_ns; /* of its task */
	u64 mapping, page;
	u64 scans; /* looks for a busy page that found one */
	u32 pages; /* pages that it has waited for, one after the other */
	u32 flags; /* enum trace_flags */
};

/* What the hooks could not keep. */
enum trace_loss {
	TRACE_LOST_EVENTS = 0, /* the ring buffer was full */
	TRACE_LOST_WAITS,      /* the map of waits was full */
	TRACE_LOSS_MAX,
};

/* What user space tells the hooks, once it is known. */
struct trace_config {
	u64 regs_off;  /* struct pt_regs of a system call, from the stack's start; 0 unknown */
	u64 vmemmap;   /* address of pfn 0's struct page; 0 unknown */
	u64 page_size; /* bytes of a struct page */
};

#endif
