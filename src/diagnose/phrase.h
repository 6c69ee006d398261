/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The words for what is in the graph, the same in verdicts and in reports. Each appends to sb.
 * What is not known is said to be unknown.
 */
#ifndef DIAGNOSE_PHRASE_H
#define DIAGNOSE_PHRASE_H

#include <daxtop/model.h>

#include "util/strbuf.h"

/* "segtrim[20911]"; of another thread than the first "segtrim[20911] thread 20915". */
void phrase_task(struct strbuf *sb, const struct wfg_task *task);

/* "/pmem1/db/seg.0042 (xfs on pmem0, ino 8391)"; file may be NULL. */
void phrase_file(struct strbuf *sb, const struct wfg_file *file);

/* "page 0x1a3 (byte 1716224)"; page may be NULL. */
void phrase_page(struct strbuf *sb, const struct wfg_page *page);

/* The page with its file; of an orphan where it is in its device instead. */
void phrase_page_of_file(struct strbuf *sb, const struct wfg_page *page);

/* What it waits for: "page 0x1a3 (byte 1716224)", "the DAX entry lock of page 0x1a3", "a lease". */
void phrase_what(struct strbuf *sb, const struct wfg_wait *wait);

/* The operation as a noun: "ftruncate", "hole punch". */
void phrase_op(struct strbuf *sb, const struct wfg_wait *wait);

/* The wait as a clause: "ftruncate by segtrim[20911] has waited 14m14s for page 0x1a3 of ..." */
void phrase_wait(struct strbuf *sb, const struct wfg_wait *wait);

/* "taken by feeder[4181]"; of another thread than the first with that. Its taker must be known. */
void phrase_taker(struct strbuf *sb, const struct fact_hold *hold);

/*
 * The end of a wait as a clause: "truncate by segtrim[20911] of /pmem1/x ended after 2.1s to 3.1s"
 */
void phrase_end(struct strbuf *sb, const struct fact_end *end);
/* "truncate by rm[12] freed page 0x5 of /pmem1/x under a live reference" */
void phrase_freed(struct strbuf *sb, const struct fact_freed *f);

/* "14m14s", "an unknown time" */
void phrase_time(struct strbuf *sb, u64 ns);

/* "1 reference", "2 references"; the plural is the noun with an s. */
void phrase_count(struct strbuf *sb, u64 n, const char *noun);

/* "; and so are 3 more pages"; nothing for none. */
void phrase_more_pages(struct strbuf *sb, u64 n);

/* Separator before item i of n in a list: nothing, ", " or " and ". */
const char *phrase_separator(u32 i, u32 n);

/* Distinct processes, one task of each, ordered by pid. */
struct processes {
	const struct wfg_task **t;
	u32 n;
	bool failed; /* out of memory: incomplete */
};

void processes_add_task(struct processes *p, const struct wfg_task *task);
/* Adds the tasks that can release the hold. */
void processes_add(struct processes *p, const struct wfg_hold *h);
/* Orders them and leaves one task of each process. */
void processes_sort(struct processes *p);
void processes_free(struct processes *p);

/* "a[1]", "a[1] and b[2]", "a[1], b[2], c[3] and 4 other processes"; at most max by name. */
void phrase_processes(struct strbuf *sb, const struct processes *p, u32 max);

/* As phrase_processes() for the tasks that can release one hold; "no known task" for none. */
void phrase_releasers(struct strbuf *sb, const struct wfg_hold *h, u32 max);

#endif
