// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Whom an object belongs to whose kind is not known here. What holds a page for somebody mostly has
 * a pointer to him, or is known to something that has: his open file or socket, himself, his memory
 * or his table of descriptors. That is no proof, so who is found like this is never named exact.
 */
#include "collect/strays.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "util/array.h"

enum {
	WORDS_MAX = 1024, /* of one object: 8 KiB */
	NEXT_MAX = 64,    /* objects that an object points at */
};

/* The stronger the evidence the higher. */
enum strength { BY_MM = 1, BY_FILES, BY_TASK, BY_FILE };

struct lead_known {
	u64 addr;
	enum strength strength;
	u64 file, inode; /* BY_FILE */
	u64 task;        /* else */
	bool is_socket;
};

static int add(struct snap *s, struct leads *all, struct lead_known k)
{
	int err = k.addr ? array_grow(&all->v, all->n, sizeof(*all->v)) : 0;

	if (k.addr && !err)
		all->v[all->n++] = k;
	s->err = s->err ? s->err : err;
	return err;
}

/* The DAX file is known to whoever waits for its page, and a directory to many. */
static bool tells_somebody(const struct snap *s, u64 inode, u16 mode)
{
	for (u32 i = 0; i < s->nr_waits; i++)
		if (s->waits[i].inode == inode)
			return false;
	return !S_ISDIR(mode);
}

static void add_files(struct snap *s, struct leads *all)
{
	const struct kfds *f = &s->fds;

	for (u32 i = 0; i < f->n && !s->err; i++) {
		u32 at = f->inode_of[i];
		u64 inode = at == UINT32_MAX ? 0 : f->inodes[at];
		struct lead_known k = { f->v[i].file, BY_FILE, f->v[i].file, inode, 0, false };

		if (!inode || !tells_somebody(s, inode, f->modes[at]))
			continue;
		k.is_socket = S_ISSOCK(f->modes[at]);
		add(s, all, k);
		if (!k.is_socket || s->err)
			continue;
		k.addr = sock_of_inode(s, inode);
		add(s, all, k);
		k.addr = kmem_container(s->k, inode, KF_SOCKET_ALLOC_INODE);
		add(s, all, k);
	}
}

static void add_tasks(struct snap *s, struct leads *all)
{
	for (u32 i = 0; i < s->tasks.n && !s->err; i++) {
		const struct task_rec *r = &s->tasks.v[i].r;

		if (!r->mm)
			continue;
		add(s, all, (struct lead_known){ r->task, BY_TASK, 0, 0, r->task, false });
		add(s, all, (struct lead_known){ r->files, BY_FILES, 0, 0, r->task, false });
		add(s, all, (struct lead_known){ r->mm, BY_MM, 0, 0, r->task, false });
	}
}

static int compare(const void *a, const void *b)
{
	const struct lead_known *x = a, *y = b;

	return x->addr < y->addr ? -1 : x->addr > y->addr;
}

int leads_load(struct snap *s, struct leads *all)
{
	add_files(s, all);
	add_tasks(s, all);
	if (all->n)
		qsort(all->v, all->n, sizeof(*all->v), compare);
	return s->err;
}

void leads_free(struct leads *all)
{
	free(all->v);
	*all = (struct leads){ 0 };
}

static u64 group_of(struct snap *s, u64 task)
{
	const struct ktask *t = task_find(s, task);

	return t ? t->r.tgid : 0;
}

static bool same_owner(struct snap *s, const struct lead_known *a, const struct lead_known *b)
{
	return a->strength == BY_FILE ? a->inode == b->inode :
					group_of(s, a->task) == group_of(s, b->task);
}

/* What is best of several objects; several owners of the same strength are none. */
struct best {
	const struct lead_known *k;
	bool several;
};

static void take_word(struct snap *s, const struct leads *all, u64 word, struct best *b)
{
	struct lead_known key = { .addr = word };
	const struct lead_known *k = kmem_is_kernel_ptr(word) && all->n ?
					     bsearch(&key, all->v, all->n, sizeof(key), compare) :
					     NULL;

	if (!k)
		return;
	if (!b->k || k->strength > b->k->strength)
		*b = (struct best){ k, false };
	else if (k->strength == b->k->strength && !same_owner(s, k, b->k))
		b->several = true;
}

/* The number of words read. */
static u32 read_object(struct snap *s, const struct slab_object *o, u64 *words)
{
	u32 n = o->size / sizeof(u64) < WORDS_MAX ? o->size / sizeof(u64) : WORDS_MAX;

	return kmem_read(s->k, o->addr, words, n * sizeof(u64)) ? 0 : n;
}

/* Objects that everything leads to, or that lead everywhere. */
static bool is_hub(const struct slab_object *o)
{
	static const char *const names[] = { "task_struct", "signal_cache", "sighand_cache",
					     "files_cache", "fs_cache",     "mm_struct",
					     "cred",        "pid",          "filp",
					     "dentry",      "vm_area",      "nsproxy",
					     "net_names",   "user_names",   "kmem_cache" };
	size_t len = strlen(o->name);

	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++)
		if (!strncmp(o->name, names[i], strlen(names[i])))
			return true;
	return len >= 11 && !strcmp(o->name + len - 11, "inode_cache");
}

static void look_into(struct snap *s, const struct leads *all, const struct slab_object *o,
		      struct best *b)
{
	static u64 words[WORDS_MAX];
	u32 n = is_hub(o) ? 0 : read_object(s, o, words);

	for (u32 i = 0; i < n; i++)
		take_word(s, all, words[i], b);
}

static void look_at_referrers(struct snap *s, const struct leads *all, const struct slab_object *o,
			      const struct referrers *r, struct best *b)
{
	for (u32 i = 0; i < r->n; i++)
		if (r->v[i].hit.val - o->addr < o->size && r->v[i].o.addr != o->addr)
			look_into(s, all, &r->v[i].o, b);
}

static void look_behind(struct snap *s, const struct leads *all, const struct slab_object *o,
			struct best *b)
{
	u64 words[WORDS_MAX];
	u32 n = read_object(s, o, words), looked = 0;
	struct slab_object next;

	for (u32 i = 0; i < n && looked < NEXT_MAX; i++) {
		if (!kmem_is_kernel_ptr(words[i]) || words[i] - o->addr < o->size ||
		    slab_object(s, words[i], &next) || !slab_object_is_used(s, &next))
			continue;
		looked++;
		look_into(s, all, &next, b);
	}
}

static bool fill(const struct best *b, const char *way, struct lead *ret)
{
	if (!b->k || b->several)
		return false;
	*ret = (struct lead){ b->k->file, b->k->inode, b->k->is_socket, b->k->task, way };
	return true;
}

bool lead_find(struct snap *s, const struct leads *all, const struct slab_object *o,
	       const struct referrers *r, struct lead *ret)
{
	struct best b = { 0 };

	look_into(s, all, o, &b);
	if (b.k)
		return fill(&b, "refers to", ret);
	look_at_referrers(s, all, o, r, &b);
	if (b.k)
		return fill(&b, "is known to what refers to", ret);
	look_behind(s, all, o, &b);
	return fill(&b, "leads to", ret);
}
