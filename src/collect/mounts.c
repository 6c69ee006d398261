// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "collect/mounts.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define OUR_MOUNTS "/proc/self/mountinfo"

enum { DEVICES_MAX = 256 };

/* Undoes \ooo, which mountinfo writes for white space and backslash. */
static void unescape(char *text)
{
	char *to = text;

	for (; *text; to++) {
		if (text[0] == '\\' && strspn(text + 1, "01234567") >= 3) {
			*to = (text[1] & 7) << 6 | (text[2] & 7) << 3 | (text[3] & 7);
			text += 4;
		} else {
			*to = *text++;
		}
	}
	*to = '\0';
}

static bool find_mount(char *text, u32 major, u32 minor, struct mount *m)
{
	char *save = NULL;

	for (char *line = strtok_r(text, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
		const char *behind = strstr(line, " - ");
		unsigned int maj, min;

		m->source[0] = '\0';
		if (sscanf(line, "%*u %*u %u:%u %4095s %4095s", &maj, &min, m->root, m->point) <
			    4 ||
		    maj != major || min != minor)
			continue;
		if (behind && sscanf(behind, " - %*s %255s", m->source) == 1)
			unescape(m->source);
		unescape(m->root);
		unescape(m->point);
		return true;
	}
	return false;
}

/* A copy of a mountinfo file; NULL when it cannot be read. Ours is asked for again and again. */
static char *read_mountinfo(struct snap *s, const char *path)
{
	if (strcmp(path, OUR_MOUNTS))
		return s->k->ops->read_file(s->k, path);
	if (!s->mountinfo)
		s->mountinfo = s->k->ops->read_file(s->k, path);
	return s->mountinfo ? strdup(s->mountinfo) : NULL;
}

bool mount_in(struct snap *s, const char *mountinfo, u32 major, u32 minor, struct mount *m)
{
	char *text = read_mountinfo(s, mountinfo);
	bool found = text && find_mount(text, major, minor, m);

	free(text);
	return found;
}

bool mount_of(struct snap *s, u32 major, u32 minor, struct mount *m)
{
	return mount_in(s, OUR_MOUNTS, major, minor, m) ||
	       mount_in(s, "/proc/1/mountinfo", major, minor, m);
}

/* A bind mount of a directory cuts its root off. */
const char *mount_join(struct snap *s, const struct mount *m, const char *path)
{
	size_t root = strlen(m->root);

	if (strcmp(m->root, "/") && !strncmp(path, m->root, root) && strchr("/", path[root]))
		path += root;
	return snap_text(s, "%s%s", strcmp(m->point, "/") ? m->point : "", *path ? path : "/");
}

/* XFS does not show dax=inode, its default: then the device decides. */
static bool device_has_dax(struct snap *s, u32 major, u32 minor)
{
	char path[64], *text;
	bool dax;

	snprintf(path, sizeof(path), "/sys/dev/block/%u:%u/queue/dax", major, minor);
	text = s->k->ops->read_file(s->k, path);
	dax = text && text[0] == '1';
	free(text);
	return dax;
}

static bool may_be_dax(struct snap *s, const char *fstype, const char *opts, u32 major, u32 minor)
{
	if (strstr(opts, "dax=never"))
		return false;
	if (strstr(opts, ",dax") || !strncmp(opts, "dax", 3))
		return true;
	return (!strcmp(fstype, "xfs") || !strcmp(fstype, "ext4")) &&
	       device_has_dax(s, major, minor);
}

u32 mounts_count_dax(struct snap *s)
{
	char *text = read_mountinfo(s, OUR_MOUNTS), *save = NULL;
	u64 seen[DEVICES_MAX];
	u32 nr_seen = 0, count = 0;

	if (!text)
		snap_lost(s, LOSS_LOST, OUR_MOUNTS, 1);
	for (char *line = text ? strtok_r(text, "\n", &save) : NULL; line && nr_seen < DEVICES_MAX;
	     line = strtok_r(NULL, "\n", &save)) {
		char fstype[64], opts[1024] = "", *behind = strstr(line, " - ");
		unsigned int major, minor;
		u32 i = 0;

		if (!behind || sscanf(line, "%*u %*u %u:%u", &major, &minor) != 2 ||
		    sscanf(behind, " - %63s %*s %1023s", fstype, opts) < 1)
			continue;
		while (i < nr_seen && seen[i] != ((u64)major << 32 | minor))
			i++;
		if (i < nr_seen)
			continue;
		seen[nr_seen++] = (u64)major << 32 | minor;
		count += may_be_dax(s, fstype, opts, major, minor);
	}
	free(text);
	return count;
}

/* A number that an attribute of a device shows. */
static bool read_number(struct snap *s, const char *dir, const char *name, u64 *number)
{
	char path[96], *text;
	bool read = false;

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	text = s->k->ops->read_file(s->k, path);
	if (text) {
		char *end;

		*number = strtoull(text, &end, 0);
		read = end != text;
	}
	free(text);
	return read;
}

int mount_device_range(struct snap *s, u32 major, u32 minor, struct pmem *d)
{
	/* a partition has its disk above it */
	static const char *const dirs[] = { "/sys/dev/block/%u:%u/device",
					    "/sys/dev/block/%u:%u/../device" };

	for (size_t i = 0; i < sizeof(dirs) / sizeof(*dirs); i++) {
		char dir[64];
		u64 start, size;

		snprintf(dir, sizeof(dir), dirs[i], major, minor);
		if (!read_number(s, dir, "resource", &start) ||
		    !read_number(s, dir, "size", &size) || start + size < start)
			continue;
		d->start = start;
		d->end = start + size;
		return 0;
	}
	return -ENOENT;
}

/* Calls fn for each mounted filesystem of a device until it returns true. */
typedef bool (*mounted_fn)(struct snap *s, void *arg, const struct pmem *d, const char *point,
			   const char *source);

static bool find_mounted(struct snap *s, mounted_fn fn, void *arg)
{
	char *text = read_mountinfo(s, OUR_MOUNTS), *save = NULL;
	bool found = false;

	for (char *line = text ? strtok_r(text, "\n", &save) : NULL; line && !found;
	     line = strtok_r(NULL, "\n", &save)) {
		char point[256], source[64], *behind = strstr(line, " - ");
		unsigned int major, minor;
		struct pmem d;

		if (!behind ||
		    sscanf(line, "%*u %*u %u:%u %*s %255s", &major, &minor, point) != 3 ||
		    sscanf(behind, " - %*s %63s", source) != 1 || !major ||
		    mount_device_range(s, major, minor, &d))
			continue;
		unescape(point);
		found = fn(s, arg, &d, point, source);
	}
	free(text);
	return found;
}

struct wanted {
	struct pmem d; /* that has any of these addresses */
	u64 offset;
	const char *text;
};

static bool takes_source(struct snap *s, void *arg, const struct pmem *d, const char *point,
			 const char *source)
{
	const char *slash = strrchr(source, '/');
	struct wanted *w = arg;

	(void)point;
	if (w->d.start < d->start || w->d.start >= d->end)
		return false;
	w->offset = w->d.start - d->start;
	w->text = snap_text(s, "%s", slash ? slash + 1 : source);
	return true;
}

const char *mount_device_of(struct snap *s, u64 addr, u64 *offset)
{
	struct wanted w = { .d = { .start = addr } };

	if (find_mounted(s, takes_source, &w))
		*offset = w.offset;
	return w.text;
}

static bool takes_point(struct snap *s, void *arg, const struct pmem *d, const char *point,
			const char *source)
{
	struct wanted *w = arg;

	(void)source;
	if (d->start >= w->d.end || w->d.start >= d->end)
		return false;
	w->text = snap_text(s, "%s", point);
	return true;
}

const char *mount_of_device(struct snap *s, const struct pmem *d)
{
	struct wanted w = { .d = *d };

	find_mounted(s, takes_point, &w);
	return w.text;
}
