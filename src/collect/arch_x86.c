// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include <errno.h>
#include <string.h>
#include <sys/syscall.h>

#include <linux/bpf.h>

#include "collect/ia32.h"

#ifndef __x86_64__
#error "daxtop knows x86-64 only: add src/collect/arch_<name>.c"
#endif

/* arch/x86/include/asm/pgtable_types.h */
#define PTE_PRESENT    0x001ULL
#define PTE_PSE        0x080ULL
#define PTE_PFN_MASK   0x000ffffffffff000ULL
#define PTRS_PER_TABLE 512

/* Below it the direct map starts with five page table levels, Documentation/arch/x86/x86_64/mm */
#define DIRECT_MAP_5LEVEL_END 0xff90000000000000ULL

#define USER_CS32 0x23

/* Stack sizes in use: THREAD_SIZE is 16 KiB, twice that with KASAN. */
static const u32 stack_sizes[] = { 16384, 32768 };

enum { TOP_WINDOW = 512 };

static u64 read_variable(struct kmem *k, enum ksym s)
{
	u64 val = 0;

	if (k->sym[s])
		kmem_read(k, k->sym[s], &val, sizeof(val));
	return val;
}

static bool is_our_bpf_call(const struct kmem *k, const char *regs)
{
	u64 orig_ax, di;

	memcpy(&orig_ax, regs + k->field[KF_PT_ORIG_AX].off, sizeof(orig_ax));
	memcpy(&di, regs + k->field[KF_PT_DI].off, sizeof(di));
	return orig_ax == SYS_bpf && di == BPF_PROG_TEST_RUN;
}

/* Looks for our own registers in the window below the top of a stack of this size. */
static u64 find_regs(struct kmem *k, u64 stack, u32 size)
{
	u64 regs_size = k->field[KF_PT_REGS].off;
	char top[TOP_WINDOW];

	if (kmem_read(k, stack + size - sizeof(top), top, sizeof(top)))
		return 0;
	for (u64 at = 0; at + regs_size <= sizeof(top); at += 8)
		if (is_our_bpf_call(k, top + at))
			return size - sizeof(top) + at;
	return 0;
}

/*
 * The registers lie at the top of the stack, below a padding that FRED made larger
 * (65c9cc9e2c14, "x86/fred: Reserve space for the FRED stack frame", v6.9). Right now we are in
 * bpf(2), so our own stack shows where.
 */
static void calibrate_stack(struct arch *a, struct kmem *k)
{
	u64 stack;

	if (!kmem_has(k, KF_PT_REGS) || kmem_get(k, k->self, KF_TASK_STACK, &stack))
		return;
	for (size_t i = 0; i < sizeof(stack_sizes) / sizeof(*stack_sizes) && !a->regs_off; i++) {
		a->regs_off = find_regs(k, stack, stack_sizes[i]);
		a->stack_size = a->regs_off ? stack_sizes[i] : 0;
	}
}

void arch_init(struct arch *a, struct kmem *k)
{
	*a = (struct arch){
		.vmemmap = read_variable(k, KSYM_VMEMMAP_BASE),
		.direct_map = read_variable(k, KSYM_PAGE_OFFSET_BASE),
	};
	a->levels = a->direct_map < DIRECT_MAP_5LEVEL_END ? 5 : 4;
	calibrate_stack(a, k);
}

const char *arch_lacks(const struct arch *a, u32 parts)
{
	if (parts & ARCH_VMEMMAP && !a->vmemmap)
		return ksym_name(KSYM_VMEMMAP_BASE);
	if (parts & ARCH_DIRECT_MAP && !a->direct_map)
		return ksym_name(KSYM_PAGE_OFFSET_BASE);
	return parts & ARCH_REGS && !a->regs_off ? "pt_regs" : NULL;
}

u64 arch_page_to_pfn(const struct arch *a, const struct kmem *k, u64 page)
{
	return (page - a->vmemmap) / k->field[KF_PAGE].off;
}

static const enum kf reg_fields[] = {
	KF_PT_DI,      KF_PT_SI,  KF_PT_DX,  KF_PT_R10, KF_PT_R8, KF_PT_R9,
	KF_PT_ORIG_AX, KF_PT_CS,  KF_PT_IP,  KF_PT_SP,  KF_PT_BP, KF_PT_BX,
	KF_PT_R12,     KF_PT_R13, KF_PT_R14, KF_PT_R15, KF_PT_CX,
};

enum { NR_REG_FIELDS = sizeof(reg_fields) / sizeof(*reg_fields) };

/* Values in the order of reg_fields. */
static void take_ia32_call(struct arch_regs *r, const u64 *v)
{
	u64 args[] = { v[11], v[16], v[2], v[1], v[0], v[10] };

	for (int i = 0; i < 6; i++)
		r->args[i] = (u32)args[i];
	r->pointer_size = 4;
	r->syscall = r->syscall < 0 ? -1 : ia32_translate(r->syscall, r->args);
}

/* From their values, in the order of reg_fields. */
static struct arch_regs regs_of(const u64 *v)
{
	struct arch_regs r = {
		.syscall = -1,
		.pointer_size = 8,
		.ip = v[8],
		.sp = v[9],
		.bp = v[10],
		.bx = v[11],
		.r12 = v[12],
		.r13 = v[13],
		.r14 = v[14],
		.r15 = v[15],
	};

	memcpy(r.args, v, sizeof(r.args));
	if (v[6] < 1024)
		r.syscall = v[6];
	if ((v[7] & 0xffff) == USER_CS32)
		take_ia32_call(&r, v);
	return r;
}

int arch_read_regs(const struct arch *a, struct kmem *k, u64 stack, struct arch_regs *ret)
{
	struct kget g[NR_REG_FIELDS];
	u64 v[NR_REG_FIELDS];
	int err;

	if (!a->regs_off)
		return -ENOENT;
	for (int i = 0; i < NR_REG_FIELDS; i++)
		g[i] = (struct kget){ stack + a->regs_off, reg_fields[i], 0, 0 };
	err = kmem_getv(k, g, NR_REG_FIELDS);
	if (err || g[6].err)
		return err ? err : g[6].err;
	for (int i = 0; i < NR_REG_FIELDS; i++)
		v[i] = g[i].val;
	*ret = regs_of(v);
	return 0;
}

int arch_copied_regs(const struct kmem *k, const void *regs, size_t len, struct arch_regs *ret)
{
	u64 v[NR_REG_FIELDS] = { 0 };

	for (int i = 0; i < NR_REG_FIELDS; i++) {
		const struct kfield *f = &k->field[reg_fields[i]];
		size_t size = f->size < sizeof(v[0]) ? f->size : sizeof(v[0]);

		if (f->off < 0 || size > len || (u64)f->off > len - size)
			return -ENOENT;
		memcpy(&v[i], (const char *)regs + f->off, size);
	}
	*ret = regs_of(v);
	return 0;
}

struct walk {
	const struct arch *a;
	struct kmem *k;
	u64 start, end;
	arch_pte_fn fn;
	void *arg;
	int seen;
};

/* Bytes that one entry of a table at this level spans; level 1 is the page table. */
static u64 entry_span(u32 level)
{
	return ARCH_PAGE_SIZE << (9 * (level - 1));
}

static void walk_table(struct walk *w, u64 table_phys, u64 base, u32 level)
{
	u64 span = entry_span(level), entries[PTRS_PER_TABLE];
	u64 from = w->start > base ? (w->start - base) / span : 0;
	u64 to = (w->end - 1 - base) / span;

	if (from >= PTRS_PER_TABLE)
		return; /* an address beyond what so many levels reach */
	if (to >= PTRS_PER_TABLE)
		to = PTRS_PER_TABLE - 1;
	if (kmem_read(w->k, w->a->direct_map + table_phys + from * 8, entries + from,
		      (to - from + 1) * 8))
		return;
	for (u64 i = from; i <= to; i++) {
		u64 e = entries[i], addr = base + i * span;

		if (!(e & PTE_PRESENT))
			continue;
		if (level == 1 || (level <= 3 && (e & PTE_PSE))) {
			u64 phys = e & PTE_PFN_MASK & ~(span - 1);

			w->fn(w->arg, addr, phys >> ARCH_PAGE_SHIFT, span >> ARCH_PAGE_SHIFT);
			w->seen++;
		} else {
			walk_table(w, e & PTE_PFN_MASK, addr, level - 1);
		}
	}
}

int arch_walk_ptes(const struct arch *a, struct kmem *k, u64 pgd, u64 addr, u64 len, arch_pte_fn fn,
		   void *arg)
{
	struct walk w = { .a = a, .k = k, .start = addr, .end = addr + len, .fn = fn, .arg = arg };

	if (!a->direct_map)
		return -ENOENT;
	if (!len || w.end < addr || !kmem_is_kernel_ptr(pgd) || w.end >> 56)
		return -EINVAL;
	walk_table(&w, pgd - a->direct_map, 0, a->levels);
	return w.seen;
}

struct translation {
	u64 addr;
	u64 pfn;
	bool found;
};

static void take_translation(void *arg, u64 addr, u64 pfn, u64 nr_pages)
{
	struct translation *t = arg;

	(void)nr_pages;
	t->pfn = pfn + ((t->addr - addr) >> ARCH_PAGE_SHIFT);
	t->found = true;
}

int arch_read_user(const struct arch *a, struct kmem *k, u64 pgd, u64 addr, void *dst, size_t len)
{
	char *to = dst;

	while (len) {
		size_t step = ARCH_PAGE_SIZE - addr % ARCH_PAGE_SIZE;
		struct translation t = { .addr = addr };
		int err;

		if (step > len)
			step = len;
		err = arch_walk_ptes(a, k, pgd, addr, 1, take_translation, &t);
		if (err < 0 || !t.found)
			return -EFAULT;
		err = kmem_read(k,
				a->direct_map + (t.pfn << ARCH_PAGE_SHIFT) + addr % ARCH_PAGE_SIZE,
				to, step);
		if (err)
			return err;
		addr += step;
		to += step;
		len -= step;
	}
	return 0;
}

int arch_read_iovecs(const struct arch *a, struct kmem *k, u64 pgd, const struct arch_regs *r,
		     u64 addr, struct iovec *iov, u32 n)
{
	u32 narrow[2 * ARCH_IOVECS_MAX];
	int err;

	if (n > ARCH_IOVECS_MAX)
		return -EINVAL;
	if (r->pointer_size == sizeof(void *))
		return arch_read_user(a, k, pgd, addr, iov, n * sizeof(*iov));
	err = arch_read_user(a, k, pgd, addr, narrow, n * 2 * sizeof(*narrow));
	for (u32 i = 0; i < n && !err; i++)
		iov[i] = (struct iovec){ (void *)(uintptr_t)narrow[2 * i], narrow[2 * i + 1] };
	return err;
}

static const struct {
	s32 nr;
	const char *name;
	const char *args;
} syscalls[] = {
	{ SYS_read, "read", "dxu" },
	{ SYS_write, "write", "dxu" },
	{ SYS_pread64, "pread64", "dxuu" },
	{ SYS_pwrite64, "pwrite64", "dxuu" },
	{ SYS_readv, "readv", "dxu" },
	{ SYS_writev, "writev", "dxu" },
	{ SYS_preadv, "preadv", "dxuu" },
	{ SYS_pwritev, "pwritev", "dxuu" },
	{ SYS_preadv2, "preadv2", "dxuu" },
	{ SYS_pwritev2, "pwritev2", "dxuu" },
	{ SYS_truncate, "truncate", "su" },
	{ SYS_ftruncate, "ftruncate", "du" },
	{ SYS_fallocate, "fallocate", "dxuu" },
	{ SYS_ioctl, "ioctl", "dxx" },
	{ SYS_open, "open", "sx" },
	{ SYS_openat, "openat", "dsx" },
	{ SYS_openat2, "openat2", "dsx" },
	{ SYS_creat, "creat", "s" },
	{ SYS_close, "close", "d" },
	{ SYS_unlink, "unlink", "s" },
	{ SYS_unlinkat, "unlinkat", "dsx" },
	{ SYS_rename, "rename", "ss" },
	{ SYS_renameat, "renameat", "dsds" },
	{ SYS_renameat2, "renameat2", "dsdsx" },
	{ SYS_rmdir, "rmdir", "s" },
	{ SYS_umount2, "umount2", "sx" },
	{ SYS_munmap, "munmap", "xu" },
	{ SYS_madvise, "madvise", "xud" },
	{ SYS_copy_file_range, "copy_file_range", "dxdxu" },
	{ SYS_exit, "exit", "d" },
	{ SYS_exit_group, "exit_group", "d" },
	{ SYS_execve, "execve", "s" },
	{ SYS_dup2, "dup2", "dd" },
	{ SYS_dup3, "dup3", "ddx" },
	{ SYS_close_range, "close_range", "ddx" },
	{ SYS_chmod, "chmod", "sx" },
	{ SYS_fchmod, "fchmod", "dx" },
	{ SYS_fsync, "fsync", "d" },
	{ SYS_vmsplice, "vmsplice", "dxux" },
	{ SYS_splice, "splice", "dxdxux" },
	{ SYS_sendfile, "sendfile", "ddxu" },
	{ SYS_io_submit, "io_submit", "xux" },
	{ SYS_io_uring_enter, "io_uring_enter", "duux" },
	{ SYS_io_getevents, "io_getevents", "xuuxx" },
	{ SYS_recvfrom, "recvfrom", "dxuxxx" },
	{ SYS_recvmsg, "recvmsg", "dxx" },
	{ SYS_sendto, "sendto", "dxuxxu" },
	{ SYS_sendmsg, "sendmsg", "dxx" },
	{ SYS_epoll_wait, "epoll_wait", "dxdd" },
	{ SYS_epoll_pwait, "epoll_pwait", "dxddx" },
	{ SYS_select, "select", "dxxxx" },
	{ SYS_pselect6, "pselect6", "dxxxxx" },
	{ SYS_ppoll, "ppoll", "xuxx" },
	{ SYS_poll, "poll", "xud" },
	{ SYS_nanosleep, "nanosleep", "xx" },
	{ SYS_clock_nanosleep, "clock_nanosleep", "dxxx" },
	{ SYS_pause, "pause", "" },
	{ SYS_futex, "futex", "xxdx" },
	{ SYS_wait4, "wait4", "dxxx" },
};

const char *arch_syscall_name(s32 nr)
{
	for (size_t i = 0; i < sizeof(syscalls) / sizeof(*syscalls); i++)
		if (syscalls[i].nr == nr)
			return syscalls[i].name;
	return NULL;
}

const char *arch_syscall_args(s32 nr)
{
	for (size_t i = 0; i < sizeof(syscalls) / sizeof(*syscalls); i++)
		if (syscalls[i].nr == nr)
			return syscalls[i].args;
	return "";
}
