/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The terminal. One at a time; whatever ends the process but SIGKILL, the terminal is left as it
 * was. Signals are the caller's: those that ncurses wants to catch must be blocked before
 * screen_open().
 */
#ifndef VIEW_TOP_SCREEN_H
#define VIEW_TOP_SCREEN_H

#include "view/top/canvas.h"

/* Takes over the terminal on descriptors 0 and 1. 0, or -EINVAL when it cannot show anything. */
int screen_open(bool color);

/* Leaves it as it was; nothing when it is not open. Also what to do before the process stops. */
void screen_close(void);

/* Takes it again after a stop, in its size now. */
void screen_resume(void);

/* Columns and rows, asked anew of the terminal. */
void screen_size(u16 *w, u16 *h);

/* Copies the canvas to the terminal. repaint: what is there now is not to be trusted. */
void screen_show(const struct canvas *c, bool repaint);

/* The next key, a code point or one of top.h. false: none has been pressed. */
bool screen_key(u32 *key);

/* Whether the locale's characters are UTF-8; sets the locale. */
bool screen_locale_is_utf8(void);

#endif
