/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What the files of the model share; the graph behind <daxtop/model.h>. */
#ifndef MODEL_GRAPH_H
#define MODEL_GRAPH_H

#include <daxtop/model.h>

#include "model/table.h"
#include "util/arena.h"

/* A hold as stored: named holds are indexed by a hash of page, mechanism and object. */
struct hold_row {
	u64 key;
	struct wfg_hold hold;
};

struct queued_row {
	u64 key; /* hash of wait and task */
	struct fact_queued q;
};

struct wfg {
	struct arena arena; /* every string, stack and array that facts and rows point to */
	struct fact_session session;
	struct table tasks;          /* struct wfg_task */
	struct table files;          /* struct wfg_file */
	struct table pages;          /* struct wfg_page */
	struct table waits;          /* struct wfg_wait */
	struct table holds;          /* struct hold_row */
	struct table queued;         /* struct queued_row */
	struct table locks;          /* struct wfg_lock */
	struct wfg_queued *sleepers; /* by task; one for each */
	u32 nr_sleepers;
	struct table probes; /* struct probe_row */
	struct fact_loss *losses;
	u32 nr_losses;
	struct table freed; /* struct freed_row */
	struct fact_end *ends;
	u32 nr_ends;
	char (*wait_ids)[12]; /* "w" and a u32 */
};

struct freed_row {
	u64 key; /* hash of page and time */
	struct fact_freed freed;
};

struct probe_row {
	u64 key; /* hash of the name */
	struct fact_probe probe;
};

/* Deep copies: each replaces the pointers in *f by copies in the arena. 0 or -ENOMEM. */
int copy_task(struct arena *a, struct fact_task *f);
int copy_file(struct arena *a, struct fact_file *f);
int copy_page(struct arena *a, struct fact_page *f);
int copy_hold(struct arena *a, struct fact_hold *f);
int copy_session(struct arena *a, struct fact_session *f);
int copy_end(struct arena *a, struct fact_end *f);
int copy_lock(struct arena *a, struct fact_lock *f);
int copy_freed(struct arena *a, struct fact_freed *f);

/* Adds to the sum of losses of this kind at this place. 0 or -ENOMEM. */
int add_loss(struct wfg *g, const struct fact_loss *f);

/* Facts refer to each other by id: what link.c and queues.c share. */
struct linker {
	struct wfg *g;
	u64 dangling; /* references to facts that never came */
};

#define COMPARE(a, b) (((a) > (b)) - ((a) < (b)))

/* Longest asleep first, unknown last, then by thread id to be stable. */
int compare_asleep(const struct fact_task *a, const struct fact_task *b);
/* The known ones of n releasers, ordered; counts the others as dangling. 0 or -ENOMEM. */
int link_releasers(struct linker *l, const struct fact_releaser *from, u32 n,
		   const struct wfg_releaser **ret, u32 *nr);

/* Resolves locks and queues and fills the queue of each wait. 0 or -ENOMEM. */
int link_queues(struct linker *l);

/*
 * Of the holds of one page, makes one of those that a walker found and hooks saw being taken; their
 * order changes. Returns how many are left.
 */
u32 join_holds(const struct fact_page *page, struct wfg_hold **holds, u32 n);

/* Fills busy, pins, mapped and unattributed of a page whose holds are in place. */
void account_page(struct wfg_page *page);

#endif
