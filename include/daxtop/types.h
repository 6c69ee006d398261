/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Fixed-width types shared by the BPF programs and user space. */
#ifndef DAXTOP_TYPES_H
#define DAXTOP_TYPES_H

#ifdef __bpf__
#include "vmlinux.h"
#else
#include <stdbool.h>
#include <stdint.h>

typedef uint8_t u8;
typedef uint16_t u16;
typedef uint32_t u32;
typedef uint64_t u64;
typedef int32_t s32;
typedef int64_t s64;
#endif

#endif
