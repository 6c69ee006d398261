// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Options that make no sense together. */
#include "opts/parts.h"

/* Where the facts come from, and what looks at this machine. */
static const char *check_source(const struct opts *o)
{
	bool watches = o->duration_ns || o->command || o->interval_ns || o->recorder;

	if (o->image_read && o->nr_paths)
		return "a PATH names a file of this machine, --image-read another's memory";
	if (o->image_read && (o->image_write || o->check))
		return "--image-read looks at no machine: it excludes --image-write and --check";
	if (o->read && o->nr_paths)
		return "a PATH names a file of this machine, --read a recording of another";
	if (o->read && (o->check || o->image_read || o->image_write || o->without || watches))
		return "--read looks at no machine: it excludes --check, --duration, --interval, "
		       "--recorder, the --image options, --without and a COMMAND";
	if (o->read && o->write)
		return "--read and --write exclude each other";
	if (o->before_unbind && (o->nr_paths || o->read || o->image_read || o->check || watches))
		return "--before-unbind looks at one device, now: it excludes PATH, --read, "
		       "--image-read, --check and what watches";
	return NULL;
}

/* What is attached to the kernel. In a configuration file it is no mistake that it is needless. */
static const char *check_trace(const struct opts *o, enum program program)
{
	bool limits = o->no_pins || o->ring_bytes || o->max_waits || o->max_pins || o->max_stacks;

	if (program == DAXTOP)
		return NULL;
	if ((o->no_trace || limits) && !opts_watch(o) && !o->check)
		return "--no-trace, --no-pins, --ringbuf-size, --max-waits, --max-pins and "
		       "--max-stacks are for what watches: one look attaches nothing";
	if (o->no_trace && limits)
		return "--no-trace leaves nothing for --no-pins, --ringbuf-size, --max-waits, "
		       "--max-pins and --max-stacks";
	if (o->no_pins && (o->max_pins || o->max_stacks))
		return "--no-pins leaves nothing for --max-pins and --max-stacks";
	return NULL;
}

/* What is printed and kept. */
static const char *check_output(const struct opts *o)
{
	bool watches = opts_watch(o);

	if (o->json + o->ndjson + !!o->folded + !!o->hist > 1)
		return "--json, --ndjson, --folded and --hist exclude each other";
	if (o->hist == WHICH_WAIT && !watches && !o->read)
		return "--hist is of waits that ended: it needs --read, --duration, --count, "
		       "--until-stuck or a COMMAND";
	if (o->follow && (o->json || o->folded || o->hist))
		return "--follow prints lines as they come: it excludes --json, --folded and "
		       "--hist";
	if (o->check && (o->nr_paths || o->exit_code || o->folded || o->hist || o->ndjson ||
			 o->write || watches))
		return "--check looks at the machine, not at waits: it excludes PATH, --exit-code, "
		       "--ndjson, --folded, --hist, --write and what watches";
	if (o->recorder && (o->write || o->json || o->ndjson || o->folded || o->hist || o->follow))
		return "--recorder only records: it excludes --write and other output";
	if (o->keep_size && !o->recorder)
		return "--keep-size is the size of what --recorder keeps";
	if (o->interval_ns && !watches)
		return "--interval is between looks: it needs --duration, --count, --until-stuck, "
		       "--follow, --recorder or a COMMAND";
	if (o->image_write && watches)
		return "--image-write saves one look: it excludes what watches";
	return NULL;
}

struct trace_opts opts_trace(const struct opts *o)
{
	return (struct trace_opts){
		.ring_bytes = o->ring_bytes,
		.max_waits = o->max_waits,
		.max_pins = o->no_pins ? 0 : o->max_pins,
		.max_stacks = o->max_stacks,
	};
}

bool opts_traces(const struct opts *o)
{
	return !o->no_trace && !o->read && !o->image_read;
}

bool opts_watch(const struct opts *o)
{
	return o->duration_ns || o->count || o->stuck_ns || o->follow || o->recorder || o->command;
}

const char *opts_conflict(const struct opts *o, enum program program)
{
	const char *why = check_source(o);

	why = why ? why : check_trace(o, program);
	return why ? why : check_output(o);
}
