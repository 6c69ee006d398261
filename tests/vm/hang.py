# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""Hangs on DAX files: what is staged, and how each case is proved on one filesystem.

A scenario knows the truth from what it staged itself. With a verdict it ends what the verdict
names, otherwise what the truth names; in both cases the waiter must proceed then and not before.
"""

import os
import re
import subprocess
import time

import stage as st
import verdict
from stage import Mismatch, Unavailable

INDEX = 5             # the page that is held, of 16; operations work on the second and third
HUGE_PAGES = 1024     # a file of two 2 MiB units
HUGE_INDEX = 700      # in the second of them, not at its start
STILL_ASLEEP = 0.3    # seconds in which a waiter that was wrongly freed would have moved on
SOON = 5              # seconds in which a waiter proceeds once its page is free

RANGE_OPS = ("punch_hole", "collapse_range", "zero_range", "insert_range")
MAIN_OPS = ("truncate", "punch_hole", "open_trunc", "collapse_range")
OPS = {"ftruncate": ("truncate",), "unlink": ("evict",), "fallocate": ("fallocate", "other"),
       "madvise": ("punch_hole",), "unresvsp": ("punch_hole",)}


class Scenario:
    """A hang: holders keep a page, a waiter sleeps for it, a bystander maps the same file."""
    last = 0              # the higher, the later it runs: 1 leaves a task stuck for ever
    filesystems = tuple(st.FILESYSTEMS)
    options = ()          # of the tool
    soon = SOON           # seconds in which the waiter proceeds once all holders have ended
    freed_of_bpf = tuple(st.BPF_GET_NEXT_ID)  # what the kernel frees soon after a watch

    def __init__(self, holder, op, holders, **settings):
        self.holder, self.op, self.holders = holder, op, holders
        self.index = settings.pop("index", INDEX)
        self.pages = settings.pop("pages", 16)
        self.needs_counts_from_zero = settings.pop("needs_counts_from_zero", False)
        self.readers = settings.pop("readers", 0)
        self.filesystems = settings.pop("filesystems", self.filesystems)
        self.queue = []
        self.bystander = self.waiter = None
        self.started = 0
        assert not settings, settings

    @property
    def name(self):
        return f"{self.holder}/{self.op}"

    def unavailable(self, session, fstype):
        """Why there is no such wait here, or nothing."""
        if self.needs_counts_from_zero and not session.kernel.page_counts_from_zero:
            return "a kernel without dax_break_layout() does not wait here"
        return None

    # Staging

    def file_of_bystander(self, stage):
        return stage.path

    def start_bystander(self, stage):
        return stage.start("hold_map", self.file_of_bystander(stage))

    def start_holders(self, stage):
        for holder in self.holders:
            holder.start(stage, self.index)

    def start_waiter(self, stage):
        return stage.start("wait_op", self.op, stage.path)

    def asleep(self, what, tid, test, state):
        if not st.poll(lambda: test(tid) == state):
            raise Mismatch(f"{what} {tid} does not sleep in state {state}, it is {st.state(tid)!r}")

    def state(self):
        return "D" if self.op in ("unlink", "umount") else "S"

    def stage(self, stage):
        self.bystander = self.start_bystander(stage)
        self.start_holders(stage)
        self.started = time.monotonic()
        self.waiter = self.start_waiter(stage)
        self.asleep("waiter", self.waiter.tid, st.waits_for_page, self.state())
        for holder in self.holders:
            holder.once_asleep(stage, self.index)
        self.queue = [stage.start("wait_op", "read", stage.path) for _ in range(self.readers)]
        for reader in self.queue:
            self.asleep("reader", reader.tid, st.state, "D")

    def release(self, stage):
        """Without a proof: ends what the mere end of the programs would not end well."""

    # What the verdict must say

    def truth(self, stage):
        return verdict.Truth(
            self.waiter.tid, OPS.get(self.op, (self.op,)), self.state(), self.path(stage),
            stage.stat.st_dev, stage.stat.st_ino, stage.fstype, self.index,
            stage.kernel.idle_refs(), [holder.truth() for holder in self.holders], self.started,
            deleted=self.deleted(), huge=self.huge(stage), findings=self.findings(),
            bystanders={self.bystander.pid}, queued={reader.pid for reader in self.queue},
            outside=self.outside())

    def outside(self):
        """
        wait_op frees the second and third page, or all from the second on; it may be another program
        that waits.
        """
        if self.waiter.name != "wait_op" or self.op not in (*RANGE_OPS, "truncate", "ftruncate"):
            return None
        return self.index < 1 or (self.index > 2 and self.op in ("punch_hole", "zero_range"))

    def path(self, stage):
        return None if self.op in ("unlink", "umount") else stage.path

    def deleted(self):
        return self.op == "unlink"

    def huge(self, stage):
        """Only where a 2 MiB mapping is one folio, and only if the kernel did map it so."""
        faults = self.holders[0].program.ready.get("faults", self.pages) if self.holders else 0
        return (stage.kernel.page_counts_from_zero and self.pages == HUGE_PAGES
                and faults < self.pages // 2)

    def findings(self):
        return ("BLOCKED",)

    # The causal proof

    def still_asleep(self, after):
        time.sleep(STILL_ASLEEP)
        if st.waits_for_page(self.waiter.tid) != self.state():
            raise Mismatch(f"the waiter moved on after {after}")

    def end_bystander(self):
        self.bystander.kill()
        if not self.bystander.ended(SOON):
            raise Mismatch("the bystander did not end")
        self.still_asleep("the bystander had ended")

    def end_holders(self, stage, wait):
        for holder in self.holders:
            if holder is not self.holders[0]:
                self.still_asleep("one of two holders had ended")
            truth = holder.truth()
            named = verdict.holder_of(wait, truth) if wait else None
            holder.end(stage, verdict.pids(named["tasks"]) if named else truth.pids,
                       self.still_asleep)

    def proceeds(self, stage):
        result = self.waiter.done(STILL_ASLEEP if self.may_miss_wakeup(stage) else self.soon)
        if result is None and self.may_miss_wakeup(stage):
            st.run("sh", "-c", f"kill -STOP {self.waiter.pid}; kill -CONT {self.waiter.pid}")
            result = self.waiter.done(SOON)
        if result is None:
            raise Mismatch("the waiter still sleeps although the holder has ended")
        if result[0] < 0:
            raise Mismatch(f"{self.op} failed: {os.strerror(result[1])}")
        if not all(reader.done(SOON) for reader in self.queue):
            raise Mismatch("a queued reader did not proceed")

    def may_miss_wakeup(self, stage):
        return stage.kernel.bio_release_may_not_wake and self.holders[-1].frees_by_bio

    def prove(self, session, stage, log_name):
        wait = None
        if session.tool:
            truth = self.truth(stage)
            document = session.explain(log_name, [truth], *self.options)
            wait = verdict.wait_of(document, truth.tid)
        self.end_bystander()
        self.end_holders(stage, wait)
        self.proceeds(stage)

    def new_stage(self, session, fstype):
        return st.Stage(session.kernel, fstype, self.name.replace("/", "."), self.pages)

    def run(self, session, fstype):
        reason = self.unavailable(session, fstype)
        if reason:
            raise Unavailable(reason)
        with self.new_stage(session, fstype) as stage:
            try:
                session.begin(self, stage)
                self.stage(stage)
                self.prove(session, stage, f"{fstype}.{self.holder}.{self.op}")
            except Exception:
                self.log_evidence(session, stage, fstype)
                raise

    def log_evidence(self, session, stage, fstype):
        path = os.path.join(session.out, f"{fstype}.{self.holder}.{self.op}.log")
        with open(path, "w", encoding="utf-8", errors="backslashreplace") as file:
            file.write(stage.evidence())
            if session.tool:
                file.write(session.daxtrace("-v")[1])


class Searched(Scenario):
    """What only the search of memory finds: it has the time that a busy machine needs for it."""
    options = ("--search=8s",)


class Eviction(Scenario):
    """Unlink or umount: nobody may have the file open, so the bystander maps another one."""

    def file_of_bystander(self, stage):
        path = f"{stage.path}.bystander"
        stage.create(path)
        return path


class Umount(Eviction):
    """The bystander must be on another filesystem; the mount is made again at the end."""

    def file_of_bystander(self, stage):
        other = next(name for name in st.FILESYSTEMS if name != stage.fstype)
        path = os.path.join(st.mount_point(other), f"{self.name.replace('/', '.')}.bystander")
        stage.create(path)
        return path

    def start_waiter(self, stage):
        return stage.start("wait_op", "umount", st.mount_point(stage.fstype))

    def run(self, session, fstype):
        try:
            super().run(session, fstype)
        finally:
            if not os.path.ismount(st.mount_point(fstype)):
                st.mount(fstype)


class Quiet:
    """Nobody waits: the tool must say so, in words and in its exit status."""
    last = 0
    filesystems = tuple(st.FILESYSTEMS)

    def __init__(self, holder, op, bystander):
        self.holder, self.op, self.bystander = holder, op, bystander
        self.name = f"{holder}/{op}"

    def truncate_beside_bystander(self, stage):
        stage.start("hold_map", stage.path)
        waiter = stage.start("wait_op", "truncate", stage.path)
        if waiter.done() != (0, 0):
            raise Mismatch("a truncate that nobody holds up did not complete")

    def run(self, session, fstype):
        with st.Stage(session.kernel, fstype, self.name.replace("/", ".")) as stage:
            if self.bystander:
                self.truncate_beside_bystander(stage)
            if session.tool:
                session.explain(f"{fstype}.{self.holder}.{self.op}", [])
                self.check_text(session)
                self.check_killed(session)

    def check_text(self, session):
        status, text, _ = session.daxtrace("-e")
        if status or not re.search(r"\b(no|nobody|nothing|none)\b", text, re.I):
            raise Mismatch(f"no clear sentence, status {status}: {text.strip()[:200]!r}")

    def check_killed(self, session):
        """Even killed half way the tool leaves nothing in the kernel."""
        before = st.bpf_objects()
        tool = subprocess.Popen([session.tool, "-q"], stdout=subprocess.DEVNULL,
                                stderr=subprocess.DEVNULL)
        st.poll(lambda: st.bpf_objects() > before or tool.poll() is not None, pause=0.001)
        tool.kill()
        tool.wait()
        if not st.poll(lambda: st.bpf_objects() <= before, 2):
            raise Mismatch(f"left in the kernel: {sorted(st.bpf_objects() - before)}")
