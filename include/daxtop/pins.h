/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What bpf/pins.bpf.c keeps of references that are taken, and user space reads at each look. */
#ifndef DAXTOP_PINS_H
#define DAXTOP_PINS_H

#include <daxtop/types.h>

#define PIN_RANGES      8 /* fsdax ranges of struct pages that are told apart */
#define PIN_TAKERS      3 /* tasks kept of one page and kind; others are counted */
#define PIN_STACK_DEPTH 48
#define PIN_BIAS        1024 /* a FOLL_PIN in a page's count, GUP_PIN_COUNTING_BIAS */
#define PIN_COMM_LEN    16   /* TASK_COMM_LEN */

/* The kind is in the low bits of a page's key, which are 0 in its address. */
enum pin_kind {
	PIN_GET = 0, /* FOLL_GET; any reference where a release does not tell (5.10) */
	PIN_PIN,     /* FOLL_PIN */
	PIN_KINDS,
	PIN_KIND_MASK = 63,
};

/* A task that took references of a page. */
struct pin_taker {
	u64 task;      /* address of the task_struct; 0: the slot is free */
	u64 key;       /* as the entry's; a race spoiled the slot where it is another one */
	u64 start_ns;  /* task_struct.start_time */
	u64 ns;        /* when it took the first one, CLOCK_MONOTONIC */
	u32 tgid, tid; /* in the init pid namespace */
	s32 kstack;    /* of the first one, id in the map of stacks; negative: none */
	u32 refs;      /* taken */
	u32 given;     /* released while it ran: by it, if that was no interrupt */
	u32 pad;
	char comm[PIN_COMM_LEN];
};

/* What a page counts, as stored. */
struct pin_counts {
	s32 refs;     /* _refcount */
	s32 mapcount; /* _mapcount, or _large_mapcount of a large folio */
	s32 pincount; /* _pincount of a large folio; -1 */
};

/* References of one kind of one page that were taken. It goes when as many were released. */
struct pin_page {
	u32 taken, released;
	u32 others;               /* of those taken: by tasks that found no slot */
	struct pin_counts before; /* the first one was taken */
	struct pin_taker takers[PIN_TAKERS];
};

enum pin_loss {
	PIN_LOST_PAGES = 0, /* references that were not kept: the map of pages was full */
	PIN_LOST_STACKS,    /* stacks that were not */
	PIN_LOSS_MAX,
};

/*
 * References of one kind, a pin being one, other than page table entries; any kind if one is set.
 * idle: the count of an idle page, 0 from 6.15 on, where such entries count. May be negative when
 * the counts were read while they changed.
 */
static inline s32 pin_refs(const struct pin_counts *c, s32 idle, u32 kind, bool one)
{
	s32 total = c->refs - idle - (idle ? 0 : c->mapcount + 1);
	s32 pins = c->pincount >= 0 ? c->pincount : total >> 10;
	s32 gets = c->pincount >= 0 ? total - pins : total & (PIN_BIAS - 1);

	if (one)
		return pins + gets;
	return kind == PIN_PIN ? pins : gets;
}

#endif
