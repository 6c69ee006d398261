// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* The mechanisms that can hold a page, one walker each: the next one is one more line here. */
#include "collect/snap.h"

const struct walker walkers[] = {
	{ "pipe buffers", "pages in pipes (vmsplice, tee) are not found", walk_pipes_available,
	  walk_pipes },
	{ "socket queues", "pages in sockets (splice, MSG_ZEROCOPY) are not found",
	  walk_sockets_available, walk_sockets },
	{ "direct I/O", "synchronous O_DIRECT holders are not found", walk_direct_io_available,
	  walk_direct_io },
	{ "bios in flight", "asynchronous O_DIRECT (libaio, io_uring) is not found",
	  walk_bios_available, walk_bios },
	{ "page tables", "who maps a page is only a candidate", walk_mappings_available,
	  walk_mappings },
	{ "inode lock queue", "tasks that queue behind a waiter are not counted",
	  walk_queued_available, walk_queued },
	{ "memory search", "references that no walker explains are not searched for",
	  walk_memory_available, walk_memory },
};

const u32 nr_walkers = sizeof(walkers) / sizeof(*walkers);
