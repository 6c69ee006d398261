/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What stuck.c, stuck_build.c and stuck_cycle.c share. */
#ifndef DIAGNOSE_STUCK_PARTS_H
#define DIAGNOSE_STUCK_PARTS_H

#include "diagnose/stuck.h"

/* When a task of process from may go on, task to is to be looked at again. */
struct edge {
	u32 from, to;
};

struct node {
	const struct wfg_wait *wait;
	const struct wfg_queued *sleeps;
	u32 process;
	bool stuck;
	bool listed;               /* to be looked at again */
	bool circles;              /* stuck, and in a circle or between two of them */
	u32 awaited;               /* by how many that are stuck, and that may be in a circle */
	u32 turn;                  /* of the search that came here */
	u32 came_from;             /* the node before in that search */
	const struct wfg_hold *by; /* of the node before: what leads here; NULL its lock */
	const struct cycle *only;  /* the one circle that it is in; NULL there may be others */
	u32 at;                    /* its step of that */
};

/* Tasks of one process: members[first] to members[first + n - 1]. */
struct process {
	u32 first, n;
	u32 stuck;   /* how many of them */
	u32 threads; /* that are alive; 0 unknown */
	u32 awaited; /* by how many, whichever of them */
};

struct stuck {
	const struct wfg *g;
	bool proven;
	struct node *nodes; /* by wfg_task_index() */
	u32 n;
	u32 *members;
	struct process *processes;
	u32 nr_processes;
	struct edge *edges; /* by from */
	u32 nr_edges;
	u32 *list; /* nodes to be looked at: as many as there are */
	u32 turn;
};

static inline struct node *node_of(const struct stuck *s, const struct wfg_task *task)
{
	return &s->nodes[wfg_task_index(s->g, task)];
}

static inline struct process *process_of(const struct stuck *s, const struct wfg_task *task)
{
	return &s->processes[node_of(s, task)->process];
}

/* Who can end a hold by reading: some who have it open could write only. */
bool may_read(const struct wfg_releaser *r);
bool has_reader(const struct wfg_hold *h);

/* Whether the end of its holds is what a wait waits for. */
bool wait_needs_holds(const struct wfg_wait *w);

/* Whether the hold stays as long as the nodes that are stuck now are. */
bool hold_stuck(const struct stuck *s, const struct wfg_hold *h);

/* Whether the lock is with tasks that are stuck now. */
bool lock_stuck(const struct stuck *s, const struct wfg_queued *q);

/*
 * stuck_build.c: the nodes, processes and edges; whoever sleeps for something is stuck. 0 or
 * -ENOMEM.
 */
int stuck_build(struct stuck *s);

/* stuck_cycle.c: finds out who can be in a circle, once it is known who is stuck. */
void stuck_trim(struct stuck *s);

#endif
