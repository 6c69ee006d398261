/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Offsets of kernel fields by name; the names are in kfield.def. */
#ifndef DAXTOP_KFIELD_H
#define DAXTOP_KFIELD_H

#include <daxtop/types.h>

/* clang-format off */
enum kf {
#define KF(id, name) KF_##id,
#include "collect/kfield.def"
#undef KF
	KF_MAX,
};
/* clang-format on */

#define KFIELD_MISSING (-1)
#define KFIELD_OFF_MAX 65536 /* no struct of the table is that large */

struct kfield {
	s64 off;  /* bytes from the start of the outer struct; size of a struct; enum value */
	u32 size; /* bytes of the member; 0 for sizes, enumerators and functions */
};

struct btf;

/* Fills all[KF_MAX]; what the kernel lacks gets off KFIELD_MISSING. 0 or -ENOMEM. */
int kfields_resolve(struct kfield *all, const struct btf *btf);

/*
 * Turns into missing what cannot be: offsets beyond any struct, members that reach out of theirs.
 * For fields that come from a file.
 */
void kfields_check(struct kfield *all);

/* The name in the table, for messages and images: "page._refcount". */
const char *kfield_name(enum kf f);

#endif
