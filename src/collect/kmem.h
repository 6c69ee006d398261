/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Kernel memory as the walkers see it. Two backends: live (the running kernel, through the peek
 * program) and image (the memory that another run read, saved), so that every walker runs on any
 * machine. Nothing is locked while it is read: an address that faults is an answer, and a walker
 * checks what it followed.
 */
#ifndef DAXTOP_KMEM_H
#define DAXTOP_KMEM_H

#include <stddef.h>

#include <daxtop/collect.h>
#include <daxtop/records.h>

#include "collect/kfield.h"

/* Kernel symbols whose address the walkers need; 0 in kmem.sym when the kernel hides it. */
#define KSYMS(X)                                \
	X(BIT_WAIT_TABLE, "bit_wait_table")     \
	X(PGMAP_ARRAY, "pgmap_array")           \
	X(VMEMMAP_BASE, "vmemmap_base")         \
	X(PAGE_OFFSET_BASE, "page_offset_base") \
	X(FPUT, "____fput")                     \
	X(IO_URING_FOPS, "io_uring_fops")       \
	X(BLOCKDEV_SB, "blockdev_superblock")   \
	X(TCP_HASHINFO, "tcp_hashinfo")         \
	X(NET_LIST, "net_namespace_list")       \
	X(PER_CPU_OFFSET, "__per_cpu_offset")   \
	X(SOFTNET_DATA, "softnet_data")         \
	X(NET_HOTDATA, "net_hotdata")           \
	X(MAX_PFN, "max_pfn")                   \
	X(NR_CPU_IDS, "nr_cpu_ids")             \
	X(NR_NODE_IDS, "nr_node_ids")           \
	X(JIFFIES, "jiffies_64")

enum ksym {
#define KSYM_ENUM(id, name) KSYM_##id,
	KSYMS(KSYM_ENUM)
#undef KSYM_ENUM
		KSYM_MAX,
};

const char *ksym_name(enum ksym s);

/* One range to read. */
struct kread {
	u64 addr;
	void *dst;
	u32 len; /* bytes */
	s32 err; /* answer: 0 or -EFAULT (dst is then zeroed) */
};

/* One field to read, zero-extended; fields up to 8 bytes. */
struct kget {
	u64 obj; /* address of the outer struct */
	enum kf f;
	u64 val; /* answer; 0 on error */
	s32 err; /* answer: 0, -EFAULT, -ENOENT when this kernel has no such field */
};

/* What to look for: aligned words in slab memory whose value is in one of the ranges [lo, hi). */
struct krange {
	u64 lo, hi;
};

struct ksearch {
	const struct krange *ranges; /* n of them, ascending and apart */
	u32 n;
	u64 vmemmap, direct_map; /* as in struct arch */
	u64 budget_ns;           /* no slab is begun after so much time */
};

static inline bool ksearch_wants(const struct ksearch *q, u64 val)
{
	u32 lo = 0, hi = q->n;

	while (lo < hi) {
		u32 mid = lo + (hi - lo) / 2;

		if (val >= q->ranges[mid].hi)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo < q->n && val >= q->ranges[lo].lo;
}

/* Where such a word is, and its value. */
struct khit {
	u64 addr, val;
};

struct kfound {
	struct khit *v; /* malloc'ed; in the order of their addresses within each pass */
	u32 n;
	u64 lost;  /* hits beyond what is kept */
	u64 bytes; /* memory that was searched */
	u64 left;  /* memory that was not for lack of time */
	u64 ns;    /* time it took */
};

/* One more, or one more lost if there are max. 0 or -ENOMEM. */
int kfound_add(struct kfound *f, u32 max, u64 addr, u64 val);

/* Struct pages to look at: those at [first, end), whose number is whole. */
struct kscan {
	u64 first, end;
	u64 vmemmap;     /* as in struct arch */
	s64 idle_refs;   /* a count above it is found */
	bool mapped_too; /* also if the rest are page table entries, where these count */
	u64 budget_ns;   /* nothing more is read after so much time */
};

struct kmem;

struct kmem_ops {
	/* Fills every r[i].err; 0, or -errno when nothing could be read at all. */
	int (*readv)(struct kmem *k, struct kread *r, size_t n);
	/* "name+0xoff/0xsize [module]" per address, malloc'ed, NULL unknown. 0 or -errno. */
	int (*symbolize)(struct kmem *k, const u64 *addrs, char **names, size_t n);
	/* All tasks, malloc'ed. 0 or -errno. */
	int (*tasks)(struct kmem *k, struct task_rec **recs, size_t *n);
	/*
	 * Text of a small file below /proc or /sys, malloc'ed and NUL-terminated; NULL when it is
	 * not there or does not answer within a second.
	 */
	char *(*read_file)(struct kmem *k, const char *path);
	/* Reads the clocks anew before a further look. 0 or -errno; NULL: time stands still. */
	int (*renew)(struct kmem *k);
	/* See kmem_search(); NULL never. */
	int (*search)(struct kmem *k, const struct ksearch *q, struct kfound *found);
	/* See kmem_scan(); NULL never. */
	int (*scan)(struct kmem *k, const struct kscan *q, struct kfound *found);
	void (*close)(struct kmem *k);
};

/* When the memory was looked at. */
struct kmem_time {
	s64 sec; /* CLOCK_REALTIME */
	u32 nsec;
	s32 utc_offset; /* seconds east of UTC */
	u64 mono_ns;    /* CLOCK_MONOTONIC */
	u64 tick_ns;    /* length of a jiffy; 0 unknown */
};

struct kmem {
	const struct kmem_ops *ops;
	struct kfield field[KF_MAX];
	u64 sym[KSYM_MAX];
	u64 self; /* task_struct of this process */
	u64 now;  /* rq clock, ns, comparable to sched_info.last_arrival */
	struct kmem_time time;
	bool symbols_by_file; /* /proc/kallsyms was read because the kernel has no helper */
};

/* The running kernel. NULL with *why filled when it cannot be read. */
struct kmem *kmem_live(struct refusal *why);

/* What collect_set_verbosity() set. */
int collect_verbosity(void);

/* A saved image. NULL with *why filled: what is wrong, and in which line. */
struct kmem *kmem_image(const char *path, struct refusal *why);

/*
 * Wraps a backend so that everything read through it is kept; close writes the image to path.
 * NULL without memory. kmem_record_error() tells whether the write failed.
 */
struct kmem *kmem_record(struct kmem *inner, const char *path);

/* Writes what was kept, when k is a recorder. 0 or -errno. */
int kmem_record_save(struct kmem *k);

void kmem_close(struct kmem *k); /* NULL-safe */

int kmem_readv(struct kmem *k, struct kread *r, size_t n);
/* 0, -ENOENT when memory cannot be searched, or -errno; free(found->v) in any case. */
int kmem_search(struct kmem *k, const struct ksearch *q, struct kfound *found);
/*
 * Struct pages that are referenced: address and count of each, ascending; bytes and left are of
 * struct pages. 0, -ENOENT when they cannot be scanned, or -errno; free(found->v) in any case.
 */
int kmem_scan(struct kmem *k, const struct kscan *q, struct kfound *found);
/* One range of any length. 0, or -EFAULT when any part faults. */
int kmem_read(struct kmem *k, u64 addr, void *dst, size_t len);
/* Many fields in one go; answers in g[]. 0, or -errno when nothing could be read at all. */
int kmem_getv(struct kmem *k, struct kget *g, size_t n);
/* One field. 0, -EFAULT or -ENOENT; *val is 0 then. */
int kmem_get(struct kmem *k, u64 obj, enum kf f, u64 *val);

static inline bool kmem_has(const struct kmem *k, enum kf f)
{
	return k->field[f].off != KFIELD_MISSING;
}

/* The name in the table of the first of n fields that this kernel lacks; NULL: it has them all. */
const char *kmem_lacks(const struct kmem *k, const enum kf *fields, size_t n);
#define KMEM_LACKS(k, ...)                              \
	kmem_lacks(k, (const enum kf[]){ __VA_ARGS__ }, \
		   sizeof((const enum kf[]){ __VA_ARGS__ }) / sizeof(enum kf))

/* The name of a symbol that this kernel hides; NULL: it has it. */
static inline const char *kmem_hides(const struct kmem *k, enum ksym s)
{
	return k->sym[s] ? NULL : ksym_name(s);
}

/*
 * A NUL-terminated kernel string of fewer than size bytes. 0 or -EFAULT; buf is terminated in any
 * case and cut when the string is longer.
 */
int kmem_read_string(struct kmem *k, u64 addr, char *buf, size_t size);

/* Address of a field in an object. The field must exist. */
static inline u64 kmem_at(const struct kmem *k, u64 obj, enum kf f)
{
	return obj + k->field[f].off;
}

/* Address of the object whose field is at addr. */
static inline u64 kmem_container(const struct kmem *k, u64 addr, enum kf f)
{
	return addr - k->field[f].off;
}

/* A kernel address on x86-64: in the upper half and not an error pointer. */
static inline bool kmem_is_kernel_ptr(u64 addr)
{
	return addr >= 0xff00000000000000ULL && addr < (u64)-4096;
}

#endif
