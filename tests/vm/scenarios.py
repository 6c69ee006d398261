# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""Everything that is staged: holder x operation, run on each filesystem.

A scenario knows the truth from what it staged itself. With a verdict it ends what the verdict
names, otherwise what the truth names; in both cases the waiter must proceed then and not before.
"""

import fnmatch

import stage
import turns
from blockio import blockio
from boot import Session
from calls import calls
from churn import Churn
from cures import Advice, EveryAdvice, LostWakeup, SelfClose, SelfExit, SelfTruncate
from hang import (HUGE_INDEX, HUGE_PAGES, INDEX, MAIN_OPS, RANGE_OPS, Eviction, Quiet, Scenario,
                  Umount)
from held import held
from holder import AsyncIO, DirectIO, PipeHolder, Retouch, SharedPipe
from innocents import innocents
from locks import locks
from memscan import memscan
from operations import operations
from packets import packets
from pipes import pipes
from recorded import Recorded
from refusals import Lockdown, refusals
from reflinks import CloneMapped, IntoPinned, Reflinked, ReflinkMapped, SharedDirectIO
from sockets import network
from spare import MountNamespace, Woken
from taken import taken
from tangles import tangles
from top import LiveView
from traced import traced
from virtiofs import virtiofs
from variations import Capabilities, Hidden, Hostile, Many, Paths, Signals

__all__ = ["INDEX", "DirectIO", "Scenario", "Session", "catalogue", "plan", "title"]


def ordinary():
    """Each holder, and each operation; what a filesystem cannot change is staged on one of them."""
    late = {"needs_counts_from_zero": True}
    ext4, xfs = {"filesystems": ("ext4",)}, {"filesystems": ("xfs",)}
    found = [Quiet("idle", "none", False), Quiet("bystander", "truncate", True)]
    found += [Scenario("vmsplice", op, [PipeHolder()])
              for op in ("truncate", "ftruncate", "open_trunc", *RANGE_OPS)]
    found += [Scenario("vmsplice", "fallocate", [PipeHolder()], **xfs)]
    found += [Scenario("vmsplice-unmapped", "truncate", [PipeHolder("--unmap")]),
              Scenario("vmsplice-huge", "truncate", [PipeHolder()], index=HUGE_INDEX,
                       pages=HUGE_PAGES),
              Scenario("vmsplice-readers", "truncate", [PipeHolder()], readers=2),
              Scenario("shared-pipe", "truncate", [SharedPipe()], **xfs),
              Scenario("heir", "truncate", [PipeHolder("--heir")], **ext4),
              Scenario("pidns", "truncate", [PipeHolder("--pidns")], **xfs),
              Scenario("two-pipes", "truncate", [PipeHolder(), PipeHolder()], **ext4),
              Scenario("pipe-and-dio", "truncate", [PipeHolder(), DirectIO("pwrite")], **xfs),
              Scenario("splice", "truncate", [PipeHolder("--splice")], **ext4),
              Scenario("tee", "truncate", [PipeHolder("--tee")], **xfs),
              Scenario("dio-pread", "truncate", [DirectIO("pread")], **xfs)]
    found += [Scenario(how, "truncate", [AsyncIO(how)]) for how in ("aio", "io_uring")]
    found += [Scenario("dio-pwrite", op, [DirectIO("pwrite")]) for op in MAIN_OPS]
    found += [Scenario("retouch", op, [Retouch()], **late) for op in MAIN_OPS]
    found += [Scenario(f"dio-{call}", "truncate", [DirectIO(call)], **xfs)
              for call in ("read", "write", "readv", "writev", "preadv", "pwritev")]
    found += [Scenario("dio-pwritev", "collapse_range", [DirectIO("pwritev")], **ext4),
              LostWakeup("lost-wakeup", "truncate", [DirectIO("pwrite")]),
              EveryAdvice("advice-vmsplice", "truncate", [PipeHolder()], **ext4),
              Advice("advice-dio", "truncate", [DirectIO("pwrite")], **xfs),
              Advice("advice-retouch", "truncate", [Retouch()], **ext4, **late),
              SelfTruncate("self", "ftruncate", [PipeHolder("--then", "ftruncate")]),
              SelfClose("self", "close", [PipeHolder("--unmap", "--then", "unlink-close")], **late),
              Eviction("vmsplice-closed", "unlink", [PipeHolder("--close")], **late),
              Umount("vmsplice-closed", "umount", [PipeHolder("--close")], **late),
              SelfExit("self", "exit", [PipeHolder("--unmap", "--then", "unlink-exit")], **late)]
    return found


def shared():
    """Where files share extents, or one waits to."""
    late = {"needs_counts_from_zero": True}
    found = [Reflinked("reflinked", op, [PipeHolder("--read")])
             for op in ("truncate", "punch_hole")]
    found += [Reflinked("reflinked-dio", "truncate", [SharedDirectIO()]),
              ReflinkMapped("reflinked-mapped", "truncate", [CloneMapped()], **late)]
    return found + [IntoPinned("vmsplice", op, [PipeHolder()])
                    for op in ("reflink", "dedupe", "exchange")]


def unusual():
    """What does not depend on the mechanism: how the tool is asked, and under which conditions."""
    return [Paths("paths", "truncate", [PipeHolder()]),
            Hidden("hidden-vmsplice", "truncate", [PipeHolder()], filesystems=("ext4",)),
            Hidden("hidden-dio", "truncate", [DirectIO("pwrite")], filesystems=("xfs",)),
            Capabilities("capabilities", "truncate", [PipeHolder()]),
            Signals("ignored", "--ignore-int", "TERM"),
            Signals("restarting", "--restart-int", "TERM"),
            Signals("blocked", "--block-all", None),
            MountNamespace("mountns", "truncate", [PipeHolder()], filesystems=("ext4",)),
            Hostile("hostile", "truncate", [PipeHolder()]),
            LiveView(filesystems=("xfs",)), Many(), Woken(), Recorded(), Churn(), Lockdown()]


def catalogue():
    """Fresh scenarios in the order in which they run on each filesystem."""
    return [*ordinary(), *pipes(), *network(), *packets(), *blockio(), *memscan(), *calls(),
            *shared(), *operations(), *tangles(), *locks(), *innocents(), *held(), *unusual(),
            *traced(), *taken(), *refusals(), *virtiofs()]


def plan(globs, filesystems=stage.MATRIX, turn=None):
    """(filesystem, scenario) in order; what leaves a stuck task comes after everything else.

    With a kernel whose turn it is, variants that another one stages are left out: see turns.py.
    """
    pairs = [(fstype, scenario) for fstype in stage.MATRIX
             for scenario in catalogue() if fstype in scenario.filesystems]
    taken = turns.taken([(title(*pair), pair[1]) for pair in pairs], turn)
    pairs = [pair for pair in pairs if pair[0] in filesystems and title(*pair) in taken
             and any(fnmatch.fnmatch(title(*pair), glob) for glob in globs.split())]
    return sorted(pairs, key=lambda pair: pair[1].last)


def title(fstype, scenario):
    return f"{fstype}/{scenario.name}"
