/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Facts as bytes, to hand them to another process of the same program or to keep them in little
 * memory. The layout is that of this build: it is no file format.
 */
#ifndef UTIL_FACT_PACK_H
#define UTIL_FACT_PACK_H

#include <stddef.h>

#include <daxtop/fact.h>

#include "util/strbuf.h"

/* Appends a fact to the strbuf out. 0, -ENOMEM, or -EINVAL for an unknown type. A fact_sink_fn. */
int fact_pack(void *out, const struct fact *fact);

/*
 * Hands every fact in the len bytes at packed, aligned as malloc() aligns, to the sink. 0, -EPROTO
 * when these are no packed facts, or what the sink returned.
 */
int fact_unpack(const char *packed, size_t len, fact_sink_fn sink, void *arg);

#endif
