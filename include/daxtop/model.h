/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The wait-for graph: waits, the pages they need, the holds on those pages and the tasks that can
 * release them. Pure: facts in, graph out; no I/O, no libbpf, no clock of its own.
 */
#ifndef DAXTOP_MODEL_H
#define DAXTOP_MODEL_H

#include <stddef.h>

#include <daxtop/fact.h>

#define WFG_PAGE_SIZE 4096 /* bytes of a page of order 0: x86 */

struct wfg;

struct wfg_task {
	struct fact_task t; /* strings and stacks owned by the graph */
};

struct wfg_file {
	struct fact_file f;
};

struct wfg_releaser {
	const struct wfg_task *task;
	s32 fd;
	bool reads;
	bool receives;
	bool registered;
	bool exit_waits;
};

struct wfg_hold {
	/*
	 * h.releasers is NULL here: see releasers. h.nr_releasers is how many were reported, so
	 * when it is the larger, some task that could release the hold is not known.
	 */
	struct fact_hold h;
	enum fact_seen seen;
	const struct wfg_task *server;        /* who alone can answer the I/O; NULL none, unknown */
	bool traced;                          /* seen by hooks, too, where seen is SEEN_SNAPSHOT */
	const struct wfg_releaser *releasers; /* by pid; unknown tasks are left out */
	u32 nr_releasers;
};

struct wfg_page {
	struct fact_page p;
	const struct wfg_file *file;         /* NULL unknown */
	const struct wfg_hold *const *holds; /* strongest confidence first */
	u32 nr_holds;
	s64 busy;         /* references above idle, a FOLL_PIN counted once; 0 = idle */
	s64 pins;         /* of which FOLL_PINs */
	s64 mapped;       /* of which page table entries */
	s64 unattributed; /* busy references that no exact or likely hold explains, >= 0 */
	const struct fact_freed
		*freed; /* how it left its file although referenced; NULL not seen */
};

struct wfg_lock {
	/* l.owners is NULL here: see owners. l.nr_owners is how many were reported. */
	struct fact_lock l;
	const struct wfg_file *file; /* NULL unknown, or none */
	const struct wfg_releaser *owners;
	u32 nr_owners;
};

/* A task that sleeps for a lock, or for a pipe, and who it is stuck behind. */
struct wfg_queued {
	const struct wfg_task *task;
	const char *lock;              /* NULL unknown */
	const struct wfg_lock *on;     /* NULL unknown */
	const struct wfg_task *behind; /* who has the lock, or is to have it first; NULL unknown */
	u32 depth;                     /* in a queue of a wait: 0 when it is behind the waiter */
	bool shared;                   /* it wants the lock for reading */
};

struct wfg_wait {
	struct fact_wait w;
	enum fact_seen seen;
	const struct wfg_task *task; /* never NULL */
	const struct wfg_file *file; /* of the wait, else of its page; NULL unknown */
	const struct wfg_page *page; /* NULL unknown */
	/* Of the page, or of the lock that it waits for; strongest confidence first. */
	const struct wfg_hold *const *holds;
	u32 nr_holds;
	/* behind the waiter, directly or through others: longest asleep first */
	const struct wfg_queued *queued;
	u32 nr_queued;
	u64 since_ns; /* CLOCK_MONOTONIC when it began, from earlier looks; 0: they know nothing */
	u32 moves;    /* how often a look found it waiting for another page than the look before */
	/* since it began, if a trace saw that, else since its task last ran, ns; FACT_UNKNOWN */
	u64 age_ns;
};

/* A new empty graph, NULL without memory. */
struct wfg *wfg_new(void);
void wfg_free(struct wfg *g);

/*
 * Copies a fact into the graph: one with the id of an earlier one replaces it; a hold's id is its
 * page, mechanism and object, for I/O also its task; without an object it always counts as another
 * one. Losses at one place add up. 0, -ENOMEM, -EINVAL for an unknown type. A fact_sink_fn.
 */
int wfg_add(void *graph, const struct fact *fact);

/*
 * Resolves references between facts and accounts for page references; call once, after the last
 * wfg_add(), but for losses and ends, which refer to nothing and may follow. Facts that refer to
 * what never came are dropped and counted as lost. 0 or -ENOMEM.
 */
int wfg_link(struct wfg *g);

/* Valid after wfg_link(). Waits: oldest first, unknown age last. */
size_t wfg_nr_waits(const struct wfg *g);
const struct wfg_wait *wfg_wait(const struct wfg *g, size_t i);
size_t wfg_nr_pages(const struct wfg *g);
const struct wfg_page *wfg_page(const struct wfg *g, size_t i);
/* How many of the page's holds are more than candidates: they are the first ones. */
u32 wfg_page_holders(const struct wfg_page *page);
/*
 * Whether somebody refers to the page, page table entries aside; with --before-unbind, where each
 * of them matters, with these.
 */
bool wfg_page_is_held(const struct wfg *g, const struct wfg_page *page);
/* Byte offset of the page in its file; FACT_UNKNOWN when its index is. */
u64 wfg_page_offset(const struct wfg_page *page);
/* Every task, in no order; the place of one among them. */
size_t wfg_nr_tasks(const struct wfg *g);
const struct wfg_task *wfg_task(const struct wfg *g, size_t i);
size_t wfg_task_index(const struct wfg *g, const struct wfg_task *task);
size_t wfg_nr_locks(const struct wfg *g);
const struct wfg_lock *wfg_lock(const struct wfg *g, size_t i);
/* Every task that sleeps for a lock, once, whether or not it is behind a wait; by task. */
size_t wfg_nr_queued(const struct wfg *g);
const struct wfg_queued *wfg_queued(const struct wfg *g, size_t i);
/* The lock that a task sleeps for; NULL none. */
const struct wfg_queued *wfg_queued_of(const struct wfg *g, const struct wfg_task *task);
size_t wfg_nr_probes(const struct wfg *g);
const struct fact_probe *wfg_probe(const struct wfg *g, size_t i);
const struct fact_session *wfg_session(const struct wfg *g);   /* zeroed when none came */
u64 wfg_losses(const struct wfg *g, enum fact_loss_kind kind); /* sum of counts */
size_t wfg_nr_losses(const struct wfg *g);
const struct fact_loss *wfg_loss(const struct wfg *g, size_t i);
/* Pages that left their file although referenced, in the order in which they came. */
size_t wfg_nr_freed(const struct wfg *g);
const struct fact_freed *wfg_freed(const struct wfg *g, size_t i);
/* Waits that are over, in the order in which they came. */
size_t wfg_nr_ends(const struct wfg *g);
const struct fact_end *wfg_end(const struct wfg *g, size_t i);

/*
 * Whether a wait of another look is in this one too: the same task waits for the same operation on
 * the same file. Each look is linked.
 */
bool wfg_still_waits(const struct wfg *g, const struct wfg_wait *wait);

/*
 * Tells a FACT_END of each wait of one look that is gone in a later one; those that are still there
 * learn when they began. Where records were torn or lost
 * in the later look, nothing is told: what was not seen may be there. 0, or the sink's error.
 */
int wfg_tell_ends(const struct wfg *before, struct wfg *now, fact_sink_fn sink, void *arg);

/* Only the latter: for looks of which others tell the ends. */
void wfg_carry_on(const struct wfg *before, struct wfg *now);

/* A stable document-wide name of the wait, "w1", "w2", ... in the order of wfg_wait(). */
const char *wfg_wait_id(const struct wfg *g, const struct wfg_wait *wait);

#endif
