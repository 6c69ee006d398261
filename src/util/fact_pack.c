// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * A packed fact is a header, its member of struct fact, and what the pointers in that member lead
 * to, in the order of fact_visit(). A pointer that is not NULL tells that something follows for it.
 */
#include <errno.h>
#include <string.h>

#include "util/fact_pack.h"
#include "util/fact_visit.h"

#define ALIGNMENT 8

struct header {
	u32 type, seen;
	u32 len; /* bytes of the packed fact with this header, a multiple of ALIGNMENT */
	u32 pad;
};

static const u32 member_size[] = {
	[FACT_SESSION] = sizeof(struct fact_session), [FACT_TASK] = sizeof(struct fact_task),
	[FACT_FILE] = sizeof(struct fact_file),       [FACT_PAGE] = sizeof(struct fact_page),
	[FACT_WAIT] = sizeof(struct fact_wait),       [FACT_HOLD] = sizeof(struct fact_hold),
	[FACT_QUEUED] = sizeof(struct fact_queued),   [FACT_LOSS] = sizeof(struct fact_loss),
	[FACT_PROBE] = sizeof(struct fact_probe),     [FACT_END] = sizeof(struct fact_end),
	[FACT_LOCK] = sizeof(struct fact_lock),       [FACT_FREED] = sizeof(struct fact_freed),
};

#define NR_TYPES (sizeof(member_size) / sizeof(member_size[0]))

/* Appends what each pointer leads to. */
struct packer {
	struct fact_visitor v;
	struct strbuf *out;
};

static int pack_string(struct fact_visitor *v, const char **s)
{
	sb_add(((struct packer *)v)->out, *s, strlen(*s) + 1);
	return 0;
}

static int pack_array(struct fact_visitor *v, const void **array, u32 n, size_t size)
{
	sb_add(((struct packer *)v)->out, *array, n * size);
	return 0;
}

static int pack_frames(struct fact_visitor *v, const char *const **frames, u32 n)
{
	for (u32 i = 0; i < n; i++) {
		const char *frame = (*frames)[i] ? (*frames)[i] : "?";

		pack_string(v, &frame);
	}
	return 0;
}

int fact_pack(void *out, const struct fact *fact)
{
	static const char zeros[ALIGNMENT];
	struct packer p = { { pack_string, pack_array, pack_frames }, out };
	struct header h = { .type = fact->type, .seen = fact->seen };
	struct strbuf *sb = out;
	size_t start = sb->len;
	struct fact f = *fact;

	if (h.type >= NR_TYPES || !member_size[h.type])
		return -EINVAL;
	sb_add(sb, (const char *)&h, sizeof(h));
	sb_add(sb, (const char *)&f + offsetof(struct fact, session), member_size[h.type]);
	fact_visit(&f, &p.v);
	if (sb->failed)
		return -ENOMEM;
	/* once more, for the counts that the visit has made to fit */
	memcpy(sb->s + start + sizeof(h), (const char *)&f + offsetof(struct fact, session),
	       member_size[h.type]);
	sb_add(sb, zeros, (ALIGNMENT - (sb->len - start) % ALIGNMENT) % ALIGNMENT);
	if (sb->failed)
		return -ENOMEM;
	h.len = sb->len - start;
	memcpy(sb->s + start, &h, sizeof(h));
	return 0;
}

/* Makes each pointer anew, into the packed bytes. */
struct unpacker {
	struct fact_visitor v;
	const char *at, *end;
	const char *frame[2 * FACT_STACK_MAX]; /* of the two stacks of a task */
	u32 nr_frames;
};

static int unpack_string(struct fact_visitor *v, const char **s)
{
	struct unpacker *u = (struct unpacker *)v;
	size_t room = u->end - u->at, len = strnlen(u->at, room);

	if (len == room)
		return -EPROTO;
	*s = u->at;
	u->at += len + 1;
	return 0;
}

static int unpack_array(struct fact_visitor *v, const void **array, u32 n, size_t size)
{
	struct unpacker *u = (struct unpacker *)v;

	if (n > (size_t)(u->end - u->at) / size)
		return -EPROTO;
	*array = u->at;
	u->at += n * size;
	return 0;
}

static int unpack_frames(struct fact_visitor *v, const char *const **ret, u32 n)
{
	struct unpacker *u = (struct unpacker *)v;
	const char **frames = u->frame + u->nr_frames;
	int err = 0;

	for (u32 i = 0; i < n && !err; i++)
		err = unpack_string(v, &frames[i]);
	*ret = frames;
	u->nr_frames += n;
	return err;
}

/* The fact in the h->len bytes at packed. */
static int unpack_one(const struct header *h, const char *packed, fact_sink_fn sink, void *arg)
{
	struct unpacker u = { .v = { unpack_string, unpack_array, unpack_frames },
			      .end = packed + h->len };
	struct fact f = { .type = h->type, .seen = h->seen };
	int err;

	if (h->type >= NR_TYPES || !member_size[h->type] ||
	    h->len < sizeof(*h) + member_size[h->type])
		return -EPROTO;
	u.at = packed + sizeof(*h) + member_size[h->type];
	memcpy((char *)&f + offsetof(struct fact, session), packed + sizeof(*h),
	       member_size[h->type]);
	err = fact_visit(&f, &u.v);
	return err ? err : sink(arg, &f);
}

int fact_unpack(const char *packed, size_t len, fact_sink_fn sink, void *arg)
{
	int err = 0;

	for (size_t at = 0; at < len && !err;) {
		struct header h;

		if (len - at < sizeof(h))
			return -EPROTO;
		memcpy(&h, packed + at, sizeof(h));
		if (h.len > len - at || h.len % ALIGNMENT || !h.len)
			return -EPROTO;
		err = unpack_one(&h, packed + at, sink, arg);
		at += h.len;
	}
	return err;
}
