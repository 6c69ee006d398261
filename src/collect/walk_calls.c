// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Pages that a system call holds while it is stuck in the middle: its kernel stack has them, or the
 * table of them. What is left on a stack from an earlier call looks the same, so a page counts only
 * where the call at hand keeps it.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>

#include "collect/snap.h"

enum {
	TABLE_ON_STACK = 16, /* mm/process_vm_access.c PVM_MAX_PP_ARRAY_COUNT */
	TABLE_MAX = 1024,    /* PVM_MAX_KMALLOC_PAGES */
	REGISTERS_SAVED = 6, /* what a function has to save: rbx, rbp, r12 to r15 */
};

/* A task that is stuck in a call, and a page that it may hold. */
struct stuck {
	struct snap *s;
	struct ktask *t;
	const struct kpage *page;
	const u64 *words; /* of its kernel stack, nr of them */
	u32 nr;
};

static void tell_hold(const struct stuck *c, struct fact_hold *h)
{
	struct fact_releaser r = { .task = c->t->r.task, .fd = -1 };
	struct fact f = { .type = FACT_HOLD };

	task_tell(c->s, c->t);
	h->page = c->page->head;
	h->object_kind = "task";
	h->object_id = snap_text(c->s, "%u", c->t->r.tid);
	h->held_ns = task_asleep_ns(c->s, c->t);
	h->releasers = &r;
	h->nr_releasers = 1;
	f.hold = *h;
	snap_emit(c->s, &f);
}

static bool page_has(const struct stuck *c, u64 addr)
{
	u64 size = c->s->k->field[KF_PAGE].off;

	return addr >= c->page->head && addr < c->page->head + (size << c->page->order);
}

/* --- process_vm_readv(2), process_vm_writev(2): pages of another task, while they are copied */

static u64 pages_of(const struct iovec *iov)
{
	u64 offset = (u64)iov->iov_base % ARCH_PAGE_SIZE;

	return (offset + iov->iov_len + ARCH_PAGE_SIZE - 1) >> ARCH_PAGE_SHIFT;
}

/* What the call may keep in one table: the pages of an iovec, or of a part of it. */
struct table {
	u64 pages[TABLE_MAX];
	u32 n;
	bool allocated; /* one of the iovecs has more pages than the table on the stack has room */
	bool partial;   /* it is still being filled */
};

/* Where a mapping shows a page of the busy folio; 0 nowhere. */
static u64 address_of(const struct stuck *c, const struct kvma *v, u64 page)
{
	u64 index = (page - c->page->head) / c->s->k->field[KF_PAGE].off + c->page->index;
	u64 addr = v->start + ((index - v->pgoff) << ARCH_PAGE_SHIFT);

	return vma_covers(v, c->page) && index >= v->pgoff && addr < v->end ? addr : 0;
}

/*
 * Whether the i-th entry of a table is where the iovec has this page. A table is filled anew for
 * every TABLE_MAX pages. Of a page that has no index only the file is known.
 */
static bool is_in_iovec(const struct stuck *c, const struct iovec *iov, u32 i, u64 page, u64 mm)
{
	u64 first = (u64)iov->iov_base & ~(ARCH_PAGE_SIZE - 1), end;
	u32 n;
	const struct kvma *v = vmas_of(c->s, mm, &n);

	end = first + (pages_of(iov) << ARCH_PAGE_SHIFT);
	for (u32 j = 0; j < n; j++) {
		u64 addr;

		if (c->page->index == FACT_UNKNOWN) {
			if (vma_covers(&v[j], c->page) && v[j].start < end && v[j].end > first)
				return true;
			continue;
		}
		addr = address_of(c, &v[j], page);
		if (addr >= first && addr < end &&
		    ((addr - first) >> ARCH_PAGE_SHIFT) % TABLE_MAX == i)
			return true;
	}
	return false;
}

static u32 count_entries(const struct stuck *c, const struct table *t, const struct iovec *iov,
			 u64 mm)
{
	u32 found = 0;

	for (u32 i = 0; i < t->n; i++)
		found += page_has(c, t->pages[i]) && is_in_iovec(c, iov, i, t->pages[i], mm);
	return found;
}

/* The call keeps the other mm_struct, so it is on the stack too; *mm is the one that fits best. */
static u32 count_in_any_mm(const struct stuck *c, const struct table *t, const struct iovec *iov,
			   u64 *mm)
{
	u32 best = 0, n;

	for (u32 i = 0; i < c->nr; i++) {
		u64 word = c->words[i];
		u32 found = kmem_is_kernel_ptr(word) && vmas_of(c->s, word, &n) ?
				    count_entries(c, t, iov, word) :
				    0;

		if (found > best) {
			best = found;
			*mm = word;
		}
	}
	return best;
}

static bool is_page(const struct stuck *c, u64 addr)
{
	u64 base = c->s->arch.vmemmap, size = c->s->k->field[KF_PAGE].off;

	return kmem_is_kernel_ptr(addr) && addr >= base && !((addr - base) % size);
}

/* A table starts with the pages of its iovec; one that is still being filled with some of them. */
static bool is_table(const struct stuck *c, const struct table *t, const struct iovec *iov)
{
	u64 needed = t->partial ? 1 : pages_of(iov);
	u32 n = 0;

	while (n < t->n && is_page(c, t->pages[n]))
		n++;
	return needed && n >= (needed < TABLE_MAX ? needed : TABLE_MAX);
}

static bool table_has_page(const struct stuck *c, const struct table *t)
{
	for (u32 i = 0; i < t->n; i++)
		if (page_has(c, t->pages[i]))
			return true;
	return false;
}

/* As much of a table as there is at the i-th word of the stack, or where this word points to. */
static bool read_table(const struct stuck *c, u32 i, u32 n, struct table *t)
{
	t->n = n;
	if (t->allocated)
		return kmem_is_kernel_ptr(c->words[i]) &&
		       !kmem_read(c->s->k, c->words[i], t->pages, n * sizeof(*t->pages));
	if (n > c->nr - i)
		t->n = c->nr - i;
	memcpy(t->pages, c->words + i, t->n * sizeof(*t->pages));
	return true;
}

static const char *describe_mm(struct snap *s, u64 mm)
{
	struct ktask *t = NULL, *other;

	for (u32 i = 0; (other = task_of_mm(s, mm, i)); i++)
		if (!t || other->r.tid == other->r.tgid)
			t = other;
	if (!t)
		return "memory of a task that has gone";
	return snap_text(s, "memory of %.*s[%u]", (int)sizeof(t->r.comm), t->r.comm, t->r.tgid);
}

static u32 read_iovecs(const struct stuck *c, const struct arch_regs *regs, struct iovec *iov)
{
	u64 n = regs->args[4], pgd;

	if (n > ARCH_IOVECS_MAX || kmem_get(c->s->k, c->t->r.mm, KF_MM_PGD, &pgd) ||
	    arch_read_iovecs(&c->s->arch, c->s->k, pgd, regs, regs->args[3], iov, n))
		return 0;
	return n;
}

/* References of the busy page by the table that the call is at; 0 when none is seen. */
static u32 refs_of_call(const struct stuck *c, const struct iovec *iov, u32 nr_iov, u32 n,
			struct table *t, u64 *mm)
{
	u32 refs = 0;

	for (u32 i = 0; i < c->nr; i++) {
		if (!read_table(c, i, n, t) || !table_has_page(c, t))
			continue;
		for (u32 j = 0; j < nr_iov && !refs; j++)
			if (is_table(c, t, &iov[j]))
				refs = count_in_any_mm(c, t, &iov[j], mm);
		if (refs)
			break;
	}
	return refs;
}

/*
 * A call with several iovecs, or one that needs several tables, may have left the page behind in an
 * earlier one: then it is only likely that this is the one it is at.
 */
static void look_at_process_vm(const struct stuck *c)
{
	static const char *const pinning[] = { "__get_user_pages", "__gup_longterm_locked",
					       "pin_user_pages_remote", NULL };
	static struct iovec iov[ARCH_IOVECS_MAX];
	static struct table t;
	const struct arch_regs *regs = task_regs(c->s, c->t);
	struct fact_hold h = { .how = HOW_PROCESS_VM };
	u64 mm = 0, pages = 0;
	u32 n;

	if (!regs ||
	    (regs->syscall != SYS_process_vm_readv && regs->syscall != SYS_process_vm_writev))
		return;
	n = read_iovecs(c, regs, iov);
	for (u32 i = 0; i < n; i++)
		pages = pages_of(&iov[i]) > pages ? pages_of(&iov[i]) : pages;
	t.allocated = pages > TABLE_ON_STACK;
	t.partial = task_stack_any(c->t, pinning);
	h.refs = refs_of_call(c, iov, n, pages < TABLE_MAX ? pages : TABLE_MAX, &t, &mm);
	if (!h.refs)
		return;
	h.confidence = CONF_LIKELY;
	if (n == 1 && pages <= TABLE_MAX && !t.partial && c->page->index != FACT_UNKNOWN)
		h.confidence = CONF_EXACT;
	h.target = describe_mm(c->s, mm);
	h.detail = "the page is in the table of pages that it copies";
	tell_hold(c, &h);
}

/* --- core dumps: the page that is being written */

/* Where on the stack the return address of the i-th frame is; nr when it is not found. */
static u32 slot_of_frame(const struct stuck *c, u32 frame)
{
	u32 at = c->nr;

	for (u32 i = c->t->r.nr_stack; i-- > frame;) {
		u32 slot = at;

		while (slot && c->words[slot - 1] != c->t->r.kstack[i])
			slot--;
		if (slot)
			at = slot - 1;
		else if (i == frame)
			return c->nr;
	}
	return at;
}

/* What a word of the stack says about a page that is being dumped. */
struct dump {
	bool page; /* it is the page */
	bool addr; /* it is a user address at which the page is mapped */
};

static void look_at_words(const struct stuck *c, u32 from, u32 to, struct dump *d)
{
	u64 start, end;
	u32 n;
	const struct kvma *v = vmas_of(c->s, c->t->r.mm, &n);

	for (u32 i = from; i < to; i++) {
		d->page |= page_has(c, c->words[i]);
		for (u32 j = 0; j < n && !d->addr && !(c->words[i] % ARCH_PAGE_SIZE); j++) {
			if (!vma_covers(&v[j], c->page))
				continue;
			vma_range(&v[j], c->page, &start, &end);
			d->addr = c->words[i] >= start && c->words[i] < end;
		}
	}
}

/*
 * The variables of a function that is still running: they are in its own part of the stack, or in
 * registers that one of those it called had to save, right below its return address.
 */
static struct dump look_at_variables(const struct stuck *c, const char *function)
{
	u32 frame = 0, slot;
	struct dump d = { 0 };

	while (frame < c->t->r.nr_stack && !frame_is(c->t->frames[frame], function))
		frame++;
	if (frame + 1 >= c->t->r.nr_stack)
		return d;
	slot = slot_of_frame(c, frame + 1);
	for (u32 i = frame + 1; i-- > 0;) {
		u32 below = slot_of_frame(c, i);

		if (below >= slot)
			break;
		if (i == frame)
			look_at_words(c, below, slot, &d);
		look_at_words(c, below > REGISTERS_SAVED ? below - REGISTERS_SAVED : 0, below, &d);
		slot = below;
	}
	return d;
}

static bool is_open_pipe(struct snap *s, u64 inode)
{
	for (u32 i = 0; i < s->fds.nr_inodes; i++)
		if (s->fds.inodes[i] == inode)
			return S_ISFIFO(s->fds.modes[i]);
	return false;
}

/* The pipe that the innermost function with a pipe's struct file writes to; 0 none. */
static u64 pipe_written(const struct stuck *c)
{
	u64 inode;

	for (u32 i = 0; i < c->nr; i++)
		if (kmem_is_kernel_ptr(c->words[i]) &&
		    !kmem_get(c->s->k, c->words[i], KF_FILE_INODE, &inode) && inode &&
		    is_open_pipe(c->s, inode))
			return inode;
	return 0;
}

/* "pipe:[4711] of systemd-coredum[812]": the program that core_pattern names reads it. */
static const char *describe_handler(const struct stuck *c)
{
	u64 inode = pipe_written(c), ino = 0;
	const char *text = NULL;
	struct fact_releaser *readers;
	u32 n;

	if (!inode)
		return NULL;
	readers = fds_releasers(c->s, inode, &n, NULL);
	kmem_get(c->s->k, inode, KF_INODE_INO, &ino);
	for (u32 i = 0; i < n && !text; i++) {
		const struct ktask *t = task_find(c->s, readers[i].task);

		if (readers[i].reads && t && t->r.tgid != c->t->r.tgid)
			text = snap_text(c->s, "pipe:[%llu] of %.*s[%u]", (unsigned long long)ino,
					 (int)sizeof(t->r.comm), t->r.comm, t->r.tgid);
	}
	free(readers);
	return text ? text : snap_text(c->s, "pipe:[%llu]", (unsigned long long)ino);
}

/*
 * Both the page and its address: one of them alone may be left from a page that was dumped before.
 */
static void look_at_dump(const struct stuck *c)
{
	struct fact_hold h = { .how = HOW_COREDUMP, .refs = 1 };
	struct dump d = look_at_variables(c, "dump_user_range");

	if (!d.page)
		return;
	h.confidence = d.addr ? CONF_EXACT : CONF_LIKELY;
	h.target = describe_handler(c);
	h.detail = "the dump, on its kernel stack, is at the page";
	tell_hold(c, &h);
}

/* The function that keeps the page, and who can tell whether it does. */
static const struct {
	const char *function;
	void (*look)(const struct stuck *c);
} calls[] = {
	{ "process_vm_rw_core", look_at_process_vm },
	{ "process_vm_rw", look_at_process_vm },
	{ "dump_user_range", look_at_dump },
};

const char *walk_calls_lacks(const struct snap *s)
{
	const char *lacks = arch_lacks(&s->arch, ARCH_REGS | ARCH_VMEMMAP);

	return lacks ? lacks : KMEM_LACKS(s->k, KF_PAGE, KF_TASK_SP);
}

static void look_at(struct snap *s, struct ktask *t, void (*look)(const struct stuck *c))
{
	struct stuck c = { .s = s, .t = t };
	u64 start;

	c.words = task_stack_words(s, t, &c.nr, &start);
	for (u32 i = 0; i < s->nr_pages; i++) {
		c.page = &s->pages[i];
		look(&c);
	}
}

int walk_calls(struct snap *s)
{
	for (u32 i = 0; i < s->tasks.n && !s->err; i++) {
		struct ktask *t = &s->tasks.v[i];

		if (!t->r.mm || !task_is_asleep(t))
			continue;
		for (u32 j = 0; j < sizeof(calls) / sizeof(*calls); j++)
			if (task_stack_has(t, calls[j].function)) {
				look_at(s, t, calls[j].look);
				break;
			}
	}
	return 0;
}
