# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""Hangs on a filesystem of their own: one that only some can see, one whose device stalls."""

import os
import subprocess

import stage as st
import verdict
from devices import SlowDisk
from hang import SOON, Scenario
from holder import PipeHolder
from stage import Mismatch


class NamespaceStage(st.SpareStage):
    """The filesystem is mounted in a mount namespace of the programs and nowhere else."""

    def __init__(self, *args):
        super().__init__(*args)
        self.keeper = None

    def mount(self, device=st.SPARE_DEVICE):
        super().mount(device)
        self.keeper = subprocess.Popen(["unshare", "--mount", "--propagation", "private",
                                        "sh", "-c", "echo READY; read line"],
                                       stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self.keeper.stdout.readline()
        self.started_by = ("nsenter", f"--mount=/proc/{self.keeper.pid}/ns/mnt", "--")
        super().umount()

    def umount(self):
        """The namespace goes with the last task in it, and its mounts a little later."""
        self.keeper.communicate()
        if not st.poll(self.device_is_free, SOON):
            raise Mismatch("the mount namespace does not go away")

    @staticmethod
    def device_is_free():
        try:
            os.close(os.open(st.SPARE_DEVICE, os.O_RDWR | os.O_EXCL))
        except OSError:
            return False
        return True

    def seen_here(self, path):
        return f"/proc/{self.keeper.pid}/root{path}"


class MountNamespace(Scenario):
    """The file has no path for the tool, but one for the waiter: no other may be shown."""

    def new_stage(self, session, fstype):
        return NamespaceStage(session.kernel, fstype, self.name.replace("/", "."), self.pages)

    def path(self, stage):
        return None

    def prove(self, session, stage, log_name):
        wait = None
        if session.tool:
            document = session.explain(log_name, [self.truth(stage)])
            wait = verdict.wait_of(document, self.waiter.tid)
            self.check_path(wait["file"], stage)
        self.end_bystander()
        self.end_holders(stage, wait)
        self.proceeds(stage)

    @staticmethod
    def check_path(file, stage):
        right = {None, stage.path, stage.seen_here(stage.path)}
        if file["path"] not in right and not same_file(file["path"], stage.stat):
            raise Mismatch(f"file.path is {file['path']!r}, which is no name of the file")
        if file["mount"] not in (None, stage.POINT):
            raise Mismatch(f"file.mount is {file['mount']!r}")


def same_file(path, stat):
    try:
        return os.path.samestat(os.stat(path), stat)
    except OSError:
        return False


class SlowStage(st.SpareStage):
    """The filesystem is on a SlowDisk."""

    def __init__(self, *args):
        super().__init__(*args)
        self.disk = None

    def mount(self, device=SlowDisk.PATH):
        self.disk = SlowDisk()
        super().mount(device)

    def umount(self):
        super().umount()
        self.disk.remove()

    def suspend(self):
        st.run("sync", "-f", self.path)
        self.stalled = self.disk
        self.disk.suspend()


class Woken(Scenario):
    """
    The page is free and the waiter was woken, but it cannot have back the lock that it let go while
    it slept: a page fault has it, and must write zeros to a device that stalls. Nobody is in a wait
    queue for a page any more; the waiter shows only by its stack. The fault is its holder now.
    """
    HOLE = 20  # a page that the file lacks, between its end and one that was written behind it
    is_woken = False

    def __init__(self):
        super().__init__("woken", "truncate", [PipeHolder()])
        self.faulter = None

    def new_stage(self, session, fstype):
        return SlowStage(session.kernel, fstype, self.name.replace("/", "."), self.pages)

    def start_waiter(self, stage):
        """The file grows by a write, as a truncate would wait already."""
        with open(stage.path, "r+b") as file:
            os.pwrite(file.fileno(), b"x", 2 * self.HOLE * st.PAGE)
        self.faulter = stage.start("hold_map", "--untouched", stage.path)
        return super().start_waiter(stage)

    def stage(self, stage):
        super().stage(stage)
        stage.suspend()
        self.faulter.tell(f"touch {self.HOLE}")
        self.asleep("page fault", self.faulter.tid, st.state, "D")
        self.holders.pop().program.kill()
        self.is_woken = True
        self.asleep("waiter", self.waiter.tid, st.waits_for_page, self.state())

    def state(self):
        return "D" if self.is_woken else "S"

    def may_miss_wakeup(self, stage):
        return False

    def truth(self, stage):
        truth = super().truth(stage)
        truth.on, truth.findings = "lock", ("ENTRY_LOCK",)
        truth.holders = [verdict.Holder("fault", {self.faulter.pid}, targets=stage.disk.names)]
        return truth

    def prove(self, session, stage, log_name):
        if session.tool:
            session.explain(log_name, [self.truth(stage)])
        self.end_bystander()
        stage.resume()
        self.proceeds(stage)
