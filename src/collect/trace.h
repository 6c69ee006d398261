/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The second engine: hooks that see waits begin and end, also those between two looks. Its parts:
 *
 *   hooks.c       attaches programs by table
 *   trace.c       which hooks there are, and what they told: reads maps and the ring buffer
 *   trace_task.c  what a record says of its task and file
 *   trace_freed.c tells of pages that left their file while referenced
 *   trace_join.c  makes one of what the hooks and the snapshot know of waits
 */
#ifndef DAXTOP_TRACE_H
#define DAXTOP_TRACE_H

#include "collect/pins.h"

/* A wait that the hooks told of. */
struct traced {
	u64 task, begin_ns;   /* its name: also of the records about it */
	struct trace_rec rec; /* its beginning; but for the head all 0 when that record was lost */
	struct trace_head end;
	bool began;   /* rec is whole */
	bool ended;   /* end is valid */
	bool told;    /* nothing is left to be told of it */
	bool goes_on; /* the kernel still has it, as of the look that is under way */
	bool seen;    /* a look found it: op, path and ustack are what it found */
	struct op op;
	char *path;               /* owned; NULL unknown */
	struct fact_stack ustack; /* n is 0, or frames is owned */
	u32 missed;               /* looks in a row that did not find it */
	u64 scans, at_ns;         /* trace_wait.scans at that time */
};

/* Pages that left their file although referenced. */
struct freed {
	struct trace_rec rec;
	u32 busy;  /* that still are, at the look that is under way */
	u32 first; /* of the entry that was, when a look found one; else 0 */
};

struct ring_buffer;
struct named;

struct trace {
	struct trace_opts opts;
	struct pins *pins;   /* NULL: not asked for */
	struct hooks *hooks; /* NULL until the first look */
	struct ring_buffer *ring;
	struct traced *waits;
	u32 nr_waits;
	struct freed *freed;
	u32 nr_freed;
	u64 freed_lost;          /* for lack of room here */
	struct trace_wait *live; /* what the kernel has, and whose it is */
	u64 *live_tasks;
	u32 nr_live;
	u64 read_ns;              /* CLOCK_MONOTONIC when that was read */
	u64 lost[TRACE_LOSS_MAX]; /* told so far */
	struct named *names;      /* of addresses that were in stacks */
	u32 nr_names;
	bool spins;        /* a task did in the last look: to take the hooks away waits for it */
	u32 ustacks_named; /* in the look that is under way */
	int err;           /* -ENOMEM while records came in */
};

/* --- trace.c */
/* Attaches at the first look that may, and what is new at others; tells probes. 0 or -errno. */
int trace_begin(struct snap *s, struct trace *t, bool may_attach);
bool trace_works(const struct trace *t);
/* Takes in what came since the last look: t->waits and t->live. 0 or -errno. */
int trace_read(struct snap *s, struct trace *t);
/* Tells what was lost since the last look. */
void trace_tell_losses(struct snap *s, struct trace *t);
/* The kernel forgets or learns a wait. */
void trace_forget(struct trace *t, u64 task);
void trace_learn(struct trace *t, u64 task, const struct trace_wait *w);
struct traced *trace_find(struct trace *t, u64 task, u64 begin_ns); /* NULL none */
/* A new one, zeroed but for its name; NULL without memory. */
struct traced *trace_add(struct trace *t, u64 task, u64 begin_ns);
void trace_drop(struct traced *w); /* frees what it owns */
/* The texts of n addresses, NULL unknown; they live as long as the trace. 0 or -errno. */
int trace_name(struct snap *s, struct trace *t, const u64 *addrs, const char **names, u32 n);

/* The task of a record, as it was then; texts live as long as the trace. */
void trace_task(struct snap *s, struct trace *t, const struct trace_rec *r, struct ktask *task);
/* What the file of a record is called, unless its inode is another file's by now; NULL unknown. */
const char *trace_path(struct snap *s, const struct trace_head *h);
bool trace_in_scope(const struct snap *s, const struct trace_head *h);

/* --- trace_freed.c */
int trace_take_freed(struct trace *t, const struct trace_rec *rec); /* 0 or -ENOMEM */
/* Pages that left their file and are still referenced join s->pages. 0 or -ENOMEM. */
int trace_add_freed(struct snap *s, struct trace *t);
void trace_tell_freed(struct snap *s, struct trace *t);

/* --- trace_join.c */
/* What the hooks know of s->waits, and waits that only they know. 0 or -errno. */
int trace_join(struct snap *s, struct trace *t);
/* Tells the waits that ended. */
void trace_tell_ends(struct snap *s, struct trace *t);

#endif
