// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "collect/hooks.h"

#include <errno.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <bpf/bpf.h>
#include <bpf/btf.h>
#include <bpf/libbpf.h>

/* What is known of a row of the table. */
struct row {
	bool wanted;  /* by what the kernel has: hook.when and hook.unless */
	bool builtin; /* its function is part of the kernel proper */
	bool present; /* its module was there when it was looked for last */
	int target;   /* index of the target that was chosen for the common object; -1 none */
	bool probed;  /* by a kprobe */
	int err;      /* why there is no link: the last -errno */
	struct bpf_object *obj; /* of its own; NULL: the common one */
	struct bpf_link *link;  /* NULL: not attached */
	char costs[256];        /* hook.costs and the reason */
};

struct hooks {
	const void *elf;
	size_t len;
	const struct hook *table;
	u32 n;
	struct bpf_object *obj; /* owns the maps, and most programs; NULL: nothing can be loaded */
	bool returns;           /* stacks can be unwound through a kretprobe */
	struct row row[];
};

static int print_nothing(enum libbpf_print_level level, const char *fmt, va_list args)
{
	(void)level, (void)fmt, (void)args;
	return 0;
}

/* That a candidate does not fit is no news: hooks_tell() says what came of it. */
static libbpf_print_fn_t be_quiet(void)
{
	return collect_verbosity() < 2 ? libbpf_set_print(print_nothing) : NULL;
}

static void speak(libbpf_print_fn_t before)
{
	if (before)
		libbpf_set_print(before);
}

static bool has_function(const struct btf *btf, const char *name)
{
	return btf && btf__find_by_name_kind(btf, name, BTF_KIND_FUNC) > 0;
}

static bool module_is_loaded(const char *module)
{
	char path[128];

	snprintf(path, sizeof(path), "/sys/module/%s", module);
	return !access(path, F_OK);
}

static void look_for_functions(struct hooks *h)
{
	struct btf *btf = btf__load_vmlinux_btf();

	/*
	 * Where unwinding does not ask these, the stack of a task in a function with a kretprobe
	 * ends there, and nobody can tell any more what a waiter is doing: seen on 5.10.
	 */
	h->returns = has_function(btf, "kretprobe_find_ret_addr") ||
		     has_function(btf, "rethook_find_ret_addr");
	for (u32 i = 0; i < h->n; i++) {
		const struct hook *hook = &h->table[i];
		struct row *r = &h->row[i];

		r->target = -1;
		r->wanted = (!hook->when || has_function(btf, hook->when)) &&
			    (!hook->unless || !has_function(btf, hook->unless));
		for (int t = 0; t < HOOK_TARGETS && hook->target[t].function; t++)
			r->builtin |= has_function(btf, hook->target[t].function);
		r->present = !hook->module || r->builtin || module_is_loaded(hook->module);
	}
	btf__free(btf);
}

static struct bpf_object *open_object(const struct hooks *h)
{
	LIBBPF_OPTS(bpf_object_open_opts, opts, .object_name = "daxtop_hooks");
	struct bpf_object *obj = bpf_object__open_mem(h->elf, h->len, &opts);
	struct bpf_program *p;

	if (obj)
		bpf_object__for_each_program(p, obj) bpf_program__set_autoload(p, false);
	return obj;
}

static struct bpf_program *program(struct bpf_object *obj, const char *name)
{
	return obj && name ? bpf_object__find_program_by_name(obj, name) : NULL;
}

/* Chooses by the BTF of the kernel and its modules; libbpf looks in both. */
static void choose_traced(struct hooks *h, struct bpf_object *obj, u32 i)
{
	const struct hook *hook = &h->table[i];

	for (int t = 0; t < HOOK_TARGETS && h->row[i].target < 0; t++) {
		struct bpf_program *p = program(obj, hook->target[t].traced);

		if (!p || bpf_program__set_attach_target(p, 0, hook->target[t].function))
			continue;
		bpf_program__set_autoload(p, true);
		h->row[i].target = t;
	}
}

static bool wants(const struct row *r)
{
	return r->wanted && r->present;
}

/* All that the kernel's types promise in one object, or only its maps. 0 or -errno. */
static int load_common(struct hooks *h, bool programs, hooks_prepare_fn prepare, void *arg)
{
	int err;

	h->obj = open_object(h);
	if (!h->obj)
		return -errno;
	for (u32 i = 0; programs && i < h->n; i++)
		if (wants(&h->row[i]))
			choose_traced(h, h->obj, i);
	err = prepare ? prepare(arg, h->obj) : 0;
	err = err ? err : bpf_object__load(h->obj);
	if (!err)
		return 0;
	bpf_object__close(h->obj);
	h->obj = NULL;
	for (u32 i = 0; i < h->n; i++)
		h->row[i].target = -1;
	return err;
}

static int share_maps(const struct hooks *h, struct bpf_object *obj)
{
	struct bpf_map *m, *common;
	int err = 0;

	bpf_object__for_each_map(m, obj)
	{
		common = bpf_object__find_map_by_name(h->obj, bpf_map__name(m));
		err = err ? err : bpf_map__reuse_fd(m, bpf_map__fd(common));
	}
	return err;
}

/*
 * libbpf would otherwise make the probe by writing to tracefs, and that stays behind when we are
 * killed.
 */
static bool have_kprobes(void)
{
	return !access("/sys/bus/event_source/devices/kprobe/type", F_OK);
}

static bool is_return_probe(const struct bpf_program *p)
{
	return !strncmp(bpf_program__section_name(p), "kretprobe", 9);
}

static struct bpf_link *attach(struct bpf_program *p, const char *function, bool probed)
{
	return probed ? bpf_program__attach_kprobe(p, is_return_probe(p), function) :
			bpf_program__attach_trace(p);
}

static bool can_probe(const struct hooks *h, const struct bpf_program *p)
{
	return have_kprobes() && (h->returns || !is_return_probe(p));
}

/* One program in an object of its own, on the common maps. 0 or -errno. */
static int attach_alone(struct hooks *h, struct row *r, const struct hook_target *t, bool probed)
{
	struct bpf_object *obj = open_object(h);
	struct bpf_program *p = program(obj, probed ? t->probed : t->traced);
	int err = !obj ? -errno : !p || (probed && !can_probe(h, p)) ? -ENOTSUP : 0;

	err = err || probed ? err : bpf_program__set_attach_target(p, 0, t->function);
	err = err ? err : bpf_program__set_autoload(p, true);
	err = err ? err : share_maps(h, obj);
	err = err ? err : bpf_object__load(obj);
	if (!err) {
		r->link = attach(p, t->function, probed);
		err = r->link ? 0 : -errno;
	}
	if (err) {
		bpf_object__close(obj);
		return err;
	}
	r->obj = obj;
	r->probed = probed;
	return 0;
}

/* A refusal says more than that there is no such function, or no way to hook it. */
static void note_error(struct row *r, int err)
{
	if (!r->err || err == -EPERM || err == -EACCES)
		r->err = err;
}

/* By trampoline or else by kprobe; a newer function before an older one. */
static void attach_row(struct hooks *h, u32 i)
{
	const struct hook *hook = &h->table[i];
	struct row *r = &h->row[i];

	r->err = 0;
	for (int t = 0; t < HOOK_TARGETS && hook->target[t].function; t++)
		for (int probed = 0; probed < 2 && !r->link; probed++) {
			int err = attach_alone(h, r, &hook->target[t], probed);

			if (err)
				note_error(r, err);
		}
}

static void attach_common(struct hooks *h)
{
	for (u32 i = 0; i < h->n; i++) {
		struct row *r = &h->row[i];

		if (r->target < 0)
			continue;
		r->link = attach(program(h->obj, h->table[i].target[r->target].traced), NULL,
				 false);
	}
}

static void detach(struct row *r)
{
	bpf_link__destroy(r->link);
	bpf_object__close(r->obj);
	r->link = NULL;
	r->obj = NULL;
}

bool hooks_work(const struct hooks *h)
{
	for (u32 i = 0; i < h->n; i++)
		if (h->table[i].required && !h->row[i].link)
			return false;
	return h->obj;
}

/* Without what all rest on, the others would only cost. */
static void give_up(struct hooks *h)
{
	for (u32 i = 0; i < h->n; i++)
		detach(&h->row[i]);
}

static void attach_all(struct hooks *h)
{
	attach_common(h);
	for (u32 i = 0; i < h->n; i++)
		if (wants(&h->row[i]) && !h->row[i].link)
			attach_row(h, i);
	if (!hooks_work(h))
		give_up(h);
}

/*
 * The types of kernel and modules were megabytes, which the C library keeps for later: in the
 * resident set, and each child that reads a file for us would copy their page tables.
 */
static void forget_types(void)
{
#ifdef __GLIBC__
	malloc_trim(0);
#endif
}

struct hooks *hooks_open(const void *elf, size_t len, const struct hook *table, u32 n,
			 hooks_prepare_fn prepare, void *arg)
{
	struct hooks *h = calloc(1, sizeof(*h) + n * sizeof(h->row[0]));
	libbpf_print_fn_t before;
	int err;

	if (!h)
		return NULL;
	*h = (struct hooks){ .elf = elf, .len = len, .table = table, .n = n };
	before = be_quiet();
	look_for_functions(h);
	err = load_common(h, true, prepare, arg);
	/* one program that the kernel refuses must not take the others with it */
	if (err)
		err = load_common(h, false, prepare, arg);
	for (u32 i = 0; i < n && err; i++)
		h->row[i].err = err;
	if (!err)
		attach_all(h);
	speak(before);
	forget_types();
	return h;
}

void hooks_retry(struct hooks *h)
{
	bool working = hooks_work(h);
	libbpf_print_fn_t before = be_quiet();

	for (u32 i = 0; i < h->n && working; i++) {
		struct row *r = &h->row[i];
		const char *module = h->table[i].module;
		bool present = !module || r->builtin || module_is_loaded(module);

		if (present == r->present)
			continue;
		r->present = present;
		if (!present)
			detach(r);
		else if (r->wanted && !r->link)
			attach_row(h, i);
	}
	speak(before);
}

int hooks_map(const struct hooks *h, const char *name)
{
	struct bpf_map *m = h->obj ? bpf_object__find_map_by_name(h->obj, name) : NULL;

	return m ? bpf_map__fd(m) : -1;
}

u64 hooks_growth(const struct hooks *h, const char *map, u32 counter, u64 *told)
{
	u64 n, before = *told;

	if (bpf_map_lookup_elem(hooks_map(h, map), &counter, &n) || n <= before)
		return 0;
	*told = n;
	return n - before;
}

/* Of a function that is in no BTF libbpf says that there is no such process. */
static const char *reason(int err)
{
	return err == -ESRCH ? "not in the kernel's BTF" : err ? strerror(-err) : "";
}

static int tell_row(const struct hook *hook, struct row *r, fact_sink_fn sink, void *arg)
{
	struct fact f = { .type = FACT_PROBE, .probe = { .name = hook->name } };

	if (r->link && !r->probed)
		return sink(arg, &f);
	if (r->link) {
		f.probe.state = PROBE_FALLBACK;
		f.probe.costs = "by a kprobe: of many at once some may be missed";
		return sink(arg, &f);
	}
	snprintf(r->costs, sizeof(r->costs), "%s%s%s%s", hook->costs, r->err ? " (" : "",
		 reason(r->err), r->err ? ")" : "");
	f.probe.state = PROBE_MISSING;
	f.probe.costs = r->costs;
	return sink(arg, &f);
}

int hooks_tell(const struct hooks *h, fact_sink_fn sink, void *arg)
{
	bool working = hooks_work(h);
	int err = 0;

	/* without what all rest on there are no others to be missed */
	for (u32 i = 0; i < h->n && !err; i++)
		if (wants(&h->row[i]) && (working || h->table[i].required))
			err = tell_row(&h->table[i], (struct row *)&h->row[i], sink, arg);
	return err;
}

void hooks_close(struct hooks *h)
{
	if (!h)
		return;
	give_up(h);
	bpf_object__close(h->obj);
	free(h);
}
