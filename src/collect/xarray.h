/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The kernel's xarray (include/linux/xarray.h), whatever is kept in it. */
#ifndef DAXTOP_XARRAY_H
#define DAXTOP_XARRAY_H

#include "collect/kmem.h"

#define XARRAY_CHUNK 64 /* XA_CHUNK_SIZE: entries of one node */

/* Up to XARRAY_CHUNK entries of one node, pointers or values, in the order of their indices. */
typedef int (*xarray_fn)(void *arg, const u64 *entries, u32 n);

/*
 * Calls fn for the entries of each leaf of a struct xarray and stops at its first answer that is
 * not 0, which is returned; -E2BIG beyond so many nodes. A node that cannot be read is left out.
 */
int xarray_walk(struct kmem *k, u64 xarray, u32 max_nodes, xarray_fn fn, void *arg);

/*
 * The entry at an index of a struct xarray, also one that spans it. 0 none, or it cannot be read.
 */
u64 xarray_load(struct kmem *k, u64 xarray, u64 index);

bool xarray_available(const struct kmem *k);

#endif
