# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""Direct I/O that is held up in the block layer: by what, and whoever submitted it."""

import functools
import os
import signal
import time

import devices
import stage as st
import verdict
from cures import Advice
from hang import SOON, STILL_ASLEEP, Scenario, Searched
from holder import AsyncIO, DirectIO
from sockets import NetworkStage
from stage import Mismatch

LARGE_PAGES = 320  # of which I/O from two files makes more than the 256 bio_vecs of a bio


class DeviceStage(st.Stage):
    """With a device of its own to stall."""

    def __init__(self, make, *args):
        super().__init__(*args)
        self.make, self.device = make, None

    def __enter__(self):
        self.device = self.make()
        return super().__enter__()

    def stall(self):
        self.stalled = self.device
        self.device.suspend()
        return self.device

    def __exit__(self, *args):
        super().__exit__(*args)
        self.device.remove()


class OnDevice:
    """Mixed into a scenario: the I/O goes to such a device."""
    filesystems = ("ext4",)  # it is the other end of the I/O that matters

    def __init__(self, make, *args, **settings):
        super().__init__(*args, **settings)
        self.make = make

    def new_stage(self, session, fstype):
        return DeviceStage(self.make, session.kernel, fstype, self.name.replace("/", "."),
                           self.pages)


class Stalled(OnDevice, Scenario):
    pass


class StalledSearched(OnDevice, Searched):
    pass


class StalledSpinning(StalledSearched):
    """
    A worker of the kernel asks for a path again and again, and never sleeps: then no grace period of
    RCU tasks ends, which the memory of BPF maps waits for (seen on 7.2).
    """
    freed_of_bpf = ("link", "program")


class StalledAdvice(OnDevice, Advice):
    pass


class SplicedOut(DirectIO):
    """A pipe that splice(2) writes to a device: what is said of the pipe leads to the device."""
    frees_by_bio = False
    how = "vmsplice"

    def start(self, stage, index):
        self.stall(stage)
        self.program = stage.start("hold_pipe", "--out", stage.stalled.PATH, stage.path, index)
        if not st.poll(lambda: st.state(self.program.pid) == "D"):
            raise Mismatch("splice(2) does not wait for the device")

    def truth(self):
        return verdict.Holder(self.how, {self.program.pid}, targets=self.names,
                              object=self.program.ready["object"])


class PassThrough(DirectIO):
    """A SCSI command of a program's own."""
    how = "sg_io"

    def start(self, stage, index):
        self.stall(stage)
        self.program = stage.start("hold_sg", stage.path, index, stage.stalled.PATH)

    def end(self, stage, pids, still_asleep):
        stage.resume()
        if self.program.done(SOON) != (0, 0):
            raise Mismatch("the command did not complete")


class TwoFiles(DirectIO):
    """One call whose pages are those of two files by turns, so that none are neighbours."""
    bytes = 0

    def start(self, stage, index):
        self.stall(stage)
        other = f"{stage.path}.other"
        stage.create(other)
        self.program = stage.start("hold_dio", "--other", other, *self.call, stage.path,
                                   stage.pages - 1, stage.stalled.PATH)
        self.bytes = 2 * stage.pages * st.PAGE

    def truth(self):
        return verdict.Holder(self.how, {self.program.pid}, targets=self.names,
                              through=self.through, refs=1)

    def end(self, stage, pids, still_asleep):
        stage.resume()
        if self.program.done(SOON) != (self.bytes, 0):
            raise Mismatch("the direct I/O did not complete once its device answered")


class Killed(AsyncIO):
    """Its task is killed; the I/O goes on without it, or the task stays until it has completed."""

    def once_asleep(self, stage, index):
        os.kill(self.program.pid, signal.SIGKILL)
        if not st.poll(self.is_over, SOON):
            raise Mismatch(f"{self.how} is in state {st.state(self.program.pid)!r} when killed")

    def is_over(self):
        if self.how == "aio":
            return "exit_aio" in st.read_proc(self.program.pid, "stack")
        return not st.alive(self.program.pid)

    def truth(self):
        truth = super().truth()
        if self.how == "io_uring":
            truth.pids = set()
        return truth

    def end(self, stage, pids, still_asleep):
        stage.resume()
        if not self.program.ended(SOON):
            raise Mismatch("the killed task did not end")


class OverNetwork(Stalled):
    """The page is in the request, and in the connection to the disk until the peer has it."""
    soon = 10  # until TCP tries again

    def truth(self, stage):
        truth = super().truth(stage)
        truth.holders.append(verdict.Holder("socket", set(), kind="socket",
                                            targets=(devices.NvmeTcp.PEER,)))
        return truth

    def end_holders(self, stage, wait):
        stage.resume()

    def proceeds(self, stage):
        if self.holders[0].program.done(self.soon) != (st.PAGE, 0):
            raise Mismatch("the direct I/O did not complete once its peer was reached")
        time.sleep(STILL_ASLEEP)
        if st.waits_for_page(self.waiter.tid):
            NetworkStage.free_packets()
        super().proceeds(stage)


def request_based():
    nbd, deadline = devices.Nbd, functools.partial(devices.Nbd, "mq-deadline")
    return [Stalled(nbd, "nbd-dio", "truncate", [DirectIO("pwrite")]),
            Stalled(deadline, "nbd-aio", "truncate", [AsyncIO("aio", "--read", times=3)]),
            Stalled(nbd, "nbd-io_uring", "truncate", [AsyncIO("io_uring")]),
            Stalled(deadline, "nbd-io-wq", "truncate", [AsyncIO("io_uring", "--worker")]),
            Stalled(devices.DmOverNbd, "volume-aio", "truncate", [AsyncIO("aio")]),
            Stalled(devices.MultipathOverNbd, "multipath-aio", "truncate", [AsyncIO("aio")]),
            Stalled(devices.ScsiDisk, "scsi-dio", "truncate", [DirectIO("pread")]),
            OverNetwork(devices.NvmeTcp, "nvme-tcp-aio", "truncate", [AsyncIO("aio")]),
            Stalled(devices.ScsiDisk, "sg_io", "truncate", [PassThrough()])]


def files():
    return [Stalled(functools.partial(devices.FileOnDisk, fstype), f"{fstype}-file-{name}",
                    "truncate", [holder])
            for fstype, name, holder in (("ext4", "dio", DirectIO("pwrite")),
                                         ("xfs", "aio", AsyncIO("aio")),
                                         ("vfat", "dio", DirectIO("pread")),
                                         ("vfat", "aio", AsyncIO("aio")),
                                         # of one block: 7.3 has a short way for it
                                         ("xfs", "aio-read", AsyncIO("aio", "--read")),
                                         ("btrfs", "aio", AsyncIO("aio", "--read")))] + \
        [Stalled(functools.partial(devices.FileInOverlay, fstype), f"overlay-file-{how}",
                 "truncate", [AsyncIO(how)])
         for fstype, how in (("xfs", "aio"), ("ext4", "io_uring"))]


def stacked():
    return [Stalled(devices.FrozenLoop, "loop-aio", "truncate", [AsyncIO("aio")]),
            StalledSpinning(devices.Multipath, "multipath-bio", "truncate", [AsyncIO("aio")]),
            StalledSearched(devices.ThinVolume, "thin-aio", "truncate", [AsyncIO("aio")]),
            StalledSearched(devices.SnapshotOrigin, "snapshot-aio", "truncate", [AsyncIO("aio")]),
            Stalled(devices.Raid, "raid-aio", "truncate", [AsyncIO("aio")]),
            StalledAdvice(devices.SuspendedRaid, "raid-suspended", "truncate",
                          [DirectIO("pwrite")])]


def large():
    return [Stalled(devices.Nbd, "large-aio", "truncate",
                    [AsyncIO("aio", pages=LARGE_PAGES - 8)], pages=LARGE_PAGES),
            Stalled(st.Stall, "two-files-dio", "truncate", [TwoFiles("pwritev")],
                    pages=LARGE_PAGES, index=0),
            Stalled(devices.DmOverNbd, "two-files-volume", "truncate", [TwoFiles("preadv")],
                    pages=LARGE_PAGES, index=0)]


def orphans():
    return [Stalled(devices.Nbd, "killed-io_uring", "truncate", [Killed("io_uring")]),
            Stalled(devices.Nbd, "killed-aio", "truncate", [Killed("aio")]),
            Stalled(devices.Nbd, "no-leader-dio", "truncate", [DirectIO("--leave", "pwrite")])]


def advice():
    return [Advice("advice-splice", "truncate", [SplicedOut()], filesystems=("ext4",)),
            StalledAdvice(devices.Nbd, "advice-nbd", "truncate", [DirectIO("pwrite")]),
            StalledAdvice(devices.FrozenLoop, "advice-loop", "truncate", [AsyncIO("aio")])]


def blockio():
    return [*advice(), *request_based(), *files(), *stacked(), *large(), *orphans()]
