// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "collect/kfield.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <bpf/btf.h>

static const char *const names[KF_MAX] = {
#define KF(id, name) [KF_##id] = name,
#include "collect/kfield.def"
#undef KF
};

/* A word of a name: the struct, a member, or an enumerator. */
struct word {
	const char *s;
	size_t len;
};

/* First two letters of all words sought: rejects most of BTF's 100,000 names without a search. */
struct prefixes {
	u8 bits[65536 / 8];
};

/* The struct, enumerator or function that one alternative of one field starts with. */
struct root {
	enum kf field;
	const char *alternative;
	struct word word;
	u32 type_id; /* BTF id found for it; 0 none */
	s64 value;   /* enumerators: the value */
};

enum { ALTERNATIVES_MAX = 3 };

const char *kfield_name(enum kf f)
{
	return names[f];
}

static struct word word_at(const char *s)
{
	return (struct word){ s, strcspn(s, ".|") };
}

static bool word_is(struct word w, const char *s)
{
	return !strncmp(w.s, s, w.len) && !s[w.len];
}

/* "enum:PG_head" -> 'e', "func:x" -> 'f', else 's'; *rest is what follows the prefix. */
static char name_kind(const char *name, const char **rest)
{
	const char *colon = strchr(name, ':');

	*rest = colon ? colon + 1 : name;
	return colon ? name[0] : 's';
}

static size_t collect_roots(struct root *roots)
{
	size_t n = 0;

	for (int f = 0; f < KF_MAX; f++) {
		const char *alt = names[f];

		while (alt) {
			const char *rest;

			name_kind(alt, &rest);
			roots[n++] = (struct root){ .field = f,
						    .alternative = alt,
						    .word = word_at(rest) };
			alt = strchr(alt, '|');
			alt = alt ? alt + 1 : NULL;
		}
	}
	return n;
}

static int compare_roots(const void *a, const void *b)
{
	struct word x = ((const struct root *)a)->word, y = ((const struct root *)b)->word;
	int diff = strncmp(x.s, y.s, x.len < y.len ? x.len : y.len);

	return diff ? diff : (int)x.len - (int)y.len;
}

static u32 prefix(const char *name)
{
	return (u8)name[0] << 8 | (u8)name[1];
}

/* First root whose word is name, or NULL; equal ones follow each other. */
static struct root *find_root(struct root *roots, size_t n, const char *name)
{
	struct root key = { .word = { name, strlen(name) } };
	struct root *r = bsearch(&key, roots, n, sizeof(*roots), compare_roots);

	while (r && r > roots && !compare_roots(r - 1, &key))
		r--;
	return r;
}

/* Gives every root called name the type, when the kind fits; the first definition wins. */
static void claim(struct root *roots, size_t n, const struct prefixes *p, const char *name,
		  char kind, u32 id, s64 value)
{
	struct root *end = roots + n;
	const char *rest;

	if (!(p->bits[prefix(name) / 8] >> prefix(name) % 8 & 1))
		return;
	for (struct root *r = find_root(roots, n, name); r && r < end && word_is(r->word, name);
	     r++) {
		if (r->type_id || name_kind(r->alternative, &rest) != kind)
			continue;
		r->type_id = id;
		r->value = value;
	}
}

static void claim_enumerators(struct root *roots, size_t n, const struct prefixes *p,
			      const struct btf *btf, u32 id, const struct btf_type *t)
{
	const struct btf_enum *e = btf_enum(t);

	for (u16 i = 0; i < btf_vlen(t); i++)
		claim(roots, n, p, btf__name_by_offset(btf, e[i].name_off), 'e', id, e[i].val);
}

/* One pass over the types: looking each name up by itself would scan them a hundred times. */
static void claim_all(struct root *roots, size_t n, const struct prefixes *p, const struct btf *btf)
{
	u32 nr_types = btf__type_cnt(btf);

	for (u32 id = 1; id < nr_types; id++) {
		const struct btf_type *t = btf__type_by_id(btf, id);

		if (btf_is_enum(t))
			claim_enumerators(roots, n, p, btf, id, t);
		else if (t->name_off && btf_is_composite(t))
			claim(roots, n, p, btf__name_by_offset(btf, t->name_off), 's', id, 0);
		else if (btf_is_func(t))
			claim(roots, n, p, btf__name_by_offset(btf, t->name_off), 'f', id, 1);
	}
}

static const struct btf_type *skip_modifiers(const struct btf *btf, u32 id)
{
	const struct btf_type *t = btf__type_by_id(btf, id);

	while (t && (btf_is_mod(t) || btf_is_typedef(t)))
		t = btf__type_by_id(btf, t->type);
	return t;
}

/* The member's type id, *bits its offset from the outer start; 0 when there is none. */
static u32 find_member(const struct btf *btf, const struct btf_type *t, struct word w, u32 *bits)
{
	const struct btf_member *m = btf_members(t);

	for (u16 i = 0; i < btf_vlen(t); i++) {
		const struct btf_type *inner = skip_modifiers(btf, m[i].type);
		u32 base = btf_member_bit_offset(t, i), id = 0, sub = 0;

		if (m[i].name_off && word_is(w, btf__name_by_offset(btf, m[i].name_off)))
			id = m[i].type;
		else if (!m[i].name_off && inner && btf_is_composite(inner))
			id = find_member(btf, inner, w, &sub);
		if (id) {
			*bits = base + sub;
			return id;
		}
	}
	return 0;
}

/* Follows ".member.member" from the struct; KFIELD_MISSING when a step is not there. */
static struct kfield resolve_path(const struct btf *btf, u32 id, const char *path)
{
	struct kfield missing = { .off = KFIELD_MISSING };
	u32 bits = 0;

	while (*path == '.') {
		const struct btf_type *t = skip_modifiers(btf, id);
		struct word w = word_at(++path);
		u32 at = 0;

		if (!t || !btf_is_composite(t))
			return missing;
		id = find_member(btf, t, w, &at);
		if (!id)
			return missing;
		bits += at;
		path += w.len;
	}
	return (struct kfield){ .off = bits / 8, .size = btf__resolve_size(btf, id) };
}

static struct kfield resolve_root(const struct btf *btf, const struct root *r)
{
	const char *rest, *path;
	char kind = name_kind(r->alternative, &rest);

	if (!r->type_id)
		return (struct kfield){ .off = KFIELD_MISSING };
	if (kind != 's')
		return (struct kfield){ .off = r->value };
	path = rest + r->word.len;
	if (*path != '.')
		return (struct kfield){ .off = btf__resolve_size(btf, r->type_id) };
	return resolve_path(btf, r->type_id, path);
}

int kfields_resolve(struct kfield *all, const struct btf *btf)
{
	struct root *roots = calloc(KF_MAX * ALTERNATIVES_MAX, sizeof(*roots));
	struct prefixes p = { 0 };
	size_t n;

	if (!roots)
		return -ENOMEM;
	n = collect_roots(roots);
	qsort(roots, n, sizeof(*roots), compare_roots);
	for (size_t i = 0; i < n; i++)
		p.bits[prefix(roots[i].word.s) / 8] |= 1 << prefix(roots[i].word.s) % 8;
	claim_all(roots, n, &p, btf);
	for (int f = 0; f < KF_MAX; f++)
		all[f].off = KFIELD_MISSING;
	for (size_t i = 0; i < n; i++) {
		struct kfield found = resolve_root(btf, &roots[i]);

		/* any alternative will do: they mean the same and exclude each other */
		if (found.off != KFIELD_MISSING)
			all[roots[i].field] = found;
	}
	free(roots);
	return 0;
}

/* Members that are read, as 8 bytes, out of a copy of their whole struct; the size comes first. */
static const struct {
	enum kf whole, member;
} inside[] = {
	{ KF_PAGE, KF_PAGE_REFCOUNT },    { KF_PIPE_BUF, KF_PIPE_BUF_PAGE },
	{ KF_PIPE_BUF, KF_PIPE_BUF_LEN }, { KF_K_SIGACTION, KF_SA_HANDLER },
	{ KF_K_SIGACTION, KF_SA_FLAGS },  { KF_PT_REGS, KF_PT_ORIG_AX },
	{ KF_PT_REGS, KF_PT_DI },
};

static bool fits(const struct kfield *member, const struct kfield *whole)
{
	return member->off >= 0 && member->off + (s64)sizeof(u64) <= whole->off;
}

void kfields_check(struct kfield *all)
{
	for (int f = 0; f < KF_MAX; f++)
		if (all[f].off < 0 || all[f].off > KFIELD_OFF_MAX)
			all[f].off = KFIELD_MISSING;
	for (size_t i = 0; i < sizeof(inside) / sizeof(*inside); i++)
		if (!fits(&all[inside[i].member], &all[inside[i].whole]))
			all[inside[i].whole].off = all[inside[i].member].off = KFIELD_MISSING;
}
