// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * gzread() drops what it has unpacked of a block when it meets an error in it. A recording that was
 * cut off or hit by a flipped bit keeps its lines up to there, so this calls inflate() itself.
 */
#include "record/lines.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <zlib.h>

#include "record/recording.h"

#define GZIP_ONLY (15 + 16) /* window bits of inflateInit2(): a gzip header must be there */

struct lines {
	int fd;
	bool packed;
	bool between; /* two packed files may follow each other: the end may come here */
	bool pending; /* zlib may have more to say without more input */
	int state;    /* LINE_READ: there may be more; else why there is not, or -errno */
	z_stream z;
	u8 in[16384];
	size_t in_pos, in_len; /* of a plain file: what is not yet a line */
	u64 number;
	size_t start, end; /* of what was read and is not yet a line, in text */
	char text[RECORDING_LINE_MAX + 1];
};

/* More of the file. Bytes, 0 at the end, -errno. */
static ssize_t fill(struct lines *l)
{
	ssize_t n;

	do
		n = read(l->fd, l->in, sizeof(l->in));
	while (n < 0 && errno == EINTR);
	l->in_pos = 0;
	l->in_len = n > 0 ? n : 0;
	return n < 0 ? -errno : n;
}

static int detect(struct lines *l)
{
	ssize_t n = fill(l);

	if (n < 0)
		return n;
	l->packed = l->in_len >= 2 && l->in[0] == 0x1f && l->in[1] == 0x8b;
	if (l->packed && inflateInit2(&l->z, GZIP_ONLY) != Z_OK)
		return -ENOMEM;
	return 0;
}

struct lines *lines_open(const char *path)
{
	struct lines *l = calloc(1, sizeof(*l));
	int err;

	if (!l)
		return NULL;
	l->state = LINE_READ;
	l->fd = open(path, O_RDONLY | O_CLOEXEC);
	err = l->fd < 0 ? -errno : detect(l);
	if (!err)
		return l;
	lines_close(l);
	errno = -err;
	return NULL;
}

/* One step of unpacking into the room at the end of text. */
static int unpack(struct lines *l)
{
	size_t room = RECORDING_LINE_MAX - l->end;
	int ret;

	if (l->between && inflateReset(&l->z) != Z_OK)
		return LINE_DAMAGED;
	l->between = false;
	l->z.next_in = l->in + l->in_pos;
	l->z.avail_in = l->in_len - l->in_pos;
	l->z.next_out = (u8 *)l->text + l->end;
	l->z.avail_out = room;
	ret = inflate(&l->z, Z_SYNC_FLUSH);
	l->in_pos = l->in_len - l->z.avail_in;
	l->end += room - l->z.avail_out;
	l->pending = !l->z.avail_out && ret == Z_OK;
	if (ret == Z_MEM_ERROR)
		return -ENOMEM;
	l->between = ret == Z_STREAM_END;
	return ret == Z_OK || ret == Z_STREAM_END || ret == Z_BUF_ERROR ? LINE_READ : LINE_DAMAGED;
}

static int copy(struct lines *l)
{
	size_t n = l->in_len - l->in_pos, room = RECORDING_LINE_MAX - l->end;

	n = n < room ? n : room;
	memcpy(l->text + l->end, l->in + l->in_pos, n);
	l->in_pos += n;
	l->end += n;
	return LINE_READ;
}

/* More text, or why there is none: the new state. */
static int more(struct lines *l)
{
	ssize_t n = l->pending || l->in_pos < l->in_len ? 1 : fill(l);

	if (n < 0)
		return n;
	if (!n)
		return l->packed && !l->between ? LINE_CUT : LINE_END;
	return l->packed ? unpack(l) : copy(l);
}

static void move_to_front(struct lines *l)
{
	memmove(l->text, l->text + l->start, l->end - l->start);
	l->end -= l->start;
	l->start = 0;
}

int lines_next(struct lines *l, char **line, size_t *len)
{
	size_t seen = 0;
	char *newline;

	while (!(newline = memchr(l->text + l->start + seen, '\n', l->end - l->start - seen))) {
		seen = l->end - l->start;
		if (seen == RECORDING_LINE_MAX)
			return LINE_LONG;
		if (l->state != LINE_READ)
			return l->state == LINE_END && seen ? LINE_CUT : l->state;
		if (l->start)
			move_to_front(l);
		l->state = more(l);
	}
	*line = l->text + l->start;
	*len = newline - *line;
	*newline = '\0';
	l->start += *len + 1;
	l->number++;
	return LINE_READ;
}

u64 lines_number(const struct lines *l)
{
	return l->number;
}

void lines_close(struct lines *l)
{
	if (l->packed)
		inflateEnd(&l->z);
	if (l->fd >= 0)
		close(l->fd);
	free(l);
}
