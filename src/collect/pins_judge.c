// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Who has a reference is told from who took one, how many were released, by anybody, and how many
 * the page counts. Not every release is seen, nor whose reference it drops. So what a taker has for
 * certain is what it took, less all that is gone; and all that is left, if nobody else can have it.
 */
#include <string.h>

#include "collect/pins.h"

static s64 at_least_0(s64 n)
{
	return n > 0 ? n : 0;
}

/* How the references were taken adds up, and no slot was given to two pages at once. */
static bool is_consistent(const struct pin_entry *e, u32 *takers)
{
	u64 sum = e->p.others;

	*takers = e->p.others ? 2 : 0;
	for (int i = 0; i < PIN_TAKERS; i++) {
		const struct pin_taker *t = &e->p.takers[i];

		if (!t->task)
			continue;
		if (t->key != e->key)
			return false;
		sum += t->refs;
		++*takers;
	}
	return sum == e->p.taken;
}

/* Whether each that was released was released while one of its takers ran. */
static bool releases_are_theirs(const struct pin_page *p)
{
	u64 given = 0;

	for (int i = 0; i < PIN_TAKERS; i++) {
		const struct pin_taker *t = &p->takers[i];

		if (t->task && t->given > t->refs)
			return false;
		given += t->task ? t->given : 0;
	}
	return given == p->released;
}

static struct pin_claim claim_of(const struct pin_taker *t, s64 sure, s64 left, bool theirs)
{
	struct pin_claim c = { .confidence = CONF_CANDIDATE };

	if (sure > 0) {
		c.confidence = CONF_EXACT;
		c.refs = sure;
		c.since_taken = sure == t->refs;
	} else if (left > 0 && theirs && t->refs > t->given) {
		c.confidence = CONF_LIKELY;
		c.refs = t->refs - t->given;
	}
	return c;
}

void pins_judge(const struct pin_entry *e, s64 now, s64 before, bool all_seen,
		struct pin_claim claim[PIN_TAKERS])
{
	s64 left = at_least_0((s64)e->p.taken - e->p.released);
	s64 missing = at_least_0(left - at_least_0(now - at_least_0(before)));
	s64 gone = e->p.released + missing;
	bool theirs = !missing && releases_are_theirs(&e->p);
	u32 takers;

	memset(claim, 0, PIN_TAKERS * sizeof(*claim));
	if (!is_consistent(e, &takers))
		return;
	for (int i = 0; i < PIN_TAKERS; i++) {
		const struct pin_taker *t = &e->p.takers[i];
		bool alone = takers == 1 && before <= 0;

		if (!t->task)
			continue;
		claim[i] = claim_of(t, alone ? left - missing : t->refs - gone, left - missing,
				    theirs);
		/* another's reference, taken unseen, may make up for this one's unseen release */
		if (claim[i].confidence == CONF_EXACT && !alone && !all_seen)
			claim[i].confidence = CONF_LIKELY;
	}
}
