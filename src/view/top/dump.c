// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "view/top/dump.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <daxtop/view.h>

#include "util/bounded.h"

enum { NAME = 64, TIMEOUT_MS = 2000 };

struct dump {
	const struct top *t;
	char base[NAME]; /* of both names */
};

typedef int (*view_fn)(FILE *out, const struct wfg *g, const struct findings *f,
		       const struct view_opts *opts);

/* 0 or -errno. Never over another file, and never through a link that somebody has laid out. */
static int write_file(const struct dump *d, const char *suffix, view_fn view)
{
	const struct view_opts opts = { .stacks = STACKS_BOTH, .verbose = 1 };
	char name[NAME + 8];
	FILE *out;
	int fd, err;

	snprintf(name, sizeof(name), "%s.%s", d->base, suffix);
	fd = open(name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (fd < 0)
		return -errno;
	out = fdopen(fd, "w");
	if (!out) {
		close(fd);
		return -ENOMEM;
	}
	err = view(out, d->t->g, &d->t->f, &opts);
	if (fclose(out) && !err)
		err = -errno;
	return err;
}

static ssize_t write_files(void *arg, void *buf, size_t len)
{
	const struct dump *d = arg;
	int err = write_file(d, "txt", view_report);

	(void)buf, (void)len;
	return err ? err : write_file(d, "json", view_json);
}

void dump_shown(struct top *t)
{
	struct dump d = { .t = t };
	struct tm tm;
	char none[1];
	ssize_t err;
	time_t sec;

	if (!t->g) {
		top_say(t, "there is nothing to dump yet");
		return;
	}
	sec = wfg_session(t->g)->time_sec + wfg_session(t->g)->utc_offset;
	if (!gmtime_r(&sec, &tm) || !strftime(d.base, sizeof(d.base), "daxtop-%Y%m%dT%H%M%S", &tm))
		snprintf(d.base, sizeof(d.base), "daxtop-%llu", (unsigned long long)t->shown);
	err = bounded_call(write_files, &d, none, sizeof(none), TIMEOUT_MS);
	if (err)
		top_say(t, "cannot write %s.txt and .json here: %s", d.base, strerror(-err));
	else
		top_say(t, "written: %s.txt and %s.json", d.base, d.base);
}
