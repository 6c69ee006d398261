// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * What the user asked about. Only the one statx() of a path can block, on a filesystem that hangs:
 * it runs in a bounded child. What the path's filesystem can do is read from /sys and /proc.
 */
#include "collect/scope.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sysmacros.h>

#include "util/bounded.h"

enum { PATH_TIMEOUT_MS = 2000 };

/* A mount of the wanted device, from /proc/self/mountinfo. */
struct mount {
	char point[256];
	char fstype[32];
	bool dax; /* its options say so */
};

static const char no_scope[] = "it is not known which filesystem is meant";

/*
 * "BEFORE PATH" as a person may paste it into a shell: quoted if need be, and not at all when
 * quotes do not suffice, as a name may be made to be pasted.
 */
static void make_command(char *command, size_t len, const char *before, const char *path)
{
	bool plain = *path && strspn(path, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
					   "0123456789/._:@%+=,-") == strlen(path);
	bool quotable = !strchr(path, '\'') && !strchr(path, '\\');

	for (const char *p = path; *p; p++)
		quotable &= (unsigned char)*p >= ' ' && *p != 0x7f;
	if (*path == '-' || !(plain || quotable))
		snprintf(command, len, "%s PATH", before);
	else
		snprintf(command, len, plain ? "%s %s" : "%s '%s'", before, path);
}

int scope_refuse_path(const char *path, int err, struct refusal *why)
{
	char command[sizeof(why->command)];

	switch (err) {
	case -ETIMEDOUT:
		return refuse(why, STATUS_ERROR, no_scope, "daxtrace",
			      "%s does not answer within %d s: its filesystem hangs", path,
			      PATH_TIMEOUT_MS / 1000);
	case -ENOENT:
		return refuse(why, STATUS_ERROR, no_scope, "daxtrace",
			      "%s is gone: no such file or directory", path);
	case -EACCES:
	case -EPERM:
		make_command(command, sizeof(command), "sudo daxtrace", path);
		return refuse(why, STATUS_NOPERM, no_scope, command, "%s: %s", path,
			      strerror(-err));
	}
	return refuse(why, STATUS_ERROR, no_scope, "daxtrace", "%s: %s", path, strerror(-err));
}

/* Reads a small file of /sys. Its first byte, or -errno. */
static int first_byte(const char *path)
{
	FILE *f = fopen(path, "re");
	int c = f ? getc(f) : -errno;

	if (f)
		fclose(f);
	return c;
}

/* 1: the block device can do DAX; 0: it cannot; -ENOENT: the kernel does not say. */
static int device_dax(const char *root, u32 major, u32 minor)
{
	/* A partition has no queue of its own: the disk's is one level up. */
	static const char *const queues[] = { "queue/dax", "../queue/dax" };
	char path[4096];
	int c = -ENOENT;

	for (size_t i = 0; i < 2 && c < 0; i++) {
		snprintf(path, sizeof(path), "%s/sys/dev/block/%u:%u/%s", root, major, minor,
			 queues[i]);
		c = first_byte(path);
	}
	return c < 0 ? -ENOENT : c == '1';
}

/* Is dax, dax=always or dax=inode among the comma separated options? */
static bool options_dax(const char *options)
{
	for (const char *o = options; o; o = strchr(o, ',')) {
		o += *o == ',';
		if (!strncmp(o, "dax=never", 9))
			return false;
		if (!strncmp(o, "dax", 3) && (!o[3] || strchr(",=\n", o[3])))
			return true;
	}
	return false;
}

/*
 * Takes one line, "36 35 98:0 / /mnt rw,noatime shared:1 - ext4 /dev/root rw,dax=always", if it is
 * a mount of the device.
 */
static bool take_mount(char *line, const struct scope_member *m, struct mount *mnt)
{
	char *rest = strstr(line, " - ");
	char options[1024] = "";
	u32 major, minor;

	if (!rest || sscanf(line, "%*u %*u %u:%u %*s %255s", &major, &minor, mnt->point) != 3)
		return false;
	if (major != m->dev_major || minor != m->dev_minor)
		return false;
	if (sscanf(rest, " - %31s %*s %1023s", mnt->fstype, options) < 1)
		return false;
	/*
	 * virtiofs leaves it to its server, file by file, unless an option says otherwise (v5.17)
	 */
	mnt->dax = options_dax(options) ||
		   (!strcmp(mnt->fstype, "virtiofs") && !strstr(options, "dax=never"));
	return true;
}

static bool find_mount(const char *root, const struct scope_member *m, struct mount *mnt)
{
	char path[4096], line[8192];
	bool found = false;
	FILE *f;

	snprintf(path, sizeof(path), "%s/proc/self/mountinfo", root);
	f = fopen(path, "re");
	if (!f)
		return false;
	while (!found && fgets(line, sizeof(line), f))
		found = take_mount(line, m, mnt);
	fclose(f);
	return found;
}

static int refuse_not_dax(struct refusal *why, const char *path, const char *because)
{
	return refuse(why, STATUS_ERROR, "nothing on it can wait for a DAX page",
		      "findmnt -o TARGET,SOURCE,FSTYPE,OPTIONS -t ext4,xfs,virtiofs",
		      "%s is not on DAX: %s", path, because);
}

static int member_file(const char *path, const struct statx *stx, struct refusal *why)
{
	if (stx->stx_attributes & STATX_ATTR_DAX)
		return 0;
	return refuse_not_dax(why, path, "the kernel uses the page cache for this file");
}

static int member_device(const char *path, const struct scope_member *m, const char *root,
			 struct refusal *why)
{
	if (device_dax(root, m->dev_major, m->dev_minor) != 0)
		return 0;
	return refuse_not_dax(why, path, "this block device cannot do it");
}

/*
 * A directory stands for its filesystem only if it is a mount point: waits elsewhere on the
 * filesystem would be a wrong answer to a question about one directory.
 */
static int member_mount(const char *path, const struct statx *stx, const struct scope_member *m,
			const char *root, struct refusal *why)
{
	struct mount mnt = { .point = "" };
	bool found = find_mount(root, m, &mnt);
	char command[sizeof(why->command)] = "daxtrace";
	int dax = device_dax(root, m->dev_major, m->dev_minor);

	if (dax != 1 && !(found && mnt.dax) && (dax == 0 || !m->dev_major))
		return refuse_not_dax(why, path,
				      "neither its device nor its mount options allow it");
	if (stx->stx_attributes & STATX_ATTR_MOUNT_ROOT ||
	    !(stx->stx_attributes_mask & STATX_ATTR_MOUNT_ROOT))
		return 0;
	if (found)
		make_command(command, sizeof(command), "daxtrace", mnt.point);
	return refuse(why, STATUS_ERROR, "one directory cannot be told from its filesystem",
		      command, "%s is a directory, not a file, mount point or device", path);
}

int scope_member_from(struct scope_member *m, const char *path, const struct statx *stx,
		      const char *root, struct refusal *why)
{
	m->dev_major = stx->stx_dev_major;
	m->dev_minor = stx->stx_dev_minor;
	m->ino = 0;
	if (S_ISREG(stx->stx_mode)) {
		m->ino = stx->stx_ino;
		return member_file(path, stx, why);
	}
	if (S_ISDIR(stx->stx_mode))
		return member_mount(path, stx, m, root, why);
	if (S_ISBLK(stx->stx_mode)) {
		m->dev_major = stx->stx_rdev_major;
		m->dev_minor = stx->stx_rdev_minor;
		return member_device(path, m, root, why);
	}
	return refuse_not_dax(why, path, "it is not a file, mount point or block device");
}

static ssize_t stat_path(void *path, void *stx, size_t len)
{
	unsigned int mask = STATX_TYPE | STATX_MODE | STATX_INO;

	/* Neither may a server be asked nor an automount started: both can hang. */
	if (statx(AT_FDCWD, path, AT_STATX_DONT_SYNC | AT_NO_AUTOMOUNT, mask, stx))
		return -errno;
	return len;
}

static int add_member(struct scope *s, char *path, struct refusal *why)
{
	struct scope_member *m = &s->m[s->n];
	struct statx stx = { 0 };
	ssize_t n = bounded_call(stat_path, path, &stx, sizeof(stx), PATH_TIMEOUT_MS);

	if (n < 0)
		return scope_refuse_path(path, n, why);
	if (scope_member_from(m, path, &stx, "", why))
		return -1;
	m->path = strdup(path);
	if (!m->path)
		return refuse(why, STATUS_ERROR, no_scope, "", "out of memory");
	s->n++;
	return 0;
}

int scope_resolve(struct scope *s, char *const *paths, size_t n, struct refusal *why)
{
	*s = (struct scope){ 0 };
	if (!n)
		return 0;
	s->m = calloc(n, sizeof(*s->m));
	if (!s->m)
		return refuse(why, STATUS_ERROR, no_scope, "", "out of memory");
	for (size_t i = 0; i < n; i++) {
		if (!add_member(s, paths[i], why))
			continue;
		scope_free(s);
		return -1;
	}
	return 0;
}

void scope_free(struct scope *s)
{
	for (size_t i = 0; i < s->n; i++)
		free(s->m[i].path);
	free(s->m);
	*s = (struct scope){ 0 };
}

bool scope_matches(const struct scope *s, u32 dev_major, u32 dev_minor, u64 ino)
{
	for (size_t i = 0; i < s->n; i++) {
		const struct scope_member *m = &s->m[i];

		if (m->dev_major == dev_major && m->dev_minor == dev_minor &&
		    (!m->ino || m->ino == ino))
			return true;
	}
	return !s->n;
}
