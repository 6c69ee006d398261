/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What is told of an object that the search of memory found, by what refers to it. */
#ifndef COLLECT_STRAYS_H
#define COLLECT_STRAYS_H

#include "collect/snap.h"

/* A hit in an object that is in use. */
struct used {
	struct khit hit;
	struct kpage *page; /* NULL: of another page, from which a bio_vec may reach a busy one */
	struct slab_object o;
	bool taken; /* accounted for by a bio */
	bool stale; /* may be what is left of a reference */
};

struct memory {
	struct snap *s;
	struct symbol_cache symbols;
	struct used *used;
	u32 nr_used;
	struct kbio *bios;
	u32 nr_bios;
};

/* Searches for words; what cannot be searched is told. 0, -ENOENT or -errno; free(found->v). */
int memory_search(struct snap *s, const struct krange *ranges, u32 n, struct kfound *found);

/* Tells what the hits are that are in no bio. 0 or -errno. */
int stray_objects_tell(struct memory *m);

/* A word in an object in use that points into one that was searched for. */
struct referrer {
	struct khit hit;
	struct slab_object o; /* that the word is in */
};

struct referrers {
	struct referrer *v;
	u32 n;
};

/*
 * Tells the holds of packets: those of referrers whose skb->head is what they point at. 0 or
 * -errno.
 */
int stray_skbs_tell(struct snap *s, const struct referrers *r);

/* Whom an object leads to that is of a kind unknown here. */
struct lead {
	u64 file;  /* struct file that is open; 0 none */
	u64 inode; /* of it; 0 none */
	bool is_socket;
	u64 task;        /* struct task_struct; 0 when there is an inode */
	const char *way; /* "refers to", "is referred to by what refers to" */
};

/* Addresses by which an object can be told to belong to somebody. */
struct leads {
	struct lead_known *v; /* by address */
	u32 n;
};

int leads_load(struct snap *s, struct leads *all); /* 0 or -ENOMEM */
void leads_free(struct leads *all);
/*
 * The one open file, socket or process to which the object leads: what it refers to itself, else
 * what its referrers do, else the objects that it points at. False when there is none or several.
 */
bool lead_find(struct snap *s, const struct leads *all, const struct slab_object *o,
	       const struct referrers *r, struct lead *ret);

#endif
