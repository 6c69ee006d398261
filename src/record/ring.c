// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "record/ring.h"

#include <errno.h>
#include <glob.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

/* What is kept in parts of an eighth loses at most an eighth when it is full. */
#define PARTS 8

/* Names sort by time; nothing else in the directory is touched. */
#define NAME_PATTERN "daxtrace-????????T??????Z-??????.dxt"

struct ring {
	const char *dir;
	u64 keep_bytes;
	struct recording_out *out; /* NULL: none yet */
	char path[PATH_MAX];       /* of out */
	u32 serial;                /* tells names of one second apart */
};

struct ring *ring_open(const char *dir, u64 keep_bytes, struct refusal *why)
{
	struct ring *ring = calloc(1, sizeof(*ring));

	if (ring && !access(dir, W_OK | X_OK)) {
		ring->dir = dir;
		ring->keep_bytes = keep_bytes;
		return ring;
	}
	refuse(why, STATUS_ERROR, "nothing is recorded", "", "cannot write to %s: %s", dir,
	       strerror(errno));
	free(ring);
	return NULL;
}

static int start(struct ring *ring)
{
	char date[32];
	time_t now = time(NULL);
	struct tm tm;

	strftime(date, sizeof(date), "%Y%m%dT%H%M%SZ", gmtime_r(&now, &tm));
	if (snprintf(ring->path, sizeof(ring->path), "%s/daxtrace-%s-%06u.dxt", ring->dir, date,
		     ring->serial++ % 1000000) >= (int)sizeof(ring->path)) {
		errno = ENAMETOOLONG;
		return -1;
	}
	ring->out = recording_create(ring->path);
	return ring->out ? 0 : -1;
}

static u64 file_size(const char *path)
{
	struct stat st;

	return stat(path, &st) ? 0 : st.st_size;
}

/* Never the one that is being written: when the clock was set back it is not the last. */
static void remove_oldest(const struct ring *ring, const glob_t *found)
{
	u64 total = 0;

	for (size_t i = 0; i < found->gl_pathc; i++)
		total += file_size(found->gl_pathv[i]);
	for (size_t i = 0; i < found->gl_pathc && total > ring->keep_bytes; i++) {
		u64 size = file_size(found->gl_pathv[i]);

		if (strcmp(found->gl_pathv[i], ring->path) != 0 && !unlink(found->gl_pathv[i]))
			total -= size;
	}
}

static void trim(const struct ring *ring)
{
	char pattern[PATH_MAX];
	glob_t found;

	snprintf(pattern, sizeof(pattern), "%s/" NAME_PATTERN, ring->dir);
	if (glob(pattern, 0, NULL, &found))
		return;
	remove_oldest(ring, &found);
	globfree(&found);
}

struct recording_out *ring_turn(struct ring *ring)
{
	if (ring->out && recording_size(ring->out) >= ring->keep_bytes / PARTS) {
		int err = recording_close(ring->out, END_DONE);

		ring->out = NULL;
		errno = -err;
		if (err)
			return NULL;
	}
	if (!ring->out && start(ring))
		return NULL;
	trim(ring);
	return ring->out;
}

int ring_close(struct ring *ring, enum recording_end end)
{
	int err;

	if (!ring)
		return 0;
	err = recording_close(ring->out, end);
	free(ring);
	return err;
}
