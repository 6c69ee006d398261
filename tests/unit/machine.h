/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The memory of a kernel made for a test. */
#ifndef DAXTOP_TESTS_MACHINE_H
#define DAXTOP_TESTS_MACHINE_H

#include "collect/memstore.h"
#include "collect/snap.h"

struct machine {
	struct kmem k; /* the first member: see read_memory() */
	struct memstore mem;
	struct snap s;
};

/* kmem_ops.readv */
static inline int read_memory(struct kmem *k, struct kread *r, size_t n)
{
	struct machine *m = (struct machine *)k;

	for (size_t i = 0; i < n; i++)
		r[i].err = memstore_read(&m->mem, r[i].addr, r[i].dst, r[i].len);
	return 0;
}

static inline void put(struct machine *m, u64 addr, const void *data, size_t len)
{
	assert_int_equal(memstore_write(&m->mem, addr, data, len), 0);
}

static inline void poke(struct machine *m, u64 addr, u64 val)
{
	put(m, addr, &val, sizeof(val));
}

#endif
