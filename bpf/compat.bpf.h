/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Every difference between kernels that the BPF programs see, one accessor each. Decided by the
 * type or field that is there, never by a version: distributions backport.
 */
#ifndef DAXTOP_COMPAT_BPF_H
#define DAXTOP_COMPAT_BPF_H

#include "vmlinux.h"
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>

/* 2f064a59a11f ("sched: Change task_struct::state", v5.14) renamed state to __state. */
static __always_inline u32 task_state(struct task_struct *task)
{
	struct task_struct___pre514 *old = (void *)task;

	if (bpf_core_field_exists(task->__state))
		return BPF_CORE_READ(task, __state);
	return BPF_CORE_READ(old, state);
}

/* struct page.index became __folio_index: of a page that is no folio it says nothing (v6.16). */
static __always_inline u64 page_index(struct page *page)
{
	struct page___folio *folio = (void *)page;

	if (bpf_core_field_exists(folio->__folio_index))
		return BPF_CORE_READ(folio, __folio_index);
	return BPF_CORE_READ(page, index);
}

/* page.flags became a struct with "mm: introduce memdesc_flags_t" (v6.18). */
static __always_inline bool page_is_large(struct page *page)
{
	struct page___memdesc *newer = (void *)page;
	u64 flags;

	if (bpf_core_field_exists(newer->flags.f))
		flags = BPF_CORE_READ(newer, flags.f);
	else
		flags = BPF_CORE_READ(page, flags);
	return flags >> bpf_core_enum_value(enum pageflags, PG_head) & 1;
}

/* Both ways of a tail page to lead to its head: see page_head() in src/collect/pages.c. */
static __always_inline u64 page_head(u64 addr)
{
	struct page___compound_info *newer = (void *)addr;
	struct page *page = (void *)addr;
	u64 info = 0;

	if (bpf_core_field_exists(page->compound_head))
		info = BPF_CORE_READ(page, compound_head);
	else if (bpf_core_field_exists(newer->compound_info))
		info = BPF_CORE_READ(newer, compound_info);
	if (!(info & 1))
		return addr;
	return info >> 32 == 0xffffffff ? addr & info & ~1ULL : info - 1;
}

/*
 * An argument of a trampoline's program as a number: of a pointer the verifier lets it compare the
 * value, no more, and an old kernel must be able to follow its type.
 */
static __always_inline u64 argument(u64 *args, u32 n)
{
	u64 value = 0;

	bpf_probe_read_kernel(&value, sizeof(value), args + n);
	return value;
}

#endif
