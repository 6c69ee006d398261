// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "collect/trace.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "util/array.h"
#include "util/clock.h"
#include "util/log.h"
#include "waits.skel.h"

#define LOOPS_COST "a wait that a signal ends is told late and without its result"

/*
 * From 6.15 on one function waits for all filesystems: 0e2f80afcfa6 ("fs/dax: ensure all pages are
 * idle prior to fs unmount"). Of the older ones the outermost is hooked: within xfs_break_layouts()
 * a shorter function may be left while the wait goes on.
 */
#define NEWER "dax_break_layout"

static const struct hook table[] = {
	{
		.name = "hook: busy page",
		.required = true,
		.costs = "only looks see waits: not those in between, nor when one began or ended",
		.target = { { "dax_layout_busy_page_range", "scan_exit", "scan_return" } },
	},
	{
		.name = "hook: wait ends",
		.when = NEWER,
		.costs = LOOPS_COST,
		.target = { { "dax_break_layout", "loop_exit_4", "loop_return_4" } },
	},
	{
		.name = "hook: wait ends (ext4)",
		.module = "ext4",
		.unless = NEWER,
		.costs = LOOPS_COST,
		.target = { { "ext4_break_layouts", "loop_exit_1", "loop_return" } },
	},
	{
		.name = "hook: wait ends (xfs)",
		.module = "xfs",
		.unless = NEWER,
		.costs = LOOPS_COST,
		.target = { { "xfs_break_layouts", "loop_exit_3", "loop_return" } },
	},
	{
		.name = "hook: reflink wait ends (xfs)",
		.module = "xfs",
		.unless = NEWER,
		.costs = LOOPS_COST,
		.target = { { "xfs_ilock2_io_mmap", "loop_exit_2", "loop_return_2" } },
	},
	{
		.name = "hook: wait ends (fuse)",
		.module = "fuse",
		.unless = NEWER,
		.costs = LOOPS_COST,
		.target = { { "fuse_dax_break_layouts", "loop_exit_3b", "loop_return" } },
	},
	{
		.name = "hook: page leaves its file",
		.unless = NEWER,
		.costs = "a truncate that frees a page under a reference is not seen",
		.target = { { "dax_disassociate_entry", "drop_entry", "drop_probe" } },
	},
};

/* What was lost, as the views call it. */
static const char *const loss_names[TRACE_LOSS_MAX] = {
	[TRACE_LOST_EVENTS] = "trace events (ring buffer full)",
	[TRACE_LOST_WAITS] = "traced waits (map full)",
};

struct named {
	u64 addr;
	char *name; /* NULL unknown */
};

struct trace *trace_new(const struct trace_opts *opts)
{
	struct trace *t = calloc(1, sizeof(*t));

	if (!t)
		return NULL;
	t->opts = *opts;
	t->pins = opts->max_pins ? pins_new(opts->max_pins, opts->max_stacks) : NULL;
	if (opts->max_pins && !t->pins) {
		free(t);
		return NULL;
	}
	return t;
}

static void keep_until_eof(int fd)
{
	int null = open("/dev/null", O_RDWR);
	char none;

	/* who reads what was printed waits for its end */
	for (int std = 0; null >= 0 && std <= STDERR_FILENO; std++)
		dup2(null, std);
	prctl(PR_SET_NAME, "daxtrace-hooks");
	setsid();
	while (read(fd, &none, 1) < 0 && errno == EINTR)
		;
	_exit(0);
}

/*
 * To take hooks away waits for a task that spins in the kernel, as attaching them does, and no
 * signal ends that. It is the end of the last process that has them which waits: a child, so that
 * this one can end.
 */
static void leave_hooks_to_a_child(void)
{
	int fds[2];
	pid_t pid;

	if (pipe2(fds, O_CLOEXEC))
		return;
	pid = fork();
	if (!pid) {
		close(fds[1]);
		keep_until_eof(fds[0]);
	}
	close(fds[0]);
	if (pid > 0)
		log_msg(LOG_ERROR,
			"the hooks stay until the task that spins has left the kernel; process %d "
			"ends with them",
			(int)pid);
}

void trace_free(struct trace *t)
{
	if (!t)
		return;
	if (t->spins)
		leave_hooks_to_a_child();
	ring_buffer__free(t->ring);
	pins_free(t->pins);
	hooks_close(t->hooks);
	for (u32 i = 0; i < t->nr_names; i++)
		free(t->names[i].name);
	free(t->names);
	for (u32 i = 0; i < t->nr_waits; i++)
		trace_drop(&t->waits[i]);
	free(t->waits);
	free(t->freed);
	free(t->live);
	free(t->live_tasks);
	free(t);
}

bool trace_works(const struct trace *t)
{
	return t && t->ring && hooks_work(t->hooks);
}

/* Sizes have to be powers of two, and whole pages. */
static u32 ring_size(u64 bytes)
{
	u32 size = ARCH_PAGE_SIZE;

	while (size < bytes && size < 1U << 30)
		size *= 2;
	return size;
}

static int set_sizes(void *arg, struct bpf_object *obj)
{
	const struct trace *t = arg;
	struct bpf_map *events = bpf_object__find_map_by_name(obj, "events");
	struct bpf_map *waits = bpf_object__find_map_by_name(obj, "waits");
	int err = bpf_map__set_max_entries(events, ring_size(t->opts.ring_bytes));

	return err ? err : bpf_map__set_max_entries(waits, t->opts.max_waits);
}

struct traced *trace_find(struct trace *t, u64 task, u64 begin_ns)
{
	for (u32 i = t->nr_waits; i--;)
		if (t->waits[i].task == task && t->waits[i].begin_ns == begin_ns)
			return &t->waits[i];
	return NULL;
}

void trace_drop(struct traced *w)
{
	free(w->path);
	free((void *)w->ustack.frames);
}

struct traced *trace_add(struct trace *t, u64 task, u64 begin_ns)
{
	if (array_grow(&t->waits, t->nr_waits, sizeof(*t->waits)))
		return NULL;
	t->waits[t->nr_waits] = (struct traced){ .task = task, .begin_ns = begin_ns };
	return &t->waits[t->nr_waits++];
}

/* A record of the ring buffer; always 0, so that those behind it are taken too. */
static int take_record(void *arg, void *data, size_t len)
{
	struct trace *t = arg;
	struct trace_head h;
	struct traced *w;

	if (len < sizeof(h))
		return 0;
	memcpy(&h, data, sizeof(h));
	if (h.kind == TRACE_FREED) {
		t->err = len < sizeof(w->rec) ? 0 : trace_take_freed(t, data);
		return 0;
	}
	w = trace_find(t, h.task, h.begin_ns);
	if (!w)
		w = trace_add(t, h.task, h.begin_ns);
	if (!w) {
		t->err = -ENOMEM;
		return 0;
	}
	if (h.kind == TRACE_BEGIN && len >= sizeof(w->rec)) {
		memcpy(&w->rec, data, sizeof(w->rec));
		w->began = true;
	} else if (h.kind == TRACE_END) {
		w->end = h;
		w->ended = true;
	}
	return 0;
}

static void configure(struct snap *s, struct trace *t)
{
	struct trace_config c = {
		.regs_off = s->arch.regs_off,
		.vmemmap = s->arch.vmemmap,
		.page_size = s->k->field[KF_PAGE].off,
	};
	int fd = hooks_map(t->hooks, "config");
	u32 zero = 0;

	if (fd >= 0)
		bpf_map_update_elem(fd, &zero, &c, BPF_ANY);
}

static int attach(struct trace *t)
{
	size_t len;
	const void *elf = waits_bpf__elf_bytes(&len);

	t->hooks = hooks_open(elf, len, table, sizeof(table) / sizeof(table[0]), set_sizes, t);
	if (!t->hooks)
		return -ENOMEM;
	if (hooks_work(t->hooks))
		t->ring = ring_buffer__new(hooks_map(t->hooks, "events"), take_record, t, NULL);
	return 0;
}

int trace_begin(struct snap *s, struct trace *t, bool may_attach)
{
	int err = 0;

	t->spins = t->hooks && !may_attach;
	if (!t->hooks && !may_attach) {
		snap_probe(
			s, "hooks", PROBE_MISSING,
			"waits and references are seen by looks only, because a task spins in the "
			"kernel, whose end attaching would wait for");
		return 0;
	}
	if (!t->hooks) {
		err = attach(t);
		if (!err)
			configure(s, t);
		/* that took a while */
		if (!err && s->k->ops->renew)
			err = s->k->ops->renew(s->k);
	} else if (may_attach) {
		hooks_retry(t->hooks);
	}
	return err ? err : hooks_tell(t->hooks, s->sink, s->sink_arg);
}

static int add_live(struct trace *t, u64 task, const struct trace_wait *w)
{
	if (array_grow(&t->live, t->nr_live, sizeof(*t->live)) ||
	    array_grow(&t->live_tasks, t->nr_live, sizeof(*t->live_tasks)))
		return -ENOMEM;
	t->live[t->nr_live] = *w;
	t->live_tasks[t->nr_live++] = task;
	return 0;
}

static int read_live(struct trace *t)
{
	int fd = hooks_map(t->hooks, "waits"), err = 0;
	u64 key, *before = NULL;
	struct trace_wait w;

	t->nr_live = 0;
	/* what is deleted meanwhile may start the map again from its first key */
	for (u32 n = 0; n < 2 * t->opts.max_waits && !err; n++, before = &key) {
		if (bpf_map_get_next_key(fd, before, &key))
			break;
		if (!bpf_map_lookup_elem(fd, &key, &w))
			err = add_live(t, key, &w);
	}
	return err;
}

int trace_read(struct snap *s, struct trace *t)
{
	int err;

	(void)s;
	t->read_ns = clock_now();
	/* the map first: a wait that ends now is then in both, and told as ended */
	err = read_live(t);
	ring_buffer__consume(t->ring);
	err = err ? err : t->err;
	t->err = 0;
	return err;
}

void trace_tell_losses(struct snap *s, struct trace *t)
{
	for (u32 i = 0; i < TRACE_LOSS_MAX; i++)
		snap_lost(s, LOSS_LOST, loss_names[i],
			  hooks_growth(t->hooks, "losses", i, &t->lost[i]));
}

void trace_forget(struct trace *t, u64 task)
{
	bpf_map_delete_elem(hooks_map(t->hooks, "waits"), &task);
}

void trace_learn(struct trace *t, u64 task, const struct trace_wait *w)
{
	/* what the hooks know by now is better */
	bpf_map_update_elem(hooks_map(t->hooks, "waits"), &task, w, BPF_NOEXIST);
}

static struct named *find_name(struct trace *t, u64 addr, u32 *at)
{
	u32 lo = 0, hi = t->nr_names;

	while (lo < hi) {
		u32 mid = lo + (hi - lo) / 2;

		if (t->names[mid].addr == addr)
			return &t->names[mid];
		if (t->names[mid].addr < addr)
			lo = mid + 1;
		else
			hi = mid;
	}
	*at = lo;
	return NULL;
}

/* Without its name; few addresses are ever new. */
static int add_name(struct trace *t, u64 addr)
{
	u32 at;

	if (find_name(t, addr, &at))
		return 0;
	if (array_grow(&t->names, t->nr_names, sizeof(*t->names)))
		return -ENOMEM;
	memmove(t->names + at + 1, t->names + at, (t->nr_names - at) * sizeof(*t->names));
	t->names[at] = (struct named){ .addr = addr };
	t->nr_names++;
	return 1;
}

int trace_name(struct snap *s, struct trace *t, const u64 *addrs, const char **names, u32 n)
{
	u64 fresh[TRACE_STACK_DEPTH];
	char *texts[TRACE_STACK_DEPTH] = { NULL };
	u32 nr_fresh = 0, at;
	int err = 0;

	n = n < TRACE_STACK_DEPTH ? n : TRACE_STACK_DEPTH;
	for (u32 i = 0; i < n && err >= 0; i++) {
		err = add_name(t, addrs[i]);
		if (err > 0)
			fresh[nr_fresh++] = addrs[i];
	}
	if (err >= 0)
		err = nr_fresh ? s->k->ops->symbolize(s->k, fresh, texts, nr_fresh) : 0;
	for (u32 i = 0; i < nr_fresh; i++) {
		struct named *name = find_name(t, fresh[i], &at);

		if (name)
			name->name = texts[i];
	}
	for (u32 i = 0; i < n; i++) {
		const struct named *name = find_name(t, addrs[i], &at);

		names[i] = name ? name->name : NULL;
	}
	return err;
}
