// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include <daxtop/collect.h>

#include "util/opts.h"

enum { ARGS_MAX = 8 };

/* What the last parse() wrote to stderr and stdout. */
static char said[8192];

static void capture(int fd, FILE *into, int *saved)
{
	fflush(stdout);
	fflush(stderr);
	*saved = dup(fd);
	dup2(fileno(into), fd);
}

static void release(int fd, int saved)
{
	fflush(stdout);
	fflush(stderr);
	dup2(saved, fd);
	close(saved);
}

/* Parses a NULL-terminated command line without the program's name. */
static int parse(struct opts *o, ...)
{
	static char *argv[ARGS_MAX + 2];
	FILE *f = tmpfile();
	int argc = 1, status, saved_out, saved_err;
	va_list ap;

	assert_non_null(f);
	argv[0] = (char *)"daxtrace";
	va_start(ap, o);
	while ((argv[argc] = va_arg(ap, char *)))
		argc++;
	va_end(ap);
	capture(1, f, &saved_out);
	capture(2, f, &saved_err);
	status = opts_parse(o, argc, argv);
	release(1, saved_out);
	release(2, saved_err);
	rewind(f);
	said[fread(said, 1, sizeof(said) - 1, f)] = '\0';
	fclose(f);
	return status;
}

static void assert_said(const char *text)
{
	if (!strstr(said, text))
		fail_msg("\"%s\" is not in:\n%s", text, said);
}

static void nothing_given(void **state)
{
	struct opts o;

	(void)state;
	assert_int_equal(parse(&o, NULL), OPTS_RUN);
	assert_int_equal(o.nr_paths, 0);
	assert_int_equal(o.stacks, STACKS_NONE);
	assert_false(o.json || o.check || o.exit_code || o.quiet || o.verbose);
	assert_null(o.image_write);
	assert_null(o.image_read);
}

static void everything_given(void **state)
{
	struct opts o;

	(void)state;
	assert_int_equal(parse(&o, "-Jeq", "-vv", "/mnt/a", "--image-write=x", "-kuser", "--", "-b",
			       NULL),
			 OPTS_RUN);
	assert_true(o.json && o.exit_code && o.quiet);
	assert_int_equal(o.verbose, 2);
	assert_int_equal(o.stacks, STACKS_USER);
	assert_string_equal(o.image_write, "x");
	assert_int_equal(o.nr_paths, 2);
	assert_string_equal(o.paths[0], "/mnt/a");
	assert_string_equal(o.paths[1], "-b");
}

static void stacks(void **state)
{
	struct opts o;

	(void)state;
	assert_int_equal(parse(&o, "-k", NULL), OPTS_RUN);
	assert_int_equal(o.stacks, STACKS_BOTH);
	assert_int_equal(parse(&o, "--stacks=kernel", NULL), OPTS_RUN);
	assert_int_equal(o.stacks, STACKS_KERNEL);
	assert_int_equal(parse(&o, "--stacks=none", NULL), OPTS_RUN);
	assert_int_equal(o.stacks, STACKS_NONE);
	assert_int_equal(parse(&o, "--stacks=all", NULL), STATUS_ERROR);
	assert_said("--stacks=all");
	assert_said("Try 'daxtrace --help'");
}

static void usage_errors(void **state)
{
	struct opts o;

	(void)state;
	assert_int_equal(parse(&o, "--nonsense", NULL), STATUS_ERROR);
	assert_said("nonsense");
	assert_said("Try 'daxtrace --help'");
	assert_int_equal(parse(&o, "--image-read", NULL), STATUS_ERROR);
	assert_int_equal(parse(&o, "--image", "x", NULL), STATUS_ERROR);
	assert_said("ambiguous");
	assert_int_equal(parse(&o, "--image-read", "x", "/mnt", NULL), STATUS_ERROR);
	assert_said("--image-read");
	assert_int_equal(parse(&o, "--check", "/mnt", NULL), STATUS_ERROR);
}

static void unique_prefixes(void **state)
{
	struct opts o;

	(void)state;
	for (const struct opt_def *d = opt_table; d->name; d++) {
		const struct opt_def *e;
		char prefix[64];

		/* The shortest prefix that no other option shares. */
		for (size_t len = 1; len <= strlen(d->name); len++) {
			for (e = opt_table; e->name; e++)
				if (e != d && !strncmp(e->name, d->name, len))
					break;
			snprintf(prefix, sizeof(prefix), "--%.*s", (int)len, d->name);
			if (!e->name)
				break;
		}
		parse(&o, prefix, d->arg == ARG_REQUIRED ? "1" : NULL, NULL);
		assert_null(strstr(said, "ambiguous"));
		assert_null(strstr(said, "Try"));
	}
}

static void search_takes_seconds(void **state)
{
	static const struct {
		const char *option;
		u64 ns;
	} good[] = { { "--search=off", 0 },
		     { "--search=5", 5000000000 },
		     { "--search=0.5s", 500000000 },
		     { "-e", 2000000000 } };
	static const char *const bad[] = { "--search=",   "--search=0",   "--search=-1",
					   "--search=2m", "--search=nan", "--search=1e9",
					   "--search=on" };
	struct opts o;

	(void)state;
	for (size_t i = 0; i < sizeof(good) / sizeof(*good); i++) {
		assert_int_equal(parse(&o, good[i].option, NULL), OPTS_RUN);
		assert_int_equal(o.search_ns, good[i].ns);
	}
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		assert_int_equal(parse(&o, bad[i], NULL), STATUS_ERROR);
		assert_said("it is a number of seconds, or off");
	}
}

static void later_options_are_refused(void **state)
{
	struct opts o;
	int n = 0;

	(void)state;
	for (const struct opt_def *d = opt_table; d->name; d++) {
		char option[64];

		if (!d->later)
			continue;
		snprintf(option, sizeof(option), "--%s%s", d->name,
			 d->arg == ARG_REQUIRED ? "=x" : "");
		assert_int_equal(parse(&o, option, NULL), STATUS_NOTSUPP);
		assert_said("not in this version");
		assert_said("without it:");
		assert_said("run:  daxtrace");
		n++;
	}
	assert_int_equal(n, 4);
}

static void help_and_version(void **state)
{
	struct opts o;

	(void)state;
	assert_int_equal(parse(&o, "--version", NULL), STATUS_OK);
	assert_string_equal(said, "daxtrace " DAXTOP_VERSION "\n");
	assert_int_equal(parse(&o, "-h", NULL), STATUS_OK);
	for (const struct opt_def *d = opt_table; d->name; d++) {
		char option[64];

		snprintf(option, sizeof(option), "--%s", d->name);
		assert_said(option);
		assert_said(d->help);
	}
}

static void help_fits_a_terminal(void **state)
{
	struct opts o;

	(void)state;
	assert_int_equal(parse(&o, "--help", NULL), STATUS_OK);
	for (char *line = strtok(said, "\n"); line; line = strtok(NULL, "\n"))
		if (strlen(line) > 80)
			fail_msg("%zu columns: %s", strlen(line), line);
}

/* A short option means one thing, and every group of the table is printed. */
static void table_is_sound(void **state)
{
	(void)state;
	for (const struct opt_def *d = opt_table; d->name; d++) {
		assert_true(d->arg == ARG_NO ? !d->arg_name : !!d->arg_name);
		assert_non_null(d->group);
		for (const struct opt_def *e = opt_table; e != d; e++) {
			assert_int_not_equal(d->key, e->key);
			assert_string_not_equal(d->name, e->name);
		}
	}
}

/* The manual, from OPTIONS on to the next section; "\-" has become "-". */
static char *manual_options(void)
{
	const char *path = getenv("DAXTRACE_MAN") ? getenv("DAXTRACE_MAN") : "man/daxtrace.8";
	static char text[65536];
	FILE *f = fopen(path, "r");
	char *from, *to, *out;
	size_t n;

	if (!f)
		fail_msg("cannot read %s", path);
	n = fread(text, 1, sizeof(text) - 1, f);
	text[n] = '\0';
	fclose(f);
	from = strstr(text, "\n.SH OPTIONS");
	assert_non_null(from);
	to = strstr(from + 4, "\n.SH ");
	assert_non_null(to);
	to[1] = '\0';
	out = text;
	for (; *from; from++)
		if (*from != '\\' || from[1] != '-')
			*out++ = *from;
	*out = '\0';
	return text;
}

/* The line that heads an option in the manual. */
static void manual_head(const struct opt_def *d, char *head, size_t len)
{
	char key[16] = "";

	if (d->key < 256)
		snprintf(key, sizeof(key), "-%c \", \" ", d->key);
	if (d->arg == ARG_NO)
		snprintf(head, len, "\n.TP\n.%s %s--%s\n", *key ? "BR" : "B", key, d->name);
	else if (d->arg == ARG_OPTIONAL)
		snprintf(head, len, "\n.TP\n.%s %s--%s\\fR[\\fB=\\fI%s\\fR]\n", *key ? "BR" : "B",
			 key, d->name, d->arg_name);
	else
		snprintf(head, len, "\n.TP\n.%s %s--%s \" \" \\fI%s\n", "BR", key, d->name,
			 d->arg_name);
}

static void manual_has_the_same_options(void **state)
{
	char *text = manual_options(), head[128];
	int documented = 0, n = 0;

	(void)state;
	for (const struct opt_def *d = opt_table; d->name; d++, n++) {
		manual_head(d, head, sizeof(head));
		if (!strstr(text, head))
			fail_msg("the manual's OPTIONS lack: %s", head);
	}
	for (char *at = text; (at = strstr(at, "\n.TP\n")); at++)
		documented++;
	assert_int_equal(documented, n);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(nothing_given),
		cmocka_unit_test(everything_given),
		cmocka_unit_test(stacks),
		cmocka_unit_test(usage_errors),
		cmocka_unit_test(unique_prefixes),
		cmocka_unit_test(search_takes_seconds),
		cmocka_unit_test(later_options_are_refused),
		cmocka_unit_test(help_and_version),
		cmocka_unit_test(help_fits_a_terminal),
		cmocka_unit_test(table_is_sound),
		cmocka_unit_test(manual_has_the_same_options),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
