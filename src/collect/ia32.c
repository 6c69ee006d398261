// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * A 32-bit program has numbers of system calls of its own, arch/x86/entry/syscalls/syscall_32.tbl,
 * and gives each offset or length of 64 bits in two halves, the low one first.
 */
#include <sys/syscall.h>

#include "collect/ia32.h"

enum { COMMON_FIRST = 424 /* pidfd_send_signal: from there on both have the same numbers */ };

static const struct call {
	u16 nr, native;
	u8 first, pairs; /* index of the first argument that is given in halves; how many are */
} calls[] = {
	{ 1, SYS_exit, 0, 0 },
	{ 3, SYS_read, 0, 0 },
	{ 4, SYS_write, 0, 0 },
	{ 5, SYS_open, 0, 0 },
	{ 6, SYS_close, 0, 0 },
	{ 8, SYS_creat, 0, 0 },
	{ 10, SYS_unlink, 0, 0 },
	{ 11, SYS_execve, 0, 0 },
	{ 15, SYS_chmod, 0, 0 },
	{ 29, SYS_pause, 0, 0 },
	{ 38, SYS_rename, 0, 0 },
	{ 40, SYS_rmdir, 0, 0 },
	{ 52, SYS_umount2, 0, 0 },
	{ 54, SYS_ioctl, 0, 0 },
	{ 63, SYS_dup2, 0, 0 },
	{ 91, SYS_munmap, 0, 0 },
	{ 92, SYS_truncate, 0, 0 },
	{ 93, SYS_ftruncate, 0, 0 },
	{ 94, SYS_fchmod, 0, 0 },
	{ 114, SYS_wait4, 0, 0 },
	{ 118, SYS_fsync, 0, 0 },
	{ 145, SYS_readv, 0, 0 },
	{ 146, SYS_writev, 0, 0 },
	{ 162, SYS_nanosleep, 0, 0 },
	{ 168, SYS_poll, 0, 0 },
	{ 180, SYS_pread64, 3, 1 },
	{ 181, SYS_pwrite64, 3, 1 },
	{ 187, SYS_sendfile, 0, 0 },
	{ 193, SYS_truncate, 1, 1 },
	{ 194, SYS_ftruncate, 1, 1 },
	{ 219, SYS_madvise, 0, 0 },
	{ 239, SYS_sendfile, 0, 0 },
	{ 240, SYS_futex, 0, 0 },
	{ 247, SYS_io_getevents, 0, 0 },
	{ 248, SYS_io_submit, 0, 0 },
	{ 252, SYS_exit_group, 0, 0 },
	{ 256, SYS_epoll_wait, 0, 0 },
	{ 267, SYS_clock_nanosleep, 0, 0 },
	{ 295, SYS_openat, 0, 0 },
	{ 301, SYS_unlinkat, 0, 0 },
	{ 302, SYS_renameat, 0, 0 },
	{ 313, SYS_splice, 0, 0 },
	{ 315, SYS_tee, 0, 0 },
	{ 316, SYS_vmsplice, 0, 0 },
	{ 319, SYS_epoll_pwait, 0, 0 },
	{ 324, SYS_fallocate, 2, 2 },
	{ 330, SYS_dup3, 0, 0 },
	{ 333, SYS_preadv, 3, 1 },
	{ 334, SYS_pwritev, 3, 1 },
	{ 347, SYS_process_vm_readv, 0, 0 },
	{ 348, SYS_process_vm_writev, 0, 0 },
	{ 353, SYS_renameat2, 0, 0 },
	{ 369, SYS_sendto, 0, 0 },
	{ 370, SYS_sendmsg, 0, 0 },
	{ 371, SYS_recvfrom, 0, 0 },
	{ 372, SYS_recvmsg, 0, 0 },
	{ 377, SYS_copy_file_range, 0, 0 },
	{ 378, SYS_preadv2, 3, 1 },
	{ 379, SYS_pwritev2, 3, 1 },
	{ 407, SYS_clock_nanosleep, 0, 0 },
	{ 413, SYS_pselect6, 0, 0 },
	{ 414, SYS_ppoll, 0, 0 },
	{ 422, SYS_futex, 0, 0 },
};

static void join_halves(u64 *args, u32 first, u32 pairs)
{
	for (u32 i = 0; i < pairs; i++)
		args[first + i] = args[first + 2 * i] | args[first + 2 * i + 1] << 32;
	for (u32 i = first + pairs; i < first + 2 * pairs; i++)
		args[i] = 0;
}

s32 ia32_translate(u64 nr, u64 *args)
{
	if (nr >= COMMON_FIRST)
		return (s32)nr;
	for (size_t i = 0; i < sizeof(calls) / sizeof(*calls); i++)
		if (calls[i].nr == nr) {
			join_halves(args, calls[i].first, calls[i].pairs);
			return calls[i].native;
		}
	return -1;
}
