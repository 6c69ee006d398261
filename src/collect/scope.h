/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The parts of scope.c that decide without touching the path; for its tests. */
#ifndef DAXTOP_SCOPE_H
#define DAXTOP_SCOPE_H

#include <sys/stat.h>

#include <daxtop/collect.h>

/*
 * Fills m from what statx() said about path, or refuses: a file that is not on DAX, a filesystem
 * or device that cannot hold DAX files, or something that is neither. root stands before /sys and
 * /proc and is "" outside tests. m->path is not set. 0, or -1 with *why filled.
 */
int scope_member_from(struct scope_member *m, const char *path, const struct statx *stx,
		      const char *root, struct refusal *why);

/* Fills *why for a path whose statx() failed with err (-errno); returns -1. */
int scope_refuse_path(const char *path, int err, struct refusal *why);

#endif
