// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Pages in requests to FUSE servers: direct I/O, whoever submitted it. The way leads from the open
 * /dev/fuse of the server to the requests that it has not answered. FUSE is a module on many
 * kernels and then in no BTF that is at hand, so its objects are recognised by what is in them;
 * the comments name the structs, fs/fuse/fuse_i.h and fuse_dev_i.h, 5.10 to 7.2.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "collect/mounts.h"
#include "collect/snap.h"
#include "util/array.h"

#define FUSE_RDEV (10u << 20 | 229) /* misc device FUSE_MINOR, include/linux/miscdevice.h */

enum {
	DEV_WORDS = 16,      /* of a struct fuse_dev */
	CHAN_WORDS = 8,      /* of a struct fuse_chan: as far as conn, behind a spinlock_t */
	HEADS_WORDS = 512,   /* fuse_pqueue.processing is 256 list heads; fuse_conn is smaller */
	REQUEST_WORDS = 12,  /* of a struct fuse_req: as far as args */
	ARGS_WORDS = 64,     /* of a struct fuse_io_args */
	IO_WORDS = 24,       /* of a struct fuse_io_priv */
	ARGS_HEADER = 2,     /* words of a fuse_args that are no pointers to tables */
	REQUESTS_MAX = 4096, /* of one list */
	PAGES_MAX = 1024,    /* of one request; sysctl fs.fuse.max_pages_limit may allow more */
	OBJECTS_MAX = 4096,
	HITS_MAX = 1 << 12,
};

/*
 * A fuse_dev that is open. One of its words points to its fuse_conn, or, in 7.x, to a fuse_chan
 * that does.
 */
struct device {
	u64 file;
	u64 words[DEV_WORDS];
	u64 behind[DEV_WORDS][CHAN_WORDS];
};

/* All requests of one submitter that have one page. */
struct hit {
	const struct kpage *page;
	struct io_owner owner;
	u64 request; /* the first one */
	u32 refs;
};

struct search {
	struct snap *s;
	struct symbol_cache symbols;
	struct device *devices;
	u32 nr_devices;
	u64 *heads; /* where lists were looked for */
	u32 nr_heads;
	u64 *requests;
	u32 nr_requests;
	u64 *tables; /* of pages: where they were found, each belongs to one request */
	u32 nr_tables;
	struct hit *hits;
	u32 nr_hits;
};

/* The table of a fuse_args_pages: pages or folios, and next to them fuse_page_descs. */
struct table {
	struct kbio_vec vecs[PAGES_MAX];
	u32 n;
};

static bool add_once(struct snap *s, u64 **array, u32 *n, u64 value)
{
	for (u32 i = 0; i < *n; i++)
		if ((*array)[i] == value)
			return false;
	s->err = s->err ? s->err : array_grow(array, *n, sizeof(**array));
	if (s->err)
		return false;
	(*array)[(*n)++] = value;
	return true;
}

/* The first word of what s_fs_info points to, a fuse_mount. */
u64 fuse_conn(struct snap *s, u64 sb)
{
	u64 info, conn;

	if (kmem_get(s->k, sb, KF_SB_FS_INFO, &info) || !kmem_is_kernel_ptr(info) ||
	    kmem_read(s->k, info, &conn, sizeof(conn)))
		return 0;
	return conn;
}

/* number: of the connection in /sys/fs/fuse/connections. */
static u64 conn_of_file(struct snap *s, u64 file, u32 *number)
{
	u64 inode, sb, dev;

	if (kmem_get(s->k, file, KF_FILE_INODE, &inode) ||
	    kmem_get(s->k, inode, KF_INODE_SB, &sb) || kmem_get(s->k, sb, KF_SB_DEV, &dev))
		return 0;
	*number = KDEV_MINOR(dev);
	return fuse_conn(s, sb);
}

static bool device_has(const struct device *d, u64 conn)
{
	if (!conn)
		return false;
	for (u32 i = 0; i < DEV_WORDS; i++) {
		if (d->words[i] == conn)
			return true;
		for (u32 j = 0; j < CHAN_WORDS; j++)
			if (d->behind[i][j] == conn)
				return true;
	}
	return false;
}

static bool is_served(const struct search *w, u64 conn)
{
	for (u32 i = 0; i < w->nr_devices; i++)
		if (device_has(&w->devices[i], conn))
			return true;
	return false;
}

/* What three words of a fuse_args_pages describe; false when they are something else. */
static bool read_table(struct snap *s, const u64 *words, struct table *t)
{
	static struct {
		u32 len, off;
	} descs[PAGES_MAX];
	static u64 pages[PAGES_MAX];
	u64 room = (words[1] - words[0]) / sizeof(*pages), base = s->arch.vmemmap;

	t->n = words[2];
	if (!kmem_is_kernel_ptr(words[0]) || words[1] <= words[0] || words[1] % 8 || !t->n ||
	    t->n > PAGES_MAX || t->n > room || room > UINT16_MAX ||
	    kmem_read(s->k, words[0], pages, t->n * sizeof(*pages)) ||
	    kmem_read(s->k, words[1], descs, t->n * sizeof(*descs)))
		return false;
	for (u32 i = 0; i < t->n; i++) {
		if (!kmem_is_kernel_ptr(pages[i]) || pages[i] < base ||
		    (pages[i] - base) % s->k->field[KF_PAGE].off || !descs[i].len)
			return false;
		t->vecs[i] = (struct kbio_vec){ pages[i], descs[i].len, descs[i].off };
	}
	return true;
}

/* The kiocb of a fuse_io_priv tells whose the I/O is, and its file belongs to the connection. */
static bool owner_of_io(struct search *w, u64 io, struct io_owner *o)
{
	u64 words[IO_WORDS];
	u32 number;

	if (!kmem_is_kernel_ptr(io) || kmem_read(w->s->k, io, words, sizeof(words)))
		return false;
	for (u32 i = 0; i < IO_WORDS; i++) {
		if (!kmem_is_kernel_ptr(words[i]) || words[i] % 8)
			continue;
		*o = kiocb_owner(w->s, &w->symbols, words[i]);
		if (o->file && (o->task || o->ioctx) &&
		    is_served(w, conn_of_file(w->s, o->file, &number)))
			return true;
	}
	return false;
}

static void add_hit(struct search *w, const struct kpage *p, u32 refs, u64 request,
		    const struct io_owner *o)
{
	for (u32 i = 0; i < w->nr_hits; i++) {
		const struct io_owner *known = &w->hits[i].owner;

		if (w->hits[i].page == p && known->task == o->task && known->ioctx == o->ioctx &&
		    known->file == o->file) {
			w->hits[i].refs += refs;
			return;
		}
	}
	if (w->nr_hits >= HITS_MAX) {
		snap_lost(w->s, LOSS_LOST, "FUSE requests", 1);
		return;
	}
	w->s->err = array_grow(&w->hits, w->nr_hits, sizeof(*w->hits));
	if (!w->s->err)
		w->hits[w->nr_hits++] = (struct hit){ p, *o, request, refs };
}

/*
 * A fuse_io_args: its table, and behind it the fuse_io_priv. The same one is met twice where two
 * lists have its request: one that is interrupted is also in fuse_iqueue.interrupts, by intr_entry.
 */
static void look_at_args(struct search *w, u64 args, u64 request)
{
	static struct table t;
	u64 words[ARGS_WORDS];
	struct io_owner o;

	if (kmem_read(w->s->k, args, words, sizeof(words)))
		return;
	for (u32 i = ARGS_HEADER; i + 3 < ARGS_WORDS; i++) {
		if (!read_table(w->s, words + i, &t) || !owner_of_io(w, words[i + 3], &o))
			continue;
		if (!add_once(w->s, &w->tables, &w->nr_tables, args + i * sizeof(*words)))
			return;
		for (u32 j = 0; j < w->s->nr_pages && !w->s->err; j++) {
			u32 refs = vecs_count_refs(w->s, t.vecs, t.n, &w->s->pages[j]);

			if (refs)
				add_hit(w, &w->s->pages[j], refs, request, &o);
		}
		return;
	}
}

static void look_at_request(struct search *w, u64 request)
{
	u64 words[REQUEST_WORDS];

	if (kmem_read(w->s->k, request, words, sizeof(words)) ||
	    !add_once(w->s, &w->requests, &w->nr_requests, request))
		return;
	for (u32 i = 2; i < REQUEST_WORDS; i++)
		if (kmem_is_kernel_ptr(words[i]) && !(words[i] % 8))
			look_at_args(w, words[i], request);
}

/* A fuse_req starts with the list_head that it is queued by. */
static void walk_list(struct search *w, u64 head, u64 at)
{
	u64 next[2], before = head;

	for (u32 n = 0; at != head && !w->s->err; n++) {
		if (n >= REQUESTS_MAX) {
			snap_lost(w->s, LOSS_LOST, "FUSE requests", 1);
			return;
		}
		if (!kmem_is_kernel_ptr(at) || kmem_read(w->s->k, at, next, sizeof(next)) ||
		    next[1] != before)
			return;
		look_at_request(w, at);
		before = at;
		at = next[0];
	}
}

/* Every list that is not empty in an object: of requests that wait, or that were read. */
static void walk_heads(struct search *w, u64 object)
{
	u64 words[HEADS_WORDS];

	if (w->nr_heads >= OBJECTS_MAX) {
		snap_lost(w->s, LOSS_LOST, "FUSE connections", 1);
		return;
	}
	if (!add_once(w->s, &w->heads, &w->nr_heads, object) ||
	    kmem_read(w->s->k, object, words, sizeof(words)))
		return;
	for (u32 i = 0; i + 1 < HEADS_WORDS; i++) {
		u64 head = object + i * sizeof(*words);

		if (words[i] != head && kmem_is_kernel_ptr(words[i]) && !(words[i] % 8) &&
		    kmem_is_kernel_ptr(words[i + 1]))
			walk_list(w, head, words[i]);
	}
}

/* Each by itself: the object may be smaller and end at memory that cannot be read. */
static void read_behind(struct search *w, struct device *d, u32 word)
{
	struct kread r[CHAN_WORDS];

	for (u32 i = 0; i < CHAN_WORDS; i++)
		r[i] = (struct kread){ .addr = d->words[word] + i * sizeof(u64),
				       .dst = &d->behind[word][i],
				       .len = sizeof(u64) };
	kmem_readv(w->s->k, r, CHAN_WORDS);
}

/* A connection may have several devices open, FUSE_DEV_IOC_CLONE. */
static void find_devices(struct search *w)
{
	const struct kfds *f = &w->s->fds;
	u64 rdev, private, *files = NULL;
	u32 nr_files = 0;

	for (u32 i = 0; i < f->n && !w->s->err; i++) {
		struct device d = { .file = f->v[i].file };

		if (f->inode_of[i] == UINT32_MAX || !S_ISCHR(f->modes[f->inode_of[i]]) ||
		    kmem_get(w->s->k, f->inodes[f->inode_of[i]], KF_INODE_RDEV, &rdev) ||
		    rdev != FUSE_RDEV || !add_once(w->s, &files, &nr_files, d.file) ||
		    kmem_get(w->s->k, d.file, KF_FILE_PRIVATE, &private) ||
		    !kmem_is_kernel_ptr(private) ||
		    kmem_read(w->s->k, private, d.words, sizeof(d.words)))
			continue;
		for (u32 j = 0; j < DEV_WORDS; j++)
			if (kmem_is_kernel_ptr(d.words[j]))
				read_behind(w, &d, j);
		w->s->err = array_grow(&w->devices, w->nr_devices, sizeof(d));
		if (!w->s->err)
			w->devices[w->nr_devices++] = d;
	}
	free(files);
}

static void find_requests(struct search *w)
{
	for (u32 i = 0; i < w->nr_devices; i++)
		for (u32 j = 0; j < DEV_WORDS && !w->s->err; j++) {
			u64 word = w->devices[i].words[j];

			if (kmem_is_kernel_ptr(word) && !(word % 8))
				walk_heads(w, word);
		}
}

/* A process that has the device of a connection open; others than that many more. */
static const struct ktask *server_of(struct search *w, u64 conn, u32 *more)
{
	const struct kfds *f = &w->s->fds;
	const struct ktask *server = NULL;

	*more = 0;
	for (u32 i = 0; i < w->nr_devices; i++)
		for (u32 j = 0; j < f->n && device_has(&w->devices[i], conn); j++) {
			const struct ktask *t = f->v[j].file == w->devices[i].file ?
							task_find(w->s, f->v[j].task) :
							NULL;

			if (t && server && t->r.tgid != server->r.tgid)
				++*more;
			else if (t)
				server = t;
		}
	return server;
}

u64 fuse_server(struct snap *s, u64 file)
{
	struct search w = { .s = s };
	const struct ktask *t;
	u32 number, more;

	find_devices(&w);
	t = server_of(&w, conn_of_file(s, file, &number), &more);
	free(w.devices);
	return t && !more ? t->r.task : 0;
}

/* "/mnt/f/data (fuse: sshfs[712], connection 45)"; the number ends it, for advise_abort(). */
static const char *describe_target(struct search *w, u64 file, u64 *server)
{
	struct snap *s = w->s;
	u32 number = 0, more;
	const struct ktask *t = server_of(w, conn_of_file(s, file, &number), &more);
	const char *name = file_describe(s, file), *others = "";
	int len = name && *name ? strlen(name) - 1 : 0;

	*server = t && !more ? t->r.task : 0;
	if (more)
		others = snap_text(s, " and %u more", more);
	if (!t || !len || name[len] != ')')
		return name;
	return snap_text(s, "%.*s: %.*s[%u]%s, connection %u)", len, name, (int)sizeof(t->r.comm),
			 t->r.comm, t->r.tgid, others, number);
}

static void tell_hold(struct search *w, const struct hit *hit)
{
	struct snap *s = w->s;
	struct fact f = { .type = FACT_HOLD };
	struct fact_hold *h = &f.hold;
	struct fact_releaser *releasers = io_releasers(s, &hit->owner, &h->nr_releasers);
	u64 file = hit->owner.file;
	/* requests are told by what they contain: one that was answered meanwhile may look alive */
	u32 missing = page_unexplained(s, hit->page);

	h->page = hit->page->head;
	h->how = HOW_FUSE;
	h->confidence = CONF_EXACT;
	h->refs = missing && hit->refs > missing ? missing : hit->refs;
	h->object_kind = "request";
	h->object_id = snap_text(s, "0x%llx", (unsigned long long)hit->request);
	h->detail = "its request to the server names the page";
	h->held_ns = FACT_UNKNOWN;
	h->releasers = releasers;
	if (hit->owner.how == HOW_DIRECT_IO && h->nr_releasers)
		file = io_name_call(s, &hit->owner, h, releasers);
	h->target = describe_target(w, file, &h->server);
	if (h->server)
		task_tell(s, task_find(s, h->server));
	snap_emit(s, &f);
	free(releasers);
}

const char *walk_fuse_lacks(const struct snap *s)
{
	const char *lacks = arch_lacks(&s->arch, ARCH_VMEMMAP);

	if (lacks)
		return lacks;
	return KMEM_LACKS(s->k, KF_FILE_PRIVATE, KF_PAGE, KF_SB_FS_INFO, KF_INODE_RDEV,
			  KF_KIOCB_FILP);
}

int walk_fuse(struct snap *s)
{
	struct search w = { .s = s };

	find_devices(&w);
	find_requests(&w);
	for (u32 i = 0; i < w.nr_hits && !s->err; i++)
		tell_hold(&w, &w.hits[i]);
	free(w.devices);
	free(w.heads);
	free(w.requests);
	free(w.tables);
	free(w.hits);
	return 0;
}
