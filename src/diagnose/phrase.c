// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include <stdlib.h>
#include <string.h>

#include "diagnose/phrase.h"
#include "util/array.h"
#include "util/text.h"

void phrase_task(struct strbuf *sb, const struct wfg_task *task)
{
	const struct fact_task *t = &task->t;

	sb_printf(sb, "%s[%u]", t->comm[0] ? t->comm : "?", t->pid);
	if (t->tid != t->pid)
		sb_printf(sb, " thread %u", t->tid);
}

static void phrase_filesystem(struct strbuf *sb, const struct fact_file *f)
{
	sb_puts(sb, f->fstype ? f->fstype : "unknown filesystem");
	sb_puts(sb, " on ");
	if (f->device && f->device[0])
		sb_puts(sb, f->device);
	else
		sb_printf(sb, "device %u:%u", f->dev_major, f->dev_minor);
	sb_printf(sb, ", ino %llu", (unsigned long long)f->ino);
}

void phrase_file(struct strbuf *sb, const struct wfg_file *file)
{
	const struct fact_file *f;

	if (!file) {
		sb_puts(sb, "an unknown file");
		return;
	}
	f = &file->f;
	if (f->path)
		sb_puts(sb, f->path);
	else
		sb_puts(sb, f->deleted ? "a deleted file" : "an unnamed file");
	sb_puts(sb, f->path && f->deleted ? " (deleted; " : " (");
	phrase_filesystem(sb, f);
	sb_putc(sb, ')');
}

static void phrase_size(struct strbuf *sb, u32 order)
{
	static const char *const units[] = { "KiB", "MiB", "GiB" };
	u32 shift = order + 2, unit = 0;

	for (; shift >= 10 && unit < 2; unit++)
		shift -= 10;
	if (shift < 32)
		sb_printf(sb, "%u %s", 1u << shift, units[unit]);
	else
		sb_printf(sb, "order %u", order);
}

void phrase_page(struct strbuf *sb, const struct wfg_page *page)
{
	u64 offset = page ? wfg_page_offset(page) : FACT_UNKNOWN;

	if (!page) {
		sb_puts(sb, "a DAX page that could not be read");
		return;
	}
	if (page->p.index == FACT_UNKNOWN)
		sb_puts(sb, "a page");
	else
		sb_printf(sb, "page 0x%llx", (unsigned long long)page->p.index);
	if (offset == FACT_UNKNOWN && !page->p.order && !page->p.shared)
		return;
	sb_puts(sb, " (");
	if (offset != FACT_UNKNOWN)
		sb_printf(sb, "byte %llu", (unsigned long long)offset);
	if (page->p.order) {
		sb_puts(sb, offset != FACT_UNKNOWN ? ", in a folio of " : "in a folio of ");
		phrase_size(sb, page->p.order);
	}
	if (page->p.shared) {
		if (offset != FACT_UNKNOWN || page->p.order)
			sb_puts(sb, ", ");
		sb_printf(sb, "shared by %u files", page->p.shared);
	}
	sb_putc(sb, ')');
}

static void phrase_orphan(struct strbuf *sb, const struct fact_page *p)
{
	sb_printf(sb, "page frame 0x%llx", (unsigned long long)p->pfn);
	if (p->device && p->device_offset != FACT_UNKNOWN)
		sb_printf(sb, " (byte %llu of %s)", (unsigned long long)p->device_offset,
			  p->device);
	sb_puts(sb, " of no file any more");
}

void phrase_page_of_file(struct strbuf *sb, const struct wfg_page *page)
{
	if (page->p.orphan) {
		phrase_orphan(sb, &page->p);
		return;
	}
	phrase_page(sb, page);
	sb_puts(sb, " of ");
	phrase_file(sb, page->file);
}

/* The name of the system call in "ftruncate(17, 4096)". */
static bool phrase_syscall(struct strbuf *sb, const char *call)
{
	size_t len = call ? strcspn(call, "(") : 0;

	if (!len)
		return false;
	sb_add(sb, call, len);
	return true;
}

static const char *op_noun(enum fact_op op)
{
	static const char *const nouns[OP_MAX] = {
		[OP_OTHER] = "operation",
		[OP_TRUNCATE] = "truncate",
		[OP_OPEN_TRUNC] = "open with O_TRUNC",
		[OP_PUNCH_HOLE] = "hole punch",
		[OP_ZERO_RANGE] = "zero range",
		[OP_COLLAPSE_RANGE] = "collapse range",
		[OP_INSERT_RANGE] = "insert range",
		[OP_ALLOCATE] = "preallocation",
		[OP_REFLINK] = "reflink",
		[OP_DEDUPE] = "dedupe",
		[OP_EXCHANGE] = "range exchange",
		[OP_WRITE] = "write",
		[OP_SETFLAGS] = "change of inode flags",
		[OP_EVICT] = "eviction",
		[OP_UMOUNT] = "umount",
		[OP_RECLAIM] = "memory reclaim",
		[OP_FAULT] = "page fault",
		[OP_WRITEBACK] = "writeback",
		[OP_UNBIND] = "unbinding of the device",
	};

	return nouns[op < OP_MAX ? op : OP_OTHER];
}

void phrase_op(struct strbuf *sb, const struct wfg_wait *wait)
{
	static const char *const triggers[TRIGGER_MAX] = {
		[TRIGGER_UNLINK] = " after unlink",
		[TRIGGER_LAST_CLOSE] = " after the last close",
		[TRIGGER_EXIT] = " at exit",
		[TRIGGER_UMOUNT] = " at umount",
		[TRIGGER_DEVICE_REMOVAL] = " for device removal",
		[TRIGGER_SHRINKER] = " by the dentry shrinker",
	};
	enum fact_op op = wait->w.op < OP_MAX ? wait->w.op : OP_OTHER;
	const char *call = wait->task->t.call;

	if (op == OP_TRUNCATE && call && strstr(call, "truncate") && phrase_syscall(sb, call))
		return;
	if (op == OP_OTHER && phrase_syscall(sb, call))
		return;
	if (op == OP_RECLAIM && wait->w.trigger == TRIGGER_DAX_WINDOW) {
		sb_puts(sb, "reclaim of the DAX window");
		return;
	}
	sb_puts(sb, op_noun(op));
	if (op == OP_EVICT && wait->w.trigger < TRIGGER_MAX && triggers[wait->w.trigger])
		sb_puts(sb, triggers[wait->w.trigger]);
}

/* "page 0x1a3 (byte 1716224)" of the lock that an entry lock's waiter sleeps for. */
static void phrase_entry(struct strbuf *sb, const struct wfg_wait *wait)
{
	u64 index = wait->w.index, offset;

	if (!wait->w.lock) {
		sb_puts(sb, "a page");
		return;
	}
	sb_printf(sb, "page 0x%llx", (unsigned long long)index);
	if (!__builtin_mul_overflow(index, (u64)WFG_PAGE_SIZE, &offset))
		sb_printf(sb, " (byte %llu)", (unsigned long long)offset);
}

void phrase_what(struct strbuf *sb, const struct wfg_wait *wait)
{
	if (wait->w.on == ON_ENTRY_LOCK && !wait->page) {
		sb_puts(sb, "the DAX entry lock of ");
		phrase_entry(sb, wait);
	} else if (wait->w.on == ON_LEASE && !wait->page) {
		sb_puts(sb, "a lease");
	} else if (wait->w.on == ON_LOCK && wait->w.lock && !wait->page) {
		sb_puts(sb, "the invalidate lock");
	} else {
		phrase_page(sb, wait->page);
	}
}

static void phrase_sleep(struct strbuf *sb, const struct wfg_wait *wait)
{
	sb_puts(sb, " has waited ");
	phrase_time(sb, wait->age_ns);
	if (wait->w.on == ON_LOCK && !wait->w.lock)
		sb_puts(sb, " to retake a lock, after it was woken from its wait for ");
	else
		sb_puts(sb, " for ");
	if (wait->w.on == ON_LOCK && !wait->w.lock && !wait->page)
		sb_puts(sb, "a DAX page");
	else
		phrase_what(sb, wait);
}

void phrase_wait(struct strbuf *sb, const struct wfg_wait *wait)
{
	phrase_op(sb, wait);
	sb_puts(sb, " by ");
	phrase_task(sb, wait->task);
	if (wait->w.spins) {
		sb_puts(sb, " spins in the kernel until nobody holds ");
		phrase_page(sb, wait->page);
	} else {
		phrase_sleep(sb, wait);
	}
	sb_puts(sb, " of ");
	if (!wait->file && wait->page && wait->page->p.orphan)
		sb_puts(sb, "no file any more");
	else
		phrase_file(sb, wait->file);
}

/* A task that may be gone. */
static void phrase_gone_task(struct strbuf *sb, const char *comm, u32 pid, u32 tid)
{
	sb_printf(sb, "%s[%u]", comm[0] ? comm : "?", pid);
	if (tid != pid)
		sb_printf(sb, " thread %u", tid);
}

/* Its file, which may be gone too. */
static void phrase_gone_file(struct strbuf *sb, const char *path, u32 major, u32 minor, u64 ino)
{
	if (path)
		sb_puts(sb, path);
	else if (ino)
		sb_printf(sb, "inode %llu of device %u:%u", (unsigned long long)ino, major, minor);
	else
		sb_puts(sb, "an unknown file");
}

void phrase_freed(struct strbuf *sb, const struct fact_freed *f)
{
	sb_printf(sb, "%s by ", op_noun(f->op));
	phrase_gone_task(sb, f->comm, f->pid, f->tid);
	sb_puts(sb, f->block ? " freed " : " detached ");
	if (f->pages > 1)
		sb_printf(sb, "%u pages from ", f->pages);
	if (f->index != FACT_UNKNOWN)
		sb_printf(sb, "page 0x%llx ", (unsigned long long)f->index);
	else
		sb_puts(sb, "a page ");
	sb_puts(sb, f->pages > 1 ? "on of " : "of ");
	phrase_gone_file(sb, f->path, f->dev_major, f->dev_minor, f->ino);
	sb_puts(sb, " under a live reference");
}

void phrase_taker(struct strbuf *sb, const struct fact_hold *hold)
{
	sb_puts(sb, "taken by ");
	phrase_gone_task(sb, hold->taker_comm, hold->taker_pid, hold->taker_tid);
}

void phrase_end(struct strbuf *sb, const struct fact_end *end)
{
	sb_printf(sb, "%s by ", op_noun(end->op));
	phrase_gone_task(sb, end->comm, end->pid, end->tid);
	sb_puts(sb, " of ");
	phrase_gone_file(sb, end->path, end->dev_major, end->dev_minor, end->ino);
	if (end->result == RESULT_INTERRUPTED)
		sb_puts(sb, " was interrupted after ");
	else
		sb_puts(sb, end->result == RESULT_FAILED ? " failed after " : " ended after ");
	phrase_time(sb, end->waited_ns);
	if (!end->unseen_ns || end->waited_ns > UINT64_MAX - end->unseen_ns)
		return;
	sb_puts(sb, " to ");
	text_duration(sb, end->waited_ns + end->unseen_ns);
}

void phrase_time(struct strbuf *sb, u64 ns)
{
	if (ns == FACT_UNKNOWN)
		sb_puts(sb, "an unknown time");
	else
		text_duration(sb, ns);
}

void phrase_count(struct strbuf *sb, u64 n, const char *noun)
{
	sb_printf(sb, "%llu %s%s", (unsigned long long)n, noun, n == 1 ? "" : "s");
}

void phrase_more_pages(struct strbuf *sb, u64 n)
{
	if (!n)
		return;
	sb_puts(sb, n == 1 ? "; and so is " : "; and so are ");
	phrase_count(sb, n, "more page");
}

const char *phrase_separator(u32 i, u32 n)
{
	if (!i)
		return "";
	return i + 1 == n ? " and " : ", ";
}

void processes_add_task(struct processes *p, const struct wfg_task *task)
{
	if (p->n && p->t[p->n - 1]->t.pid == task->t.pid)
		return;
	if (array_grow(&p->t, p->n, sizeof(*p->t)))
		p->failed = true;
	else
		p->t[p->n++] = task;
}

void processes_add(struct processes *p, const struct wfg_hold *h)
{
	for (u32 i = 0; i < h->nr_releasers; i++)
		processes_add_task(p, h->releasers[i].task);
}

static int compare_pid(const void *a, const void *b)
{
	const struct wfg_task *x = *(const struct wfg_task *const *)a;
	const struct wfg_task *y = *(const struct wfg_task *const *)b;

	if (x->t.pid != y->t.pid)
		return x->t.pid < y->t.pid ? -1 : 1;
	return (x->t.tid > y->t.tid) - (x->t.tid < y->t.tid);
}

void processes_sort(struct processes *p)
{
	u32 kept = 0;

	if (!p->n)
		return;
	qsort(p->t, p->n, sizeof(*p->t), compare_pid);
	for (u32 i = 0; i < p->n; i++)
		if (!kept || p->t[kept - 1]->t.pid != p->t[i]->t.pid)
			p->t[kept++] = p->t[i];
	p->n = kept;
}

void processes_free(struct processes *p)
{
	free(p->t);
	*p = (struct processes){ 0 };
}

void phrase_processes(struct strbuf *sb, const struct processes *p, u32 max)
{
	u32 named = p->n <= max ? p->n : max;
	u32 items = named + (p->n > named);

	if (!p->n)
		sb_puts(sb, "no known task");
	for (u32 i = 0; i < named; i++) {
		sb_puts(sb, phrase_separator(i, items));
		phrase_task(sb, p->t[i]);
	}
	if (p->n > named) {
		sb_puts(sb, " and ");
		sb_printf(sb, "%u other process%s", p->n - named, p->n - named == 1 ? "" : "es");
	}
	sb->failed |= p->failed;
}

void phrase_releasers(struct strbuf *sb, const struct wfg_hold *h, u32 max)
{
	struct processes p = { 0 };

	processes_add(&p, h);
	processes_sort(&p);
	phrase_processes(sb, &p, max);
	processes_free(&p);
}
