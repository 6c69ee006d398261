// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * The running kernel as a kmem backend: the only file that loads BPF. Two objects, both gone with
 * the process: nothing is attached to an event, pinned or left behind, even after SIGKILL.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include <bpf/bpf.h>
#include <bpf/btf.h>
#include <bpf/libbpf.h>

#include "collect/kmem.h"
#include "collect/page_scan.h"
#include "collect/search.h"
#include "enumerate.skel.h"
#include "peek.skel.h"
#include "util/bounded.h"

enum { SMALL_FILE_MAX = 1 << 20, SMALL_FILE_TIMEOUT_MS = 1000 };

struct live {
	struct kmem k;
	struct peek_bpf *peek;
	struct enumerate_bpf *enumerate;
};

static int verbosity;

void collect_set_verbosity(int level)
{
	verbosity = level;
}

int collect_verbosity(void)
{
	return verbosity;
}

static int print_libbpf(enum libbpf_print_level level, const char *fmt, va_list args)
{
	if (verbosity < 2 && !(verbosity == 1 && level == LIBBPF_WARN))
		return 0;
	return vfprintf(stderr, fmt, args);
}

/* Runs the peek program once over requests already in its area. 0 or -errno. */
static int run_peek(struct live *l, u32 n)
{
	LIBBPF_OPTS(bpf_test_run_opts, opts);

	l->peek->bss->nr_reqs = n;
	if (bpf_prog_test_run_opts(bpf_program__fd(l->peek->progs.peek), &opts))
		return -errno;
	return 0;
}

/* Queues requests from r until a limit of the area is met; returns how many. */
static u32 queue_reads(struct live *l, const struct kread *r, size_t n)
{
	u32 off = 0, i;

	for (i = 0; i < n && i < PEEK_BATCH; i++) {
		if (off > PEEK_OUT - PEEK_LEN_MAX)
			break;
		l->peek->bss->reqs[i] =
			(struct peek_req){ .addr = r[i].addr, .off = off, .len = r[i].len };
		off += r[i].len;
	}
	return i;
}

static int live_readv(struct kmem *k, struct kread *r, size_t n)
{
	struct live *l = (struct live *)k;

	for (size_t done = 0; done < n;) {
		u32 batch = queue_reads(l, r + done, n - done);
		int err = run_peek(l, batch);

		if (err)
			return err;
		for (u32 i = 0; i < batch; i++, done++) {
			const struct peek_req *q = &l->peek->bss->reqs[i];

			r[done].err = q->err;
			if (q->err)
				memset(r[done].dst, 0, r[done].len);
			else
				memcpy(r[done].dst, &l->peek->bss->out[q->off], q->len);
		}
	}
	return 0;
}

/* Reads an iterator to its end into a malloc'ed, NUL-terminated buffer. 0 or -errno. */
static int read_iter(struct bpf_link *link, char **buf, size_t *len)
{
	size_t room = 64 * 1024, used = 0;
	int fd = bpf_iter_create(bpf_link__fd(link));
	ssize_t got = fd < 0 ? -1 : 0;
	char *b = malloc(room);

	while (b && fd >= 0 && (got = read(fd, b + used, room - used - 1)) > 0) {
		used += got;
		if (room - used < 16 * 1024) {
			char *bigger = realloc(b, room *= 2);

			if (!bigger)
				free(b);
			b = bigger;
		}
	}
	got = got < 0 ? -errno : 0;
	if (fd >= 0)
		close(fd);
	if (!b || got) {
		free(b);
		return b ? got : -ENOMEM;
	}
	b[used] = '\0';
	*buf = b;
	*len = used;
	return 0;
}

static int run_iter(struct bpf_program *prog, int map_fd, char **buf, size_t *len)
{
	union bpf_iter_link_info info = { .map.map_fd = map_fd };
	LIBBPF_OPTS(bpf_iter_attach_opts, opts, .link_info = &info, .link_info_len = sizeof(info));
	struct bpf_link *link = bpf_program__attach_iter(prog, map_fd >= 0 ? &opts : NULL);
	int err;

	if (!link)
		return -errno;
	err = read_iter(link, buf, len);
	bpf_link__destroy(link);
	return err;
}

/* Splits the stream of records of varying length into an array. 0, -ENOMEM or -EPROTO. */
static int split_records(const char *buf, size_t len, struct task_rec **recs, size_t *n)
{
	size_t cap = len / task_rec_size(0) + 1, at = 0;
	struct task_rec *all = calloc(cap, sizeof(*all));

	if (!all)
		return -ENOMEM;
	for (*n = 0; len - at >= task_rec_size(0); (*n)++) {
		struct task_rec *rec = &all[*n];
		size_t size;

		memcpy(rec, buf + at, task_rec_size(0));
		size = task_rec_size(rec->nr_stack);
		if (rec->nr_stack > REC_STACK_DEPTH || size > len - at) {
			free(all);
			return -EPROTO;
		}
		memcpy(rec, buf + at, size);
		at += size;
	}
	*recs = all;
	return 0;
}

static int live_tasks(struct kmem *k, struct task_rec **recs, size_t *n)
{
	struct live *l = (struct live *)k;
	size_t len;
	char *buf;
	int err = run_iter(l->enumerate->progs.tasks, -1, &buf, &len);

	if (err)
		return err;
	err = split_records(buf, len, recs, n);
	free(buf);
	return err;
}

static int symbolize_batch(struct live *l, const u64 *addrs, char **names, size_t n)
{
	int map_fd = bpf_map__fd(l->enumerate->maps.addresses);
	char *buf, *line, *save = NULL;
	size_t len;
	int err = 0;

	for (u32 i = 0; i < SYMBOLIZE_BATCH && !err; i++) {
		u64 addr = i < n ? addrs[i] : 0;

		err = bpf_map_update_elem(map_fd, &i, &addr, BPF_ANY) ? -errno : 0;
		if (!addr && i >= n)
			break;
	}
	if (!err)
		err = run_iter(l->enumerate->progs.symbolize, map_fd, &buf, &len);
	if (err)
		return err;
	line = strtok_r(buf, "\n", &save);
	for (size_t i = 0; i < n && line; i++, line = strtok_r(NULL, "\n", &save))
		names[i] = strdup(line);
	free(buf);
	return 0;
}

static int live_symbolize(struct kmem *k, const u64 *addrs, char **names, size_t n)
{
	int err = 0;

	for (size_t at = 0; at < n && !err; at += SYMBOLIZE_BATCH)
		err = symbolize_batch((struct live *)k, addrs + at, names + at,
				      n - at < SYMBOLIZE_BATCH ? n - at : SYMBOLIZE_BATCH);
	return err;
}

/*
 * In a child with a deadline: an attribute may wait for a lock that a hung task keeps. Names and
 * numbers of the kernel itself do not, and a fork for each would be most of what an idle look
 * costs.
 */
static char *live_read_file(struct kmem *k, const char *path)
{
	static const char never_blocks[] = "/proc/sys/kernel/";
	static char buf[SMALL_FILE_MAX];
	ssize_t got;

	(void)k;
	if (!strncmp(path, never_blocks, strlen(never_blocks)))
		got = read_file(path, buf, sizeof(buf) - 1);
	else
		got = bounded_read_file(path, buf, sizeof(buf) - 1, SMALL_FILE_TIMEOUT_MS);
	return got < 0 ? NULL : strndup(buf, got);
}

static void live_close(struct kmem *k)
{
	struct live *l = (struct live *)k;

	enumerate_bpf__destroy(l->enumerate);
	peek_bpf__destroy(l->peek);
	free(l);
}

/*
 * A task's sched_info.last_arrival is when it last got a CPU, on the scheduler's own clock. Ours,
 * read right after a short sleep, is that clock's now.
 */
static int read_clock(struct live *l)
{
	struct timespec nap = { .tv_nsec = 1000 };
	int err;

	nanosleep(&nap, NULL);
	err = run_peek(l, 0);
	if (err)
		return err;
	l->k.self = l->peek->bss->self;
	kmem_get(&l->k, l->k.self, KF_TASK_LAST_ARRIVAL, &l->k.now);
	return 0;
}

static void read_time(struct kmem_time *t)
{
	struct timespec real, mono, tick;
	struct tm local;

	clock_gettime(CLOCK_REALTIME, &real);
	clock_gettime(CLOCK_MONOTONIC, &mono);
	clock_getres(CLOCK_MONOTONIC_COARSE,
		     &tick); /* KTIME_LOW_RES, include/linux/hrtimer_defs.h */
	localtime_r(&real.tv_sec, &local);
	*t = (struct kmem_time){
		.sec = real.tv_sec,
		.nsec = real.tv_nsec,
		.utc_offset = local.tm_gmtoff,
		.mono_ns = mono.tv_sec * 1000000000ULL + mono.tv_nsec,
		.tick_ns = tick.tv_sec * 1000000000ULL + tick.tv_nsec,
	};
}

static int live_renew(struct kmem *k)
{
	int err = read_clock((struct live *)k);

	if (!err)
		read_time(&k->time);
	return err;
}

static const struct kmem_ops live_ops = {
	.readv = live_readv,
	.symbolize = live_symbolize,
	.tasks = live_tasks,
	.read_file = live_read_file,
	.renew = live_renew,
	.search = slabs_search,
	.scan = pages_scan,
	.close = live_close,
};

static int load_fields(struct live *l, struct refusal *why)
{
	struct btf *btf = btf__load_vmlinux_btf();
	int err;

	if (!btf)
		return refuse(why, STATUS_NOTSUPP, "the layout of kernel memory is unknown",
			      "ls -l /sys/kernel/btf/vmlinux", "no usable kernel BTF: %s",
			      strerror(errno));
	err = kfields_resolve(l->k.field, btf);
	btf__free(btf);
	return err ? refuse(why, STATUS_ERROR, "nothing was looked at", "", "out of memory") : 0;
}

/* Up to 5.10 BPF is charged to RLIMIT_MEMLOCK, which libbpf raises if it may. 0: no limit. */
static u64 locked_memory_limit(void)
{
	struct rlimit limit;

	return getrlimit(RLIMIT_MEMLOCK, &limit) || limit.rlim_cur == RLIM_INFINITY ?
		       0 :
		       limit.rlim_cur;
}

static int refuse_load(struct refusal *why, const char *what, int err)
{
	u64 limit = err == -EPERM ? locked_memory_limit() : 0;

	if (limit)
		return refuse(
			why, STATUS_NOPERM, "kernel memory cannot be read",
			"sudo prlimit --memlock=unlimited --pid $$",
			"the kernel refused the %s program: %s; up to Linux 5.10 the reason may "
			"be RLIMIT_MEMLOCK, which is %llu KiB here",
			what, strerror(-err), (unsigned long long)limit / 1024);
	if (err == -EPERM)
		return refuse(why, STATUS_NOPERM, "kernel memory cannot be read",
			      "sudo daxtrace --check", "the kernel refused the %s program: %s",
			      what, strerror(-err));
	return refuse(why, STATUS_NOTSUPP, "kernel memory cannot be read", "daxtrace -vv --check",
		      "the %s program does not load: %s", what, strerror(-err));
}

/* 0 or -errno. */
static int try_load_peek(struct live *l, bool with_lookup)
{
	int err;

	l->peek = peek_bpf__open();
	if (!l->peek)
		return -errno;
	bpf_program__set_autoload(l->peek->progs.lookup_ksym, with_lookup);
	err = peek_bpf__load(l->peek);
	/* a child that hangs on a file must not keep the map alive */
	if (!err)
		madvise(l->peek->bss, sizeof(*l->peek->bss), MADV_DONTFORK);
	if (err) {
		peek_bpf__destroy(l->peek);
		l->peek = NULL;
	}
	return err;
}

/* Whether the kernel has lookup_ksym's program type and helper is told by loading it. */
static int load_peek(struct live *l, struct refusal *why)
{
	int err = try_load_peek(l, true);

	if (err && err != -EPERM) {
		l->k.symbols_by_file = true;
		err = try_load_peek(l, false);
	}
	return err ? refuse_load(why, "peek", err) : 0;
}

static int load_enumerate(struct live *l, struct refusal *why)
{
	l->enumerate = enumerate_bpf__open_and_load();
	return l->enumerate ? 0 : refuse_load(why, "task iterator", -errno);
}

static u64 lookup_by_helper(struct live *l, const char *name)
{
	LIBBPF_OPTS(bpf_test_run_opts, opts);

	memset(l->peek->bss->ksym_name, 0, KSYM_NAME_LEN);
	memcpy(l->peek->bss->ksym_name, name, strnlen(name, KSYM_NAME_LEN - 1));
	l->peek->bss->ksym_addr = 0;
	if (bpf_prog_test_run_opts(bpf_program__fd(l->peek->progs.lookup_ksym), &opts))
		return 0;
	return opts.retval ? 0 : l->peek->bss->ksym_addr;
}

/* Stores the address of a "address type name" line we look for; returns 1 for a new one. */
static int take_kallsyms_line(struct live *l, char *line)
{
	char *name = strchr(line, ' ');

	name = name ? strchr(name + 1, ' ') : NULL;
	if (!name++)
		return 0;
	for (int s = 0; s < KSYM_MAX; s++) {
		if (l->k.sym[s] || strcmp(name, ksym_name(s)))
			continue;
		l->k.sym[s] = strtoull(line, NULL, 16);
		return 1;
	}
	return 0;
}

/* A symbol that this kernel cannot have is not sought. */
static bool may_exist(const struct live *l, int s)
{
	return s != KSYM_NET_HOTDATA || kmem_has(&l->k, KF_HOTDATA_DEFER_NODES);
}

/* Before the helper (up to 5.15). Stops at the last symbol sought: modules are never read. */
static void lookup_by_file(struct live *l)
{
	FILE *f = fopen("/proc/kallsyms", "re");
	char line[512];
	int found = 0;

	for (int s = 0; s < KSYM_MAX; s++)
		found += !may_exist(l, s);
	while (f && found < KSYM_MAX && fgets(line, sizeof(line), f)) {
		line[strcspn(line, "\t\n")] = '\0';
		found += take_kallsyms_line(l, line);
	}
	if (f)
		fclose(f);
}

static void lookup_symbols(struct live *l)
{
	if (l->k.symbols_by_file) {
		lookup_by_file(l);
		return;
	}
	for (int s = 0; s < KSYM_MAX; s++)
		l->k.sym[s] = lookup_by_helper(l, ksym_name(s));
}

struct kmem *kmem_live(struct refusal *why)
{
	struct live *l = calloc(1, sizeof(*l));
	int err;

	libbpf_set_print(print_libbpf);
	if (!l) {
		refuse(why, STATUS_ERROR, "nothing was looked at", "", "out of memory");
		return NULL;
	}
	l->k.ops = &live_ops;
	if (load_fields(l, why) || load_peek(l, why) || load_enumerate(l, why)) {
		live_close(&l->k);
		return NULL;
	}
	err = live_renew(&l->k);
	if (err) {
		refuse_load(why, "peek", err);
		live_close(&l->k);
		return NULL;
	}
	lookup_symbols(l);
	return &l->k;
}
