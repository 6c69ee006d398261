// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * A walker finds who has a reference now; hooks saw who took it, when and where. Both are facts,
 * and often of one reference: then the walker's hold stays and learns from the other. A taker whose
 * reference no walker found stays as a hold of its own, as far as the page has references that
 * nobody else explains; against what is only likely it is in the right.
 */
#include "model/graph.h"

/* Holds of one page that are matched with each other. */
enum { JOIN_MAX = 1024 };

struct joint {
	struct wfg_hold **holds; /* n of them, of one page */
	u32 n;
};

/* Of a candidate no look has seen a reference: there is nothing to be one with. */
static bool is_found(const struct wfg_hold *h)
{
	return h->seen == SEEN_SNAPSHOT && h->h.how != HOW_MAPPING &&
	       h->h.confidence != CONF_CANDIDATE;
}

/* A page in a pipe may be moved on to a socket, and I/O be known only by its kind. */
static u32 family(enum fact_how how)
{
	switch (how) {
	case HOW_VMSPLICE:
	case HOW_SOCKET:
	case HOW_ZEROCOPY:
		return HOW_VMSPLICE;
	case HOW_DIRECT_IO:
	case HOW_AIO:
	case HOW_IO_URING:
		return HOW_DIRECT_IO;
	default:
		return how;
	}
}

static bool has_task(const struct wfg_hold *h, u32 pid)
{
	for (u32 i = 0; i < h->nr_releasers; i++)
		if (h->releasers[i].task->t.pid == pid)
			return true;
	return false;
}

/* The first rules fit best. */
enum { RULES = 4 };

static bool matches(const struct wfg_hold *found, const struct wfg_hold *taken, int rule)
{
	bool same_task = has_task(found, taken->h.taker_pid), nobody = !found->nr_releasers;

	switch (rule) {
	case 0:
		return found->h.how == taken->h.how && same_task;
	case 1:
		return family(found->h.how) == family(taken->h.how) && same_task;
	case 2:
		return family(found->h.how) == family(taken->h.how) &&
		       (nobody || family(taken->h.how) == HOW_VMSPLICE);
	default:
		return (found->h.how == HOW_UNKNOWN && (same_task || nobody)) ||
		       (taken->h.how == HOW_UNKNOWN && same_task);
	}
}

static void learn_taker(struct fact_hold *found, const struct fact_hold *taken)
{
	found->taker_pid = taken->taker_pid;
	found->taker_tid = taken->taker_tid;
	for (int i = 0; i <= FACT_COMM_LEN; i++)
		found->taker_comm[i] = taken->taker_comm[i];
	found->kstack = taken->kstack;
	if (taken->held_ns != FACT_UNKNOWN)
		found->held_ns = taken->held_ns;
	/* what was in a pipe is elsewhere now, if it was found in an object of another kind */
	if (found->how == HOW_UNKNOWN && family(taken->how) != HOW_VMSPLICE)
		found->how = taken->how;
	if (!found->detail)
		found->detail = taken->detail;
}

/* The first refs references of both are the same. */
static void learn(struct wfg_hold *found, const struct wfg_hold *taken, u32 refs)
{
	bool oldest = !found->traced ||
		      (taken->h.held_ns != FACT_UNKNOWN &&
		       (found->h.held_ns == FACT_UNKNOWN || taken->h.held_ns > found->h.held_ns));

	if (refs >= found->h.refs && taken->h.confidence > found->h.confidence)
		found->h.confidence = taken->h.confidence;
	if (!found->nr_releasers && taken->nr_releasers) {
		found->releasers = taken->releasers;
		found->nr_releasers = taken->nr_releasers;
		found->h.nr_releasers = taken->h.nr_releasers;
	}
	if (oldest)
		learn_taker(&found->h, &taken->h);
	found->traced = true;
}

/* References of a found hold that no taker has been matched with. */
static u32 room_in(const struct wfg_hold *found, u32 matched)
{
	return found->h.refs > matched ? found->h.refs - matched : 0;
}

/* Matched references leave the taker's fact, and it goes when none is left. */
static void match(struct joint *j, int rule, u32 *matched)
{
	for (u32 t = 0; t < j->n; t++) {
		struct wfg_hold *taken = j->holds[t];

		for (u32 f = 0; f < j->n && taken->seen == SEEN_TRACE && taken->h.refs; f++) {
			struct wfg_hold *found = j->holds[f];
			u32 room = is_found(found) ? room_in(found, matched[f]) : 0;
			u32 refs = room < taken->h.refs ? room : taken->h.refs;

			if (!refs || !matches(found, taken, rule))
				continue;
			learn(found, taken, refs);
			matched[f] += refs;
			taken->h.refs -= refs;
		}
	}
}

static s64 found_refs(const struct joint *j)
{
	s64 sum = 0;

	for (u32 i = 0; i < j->n; i++)
		if (is_found(j->holds[i]))
			sum += j->holds[i]->h.refs;
	return sum;
}

/* What is only likely, and was not seen being taken, gives way; returns how many references do. */
static s64 make_room(struct joint *j, s64 wanted)
{
	s64 made = 0;

	for (u32 i = 0; i < j->n && made < wanted; i++) {
		struct wfg_hold *h = j->holds[i];
		s64 refs = wanted - made;

		if (!is_found(h) || h->traced || h->h.confidence != CONF_LIKELY)
			continue;
		refs = refs < h->h.refs ? refs : h->h.refs;
		h->h.refs -= refs;
		made += refs;
		if (!h->h.refs)
			h->h.confidence = CONF_CANDIDATE;
	}
	return made;
}

/* What is left of the takers is theirs only as far as the page has so many references. */
static void limit_takers(struct joint *j, const struct fact_page *page)
{
	s64 pins, mapped, sum = found_refs(j);
	s64 room = fact_page_taken(page, sum, 0, &pins, &mapped) - sum;

	for (u32 i = 0; i < j->n; i++) {
		struct wfg_hold *h = j->holds[i];

		if (h->seen != SEEN_TRACE || !h->h.refs)
			continue;
		room = room > 0 ? room : 0;
		if (h->h.confidence == CONF_EXACT && h->h.refs > room)
			room += make_room(j, h->h.refs - room);
		if (h->h.refs > room)
			h->h.refs = room;
		room -= h->h.refs;
	}
}

static bool says_something(const struct wfg_hold *h)
{
	return h->seen != SEEN_TRACE || h->h.refs || h->h.confidence == CONF_CANDIDATE;
}

u32 join_holds(const struct fact_page *page, struct wfg_hold **holds, u32 n)
{
	struct joint j = { holds, n };
	u32 matched[JOIN_MAX] = { 0 }, kept = 0;
	bool traced = false;

	for (u32 i = 0; i < n; i++)
		traced |= holds[i]->seen == SEEN_TRACE;
	if (!traced)
		return n;
	/* more than that are not told apart, but neither counted twice */
	j.n = n < JOIN_MAX ? n : JOIN_MAX;
	for (int rule = 0; rule < RULES; rule++)
		match(&j, rule, matched);
	j.n = n;
	limit_takers(&j, page);
	for (u32 i = 0; i < n; i++)
		if (says_something(holds[i]))
			holds[kept++] = holds[i];
	return kept;
}
