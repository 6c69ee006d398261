// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Who sleeps until a lease of a DAX file is given back, and who has it. __break_lease() makes a
 * lock of its own, which names the one that it waits for, and sleeps in the queue of that lock: the
 * entry lies on the sleeper's stack. All leases of a file, the layouts that the NFS server gave out
 * and delegations with them, are in one list.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "collect/snap.h"

/* include/linux/filelock.h (fs.h up to 6.2) */
#define FL_DELEG             4ULL
#define FL_LEASE             32ULL
#define FL_DOWNGRADE_PENDING 256ULL
#define FL_UNLOCK_PENDING    512ULL
#define FL_LAYOUT            2048ULL
#define FL_KINDS             (FL_DELEG | FL_LEASE | FL_LAYOUT)
#define FL_PENDING           (FL_DOWNGRADE_PENDING | FL_UNLOCK_PENDING)

enum { TYPE_READ, TYPE_WRITE, TYPE_MAX = 3 }; /* F_RDLCK, F_WRLCK, F_UNLCK */
enum { BLOCKERS_MAX = 64, LEASES_MAX = 4096 };

/* A lease, or the lock of one who waits for it. */
struct lease {
	u64 core; /* file_lock_core; file_lock up to 6.8 */
	u64 flags, type, file, blocker, pid, owner;
};

static bool read_lease(struct snap *s, u64 core, struct lease *l)
{
	struct kget g[] = {
		{ core, KF_FLC_FLAGS, 0, 0 }, { core, KF_FLC_TYPE, 0, 0 },
		{ core, KF_FLC_FILE, 0, 0 },  { core, KF_FLC_BLOCKER, 0, 0 },
		{ core, KF_FLC_PID, 0, 0 },   { core, KF_FLC_OWNER, 0, 0 },
	};

	if (!kmem_is_kernel_ptr(core) || core & 7 || kmem_getv(s->k, g, 6) || g[0].err)
		return false;
	*l = (struct lease){ core, g[0].val, g[1].val, g[2].val, g[3].val, g[4].val, g[5].val };
	return l->flags & FL_KINDS && l->type < TYPE_MAX;
}

/* The waiter's own lock: the queue that its entry is in has no other entry. */
static bool own_lock(struct snap *s, u64 entry, struct lease *l)
{
	struct kget g[] = { { entry, KF_LIST_NEXT, 0, 0 }, { entry, KF_LIST_PREV, 0, 0 } };
	u64 back;

	if (kmem_getv(s->k, g, 2) || g[0].err || g[0].val != g[1].val || g[0].val == entry ||
	    !kmem_is_kernel_ptr(g[0].val) || kmem_get(s->k, g[0].val, KF_LIST_NEXT, &back) ||
	    back != entry)
		return false;
	return read_lease(s,
			  kmem_container(s->k, kmem_container(s->k, g[0].val, KF_WAIT_HEAD_HEAD),
					 KF_FLC_WAIT),
			  l);
}

static bool find_own_lock(struct snap *s, const struct ktask *t, struct lease *l)
{
	struct stack_scan scan = stack_scan(s, t, KF_WQE_PRIVATE);
	u64 wqe;

	while ((wqe = stack_scan_next(&scan)))
		if (own_lock(s, kmem_at(s->k, wqe, KF_WQE_ENTRY), l))
			return true;
	return false;
}

/* The lease at the end of the chain: one who waits may stand behind another who does. */
static u64 leased_file(struct snap *s, const struct lease *own)
{
	struct lease l = *own;

	for (u32 i = 0; i < BLOCKERS_MAX && !l.file; i++)
		if (!read_lease(s, l.blocker, &l))
			return 0;
	return l.file;
}

/* Finds the file that the task wants. False: it does not sleep for a lease, or of no DAX file. */
static bool take(struct snap *s, struct ktask *t, struct kwait *w)
{
	struct lease own;
	u64 file;

	if (!find_own_lock(s, t, &own))
		return false;
	file = leased_file(s, &own);
	if (!file || kmem_get(s->k, file, KF_FILE_INODE, &w->inode) || !file_is_dax(s, w->inode))
		return false;
	return !kmem_get(s->k, w->inode, KF_INODE_FLCTX, &w->lock) && w->lock;
}

const char *walk_leases_lacks(const struct snap *s)
{
	return KMEM_LACKS(s->k, KF_WQE_PRIVATE, KF_WQE_ENTRY, KF_WAIT_HEAD_HEAD, KF_FLC_WAIT,
			  KF_FLC_LIST, KF_FLC_FLAGS, KF_FLC_BLOCKER, KF_FLC_FILE, KF_INODE_FLCTX,
			  KF_FLCTX_LEASE);
}

int leases_find(struct snap *s)
{
	u32 n = walk_leases_lacks(s) ? 0 : s->tasks.n;
	int err = 0;

	for (u32 i = 0; i < n && !err; i++) {
		struct ktask *t = &s->tasks.v[i];
		struct kwait w = { .task = t->r.task, .on = ON_LEASE };

		/* it may be awake for a moment, to ask again for a lease that has no limit */
		if (task_stack_has(t, "__break_lease") && !wait_is_known(s, t->r.task) &&
		    take(s, t, &w))
			err = waits_add(s, w);
	}
	return err;
}

static u64 lease_of(const struct snap *s, u64 core)
{
	return kmem_has(s->k, KF_LEASE_CORE) ? kmem_container(s->k, core, KF_LEASE_CORE) : core;
}

/* Until the kernel takes the lease away, ns; 0: it never does. */
static u64 time_left(struct snap *s, const struct lease *l)
{
	enum kf when = l->flags & FL_UNLOCK_PENDING ? KF_LEASE_BREAK_TIME : KF_LEASE_DOWNGRADE_TIME;
	u64 at, now;

	if (kmem_get(s->k, lease_of(s, l->core), when, &at))
		return FACT_UNKNOWN;
	if (!at)
		return 0;
	if (!s->k->sym[KSYM_JIFFIES] || !s->k->time.tick_ns ||
	    kmem_read(s->k, s->k->sym[KSYM_JIFFIES], &now, sizeof(now)))
		return FACT_UNKNOWN;
	return (s64)(at - now) > 0 ? (at - now) * s->k->time.tick_ns : 1;
}

static const char *kind_of(const struct lease *l)
{
	if (l->flags & FL_LAYOUT)
		return "layout";
	return l->flags & FL_DELEG ? "delegation" : "lease";
}

/* What the NFS server hands out it keeps for a client, in a file of its own. */
static bool is_of_nfsd(struct snap *s, const struct lease *l, u32 nr_releasers)
{
	struct symbol_cache c = { 0 };
	u64 ops;

	if (l->flags & FL_LAYOUT)
		return true;
	if (!(l->flags & FL_DELEG) || nr_releasers)
		return false;
	return kmem_get(s->k, lease_of(s, l->core), KF_LEASE_LMOPS, &ops) ||
	       !strncmp(symbol_name(s, &c, ops), "nfsd", strlen("nfsd"));
}

static const char *kind_and_type(struct snap *s, const struct lease *l)
{
	const char *type = l->type == TYPE_WRITE ? "write " : l->type == TYPE_READ ? "read " : "";

	if (l->flags & FL_LAYOUT)
		return "pNFS layout";
	return snap_text(s, "%s%s", type, kind_of(l));
}

/* Fills in the client of the NFS server that has it. */
static void tell_client(struct snap *s, const struct lease *l, struct fact_hold *h)
{
	const char *what = kind_and_type(s, l);
	struct nfsd_client c = { 0 };

	h->of_nfsd = true;
	if (!nfsd_client(s, l->owner, &c)) {
		h->detail = snap_text(s, "a %s, which the NFS server gave to a client", what);
		return;
	}
	h->target = c.address;
	h->client_dir = c.dir;
	h->detail = c.name ? snap_text(s,
				       "a %s, which the NFS server gave to its client %s (\"%s\")",
				       what, c.address, c.name) :
			     snap_text(s, "a %s, which the NFS server gave to its client %s", what,
				       c.address);
}

static const char *detail_of(struct snap *s, const struct lease *l)
{
	const char *what = kind_and_type(s, l);

	if (l->flags & FL_DELEG)
		return snap_text(s, "a %s", what);
	return snap_text(s, "a %s by fcntl(F_SETLEASE) of process %llu", what,
			 (unsigned long long)l->pid);
}

static void tell_lease(struct snap *s, const struct kwait *w, const struct lease *l)
{
	struct fact f = { .type = FACT_HOLD };
	struct fact_releaser *releasers = fds_releasers_of_file(s, l->file, &f.hold.nr_releasers);

	f.hold.lock = w->lock;
	f.hold.how = HOW_LEASE;
	f.hold.confidence = CONF_EXACT;
	f.hold.refs = 1;
	f.hold.object_kind = kind_of(l);
	f.hold.object_id = snap_text(s, "%s 0x%llx", f.hold.object_kind,
				     (unsigned long long)l->core);
	f.hold.held_ns = FACT_UNKNOWN;
	f.hold.pipe_user = UINT32_MAX;
	f.hold.left_ns = time_left(s, l);
	if (is_of_nfsd(s, l, f.hold.nr_releasers))
		tell_client(s, l, &f.hold);
	else
		f.hold.detail = detail_of(s, l);
	f.hold.releasers = releasers;
	snap_emit(s, &f);
	free(releasers);
}

/* The leases of a file that are to be given back. */
static void walk_list(struct snap *s, const struct kwait *w)
{
	u64 head = kmem_at(s->k, w->lock, KF_FLCTX_LEASE), at;
	struct lease l;

	if (kmem_get(s->k, head, KF_LIST_NEXT, &at))
		return;
	for (u32 n = 0; at != head && !s->err; n++) {
		if (n == LEASES_MAX || !read_lease(s, kmem_container(s->k, at, KF_FLC_LIST), &l) ||
		    kmem_get(s->k, at, KF_LIST_NEXT, &at)) {
			snap_lost(s, n == LEASES_MAX ? LOSS_LOST : LOSS_TORN, "leases", 1);
			return;
		}
		if (l.flags & FL_PENDING)
			tell_lease(s, w, &l);
	}
}

int walk_leases(struct snap *s)
{
	for (u32 i = 0; i < s->nr_waits && !s->err; i++)
		if (s->waits[i].on == ON_LEASE && wait_is_first_of_lock(s, i))
			walk_list(s, &s->waits[i]);
	return 0;
}
