// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * One snapshot that walks everything although nobody waits, and keeps no fact: what daxtrace does
 * to a machine on which somebody does. Exit status as daxtrace's.
 */
#include <stdio.h>

#include <daxtop/collect.h>

static int drop(void *arg, const struct fact *fact)
{
	(void)arg, (void)fact;
	return 0;
}

int main(void)
{
	struct snapshot_opts opts = { .walk_all = true };
	struct refusal why = { .status = STATUS_OK };

	if (!snapshot(&opts, drop, NULL, &why))
		return 0;
	fprintf(stderr, "walk_all: %s\n", why.cause);
	return why.status ? why.status : STATUS_ERROR;
}
