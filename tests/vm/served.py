# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""Block devices that a task of this machine serves, which then does not answer."""

import os
import subprocess

import devices
import stage as st
import verdict
from calls import Fuse
from hang import SOON
from holder import DirectIO, PipeHolder
from stage import Mismatch, Unavailable


class Served(DirectIO):
    """Direct I/O to such a device."""
    MODULES = {"nbd": ("nbd", "nbds_max=1", "max_part=0"), "ublk": ("ublk_drv",)}

    def kind(self):
        return self.call[0].partition("-")[0]

    def start(self, stage, index):
        self.load(self.kind())
        st.run("ip", "link", "set", "lo", "up")
        if self.kind() == "nbd":
            stage.at_end.append(self.disconnect)
        self.program = stage.start("hold_served", *self.call, stage.path, index)

    @classmethod
    def load(cls, kind):
        module = cls.MODULES[kind]
        if subprocess.run(["modprobe", "-q", *module]).returncode:
            raise Unavailable(f"this kernel has no {module[0]}")

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


class JournalStage(st.SpareStage):
    """On a filesystem that has its journal on such a device."""

    def __init__(self, *args):
        super().__init__(*args)
        self.server = None

    def mount(self, device=st.SPARE_DEVICE):
        Served.load("nbd")
        self.server = self.start("hold_served", "nbd", self.path)
        self.at_end.append(Served.disconnect)
        journal = self.server.ready["device"]
        st.run(*st.MKFS_EXT4, "-O", "journal_dev", journal)
        st.run(*st.MKFS_EXT4, "-J", f"device={journal}", device)
        os.makedirs(self.POINT, exist_ok=True)
        st.mount(self.fstype, device, self.POINT)

    def stall(self):
        st.run("sync", "-f", self.path)
        self.server.order("stall")

    @staticmethod
    def committer():
        """The thread of the journal, which has the name of its device."""
        return next(pid for pid in filter(str.isdigit, os.listdir("/proc"))
                    if st.read_proc(pid, "comm").startswith("jbd2/nbd0"))

    def evidence(self):
        return f"{super().evidence()}\njournal\n{st.read_proc(self.committer(), 'stack')}"

    def __exit__(self, *args):
        self.files.clear()  # without the journal nothing can be unlinked
        super().__exit__(*args)


class SyncedFault(PipeHolder):
    """A store with MAP_SYNC to a page that is new, which waits until the journal has that."""

    def __init__(self):
        super().__init__()
        self.server = None

    def start(self, stage, index):
        self.program, self.server = stage.start("hold_map", "--sync", stage.path), stage.server
        stage.stall()
        self.program.tell(f"touch {index}")
        stage.server.order("kept")
        if not st.poll(lambda: "jbd2_log_wait_commit" in st.read_proc(self.program.tid, "stack")
                       and st.state(stage.committer()) == "D"):
            raise Mismatch("the page fault does not wait for the journal, or that for no I/O")

    def truth(self):
        server = self.server.ready["server"]
        return verdict.Holder("fault", {self.program.pid},
                              targets=(f"nbd0 (nbd server hold_served[{server}])",))


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
