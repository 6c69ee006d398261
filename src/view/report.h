/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Parts of the report that other views show too. */
#ifndef VIEW_REPORT_H
#define VIEW_REPORT_H

#include <stdio.h>

#include <daxtop/model.h>

#include "util/strbuf.h"

/* The verdict when nobody waits. */
void report_nothing_found(struct strbuf *sb, const struct wfg *g);

/* How far a graph without waits is to be trusted. 0, -ENOMEM, or -errno of the stream. */
int report_trust(FILE *out, const struct wfg *g);

#endif
