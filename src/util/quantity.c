// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "util/quantity.h"

#include <ctype.h>
#include <stddef.h>
#include <string.h>

struct unit {
	const char *name;
	u64 factor;
};

static const struct unit *find_unit(const struct unit *units, const char *name)
{
	for (; units->name; units++)
		if (!strcmp(units->name, name))
			return units;
	return NULL;
}

/* What stands behind the digits and the point. */
static const char *unit_of(const char *text)
{
	return text + strspn(text, "0123456789.");
}

/* Digits, times factor. Stops at the first other character; false when it does not fit. */
static bool whole_part(const char *text, u64 factor, u64 *value)
{
	*value = 0;
	for (; isdigit((unsigned char)*text); text++)
		if (__builtin_mul_overflow(*value, 10, value) ||
		    __builtin_add_overflow(*value, (u64)(*text - '0'), value))
			return false;
	return !__builtin_mul_overflow(*value, factor, value) && *value <= INT64_MAX;
}

/* What the digits behind the point are of factor; what is below one is dropped. */
static u64 fraction(const char *text, u64 factor)
{
	u64 value = 0;

	for (; isdigit((unsigned char)*text); text++) {
		value += factor * (*text - '0') / 10;
		factor /= 10;
	}
	return value;
}

static bool quantity(const char *text, const struct unit *units, u64 *value)
{
	const struct unit *unit = find_unit(units, unit_of(text));
	const char *point = strchr(text, '.');

	if (!unit || !isdigit((unsigned char)text[0]) || !whole_part(text, unit->factor, value))
		return false;
	if (point && (!isdigit((unsigned char)point[1]) || strchr(point + 1, '.')))
		return false;
	if (point)
		*value += fraction(point + 1, unit->factor);
	return *value > 0;
}

bool quantity_time(const char *text, u64 *ns)
{
	static const struct unit units[] = {
		{ "us", 1000 },
		{ "ms", 1000000 },
		{ "s", 1000000000 },
		{ "min", 60000000000ULL },
		{ "h", 3600000000000ULL },
		{ "d", 86400000000000ULL },
		{ NULL, 0 },
	};

	return quantity(text, units, ns);
}

bool quantity_size(const char *text, u64 *bytes)
{
	static const struct unit units[] = {
		{ "", 1 }, { "K", 1 << 10 }, { "M", 1 << 20 }, { "G", 1 << 30 }, { NULL, 0 },
	};

	return quantity(text, units, bytes);
}
