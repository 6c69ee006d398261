// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* The mechanisms that can hold a page, one walker each: the next one is one more line here. */
#include "collect/snap.h"

const struct walker walkers[] = {
	{ "pipe buffers", "pages in pipes (vmsplice, tee) are not found", walk_pipes_lacks,
	  walk_pipes },
	{ "socket queues", "pages in sockets (splice, MSG_ZEROCOPY) are not found",
	  walk_sockets_lacks, walk_sockets },
	{ "cipher sockets", "pages given to a cipher (AF_ALG) are not found", walk_ciphers_lacks,
	  walk_ciphers },
	{ "packets to free", "pages in packets that the kernel has yet to free are not found",
	  walk_deferred_lacks, walk_deferred },
	{ "direct I/O", "synchronous O_DIRECT holders are not found", walk_direct_io_lacks,
	  walk_direct_io },
	{ "bios in flight", "O_DIRECT by libaio and io_uring, and SG_IO, are not found",
	  walk_bios_lacks, walk_bios },
	{ "calls in the middle", "pages of process_vm_readv(2) and core dumps are not found",
	  walk_calls_lacks, walk_calls },
	{ "FUSE requests", "direct I/O through FUSE is only likely, or not found", walk_fuse_lacks,
	  walk_fuse },
	{ "page tables", "who maps a page is only a candidate", walk_mappings_lacks,
	  walk_mappings },
	{ "virtual machines", "who may have the page as a guest's memory is not told",
	  walk_vms_lacks, walk_vms },
	{ "entry locks", "who has the lock of an entry of a DAX file is not found",
	  walk_entry_locks_lacks, walk_entry_locks },
	{ "invalidate locks", "which page fault keeps a truncate from its file is not found",
	  walk_invalidate_locks_lacks, walk_invalidate_locks },
	{ "leases", "who has a lease that has to be given back is not found", walk_leases_lacks,
	  walk_leases },
	{ "lock queues", "tasks stuck behind a waiter are not counted, deadlocks not seen",
	  walk_queued_lacks, walk_queued },
	{ "DAX window queue", "tasks that need a part of virtiofs's DAX window are not counted",
	  walk_window_lacks, walk_window },
	{ "freeze and lookup queues",
	  "who freezes a filesystem, or looks up an inode, behind a waiter is not counted",
	  walk_behind_lacks, walk_behind },
	{ "memory search", "references that no walker explains are not searched for",
	  walk_memory_lacks, walk_memory },
	/* what it lacks is told by its hooks */
	{ "references taken", NULL, walk_taken_lacks, walk_taken },
};

const u32 nr_walkers = sizeof(walkers) / sizeof(*walkers);
