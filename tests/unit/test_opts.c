// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include <daxtop/collect.h>

#include "opts/opts.h"

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

/* Parses a command line of argc words, the first of which will be the program's name. */
static int parse_argv(struct opts *o, enum program program, int argc, char **argv)
{
	FILE *f = tmpfile();
	int status, saved_out, saved_err;

	assert_non_null(f);
	argv[0] = (char *)"overwritten";
	capture(1, f, &saved_out);
	capture(2, f, &saved_err);
	status = opts_parse(o, program, argc, argv);
	release(1, saved_out);
	release(2, saved_err);
	rewind(f);
	said[fread(said, 1, sizeof(said) - 1, f)] = '\0';
	fclose(f);
	return status;
}

/* Parses a NULL-terminated command line without the program's name. */
static int parse_of(enum program program, struct opts *o, ...)
{
	static char *argv[ARGS_MAX + 2];
	int argc = 1;
	va_list ap;

	va_start(ap, o);
	while ((argv[argc] = va_arg(ap, char *)))
		argc++;
	va_end(ap);
	return parse_argv(o, program, argc, argv);
}

#define parse(...)     parse_of(DAXTRACE, __VA_ARGS__)
#define parse_top(...) parse_of(DAXTOP, __VA_ARGS__)

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
	assert_int_equal(parse(&o, "-Jeq", "-vv", "/mnt/a", "--image-write=x", "-kuser", "./-b",
			       NULL),
			 OPTS_RUN);
	assert_true(o.json && o.exit_code && o.quiet);
	assert_int_equal(o.verbose, 2);
	assert_int_equal(o.stacks, STACKS_USER);
	assert_string_equal(o.image_write, "x");
	assert_int_equal(o.nr_paths, 2);
	assert_string_equal(o.paths[0], "/mnt/a");
	assert_string_equal(o.paths[1], "./-b");
	assert_null(o.command);
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
	assert_said("Try 'test_opts --help'");
}

static void folded_stacks(void **state)
{
	struct opts o;

	(void)state;
	assert_int_equal(parse(&o, "--folded", NULL), OPTS_RUN);
	assert_int_equal(o.folded, WHICH_WAIT);
	assert_int_equal(parse(&o, "--folded=hold", NULL), OPTS_RUN);
	assert_int_equal(o.folded, WHICH_HOLD);
	assert_int_equal(parse(&o, "--folded=all", NULL), STATUS_ERROR);
	assert_said("--folded=all: it is wait or hold");
	assert_int_equal(parse(&o, "--hist", "-rx", NULL), OPTS_RUN);
	assert_int_equal(o.hist, WHICH_WAIT);
	assert_int_equal(parse(&o, "--hist=hold", NULL), OPTS_RUN);
	assert_int_equal(o.hist, WHICH_HOLD);
}

static void usage_errors(void **state)
{
	struct opts o;

	(void)state;
	assert_int_equal(parse(&o, "--nonsense", NULL), STATUS_ERROR);
	assert_said("nonsense");
	assert_said("Try 'test_opts --help'");
	assert_int_equal(parse(&o, "--image-read", NULL), STATUS_ERROR);
	assert_int_equal(parse(&o, "--image", "x", NULL), STATUS_ERROR);
	assert_said("ambiguous");
	assert_int_equal(parse(&o, "--image-read", "x", "/mnt", NULL), STATUS_ERROR);
	assert_said("--image-read");
	assert_int_equal(parse(&o, "--check", "/mnt", NULL), STATUS_ERROR);
}

/* Each program has to be usable with the shortest prefix that no other of its options shares. */
static void assert_unique_prefixes(enum program program)
{
	struct opts o;

	for (const struct opt_def *d = opt_table; d->name; d++) {
		const struct opt_def *e;
		char prefix[64];

		if (!(d->programs & program))
			continue;
		for (size_t len = 1; len <= strlen(d->name); len++) {
			for (e = opt_table; e->name; e++)
				if (e != d && e->programs & program &&
				    !strncmp(e->name, d->name, len))
					break;
			snprintf(prefix, sizeof(prefix), "--%.*s", (int)len, d->name);
			if (!e->name)
				break;
		}
		parse_of(program, &o, prefix, d->arg == ARG_REQUIRED ? "1" : NULL, NULL);
		assert_null(strstr(said, "ambiguous"));
		assert_null(strstr(said, "unrecognized"));
	}
}

static void search_takes_a_time(void **state)
{
	static const struct {
		const char *option;
		u64 ns;
	} good[] = { { "--search=off", 0 },
		     { "--search=5s", 5000000000 },
		     { "--search=0.5s", 500000000 },
		     { "-e", 2000000000 } };
	static const char *const bad[] = { "--search=",   "--search=0",   "--search=-1",
					   "--search=2m", "--search=nan", "--search=5",
					   "--search=on" };
	struct opts o;

	(void)state;
	for (size_t i = 0; i < sizeof(good) / sizeof(*good); i++) {
		assert_int_equal(parse(&o, good[i].option, NULL), OPTS_RUN);
		assert_int_equal(o.search_ns, good[i].ns);
	}
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		assert_int_equal(parse(&o, bad[i], NULL), STATUS_ERROR);
		assert_said("it is a time with a unit");
	}
}

static void unique_prefixes(void **state)
{
	(void)state;
	assert_unique_prefixes(DAXTRACE);
	assert_unique_prefixes(DAXTOP);
}

static void watching(void **state)
{
	struct opts o;

	(void)state;
	assert_int_equal(parse(&o, "-d", "1.5min", "-n3", "--until-stuck", "--follow", NULL),
			 OPTS_RUN);
	assert_int_equal(o.duration_ns, 90000000000ULL);
	assert_int_equal(o.count, 3);
	assert_int_equal(o.stuck_ns, 60000000000ULL);
	assert_int_equal(o.interval_ns, 1000000000ULL);
	assert_true(o.follow && opts_watch(&o));
	assert_int_equal(parse(&o, "--until-stuck=250ms", "--interval=100ms", NULL), OPTS_RUN);
	assert_int_equal(o.stuck_ns, 250000000ULL);
	assert_int_equal(o.interval_ns, 100000000ULL);
	assert_int_equal(parse(&o, "-w", "x.dxt", NULL), OPTS_RUN);
	assert_string_equal(o.write, "x.dxt");
	assert_false(opts_watch(&o));
	assert_int_equal(parse(&o, "--recorder=/var/lib/x", "--keep-size=1G", NULL), OPTS_RUN);
	assert_string_equal(o.recorder, "/var/lib/x");
	assert_int_equal(o.keep_size, 1 << 30);
}

static void bad_quantities(void **state)
{
	static const char *const options[] = {
		"-d5",
		"-d1.5",
		"-d0s",
		"-d-1s",
		"-ds",
		"-d1.2.3s",
		"-d1 s",
		"-d1m",
		"-d1e3s",
		"-d.s",
		"-d1.s",
		"-d400y",
		"-d99999999999h",
		"-n0",
		"-n-1",
		"-n1x",
		"-n",
		"-n4294967296",
		"--interval=",
		"-d",
		"--keep-size=",
		"--keep-size=12",
		"--keep-size=1T",
		"-d99999999999999999999s",
		"--until-stuck=10",
		"--until-stuck=",
	};
	struct opts o;

	(void)state;
	for (size_t i = 0; i < sizeof(options) / sizeof(*options); i++) {
		if (parse(&o, options[i], NULL) != STATUS_ERROR)
			fail_msg("%s is taken", options[i]);
		assert_said("--help' for more information");
	}
}

static void command(void **state)
{
	struct opts o;

	(void)state;
	assert_int_equal(parse(&o, "/mnt/a", "-J", "/mnt/b", "--", "dd", "-J", "--", NULL),
			 OPTS_RUN);
	assert_int_equal(o.nr_paths, 2);
	assert_string_equal(o.paths[0], "/mnt/a");
	assert_string_equal(o.paths[1], "/mnt/b");
	assert_string_equal(o.command[0], "dd");
	assert_string_equal(o.command[1], "-J");
	assert_string_equal(o.command[2], "--");
	assert_null(o.command[3]);
	assert_int_equal(parse(&o, "-w", "--", "--", "true", NULL), OPTS_RUN);
	assert_string_equal(o.write, "--");
	assert_string_equal(o.command[0], "true");
	assert_int_equal(parse(&o, "--", NULL), STATUS_ERROR);
	assert_said("no COMMAND");
}

static void not_together(void **state)
{
	static const char *const pairs[][2] = {
		{ "-rx", "/mnt" },          { "-rx", "-wy" },
		{ "-rx", "-d1s" },          { "-rx", "--check" },
		{ "-rx", "--recorder=d" },  { "-rx", "--image-read=y" },
		{ "-rx", "--interval=1s" }, { "-J", "-j" },
		{ "-J", "--folded" },       { "-j", "--folded" },
		{ "--follow", "-J" },       { "--check", "-wx" },
		{ "--check", "-d1s" },      { "--recorder=d", "-wx" },
		{ "--recorder=d", "-J" },   { "--keep-size=2M", "-J" },
		{ "--hist", "-J" },         { "--hist", "-e" },
		{ "--follow", "--hist" },   { "--check", "--hist" },
		{ "--hist=hold", "-J" },    { "--check", "--hist=hold" },
		{ "--max-stacks=1", "-J" }, { "--no-pins", "--max-stacks=1" },
		{ "--interval=1s", "-J" },  { "--image-write=x", "-d1s" },
	};
	struct opts o;

	(void)state;
	for (size_t i = 0; i < sizeof(pairs) / sizeof(*pairs); i++)
		if (parse(&o, pairs[i][0], pairs[i][1], NULL) != STATUS_ERROR)
			fail_msg("%s and %s are taken together", pairs[i][0], pairs[i][1]);
}

static void assert_help(enum program program, const char *name)
{
	char expected[64];
	struct opts o;

	snprintf(expected, sizeof(expected), "%s " DAXTOP_VERSION "\n", name);
	assert_int_equal(parse_of(program, &o, "--version", NULL), STATUS_OK);
	assert_string_equal(said, expected);
	assert_int_equal(parse_of(program, &o, "-h", NULL), STATUS_OK);
	for (const struct opt_def *d = opt_table; d->name; d++) {
		snprintf(expected, sizeof(expected), "--%s", d->name);
		if (!(d->programs & program))
			continue;
		assert_said(expected);
		assert_said(d->help);
	}
	for (char *line = strtok(said, "\n"); line; line = strtok(NULL, "\n"))
		if (strlen(line) > 80)
			fail_msg("%zu columns: %s", strlen(line), line);
}

static void help_and_version(void **state)
{
	(void)state;
	assert_help(DAXTRACE, "daxtrace");
	assert_help(DAXTOP, "daxtop");
}

/* For each program an option means one thing, and every option is of one. */
static void table_is_sound(void **state)
{
	(void)state;
	for (const struct opt_def *d = opt_table; d->name; d++) {
		assert_true(d->arg == ARG_NO ? !d->arg_name : !!d->arg_name);
		assert_non_null(d->group);
		assert_true(d->programs & (DAXTRACE | DAXTOP));
		assert_true(d->arg != ARG_OPTIONAL || d->otherwise);
		for (const struct opt_def *e = opt_table; e != d; e++) {
			if (!(d->programs & e->programs))
				continue;
			assert_true(!d->letter || d->letter != e->letter);
			assert_string_not_equal(d->name, e->name);
		}
	}
}

static void daxtop_options(void **state)
{
	struct opts o;

	(void)state;
	assert_int_equal(parse_top(&o, NULL), OPTS_RUN);
	assert_int_equal(o.delay_ns, 1000000000);
	assert_int_equal(o.stacks, STACKS_BOTH);
	assert_int_equal(parse_top(&o, "-bn3", "-d", "1.5s", "-s-pid", "--color", "--ascii",
				   "-p1,2", "/mnt", NULL),
			 OPTS_RUN);
	assert_true(o.batch && o.ascii);
	assert_int_equal(o.iterations, 3);
	assert_int_equal(o.delay_ns, 1500000000);
	assert_int_equal(o.color, COLOR_ALWAYS);
	assert_string_equal(o.sort, "-pid");
	assert_int_equal(o.filter.n, 1);
	assert_int_equal(o.filter.w[0].key, FILTER_PID);
	assert_int_equal(o.nr_paths, 1);
	assert_int_equal(parse_top(&o, "-J", NULL), STATUS_ERROR);
	assert_int_equal(parse_top(&o, "-d5", NULL), STATUS_ERROR);
	assert_said("--delay=5");
	assert_int_equal(parse_top(&o, "-d1ms", NULL), STATUS_ERROR);
	assert_int_equal(parse_top(&o, "-n0", NULL), STATUS_ERROR);
	assert_int_equal(parse_top(&o, "-n-1", NULL), STATUS_ERROR);
	assert_int_equal(parse_top(&o, "--color=pink", NULL), STATUS_ERROR);
}

static void typed_filters(void **state)
{
	char text[] = "-p 12,13 --how vmsplice  /pmem1 -C !cat", wrong[] = "-b", many[64] = "";
	struct filter_words w;
	char error[128];

	(void)state;
	assert_int_equal(opts_filter(&w, text, error, sizeof(error)), 0);
	assert_int_equal(w.n, 4);
	assert_string_equal(w.w[0].arg, "12,13");
	assert_int_equal(w.w[1].key, FILTER_HOW);
	assert_int_equal(w.w[2].key, FILTER_NAME);
	assert_string_equal(w.w[2].arg, "/pmem1");
	assert_int_equal(w.w[3].key, FILTER_COMM);
	assert_int_not_equal(opts_filter(&w, wrong, error, sizeof(error)), 0);
	assert_non_null(strstr(error, "filters are"));
	for (int i = 0; i <= FILTER_WORDS; i++)
		strcat(many, "a ");
	assert_int_not_equal(opts_filter(&w, many, error, sizeof(error)), 0);
	many[0] = '\0';
	assert_int_equal(opts_filter(&w, many, error, sizeof(error)), 0);
	assert_int_equal(w.n, 0);
}

static char settings_dir[] = "/tmp/daxtop-test.XXXXXX", settings[64];

static void write_settings(const char *text)
{
	FILE *f = fopen(settings, "w");

	assert_non_null(f);
	fputs(text, f);
	fclose(f);
}

static void settings_of_a_file(void **state)
{
	struct opts o;

	(void)state;
	write_settings("# mine\n\n delay = 5s\nascii\n  sort=-pid \r\n\tcolor = never\n"
		       "how = vmsplice,fuse\nmin = 2min\nstacks = kernel");
	assert_int_equal(parse_top(&o, NULL), OPTS_RUN);
	assert_string_equal(said, "");
	assert_string_equal(o.config_error, "");
	assert_int_equal(o.delay_ns, 5000000000);
	assert_true(o.ascii);
	assert_string_equal(o.sort, "-pid");
	assert_int_equal(o.color, COLOR_NEVER);
	assert_int_equal(o.stacks, STACKS_KERNEL);
	assert_int_equal(o.filter.n, 2);
	assert_int_equal(o.filter.w[0].key, FILTER_HOW);
	/* the command line is right, and its filters replace the others */
	assert_int_equal(parse_top(&o, "-d1s", "--color=always", "-p1", "-p2", NULL), OPTS_RUN);
	assert_int_equal(o.delay_ns, 1000000000);
	assert_int_equal(o.color, COLOR_ALWAYS);
	assert_int_equal(o.filter.n, 2);
	assert_int_equal(o.filter.w[0].key, FILTER_PID);
	assert_int_equal(parse_top(&o, "--no-config", NULL), OPTS_RUN);
	assert_false(o.ascii || o.sort);
	/* daxtrace has none */
	assert_int_equal(parse(&o, NULL), OPTS_RUN);
	assert_int_equal(o.stacks, STACKS_NONE);
}

static void bad_settings(void **state)
{
	static const struct {
		const char *line, *message;
	} bad[] = {
		{ "delay = 5", "3: --delay=5: it is a time" },
		{ "delay", "3: delay needs a TIME" },
		{ "delay =", "3: delay needs a TIME" },
		{ "delay 5s", "3: there is no setting \"delay 5s\"" },
		{ "batch", "3: there is no setting \"batch\"" },
		{ "write = /etc/passwd", "3: there is no setting" },
		{ "= 5", "3: there is no setting \"\"" },
		{ "ascii = maybe", "3: ascii is yes or no" },
		{ "sort = colour", "3: --sort=colour: it is age" },
		{ "how = magic", "3: --how lists mechanisms" },
		{ "pid = x", "3: --pid is a list of numbers" },
		{ "min = 5", "3: --min is a time with a unit" },
		{ "\033[2J = \377", "3: there is no setting" },
	};
	char text[256];
	struct opts o;

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		snprintf(text, sizeof(text), "ascii = yes\ndelay=2s\n%s\nsort = op\n", bad[i].line);
		write_settings(text);
		assert_int_equal(parse_top(&o, NULL), OPTS_RUN);
		assert_said("daxtoprc:3: ");
		assert_non_null(strstr(o.config_error, ":3: "));
		/* all others are taken */
		assert_true(o.ascii);
		assert_int_equal(o.delay_ns, 2000000000);
		assert_string_equal(o.sort, "op");
		assert_int_equal(o.filter.n, 0);
		if (!strstr(o.config_error, bad[i].message))
			fail_msg("\"%s\" is not in %s", bad[i].message, o.config_error);
	}
}

static void settings_that_cannot_be_read(void **state)
{
	static char large[20000];
	struct opts o;
	FILE *f;

	(void)state;
	assert_int_equal(parse_top(&o, "--config", "/no/such/file", NULL), OPTS_RUN);
	assert_string_equal(o.config_error,
			    "/no/such/file: cannot be read: No such file or directory");
	assert_int_equal(parse_top(&o, "--config=/tmp", NULL), OPTS_RUN);
	assert_string_equal(o.config_error, "/tmp: cannot be read: Is a directory");
	memset(large, '\n', sizeof(large) - 1);
	write_settings(large);
	assert_int_equal(parse_top(&o, NULL), OPTS_RUN);
	assert_non_null(strstr(o.config_error, "File too large"));
	f = fopen(settings, "w");
	fwrite("ascii\n\0\n", 1, 8, f);
	fclose(f);
	assert_int_equal(parse_top(&o, NULL), OPTS_RUN);
	assert_non_null(strstr(o.config_error, "this is no text"));
	assert_false(o.ascii);
	write_settings("");
	assert_int_equal(parse_top(&o, NULL), OPTS_RUN);
	assert_string_equal(said, "");
	unlink(settings);
	assert_int_equal(parse_top(&o, NULL), OPTS_RUN);
	assert_string_equal(said, "");
}

static int make_settings_dir(void **state)
{
	(void)state;
	assert_non_null(mkdtemp(settings_dir));
	setenv("XDG_CONFIG_HOME", settings_dir, 1);
	snprintf(settings, sizeof(settings), "%s/daxtop", settings_dir);
	mkdir(settings, 0700);
	snprintf(settings, sizeof(settings), "%s/daxtop/daxtoprc", settings_dir);
	return 0;
}

static int remove_settings_dir(void **state)
{
	(void)state;
	unlink(settings);
	*strrchr(settings, '/') = '\0';
	rmdir(settings);
	return rmdir(settings_dir);
}

/* The manual, from OPTIONS on to the next section; "\-" has become "-". */
static char *manual_options(const char *path)
{
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

	if (d->letter)
		snprintf(key, sizeof(key), "-%c \", \" ", d->letter);
	if (d->arg == ARG_NO)
		snprintf(head, len, "\n.TP\n.%s %s--%s\n", *key ? "BR" : "B", key, d->name);
	else if (d->arg == ARG_OPTIONAL)
		snprintf(head, len, "\n.TP\n.%s %s--%s\\fR[\\fB=\\fI%s\\fR]\n", *key ? "BR" : "B",
			 key, d->name, d->arg_name);
	else
		snprintf(head, len, "\n.TP\n.%s %s--%s \" \" \\fI%s\n", "BR", key, d->name,
			 d->arg_name);
}

static void assert_manual(enum program program, const char *path)
{
	char *text = manual_options(path), head[128];
	int documented = 0, n = 0;

	for (const struct opt_def *d = opt_table; d->name; d++) {
		if (!(d->programs & program))
			continue;
		n++;
		manual_head(d, head, sizeof(head));
		if (!strstr(text, head))
			fail_msg("OPTIONS of %s lack: %s", path, head);
	}
	for (char *at = text; (at = strstr(at, "\n.TP\n")); at++)
		documented++;
	assert_int_equal(documented, n);
}

static void manuals_have_the_same_options(void **state)
{
	(void)state;
	assert_manual(DAXTRACE, "man/daxtrace.8");
	assert_manual(DAXTOP, "man/daxtop.8");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(nothing_given),
		cmocka_unit_test(everything_given),
		cmocka_unit_test(stacks),
		cmocka_unit_test(folded_stacks),
		cmocka_unit_test(usage_errors),
		cmocka_unit_test(unique_prefixes),
		cmocka_unit_test(search_takes_a_time),
		cmocka_unit_test(watching),
		cmocka_unit_test(bad_quantities),
		cmocka_unit_test(command),
		cmocka_unit_test(not_together),
		cmocka_unit_test(help_and_version),
		cmocka_unit_test(table_is_sound),
		cmocka_unit_test(daxtop_options),
		cmocka_unit_test(typed_filters),
		cmocka_unit_test(settings_of_a_file),
		cmocka_unit_test(bad_settings),
		cmocka_unit_test(settings_that_cannot_be_read),
		cmocka_unit_test(manuals_have_the_same_options),
	};

	return cmocka_run_group_tests(tests, make_settings_dir, remove_settings_dir);
}
