// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Device-mapper devices: bios that wait for a suspended one, and what a device is a target of. The
 * structs are private to a module, so they are recognised by what they contain.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "collect/snap.h"

enum {
	SPAN = 2048, /* of struct mapped_device */
	STEP = 256,
	TABLE_WORDS = 32, /* of struct dm_table, in which targets is */
	TYPE_MAX = 32,    /* DM_MAX_TYPE_NAME is 16 */
};

static u32 read_span(struct snap *s, u64 addr, u64 *words)
{
	u32 n = 0;

	while (n < SPAN && !kmem_read(s->k, addr + n, (char *)words + n, STEP))
		n += STEP;
	return n / sizeof(*words);
}

/* The words of the struct mapped_device of a gendisk, to which it points back; 0 it has none. */
static u32 read_device(struct snap *s, u64 disk, u64 *md, u64 *words)
{
	char name[4] = "";
	bool is_md = false;
	u32 n;

	kmem_read_string(s->k, kmem_at(s->k, disk, KF_DISK_NAME), name, sizeof(name));
	if (strcmp(name, "dm-") != 0 || kmem_get(s->k, disk, KF_DISK_PRIVATE, md) ||
	    !kmem_is_kernel_ptr(*md))
		return 0;
	n = read_span(s, *md, words);
	for (u32 i = 0; i < n; i++)
		is_md |= words[i] == disk;
	return is_md ? n : 0;
}

/* They are in mapped_device.deferred (drivers/md/dm.c, queue_io()). */
int dm_deferred_walk(struct snap *s, u64 disk, bio_fn fn, void *arg)
{
	u64 words[SPAN / sizeof(u64)], md;
	u32 n = read_device(s, disk, &md, words);
	int err = 0;

	for (u32 i = 0; i + 1 < n && err >= 0; i++)
		if (bio_list_is(s, words[i], words[i + 1], disk))
			err = bio_chain_walk(s, md + i * sizeof(*words), 0, 0, fn, arg);
	return err;
}

/* Size of a device in sectors, as sysfs tells it; 0 unknown. */
static u64 sectors_of(struct snap *s, u64 disk)
{
	struct kget g[] = { { disk, KF_DISK_MAJOR, 0, 0 }, { disk, KF_DISK_MINOR, 0, 0 } };
	char path[64], *text;
	u64 n = 0;

	if (kmem_getv(s->k, g, 2) || g[0].err || g[1].err)
		return 0;
	snprintf(path, sizeof(path), "/sys/dev/block/%u:%u/size", (u32)g[0].val, (u32)g[1].val);
	text = s->k->ops->read_file(s->k, path);
	if (text)
		n = strtoull(text, NULL, 10);
	free(text);
	return n;
}

/*
 * A struct dm_target starts with its table, its type and the sectors that it is for; a struct
 * target_type has its name second.
 */
static const char *type_of_target(struct snap *s, u64 target, u64 table, u64 sectors)
{
	struct {
		u64 table, type, begin, len;
	} t;
	char name[TYPE_MAX] = "";
	u64 at;

	if (!kmem_is_kernel_ptr(target) || target & 7 || kmem_read(s->k, target, &t, sizeof(t)) ||
	    t.table != table || t.begin || t.len != sectors || !kmem_is_kernel_ptr(t.type) ||
	    kmem_read(s->k, t.type + sizeof(u64), &at, sizeof(at)) ||
	    kmem_read_string(s->k, at, name, sizeof(name)) || !*name)
		return NULL;
	return snap_text(s, "%s", name);
}

/* A struct dm_table starts with its device. */
static const char *type_in_table(struct snap *s, u64 table, u64 md, u64 sectors)
{
	u64 words[TABLE_WORDS];
	const char *type = NULL;

	if (!kmem_is_kernel_ptr(table) || table & 7 ||
	    kmem_read(s->k, table, words, sizeof(words)) || words[0] != md)
		return NULL;
	for (u32 i = 1; i < TABLE_WORDS && !type; i++)
		type = type_of_target(s, words[i], table, sectors);
	return type;
}

const char *dm_target_type(struct snap *s, u64 disk)
{
	u64 words[SPAN / sizeof(u64)], md;
	u32 n = read_device(s, disk, &md, words);
	u64 sectors = n ? sectors_of(s, disk) : 0;
	const char *type = NULL;

	for (u32 i = 0; sectors && i < n && !type; i++)
		type = type_in_table(s, words[i], md, sectors);
	return type;
}
