// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Every option of both programs. */
#include "opts/parts.h"

#define MSEC 1000000ULL
#define SEC  1000000000ULL
#define MIB  (1ULL << 20)

#define OUTPUT    "Output"
#define WATCHING  "Watching"
#define RECORDING "Recording"
#define FILTER    "Filter"
#define LIVE      "Live view"
#define GENERAL   "General"
#define DEBUGGING "Debugging"

const char *const opt_groups[] = { LIVE,      FILTER,  OUTPUT,    WATCHING,
				   RECORDING, GENERAL, DEBUGGING, NULL };

/* Words, up to a NULL. */
static const char *stacks_word(u32 i)
{
	static const char *const words[] = {
		[STACKS_NONE] = "none", [STACKS_KERNEL] = "kernel", [STACKS_USER] = "user",
		[STACKS_BOTH] = "both", [STACKS_BOTH + 1] = NULL,
	};

	return words[i];
}

static const char *which_word(u32 i)
{
	static const char *const words[] = {
		[WHICH_NONE] = "none",
		[WHICH_WAIT] = "wait",
		[WHICH_HOLD] = "hold",
		[WHICH_HOLD + 1] = NULL,
	};

	return words[i];
}

static const char *color_word(u32 i)
{
	static const char *const words[] = {
		[COLOR_AUTO] = "auto",
		[COLOR_ALWAYS] = "always",
		[COLOR_NEVER] = "never",
		[COLOR_NEVER + 1] = NULL,
	};

	return words[i];
}

/* As row_sort_name(), which a view may know and options may not. */
static const char *sort_word(u32 i)
{
	static const char *const words[] = { "age", "pid", "comm", "op", "file", "queued", NULL };

	return words[i];
}

static const char *off_word(u32 i)
{
	return i ? NULL : "off";
}

static const char *op_word(u32 i)
{
	return i < OP_MAX ? fact_op_name(i) : NULL;
}

static const char *how_word(u32 i)
{
	return i < HOW_MAX ? fact_how_name(i) : NULL;
}

#define BOTH (DAXTRACE | DAXTOP)

/* What kind of option it is, and which member of struct opts it fills. */
#define IS(opt_kind, member) .kind = OPT_##opt_kind, .at = offsetof(struct opts, member)
#define SETTING              .setting = true
#define FILTERS(which)       IS(FILTER, filter), .filter = FILTER_##which, SETTING

const struct opt_def opt_table[] = {
	{ 'J', "json", ARG_NO, NULL, OUTPUT, "one JSON document", DAXTRACE, IS(FLAG, json) },
	{ 'j', "ndjson", ARG_NO, NULL, OUTPUT, "the facts instead, one per line, as they come",
	  DAXTRACE, IS(FLAG, ndjson) },
	{ 0, "folded", ARG_OPTIONAL, "WHICH", OUTPUT,
	  "stacks for flamegraph.pl: of wait (default) or hold", DAXTRACE, IS(WORD, folded),
	  .word = which_word, .otherwise = "wait", .wanted = "wait or hold" },
	{ 0, "hist", ARG_OPTIONAL, "WHICH", OUTPUT,
	  "histogram of durations: wait (default) or hold", DAXTRACE, IS(WORD, hist),
	  .word = which_word, .otherwise = "wait", .wanted = "wait or hold" },
	{ 'k', "stacks", ARG_OPTIONAL, "WHICH", OUTPUT,
	  "with stacks: kernel, user, both (default) or none", BOTH, IS(WORD, stacks), SETTING,
	  .word = stacks_word, .otherwise = "both", .wanted = "kernel, user, both or none" },
	{ 'e', "exit-code", ARG_NO, NULL, OUTPUT, "tell the finding by the exit status, see below",
	  DAXTRACE, IS(FLAG, exit_code) },
	{ 'q', "quiet", ARG_NO, NULL, OUTPUT, "verdict sentences only", DAXTRACE, IS(FLAG, quiet) },
	{ 'v', "verbose", ARG_NO, NULL, OUTPUT, "more detail; twice: libbpf's messages too",
	  DAXTRACE, IS(COUNTER, verbose) },
	{ 'd', "duration", ARG_REQUIRED, "TIME", WATCHING, "look again and again for TIME",
	  DAXTRACE, IS(TIME, duration_ns) },
	{ 'n', "count", ARG_REQUIRED, "NUM", WATCHING, "until NUM waits have ended", DAXTRACE,
	  IS(NUMBER, count), .max = UINT32_MAX },
	{ 0, "until-stuck", ARG_OPTIONAL, "TIME", WATCHING, "until a wait is as old as TIME (60s)",
	  DAXTRACE, IS(TIME, stuck_ns), .otherwise = "60s" },
	{ 0, "follow", ARG_NO, NULL, WATCHING, "one line when a wait begins or ends", DAXTRACE,
	  IS(FLAG, follow) },
	{ 0, "interval", ARG_REQUIRED, "TIME", WATCHING, "from look to look (1s)", DAXTRACE,
	  IS(TIME, interval_ns) },
	{ 0, "no-trace", ARG_NO, NULL, WATCHING, "only look: attach nothing to the kernel", BOTH,
	  IS(FLAG, no_trace), SETTING },
	{ 0, "no-pins", ARG_NO, NULL, WATCHING, "trace waits but not page references", BOTH,
	  IS(FLAG, no_pins), SETTING },
	{ 0, "ringbuf-size", ARG_REQUIRED, "SIZE", WATCHING, "of the buffer for traced events (4M)",
	  DAXTRACE, IS(SIZE, ring_bytes), .min = 4096, .max = 1ULL << 30,
	  .wanted = "a size from 4K to 1G" },
	{ 0, "max-waits", ARG_REQUIRED, "NUM", WATCHING, "to trace at one time (8192)", DAXTRACE,
	  IS(NUMBER, max_waits), .max = 1 << 20 },
	{ 0, "max-pins", ARG_REQUIRED, "NUM", WATCHING, "held pages to trace at one time (32768)",
	  DAXTRACE, IS(NUMBER, max_pins), .max = 1 << 24 },
	{ 0, "max-stacks", ARG_REQUIRED, "NUM", WATCHING,
	  "different stacks of who took them (4096)", DAXTRACE, IS(NUMBER, max_stacks),
	  .max = 1 << 20 },
	{ 'w', "write", ARG_REQUIRED, "FILE", RECORDING, "also write a recording", BOTH,
	  IS(FILE, write) },
	{ 'r', "read", ARG_REQUIRED, "FILE", RECORDING, "explain a recording, not this machine",
	  BOTH, IS(FILE, read) },
	{ 0, "recorder", ARG_REQUIRED, "DIR", RECORDING, "only record, in files of bounded size",
	  DAXTRACE, IS(DIR, recorder) },
	{ 0, "keep-size", ARG_REQUIRED, "SIZE", RECORDING, "of all files of DIR (64M)", DAXTRACE,
	  IS(SIZE, keep_size), .min = MIB, .wanted = "a size from 1M on, as in 64M or 1G" },
	{ 'd', "delay", ARG_REQUIRED, "TIME", LIVE, "time between looks: 1s, 100ms to 1h", DAXTOP,
	  IS(TIME, delay_ns), SETTING, .min = 100 * MSEC, .max = 3600 * SEC,
	  .wanted = "a time with a unit, 100ms to 1h" },
	{ 'n', "iterations", ARG_REQUIRED, "N", LIVE, "end after N looks", DAXTOP,
	  IS(NUMBER, iterations) },
	{ 'b', "batch", ARG_NO, NULL, LIVE, "print each frame as text, as on no terminal", DAXTOP,
	  IS(FLAG, batch) },
	{ 's', "sort", ARG_REQUIRED, "COLUMN", LIVE,
	  "age, pid, comm, op, file or queued; -COLUMN inverts", DAXTOP, IS(COLUMN, sort), SETTING,
	  .word = sort_word, .wanted = "age, pid, comm, op, file or queued" },
	{ 0, "color", ARG_OPTIONAL, "WHEN", LIVE,
	  "auto (default; not with NO_COLOR), always or never", DAXTOP, IS(WORD, color), SETTING,
	  .word = color_word, .otherwise = "always", .wanted = "auto, always or never" },
	{ 0, "ascii", ARG_NO, NULL, LIVE, "draw with ASCII only", DAXTOP, IS(FLAG, ascii),
	  SETTING },
	{ 'p', "pid", ARG_REQUIRED, "LIST", FILTER, "waiter or holder has one of these PIDs",
	  DAXTOP, FILTERS(PID), .wanted = "is a list of numbers" },
	{ 'C', "comm", ARG_REQUIRED, "GLOB", FILTER, "command name of waiter or holder; ! negates",
	  DAXTOP, FILTERS(COMM) },
	{ 0, "op", ARG_REQUIRED, "LIST", FILTER, "blocked operation: truncate,evict,...", DAXTOP,
	  FILTERS(OP), .word = op_word, .wanted = "lists operations: truncate, evict, ..." },
	{ 0, "how", ARG_REQUIRED, "LIST", FILTER, "mechanism: vmsplice,direct_io,...", DAXTOP,
	  FILTERS(HOW), .word = how_word, .wanted = "lists mechanisms: vmsplice, direct_io, ..." },
	{ 'm', "min", ARG_REQUIRED, "TIME", FILTER, "only waits at least that old: 500ms, 5s, 2min",
	  DAXTOP, FILTERS(MIN), .wanted = "is a time with a unit: 500ms, 5s, 2min" },
	{ 0, "check", ARG_NO, NULL, GENERAL, "what works on this machine, and what is lost",
	  DAXTRACE, IS(FLAG, check) },
	{ 0, "pins", ARG_OPTIONAL, "TIME", GENERAL, "list every held page, looking for TIME (5s)",
	  DAXTRACE, IS(TIME, pins_ns), .word = off_word, .otherwise = "5s",
	  .wanted = "a time with a unit, as in 500ms, or off" },
	{ 0, "pins", ARG_REQUIRED, "TIME", LIVE,
	  "find held pages, for TIME in each look (2ms), or off", DAXTOP, IS(TIME, pins_ns),
	  SETTING, .word = off_word, .wanted = "a time with a unit, as in 5ms, or off" },
	{ 0, "before-unbind", ARG_REQUIRED, "DEVICE", GENERAL,
	  "who would make its unbinding hang or crash", DAXTRACE, IS(TEXT, before_unbind) },
	{ 0, "search", ARG_REQUIRED, "TIME", GENERAL,
	  "search memory for holders for TIME (2s), or off", DAXTRACE, IS(TIME, search_ns),
	  .word = off_word, .wanted = "a time with a unit, as in 500ms, or off" },
	{ 0, "image-write", ARG_REQUIRED, "FILE", DEBUGGING,
	  "save the kernel memory that this run reads", DAXTRACE, IS(FILE, image_write) },
	{ 0, "image-read", ARG_REQUIRED, "FILE", DEBUGGING,
	  "explain saved kernel memory, not this machine", BOTH, IS(FILE, image_read) },
	{ 0, "without", ARG_REQUIRED, "SYMBOL", DEBUGGING,
	  "pretend that the kernel hides this symbol", BOTH, IS(TEXT, without) },
	{ 0, "config", ARG_REQUIRED, "FILE", GENERAL, "read settings from FILE, see daxtop(8)",
	  DAXTOP, IS(FILE, config) },
	{ 0, "no-config", ARG_NO, NULL, GENERAL, "read no settings", DAXTOP, IS(FLAG, no_config) },
	{ 0, "completion", ARG_REQUIRED, "SHELL", GENERAL,
	  "print the completion for bash, zsh or fish", BOTH, IS(COMPLETION, shell),
	  .word = opt_shell_word, .wanted = "bash, zsh or fish" },
	{ 'h', "help", ARG_NO, NULL, GENERAL, "print this and exit", BOTH, .kind = OPT_HELP },
	{ 'V', "version", ARG_NO, NULL, GENERAL, "print the version and exit", BOTH,
	  .kind = OPT_VERSION },
	{ .name = NULL },
};

_Static_assert(sizeof(opt_table) / sizeof(opt_table[0]) <= OPTS_MAX, "OPTS_MAX");

const char *program_name(enum program program)
{
	return program == DAXTOP ? "daxtop" : "daxtrace";
}
