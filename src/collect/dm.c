// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Bios that wait for a suspended device-mapper device. */
#include <errno.h>
#include <string.h>

#include "collect/snap.h"

enum { SPAN = 2048 /* of struct mapped_device */, STEP = 256 };

static u32 read_span(struct snap *s, u64 addr, u64 *words)
{
	u32 n = 0;

	while (n < SPAN && !kmem_read(s->k, addr + n, (char *)words + n, STEP))
		n += STEP;
	return n / sizeof(*words);
}

/*
 * They are in mapped_device.deferred (drivers/md/dm.c, queue_io()). The struct is private to a
 * module, so both are recognised by what they contain: it points back to its gendisk, and its list
 * consists of bios.
 */
int dm_deferred_walk(struct snap *s, u64 disk, bio_fn fn, void *arg)
{
	u64 words[SPAN / sizeof(u64)], md;
	char name[4] = "";
	bool is_md = false;
	u32 n;
	int err = 0;

	kmem_read_string(s->k, kmem_at(s->k, disk, KF_DISK_NAME), name, sizeof(name));
	if (strcmp(name, "dm-") != 0 || kmem_get(s->k, disk, KF_DISK_PRIVATE, &md) ||
	    !kmem_is_kernel_ptr(md))
		return 0;
	n = read_span(s, md, words);
	for (u32 i = 0; i < n; i++)
		is_md |= words[i] == disk;
	for (u32 i = 0; is_md && i + 1 < n && err >= 0; i++)
		if (bio_list_is(s, words[i], words[i + 1]))
			err = bio_chain_walk(s, md + i * sizeof(*words), 0, 0, fn, arg);
	return err;
}
