// SPDX-License-Identifier: GPL-2.0-only
/*
 * Who takes references of fsdax pages. mm/gup.c has one function that takes them for a page table
 * entry and one for what a fast walk found; all of O_DIRECT, vmsplice(2), zero-copy sockets, KVM
 * and drivers go through these. Any other page leaves them after two compares. Releases are hooked
 * where no other page comes by: up to 6.14 all of them, from 6.15 on only the last one. What was
 * released unseen shows in the page's own count, when the next one is taken or at the next look.
 * Nothing is streamed: what is known of a page stays in a map.
 *
 * Which functions are hooked, and what is lost without, is in the table of src/collect/pins.c.
 */
#include "vmlinux.h"

#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

#include <daxtop/pins.h>

#include "compat.bpf.h"

char LICENSE[] SEC("license") = "GPL";

/* Filled in before the program is loaded: all ranges are in [first, end). */
const volatile u64 pages_first = 0, pages_end = 0;
const volatile u32 nr_ranges = 0;
const volatile u64 ranges[2 * PIN_RANGES] = {};
const volatile u32 foll_get = 0, foll_pin = 0;
const volatile s32 idle_refs = 0;
const volatile u32 one_kind = 0; /* a release does not tell pins from other references */

/* User space sets the sizes of these two. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 1);
	__type(key, u64);
	__type(value, struct pin_page);
} pinned SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_STACK_TRACE);
	__uint(max_entries, 1);
	__uint(key_size, sizeof(u32));
	__uint(value_size, PIN_STACK_DEPTH * sizeof(u64));
} stacks SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, PIN_LOSS_MAX);
	__type(key, u32);
	__type(value, u64);
} lost SEC(".maps");

static __always_inline void count_loss(u32 which, u64 n)
{
	u64 *sum = bpf_map_lookup_elem(&lost, &which);

	if (sum)
		__sync_fetch_and_add(sum, n);
}

static __always_inline bool is_dax(u64 page)
{
	u32 i;

	for (i = 0; i < PIN_RANGES; i++)
		if (i < nr_ranges && page >= ranges[2 * i] && page < ranges[2 * i + 1])
			return true;
	return false;
}

static __always_inline void read_counts(struct pin_counts *c, u64 head)
{
	struct page *page = (void *)head;
	struct folio *folio = (void *)head;

	c->refs = BPF_CORE_READ(page, _refcount.counter);
	c->mapcount = BPF_CORE_READ(page, _mapcount.counter);
	c->pincount = -1;
	if (bpf_core_field_exists(folio->_large_mapcount) && page_is_large(page)) {
		c->mapcount = BPF_CORE_READ(folio, _large_mapcount.counter);
		c->pincount = BPF_CORE_READ(folio, _pincount.counter);
	}
}

/* Nobody has any of the references that were noted: what was released was not seen. */
static __always_inline void start_again(struct pin_page *p, const struct pin_counts *now)
{
	u32 i;

	p->taken = p->released = p->others = 0;
	p->before = *now;
	for (i = 0; i < PIN_TAKERS; i++)
		p->takers[i].task = 0;
}

/*
 * In a function of its own, as the entry takes half of the stack. Not in a map for each CPU: where
 * the kernel is preemptible, so is a program of a trampoline, and another task of the CPU may run
 * it.
 */
static __noinline int add_entry(u64 *key, const struct pin_counts *now)
{
	struct pin_page fresh = { .before = *now };

	/* another CPU may have made it by now */
	return bpf_map_update_elem(&pinned, key, &fresh, BPF_NOEXIST);
}

/* The entry of a page, made if there is none. */
static __always_inline struct pin_page *entry_of(u64 key, u64 head)
{
	struct pin_page *p = bpf_map_lookup_elem(&pinned, &key);
	struct pin_counts now;

	read_counts(&now, head);
	if (!p) {
		add_entry(&key, &now);
		return bpf_map_lookup_elem(&pinned, &key);
	}
	if (pin_refs(&now, idle_refs, key & PIN_KIND_MASK, one_kind) <= 0)
		start_again(p, &now);
	return p;
}

static __always_inline s32 stack_of(void *regs)
{
	long id = bpf_get_stackid(regs, &stacks, BPF_F_FAST_STACK_CMP);

	if (id < 0)
		count_loss(PIN_LOST_STACKS, 1);
	return id;
}

static __always_inline void fill_taker(void *regs, struct pin_taker *t, u64 key, u64 task)
{
	u64 id = bpf_get_current_pid_tgid();

	t->key = key;
	t->start_ns = BPF_CORE_READ((struct task_struct *)task, start_time);
	t->ns = bpf_ktime_get_ns();
	t->tgid = id >> 32;
	t->tid = id;
	t->given = 0;
	t->kstack = stack_of(regs);
	bpf_get_current_comm(t->comm, sizeof(t->comm));
}

static __always_inline void note_taker(void *regs, struct pin_page *p, u64 key, u32 refs)
{
	u64 task = bpf_get_current_task();
	u32 i;

	__sync_fetch_and_add(&p->taken, refs);
	for (i = 0; i < PIN_TAKERS; i++) {
		struct pin_taker *t = &p->takers[i];

		if (!t->task) {
			t->task = task;
			t->refs = refs;
			fill_taker(regs, t, key, task);
			return;
		}
		if (t->task == task && t->key == key) {
			__sync_fetch_and_add(&t->refs, refs);
			return;
		}
	}
	__sync_fetch_and_add(&p->others, refs);
}

/* page may be a tail of its folio; flags are FOLL_*. */
static __noinline int take(void *regs, u64 page, u32 refs, u32 flags)
{
	u64 head, key;
	struct pin_page *p;

	if (!(flags & (foll_get | foll_pin)) || !is_dax(page))
		return 0;
	head = page_head(page);
	key = head | (flags & foll_pin && !one_kind ? PIN_PIN : PIN_GET);
	p = entry_of(key, head);
	if (p)
		note_taker(regs, p, key, refs);
	else
		count_loss(PIN_LOST_PAGES, refs);
	return 0;
}

/*
 * Whether all that one task took stays although so many are released now: then it was duplicated
 * unseen, as NFS does with get_page(). Of several tasks nobody could tell whose it was.
 */
static __always_inline bool stays(const struct pin_page *p, u64 head, u32 refs, u32 kind)
{
	struct pin_counts now, before = p->before;
	s32 others, left = (s32)(p->taken - p->released);

	if (p->others || p->takers[1].task)
		return false;
	read_counts(&now, head);
	others = pin_refs(&before, idle_refs, kind, one_kind);
	return pin_refs(&now, idle_refs, kind, one_kind) - (s32)refs - (others > 0 ? others : 0) >=
	       left;
}

static __noinline int release(u64 page, u32 refs, u32 kind)
{
	u64 task = bpf_get_current_task(), head, key;
	struct pin_page *p;
	u32 i;

	if (!is_dax(page))
		return 0;
	head = page_head(page);
	key = head | kind;
	p = bpf_map_lookup_elem(&pinned, &key);
	if (!p || stays(p, head, refs, kind))
		return 0;
	__sync_fetch_and_add(&p->released, refs);
	for (i = 0; i < PIN_TAKERS; i++)
		if (p->takers[i].task == task)
			__sync_fetch_and_add(&p->takers[i].given, refs);
	if (p->released >= p->taken)
		bpf_map_delete_elem(&pinned, &key);
	return 0;
}

/* A part of a page's count, in which a pin is PIN_BIAS. */
static __always_inline void release_biased(u64 page, u32 refs)
{
	if (refs >= PIN_BIAS)
		release(page, refs / PIN_BIAS, one_kind ? PIN_GET : PIN_PIN);
	if (refs % PIN_BIAS)
		release(page, refs % PIN_BIAS, PIN_GET);
}

/* Nobody refers to the page any more. */
static __noinline int forget(u64 page)
{
	u64 key;

	if (!is_dax(page))
		return 0;
	key = page_head(page);
	bpf_map_delete_elem(&pinned, &key);
	key |= PIN_PIN;
	bpf_map_delete_elem(&pinned, &key);
	return 0;
}

#define MAY_BE_DAX(page) ((page) >= pages_first && (page) < pages_end)

/*
 * name_entry for a trampoline and name_probe for a kprobe: what is done is told with the arguments
 * as the numbers a0, a1 and a2. Only a page in the ranges comes so far.
 */
#define HOOK(name, does)                                                                          \
	SEC("fentry")                                                                             \
	int name##_entry(u64 *regs)                                                               \
	{                                                                                         \
		if (MAY_BE_DAX(regs[0])) {                                                        \
			u64 a0 = argument(regs, 0), a1 = argument(regs, 1),                       \
			    a2 = argument(regs, 2);                                               \
			(void)a1, (void)a2;                                                       \
			does;                                                                     \
		}                                                                                 \
		return 0;                                                                         \
	}                                                                                         \
	SEC("kprobe")                                                                             \
	int name##_probe(struct pt_regs *regs)                                                    \
	{                                                                                         \
		u64 a0 = PT_REGS_PARM1(regs), a1 = PT_REGS_PARM2(regs), a2 = PT_REGS_PARM3(regs); \
		(void)a1, (void)a2;                                                               \
		if (MAY_BE_DAX(a0))                                                               \
			does;                                                                     \
		return 0;                                                                         \
	}

/* bool try_grab_page(struct page *, unsigned flags), up to 6.1 */
HOOK(take_page, take(regs, a0, 1, a1))
/*
 * struct page *try_grab_compound_head(struct page *, int refs, unsigned flags), up to 5.16; struct
 * folio *try_grab_folio(struct page *, int, unsigned); from 6.11 on that is try_grab_folio_fast(),
 * and int try_grab_folio(struct folio *, int, unsigned) takes for an entry
 */
HOOK(take_pages, take(regs, a0, a1, a2))
HOOK(take_folio, take(regs, a0, a1, a2))
/* void put_devmap_managed_page(struct page *), 5.10: a pin has lost the rest of its bias before */
HOOK(put_page, release(a0, 1, PIN_GET))
/* bool __put_devmap_managed_page_refs(struct page *, int), later with a struct folio *, to 6.14 */
HOOK(put_refs, release_biased(a0, a1))
/* void free_zone_device_folio(struct folio *): the last reference is gone */
HOOK(idle, forget(a0))
