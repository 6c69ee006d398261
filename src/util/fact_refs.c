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

s64 fact_page_taken(const struct fact_page *p, s64 *pins, s64 *mapped)
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
	*pins = rest / PIN_BIAS;
	return *pins + rest % PIN_BIAS;
}
