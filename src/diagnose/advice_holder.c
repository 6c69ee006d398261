// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* What can be done about the holders: let them let go, or end them. */
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "diagnose/advice.h"
#include "diagnose/phrase.h"
#include "diagnose/signals.h"

#define NAMED 8 /* processes named in advice */

bool advise_drain(struct verdict *v, const struct wfg_hold *h)
{
	const struct wfg_releaser *r = h->nr_releasers ? &h->releasers[0] : NULL;
	struct strbuf action = { 0 }, effect = { 0 };

	if (h->h.how != HOW_VMSPLICE || !r || r->fd < 0 || !h->h.drain_bytes)
		return false;
	sb_printf(&action, "dd if=/proc/%u/fd/%d of=/dev/null bs=%llu count=1", r->task->t.pid,
		  r->fd, (unsigned long long)h->h.drain_bytes);
	/* to open a FIFO, which has a path, would wait for a writer */
	if (h->h.object_id && h->h.object_id[0] == '/')
		sb_puts(&action, " iflag=nonblock");
	sb_puts(&effect, "Reads ");
	phrase_count(&effect, h->h.drain_bytes, "byte");
	sb_printf(&effect,
		  " out of %s, which releases the page; this data is lost to the pipe's reader.",
		  h->h.object_id ? h->h.object_id : "the pipe");
	verdict_advice(v, ADVICE_COMMAND, "self/close", &action, &effect);
	return true;
}

void advice_add_remaining(struct strbuf *sb, const struct wfg_page *page, s64 released)
{
	s64 rest = page->busy - released;

	if (rest <= 0)
		return;
	sb_putc(sb, ' ');
	phrase_count(sb, rest, "other reference");
	sb_puts(sb, rest == 1 ? " has" : " have");
	sb_puts(sb, " to go as well before the wait ends.");
}

void advice_add_outcome(struct strbuf *sb, const struct wfg_wait *wait, s64 released)
{
	sb_puts(sb, released == 1 ? " the reference goes" : " the references go");
	if (wait->page->busy <= released) {
		sb_puts(sb, " and the ");
		phrase_op(sb, wait);
		sb_puts(sb, " goes on");
	}
	sb_puts(sb, "; nothing is lost.");
	advice_add_remaining(sb, wait->page, released);
}

static bool is_queued(const struct wfg_wait *wait, const struct wfg_task *task)
{
	for (u32 i = 0; i < wait->nr_queued; i++)
		if (wait->queued[i].task->t.pid == task->t.pid)
			return true;
	return false;
}

static void note_stuck_reader(struct verdict *v, const struct wfg_task *reader, const char *why)
{
	struct strbuf sb = { 0 };

	phrase_task(&sb, reader);
	sb_printf(&sb, " could read the data, but it %s.", why);
	verdict_note(v, &sb);
}

/* Readers of the pipe, other than the waiter's process, that are able to read. */
static void collect_readers(struct verdict *v, const struct wfg_hold *h, struct processes *p)
{
	const struct wfg_wait *wait = v->wait;

	for (u32 i = 0; i < h->nr_releasers; i++) {
		const struct wfg_task *t = h->releasers[i].task;

		if (!h->releasers[i].reads || t->t.pid == wait->task->t.pid)
			continue;
		if (is_queued(wait, t))
			note_stuck_reader(v, t, "is itself queued behind this wait");
		else if (t->t.state == 'T' || t->t.state == 't')
			note_stuck_reader(v, t, "is stopped");
		else if (t->t.state == 'D')
			note_stuck_reader(v, t, "sleeps in state D");
		else
			processes_add_task(p, t);
	}
}

/* Packets that are read may still be freed late, by another CPU. */
static void add_late_free(struct strbuf *sb, const struct wfg_hold *h)
{
	if (h->h.target)
		sb_puts(sb, " Should the wait go on, run daxtrace again: the kernel may put off "
			    "freeing packets.");
}

/* refs: what reading releases. */
static void advise_readers(struct verdict *v, const struct wfg_hold *h, s64 refs)
{
	struct strbuf action = { 0 }, effect = { 0 };
	struct processes readers = { 0 };

	collect_readers(v, h, &readers);
	processes_sort(&readers);
	if (!readers.n)
		return;
	sb_puts(&action, "Let ");
	phrase_processes(&action, &readers, NAMED);
	sb_printf(&action, " read %s.", hold_reads(h) ? hold_reads(h) : "the pipe");
	if (h->h.drain_bytes) {
		sb_puts(&effect, "Once ");
		phrase_count(&effect, h->h.drain_bytes, "byte");
		sb_puts(&effect, h->h.drain_bytes == 1 ? " is read," : " are read,");
	} else {
		sb_puts(&effect, "Once the data of the page is read,");
	}
	advice_add_outcome(&effect, v->wait, refs);
	add_late_free(&effect, h);
	processes_free(&readers);
	verdict_advice(v, ADVICE_SENTENCE,
		       h->h.how == HOW_VMSPLICE ? "advice-read" : "tcp-splice-full", &action,
		       &effect);
}

/*
 * "tcp 10.0.0.1:80>10.0.0.9:4711", a connection that no task has open, in our network namespace.
 * Addresses are all that is in it: the kernel made the text.
 */
static bool orphan_ends(const struct wfg_hold *h, const char **local, int *len, const char **peer)
{
	const char *id = h->h.object_id;

	if (h->nr_releasers || !id || strncmp(id, "tcp ", 4) != 0 || strchr(id + 4, ' '))
		return false;
	*local = id + 4;
	*peer = strchr(*local, '>');
	if (!*peer)
		return false;
	*len = *peer - *local;
	++*peer;
	return true;
}

static void advise_kill_connection(struct verdict *v, const struct wfg_hold *h)
{
	struct strbuf action = { 0 }, effect = { 0 };
	const char *local, *peer;
	int len;

	if (!orphan_ends(h, &local, &len, &peer))
		return;
	sb_printf(&action, "ss -tK src %.*s dst %s", len, local, peer);
	sb_puts(&effect, "Resets this connection, which no task has open any more: data that its "
			 "peer has not acknowledged is lost. Linux 5.10 keeps the connection, "
			 "then empty, in its table.");
	advice_add_remaining(&effect, v->wait->page, h->h.refs);
	verdict_advice(v, ADVICE_COMMAND, "advice-orphan", &action, &effect);
}

/* What keeps a packet that no socket has: the command only looks. */
static void advise_network(struct verdict *v, const struct wfg_hold *h)
{
	struct strbuf action = { 0 }, effect = { 0 };

	sb_printf(&action, "Let network device %s send, or drop what is queued for it.",
		  h->h.device);
	sb_printf(&effect, "ip -s link and tc -s qdisc show why it does not. Once the packet is "
			   "sent or dropped,");
	advice_add_outcome(&effect, v->wait, h->h.refs);
	verdict_advice(v, ADVICE_SENTENCE, "packet-queued", &action, &effect);
}

static void advise_peer(struct verdict *v, const struct wfg_hold *h)
{
	struct strbuf action = { 0 }, effect = { 0 };

	if (h->h.unqueued && h->h.device) {
		advise_network(v, h);
		return;
	}

	sb_printf(&action, "Let the peer%s%s of %s read.", h->h.target ? " " : "",
		  h->h.target ? h->h.target : "", h->h.object_id ? h->h.object_id : "the socket");
	sb_puts(&effect, "Once it has taken the data,");
	advice_add_outcome(&effect, v->wait, h->h.refs);
	verdict_advice(v, ADVICE_SENTENCE, NULL, &action, &effect);
}

static void advise_uncork(struct verdict *v, const struct wfg_hold *h, s64 refs)
{
	struct strbuf action = { 0 }, effect = { 0 };

	if (!h->nr_releasers || !refs)
		return;
	sb_puts(&action, "Let ");
	phrase_releasers(&action, h, NAMED);
	sb_printf(&action, " complete the datagram of %s.",
		  h->h.object_id ? h->h.object_id : "the socket");
	sb_puts(&effect, "Once it is sent, or the socket is no longer corked (UDP_CORK),");
	advice_add_outcome(&effect, v->wait, refs);
	verdict_advice(v, ADVICE_SENTENCE, NULL, &action, &effect);
}

/* What has to answer: the device that the I/O is stuck in, else where it was sent. */
static const char *hold_device(const struct wfg_hold *h)
{
	return h->h.device ? h->h.device : h->h.target;
}

static bool same_text(const char *x, const char *y)
{
	return x && y ? !strcmp(x, y) : x == y;
}

/* A pipe that splice(2) is in the middle of writing to a device. */
static bool is_written_out(const struct wfg_hold *h)
{
	return h->h.how == HOW_VMSPLICE && h->h.device;
}

static bool needs_device(const struct wfg_hold *h)
{
	return hold_is_io(h) || is_written_out(h);
}

static bool same_target(const struct wfg_hold *a, const struct wfg_hold *b)
{
	return needs_device(a) && needs_device(b) && same_text(hold_device(a), hold_device(b));
}

/* Reading one socket releases what it has received and what its peer has yet to send. */
static bool same_reading(const struct wfg_hold *a, const struct wfg_hold *b)
{
	return hold_is_unread(a) && hold_is_unread(b) && hold_reads(a) &&
	       same_text(hold_reads(a), hold_reads(b));
}

/* The only process that can release the hold, one of its tasks; NULL when there is no such. */
static const struct wfg_task *only_process(const struct wfg_hold *h)
{
	const struct wfg_releaser *r = h->releasers;

	/* Releasers come ordered by process. */
	if (!h->nr_releasers || h->nr_releasers < h->h.nr_releasers ||
	    r->task->t.pid != r[h->nr_releasers - 1].task->t.pid)
		return NULL;
	return r->task;
}

static bool same_end(const struct wfg_hold *a, const struct wfg_hold *b)
{
	const struct wfg_task *x = only_process(a), *y = only_process(b);

	return hold_is_unread(a) && hold_is_unread(b) && x && y && x->t.pid == y->t.pid &&
	       a->h.confidence == b->h.confidence;
}

/* References of all holds that are the same as hold i; 0 when an earlier hold is. */
static s64 same_refs(const struct wfg_page *page, u32 i,
		     bool (*same)(const struct wfg_hold *a, const struct wfg_hold *b))
{
	const struct wfg_hold *h = page->holds[i];
	s64 refs = h->h.refs;

	for (u32 j = 0; j < wfg_page_holders(page); j++) {
		if (j == i || !same(page->holds[j], h))
			continue;
		if (j < i)
			return 0;
		refs += page->holds[j]->h.refs;
	}
	return refs;
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

void advise_abort(struct verdict *v, const struct wfg_hold *h, s64 refs)
{
	struct strbuf action = { 0 }, effect = { 0 };
	unsigned int connection;

	if (!refs || !fuse_connection(h, &connection))
		return;
	sb_printf(&action, "echo 1 > /sys/fs/fuse/connections/%u/abort", connection);
	sb_puts(&effect, "Fails this I/O and every other request to the server; its filesystem "
			 "is of no use until it is mounted again. The end of the server does the "
			 "same.");
	advice_add_remaining(&effect, v->wait->page, refs);
	verdict_advice(v, ADVICE_COMMAND, "advice-fuse", &action, &effect);
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

static void advise_target(struct verdict *v, const struct wfg_hold *h, s64 refs)
{
	struct strbuf action = { 0 }, effect = { 0 };
	const char *device = hold_device(h);

	if (advise_resume(v, h, refs))
		return;
	sb_printf(&action, "Make %s answer.",
		  device ? device : "the device or server that the I/O goes to");
	sb_puts(&effect, "When the I/O completes,");
	advice_add_outcome(&effect, v->wait, refs);
	if (h->h.how == HOW_DIRECT_IO || h->h.how == HOW_AIO || h->h.how == HOW_IO_URING)
		advice_add_lost_wakeup(&effect, v->wait->page);
	verdict_advice(v, ADVICE_SENTENCE, proof_of_answer(h->h.how), &action, &effect);
	advise_disconnect(v, h, refs);
}

static void note_io(struct verdict *v, const struct wfg_hold *h)
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

static void note_not_ended(struct verdict *v, const struct wfg_task *task, const char *why)
{
	struct strbuf sb = { 0 };

	sb_puts(&sb, "Ending ");
	phrase_task(&sb, task);
	sb_printf(&sb, " is not advised: it %s.", why);
	verdict_note(v, &sb);
}

static void note_many(struct verdict *v, const struct wfg_hold *h)
{
	struct strbuf sb = { 0 };

	sb_puts(&sb, hold_reads(h) ? hold_reads(h) : "The pipe");
	sb_puts(&sb, h->h.peer ? " has to be read, or closed by all of these: " :
				 " holds the page until it is read or until all of these have "
				 "closed it: ");
	phrase_releasers(&sb, h, NAMED);
	if (h->nr_releasers < h->h.nr_releasers)
		sb_puts(&sb, ", and tasks that could not be identified");
	sb_putc(&sb, '.');
	verdict_note(v, &sb);
}

static void note_own(struct verdict *v, const struct wfg_hold *h)
{
	const struct fact_task *t = &v->wait->task->t;
	struct strbuf sb = { 0 };

	sb_puts(&sb, "Only the waiter's own process could release ");
	if (h->h.how == HOW_MAPPING)
		sb_puts(&sb, "the mapping");
	else
		sb_puts(&sb, h->h.object_id ? h->h.object_id : "the pipe");
	if (t->threads)
		sb_printf(&sb, ". It has %u threads, and another of them", t->threads);
	else
		sb_puts(&sb, ". How many threads it has is unknown, and another of them");
	sb_puts(&sb, " may still do so: therefore this is not called a deadlock.");
	verdict_note(v, &sb);
}

/* "kill 1 2; kill -CONT 2": what is stopped takes the signal once it goes on. */
static void add_kill(struct strbuf *sb, const struct wfg_task *const *tasks, u32 n)
{
	const char *before = "; kill -CONT";

	sb_puts(sb, "kill");
	for (u32 i = 0; i < n; i++)
		sb_printf(sb, " %u", tasks[i]->t.pid);
	for (u32 i = 0; i < n; i++) {
		if (tasks[i]->t.state != 'T')
			continue;
		sb_printf(sb, "%s %u", before, tasks[i]->t.pid);
		before = "";
	}
}

static const char *proof_of_kill(const struct wfg_task *task, const struct wfg_hold *h)
{
	if (h->h.how != HOW_VMSPLICE)
		return "advice-socket";
	return task->t.state == 'T' ? "advice-stopped" : "advice-vmsplice";
}

/* Why ending the process does not release what it has open; NULL when it does. */
static const char *end_useless(const struct verdict *v, const struct wfg_hold *h)
{
	const char *why = sigterm_useless(h->releasers[0].task);

	/* the worker that frees ranges of a DAX window keeps no inode lock */
	if (why || v->wait->task->t.kthread)
		return why;
	for (u32 i = 0; i < h->nr_releasers; i++)
		if (h->releasers[i].exit_waits)
			return "has the file open as well, and its exit would sleep for the lock "
			       "that the waiter keeps before it lets go of the page";
	return NULL;
}

/* refs: what goes with the process. */
static void advise_end_holder(struct verdict *v, const struct wfg_hold *h, s64 refs)
{
	struct strbuf action = { 0 }, effect = { 0 };
	const struct wfg_task *task = only_process(h);
	const char *why;

	if (!h->nr_releasers || !refs)
		return;
	if (!task) {
		note_many(v, h);
		return;
	}
	if (task->t.pid == v->wait->task->t.pid)
		return;
	why = end_useless(v, h);
	if (why) {
		note_not_ended(v, task, why);
		return;
	}
	add_kill(&action, &task, 1);
	sb_puts(&effect, "Ends ");
	phrase_task(&effect, task);
	sb_printf(&effect, ", which closes %s; what %s is lost.",
		  hold_reads(h) ? hold_reads(h) : "the pipe",
		  h->h.unsent ? "it has not sent" : "nobody has read from it");
	advice_add_remaining(&effect, v->wait->page, refs);
	add_late_free(&effect, h);
	verdict_advice(v, ADVICE_COMMAND, proof_of_kill(task, h), &action, &effect);
}

/* An object of an unknown kind mostly goes with the task that it seems to belong to. */
static void advise_end_owner(struct verdict *v, const struct wfg_hold *h)
{
	struct strbuf action = { 0 }, effect = { 0 };
	const struct wfg_task *task = only_process(h);

	if (!task || task->t.pid == v->wait->task->t.pid || sigterm_useless(task))
		return;
	sb_puts(&action, "If nothing else helps end ");
	phrase_task(&action, task);
	sb_puts(&action, ".");
	sb_puts(&effect, "What holds the page seems to belong to it, and mostly goes with it: that "
			 "is likely and not certain.");
	advice_add_remaining(&effect, v->wait->page, h->h.refs);
	verdict_advice(v, ADVICE_SENTENCE, NULL, &action, &effect);
}

/* While a task dumps core it takes no other signal than SIGKILL, signal.c prepare_signal(). */
static const char *sigkill_useless(const struct wfg_task *task)
{
	const char *why = signal_unreachable(task);

	return why || task->t.state != 'D' ? why : "sleeps in state D";
}

static void advise_end_call(struct verdict *v, const struct wfg_hold *h)
{
	struct strbuf action = { 0 }, effect = { 0 };
	const struct wfg_task *task = h->nr_releasers ? h->releasers[0].task : NULL;
	bool dumps = h->h.how == HOW_COREDUMP;
	const char *why;

	if (!task || task->t.pid == v->wait->task->t.pid)
		return;
	why = dumps ? sigkill_useless(task) : sigterm_useless(task);
	if (why) {
		note_not_ended(v, task, why);
		return;
	}
	if (dumps)
		sb_printf(&action, "kill -KILL %u", task->t.pid);
	else
		add_kill(&action, &task, 1);
	sb_puts(&effect, "Ends ");
	phrase_task(&effect, task);
	sb_puts(&effect,
		dumps ? ", which is dead but for its core dump; the dump stays incomplete." :
			" and with it the call that holds the page.");
	advice_add_remaining(&effect, v->wait->page, h->h.refs);
	verdict_advice(v, ADVICE_COMMAND,
		       dumps                      ? "advice-coredump" :
		       h->h.how == HOW_PROCESS_VM ? "advice-process-vm" :
						    NULL,
		       &action, &effect);
}

/* The dump goes on when its handler reads. */
static void advise_handler(struct verdict *v, const struct wfg_hold *h)
{
	struct strbuf action = { 0 }, effect = { 0 };

	sb_printf(&action, "Let %s be read.", h->h.target ? h->h.target : "the core dump");
	sb_puts(&effect, "When the dump goes on,");
	advice_add_outcome(&effect, v->wait, h->h.refs);
	verdict_advice(v, ADVICE_SENTENCE, NULL, &action, &effect);
}

static void note_sent(struct verdict *v, const struct wfg_hold *h)
{
	struct strbuf sb = { 0 };

	if (!h->nr_releasers)
		return;

	sb_puts(&sb, "Ending ");
	phrase_releasers(&sb, h, NAMED);
	sb_puts(&sb, h->h.unqueued ?
			     " does not release the page: what was sent stays queued." :
			     " may not release the page: what was sent stays queued until the "
			     "peer takes it or the connection is reset.");
	verdict_note(v, &sb);
}

/* Processes that map the page; returns the references they explain, -1 when one is not known. */
static s64 collect_mappers(const struct wfg_page *page, struct processes *p)
{
	s64 refs = 0;

	for (u32 i = 0; i < wfg_page_holders(page); i++) {
		const struct wfg_hold *h = page->holds[i];

		if (h->h.how != HOW_MAPPING)
			continue;
		if (!h->nr_releasers || h->nr_releasers < h->h.nr_releasers)
			return -1;
		refs += h->h.refs;
		processes_add(p, h);
	}
	processes_sort(p);
	return refs;
}

/* Whether SIGTERM would end every one of them: ending only some frees nothing. Notes say who not. */
static bool all_end(struct verdict *v, const struct processes *p)
{
	bool all = p->n && !p->failed;

	for (u32 i = 0; i < p->n; i++) {
		const char *why = sigterm_useless(p->t[i]);

		if (p->t[i]->t.pid == v->wait->task->t.pid) {
			all = false;
		} else if (why) {
			note_not_ended(v, p->t[i], why);
			all = false;
		}
	}
	return all;
}

static void advise_end_mappers(struct verdict *v)
{
	struct strbuf action = { 0 }, effect = { 0 };
	struct processes p = { 0 };
	s64 refs = collect_mappers(v->wait->page, &p);

	if (v->wait->page->mapped && refs > 0 && all_end(v, &p)) {
		add_kill(&action, p.t, p.n);
		sb_puts(&effect, "Ends ");
		phrase_processes(&effect, &p, NAMED);
		sb_puts(&effect,
			p.n == 1 ? " and with it its mapping" : " and with them the mappings");
		sb_puts(&effect, " (munmap(2) by the program itself does the same).");
		advice_add_remaining(&effect, v->wait->page, refs);
		verdict_advice(v, ADVICE_COMMAND, "advice-retouch", &action, &effect);
	}
	processes_free(&p);
}

/* Packets that one CPU has yet to free: any packet that it receives makes it do so. */
static void advise_traffic(struct verdict *v, const struct wfg_hold *h)
{
	struct strbuf action = { 0 }, effect = { 0 };
	unsigned int cpu;

	if (h->h.how != HOW_KERNEL || !h->h.object_id ||
	    sscanf(h->h.object_id, "CPU %u", &cpu) != 1)
		return;
	sb_printf(&action, "taskset -c %u ping -c 1 127.0.0.1", cpu);
	sb_printf(&effect, "Makes CPU %u receive a packet, and so free those that were read:", cpu);
	advice_add_outcome(&effect, v->wait, h->h.refs);
	verdict_advice(v, ADVICE_COMMAND, "advice-deferred", &action, &effect);
}

/* References of all that waits for the target of hold i; 0 when an earlier hold has the same target. */
static s64 target_refs(const struct wfg_page *page, u32 i)
{
	return needs_device(page->holds[i]) ? same_refs(page, i, same_target) : 0;
}

void advise_release(struct verdict *v)
{
	const struct wfg_page *page = v->wait->page;

	for (u32 i = 0; i < wfg_page_holders(page); i++) {
		const struct wfg_hold *h = page->holds[i];
		s64 io = target_refs(page, i);
		s64 unread = hold_is_unread(h) ? same_refs(page, i, same_reading) : 0;

		if (h->h.unsent)
			advise_uncork(v, h, unread);
		else if (unread && !is_written_out(h))
			advise_readers(v, h, unread);
		else if (h->h.outbound && !h->h.peer)
			advise_peer(v, h);
		else if (io)
			advise_target(v, h, io);
		else if (h->h.how == HOW_COREDUMP)
			advise_handler(v, h);
		else
			advise_traffic(v, h);
	}
}

void advise_end(struct verdict *v)
{
	const struct wfg_page *page = v->wait->page;

	for (u32 i = 0; i < wfg_page_holders(page); i++) {
		const struct wfg_hold *h = page->holds[i];

		if (hold_is_own(h, v->wait->task))
			note_own(v, h);
		else if (hold_is_unread(h) && h->h.confidence == CONF_EXACT)
			advise_end_holder(v, h, same_refs(page, i, same_end));
		else if (h->h.outbound && !h->h.peer && h->nr_releasers)
			note_sent(v, h);
		else if (h->h.outbound && !h->h.peer)
			advise_kill_connection(v, h);
		else if (hold_is_io(h))
			note_io(v, h);
		else if (hold_is_call(h))
			advise_end_call(v, h);
		else if (h->h.how == HOW_UNKNOWN && h->h.confidence == CONF_LIKELY)
			advise_end_owner(v, h);
		advise_abort(v, h, target_refs(page, i));
	}
	advise_end_mappers(v);
}
