// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* One look at the machine, from kernel memory to facts. See snap.h for the parts. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "collect/mounts.h"
#include "collect/snap.h"
#include "collect/task_flags.h"
#include "collect/trace.h"
#include "util/fact_pack.h"

/* A wake-up in progress is over long before; a lost one is not. */
#define IDLE_RECHECKS   4
#define IDLE_RECHECK_US 10000

static void tell_wait(struct snap *s, struct kwait *w)
{
	struct ktask *t = task_find(s, w->task);
	struct fact f = { .type = FACT_WAIT };
	struct kpage *p = w->page ? page_find(s, w->page) : NULL;
	struct op op = w->spins || w->traced ? w->op : op_of(s, t);

	f.seen = w->traced ? SEEN_TRACE : SEEN_SNAPSHOT;
	f.wait = (struct fact_wait){
		.task = w->task,
		.file = w->inode,
		.page = w->page,
		.op = op.op,
		.trigger = op.trigger,
		.on = w->on,
		.lock = w->lock,
		.index = w->index,
		.is_free = w->is_free,
		.spins = w->spins,
		.interruptible = w->on == ON_LEASE ||
				 (w->on == ON_PAGE && !w->spins && t->r.state & TASK_INTERRUPTIBLE),
		.began_ns = w->began_ns,
		.pages = w->pages,
	};
	task_tell(s, t);
	s->viewer = t->r.tgid;
	if (p)
		page_tell(s, p);
	if (w->inode)
		file_tell(s, w->inode);
	snap_emit(s, &f);
}

static bool in_scope(struct snap *s, const struct kwait *w)
{
	u32 major, minor;
	u64 ino;

	if (s->opts->unbind)
		return held_is_of_unbind(s, w->page);
	if (!s->opts->scope || !s->opts->scope->n || !w->inode ||
	    file_ids(s, w->inode, &major, &minor, &ino))
		return true;
	return scope_matches(s->opts->scope, major, minor, ino);
}

/*
 * A shared folio names no inode; the waiter does. Its index in that file stays unknown. Up to 6.1
 * one that is only read names one of its files (dax_associate_entry()), maybe not the waiter's.
 */
static void name_inodes(struct snap *s)
{
	for (u32 i = 0; i < s->nr_waits; i++) {
		struct kwait *w = &s->waits[i];
		struct kpage *p = w->page ? page_find(s, w->page) : NULL;

		if (!w->inode ||
		    (w->wbqe && !waiter_knows_file(s, task_find(s, w->task), w->inode))) {
			u64 inode = file_of_waiter(s, task_find(s, w->task));

			w->inode = inode ? inode : w->inode;
		}
		if (p && !p->inode) {
			p->inode = w->inode;
			p->orphan &= !p->inode;
		}
	}
}

static void mark_page(struct snap *s, const struct kwait *w, bool dropped)
{
	struct kpage *p = w->page ? page_find(s, w->page) : NULL;

	if (p)
		p->dropped = dropped;
}

/*
 * Waits, and their pages: who holds a page that nobody asked for would refer to what is not told.
 */
static void drop_out_of_scope(struct snap *s)
{
	u32 waits = 0, pages = 0;

	for (u32 i = 0; i < s->nr_waits; i++) {
		if (in_scope(s, &s->waits[i]))
			s->waits[waits++] = s->waits[i];
		else
			mark_page(s, &s->waits[i], true);
	}
	s->nr_waits = waits;
	for (u32 i = 0; i < s->nr_waits; i++)
		mark_page(s, &s->waits[i], false);
	for (u32 i = 0; i < s->nr_pages; i++)
		if (!s->pages[i].dropped)
			s->pages[pages++] = s->pages[i];
	s->nr_pages = pages;
}

/* Every idle page with a sleeping waiter stayed so over several looks. */
static bool idle_is_coherent(struct snap *s)
{
	for (int look = 0; look < IDLE_RECHECKS; look++) {
		bool idle = false;

		for (u32 i = 0; i < s->nr_waits; i++) {
			const struct kpage *p = page_find(s, s->waits[i].page);

			if (!p || p->refs != p->idle_refs)
				continue;
			idle = true;
			if (page_refs_now(s, p->head) != p->idle_refs ||
			    !wait_still_there(s, &s->waits[i]))
				return false;
		}
		if (!idle)
			return true;
		usleep(IDLE_RECHECK_US);
	}
	return true;
}

static void run_walkers(struct snap *s, bool needed)
{
	for (u32 i = 0; i < nr_walkers && !s->err; i++) {
		const struct walker *w = &walkers[i];
		const char *lacks = w->lacks(s);

		if (!w->costs && lacks)
			continue;
		snap_probe_needs(s, w->name, lacks, w->costs);
		if (!lacks && needed && w->walk(s) == -ENOMEM)
			s->err = -ENOMEM;
	}
}

/* The trailing newline of a /proc/sys file goes; NULL stays NULL. */
static const char *proc_text(struct snap *s, const char *path)
{
	char *text = s->k->ops->read_file(s->k, path);
	const char *kept = NULL;

	if (text) {
		text[strcspn(text, "\n")] = '\0';
		kept = snap_text(s, "%s", text);
	}
	free(text);
	return kept;
}

/* The paths as they were given; NULL for all of the machine. */
static const char *scope_text(struct snap *s)
{
	const struct scope *scope = s->opts->scope;
	const char *paths = NULL;

	for (size_t i = 0; scope && i < scope->n; i++)
		paths = snap_text(s, "%s%s%s", paths ? paths : "", paths ? ", " : "",
				  scope->m[i].path);
	return paths;
}

/* Reads files by children, so it comes before this process has grown. */
static void read_session(struct snap *s, struct fact *f)
{
	f->type = FACT_SESSION;
	f->session = (struct fact_session){
		.host = proc_text(s, "/proc/sys/kernel/hostname"),
		.kernel = proc_text(s, "/proc/sys/kernel/osrelease"),
		.boot_id = proc_text(s, "/proc/sys/kernel/random/boot_id"),
		.time_sec = s->k->time.sec,
		.time_nsec = s->k->time.nsec,
		.utc_offset = s->k->time.utc_offset,
		.mono_ns = s->k->time.mono_ns,
		.snapshot = true,
		.recording = s->opts->recording,
		.scope = scope_text(s),
		.dax_mounts = mounts_count_dax(s),
	};
}

/*
 * To attach a hook may take until every task was seen outside of the kernel, as a task that spins
 * never is: on 6.1 register_ftrace_direct() sleeps in synchronize_rcu_tasks(), which no signal
 * ends.
 */
static bool may_attach(const struct snap *s)
{
	for (u32 i = 0; i < s->nr_waits; i++)
		if (s->waits[i].spins)
			return false;
	return true;
}

static int join_hooks(struct snap *s, struct trace *trace)
{
	bool may = may_attach(s);
	int err = trace_begin(s, trace, may);

	return err || !trace->pins ? err : pins_begin(s, trace->pins, may);
}

static int look(struct snap *s)
{
	struct trace *trace = s->opts->trace;
	struct fact session = { 0 };
	bool needed;
	int err;

	arch_init(&s->arch, s->k);
	err = pgmaps_load(s);
	/* without a DAX page there is no waiter, and no reason to unwind every task */
	if (!err && (s->pgmaps.n || s->pages_by_inode || s->opts->walk_all))
		err = tasks_load(s);
	err = err ? err : waits_find(s);
	err = err ? err : spins_find(s);
	err = err || !trace ? err : join_hooks(s, trace);
	if (err)
		return err;
	read_session(s, &session);
	name_inodes(s);
	err = trace_works(trace) ? trace_join(s, trace) : 0;
	if (!err && trace && pins_work(trace->pins))
		err = pins_read(s, trace->pins);
	if (err)
		return err;
	drop_out_of_scope(s);
	for (u32 i = 0; i < s->nr_waits; i++)
		tell_wait(s, &s->waits[i]);
	err = held_find(s);
	if (!err && trace_works(trace))
		err = trace_add_freed(s, trace);
	if (err)
		return err;
	needed = s->nr_waits || s->nr_pages || s->opts->walk_all;
	err = needed ? fds_load(s) : 0;
	err = err || !needed ? err : vmas_load(s);
	if (err)
		return err;
	held_settle(s);
	run_walkers(s, needed);
	held_tell(s, &session.session);
	session.session.trace = trace_works(trace);
	if (session.session.trace) {
		trace_tell_ends(s, trace);
		trace_tell_freed(s, trace);
		trace_tell_losses(s, trace);
	}
	if (trace && pins_work(trace->pins))
		pins_tell_losses(s, trace->pins);
	session.session.dax_devices = s->pgmaps.n;
	session.session.coherent_idle = idle_is_coherent(s);
	session.session.readers_pass = rt_locks_available(s->k);
	snap_emit(s, &session);
	return s->err;
}

static void snap_free(struct snap *s)
{
	tasks_free(&s->tasks);
	fds_free(&s->fds);
	free(s->pgmaps.v);
	free(s->waits);
	free(s->pages);
	free(s->vmas);
	free(s->servers);
	free(s->told_files);
	free(s->told_holds);
	free(s->seen);
	free(s->mountinfo);
	arena_free(&s->arena);
}

/* To see what is left when a kernel hides a symbol. */
static void hide_symbol(struct kmem *k, const char *name)
{
	for (int s = 0; s < KSYM_MAX; s++)
		if (!strcmp(name, ksym_name(s)))
			k->sym[s] = 0;
}

static struct kmem *open_kmem(const struct snapshot_opts *opts, struct refusal *why)
{
	struct kmem *k = opts->image_read ? kmem_image(opts->image_read, why) : kmem_live(why);
	struct kmem *recorder;

	if (k && opts->without)
		hide_symbol(k, opts->without);
	if (!k || !opts->image_write)
		return k;
	recorder = kmem_record(k, opts->image_write);
	if (!recorder) {
		kmem_close(k);
		refuse(why, STATUS_ERROR, "nothing was looked at", "", "out of memory");
	}
	return recorder;
}

static int save_image(struct kmem *k, const struct snapshot_opts *opts, struct refusal *why)
{
	int err = opts->image_write ? kmem_record_save(k) : 0;

	return err ? refuse(why, STATUS_ERROR, "there is no image of this run", "df -h .",
			    "cannot write %s: %s", opts->image_write, strerror(-err)) :
		     0;
}

static int look_with(struct kmem *k, const struct snapshot_opts *opts, struct held_memory *held,
		     fact_sink_fn sink, void *arg)
{
	struct snap s = { .k = k, .opts = opts, .sink = sink, .sink_arg = arg, .held = held };
	int err = look(&s);

	snap_free(&s);
	return err;
}

int snapshot_kmem(struct kmem *k, const struct snapshot_opts *opts, fact_sink_fn sink, void *arg)
{
	return look_with(k, opts, NULL, sink, arg);
}

static int look_at(struct kmem *k, const struct snapshot_opts *opts, struct held_memory *held,
		   fact_sink_fn sink, void *arg, struct refusal *why)
{
	int err = look_with(k, opts, held, sink, arg);

	return err ? refuse(why, STATUS_ERROR, "the report would be incomplete", "daxtrace -vv",
			    "reading kernel memory failed: %s", strerror(-err)) :
		     0;
}

int snapshot(const struct snapshot_opts *opts, fact_sink_fn sink, void *arg, struct refusal *why)
{
	struct kmem *k = open_kmem(opts, why);
	int err;

	if (!k)
		return -1;
	err = look_at(k, opts, NULL, sink, arg, why);
	if (!err)
		err = save_image(k, opts, why);
	kmem_close(k);
	return err ? -1 : 0;
}

struct source {
	struct kmem *k;
	const struct snapshot_opts *opts;
	struct strbuf preflight; /* its facts, packed: what they say does not change */
	struct held_memory held;
};

struct source *source_open(const struct snapshot_opts *opts, struct refusal *why)
{
	struct source *src = calloc(1, sizeof(*src));

	if (!src) {
		refuse(why, STATUS_ERROR, "nothing was looked at", "", "out of memory");
		return NULL;
	}
	src->opts = opts;
	/* An image needs nothing of this machine. */
	if (opts->image_read || !preflight(fact_pack, &src->preflight, why))
		src->k = open_kmem(opts, why);
	if (src->k)
		return src;
	source_close(src);
	return NULL;
}

int source_look(struct source *src, fact_sink_fn sink, void *arg, struct refusal *why)
{
	int err = src->k->ops->renew ? src->k->ops->renew(src->k) : 0;

	if (!err)
		err = fact_unpack(src->preflight.s, src->preflight.len, sink, arg);
	if (err)
		return refuse(why, STATUS_ERROR, "nothing was looked at", "daxtrace -vv", "%s",
			      strerror(-err));
	return look_at(src->k, src->opts, &src->held, sink, arg, why);
}

void source_close(struct source *src)
{
	if (!src)
		return;
	if (src->k)
		kmem_close(src->k);
	sb_free(&src->preflight);
	held_memory_free(&src->held);
	free(src);
}
