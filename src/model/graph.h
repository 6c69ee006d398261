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
	struct table tasks;  /* struct wfg_task */
	struct table files;  /* struct wfg_file */
	struct table pages;  /* struct wfg_page */
	struct table waits;  /* struct wfg_wait */
	struct table holds;  /* struct hold_row */
	struct table queued; /* struct queued_row */
	struct table probes; /* struct probe_row */
	struct fact_loss *losses;
	u32 nr_losses;
	struct fact_end *ends;
	u32 nr_ends;
	char (*wait_ids)[12]; /* "w" and a u32 */
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

/* Adds to the sum of losses of this kind at this place. 0 or -ENOMEM. */
int add_loss(struct wfg *g, const struct fact_loss *f);

/* Fills busy, pins, mapped and unattributed of a page whose holds are in place. */
void account_page(struct wfg_page *page);

#endif
