// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Looks in a child: answers, refusals, silence and death. */
#include <errno.h>
#include <libgen.h>
#include <limits.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include <daxtop/model.h>

#include "live/feed.h"
#include "util/fact_pack.h"

enum { PATIENCE_MS = 20000, SILENT_MS = 200 };

static const char *image(const char *name)
{
	static char path[2 * PATH_MAX];
	char source[] = __FILE__;

	snprintf(path, sizeof(path), "%s/images/%s.gz", dirname(source), name);
	return path;
}

static struct feed *start_with(struct looks_opts with)
{
	static struct looks_opts opts;
	struct refusal why = { .status = STATUS_OK };
	struct feed *f;

	opts = with;
	f = feed_start(&opts, &why);
	assert_non_null(f);
	return f;
}

static struct feed *start(const char *path)
{
	return start_with((struct looks_opts){ .snap.image_read = path });
}

/* 1 an answer, 0 none in time, or -errno. */
static int wait_answer(struct feed *f, struct feed_answer *a, int ms)
{
	struct pollfd p = { .fd = feed_fd(f), .events = POLLIN };
	int got = 0;

	while (!got && poll(&p, 1, ms) > 0)
		got = feed_read(f, a);
	return got;
}

static void look(struct feed *f)
{
	struct wfg *g = wfg_new();
	struct feed_answer a;

	assert_int_equal(wait_answer(f, &a, PATIENCE_MS), 1);
	assert_int_equal(a.why.status, STATUS_OK);
	assert_int_equal(fact_unpack(a.facts, a.len, wfg_add, g), 0);
	assert_int_equal(wfg_link(g), 0);
	assert_int_equal(wfg_nr_waits(g), 1);
	assert_string_equal(wfg_session(g)->host, "guest");
	wfg_free(g);
}

/* The child of the feed: the only one of this process. */
static pid_t child(void)
{
	siginfo_t info = { 0 };
	char path[64], line[64] = "";
	FILE *f;

	/* none has ended */
	assert_int_equal(waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT), 0);
	assert_int_equal(info.si_pid, 0);
	snprintf(path, sizeof(path), "/proc/self/task/%d/children", (int)getpid());
	f = fopen(path, "re");
	if (!f)
		return 0;
	if (!fgets(line, sizeof(line), f))
		line[0] = '\0';
	fclose(f);
	return strtol(line, NULL, 10);
}

static void looks_again_and_again(void **state)
{
	struct feed *f = start(image("6.12-ext4-vmsplice-truncate"));

	(void)state;
	/* the first look is not asked for */
	assert_true(feed_is_busy(f));
	for (int i = 0; i < 3; i++) {
		look(f);
		assert_false(feed_is_busy(f));
		assert_int_equal(feed_ask(f), 0);
		/* asked twice, answered once */
		assert_int_equal(feed_ask(f), 0);
		assert_true(feed_is_busy(f));
	}
	look(f);
	feed_stop(f);
}

static void looks_only_when_asked(void **state)
{
	struct feed *f = start(image("6.12-ext4-vmsplice-truncate"));
	struct feed_answer a;

	(void)state;
	look(f);
	assert_int_equal(wait_answer(f, &a, SILENT_MS), 0);
	feed_stop(f);
}

static void tells_why_not(void **state)
{
	struct feed *f = start("/no/such/image");
	struct feed_answer a;

	(void)state;
	assert_int_equal(wait_answer(f, &a, PATIENCE_MS), 1);
	assert_int_equal(a.why.status, STATUS_ERROR);
	assert_non_null(strstr(a.why.cause, "/no/such/image"));
	assert_int_equal(a.len, 0);
	/* there is nothing more to come */
	assert_int_equal(wait_answer(f, &a, PATIENCE_MS), -EPIPE);
	feed_stop(f);
}

static void does_not_wait_for_a_child_that_hangs(void **state)
{
	struct feed *f = start(image("6.12-ext4-vmsplice-truncate"));
	pid_t pid = child();
	struct feed_answer a;

	(void)state;
	look(f);
	if (!pid) {
		feed_stop(f);
		skip();
	}
	kill(pid, SIGSTOP);
	assert_int_equal(feed_ask(f), 0);
	assert_int_equal(feed_read(f, &a), 0);
	assert_int_equal(wait_answer(f, &a, SILENT_MS), 0);
	kill(pid, SIGCONT);
	look(f);
	/* the end does not wait for it either */
	kill(pid, SIGSTOP);
	assert_int_equal(feed_ask(f), 0);
	feed_stop(f);
}

static void notices_the_end_of_the_child(void **state)
{
	struct feed *f = start(image("6.12-ext4-vmsplice-truncate"));
	pid_t pid = child();
	struct feed_answer a;

	(void)state;
	look(f);
	if (!pid) {
		feed_stop(f);
		skip();
	}
	kill(pid, SIGKILL);
	assert_int_equal(wait_answer(f, &a, PATIENCE_MS), -EPIPE);
	feed_ask(f);
	feed_stop(f);
}

static void records_and_replays(void **state)
{
	char path[] = "/tmp/daxtop-test.XXXXXX", trouble[FEED_TROUBLE];
	struct feed_answer a;
	struct feed *f;

	(void)state;
	close(mkstemp(path));
	f = start_with((struct looks_opts){ .snap.image_read = image("6.12-ext4-vmsplice-truncate"),
					    .write = path });
	look(f);
	assert_int_equal(feed_ask(f), 0);
	look(f);
	/* a look is under way when it ends: it belongs to the recording */
	assert_int_equal(feed_ask(f), 0);
	assert_int_equal(feed_finish(f, trouble, sizeof(trouble)), 0);
	assert_string_equal(trouble, "");
	feed_stop(f);
	f = start_with((struct looks_opts){ .read = path });
	for (int i = 0; i < 3; i++) {
		look(f);
		assert_int_equal(feed_ask(f), 0);
	}
	assert_int_equal(wait_answer(f, &a, PATIENCE_MS), 1);
	assert_true(a.end);
	assert_int_equal(a.len, 0);
	assert_string_equal(a.trouble, "");
	feed_stop(f);
	unlink(path);
}

static void tells_that_a_recording_ends(void **state)
{
	struct feed *f = start_with((struct looks_opts){
		.snap.image_read = image("6.12-ext4-vmsplice-truncate"), .write = "/dev/full" });
	char trouble[FEED_TROUBLE];
	struct feed_answer a;

	(void)state;
	look(f);
	assert_int_equal(feed_ask(f), 0);
	assert_int_equal(wait_answer(f, &a, PATIENCE_MS), 1);
	assert_non_null(strstr(a.trouble, "/dev/full ends behind look 0"));
	assert_int_equal(feed_finish(f, trouble, sizeof(trouble)), 0);
	assert_non_null(strstr(trouble, "No space left"));
	feed_stop(f);
	f = start_with((struct looks_opts){ .snap.image_read = image("6.12-ext4-vmsplice-truncate"),
					    .write = "/no/such/directory/x" });
	assert_int_equal(wait_answer(f, &a, PATIENCE_MS), 1);
	assert_int_equal(a.why.status, STATUS_ERROR);
	assert_non_null(strstr(a.why.cause, "/no/such/directory/x"));
	feed_stop(f);
}

/* What was whole is shown before the damage is told. */
static void replays_up_to_the_damage(void **state)
{
	static const char text[] = "{\"type\":\"schema\",\"schema\":\"daxtrace-facts/1\"}\n"
				   "{\"type\":\"look\",\"look\":1}\n"
				   "{\"type\":\"session\",\"host\":\"guest\",\"new\":1}\n"
				   "{\"type\":\"look_end\",\"look\":1,\"facts\":1}\n"
				   "{\"type\":\"look\",\"look\":2}\n"
				   "rubbish\n";
	char path[] = "/tmp/daxtop-test.XXXXXX";
	struct feed_answer a;
	struct feed *f;
	int fd = mkstemp(path);

	(void)state;
	assert_int_equal(write(fd, text, strlen(text)), strlen(text));
	close(fd);
	f = start_with((struct looks_opts){ .read = path });
	for (int i = 0; i < 2; i++) {
		assert_int_equal(wait_answer(f, &a, PATIENCE_MS), 1);
		assert_int_equal(a.why.status, STATUS_OK);
		assert_true(a.len > 0);
		assert_non_null(strstr(a.trouble, "1 fields or records of another version"));
		assert_int_equal(feed_ask(f), 0);
	}
	assert_int_equal(wait_answer(f, &a, PATIENCE_MS), 1);
	assert_int_equal(a.why.status, STATUS_ERROR);
	assert_non_null(strstr(a.why.cause, "line 6"));
	feed_stop(f);
	unlink(path);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(looks_again_and_again),
		cmocka_unit_test(looks_only_when_asked),
		cmocka_unit_test(tells_why_not),
		cmocka_unit_test(does_not_wait_for_a_child_that_hangs),
		cmocka_unit_test(notices_the_end_of_the_child),
		cmocka_unit_test(records_and_replays),
		cmocka_unit_test(tells_that_a_recording_ends),
		cmocka_unit_test(replays_up_to_the_damage),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
