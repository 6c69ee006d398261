// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * What the search of memory found and what is in no bio: a packet, or an object of a kind that is
 * not known here. Of the latter the cache tells a little, and what refers to it whose it may be.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "collect/mm.h"
#include "collect/strays.h"
#include "util/array.h"

enum { OBJECTS_MAX = 1024, REFERRERS_MAX = 4096, IOCB_WORDS = 256 /* of one object */ };

struct objects {
	struct memory *m;
	struct referrers referrers;
	struct leads leads;
};

/* What the name of a cache tells about its objects. */
static enum fact_how how_of(const char *cache)
{
	static const struct {
		const char *prefix;
		enum fact_how how;
	} kinds[] = {
		{ "nfs_", HOW_NFS },
		{ "fuse_", HOW_FUSE },
		{ "9p-", HOW_P9 },
		{ "kvm_", HOW_KVM },
	};

	for (size_t i = 0; i < sizeof(kinds) / sizeof(*kinds); i++)
		if (!strncmp(cache, kinds[i].prefix, strlen(kinds[i].prefix)))
			return kinds[i].how;
	return HOW_UNKNOWN;
}

/* A buffer of a pipe that was read: what is left of it has no operations (pipe_buf_release()). */
static bool may_be_read(struct snap *s, const struct used *u)
{
	u64 size = s->k->field[KF_PIPE_BUF].off, ops;

	return kmem_has(s->k, KF_PIPE_BUF) && (u->hit.addr - u->o.addr) % size == 0 &&
	       (kmem_get(s->k, u->hit.addr, KF_PIPE_BUF_OPS, &ops) || !ops);
}

/* Whether a hit is the page of an unread buffer: then the object is the ring of a pipe. */
static bool is_pipe_buffer(struct memory *m, const struct used *u)
{
	u64 ops;

	return kmem_has(m->s->k, KF_PIPE_BUF_PAGE) &&
	       !kmem_get(m->s->k, kmem_container(m->s->k, u->hit.addr, KF_PIPE_BUF_PAGE),
			 KF_PIPE_BUF_OPS, &ops) &&
	       strstr(symbol_name(m->s, &m->symbols, ops), "pipe_buf_ops");
}

static u32 words_of_page(const struct memory *m, const struct kpage *page, u64 object)
{
	u32 n = 0;

	for (u32 i = 0; i < m->nr_used; i++)
		n += m->used[i].page == page && !m->used[i].taken && !m->used[i].stale &&
		     (!object || m->used[i].o.addr == object);
	return n;
}

static const char *target_of(struct snap *s, const struct lead *lead)
{
	u64 ino;

	if (!lead->is_socket || kmem_get(s->k, lead->inode, KF_INODE_INO, &ino))
		return file_describe(s, lead->file);
	return snap_text(s, "socket:[%llu]", (unsigned long long)ino);
}

/* Words of a page in objects of one cache. */
static u32 words_of_cache(const struct memory *m, const struct used *u)
{
	u32 n = 0;

	for (u32 i = 0; i < m->nr_used; i++)
		n += m->used[i].page == u->page && !m->used[i].taken && !m->used[i].stale &&
		     m->used[i].o.cache == u->o.cache;
	return n;
}

/*
 * One reference may be known to several objects of one piece of I/O: a nfs_page and the request
 * that it went into. Where the cache tells that it is I/O, the objects of one such cache make the
 * count.
 */
static bool is_of_best_cache(const struct memory *m, const struct used *u, u32 missing)
{
	const struct used *best = NULL;
	u32 most = 0;

	for (u32 i = 0; i < m->nr_used; i++) {
		const struct used *other = &m->used[i];
		u32 n = other->page == u->page && !other->taken && !other->stale &&
					how_of(other->o.name) != HOW_UNKNOWN ?
				words_of_cache(m, other) :
				0;

		if (n > most && n <= missing) {
			best = other;
			most = n;
		}
	}
	return best && best->o.cache == u->o.cache;
}

/*
 * The asynchronous call that an object has the kiocb of, or what it points to the start of: a
 * pointer into the middle of another may be a list of calls that have nothing to do with each
 * other.
 */
static bool iocb_in(struct memory *m, const struct slab_object *o, bool deeper,
		    struct io_owner *owner)
{
	u64 words[IOCB_WORDS];
	u32 n = o->size / sizeof(*words) < IOCB_WORDS ? o->size / sizeof(*words) : IOCB_WORDS;
	struct slab_object next;

	if (kmem_read(m->s->k, o->addr, words, n * sizeof(*words)))
		return false;
	for (u32 i = 0; i < n; i++)
		if (iocb_owner(m->s, &m->symbols, words[i], owner) &&
		    !slab_object(m->s, words[i], &next) && slab_object_is_used(m->s, &next))
			return true;
	for (u32 i = 0; deeper && i < n; i++)
		if (kmem_is_kernel_ptr(words[i]) && !slab_object(m->s, words[i], &next) &&
		    next.addr == words[i] && next.addr != o->addr &&
		    slab_object_is_used(m->s, &next) && iocb_in(m, &next, false, owner))
			return true;
	return false;
}

/*
 * A network filesystem has the pages of a call in a table, that in a request, and with it, or with
 * what has several requests, the kiocb: netfs_io_request.iocb, up to v6.9 cifs_aio_ctx.iocb behind
 * a cifs_writedata.
 */
static bool find_iocb(struct objects *all, const struct slab_object *o, struct io_owner *owner)
{
	const struct referrers *r = &all->referrers;

	for (u32 i = 0; i < r->n; i++)
		if (r->v[i].hit.val - o->addr < o->size && r->v[i].o.addr != o->addr &&
		    iocb_in(all->m, &r->v[i].o, true, owner))
			return true;
	return false;
}

/* Whose the object seems to be; their tasks are malloc'ed. */
static struct fact_releaser *find_owner(struct objects *all, const struct used *u,
					struct fact_hold *h, const char **way)
{
	struct snap *s = all->m->s;
	struct io_owner owner;
	struct lead lead;
	const struct ktask *t;

	*way = NULL;
	if (h->how == HOW_UNKNOWN && find_iocb(all, &u->o, &owner)) {
		h->how = owner.how;
		file_tell_target(s, owner.file, h);
		*way = "is known to what has the request for";
		return io_releasers(s, &owner, &h->nr_releasers);
	}
	if (!lead_find(s, &all->leads, &u->o, &all->referrers, &lead))
		return NULL;
	*way = lead.way;
	if (lead.inode) {
		h->target = target_of(s, &lead);
		/* others that have the inode open have nothing to do with it */
		return fds_releasers_of_file(s, lead.file, &h->nr_releasers);
	}
	t = task_find(s, lead.task);
	return t ? mm_releasers(s, t->r.mm, &h->nr_releasers) : NULL;
}

/* All that is left of one page in one object, told for the first of the words. */
static void tell_object(struct objects *all, const struct used *u, u32 missing)
{
	struct memory *m = all->m;
	struct snap *s = m->s;
	struct fact f = { .type = FACT_HOLD };
	struct fact_hold *h = &f.hold;
	struct fact_releaser *releasers = NULL;
	const char *way = NULL;
	u32 words = words_of_page(m, u->page, u->o.addr);
	bool likely = words &&
		      (words_of_page(m, u->page, 0) <= missing || is_of_best_cache(m, u, missing));

	h->page = u->page->head;
	h->how = is_pipe_buffer(m, u) ? HOW_VMSPLICE : how_of(u->o.name);
	h->confidence = likely ? CONF_LIKELY : CONF_CANDIDATE;
	h->refs = likely ? words : 0;
	h->object_kind = "slab";
	h->object_id = snap_text(s, "%s object 0x%llx", u->o.name, (unsigned long long)u->o.addr);
	if (likely)
		releasers = find_owner(all, u, h, &way);
	h->releasers = releasers;
	h->detail = snap_text(s, "in use, it has the page's address at byte %llu%s%s%s%s",
			      (unsigned long long)(u->hit.addr - u->o.addr),
			      words > 1 ? " and behind it" : "", way ? ", and " : "",
			      way ? way : "",
			      !way      ? "" :
			      h->target ? " what they have open" :
					  " what belongs to them");
	h->held_ns = FACT_UNKNOWN;
	h->pipe_user = UINT32_MAX;
	snap_emit(s, &f);
	free(releasers);
}

static bool is_first_of_object(const struct memory *m, u32 at)
{
	for (u32 i = 0; i < at; i++)
		if (m->used[i].page == m->used[at].page && !m->used[i].taken &&
		    m->used[i].o.addr == m->used[at].o.addr)
			return false;
	return true;
}

/*
 * Whether a bio accounts for the hit. It was told then, or is not alive; and behind the end of its
 * table there may be the array of pages that the table was made from (bio_iov_iter_get_pages()).
 */
static bool is_of_bio(const struct memory *m, const struct used *u)
{
	if (snap_has_seen(m->s, u->hit.addr) || !strncmp(u->o.name, "bio", 3))
		return true;
	for (u32 i = 0; i < m->nr_bios; i++)
		if (m->bios[i].from - u->o.addr < u->o.size)
			return true;
	return false;
}

static void mark(struct memory *m)
{
	for (u32 i = 0; i < m->nr_used; i++) {
		m->used[i].taken = is_of_bio(m, &m->used[i]);
		m->used[i].stale = may_be_read(m->s, &m->used[i]);
	}
}

/* What still is to be told of a page, for the first hit in an object; 0 nothing. */
static u32 missing_at(const struct memory *m, u32 i, const u32 *missing)
{
	const struct used *u = &m->used[i];

	return u->page && !u->taken && is_first_of_object(m, i) ? missing[u->page - m->s->pages] :
								  0;
}

/* References that nothing explains, of each page; malloc'ed. */
static u32 *count_missing(struct snap *s)
{
	u32 *missing = calloc(s->nr_pages + 1, sizeof(*missing));

	s->err = missing ? s->err : -ENOMEM;
	for (u32 i = 0; missing && i < s->nr_pages; i++)
		missing[i] = page_unexplained(s, &s->pages[i]);
	return missing;
}

static bool any_missing(const struct memory *m)
{
	u32 *missing = count_missing(m->s);
	bool any = false;

	for (u32 i = 0; missing && i < m->nr_used && !any; i++)
		any = missing_at(m, i, missing);
	free(missing);
	return any;
}

static int take_referrers(struct objects *all, const struct kfound *found)
{
	struct referrers *r = &all->referrers;
	int err = 0;

	for (u32 i = 0; i < found->n && !err; i++) {
		struct referrer one = { .hit = found->v[i] };

		if (slab_object(all->m->s, one.hit.addr, &one.o) ||
		    !slab_object_is_used(all->m->s, &one.o))
			continue;
		if (r->n >= REFERRERS_MAX) {
			snap_lost(all->m->s, LOSS_LOST, "memory search", 1);
			break;
		}
		err = array_grow(&r->v, r->n, sizeof(one));
		if (!err)
			r->v[r->n++] = one;
	}
	return err;
}

/* What points into the objects that are to be told. 0 or -errno. */
static int find_referrers(struct objects *all)
{
	struct krange ranges[OBJECTS_MAX];
	u32 *missing = count_missing(all->m->s), n = 0;
	struct kfound found = { 0 };
	int err = missing ? 0 : -ENOMEM;

	for (u32 i = 0; missing && i < all->m->nr_used && n < OBJECTS_MAX; i++) {
		const struct slab_object *o = &all->m->used[i].o;

		if (missing_at(all->m, i, missing) && (!n || ranges[n - 1].hi <= o->addr))
			ranges[n++] = (struct krange){ o->addr, o->addr + o->size };
	}
	free(missing);
	if (n)
		err = memory_search(all->m->s, ranges, n, &found);
	err = err ? err : take_referrers(all, &found);
	free(found.v);
	return err == -ENOENT ? 0 : err;
}

static void tell_objects(struct objects *all)
{
	struct memory *m = all->m;
	u32 *missing = count_missing(m->s);

	for (u32 i = 0; i < m->nr_used && missing && !m->s->err; i++)
		if (missing_at(m, i, missing))
			tell_object(all, &m->used[i], missing_at(m, i, missing));
	free(missing);
}

int stray_objects_tell(struct memory *m)
{
	struct objects all = { .m = m };
	int err;

	mark(m);
	err = find_referrers(&all);
	if (!err && all.referrers.n) {
		err = stray_skbs_tell(m->s, &all.referrers);
		mark(m);
	}
	if (!err && any_missing(m))
		err = leads_load(m->s, &all.leads);
	if (!err)
		tell_objects(&all);
	free(all.referrers.v);
	leads_free(&all.leads);
	return err;
}
