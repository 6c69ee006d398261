// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* daxtrace: who blocks whom on DAX files, told once. Wiring and exit statuses only. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <daxtop/collect.h>
#include <daxtop/diagnose.h>
#include <daxtop/model.h>
#include <daxtop/view.h>

#include "util/log.h"
#include "util/opts.h"
#include "util/strbuf.h"

static const char no_answer[] = "there is no answer to print";

/* Turns an error into what the user reads; returns -1. */
static int refuse_errno(struct refusal *why, int err)
{
	return refuse(why, STATUS_ERROR, no_answer, "", "%s", strerror(-err));
}

/* Fills the graph with what this machine, or a saved image, holds. 0, or -1 with *why filled. */
static int look(const struct opts *o, struct wfg *g, struct refusal *why)
{
	struct snapshot_opts snap = {
		.user_stacks = o->stacks & STACKS_USER,
		.image_write = o->image_write,
		.image_read = o->image_read,
		.without = o->without,
		.search_ns = o->search_ns,
	};
	struct scope scope;
	int err;

	if (scope_resolve(&scope, o->paths, o->nr_paths, why))
		return -1;
	snap.scope = &scope;
	/* An image needs nothing of this machine. */
	err = o->image_read ? 0 : preflight(wfg_add, g, why);
	if (!err)
		err = snapshot(&snap, wfg_add, g, why);
	scope_free(&scope);
	return err < -1 ? refuse_errno(why, err) : err;
}

/* What was asked, as words for a sentence. */
static void name_scope(struct strbuf *sb, const struct opts *o)
{
	for (size_t i = 0; i < o->nr_paths; i++)
		sb_printf(sb, "%s%s", i ? ", " : "", o->paths[i]);
}

static int show(const struct opts *o, const struct wfg *g, const struct findings *f)
{
	struct strbuf scope = { 0 };
	struct view_opts view = {
		.stacks = o->stacks,
		.quiet = o->quiet,
		.verbose = o->verbose,
	};
	int err;

	name_scope(&scope, o);
	view.scope = scope.s;
	if (o->json)
		err = view_json(stdout, g, f, &view);
	else
		err = view_report(stdout, g, f, &view);
	sb_free(&scope);
	return err;
}

/* Turns an error of making the answer or of printing it into what the user reads. */
static int refuse_output(struct refusal *why, int err)
{
	if (ferror(stdout))
		return refuse(why, STATUS_ERROR, "the answer is incomplete", "",
			      "cannot write the output: %s", strerror(-err));
	return refuse_errno(why, err);
}

/* Prints what is in the graph. The exit status, or -1 with *why filled. */
static int explain(const struct opts *o, struct wfg *g, struct refusal *why)
{
	struct findings findings = { 0 };
	int status = STATUS_OK;
	int err = wfg_link(g);

	if (!err)
		err = diagnose(g, &findings);
	if (!err)
		err = show(o, g, &findings);
	if (!err && o->exit_code)
		status = findings_exit_status(g, &findings);
	findings_free(&findings);
	return err ? refuse_output(why, err) : status;
}

/*
 * Prints what works here; above all when a snapshot does not, and why it does not is then part of
 * the answer. The exit status, or -1 with *why filled.
 */
static int check(const struct opts *o, struct wfg *g, struct refusal *why)
{
	struct refusal found = *why;
	int err;

	if (o->json)
		return explain(o, g, why) ? -1 : found.status;
	err = wfg_link(g);
	if (!err)
		err = view_check(stdout, g, &found);
	return err ? refuse_output(why, err) : found.status;
}

static int run(const struct opts *o, struct wfg *g, struct refusal *why)
{
	int err = look(o, g, why);

	if (o->check)
		return check(o, g, why);
	return err ? -1 : explain(o, g, why);
}

/* The exit status; what went wrong has been printed. */
static int run_and_tell(const struct opts *o)
{
	struct refusal why = { .status = STATUS_OK };
	struct wfg *g = wfg_new();
	int status = g ? run(o, g, &why) : refuse_errno(&why, -ENOMEM);

	wfg_free(g);
	if (status >= 0)
		return status;
	log_refusal(why.cause, why.consequence, why.command);
	return why.status;
}

/* A file opened as descriptor 1 would get the report: occupy what the caller left closed. */
static void occupy_standard_descriptors(void)
{
	int fd;

	do
		fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
	while (fd >= 0 && fd < 3);
	if (fd >= 3)
		close(fd);
}

/* A full disk or a closed pipe: a report that is cut off must not pass for a whole one. */
static int close_stdout(int status)
{
	int failed = ferror(stdout);

	if ((!fclose(stdout) && !failed) || status == STATUS_ERROR)
		return status;
	log_msg(LOG_ERROR, "the output is incomplete: %s", strerror(errno ? errno : EIO));
	return STATUS_ERROR;
}

int main(int argc, char **argv)
{
	struct opts o;
	int status;

	occupy_standard_descriptors();
	signal(SIGPIPE, SIG_IGN);
	status = opts_parse(&o, argc, argv);
	if (status == OPTS_RUN) {
		log_set_level(o.verbose);
		collect_set_verbosity(o.verbose);
		status = run_and_tell(&o);
	}
	return close_stdout(status);
}
