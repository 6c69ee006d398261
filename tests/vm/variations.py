# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""Ordinary hangs that are asked about, looked at or named in other than the ordinary way."""

import dataclasses
import os
import signal

import stage as st
import verdict
from cures import Cure
from hang import SOON, Scenario
from holder import PipeHolder
from stage import Mismatch


class WithVerdict(Scenario):
    """Of interest only for what the tool says."""

    def unavailable(self, session, fstype):
        if not session.tool:
            return "nothing to see without a verdict"
        return super().unavailable(session, fstype)


class Paths(WithVerdict):
    """A PATH selects the waits on that file, mount or device and no others."""
    filesystems = ("ext4",)  # the other one is the other path

    def other_hang(self, session, stage):
        fstype = next(name for name in st.FILESYSTEMS if name != stage.fstype)
        return st.Stage(session.kernel, fstype, f"{self.holder}.other"), \
            Scenario(self.holder, self.op, [PipeHolder()])

    def prove(self, session, stage, log_name):
        truth = self.truth(stage)
        neighbour = f"{stage.path}.neighbour"
        stage.create(neighbour)
        point, device = st.mount_point(stage.fstype), st.FILESYSTEMS[stage.fstype]
        for path in (stage.path, point, device):
            session.explain(log_name, [truth], path)
        other_stage, other = self.other_hang(session, stage)
        elsewhere = st.mount_point(other_stage.fstype)
        for path in (neighbour, elsewhere, st.FILESYSTEMS[other_stage.fstype]):
            document = session.explain(log_name, [], path)
            if document["coverage"].get("lost"):
                raise Mismatch(f"records are lost without a wait on {path}")
        with other_stage:
            other.stage(other_stage)
            other_truth = other.truth(other_stage)
            both = [truth, other_truth]
            session.explain(log_name, both)
            session.explain(log_name, [other_truth], other_stage.path)
            session.explain(log_name, both, stage.path, elsewhere)


class Hidden(WithVerdict):
    """The kernel hides a symbol: the answer is the same, and what it costs is told."""
    SYMBOLS = ("pgmap_array", "bit_wait_table", "vmemmap_base", "page_offset_base")

    def prove(self, session, stage, log_name):
        truth, wait, bad = self.truth(stage), None, []
        for symbol in self.SYMBOLS:
            try:
                document = session.explain(f"{log_name}.{symbol}", [truth], "--without", symbol)
            except Mismatch as reason:
                bad.append(f"without {symbol}: {reason}")
                continue
            wait = verdict.wait_of(document, truth.tid)
            if not any(probe["state"] in ("fallback", "missing") and probe["costs"]
                       for probe in document["coverage"]["probes"]):
                bad.append(f"without {symbol}: no probe tells")
        if bad:
            raise Mismatch("; ".join(bad))
        self.end_bystander()
        self.end_holders(stage, wait)
        self.proceeds(stage)


class Capabilities(WithVerdict):
    """An ordinary user with the three capabilities that refusals ask for, and no others."""
    filesystems = ("ext4",)
    USER = ("setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups",
            "--inh-caps", "-all,+bpf,+perfmon,+syslog",
            "--ambient-caps", "-all,+bpf,+perfmon,+syslog",
            "--bounding-set", "-all,+bpf,+perfmon,+syslog")

    UNLIMITED = ("prlimit", "--memlock=unlimited")

    def prove(self, session, stage, log_name):
        """Up to 5.10 BPF counts as locked memory, of which an ordinary user may have little."""
        status, _, errors = session.daxtrace("-J", by=self.USER)
        if status and "MEMLOCK" not in errors:
            raise Mismatch(f"status {status}: {errors.strip()}")
        document = session.explain(log_name, [self.truth(stage)], by=self.UNLIMITED + self.USER)
        self.end_bystander()
        self.end_holders(stage, verdict.wait_of(document, self.waiter.tid))
        self.proceeds(stage)


class Signals(Cure):
    """How the waiter handles SIGINT decides which signal is advised, if any."""
    filesystems = ("ext4",)

    def __init__(self, name, option, advised):
        super().__init__(f"signals-{name}", "truncate", [PipeHolder()])
        self.option, self.advised = option, advised

    def unavailable(self, session, fstype):
        return None if session.tool else "there is no advice without a verdict"

    def start_waiter(self, stage):
        return stage.start("wait_op", self.option, self.op, stage.path)

    def prove(self, session, stage, log_name):
        document = session.explain(log_name, [self.truth(stage)])
        pid = self.waiter.pid
        found = [command for command in self.cures(document) if pid in verdict.targets(command)]
        if found != ([f"kill -{self.advised} {pid}"] if self.advised else []):
            raise Mismatch(f"advised for {self.option}: {found}")
        self.end_bystander()
        for command in found:
            self.carry_out(stage, command)
            self.must_be_free(command)
        if not found:
            self.check_signals(pid)
            self.end_holders(stage, verdict.wait_of(document, self.waiter.tid))
            self.proceeds(stage)

    def check_signals(self, pid):
        """No advice is right only if no signal helps."""
        for signo in (signal.SIGINT, signal.SIGTERM):
            os.kill(pid, signo)
        self.still_asleep("signals that it blocks")


class HostileStage(st.Stage):
    """A file and programs whose names lie: escapes, a line of their own, no valid UTF-8."""
    FILE = "x\x1b[31m\nBLOCKED  nobody\r\u202e\udcff\udcfe"
    COMM = "\x1b]0;x\n\u202e\udcffBLOC"  # with the letter before it 15 bytes
    DIRECTORY = "/run/hostile"

    def __init__(self, kernel, fstype, pages):
        super().__init__(kernel, fstype, self.FILE, pages)
        os.makedirs(self.DIRECTORY, exist_ok=True)

    def start(self, name, *args):
        link = os.path.join(self.DIRECTORY, name[0] + self.COMM)
        if not os.path.lexists(link):
            os.symlink(os.path.join(st.BIN, name), link)
        return super().start(link, *args)


class Hostile(WithVerdict):
    """Whatever a name contains, the document is valid and the report keeps its lines."""
    filesystems = ("xfs",)

    def new_stage(self, session, fstype):
        return HostileStage(session.kernel, fstype, self.pages)

    def start_bystander(self, stage):
        return st.Stage.start(stage, "hold_map", stage.path)

    def path(self, stage):
        return as_text(stage.path)

    def prove(self, session, stage, log_name):
        document = session.explain(log_name, [self.truth(stage)])
        wait = verdict.wait_of(document, self.waiter.tid)
        comm = wait["task"]["comm"]
        if comm != as_text(f"w{HostileStage.COMM}"):
            raise Mismatch(f"comm is {comm!r}")
        for options in ((), ("-k",), ("-q",)):
            self.check_report(session.daxtrace(*options)[1])
        self.end_bystander()
        self.end_holders(stage, wait)
        self.proceeds(stage)

    @staticmethod
    def check_report(text):
        raw = sorted({char for char in text if char != "\n" and not char.isprintable()})
        if raw:
            raise Mismatch(f"the report contains {raw}")
        if any(line.startswith("BLOCKED  nobody") for line in text.splitlines()):
            raise Mismatch("a file name has made itself a line of the report")
        if r"\x1b" not in text:
            raise Mismatch("the report does not show what a name contains")


def as_text(name):
    """A file name as a document of valid UTF-8 has it."""
    return os.fsencode(name).decode("utf-8", "backslashreplace")


class Many(WithVerdict):
    """Many waiters, each on a file of its own, and few holders: one quick run explains all."""
    filesystems = ("xfs",)
    FILES, HOLDERS = 20, 5
    SECONDS, TRIES = 2, 3  # the other guest may have taken the machine's time

    def __init__(self):
        super().__init__("many", "truncate", [])
        self.waits = []  # (path, stat, holder, waiter)

    def stage(self, stage):
        paths = [f"{stage.path}.{number}" for number in range(self.FILES)]
        stats = {path: stage.create(path) for path in paths}
        self.bystander = self.start_bystander(stage)
        holders = {}
        for first in range(self.HOLDERS):
            held = paths[first::self.HOLDERS]
            program = stage.start("hold_pipe", held[0], self.index, *held[1:])
            holders.update(dict.fromkeys(held, program))
        for path in paths:
            waiter = stage.start("wait_op", self.op, path)
            self.waits.append((path, stats[path], holders[path], waiter))
        for *_, waiter in self.waits:
            self.asleep("waiter", waiter.tid, st.waits_for_page, self.state())
        self.waiter = self.waits[0][3]

    def truths(self, stage):
        """Nobody waits longer than the guest runs: that is all that is known about each."""
        usual = self.truth(stage)
        for path, stat, holder, waiter in self.waits:
            held = verdict.Holder("vmsplice", holder.pids(), object=holder.ready["object"])
            yield dataclasses.replace(usual, tid=waiter.tid, path=path, ino=stat.st_ino,
                                      holders=[held])

    def check_quick(self, session, stage, log_name):
        times = []
        while not times or (times[-1] > self.SECONDS and len(times) < self.TRIES):
            session.explain(log_name, list(self.truths(stage)))
            times.append(session.took)
        if times[-1] > self.SECONDS:
            raise Mismatch(f"it took {min(times):.1f} s at best")

    def prove(self, session, stage, log_name):
        self.check_quick(session, stage, log_name)
        for *_, holder, _ in self.waits:
            holder.kill()
        for path, *_, waiter in self.waits:
            if waiter.done(SOON) != (0, 0):
                raise Mismatch(f"the truncate of {path} did not proceed")
