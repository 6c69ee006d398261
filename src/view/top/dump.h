/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#ifndef VIEW_TOP_DUMP_H
#define VIEW_TOP_DUMP_H

#include "view/top/top.h"

/*
 * Writes what is shown to two new files in the current directory, mode 0600, as daxtrace's report
 * and as its JSON, and tells their names or what went wrong as a message. Takes two seconds at
 * most, even where the directory's filesystem hangs.
 */
void dump_shown(struct top *t);

#endif
