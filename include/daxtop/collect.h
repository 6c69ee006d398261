/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Collectors turn what the kernel holds into facts. */
#ifndef DAXTOP_COLLECT_H
#define DAXTOP_COLLECT_H

#include <stddef.h>

#include <daxtop/fact.h>

/* Exit statuses of contract.md that a collector can ask for. */
enum {
	STATUS_OK = 0,
	STATUS_ERROR = 1,   /* usage or runtime error */
	STATUS_NOTSUPP = 2, /* this kernel or build lacks what is needed */
	STATUS_NOPERM = 3,  /* a privilege is missing */
};

/*
 * Why something was refused: what the user reads on stderr. Filled once, printed once, at the top.
 */
struct refusal {
	int status;            /* exit status; STATUS_OK: nothing was refused */
	char cause[320];       /* "missing CAP_BPF and CAP_PERFMON" */
	char consequence[320]; /* "kernel memory cannot be read" */
	char command[320];     /* one command that helps; empty when none does */
};

/* Fills r, printf style for the cause; returns -1 so that a caller can return it. */
int refuse(struct refusal *r, int status, const char *consequence, const char *command,
	   const char *cause_fmt, ...) __attribute__((format(printf, 5, 6)));

/* What the user asked about: the union of its members, or every DAX mount when there is none. */
struct scope_member {
	char *path;               /* as given */
	u32 dev_major, dev_minor; /* of the filesystem */
	u64 ino;                  /* 0: the whole filesystem */
};

struct scope {
	struct scope_member *m;
	size_t n;
};

/*
 * Resolves PATH arguments: a file, a mount point or a block device. Never blocks for longer than
 * two seconds on a path. 0, or -1 with *why filled (path gone, not on DAX, does not answer).
 */
int scope_resolve(struct scope *s, char *const *paths, size_t n, struct refusal *why);
void scope_free(struct scope *s);
bool scope_matches(const struct scope *s, u32 dev_major, u32 dev_minor, u64 ino);

/*
 * Checks what the machine allows before anything is loaded: kernel BTF, capabilities, lockdown,
 * kptr_restrict. Emits one fact_probe each. 0, or -1 with *why filled when a snapshot cannot work;
 * in that case the probes have been emitted all the same.
 */
int preflight(fact_sink_fn sink, void *arg, struct refusal *why);

/* Persistent memory, such as that behind /dev/pmem0. */
struct pmem {
	const char *name; /* "pmem0", "namespace0.0", "region0"; the caller's */
	u64 start, end;   /* physical addresses */
};

/*
 * Resolves a block device of persistent memory, a namespace or a region. 0, or -1 with *why
 * filled. Never blocks for longer than some seconds.
 */
int pmem_resolve(struct pmem *d, const char *name, struct refusal *why);

/* Hooks that stay attached between looks, and what they have told. */
struct trace;

struct trace_opts {
	u64 ring_bytes; /* of the buffer that events go through */
	u64 max_waits;  /* that are followed at one time */
	u64 max_pins;   /* held pages of which takers are kept at one time; 0: hook none */
	u64 max_stacks; /* different stacks of takers that are kept at one time */
};

/*
 * The first look with it attaches the hooks; what this machine refuses is told as probes. Nothing
 * stays attached beyond trace_free() or the end of the process. NULL without memory.
 */
struct trace *trace_new(const struct trace_opts *opts);
void trace_free(struct trace *t); /* NULL-safe */

struct snapshot_opts {
	const struct scope *scope; /* waits on other files are left out */
	bool user_stacks;          /* symbolise user stacks of waiters and holders */
	const char *recording;     /* file that will keep the facts; NULL none */
	const char *image_write;   /* also save the kernel memory that was read; NULL no */
	const char *image_read;    /* look at a saved image, not at this machine; NULL no */
	const char *without;       /* pretend that the kernel hides this symbol; NULL no */
	u64 search_ns;             /* how long memory may be searched; 0 not at all */
	u64 pins_ns;               /* look for held pages, for so long in each look; 0 no */
	const struct pmem *unbind; /* look for all of its referenced pages; NULL no */
	struct trace *trace;       /* joins in with what its hooks saw; NULL none */
	bool walk_all;             /* run every walker though nobody waits: to measure them */
};

/* A machine, or a saved image, kept ready to be looked at again and again. */
struct source;

/*
 * Checks what the machine allows and loads what a look needs. opts and what it points to must
 * outlive the source; image_write is for snapshot() only. NULL with *why filled.
 */
struct source *source_open(const struct snapshot_opts *opts, struct refusal *why);

/* One look: emits what preflight() and snapshot() would. 0, or -1 with *why filled. */
int source_look(struct source *src, fact_sink_fn sink, void *arg, struct refusal *why);

void source_close(struct source *src);

/*
 * Looks at the machine once and emits the facts of every wait on a DAX page. Loads two BPF objects
 * for the time of the call and leaves nothing behind. 0, or -1 with *why filled.
 */
int snapshot(const struct snapshot_opts *opts, fact_sink_fn sink, void *arg, struct refusal *why);

/* Where libbpf and the collector report details; level 0 errors, 1 -v, 2 -vv. */
void collect_set_verbosity(int level);

#endif
