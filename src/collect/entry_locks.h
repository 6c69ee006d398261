/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The entries of a DAX file in address_space.i_pages, and their locks. */
#ifndef DAXTOP_ENTRY_LOCKS_H
#define DAXTOP_ENTRY_LOCKS_H

#include "collect/snap.h"

/* fs/dax.c: bits of an entry as it stands in the xarray, where xa_mk_value() shifts by one */
#define DAX_ENTRY_VALUE  1ULL /* it is none of the xarray's own */
#define DAX_ENTRY_LOCKED (1ULL << 1)
#define DAX_ENTRY_PMD    (1ULL << 2)
#define DAX_PMD_PAGES    512 /* pages of an entry that is a PMD */

/* The i_pages of an inode. */
u64 entry_xarray(struct snap *s, u64 inode);

/* Whether the entry that the waiter sleeps for is locked now; *entry: what is there, 0 nothing. */
bool entry_is_locked(struct snap *s, const struct kwait *w, u64 *entry);

/*
 * The DAX file that a task sleeps in a page fault of, within fs/dax.c: it has the file's invalidate
 * lock; 0 none.
 */
u64 fault_file(struct snap *s, const struct ktask *t);

/*
 * Where the lock is that a task which sleeps in a page fault of a DAX file keeps for it, shared:
 * that of its vma, as vma_lock() says, or the mmap_lock of its mm_struct. 0: it is in no such
 * fault, or let go.
 */
u64 fault_lock(struct snap *s, struct ktask *t);

/* Tells that a task has the lock that w waits for, and what it sleeps for meanwhile. */
void entry_holder_tell(struct snap *s, const struct kwait *w, struct ktask *t, enum fact_how how,
		       enum fact_confidence confidence);

#endif
