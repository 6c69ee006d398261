// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Pages given to a cipher. splice(2) into a socket of AF_ALG keeps the page in a scatterlist until
 * the result is read. Some kernels copy it instead.
 *
 * af_alg is a module, and up to 5.10 a module says nothing about its structures. Two of them are
 * taken as they have been since v4.14 (2d97591ef43d "crypto: af_alg - consolidation of duplicate
 * code"), and believed only as far as the lists in them are sound:
 *   alg_sock    sock; parent; refcnt, nokey_refcnt; type; private, which is an af_alg_ctx
 *   af_alg_ctx  begins with tsgl_list, a list of af_alg_tsgl: list; cur; sg[]
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include "collect/snap.h"

enum {
	AFTER_SOCK_PRIVATE = 24,
	TSGL_CUR = 16,
	TSGL_SG = 24,
	ENTRIES_MAX = 128, /* a tsgl fills a page */
	LISTS_MAX = 4096,
	HITS_MAX = 16,
};

#define PAGE_LINK_FLAGS 3ULL

struct hit {
	struct kpage *page;
	u32 refs;
};

struct walk {
	struct snap *s;
	struct hit hits[HITS_MAX];
	u32 n;
};

static void add_hit(struct walk *w, struct kpage *page)
{
	u32 i = 0;

	while (i < w->n && w->hits[i].page != page)
		i++;
	if (i == HITS_MAX) {
		snap_lost(w->s, LOSS_LOST, "cipher sockets", 1);
		return;
	}
	if (i == w->n)
		w->hits[w->n++] = (struct hit){ .page = page };
	w->hits[i].refs++;
}

static void take_scatterlist(struct walk *w, u64 tsgl)
{
	struct kmem *k = w->s->k;
	u64 size = k->field[KF_SCATTERLIST].off, link;
	char sg[ENTRIES_MAX * 64];
	u32 cur;

	if (kmem_read(k, tsgl + TSGL_CUR, &cur, sizeof(cur)) || cur > ENTRIES_MAX ||
	    cur * size > sizeof(sg) || kmem_read(k, tsgl + TSGL_SG, sg, cur * size))
		return;
	for (u32 i = 0; i < cur; i++) {
		struct kpage *page;

		memcpy(&link, sg + i * size + k->field[KF_SCATTERLIST_PAGE].off, sizeof(link));
		page = page_find(w->s, link & ~PAGE_LINK_FLAGS);
		if (page)
			add_hit(w, page);
	}
}

static void look_into(struct walk *w, u64 sk)
{
	struct kmem *k = w->s->k;
	u64 head, at, next, prev, before;

	w->n = 0;
	if (kmem_read(k, sk + k->field[KF_SOCK].off + AFTER_SOCK_PRIVATE, &head, sizeof(head)) ||
	    !kmem_is_kernel_ptr(head) || kmem_get(k, head, KF_LIST_NEXT, &at))
		return;
	before = head;
	for (u32 n = 0; at != head && n < LISTS_MAX; n++) {
		if (!kmem_is_kernel_ptr(at) || kmem_get(k, at, KF_LIST_NEXT, &next) ||
		    kmem_get(k, at, KF_LIST_PREV, &prev) || prev != before)
			return;
		take_scatterlist(w, at);
		before = at;
		at = next;
	}
}

static void tell_hold(struct snap *s, const struct hit *h, u64 inode)
{
	struct fact f = { .type = FACT_HOLD };
	struct fact_releaser *releasers = fds_releasers(s, inode, &f.hold.nr_releasers, NULL);
	u64 ino = 0;

	kmem_get(s->k, inode, KF_INODE_INO, &ino);
	f.hold.page = h->page->head;
	f.hold.how = HOW_SOCKET;
	f.hold.confidence = CONF_EXACT;
	f.hold.refs = h->refs;
	f.hold.object_kind = "socket";
	f.hold.object_id = snap_text(s, "socket:[%llu]", (unsigned long long)ino);
	f.hold.detail = "given to a cipher through AF_ALG, whose result was not read";
	f.hold.held_ns = FACT_UNKNOWN;
	f.hold.pipe_user = UINT32_MAX;
	f.hold.releasers = releasers;
	snap_emit(s, &f);
	free(releasers);
}

const char *walk_ciphers_lacks(const struct snap *s)
{
	return KMEM_LACKS(s->k, KF_SOCKET_ALLOC_INODE, KF_SOCK, KF_SCATTERLIST,
			  KF_SCATTERLIST_PAGE);
}

int walk_ciphers(struct snap *s)
{
	const struct kfds *f = &s->fds;

	for (u32 i = 0; i < f->nr_inodes && !s->err; i++) {
		u64 sk = S_ISSOCK(f->modes[i]) ? sock_of_inode(s, f->inodes[i]) : 0;
		struct walk w = { .s = s };

		if (!sk || sock_family(s, sk) != AF_ALG)
			continue;
		look_into(&w, sk);
		for (u32 j = 0; j < w.n; j++)
			tell_hold(s, &w.hits[j], f->inodes[i]);
	}
	return s->err;
}
