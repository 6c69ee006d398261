// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Packets that were sent, or not yet: what their peer, their device or their CPU has to do. */
#include <stdio.h>
#include <string.h>

#include "diagnose/advice_parts.h"
#include "diagnose/phrase.h"

void advise_uncork(struct verdict *v, const struct wfg_hold *h, s64 refs)
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
	verdict_advice(v, ADVICE_SENTENCE, "advice-cork", &action, &effect);
}

/* What keeps a packet that no socket has: the command only looks. */
static void advise_network(struct verdict *v, const struct wfg_hold *h)
{
	struct strbuf action = { 0 }, effect = { 0 };

	sb_printf(&action, "Let network device %s send, or drop what is queued for it.",
		  h->h.device);
	sb_printf(&effect,
		  "ip -s link, ip neigh and tc -s qdisc show why it does not. Once the packet is "
		  "sent or dropped,");
	advice_add_outcome(&effect, v->wait, h->h.refs);
	verdict_advice(v, ADVICE_SENTENCE, "packet-queued", &action, &effect);
}

/* Both ends are here, and what is between them keeps or drops the packets. */
static void advise_delivery(struct verdict *v, const struct wfg_hold *h)
{
	struct strbuf action = { 0 }, effect = { 0 };

	sb_printf(&action, "Let the packets of %s reach%s%s.",
		  h->h.object_id ? h->h.object_id : "the socket",
		  h->h.target ? " " : " the other end", h->h.target ? h->h.target : "");
	sb_puts(&effect, "A firewall, a queueing discipline or a device between the two ends keeps "
			 "or drops them: see nft list ruleset and tc -s qdisc. Once they arrive,");
	advice_add_outcome(&effect, v->wait, h->h.refs);
	verdict_advice(v, ADVICE_SENTENCE, "tcp-splice-dropped", &action, &effect);
}

void advise_peer(struct verdict *v, const struct wfg_hold *h)
{
	struct strbuf action = { 0 }, effect = { 0 };

	if (h->h.unqueued && h->h.device) {
		advise_network(v, h);
		return;
	}

	if (h->h.undelivered) {
		advise_delivery(v, h);
		return;
	}

	sb_printf(&action, "Let the peer%s%s of %s read.", h->h.target ? " " : "",
		  h->h.target ? h->h.target : "", h->h.object_id ? h->h.object_id : "the socket");
	sb_puts(&effect, "Once it has taken the data,");
	advice_add_outcome(&effect, v->wait, h->h.refs);
	verdict_advice(v, ADVICE_SENTENCE, "advice-peer", &action, &effect);
}

void advise_splice(struct verdict *v, const struct wfg_hold *h)
{
	struct strbuf action = { 0 }, effect = { 0 };

	sb_printf(&action, "Let the other end of %s read.", h->h.target);
	sb_printf(&effect,
		  "The splice(2) that empties %s waits for it. Once it has taken the data,",
		  h->h.object_id ? h->h.object_id : "the pipe");
	advice_add_outcome(&effect, v->wait, h->h.refs);
	verdict_advice(v, ADVICE_SENTENCE, "tcp-splice-stuck", &action, &effect);
}

/* Packets that one CPU has yet to free: any packet that it receives makes it do so. */
void advise_traffic(struct verdict *v, const struct wfg_hold *h)
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

/* Recordings come from elsewhere, and this is put into a command. */
static bool is_address(const char *text)
{
	return text && *text && !text[strspn(text, "0123456789abcdef.:[]")];
}

static void advise_kill_connection(struct verdict *v, const struct wfg_hold *h)
{
	struct strbuf action = { 0 }, effect = { 0 };

	if (!is_address(h->h.local) || !is_address(h->h.target))
		return;
	sb_printf(&action, "ss -tK src %s dst %s", h->h.local, h->h.target);
	sb_puts(&effect, "Resets this connection");
	if (h->nr_releasers) {
		sb_puts(&effect, " of ");
		phrase_releasers(&effect, h, NAMED);
		sb_puts(&effect, ": data that its peer has not acknowledged is lost.");
	} else {
		sb_puts(&effect, ", which no task has open any more: data that its peer has not "
				 "acknowledged is lost. Linux 5.10 keeps the connection, then "
				 "empty, in its table.");
	}
	advice_add_remaining(&effect, v->wait->page, h->h.refs);
	verdict_advice(v, ADVICE_COMMAND, h->nr_releasers ? "tcp-reset" : "advice-orphan", &action,
		       &effect);
}

void advise_end_sender(struct verdict *v, const struct wfg_hold *h)
{
	advise_kill_connection(v, h);
	note_sent(v, h);
}
