/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The tree of waits, flat: a wait, below it the holds of its page, below these who can release
 * them.
 */
#ifndef VIEW_TOP_ROWS_H
#define VIEW_TOP_ROWS_H

#include <daxtop/model.h>

#include "view/top/filter.h"

enum row_kind {
	ROW_WAIT = 0,
	ROW_HOLD,         /* of the page of the wait */
	ROW_RELEASER,     /* of the hold */
	ROW_UNATTRIBUTED, /* references that no hold explains */
	ROW_QUEUE,        /* all that are queued behind the wait */
	ROW_QUEUED,       /* one of them */
};

enum row_sort { SORT_AGE = 0, SORT_PID, SORT_COMM, SORT_OP, SORT_FILE, SORT_QUEUED, SORT_MAX };

struct row {
	enum row_kind kind;
	u8 depth;
	bool last;        /* of its siblings */
	bool parent_last; /* its parent is */
	bool parent;      /* has rows below it, shown or folded */
	bool folded;
	u32 n;                       /* of queued tasks */
	u64 key;                     /* the same in the next look */
	const struct wfg_wait *wait; /* never NULL */
	const struct wfg_hold *hold;
	const struct wfg_releaser *releaser;
	const struct wfg_task *task; /* the one that the row names; NULL none or several */
	const char *lock;
};

struct rows {
	struct row *row;
	u32 n, cap;
	const struct wfg_wait **wait; /* scratch for sorting */
	u32 wait_cap;
	u32 waits;   /* shown */
	u32 hidden;  /* waits that the filter leaves out */
	bool failed; /* out of memory: incomplete */
};

struct rows_opts {
	const struct filter *filter;
	enum row_sort sort;
	bool inverted;
	const u64 *folds; /* keys whose fold is not the default */
	u32 nr_folds;
};

/* Lists the rows of a linked graph; NULL is an empty one. */
void rows_fill(struct rows *r, const struct wfg *g, const struct rows_opts *opts);
void rows_free(struct rows *r);

/* Number of the row with the key; r->n when there is none. */
u32 rows_find(const struct rows *r, u64 key);

/* The column's name, as in --sort. */
const char *row_sort_name(enum row_sort sort);

#endif
