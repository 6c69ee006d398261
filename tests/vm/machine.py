# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""A guest: a stock kernel under QEMU with emulated persistent memory and the host's root.

The guest sees the host's root read-only under a tmpfs, so it has the host's tools and libraries and
this checkout; only the directory `out` is shared for writing (/run/vm in the guest).
"""

import argparse
import fcntl
import functools
import lzma
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
TOP = os.path.dirname(os.path.dirname(HERE))
KERNELS = ("5.10", "6.1", "6.12", "6.18", "7.2")

# One persistent memory device for each filesystem and a spare one, as small as mkfs.xfs allows:
# regions that touch would become one device.
PMEM = ("512M!1G", "512M!1792M", "320M!2432M")
MEMORY = "2880M"
COMMAND_LINE = ("console=ttyS0 quiet loglevel=4 panic=-1 mitigations=off audit=0 nowatchdog "
                "no_timer_check random.trust_cpu=on rcupdate.rcu_expedited=1")

# Checksums are found by name at run time, so no dependency of another module brings them in.
MODULES = ("virtio_pci", "9pnet_virtio", "9p", "overlay", "crc32c_generic", "nd_pmem", "nd_e820",
           "ext4", "xfs", "dm_mod", "brd")
PARAMETERS = {"brd": "rd_nr=1 rd_size=16384"}

# What guests start often lies in their memory: from the host's root each file that a program opens
# takes them several messages.
PROGRAMS = ("sh", "true", "modprobe", "mount", "umount", "ip", "tc", "ss", "dmsetup", "losetup", "dd",
            "fsfreeze", "mkfs.ext4", "mkfs.xfs", "blockdev", "setpriv", "unshare")

# For a kernel without 9p, as Debian's cloud flavours are; from qemu-system-common up to Debian 12.
VIRTIOFSD = "/usr/lib/qemu/virtiofsd"

# The DAX window of a guest with virtiofs, in units of 2 MiB: so few that a scenario can use them up.
VIRTIOFS_TAG, VIRTIOFS_WINDOW, VIRTIOFS_MODULES = "files", 4 * (2 << 20), ("virtiofs",)


# Ended from outside, a program still takes its guests down on the way out.
signal.signal(signal.SIGTERM, lambda *_: sys.exit("terminated"))


# However the caller ends, its guest ends with it.
DIES_WITH_CALLER = ("setpriv", "--pdeathsig", "KILL")


def build_dir():
    return os.path.abspath(os.environ.get("O") or os.path.join(TOP, "build"))


def results_dir():
    path = os.path.join(build_dir(), "vm")
    os.makedirs(path, exist_ok=True)
    return path


def build_holders():
    subprocess.run(["make", "-s", "-C", HERE, f"O={build_dir()}"], check=True, stdout=sys.stderr)


def take_slot():
    """Wait for one of as many places as there are cores: the guest keeps the file open.

    Emulated guests that share a core are so slow that what waits in them runs out of time; who
    only looks around in one may say that there are more, in DAXTOP_GUESTS.
    """
    places = int(os.environ.get("DAXTOP_GUESTS") or os.cpu_count() or 1)
    directory = os.path.join(tempfile.gettempdir(), f"daxtop-guests.{os.getuid()}")
    os.makedirs(directory, exist_ok=True)
    slots = [open(os.path.join(directory, str(number)), "w", encoding="ascii")
             for number in range(places)]
    while True:
        for slot in slots:
            try:
                fcntl.flock(slot, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                continue
            for other in slots:
                if other is not slot:
                    other.close()
            return slot
        time.sleep(0.2)


class NoKernel(Exception):
    """A kernel cannot be had; fetch-kernel has said why."""


def kernel_name(text):
    """An argument that names a kernel as fetch-kernel takes it: a series, and perhaps a flavour."""
    if not re.fullmatch(r"\d+\.\d+(-(rt|cloud))?", text):
        raise argparse.ArgumentTypeError(f"{text} is no kernel: say {', '.join(KERNELS)} or "
                                         "another series, or 6.12-rt, or 6.12-cloud")
    return text


class NoVirtiofs(Exception):
    """There is no QEMU that can give a guest a virtiofs with DAX; fetch-qemu has said why."""


class Kernel:
    """One fetched kernel and the initramfs made for it."""

    def __init__(self, series):
        self.series = series
        fetched = subprocess.run([os.path.join(HERE, "fetch-kernel"), series],
                                 stdout=subprocess.PIPE, text=True)
        if fetched.returncode:
            raise NoKernel(series)
        self.dir = fetched.stdout.strip()
        self.image = os.path.join(self.dir, "vmlinuz")
        self.modules = os.path.join(self.dir, "lib", "modules")
        with open(os.path.join(self.dir, "release"), encoding="utf-8") as file:
            self.release = file.read().strip()

    def dependencies(self):
        """modules.dep as {name: [path, path of each module it needs]}."""
        table = {}
        path = os.path.join(self.modules, self.release, "modules.dep")
        with open(path, encoding="utf-8") as file:
            for line in file:
                module, needs = line.split(":")
                table[module_name(module)] = [module, *needs.split()]
        return table

    def has_9p(self):
        return "9p" in self.dependencies()

    def load_order(self, more):
        """Paths of the wanted modules, each after what it needs; built-in ones have no path."""
        table, order = self.dependencies(), []
        for name in (*MODULES, *more):
            for path in reversed(table.get(name, [])):
                if path not in order:
                    order.append(path)
        return order

    def initramfs(self, target, more=()):
        """Write an uncompressed archive: there is nothing to unpack while the guest boots."""
        root = target + ".d"
        shutil.rmtree(root, ignore_errors=True)
        for name in ("bin", "dev", "modules"):
            os.makedirs(os.path.join(root, name))
        shutil.copy("/bin/busybox", os.path.join(root, "bin"))
        shutil.copy(os.path.join(HERE, "init"), root)
        with open(os.path.join(root, "modules", "order"), "w", encoding="utf-8") as order:
            for path in self.load_order(more):
                name = module_name(path)
                with open(os.path.join(root, "modules", name), "wb") as file:
                    file.write(read_module(os.path.join(self.modules, self.release, path)))
                order.write(f"{name} {PARAMETERS.get(name, '')}\n")
        for path in near_files():
            os.makedirs(os.path.join(root, "near", os.path.dirname(path)), exist_ok=True)
            shutil.copy2(f"/{path}", os.path.join(root, "near", path), follow_symlinks=False)
        files = subprocess.run(["find", "."], cwd=root, check=True, stdout=subprocess.PIPE).stdout
        with open(target, "wb") as archive:
            subprocess.run(["cpio", "--quiet", "-o", "-H", "newc"], cwd=root, input=files,
                           stdout=archive, check=True)
        shutil.rmtree(root)


@functools.lru_cache
def near_files():
    """PROGRAMS, their libraries, and links to these, without the first /."""
    paths = {"/etc/ld.so.cache"}
    for program in filter(None, map(shutil.which, PROGRAMS)):
        needs = subprocess.run(["ldd", program], stdout=subprocess.PIPE, text=True).stdout
        paths.update([program, *(word for word in needs.split() if word.startswith("/"))])
    found = set()
    for path in paths:
        # the directories as they are, as /lib may be a link; the file as it is called, and as it is
        path = os.path.join(os.path.realpath(os.path.dirname(path)), os.path.basename(path))
        found.update((path.lstrip("/"), os.path.realpath(path).lstrip("/")))
    return sorted(found)


def module_name(path):
    return os.path.basename(path).split(".")[0].replace("-", "_")


def read_module(path):
    if path.endswith(".xz"):
        with lzma.open(path) as file:
            return file.read()
    if path.endswith(".zst"):
        return subprocess.run(["zstd", "-dcq", path], check=True, stdout=subprocess.PIPE).stdout
    with open(path, "rb") as file:
        return file.read()


def run_command(series, command, seconds, **settings):
    """Run one command in a guest and show its output as it comes; what it returned."""
    build_holders()
    out = tempfile.mkdtemp(prefix="guest.", dir=results_dir())
    try:
        with Guest(Kernel(series), out, command, seconds, **settings) as guest:
            for text in guest.follow("output"):
                print(text, end="", flush=True)
        status = guest.status()
        if status is None and not settings.get("interactive"):
            console = os.path.join(results_dir(), "console")
            shutil.copy(guest.path("console"), console)
            print(f"the guest went down before the command ended, see {console}", file=sys.stderr)
    except (NoKernel, NoVirtiofs):
        return 1
    finally:
        shutil.rmtree(out, ignore_errors=True)
    return 1 if status is None else status


class Shares:
    """The host's root and the directory `out`: by 9p, or by virtiofs where a kernel has no 9p."""

    def __init__(self, kernel, out):
        self.paths = {"host": "/", "out": out}
        self.virtiofs = not kernel.has_9p()
        self.dir, self.servers = None, []
        if self.virtiofs and not os.access(VIRTIOFSD, os.X_OK):
            print(f"{kernel.series} has no 9p, and there is no {VIRTIOFSD}\n"
                  "  no guest of it can see the host's root", file=sys.stderr)
            raise NoKernel(kernel.series)

    def start(self):
        """Returns when the servers listen, as QEMU ends at once when nobody does."""
        if not self.virtiofs:
            return
        self.dir = tempfile.mkdtemp(prefix="daxtop.")
        for tag, path in self.paths.items():
            with open(os.path.join(self.paths["out"], f"virtiofsd.{tag}"), "wb") as log:
                self.servers.append(subprocess.Popen(
                    [*DIES_WITH_CALLER, VIRTIOFSD, "-f", f"--socket-path={self.socket(tag)}",
                     "-o", f"source={path}", "-o", "sandbox=chroot", "-o", "cache=always"],
                    stdin=subprocess.DEVNULL, stderr=log))
        while all(server.poll() is None for server in self.servers) and \
                not all(os.path.exists(self.socket(tag)) for tag in self.paths):
            time.sleep(0.02)

    def socket(self, tag):
        return os.path.join(self.dir, tag)

    def qemu_options(self):
        return [word for tag, path in self.paths.items()
                for word in (self.by_virtiofs(tag) if self.virtiofs else self.by_9p(tag, path))]

    def by_virtiofs(self, tag):
        return ["-chardev", f"socket,id={tag},path={self.socket(tag)}",
                "-device", f"vhost-user-fs-pci,chardev={tag},tag={tag}"]

    @staticmethod
    def by_9p(tag, path):
        readonly = ",readonly=on" if tag == "host" else ""
        path = path.replace(",", ",,")
        return ["-virtfs", f"local,path={path},mount_tag={tag},security_model=none,multidevs=remap"
                + readonly]

    def close(self):
        """May be done again."""
        for server in self.servers:
            server.kill()
            server.wait()
        if self.dir:
            shutil.rmtree(self.dir, ignore_errors=True)


class Virtiofs:
    """A virtiofs with a DAX window for one guest: the QEMU that can do it, and the server."""

    def __init__(self):
        fetched = subprocess.run([os.path.join(HERE, "fetch-qemu")], stdout=subprocess.PIPE,
                                 text=True)
        if fetched.returncode:
            raise NoVirtiofs
        self.program = os.path.join(fetched.stdout.strip(), "run")
        self.server = self.dir = self.socket = None

    def start(self, log_path):
        """Returns when the server listens, as QEMU ends at once when nobody does."""
        # a socket's path must be short
        self.dir = tempfile.mkdtemp(prefix="daxtop.")
        self.socket = os.path.join(self.dir, "socket")
        with open(log_path, "w", encoding="utf-8") as log:
            self.server = subprocess.Popen(
                [*DIES_WITH_CALLER, os.path.join(HERE, "virtiofs-server"), self.socket,
                 VIRTIOFS_TAG, str(VIRTIOFS_WINDOW)], stderr=log, stdin=subprocess.DEVNULL)
        while self.server.poll() is None and not os.path.exists(self.socket):
            time.sleep(0.02)

    def qemu_options(self):
        return ["-chardev", f"socket,id=virtiofs,path={self.socket}",
                "-device", "vhost-user-test-device-pci,virtio-id=26,num_vqs=2,vq_size=128,"
                           "config_size=40,chardev=virtiofs"]

    def close(self):
        """May be done again."""
        self.server.kill()
        self.server.wait()
        shutil.rmtree(self.dir, ignore_errors=True)


class Guest:
    """A running guest; its console, output and exit status are files in `out`.

    In a counted one a nanosecond is an instruction: what it measures is the same on any machine.
    """

    def __init__(self, kernel, out, command, seconds, interactive=False, counted=False,
                 virtiofs=False):
        self.out = out
        os.makedirs(out, exist_ok=True)
        for name in ("console", "output", "status"):
            if os.path.exists(self.path(name)):
                os.unlink(self.path(name))
        self.write("modules", kernel.modules + "\n")
        self.write("boot.sh", boot_script(command, interactive))
        self.initrd = self.path("initrd")
        self.shares = Shares(kernel, out)
        kernel.initramfs(self.initrd,
                         VIRTIOFS_MODULES if virtiofs or self.shares.virtiofs else ())
        self.virtiofs = Virtiofs() if virtiofs else None
        with take_slot() as slot:
            self.deadline = time.monotonic() + seconds
            self.shares.start()
            self.process = subprocess.Popen(
                [*DIES_WITH_CALLER, *self.program(), *self.memory(), *self.shares.qemu_options(),
                 *qemu(kernel, self.initrd, out, interactive, counted)],
                pass_fds=[slot.fileno()], stdin=None if interactive else subprocess.DEVNULL)

    def program(self):
        """What is started, and what its options differ in."""
        if not self.virtiofs:
            # kernels of cloud flavour went down of an address that cmpxchg16b had left in EFLAGS
            cpu = "max,-erms,-cx16" if self.shares.virtiofs else "max,-erms"
            return ["qemu-system-x86_64", "-cpu", cpu]
        self.virtiofs.start(self.path("virtiofs"))
        # a 5.10 without ERMS was seen to hang in the boot by QEMU 11, and with it all five run
        return [self.virtiofs.program, "-cpu", "max", *self.virtiofs.qemu_options()]

    def memory(self):
        """A server of virtiofs must see it."""
        if not self.virtiofs and not self.shares.virtiofs:
            return []
        return ["-object", f"memory-backend-memfd,id=memory,size={MEMORY},share=on",
                "-machine", "memory-backend=memory"]

    def path(self, name):
        return os.path.join(self.out, name)

    def write(self, name, text):
        with open(self.path(name), "w", encoding="utf-8") as file:
            file.write(text)

    def read(self, name):
        try:
            with open(self.path(name), encoding="utf-8", errors="replace") as file:
                return file.read()
        except FileNotFoundError:
            return ""

    def running(self):
        """False once the guest is down; a guest that has used up its time is taken down."""
        if self.process.poll() is not None or time.monotonic() > self.deadline:
            self.stop()
        return self.process.returncode is None

    def stop(self):
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        self.shares.close()
        if self.virtiofs:
            self.virtiofs.close()

    def follow(self, name):
        """The text of a file in `out` as it grows, until the guest is down."""
        seen, running = 0, True
        while running:
            running = self.running()
            text = self.read(name)
            if len(text) > seen:
                yield text[seen:]
                seen = len(text)
            elif running:
                time.sleep(0.05)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()

    def status(self):
        """What the command returned; None if the guest went down without saying."""
        text = self.read("status").strip()
        return int(text) if text else None


def boot_script(command, interactive):
    redirect = "</dev/ttyS0 >/dev/ttyS0 2>&1" if interactive else ">/run/vm/output 2>&1 </dev/null"
    runner = "setsid -c" if interactive else ""
    return f"""cd {shlex.quote(TOP)}
export HOME=/root TERM=linux PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
export PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1 O={shlex.quote(build_dir())}
{runner} /bin/sh -c {shlex.quote(command)} {redirect}
echo $? > /run/vm/status
busybox poweroff -nf
"""


def qemu(kernel, initrd, out, interactive, counted):
    """
    Two processors by turns in one thread: in two of them an instruction that the kernel patches was
    seen to trap on the other processor, and guests that share the cores are slower so.
    """
    cpu = ["-accel", "tcg", "-icount", "shift=0,sleep=off", "-smp", "1"] if counted else \
        ["-accel", "tcg,thread=single", "-smp", "2"]
    console = "mon:stdio" if interactive else f"file:{os.path.join(out, 'console')}"
    append = [COMMAND_LINE, *(f"memmap={region}" for region in PMEM)]
    return [*cpu, "-m", MEMORY, "-nodefaults", "-no-user-config", "-nographic", "-no-reboot",
            "-serial", console, "-kernel", kernel.image, "-initrd", initrd,
            "-append", " ".join(append)]
