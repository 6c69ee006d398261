# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""Which scenarios a whole run stages on which kernel.

Each mechanism, each kind of waiter and each finding is staged on every kernel. What varies one of
them (another system call into the same function, another option, another filesystem below) takes
turns: a whole run stages it on one kernel, and the next variant on the next one. `run --all` and
every selection of scenarios by name stage all of them everywhere.
"""

import collections
import fnmatch

KERNELS = ("5.10", "6.1", "6.12", "6.18", "7.2")
# Those whose idle page has the count 0.
LATE = ("6.18", "7.2")

VARIANTS = (
    # the operation changes the waiter, and what follows is the same
    "*/vmsplice/ftruncate", "*/vmsplice/open_trunc", "*/vmsplice/[ciz]*", "*/vmsplice/grow",
    "*/vmsplice/madvise", "*/vmsplice/unresvsp",
    "*/dio-pwrite/[poc]*", "*/retouch/[poc]*", "*/io-worker*/[ficzo]*", "*/evict/[mrdn]*",
    "*/vmsplice/dedupe", "*/vmsplice/exchange", "*/spinning/dedupe", "*/spinning/exchange",
    # another way to the same object, or somebody else who has it
    "*/vmsplice-[uhr]*/*", "ext4/heir/*", "xfs/pidns/*", "*/two-*/*", "*/shared-pipe/*", "*/tee/*",
    "*/pipe-and-dio/*", "*/pipe-[rmtfes]*/*", "*/pipe-userns/*", "*/pipe-chain/*", "*/pipe-paused/*",
    "*/several*/*", "*/retouch-thread/*", "*/stopped/*", "*/overlay/*", "*/reflinked-*/*",
    # another system call or queue for the same request
    "*/dio-p[r]*/*", "*/dio-pwritev/*", "*/dio-[rw]*/*", "*/tcp-splice-[hfno]*/*",
    "*/tcp-zerocopy-[fo]*/*", "*/tcp-splice-unaccepted/*", "*/socket-unaccepted/*",
    "*/socket-chain/*", "*/nbd-[di]*/*", "*/ext4-file-*/*", "*/vfat-file-*/*", "*/volume-aio/*",
    "*/overlay-file-*/*", "*/btrfs-file-*/*",
    "*/large-aio/*", "*/killed-aio/*", "*/no-leader-dio/*", "*/delay-[pi]*/*", "*/iomax-[pi]*/*",
    "*/process-vm-writev/*", "*/coredump-handler/*", "*/fuse-pread/*", "*/fuse-aio/*",
    "*/fuse-interrupted/*", "*/packet-gone/*", "*/packet-cork/*",
    # the same on the other filesystem
    "xfs/aio/*", "xfs/io_uring/*", "xfs/lost-wakeup/*", "xfs/self/[fc]*",
    "xfs/idle/*", "xfs/dio-pwrite/*", "xfs/retouch/*", "xfs/vmsplice-closed/*", "xfs/evict/[ce]*",
    "xfs/io-worker/*",
    # what is far from the kernel, or takes long
    "*/recorded/*", "*/churn/*", "*/woken/*", "*/lease-limit/*", "*/innocents-rdma/*", "*/tree/*",
    "*/deadlock-fuse/*", "*/deadlock-ublk/*", "*/deadlock-nbd*/*", "*/deadlock-loop*/*",
    "*/self-fuse/*", "*/self-nbd/*", "*/suspected/*", "*/taken-*/*", "xfs/traced/*", "xfs/traced-freed/*",
    "xfs/entry-lock/*", "xfs/invalidate-lock/*", "*/before-unbind/*", "*/traced-lost/*", "*/kvm/*",
    "*/vhost/*",
    "ext4/multipath-*/*", "*/xfs-file-*/*", "*/nvme-tcp-*/*", "*/freed-bios/*", "*/packet-tls/*",
    # what does not depend on the kernel
    "*/advice-*/*",
    "*/paths/*", "*/hidden-*/*", "*/capabilities/*", "*/signals-*/*", "*/mountns/*", "*/hostile/*",
    "*/bystander/*", "*/refusals/*", "*/many/*",
)


# What takes long, each on some kernels that have it: the turns of the others stay as they are.
ONCE = {
    "*/live-view/*": "5.10 6.12 7.2", "*/taken/*": "5.10 6.12 7.2", "*/innocents/*": "5.10 6.1 7.2",
    "*/suspected-freeze/*": "6.1 7.2", "*/traced-spinning/*": "6.1 6.18",
    "*/traced-late-module/*": "6.1",
    "*/loop-aio/*": "5.10", "*/raid-aio/*": "5.10", "*/nfs-aio/*": "6.1", "*/tcp-send-zc-*/*": "6.1",
    "*/packet-vsock/*": "6.12", "*/namespace/*": "6.12", "*/tcp-splice-dropped/*": "7.2",
    "*/tcp-reset/*": "5.10", "*/tcp-splice-stuck/*": "6.18", "*/mmap-lock/*": "6.12",
    "*/thin-aio/*": "7.2", "*/snapshot-aio/*": "6.1", "*/raid-suspended/*": "5.10",
    "*/delegation/*": "5.10", "*/layout/*": "7.2", "*/deadlock-fault/*": "6.12",
}

# What older kernels do not have.
ONLY_LATE = ("*/packet-tls/*", "*/deadlock-ublk/*", "*/exchange")


def matches(title, globs):
    return any(fnmatch.fnmatchcase(title, glob) for glob in globs)


def kernels_of(title, scenario):
    """Where a variant can be staged."""
    late = getattr(scenario, "needs_counts_from_zero", False) or matches(title, ONLY_LATE)
    return LATE if late else KERNELS


def taken(pairs, series):
    """Of (title, scenario) the titles that a whole run stages on this kernel, in their order."""
    numbers, found = collections.Counter(), []
    for title, scenario in pairs:
        once = [kernel for glob, kernels in ONCE.items() if matches(title, [glob])
                for kernel in kernels.split()]
        if series in KERNELS and once and series not in once:
            continue
        if matches(title, VARIANTS):
            kernels = kernels_of(title, scenario)
            turn = kernels[numbers[kernels] % len(kernels)]
            numbers[kernels] += 1
            if series in KERNELS and series != turn:
                continue
        found.append(title)
    return found
