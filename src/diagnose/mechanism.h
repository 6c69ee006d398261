/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What is known of each way to hold a page: in what words it is told, and what ends it. */
#ifndef DIAGNOSE_MECHANISM_H
#define DIAGNOSE_MECHANISM_H

#include <daxtop/fact.h>

enum ending {
	ENDS_UNKNOWN = 0,
	ENDS_READ,   /* data in a queue: when it is read, taken by a peer, or the last close */
	ENDS_IO,     /* when I/O completes, whatever its task does */
	ENDS_CALL,   /* when the task's call ends: a signal that ends the task will do */
	ENDS_UNMAP,  /* with the page table entry */
	ENDS_LOCK,   /* no page but a lock: as the finding for that lock says */
	ENDS_ITSELF, /* when the kernel gets round to it */
};

struct mechanism {
	enum ending ends;
	const char *purpose; /* "O_DIRECT I/O": held for what; NULL where an object tells it */
	const char *by;      /* " by libaio", or "" */
	const char *at;      /* what stands before its target; NULL " to " */
};

/* Never NULL; of HOW_UNKNOWN for a mechanism that is not in the table. */
const struct mechanism *mechanism_of(enum fact_how how);

/* What stands before the target of a mechanism: " to ", " on ". */
const char *mechanism_at(enum fact_how how);

#endif
