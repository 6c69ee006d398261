// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Who has the lock of a DAX entry. The kernel notes it nowhere. But a task that locks one walks the
 * xarray by a struct xa_state on its stack, in a function that lasts as long as the lock: so a
 * sleeper has the lock whose stack is in such a function, shows the xarray beside an index in the
 * entry, and is not itself queued for an entry. A fault first tries to map 2 MiB, which leaves
 * words of another xa_state behind; its struct vm_fault says which page it is.
 */
#include <stdlib.h>
#include <string.h>

#include "collect/entry_locks.h"

/* include/linux/mm_types.h, since v6.4: the fault has the lock of its vma, not that of the mm */
#define FAULT_FLAG_VMA_LOCK (1 << 12)

enum {
	QUEUE_MAX = 1024, /* tasks that wait for one commit */
	ENTRIES_MAX = 16, /* what looks like a wait_queue_entry on the stack of one */
};

/* A function that sleeps only with the entry locked, or in the queue for it. */
struct section {
	enum fact_how how;
	const char *const *functions;
};

#define ON(...) ((const char *const[]){ __VA_ARGS__, NULL })

enum { FAULTS, WRITEBACK, SECTIONS };

static const struct section sections[SECTIONS] = {
	[FAULTS] = { HOW_FAULT,
		     ON("dax_iomap_pte_fault", "dax_iomap_pmd_fault", "dax_iomap_fault") },
	[WRITEBACK] = { HOW_WRITEBACK, ON("dax_writeback_mapping_range") },
};

/* Inside of them, but the lock is not taken yet, or taken in part of it. */
static const char *const unsure[] = { "grab_mapping_entry", NULL };

/* What a task would keep, if it is in one of the sections; NULL it is not. */
static const struct section *section_of(const struct ktask *t)
{
	for (int i = 0; i < SECTIONS; i++)
		if (task_stack_any(t, sections[i].functions))
			return &sections[i];
	return NULL;
}

static bool is_queued(const struct snap *s, u64 task)
{
	for (u32 i = 0; i < s->nr_waits; i++)
		if (s->waits[i].task == task && s->waits[i].on == ON_ENTRY_LOCK)
			return true;
	return false;
}

/* How sure it is that a task has the lock; one without an answer has none. */
enum answer { ANSWER_NO, ANSWER_MAYBE, ANSWER_YES };

/* What a search of a stack for an index in the entry has found. */
struct tally {
	u64 first, pages; /* the entry */
	bool in, out;
};

static void count(struct tally *y, u64 index)
{
	if (index - y->first < y->pages)
		y->in = true;
	else
		y->out = true;
}

/* Words may be left over from earlier calls, so two that differ prove nothing. */
static enum answer answer_of(const struct tally *y)
{
	if (!y->in)
		return ANSWER_NO;
	return y->out ? ANSWER_MAYBE : ANSWER_YES;
}

static struct tally tally_of(const struct kwait *w, u64 entry)
{
	return (struct tally){ w->index, entry & DAX_ENTRY_PMD ? DAX_PMD_PAGES : 1, false, false };
}

/* Each xa_state of the file: what writeback stands at. */
static enum answer walks_entry(struct snap *s, const struct ktask *t, const struct kwait *w,
			       u64 entry)
{
	s64 step = (s->k->field[KF_XA_STATE_INDEX].off - s->k->field[KF_XA_STATE_XA].off) / 8;
	u64 xa = entry_xarray(s, w->inode), start;
	struct tally y = tally_of(w, entry);
	u32 n;
	const u64 *words = task_stack_words(s, t, &n, &start);

	for (u32 i = 0; step > 0 && i + step < n; i++)
		if (words[i] == xa)
			count(&y, words[i + step]);
	return answer_of(&y);
}

/* Where a vm_fault has what is read of it, in words from its vma on. */
struct fault_layout {
	s64 pgoff, address, words; /* words: how many to read; 0 not known */
};

static struct fault_layout fault_layout(const struct snap *s)
{
	const struct kfield *f = s->k->field;
	struct fault_layout l = {
		(f[KF_FAULT_PGOFF].off - f[KF_FAULT_VMA].off) / 8,
		(f[KF_FAULT_ADDRESS].off - f[KF_FAULT_VMA].off) / 8,
		0,
	};

	if (l.pgoff > 0 && l.address > 0)
		l.words = (l.pgoff > l.address ? l.pgoff : l.address) + 1;
	return l;
}

/*
 * The DAX file that words are a vm_fault of: the page has to be where the address is mapped. 0
 * none.
 */
static u64 file_of_fault(struct snap *s, const struct fault_layout *l, const u64 *fault)
{
	struct kget g[] = {
		{ fault[0], KF_VMA_FILE, 0, 0 },
		{ fault[0], KF_VMA_START, 0, 0 },
		{ fault[0], KF_VMA_PGOFF, 0, 0 },
	};
	u64 of;

	if (!kmem_is_kernel_ptr(fault[0]) || fault[0] & 7 || kmem_getv(s->k, g, 3) || g[0].err ||
	    !kmem_is_kernel_ptr(g[0].val) || kmem_get(s->k, g[0].val, KF_FILE_INODE, &of) ||
	    fault[l->pgoff] != (fault[l->address] - g[1].val) / ARCH_PAGE_SIZE + g[2].val)
		return 0;
	return file_is_dax(s, of) ? of : 0;
}

/* The vm_fault of a DAX file on a task's stack. *inode: of which; 0 there is none. */
static u64 find_fault(struct snap *s, const struct ktask *t, u64 *inode)
{
	struct fault_layout l = fault_layout(s);
	u64 start;
	u32 n;
	const u64 *words = task_stack_words(s, t, &n, &start);

	*inode = 0;
	for (u32 i = 0; l.words && i + l.words <= n; i++) {
		*inode = file_of_fault(s, &l, words + i);
		if (*inode)
			return start + i * sizeof(*words) - s->k->field[KF_FAULT_VMA].off;
	}
	return 0;
}

/*
 * After dax_iomap_fault() a store to a mapping with MAP_SYNC waits until its block is on the disk.
 */
static const char *const with_invalidate_lock[] = { "dax_iomap_pte_fault", "dax_iomap_pmd_fault",
						    "dax_iomap_fault", "dax_finish_sync_fault",
						    NULL };

u64 fault_file(struct snap *s, const struct ktask *t)
{
	u64 inode = 0;

	if (task_is_asleep(t) && task_stack_any(t, with_invalidate_lock))
		find_fault(s, t, &inode);
	return inode;
}

/* Other faults may have let go of it before they sleep. */
static const char *const lets_go[] = { "filemap_fault", "do_swap_page", "handle_userfault", NULL };

static u64 find_fault_lock(struct snap *s, const struct ktask *t)
{
	static const char *const faults[] = { "handle_mm_fault", NULL };
	u64 inode, fault, flags, vma;

	if (!t->r.mm || !kmem_has(s->k, KF_MM_MMAP_LOCK) || !task_is_asleep(t) ||
	    !task_stack_any(t, faults) || task_stack_any(t, lets_go))
		return 0;
	fault = find_fault(s, t, &inode);
	if (!fault || kmem_get(s->k, fault, KF_FAULT_FLAGS, &flags))
		return 0;
	if (!(flags & FAULT_FLAG_VMA_LOCK))
		return kmem_at(s->k, t->r.mm, KF_MM_MMAP_LOCK);
	return kmem_get(s->k, fault, KF_FAULT_VMA, &vma) ? 0 : vma_lock(s, vma);
}

u64 fault_lock(struct snap *s, struct ktask *t)
{
	if (!t->fault_known)
		t->fault_lock = find_fault_lock(s, t);
	t->fault_known = true;
	return t->fault_lock;
}

/* Each vm_fault of the file: the page of the fault. */
static enum answer faults_on_entry(struct snap *s, const struct ktask *t, const struct kwait *w,
				   u64 entry)
{
	struct tally y = tally_of(w, entry);
	struct fault_layout l = fault_layout(s);
	u64 start;
	u32 n;
	const u64 *words = task_stack_words(s, t, &n, &start);

	for (u32 i = 0; l.words && i + l.words <= n; i++)
		if (file_of_fault(s, &l, words + i) == w->inode)
			count(&y, words[i + l.pgoff]);
	return answer_of(&y);
}

/* A fault shows both; that its xa_state stands at the entry is needed, and its own page decides. */
static enum answer has_lock(struct snap *s, const struct ktask *t, enum fact_how how,
			    const struct kwait *w, u64 entry)
{
	enum answer walks = walks_entry(s, t, w, entry);

	return walks && how == HOW_FAULT ? faults_on_entry(s, t, w, entry) : walks;
}

/* "submit_bio_wait" of "submit_bio_wait+0x1/0x2". */
static const char *innermost(struct snap *s, const struct ktask *t)
{
	const char *frame = t->r.nr_stack ? t->frames[0] : NULL;

	return frame ? snap_text(s, "%.*s", (int)strcspn(frame, "+ "), frame) : NULL;
}

static bool is_on_stack(const struct snap *s, const struct ktask *t, u64 addr)
{
	return addr - t->r.stack < s->arch.regs_off;
}

/* The disk of a bio whose end the task waits for: the bio names something on its stack. */
static u64 disk_of_bio(struct snap *s, const struct ktask *t, u64 word)
{
	struct kbio bio;

	if (bio_read(s, word, &bio) || !bio.end_io || !is_on_stack(s, t, bio.private))
		return 0;
	return bio_disk(s, &bio);
}

/* The disk of a buffer_head that a task waits for: its first word, b_state, is the key. */
static u64 disk_of_buffer(struct snap *s, const struct ktask *t)
{
	struct stack_scan scan = stack_scan(s, t, KF_WBQE_PRIVATE);
	struct slab_object o;
	u64 wbqe, bh, bdev, disk;

	while ((wbqe = stack_scan_next(&scan)))
		if (!kmem_get(s->k, wbqe, KF_WBQE_KEY_FLAGS, &bh) && !slab_object(s, bh, &o) &&
		    o.addr == bh && !strcmp(o.name, "buffer_head") &&
		    !kmem_get(s->k, bh, KF_BH_BDEV, &bdev) &&
		    !kmem_get(s->k, bdev, KF_BDEV_DISK, &disk))
			return disk;
	return 0;
}

/* The disk that a task sleeps for, from what its stack points at; 0 unknown. */
static u64 disk_of_sleeper(struct snap *s, const struct ktask *t)
{
	u64 start, disk = 0;
	u32 n;
	const u64 *words = task_stack_words(s, t, &n, &start);

	for (u32 i = 0; i < n && !disk; i++)
		disk = disk_of_bio(s, t, words[i]);
	return disk ? disk : disk_of_buffer(s, t);
}

/* The object in a slab that has the head of the queue in which a wait_queue_entry is; 0 unknown. */
static u64 object_of_queue(struct snap *s, u64 wqe)
{
	u64 at = kmem_at(s->k, wqe, KF_WQE_ENTRY);
	struct slab_object o;

	for (u32 n = 0; n < QUEUE_MAX && !kmem_get(s->k, at, KF_LIST_NEXT, &at); n++)
		if (!slab_object(s, at, &o))
			return o.addr;
	return 0;
}

/*
 * The thread that commits a transaction of a journal, fs/jbd2/commit.c, while it sleeps; NULL none.
 */
static const struct ktask *thread_of_journal(struct snap *s, u64 journal)
{
	for (u32 i = 0; i < s->tasks.n; i++) {
		const struct ktask *t = &s->tasks.v[i];

		if (task_is_asleep(t) && task_stack_has(t, "jbd2_journal_commit_transaction") &&
		    task_stack_names(s, t, journal))
			return t;
	}
	return NULL;
}

/*
 * The thread that commits the transaction for which a task waits. NULL none. What earlier sleeps
 * have left on the stack leads to no journal.
 */
static const struct ktask *committer(struct snap *s, const struct ktask *t)
{
	struct stack_scan scan = stack_scan(s, t, KF_WQE_PRIVATE);
	const struct ktask *thread = NULL;
	u64 objects[ENTRIES_MAX], wqe;
	u32 n = 0;

	if (!task_stack_has(t, "jbd2_log_wait_commit"))
		return NULL;
	while (n < ENTRIES_MAX && (wqe = stack_scan_next(&scan))) {
		objects[n] = object_of_queue(s, wqe);
		n += objects[n] != 0;
	}
	for (u32 i = 0; i < n && !thread; i++)
		thread = thread_of_journal(s, objects[i]);
	return thread;
}

static void tell_target(struct snap *s, const struct ktask *t, struct fact_hold *h)
{
	const char *where = innermost(s, t);
	const struct ktask *commits = committer(s, t);
	u64 disk = disk_of_sleeper(s, commits ? commits : t);
	struct kserver server;

	disk_server(s, disk, 0, &server);
	h->server = server.task;
	h->server_likely = server.likely;
	h->device = disk ? disk_describe(s, disk) : NULL;
	h->target = disk_target(s, h->device, &server);
	h->detail = where ? snap_text(s, "it sleeps in %s()", where) : NULL;
}

void entry_holder_tell(struct snap *s, const struct kwait *w, struct ktask *t, enum fact_how how,
		       enum fact_confidence confidence)
{
	struct fact_releaser releaser = { .task = t->r.task, .fd = -1 };
	struct fact f = { .type = FACT_HOLD };

	task_tell(s, t);
	f.hold.lock = w->lock;
	f.hold.how = how;
	f.hold.confidence = confidence;
	f.hold.refs = 1;
	f.hold.held_ns = task_asleep_ns(s, t);
	f.hold.pipe_user = UINT32_MAX;
	f.hold.releasers = &releaser;
	f.hold.nr_releasers = 1;
	tell_target(s, t, &f.hold);
	snap_emit(s, &f);
}

/* A task found to have the lock, or with two of them to be one that may. */
struct found {
	struct ktask *t;
	enum fact_how how;
	bool unsure;
};

enum { FOUND_MAX = 8 };

static u32 find_holders(struct snap *s, const struct kwait *w, u64 entry, struct found *found)
{
	u32 n = 0;

	for (u32 i = 0; i < s->tasks.n && n < FOUND_MAX; i++) {
		struct ktask *t = &s->tasks.v[i];
		const struct section *section = task_is_asleep(t) ? section_of(t) : NULL;
		enum answer answer = section && !is_queued(s, t->r.task) ?
					     has_lock(s, t, section->how, w, entry) :
					     ANSWER_NO;

		if (answer)
			found[n++] = (struct found){
				t, section->how, answer == ANSWER_MAYBE || task_stack_any(t, unsure)
			};
	}
	return n;
}

const char *walk_entry_locks_lacks(const struct snap *s)
{
	return KMEM_LACKS(s->k, KF_XA_STATE_XA, KF_XA_STATE_INDEX, KF_XA_NODE_SHIFT,
			  KF_ENTRY_WAIT_XA, KF_FAULT_VMA, KF_FAULT_PGOFF, KF_FAULT_ADDRESS);
}

int walk_entry_locks(struct snap *s)
{
	struct found found[FOUND_MAX];
	u64 entry;

	for (u32 i = 0; i < s->nr_waits && !s->err; i++) {
		const struct kwait *w = &s->waits[i];
		u32 n;

		if (w->on != ON_ENTRY_LOCK || !w->lock || !wait_is_first_of_lock(s, i) ||
		    !entry_is_locked(s, w, &entry))
			continue;
		n = find_holders(s, w, entry, found);
		for (u32 j = 0; j < n; j++)
			entry_holder_tell(s, w, found[j].t, found[j].how,
					  n > 1 || found[j].unsure ? CONF_LIKELY : CONF_EXACT);
	}
	return 0;
}
