// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <zlib.h>

#include "record/codec.h"
#include "record/recording.h"
#include "util/json_build.h"
#include "view/stream.h"

struct recording_out {
	gzFile gz;    /* NULL: stream */
	FILE *stream; /* NULL: gz */
	int err;      /* the first one sticks */
	u64 looks, facts, lost, torn;
	u64 look_facts; /* of the look that is being written */
};

const char *recording_end_name(enum recording_end end)
{
	static const char *const names[END_MAX] = {
		[END_DONE] = "done",   [END_DURATION] = "duration", [END_COUNT] = "count",
		[END_STUCK] = "stuck", [END_SIGNAL] = "signal",     [END_COMMAND] = "command",
		[END_ERROR] = "error",
	};

	return names[end];
}

static int gz_error(gzFile gz)
{
	int saved = errno, err;

	gzerror(gz, &err);
	if (err == Z_MEM_ERROR)
		return -ENOMEM;
	return err == Z_ERRNO && saved ? -saved : -EIO;
}

static void write_bytes(struct recording_out *out, const char *s, size_t len)
{
	if (out->err)
		return;
	errno = 0;
	if (out->gz && gzwrite(out->gz, s, len) != (int)len)
		out->err = gz_error(out->gz);
	/* a line-buffered stream may take what it could not write */
	else if (out->stream && (fwrite(s, 1, len, out->stream) != len || ferror(out->stream)))
		out->err = errno ? -errno : -EIO;
}

static void flush(struct recording_out *out)
{
	if (out->err)
		return;
	errno = 0;
	if (!out->gz)
		out->err = stream_finish(out->stream);
	else if (gzflush(out->gz, Z_SYNC_FLUSH) != Z_OK)
		out->err = gz_error(out->gz);
}

/* Takes j over. false when the line would be too long. */
static bool write_record(struct recording_out *out, json_t *j)
{
	char *line = j ? json_dumps(j, JSON_COMPACT | JSON_ENSURE_ASCII) : NULL;
	size_t len = line ? strlen(line) : 0;
	bool fits = len < RECORDING_LINE_MAX;

	json_decref(j);
	if (!line && !out->err)
		out->err = -ENOMEM;
	if (line && fits) {
		line[len] = '\n';
		write_bytes(out, line, len + 1);
	}
	free(line);
	return fits;
}

static json_t *record(const char *type)
{
	json_t *j = json_object();

	set(&j, "type", json_string(type));
	return j;
}

static void write_schema(struct recording_out *out)
{
	json_t *j = record("schema");

	set(&j, "schema", json_sprintf("%s/%d", RECORDING_SCHEMA, RECORDING_MAJOR));
	set(&j, "tool", json_string("daxtrace"));
	set(&j, "version", json_string(DAXTOP_VERSION));
	write_record(out, j);
	flush(out);
}

struct recording_out *recording_create(const char *path)
{
	/* paths and names of processes can be secrets */
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	struct recording_out *out = fd < 0 ? NULL : calloc(1, sizeof(*out));

	if (out)
		out->gz = gzdopen(fd, "wb6");
	if (out && out->gz) {
		write_schema(out);
		return out;
	}
	if (fd >= 0) {
		close(fd);
		errno = ENOMEM;
	}
	free(out);
	return NULL;
}

struct recording_out *recording_stream(FILE *stream)
{
	struct recording_out *out = calloc(1, sizeof(*out));

	if (!out)
		return NULL;
	out->stream = stream;
	write_schema(out);
	return out;
}

static json_t *numbered_look(const char *type, u64 number)
{
	json_t *j = record(type);

	set(&j, "look", json_integer(number));
	return j;
}

int recording_look(struct recording_out *out)
{
	out->look_facts = 0;
	write_record(out, numbered_look("look", out->looks + 1));
	return out->err;
}

int recording_look_end(struct recording_out *out)
{
	json_t *j = numbered_look("look_end", out->looks + 1);

	set(&j, "facts", json_integer(out->look_facts));
	write_record(out, j);
	flush(out);
	out->looks += !out->err;
	return out->err;
}

static void count(struct recording_out *out, const struct fact *f)
{
	out->facts++;
	out->look_facts++;
	if (f->type == FACT_LOSS)
		*(f->loss.kind == LOSS_TORN ? &out->torn : &out->lost) += f->loss.count;
}

int recording_add(void *arg, const struct fact *fact)
{
	static const struct fact too_long = {
		.type = FACT_LOSS,
		.loss = { LOSS_LOST, 1, "recording: a fact longer than 1 MiB" },
	};
	struct recording_out *out = arg;

	if (write_record(out, fact_encode(fact))) {
		count(out, fact);
	} else {
		write_record(out, fact_encode(&too_long));
		count(out, &too_long);
	}
	return out->err;
}

u64 recording_looks(const struct recording_out *out)
{
	return out->looks;
}

u64 recording_size(const struct recording_out *out)
{
	z_off_t size = out->gz ? gzoffset(out->gz) : 0;

	return size < 0 ? 0 : size;
}

static void write_summary(struct recording_out *out, enum recording_end end)
{
	json_t *j = record("summary");

	set(&j, "looks", json_integer(out->looks));
	set(&j, "facts", json_integer(out->facts));
	set(&j, "lost", json_integer(out->lost > INT64_MAX ? INT64_MAX : out->lost));
	set(&j, "torn", json_integer(out->torn > INT64_MAX ? INT64_MAX : out->torn));
	set(&j, "ended", json_string(recording_end_name(end)));
	write_record(out, j);
	flush(out);
}

int recording_close(struct recording_out *out, enum recording_end end)
{
	int err;

	if (!out)
		return 0;
	write_summary(out, end);
	if (out->gz && gzclose(out->gz) != Z_OK && !out->err)
		out->err = errno ? -errno : -EIO;
	err = out->err;
	free(out);
	return err;
}
