/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Advice: what a person can do to end a wait. A command is printed only when a scenario followed
 * it and saw it work, and when the task's state and signal handling say that it works here.
 * Otherwise a note says what does not help, and why.
 */
#ifndef DIAGNOSE_ADVICE_H
#define DIAGNOSE_ADVICE_H

#include "diagnose/verdict.h"

/*
 * Stop and continue the waiter, so that it looks at the page again. false: its handling of SIGCONT
 * forbids it, which a note says.
 */
bool advise_restart(struct verdict *v, const char *why_it_works, const char *what_may_fail,
		    const char *proven_by);

/* Interrupt the waiter, or a note why not. */
void advise_interrupt(struct verdict *v, const char *proven_by);

/* Read the page out of the waiter's own pipe. false: there is no descriptor to read from. */
bool advise_drain(struct verdict *v, const struct wfg_hold *h);

/* Have a FUSE connection fail what it holds: refs references. false: it is of another kind. */
bool advise_abort(struct verdict *v, const struct wfg_hold *h, s64 refs);

/* Why a signal cannot end the wait, NULL when one can. */
const char *wait_uninterruptible(const struct wfg_wait *wait);

/* What makes the holders let go by themselves. */
void advise_release(struct verdict *v);

/* What has to go as well, beside the references that the advice releases. */
void advice_add_remaining(struct strbuf *sb, const struct wfg_page *page, s64 released);
/* What comes of it when references of the page go and the holder loses nothing. */
void advice_add_outcome(struct strbuf *sb, const struct wfg_wait *wait, s64 released);
/* That the waiter may sleep on although a bio has completed, where that can be. */
void advice_add_lost_wakeup(struct strbuf *sb, const struct wfg_page *page);

/* Whether the shell takes an absolute path literally; false for NULL. */
bool advice_is_plain_path(const char *path);

/*
 * Devices, advice_device.c, for a hold of refs references together with others of the same device:
 * make one go on that somebody stopped. false: it is none of those.
 */
bool advise_resume(struct verdict *v, const struct wfg_hold *h, s64 refs);
/* Show why an array of disks does not take I/O, if that is known. */
void advise_array(struct verdict *v, const struct wfg_hold *h);
/* Have the I/O fail, where the device can be disconnected. false: it cannot. */
bool advise_disconnect(struct verdict *v, const struct wfg_hold *h, s64 refs);

/* Ending holders, and notes on those that are not to be ended. */
void advise_end(struct verdict *v);

#endif
