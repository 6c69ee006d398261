// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Who suffers from a wait, and who will not notice it. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "diagnose/phrase.h"
#include "diagnose/verdict.h"

#define NAMED 5 /* command names in the sentence */

struct group {
	const char *comm;
	u32 n;
};

static int compare_comm(const void *a, const void *b)
{
	return strcmp(((const struct group *)a)->comm, ((const struct group *)b)->comm);
}

/* Largest first. */
static int compare_size(const void *a, const void *b)
{
	const struct group *x = a, *y = b;

	if (x->n != y->n)
		return x->n < y->n ? 1 : -1;
	return compare_comm(a, b);
}

/* Queued tasks by command name; returns how many groups, 0 without memory. */
static u32 group_queued(const struct wfg_wait *wait, struct group **ret)
{
	struct group *g = calloc(wait->nr_queued, sizeof(*g));
	u32 n = 0;

	*ret = g;
	if (!g)
		return 0;
	for (u32 i = 0; i < wait->nr_queued; i++)
		g[i] = (struct group){ wait->queued[i].task->t.comm, 1 };
	qsort(g, wait->nr_queued, sizeof(*g), compare_comm);
	for (u32 i = 0; i < wait->nr_queued; i++) {
		if (n && !strcmp(g[n - 1].comm, g[i].comm))
			g[n - 1].n++;
		else
			g[n++] = g[i];
	}
	qsort(g, n, sizeof(*g), compare_size);
	return n;
}

static void phrase_groups(struct strbuf *sb, const struct group *g, u32 n)
{
	for (u32 i = 0; i < n && i < NAMED; i++) {
		sb_printf(sb, "%s%s", i ? ", " : "", g[i].comm);
		if (g[i].n > 1)
			sb_printf(sb, " x%u", g[i].n);
	}
	if (n > NAMED)
		sb_puts(sb, ", ...");
}

/* "i_rwsem", "i_rwsem and other locks"; nothing when no lock is known. */
static void phrase_locks(struct strbuf *sb, const struct wfg_wait *wait)
{
	const char *first = NULL;
	bool others = false;

	for (u32 i = 0; i < wait->nr_queued; i++) {
		const char *lock = wait->queued[i].lock;

		if (!first)
			first = lock;
		else if (!lock || strcmp(lock, first))
			others = true;
	}
	if (first)
		sb_printf(sb, " on %s%s", first, others ? " and other locks" : "");
}

static u32 behind_others(const struct wfg_wait *wait)
{
	u32 n = 0;

	for (u32 i = 0; i < wait->nr_queued; i++)
		n += wait->queued[i].depth > 0;
	return n;
}

static void phrase_behind_others(struct strbuf *sb, const struct wfg_wait *wait)
{
	u32 n = behind_others(wait);

	if (n)
		sb_printf(sb, ", %u of them through others", n);
}

static void explain_queue(struct verdict *v)
{
	const struct wfg_wait *wait = v->wait;
	struct strbuf sb = { 0 };
	struct group *groups;
	u32 n;

	if (!wait->nr_queued) {
		sb_puts(&sb, "No other task was seen queued behind it.");
		verdict_impact(v, &sb);
		return;
	}
	n = group_queued(wait, &groups);
	phrase_count(&sb, wait->nr_queued, "task");
	sb_puts(&sb, wait->nr_queued == 1 ? " queues behind it" : " queue behind it");
	phrase_locks(&sb, wait);
	phrase_behind_others(&sb, wait);
	sb_puts(&sb, wait->nr_queued == 1 ? ", for " : ", the longest for ");
	phrase_time(&sb, wait->queued[0].task->t.asleep_ns);
	sb_puts(&sb, ": ");
	phrase_groups(&sb, groups, n);
	sb_putc(&sb, '.');
	sb.failed |= !groups;
	free(groups);
	verdict_impact(v, &sb);
}

/* The worker, as opposed to a read that frees a range of its own file for itself. */
static void explain_window(struct verdict *v)
{
	const struct wfg_wait *wait = v->wait;
	struct strbuf sb = { 0 };

	if (wait->w.trigger != TRIGGER_DAX_WINDOW || !wait->task->t.kthread)
		return;
	sb_puts(&sb, "While it waits, no range of the DAX window is freed: once none is left, page "
		     "faults, reads and writes of all other files of this virtiofs sleep in state "
		     "D.");
	verdict_impact(v, &sb);
}

static void explain_nfs_client(struct verdict *v)
{
	const char *client = v->wait->task->t.nfs_client;
	struct strbuf sb = { 0 };

	if (!client)
		return;
	sb_printf(&sb,
		  "The waiter is a thread of the NFS server: its client %s waits for the "
		  "answer.",
		  client);
	verdict_impact(v, &sb);
}

void explain_impact(struct verdict *v)
{
	struct strbuf sb = { 0 };

	explain_queue(v);
	explain_window(v);
	explain_nfs_client(v);
	if (v->wait->w.spins) {
		sb_puts(&sb,
			"It takes the time of a whole CPU, and ends only when the page is idle.");
		verdict_impact(v, &sb);
	}
	if (v->wait->task->t.state != 'S')
		return;
	sb_puts(&sb, "The kernel log says nothing about the waiter: it sleeps in state S, and the "
		     "hung-task watchdog looks at state D only.");
	verdict_impact(v, &sb);
}
