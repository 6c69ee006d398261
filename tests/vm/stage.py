# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""What a scenario stages in the guest: filesystems, a device that stalls, programs."""

import contextlib
import ctypes
import glob
import json
import os
import re
import select
import signal
import subprocess
import time

BUILD = os.environ.get("O", "build")
BIN = os.path.join(BUILD, "vm", "bin")
TOOLS = os.path.join(BUILD, "static")
PAGE = 4096
PATIENCE = 15  # seconds for what takes milliseconds on hardware: emulation is slow

FILESYSTEMS = {"ext4": "/dev/pmem0", "xfs": "/dev/pmem1"}
SPARE_DEVICE = "/dev/pmem2"
# What guests are made for: one with virtiofs is another machine, and has the others as well.
MATRIX = (*FILESYSTEMS, "virtiofs")
VIRTIOFS_TAG = "files"
# mkfs options that keep to what a 5.10 kernel mounts, and lay files out in 2 MiB units.
MKFS_EXT4 = ("mkfs.ext4", "-q", "-F", "-b", "4096",
             "-E", "stride=512,stripe_width=512,nodiscard")
MKFS_XFS = ("mkfs.xfs", "-q", "-f", "-K", "-d", "agcount=2,su=2m,sw=1", "-l", "su=32k",
            "-i", "nrext64=0", "-m", "rmapbt=0,bigtime=0,inobtcount=0")
XFS_EXCHANGE = 1 << 6  # XFS_SB_FEAT_INCOMPAT_EXCHRANGE, for which mkfs.xfs has no option yet
# Where a task sleeps that waits for a page; which of them shows depends on what got inlined.
PAGE_WAITS = re.compile(r"\b(ext4_break_layouts|ext4_wait_dax_page|xfs_break_layouts|"
                        r"xfs_break_dax_layouts|xfs_wait_dax_page|dax_break_layout(_final)?|"
                        r"(__)?fuse_dax_break_layouts|fuse_wait_dax_page)\b")


class Mismatch(Exception):
    """The kernel or the tool did not do what the scenario expects."""


class Unavailable(Exception):
    """This kernel has no such wait: the scenario is skipped, with this reason."""


def poll(condition, seconds=PATIENCE, pause=0.005):
    """The first true value of condition(), or its last value when time is up."""
    end = time.monotonic() + seconds
    while True:
        value = condition()
        if value or time.monotonic() > end:
            return value
        time.sleep(pause)
        pause = min(pause * 1.5, 0.1)


def run(*argv):
    done = subprocess.run(argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True, timeout=120)
    if done.returncode:
        raise RuntimeError(f"{' '.join(argv)}: status {done.returncode}: {done.stdout.strip()}")
    return done.stdout


class Kernel:
    """What the running kernel can do, decided by what it has and never by its version."""

    def __init__(self):
        with open("/proc/kallsyms", encoding="ascii") as file:
            symbols = file.read()
        self.page_counts_from_zero = bool(re.search(r" dax_break_layout\b", symbols))
        # The only put that wakes waiters on such a kernel, which bio completion does not use.
        self.bio_release_may_not_wake = bool(
            re.search(r" __put_devmap_managed_page_refs\b", symbols))
        # Of nd_pmem: its pages count as users of the device's queue, which unbinding waits for.
        self.unbind_waits_for_pages = " pmem_pagemap_kill\t" in symbols
        self.registers_rings = bool(re.search(r" io_ringfd_register\b", symbols))

    def idle_refs(self):
        return 0 if self.page_counts_from_zero else 1


def mount_point(fstype):
    return f"/mnt/{fstype}"


def is_mounted(point):
    """Also if it answers nothing any more, as a filesystem does whose device is gone."""
    with open("/proc/self/mounts", encoding="utf-8", errors="replace") as file:
        return any(line.split(" ")[1] == point for line in file)


def mount(fstype, device=None, point=None):
    if fstype == "virtiofs":  # which did not know dax=always until 5.17
        run("mount", "-t", fstype, "-o", "dax", VIRTIOFS_TAG, mount_point(fstype))
    else:
        run("mount", "-t", fstype, "-o", "dax=always", device or FILESYSTEMS[fstype],
            point or mount_point(fstype))


def make_ext4(device):
    run(*MKFS_EXT4, device)


def make_xfs(device, reflink=False):
    run(*MKFS_XFS, "-m", f"reflink={int(reflink)}", device)


def make_xfs_reflink(device):
    make_xfs(device, reflink=True)


def make_xfs_exchange(device):
    make_xfs(device, reflink=True)
    features = int(run("xfs_db", "-c", "sb 0", "-c", "print features_incompat", device).split()[-1],
                   16)
    run("xfs_db", "-x", "-c", "sb 0",
        "-c", f"write -d features_incompat {features | XFS_EXCHANGE:#x}", device)


# The one with most features first: which of them goes together with DAX only the kernel knows.
MAKERS = {"ext4": (make_ext4,), "xfs": (make_xfs_exchange, make_xfs_reflink, make_xfs)}


def make_and_mount(fstype, device, point):
    """A fresh filesystem with as many features as the kernel mounts with DAX."""
    os.makedirs(point, exist_ok=True)
    *attempts, plain = MAKERS[fstype]
    for make in attempts:
        try:
            make(device)
            mount(fstype, device, point)
            return
        except RuntimeError:
            continue
    plain(device)
    mount(fstype, device, point)


def prepare(fstype):
    """A fresh filesystem on its device; does nothing if it is mounted already."""
    if os.path.ismount(mount_point(fstype)):
        return
    if fstype == "virtiofs":
        os.makedirs(mount_point(fstype))
        mount(fstype)
    else:
        make_and_mount(fstype, FILESYSTEMS[fstype], mount_point(fstype))


class Stall:
    """A block device that stalls on demand: a suspended device-mapper target over a RAM disk."""

    NAME = "stall"
    PATH = f"/dev/mapper/{NAME}"
    BELOW = "/dev/ram0"
    through = ()  # names of the device that stalls, where it is not the one that I/O goes to

    def __init__(self):
        if not os.path.exists(self.PATH):
            self.create(run("blockdev", "--getsz", self.BELOW).strip())
        device = os.stat(self.PATH).st_rdev
        major, minor = os.major(device), os.minor(device)
        self.names = (self.PATH, f"dm-{minor}", f"{major}:{minor}")

    def table(self, sectors):
        return f"0 {sectors} linear {self.BELOW} 0"

    def create(self, sectors):
        run("dmsetup", "create", self.NAME, "--noudevsync", "--table", self.table(sectors))
        run("dmsetup", "mknodes", self.NAME)  # there is no udev that would

    def suspend(self):
        run("dmsetup", "suspend", "--noudevsync", "--nolockfs", "--noflush", self.NAME)

    def resume(self):
        run("dmsetup", "resume", "--noudevsync", self.NAME)

    def remove(self):
        self.remove_mapped(self.NAME)

    @staticmethod
    def remove_mapped(name):
        run("dmsetup", "remove", "--noudevsync", name)
        if os.path.exists(f"/dev/mapper/{name}"):
            os.unlink(f"/dev/mapper/{name}")


class Program:
    """One of the programs of holders/, spoken to by lines; started by another one if need be."""

    def __init__(self, name, *args, by=()):
        self.name = name
        self.buffer = b""
        self.process = subprocess.Popen([*by, os.path.join(BIN, name), *map(str, args)],
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self.ready = {}

    def line(self, seconds=PATIENCE):
        """The next line it prints, without newline; None at its end or when time is up."""
        end = time.monotonic() + seconds
        while b"\n" not in self.buffer:
            left = end - time.monotonic()
            if left < 0 or not select.select([self.process.stdout], [], [], left)[0]:
                return None
            data = os.read(self.process.stdout.fileno(), PAGE)
            if not data:
                return None
            self.buffer += data
        line, self.buffer = self.buffer.split(b"\n", 1)
        return line.decode()

    def wait_ready(self):
        line = self.line()
        if not line or not line.startswith("READY "):
            raise Mismatch(f"{self.name} is not ready, it said {line!r}")
        self.ready = json.loads(line.removeprefix("READY "))
        return self

    @property
    def pid(self):
        return self.ready["pid"]

    @property
    def tid(self):
        return self.ready["tid"]

    def pids(self):
        """All its processes that hold something."""
        return set(self.ready.get("pids", [self.pid]))

    def tell(self, text):
        self.process.stdin.write(text.encode() + b"\n")
        self.process.stdin.flush()

    def order(self, text):
        """Tell, and wait until it is carried out."""
        self.tell(text)
        if self.line() != "OK":
            raise Mismatch(f"{self.name} did not carry out {text!r}")

    def done(self, seconds=PATIENCE):
        """(result, errno) of the call under test; None if it has not returned in time."""
        line = self.line(seconds)
        if not line or not line.startswith("DONE "):
            return None
        numbers = [int(word) for word in line.split()[1:]]
        return numbers[0], numbers[1] if len(numbers) > 1 else 0

    def kill(self):
        """SIGKILL the processes that hold and the one that was started, if it is another."""
        for pid in filter(alive, self.family()):
            with contextlib.suppress(ProcessLookupError):  # one may end with another
                os.kill(pid, signal.SIGKILL)

    def family(self):
        return {self.process.pid} | (self.pids() if self.ready else set())

    def ended(self, seconds):
        return poll(lambda: self.process.poll() is not None
                    and not any(map(alive, self.family())), seconds)

    def close(self):
        self.process.stdin.close()
        self.process.stdout.close()


def read_proc(tid, name):
    try:
        with open(f"/proc/{tid}/{name}", encoding="utf-8", errors="replace") as file:
            return file.read()
    except (FileNotFoundError, ProcessLookupError):
        return ""


def state(tid):
    """State letter of a task; empty when it has gone."""
    return read_proc(tid, "stat").rpartition(") ")[2][:1]


def alive(pid):
    return state(pid) not in ("", "Z", "X")


def waits_for_page(tid):
    """State letter of a task that sleeps in a wait for a DAX page, else empty."""
    letter = state(tid)
    if letter in ("S", "D") and PAGE_WAITS.search(read_proc(tid, "stack")):
        return letter
    return ""


SYS_BPF = 321  # x86-64
BPF_GET_NEXT_ID = {"program": 11, "map": 12, "link": 31}


def bpf_objects():
    """(kind, id) of each BPF object in the kernel."""
    libc, found = ctypes.CDLL(None), set()
    for kind, command in BPF_GET_NEXT_ID.items():
        attr = (ctypes.c_uint32 * 32)()
        while libc.syscall(SYS_BPF, command, ctypes.byref(attr), ctypes.sizeof(attr)) == 0:
            attr[0] = attr[1]
            found.add((kind, attr[1]))
    return found


def bpf_left(before, kinds=tuple(BPF_GET_NEXT_ID)):
    """Those of these kinds that have come since."""
    return sorted(found for found in bpf_objects() - before if found[0] in kinds)


def bpftool_ids(word):
    """The ids that `bpftool WORD show` lists; Ubuntu's wants the path of one of its kernels."""
    tool = (glob.glob("/usr/lib/linux*tools*/*/bpftool") or ["bpftool"])[-1]
    done = subprocess.run([tool, "-j", word, "show"], stdin=subprocess.DEVNULL,
                          stdout=subprocess.PIPE, timeout=PATIENCE, check=True)
    return {entry["id"] for entry in json.loads(done.stdout or "[]")}


class Stage:
    """One scenario's file and programs; ends all of them when left."""
    started_by = ()  # what starts the programs

    def __init__(self, kernel, fstype, name, pages=16, directory=None):
        self.kernel, self.fstype, self.pages = kernel, fstype, pages
        self.path = os.path.join(directory or mount_point(fstype), name)
        self.programs = []
        self.files = []
        self.at_end = []  # called when the programs were killed
        self.stalled = None
        self.stat = None

    def __enter__(self):
        self.stat = self.create(self.path)
        return self

    def seen_here(self, path):
        """The path by which the runner reaches what the programs call by this path."""
        return path

    def settle(self):
        """What has to be done once the programs have ended so that no page is held."""

    def create(self, path):
        self.files.append(path)
        fd = os.open(self.seen_here(path), os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o644)
        os.posix_fallocate(fd, 0, self.pages * PAGE)
        stat = os.fstat(fd)
        os.close(fd)
        return stat

    def start(self, name, *args):
        program = Program(name, *args, by=self.started_by)
        self.programs.append(program)
        return program.wait_ready()

    def stall(self):
        self.stalled = Stall()
        self.stalled.suspend()
        return self.stalled

    def resume(self):
        if self.stalled:
            self.stalled.resume()
            self.stalled = None

    def evidence(self):
        """State and kernel stack of every task of every program, for the log of a failure."""
        text = []
        for program in self.programs:
            for pid in sorted(program.family()):
                tasks = os.listdir(f"/proc/{pid}/task") if alive(pid) else []
                text += [f"{program.name} {tid} {state(tid)}\n{read_proc(tid, 'stack')}"
                         for tid in tasks]
        return "\n".join(text)

    def __exit__(self, *_):
        self.resume()
        for program in self.programs:
            program.kill()
        for take_down in self.at_end:
            take_down()
        for program in self.programs:
            program.ended(2)
            program.close()
        self.settle()
        for path in map(self.seen_here, self.files):
            if os.path.lexists(path):
                os.unlink(path)


class SpareStage(Stage):
    """On a filesystem of its own, over the spare device, which is made for it and taken down."""
    POINT = "/mnt/spare"

    def __init__(self, kernel, fstype, name, pages=16):
        super().__init__(kernel, fstype, name, pages, self.POINT)

    def mount(self, device=SPARE_DEVICE):
        make_and_mount(self.fstype, device, self.POINT)

    def umount(self):
        if not poll(lambda: subprocess.run(["umount", self.POINT], stderr=subprocess.DEVNULL)
                    .returncode == 0, 5):
            raise Mismatch(f"{self.POINT} cannot be unmounted")

    def __enter__(self):
        self.mount()
        return super().__enter__()

    def __exit__(self, *args):
        super().__exit__(*args)
        self.umount()
