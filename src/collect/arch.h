/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What depends on the processor: where struct pages lie, where a system call saved its registers,
 * how page tables are laid out. x86-64 only; another processor is another arch_*.c.
 */
#ifndef DAXTOP_ARCH_H
#define DAXTOP_ARCH_H

#include <sys/uio.h>

#include "collect/kmem.h"

#define ARCH_PAGE_SHIFT 12
#define ARCH_PAGE_SIZE  (1UL << ARCH_PAGE_SHIFT)
#define ARCH_IOVECS_MAX 1024                  /* UIO_MAXIOV */
#define ARCH_TEXT_FIRST 0xffffffff80000000ULL /* kernel and modules: x86_64/mm.rst */

struct arch {
	u64 vmemmap;    /* address of pfn 0's struct page; 0 unknown */
	u64 direct_map; /* kernel address of physical address 0; 0 unknown */
	u64 regs_off;   /* struct pt_regs of a system call, from the stack's start; 0 unknown */
	u32 stack_size; /* bytes of a kernel stack; 0 unknown */
	u32 levels;     /* of page tables: 4 or 5 */
};

/* Reads what can be learned; what cannot stays 0. */
void arch_init(struct arch *a, struct kmem *k);

/* Parts that a walker needs. */
enum { ARCH_VMEMMAP = 1, ARCH_DIRECT_MAP = 2, ARCH_REGS = 4 };

/* Of the parts, a set of these bits, the name of one that is unknown; NULL none. */
const char *arch_lacks(const struct arch *a, u32 parts);

/* Page frame number of a struct page. */
u64 arch_page_to_pfn(const struct arch *a, const struct kmem *k, u64 page);

/* Registers of a sleeping task at its entry into the kernel. */
struct arch_regs {
	s32 syscall; /* of a 32-bit program the 64-bit one; -1: a fault or interrupt, or unknown */
	u32 pointer_size; /* of the program that called, in bytes */
	u64 args[6];
	u64 ip, sp, bp, bx, r12, r13, r14, r15;
};

/* 0, -EFAULT, -ENOENT when the layout is unknown. stack: lowest address of the kernel stack. */
int arch_read_regs(const struct arch *a, struct kmem *k, u64 stack, struct arch_regs *ret);

/* The same from a copy of struct pt_regs, of len bytes. 0 or -ENOENT. */
int arch_copied_regs(const struct kmem *k, const void *regs, size_t len, struct arch_regs *ret);

/*
 * Page frames that an address space maps in [addr, addr + len): calls fn for each present leaf
 * entry with its first address, first pfn and number of pages. Takes no lock. The number of
 * entries seen, or -errno.
 */
typedef void (*arch_pte_fn)(void *arg, u64 addr, u64 pfn, u64 nr_pages);
int arch_walk_ptes(const struct arch *a, struct kmem *k, u64 pgd, u64 addr, u64 len, arch_pte_fn fn,
		   void *arg);

/*
 * Reads user memory of an address space that is present, through the direct map: takes no lock
 * of the task, faults nothing in. 0, or -EFAULT when a page is not present.
 */
int arch_read_user(const struct arch *a, struct kmem *k, u64 pgd, u64 addr, void *dst, size_t len);

/*
 * Reads the n iovecs at an address that a task gave to its system call, as wide as the program has
 * them. 0, -EFAULT when a page is not present, -EINVAL for more than ARCH_IOVECS_MAX.
 */
int arch_read_iovecs(const struct arch *a, struct kmem *k, u64 pgd, const struct arch_regs *r,
		     u64 addr, struct iovec *iov, u32 n);

/* Names of system calls: "pwrite64"; NULL for one that no wait or holder is known to use. */
const char *arch_syscall_name(s32 nr);

/*
 * One letter per argument: d int, u size or offset, x address or flags, s path in user memory;
 * "" when the call takes none or is not known.
 */
const char *arch_syscall_args(s32 nr);

#endif
