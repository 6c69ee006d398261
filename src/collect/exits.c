// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Whether the end of a task releases what it has open. An exit closes all descriptors first, and
 * lets go of what they led to afterwards (____fput() is task work). Where closing a file flushes
 * it, as in FUSE, that may need the inode lock. A truncate keeps this lock while it waits: so the
 * exit sleeps and never gets to what the truncate waits for, in whatever order the descriptors are.
 */
#include "collect/snap.h"

static bool flush_waits(struct snap *s, u64 file)
{
	u64 ops, flush;

	/* DAX files have no other flush than that of FUSE */
	if (kmem_has(s->k, KF_FUSE_INODE) && !kmem_has(s->k, KF_FUSE_INODE_WRITEPAGES))
		return false;
	return !kmem_get(s->k, file, KF_FILE_OP, &ops) &&
	       !kmem_get(s->k, ops, KF_FOP_FLUSH, &flush) && flush;
}

static bool exit_waits(struct snap *s, u64 task, u64 waited)
{
	const struct kfds *f = &s->fds;

	for (u32 i = 0; i < f->n; i++)
		if (f->v[i].task == task && f->v[i].fd >= 0 && f->inode_of[i] != UINT32_MAX &&
		    f->inodes[f->inode_of[i]] == waited && flush_waits(s, f->v[i].file))
			return true;
	return false;
}

void exits_mark(struct snap *s, u64 waited, struct fact_releaser *r, u32 n)
{
	for (u32 i = 0; waited && i < n; i++)
		r[i].exit_waits = exit_waits(s, r[i].task, waited);
}
