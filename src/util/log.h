/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Messages for a person, on stderr; stdout carries data only. */
#ifndef DAXTOP_LOG_H
#define DAXTOP_LOG_H

enum log_level {
	LOG_ERROR = 0,
	LOG_VERBOSE = 1, /* -v */
	LOG_DEBUG = 2,   /* -vv: libbpf speaks too */
};

/* Messages above this level are dropped; LOG_ERROR until it is set. */
void log_set_level(int level);

/* "PROGRAM: ...", wrapped; the newline is added, and what could steer the terminal is escaped. */
void log_msg(enum log_level level, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/*
 * An error in the form that every error has: what is the cause, what cannot be had because of it,
 * and one command that helps. Consequence and command may be empty.
 */
void log_refusal(const char *cause, const char *consequence, const char *command);

#endif
