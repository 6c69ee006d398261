// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "view/top/find.h"

#include <stdio.h>
#include <string.h>

#include "view/top/state.h"

static bool contains(const char *text, const char *part)
{
	return text && strcasestr(text, part);
}

static bool task_contains(const struct wfg_task *task, const char *part)
{
	char pid[16];

	if (!task)
		return false;
	snprintf(pid, sizeof(pid), "%u", task->t.pid);
	return contains(task->t.comm, part) || contains(pid, part) || contains(task->t.call, part);
}

static bool row_contains(const struct row *row, const char *part)
{
	const struct wfg_hold *h = row->hold;

	if (task_contains(row->task, part) || contains(row->lock, part))
		return true;
	if (row->kind == ROW_WAIT)
		return contains(fact_op_name(row->wait->w.op), part) ||
		       (row->wait->file && contains(row->wait->file->f.path, part));
	return h && (contains(fact_how_name(h->h.how), part) || contains(h->h.object_id, part) ||
		     contains(h->h.target, part));
}

void find_next(struct top *t)
{
	for (u32 i = 1; t->find[0] && i <= t->rows.n; i++) {
		u32 at = (t->selected + i) % t->rows.n;

		if (!row_contains(&t->rows.row[at], t->find))
			continue;
		state_select(t, at);
		return;
	}
	if (t->find[0])
		top_say(t, "not found: %s", t->find);
}
