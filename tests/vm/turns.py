# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""Which scenarios a whole run stages on which kernel.

Each mechanism, each kind of waiter and each finding is staged on every kernel. What varies one of
them (another system call into the same function, another option, another filesystem below) takes
turns: a whole run stages it on one kernel of each group, and the groups differ in how a DAX page is
counted. `run --all` and every selection of scenarios by name stage all of them everywhere.
"""

import fnmatch

# Kernels whose idle page has the count 1, and those where it has 0; each group takes turns.
GROUPS = (("5.10", "6.1", "6.12"), ("6.18", "7.2"))

VARIANTS = (
    # the operation changes the waiter, and what follows is the same
    "*/vmsplice/ftruncate", "*/vmsplice/open_trunc", "*/vmsplice/[ciz]*", "*/vmsplice/grow",
    "*/dio-pwrite/[poc]*", "*/retouch/[poc]*", "*/io-worker*/[ficzo]*", "*/evict/[mrdn]*",
    "*/vmsplice/dedupe", "*/vmsplice/exchange", "*/spinning/dedupe", "*/spinning/exchange",
    # another way to the same object, or somebody else who has it
    "*/vmsplice-[uhr]*/*", "ext4/heir/*", "xfs/pidns/*", "*/two-*/*", "*/shared-pipe/*", "*/tee/*",
    "*/pipe-and-dio/*", "*/pipe-[rmtfes]*/*", "*/pipe-userns/*", "*/pipe-chain/*", "*/several*/*",
    "*/retouch-thread/*", "*/stopped/*", "*/overlay/*", "*/reflinked-*/*",
    # another system call or queue for the same request
    "*/dio-p[r]*/*", "*/dio-pwritev/*", "*/dio-[rw]*/*", "*/tcp-splice-[hfno]*/*",
    "*/tcp-zerocopy-[fo]*/*", "*/tcp-splice-unaccepted/*", "*/socket-unaccepted/*",
    "*/socket-chain/*", "*/nbd-[di]*/*", "*/ext4-file-*/*", "*/vfat-file-*/*", "*/volume-aio/*",
    "*/large-aio/*", "*/killed-aio/*", "*/no-leader-dio/*", "*/delay-[pi]*/*", "*/iomax-[pi]*/*",
    "*/process-vm-writev/*", "*/coredump-handler/*", "*/fuse-pread/*", "*/fuse-aio/*",
    "*/fuse-interrupted/*", "*/packet-gone/*", "*/packet-cork/*",
    # the same on the other filesystem
    "xfs/aio/*", "xfs/io_uring/*", "xfs/lost-wakeup/*", "xfs/self/ftruncate", "ext4/*/fallocate",
    # what is far from the kernel, or takes long
    "*/recorded/*", "*/churn/*", "*/woken/*", "*/lease-limit/*", "*/innocents-rdma/*", "*/tree/*",
    "*/deadlock-fuse/*", "*/suspected/*", "*/taken*/*", "xfs/traced/*", "xfs/traced-freed/*",
    "xfs/entry-lock/*", "ext4/multipath-bio/*", "*/packet-tls/*",
    # what does not depend on the kernel
    "*/advice-*/*",
    "*/paths/*", "*/hidden-*/*", "*/capabilities/*", "*/signals-*/*", "*/mountns/*", "*/hostile/*",
    "*/bystander/*", "*/refusals/*", "*/many/*",
)


def is_variant(title):
    return any(fnmatch.fnmatchcase(title, glob) for glob in VARIANTS)


def of_kernel(series):
    """(which, of how many) turns a kernel takes; a kernel of no group takes all of them."""
    for group in GROUPS:
        if series in group:
            return group.index(series), len(group)
    return 0, 1


def taken(titles, turn):
    """The titles that are staged in this turn, in their order."""
    number, found = 0, []
    for title in titles:
        if is_variant(title):
            number += 1
            if number % turn[1] != turn[0]:
                continue
        found.append(title)
    return found
