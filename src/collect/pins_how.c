// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * By what mechanism a reference was taken: the functions of the kernel between the task and
 * mm/gup.c.
 */
#include <string.h>

#include "collect/pins.h"

struct way {
	const char *prefix; /* of a function's name */
	enum fact_how how;
};

/* What keeps the page, whoever submitted it. */
static const struct way keepers[] = {
	{ "vmsplice_to_pipe", HOW_VMSPLICE },
	{ "__do_sys_vmsplice", HOW_VMSPLICE },
	{ "__x64_sys_vmsplice", HOW_VMSPLICE },
	{ "__zerocopy_sg_from_iter", HOW_ZEROCOPY },
	{ "zerocopy_sg_from_iter", HOW_ZEROCOPY },
	{ "skb_zerocopy_iter_", HOW_ZEROCOPY },
	{ "af_alg_", HOW_SOCKET },
	{ "fuse_", HOW_FUSE },
	{ "nfs_", HOW_NFS },
	{ "p9_", HOW_P9 },
	{ "blk_rq_map_user", HOW_SG_IO },
	{ "process_vm_rw", HOW_PROCESS_VM },
	{ "__access_remote_vm", HOW_PTRACE },
	{ "access_remote_vm", HOW_PTRACE },
	{ "get_dump_page", HOW_COREDUMP },
	{ "hva_to_pfn", HOW_KVM },
	{ "kvm_", HOW_KVM },
};

/* Who submitted O_DIRECT I/O. */
static const struct way submitters[] = {
	{ "io_issue_sqe", HOW_IO_URING },      { "io_submit_sqe", HOW_IO_URING },
	{ "io_wq_submit_work", HOW_IO_URING }, { "io_submit_one", HOW_AIO },
	{ "__x64_sys_io_submit", HOW_AIO },
};

static const struct way direct[] = {
	{ "iomap_dio_", HOW_DIRECT_IO },
	{ "__iomap_dio_", HOW_DIRECT_IO },
	{ "blkdev_", HOW_DIRECT_IO },
	{ "__blkdev_", HOW_DIRECT_IO },
	{ "__blockdev_direct_IO", HOW_DIRECT_IO },
	{ "do_blockdev_direct_IO", HOW_DIRECT_IO },
	{ "bio_iov_iter_", HOW_DIRECT_IO },
};

/* What works for whoever asks for pages. */
static const char *const helpers[] = {
	"bpf_",    "try_grab_",      "__get_user_pages", "__gup_",
	"gup_",    "get_user_pages", "pin_user_pages",   "internal_get_user_pages",
	"follow_", "iov_iter_",      "__iov_iter_",      "lockless_pages_from_mm",
	"kprobe_", "arch_ftrace_",   "ftrace_",
};

#define NR(array) (sizeof(array) / sizeof((array)[0]))

static bool starts_with(const char *frame, const char *prefix)
{
	return !strncmp(frame, prefix, strlen(prefix));
}

static enum fact_how look_for(const struct way *ways, size_t nr, const char *const *frames, u32 n)
{
	for (u32 i = 0; i < n; i++)
		for (size_t j = 0; j < nr && frames[i]; j++)
			if (starts_with(frames[i], ways[j].prefix))
				return ways[j].how;
	return HOW_UNKNOWN;
}

enum fact_how pins_how(const char *const *frames, u32 n)
{
	enum fact_how how = look_for(keepers, NR(keepers), frames, n);

	if (how == HOW_UNKNOWN)
		how = look_for(direct, NR(direct), frames, n);
	if (how == HOW_DIRECT_IO) {
		enum fact_how submitter = look_for(submitters, NR(submitters), frames, n);

		how = submitter == HOW_UNKNOWN ? how : submitter;
	}
	return how;
}

static bool is_helper(const char *frame)
{
	for (size_t i = 0; i < NR(helpers); i++)
		if (starts_with(frame, helpers[i]))
			return true;
	return false;
}

u32 pins_own_frames(const char *const *frames, u32 n)
{
	u32 own = 0;

	for (u32 i = 0; i < n; i++)
		if (frames[i] &&
		    (starts_with(frames[i], "bpf_") || starts_with(frames[i], "kprobe_")))
			own = i + 1;
	return own;
}

const char *pins_asker(const char *const *frames, u32 n)
{
	for (u32 i = 0; i < n; i++)
		if (frames[i] && !is_helper(frames[i]))
			return frames[i];
	return NULL;
}
