# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""virtiofs with DAX: its waits, and the worker that frees parts of its window."""

import os
import signal
import time

import stage as st
import verdict
from hang import SOON, Eviction, Scenario, Umount
from holder import DirectIO, PipeHolder
from stage import Mismatch, Unavailable

FILESYSTEMS = ("virtiofs",)
RANGES = 4  # of 2 MiB each in the window of the guest, see machine.py


class OnVirtiofs(Scenario):
    """
    Closing a file of FUSE needs the lock that a truncate keeps, up to 6.15: so whoever has the file
    open ends only after the truncate, the bystander too.
    """
    filesystems = FILESYSTEMS

    def start_waiter(self, stage):
        waiter = super().start_waiter(stage)
        if self.index and waiter.done(1) == (0, 0):
            raise Unavailable("this kernel looks at the first page of the file only")
        return waiter

    def end_bystander(self):
        self.bystander.kill()
        self.still_asleep("the bystander was killed")

    def proceeds(self, stage):
        super().proceeds(stage)
        if not self.bystander.ended(SOON):
            raise Mismatch("the bystander did not end")


class ByPath(OnVirtiofs):
    """Asked about the file, and about the mount."""

    def prove(self, session, stage, log_name):
        if session.tool:
            session.explain(f"{log_name}.mount", [self.truth(stage)], st.mount_point("virtiofs"))
        self.options = (stage.path,)
        super().prove(session, stage, log_name)


class FileOpen(OnVirtiofs):
    """
    The holder has the file open as well. Where closing that needs the lock that the waiter keeps,
    the holder does not end, nor let go of the pipe: killing it helps nobody, and may not be advised.
    """

    def prove(self, session, stage, log_name):
        advised = None
        holder = self.holders[0].program
        if session.tool:
            document = session.explain(log_name, [self.truth(stage)])
            wait = verdict.wait_of(document, self.waiter.tid)
            advised = f"kill {holder.pid}" in verdict.commands(document, wait, self.findings())
        self.end_bystander()
        os.kill(holder.pid, signal.SIGTERM)
        helped = self.waiter.done(SOON) is not None
        if advised is not None and advised != helped:
            raise Mismatch(f"killing the holder is {advised} advice, but it is {helped} that it helps")
        if not helped:
            os.kill(self.waiter.pid, signal.SIGINT)
        for program in (holder, self.waiter, self.bystander):
            if not program.ended(SOON):
                raise Mismatch(f"{program.name} {program.pid} did not end")


class Worker:
    """A worker of the kernel that sleeps for a page, where else a Program is."""
    name = "kworker"

    def __init__(self, function):
        self.tid = self.pid = st.poll(lambda: self.find(function))
        if not self.tid:
            raise Mismatch(f"no worker sleeps in {function}")

    @staticmethod
    def find(function):
        return next((int(pid) for pid in os.listdir("/proc") if pid.isdigit()
                     and function in st.read_proc(pid, "stack") and st.waits_for_page(pid)), None)

    def done(self, seconds):
        return (0, 0) if st.poll(lambda: not st.waits_for_page(self.tid), seconds) else None


class Reclaim(Scenario):
    """
    All ranges of the window are in use. The worker that frees some begins with the oldest, of which
    a page is held, and sleeps; who needs a range for any other file sleeps until it goes on.
    """
    filesystems = FILESYSTEMS

    def __init__(self):
        super().__init__("vmsplice", "reclaim", [PipeHolder()])
        self.faulter = None

    def use(self, stage, name, *options):
        path = f"{stage.path}.{name}"
        stage.create(path)
        return stage.start("hold_map", *options, path)

    def stage(self, stage):
        self.started = time.monotonic()
        self.start_holders(stage)
        self.bystander, *_ = [self.use(stage, number) for number in range(RANGES - 1)]
        self.waiter = Worker("fuse_dax_free_mem_worker")
        self.faulter = self.use(stage, "fault", "--untouched")
        self.faulter.tell("touch 0")
        path = f"{stage.path}.read"
        stage.create(path)
        self.queue = [stage.start("wait_op", "read", path)]
        for program in (self.faulter, *self.queue):
            self.asleep("who needs a range", program.tid, st.state, "D")

    def truth(self, stage):
        truth = super().truth(stage)
        truth.trigger, truth.queued = "dax_window", {self.faulter.pid, self.queue[0].pid}
        return truth

    def proceeds(self, stage):
        super().proceeds(stage)
        if self.faulter.line(SOON) != "OK":
            raise Mismatch("a page fault that needs a range did not proceed")


def virtiofs():
    """Fresh scenarios; on the first page where not every kernel looks at the others."""
    late = {"needs_counts_from_zero": True, "filesystems": FILESYSTEMS}
    return [ByPath("vmsplice", "truncate", [PipeHolder("--mapped")]),
            OnVirtiofs("vmsplice", "punch_hole", [PipeHolder("--mapped")], index=0),
            OnVirtiofs("vmsplice", "open_trunc", [PipeHolder("--mapped")], index=0),
            OnVirtiofs("dio-pwrite", "truncate", [DirectIO("pwrite")], index=0, readers=1),
            FileOpen("file-open", "truncate", [PipeHolder()], index=0),
            Eviction("vmsplice-closed", "unlink", [PipeHolder("--close")], **late),
            Umount("vmsplice-closed", "umount", [PipeHolder("--close")], **late),
            Reclaim()]
