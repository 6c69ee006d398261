# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""Pages held by a system call that is stuck in the middle, and by servers that do not answer."""

import os
import signal
import subprocess

import nfs
import stage as st
import verdict
from cures import Advice, Sentence
from hang import INDEX, SOON, Quiet, Scenario, Searched
from holder import DirectIO, PipeHolder
from stage import Mismatch


class ProcessVM(PipeHolder):
    """A call whose own buffer nobody fills in. The process that maps the file is innocent."""

    def __init__(self, call, pages=1):
        super().__init__()
        self.call, self.pages = call, pages

    def start(self, stage, index):
        self.program = stage.start("hold_process_vm", self.call, stage.path, index, self.pages)

    def truth(self):
        target = f"[{self.program.ready['target']}]"
        return verdict.Holder("process_vm", {self.program.pid}, targets=(target,))


class CoreDump(PipeHolder):
    """A dump into a pipe that its handler does not read."""

    def start(self, stage, index):
        self.program = stage.start("hold_core", stage.path, index)

    def truth(self):
        return verdict.Holder("coredump", {self.program.pid}, targets=(f"[{self.handler()}]",))

    @staticmethod
    def handler():
        found = [pid for pid in os.listdir("/proc") if pid.isdigit()
                 and "hold_core\0--handler" in st.read_proc(pid, "cmdline")]
        if len(found) != 1:
            raise Mismatch(f"there are {len(found)} handlers of core dumps")
        return int(found[0])

    def end(self, stage, pids, still_asleep):
        for pid in pids:
            os.kill(pid, signal.SIGTERM)
        still_asleep("SIGTERM, which a task that dumps core does not take,")
        for pid in pids:
            os.kill(pid, signal.SIGKILL)
        if not st.poll(lambda: not any(map(st.alive, pids)), SOON):
            raise Mismatch(f"SIGKILL did not end {sorted(pids)}")


class CoreHandler(CoreDump):
    """The same, ended by the end of the handler."""

    def end(self, stage, pids, still_asleep):
        os.kill(self.handler(), signal.SIGKILL)


class CoreIsRead(Sentence):
    """The handler of the core dump goes on to read it."""
    sentence = " be read."

    def follow(self, stage):
        os.kill(self.holders[0].handler(), signal.SIGUSR1)


class Fuse(DirectIO):
    """Direct I/O to a file whose server has the request and does not answer."""
    frees_by_bio = False
    DIRECTORY = "/run/fuse"
    CONTROL = "/sys/fs/fuse/connections"

    def start(self, stage, index):
        subprocess.run(["modprobe", "-q", "fuse"], check=False)  # or it is built in
        if not os.path.ismount(self.CONTROL):
            st.run("mount", "-t", "fusectl", "fusectl", self.CONTROL)
        os.makedirs(self.DIRECTORY, exist_ok=True)
        self.program = stage.start("hold_fuse", *self.call, stage.path, index, self.DIRECTORY)

    def truth(self):
        ready = self.program.ready
        return verdict.Holder("fuse", {ready["pid"]},
                              targets=(f"[{ready['server']}], connection {ready['connection']})",))

    def end(self, stage, pids, still_asleep):
        self.program.tell("answer")
        if self.program.done(SOON) != (st.PAGE, 0):
            raise Mismatch("the direct I/O did not complete once its server answered")


class FuseServer(Fuse):
    """The same, ended by the end of the server, which fails the I/O."""

    def end(self, stage, pids, still_asleep):
        os.kill(self.program.ready["server"], signal.SIGKILL)
        if self.program.done(SOON) is None:
            raise Mismatch("the direct I/O did not complete once its server had ended")


class NfsWrite(DirectIO):
    """Direct I/O to a file of a hard mount whose server has the request and does not answer."""
    frees_by_bio = False
    POINT = "/run/nfs"

    def __init__(self):
        super().__init__("pwrite")
        self.server = None

    def start(self, stage, index):
        st.run("modprobe", "nfsv3")
        st.run("ip", "link", "set", "lo", "up")
        os.makedirs(self.POINT, exist_ok=True)
        self.server = nfs.Server()
        stage.at_end.append(self.take_down)
        st.run("mount", "-i", "-t", "nfs", "-o", self.server.options(), "127.0.0.1:/", self.POINT)
        self.program = self.submit(stage, index)
        if not self.server.asked.wait(st.PATIENCE):
            raise Mismatch("the server was asked nothing")

    def submit(self, stage, index):
        return stage.start("hold_dio", *self.call, stage.path, index, f"{self.POINT}/file")

    def truth(self):
        return verdict.Holder("nfs", {self.program.pid}, ("likely",), targets=("(nfs)",))

    def end(self, stage, pids, still_asleep):
        self.server.answers.set()
        if self.program.done(SOON) != (st.PAGE, 0):
            raise Mismatch("the direct I/O did not complete once its server answered")

    def take_down(self):
        self.server.answers.set()
        if os.path.ismount(self.POINT):
            st.run("umount", "-l", self.POINT)
        self.server.close()


class NfsAio(NfsWrite):
    """The same through libaio: its task is free to do something else."""

    def submit(self, stage, index):
        return stage.start("hold_aio", stage.path, index, 1, 1, f"{self.POINT}/file")

    def truth(self):
        return verdict.Holder("nfs", {self.program.pid}, ("likely",))


class Ptrace(Quiet):
    """/proc/PID/mem copies by way of a buffer of the kernel: stuck, it holds no page."""
    filesystems = ("ext4",)

    def __init__(self):
        super().__init__("ptrace", "truncate", False)

    def run(self, session, fstype):
        with st.Stage(session.kernel, fstype, self.name.replace("/", ".")) as stage:
            stage.start("hold_process_vm", "mem", stage.path, INDEX, 1)
            self.truncate_beside_bystander(stage)
            if session.tool:
                session.explain(f"{fstype}.ptrace.truncate", [])


def calls():
    """Each stuck call, and each server that does not answer."""
    one = {"filesystems": ("ext4",)}
    return [Scenario("process-vm-readv", "truncate", [ProcessVM("readv")], **one),
            Scenario("process-vm-writev", "truncate", [ProcessVM("writev", 40)], pages=64, **one),
            Ptrace(),
            Scenario("coredump", "truncate", [CoreDump()], **one),
            Scenario("coredump-handler", "truncate", [CoreHandler()], **one),
            Scenario("fuse-pwrite", "truncate", [Fuse("pwrite")], **one),
            Scenario("fuse-interrupted", "truncate", [Fuse("--interrupt", "pwrite")], **one),
            Scenario("fuse-pread", "truncate", [Fuse("pread")], **one),
            Scenario("fuse-aio", "truncate", [FuseServer("aio")], **one),
            Scenario("nfs-pwrite", "truncate", [NfsWrite()], **one),
            Searched("nfs-aio", "truncate", [NfsAio()], **one),
            Advice("advice-process-vm", "truncate", [ProcessVM("readv")], filesystems=("xfs",)),
            Advice("advice-coredump", "truncate", [CoreDump()], filesystems=("xfs",)),
            CoreIsRead("advice-core-handler", "truncate", [CoreDump()], **one),
            Advice("advice-fuse", "truncate", [Fuse("pwrite")], filesystems=("xfs",))]
