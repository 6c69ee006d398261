// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * The live view: frames against screens/NAME.txt, and what each key does. Every look goes through a
 * recording before it is shown. GOLDEN_UPDATE=1 writes the files anew: read the difference before
 * it is committed.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#include "build_graph.h"
#include "golden.h"
#include "record/recording.h"
#include "util/fact_pack.h"
#include "util/text.h"
#include "view/top/top.h"

/* A scene whose facts are packed, and the view that takes them. */
struct stage {
	struct scene s;
	struct strbuf packed;
	struct top t;
	struct canvas c;
};

static void new_scene(struct stage *st)
{
	sb_reset(&st->packed);
	scene_packed = &st->packed;
	scene_init(&st->s);
	ADD(st->s.g, FACT_PROBE, probe, ((struct fact_probe){ "kernel BTF", PROBE_OK, NULL }));
	ADD(st->s.g, FACT_PROBE, probe,
	    ((struct fact_probe){ "bios in flight", PROBE_MISSING, "aio is not found" }));
}

static int setup(void **state)
{
	static struct stage st;

	memset(&st, 0, sizeof(st));
	top_init(&st.t);
	new_scene(&st);
	*state = &st;
	return 0;
}

static int teardown(void **state)
{
	struct stage *st = *state;

	scene_packed = NULL;
	scene_free(&st->s);
	sb_free(&st->packed);
	top_free(&st->t);
	canvas_free(&st->c);
	return 0;
}

/* The view gets what was packed as a look, as daxtop -r would. */
static void take_packed(struct stage *st)
{
	char path[] = "/tmp/daxtop-test.XXXXXX";
	FILE *f = fdopen(mkstemp(path), "w");
	struct recording_out *out = recording_stream(f);
	struct strbuf read = { 0 };
	struct recording_in *in;
	struct refusal why;

	assert_int_equal(recording_look(out), 0);
	assert_int_equal(fact_unpack(st->packed.s, st->packed.len, recording_add, out), 0);
	assert_int_equal(recording_look_end(out), 0);
	assert_int_equal(recording_close(out, END_DONE), 0);
	fclose(f);
	in = recording_open(path, &why);
	assert_non_null(in);
	assert_int_equal(recording_next(in, fact_pack, &read, &why), LOOK_WHOLE);
	recording_free(in);
	unlink(path);
	assert_int_equal(top_take(&st->t, read.s, read.len), 0);
	sb_free(&read);
}

static void take(struct stage *st)
{
	scene_link(&st->s);
	take_packed(st);
}

/* The next look is of a scene of its own. */
static struct scene *next_scene(struct stage *st, u64 later_ns)
{
	struct fact_session before = st->s.session;

	scene_free(&st->s);
	new_scene(st);
	st->s.session.time_sec = before.time_sec + later_ns / SECOND;
	st->s.session.mono_ns = before.mono_ns + later_ns;
	st->s.waiter.asleep_ns += later_ns;
	return &st->s;
}

/* Nobody waits. */
static void take_idle(struct stage *st)
{
	ADD(st->s.g, FACT_SESSION, session, st->s.session);
	assert_int_equal(wfg_link(st->s.g), 0);
	take_packed(st);
}

static char *frame(struct stage *st, u16 w, u16 h, bool color)
{
	char *text = NULL;
	size_t len;
	FILE *out = open_memstream(&text, &len);

	assert_int_equal(canvas_resize(&st->c, w, h), 0);
	top_draw(&st->t, &st->c);
	canvas_print(out, &st->c, color);
	assert_int_equal(fclose(out), 0);
	return text;
}

/* No row is wider or narrower than the screen, however wide its characters are. */
static void assert_columns(const struct canvas *c)
{
	for (u16 y = 0; y < c->h; y++) {
		size_t w = 0;

		for (u16 x = 0; x < c->w; x++)
			w += text_width(c->cells[(size_t)y * c->w + x].ch);
		assert_int_equal(w, c->w);
	}
}

static void assert_screen(struct stage *st, const char *name, u16 w, u16 h)
{
	char *text = frame(st, w, h, false);

	assert_columns(&st->c);
	assert_golden("screens", name, text);
	free(text);
}

static void assert_shows(struct stage *st, const char *part)
{
	char *text = frame(st, 80, 24, false);

	if (!strstr(text, part))
		fail_msg("\"%s\" is not in:\n%s", part, text);
	free(text);
}

static void assert_hides(struct stage *st, const char *part)
{
	char *text = frame(st, 80, 24, false);

	if (strstr(text, part))
		fail_msg("\"%s\" is in:\n%s", part, text);
	free(text);
}

static void press(struct stage *st, u32 key)
{
	assert_int_equal(top_key(&st->t, key), ACTION_NONE);
}

static void type(struct stage *st, const char *text)
{
	for (; *text; text++)
		press(st, *text);
	press(st, KEY_OF_ENTER);
}

/* A truncate behind a pipe with a writer and a reader, and 17 tasks behind the truncate. */
static void stage_vmsplice(struct stage *st)
{
	static const char *const k[] = {
		"xfs_break_dax_layouts+0x6d [xfs]",
		"xfs_break_layouts+0xc5 [xfs]",
		"xfs_vn_setattr+0x88 [xfs]",
		"notify_change+0x2f1",
		"do_truncate+0x91",
		"do_sys_ftruncate+0x1c2",
	};
	static const char *const u[] = { "ftruncate64+0xb libc.so.6", "main+0x1c2 segtrim" };
	static const char *const k2[] = { "pipe_read+0x3f2", "vfs_read+0x335", "ksys_read+0xb9" };
	struct fact_releaser rel[] = { { .task = task_id(31802), .fd = 4 },
				       { .task = task_id(5104), .fd = 0, .reads = true } };
	struct fact_task logger = make_task(5104, "logger"), feeder = make_task(31802, "feeder");
	struct fact_hold h = make_pipe("pipe:[88123]");
	struct scene *s = &st->s;

	s->waiter.kstack = (struct fact_stack){ .frames = k, .n = 6 };
	s->waiter.ustack = (struct fact_stack){ .frames = u, .n = 2 };
	logger.kstack = (struct fact_stack){ .frames = k2, .n = 3 };
	logger.call = "read(0, 0x7ffd1c20, 4096)";
	feeder.call = "nanosleep(0x7ffd1c20)";
	h.drain_bytes = 8192;
	h.held_ns = 856 * SECOND;
	scene_task(s, feeder);
	scene_task(s, logger);
	scene_hold(s, h, rel, 2);
	for (u32 i = 0; i < 16; i++)
		scene_queued(s, 5200 + i, "postgres", (830 + i) * SECOND);
	scene_queued(s, 6000, "vacuum", 5 * SECOND);
}

/* One more wait, for a page of its own of the same file, held in a pipe. */
static void add_wait(struct stage *st, u32 pid, const char *comm, u64 age)
{
	struct fact_wait w = st->s.wait;
	struct fact_page p = st->s.page;
	struct fact_task t = make_task(pid, comm);
	struct fact_releaser rel = { .task = task_id(pid + 1), .fd = 3, .reads = true };
	char object[32];
	struct fact_hold h;

	t.asleep_ns = age;
	p.id += pid * 64ULL;
	p.index = pid;
	w.task = t.id;
	w.page = p.id;
	w.op = OP_PUNCH_HOLE;
	snprintf(object, sizeof(object), "pipe:[%u]", pid);
	h = make_pipe(object);
	h.page = p.id;
	scene_task(&st->s, t);
	scene_task(&st->s, make_task(pid + 1, "keeper"));
	scene_hold(&st->s, h, &rel, 1);
	ADD(st->s.g, FACT_PAGE, page, p);
	ADD(st->s.g, FACT_WAIT, wait, w);
}

static void stage_many(struct stage *st, u32 n)
{
	for (u32 i = 0; i < n; i++)
		add_wait(st, 1000 + 2 * i, i % 2 ? "punch" : "trim", (i + 1) * SECOND);
	scene_pipe(&st->s, "pipe:[9]", 20911, 4);
	take(st);
}

static void sizes(void **state)
{
	struct stage *st = *state;

	stage_vmsplice(st);
	take(st);
	assert_screen(st, "vmsplice_80x24", 80, 24);
	assert_screen(st, "vmsplice_120x40", 120, 40);
	assert_screen(st, "vmsplice_200x60", 200, 60);
	assert_screen(st, "vmsplice_60x16", 60, 16);
	assert_screen(st, "vmsplice_40x10", 40, 10);
	assert_screen(st, "vmsplice_20x5", 20, 5);
}

/*
 * Nothing is drawn outside of any size, which ASan sees, and the verdict is on each that can hold
 * it.
 */
static void every_size(void **state)
{
	struct stage *st = *state;

	stage_vmsplice(st);
	take(st);
	for (enum top_view view = VIEW_MAIN; view <= VIEW_HELP; view++) {
		st->t.view = view;
		for (u16 w = 0; w < 90; w += w < 12 ? 1 : 7) {
			for (u16 h = 0; h < 30; h++) {
				char *text = frame(st, w, h, false);

				assert_columns(&st->c);
				if (w >= 20 && h >= 5)
					assert_non_null(strstr(text, "STUCK"));
				free(text);
			}
		}
	}
}

static void ascii(void **state)
{
	struct stage *st = *state;
	char *text;

	st->c.ascii = true;
	st->s.file.path = "/pmem1/größe/中文.dat";
	stage_vmsplice(st);
	take(st);
	assert_screen(st, "ascii_80x24", 80, 24);
	text = frame(st, 80, 24, false);
	for (const char *p = text; *p; p++)
		assert_true((unsigned char)*p < 0x80);
	free(text);
}

/* Take the colours away, and every word is still there. */
static void color_adds_nothing(void **state)
{
	struct stage *st = *state;
	char *colored, *plain, *out;

	stage_vmsplice(st);
	take(st);
	plain = frame(st, 80, 24, false);
	colored = frame(st, 80, 24, true);
	assert_non_null(strstr(colored, "\033[0;1;31m!! STUCK"));
	out = colored;
	for (const char *p = colored; *p; p++) {
		if (*p == '\033')
			p += strcspn(p, "m");
		else
			*out++ = *p;
	}
	*out = '\0';
	/* blanks with a colour are kept at the end of a row */
	assert_int_equal(strncmp(plain, colored, strcspn(plain, "\n")), 0);
	assert_non_null(strstr(colored, "kill -INT 20911"));
	free(plain);
	free(colored);
}

static void idle(void **state)
{
	struct stage *st = *state;

	take_idle(st);
	assert_screen(st, "idle_80x24", 80, 24);
	assert_shows(st, "OK: nobody waits for a busy DAX page on any DAX mount.");
}

static void before_the_first_look(void **state)
{
	struct stage *st = *state;

	assert_screen(st, "starting_80x24", 80, 24);
	for (u32 key = 0; key < 128; key++)
		top_key(&st->t, key);
	for (u32 key = KEY_OF_UP; key <= KEY_OF_F0 + 12; key++)
		top_key(&st->t, key);
	free(frame(st, 80, 24, false));
}

static void losses(void **state)
{
	struct stage *st = *state;

	ADD(st->s.g, FACT_LOSS, loss, ((struct fact_loss){ LOSS_LOST, 7, "pipe buffers" }));
	take_idle(st);
	assert_screen(st, "losses_80x24", 80, 24);
}

static void hostile_names(void **state)
{
	struct stage *st = *state;
	struct scene *s = &st->s;

	memcpy(s->waiter.comm, "\033[2J\033[31m\r\n\t", 12);
	s->waiter.call = "truncate(\"\033]0;owned\007\", 4096)";
	s->file.path =
		"/pmem1/\xe4\xb8\xad\xe6\x96\x87\xff\xfe/e\xcc\x81\xcc\x81\xcc\x81/\xe2\x80\xae"
		"gnp.exe\n/back\\slash";
	scene_task(s, make_task(31802, "\xcc\x81\xcc\x81lead"));
	scene_task(s, make_task(31803, "\xe4\xb8\xad\xe6\x96\x87\xe4\xb8\xad"));
	scene_pipe(s, "pipe:[88123]", 31802, 3);
	scene_pipe(s, "pipe:[88124]", 31803, 3);
	scene_queued(s, 5200, "\x80\x81\xc2\x9b", SECOND);
	take(st);
	assert_screen(st, "hostile_80x24", 80, 24);
}

static void self_deadlock(void **state)
{
	struct stage *st = *state;

	scene_evict(&st->s, TRIGGER_LAST_CLOSE);
	st->s.file.path = NULL;
	scene_pipe(&st->s, "pipe:[4711]", 20911, 4);
	take(st);
	assert_screen(st, "self_deadlock_80x24", 80, 24);
	press(st, KEY_OF_F0 + 7);
	assert_screen(st, "self_deadlock_chain_80x24", 80, 24);
}

/* Who could drain the pipe is queued behind the waiter. */
static void chain_through_a_lock(void **state)
{
	struct stage *st = *state;
	struct fact_releaser rel = { .task = task_id(5104), .fd = 0, .reads = true };

	scene_hold(&st->s, make_pipe("pipe:[88123]"), &rel, 1);
	scene_queued(&st->s, 5104, "logger", 151 * SECOND);
	take(st);
	press(st, 'c');
	assert_screen(st, "chain_80x24", 80, 24);
}

/* Who could drain it waits for another page. */
static void chain_through_a_wait(void **state)
{
	struct stage *st = *state;
	struct fact_releaser rel = { .task = task_id(1000), .fd = 0, .reads = true };

	scene_hold(&st->s, make_pipe("pipe:[88123]"), &rel, 1);
	add_wait(st, 1000, "punch", 7 * SECOND);
	take(st);
	press(st, KEY_OF_F0 + 7);
	assert_shows(st, "waits for a page itself");
	assert_shows(st, "keeper[1001]");
	assert_hides(st, "a cycle");
}

static void unattributed(void **state)
{
	struct stage *st = *state;
	struct fact_releaser rel = { .task = task_id(61), .fd = -1 };
	struct fact_hold h = make_hold(HOW_MAPPING, CONF_CANDIDATE);

	h.refs = 0;
	h.detail = "maps this part of the file";
	h.object_kind = "mm";
	h.object_id = "0xffff888100a1c000";
	st->s.waiter.asleep_ns = FACT_UNKNOWN;
	scene_task(&st->s, make_task(61, "mapper"));
	scene_hold(&st->s, h, &rel, 1);
	take(st);
	assert_screen(st, "unattributed_80x24", 80, 24);
}

static void views(void **state)
{
	struct stage *st = *state;

	stage_vmsplice(st);
	take(st);
	press(st, KEY_OF_ENTER);
	assert_screen(st, "detail_80x40", 80, 40);
	press(st, KEY_OF_F0 + 8);
	assert_screen(st, "explain_80x24", 80, 24);
	press(st, KEY_OF_END);
	assert_shows(st, "TRUST");
	press(st, 'x');
	assert_screen(st, "holds_80x24", 80, 24);
	press(st, KEY_OF_F0 + 1);
	assert_screen(st, "help_80x24", 80, 24);
	press(st, KEY_OF_ESCAPE);
	assert_int_equal(st->t.view, VIEW_MAIN);
	press(st, '?');
	press(st, 'h');
	assert_int_equal(st->t.view, VIEW_MAIN);
}

static void many(void **state)
{
	struct stage *st = *state;

	stage_many(st, 400);
	assert_screen(st, "many_80x24", 80, 24);
	press(st, KEY_OF_END);
	assert_screen(st, "many_end_80x24", 80, 24);
	press(st, KEY_OF_PAGE_UP);
	press(st, KEY_OF_UP);
	assert_true(st->t.selected < st->t.rows.n - 1);
	press(st, KEY_OF_HOME);
	assert_int_equal(st->t.selected, 0);
	press(st, 'k');
	assert_int_equal(st->t.selected, 0);
	press(st, 'j');
	assert_int_equal(st->t.selected, 1);
}

/* All of them are there, and every key gets through them. */
static void ten_thousand(void **state)
{
	struct stage *st = *state;
	u32 shown = 0;

	for (u32 i = 0; i < 9999; i++)
		add_wait(st, 100000 + 2 * i, i % 2 ? "punch" : "trim", (i + 1) * SECOND / 10);
	scene_link(&st->s);
	/* not through a recording: that would be a test of JSON */
	assert_int_equal(top_take(&st->t, st->packed.s, st->packed.len), 0);
	assert_int_equal(st->t.rows.waits, 10000);
	assert_shows(st, "Waits 10000");
	for (u32 i = 0; i < 20; i++) {
		press(st, i % 4 ? KEY_OF_PAGE_DOWN : KEY_OF_END);
		press(st, i % 3 ? 'I' : KEY_OF_F0 + 6);
		free(frame(st, 80, 24, false));
	}
	for (enum top_view view = VIEW_MAIN; view <= VIEW_HELP; view++) {
		st->t.view = view;
		free(frame(st, 80, 24, false));
	}
	st->t.view = VIEW_MAIN;
	assert_true(top_filter(&st->t, "-C trim"));
	for (u32 i = 0; i < st->t.rows.n; i++)
		shown += st->t.rows.row[i].kind == ROW_WAIT;
	assert_int_equal(shown, 5000);
	press(st, '/');
	type(st, "119996");
	assert_int_equal(top_wait(&st->t)->task->t.pid, 119996);
}

static u32 first_pid(const struct stage *st)
{
	return st->t.rows.row[0].wait->task->t.pid;
}

static void sorting(void **state)
{
	struct stage *st = *state;

	stage_many(st, 3);
	assert_int_equal(first_pid(st), 20911);
	press(st, 'I');
	assert_int_equal(first_pid(st), 1000);
	press(st, 'I');
	press(st, KEY_OF_F0 + 6);
	assert_int_equal(st->t.sort, SORT_PID);
	assert_int_equal(first_pid(st), 1000);
	assert_shows(st, "sort by pid");
	press(st, '<');
	press(st, '<');
	assert_int_equal(st->t.sort, SORT_QUEUED);
	assert_true(top_sort_by(&st->t, "-comm"));
	assert_int_equal(first_pid(st), 1000);
	/* every column that an option may name is one here */
	for (const struct opt_def *d = opt_table; d->name; d++)
		for (u32 i = 0; d->kind == OPT_COLUMN && d->word(i); i++)
			assert_true(top_sort_by(&st->t, d->word(i)));
	assert_false(top_sort_by(&st->t, "colour"));
	assert_false(top_sort_by(&st->t, ""));
}

static void filtering(void **state)
{
	struct stage *st = *state;

	stage_many(st, 10);
	press(st, '\\');
	type(st, "-C punch -m 5s");
	assert_int_equal(st->t.rows.waits, 3);
	assert_shows(st, "filter: -C punch -m 5s, hides 8");
	/* what is wrong stays to be mended, and changes nothing */
	press(st, KEY_OF_F0 + 4);
	type(st, " --op sleep");
	assert_int_equal(st->t.input, INPUT_FILTER);
	assert_shows(st, "--op lists operations");
	assert_int_equal(st->t.rows.waits, 3);
	press(st, KEY_OF_ESCAPE);
	assert_true(top_filter(&st->t, "--how socket"));
	assert_int_equal(st->t.rows.waits, 0);
	assert_shows(st, "The filter hides all of them");
	press(st, 'c');
	assert_shows(st, "The filter hides all of them");
	press(st, 'c');
	assert_true(top_filter(&st->t, "--how vmsplice,socket -p 1003,20911"));
	assert_int_equal(st->t.rows.waits, 2);
	assert_true(top_filter(&st->t, "seg.0042"));
	assert_int_equal(st->t.rows.waits, 11);
	assert_true(top_filter(&st->t, "-C !keeper"));
	assert_int_equal(st->t.rows.waits, 1);
	assert_false(top_filter(&st->t, "-m 5"));
	assert_false(top_filter(&st->t, "-p x"));
	assert_false(top_filter(&st->t, "--how magic"));
	assert_false(top_filter(&st->t, "-q"));
	press(st, KEY_OF_ESCAPE);
	assert_int_equal(st->t.rows.waits, 11);
}

static void typing(void **state)
{
	struct stage *st = *state;

	stage_many(st, 2);
	press(st, '/');
	for (int i = 0; i < 2 * TEXT_INPUT; i++)
		press(st, i % 3 ? 'q' : 0xe4);
	assert_int_equal(st->t.input, INPUT_FIND);
	assert_true(strlen(st->t.typed) < TEXT_INPUT);
	for (int i = 0; i < 2 * TEXT_INPUT; i++)
		press(st, KEY_OF_BACKSPACE);
	assert_string_equal(st->t.typed, "");
	press(st, 1);
	press(st, KEY_OF_UP);
	press(st, KEY_OF_F0 + 10);
	assert_string_equal(st->t.typed, "");
	assert_int_equal(top_key(&st->t, KEY_OF_REDRAW), ACTION_REPAINT);
	press(st, KEY_OF_ESCAPE);
	assert_int_equal(st->t.input, INPUT_NONE);
}

static void finding(void **state)
{
	struct stage *st = *state;

	stage_many(st, 4);
	press(st, '/');
	type(st, "PIPE:[1004]");
	assert_int_equal(st->t.rows.row[st->t.selected].kind, ROW_HOLD);
	assert_int_equal(top_wait(&st->t)->task->t.pid, 1004);
	press(st, KEY_OF_F0 + 3);
	type(st, "trim");
	press(st, 'n');
	press(st, '/');
	type(st, "nothing like it");
	assert_shows(st, "not found: nothing like it");
}

static void folding(void **state)
{
	struct stage *st = *state;
	u32 all;

	stage_vmsplice(st);
	take(st);
	all = st->t.rows.n;
	assert_int_equal(all, 1 + 1 + 2 + 1);
	press(st, KEY_OF_F0 + 5);
	assert_int_equal(st->t.rows.n, 1);
	press(st, KEY_OF_F0 + 5);
	assert_int_equal(st->t.rows.n, all);
	press(st, KEY_OF_END);
	press(st, KEY_OF_F0 + 5);
	assert_int_equal(st->t.rows.n, all + 17);
	assert_screen(st, "unfolded_80x30", 80, 30);
	press(st, 'j');
	press(st, KEY_OF_F0 + 5);
	assert_shows(st, "nothing to fold");
	/* many more folds than are remembered */
	for (int i = 0; i < 2 * FOLDS + 1; i++) {
		st->t.cursor = 0x1000 + i;
		st->t.selected = 0;
		press(st, KEY_OF_F0 + 5);
	}
}

static void cursor_stays(void **state)
{
	struct stage *st = *state;
	u32 line;

	stage_many(st, 20);
	free(frame(st, 80, 24, false));
	for (int i = 0; i < 20; i++)
		press(st, 'j');
	free(frame(st, 80, 24, false));
	line = st->t.selected - st->t.scroll;
	next_scene(st, SECOND);
	/* an older wait comes, above */
	add_wait(st, 500, "elder", 4000 * SECOND);
	stage_many(st, 20);
	assert_int_equal(st->t.selected, 22);
	free(frame(st, 80, 24, false));
	assert_int_equal(st->t.selected - st->t.scroll, line);
	/* all of them go */
	next_scene(st, SECOND);
	take_idle(st);
	assert_int_equal(st->t.selected, 0);
	assert_null(top_wait(&st->t));
}

static void pause_and_step(void **state)
{
	struct stage *st = *state;

	take_idle(st);
	next_scene(st, SECOND);
	stage_many(st, 1);
	next_scene(st, SECOND);
	take_idle(st);
	assert_shows(st, "OK:");
	press(st, 't');
	assert_shows(st, "[PAUSED, 1 back]");
	assert_shows(st, "SELF-DEADLOCK");
	/* collection goes on */
	next_scene(st, SECOND);
	take_idle(st);
	assert_shows(st, "[PAUSED, 2 back]");
	press(st, 't');
	assert_shows(st, "OK:");
	press(st, 't');
	assert_shows(st, "nothing older is kept");
	press(st, 'T');
	assert_shows(st, "SELF-DEADLOCK");
	press(st, 'T');
	press(st, 'T');
	press(st, 'T');
	assert_shows(st, "this is the newest look");
	press(st, ' ');
	assert_shows(st, "[LIVE 1.0s]");
	press(st, 'Z');
	assert_shows(st, "[PAUSED]");
}

static void jumps_to_what_changed(void **state)
{
	struct stage *st = *state;

	for (int i = 0; i < 3; i++) {
		take_idle(st);
		next_scene(st, SECOND);
	}
	stage_vmsplice(st);
	take(st);
	for (int i = 0; i < 3; i++) {
		next_scene(st, SECOND);
		stage_vmsplice(st);
		take(st);
	}
	next_scene(st, SECOND);
	take_idle(st);
	press(st, '[');
	assert_int_equal(st->t.shown, 6);
	assert_true(st->t.paused);
	press(st, '[');
	assert_int_equal(st->t.shown, 2);
	press(st, '[');
	assert_int_equal(st->t.shown, 2);
	assert_shows(st, "no wait comes or goes before this look");
	press(st, ']');
	assert_int_equal(st->t.shown, 3);
	press(st, ']');
	assert_int_equal(st->t.shown, 7);
	press(st, ']');
	assert_shows(st, "no wait comes or goes after this look");
}

static void add_end(struct stage *st, u32 pid, enum fact_op op, u64 waited_ns)
{
	struct fact_end e = {
		.pid = pid,
		.tid = pid,
		.comm = "trim",
		.op = op,
		.path = "/pmem1/db/seg.0042",
		.waited_ns = waited_ns,
		.unseen_ns = SECOND,
	};

	ADD(st->s.g, FACT_END, end, e);
}

static void waits_end(void **state)
{
	struct stage *st = *state;

	take_idle(st);
	assert_int_equal(st->t.ended.durations.count, 0);
	next_scene(st, SECOND);
	add_end(st, 1000, OP_TRUNCATE, 854 * SECOND);
	add_end(st, 1002, OP_PUNCH_HOLE, 4 * SECOND);
	add_end(st, 1004, OP_PUNCH_HOLE, SECOND / 500);
	take(st);
	assert_int_equal(st->t.ended.durations.count, 3);
	next_scene(st, SECOND);
	add_end(st, 1006, OP_EVICT, FACT_UNKNOWN);
	take_idle(st);
	assert_int_equal(st->t.ended.durations.count, 4);
	assert_shows(st, "ended 4, longest 14m14s");
	press(st, 'e');
	assert_screen(st, "ended_80x24", 80, 24);
	/* many more than are kept */
	press(st, 'e');
	next_scene(st, SECOND);
	for (u32 i = 0; i < 10000; i++)
		add_end(st, i + 1, OP_TRUNCATE, i * SECOND);
	take_idle(st);
	assert_int_equal(st->t.ended.durations.count, 10004);
	assert_int_equal(ended_kept(&st->t.ended), ENDED_KEPT);
	assert_int_equal(ended_wait(&st->t.ended, 0)->end.pid, 10000);
}

/* Hooks know how a wait ended, and when: long before the look that tells it. */
static void waits_end_under_hooks(void **state)
{
	struct stage *st = *state;
	struct fact_end e = {
		.pid = 1000,
		.tid = 1000,
		.comm = "trim",
		.op = OP_TRUNCATE,
		.path = "/pmem1/db/seg.0042",
		.waited_ns = SECOND / 500,
		.result = RESULT_DONE,
	};

	st->s.session.trace = true;
	e.ended_ns = st->s.session.mono_ns - 60 * SECOND;
	ADD(st->s.g, FACT_END, end, e);
	e.ended_ns += 59 * SECOND;
	e.result = RESULT_INTERRUPTED;
	e.waited_ns = 854 * SECOND;
	ADD(st->s.g, FACT_END, end, e);
	take_idle(st);
	press(st, 'e');
	assert_screen(st, "ended_traced_80x24", 80, 24);
}

/* Hooks saw who took the reference; nobody has the pipe open any more. */
static void taken_by_who_is_gone(void **state)
{
	static const char *const k[] = { "iov_iter_get_pages2+0x1d", "iter_to_pipe+0x8e",
					 "vmsplice_to_pipe+0x61" };
	struct fact_hold h = make_pipe("pipe:[88123]");
	struct stage *st = *state;

	st->s.session.trace = true;
	h.held_ns = 856 * SECOND;
	h.taker_pid = h.taker_tid = 31802;
	snprintf(h.taker_comm, sizeof(h.taker_comm), "feeder");
	h.kstack = (struct fact_stack){ .frames = k, .n = 3 };
	scene_hold(&st->s, h, NULL, 0);
	take(st);
	assert_shows(st, "pipe:[88123] taken by fe");
	press(st, 'x');
	assert_shows(st, "taken by feeder[31802]");
	press(st, KEY_OF_ENTER);
	assert_screen(st, "taken_80x24", 80, 24);
	press(st, KEY_OF_F0 + 8);
	press(st, KEY_OF_END);
	assert_shows(st, "taken by feeder[31802]");
}

/* Who prints a frame learns how much higher it has to be, as nobody can scroll it. */
static void tells_what_has_no_room(void **state)
{
	struct stage *st = *state;
	u32 below;

	take_idle(st);
	assert_hides(st, " more ");
	assert_int_equal(st->t.text_below, 0);
	next_scene(st, SECOND);
	for (u32 i = 0; i < 20; i++) {
		char name[16];

		snprintf(name, sizeof(name), "walker %u", i);
		ADD(st->s.g, FACT_PROBE, probe,
		    ((struct fact_probe){ name, PROBE_MISSING, "what it finds is missed" }));
	}
	take_idle(st);
	assert_shows(st, " more ");
	below = st->t.text_below;
	assert_true(below > 0);
	free(frame(st, 80, 24 + below - 1, false));
	assert_int_equal(st->t.text_below, 1);
	free(frame(st, 80, 24 + below, false));
	assert_int_equal(st->t.text_below, 0);
	stage_vmsplice(st);
	take(st);
	assert_hides(st, " more ");
	assert_int_equal(st->t.text_below, 0);
}

static void replay(void **state)
{
	struct stage *st = *state;

	st->t.feed.replay = true;
	assert_shows(st, "[REPLAY]");
	take_idle(st);
	next_scene(st, SECOND);
	stage_vmsplice(st);
	take(st);
	assert_shows(st, "[REPLAY 2]");
	next_scene(st, SECOND);
	take_idle(st);
	st->t.feed.ended = true;
	press(st, 't');
	assert_screen(st, "replay_80x24", 80, 24);
	press(st, 't');
	assert_shows(st, "[REPLAY 1/3]");
	press(st, ' ');
	assert_shows(st, "[REPLAY 3/3]");
	st->t.feed.error = "it is cut off behind line 12";
	assert_shows(st, "FAILED]");
	assert_shows(st, "the recording: it is cut off");
	st->t.feed.error = NULL;
	st->t.feed.note = "3 fields or records of another version were skipped";
	assert_shows(st, "3 fields or records");
}

static void history_is_bounded(void **state)
{
	static char block[HISTORY_BYTES / 8];
	struct history h;

	(void)state;
	history_init(&h, HISTORY_LOOKS, HISTORY_BYTES);
	for (int i = 0; i < 20; i++)
		assert_int_equal(history_add(&h, block, sizeof(block), 0), 0);
	assert_int_equal(h.next, 20);
	assert_int_equal(h.next - h.first, 8);
	assert_true(h.bytes <= HISTORY_BYTES);
	assert_null(history_look(&h, 11));
	assert_non_null(history_look(&h, 12));
	assert_null(history_look(&h, 20));
	for (int i = 0; i < 2 * HISTORY_LOOKS; i++)
		assert_int_equal(history_add(&h, "", 0, 0), 0);
	assert_int_equal(h.next - h.first, HISTORY_LOOKS);
	assert_int_equal(h.bytes, 0);
	history_free(&h);
}

static void collector_in_trouble(void **state)
{
	struct stage *st = *state;

	take_idle(st);
	st->t.feed.silent_ns = 12 * SECOND;
	assert_shows(st, "[NO ANSWER 12.0s]");
	st->t.feed.attaching = true;
	assert_shows(st, "[LOADING HOOKS 12.0s]");
	st->t.feed.silent_ns = 0;
	st->t.feed.error = "reading kernel memory failed";
	assert_shows(st, "[FAILED]");
	assert_shows(st, "the last look failed: reading kernel memory failed");
	st->t.feed.gone = true;
	assert_shows(st, "[COLLECTOR ENDED]");
}

static void actions(void **state)
{
	struct stage *st = *state;

	take_idle(st);
	assert_int_equal(top_key(&st->t, 'q'), ACTION_QUIT);
	assert_int_equal(top_key(&st->t, KEY_OF_F0 + 10), ACTION_QUIT);
	assert_int_equal(top_key(&st->t, KEY_OF_F0 + 9), ACTION_DUMP);
	assert_int_equal(top_key(&st->t, KEY_OF_REDRAW), ACTION_REPAINT);
}

#define T(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(sizes),
		T(every_size),
		T(ascii),
		T(color_adds_nothing),
		T(idle),
		T(before_the_first_look),
		T(losses),
		T(hostile_names),
		T(self_deadlock),
		T(chain_through_a_lock),
		T(chain_through_a_wait),
		T(unattributed),
		T(views),
		T(many),
		T(ten_thousand),
		T(sorting),
		T(filtering),
		T(typing),
		T(finding),
		T(folding),
		T(cursor_stays),
		T(pause_and_step),
		T(jumps_to_what_changed),
		T(waits_end),
		T(waits_end_under_hooks),
		T(taken_by_who_is_gone),
		T(tells_what_has_no_room),
		T(replay),
		T(history_is_bounded),
		T(collector_in_trouble),
		T(actions),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
