// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "collect/pins.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "pins.skel.h"
#include "util/array.h"

#define NEWER "dax_break_layout" /* from 6.15 on: 0e2f80afcfa6 */

/* What up to 6.10 are macros, include/linux/mm.h; later BTF tells them. */
enum { OLD_FOLL_GET = 0x04, OLD_FOLL_PIN = 0x40000 };

enum { BATCH = 256, FRESH_NS = 10000000 };

/* The row's order is that of attaching: what is seen taken is also seen released. */
static const struct hook table[] = {
	{
		.name = "hook: page released",
		.unless = NEWER,
		.costs = "which of several holders let go of a page is not known",
		.target = { { "__put_devmap_managed_folio_refs", "put_refs_entry",
			      "put_refs_probe" },
			    { "__put_devmap_managed_page_refs", "put_refs_entry",
			      "put_refs_probe" },
			    { "put_devmap_managed_page", "put_page_entry", "put_page_probe" } },
	},
	{
		.name = "hook: page idle",
		.when = NEWER,
		.costs = "references that are gone are noticed at the next look",
		.target = { { "free_zone_device_folio", "idle_entry", "idle_probe" } },
	},
	{
		.name = "hook: page taken",
		.required = true,
		.costs =
			"when and by whom a reference was taken is not known: only looks find holders",
		.target = { { "try_grab_page", "take_page_entry", "take_page_probe" },
			    { "try_grab_folio", "take_folio_entry", "take_folio_probe" } },
	},
	{
		.name = "hook: page taken fast",
		.required = true,
		.costs =
			"when and by whom a reference was taken is not known: only looks find holders",
		.target = { { "try_grab_folio_fast", "take_pages_entry", "take_pages_probe" },
			    { "try_grab_compound_head", "take_pages_entry", "take_pages_probe" },
			    { "try_grab_folio", "take_pages_entry", "take_pages_probe" } },
	},
};

static const char *const loss_names[PIN_LOSS_MAX] = {
	[PIN_LOST_PAGES] = "references taken (map full)",
	[PIN_LOST_STACKS] = "stacks of references taken (map full)",
};

/* Ranges beyond what the program tells apart are one with the last. */
static void fill_ranges(struct pins_bpf__rodata *ro, const struct pgmaps *m)
{
	u64 *ranges = ro->ranges;

	for (u32 i = 0; i < m->n; i++) {
		u32 at = i < PIN_RANGES ? i : PIN_RANGES - 1;

		if (i <= at || m->v[i].first < ranges[2 * at])
			ranges[2 * at] = m->v[i].first;
		if (i <= at || m->v[i].end > ranges[2 * at + 1])
			ranges[2 * at + 1] = m->v[i].end;
		if (!i || m->v[i].first < ro->pages_first)
			ro->pages_first = m->v[i].first;
		if (m->v[i].end > ro->pages_end)
			ro->pages_end = m->v[i].end;
		ro->nr_ranges = at + 1;
	}
}

static u32 flag(const struct kmem *k, enum kf f, u32 otherwise)
{
	return kmem_has(k, f) ? k->field[f].off : otherwise;
}

struct preparation {
	struct snap *s;
	struct pins *p;
};

static int prepare(void *arg, struct bpf_object *obj)
{
	const struct preparation *a = arg;
	struct bpf_map *map = bpf_object__find_map_by_name(obj, ".rodata");
	struct pins_bpf__rodata ro = {
		.foll_get = flag(a->s->k, KF_FOLL_GET, OLD_FOLL_GET),
		.foll_pin = flag(a->s->k, KF_FOLL_PIN, OLD_FOLL_PIN),
		.idle_refs = a->p->idle_refs,
		.one_kind = a->p->one_kind,
	};
	struct bpf_map *pinned = bpf_object__find_map_by_name(obj, "pinned");
	struct bpf_map *stacks = bpf_object__find_map_by_name(obj, "stacks");
	int err;

	fill_ranges(&ro, &a->p->ranges);
	err = map ? bpf_map__set_initial_value(map, &ro, sizeof(ro)) : -EINVAL;
	err = err ? err : bpf_map__set_max_entries(pinned, a->p->max);
	return err ? err : bpf_map__set_max_entries(stacks, a->p->max_stacks);
}

static bool same_ranges(const struct pgmaps *a, const struct pgmaps *b)
{
	return a->n == b->n && (!a->n || !memcmp(a->v, b->v, a->n * sizeof(*a->v)));
}

static int copy_ranges(struct pgmaps *to, const struct pgmaps *from)
{
	free(to->v);
	to->n = 0;
	to->v = malloc(from->n * sizeof(*from->v));
	if (!to->v)
		return -ENOMEM;
	memcpy(to->v, from->v, from->n * sizeof(*from->v));
	to->n = from->n;
	return 0;
}

/* What was kept goes with the hooks: of pages that were taken before, nothing is known then. */
static int attach(struct snap *s, struct pins *p)
{
	struct preparation a = { s, p };
	size_t len;
	const void *elf = pins_bpf__elf_bytes(&len);
	int err = copy_ranges(&p->ranges, &s->pgmaps);

	hooks_close(p->hooks);
	p->hooks = NULL;
	memset(p->lost, 0, sizeof(p->lost));
	if (err)
		return err;
	p->idle_refs = page_idle_refs(s);
	p->one_kind = kmem_has(s->k, KF_HAS_PUT_DEVMAP_PAGE);
	p->hooks = hooks_open(elf, len, table, sizeof(table) / sizeof(table[0]), prepare, &a);
	return p->hooks ? 0 : -ENOMEM;
}

struct pins *pins_new(u64 max, u64 max_stacks)
{
	struct pins *p = calloc(1, sizeof(*p));

	if (!p)
		return NULL;
	p->max = max;
	/* the kernel rounds it up, too */
	for (p->max_stacks = 1; p->max_stacks < max_stacks;)
		p->max_stacks *= 2;
	return p;
}

int pins_begin(struct snap *s, struct pins *p, bool may_attach)
{
	int err = 0;

	if (s->pages_by_inode) {
		snap_probe(
			s, "hook: page taken", PROBE_MISSING,
			"when and by whom a reference was taken is not known, because this kernel "
			"hides which pages are DAX pages");
		return 0;
	}
	if (!s->pgmaps.n) {
		hooks_close(p->hooks);
		p->hooks = NULL;
		p->n = 0;
		return 0;
	}
	if (may_attach && (!p->hooks || !same_ranges(&p->ranges, &s->pgmaps)))
		err = attach(s, p);
	return err || !p->hooks ? err : hooks_tell(p->hooks, s->sink, s->sink_arg);
}

bool pins_work(const struct pins *p)
{
	return p && p->hooks && hooks_work(p->hooks);
}

static int add_entries(struct pins *p, const u64 *keys, const struct pin_page *pages, u32 n)
{
	int err = 0;

	for (u32 i = 0; i < n && !err; i++) {
		err = array_grow(&p->v, p->n, sizeof(*p->v));
		if (!err)
			p->v[p->n++] = (struct pin_entry){ keys[i], pages[i] };
	}
	return err;
}

/* All of the map into p->v. 0 or -errno. */
static int read_all(struct pins *p, int fd)
{
	u64 *keys = malloc(BATCH * sizeof(*keys));
	struct pin_page *pages = malloc(BATCH * sizeof(*pages));
	u32 token, n;
	bool first = true, more = true;
	int err = keys && pages ? 0 : -ENOMEM;

	p->n = 0;
	while (!err && more) {
		n = BATCH;
		if (bpf_map_lookup_batch(fd, first ? NULL : &token, &token, keys, pages, &n,
					 NULL)) {
			err = errno == ENOENT ? 0 : -errno;
			more = false;
		}
		first = false;
		err = err ? err : add_entries(p, keys, pages, n);
	}
	free(keys);
	free(pages);
	return err;
}

static s64 refs_now(struct snap *s, const struct pins *p, const struct pin_entry *e)
{
	struct kpage page;
	struct pin_counts c;

	if (page_read(s, e->key & ~(u64)PIN_KIND_MASK, p->idle_refs, &page))
		return -1;
	c = (struct pin_counts){ page.refs, page.mapcount - 1, page.pincount };
	return pin_refs(&c, p->idle_refs, e->key & PIN_KIND_MASK, p->one_kind);
}

/* One that is just being taken may not be counted yet. */
static bool is_fresh(struct snap *s, const struct pin_page *p)
{
	for (int i = 0; i < PIN_TAKERS; i++)
		if (p->takers[i].task && p->takers[i].ns + FRESH_NS > s->k->time.mono_ns)
			return true;
	return false;
}

int pins_read(struct snap *s, struct pins *p)
{
	int fd = hooks_map(p->hooks, "pinned"), err = read_all(p, fd);
	u32 kept = 0;

	for (u32 i = 0; i < p->n; i++) {
		struct pin_entry *e = &p->v[i];

		if (!is_fresh(s, &e->p) && refs_now(s, p, e) <= 0)
			bpf_map_delete_elem(fd, &e->key);
		else
			p->v[kept++] = *e;
	}
	p->n = kept;
	return err;
}

u32 pins_stack(const struct pins *p, s32 id, u64 addrs[PIN_STACK_DEPTH])
{
	u32 n = 0, key = id;

	memset(addrs, 0, PIN_STACK_DEPTH * sizeof(*addrs));
	if (id < 0 || bpf_map_lookup_elem(hooks_map(p->hooks, "stacks"), &key, addrs))
		return 0;
	while (n < PIN_STACK_DEPTH && addrs[n])
		n++;
	return n;
}

/* Marks the stacks that an entry names. */
static void mark_used(const struct pins *p, bool *used)
{
	for (u32 i = 0; i < p->n * PIN_TAKERS; i++) {
		s32 id = p->v[i / PIN_TAKERS].p.takers[i % PIN_TAKERS].kstack;

		if (id >= 0 && (u32)id < p->max_stacks)
			used[id] = true;
	}
}

/* When half of them are in use, those that no entry names make room. */
static void forget_stacks(struct pins *p)
{
	int fd = hooks_map(p->hooks, "stacks");
	u32 *ids = malloc(p->max_stacks * sizeof(*ids)), n = 0;
	bool *used = calloc(p->max_stacks, sizeof(*used));

	/* to delete one while they are listed would start the list again */
	while (ids && used && n < p->max_stacks &&
	       !bpf_map_get_next_key(fd, n ? &ids[n - 1] : NULL, &ids[n]))
		n++;
	if (n && n >= p->max_stacks / 2) {
		mark_used(p, used);
		for (u32 i = 0; i < n; i++)
			if (ids[i] < p->max_stacks && !used[ids[i]])
				bpf_map_delete_elem(fd, &ids[i]);
	}
	free(ids);
	free(used);
}

void pins_tell_losses(struct snap *s, struct pins *p)
{
	for (u32 i = 0; i < PIN_LOSS_MAX; i++)
		snap_lost(s, LOSS_LOST, loss_names[i],
			  hooks_growth(p->hooks, "lost", i, &p->lost[i]));
	forget_stacks(p);
}

void pins_free(struct pins *p)
{
	if (!p)
		return;
	hooks_close(p->hooks);
	free(p->ranges.v);
	free(p->v);
	free(p);
}
