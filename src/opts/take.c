// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* From the text of an argument to what it means. */
#include "opts/parts.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "util/quantity.h"

static bool within(const struct opt_def *d, u64 n)
{
	return n >= d->min && (!d->max || n <= d->max);
}

static bool take_number(const struct opt_def *d, const char *arg, u64 *n)
{
	char *end;

	errno = 0;
	*n = strtoull(arg, &end, 10);
	return *arg >= '0' && *arg <= '9' && !*end && !errno && *n && within(d, *n);
}

/* The number of the word, or -1. */
static int find_word(const struct opt_def *d, const char *arg)
{
	const char *word;

	for (u32 i = 0; d->word && (word = d->word(i)); i++)
		if (!strcmp(word, arg))
			return i;
	return -1;
}

static bool take_time(const struct opt_def *d, const char *arg, u64 *ns)
{
	if (find_word(d, arg) >= 0) {
		*ns = 0;
		return true;
	}
	return quantity_time(arg, ns) && within(d, *ns);
}

static bool take_word(const struct opt_def *d, const char *arg, int *which)
{
	int i = find_word(d, arg);

	if (i >= 0)
		*which = i;
	return i >= 0;
}

static const char *wanted(const struct opt_def *d)
{
	if (d->wanted)
		return d->wanted;
	switch (d->kind) {
	case OPT_TIME:
		return "a time with a unit, us, ms, s, min, h or d, as in 10s";
	case OPT_NUMBER:
		return "a number from 1 on";
	default:
		return "something else";
	}
}

/* false: the argument is not what it has to be. */
static bool take(void *at, const struct opt_def *d, const char *arg)
{
	switch (d->kind) {
	case OPT_FLAG:
		*(bool *)at = true;
		return true;
	case OPT_COUNTER:
		++*(u32 *)at;
		return true;
	case OPT_WORD:
	case OPT_COMPLETION:
		return take_word(d, arg, at);
	case OPT_NUMBER:
		return take_number(d, arg, at);
	case OPT_TIME:
		return take_time(d, arg, at);
	case OPT_SIZE:
		return quantity_size(arg, at) && within(d, *(u64 *)at);
	case OPT_COLUMN:
		*(const char **)at = arg;
		return find_word(d, arg + (*arg == '-')) >= 0;
	default:
		*(const char **)at = arg;
		return true;
	}
}

int opt_take(struct opts *o, const struct opt_def *d, const char *arg, char *error, size_t len)
{
	arg = arg ? arg : d->otherwise;
	if (d->kind == OPT_FILTER)
		return opt_add_filter(&o->filter, d, arg, error, len);
	if (take((char *)o + d->at, d, arg))
		return 0;
	snprintf(error, len, "--%s=%s: it is %s", d->name, arg, wanted(d));
	return -EINVAL;
}
