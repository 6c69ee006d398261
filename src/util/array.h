/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Growth of plain C arrays. */
#ifndef UTIL_ARRAY_H
#define UTIL_ARRAY_H

#include <errno.h>
#include <stddef.h>
#include <stdlib.h>

#include <daxtop/types.h>

/*
 * Makes room for one more element of the given size behind the n that *array has, doubling at
 * powers of two. 0 or -ENOMEM, then *array is as before.
 */
static inline int array_grow(void *array, u32 n, size_t size)
{
	void **p = array;
	void *bigger;

	if (n & (n - 1))
		return 0;
	if (n > UINT32_MAX / 2)
		return -ENOMEM;
	bigger = reallocarray(*p, n ? (size_t)n * 2 : 1, size);
	if (!bigger)
		return -ENOMEM;
	*p = bigger;
	return 0;
}

#endif
