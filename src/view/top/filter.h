/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Which waits are shown. Compiled from options, on the command line or typed into the live view. */
#ifndef VIEW_TOP_FILTER_H
#define VIEW_TOP_FILTER_H

#include <daxtop/model.h>

#include "opts/opts.h"

/* All words of one kind are alternatives, the kinds must all fit. Empty: everything is shown. */
struct filter {
	struct filter_words words; /* point to what was compiled */
	u64 min_ns;
};

/* Words of options are checked already; they must stay as long as the filter. */
void filter_compile(struct filter *f, const struct filter_words *words);

bool filter_matches(const struct filter *f, const struct wfg_wait *wait);

#endif
