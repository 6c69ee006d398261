// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Locks of single mappings, which page faults of files take instead of mmap_lock since 350f6bbca1de
 * ("mm: allow per-VMA locks on file-backed VMAs", v6.6). At first they are rw_semaphores, with
 * queues as any other. Since 6.15 there is but a count of readers in the vma. Who wants it for
 * writing, with mmap_lock held, marks the count and sleeps until the readers are gone, and its
 * mm_struct names that one task (__vma_enter_locked(), __vma_start_exclude_readers()).
 */
#include <errno.h>

#include "collect/snap.h"

#define WRITER      0x40000000U /* VMA_LOCK_OFFSET, VM_REFCNT_EXCLUDE_READERS_FLAG: in the count */
#define ATTACHED    1U          /* in the count of a vma that is part of its mm_struct */
#define READERS_MAX (1U << 24)  /* beyond it is no count of readers */

static const char *const waits_for_readers[] = {
	"__vma_enter_locked", "__vma_start_exclude_readers", "__vma_exclude_readers_for_detach",
	"__vma_start_write",  "vma_mark_detached",           NULL,
};

u64 vma_lock(struct snap *s, u64 vma)
{
	u64 lock;

	if (kmem_has(s->k, KF_VMA_REFCNT))
		return vma;
	return kmem_get(s->k, vma, KF_VMA_VM_LOCK, &lock) || !kmem_has(s->k, KF_VMA_LOCK_RWSEM) ?
		       0 :
		       kmem_at(s->k, lock, KF_VMA_LOCK_RWSEM);
}

/* The task that waits until the readers of a vma are gone; 0 none. */
static u64 writer_of(struct snap *s, u64 vma)
{
	u64 refs, mm, task;

	if (!kmem_is_kernel_ptr(vma) || vma & 7 || kmem_get(s->k, vma, KF_VMA_REFCNT, &refs) ||
	    !((u32)refs & WRITER) || kmem_get(s->k, vma, KF_VMA_MM, &mm) ||
	    !kmem_is_kernel_ptr(mm) || kmem_get(s->k, mm, KF_MM_VMA_WRITER, &task))
		return 0;
	return task;
}

int vma_lock_of_task(struct snap *s, const struct ktask *t, struct klock *ret)
{
	u64 start;
	u32 n;
	const u64 *words;

	if (!kmem_has(s->k, KF_MM_VMA_WRITER) || !task_stack_any(t, waits_for_readers))
		return -ENOENT;
	words = task_stack_words(s, t, &n, &start);
	for (u32 i = 0; i < n; i++) {
		if (writer_of(s, words[i]) != t->r.task)
			continue;
		*ret = (struct klock){ .addr = words[i], .kind = KLOCK_VMA };
		return 0;
	}
	return -ENOENT;
}

int vma_lock_read_owner(struct snap *s, struct klock *l)
{
	u64 refs;
	u32 readers;

	if (kmem_get(s->k, l->addr, KF_VMA_REFCNT, &refs))
		return -EFAULT;
	readers = ((u32)refs & ~WRITER) - ATTACHED;
	l->mode = readers ? MODE_READ : MODE_UNKNOWN;
	l->readers = readers < READERS_MAX ? readers : 0;
	return 0;
}

int vma_lock_walk(struct snap *s, const struct klock *l, lock_waiter_fn fn, void *arg)
{
	u64 task = writer_of(s, l->addr);

	return task ? fn(arg, task, false) : 0;
}
