/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Programs that run when something happens, by table. A row is one thing to be told; its targets
 * are the functions that can tell it, newest first, each with a program for a trampoline (fentry,
 * fexit) and a twin for a kprobe. What is chosen is what can be attached: of each row one program
 * or none. Nothing outlives the process: a link is a file descriptor, and nothing is pinned.
 */
#ifndef DAXTOP_HOOKS_H
#define DAXTOP_HOOKS_H

#include "collect/kmem.h"

struct bpf_object;

enum { HOOK_TARGETS = 3 };

struct hook_target {
	const char *function;
	const char *traced; /* program of type fentry or fexit; NULL none */
	const char *probed; /* program of type kprobe or kretprobe; NULL none */
};

struct hook {
	const char *name;   /* as --check prints it */
	const char *module; /* that has the function; NULL: the kernel proper */
	const char *when;   /* only if the kernel proper has this function; NULL always */
	const char *unless; /* only if it has not; NULL always */
	bool required;      /* without it none of the others is worth attaching */
	const char *costs;  /* what is lost without it */
	struct hook_target target[HOOK_TARGETS];
};

struct hooks;

/* Changes an object before it is loaded, such as the size of a map. 0 or -errno. */
typedef int (*hooks_prepare_fn)(void *arg, struct bpf_object *obj);

/*
 * Loads the BPF object in the len bytes at elf and attaches what the n rows of the table ask for.
 * Never fails for want of a privilege: hooks_tell() then says so. NULL without memory.
 */
struct hooks *hooks_open(const void *elf, size_t len, const struct hook *table, u32 n,
			 hooks_prepare_fn prepare, void *arg);
void hooks_close(struct hooks *h); /* NULL-safe */

/* Attaches what belongs to modules that were loaded meanwhile. */
void hooks_retry(struct hooks *h);

/* Whether the required ones are attached. */
bool hooks_work(const struct hooks *h);

/* File descriptor of a map; -1 when nothing could be loaded. */
int hooks_map(const struct hooks *h, const char *name);

/*
 * By how much a counter in an array map, of type u64, has grown since it was *told, which it then
 * is; 0 when the map cannot be read.
 */
u64 hooks_growth(const struct hooks *h, const char *map, u32 counter, u64 *told);

/* A FACT_PROBE for each row that this machine can need. 0 or the sink's error. */
int hooks_tell(const struct hooks *h, fact_sink_fn sink, void *arg);

#endif
