// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "util/fact_visit.h"

static int visit_strings(struct fact_visitor *v, const char **const *s, size_t n)
{
	int err = 0;

	for (size_t i = 0; i < n && !err; i++)
		err = *s[i] ? v->string(v, s[i]) : 0;
	return err;
}

#define VISIT_STRINGS(v, ...)                                   \
	visit_strings(v, (const char **const[]){ __VA_ARGS__ }, \
		      sizeof((const char **const[]){ __VA_ARGS__ }) / sizeof(char **))

static int visit_stack(struct fact_stack *s, struct fact_visitor *v)
{
	int err = VISIT_STRINGS(v, &s->why_missing);

	s->n = s->frames ? s->n : 0;
	if (s->n > FACT_STACK_MAX)
		s->n = FACT_STACK_MAX;
	if (!s->n)
		s->frames = NULL;
	return err || !s->n ? err : v->frames(v, &s->frames, s->n);
}

int fact_visit_session(struct fact_session *f, struct fact_visitor *v)
{
	return VISIT_STRINGS(v, &f->host, &f->kernel, &f->boot_id, &f->recording, &f->scope,
			     &f->unbind, &f->unbind_mount);
}

int fact_visit_task(struct fact_task *f, struct fact_visitor *v)
{
	int err = VISIT_STRINGS(v, &f->cgroup, &f->call, &f->nfs_client);

	err = err ? err : visit_stack(&f->kstack, v);
	return err ? err : visit_stack(&f->ustack, v);
}

int fact_visit_file(struct fact_file *f, struct fact_visitor *v)
{
	return VISIT_STRINGS(v, &f->path, &f->fstype, &f->mount, &f->device);
}

int fact_visit_page(struct fact_page *f, struct fact_visitor *v)
{
	return VISIT_STRINGS(v, &f->device);
}

int fact_visit_hold(struct fact_hold *f, struct fact_visitor *v)
{
	const void *releasers = f->nr_releasers ? f->releasers : NULL;
	int err = 0;

	if (releasers)
		err = v->array(v, &releasers, f->nr_releasers, sizeof(*f->releasers));
	else
		f->nr_releasers = 0;
	f->releasers = releasers;
	err = err ? err : visit_stack(&f->kstack, v);
	return err ? err :
		     VISIT_STRINGS(v, &f->object_kind, &f->object_id, &f->target, &f->device,
				   &f->device_type, &f->frozen, &f->detail, &f->limit, &f->limit_by,
				   &f->peer, &f->local, &f->client_dir);
}

int fact_visit_lock(struct fact_lock *f, struct fact_visitor *v)
{
	const void *owners = f->nr_owners ? f->owners : NULL;
	int err = 0;

	if (owners)
		err = v->array(v, &owners, f->nr_owners, sizeof(*f->owners));
	else
		f->nr_owners = 0;
	f->owners = owners;
	return err ? err : VISIT_STRINGS(v, &f->name, &f->of);
}

int fact_visit_end(struct fact_end *f, struct fact_visitor *v)
{
	int err = VISIT_STRINGS(v, &f->path);

	err = err ? err : visit_stack(&f->kstack, v);
	return err ? err : visit_stack(&f->ustack, v);
}

int fact_visit_freed(struct fact_freed *f, struct fact_visitor *v)
{
	int err = VISIT_STRINGS(v, &f->path);

	return err ? err : visit_stack(&f->kstack, v);
}

int fact_visit(struct fact *f, struct fact_visitor *v)
{
	switch (f->type) {
	case FACT_SESSION:
		return fact_visit_session(&f->session, v);
	case FACT_TASK:
		return fact_visit_task(&f->task, v);
	case FACT_FILE:
		return fact_visit_file(&f->file, v);
	case FACT_HOLD:
		return fact_visit_hold(&f->hold, v);
	case FACT_QUEUED:
		return VISIT_STRINGS(v, &f->queued.lock);
	case FACT_LOSS:
		return VISIT_STRINGS(v, &f->loss.where);
	case FACT_PROBE:
		return VISIT_STRINGS(v, &f->probe.name, &f->probe.costs);
	case FACT_END:
		return fact_visit_end(&f->end, v);
	case FACT_LOCK:
		return fact_visit_lock(&f->lock, v);
	case FACT_FREED:
		return fact_visit_freed(&f->freed, v);
	case FACT_PAGE:
		return fact_visit_page(&f->page, v);
	case FACT_WAIT:
		return 0;
	}
	return 0;
}
