// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* What the reference count of a page says. */
#include <daxtop/fact.h>

/*
 * A FOLL_PIN of a page that keeps no separate count adds this to the reference count
 * (GUP_PIN_COUNTING_BIAS, include/linux/mm.h).
 */
#define PIN_BIAS 1024

/* The kernel keeps these counts in an int. */
static s64 sane(s64 count)
{
	if (count > INT32_MAX)
		return INT32_MAX;
	return count < INT32_MIN ? INT32_MIN : count;
}

static s64 between(s64 low, s64 value, s64 high)
{
	if (value > high)
		value = high;
	return value < low ? low : value;
}

/*
 * How many pins a count means: PIN_BIAS plain references look like one pin. Plain references that
 * were seen are none, and for the rest that reading holds which comes closest to what was seen.
 */
static s64 count_pins(s64 count, s64 seen, s64 gets)
{
	s64 nearest = (count - seen + (PIN_BIAS - 1) / 2) / (PIN_BIAS - 1);

	return between(0, nearest, between(0, count - gets, count) / PIN_BIAS);
}

s64 fact_page_taken(const struct fact_page *p, s64 seen, s64 gets, s64 *pins, s64 *mapped)
{
	s64 above = between(0, sane(p->refs) - sane(p->idle_refs), INT32_MAX);
	s64 rest;

	*mapped = between(0, p->mapcount, above);
	rest = above - *mapped;
	if (p->pincount >= 0) {
		/* A large folio: each pin is one reference and counted apart. */
		*pins = between(0, p->pincount, rest);
		return rest;
	}
	*pins = count_pins(rest, seen, gets);
	return rest - *pins * (PIN_BIAS - 1);
}
