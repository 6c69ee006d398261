// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include <stddef.h>

#include "diagnose/mechanism.h"

static const struct mechanism mechanisms[HOW_MAX] = {
	[HOW_UNKNOWN] = { ENDS_UNKNOWN, "an unknown purpose", "", NULL },
	[HOW_VMSPLICE] = { ENDS_READ, NULL, "", NULL },
	[HOW_SOCKET] = { ENDS_READ, NULL, "", NULL },
	[HOW_ZEROCOPY] = { ENDS_READ, NULL, "", NULL },
	[HOW_DIRECT_IO] = { ENDS_IO, "O_DIRECT I/O", "", NULL },
	[HOW_AIO] = { ENDS_IO, "O_DIRECT I/O", " by libaio", NULL },
	[HOW_IO_URING] = { ENDS_IO, "O_DIRECT I/O", " by io_uring", NULL },
	[HOW_FUSE] = { ENDS_IO, "direct I/O", " through FUSE", NULL },
	[HOW_NFS] = { ENDS_IO, "direct I/O", " over NFS", NULL },
	[HOW_P9] = { ENDS_IO, "zero-copy I/O", " over 9p", NULL },
	[HOW_SG_IO] = { ENDS_IO, "a pass-through command", "", NULL },
	[HOW_PROCESS_VM] = { ENDS_CALL, "a process_vm_readv(2) or process_vm_writev(2)", "",
			     " on " },
	[HOW_PTRACE] = { ENDS_CALL, "access to another task's memory", "", NULL },
	[HOW_COREDUMP] = { ENDS_CALL, "a core dump", "", NULL },
	[HOW_KVM] = { ENDS_CALL, "a virtual machine's memory", "", NULL },
	[HOW_MAPPING] = { ENDS_UNMAP, NULL, "", NULL },
	[HOW_KERNEL] = { ENDS_ITSELF, NULL, "", NULL },
	[HOW_FAULT] = { ENDS_LOCK, "a page fault", "", NULL },
	[HOW_WRITEBACK] = { ENDS_LOCK, "writeback", "", NULL },
	[HOW_LEASE] = { ENDS_LOCK, "a lease", "", NULL },
};

const struct mechanism *mechanism_of(enum fact_how how)
{
	return &mechanisms[(unsigned int)how < HOW_MAX ? how : HOW_UNKNOWN];
}

const char *mechanism_at(enum fact_how how)
{
	const char *at = mechanism_of(how)->at;

	return at ? at : " to ";
}
