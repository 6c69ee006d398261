/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The kernel types that the BPF programs touch, and of each only the members they read. Kept by
 * hand: CO-RE relocates by name, so order, padding and missing members do not matter, and nothing
 * depends on the kernel of the build machine. Members that only user space reads are not here: it
 * looks their offsets up in BTF (src/collect/kfield.c).
 */
#ifndef DAXTOP_VMLINUX_H
#define DAXTOP_VMLINUX_H

typedef unsigned char __u8;
typedef unsigned short __u16;
typedef unsigned int __u32;
typedef unsigned long long __u64;
typedef signed int __s32;
typedef signed long long __s64;
typedef __u8 u8;
typedef __u16 u16;
typedef __u32 u32;
typedef __u64 u64;
typedef __s32 s32;
typedef __s64 s64;
typedef __u16 __be16;
typedef __u32 __be32;
typedef __u32 __wsum;
typedef _Bool bool;

enum {
	false = 0,
	true = 1,
};

enum bpf_map_type {
	BPF_MAP_TYPE_HASH = 1,
	BPF_MAP_TYPE_ARRAY = 2,
	BPF_MAP_TYPE_STACK_TRACE = 7,
	BPF_MAP_TYPE_RINGBUF = 27,
};

enum {
	BPF_ANY = 0,
	BPF_NOEXIST = 1,
	BPF_F_USER_STACK = 1 << 8,
	BPF_F_FAST_STACK_CMP = 1 << 9,
};

#define NULL ((void *)0)

/* What a kprobe program is called with on x86-64; not relocated, its layout is ABI. */
struct pt_regs {
	unsigned long r15, r14, r13, r12, bp, bx, r11, r10, r9, r8, ax, cx, dx, si, di;
	unsigned long orig_ax, ip, cs, flags, sp, ss;
};
#define __VMLINUX_H__ /* <bpf/bpf_tracing.h> then takes the kernel's names of registers */

/*
 * What an iterator program is called with (kernel/bpf/task_iter.c, map_iter.c). Not relocated: the
 * verifier checks these accesses by offset, and looking the types up took 2 ms.
 */
struct seq_file;

struct bpf_iter_meta {
	struct seq_file *seq;
	__u64 session_id;
	__u64 seq_num;
};

struct task_struct;

struct bpf_iter__task {
	struct bpf_iter_meta *meta;
	struct task_struct *task;
};

struct bpf_map;

struct bpf_iter__bpf_map_elem {
	struct bpf_iter_meta *meta;
	struct bpf_map *map;
	void *key;
	void *value;
};

#pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)

typedef int pid_t;

struct mm_struct;
struct files_struct;

struct task_struct {
	void *stack;
	unsigned int flags;
	struct mm_struct *mm;
	int exit_state;
	pid_t pid;
	pid_t tgid;
	char comm[16];
	struct files_struct *files;
	u64 start_time;
	unsigned int __state;
};

struct super_block {
	u32 s_dev;
};

struct inode {
	struct super_block *i_sb;
	unsigned long i_ino;
	unsigned int i_nlink;
	s64 i_size;
};

struct address_space {
	struct inode *host;
};

typedef struct {
	int counter;
} atomic_t;

struct page {
	unsigned long flags;
	struct address_space *mapping;
	unsigned long index;
	unsigned long compound_head;
	atomic_t _mapcount;
	atomic_t _refcount;
};

/* It is a struct since "mm: introduce memdesc_flags_t" (v6.18). */
struct page___memdesc {
	struct {
		unsigned long f;
	} flags;
};

/* compound_head, which may be a mask since (v7.0) */
struct page___compound_info {
	unsigned long compound_info;
};

struct folio {
	atomic_t _large_mapcount;
	atomic_t _pincount;
};

enum pageflags {
	PG_head,
};

/* From 6.13 on the member of struct page warns of its use: acc53a0b4c15. */
struct page___folio {
	unsigned long __folio_index;
};

/* Up to 5.13; renamed and narrowed by 2f064a59a11f ("sched: Change task_struct::state", v5.14). */
struct task_struct___pre514 {
	volatile long state;
};

#pragma clang attribute pop

#endif
