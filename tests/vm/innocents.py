# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""Tasks that use the page that is waited for and hold no reference of it."""

import errno
import os
import subprocess

import stage as st
import verdict
from hang import Scenario
from holder import PipeHolder
from memscan import Unsearched
from pipes import Kept
from stage import Mismatch, Unavailable

# What hold_nothing does, the device that it needs and its module, what the kernel answers.
ACTS = {
    "futex": (None, None, 0),
    "buffers": (None, None, errno.EOPNOTSUPP),
    "xdp": (None, None, errno.EOPNOTSUPP),
    "udmabuf": ("/dev/udmabuf", "udmabuf", None),
    "mlock": (None, None, 0),
    "released": (None, None, 0),
    "copies": (None, None, 0),
    "reader": (None, None, 0),
    "kvm": ("/dev/kvm", "kvm_amd", 0),
    "vhost": ("/dev/vhost-net", "vhost_net", 0),
}


def has(device, module):
    if device and not os.path.exists(device):
        subprocess.run(["modprobe", "-q", module], stderr=subprocess.DEVNULL)
    return not device or os.path.exists(device)


class Innocents(Scenario):
    """A waiter sleeps for a pipe; the others are named neither as holders nor as suspects."""
    filesystems = ("ext4",)

    def __init__(self):
        super().__init__("innocents", "truncate", [PipeHolder()])
        self.innocents = []

    def stage(self, stage):
        for act, (device, module, expected) in ACTS.items():
            if not has(device, module):
                continue
            program = stage.start("hold_nothing", act, stage.path, self.index)
            if expected is not None and program.ready["refused"] != expected:
                raise Mismatch(f"{act}: {os.strerror(program.ready['refused'])}")
            self.innocents.append(program)
        super().stage(stage)

    def truth(self, stage):
        truth = super().truth(stage)
        truth.bystanders |= {program.pid for program in self.innocents}
        return truth

    def prove(self, session, stage, log_name):
        super().prove(session, stage, log_name)
        dead = [program.pid for program in self.innocents if not st.alive(program.pid)]
        if dead:
            raise Mismatch(f"innocents {dead} ended")


class FrozenStage(st.Stage):
    """Beside it there are a frozen filesystem and a loop device over the file."""
    POINT = "/mnt/frozen"
    TARGET = os.path.join(POINT, "target")

    def __init__(self, *args):
        super().__init__(*args)
        self.loop = None

    def __enter__(self):
        super().__enter__()
        os.makedirs(self.POINT, exist_ok=True)
        st.make_ext4(st.SPARE_DEVICE)
        st.run("mount", "-t", "ext4", st.SPARE_DEVICE, self.POINT)
        with open(self.TARGET, "wb") as file:
            file.truncate(st.PAGE)
        st.run("fsfreeze", "--freeze", self.POINT)
        return self

    def attach(self):
        has("/dev/loop-control", "loop")
        self.loop = st.run("losetup", "--find", "--show", self.path).strip()
        st.run("dd", f"if={self.loop}", "of=/dev/null", "bs=4096", "count=16", "iflag=direct")

    def resume(self):
        st.run("fsfreeze", "--unfreeze", self.POINT)

    def __exit__(self, *args):
        super().__exit__(*args)
        if self.loop:
            st.run("losetup", "--detach", self.loop)
        st.run("umount", self.POINT)


class LoopAndFrozen(Scenario):
    """
    A loop device uses the file, and a task writes the page to a frozen filesystem: it sleeps before
    it takes a reference.
    """
    filesystems = ("xfs",)

    def __init__(self):
        super().__init__("innocents-frozen", "truncate", [PipeHolder()])
        self.writer = None

    def new_stage(self, session, fstype):
        return FrozenStage(session.kernel, fstype, self.name.replace("/", "."), self.pages)

    def stage(self, stage):
        stage.attach()
        self.writer = stage.start("hold_nothing", "write", stage.path, self.index, stage.TARGET)
        super().stage(stage)

    def truth(self, stage):
        truth = super().truth(stage)
        truth.bystanders.add(self.writer.pid)
        return truth


class RDMA(Scenario):
    """An RDMA device refuses the page; that it has other memory of the task makes it no suspect."""
    filesystems = ("ext4",)
    MODULES = ("dummy", "ib_uverbs", "rdma_rxe")
    NETDEV, LINK, DEVICE = "beneath", "rxe0", "/dev/infiniband/uverbs0"

    def __init__(self):
        super().__init__("innocents-rdma", "truncate", [PipeHolder()])
        self.program = None

    def unavailable(self, session, fstype):
        missing = subprocess.run(["modprobe", "-q", "-a", *self.MODULES]).returncode
        return f"this kernel lacks one of {', '.join(self.MODULES)}" if missing else None

    def stage(self, stage):
        st.run("ip", "link", "add", self.NETDEV, "up", "type", "dummy")
        stage.at_end.append(self.remove_device)
        st.run("rdma", "link", "add", self.LINK, "type", "rxe", "netdev", self.NETDEV)
        if not st.poll(lambda: os.path.exists(self.DEVICE)):
            raise Mismatch(f"there is no {self.DEVICE}")
        self.program = stage.start("hold_nothing", "rdma", stage.path, self.index, self.DEVICE)
        if self.program.ready["refused"] != errno.EOPNOTSUPP:
            raise Mismatch(f"RDMA: {os.strerror(self.program.ready['refused'])}")
        super().stage(stage)

    def remove_device(self):
        """The RDMA device goes with the one beneath it."""
        st.run("ip", "link", "del", self.NETDEV)

    def truth(self, stage):
        truth = super().truth(stage)
        truth.bystanders.add(self.program.pid)
        return truth


class VirtualMachine(Unsearched):
    """
    A virtual machine has the page as memory, and a reference of it is found nowhere. The machine is
    a candidate and no more: ending it changes nothing.
    """
    filesystems = ("ext4",)

    def __init__(self, act):
        super().__init__(act, "truncate", [Kept("request")])
        self.act, self.machine = act, None

    def stage(self, stage):
        device, module, _ = ACTS[self.act]
        if not has(device, module):
            raise Unavailable(f"there is no {device}")
        self.machine = stage.start("hold_nothing", self.act, stage.path, self.index)
        super().stage(stage)

    def unsearched(self, stage):
        truth = super().unsearched(stage)
        truth.holders = [verdict.Holder("kvm", {self.machine.pid}, ("candidate",))]
        return truth

    def end_holders(self, stage, wait):
        self.machine.kill()
        self.still_asleep("the virtual machine had ended")
        super().end_holders(stage, None)


def innocents():
    return [Innocents(), LoopAndFrozen(), RDMA(), VirtualMachine("kvm"), VirtualMachine("vhost")]
