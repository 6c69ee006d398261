// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Holds that hooks saw being taken. They are facts of their own, also where another walker found
 * the same reference: which are one is for the model to tell.
 */
#include <errno.h>
#include <string.h>

#include "collect/trace.h"

struct taken {
	struct snap *s;
	struct trace *t;
	const struct pin_entry *e;
	const struct kpage *page;
	u32 kind;
};

/* Who took it and can still be ended. */
static struct ktask *task_of(struct snap *s, const struct pin_taker *by)
{
	struct ktask *t = task_find(s, by->task);

	return t && t->r.start_ns == by->start_ns && t->r.tid == by->tid ? task_live(s, t) : NULL;
}

static struct ktask *leader_of(struct snap *s, struct ktask *t)
{
	struct ktask *leader;
	u64 addr;

	if (kmem_get(s->k, t->r.task, KF_TASK_GROUP_LEADER, &addr))
		return t;
	leader = task_find(s, addr);
	leader = leader ? task_live(s, leader) : NULL;
	return leader ? leader : t;
}

/*
 * A page in a queue is released by whoever reads it, and no sign of the taker's tells who that is.
 */
static bool is_queued(enum fact_how how)
{
	return how == HOW_VMSPLICE || how == HOW_SOCKET || how == HOW_ZEROCOPY;
}

/* The end of one thread is enough where it is in the middle of the call. */
static bool is_of_thread(enum fact_how how)
{
	return how == HOW_DIRECT_IO || how == HOW_PROCESS_VM || how == HOW_PTRACE ||
	       how == HOW_COREDUMP || how == HOW_SG_IO;
}

static void name_releaser(struct taken *k, const struct pin_taker *by, struct fact_hold *h,
			  struct fact_releaser *r)
{
	struct ktask *t = is_queued(h->how) ? NULL : task_of(k->s, by);

	if (!t)
		return;
	t = is_of_thread(h->how) ? t : leader_of(k->s, t);
	task_tell(k->s, t);
	*r = (struct fact_releaser){ .task = t->r.task, .fd = -1 };
	h->releasers = r;
	h->nr_releasers = 1;
}

static u32 read_stack(struct taken *k, const struct pin_taker *by, const char **names)
{
	u64 addrs[PIN_STACK_DEPTH];
	u32 n = pins_stack(k->t->pins, by->kstack, addrs), step = TRACE_STACK_DEPTH;

	for (u32 at = 0; at < n; at += step)
		if (trace_name(k->s, k->t, addrs + at, names + at, n - at < step ? n - at : step))
			return 0;
	return n;
}

static void tell_claim(struct taken *k, const struct pin_taker *by, const struct pin_claim *c)
{
	const char *names[PIN_STACK_DEPTH] = { NULL }, *asker;
	struct fact f = { .type = FACT_HOLD, .seen = SEEN_TRACE };
	struct fact_hold *h = &f.hold;
	u32 n = read_stack(k, by, names), own = pins_own_frames(names, n);
	u64 now = k->s->k->time.mono_ns;
	struct fact_releaser r;

	*h = (struct fact_hold){
		.page = k->page->head,
		.how = pins_how(names, n),
		.confidence = c->confidence,
		.refs = c->refs,
		.held_ns = c->since_taken && now > by->ns ? now - by->ns : FACT_UNKNOWN,
		.pipe_user = UINT32_MAX,
		.taker_pid = by->tgid,
		.taker_tid = by->tid,
		.kstack = { .frames = names + own, .n = n - own },
	};
	memcpy(h->taker_comm, by->comm, sizeof(by->comm));
	if (!n)
		h->kstack.why_missing = "it was not kept";
	asker = pins_asker(names, n);
	h->detail = snap_text(k->s, "seen taken by %.*s[%u]%s%.*s", (int)sizeof(by->comm), by->comm,
			      by->tid, asker ? " in " : "", asker ? (int)strcspn(asker, "+") : 0,
			      asker ? asker : "");
	name_releaser(k, by, h, &r);
	snap_emit(k->s, &f);
}

static s64 count_of(const struct taken *k, const struct pin_counts *c)
{
	const struct pins *p = k->t->pins;

	return pin_refs(c, p->idle_refs, k->kind, p->one_kind);
}

static void tell_entry(struct taken *k)
{
	struct pin_counts now = { k->page->refs, k->page->mapcount - 1, k->page->pincount };
	struct pin_claim claim[PIN_TAKERS];
	bool all_seen;

	k->kind = k->e->key & PIN_KIND_MASK;
	/* from 6.15 on puts of plain references are inlined */
	all_seen = k->kind == PIN_PIN || k->t->pins->idle_refs;
	pins_judge(k->e, count_of(k, &now), count_of(k, &k->e->p.before), all_seen, claim);
	for (int i = 0; i < PIN_TAKERS && !k->s->err; i++)
		if (k->e->p.takers[i].task && k->e->p.takers[i].key == k->e->key)
			tell_claim(k, &k->e->p.takers[i], &claim[i]);
}

const char *walk_taken_lacks(const struct snap *s)
{
	return s->opts->trace && pins_work(s->opts->trace->pins) ? NULL : "a page being taken";
}

int walk_taken(struct snap *s)
{
	struct trace *t = s->opts->trace;

	for (u32 i = 0; i < t->pins->n && !s->err; i++) {
		struct taken k = { .s = s, .t = t, .e = &t->pins->v[i] };

		k.page = page_find(s, k.e->key & ~(u64)PIN_KIND_MASK);
		if (k.page)
			tell_entry(&k);
	}
	return 0;
}
