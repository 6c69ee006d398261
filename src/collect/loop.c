// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* What is behind a loop device. */
#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#include "collect/snap.h"

enum { SPAN = 384 /* of struct loop_device, in which lo_backing_file is on 5.10 to 7.2 */ };

/* An inode is recognised by i_mapping pointing at its own i_data. */
static bool is_open_file(struct snap *s, u64 addr)
{
	u64 inode, mapping, mode;

	return kmem_is_kernel_ptr(addr) && !(addr & 7) &&
	       !kmem_get(s->k, addr, KF_FILE_INODE, &inode) && kmem_is_kernel_ptr(inode) &&
	       !kmem_get(s->k, inode, KF_INODE_MAPPING, &mapping) &&
	       mapping == kmem_at(s->k, inode, KF_INODE_DATA) &&
	       !kmem_get(s->k, inode, KF_INODE_MODE, &mode) && S_ISREG(mode);
}

/* The struct is private to a module: its file is recognised by what it contains. */
u64 loop_file(struct snap *s, u64 disk)
{
	u64 words[SPAN / sizeof(u64)], lo;
	char name[5] = "";

	kmem_read_string(s->k, kmem_at(s->k, disk, KF_DISK_NAME), name, sizeof(name));
	if (strcmp(name, "loop") != 0 || kmem_get(s->k, disk, KF_DISK_PRIVATE, &lo) ||
	    !kmem_is_kernel_ptr(lo) || kmem_read(s->k, lo, words, sizeof(words)))
		return 0;
	for (u32 i = 0; i < SPAN / sizeof(u64); i++)
		if (is_open_file(s, words[i]))
			return words[i];
	return 0;
}
