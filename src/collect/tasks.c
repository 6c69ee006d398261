// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Every task of the machine, with its kernel stack as text. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "collect/snap.h"
#include "collect/task_flags.h"

enum { STACK_WORDS_MAX = 4096 }; /* 32 KiB, a stack with KASAN */

static int compare_u64(const void *a, const void *b)
{
	u64 x = *(const u64 *)a, y = *(const u64 *)b;

	return x < y ? -1 : x > y;
}

static const struct ktask *sort_base; /* qsort() has no context argument in C11 */

static int compare_by_addr(const void *a, const void *b)
{
	return compare_u64(&sort_base[*(const u32 *)a].r.task, &sort_base[*(const u32 *)b].r.task);
}

static int compare_by_mm(const void *a, const void *b)
{
	return compare_u64(&sort_base[*(const u32 *)a].r.mm, &sort_base[*(const u32 *)b].r.mm);
}

/* Distinct return addresses of all stacks, sorted; NULL without memory. */
static u64 *distinct_frames(const struct ktasks *t, u32 *nr)
{
	u32 n = 0, kept = 0;
	u64 *all;

	for (u32 i = 0; i < t->n; i++)
		n += t->v[i].r.nr_stack;
	all = calloc(n + 1, sizeof(*all));
	if (!all)
		return NULL;
	n = 0;
	for (u32 i = 0; i < t->n; i++)
		for (u32 j = 0; j < t->v[i].r.nr_stack; j++)
			all[n++] = t->v[i].r.kstack[j];
	qsort(all, n, sizeof(*all), compare_u64);
	for (u32 i = 0; i < n; i++)
		if (!kept || all[kept - 1] != all[i])
			all[kept++] = all[i];
	*nr = kept;
	return all;
}

/* Many tasks sleep in the same few places: each address is turned into text once. */
static int name_frames(struct kmem *k, struct ktasks *t)
{
	u64 *addrs = distinct_frames(t, &t->nr_names);
	int err;

	t->names = addrs ? calloc(t->nr_names + 1, sizeof(*t->names)) : NULL;
	if (!t->names) {
		free(addrs);
		return -ENOMEM;
	}
	err = k->ops->symbolize(k, addrs, t->names, t->nr_names);
	for (u32 i = 0; i < t->n && !err; i++) {
		struct ktask *task = &t->v[i];

		for (u32 j = 0; j < task->r.nr_stack; j++) {
			u64 *at = bsearch(&task->r.kstack[j], addrs, t->nr_names, sizeof(*addrs),
					  compare_u64);

			task->frames[j] = at ? t->names[at - addrs] : NULL;
		}
	}
	free(addrs);
	return err;
}

static u32 *index_by(const struct ktasks *t, int (*compare)(const void *, const void *))
{
	u32 *index = calloc(t->n + 1, sizeof(*index));

	if (!index)
		return NULL;
	for (u32 i = 0; i < t->n; i++)
		index[i] = i;
	sort_base = t->v;
	qsort(index, t->n, sizeof(*index), compare);
	return index;
}

int tasks_load(struct snap *s)
{
	struct task_rec *recs;
	size_t n;
	int err = s->k->ops->tasks(s->k, &recs, &n);

	if (err)
		return err;
	s->tasks.v = calloc(n + 1, sizeof(*s->tasks.v));
	for (size_t i = 0; s->tasks.v && i < n; i++)
		s->tasks.v[i] = (struct ktask){ .r = recs[i], .regs_err = 1 };
	free(recs);
	if (!s->tasks.v)
		return -ENOMEM;
	s->tasks.n = n;
	s->tasks.by_addr = index_by(&s->tasks, compare_by_addr);
	s->tasks.by_mm = index_by(&s->tasks, compare_by_mm);
	if (!s->tasks.by_addr || !s->tasks.by_mm)
		return -ENOMEM;
	return name_frames(s->k, &s->tasks);
}

void tasks_free(struct ktasks *t)
{
	for (u32 i = 0; i < t->nr_names && t->names; i++)
		free(t->names[i]);
	free(t->names);
	free(t->by_addr);
	free(t->by_mm);
	free(t->v);
	*t = (struct ktasks){ 0 };
}

struct ktask *task_find(struct snap *s, u64 addr)
{
	u32 lo = 0, hi = s->tasks.n;

	while (lo < hi) {
		u32 mid = lo + (hi - lo) / 2;
		struct ktask *t = &s->tasks.v[s->tasks.by_addr[mid]];

		if (t->r.task == addr)
			return t;
		if (t->r.task < addr)
			lo = mid + 1;
		else
			hi = mid;
	}
	return NULL;
}

static bool has_exited(const struct ktask *t)
{
	return t->r.state & (EXIT_ZOMBIE | EXIT_DEAD);
}

struct ktask *task_live(struct snap *s, struct ktask *t)
{
	if (!has_exited(t))
		return t;
	for (u32 i = 0; i < s->tasks.n; i++)
		if (s->tasks.v[i].r.tgid == t->r.tgid && !has_exited(&s->tasks.v[i]))
			return &s->tasks.v[i];
	return NULL;
}

struct ktask *task_of_mm(struct snap *s, u64 mm, u32 i)
{
	u32 lo = 0, hi = s->tasks.n;

	while (lo < hi) {
		u32 mid = lo + (hi - lo) / 2;

		if (s->tasks.v[s->tasks.by_mm[mid]].r.mm < mm)
			lo = mid + 1;
		else
			hi = mid;
	}
	if (lo + i >= s->tasks.n || s->tasks.v[s->tasks.by_mm[lo + i]].r.mm != mm)
		return NULL;
	return &s->tasks.v[s->tasks.by_mm[lo + i]];
}

const struct arch_regs *task_regs(struct snap *s, struct ktask *t)
{
	if (t->r.flags & (PF_KTHREAD | PF_IO_WORKER))
		return NULL;
	if (t->regs_err == 1)
		t->regs_err = arch_read_regs(&s->arch, s->k, t->r.stack, &t->regs);
	return t->regs_err ? NULL : &t->regs;
}

const char *frame_function(struct snap *s, const char *frame)
{
	return snap_text(s, "%.*s", (int)strcspn(frame, "+."), frame);
}

bool frame_is(const char *frame, const char *function)
{
	size_t len = strlen(function);

	return frame && !strncmp(frame, function, len) && strchr("+. ", frame[len]);
}

bool frame_is_any(const char *frame, const char *const *functions)
{
	for (; *functions; functions++)
		if (frame_is(frame, *functions))
			return true;
	return false;
}

bool task_stack_has(const struct ktask *t, const char *function)
{
	for (u32 i = 0; i < t->r.nr_stack; i++)
		if (frame_is(t->frames[i], function))
			return true;
	return false;
}

const char *task_stack_any(const struct ktask *t, const char *const *functions)
{
	for (; *functions; functions++)
		if (task_stack_has(t, *functions))
			return *functions;
	return NULL;
}

bool task_is_asleep(const struct ktask *t)
{
	return t->r.state &
	       (TASK_INTERRUPTIBLE | TASK_UNINTERRUPTIBLE | TASK_RTLOCK_WAIT | TASK_FROZEN);
}

const u64 *task_stack_words(struct snap *s, const struct ktask *t, u32 *n, u64 *start)
{
	static u64 words[STACK_WORDS_MAX];
	u64 sp, top = t->r.stack + s->arch.regs_off;

	*n = 0;
	if (!s->arch.regs_off || kmem_get(s->k, t->r.task, KF_TASK_SP, &sp) || sp < t->r.stack ||
	    sp >= top)
		return words;
	*start = sp;
	*n = (top - sp) / sizeof(*words);
	if (*n > STACK_WORDS_MAX)
		*n = STACK_WORDS_MAX;
	if (kmem_read(s->k, sp, words, *n * sizeof(*words)))
		*n = 0;
	return words;
}

bool task_stack_holds(const struct snap *s, const struct ktask *t, u64 addr)
{
	u64 size = s->arch.stack_size ? s->arch.stack_size : 16384;

	return t && addr >= t->r.stack && addr < t->r.stack + size;
}

bool task_stack_names(struct snap *s, const struct ktask *t, u64 addr)
{
	u64 start;
	u32 n;
	const u64 *words = task_stack_words(s, t, &n, &start);

	for (u32 i = 0; i < n; i++)
		if (words[i] == addr)
			return true;
	return false;
}

struct stack_scan stack_scan(struct snap *s, const struct ktask *t, enum kf member)
{
	struct stack_scan scan = { .task = t->r.task, .offset = s->k->field[member].off };

	scan.words = task_stack_words(s, t, &scan.n, &scan.start);
	scan.at = scan.offset / sizeof(*scan.words);
	return scan;
}

u64 stack_scan_next(struct stack_scan *scan)
{
	while (scan->at < scan->n) {
		u32 i = scan->at++;

		if (scan->words[i] == scan->task)
			return scan->start + i * sizeof(*scan->words) - scan->offset;
	}
	return 0;
}
