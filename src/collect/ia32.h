/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* System calls of 32-bit programs on a 64-bit kernel (CONFIG_IA32_EMULATION). */
#ifndef COLLECT_IA32_H
#define COLLECT_IA32_H

#include "collect/arch.h"

/*
 * Number of the 64-bit system call that does the same as a 32-bit one, with its arguments in args,
 * which had those of the 32-bit one; -1 for one that is not known here.
 */
s32 ia32_translate(u64 nr, u64 *args);

#endif
