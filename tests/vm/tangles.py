# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""Tasks that wait for each other: over locks, pages and pipes, in circles and in trees."""

import dataclasses
import errno
import functools
import os
import signal
import subprocess
import time
import types

import stage as st
import verdict
from calls import Fuse
from cures import Advice, SelfDeadlock
from hang import SOON, Scenario
from holder import PipeHolder
from locks import BehindFault, SleepsElsewhere, Freeze
from served import JournalStage, LoopOver, LoopOverFuse, MappedBy, Served, SyncedFault
from stage import Mismatch


class Pin:
    """A page in the pipe of an actor, which that one or another has put there."""
    frees_by_bio = False

    def __init__(self, program, pipe=None, taker=None):
        self.program, self.pipe, self.taker = program, pipe, taker or program

    def once_asleep(self, stage, index):
        pass

    def truth(self):
        return verdict.Holder("vmsplice", {self.program.pid}, object=self.pipe)


class Tangle(Scenario):
    """Actors, each of which does what it is told."""

    def __init__(self, *args, **settings):
        super().__init__(*args, **settings)
        self.actors, self.circle = [], []

    def actor(self, stage, *orders):
        program = stage.start("wait_actor")
        for order in orders:
            program.order(order)
        self.actors.append(program)
        return program

    def gets_stuck(self, program, order, state="D"):
        program.tell(order)
        self.asleep(order, program.tid, st.state, state)

    def fifo(self, stage, name):
        path = os.path.join("/run", f"{os.path.basename(stage.path)}.{name}")
        os.mkfifo(path)
        stage.files.append(path)
        return path

    def start_holders(self, stage):
        """The actors are told what to do by stage()."""

    def check_circle(self, document):
        """The finding has the tasks of the circle in their order, wherever it starts."""
        found = [[task["tid"] for task in finding["cycle"]] for finding in document["findings"]
                 if finding.get("cycle")]
        turns = [self.circle[i:] + self.circle[:i] for i in range(len(self.circle))]
        bad = [cycle for cycle in found if cycle not in turns]
        if bad or not found:
            raise Mismatch(f"circles {found}, not {self.circle}")

    def all_free(self):
        """Nobody is left that sleeps in one of its calls."""
        def stuck():
            return [actor.tid for actor in self.actors
                    if st.alive(actor.pid) and st.state(actor.tid) == "D"]
        if not st.poll(lambda: not stuck(), SOON):
            raise Mismatch(f"tasks {stuck()} are still stuck")


class Deadlock(Tangle, Advice):
    """A circle. Each command that is advised for it breaks it, and nothing else does."""
    ends_waiter = True

    def findings(self):
        return ("DEADLOCK",)

    def truths(self, stage):
        return [self.truth(stage)]

    def prove(self, session, stage, log_name):
        document = session.explain(log_name, self.truths(stage))
        self.check_circle(document)
        self.end_bystander()
        commands = self.cures(document)
        self.known = len(commands)
        self.carry_out(stage, commands[self.turn])
        self.must_be_free(commands[self.turn])
        self.all_free()

    def server_reads(self, program):
        """A server that has to answer reads the file first, and is behind the waiter."""
        server = program.ready["server"]
        program.tell("read")
        self.asleep("server", server, st.state, "D")
        self.circle = [self.waiter.tid, server]
        self.queue = [types.SimpleNamespace(pid=server)]


class ReadsItsFile(Deadlock):
    """The holder reads the file: it is stuck behind the truncate that waits for its page."""

    def stage(self, stage):
        holder = self.actor(stage, f"pin {stage.path} {self.index}")
        self.holders = [Pin(holder)]
        super().stage(stage)
        self.gets_stuck(holder, f"call read {stage.path}")
        self.circle = [self.waiter.tid, holder.tid]
        self.queue = [holder]


class Cross(Deadlock):
    """Two tasks truncate each the file of which the other one keeps a page."""

    def __init__(self, *args, **settings):
        super().__init__(*args, **settings)
        self.other = None

    def stage(self, stage):
        self.other = f"{stage.path}.other"
        self.bystander = self.start_bystander(stage)
        stat = stage.create(self.other)
        one = self.actor(stage, f"pin {self.other} {self.index}")
        two = self.actor(stage, f"pin {stage.path} {self.index}")
        self.waiter, self.circle = one, [one.tid, two.tid]
        for program, path in ((one, stage.path), (two, self.other)):
            program.tell(f"call truncate {path}")
            self.asleep("waiter", program.tid, st.waits_for_page, "S")
        self.sides = [(one, two, stage.path, stage.stat), (two, one, self.other, stat)]

    def truths(self, stage):
        return [verdict.Truth(
            waiter.tid, ("truncate",), "S", path, stat.st_dev, stat.st_ino, stage.fstype,
            self.index, stage.kernel.idle_refs(), [Pin(holder).truth()], self.started,
            findings=self.findings(), bystanders={self.bystander.pid})
            for waiter, holder, path, stat in self.sides]

    def cures(self, document):
        return verdict.commands(document, verdict.wait_of(document, self.waiter.tid),
                                self.findings())


class ThreeParties(Deadlock):
    """
    The page is in a pipe whose reader cannot write to another full one, whose reader in turn reads
    the file.
    """

    def stage(self, stage):
        page, full = self.fifo(stage, "page"), self.fifo(stage, "full")
        pinner = self.actor(stage, f"open rw {page}")
        middle, last = self.actor(stage, f"open r {page}"), self.actor(stage)
        pinner.order(f"pin {stage.path} {self.index} {page}")
        pinner.kill()
        middle.tell(f"open w {full}")
        last.order(f"open r {full}")
        middle.line()
        middle.order(f"fill {full}")
        self.holders = [Pin(middle, page, pinner)]
        super().stage(stage)
        self.gets_stuck(last, f"call read {stage.path}")
        self.gets_stuck(middle, f"call put {full}", "S")
        self.circle = [self.waiter.tid, middle.tid, last.tid]
        self.queue = [last, middle]


class AsksServer(Deadlock):
    """The server that has to answer direct I/O from the page reads the file first."""

    def __init__(self, holder, make, **settings):
        super().__init__(holder, "truncate", [], **settings)
        self.make, self.may_sleep_on = make, False

    def stage(self, stage):
        asking = self.make()
        self.holders = [asking]
        self.may_sleep_on = self.may_miss_wakeup(stage)
        asking.start(stage, self.index)
        super().stage(stage)
        self.server_reads(asking.program)

    def must_be_free(self, command):
        if self.may_sleep_on and not st.poll(self.is_free, 1):
            st.run("sh", "-c", f"kill -STOP {self.waiter.pid}; kill -CONT {self.waiter.pid}")
        super().must_be_free(command)

    def all_free(self):
        if self.holders[0].program.done(SOON) is None:
            raise Mismatch("the direct I/O did not end")


class FaultAsksServer(SleepsElsewhere, Deadlock):
    """The server of the disk that a page fault waits for, with a lock, reads the file first."""
    sleeps_in = BehindFault.sleeps_in

    def __init__(self, holder):
        super().__init__(holder, "truncate", [SyncedFault()], filesystems=("ext4",))

    def new_stage(self, session, fstype):
        return JournalStage(session.kernel, fstype, self.name.replace("/", "."), self.pages)

    def state(self):
        return "D"

    def start_bystander(self, stage):
        bystander = stage.start("hold_map", "--untouched", stage.path)
        bystander.order("touch 0")
        return bystander

    def start_holders(self, stage):
        Scenario.start_holders(self, stage)

    def stage(self, stage):
        super().stage(stage)
        self.server_reads(stage.server)

    def truth(self, stage):
        return dataclasses.replace(super().truth(stage), on="lock")

    def all_free(self):
        """What the advice says that it costs: the program of the fault, and the filesystem."""
        result, fault = self.waiter.done(SOON), self.holders[0].program
        if result != (-1, errno.EROFS):
            raise Mismatch(f"the truncate returned {result}")
        if not fault.ended(SOON) or fault.process.returncode != -signal.SIGBUS:
            raise Mismatch("the page fault did not fail with SIGBUS")


class AsksItself(SelfDeadlock):
    """The server that has to answer direct I/O from the page truncates the file first."""
    cure = "kill -INT {pid}"

    def __init__(self, holder, make, **settings):
        super().__init__(holder, "truncate", [make()], **settings)

    def stage(self, stage):
        self.bystander = self.start_bystander(stage)
        self.holders[0].start(stage, self.index)
        program = self.holders[0].program
        server = program.ready["server"]
        self.waiter = types.SimpleNamespace(name=program.name, pid=server, tid=server,
                                            ready={"pid": server})
        self.started = time.monotonic()
        program.tell("truncate")
        self.asleep("waiter", server, st.waits_for_page, self.state())

    def may_act_on(self, stage):
        return super().may_act_on(stage) | {self.waiter.pid}


class LoopOverItself(Deadlock):
    """
    Direct I/O from the page to a loop device over the very file: the thread that writes to the file
    queues behind the truncate.
    """

    def stage(self, stage):
        """What makes the truncate wait at first is gone when the thread is stuck."""
        pin, asking = PipeHolder(), LoopOver()
        asking.start(stage, self.index)
        self.holders = [pin]
        pin.start(stage, self.index)
        super().stage(stage)
        asking.submit(stage, self.index)
        worker = st.poll(asking.worker)
        if not worker:
            raise Mismatch("no thread of the loop device is stuck behind the truncate")
        pin.program.kill()
        if not pin.program.ended(SOON):
            raise Mismatch("the pin did not end")
        self.holders = [asking]
        if stage.kernel.page_counts_from_zero:
            self.holders.append(MappedBy(asking))
        self.circle = [self.waiter.tid, worker]
        self.queue = [types.SimpleNamespace(pid=worker)]

    def all_free(self):
        if self.holders[0].program.done(SOON) is None:
            raise Mismatch("the direct I/O did not end")


class ExitOrder(Deadlock):
    """
    An exiting task waits for a page in a pipe, whose owner waits until the exiting task reads
    another pipe. That one is closed only once the page is idle.
    """

    def file_of_bystander(self, stage):
        path = f"{stage.path}.bystander"
        stage.create(path)
        return path

    def state(self):
        return "D"

    def truth(self, stage):
        truth = super().truth(stage)
        truth.ops, truth.path, truth.deleted = ("evict",), None, True
        truth.trigger = "exit"
        return truth

    def stage(self, stage):
        full = self.fifo(stage, "full")
        self.bystander = self.start_bystander(stage)
        leaver = self.actor(stage)
        owner = self.actor(stage, f"pin {stage.path} {self.index}", "unmap")
        owner.tell(f"open w {full}")
        leaver.order(f"open r {full}")
        owner.line()
        leaver.order(f"close-unlinked {stage.path}")
        owner.order(f"fill {full}")
        self.gets_stuck(owner, f"call put {full}", "S")
        self.waiter, self.holders = leaver, [Pin(owner)]
        leaver.tell("exit")
        self.asleep("waiter", leaver.tid, st.waits_for_page, "D")
        self.circle = [leaver.tid, owner.tid]
        self.queue = [owner]


class Suspected(Tangle):
    """One thread of the holder is stuck behind the truncate; another could drain the pipe."""

    def findings(self):
        return ("SUSPECTED_DEADLOCK",)

    def stage(self, stage):
        holder = self.actor(stage, f"pin {stage.path} {self.index}")
        self.holders = [Pin(holder)]
        super().stage(stage)
        holder.order(f"thread read {stage.path}")
        tid = st.poll(lambda: [tid for tid in map(int, os.listdir(f"/proc/{holder.pid}/task"))
                               if st.state(tid) == "D"])
        if not tid:
            raise Mismatch("no thread is stuck behind the truncate")
        self.circle = [self.waiter.tid, tid[0]]

    def prove(self, session, stage, log_name):
        if session.tool:
            self.check_circle(session.explain(log_name, [self.truth(stage)]))
        self.end_bystander()
        self.holders[0].program.order("drain")
        self.proceeds(stage)
        self.all_free()


class ReadsPipe(Tangle):
    """A sentence is advised first, no command: who has the pipe reads it, and loses nothing."""

    def stage(self, stage):
        self.holders = [Pin(self.actor(stage, f"pin {stage.path} {self.index}"))]
        super().stage(stage)

    def prove(self, session, stage, log_name):
        holder = self.holders[0].program
        if session.tool:
            document = session.explain(log_name, [self.truth(stage)])
            advice = document["findings"][0]["advice"][0]
            if f"[{holder.pid}] read pipe:[" not in advice["do"]:
                raise Mismatch(f"to read is not advised first but {advice['do']}")
        self.end_bystander()
        holder.order("drain")
        self.proceeds(stage)


class Frozen(Deadlock):
    """
    The holder writes to a filesystem that somebody freezes, who waits for the truncate that waits
    for the holder. The kernel does not keep who writes.
    """

    def __init__(self, *args, **settings):
        super().__init__(*args, **settings)
        self.freezer = None

    def new_stage(self, session, fstype):
        return st.SpareStage(session.kernel, fstype, self.name.replace("/", "."), self.pages)

    def findings(self):
        return ("SUSPECTED_DEADLOCK",)

    def stage(self, stage):
        other = f"{stage.path}.other"
        stage.create(other)
        holder = self.actor(stage, f"pin {stage.path} {self.index}")
        self.holders = [Pin(holder)]
        super().stage(stage)
        self.freezer = subprocess.Popen(["fsfreeze", "-f", stage.POINT])
        stage.at_end.append(self.thaw)
        self.asleep("fsfreeze", self.freezer.pid, Freeze.keeps_out, "D")
        self.gets_stuck(holder, f"call write {other}")
        self.circle = [self.waiter.tid, holder.tid]
        self.queue = [holder, self.freezer]

    def thaw(self):
        if self.freezer:
            self.freezer.wait(st.PATIENCE)
            self.freezer = None
            st.run("fsfreeze", "-u", st.SpareStage.POINT)

    def all_free(self):
        """The holder can write once the filesystem, frozen by now, is thawed."""
        self.thaw()
        super().all_free()


class TreeStage(st.Stage):
    """In a directory of its own."""

    def __enter__(self):
        os.mkdir(os.path.dirname(self.path))
        return super().__enter__()

    def __exit__(self, *args):
        super().__exit__(*args)
        os.rmdir(os.path.dirname(self.path))


class Tree(Tangle):
    """
    A removal of the file is stuck behind the truncate and has locked the directory, so that others
    are stuck behind it; of two threads that read one descriptor the second waits for the first.
    """

    def __init__(self, *args, **settings):
        super().__init__(*args, **settings)
        self.remover = self.reader = self.creators = None

    def new_stage(self, session, fstype):
        name = self.name.replace("/", ".")
        return TreeStage(session.kernel, fstype, name, self.pages,
                         os.path.join(st.mount_point(fstype), f"{name}.d"))

    def start_holders(self, stage):
        Scenario.start_holders(self, stage)

    def stage(self, stage):
        self.reader = self.actor(stage, f"open rw {stage.path}")
        self.remover = self.actor(stage)
        self.creators = [self.actor(stage) for _ in range(2)]
        super().stage(stage)
        for _ in range(2):
            self.reader.order(f"thread next {stage.path}")
        self.gets_stuck(self.remover, f"call unlink {stage.path}")
        for number, creator in enumerate(self.creators):
            new = f"{stage.path}.{number}"
            stage.files.append(new)
            self.gets_stuck(creator, f"call create {new}")
        self.queue = [self.remover, *self.creators]

    def check_queue(self, wait):
        """Each task is behind the one that has its lock."""
        tasks = {task["tid"]: task for task in wait["queued"]}
        for creator in self.creators:
            task = tasks[creator.tid]
            seen = (task["lock"]["name"], task["behind"], task["depth"])
            if seen != ("i_rwsem", self.remover.tid, 1):
                raise Mismatch(f"{creator.tid} is queued as {seen}")
        locks = sorted((task["lock"]["name"], task["depth"]) for task in wait["queued"]
                       if task["pid"] == self.reader.pid)
        if locks != [("f_pos_lock", 1), ("i_rwsem", 0)]:
            raise Mismatch(f"the threads that read are queued as {locks}")

    def prove(self, session, stage, log_name):
        wait = None
        if session.tool:
            truth = self.truth(stage)
            document = session.explain(log_name, [truth])
            wait = verdict.wait_of(document, truth.tid)
            self.check_queue(wait)
        self.end_bystander()
        self.end_holders(stage, wait)
        self.proceeds(stage)
        self.all_free()


def tangles():
    """Fresh scenarios."""
    ext4, xfs = {"filesystems": ("ext4",)}, {"filesystems": ("xfs",)}
    return [ReadsItsFile("advice-deadlock", "truncate", []),
            Cross("deadlock-cross", "truncate", [], **xfs),
            ThreeParties("advice-deadlock-pipe", "truncate", [], **ext4),
            AsksServer("deadlock-fuse", functools.partial(Fuse, "pwrite"), **xfs),
            AsksServer("deadlock-nbd", functools.partial(Served, "nbd"), **ext4),
            AsksServer("deadlock-nbd-tcp", functools.partial(Served, "nbd-tcp"), **ext4),
            AsksServer("deadlock-loop-fuse", LoopOverFuse, **ext4),
            FaultAsksServer("deadlock-fault"),
            AsksServer("deadlock-ublk", functools.partial(Served, "ublk"), **ext4),
            AsksItself("self-fuse", functools.partial(Fuse, "pwrite"), **ext4),
            AsksItself("self-nbd", functools.partial(Served, "nbd"), **ext4),
            LoopOverItself("deadlock-loop", "truncate", [], **ext4),
            ExitOrder("deadlock-exit", "exit", [], needs_counts_from_zero=True, **xfs),
            Suspected("suspected", "truncate", [], **ext4),
            Frozen("suspected-freeze", "truncate", [], **xfs),
            ReadsPipe("advice-read", "truncate", [], **ext4),
            Tree("tree", "truncate", [PipeHolder()])]
