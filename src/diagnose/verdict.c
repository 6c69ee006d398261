// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include <errno.h>
#include <stdlib.h>

#include "diagnose/verdict.h"
#include "util/array.h"

static char *take(struct verdict *v, struct strbuf *sb)
{
	char *s = sb_take(sb);

	if (!s)
		v->err = -ENOMEM;
	return s;
}

static void add_sentence(struct verdict *v, struct sentences *list, struct strbuf *sb)
{
	char *s = take(v, sb);

	if (!s)
		return;
	if (array_grow(&list->s, list->n, sizeof(*list->s))) {
		free(s);
		v->err = -ENOMEM;
		return;
	}
	list->s[list->n++] = s;
}

void verdict_text(struct verdict *v, struct strbuf *sb)
{
	free(v->f->text);
	v->f->text = take(v, sb);
}

void verdict_cause(struct verdict *v, struct strbuf *sb)
{
	add_sentence(v, &v->f->cause, sb);
}

void verdict_impact(struct verdict *v, struct strbuf *sb)
{
	add_sentence(v, &v->f->impact, sb);
}

void verdict_note(struct verdict *v, struct strbuf *sb)
{
	add_sentence(v, &v->f->notes, sb);
}

void verdict_advice(struct verdict *v, enum advice_kind kind, const char *proven_by,
		    struct strbuf *action, struct strbuf *effect)
{
	struct finding *f = v->f;
	struct advice a = {
		.action = take(v, action),
		.effect = take(v, effect),
		.command = kind == ADVICE_COMMAND,
		.proven_by = proven_by,
	};

	if (!a.action || !a.effect || array_grow(&f->advice, f->nr_advice, sizeof(*f->advice))) {
		free(a.action);
		free(a.effect);
		v->err = -ENOMEM;
		return;
	}
	f->advice[f->nr_advice++] = a;
}
