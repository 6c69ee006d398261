// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * libnvdimm tells where a namespace, or a whole region, lies in physical memory (drivers/nvdimm/
 * namespace_devs.c, pfn_devs.c and region_devs.c: resource and size). A block device of it has the
 * namespace, or the pfn device that it is behind, as its parent.
 */
#include "collect/pmem.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "util/bounded.h"

enum { TIMEOUT_MS = 1000, NUMBER_MAX = 32 };

static const char consequence[] = "it is not known whether it is safe to unbind";

/* An attribute may wait for a lock that who unbinds the device keeps. 0 or -errno. */
static int read_number(const char *dir, const char *name, u64 *number)
{
	char path[4096], text[NUMBER_MAX + 1] = "", *end;
	ssize_t got;

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	got = bounded_read_file(path, text, NUMBER_MAX, TIMEOUT_MS);
	if (got < 0)
		return got;
	*number = strtoull(text, &end, 0);
	return end == text || (*end && *end != '\n') ? -ENODATA : 0;
}

static int read_range(const char *dir, struct pmem *d)
{
	u64 start, size;
	int err = read_number(dir, "resource", &start);

	err = err ? err : read_number(dir, "size", &size);
	if (err)
		return err;
	/* a namespace without memory has all ones for an address */
	if (!size || start + size < start)
		return -ENODATA;
	d->start = start;
	d->end = start + size;
	return 0;
}

/* A partition has its disk above it, and goes with it. */
static int find_range(const char *root, const char *name, struct pmem *d)
{
	static const char *const dirs[] = {
		"%s/sys/class/block/%s/device",
		"%s/sys/class/block/%s/../device",
		"%s/sys/bus/nd/devices/%s",
	};
	int err = -ENOENT;

	for (size_t i = 0; i < sizeof(dirs) / sizeof(*dirs) && err == -ENOENT; i++) {
		char dir[4000];

		snprintf(dir, sizeof(dir), dirs[i], root, name);
		err = read_range(dir, d);
	}
	return err;
}

static int refuse_device(const char *name, int err, struct refusal *why)
{
	switch (err) {
	case -ENOENT:
	case -EISDIR:
		return refuse(why, STATUS_ERROR, consequence, "ls /sys/bus/nd/devices",
			      "%s is no persistent memory: neither a block device of it, nor a "
			      "namespace or region",
			      name);
	case -EACCES:
	case -EPERM:
		return refuse(why, STATUS_NOPERM, consequence,
			      "sudo daxtrace --before-unbind DEVICE",
			      "the address of %s is shown to root only", name);
	case -ENODATA:
		return refuse(why, STATUS_ERROR, consequence, "ndctl list -v",
			      "%s has no memory: nothing is bound to it", name);
	}
	return refuse(why, STATUS_ERROR, consequence, "ls -l /sys/bus/nd/devices",
		      "cannot learn where %s lies in memory: %s", name, strerror(-err));
}

int pmem_resolve_at(const char *root, struct pmem *d, const char *name, struct refusal *why)
{
	const char *base = strncmp(name, "/dev/", 5) ? name : name + 5;
	int err = -ENOENT;

	*d = (struct pmem){ .name = base };
	if (*base && *base != '.' && !strchr(base, '/'))
		err = find_range(root, base, d);
	return err ? refuse_device(name, err, why) : 0;
}

int pmem_resolve(struct pmem *d, const char *name, struct refusal *why)
{
	return pmem_resolve_at("", d, name, why);
}
