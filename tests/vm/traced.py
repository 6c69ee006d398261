# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""Waits that only hooks see: looks are so far apart that none falls between beginning and end."""

import json
import os
import signal
import subprocess
import time

import stage as st
import verdict
from hang import INDEX, SOON, Scenario
from holder import PipeHolder
from operations import SpinningInto
from stage import Mismatch, Unavailable

FAR_APART = "1h"
SECOND = 1000000000
SECOND_INDEX = 9
WAITS = 8  # events of which no more than half fit into 4 KiB


def mono_ns():
    return time.clock_gettime_ns(time.CLOCK_MONOTONIC)


class Watch:
    """A daxtrace that looks once at its start and once when it is told to stop."""

    def __init__(self, session, *options, interval=FAR_APART):
        self.before = st.bpf_objects()
        self.process = subprocess.Popen(
            [session.tool, "-J", "-k", "-d", "1h", "--interval", interval, *options],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            encoding="utf-8")

    def __enter__(self):
        return self

    def attached(self):
        return "link" in [kind for kind, _ in st.bpf_objects() - self.before]

    def hooked(self):
        """Wait for the end of the first look: then it sleeps until a signal or its next look."""
        def looked():
            return self.process.poll() is not None or \
                "sigtimedwait" in st.read_proc(self.process.pid, "stack")
        if not st.poll(looked, 8 * st.PATIENCE) or not self.attached():
            raise Unavailable(f"no hooks: {self.missing()}")
        return self

    def missing(self):
        status, out, errors = self.end()
        if not out:
            raise Mismatch(f"status {status}: {errors}")
        return [probe for probe in json.loads(out)["coverage"]["probes"]
                if probe["state"] == "missing"]

    def end(self):
        """Status, document as text and errors."""
        self.process.send_signal(signal.SIGINT)
        out, errors = self.process.communicate(timeout=8 * st.PATIENCE)
        return self.process.returncode, out, errors

    def stop(self):
        """Its document."""
        status, out, errors = self.end()
        if status != 0:
            raise Mismatch(f"status {status}: {errors}")
        return json.loads(out)

    def must_be_gone(self, *kinds):
        """The kernel may take its time, but nothing stays."""
        if not st.poll(lambda: not st.bpf_left(self.before, *kinds)):
            raise Mismatch(f"the watch left {st.bpf_left(self.before, *kinds)}")

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.process.kill()
            self.process.communicate()


def check(what, found, wanted):
    if found != wanted:
        raise Mismatch(f"{what}: {found!r}, not {wanted!r}")


class Times:
    """What the scenario itself knows of a wait: bounds of its beginning and end."""

    def __init__(self):
        self.from_ns, self.asleep_ns = mono_ns(), None
        self.let_go_ns = self.to_ns = None

    def check(self, end):
        began, ended = end["began_mono_ns"], end["ended_mono_ns"]
        if not self.from_ns:
            check("beginning", began, None)
            self.from_ns = began = self.asleep_ns
        elif round(end["waited_s"], 6) != round((ended - began) / SECOND, 6):
            raise Mismatch(f"waited_s {end['waited_s']}, but from {began} to {ended}")
        if not self.from_ns <= began <= self.asleep_ns <= self.let_go_ns <= ended <= self.to_ns:
            raise Mismatch(f"it was told from {began} to {ended}, but began between {self.from_ns} "
                           f"and {self.asleep_ns} and ended between {self.let_go_ns} and "
                           f"{self.to_ns}")


class Traced(Scenario):
    """Waits that end by themselves, by a signal, and after another page; then the losses."""

    def __init__(self, **settings):
        super().__init__("traced", "truncate", [PipeHolder()], **settings)

    def stage(self, stage):
        self.bystander = self.start_bystander(stage)

    def truth(self, stage):
        return None

    def prove(self, session, stage, log_name):
        holders = self.hold(stage)
        waiter, early = self.begin(stage)
        with Watch(session).hooked() as watch:
            self.finish(waiter, early, holders, self.let_go)
            wanted = [(waiter, early, "done", 1),
                      (*self.one_wait(stage, self.let_go), "done", 1),
                      (*self.one_wait(stage, self.interrupt), "interrupted", 1),
                      (*self.one_wait(stage, self.let_go_twice, (INDEX, SECOND_INDEX)), "done", 2)]
            document = watch.stop()
            watch.must_be_gone()
        self.save(session, log_name, document)
        early.from_ns = None  # it began before there were hooks
        self.check_ends(document, stage, wanted)
        self.killed_watch(session, stage)

    @staticmethod
    def save(session, log_name, document):
        with open(os.path.join(session.out, f"{log_name}.json"), "w", encoding="utf-8") as file:
            json.dump(document, file, indent=1)

    @staticmethod
    def hold(stage, *indexes):
        """The file may have been truncated before; on XFS this waits for pages that are held."""
        with open(stage.path, "r+b") as file:
            os.posix_fallocate(file.fileno(), 0, stage.pages * st.PAGE)
        return [stage.start("hold_pipe", stage.path, index) for index in indexes or (INDEX,)]

    def begin(self, stage):
        times = Times()
        waiter = self.start_waiter(stage)
        self.asleep("waiter", waiter.tid, st.waits_for_page, "S")
        times.asleep_ns = mono_ns()
        return waiter, times

    @staticmethod
    def finish(waiter, times, holders, end):
        times.let_go_ns = mono_ns()
        end(waiter, holders)
        times.to_ns = mono_ns()
        for holder in holders:
            holder.kill()
            holder.ended(SOON)

    def one_wait(self, stage, end, indexes=(INDEX,)):
        """The waiter and when it waited; it is let go by end()."""
        holders = self.hold(stage, *indexes)
        waiter, times = self.begin(stage)
        self.finish(waiter, times, holders, end)
        return waiter, times

    @staticmethod
    def let_go(waiter, holders):
        holders[0].kill()
        if waiter.done(SOON) != (0, 0):
            raise Mismatch("the truncate did not proceed")

    @staticmethod
    def interrupt(waiter, _):
        os.kill(waiter.pid, signal.SIGTERM)
        if not waiter.ended(SOON):
            raise Mismatch("SIGTERM did not end the waiter")

    def let_go_twice(self, waiter, holders):
        """It waits for the first page of the file that is busy, then for the next."""
        holders[0].kill()
        holders[0].ended(SOON)
        time.sleep(0.3)
        self.asleep("waiter", waiter.tid, st.waits_for_page, "S")
        self.let_go(waiter, holders[1:])

    @staticmethod
    def check_ends(document, stage, wanted):
        check("losses", document["coverage"]["losses"], [])
        check("source", document["source"]["trace"], True)
        ends = document["ended"]
        check("tids", [end["tid"] for end in ends], [waiter.tid for waiter, *_ in wanted])
        for end, (_, times, result, pages) in zip(ends, wanted):
            if result == "interrupted" and Traced.misses_signals(document):
                check("result", end["result"], None)
            else:
                times.check(end)
                check("result", end["result"], result)
            check("pages", end["pages_waited"], pages)
            check("operation", end["op"], "truncate")
            check("path", end["path"], stage.path)
            check("inode", end["ino"], stage.stat.st_ino)
            if end["began_mono_ns"] and "do_truncate" not in " ".join(end["kstack"]):
                raise Mismatch(f"where it began is told as {end['kstack']}")
            if not end["began_mono_ns"] and "truncate" not in " ".join(end["ustack"]):
                raise Mismatch(f"a look saw it asleep, and its user stack is {end['ustack']}")

    @staticmethod
    def misses_signals(document):
        """A kernel whose modules have no BTF, and that cannot unwind through a kretprobe."""
        return any(probe["state"] == "missing" for probe in document["coverage"]["probes"]
                   if probe["name"].startswith("hook: wait ends"))

    def killed_watch(self, session, stage):
        """In the middle of a wait; that goes on as if nobody had looked."""
        holder, = self.hold(stage)
        with Watch(session).hooked() as watch:
            waiter = self.start_waiter(stage)
            self.asleep("waiter", waiter.tid, st.waits_for_page, "S")
            ours = st.bpf_objects() - watch.before
            self.bpftool_shows(ours, True)
            watch.process.kill()
            watch.process.wait()
            watch.must_be_gone()
            self.bpftool_shows(ours, False)
        for kind in ("kprobe_events", "uprobe_events"):
            self.nothing_in(f"/sys/kernel/tracing/{kind}")
        self.nothing_in("/sys/fs/bpf")
        self.asleep("waiter", waiter.tid, st.waits_for_page, "S")
        self.let_go(waiter, [holder])

    @staticmethod
    def bpftool_shows(ours, still):
        """What an administrator sees of these objects."""
        for word, kind in {"prog": "program", "link": "link"}.items():
            ids = {number for other, number in ours if other == kind}
            check(f"bpftool {word} show", st.bpftool_ids(word) & ids, ids if still else set())

    @staticmethod
    def nothing_in(path):
        if os.path.isdir(path):
            left = os.listdir(path)
        elif os.path.exists(path):
            with open(path, encoding="utf-8") as file:
                left = file.read()
        else:
            left = ""
        if left:
            raise Mismatch(f"{path} has {left!r}")


class Lost(Traced):
    """Each way to lose a record; the counts are exact."""

    def __init__(self, **settings):
        super().__init__(**settings)
        self.holder = "traced-lost"

    def prove(self, session, stage, log_name):
        other = f"{stage.path}.other"
        stage.create(other)
        with Watch(session, "--ringbuf-size", "4K", "--max-waits", "1").hooked() as watch:
            for _ in range(WAITS):
                self.one_wait(stage, self.let_go)
            holders = [*self.hold(stage), stage.start("hold_pipe", other, INDEX)]
            waiters = []
            for path in (stage.path, other):
                waiters.append(stage.start("wait_op", self.op, path))
                self.asleep("waiter", waiters[-1].tid, st.waits_for_page, "S")
            document = watch.stop()
        self.save(session, log_name, document)
        self.check_losses(document)
        # the second one finds the map full; it is told all the same, as a look sees it
        check("waits", {wait["task"]["tid"]: bool(wait["began_mono_ns"])
                        for wait in document["waits"]},
              {waiters[0].tid: True, waiters[1].tid: False})
        for waiter, holder in zip(waiters, holders):
            self.let_go(waiter, [holder])

    @staticmethod
    def check_losses(document):
        """Each wait has two events; what came of those that were kept is told."""
        kept = sum(bool(end["kstack"]) + bool(end["result"]) for end in document["ended"])
        losses = {loss["where"]: loss["count"] for loss in document["coverage"]["losses"]}
        events = losses.pop("trace events (ring buffer full)", 0)
        check("other losses", losses, {"traced waits (map full)": 1})
        # of the long wait the beginning is no end yet: it is lost with the others
        if not kept or events != 2 * WAITS + 1 - kept:
            raise Mismatch(f"{events} events lost and {kept} kept of {WAITS} waits")


class Freed(Traced):
    """A truncate that does not wait, of a file that nobody maps: it frees a page under a pin."""

    def __init__(self, **settings):
        super().__init__(**settings)
        self.holder = "traced-freed"

    def unavailable(self, session, fstype):
        if session.kernel.page_counts_from_zero:
            return "a kernel with dax_break_layout() waits for such a page"
        return super().unavailable(session, fstype)

    def stage(self, stage):
        pass  # a bystander that maps the file would make the truncate wait

    def prove(self, session, stage, log_name):
        with Watch(session).hooked() as watch:
            holder = stage.start("hold_pipe", "--unmap", stage.path, INDEX)
            since = mono_ns()
            waiter = self.start_waiter(stage)
            if waiter.done(SOON) != (0, 0):
                raise Mismatch("the truncate waited")
            until = mono_ns()
            document = watch.stop()
        self.save(session, log_name, document)
        freed, = document["freed"]
        for key, wanted in {"op": "truncate", "tid": waiter.tid, "comm": "wait_op",
                            "path": stage.path, "ino": stage.stat.st_ino, "index": INDEX,
                            "pages": 1, "block": True}.items():
            check(key, freed[key], wanted)
        if not since <= freed["mono_ns"] <= until:
            raise Mismatch(f"it was freed between {since} and {until}, not at {freed['mono_ns']}")
        self.check_finding(document, holder)

    @staticmethod
    def check_finding(document, holder):
        finding, = [finding for finding in document["findings"]
                    if finding["code"] == "UNPROTECTED_FREE"]
        for word in (f"[{holder.pid}]", "wait_op["):
            if word not in finding["text"]:
                raise Mismatch(f"{word} is not in {finding['text']!r}")


class LateModule(Traced):
    """
    The filesystem's module is loaded while there are hooks already: those on its functions come with
    the next look. Without them the end of a wait that a signal ends would have no result.
    """
    filesystems = ("xfs",)

    def __init__(self):
        super().__init__()
        self.holder = "traced-late-module"

    def unavailable(self, session, fstype):
        if session.kernel.page_counts_from_zero:
            return "a kernel with dax_break_layout() has no hook in a module"
        if not os.path.exists(f"/sys/kernel/btf/{fstype}"):
            return "modules have no BTF here, and kretprobes stop the unwinding of stacks"
        return super().unavailable(session, fstype)

    def run(self, session, fstype):
        try:
            super().run(session, fstype)
        finally:
            if not os.path.ismount(st.mount_point(fstype)):
                st.mount(fstype)

    def stage(self, stage):
        if "link" in [kind for kind, _ in st.bpf_objects()]:
            raise Unavailable("hooks of another watch keep the module")
        st.run("umount", st.mount_point(stage.fstype))
        st.run("modprobe", "-r", stage.fstype)

    def prove(self, session, stage, log_name):
        with Watch(session, interval="500ms").hooked() as watch:
            before = st.bpf_objects()
            st.mount(stage.fstype)
            if not st.poll(lambda: "link" in [kind for kind, _ in st.bpf_objects() - before]):
                raise Mismatch(f"no hook in the module: {watch.missing()}")
            waiter, _ = self.one_wait(stage, self.interrupt)
            document = watch.stop()
        self.save(session, log_name, document)
        end, = document["ended"]
        check("end", (end["tid"], end["result"]), (waiter.tid, "interrupted"))


class Spins(SpinningInto):
    """
    A reflink that spins is a wait: with its beginning and its end. Hooks are attached before and taken
    away afterwards, as both may wait for a task that does not leave the kernel (RCU tasks): a watch
    that comes later does not even try.
    """
    RECORDING = "/run/spins.dxt"

    def __init__(self):
        super().__init__("traced-spinning", "reflink", [PipeHolder()])

    def stage(self, stage):
        self.source = self.create_source(stage)
        self.try_unpinned(stage)

    def told(self, session):
        """The wait in the recording, once a look saw it spin."""
        document = json.loads(session.daxtrace("-J", "-r", self.RECORDING)[1] or '{"waits": []}')
        wait = verdict.wait_of(document, self.waiter.tid)
        return wait if wait and wait["spins"] else None

    def late_watch(self, session):
        document = json.loads(session.daxtrace("-J", "-d", "1s")[1])
        wait = verdict.wait_of(document, self.waiter.tid)
        check("late watch", (wait["spins"], wait["op"]), (True, "reflink"))
        check("late hooks", document["source"]["trace"], False)

    def prove(self, session, stage, log_name):
        holder = stage.start("hold_pipe", stage.path, INDEX)
        with Watch(session, "-w", self.RECORDING, interval="500ms").hooked() as watch:
            since = mono_ns()
            self.waiter = self.start_waiter(stage)
            self.asleep("waiter", self.waiter.tid, None, "R")
            until = mono_ns()
            wait = st.poll(lambda: self.told(session), 2 * st.PATIENCE)
            if not wait or wait["op"] != "reflink":
                raise Mismatch(f"the spinning reflink is told as {wait}")
            if not since <= wait["began_mono_ns"] <= until:
                raise Mismatch(f"it began between {since} and {until}, not {wait['began_mono_ns']}")
            self.late_watch(session)
            holder.kill()
            self.proceeds(stage)
            end, = watch.stop()["ended"]
        check("end", (end["tid"], end["op"], end["result"]), (self.waiter.tid, "reflink", "done"))


def traced():
    """On one filesystem where it does not matter to the hooks which one it is."""
    return [Traced(), Lost(filesystems=("ext4",)), Freed(), LateModule(), Spins()]
