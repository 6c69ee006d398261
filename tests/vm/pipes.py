# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""Pipes that no descriptor shows or that tasks keep in odd ways, and counts of references."""

import os
import signal
import subprocess

import stage as st
import verdict
from cures import Advice
from hang import HUGE_INDEX, HUGE_PAGES, SOON, Scenario
from holder import AsyncIO, DirectIO, PipeHolder, Retouch, SocketHolder
from stage import Mismatch, Unavailable


class Kept(PipeHolder):
    """A pipe that its task keeps in one of the ways of hold_kept."""

    def __init__(self, way, times=1):
        super().__init__()
        self.way, self.times = way, times

    def start(self, stage, index):
        if self.way == "fifo":
            stage.files.append(f"{stage.path}.fifo")
        self.program = stage.start("hold_kept", self.way, stage.path, index, self.times)

    def truth(self):
        ready = self.program.ready
        return verdict.Holder("vmsplice", self.program.pids(), object=ready["object"],
                              refs=ready["refs"])


class Odd(Scenario):
    """The task that is named lives: what ends it ends the wait."""
    filesystems = ("ext4",)

    def __init__(self, way, times=1, **settings):
        super().__init__(f"pipe-{way}", "truncate", [Kept(way, times)], **settings)

    def unavailable(self, session, fstype):
        if self.name.startswith("pipe-ring/") and not session.kernel.registers_rings:
            return "this kernel registers no io_uring with a task (IORING_REGISTER_RING_FDS)"
        return super().unavailable(session, fstype)

    def end_holders(self, stage, wait):
        tasks = [task for holder in (wait or {}).get("holders", []) for task in holder["tasks"]]
        dead = [task["tid"] for task in tasks if not st.alive(task["tid"])]
        if dead:
            raise Mismatch(f"tasks {dead} are named, which have ended")
        super().end_holders(stage, wait)


class Chain(Odd):
    """One task has the page in two pipes: three slots of each."""

    def truth(self, stage):
        truth = super().truth(stage)
        first = truth.holders[0]
        truth.holders.append(verdict.Holder("vmsplice", first.pids, refs=first.refs,
                                            object=self.holders[0].program.ready["more"]))
        return truth


class Unseen(Odd):
    """Only a request in an io_uring keeps the pipe: its ring is found, and nobody is blamed."""

    def truth(self, stage):
        truth = super().truth(stage)
        truth.holders = [verdict.Holder("vmsplice", set(), ("likely",), refs=1)]
        truth.bystanders |= self.holders[0].program.pids()
        return truth

    def end_holders(self, stage, wait):
        super().end_holders(stage, None)


class Freezer:
    """A cgroup of version 1 with one task, which is frozen."""
    MOUNT = "/run/freezer"
    PATH = os.path.join(MOUNT, "box")

    def __init__(self, pid):
        os.makedirs(self.MOUNT, exist_ok=True)
        if not os.path.ismount(self.MOUNT) and subprocess.run(
                ["mount", "-t", "cgroup", "-o", "freezer", "none", self.MOUNT],
                stderr=subprocess.DEVNULL).returncode:
            raise Unavailable("this kernel has no freezer of version 1")
        os.makedirs(self.PATH, exist_ok=True)
        self.write("cgroup.procs", str(pid))
        self.write("freezer.state", "FROZEN")

    def write(self, name, text):
        with open(os.path.join(self.PATH, name), "w", encoding="ascii") as file:
            file.write(text)

    def thaw(self):
        self.write("freezer.state", "THAWED")


class Frozen(Scenario):
    """The holder's container is paused: no signal is advised, as none ends it before it goes on."""
    filesystems = ("ext4",)

    def __init__(self):
        super().__init__("pipe-paused", "truncate", [Kept("plain")])
        self.freezer = None

    def start_holders(self, stage):
        super().start_holders(stage)
        self.freezer = Freezer(self.holders[0].program.pid)
        stage.at_end.append(self.freezer.thaw)

    def prove(self, session, stage, log_name):
        pid = self.holders[0].program.pid
        if session.tool:
            document = session.explain(log_name, [self.truth(stage)])
            wait = verdict.wait_of(document, self.waiter.tid)
            advised = verdict.commands(document, wait, self.findings())
            if any(pid in verdict.targets(command) for command in advised):
                raise Mismatch(f"a frozen task is to be ended: {advised}")
        self.end_bystander()
        os.kill(pid, signal.SIGTERM)
        self.still_asleep("SIGTERM to a frozen task")
        self.freezer.thaw()
        if not self.holders[0].program.ended(SOON):
            raise Mismatch("the holder did not end when it was thawed")
        self.proceeds(stage)


class Count(Scenario):
    """
    More plain references than the 1024 that count as much as one pin. Those that were seen are no
    pin, so those in a pipe that nothing leads to can be counted.
    """
    filesystems = ("ext4",)
    SEEN, UNSEEN = 2000, 100

    def __init__(self):
        super().__init__("count", "truncate", [Kept("plain", self.SEEN),
                                               Kept("request", self.UNSEEN)])

    def truth(self, stage):
        truth = super().truth(stage)
        ownerless = truth.holders.pop()
        truth.holders.append(verdict.Holder("vmsplice", set(), ("likely",), refs=self.UNSEEN,
                                            kind="slab"))
        truth.bystanders |= ownerless.pids
        return truth

    def end_holders(self, stage, wait):
        super().end_holders(stage, None)


class Several(Scenario):
    """Holders by four mechanisms: each has its references, and the sum is the page's count."""
    filesystems = ("ext4",)

    def __init__(self, name, **settings):
        self.pipe, self.socket = Kept("plain", 3), SocketHolder("unix")
        self.direct, self.aio = DirectIO("pwrite"), AsyncIO("aio")
        super().__init__(name, "truncate", [self.pipe, self.socket, self.direct, self.aio],
                         **settings)
        self.apart = 0

    def stage(self, stage):
        """Where 2 MiB are one folio each holder has another page of it."""
        apart = stage.kernel.page_counts_from_zero and self.pages == HUGE_PAGES
        stall = stage.stall()
        stage.stall = lambda: stall
        self.apart = int(apart)
        super().stage(stage)

    def start_holders(self, stage):
        for number, holder in enumerate(self.holders):
            holder.start(stage, self.index + number * self.apart)

    def huge(self, stage):
        return stage.kernel.page_counts_from_zero and self.pages == HUGE_PAGES

    def end_holders(self, stage, wait):
        for holder in (self.pipe, self.socket):
            holder.end(stage, holder.truth().pids, self.still_asleep)
            self.still_asleep("some of the holders had ended")
        stage.resume()
        for holder in (self.direct, self.aio):
            if holder.program.done(SOON) != (st.PAGE, 0):
                raise Mismatch("I/O did not complete once its device was resumed")


def pipes():
    found = [Odd(way) for way in ("uring", "ring", "mapped", "thread", "files", "exec", "fifo", "stopped",
                                  "traced", "userns")]
    found.append(Scenario("retouch-thread", "truncate", [Retouch("--thread")],
                          filesystems=("ext4",), needs_counts_from_zero=True))
    return [*found, Count(), Frozen(), Chain("chain", 3), Unseen("request"),
            Advice("advice-stopped", "truncate", [Kept("stopped")], filesystems=("ext4",)),
            Several("several"),
            Several("several-huge", index=HUGE_INDEX, pages=HUGE_PAGES)]
