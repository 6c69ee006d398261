/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#ifndef DAXTOP_MM_H
#define DAXTOP_MM_H

#include "collect/snap.h"

struct mm_vma {
	u64 start, end; /* user addresses */
	u64 pgoff;      /* page index of start in the file */
	u64 file;       /* struct file; 0 anonymous */
	u64 flags;      /* VM_* */
};

typedef void (*mm_vma_fn)(void *arg, const struct mm_vma *v);

/* Calls fn for every mapping of an mm_struct, ascending. 0 or -errno. */
int mm_walk_vmas(struct snap *s, u64 mm, mm_vma_fn fn, void *arg);

/*
 * The processes that share an mm_struct, malloc'ed and told: of each its leader, or when the leader
 * has exited any thread. NULL when there are none.
 */
struct fact_releaser *mm_releasers(struct snap *s, u64 mm, u32 *n);

#endif
