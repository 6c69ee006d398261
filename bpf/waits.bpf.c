// SPDX-License-Identifier: GPL-2.0-only
/*
 * Hooks on waits for DAX pages. What is hooked, and what is lost without a hook, is in the table of
 * src/collect/trace.c; user space attaches at most one program for each of its rows.
 *
 *   scan_*  return of dax_layout_busy_page_range(): every waiter, on every kernel, learns here which
 *           page is busy, and that none is any more
 *   loop_*  return of a function that waits: tells why a wait ended that found no idle page
 *   drop_*  a page leaves its file: up to 6.14 without a wait when no task maps the file
 *
 * They run only when somebody truncates, punches, reflinks or evicts a DAX file. A task that waits
 * is one entry of the map; what happens to it goes to the ring buffer.
 */
#include "vmlinux.h"

#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

#include <daxtop/records.h>

#include "compat.bpf.h"

char LICENSE[] SEC("license") = "GPL";

#define ERESTARTSYS 512 /* include/linux/errno.h */
#define UNKNOWN     (~0ULL)

/* User space sets the sizes. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 1);
	__type(key, u64);
	__type(value, struct trace_wait);
} waits SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 4096);
} events SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, TRACE_LOSS_MAX);
	__type(key, u32);
	__type(value, u64);
} losses SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, u32);
	__type(value, struct trace_config);
} config SEC(".maps");

static __always_inline void count_loss(u32 which)
{
	u64 *n = bpf_map_lookup_elem(&losses, &which);

	if (n)
		__sync_fetch_and_add(n, 1);
}

static __always_inline void fill_file(struct trace_head *h, struct address_space *mapping)
{
	struct inode *inode = BPF_CORE_READ(mapping, host);

	h->inode = (u64)inode;
	h->ino = BPF_CORE_READ(inode, i_ino);
	h->size = BPF_CORE_READ(inode, i_size);
	h->dev = BPF_CORE_READ(inode, i_sb, s_dev);
	h->nlink = BPF_CORE_READ(inode, i_nlink);
}

static __always_inline void fill_task(struct trace_head *h, struct task_struct *task)
{
	h->now_ns = bpf_ktime_get_ns();
	h->task = (u64)task;
	h->start_ns = BPF_CORE_READ(task, start_time);
	h->tgid = BPF_CORE_READ(task, tgid);
	h->tid = BPF_CORE_READ(task, pid);
	bpf_get_current_comm(&h->comm, sizeof(h->comm));
}

/* A page of a mapping names its index; one that files share does not. */
static __always_inline u64 index_of(struct page *page, struct address_space *mapping)
{
	return BPF_CORE_READ(page, mapping) == mapping ? page_index(page) : UNKNOWN;
}

static __always_inline u32 frames(long bytes)
{
	return bytes > 0 ? (u32)bytes / sizeof(u64) : 0;
}

static __always_inline void fill_regs(struct trace_rec *r)
{
	u32 zero = 0;
	struct trace_config *c = bpf_map_lookup_elem(&config, &zero);

	r->nr_regs = 0;
	if (c && c->regs_off &&
	    !bpf_probe_read_kernel(r->regs, sizeof(r->regs), (void *)(r->stack + c->regs_off)))
		r->nr_regs = sizeof(r->regs);
}

/* Who does it, and from where. */
static __always_inline void fill_context(void *ctx, struct trace_rec *r, struct task_struct *task)
{
	r->stack = (u64)BPF_CORE_READ(task, stack);
	r->mm = (u64)BPF_CORE_READ(task, mm);
	r->task_flags = BPF_CORE_READ(task, flags);
	r->uid = (u32)bpf_get_current_uid_gid();
	r->nr_kstack = frames(bpf_get_stack(ctx, r->kstack, sizeof(r->kstack), 0));
	r->nr_ustack = frames(bpf_get_stack(ctx, r->ustack, sizeof(r->ustack), BPF_F_USER_STACK));
	fill_regs(r);
}

static __always_inline void tell_begin(void *ctx, const struct trace_wait *w,
				       struct task_struct *task)
{
	struct trace_rec *r = bpf_ringbuf_reserve(&events, sizeof(*r), 0);

	if (!r) {
		count_loss(TRACE_LOST_EVENTS);
		return;
	}
	r->h.kind = TRACE_BEGIN;
	r->h.result = 0;
	r->h.flags = w->flags;
	r->h.pages = w->pages;
	r->h.begin_ns = w->begin_ns;
	r->h.page = w->page;
	r->h.index = index_of((void *)w->page, (void *)w->mapping);
	r->pfn = 0;
	r->nr_pages = 0;
	fill_task(&r->h, task);
	fill_file(&r->h, (void *)w->mapping);
	fill_context(ctx, r, task);
	bpf_ringbuf_submit(r, 0);
}

static __always_inline void tell(u32 kind, const struct trace_wait *w, struct task_struct *task,
				 s32 result)
{
	struct trace_head *h = bpf_ringbuf_reserve(&events, sizeof(*h), 0);

	if (!h) {
		count_loss(TRACE_LOST_EVENTS);
		return;
	}
	h->kind = kind;
	h->result = result;
	h->flags = w->flags;
	h->pages = w->pages;
	h->begin_ns = w->begin_ns;
	h->page = w->page;
	h->index = kind == TRACE_MOVE ? index_of((void *)w->page, (void *)w->mapping) : UNKNOWN;
	fill_task(h, task);
	fill_file(h, (void *)w->mapping);
	bpf_ringbuf_submit(h, 0);
}

static __always_inline void begin(void *ctx, struct address_space *mapping, struct page *page,
				  struct task_struct *task)
{
	struct trace_wait w = { .begin_ns = bpf_ktime_get_ns() };
	u64 key = (u64)task;

	w.last_ns = w.begin_ns;
	w.start_ns = BPF_CORE_READ(task, start_time);
	w.mapping = (u64)mapping;
	w.page = (u64)page;
	w.scans = 1;
	w.pages = 1;
	if (bpf_map_update_elem(&waits, &key, &w, BPF_ANY))
		count_loss(TRACE_LOST_WAITS);
	else
		tell_begin(ctx, &w, task);
}

static __always_inline void go_on(struct trace_wait *w, struct page *page, struct task_struct *task)
{
	w->last_ns = bpf_ktime_get_ns();
	w->left_ns = 0;
	w->scans++;
	if (w->page == (u64)page)
		return;
	w->page = (u64)page;
	w->pages++;
	tell(TRACE_MOVE, w, task, 0);
}

static __always_inline void end(struct trace_wait *w, struct task_struct *task, s32 result)
{
	u64 key = (u64)task;

	tell(TRACE_END, w, task, result);
	bpf_map_delete_elem(&waits, &key);
}

/* The entry of the current task; one that an earlier task of the same address left is no entry. */
static __always_inline struct trace_wait *find(struct task_struct *task)
{
	u64 key = (u64)task;
	struct trace_wait *w = bpf_map_lookup_elem(&waits, &key);

	return w && w->start_ns == BPF_CORE_READ(task, start_time) ? w : NULL;
}

static __always_inline int scanned(void *ctx, struct address_space *mapping, struct page *page)
{
	struct task_struct *task = (void *)bpf_get_current_task();
	struct trace_wait *w = find(task);

	if (!w && page)
		begin(ctx, mapping, page, task);
	else if (w && page)
		go_on(w, page, task);
	else if (w && w->mapping == (u64)mapping)
		end(w, task, 0);
	return 0;
}

/*
 * A loop that is left before the page is idle. Nothing when it was left because none is busy: then
 * the entry is gone already. Who cannot sleep with its locks held returns -ERESTARTSYS and is
 * called again (xfs_ilock2_io_mmap()): that wait goes on, and user space tells when it does not.
 */
static __always_inline int left(s32 result, bool may_return)
{
	struct task_struct *task = (void *)bpf_get_current_task();
	struct trace_wait *w;

	if (!result)
		return 0;
	w = find(task);
	if (!w)
		return 0;
	if (may_return && result == -ERESTARTSYS) {
		w->left_ns = bpf_ktime_get_ns();
		w->flags |= TRACE_RESTARTS;
		return 0;
	}
	end(w, task, result);
	return 0;
}

/*
 * xfs_ilock2_io_mmap() asks once more for the count of the page that the scan has found busy, and
 * goes on when it is idle by then: of such an end no scan has told.
 */
static __always_inline int left_both(s32 result)
{
	struct task_struct *task = (void *)bpf_get_current_task();
	struct trace_wait *w = find(task);

	if (w)
		end(w, task, result);
	return 0;
}

/* struct page *dax_layout_busy_page_range(mapping, start, end) */
SEC("fexit")
int scan_exit(u64 *ctx)
{
	return scanned(ctx, (void *)argument(ctx, 0), (void *)argument(ctx, 3));
}

/* Without the argument: a page that files share is missed, and an end is told late. */
SEC("kretprobe")
int scan_return(struct pt_regs *ctx)
{
	struct page *page = (void *)PT_REGS_RC(ctx);
	struct task_struct *task = (void *)bpf_get_current_task();
	struct address_space *mapping;
	struct trace_wait *w;

	if (page) {
		mapping = BPF_CORE_READ(page, mapping);
		return mapping && !((u64)mapping & 3) ? scanned(ctx, mapping, page) : 0;
	}
	w = find(task);
	if (w)
		end(w, task, 0);
	return 0;
}

/* int dax_break_layout(inode, start, end, callback); without a callback it does not sleep */
SEC("fexit")
int loop_exit_4(u64 *ctx)
{
	return left(argument(ctx, 4), !argument(ctx, 3));
}

/* int xfs_ilock2_io_mmap(ip1, ip2) */
SEC("fexit")
int loop_exit_2(u64 *ctx)
{
	return left_both(argument(ctx, 2));
}

/* int ext4_break_layouts(inode) */
SEC("fexit")
int loop_exit_1(u64 *ctx)
{
	return left(argument(ctx, 1), false);
}

/* int xfs_break_layouts(inode, iolock, reason) */
SEC("fexit")
int loop_exit_3(u64 *ctx)
{
	return left(argument(ctx, 3), false);
}

/* int fuse_dax_break_layouts(inode, start, end) */
SEC("fexit")
int loop_exit_3b(u64 *ctx)
{
	return left(argument(ctx, 3), false);
}

SEC("kretprobe")
int loop_return(struct pt_regs *ctx)
{
	return left(PT_REGS_RC(ctx), false);
}

SEC("kretprobe")
int loop_return_2(struct pt_regs *ctx)
{
	return left_both(PT_REGS_RC(ctx));
}

/* The same for a function that may be called again after -ERESTARTSYS. */
SEC("kretprobe")
int loop_return_4(struct pt_regs *ctx)
{
	return left(PT_REGS_RC(ctx), true);
}

/* fs/dax.c: an entry is a value with these bits, and the page frame number above them. */
#define DAX_PMD   2ULL
#define DAX_NONE  (4ULL | 8ULL) /* DAX_ZERO_PAGE, DAX_EMPTY: no page of the file */
#define DAX_SHIFT 4
#define PMD_PAGES 512

/* 1 when the page is referenced. Arithmetic, as the verifier would follow both ways of a branch. */
static __always_inline u32 is_busy(u64 page)
{
	u32 sign = 1 - BPF_CORE_READ((struct page *)page, _refcount.counter);

	/* the compiler would make a branch of it */
	barrier_var(sign);
	return sign >> 31;
}

/* Referenced pages of a large entry; the bound is a constant for the same reason. */
static __always_inline u32 count_busy(u64 first, u64 size)
{
	u32 count = 0;

	for (u32 i = 0; i < PMD_PAGES; i++) {
		count += is_busy(first);
		first += size;
		barrier_var(count);
	}
	return count;
}

/* void dax_disassociate_entry(entry, mapping, trunc), up to 6.14: a page is idle at count 1 */
static __always_inline int dropped(void *ctx, u64 entry, struct address_space *mapping, bool trunc)
{
	struct task_struct *task = (void *)bpf_get_current_task();
	u64 value = entry >> 1, first;
	struct trace_config *c;
	struct trace_rec *r;
	u32 zero = 0, pages;

	c = bpf_map_lookup_elem(&config, &zero);
	if (!c || !c->vmemmap || !(entry & 1) || value & DAX_NONE)
		return 0;
	first = c->vmemmap + (value >> DAX_SHIFT) * c->page_size;
	pages = value & DAX_PMD ? count_busy(first, c->page_size) : is_busy(first);
	if (!pages)
		return 0;
	r = bpf_ringbuf_reserve(&events, sizeof(*r), 0);
	if (!r) {
		count_loss(TRACE_LOST_EVENTS);
		return 0;
	}
	r->h.kind = TRACE_FREED;
	r->h.result = 0;
	r->h.flags = trunc ? TRACE_TRUNC : 0;
	r->h.pages = pages;
	r->h.begin_ns = 0;
	r->h.page = first;
	r->h.index = index_of((void *)first, mapping);
	r->pfn = value >> DAX_SHIFT;
	r->nr_pages = value & DAX_PMD ? PMD_PAGES : 1;
	fill_task(&r->h, task);
	fill_file(&r->h, mapping);
	fill_context(ctx, r, task);
	bpf_ringbuf_submit(r, 0);
	return 0;
}

SEC("fentry")
int drop_entry(u64 *ctx)
{
	return dropped(ctx, argument(ctx, 0), (void *)argument(ctx, 1), argument(ctx, 2) & 1);
}

SEC("kprobe")
int drop_probe(struct pt_regs *ctx)
{
	return dropped(ctx, PT_REGS_PARM1(ctx), (void *)PT_REGS_PARM2(ctx), PT_REGS_PARM3(ctx) & 1);
}
