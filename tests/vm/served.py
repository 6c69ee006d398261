# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""Block devices that a task of this machine serves, which then does not answer."""

import os
import subprocess

import devices
import stage as st
import verdict
from calls import Fuse
from hang import SOON
from holder import DirectIO
from stage import Mismatch, Unavailable


class Served(DirectIO):
    """Direct I/O to such a device."""
    MODULES = {"nbd": ("nbd", "nbds_max=1", "max_part=0"), "ublk": ("ublk_drv",)}

    def kind(self):
        return self.call[0].partition("-")[0]

    def start(self, stage, index):
        module = self.MODULES[self.kind()]
        if subprocess.run(["modprobe", "-q", *module]).returncode:
            raise Unavailable(f"this kernel has no {module[0]}")
        st.run("ip", "link", "set", "lo", "up")
        if self.kind() == "nbd":
            stage.at_end.append(self.disconnect)
        self.program = stage.start("hold_served", *self.call, stage.path, index)

    @staticmethod
    def disconnect():
        """5.10 fails the I/O of a server that has ended half a minute later, or when told so."""
        subprocess.run(["nbd-client", "-d", devices.Nbd.PATH], stdout=subprocess.DEVNULL,
                       stderr=subprocess.DEVNULL)

    def truth(self):
        server = self.program.ready["server"]
        return verdict.Holder(self.how, {self.program.pid},
                              targets=(f"({self.kind()} server hold_served[{server}])",))

    def end(self, stage, pids, still_asleep):
        self.program.tell("answer")
        if self.program.done(SOON) != (st.PAGE, 0):
            raise Mismatch("the direct I/O did not complete once its server answered")


class LoopOver(DirectIO):
    """Direct I/O to a loop device over the very file that the page is of."""
    PATH = "/dev/loop0"

    def __init__(self):
        super().__init__("pwrite")
        self.path = None

    def start(self, stage, index):
        st.run("modprobe", "loop")
        st.run("losetup", self.PATH, stage.path)
        self.path = stage.path
        stage.at_end.append(lambda: st.run("losetup", "-d", self.PATH))

    def submit(self, stage, index):
        self.program = stage.start("hold_dio", *self.call, stage.path, index, self.PATH)

    @staticmethod
    def worker():
        """The thread that writes to the file, once it sleeps."""
        found = [pid for pid in map(int, filter(str.isdigit, os.listdir("/proc")))
                 if st.state(pid) == "D" and "[loop]" in st.read_proc(pid, "stack")]
        return found[0] if len(found) == 1 else 0

    def truth(self):
        return verdict.Holder(self.how, {self.program.pid}, targets=(f"loop0 over {self.path}",))


class MappedBy:
    """The page in the page table of a program that holds it in another way, too."""

    def __init__(self, holder):
        self.program, self.frees_by_bio = holder.program, holder.frees_by_bio

    def truth(self):
        return verdict.Holder("mapping", {self.program.pid}, ("exact", "likely"))


class LoopOverFuse(Fuse):
    """A read with O_DIRECT from a loop device over a file of FUSE."""
    frees_by_bio = True
    how = "direct_io"

    def __init__(self):
        super().__init__("loop")

    def start(self, stage, index):
        st.run("modprobe", "loop")
        super().start(stage, index)

    def truth(self):
        return verdict.Holder(self.how, {self.program.pid},
                              targets=(f"loop0 over {self.DIRECTORY}/file",))
