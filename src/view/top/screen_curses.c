// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* The only file that knows ncurses. */
#define NCURSES_WIDECHAR 1
#include "view/top/screen.h"

#include <errno.h>
#include <langinfo.h>
#include <locale.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>
#include <wchar.h>

#include "util/text.h"
#include "view/top/keys.h"

/* Last: it defines common words as macros. */
#include <ncurses.h>
#include <term.h>

enum { CRASH_STACK = 16384, KEY_WAIT_MS = 25 };

static struct {
	SCREEN *term;
	bool open, color;
	struct termios saved; /* as it was found */
	char restore[256];    /* what leaves the screen, for the handler of crashes */
	size_t restore_len;
	struct cell *shown; /* what the terminal shows */
	u16 w, h;
} screen;

static const int crashes[] = { SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT };

#define NR_CRASHES (sizeof(crashes) / sizeof(crashes[0]))

/* Calls only what a signal handler may: the state of ncurses is not to be relied on any more. */
static void restore_and_die(int signo)
{
	ssize_t written = write(STDOUT_FILENO, screen.restore, screen.restore_len);

	(void)written;
	tcsetattr(STDIN_FILENO, TCSANOW, &screen.saved);
	/*
	 * SA_RESETHAND has made the default action the handler: the core dump and its status stay
	 */
	raise(signo);
}

static void catch_crashes(void)
{
	static char stack[CRASH_STACK];
	stack_t alternate = { .ss_sp = stack, .ss_size = sizeof(stack) };
	struct sigaction act = { .sa_handler = restore_and_die,
				 .sa_flags = SA_ONSTACK | SA_RESETHAND };

	sigaltstack(&alternate, NULL);
	for (size_t i = 0; i < NR_CRASHES; i++)
		sigaction(crashes[i], &act, NULL);
}

static void release_crashes(void)
{
	for (size_t i = 0; i < NR_CRASHES; i++)
		signal(crashes[i], SIG_DFL);
}

static int keep_byte(int byte)
{
	if (screen.restore_len < sizeof(screen.restore))
		screen.restore[screen.restore_len++] = byte;
	return byte;
}

/* Now, as terminfo cannot be asked in a signal handler. */
static void prepare_restore(void)
{
	static const char *const names[] = { "sgr0", "cnorm", "rmkx", "rmcup" };

	screen.restore_len = 0;
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		char *s = tigetstr(names[i]);

		if (s && s != (char *)-1)
			tputs(s, 1, keep_byte);
	}
}

static void set_modes(void)
{
	cbreak();
	noecho();
	nonl();
	keypad(stdscr, TRUE);
	nodelay(stdscr, TRUE);
	curs_set(0);
	if (!screen.color || !has_colors()) {
		screen.color = false;
		return;
	}
	start_color();
	use_default_colors();
	init_pair(1, COLOR_GREEN, -1);
	init_pair(2, COLOR_YELLOW, -1);
	init_pair(3, COLOR_RED, -1);
}

int screen_open(bool color)
{
	if (tcgetattr(STDIN_FILENO, &screen.saved))
		return -EINVAL;
	set_escdelay(KEY_WAIT_MS);
	screen.term = newterm(NULL, stdout, stdin);
	if (!screen.term)
		return -EINVAL;
	screen.open = true;
	if (!tigetstr("cup")) {
		/* a printer or a dumb terminal */
		screen_close();
		return -EINVAL;
	}
	screen.color = color;
	prepare_restore();
	catch_crashes();
	set_modes();
	refresh();
	return 0;
}

void screen_close(void)
{
	if (!screen.open)
		return;
	endwin();
	tcsetattr(STDIN_FILENO, TCSANOW, &screen.saved);
	release_crashes();
	screen.open = false;
}

void screen_resume(void)
{
	u16 w, h;

	screen.open = true;
	catch_crashes();
	reset_prog_mode();
	screen_size(&w, &h);
	clearok(stdscr, TRUE);
	refresh();
	screen.w = screen.h = 0;
}

void screen_size(u16 *w, u16 *h)
{
	struct winsize size;

	if (!ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) && size.ws_row && size.ws_col &&
	    (size.ws_row != LINES || size.ws_col != COLS))
		resizeterm(size.ws_row, size.ws_col);
	*w = COLS;
	*h = LINES;
}

static attr_t attributes(u8 attr)
{
	static const attr_t plain[ATTR_MAX] = {
		[ATTR_DIM] = A_DIM,   [ATTR_TITLE] = A_BOLD, [ATTR_BAR] = A_REVERSE,
		[ATTR_WARN] = A_BOLD, [ATTR_BAD] = A_BOLD,
	};

	return plain[(attr & ~ATTR_SELECTED) % ATTR_MAX] | (attr & ATTR_SELECTED ? A_REVERSE : 0);
}

static short color_pair(u8 attr)
{
	static const short pairs[ATTR_MAX] = { [ATTR_GOOD] = 1, [ATTR_WARN] = 2, [ATTR_BAD] = 3 };

	return screen.color ? pairs[(attr & ~ATTR_SELECTED) % ATTR_MAX] : 0;
}

static void put(u16 x, u16 y, const wchar_t *text, u8 attr)
{
	cchar_t ch;

	if (setcchar(&ch, text, attributes(attr), color_pair(attr), NULL) == OK)
		mvadd_wch(y, x, &ch);
}

/* A character that the C library takes for wider or narrower than we do would shift the row. */
static void show_cell(u16 x, u16 y, const struct cell *cell)
{
	wchar_t text[CCHARW_MAX + 1] = { 0 };
	size_t n = 0;
	u32 cp;

	for (const char *s = cell->ch; *s && n < CCHARW_MAX; n++) {
		size_t len = text_decode(s, &cp);

		text[n] = cp;
		s += len ? len : 1;
	}
	if (!n)
		return;
	if (wcwidth(text[0]) == (int)text_columns(text[0])) {
		put(x, y, text, cell->attr);
		return;
	}
	put(x, y, L"?", cell->attr);
	if (text_columns(text[0]) == 2)
		put(x + 1, y, L"?", cell->attr);
}

/* Room to remember what is shown; without memory every row is drawn every time. */
static void remember_size(const struct canvas *c)
{
	if (screen.shown && screen.w == c->w && screen.h == c->h)
		return;
	free(screen.shown);
	screen.shown = calloc((size_t)c->w * c->h, sizeof(*screen.shown));
	screen.w = c->w;
	screen.h = c->h;
	erase();
}

void screen_show(const struct canvas *c, bool repaint)
{
	remember_size(c);
	for (u16 y = 0; y < c->h; y++) {
		const struct cell *row = &c->cells[(size_t)y * c->w];
		struct cell *shown = screen.shown ? screen.shown + (size_t)y * c->w : NULL;

		if (shown && !repaint && !memcmp(shown, row, c->w * sizeof(*row)))
			continue;
		for (u16 x = 0; x < c->w; x++)
			show_cell(x, y, &row[x]);
		if (shown)
			memcpy(shown, row, c->w * sizeof(*row));
	}
	if (repaint)
		clearok(stdscr, TRUE);
	refresh();
}

static u32 special_key(wint_t code)
{
	switch (code) {
	case KEY_UP:
		return KEY_OF_UP;
	case KEY_DOWN:
		return KEY_OF_DOWN;
	case KEY_PPAGE:
		return KEY_OF_PAGE_UP;
	case KEY_NPAGE:
		return KEY_OF_PAGE_DOWN;
	case KEY_HOME:
		return KEY_OF_HOME;
	case KEY_END:
		return KEY_OF_END;
	case KEY_ENTER:
		return KEY_OF_ENTER;
	case KEY_BACKSPACE:
		return KEY_OF_BACKSPACE;
	default:
		return code > KEY_F0 && code <= KEY_F(12) ? KEY_OF_F0 + (code - KEY_F0) : 0;
	}
}

bool screen_key(u32 *key)
{
	wint_t code;
	int got = get_wch(&code);

	if (got == ERR)
		return false;
	if (got == KEY_CODE_YES)
		*key = special_key(code);
	else if (code == '\r' || code == '\n')
		*key = KEY_OF_ENTER;
	else if (code == 0x7f || code == '\b')
		*key = KEY_OF_BACKSPACE;
	else if (code == ('L' & 0x1f))
		*key = KEY_OF_REDRAW;
	else
		*key = code;
	return true;
}

bool screen_locale_is_utf8(void)
{
	setlocale(LC_CTYPE, "");
	return !strcmp(nl_langinfo(CODESET), "UTF-8");
}
