/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Bytes of a sparse address space: what a run read, by address. */
#ifndef DAXTOP_MEMSTORE_H
#define DAXTOP_MEMSTORE_H

#include <stddef.h>

#include <daxtop/types.h>

struct memstore {
	void *root; /* tsearch() tree of pages; zero-initialised: empty */
};

/* Keeps len bytes at addr; the last write wins. 0 or -ENOMEM. */
int memstore_write(struct memstore *m, u64 addr, const void *data, size_t len);

/* 0, or -EFAULT unless every byte was kept. */
int memstore_read(struct memstore *m, u64 addr, void *dst, size_t len);

/* Calls fn for every run of bytes inside a page, ascending. */
typedef void (*memstore_fn)(void *arg, u64 addr, const u8 *data, size_t len);
void memstore_each(struct memstore *m, memstore_fn fn, void *arg);

void memstore_free(struct memstore *m);

#endif
