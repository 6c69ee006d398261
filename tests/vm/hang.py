# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""Hangs on DAX files: what is staged, and how each case is proved on one filesystem.

A scenario knows the truth from what it staged itself. With a verdict it ends what the verdict
names, otherwise what the truth names; in both cases the waiter must proceed then and not before.
"""

import json
import os
import re
import shutil
import signal
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


class PipeHolder:
    """A page in a pipe that nobody reads."""
    frees_by_bio = False

    def __init__(self, *options):
        self.options, self.program = options, None

    def start(self, stage, index):
        self.program = stage.start("hold_pipe", *self.options, stage.path, index)

    def once_asleep(self, stage, index):
        pass

    def truth(self):
        return verdict.Holder("vmsplice", self.program.pids(), object=self.program.ready["object"])

    def end(self, stage, pids, still_asleep):
        for pid in pids:
            os.kill(pid, signal.SIGKILL)
        if not self.program.ended(SOON):
            raise Mismatch(f"ending {sorted(pids)} did not end {sorted(self.program.pids())}")


class SharedPipe(PipeHolder):
    """A pipe that two tasks have open: it goes when both have ended, and not before."""

    def __init__(self):
        super().__init__("--share")

    def end(self, stage, pids, still_asleep):
        first, *rest = sorted(pids)
        os.kill(first, signal.SIGKILL)
        still_asleep("one of two tasks with the pipe had ended")
        super().end(stage, rest, still_asleep)


class DirectIO:
    """A page under synchronous direct I/O to a device that stalls."""
    frees_by_bio = True
    how = "direct_io"

    def __init__(self, *call):
        self.call, self.program = call, None
        self.names = self.through = ()

    def stall(self, stage):
        device = stage.stall()
        self.names, self.through = device.names, device.through

    def start(self, stage, index):
        self.stall(stage)
        self.program = stage.start("hold_dio", *self.call, stage.path, index, stage.stalled.PATH)

    def once_asleep(self, stage, index):
        pass

    def truth(self):
        return verdict.Holder(self.how, {self.program.pid}, ("exact", "likely"),
                              targets=self.names, through=self.through)

    def end(self, stage, pids, still_asleep):
        stage.resume()
        if self.program.done(SOON) != (st.PAGE, 0):
            raise Mismatch("the direct I/O did not complete once its device was resumed")


class AsyncIO(DirectIO):
    """The same, submitted through libaio or io_uring: its task is free to do something else."""
    PROGRAMS = {"aio": ("hold_aio",), "io_uring": ("hold_uring", "write")}

    def __init__(self, how, *options, pages=1, times=1):
        super().__init__()
        self.how, self.options, self.pages, self.times = how, options, pages, times

    def arguments(self, stage, index):
        program, *call = self.PROGRAMS[self.how]
        times = [self.times] if self.how == "aio" else []
        return [program, *self.options, *call, stage.path, index, self.pages, *times]

    def start(self, stage, index):
        self.stall(stage)
        self.program = stage.start(*self.arguments(stage, index), stage.stalled.PATH)

    def truth(self):
        return verdict.Holder(self.how, {self.program.pid}, targets=self.names,
                              through=self.through, refs=self.times)

    def end(self, stage, pids, still_asleep):
        stage.resume()
        if self.program.done(SOON) != (self.pages * st.PAGE, 0):
            raise Mismatch("the direct I/O did not complete once its device answered")


class SocketHolder(PipeHolder):
    """A page in a socket, or in a pipe that is in flight in one."""

    def start(self, stage, index):
        self.program = stage.start("hold_socket", *self.options, stage.path, index)

    def truth(self):
        ready = self.program.ready
        return verdict.Holder(ready["how"], self.program.pids(), object=ready["object"])


class Retouch(PipeHolder):
    """A task that maps the page again after a pin, since gone, made the waiter sleep."""

    def __init__(self, *options):
        super().__init__(*options)
        self.pin = None

    def start(self, stage, index):
        self.pin = stage.start("hold_pipe", stage.path, index)
        self.program = stage.start("hold_map", *self.options, stage.path)

    def once_asleep(self, stage, index):
        self.program.order(f"touch {index}")
        self.pin.kill()
        if not self.pin.ended(SOON):
            raise Mismatch("the pin did not end")

    def truth(self):
        return verdict.Holder("mapping", {self.program.pid}, ("exact", "likely"))


class Session:
    """The boot in which scenarios run: the kernel, the tool, where logs go."""
    TOOL = "/run/daxtrace"  # a copy: a checkout may be where only root can read

    def __init__(self, tool, out):
        self.kernel, self.tool, self.out = st.Kernel(), None, out
        if tool:
            self.tool = shutil.copy(tool, self.TOOL)
        self.stuck = []  # tasks that scenarios left in a wait which nothing can end
        self.took = 0    # seconds of the last run of the tool

    def daxtrace(self, *options, by=(), stdout=subprocess.PIPE):
        start = time.monotonic()
        done = subprocess.run([*by, self.tool, *options], stdin=subprocess.DEVNULL, timeout=20,
                              stdout=stdout, stderr=subprocess.PIPE, encoding="utf-8")
        self.took = time.monotonic() - start
        return done.returncode, done.stdout, done.stderr

    def run(self, scenario, fstype):
        scenario.run(self, fstype)

    def begin(self, scenario, stage):
        """Called before anything is staged."""

    def ask(self, *options, by=()):
        """Status, document as text and errors."""
        return self.daxtrace("-J", "-e", *options, by=by)

    def explain(self, name, truths, *options, by=()):
        """Run the tool on what is staged; the document, once it is found to be right."""
        before = st.bpf_objects()
        status, text, errors = self.ask(*options, by=by)
        with open(os.path.join(self.out, f"{name}.json"), "w", encoding="utf-8") as file:
            file.write(text)
        try:
            document = json.loads(text)
        except ValueError:
            raise Mismatch(f"daxtrace: status {status}, no JSON: {errors.strip()[-300:]}") from None
        bad = verdict.check(document, status, truths, self.stuck)
        if not st.poll(lambda: st.bpf_objects() <= before, 2):
            bad.append(f"left in the kernel: {sorted(st.bpf_objects() - before)}")
        if bad:
            raise Mismatch("; ".join(bad))
        return document


class Scenario:
    """A hang: holders keep a page, a waiter sleeps for it, a bystander maps the same file."""
    last = 0              # the higher, the later it runs: 1 leaves a task stuck for ever
    filesystems = tuple(st.FILESYSTEMS)
    options = ()          # of the tool
    soon = SOON           # seconds in which the waiter proceeds once all holders have ended

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


class Cure(Scenario):
    """The way out is the command that the tool prints, and nothing else."""
    cure = ""

    def cures(self, document):
        if not document:
            return [self.cure.format_map(self.waiter.ready)]
        wait = verdict.wait_of(document, self.waiter.tid)
        found = verdict.commands(document, wait, self.findings())
        if not found:
            raise Mismatch("no command is advised")
        return found

    def carry_out(self, stage, command):
        if not verdict.is_known(command):
            raise Mismatch(f"advice is no command that is known here: {command}")
        if not verdict.targets(command) <= {program.pid for program in stage.programs}:
            raise Mismatch(f"advice acts on a stranger: {command}")
        done = subprocess.run(["sh", "-c", command], stdin=subprocess.DEVNULL, timeout=SOON,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        if done.returncode:
            raise Mismatch(f"advice failed: {command}: {done.stdout.strip()}")

    def is_free(self):
        """Not if it only restarts its wait, as it does after a signal that is then ignored."""
        if st.waits_for_page(self.waiter.tid):
            return False
        time.sleep(STILL_ASLEEP / 2)
        return not st.waits_for_page(self.waiter.tid)

    def must_be_free(self, command):
        if not st.poll(self.is_free, SOON):
            raise Mismatch(f"advice did not help: {command}")

    def prove(self, session, stage, log_name):
        document = session.explain(log_name, [self.truth(stage)]) if session.tool else None
        self.end_bystander()
        command = self.cures(document)[0]
        self.carry_out(stage, command)
        self.must_be_free(command)


class SelfDeadlock(Cure):
    """The waiter is the only task that could let the page go."""

    def stage(self, stage):
        self.bystander = self.start_bystander(stage)
        self.holders[0].start(stage, self.index)
        self.waiter = self.holders[0].program
        self.started = time.monotonic()
        self.waiter.tell("go")
        self.asleep("waiter", self.waiter.tid, st.waits_for_page, self.state())

    def findings(self):
        return ("SELF_DEADLOCK",)


class SelfTruncate(SelfDeadlock):
    cure = "kill -INT {pid}"


class SelfClose(SelfDeadlock):
    """Eviction by the last close of an unlinked file whose page is in a pipe of the same task."""
    cure = "dd if=/proc/{pid}/fd/{read_fd} of=/dev/null bs=4096 count=1"
    file_of_bystander = Eviction.file_of_bystander

    def state(self):
        return "D"

    def truth(self, stage):
        truth = super().truth(stage)
        truth.ops, truth.path, truth.deleted = ("evict",), None, True
        return truth


class SelfExit(SelfClose):
    """The same while the task exits: no descriptor is left to drain the pipe by."""
    last = 1

    def prove(self, session, stage, log_name):
        session.stuck.append(self.waiter.tid)
        if session.tool:
            document = session.explain(log_name, [self.truth(stage)])
            if verdict.commands(document, verdict.wait_of(document, self.waiter.tid),
                                self.findings()):
                raise Mismatch("a command is advised where none can help")
        self.end_bystander()
        os.kill(self.waiter.pid, signal.SIGKILL)
        self.still_asleep("SIGKILL")


class LostWakeup(Cure):
    """Direct I/O that completes without waking the waiter: the page is idle, nobody holds it."""
    cure = "kill -STOP {pid}; kill -CONT {pid}"

    def unavailable(self, session, fstype):
        if not session.kernel.bio_release_may_not_wake:
            return "completion of direct I/O wakes the waiter on this kernel"
        return super().unavailable(session, fstype)

    def stage(self, stage):
        super().stage(stage)
        holder = self.holders.pop()
        holder.end(stage, set(), self.still_asleep)
        holder.program.kill()
        if not holder.program.ended(SOON):
            raise Mismatch("the holder did not end")
        time.sleep(STILL_ASLEEP)
        if not st.waits_for_page(self.waiter.tid):
            raise Unavailable("completion of direct I/O woke the waiter")

    def findings(self):
        return ("LOST_WAKEUP",)

    def prove(self, session, stage, log_name):
        super().prove(session, stage, log_name)
        self.proceeds(stage)

    def may_miss_wakeup(self, stage):
        return False


class Advice(Cure):
    """Each command that is advised for an ordinary wait, on a hang staged anew for it."""
    turn = 0   # the command that is followed now
    known = 1  # how many there are, once a report has been read
    ends_waiter = False  # whether to follow what ends the waiter, too: it is the same everywhere

    def cures(self, document):
        end = f"kill -INT {self.waiter.pid}"
        return [cure for cure in super().cures(document) if self.ends_waiter or cure != end]

    def run(self, session, fstype):
        if not session.tool:
            raise Unavailable("there is no advice without a verdict")
        while self.turn < self.known:
            super().run(session, fstype)
            self.turn += 1

    def prove(self, session, stage, log_name):
        document = session.explain(log_name, [self.truth(stage)])
        self.end_bystander()
        commands = self.cures(document)
        self.known = len(commands)
        command = commands[self.turn]
        self.carry_out(stage, command)
        if verdict.INSPECTIONS.fullmatch(command):
            self.still_asleep("a command that changes nothing")
        elif self.may_miss_wakeup(stage) and not command.startswith("kill"):
            self.follow_up(session, stage, log_name)
        else:
            self.must_be_free(command)

    def follow_up(self, session, stage, log_name):
        """The I/O is done but the waiter was not woken: the next report must say so and help."""
        self.still_asleep("direct I/O whose completion does not wake")
        truth = self.truth(stage)
        truth.holders, truth.findings = [], ("LOST_WAKEUP",)
        document = session.explain(f"{log_name}.after", [truth])
        wait = verdict.wait_of(document, self.waiter.tid)
        for command in verdict.commands(document, wait, truth.findings)[:1]:
            self.carry_out(stage, command)
        self.must_be_free("dmsetup resume and what is advised after it")


class EveryAdvice(Advice):
    ends_waiter = True


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
