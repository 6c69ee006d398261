/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What the files about holders share: advice_holder.c picks, advice_unread.c, advice_sent.c,
 * advice_io.c and advice_end.c advise. refs: references that go together when the advice is
 * followed.
 */
#ifndef DIAGNOSE_ADVICE_PARTS_H
#define DIAGNOSE_ADVICE_PARTS_H

#include "diagnose/advice.h"

#define NAMED 8 /* processes named in advice */

/* --- advice_unread.c */
/* Who could read it; notes on those who cannot. */
void advise_readers(struct verdict *v, const struct wfg_hold *h, s64 refs);
/* End the process that alone has it open; a note when there are several, or it would be no use. */
void advise_end_holder(struct verdict *v, const struct wfg_hold *h, s64 refs);

/* --- advice_sent.c */
void advise_uncork(struct verdict *v, const struct wfg_hold *h, s64 refs);
/* The peer has to take it; or, of a packet that no socket has any more, its device. */
void advise_peer(struct verdict *v, const struct wfg_hold *h);
/* A pipe is being written to a socket: the other end of that has to take it. */
void advise_splice(struct verdict *v, const struct wfg_hold *h);
/* Packets that were read and that a CPU has yet to free; nothing for other holds. */
void advise_traffic(struct verdict *v, const struct wfg_hold *h);
/* Reset the connection, where its ends are known; and that the end of who sent it does not help. */
void advise_end_sender(struct verdict *v, const struct wfg_hold *h);

/* --- advice_io.c */
/* What has to answer: the device that the I/O is stuck in, else where it was sent; NULL unknown. */
const char *hold_device(const struct wfg_hold *h);
void advise_target(struct verdict *v, const struct wfg_hold *h, s64 refs);
/* That the end of who submitted it does not help. */
void note_io(struct verdict *v, const struct wfg_hold *h);

/* --- advice_end.c */
/* The only process that can release the hold, one of its tasks; NULL when there is no such. */
const struct wfg_task *hold_only_process(const struct wfg_hold *h);
/* "kill 1 2; kill -CONT 2": what is stopped takes the signal once it goes on. */
void advice_add_kill(struct strbuf *sb, const struct wfg_task *const *tasks, u32 n);
void note_not_ended(struct verdict *v, const struct wfg_task *task, const char *why);
/* A core dump goes on when its handler reads. */
void advise_handler(struct verdict *v, const struct wfg_hold *h);
/* End the task whose call holds the page. */
void advise_end_call(struct verdict *v, const struct wfg_hold *h);
/* End the process that an object of an unknown kind seems to belong to. */
void advise_end_owner(struct verdict *v, const struct wfg_hold *h);
/* End all processes that map the page, where page table entries hold it. */
void advise_end_mappers(struct verdict *v);

#endif
