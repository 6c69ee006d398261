// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* What makes a block device complete the I/O that it keeps. */
#include <string.h>

#include "diagnose/advice.h"
#include "diagnose/phrase.h"

#define DIGITS "0123456789"
/*
 * What the shell takes literally. More is allowed in a name, but names are chosen by others and the
 * command is pasted as root.
 */
#define PLAIN  "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ" DIGITS "+.:@_-"

/* The device-mapper name in "dm-0 (slow)". */
static bool dm_name(const char *device, const char **name, int *len)
{
	const char *s = device;

	if (!s || strncmp(s, "dm-", 3) != 0)
		return false;
	s += 3 + strspn(s + 3, DIGITS);
	if (strncmp(s, " (", 2) != 0)
		return false;
	*name = s + 2;
	*len = strspn(*name, PLAIN);
	return *len && **name != '-' && (*name)[*len] == ')';
}

/* How much of "nbd0p1" is the name of the network block device. */
static int nbd_name(const char *device)
{
	int digits = device && !strncmp(device, "nbd", 3) ? (int)strspn(device + 3, DIGITS) : 0;

	return digits ? 3 + digits : 0;
}

/* How much of "md9p1" is the name of the array. */
static int md_name(const char *device)
{
	int digits = device && !strncmp(device, "md", 2) ? (int)strspn(device + 2, DIGITS) : 0;

	return digits ? 2 + digits : 0;
}

bool advice_is_plain_path(const char *path)
{
	return path && *path == '/' && !path[strspn(path, PLAIN "/")];
}

/*
 * Where a count of 1 is idle, only one of the ways to drop a reference wakes the waiter, and the
 * completion of a bio took another one for some time (6.1.y, bio.c __bio_release_pages()).
 */
void advice_add_lost_wakeup(struct strbuf *sb, const struct wfg_page *page)
{
	if (page->p.idle_refs == 1)
		sb_puts(sb, " Should it sleep on, run daxtrace again: Linux 6.1 can lose this "
			    "wake-up.");
}

/* What comes of it when the I/O completes; of a lock there is one holder. */
static void add_outcome(struct strbuf *sb, const struct verdict *v, s64 refs)
{
	if (v->wait->page) {
		advice_add_outcome(sb, v->wait, refs);
		advice_add_lost_wakeup(sb, v->wait->page);
		return;
	}
	sb_puts(sb, " the lock is released and the ");
	phrase_op(sb, v->wait);
	sb_puts(sb, " goes on; nothing is lost.");
}

static void advise_dm(struct verdict *v, const char *name, int len, s64 refs)
{
	const char *proof = v->wait->page ? "advice-dio" : "advice-entry-lock";
	struct strbuf action = { 0 }, effect = { 0 };

	sb_printf(&action, "dmsetup info %.*s", len, name);
	sb_puts(&effect, "Shows whether the device is SUSPENDED; changes nothing.");
	verdict_advice(v, ADVICE_COMMAND, proof, &action, &effect);
	sb_printf(&action, "dmsetup resume %.*s", len, name);
	sb_puts(&effect, "Lets a suspended device go on: when the I/O completes,");
	add_outcome(&effect, v, refs);
	verdict_advice(v, ADVICE_COMMAND, proof, &action, &effect);
}

static void advise_thaw(struct verdict *v, const struct wfg_hold *h, s64 refs)
{
	struct strbuf action = { 0 }, effect = { 0 };

	sb_printf(&action, "fsfreeze -u %s", h->h.frozen);
	sb_puts(&effect, "Thaws the filesystem that the I/O has to be written to: when it "
			 "completes,");
	add_outcome(&effect, v, refs);
	verdict_advice(v, ADVICE_COMMAND, "advice-loop", &action, &effect);
}

/*
 * A note: no test has followed it. Writing io.cost.qos or io.cost.model waits for all I/O to the
 * device, so for that one, too.
 */
static void note_cost(struct verdict *v, const struct wfg_hold *h)
{
	struct strbuf sb = { 0 };

	sb_printf(&sb,
		  "io.cost holds the I/O of cgroup %s back, and lets it go on in time. A higher "
		  "io.weight of the cgroup should let it go on sooner; a write to io.cost.qos or "
		  "io.cost.model may wait for the I/O, too.",
		  h->h.limit);
	verdict_note(v, &sb);
}

static void advise_limit(struct verdict *v, const struct wfg_hold *h, s64 refs)
{
	struct strbuf action = { 0 }, effect = { 0 };

	if (h->h.limit_by && !strcmp(h->h.limit_by, "io.cost")) {
		note_cost(v, h);
		return;
	}
	sb_printf(&action, "Raise or remove the limit in io.max of cgroup %s%s%s.", h->h.limit,
		  h->h.target ? " for " : "", h->h.target ? h->h.target : "");
	sb_puts(&effect, "The I/O goes on at once; when it completes,");
	add_outcome(&effect, v, refs);
	verdict_advice(v, ADVICE_SENTENCE, "iomax-aio", &action, &effect);
}

/* What the target of a device waits for that has I/O in no queue, and what lets it go on. */
static const struct wait_of_target {
	const char *type;    /* of device-mapper; NULL any other, the last one */
	const char *command; /* shows it, before the name */
	const char *shows;
	const char *action[2]; /* before and after the name */
	const char *effect;
	const char *proof;
} targets[] = {
	{ "thin-pool",
	  "dmsetup status",
	  "Shows whether the pool is out of space (out_of_data_space); changes nothing.",
	  { "Give the pool ", " more space, as with lvextend." },
	  "It goes on with the I/O that it queues; otherwise the kernel fails that after "
	  "no_space_timeout of dm_thin_pool, 60 s if it was not changed. When the I/O completes,",
	  "thin-aio" },
	{ "multipath",
	  "dmsetup status",
	  "Shows which paths have failed (F); changes nothing.",
	  { "Make one of the paths of ", " work." },
	  "The device goes on with the I/O that it queues. When the I/O completes,",
	  "multipath-bio" },
	{ "delay",
	  "dmsetup table",
	  "Shows for how long the target delays I/O; changes nothing.",
	  { "Suspend and resume ", "." },
	  "A delay target passes on all that it keeps when it is suspended. When the I/O "
	  "completes,",
	  "delay-aio" },
	{ NULL,
	  "dmsetup table",
	  "Names the target that keeps the I/O, and the devices that it may wait for; changes "
	  "nothing.",
	  { "Make ", " answer." },
	  "When the I/O completes,",
	  "delay-aio" },
};

static const struct wait_of_target *wait_of_target(const char *type)
{
	const struct wait_of_target *t = targets;

	while (t->type && (!type || strcmp(t->type, type) != 0))
		t++;
	return t;
}

static void advise_unqueued_dm(struct verdict *v, const struct wfg_hold *h, const char *name,
			       int len, s64 refs)
{
	const struct wait_of_target *t = wait_of_target(h->h.device_type);
	struct strbuf action = { 0 }, effect = { 0 };

	sb_printf(&action, "%s %.*s", t->command, len, name);
	sb_puts(&effect, t->shows);
	verdict_advice(v, ADVICE_COMMAND, t->proof, &action, &effect);
	sb_printf(&action, "%s%.*s%s", t->action[0], len, name, t->action[1]);
	sb_puts(&effect, t->effect);
	add_outcome(&effect, v, refs);
	verdict_advice(v, ADVICE_SENTENCE, t->proof, &action, &effect);
}

void advise_array(struct verdict *v, const struct wfg_hold *h)
{
	int len = h->h.unqueued ? md_name(h->h.device) : 0;
	struct strbuf action = { 0 }, effect = { 0 };

	if (!len)
		return;
	sb_printf(&action, "cat /sys/block/%.*s/md/array_state /sys/block/%.*s/md/suspend_hi", len,
		  h->h.device, len, h->h.device);
	sb_puts(&effect,
		"Shows whether the array waits for mdmon to mark it (write-pending), or keeps "
		"writes below a sector out (not 0), as mdadm does to reshape it; changes nothing.");
	verdict_advice(v, ADVICE_COMMAND, "raid-suspended", &action, &effect);
}

bool advise_resume(struct verdict *v, const struct wfg_hold *h, s64 refs)
{
	const char *name;
	int len;

	if (h->h.limit)
		advise_limit(v, h, refs);
	else if (advice_is_plain_path(h->h.frozen))
		advise_thaw(v, h, refs);
	else if (!dm_name(h->h.device ? h->h.device : h->h.target, &name, &len))
		return false;
	else if (h->h.unqueued)
		advise_unqueued_dm(v, h, name, len, refs);
	else
		advise_dm(v, name, len, refs);
	return true;
}

static void add_failed_io(struct strbuf *sb, const struct wfg_page *page, s64 refs)
{
	sb_puts(sb, "Disconnects the device: its I/O fails, which lets go of the page. What was to "
		    "be written is lost, and the device is gone for whoever uses it.");
	advice_add_remaining(sb, page, refs);
	advice_add_lost_wakeup(sb, page);
}

/* No DAX page lies on such a device, but the journal of its filesystem may. */
static void add_failed_fault(struct strbuf *sb, const struct wfg_hold *h)
{
	sb_puts(sb,
		"Disconnects the device: its I/O fails, and with it the page fault, for which ");
	phrase_releasers(sb, h, 1);
	sb_puts(sb, " gets SIGBUS. A filesystem that has its journal there takes no more writes, "
		    "and what it had not written yet is lost: unmount it, and mount it again when "
		    "the device is back.");
}

bool advise_disconnect(struct verdict *v, const struct wfg_hold *h, s64 refs)
{
	const struct wfg_page *page = v->wait->page;
	struct strbuf action = { 0 }, effect = { 0 };
	int len = nbd_name(h->h.device);

	if (!len || (!page && h->h.how != HOW_FAULT))
		return false;
	sb_printf(&action, "nbd-client -d /dev/%.*s", len, h->h.device);
	if (page)
		add_failed_io(&effect, page, refs);
	else
		add_failed_fault(&effect, h);
	verdict_advice(v, ADVICE_COMMAND, page ? "advice-nbd" : "deadlock-fault", &action, &effect);
	return true;
}
