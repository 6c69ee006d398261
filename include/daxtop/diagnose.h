/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Findings: what the wait-for graph means and what safely ends it. Pure functions of the graph. */
#ifndef DAXTOP_DIAGNOSE_H
#define DAXTOP_DIAGNOSE_H

#include <daxtop/model.h>

enum finding_code {
	FINDING_BLOCKED = 0,
	FINDING_LOST_WAKEUP,
	FINDING_SELF_DEADLOCK,
	FINDING_UNPROTECTED_FREE,
	FINDING_UNBIND,
	FINDING_DEADLOCK,
	FINDING_SUSPECTED_DEADLOCK, /* a circle of which not every step was seen */
	FINDING_ENTRY_LOCK,
	FINDING_LEASE,
	FINDING_MAX,
};

struct advice {
	char *action;          /* a command for a person to run, or a sentence; JSON "do" */
	bool command;          /* action is a shell command: show it unbroken */
	char *effect;          /* what it does and what it loses */
	const char *proven_by; /* scenario that followed it and saw it work; NULL none */
};

struct sentences {
	char **s;
	u32 n;
};

/* One task of a circle: it waits for something that the next one has, the last for the first. */
struct cycle_step {
	const struct wfg_task *task;
	const struct wfg_wait *wait; /* it waits for a page; with sleeps: not now */
	const struct wfg_hold *hold; /* by which the next task has the page; NULL: see sleeps */
	const struct wfg_queued
		*sleeps; /* the lock, or pipe, that the next task has; NULL: see hold */
	bool proven;     /* seen, and nobody but the next task could end it */
};

struct cycle {
	const struct cycle_step *steps; /* n of them; the first is of the waiter */
	u32 n;
	bool proven;               /* each step is */
	const struct wfg_wait *of; /* whose search found it: they share it who are in no other */
	struct cycle_step *own;    /* what is to be freed with it; NULL it is shared */
};

/* From this age on a wait is no longer called slow, but stuck. */
#define FINDING_STUCK_NS (60 * 1000000000ULL)

struct finding {
	enum finding_code code;
	const struct wfg_wait *wait; /* the wait it explains; NULL: it is about no wait */
	char *text;              /* the verdict: one sentence; like all text here, unsanitised */
	struct sentences cause;  /* what keeps the page busy, strongest evidence first */
	struct sentences impact; /* who suffers, and who will not notice */
	struct advice *advice;   /* safest first */
	u32 nr_advice;
	struct sentences notes; /* what does not help, and why */
	struct cycle cycle;     /* of a deadlock; n is 0 for others */
	/*
	 * The first wait with a finding on the same tasks in a circle; itself if it is the first.
	 */
	const struct wfg_wait *cycle_of;
};

/* Whether it is told step by step: a large circle is once, not for each of its tasks. */
bool finding_tells_cycle(const struct finding *f);

struct findings {
	struct finding *f; /* worst first, then oldest */
	size_t n;
};

/*
 * Fills *ret with one finding per wait of a linked graph, and with what is found though nobody
 * waits. 0 or -ENOMEM.
 */
int diagnose(const struct wfg *g, struct findings *ret);
void findings_free(struct findings *f);

const char *finding_code_name(enum finding_code code); /* "BLOCKED" */

/*
 * Exit status under -e (contract.md): 0 nothing; 10 waits and every reference exact; 11 waits and
 * some reference only likely or unattributed; 12 deadlock or lost wake-up; 13 nothing found, but
 * records were lost. With --before-unbind: of the device's pages, whether or not somebody waits.
 */
int findings_exit_status(const struct wfg *g, const struct findings *f);

#endif
