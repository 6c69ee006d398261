# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""Every operation that can wait for a page, and every task that can be the one that waits."""

import dataclasses
import os
import shutil
import signal
import time

import stage as st
import verdict
from cures import Cure
from hang import HUGE_INDEX, HUGE_PAGES, SOON, STILL_ASLEEP, Eviction, Scenario
from holder import PipeHolder
from reflinks import CANNOT, IntoPinned, Reflinked, write_all
from stage import Mismatch, Unavailable


def waiting(pids):
    """Threads of the processes that sleep for a page."""
    return [int(tid) for pid in pids if os.path.isdir(f"/proc/{pid}/task")
            for tid in os.listdir(f"/proc/{pid}/task") if st.waits_for_page(tid)]


class Grow(Scenario):
    """A truncate behind the page, by which the file grows, waits for it all the same."""

    def truth(self, stage):
        return dataclasses.replace(super().truth(stage), ops=("truncate",))


class Worker(Scenario):
    """The operation is done by a worker of io_uring: it has no system call."""
    OPS = {"ftruncate": ("truncate",), "unlink": ("evict",), "close": ("evict",)}
    TRIGGERS = {"unlink": "unlink", "close": "last_close"}

    def __init__(self, op, *holders, holder="io-worker", **settings):
        super().__init__(holder, op, list(holders), **settings)

    def state(self):
        return "D" if self.op in self.TRIGGERS else "S"

    def start_waiter(self, stage):
        program = stage.start("wait_uring", self.op, stage.path)
        result = program.done(STILL_ASLEEP)
        if result and result[1] in CANNOT:
            raise Unavailable(f"no {self.op} by io_uring on this kernel")
        found = st.poll(lambda: waiting([program.pid]), SOON)
        if not found:
            raise Mismatch(f"no worker waits for the page, the result is {result}")
        program.ready["tid"] = found[0]
        return program

    def truth(self, stage):
        return dataclasses.replace(super().truth(stage), ops=self.OPS.get(self.op, (self.op,)),
                                   trigger=self.TRIGGERS.get(self.op))

    def path(self, stage):
        return None if self.op in self.TRIGGERS else stage.path

    def deleted(self):
        return self.op in self.TRIGGERS


class WorkerInterrupted(Worker, Cure):
    """The worker takes no signal, but one that ends its process ends the wait."""
    cure = "kill -INT {pid}"

    def prove(self, session, stage, log_name):
        Cure.prove(self, session, stage, log_name)
        if not self.waiter.ended(SOON):
            raise Mismatch("the process of the worker did not end")


class WorkerEvicts(Worker):
    file_of_bystander = Eviction.file_of_bystander

    def proceeds(self, stage):
        """A close may be reported before the file is gone."""
        if not st.poll(lambda: not st.waits_for_page(self.waiter.tid), SOON):
            raise Mismatch("the worker still sleeps although the holder has ended")


class Stopped(Scenario):
    """A waiter that is stopped waits for nothing; continued, it waits again."""

    def prove(self, session, stage, log_name):
        os.kill(self.waiter.pid, signal.SIGSTOP)
        self.asleep("waiter", self.waiter.tid, st.state, "T")
        if session.tool:
            session.explain(log_name, [])
        os.kill(self.waiter.pid, signal.SIGCONT)
        self.asleep("waiter", self.waiter.tid, st.waits_for_page, self.state())
        super().prove(session, stage, log_name)


class OverlayStage(st.Stage):
    """The file is in the upper directory of an overlay."""
    POINT = "/run/overlay"

    def __init__(self, kernel, fstype, name, pages):
        self.layers = os.path.join(st.mount_point(fstype), f"{name}.layers")
        super().__init__(kernel, fstype, name, pages, os.path.join(self.layers, "upper"))

    def merged(self):
        return os.path.join(self.POINT, os.path.basename(self.path))

    def __enter__(self):
        for name in ("lower", "upper", "work"):
            os.makedirs(os.path.join(self.layers, name))
        os.makedirs(self.POINT, exist_ok=True)
        stage = super().__enter__()
        options = ",".join(f"{name}dir={self.layers}/{name}" for name in ("lower", "upper", "work"))
        st.run("mount", "-t", "overlay", "-o", options, "overlay", self.POINT)
        return stage

    def __exit__(self, *args):
        super().__exit__(*args)
        st.run("umount", self.POINT)
        shutil.rmtree(self.layers)


class Overlay(Scenario):
    """A waiter in a container: it knows the file by its name in an overlay and has other pids."""
    CONTAINER = ("unshare", "--mount", "--pid", "--fork")
    filesystems = ("ext4",)

    def new_stage(self, session, fstype):
        return OverlayStage(session.kernel, fstype, self.name.replace("/", "."), self.pages)

    def start_waiter(self, stage):
        program = st.Program("wait_op", self.op, stage.merged(), by=self.CONTAINER)
        stage.programs.append(program)
        return program.wait_ready()


class BothTruncated(Reflinked):
    """Two waiters for one page: it belongs to two files, and both are truncated."""

    def __init__(self, *args):
        super().__init__(*args)
        self.second = None

    def stage(self, stage):
        super().stage(stage)
        clone = stage.files[-1]
        stage.start("hold_map", "--read", clone)
        self.second = stage.start("wait_op", self.op, clone)
        self.asleep("second waiter", self.second.tid, st.waits_for_page, self.state())

    def prove(self, session, stage, log_name):
        wait = None
        if session.tool:
            first, clone = self.truth(stage), stage.files[-1]
            second = dataclasses.replace(first, tid=self.second.tid, path=clone,
                                         ino=os.stat(clone).st_ino)
            wait = verdict.wait_of(session.explain(log_name, [first, second]), first.tid)
        self.end_bystander()
        self.end_holders(stage, wait)
        self.proceeds(stage)
        if self.second.done(SOON) != (0, 0):
            raise Mismatch("the second waiter did not proceed")


class Evicted(Eviction):
    """The last reference to an inode goes in some way."""
    TRIGGERS = {"rename": "unlink", "munmap": "last_close", "close": "last_close",
                "gc": "last_close", "exit": "exit", "drop_caches": "shrinker",
                "allocate": "shrinker",
                "detach": "umount", "namespace": "umount", "unbind": "device_removal"}
    OPS = {"drop_caches": ("reclaim",), "allocate": ("reclaim",), "detach": ("umount",), "namespace": ("umount",)}

    def __init__(self, op):
        super().__init__("evict", op, [PipeHolder("--close")], needs_counts_from_zero=True)

    def state(self):
        return "D"

    def start_waiter(self, stage):
        program = stage.start("wait_evict", self.op, self.argument(stage))
        program.tell("go")
        return program

    def argument(self, stage):
        return stage.path

    def truth(self, stage):
        return dataclasses.replace(super().truth(stage), ops=self.OPS.get(self.op, ("evict",)),
                                   trigger=self.TRIGGERS[self.op])

    def path(self, stage):
        return None

    def deleted(self):
        return self.TRIGGERS[self.op] in ("unlink", "last_close", "exit")


class Exits(Evicted):
    """The waiter is exiting: what ends the wait ends the task."""

    def proceeds(self, stage):
        if not self.waiter.ended(SOON):
            raise Mismatch("the waiter does not exit although the holder has ended")


class Collected(Evicted):
    """A worker of the kernel puts the file, as it was in flight in a socket that is garbage."""

    def start_waiter(self, stage):
        program = super().start_waiter(stage)
        found = st.poll(lambda: waiting(filter(str.isdigit, os.listdir("/proc"))), SOON)
        if not found:
            raise Mismatch("no task waits for the page")
        program.ready["tid"] = found[0]
        return program

    def proceeds(self, stage):
        if not st.poll(lambda: not st.waits_for_page(self.waiter.tid), SOON):
            raise Mismatch("the worker still sleeps although the holder has ended")


class BystanderElsewhere:
    """For scenarios on a filesystem of their own: the bystander must be on another one."""

    def file_of_bystander(self, stage):
        path = os.path.join(st.mount_point(stage.fstype), f"{self.name.replace('/', '.')}.other")
        stage.create(path)
        return path


class UnmountedStage(st.SpareStage):
    """On a spare filesystem that the scenario unmounts."""

    def umount(self):
        if st.is_mounted(self.POINT):
            super().umount()


class Detached(BystanderElsewhere, Evicted):
    """A lazy umount, of which the last close does the work."""
    filesystems = ("xfs",)

    def new_stage(self, session, fstype):
        return UnmountedStage(session.kernel, fstype, self.name.replace("/", "."), self.pages)

    def argument(self, stage):
        return stage.POINT


class LastOfNamespace(BystanderElsewhere, Exits):
    """The last task of a mount namespace takes its mounts along."""
    filesystems = ("ext4",)
    new_stage = Detached.new_stage
    argument = Detached.argument

    def start_waiter(self, stage):
        program = stage.start("wait_evict", self.op, stage.POINT)
        stage.umount()
        program.tell("go")
        return program


class UnboundStage(UnmountedStage):
    """The device of the filesystem goes away; afterwards it is made to come back."""
    DRIVER = "/sys/bus/nd/drivers/nd_pmem"

    def __init__(self, *args):
        super().__init__(*args)
        self.device = None

    def mount(self, device=st.SPARE_DEVICE):
        where = os.path.realpath(f"/sys/class/block/{os.path.basename(device)}/device")
        self.device = os.path.basename(where)
        super().mount(device)

    def umount(self):
        super().umount()
        if not os.path.exists(st.SPARE_DEVICE):
            with open(f"{self.DRIVER}/bind", "w", encoding="ascii") as file:
                file.write(self.device)
            st.poll(lambda: os.path.exists(st.SPARE_DEVICE))


class Unbound(BystanderElsewhere, Evicted):
    """The driver of the device is unbound under a mounted filesystem."""
    filesystems = ("xfs",)

    def new_stage(self, session, fstype):
        return UnboundStage(session.kernel, fstype, self.name.replace("/", "."), self.pages)

    def argument(self, stage):
        return f"{stage.DRIVER}/unbind:{stage.device}"


class PerInodeStage(st.SpareStage):
    """On a filesystem where each inode says whether it uses DAX."""

    def mount(self, device=st.SPARE_DEVICE):
        os.makedirs(self.POINT, exist_ok=True)
        st.make_ext4(device)
        st.run("mount", "-o", "dax=inode", device, self.POINT)
        st.run("xfs_io", "-c", "chattr +x", self.POINT)


class Shrinker(BystanderElsewhere, Evicted):
    """Memory reclaim drops the last name of an inode from the dentry cache."""
    filesystems = ("ext4",)

    def new_stage(self, session, fstype):
        return PerInodeStage(session.kernel, fstype, self.name.replace("/", "."), self.pages)


class SpinningInto(IntoPinned):
    """
    The other way round the kernel does not sleep but looks at the page again and again, and not
    even SIGKILL ends that.
    """

    def create_source(self, stage):
        """The two files may have to change names for the pinned one to have the higher number."""
        source = f"{stage.path}.source"
        if stage.create(source).st_ino > stage.stat.st_ino:
            os.rename(source, f"{source}.moved")
            os.rename(stage.path, source)
            os.rename(f"{source}.moved", stage.path)
            stage.stat = os.stat(stage.path)
        write_all(source, stage.pages)
        return source

    def state(self):
        return "R"

    def asleep(self, what, tid, test, state):
        """It is never seen asleep, and takes CPU time in the kernel alone."""
        before = kernel_ticks(tid)
        if not st.poll(lambda: kernel_ticks(tid) > before + 10, SOON):
            raise Mismatch(f"{what} {tid} does not spin, it is {st.state(tid)!r}")

    def still_asleep(self, after):
        before = kernel_ticks(self.waiter.tid)
        time.sleep(STILL_ASLEEP)
        if kernel_ticks(self.waiter.tid) <= before:
            raise Mismatch(f"the waiter moved on after {after}")

    def end_bystander(self):
        super().end_bystander()
        self.waiter.process.kill()
        self.still_asleep("SIGKILL")

    def proceeds(self, stage):
        if not self.waiter.ended(SOON):
            raise Mismatch("the waiter still spins although the holder has ended")


def kernel_ticks(tid):
    """CPU time that a task has spent in the kernel, in ticks of 10 ms."""
    fields = st.read_proc(tid, "stat").rpartition(") ")[2].split()
    return int(fields[12]) if fields else 0


def operations():
    """Fresh scenarios."""
    late = {"needs_counts_from_zero": True}
    found = [Grow("vmsplice", "grow", [PipeHolder()]),
             Scenario("vmsplice-huge", "collapse_range", [PipeHolder()], index=HUGE_INDEX,
                      pages=HUGE_PAGES),
             Scenario("vmsplice", "madvise", [PipeHolder()], index=2, filesystems=("ext4",)),
             Scenario("vmsplice", "unresvsp", [PipeHolder()], index=2, filesystems=("ext4",)),
             Stopped("stopped", "truncate", [PipeHolder()], filesystems=("ext4",)),
             Overlay("overlay", "truncate", [PipeHolder()]),
             BothTruncated("reflinked-both", "truncate", [PipeHolder("--read")]),
             WorkerInterrupted("punch_hole", PipeHolder(), holder="io-worker-int",
                               filesystems=("xfs",))]
    found += [Worker(op, PipeHolder()) for op in
              ("ftruncate", "punch_hole", "zero_range", "collapse_range", "insert_range",
               "open_trunc")]
    found += [WorkerEvicts(op, PipeHolder("--close"), **late) for op in ("unlink", "close")]
    found += [SpinningInto("spinning", op, [PipeHolder()])
              for op in ("reflink", "dedupe", "exchange")]
    found += [Evicted(op) for op in ("close", "munmap", "rename")]
    return found + [Exits("exit"), Collected("gc"), Shrinker("drop_caches"), Detached("detach"),
                    LastOfNamespace("namespace"), Unbound("unbind")]
