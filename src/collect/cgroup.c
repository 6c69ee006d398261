// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* A task's cgroup in the default hierarchy, and its path as /proc/PID/cgroup shows it. */
#include <limits.h>
#include <string.h>

#include "collect/snap.h"

enum { CGROUP_DEPTH_MAX = 64, CGROUP_NAME_MAX = 256 };

u64 cgroup_of_task(struct snap *s, u64 task)
{
	u64 css_set, cgroup;

	if (kmem_get(s->k, task, KF_TASK_CGROUPS, &css_set) ||
	    kmem_get(s->k, css_set, KF_CSS_SET_DFL_CGRP, &cgroup))
		return 0;
	return cgroup;
}

u64 cgroup_of_io(struct snap *s, u64 task)
{
	u64 css_set, css, cgroup, id = s->k->field[KF_IO_CGRP_ID].off;

	if (!kmem_has(s->k, KF_CSS_SET_SUBSYS) || !kmem_has(s->k, KF_IO_CGRP_ID) ||
	    kmem_get(s->k, task, KF_TASK_CGROUPS, &css_set) ||
	    kmem_read(s->k, kmem_at(s->k, css_set, KF_CSS_SET_SUBSYS) + id * sizeof(css), &css,
		      sizeof(css)) ||
	    kmem_get(s->k, css, KF_CSS_CGROUP, &cgroup))
		return 0;
	return cgroup;
}

const char *cgroup_path(struct snap *s, u64 cgroup)
{
	char path[PATH_MAX], name[CGROUP_NAME_MAX];
	size_t at = sizeof(path) - 1;
	u64 kn;

	if (!cgroup || kmem_get(s->k, cgroup, KF_CGROUP_KN, &kn))
		return NULL;
	path[at] = '\0';
	for (int depth = 0; kn && depth < CGROUP_DEPTH_MAX; depth++) {
		struct kget g[] = { { kn, KF_KN_PARENT, 0, 0 }, { kn, KF_KN_NAME, 0, 0 } };
		size_t len;

		if (kmem_getv(s->k, g, 2) || g[0].err || g[1].err)
			return NULL;
		if (!g[0].val)
			return path[at] ? snap_text(s, "%s", path + at) : "/";
		if (kmem_read_string(s->k, g[1].val, name, sizeof(name)))
			return NULL;
		len = strlen(name);
		if (at < len + 1)
			return NULL;
		at -= len;
		memcpy(path + at, name, len);
		path[--at] = '/';
		kn = g[0].val;
	}
	return NULL;
}
