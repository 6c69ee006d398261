// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Virtual machines whose memory the file is: KVM takes a reference while it enters a page into the
 * guest's page tables, or keeps one for as long as a nested guest runs (kvm_vcpu_map()); vhost does
 * for the length of a request. Neither is a list that could be read, so a process with such a
 * machine is suspected of references that nothing else explains, and never more.
 */
#include <string.h>
#include <sys/stat.h>

#include "collect/snap.h"

static const struct {
	const char *fops; /* of the file that stands for it */
	const char *detail;
} machines[] = {
	{ "kvm_vm_fops", "runs a virtual machine and maps this part of the file" },
	{ "kvm_vcpu_fops", "runs a virtual machine and maps this part of the file" },
	{ "vhost_net_fops", "lets vhost-net use its memory and maps this part of the file" },
	{ "vhost_scsi_fops", "lets vhost-scsi use its memory and maps this part of the file" },
	{ "vhost_vsock_fops", "lets vhost-vsock use its memory and maps this part of the file" },
	{ "vhost_vdpa_fops", "lets vhost-vdpa use its memory and maps this part of the file" },
};

static const char *detail_of(struct snap *s, struct symbol_cache *c, u64 file)
{
	const char *name;
	u64 ops;

	if (kmem_get(s->k, file, KF_FILE_OP, &ops))
		return NULL;
	name = symbol_name(s, c, ops);
	for (size_t i = 0; i < sizeof(machines) / sizeof(*machines); i++)
		if (!strcmp(name, machines[i].fops))
			return machines[i].detail;
	return NULL;
}

static bool mm_covers(const struct snap *s, u64 mm, const struct kpage *p)
{
	u32 n;
	const struct kvma *v = vmas_of(s, mm, &n);

	for (u32 i = 0; i < n; i++)
		if (vma_covers(&v[i], p))
			return true;
	return false;
}

static void tell_suspect(struct snap *s, struct ktask *t, const struct kfd *fd, const char *detail)
{
	struct fact_releaser releaser = { .task = t->r.task, .fd = fd->fd };
	struct fact f = { .type = FACT_HOLD };

	task_tell(s, t);
	f.hold.how = HOW_KVM;
	f.hold.confidence = CONF_CANDIDATE;
	f.hold.object_kind = "mm";
	f.hold.object_id = snap_text(s, "0x%llx", (unsigned long long)t->r.mm);
	f.hold.detail = detail;
	f.hold.held_ns = FACT_UNKNOWN;
	f.hold.releasers = &releaser;
	f.hold.nr_releasers = 1;
	for (u32 i = 0; i < s->nr_pages; i++) {
		f.hold.page = s->pages[i].head;
		if (mm_covers(s, t->r.mm, &s->pages[i]))
			snap_emit(s, &f);
	}
}

/* Anonymous inodes have no type up to 6.15, see uring.c; vhost has devices. */
static bool may_be_machine(u16 mode)
{
	return !(mode & S_IFMT) || S_ISREG(mode) || S_ISCHR(mode);
}

const char *walk_vms_lacks(const struct snap *s)
{
	return KMEM_LACKS(s->k, KF_FILE_OP);
}

int walk_vms(struct snap *s)
{
	const struct kfds *f = &s->fds;
	struct symbol_cache c = { 0 };
	u32 n;

	for (u32 i = 0; i < f->n && !s->err; i++) {
		struct ktask *t = f->v[i].task ? task_find(s, f->v[i].task) : NULL;
		const char *detail;

		if (!t || !t->r.mm || !vmas_of(s, t->r.mm, &n) || f->inode_of[i] == UINT32_MAX ||
		    !may_be_machine(f->modes[f->inode_of[i]]))
			continue;
		detail = detail_of(s, &c, f->v[i].file);
		if (detail)
			tell_suspect(s, t, &f->v[i], detail);
	}
	return 0;
}
