/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#ifndef VIEW_HIST_H
#define VIEW_HIST_H

#include <stdio.h>

#include <daxtop/model.h>

#include "view/buckets.h"

/* Waits that ended, by how long they lasted. Starts zeroed. */
struct hist {
	struct buckets all, op[OP_MAX];
};

void hist_add(struct hist *h, const struct fact_end *end);

/* Prints it; g tells who still waits. 0, -ENOMEM or -errno of the stream. */
int view_hist(FILE *out, const struct wfg *g, const struct hist *h);

/* Prints how long the pages of g have been held by now, for each mechanism. As above. */
int view_hist_holds(FILE *out, const struct wfg *g);

#endif
