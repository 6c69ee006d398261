// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * A packed fact is a header, its member of struct fact, and what the pointers in that member lead
 * to, in the order of visit(). A pointer that is not NULL tells that something follows for it.
 */
#include <errno.h>
#include <string.h>

#include "util/fact_pack.h"

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
	[FACT_PROBE] = sizeof(struct fact_probe),
};

#define NR_TYPES (sizeof(member_size) / sizeof(member_size[0]))

/* One direction: packing appends what a pointer leads to, unpacking makes the pointer anew. */
struct visitor {
	int (*string)(struct visitor *v, const char **s);
	int (*array)(struct visitor *v, const void **array, size_t bytes);
	int (*frames)(struct visitor *v, struct fact_stack *s);
	struct strbuf *out;                    /* packing */
	const char *at, *end;                  /* unpacking */
	const char *frame[2 * FACT_STACK_MAX]; /* of the stacks of one task */
	u32 nr_frames;
};

static int visit_strings(struct visitor *v, const char **const *s, size_t n)
{
	int err = 0;

	for (size_t i = 0; i < n && !err; i++)
		err = *s[i] ? v->string(v, s[i]) : 0;
	return err;
}

#define VISIT_STRINGS(v, ...)                                   \
	visit_strings(v, (const char **const[]){ __VA_ARGS__ }, \
		      sizeof((const char **const[]){ __VA_ARGS__ }) / sizeof(char **))

static int visit_stack(struct visitor *v, struct fact_stack *s)
{
	int err = VISIT_STRINGS(v, &s->why_missing);

	return err || !s->n ? err : v->frames(v, s);
}

static int visit_task(struct visitor *v, struct fact_task *f)
{
	int err = VISIT_STRINGS(v, &f->cgroup, &f->call);

	err = err ? err : visit_stack(v, &f->kstack);
	return err ? err : visit_stack(v, &f->ustack);
}

/* The array first, where it is aligned. */
static int visit_hold(struct visitor *v, struct fact_hold *f)
{
	const void *releasers = f->releasers;
	int err = 0;

	if (releasers)
		err = v->array(v, &releasers, f->nr_releasers * sizeof(*f->releasers));
	f->releasers = releasers;
	return err ? err : VISIT_STRINGS(v, &f->object_kind, &f->object_id, &f->target, &f->detail);
}

static int visit(struct visitor *v, struct fact *f)
{
	switch (f->type) {
	case FACT_SESSION:
		return VISIT_STRINGS(v, &f->session.host, &f->session.kernel, &f->session.boot_id,
				     &f->session.recording);
	case FACT_TASK:
		return visit_task(v, &f->task);
	case FACT_FILE:
		return VISIT_STRINGS(v, &f->file.path, &f->file.fstype, &f->file.mount,
				     &f->file.device);
	case FACT_HOLD:
		return visit_hold(v, &f->hold);
	case FACT_QUEUED:
		return VISIT_STRINGS(v, &f->queued.lock);
	case FACT_LOSS:
		return VISIT_STRINGS(v, &f->loss.where);
	case FACT_PROBE:
		return VISIT_STRINGS(v, &f->probe.name, &f->probe.costs);
	default:
		return 0;
	}
}

static int pack_string(struct visitor *v, const char **s)
{
	sb_add(v->out, *s, strlen(*s) + 1);
	return 0;
}

static int pack_array(struct visitor *v, const void **array, size_t bytes)
{
	sb_add(v->out, *array, bytes);
	return 0;
}

static int pack_frames(struct visitor *v, struct fact_stack *s)
{
	for (u32 i = 0; i < s->n; i++) {
		const char *frame = s->frames[i] ? s->frames[i] : "?";

		sb_add(v->out, frame, strlen(frame) + 1);
	}
	return 0;
}

/* A stack as long as it may be, an array that is there: what unpacking relies on. */
static void make_sound(struct fact *f)
{
	struct fact_stack *const stacks[] = { &f->task.kstack, &f->task.ustack };

	if (f->type == FACT_HOLD && !f->hold.releasers)
		f->hold.nr_releasers = 0;
	for (size_t i = 0; f->type == FACT_TASK && i < 2; i++) {
		if (!stacks[i]->frames)
			stacks[i]->n = 0;
		if (stacks[i]->n > FACT_STACK_MAX)
			stacks[i]->n = FACT_STACK_MAX;
	}
}

int fact_pack(void *out, const struct fact *fact)
{
	static const char zeros[ALIGNMENT];
	struct strbuf *sb = out;
	struct visitor v = {
		.string = pack_string, .array = pack_array, .frames = pack_frames, .out = sb
	};
	struct header h = { .type = fact->type, .seen = fact->seen };
	size_t start = sb->len;
	struct fact f = *fact;

	if (h.type >= NR_TYPES || !member_size[h.type])
		return -EINVAL;
	make_sound(&f);
	sb_add(sb, (const char *)&h, sizeof(h));
	sb_add(sb, (const char *)&f + offsetof(struct fact, session), member_size[h.type]);
	visit(&v, &f);
	sb_add(sb, zeros, (ALIGNMENT - (sb->len - start) % ALIGNMENT) % ALIGNMENT);
	if (sb->failed)
		return -ENOMEM;
	h.len = sb->len - start;
	memcpy(sb->s + start, &h, sizeof(h));
	return 0;
}

static int unpack_string(struct visitor *v, const char **s)
{
	size_t room = v->end - v->at, len = strnlen(v->at, room);

	if (len == room)
		return -EPROTO;
	*s = v->at;
	v->at += len + 1;
	return 0;
}

static int unpack_array(struct visitor *v, const void **array, size_t bytes)
{
	if (bytes > (size_t)(v->end - v->at))
		return -EPROTO;
	*array = v->at;
	v->at += bytes;
	return 0;
}

static int unpack_frames(struct visitor *v, struct fact_stack *s)
{
	const char **frames = v->frame + v->nr_frames;
	int err = 0;

	if (s->n > 2 * FACT_STACK_MAX - v->nr_frames)
		return -EPROTO;
	for (u32 i = 0; i < s->n && !err; i++)
		err = unpack_string(v, &frames[i]);
	s->frames = frames;
	v->nr_frames += s->n;
	return err;
}

/* The fact in the h->len bytes at packed. */
static int unpack_one(const struct header *h, const char *packed, fact_sink_fn sink, void *arg)
{
	struct visitor v = { .string = unpack_string,
			     .array = unpack_array,
			     .frames = unpack_frames,
			     .end = packed + h->len };
	struct fact f = { .type = h->type, .seen = h->seen };
	int err;

	if (h->type >= NR_TYPES || !member_size[h->type] ||
	    h->len < sizeof(*h) + member_size[h->type])
		return -EPROTO;
	v.at = packed + sizeof(*h) + member_size[h->type];
	memcpy((char *)&f + offsetof(struct fact, session), packed + sizeof(*h),
	       member_size[h->type]);
	err = visit(&v, &f);
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
