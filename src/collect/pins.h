/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * References of fsdax pages that hooks saw being taken. Its parts:
 *
 *   pins.c        attaches bpf/pins.bpf.c and reads what it keeps
 *   pins_judge.c  which of the takers have a reference now, by what the page counts
 *   pins_how.c    by what mechanism, by the stack of the taker
 *   walk_taken.c  tells it of the pages that are waited for
 */
#ifndef DAXTOP_PINS_COLLECT_H
#define DAXTOP_PINS_COLLECT_H

#include <daxtop/pins.h>

#include "collect/hooks.h"
#include "collect/snap.h"

struct trace;

struct pin_entry {
	u64 key; /* head struct page | enum pin_kind */
	struct pin_page p;
};

struct pins {
	u64 max;
	u32 max_stacks;      /* a power of two */
	struct hooks *hooks; /* NULL until there are ranges */
	struct pgmaps ranges;
	struct pin_entry *v; /* the live set, as of this look */
	u32 n;
	u64 lost[PIN_LOSS_MAX]; /* told so far */
	bool one_kind;
	s32 idle_refs;
};

/* --- pins.c */
/* That many entries and different stacks at most; NULL without memory. */
struct pins *pins_new(u64 max, u64 max_stacks);
/* Attaches once there are fsdax ranges, and anew when they change; tells probes. 0 or -errno. */
int pins_begin(struct snap *s, struct pins *p, bool may_attach);
bool pins_work(const struct pins *p);
/* Reads the live set and drops what the pages' counts no longer support. 0 or -errno. */
int pins_read(struct snap *s, struct pins *p);
void pins_tell_losses(struct snap *s, struct pins *p);
/* Return addresses of a stack, innermost first; their number. */
u32 pins_stack(const struct pins *p, s32 id, u64 addrs[PIN_STACK_DEPTH]);
void pins_free(struct pins *p);

/* --- pins_judge.c */
/* What a taker has of a page now. */
struct pin_claim {
	u32 refs; /* at least, unless a candidate */
	enum fact_confidence confidence;
	bool since_taken; /* all it took are still there: held since the first was taken */
};
/*
 * Judges the takers of an entry. now: references of its kind that the page has; before: that it had
 * when the first of these was taken. all_seen: no release of this kind goes unseen.
 */
void pins_judge(const struct pin_entry *e, s64 now, s64 before, bool all_seen,
		struct pin_claim claim[PIN_TAKERS]);

/* --- pins_how.c */
/* By texts of return addresses, innermost first, NULL unknown. */
enum fact_how pins_how(const char *const *frames, u32 n);
/* How many of them are of the hook itself. */
u32 pins_own_frames(const char *const *frames, u32 n);
/* The function that asked mm/gup.c for the page, as text "name+0x1/0x2 [module]"; NULL none. */
const char *pins_asker(const char *const *frames, u32 n);

#endif
