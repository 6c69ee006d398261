/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The standard descriptors of a program whose output must not be lost unnoticed. */
#ifndef UTIL_STD_H
#define UTIL_STD_H

/* A file opened as descriptor 1 would get the output: occupies what the caller left closed. */
void std_occupy(void);

/*
 * Closes stdout at the end. A full disk or a closed pipe: an answer that is cut off must not pass
 * for a whole one. Returns the status, or STATUS_ERROR after a message.
 */
int std_close(int status);

#endif
