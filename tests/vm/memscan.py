# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""I/O that waits where no device's queue shows it: held back by a cgroup, or by a target's timer."""

import os
import subprocess

import stage as st
import verdict
from hang import SOON, Scenario, Searched
from holder import AsyncIO
from stage import Mismatch, Unavailable

RAM = "/dev/ram0"


class DelayDisk(st.Stall):
    """A device-mapper target that keeps each bio for longer than any scenario takes."""
    NAME = "delay"
    PATH = f"/dev/mapper/{NAME}"
    SECONDS = 3600

    def create(self, sectors):
        if subprocess.run(["modprobe", "dm_delay"], stderr=subprocess.DEVNULL).returncode:
            raise Unavailable("this kernel has no dm-delay")
        super().create(sectors)

    def table(self, sectors):
        return f"0 {sectors} delay {self.BELOW} 0 {self.SECONDS * 1000}"

    def suspend(self):
        """Delay, also if it was suspended before."""
        st.run("dmsetup", "resume", "--noudevsync", self.NAME)

    def resume(self):
        """A delay target passes on all that it keeps when it is suspended."""
        st.run("dmsetup", "suspend", "--noudevsync", self.NAME)


class Delayed(AsyncIO):
    """Asynchronous direct I/O to a DelayDisk."""
    device = DelayDisk.PATH

    def disk(self, stage):
        stage.stalled = DelayDisk()
        stage.stalled.suspend()
        return stage.stalled.names

    def start(self, stage, index):
        self.names = self.disk(stage)
        self.program = self.submit(stage, index)

    def submit(self, stage, index, pages=1):
        if self.how == "aio":
            return stage.start("hold_aio", stage.path, index, pages, 1, self.device)
        if self.how == "io_uring":
            return stage.start("hold_uring", "write", stage.path, index, pages, self.device)
        return stage.start("hold_dio", self.how, stage.path, index, self.device)

    def truth(self):
        how = self.how if self.how in ("aio", "io_uring") else "direct_io"
        return verdict.Holder(how, {self.program.pid}, targets=self.names)


class Cgroup:
    """A cgroup that may write so little to a RAM disk that one page takes half an hour."""
    MOUNT = "/sys/fs/cgroup"
    PARENT = os.path.join(MOUNT, "vm")
    PATH = os.path.join(PARENT, "slow")

    def __init__(self):
        if not os.path.exists(os.path.join(self.MOUNT, "cgroup.procs")):
            st.run("mount", "-t", "cgroup2", "none", self.MOUNT)
        os.makedirs(self.PARENT, exist_ok=True)
        for path in (self.MOUNT, self.PARENT):
            self.write(path, "cgroup.subtree_control", "+io")
        os.makedirs(self.PATH, exist_ok=True)
        device = os.stat(RAM).st_rdev
        self.device = f"{os.major(device)}:{os.minor(device)}"
        self.limit("2")

    @staticmethod
    def write(path, name, text):
        with open(os.path.join(path, name), "w", encoding="ascii") as file:
            file.write(text)

    def limit(self, bytes_per_second):
        try:
            self.write(self.PATH, "io.max",
                       f"{self.device} wbps={bytes_per_second} rbps={bytes_per_second}")
        except OSError as error:
            raise Unavailable(f"no io.max: {error.strerror}") from None

    def resume(self):
        self.limit("max")

    @property
    def name(self):
        return self.PATH.removeprefix(self.MOUNT)

    def started_by(self):
        """What starts a program in it."""
        return ("sh", "-c", f'echo $$ >{self.PATH}/cgroup.procs; exec "$@"', "sh")


class Throttled(Delayed):
    """Direct I/O of a task whose cgroup has used up what io.max allows."""
    device = RAM

    def disk(self, stage):
        stage.stalled = Cgroup()
        return ("ram0", RAM, stage.stalled.device)

    def start(self, stage, index):
        self.names = self.disk(stage)
        usual, stage.started_by = stage.started_by, stage.stalled.started_by()
        try:
            self.program = self.submit(stage, index)
        finally:
            stage.started_by = usual


class HeldByCgroup(Scenario):
    """The verdict says which cgroup's limit it is; without it the I/O goes on."""

    def prove(self, session, stage, log_name):
        wait = None
        if session.tool:
            truth = self.truth(stage)
            document = session.explain(log_name, [truth])
            wait = verdict.wait_of(document, truth.tid)
            self.check_cgroup(document, wait, stage.stalled.name)
        self.end_bystander()
        self.end_holders(stage, wait)
        self.proceeds(stage)

    @staticmethod
    def check_cgroup(document, wait, name):
        texts = [holder.get("detail") or "" for holder in wait["holders"]]
        if not any(f"io.max of cgroup {name} holds it back" in text for text in texts):
            raise Mismatch(f"the limit of cgroup {name} is not named: {texts}")
        advice = [advice["do"] for finding in document["findings"]
                  if wait["id"] in finding["waits"] for advice in finding["advice"]]
        if not any(f"io.max of cgroup {name} for ram0" in text for text in advice):
            raise Mismatch(f"the limit of cgroup {name} is not to be raised: {advice}")


class AmongFreed(Searched):
    """The same page was under I/O before, of tasks that live on: freed bios name it still."""
    ROUNDS = 4

    def stage(self, stage):
        for number in range(self.ROUNDS):
            self.old_io(stage, number)
        super().stage(stage)

    def old_io(self, stage, number):
        first = self.index - number % 2
        for program in (stage.start("hold_aio", stage.path, first, 2, 8, RAM),
                        stage.start("hold_aio", "--read", stage.path, first, 2, 8, RAM),
                        stage.start("hold_uring", "write", stage.path, self.index, 1, RAM),
                        stage.start("hold_uring", "read", stage.path, self.index, 1, RAM)):
            if program.done(SOON) is None:
                raise Mismatch(f"the I/O of {program.name} does not end")


class Unsearched(Scenario):
    """Without the search nothing is known, and nobody may be named."""

    def unsearched(self, stage):
        truth = self.truth(stage)
        truth.holders, truth.unseen = [], 1
        return truth

    def prove(self, session, stage, log_name):
        if session.tool:
            session.explain(log_name, [self.unsearched(stage)], "--search=off")
        self.end_bystander()
        self.end_holders(stage, None)
        self.proceeds(stage)


def memscan():
    """Where only limits and timers hold bios back."""
    one = {"filesystems": ("ext4",)}
    return [Searched(f"delay-{how}", "truncate", [Delayed(how)], **one)
            for how in ("pwrite", "aio", "io_uring")] + \
        [HeldByCgroup(f"iomax-{how}", "truncate", [Throttled(how)], **one)
         for how in ("pwrite", "aio", "io_uring")] + \
        [AmongFreed("freed-bios", "truncate", [Delayed("aio")], filesystems=("ext4",)),
         Unsearched("unsearched", "truncate", [Delayed("aio")], filesystems=("xfs",))]
