/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#ifndef VIEW_TOP_KEYS_H
#define VIEW_TOP_KEYS_H

/* Keys that are no character. */
enum {
	KEY_OF_ESCAPE = 27,
	KEY_OF_UP = 0x110000, /* above Unicode */
	KEY_OF_DOWN,
	KEY_OF_PAGE_UP,
	KEY_OF_PAGE_DOWN,
	KEY_OF_HOME,
	KEY_OF_END,
	KEY_OF_ENTER,
	KEY_OF_BACKSPACE,
	KEY_OF_REDRAW, /* Ctrl-L */
	KEY_OF_F0 = 0x110100,
};

#endif
