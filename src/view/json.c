// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * The document of contract.md, "daxtrace/1". Unknown is null, never 0. Output is ASCII: every other
 * character is a \u escape, so that a name cannot drive the terminal of who looks at it.
 */
#include <string.h>

#include <daxtop/view.h>

#include "util/json_build.h"
#include "view/stream.h"

/* Contract "int": null when unknown or beyond what JSON readers keep in 64 bits with a sign. */
static json_t *number(u64 n)
{
	return n > INT64_MAX ? json_null() : json_integer((json_int_t)n);
}

/* A count is never null: what does not fit is cut off. */
static json_t *total(u64 n)
{
	return json_integer(n > INT64_MAX ? INT64_MAX : (json_int_t)n);
}

static json_t *seconds(u64 ns)
{
	return ns == FACT_UNKNOWN ? json_null() : json_real(ns / 1e9);
}

static json_t *stack(const struct fact_stack *s)
{
	json_t *frames = json_array();

	for (u32 i = 0; i < s->n; i++)
		append(&frames, text(s->frames[i]));
	return frames;
}

static json_t *task(const struct fact_task *t)
{
	json_t *j = json_object();

	set(&j, "pid", json_integer(t->pid));
	set(&j, "tid", json_integer(t->tid));
	set(&j, "comm", text(t->comm));
	set(&j, "uid", json_integer(t->uid));
	set(&j, "start_ns", number(t->start_ns));
	set(&j, "cgroup", text(t->cgroup));
	set(&j, "exiting", json_boolean(t->exiting));
	return j;
}

static json_t *releaser(const struct wfg_releaser *r)
{
	json_t *j = task(&r->task->t);

	set(&j, "fd", r->fd < 0 ? json_null() : json_integer(r->fd));
	set(&j, "reads", json_boolean(r->reads));
	return j;
}

static json_t *releasers(const struct wfg_hold *h)
{
	json_t *list = json_array();

	for (u32 i = 0; i < h->nr_releasers; i++)
		append(&list, releaser(&h->releasers[i]));
	return list;
}

static json_t *object(const struct fact_hold *h)
{
	json_t *j;

	if (!h->object_kind || !h->object_id)
		return json_null();
	j = json_object();
	set(&j, "kind", text(h->object_kind));
	set(&j, "id", text(h->object_id));
	return j;
}

static json_t *seen_by(const struct wfg_hold *h)
{
	json_t *list = json_array();

	append(&list, text(fact_seen_name(h->seen)));
	if (h->traced)
		append(&list, text(fact_seen_name(SEEN_TRACE)));
	return list;
}

/* Who took it, as far as hooks saw that: it may be gone, and somebody else have it now. */
static json_t *taker(const struct fact_hold *h)
{
	json_t *j;

	if (!h->taker_tid)
		return json_null();
	j = json_object();
	set(&j, "pid", json_integer(h->taker_pid));
	set(&j, "tid", json_integer(h->taker_tid));
	set(&j, "comm", text(h->taker_comm));
	return j;
}

/* Where it was taken; else a stack belongs to a hold when one task alone holds it. */
static json_t *holder(const struct wfg_hold *h)
{
	static const struct fact_stack none;
	const struct fact_task *t = h->nr_releasers == 1 ? &h->releasers[0].task->t : NULL;
	json_t *j = json_object();

	set(&j, "how", text(fact_how_name(h->h.how)));
	set(&j, "confidence", text(fact_confidence_name(h->h.confidence)));
	set(&j, "seen", text(fact_seen_name(h->seen)));
	set(&j, "tasks", releasers(h));
	set(&j, "object", object(&h->h));
	set(&j, "target", text(h->h.target));
	set(&j, "held_s", seconds(h->h.held_ns));
	set(&j, "refs", json_integer(h->h.refs));
	set(&j, "kstack", stack(h->h.kstack.n ? &h->h.kstack : t ? &t->kstack : &none));
	set(&j, "ustack", stack(t ? &t->ustack : &none));
	set(&j, "detail", text(h->h.detail));
	set(&j, "seen_by", seen_by(h));
	set(&j, "taken_by", taker(&h->h));
	if (h->h.how == HOW_LEASE)
		set(&j, "left_s", h->h.left_ns ? seconds(h->h.left_ns) : json_null());
	return j;
}

static json_t *holders(const struct wfg_hold *const *holds, u32 n)
{
	json_t *list = json_array();

	for (u32 i = 0; i < n; i++)
		append(&list, holder(holds[i]));
	return list;
}

static json_t *page_object(const struct wfg_page *page)
{
	const struct fact_page *p = &page->p;
	json_t *j = json_object();

	set(&j, "index", number(p->index));
	set(&j, "offset", number(wfg_page_offset(page)));
	set(&j, "order", json_integer(p->order));
	set(&j, "refs", json_integer(p->refs));
	set(&j, "idle_refs", json_integer(p->idle_refs));
	set(&j, "mapcount", json_integer(p->mapcount));
	set(&j, "busy", json_integer(page->busy));
	set(&j, "pins", json_integer(page->pins));
	set(&j, "shared", json_integer(p->shared));
	set(&j, "pfn", address(p->pfn));
	set(&j, "orphan", json_boolean(p->orphan));
	set(&j, "device", text(p->device));
	set(&j, "device_offset", number(p->device_offset));
	return j;
}

static json_t *pages(const struct wfg_page *page)
{
	json_t *list = json_array();

	if (page)
		append(&list, page_object(page));
	return list;
}

/* The entry whose lock is waited for. */
static json_t *entry(const struct fact_wait *w)
{
	u64 offset;
	json_t *j;

	if (w->on != ON_ENTRY_LOCK || !w->lock)
		return json_null();
	if (__builtin_mul_overflow(w->index, (u64)WFG_PAGE_SIZE, &offset))
		offset = FACT_UNKNOWN;
	j = json_object();
	set(&j, "index", number(w->index));
	set(&j, "offset", number(offset));
	set(&j, "is_free", json_boolean(w->is_free));
	return j;
}

static json_t *device(u32 major, u32 minor)
{
	char dev[24];

	snprintf(dev, sizeof(dev), "%u:%u", major, minor);
	return json_string(dev);
}

static json_t *file_object(const struct wfg_file *file)
{
	const struct fact_file *f;
	json_t *j;

	if (!file)
		return json_null();
	f = &file->f;
	j = json_object();
	set(&j, "path", text(f->path));
	set(&j, "deleted", json_boolean(f->deleted));
	set(&j, "dev", device(f->dev_major, f->dev_minor));
	set(&j, "ino", number(f->ino));
	set(&j, "fstype", text(f->fstype ? f->fstype : "unknown"));
	set(&j, "mount", text(f->mount));
	return j;
}

static json_t *state(char letter)
{
	char s[2] = { letter ? letter : '?', '\0' };

	return text(s);
}

static json_t *lock(const struct wfg_queued *q)
{
	const struct wfg_lock *l = q->on;
	json_t *j = json_object();

	set(&j, "name", text(q->lock));
	set(&j, "id", l ? address(l->l.id) : json_null());
	set(&j, "file", l && l->file ? text(l->file->f.path) : json_null());
	set(&j, "of", text(l ? l->l.of : NULL));
	set(&j, "held", text(fact_mode_name(l ? l->l.mode : MODE_UNKNOWN)));
	set(&j, "wants", text(q->shared ? "read" : "write"));
	return j;
}

/* A task, with what it does and what it sleeps for. */
static json_t *queued_task(const struct wfg_queued *q)
{
	const struct fact_task *t = &q->task->t;
	json_t *j = task(t);

	set(&j, "state", state(t->state));
	set(&j, "age_s", seconds(t->asleep_ns));
	set(&j, "syscall", text(t->call));
	set(&j, "lock", lock(q));
	set(&j, "behind", q->behind ? json_integer(q->behind->t.tid) : json_null());
	set(&j, "depth", json_integer(q->depth));
	return j;
}

static json_t *queued(const struct wfg_wait *w)
{
	json_t *list = json_array();

	for (u32 i = 0; i < w->nr_queued; i++)
		append(&list, queued_task(&w->queued[i]));
	return list;
}

static json_t *trigger(enum fact_trigger t)
{
	return t == TRIGGER_NONE ? json_null() : text(fact_trigger_name(t));
}

static json_t *wait_object(const struct wfg *g, const struct wfg_wait *w)
{
	const struct fact_task *t = &w->task->t;
	json_t *j = json_object();

	set(&j, "id", text(wfg_wait_id(g, w)));
	set(&j, "op", text(fact_op_name(w->w.op)));
	set(&j, "on", text(fact_on_name(w->w.on)));
	set(&j, "task", task(t));
	set(&j, "state", state(t->state));
	set(&j, "interruptible", json_boolean(w->w.interruptible));
	set(&j, "age_s", seconds(w->age_ns));
	set(&j, "file", file_object(w->file));
	set(&j, "pages", pages(w->page));
	set(&j, "holders", holders(w->holds, w->nr_holds));
	set(&j, "unattributed_refs", w->page ? json_integer(w->page->unattributed) : json_null());
	set(&j, "queued", queued(w));
	set(&j, "kstack", stack(&t->kstack));
	set(&j, "ustack", stack(&t->ustack));
	set(&j, "seen", text(fact_seen_name(w->seen)));
	set(&j, "trigger", trigger(w->w.trigger));
	set(&j, "spins", json_boolean(w->w.spins));
	set(&j, "syscall", text(t->call));
	set(&j, "began_mono_ns", w->w.began_ns ? json_integer(w->w.began_ns) : json_null());
	set(&j, "pages_waited", w->w.pages ? json_integer(w->w.pages) : json_null());
	set(&j, "entry", entry(&w->w));
	return j;
}

static json_t *waits(const struct wfg *g)
{
	json_t *list = json_array();

	for (size_t i = 0; i < wfg_nr_waits(g); i++)
		append(&list, wait_object(g, wfg_wait(g, i)));
	return list;
}

static json_t *sentences(const struct sentences *s)
{
	json_t *list = json_array();

	for (u32 i = 0; i < s->n; i++)
		append(&list, text(s->s[i]));
	return list;
}

static json_t *advice_object(const struct advice *a)
{
	json_t *j = json_object();

	set(&j, "do", text(a->action));
	set(&j, "effect", text(a->effect));
	set(&j, "proven_by", text(a->proven_by));
	set(&j, "command", json_boolean(a->command));
	return j;
}

static json_t *advice(const struct finding *f)
{
	json_t *list = json_array();

	for (u32 i = 0; i < f->nr_advice; i++)
		append(&list, advice_object(&f->advice[i]));
	return list;
}

/* A task of a circle, with what it waits for: the next one has it. */
static json_t *step(const struct wfg *g, const struct cycle_step *s)
{
	json_t *j = task(&s->task->t);

	set(&j, "state", state(s->task->t.state));
	set(&j, "age_s", seconds(s->task->t.asleep_ns));
	set(&j, "syscall", text(s->task->t.call));
	set(&j, "proven", json_boolean(s->proven));
	set(&j, "on", text(s->hold ? "page" : "lock"));
	set(&j, "wait", s->hold ? text(wfg_wait_id(g, s->wait)) : json_null());
	set(&j, "holder", s->hold ? holder(s->hold) : json_null());
	set(&j, "lock", s->hold ? json_null() : lock(s->sleeps));
	return j;
}

static json_t *cycle(const struct wfg *g, const struct cycle *c)
{
	json_t *list = json_array();

	for (u32 i = 0; i < c->n; i++)
		append(&list, step(g, &c->steps[i]));
	return list;
}

static json_t *finding_object(const struct wfg *g, const struct finding *f)
{
	json_t *explained = json_array();
	json_t *j = json_object();

	if (f->wait)
		append(&explained, text(wfg_wait_id(g, f->wait)));
	set(&j, "code", text(finding_code_name(f->code)));
	set(&j, "waits", explained);
	set(&j, "text", text(f->text));
	set(&j, "advice", advice(f));
	set(&j, "cause", sentences(&f->cause));
	set(&j, "impact", sentences(&f->impact));
	set(&j, "notes", sentences(&f->notes));
	if (finding_tells_cycle(f))
		set(&j, "cycle", cycle(g, &f->cycle));
	if (f->cycle.n)
		set(&j, "cycle_of", text(wfg_wait_id(g, f->cycle_of)));
	return j;
}

static json_t *findings(const struct wfg *g, const struct findings *f)
{
	json_t *list = json_array();

	for (size_t i = 0; i < f->n; i++)
		append(&list, finding_object(g, &f->f[i]));
	return list;
}

static json_t *waits_for(const struct wfg *g, const struct wfg_page *page)
{
	json_t *list = json_array();

	for (size_t i = 0; i < wfg_nr_waits(g); i++)
		if (wfg_wait(g, i)->page == page)
			append(&list, text(wfg_wait_id(g, wfg_wait(g, i))));
	return list;
}

static json_t *pin_object(const struct wfg *g, const struct wfg_page *page)
{
	json_t *j = json_object();

	set(&j, "file", file_object(page->file));
	set(&j, "page", page_object(page));
	set(&j, "holders", holders(page->holds, page->nr_holds));
	set(&j, "unattributed_refs", json_integer(page->unattributed));
	set(&j, "waits", waits_for(g, page));
	return j;
}

/* null when they were not looked for. */
static json_t *pins(const struct wfg *g)
{
	json_t *list;

	if (!wfg_session(g)->pins_pages)
		return json_null();
	list = json_array();
	for (size_t i = 0; i < wfg_nr_pages(g); i++)
		if (wfg_page_is_held(g, wfg_page(g, i)))
			append(&list, pin_object(g, wfg_page(g, i)));
	return list;
}

static json_t *pins_scan(const struct fact_session *s)
{
	json_t *j;

	if (!s->pins_pages)
		return json_null();
	j = json_object();
	set(&j, "pages", number(s->pins_pages));
	set(&j, "left", number(s->pins_left));
	set(&j, "took_s", seconds(s->pins_ns));
	return j;
}

/* null when it was not asked; the effect is null when no page is referenced. */
static json_t *unbind(const struct wfg *g, const struct findings *f)
{
	const struct fact_session *s = wfg_session(g);
	bool found = false;
	json_t *j;

	if (!s->unbind)
		return json_null();
	for (size_t i = 0; i < f->n; i++)
		found |= f->f[i].code == FINDING_UNBIND;
	j = json_object();
	set(&j, "device", text(s->unbind));
	set(&j, "mount", text(s->unbind_mount));
	set(&j, "effect", found ? text(fact_unbind_name(s->unbind_effect)) : json_null());
	return j;
}

static json_t *end_object(const struct fact_end *e)
{
	u64 most = e->waited_ns > UINT64_MAX - e->unseen_ns ? FACT_UNKNOWN :
							      e->waited_ns + e->unseen_ns;
	json_t *j = json_object();

	set(&j, "op", text(fact_op_name(e->op)));
	set(&j, "pid", json_integer(e->pid));
	set(&j, "tid", json_integer(e->tid));
	set(&j, "comm", text(e->comm));
	set(&j, "path", text(e->path));
	set(&j, "waited_s", seconds(e->waited_ns));
	set(&j, "at_most_s", seconds(most));
	set(&j, "result", text(e->result ? fact_result_name(e->result) : NULL));
	set(&j, "began_mono_ns", e->began_ns ? json_integer(e->began_ns) : json_null());
	set(&j, "ended_mono_ns", e->ended_ns ? json_integer(e->ended_ns) : json_null());
	set(&j, "pages_waited", e->pages ? json_integer(e->pages) : json_null());
	set(&j, "dev", e->ino ? device(e->dev_major, e->dev_minor) : json_null());
	set(&j, "ino", e->ino ? json_integer(e->ino) : json_null());
	set(&j, "kstack", stack(&e->kstack));
	set(&j, "ustack", stack(&e->ustack));
	return j;
}

static json_t *ended(const struct wfg *g)
{
	json_t *list = json_array();

	for (size_t i = 0; i < wfg_nr_ends(g); i++)
		append(&list, end_object(wfg_end(g, i)));
	return list;
}

static json_t *freed_object(const struct fact_freed *f)
{
	json_t *j = json_object();

	set(&j, "op", text(fact_op_name(f->op)));
	set(&j, "pid", json_integer(f->pid));
	set(&j, "tid", json_integer(f->tid));
	set(&j, "comm", text(f->comm));
	set(&j, "path", text(f->path));
	set(&j, "dev", f->ino ? device(f->dev_major, f->dev_minor) : json_null());
	set(&j, "ino", f->ino ? json_integer(f->ino) : json_null());
	set(&j, "index", number(f->index));
	set(&j, "pages", json_integer(f->pages));
	set(&j, "block", json_boolean(f->block));
	set(&j, "mono_ns", f->freed_ns ? json_integer(f->freed_ns) : json_null());
	set(&j, "kstack", stack(&f->kstack));
	return j;
}

static json_t *freed(const struct wfg *g)
{
	json_t *list = json_array();

	for (size_t i = 0; i < wfg_nr_freed(g); i++)
		append(&list, freed_object(wfg_freed(g, i)));
	return list;
}

static json_t *probe(const struct fact_probe *p)
{
	json_t *j = json_object();

	set(&j, "name", text(p->name));
	set(&j, "state", text(fact_probe_state_name(p->state)));
	set(&j, "costs", text(p->costs));
	return j;
}

static json_t *loss(const struct fact_loss *l)
{
	json_t *j = json_object();

	set(&j, "kind", text(fact_loss_name(l->kind)));
	set(&j, "count", total(l->count));
	set(&j, "where", text(l->where));
	return j;
}

static json_t *coverage(const struct wfg *g)
{
	json_t *probes = json_array(), *losses = json_array();
	json_t *j = json_object();

	for (size_t i = 0; i < wfg_nr_probes(g); i++)
		append(&probes, probe(wfg_probe(g, i)));
	for (size_t i = 0; i < wfg_nr_losses(g); i++)
		append(&losses, loss(wfg_loss(g, i)));
	set(&j, "lost", total(wfg_losses(g, LOSS_LOST)));
	set(&j, "torn", total(wfg_losses(g, LOSS_TORN)));
	set(&j, "probes", probes);
	set(&j, "losses", losses);
	set(&j, "pins", pins_scan(wfg_session(g)));
	return j;
}

static json_t *date(const struct fact_session *s)
{
	struct strbuf sb = { 0 };
	json_t *j;

	if (s->time_sec && text_date(&sb, s->time_sec, s->time_nsec / 1000000, s->utc_offset))
		j = sb.failed ? NULL : json_string(sb.s);
	else
		j = json_null();
	sb_free(&sb);
	return j;
}

static json_t *source(const struct fact_session *s)
{
	json_t *j = json_object();

	set(&j, "snapshot", json_boolean(s->snapshot));
	set(&j, "trace", json_boolean(s->trace));
	set(&j, "recording", text(s->recording));
	set(&j, "scope", text(s->scope));
	return j;
}

static json_t *document(const struct wfg *g, const struct findings *f)
{
	const struct fact_session *s = wfg_session(g);
	json_t *j = json_object();

	set(&j, "schema", json_string("daxtrace/1"));
	set(&j, "host", text(s->host));
	set(&j, "kernel", text(s->kernel));
	set(&j, "boot_id", text(s->boot_id));
	set(&j, "time", date(s));
	set(&j, "mono_ns", number(s->mono_ns));
	set(&j, "source", source(s));
	set(&j, "waits", waits(g));
	set(&j, "findings", findings(g, f));
	set(&j, "coverage", coverage(g));
	set(&j, "ended", ended(g));
	set(&j, "pins", pins(g));
	set(&j, "unbind", unbind(g, f));
	set(&j, "freed", freed(g));
	return j;
}

int view_json(FILE *out, const struct wfg *g, const struct findings *f,
	      const struct view_opts *opts)
{
	json_t *doc = document(g, f);
	int err;

	(void)opts;
	if (!doc)
		return -ENOMEM;
	err = json_dumpf(doc, out, JSON_INDENT(2) | JSON_ENSURE_ASCII | JSON_REAL_PRECISION(15));
	json_decref(doc);
	if (err && !ferror(out))
		return -ENOMEM;
	fputc('\n', out);
	return stream_finish(out);
}
