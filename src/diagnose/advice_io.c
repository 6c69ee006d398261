// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* I/O in flight: what has to answer it, and what makes it fail. */
#include <stdio.h>
#include <string.h>

#include "diagnose/advice_parts.h"
#include "diagnose/phrase.h"

const char *hold_device(const struct wfg_hold *h)
{
	return h->h.device ? h->h.device : h->h.target;
}

/* The number that ends "/mnt/f (fuse: sshfs[7], connection 45)"; false when none does. */
static bool fuse_connection(const struct wfg_hold *h, unsigned int *number)
{
	static const char before[] = ", connection ";
	const char *end = h->h.target ? strrchr(h->h.target, ',') : NULL;
	int len = 0;

	return h->h.how == HOW_FUSE && end && !strncmp(end, before, strlen(before)) &&
	       sscanf(end + strlen(before), "%u)%n", number, &len) == 1 && len &&
	       !end[strlen(before) + len];
}

bool advise_abort(struct verdict *v, const struct wfg_hold *h, s64 refs)
{
	struct strbuf action = { 0 }, effect = { 0 };
	unsigned int connection;

	if (!refs || !fuse_connection(h, &connection))
		return false;
	sb_printf(&action, "echo 1 > /sys/fs/fuse/connections/%u/abort", connection);
	sb_puts(&effect, "Fails this I/O and every other request to the server; its filesystem "
			 "is of no use until it is mounted again. The end of the server does the "
			 "same.");
	advice_add_remaining(&effect, v->wait->page, refs);
	verdict_advice(v, ADVICE_COMMAND, "advice-fuse", &action, &effect);
	return true;
}

/* The scenario in which a device or server of that kind answers at last. */
static const char *proof_of_answer(enum fact_how how)
{
	switch (how) {
	case HOW_FUSE:
		return "fuse-pwrite";
	case HOW_NFS:
		return "nfs-pwrite";
	case HOW_SG_IO:
		return "sg_io";
	default:
		return "nbd-dio";
	}
}

void advise_target(struct verdict *v, const struct wfg_hold *h, s64 refs)
{
	struct strbuf action = { 0 }, effect = { 0 };
	const char *device = hold_device(h);

	if (advise_resume(v, h, refs))
		return;
	advise_array(v, h);
	sb_printf(&action, "Make %s answer.",
		  device ? device : "the device or server that the I/O goes to");
	sb_puts(&effect, "When the I/O completes,");
	advice_add_outcome(&effect, v->wait, refs);
	if (h->h.how == HOW_DIRECT_IO || h->h.how == HOW_AIO || h->h.how == HOW_IO_URING)
		advice_add_lost_wakeup(&effect, v->wait->page);
	verdict_advice(v, ADVICE_SENTENCE, proof_of_answer(h->h.how), &action, &effect);
	advise_disconnect(v, h, refs);
}

void note_io(struct verdict *v, const struct wfg_hold *h)
{
	struct strbuf sb = { 0 };

	if (!h->nr_releasers)
		return;
	sb_puts(&sb, "Ending ");
	phrase_releasers(&sb, h, NAMED);
	if (h->h.how == HOW_FUSE)
		sb_puts(&sb, " may not release the page: once the server has read the request, "
			     "the reference goes only when it answers");
	else
		sb_puts(&sb, " does not release the page: the reference goes when the I/O "
			     "completes");
	if (h->releasers[0].task->t.state == 'D')
		sb_puts(&sb, ", and until then the task stays in state D");
	sb_putc(&sb, '.');
	verdict_note(v, &sb);
}
