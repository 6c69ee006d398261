/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Where the fields are that the walkers read: one table, filled by name from the running kernel's
 * BTF. A kernel that renames or moves a field changes this table and nothing else.
 *
 * A name is "struct.member[.member]"; members of anonymous structs and unions count as the
 * outer's. Alternatives are separated by '|', newest first, and must mean the same thing.
 * "struct" alone is the size of the struct; "enum:NAME" is the value of an enumerator;
 * "func:NAME" is 1 when the kernel has the function.
 */
#ifndef DAXTOP_KFIELD_H
#define DAXTOP_KFIELD_H

#include <daxtop/types.h>

#define KFIELDS(X) \
	/* struct page and struct folio, include/linux/mm_types.h */ \
	X(PAGE, "page") \
	X(PAGE_FLAGS, "page.flags") \
	X(PAGE_MAPPING, "page.mapping") \
	/* cc253818a3c7 ("mm: rename page->index to page->__folio_index", v6.17) */ \
	X(PAGE_INDEX, "page.__folio_index|page.index") \
	X(PAGE_MAPCOUNT, "page._mapcount") \
	X(PAGE_REFCOUNT, "page._refcount") \
	/* up to 6.x a tail points at its head with bit 0 set; compound_info (v7.0) may be a mask */ \
	X(PAGE_COMPOUND_HEAD, "page.compound_head") \
	X(PAGE_COMPOUND_INFO, "page.compound_info") \
	X(FOLIO_FLAGS_1, "folio._flags_1") \
	X(FOLIO_LARGE_MAPCOUNT, "folio._large_mapcount") \
	X(FOLIO_PINCOUNT, "folio._pincount") \
	X(FOLIO_SHARE, "folio.share|page.share") \
	X(PG_HEAD, "enum:PG_head") \
	/* fsdax page ranges, include/linux/memremap.h and xarray.h */ \
	X(PGMAP_TYPE, "dev_pagemap.type") \
	X(PGMAP_RANGE, "dev_pagemap.range") \
	X(PGMAP_NR_RANGE, "dev_pagemap.nr_range") \
	X(RANGE, "range") \
	X(RANGE_START, "range.start") \
	X(RANGE_END, "range.end") \
	X(MEMORY_DEVICE_FS_DAX, "enum:MEMORY_DEVICE_FS_DAX") \
	X(XA_HEAD, "xarray.xa_head") \
	X(XA_NODE_SHIFT, "xa_node.shift") \
	X(XA_NODE_SLOTS, "xa_node.slots") \
	/* a wait on a variable, include/linux/wait_bit.h */ \
	X(WAIT_HEAD, "wait_queue_head") \
	X(WAIT_HEAD_HEAD, "wait_queue_head.head") \
	X(WBQE, "wait_bit_queue_entry") \
	X(WBQE_KEY_FLAGS, "wait_bit_queue_entry.key.flags") \
	X(WBQE_KEY_BIT_NR, "wait_bit_queue_entry.key.bit_nr") \
	X(WBQE_PRIVATE, "wait_bit_queue_entry.wq_entry.private") \
	X(WBQE_ENTRY, "wait_bit_queue_entry.wq_entry.entry") \
	X(LIST_NEXT, "list_head.next") \
	X(LIST_PREV, "list_head.prev") \
	/* files */ \
	X(FILES_FDT, "files_struct.fdt") \
	X(FDT_MAX_FDS, "fdtable.max_fds") \
	X(FDT_FD, "fdtable.fd") \
	X(FILE_INODE, "file.f_inode") \
	X(FILE_FLAGS, "file.f_flags") \
	X(FILE_MODE, "file.f_mode") \
	X(FILE_POS, "file.f_pos") \
	X(FILE_DENTRY, "file.f_path.dentry|file.__f_path.dentry") \
	/* where a pending fput hangs: f_u up to 6.1, then f_rcuhead, then f_task_work (v6.5) */ \
	X(FILE_TASK_WORK, "file.f_task_work|file.f_rcuhead|file.f_u") \
	X(WORK_NEXT, "callback_head.next") \
	X(WORK_FUNC, "callback_head.func") \
	/* overlayfs maps the file below it; what was opened is kept here (v6.7) */ \
	X(BACKING_FILE_DENTRY, "backing_file.user_path.dentry") \
	X(INODE_MODE, "inode.i_mode") \
	X(INODE_FLAGS, "inode.i_flags") \
	X(INODE_SB, "inode.i_sb") \
	X(INODE_MAPPING, "inode.i_mapping") \
	X(INODE_DATA, "inode.i_data") \
	X(INODE_INO, "inode.i_ino") \
	X(INODE_NLINK, "inode.i_nlink") \
	X(INODE_SIZE, "inode.i_size") \
	X(INODE_RDEV, "inode.i_rdev") \
	X(INODE_RWSEM, "inode.i_rwsem") \
	X(INODE_DENTRIES, "inode.i_dentry") \
	X(INODE_PIPE, "inode.i_pipe") \
	X(HLIST_FIRST, "hlist_head.first") \
	X(HLIST_NEXT, "hlist_node.next") \
	X(SB_DEV, "super_block.s_dev") \
	X(SB_ID, "super_block.s_id") \
	X(SB_TYPE, "super_block.s_type") \
	X(SB_ROOT, "super_block.s_root") \
	X(FS_TYPE_NAME, "file_system_type.name") \
	X(DENTRY_PARENT, "dentry.d_parent") \
	X(DENTRY_NAME, "dentry.d_name.name|dentry.__d_name.name") \
	X(DENTRY_NAME_LEN, "dentry.d_name.len|dentry.__d_name.len") \
	X(DENTRY_ALIAS, "dentry.d_alias|dentry.d_u.d_alias") \
	X(DENTRY_HASH_PPREV, "dentry.d_hash.pprev") \
	X(DENTRY_INODE, "dentry.d_inode") \
	X(DENTRY_SB, "dentry.d_sb") \
	X(MAPPING_HOST, "address_space.host") \
	X(MAPPING_I_MMAP, "address_space.i_mmap") \
	/* pipes, include/linux/pipe_fs_i.h */ \
	X(PIPE_HEAD, "pipe_inode_info.head") \
	X(PIPE_TAIL, "pipe_inode_info.tail") \
	X(PIPE_RING_SIZE, "pipe_inode_info.ring_size") \
	X(PIPE_BUFS, "pipe_inode_info.bufs") \
	X(PIPE_USER, "pipe_inode_info.user") \
	X(USER_UID, "user_struct.uid") \
	X(PIPE_BUF, "pipe_buffer") \
	X(PIPE_BUF_PAGE, "pipe_buffer.page") \
	X(PIPE_BUF_LEN, "pipe_buffer.len") \
	/* mappings: i_mmap is an rb_root_cached of vm_area_structs */ \
	X(RB_NODE, "rb_root_cached.rb_root.rb_node") \
	X(RB_LEFT, "rb_node.rb_left") \
	X(RB_RIGHT, "rb_node.rb_right") \
	X(VMA_RB, "vm_area_struct.shared.rb") \
	X(VMA_START, "vm_area_struct.vm_start") \
	X(VMA_END, "vm_area_struct.vm_end") \
	X(VMA_PGOFF, "vm_area_struct.vm_pgoff") \
	X(VMA_MM, "vm_area_struct.vm_mm") \
	X(VMA_FILE, "vm_area_struct.vm_file") \
	X(VMA_FLAGS, "vm_area_struct.vm_flags") \
	/* replaced by mm_mt in 763ecb035029 ("mm: remove the vma linked list", v6.1) */ \
	X(VMA_NEXT, "vm_area_struct.vm_next") \
	X(MM_MMAP, "mm_struct.mmap") \
	X(MM_MT_ROOT, "mm_struct.mm_mt.ma_root") \
	X(MAPLE_R64_PIVOT, "maple_range_64.pivot") \
	X(MAPLE_R64_SLOT, "maple_range_64.slot") \
	X(MAPLE_A64_PIVOT, "maple_arange_64.pivot") \
	X(MAPLE_A64_SLOT, "maple_arange_64.slot") \
	X(MM_PGD, "mm_struct.pgd") \
	/* tasks */ \
	X(TASK_LAST_ARRIVAL, "task_struct.sched_info.last_arrival") \
	X(TASK_STACK, "task_struct.stack") \
	X(TASK_SIGNAL, "task_struct.signal") \
	X(TASK_SIGHAND, "task_struct.sighand") \
	X(TASK_REAL_CRED, "task_struct.real_cred") \
	X(CRED_UID, "cred.uid") \
	X(TASK_SP, "task_struct.thread.sp") \
	X(TASK_BLOCKED, "task_struct.blocked") \
	X(TASK_CGROUPS, "task_struct.cgroups") \
	X(CSS_SET_DFL_CGRP, "css_set.dfl_cgrp") \
	X(CGROUP_KN, "cgroup.kn") \
	/* 633488947ef6 ("kernfs: Use RCU to access kernfs_node::parent.", v6.15) renamed parent */ \
	X(KN_PARENT, "kernfs_node.__parent|kernfs_node.parent") \
	X(KN_NAME, "kernfs_node.name") \
	X(SIGNAL_NR_THREADS, "signal_struct.nr_threads") \
	X(SIGHAND_ACTION, "sighand_struct.action") \
	X(K_SIGACTION, "k_sigaction") \
	X(SA_HANDLER, "k_sigaction.sa.sa_handler") \
	X(SA_FLAGS, "k_sigaction.sa.sa_flags") \
	/* registers saved at system call entry, arch/x86/include/asm/ptrace.h */ \
	X(PT_REGS, "pt_regs") \
	X(PT_R15, "pt_regs.r15") \
	X(PT_R14, "pt_regs.r14") \
	X(PT_R13, "pt_regs.r13") \
	X(PT_R12, "pt_regs.r12") \
	X(PT_BP, "pt_regs.bp") \
	X(PT_BX, "pt_regs.bx") \
	X(PT_R10, "pt_regs.r10") \
	X(PT_R9, "pt_regs.r9") \
	X(PT_R8, "pt_regs.r8") \
	X(PT_DX, "pt_regs.dx") \
	X(PT_SI, "pt_regs.si") \
	X(PT_DI, "pt_regs.di") \
	X(PT_ORIG_AX, "pt_regs.orig_ax") \
	X(PT_IP, "pt_regs.ip") \
	X(PT_CS, "pt_regs.cs") \
	X(PT_SP, "pt_regs.sp") \
	/* locks, kernel/locking/rwsem.c */ \
	X(RWSEM_WAIT_LIST, "rw_semaphore.wait_list") \
	X(RWSEM_FIRST_WAITER, "rw_semaphore.first_waiter") \
	X(RWSEM_WAITER_LIST, "rwsem_waiter.list") \
	X(RWSEM_WAITER_TASK, "rwsem_waiter.task") \
	/* block devices as I/O targets */ \
	X(SB_BDEV, "super_block.s_bdev") \
	/* built with CONFIG_FS_DAX */ \
	X(HAS_DAX_BUSY_PAGE, "func:dax_layout_busy_page_range|func:dax_layout_busy_page")

enum kf {
#define KF_ENUM(id, name) KF_##id,
	KFIELDS(KF_ENUM)
#undef KF_ENUM
	KF_MAX,
};

#define KFIELD_MISSING	(-1)

struct kfield {
	s64 off;	/* bytes from the start of the outer struct; size of a struct; enum value */
	u32 size;	/* bytes of the member; 0 for sizes, enumerators and functions */
};

struct btf;

/* Fills all[KF_MAX]; what the kernel lacks gets off KFIELD_MISSING. 0 or -ENOMEM. */
int kfields_resolve(struct kfield *all, const struct btf *btf);

/* The name in the table, for messages and images: "page._refcount". */
const char *kfield_name(enum kf f);

#endif
