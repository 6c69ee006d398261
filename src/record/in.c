// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * The file may be anything. Reading stops at the first line that makes no sense: what follows it
 * cannot be trusted to belong to what came before.
 */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "record/codec.h"
#include "record/lines.h"
#include "record/recording.h"

static const char shorter[] = "what comes before is shown, what follows is not";

struct recording_in {
	struct lines *lines;
	struct decoder d;
	const char *path;
	bool in_look;   /* "look" was read, and no "look_end" */
	bool ended;     /* the summary was read */
	bool cut;       /* damaged: why is filled */
	u64 looks;      /* since the schema */
	u64 facts;      /* the same */
	u64 look_facts; /* of the look that is being read */
	u64 look_bytes;
	u64 unknown_types;
	struct refusal why;
};

/* Fills in->why for the line that was read last. */
__attribute__((format(printf, 2, 3))) static int damaged(struct recording_in *in, const char *fmt,
							 ...)
{
	char what[200];
	va_list args;

	va_start(args, fmt);
	vsnprintf(what, sizeof(what), fmt, args);
	va_end(args);
	in->cut = true;
	refuse(&in->why, STATUS_ERROR, shorter, "", "%s: line %llu: %s", in->path,
	       (unsigned long long)lines_number(in->lines), what);
	return -EPROTO;
}

static int cut_off(struct recording_in *in, const char *how)
{
	in->cut = true;
	refuse(&in->why, STATUS_ERROR, shorter, "", "%s: %s behind line %llu", in->path, how,
	       (unsigned long long)lines_number(in->lines));
	return -EPROTO;
}

/* What is no line. */
static int no_line(struct recording_in *in, int state)
{
	switch (state) {
	case LINE_END:
		return in->ended ? 0 : cut_off(in, "cut off");
	case LINE_CUT:
		return cut_off(in, "cut off");
	case LINE_DAMAGED:
		return cut_off(in, "what is packed is damaged");
	case LINE_LONG:
		return cut_off(in, "a line longer than 1 MiB");
	default:
		in->cut = true;
		refuse(&in->why, STATUS_ERROR, shorter, "", "cannot read %s: %s", in->path,
		       strerror(-state));
		return -EPROTO;
	}
}

/* The next record. 1 with *ret set, 0 at the end, -EPROTO with in->why filled. */
static int next_record(struct recording_in *in, json_t **ret)
{
	json_error_t error;
	char *line;
	size_t len;
	int state = lines_next(in->lines, &line, &len);

	if (state != LINE_READ)
		return no_line(in, state);
	in->look_bytes += len + 1;
	*ret = json_loadb(line, len, JSON_REJECT_DUPLICATES, &error);
	if (!*ret)
		return damaged(in, "%s", error.text);
	if (json_is_object(*ret) && json_is_string(json_object_get(*ret, "type")))
		return 1;
	json_decref(*ret);
	*ret = NULL;
	return damaged(in, "no object with a type");
}

/* "daxtrace-facts/1", also with a minor number. 0, or -EPROTO with in->why filled. */
static int check_schema(struct recording_in *in, const json_t *j)
{
	const char *schema = json_string_value(json_object_get(j, "schema"));
	size_t len = strlen(RECORDING_SCHEMA "/");
	char *end;

	if (!schema || strncmp(schema, RECORDING_SCHEMA "/", len) != 0)
		return damaged(in, "no recording of daxtrace");
	if (strtoul(schema + len, &end, 10) == RECORDING_MAJOR && end != schema + len &&
	    (!*end || *end == '.'))
		return 0;
	in->cut = true;
	refuse(&in->why, STATUS_ERROR, "nothing can be told from it", "",
	       "%s is of schema %.40s; this version reads %s/%d", in->path, schema,
	       RECORDING_SCHEMA, RECORDING_MAJOR);
	return -EPROTO;
}

static bool same_number(const json_t *j, const char *key, u64 wanted)
{
	const json_t *value = json_object_get(j, key);

	return json_is_integer(value) && json_integer_value(value) == (json_int_t)wanted;
}

static int take_schema(struct recording_in *in, const json_t *j)
{
	if (in->in_look || (!in->ended && lines_number(in->lines) > 1))
		return damaged(in, "a schema in the middle");
	in->looks = in->facts = 0;
	in->ended = false;
	return check_schema(in, j);
}

static int take_look(struct recording_in *in, const json_t *j)
{
	if (in->in_look || in->ended)
		return damaged(in, "a look starts before the end of what came before");
	if (!same_number(j, "look", in->looks + 1))
		return damaged(in, "look %llu is missing", (unsigned long long)in->looks + 1);
	in->in_look = true;
	in->look_facts = in->look_bytes = 0;
	return 0;
}

/* LOOK_WHOLE, or -EPROTO. */
static int take_look_end(struct recording_in *in, const json_t *j)
{
	if (!in->in_look || !same_number(j, "facts", in->look_facts))
		return damaged(in, "facts of the look are missing");
	in->in_look = false;
	in->looks++;
	return LOOK_WHOLE;
}

static int take_summary(struct recording_in *in, const json_t *j)
{
	if (in->in_look || in->ended || !same_number(j, "looks", in->looks) ||
	    !same_number(j, "facts", in->facts))
		return damaged(in, "it ends before its end");
	in->ended = true;
	return 0;
}

static int take_fact(struct recording_in *in, const json_t *j, const char *type, fact_sink_fn sink,
		     void *arg)
{
	struct fact fact;
	int ret;

	if (in->look_bytes > RECORDING_LOOK_MAX)
		return damaged(in, "a look of more than 64 MiB");
	ret = fact_decode(&in->d, j, type, &fact);
	if (ret == -EPROTO)
		return damaged(in, "%s: %s", type, in->d.reason);
	if (ret > 0 && !in->in_look)
		return damaged(in, "a fact outside a look");
	in->unknown_types += !ret;
	in->facts += in->in_look;
	in->look_facts += in->in_look;
	return ret > 0 ? sink(arg, &fact) : ret;
}

/* 0, LOOK_WHOLE, or -errno; -EPROTO with in->why filled. */
static int take_record(struct recording_in *in, const json_t *j, fact_sink_fn sink, void *arg)
{
	static const struct {
		const char *type;
		int (*take)(struct recording_in *in, const json_t *j);
	} types[] = {
		{ "schema", take_schema },
		{ "look", take_look },
		{ "look_end", take_look_end },
		{ "summary", take_summary },
	};
	const char *type = json_string_value(json_object_get(j, "type"));

	for (size_t i = 0; i < sizeof(types) / sizeof(*types); i++)
		if (!strcmp(type, types[i].type))
			return types[i].take(in, j);
	return take_fact(in, j, type, sink, arg);
}

/* The first line has to be a schema; then the file is one of ours, however damaged. */
static int read_schema(struct recording_in *in)
{
	json_t *j = NULL;
	int ret = next_record(in, &j);
	bool schema = ret > 0 && !strcmp(json_string_value(json_object_get(j, "type")), "schema");

	if (schema)
		ret = take_schema(in, j);
	else
		refuse(&in->why, STATUS_ERROR, "nothing can be told from it", "",
		       "%s is not a recording of daxtrace", in->path);
	json_decref(j);
	return schema ? ret : -EPROTO;
}

struct recording_in *recording_open(const char *path, struct refusal *why)
{
	struct recording_in *in = calloc(1, sizeof(*in));

	if (in) {
		in->path = path;
		in->lines = lines_open(path);
	}
	if (!in || !in->lines) {
		refuse(why, STATUS_ERROR, "nothing can be told from it", "", "cannot read %s: %s",
		       path, strerror(errno));
		free(in);
		return NULL;
	}
	if (!read_schema(in))
		return in;
	*why = in->why;
	recording_free(in);
	return NULL;
}

static int tell_cut(fact_sink_fn sink, void *arg)
{
	static const struct fact cut = {
		.type = FACT_LOSS,
		.loss = { LOSS_LOST, 1, "recording: the rest of a look" },
	};
	int err = sink(arg, &cut);

	return err ? err : LOOK_CUT;
}

int recording_next(struct recording_in *in, fact_sink_fn sink, void *arg, struct refusal *why)
{
	json_t *j;
	int ret = 0;

	while (!in->cut && !ret) {
		ret = next_record(in, &j);
		if (!ret)
			return LOOK_NONE;
		if (ret > 0) {
			ret = take_record(in, j, sink, arg);
			json_decref(j);
		}
	}
	if (!in->cut)
		return ret;
	if (in->in_look) {
		in->in_look = false;
		return tell_cut(sink, arg);
	}
	*why = in->why;
	return -1;
}

u64 recording_unknown(const struct recording_in *in)
{
	return in->d.unknown + in->unknown_types;
}

void recording_free(struct recording_in *in)
{
	if (!in)
		return;
	lines_close(in->lines);
	decoder_free(&in->d);
	free(in);
}
