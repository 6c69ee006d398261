// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Which operation a waiter is in, from its kernel stack and its system call. */
#include <fcntl.h>
#include <linux/falloc.h>
#include <linux/io_uring.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>

#include "collect/snap.h"
#include "collect/task_flags.h"
#include "util/strbuf.h"

enum { PATH_ARG_MAX = 256 };

/* Several names where kernels differ; the first rule that fits wins. */
struct rule {
	enum fact_op op;
	enum fact_trigger trigger;
	const char *const *functions;
};

#define ON(...) ((const char *const[]){ __VA_ARGS__, NULL })

/* Innermost cause first: an exiting task may be the one that unmounts. */
static const struct rule evict_rules[] = {
	{ OP_UMOUNT, TRIGGER_UMOUNT, ON("generic_shutdown_super", "deactivate_locked_super") },
	{ OP_EVICT, TRIGGER_DEVICE_REMOVAL,
	  ON("fs_bdev_mark_dead", "bdev_mark_dead", "__del_gendisk", "del_gendisk") },
	{ OP_RECLAIM, TRIGGER_SHRINKER,
	  ON("shrink_dentry_list", "prune_dcache_sb", "prune_icache_sb", "super_cache_scan") },
	{ OP_EVICT, TRIGGER_EXIT, ON("do_exit") },
	{ OP_EVICT, TRIGGER_UNLINK,
	  /* filename_*: v7.0 split do_unlinkat() and do_renameat2() */
	  ON("do_unlinkat", "filename_unlinkat", "do_renameat2", "filename_renameat2") },
	{ OP_EVICT, TRIGGER_LAST_CLOSE, ON("__fput", "____fput", "delayed_fput", "task_work_run") },
	{ OP_EVICT, TRIGGER_NONE, ON("evict") },
};

static const struct rule fallocate_rules[] = {
	{ OP_PUNCH_HOLE, 0, ON("ext4_punch_hole", "xfs_falloc_punch_hole") },
	{ OP_ZERO_RANGE, 0, ON("ext4_zero_range", "xfs_falloc_zero_range") },
	{ OP_COLLAPSE_RANGE, 0, ON("ext4_collapse_range", "xfs_falloc_collapse_range") },
	{ OP_INSERT_RANGE, 0, ON("ext4_insert_range", "xfs_falloc_insert_range") },
};

/* A loop device calls the filesystem itself. */
static const char *const fallocates[] = { "vfs_fallocate", "ext4_fallocate", "xfs_file_fallocate",
					  "fuse_file_fallocate", NULL };

static const struct rule fault_rules[] = {
	{ OP_FAULT, 0, ON("handle_mm_fault", "dax_iomap_pte_fault", "dax_iomap_pmd_fault") },
	{ OP_WRITEBACK, 0, ON("dax_writeback_mapping_range") },
};

static const struct rule remap_rules[] = {
	{ OP_REFLINK, 0, ON("vfs_clone_file_range", "do_clone_file_range", "vfs_copy_file_range") },
	{ OP_DEDUPE, 0, ON("vfs_dedupe_file_range", "vfs_dedupe_file_range_one") },
	{ OP_EXCHANGE, 0, ON("xfs_ioc_exchange_range", "xfs_exchange_range", "xfs_swap_extents") },
};

static const struct rule rules[] = {
	{ OP_REFLINK, 0, ON("xfs_file_remap_range", "xfs_reflink_remap_prep") },
	{ OP_OPEN_TRUNC, 0, ON("path_openat", "do_filp_open", "fuse_open") },
	{ OP_TRUNCATE, 0,
	  ON("do_truncate", "vfs_truncate", "notify_change", "ksys_ftruncate", "do_sys_ftruncate",
	     "do_ftruncate", "fuse_do_setattr") },
	{ OP_RECLAIM, TRIGGER_DAX_WINDOW,
	  /* fuse_iomap_next: v7.3, where it has fuse_iomap_begin() inlined */
	  ON("fuse_dax_free_mem_worker", "fuse_iomap_begin", "fuse_iomap_next",
	     "try_to_free_dmap_chunks") },
	{ OP_UNBIND, 0, ON("memunmap_pages") },
	{ OP_WRITE, 0, ON("vfs_write", "vfs_iter_write") },
};

static struct op first_match(const struct ktask *t, const struct rule *r, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (task_stack_any(t, r[i].functions))
			return (struct op){ r[i].op, r[i].trigger };
	return (struct op){ OP_OTHER, TRIGGER_NONE };
}

#define MATCH(t, table) first_match(t, table, sizeof(table) / sizeof(*(table)))

struct op op_of_frames(const char *const *frames, u32 n)
{
	for (u32 i = 0; i < n; i++)
		for (size_t j = 0; j < sizeof(remap_rules) / sizeof(*remap_rules); j++)
			if (frame_is_any(frames[i], remap_rules[j].functions))
				return (struct op){ remap_rules[j].op, TRIGGER_NONE };
	return (struct op){ OP_OTHER, TRIGGER_NONE };
}

static enum fact_op op_of_mode(u64 mode)
{
	if (mode & FALLOC_FL_PUNCH_HOLE)
		return OP_PUNCH_HOLE;
	if (mode & FALLOC_FL_ZERO_RANGE)
		return OP_ZERO_RANGE;
	if (mode & FALLOC_FL_COLLAPSE_RANGE)
		return OP_COLLAPSE_RANGE;
	if (mode & FALLOC_FL_INSERT_RANGE)
		return OP_INSERT_RANGE;
	return OP_ALLOCATE;
}

/* What xfs_io(8) and others asked for before fallocate(2) could: include/linux/falloc.h. */
static enum fact_op op_of_ioctl(u64 cmd)
{
	switch (_IOC_TYPE(cmd) == 'X' ? _IOC_NR(cmd) : 0) {
	case 41: /* FS_IOC_UNRESVSP */
	case 43: /* FS_IOC_UNRESVSP64 */
		return OP_PUNCH_HOLE;
	case 57: /* FS_IOC_ZERO_RANGE */
		return OP_ZERO_RANGE;
	default:
		return OP_OTHER;
	}
}

/* The request that a worker of io_uring is in the middle of, an io_kiocb; 0 none. */
static u64 worker_request(struct snap *s, const struct ktask *t)
{
	u64 worker, work;

	if (!(t->r.flags & PF_IO_WORKER) || !kmem_has(s->k, KF_IO_KIOCB_WORK) ||
	    kmem_get(s->k, t->r.task, KF_TASK_IO_WORKER, &worker) ||
	    kmem_get(s->k, worker, KF_IO_WORKER_CUR_WORK, &work) || !kmem_is_kernel_ptr(work))
		return 0;
	return kmem_container(s->k, work, KF_IO_KIOCB_WORK);
}

/* A worker has no system call, but a request with the same arguments. */
static bool fallocate_of_worker(struct snap *s, const struct ktask *t, u64 *mode)
{
	u64 request = worker_request(s, t), opcode;

	return request && kmem_has(s->k, KF_IO_KIOCB_CMD) &&
	       !kmem_get(s->k, request, KF_IO_KIOCB_OPCODE, &opcode) &&
	       opcode == IORING_OP_FALLOCATE &&
	       !kmem_get(s->k, kmem_at(s->k, request, KF_IO_KIOCB_CMD), KF_IO_SYNC_MODE, mode);
}

static struct op op_of_fallocate(struct snap *s, struct ktask *t)
{
	const struct arch_regs *regs = task_regs(s, t);
	u64 mode;

	if (regs && regs->syscall == SYS_fallocate)
		return (struct op){ op_of_mode(regs->args[1]), TRIGGER_NONE };
	if (regs && regs->syscall == SYS_ioctl && op_of_ioctl(regs->args[1]) != OP_OTHER)
		return (struct op){ op_of_ioctl(regs->args[1]), TRIGGER_NONE };
	if (regs && regs->syscall == SYS_madvise) /* MADV_REMOVE, mm/madvise.c */
		return (struct op){ OP_PUNCH_HOLE, TRIGGER_NONE };
	if (fallocate_of_worker(s, t, &mode))
		return (struct op){ op_of_mode(mode), TRIGGER_NONE };
	return MATCH(t, fallocate_rules);
}

/*
 * Without a stack (it was running when we looked) the system call alone must do. It says less: an
 * ioctl may be anything.
 */
static struct op op_of_syscall(struct snap *s, struct ktask *t)
{
	const struct arch_regs *regs = task_regs(s, t);

	switch (regs ? regs->syscall : -1) {
	case SYS_truncate:
	case SYS_ftruncate:
		return (struct op){ OP_TRUNCATE, TRIGGER_NONE };
	case SYS_open:
	case SYS_openat:
	case SYS_openat2:
	case SYS_creat:
		return (struct op){ OP_OPEN_TRUNC, TRIGGER_NONE };
	default:
		return (struct op){ OP_OTHER, TRIGGER_NONE };
	}
}

/* An open may wait for a lease though it leaves the file as it is. */
static bool opens_without_truncate(struct snap *s, struct ktask *t)
{
	const struct arch_regs *regs = task_regs(s, t);

	switch (regs ? regs->syscall : -1) {
	case SYS_open:
		return !(regs->args[1] & O_TRUNC);
	case SYS_openat:
		return !(regs->args[2] & O_TRUNC);
	default:
		return task_stack_has(t, "path_openat") && (!regs || regs->syscall != SYS_creat);
	}
}

struct op op_of(struct snap *s, struct ktask *t)
{
	struct op op;

	if (task_stack_has(t, "dax_break_layout_final") || task_stack_has(t, "evict"))
		return MATCH(t, evict_rules);
	if (task_stack_any(t, fallocates))
		return op_of_fallocate(s, t);
	if (task_stack_has(t, "__break_lease") && opens_without_truncate(s, t))
		return (struct op){ OP_OTHER, TRIGGER_NONE };
	op = MATCH(t, fault_rules);
	if (op.op == OP_OTHER)
		op = MATCH(t, remap_rules);
	if (op.op == OP_OTHER)
		op = MATCH(t, rules);
	return op.op == OP_OTHER ? op_of_syscall(s, t) : op;
}

/* A string in user memory up to the end of its page and, if that is not all, of the next. */
static bool read_user_string(struct snap *s, u64 pgd, u64 addr, char *buf, size_t size)
{
	size_t first = ARCH_PAGE_SIZE - addr % ARCH_PAGE_SIZE;

	memset(buf, 0, size);
	if (first > size - 1)
		first = size - 1;
	if (arch_read_user(&s->arch, s->k, pgd, addr, buf, first))
		return false;
	return memchr(buf, '\0', first) || first == size - 1 ||
	       !arch_read_user(&s->arch, s->k, pgd, addr + first, buf + first, size - 1 - first);
}

/* A path argument, if it is present in the task's memory. */
static void add_path_arg(struct snap *s, const struct ktask *t, u64 addr, struct strbuf *sb)
{
	char path[PATH_ARG_MAX];
	u64 pgd;

	if (t->r.mm && !kmem_get(s->k, t->r.mm, KF_MM_PGD, &pgd) &&
	    read_user_string(s, pgd, addr, path, sizeof(path)))
		sb_printf(sb, "\"%s\"", path);
	else
		sb_printf(sb, "0x%llx", (unsigned long long)addr);
}

static void add_arg(struct snap *s, const struct ktask *t, char kind, u64 arg, struct strbuf *sb)
{
	switch (kind) {
	case 'd':
		if ((s32)arg == AT_FDCWD)
			sb_puts(sb, "AT_FDCWD");
		else
			sb_printf(sb, "%d", (s32)arg);
		break;
	case 'u':
		sb_printf(sb, "%lld", (long long)arg);
		break;
	case 's':
		add_path_arg(s, t, arg, sb);
		break;
	default:
		sb_printf(sb, "0x%llx", (unsigned long long)arg);
	}
}

const char *call_text(struct snap *s, struct ktask *t)
{
	const struct arch_regs *regs = task_regs(s, t);
	struct strbuf sb = { 0 };
	const char *name, *args, *text;

	if (!regs || regs->syscall < 0)
		return NULL;
	name = arch_syscall_name(regs->syscall);
	if (!name)
		return snap_text(s, "syscall %d", regs->syscall);
	args = arch_syscall_args(regs->syscall);
	sb_printf(&sb, "%s(", name);
	for (int i = 0; args[i]; i++) {
		if (i)
			sb_puts(&sb, ", ");
		add_arg(s, t, args[i], regs->args[i], &sb);
	}
	sb_putc(&sb, ')');
	text = sb.failed ? name : snap_text(s, "%s", sb.s);
	sb_free(&sb);
	return text;
}
