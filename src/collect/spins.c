// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Who looks for an idle page again and again instead of sleeping. XFS, about to share extents,
 * locks two inodes; when a page of the second one is busy, xfs_ilock2_io_mmap() has no way to
 * sleep, lets go of both mmap locks and tries again, and looks at no signal. Seen on 6.1 to 7.2;
 * 5.10 has no reflink together with DAX.
 *
 * Such a task is in no wait queue, and a running task has no stack that can be unwound. But its
 * stack memory can be read: the return addresses of the outer frames do not move. Words that look
 * like return addresses may be left over from earlier calls, so more has to fit, at several looks:
 * the task has not left its system call, its stack shows the loop, it owns the i_rwsem of an inode,
 * and a page of that inode is busy. Behind the loop none is, as both mmap locks keep faults out.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "collect/snap.h"
#include "collect/task_flags.h"
#include "collect/xarray.h"

/* fs/dax.c: an entry is a value with these bits, and the page frame number above them */
#define DAX_PMD   2ULL
#define DAX_NONE  (4ULL | 8ULL) /* DAX_ZERO_PAGE, DAX_EMPTY: no page of the file */
#define DAX_SHIFT 4
#define PMD_PAGES 512

enum {
	LOOKS = 3,
	LOOK_US = 5000,
	SUSPECTS_MAX = 256,
	STACK_WORDS_MAX = 4096, /* 32 KiB, a stack with KASAN */
	NODES_MAX = 1 << 16,    /* of a file: 16 GiB in pages of 4 KiB */
	BATCH = 128,
	INODES_MAX = 4, /* that one task owns and a stack shows; two are expected */
};

static const char *const loop_functions[] = { "xfs_ilock2_io_mmap", NULL };

struct suspect {
	struct ktask *t;
	struct arch_regs regs; /* all 0 when it has none */
};

/* What a stack holds from its loop outwards: n words, and the text of those that are code. */
struct stack {
	u64 words[STACK_WORDS_MAX];
	char *names[STACK_WORDS_MAX];
	u32 n;
};

static bool is_running(const struct ktask *t)
{
	return !t->r.state && t->r.stack;
}

/* It may be seen in the moment in which it waits for one of its locks. */
static bool is_suspect(struct snap *s, const struct ktask *t, const struct arch_regs *regs)
{
	bool user = !(t->r.flags & (PF_KTHREAD | PF_IO_WORKER));

	if (t->r.task == s->k->self || wait_is_known(s, t->r.task))
		return false;
	if (task_is_asleep(t))
		return task_stack_any(t, loop_functions);
	return is_running(t) && (!user || (regs && regs->syscall >= 0));
}

static u32 find_suspects(struct snap *s, struct suspect *v)
{
	u32 n = 0;

	for (u32 i = 0; i < s->tasks.n; i++) {
		struct ktask *t = &s->tasks.v[i];
		const struct arch_regs *regs = is_running(t) ? task_regs(s, t) : NULL;

		if (!is_suspect(s, t, regs))
			continue;
		if (n == SUSPECTS_MAX) {
			snap_lost(s, LOSS_LOST, "running tasks", 1);
			break;
		}
		v[n++] = (struct suspect){ .t = t };
		if (regs)
			v[n - 1].regs = *regs;
	}
	return n;
}

/* Still in the same system call, and not asleep in it for anything else. */
static bool is_steady(struct snap *s, const struct suspect *q)
{
	struct arch_regs regs = { 0 };
	u64 state;

	if (kmem_get(s->k, q->t->r.task, KF_TASK_STATE, &state) || state & TASK_INTERRUPTIBLE)
		return false;
	if (q->regs.ip && arch_read_regs(&s->arch, s->k, q->t->r.stack, &regs))
		return false;
	return !memcmp(&regs, &q->regs, sizeof(regs));
}

static u32 keep_steady(struct snap *s, struct suspect *v, u32 n)
{
	u32 kept = 0;

	for (u32 i = 0; i < n; i++)
		if (is_steady(s, &v[i]))
			v[kept++] = v[i];
	return kept;
}

static void stack_free(struct stack *st)
{
	for (u32 i = 0; st && i < st->n; i++)
		free(st->names[i]);
	free(st);
}

/* Names the words that may be return addresses. 0 or -errno. */
static int name_words(struct snap *s, struct stack *st)
{
	u64 addrs[STACK_WORDS_MAX] = { 0 };
	char *names[STACK_WORDS_MAX] = { NULL };
	u32 at[STACK_WORDS_MAX], n = 0;
	int err;

	for (u32 i = 0; i < st->n; i++) {
		if (st->words[i] < ARCH_TEXT_FIRST || !kmem_is_kernel_ptr(st->words[i]))
			continue;
		at[n] = i;
		addrs[n++] = st->words[i];
	}
	err = s->k->ops->symbolize(s->k, addrs, names, n);
	for (u32 i = 0; i < n; i++)
		st->names[at[i]] = names[i];
	return err;
}

/* Drops what lies within the outermost frame of the loop. False: the loop is not there. */
static bool cut_to_loop(struct stack *st)
{
	u32 first = st->n;

	for (u32 i = 0; i < st->n; i++)
		if (frame_is_any(st->names[i], loop_functions))
			first = i;
	for (u32 i = 0; i < first && i < st->n; i++)
		free(st->names[i]);
	memmove(st->words, st->words + first, (st->n - first) * sizeof(*st->words));
	memmove(st->names, st->names + first, (st->n - first) * sizeof(*st->names));
	st->n -= first;
	return st->n;
}

/* The stack of a task in the loop, from there on outwards; NULL when it is not in it. */
static struct stack *read_stack(struct snap *s, const struct ktask *t)
{
	struct stack *st = calloc(1, sizeof(*st));

	if (!st)
		return NULL;
	st->n = s->arch.regs_off / sizeof(*st->words);
	if (st->n > STACK_WORDS_MAX)
		st->n = STACK_WORDS_MAX;
	if (!kmem_read(s->k, t->r.stack, st->words, st->n * sizeof(*st->words)) &&
	    !name_words(s, st) && cut_to_loop(st))
		return st;
	stack_free(st);
	return NULL;
}

static bool owns(struct snap *s, const struct ktask *t, u64 inode)
{
	struct klock l = { .addr = kmem_at(s->k, inode, KF_INODE_RWSEM), .kind = KLOCK_RWSEM };

	return !lock_read_owner(s, &l) && l.mode == MODE_WRITE && l.owner == t->r.task;
}

struct search {
	struct snap *s;
	s64 idle_refs;
	u64 busy; /* answer: struct page */
};

/* A large entry is one folio where pages are idle at 0, and so many pages of their own before. */
static u32 pages_of_entry(const struct search *q, u64 value)
{
	return value & DAX_PMD && q->idle_refs ? PMD_PAGES : 1;
}

/* 1 when one of n pages in a row is busy. */
static int find_busy(struct search *q, u64 first, u32 n)
{
	u64 size = q->s->k->field[KF_PAGE].off;
	struct kget g[BATCH];

	for (u32 at = 0; at < n; at += BATCH) {
		u32 step = n - at < BATCH ? n - at : BATCH;

		for (u32 i = 0; i < step; i++)
			g[i] = (struct kget){ .obj = first + (at + i) * size,
					      .f = KF_PAGE_REFCOUNT };
		if (kmem_getv(q->s->k, g, step))
			return 0;
		for (u32 i = 0; i < step; i++) {
			if (g[i].err || (s32)g[i].val <= q->idle_refs)
				continue;
			q->busy = g[i].obj;
			return 1;
		}
	}
	return 0;
}

static int search_entries(void *arg, const u64 *entries, u32 n)
{
	struct search *q = arg;
	int found = 0;

	for (u32 i = 0; i < n && !found; i++) {
		u64 value = entries[i] >> 1;

		if (!(entries[i] & 1) || value & DAX_NONE)
			continue;
		found = find_busy(
			q, q->s->arch.vmemmap + (value >> DAX_SHIFT) * q->s->k->field[KF_PAGE].off,
			pages_of_entry(q, value));
	}
	return found;
}

/* A busy page of an inode, 0 none. */
static u64 busy_page(struct snap *s, u64 inode)
{
	struct search q = { .s = s, .idle_refs = page_idle_refs(s) };
	u64 mapping = kmem_at(s->k, inode, KF_INODE_DATA);
	int err = xarray_walk(s->k, kmem_at(s->k, mapping, KF_MAPPING_I_PAGES), NODES_MAX,
			      search_entries, &q);

	if (err == -E2BIG)
		snap_lost(s, LOSS_LOST, "pages of a file", 1);
	return q.busy;
}

static bool is_in(const u64 *list, u32 n, u64 value)
{
	for (u32 i = 0; i < n; i++)
		if (list[i] == value)
			return true;
	return false;
}

/* The inode among the words of a stack that keeps its task in the loop, and its busy page. */
static bool find_inode(struct snap *s, const struct ktask *t, const struct stack *st,
		       struct kwait *w)
{
	u64 seen[INODES_MAX];
	u32 n = 0;

	for (u32 i = 0; i < st->n && n < INODES_MAX; i++) {
		u64 inode = file_of_word(s, st->words[i]);

		if (!inode || is_in(seen, n, inode) || !owns(s, t, inode))
			continue;
		seen[n++] = w->inode = inode;
		w->page = busy_page(s, inode);
		if (w->page)
			return true;
	}
	return false;
}

static int take(struct snap *s, const struct ktask *t)
{
	struct stack *st = read_stack(s, t), *again = NULL;
	struct kwait w = { .task = t->r.task, .on = ON_PAGE, .spins = true };
	int err = 0;

	if (st && find_inode(s, t, st, &w)) {
		w.op = op_of_frames((const char *const *)st->names, st->n);
		again = read_stack(s, t);
		if (again && owns(s, t, w.inode) && !waits_add_page(s, w.page, &w.page))
			err = waits_add(s, w);
	}
	stack_free(st);
	stack_free(again);
	return err;
}

static const char *lacks(const struct snap *s)
{
	const struct kmem *k = s->k;
	const char *lacked = arch_lacks(&s->arch, ARCH_REGS | ARCH_VMEMMAP);

	if (!s->pgmaps.n)
		return ksym_name(KSYM_PGMAP_ARRAY);
	if (!lacked)
		lacked = KMEM_LACKS(k, KF_XA_HEAD, KF_XA_NODE_SLOTS, KF_TASK_STATE,
				    KF_MAPPING_I_PAGES);
	return lacked ? lacked : locks_lack_owners(k);
}

int spins_find(struct snap *s)
{
	static struct suspect suspects[SUSPECTS_MAX];
	const char *lacked = lacks(s);
	u32 n = lacked ? 0 : find_suspects(s, suspects);
	int err = 0;

	snap_probe_needs(s, "running tasks", lacked,
			 "a reflink on XFS that spins for a page is not found");
	for (int look = 1; look < LOOKS && n; look++) {
		usleep(LOOK_US);
		n = keep_steady(s, suspects, n);
	}
	for (u32 i = 0; i < n && !err; i++)
		err = take(s, suspects[i].t);
	return err;
}
