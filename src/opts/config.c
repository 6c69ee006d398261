// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * The configuration file: settings of the live view, one on a line, by the long names of options.
 * What is wrong in it is told and left out: a typing error must not keep anybody from looking at a
 * hang.
 */
#include "opts/parts.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "util/bounded.h"
#include "util/log.h"

#define SYSTEM_FILE "/etc/daxtop/daxtoprc"

enum { FILE_MAX = 16384, PATH_SIZE = 4096, CANDIDATES = 2, TIMEOUT_MS = 2000, NAME_MAX_LEN = 32 };

struct candidates {
	char path[CANDIDATES][PATH_SIZE];
	u32 n;
};

/* The user's file, then the system's. */
static void name_candidates(struct candidates *c)
{
	const char *home = getenv("HOME"), *xdg = getenv("XDG_CONFIG_HOME");

	c->n = 0;
	if (xdg && *xdg == '/')
		snprintf(c->path[c->n++], PATH_SIZE, "%s/daxtop/daxtoprc", xdg);
	else if (home && *home == '/')
		snprintf(c->path[c->n++], PATH_SIZE, "%s/.config/daxtop/daxtoprc", home);
	snprintf(c->path[c->n++], PATH_SIZE, "%s", SYSTEM_FILE);
}

/*
 * The first that there is: a byte with its number, and its text. In a child: a home directory may
 * be on what hangs.
 */
static ssize_t read_first(void *arg, void *buf, size_t len)
{
	struct candidates *c = arg;
	char *text = buf;
	ssize_t n;

	for (u32 i = 0; i < c->n; i++) {
		int fd = open(c->path[i], O_RDONLY | O_CLOEXEC);

		if (fd < 0 && errno == ENOENT && i + 1 < c->n)
			continue;
		n = fd < 0 ? -1 : read(fd, text + 1, len - 1);
		if (n < 0)
			return -errno;
		text[0] = i;
		return n == (ssize_t)len - 1 ? -EFBIG : n + 1;
	}
	return -ENOENT;
}

/* line: 0 for the file as a whole. */
__attribute__((format(printf, 4, 5))) static void complain(struct opts *o, const char *path,
							   u32 line, const char *fmt, ...)
{
	char where[80], what[OPTS_ERROR - sizeof(where)];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(what, sizeof(what), fmt, ap);
	va_end(ap);
	snprintf(where, sizeof(where), line ? "%.60s:%u: " : "%.60s: ", path, line);
	log_msg(LOG_ERROR, "%s%s", where, what);
	if (!o->config_error[0])
		snprintf(o->config_error, sizeof(o->config_error), "%s%s", where, what);
}

static const struct opt_def *find_setting(const char *name)
{
	for (const struct opt_def *d = opt_table; d->name; d++)
		if (d->setting && d->programs & DAXTOP && !strcmp(d->name, name))
			return d;
	return NULL;
}

/* 0, or -EINVAL with the reason in error. */
static int take_setting(struct opts *o, const struct opt_def *d, const char *value, char *error,
			size_t len)
{
	if (d->arg == ARG_NO && value && !strcmp(value, "no"))
		return 0;
	if (d->arg == ARG_NO && value && strcmp(value, "yes") != 0) {
		snprintf(error, len, "%s is yes or no", d->name);
		return -EINVAL;
	}
	if (d->arg == ARG_REQUIRED && !value) {
		snprintf(error, len, "%s needs a %s", d->name, d->arg_name);
		return -EINVAL;
	}
	return opt_take(o, d, value, error, len);
}

/* Cuts blanks off both ends. */
static char *trim(char *s)
{
	size_t len;

	s += strspn(s, " \t\r");
	len = strlen(s);
	while (len && strchr(" \t\r", s[len - 1]))
		s[--len] = '\0';
	return s;
}

/* "name", or "name = value"; the text stays, as options point into it. */
static void take_line(struct opts *o, const char *path, u32 number, char *line)
{
	char *value = strchr(line, '='), error[OPTS_ERROR];
	const struct opt_def *d;

	if (value)
		*value++ = '\0';
	line = trim(line);
	value = value ? trim(value) : NULL;
	if (!*line && !value)
		return;
	d = find_setting(line);
	if (!d)
		complain(o, path, number, "there is no setting \"%.*s\"", NAME_MAX_LEN, line);
	else if (take_setting(o, d, value && *value ? value : NULL, error, sizeof(error)))
		complain(o, path, number, "%s", error);
}

static void take_text(struct opts *o, const char *path, char *text)
{
	u32 number = 0;

	while (text) {
		char *line = text, *end = strchr(text, '\n');

		text = end ? end + 1 : NULL;
		if (end)
			*end = '\0';
		number++;
		if (*trim(line) != '#')
			take_line(o, path, number, line);
	}
}

void opts_config(struct opts *o)
{
	static char text[FILE_MAX + 2];
	static struct candidates c;
	ssize_t n;

	if (o->no_config)
		return;
	name_candidates(&c);
	if (o->config) {
		snprintf(c.path[0], PATH_SIZE, "%s", o->config);
		c.n = 1;
	}
	n = bounded_call(read_first, &c, text, FILE_MAX + 1, TIMEOUT_MS);
	if (n == -ENOENT && !o->config)
		return;
	if (n <= 0) {
		complain(o, o->config ? o->config : c.path[0], 0, "cannot be read: %s",
			 strerror(n < 0 ? -n : EIO));
		return;
	}
	text[n] = '\0';
	if (memchr(text + 1, '\0', n - 1))
		complain(o, c.path[(u8)text[0]], 1, "this is no text");
	else
		take_text(o, c.path[(u8)text[0]], text + 1);
	o->config_filters = o->filter.n;
}
