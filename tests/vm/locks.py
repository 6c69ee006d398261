# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""Hangs on a DAX file in which no page is waited for: the lock of one of its entries, a lease."""

import dataclasses
import os
import re
import subprocess
import time

import nfs4
import stage as st
import verdict
from cures import Advice
from devices import write_text
from hang import SOON, STILL_ASLEEP, Eviction, Scenario, Umount
from holder import PipeHolder
from operations import Exits, Shrinker, Unbound
from spare import SlowStage
from stage import Mismatch

HOLE = 20  # a page that the file lacks: a fault has to allocate it
ENTRY_WAITS = re.compile(r"\b(get_unlocked_entry|get_next_unlocked_entry|wait_entry_unlocked"
                         r"(_exclusive)?)\b")
MMAP_LOCK_WAITS = re.compile(r"\b(clear_refs_write|__access_remote_vm)\b")
LEASE_WAITS = re.compile(r"\b__break_lease\b")


class SleepsElsewhere:
    """The waiter sleeps somewhere else than where one that waits for a page does."""
    sleeps_in = None

    def waits(self, tid):
        letter = st.state(tid)
        asleep = letter in ("S", "D") and self.sleeps_in.search(st.read_proc(tid, "stack"))
        return letter if asleep else ""

    def asleep(self, what, tid, test, state):
        super().asleep(what, tid, self.waits if test is st.waits_for_page else test, state)

    def still_asleep(self, after):
        time.sleep(STILL_ASLEEP)
        if self.waits(self.waiter.tid) != self.state():
            raise Mismatch(f"the waiter moved on after {after}")

    def is_free(self):
        return not self.waits(self.waiter.tid)


class StuckFault(PipeHolder):
    """A page fault that has to write zeros to a device that stalls, with the entry locked."""

    def __init__(self):
        super().__init__()
        self.stage = None

    def start(self, stage, index):
        self.stage = stage
        self.program = stage.start("hold_map", "--untouched", stage.path)
        stage.suspend()
        self.program.tell(f"touch {index}")
        if not st.poll(lambda: st.state(self.program.tid) == "D"):
            raise Mismatch("the page fault does not wait for its device")

    def truth(self):
        return verdict.Holder("fault", {self.program.pid}, targets=self.stage.disk.names)

    def end(self, stage, pids, still_asleep):
        stage.resume()
        if self.program.line(SOON) != "OK":
            raise Mismatch("the page fault did not end once its device was resumed")


class EntryLock(SleepsElsewhere, Scenario):
    """
    A second fault of the same page waits for the first one. A third one, of the next page, is stuck
    as well: it has the lock of another entry and must not be named.
    """
    sleeps_in = ENTRY_WAITS

    def __init__(self, holder, op):
        super().__init__(holder, op, [StuckFault()], index=HOLE)
        self.second = self.third = None

    def new_stage(self, session, fstype):
        return SlowStage(session.kernel, fstype, self.name.replace("/", "."), self.pages)

    def state(self):
        return "D"

    def start_bystander(self, stage):
        """It has mapped a page of the file that is there."""
        with open(stage.path, "r+b") as file:
            file.truncate(2 * HOLE * st.PAGE)
        bystander = stage.start("hold_map", "--untouched", stage.path)
        bystander.order("touch 0")
        # a stuck fault keeps others from opening the file on XFS
        self.second = stage.start("hold_map", "--untouched", stage.path)
        self.third = stage.start("hold_map", "--untouched", stage.path)
        return bystander

    def start_waiter(self, stage):
        self.third.tell(f"touch {HOLE + 1}")
        self.second.tell(f"touch {HOLE}")
        self.asleep("third fault", self.third.tid, st.state, "D")
        return self.second

    def truth(self, stage):
        return dataclasses.replace(super().truth(stage), on="entry_lock")

    def findings(self):
        return ("ENTRY_LOCK",)

    def proceeds(self, stage):
        if self.waiter.line(SOON) != "OK":
            raise Mismatch("the second fault did not end after the first one")


class EntryLockAdvice(EntryLock, Advice):
    pass


class BehindFault(SleepsElsewhere, Scenario):
    """
    A truncate cannot begin as long as a page fault of the file lasts. A fault of another file that is
    stuck as well has nothing to do with it. The file grows: of one that shrinks the page would be gone
    when the fault returns.
    """
    sleeps_in = re.compile(r"\b(ext4_setattr|xfs_ilock)\b")
    new_stage = EntryLock.new_stage

    def __init__(self, holder):
        super().__init__(holder, "grow", [StuckFault()], index=HOLE)
        self.neighbour = None

    def state(self):
        return "D"

    def start_bystander(self, stage):
        other = f"{stage.path}.other"
        stage.create(other)
        for path in (stage.path, other):
            os.truncate(path, 2 * HOLE * st.PAGE)
        bystander = stage.start("hold_map", "--untouched", stage.path)
        bystander.order("touch 0")
        self.neighbour = stage.start("hold_map", "--untouched", other)
        return bystander

    def start_waiter(self, stage):
        self.neighbour.tell(f"touch {HOLE}")
        self.asleep("fault of another file", self.neighbour.tid, st.state, "D")
        return super().start_waiter(stage)

    def truth(self, stage):
        return dataclasses.replace(super().truth(stage), ops=("truncate",), on="lock")

    def findings(self):
        return ("ENTRY_LOCK",)


class BehindFaultAdvice(BehindFault, Advice):
    pass


class PilesUp(BehindFault):
    """
    Another fault of the file is behind the truncate, with the mmap_lock of its process or the lock of
    its mapping, which somebody wants for writing; and who only wants to see its command line is behind
    that one.
    """

    def __init__(self):
        super().__init__("mmap-lock")
        self.later, self.others = None, []

    def start_bystander(self, stage):
        bystander = super().start_bystander(stage)
        self.later = stage.start("hold_map", "--untouched", stage.path)
        return bystander

    def shell(self, stage, command):
        process = subprocess.Popen(["sh", "-c", command], stdout=subprocess.DEVNULL)
        stage.at_end.append(process.wait)
        self.others.append(process)
        # a program that starts may sleep in D for the disk first
        self.asleep(command, process.pid, self.waits_for_mmap_lock, "D")

    @staticmethod
    def waits_for_mmap_lock(tid):
        """The functions of the lock itself are shown up to 5.10 only."""
        return st.state(tid) if MMAP_LOCK_WAITS.search(st.read_proc(tid, "stack")) else ""

    def stage(self, stage):
        super().stage(stage)
        self.later.tell("touch 1")
        self.asleep("later fault", self.later.tid, st.state, "D")
        self.shell(stage, f"echo 4 >/proc/{self.later.pid}/clear_refs")
        self.shell(stage, f"exec cat /proc/{self.later.pid}/cmdline")

    def truth(self, stage):
        behind = {self.later.pid, *(process.pid for process in self.others)}
        return dataclasses.replace(super().truth(stage), queued=behind)

    def proceeds(self, stage):
        super().proceeds(stage)
        if self.later.line(SOON) != "OK" or any(process.wait(SOON) for process in self.others):
            raise Mismatch("who was behind the truncate did not proceed after it")


class Lease(PipeHolder):
    """A lease that its holder does not give back."""

    def start(self, stage, index):
        self.program = stage.start("hold_lease", *self.options, stage.path)

    def truth(self):
        return verdict.Holder("lease", self.program.pids(), kind="lease")


class Leased(SleepsElsewhere, Scenario):
    sleeps_in = LEASE_WAITS

    def file_of_bystander(self, stage):
        """Who has the file open for writing keeps others from a lease."""
        return Eviction.file_of_bystander(self, stage)

    def truth(self, stage):
        return dataclasses.replace(super().truth(stage), on="lease")

    def findings(self):
        return ("LEASE",)


class LeaseAdvice(Leased, Advice):
    ends_waiter = True


class Away(PipeHolder):
    """What the NFS server gave to a client that does not answer any more; another one is innocent."""
    ADDRESS = "127.0.0.9"
    INNOCENT = "127.0.0.8"

    def __init__(self, kind):
        super().__init__()
        self.kind = kind

    def start(self, stage, index):
        directory, name = os.path.split(stage.path)
        stage.create(f"{stage.path}.other")
        server = nfs4.Server(directory, self.ADDRESS, self.INNOCENT)
        stage.at_end.append(server.stop)
        for address, file in ((self.INNOCENT, f"{name}.other"), (self.ADDRESS, name)):
            client = nfs4.Client(address, f"Linux NFSv4.1 {address}".encode())
            stage.at_end.append(client.close)
            self.take(client, file.encode())

    def take(self, client, file):
        if self.kind == "layout":
            client.lay_out(file)
        else:
            client.delegate(file, nfs4.READ)

    def truth(self):
        return verdict.Holder("lease", set(), kind=self.kind, targets=(self.ADDRESS,))

    def cures(self):
        """Of all clients, the one with the address."""
        directory = nfs4.client_directory(self.ADDRESS)
        return [f"cat {directory}/info", f"echo expire > {directory}/ctl"]


class LeasedByServer(Leased):
    """The way out is what is advised: the server forgets the client."""

    def huge(self, stage):
        return False

    def still_asleep(self, after):
        """Without a limit it sleeps for a jiffy at a time, and may be seen running."""
        time.sleep(STILL_ASLEEP)
        if not st.poll(lambda: self.waits(self.waiter.tid), 1):
            raise Mismatch(f"the waiter moved on after {after}")

    def prove(self, session, stage, log_name):
        cures = self.holders[0].cures()
        if session.tool:
            truth = self.truth(stage)
            document = session.explain(log_name, [truth])
            found = verdict.commands(document, verdict.wait_of(document, truth.tid), ("LEASE",))
            if not set(cures) <= set(found):
                raise Mismatch(f"{cures} are not advised but {found}")
        self.end_bystander()
        for command in cures:
            self.still_asleep("nothing was done yet")
            st.run("sh", "-c", command)
        self.proceeds(stage)


class LeaseLimit(Leased):
    """After a time that an administrator sets the kernel takes the lease away."""
    LIMIT = "/proc/sys/fs/lease-break-time"
    SECONDS = 10

    def run(self, session, fstype):
        with open(self.LIMIT, encoding="ascii") as file:
            before = file.read()
        try:
            self.set_limit(str(self.SECONDS))
            super().run(session, fstype)
        finally:
            self.set_limit(before)

    def set_limit(self, seconds):
        with open(self.LIMIT, "w", encoding="ascii") as file:
            file.write(seconds)

    def prove(self, session, stage, log_name):
        left = self.SECONDS
        if session.tool:
            truth = self.truth(stage)
            document = session.explain(log_name, [truth])
            left = self.check_left(document, verdict.wait_of(document, truth.tid))
        self.end_bystander()
        if not self.waiter.done(left + SOON):
            raise Mismatch(f"the lease was to be taken away in {left} s")

    def check_left(self, document, wait):
        left = wait["holders"][0]["left_s"]
        if left is None or not 0 <= left <= self.SECONDS - (wait["age_s"] or 0) + 1:
            raise Mismatch(f"left_s is {left} after {wait['age_s']} of {self.SECONDS} s")
        advice = [advice["do"] for finding in document["findings"] for advice in finding["advice"]]
        if not any(text.startswith("Wait ") for text in advice):
            raise Mismatch("patience is not advised")
        return left


class Freeze(Scenario):
    """A truncate keeps its filesystem from being frozen, and who freezes it keeps writers out."""
    filesystems = ("xfs",)

    def __init__(self):
        super().__init__("freeze", "truncate", [PipeHolder()])
        self.freezer = self.writer = None

    def new_stage(self, session, fstype):
        return st.SpareStage(session.kernel, fstype, self.name.replace("/", "."), self.pages)

    def stage(self, stage):
        super().stage(stage)
        self.freezer = subprocess.Popen(["fsfreeze", "-f", stage.POINT])
        stage.at_end.append(lambda: self.thaw(stage))
        self.asleep("fsfreeze", self.freezer.pid, self.keeps_out, "D")
        self.writer = stage.start("wait_op", "write", f"{stage.path}.other")
        self.asleep("writer", self.writer.tid, st.state, "D")

    @staticmethod
    def keeps_out(tid):
        """Its state once it waits for those who write: before that it may sleep for its own pages."""
        return st.state(tid) if "freeze_super" in st.read_proc(tid, "stack") else ""

    def start_bystander(self, stage):
        stage.create(f"{stage.path}.other")
        return super().start_bystander(stage)

    def truth(self, stage):
        return dataclasses.replace(super().truth(stage),
                                   queued={self.freezer.pid, self.writer.pid})

    def thaw(self, stage):
        if self.freezer:
            self.freezer.wait(st.PATIENCE)
            self.freezer = None
            st.run("fsfreeze", "-u", stage.POINT)

    def proceeds(self, stage):
        super().proceeds(stage)
        self.thaw(stage)
        if self.writer.done(SOON) != (1, 0):
            raise Mismatch("the writer did not proceed once the filesystem was thawed")


class Synced(Umount):
    """An umount that waits keeps sync(2) from going on, whatever filesystem that is meant for."""
    filesystems = ("ext4",)

    def __init__(self):
        super().__init__("sync", "umount", [PipeHolder("--close")], needs_counts_from_zero=True)
        self.sync = None

    def stage(self, stage):
        super().stage(stage)
        self.sync = subprocess.Popen(["sync"])
        self.asleep("sync", self.sync.pid, st.state, "D")

    def truth(self, stage):
        return dataclasses.replace(super().truth(stage), queued={self.sync.pid})

    def proceeds(self, stage):
        super().proceeds(stage)
        if self.sync.wait(SOON):
            raise Mismatch("sync failed")


class Lookup(Shrinker):
    """Who looks up an inode that is being evicted waits for its end."""

    def __init__(self):
        super().__init__("drop_caches")
        self.holder = "lookup"
        self.opener = None

    def stage(self, stage):
        super().stage(stage)
        self.opener = st.Program("hold_map", "--untouched", stage.path)
        stage.programs.append(self.opener)
        self.asleep("lookup", self.opener.process.pid, st.state, "D")

    def truth(self, stage):
        return dataclasses.replace(super().truth(stage), queued={self.opener.process.pid})

    def proceeds(self, stage):
        super().proceeds(stage)
        self.opener.wait_ready()


class Allocates(Shrinker):
    """A task that needs memory of its cgroup runs the shrinker itself; freed, it goes on to die."""
    MOUNT = "/sys/fs/cgroup"
    GROUP = os.path.join(MOUNT, "reclaim")
    LIMIT = 48 << 20
    proceeds = Exits.proceeds

    def __init__(self):
        super().__init__("allocate")

    def start_waiter(self, stage):
        if not os.path.exists(os.path.join(self.MOUNT, "cgroup.procs")):
            st.run("mount", "-t", "cgroup2", "none", self.MOUNT)
        write_text(os.path.join(self.MOUNT, "cgroup.subtree_control"), "+memory")
        os.makedirs(self.GROUP, exist_ok=True)
        write_text(os.path.join(self.GROUP, "memory.max"), str(self.LIMIT))
        stage.started_by = ("sh", "-c", f'echo $$ >{self.GROUP}/cgroup.procs; exec "$@"', "sh")
        try:
            return super().start_waiter(stage)
        finally:
            stage.started_by = ()


class Drained(SleepsElsewhere, Scenario):
    """
    The driver of the device is unbound, which waits until no page of it is referenced. The filesystem
    is unmounted before it goes on: afterwards it would look at struct pages that are gone.
    """
    filesystems = ("xfs",)
    sleeps_in = re.compile(r"\bmemunmap_pages\b")
    new_stage, file_of_bystander = Unbound.new_stage, Unbound.file_of_bystander

    def __init__(self):
        super().__init__("drained", "unbind", [PipeHolder("--close")])
        self.opener = None

    def unavailable(self, session, fstype):
        if not session.kernel.unbind_waits_for_pages:
            return "unbinding waits for no page on this kernel"
        return super().unavailable(session, fstype)

    def state(self):
        return "D"

    def start_waiter(self, stage):
        """The page would belong to no file any more if nobody had that open."""
        self.opener = stage.start("wait_actor")
        self.opener.order(f"open rw {stage.path}")
        program = stage.start("wait_evict", self.op, f"{stage.DRIVER}/unbind:{stage.device}")
        program.tell("go")
        return program

    def truth(self, stage):
        """The kernel has dropped the reference by which an idle page had the count 1."""
        return dataclasses.replace(super().truth(stage), idle_refs=0)

    def release(self, stage):
        self.end_holders(stage, None)

    def unmount(self, stage):
        self.opener.kill()
        if not self.opener.ended(SOON):
            raise Mismatch("who had the file open did not end")
        st.SpareStage.umount(stage)

    def prove(self, session, stage, log_name):
        try:
            super().prove(session, stage, log_name)
        except Mismatch:  # the holder is ended next, and the guest with it
            if os.path.ismount(stage.POINT):
                self.unmount(stage)
            raise

    def end_holders(self, stage, wait):
        self.unmount(stage)
        self.still_asleep("the filesystem was unmounted")
        super().end_holders(stage, wait)


def locks():
    """Fresh scenarios."""
    ext4, xfs = {"filesystems": ("ext4",)}, {"filesystems": ("xfs",)}
    return [EntryLock("entry-lock", "fault"), EntryLockAdvice("advice-entry-lock", "fault"),
            BehindFault("invalidate-lock"), BehindFaultAdvice("advice-entry-lock"),
            PilesUp(),
            Leased("lease", "truncate", [Lease("read")], **ext4),
            Leased("lease-write", "open_trunc", [Lease("write")], **xfs),
            LeaseAdvice("advice-lease", "truncate", [Lease("read")], **xfs),
            LeasedByServer("delegation", "truncate", [Away("delegation")], **ext4),
            LeasedByServer("layout", "truncate", [Away("layout")], **xfs),
            LeaseLimit("lease-limit", "truncate", [Lease("write")], **ext4),
            Freeze(), Synced(), Lookup(), Allocates(), Drained()]
