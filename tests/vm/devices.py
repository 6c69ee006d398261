# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""Block devices that stall on demand, in the ways in which real ones do.

Each has PATH, what I/O is sent to; names, by which a verdict may call that; and through, names of
the device that stalls if it is another one.
"""

import fcntl
import glob
import os
import re
import socket
import struct
import threading

import stage as st

MIB = 1 << 20


def device_names(path):
    """Of a device-mapper one also the kernel's."""
    number = os.stat(path).st_rdev
    uevent = read_text(f"/sys/dev/block/{os.major(number)}:{os.minor(number)}/uevent")
    return path, re.search(r"^DEVNAME=(.*)$", uevent, re.M).group(1)


def read_text(path):
    with open(path, encoding="ascii") as file:
        return file.read()


def write_text(path, text):
    with open(path, "w", encoding="ascii") as file:
        file.write(text)


class NbdServer(threading.Thread):
    """Answers the kernel's requests, but keeps them for later while it is mute."""
    REQUEST, REPLY = struct.Struct(">IIQQI"), struct.Struct(">IIQ")
    REPLY_MAGIC = 0x67446698
    READ, WRITE, DISCONNECT = 0, 1, 2

    def __init__(self, sock):
        super().__init__(daemon=True)
        self.sock = sock
        self.lock, self.mute, self.kept = threading.Lock(), False, []

    def receive(self, size):
        data = self.sock.recv(size, socket.MSG_WAITALL)
        if len(data) < size:
            raise ConnectionError
        return data

    def run(self):
        try:
            while True:
                _, kind, cookie, _, size = self.REQUEST.unpack(self.receive(self.REQUEST.size))
                if kind & 0xffff == self.DISCONNECT:
                    return
                if kind & 0xffff == self.WRITE:
                    self.receive(size)
                data = bytes(size) if kind & 0xffff == self.READ else b""
                self.answer(self.REPLY.pack(self.REPLY_MAGIC, 0, cookie) + data)
        except OSError:
            pass  # the kernel has hung up

    def answer(self, reply):
        with self.lock:
            self.kept.append(reply)
        if not self.mute:
            self.speak()

    def speak(self):
        self.mute = False
        with self.lock:
            while self.kept:
                self.sock.sendall(self.kept.pop(0))


class Nbd:
    """A network block device whose server falls mute."""
    PATH = "/dev/nbd0"
    SET_SOCK, SET_BLKSIZE, DO_IT, CLEAR_SOCK, SET_SIZE_BLOCKS, DISCONNECT = (
        0xab00, 0xab01, 0xab03, 0xab04, 0xab07, 0xab08)
    SIZE = 16 * MIB
    names, through = (PATH, "nbd0"), ()

    def __init__(self, scheduler="none"):
        st.run("modprobe", "nbd", "nbds_max=1", "max_part=0")
        ours, kernels = socket.socketpair()
        self.fd = os.open(self.PATH, os.O_RDWR)
        self.kernels = kernels
        fcntl.ioctl(self.fd, self.SET_SOCK, kernels.fileno())
        fcntl.ioctl(self.fd, self.SET_BLKSIZE, st.PAGE)
        fcntl.ioctl(self.fd, self.SET_SIZE_BLOCKS, self.SIZE // st.PAGE)
        self.server = NbdServer(ours)
        self.server.start()
        self.client = threading.Thread(target=self.serve, daemon=True)
        self.client.start()
        if not st.poll(lambda: read_text("/sys/block/nbd0/size").strip() != "0"):
            raise st.Mismatch("nbd0 does not start")
        write_text("/sys/block/nbd0/queue/scheduler", scheduler)

    def serve(self):
        try:
            fcntl.ioctl(self.fd, self.DO_IT, 0)
        except OSError:
            pass  # it was disconnected

    def suspend(self):
        self.server.mute = True

    def resume(self):
        try:
            self.server.speak()
        except OSError:
            pass  # the kernel has hung up

    def remove(self):
        self.resume()
        try:
            fcntl.ioctl(self.fd, self.DISCONNECT, 0)
        except OSError:
            pass  # the advice was to disconnect it
        self.server.sock.shutdown(socket.SHUT_RDWR)
        self.client.join(st.PATIENCE)
        for done in (self.server.sock, self.kernels):
            done.close()
        os.close(self.fd)


class DmOverNbd(st.Stall):
    """A logical volume on such a device: the I/O goes on to it in clones."""
    NAME = "volume"
    PATH = f"/dev/mapper/{NAME}"
    BELOW = Nbd.PATH
    through = Nbd.names

    def __init__(self):
        self.nbd = Nbd()
        super().__init__()
        self.suspend, self.resume = self.nbd.suspend, self.nbd.resume

    def remove(self):
        self.resume()
        super().remove()
        self.nbd.remove()


class Multipath(st.Stall):
    """All paths of it have failed, and it queues I/O until one is there again."""
    NAME = "paths"
    PATH = f"/dev/mapper/{NAME}"
    FEATURES = "3 queue_if_no_path queue_mode bio"

    def create(self, sectors):
        for module in ("dm_multipath", "dm_round_robin"):
            st.run("modprobe", module)
        super().create(sectors)

    def table(self, sectors):
        return f"0 {sectors} multipath {self.FEATURES} 0 1 1 round-robin 0 1 1 {self.BELOW} 1"

    def tell(self, what):
        st.run("dmsetup", "message", self.NAME, "0", f"{what} {self.BELOW}")

    def suspend(self):
        self.tell("fail_path")

    def resume(self):
        self.tell("reinstate_path")


class MultipathOverNbd(Multipath):
    """The same over a device with requests, which it then has itself."""
    BELOW = Nbd.PATH
    FEATURES = "1 queue_if_no_path"

    def __init__(self):
        self.nbd = Nbd()
        super().__init__()

    def remove(self):
        self.resume()
        super().remove()
        self.nbd.remove()


class ThinVolume(st.Stall):
    """Its pool is out of space for data, and queues I/O that needs some."""
    NAME, POOL = "thin", "pool"
    PATH = f"/dev/mapper/{NAME}"
    METADATA = st.SPARE_DEVICE
    FULL, BLOCK = 2048, 128  # sectors

    def create(self, sectors):
        st.run("modprobe", "dm_thin_pool")
        st.run("dd", "if=/dev/zero", f"of={self.METADATA}", f"bs={st.PAGE}", "count=1",
               "oflag=direct")
        st.run("dmsetup", "create", self.POOL, "--noudevsync", "--table", self.pool(self.FULL))
        st.run("dmsetup", "mknodes", self.POOL)
        st.run("dmsetup", "message", self.POOL, "0", "create_thin 0")
        super().create(sectors)
        self.through = device_names(f"/dev/mapper/{self.POOL}")
        with open(self.PATH, "rb") as file:  # the first one to do so reads its partitions
            file.read(st.PAGE)

    def pool(self, sectors):
        return f"0 {sectors} thin-pool {self.METADATA} {self.BELOW} {self.BLOCK} 0"

    def table(self, sectors):
        return f"0 {sectors} thin /dev/mapper/{self.POOL} 0"

    def suspend(self):
        st.run("dd", "if=/dev/zero", f"of={self.PATH}", f"bs={self.BLOCK * 512}",
               f"count={self.FULL // self.BLOCK}", f"seek={self.FULL // self.BLOCK}",
               "oflag=direct")

    def resume(self):
        st.run("dmsetup", "reload", self.POOL, "--table", self.pool(4 * self.FULL))
        st.run("dmsetup", "resume", "--noudevsync", self.POOL)

    def remove(self):
        super().remove()
        self.remove_mapped(self.POOL)


class SnapshotOrigin(st.Stall):
    """It has a snapshot, whose device for what is overwritten stalls, and is to be flushed, too."""
    NAME, SNAPSHOT = "origin", "snapshot"
    PATH = f"/dev/mapper/{NAME}"
    SECTORS = 8192

    def __init__(self):
        st.run("modprobe", "dm_snapshot")
        self.store = SlowDisk()  # a RAM disk has no cache to flush
        self.through = device_names(self.store.PATH)
        super().__init__()
        st.run("dmsetup", "create", self.SNAPSHOT, "--noudevsync", "--table",
               f"0 {self.SECTORS} snapshot {self.BELOW} {self.store.PATH} N 16")
        self.resume = self.store.resume
        self.flush = threading.Thread(target=self.fsync, daemon=True)

    def table(self, sectors):
        return f"0 {self.SECTORS} snapshot-origin {self.BELOW}"

    def fsync(self):
        fd = os.open(self.store.PATH, os.O_RDWR)
        os.fsync(fd)
        os.close(fd)

    def suspend(self):
        self.store.suspend()
        self.flush.start()
        if not st.poll(lambda: self.flush.native_id and st.state(self.flush.native_id) == "D"):
            raise st.Mismatch("the flush does not wait for the device")

    def remove(self):
        self.resume()
        if self.flush.ident:
            self.flush.join(st.PATIENCE)
        self.remove_mapped(self.SNAPSHOT)
        super().remove()
        self.store.remove()


class ScsiDisk:
    """A SCSI disk of the kernel's own target, which keeps its data on a device that stalls."""
    CONFIG = "/sys/kernel/config"
    BACKSTORE = f"{CONFIG}/target/core/iblock_0/stall"
    WWN = "naa.6001405000000001"
    FABRIC = f"{CONFIG}/target/loopback"
    PORTAL = f"{FABRIC}/{WWN}/tpgt_1"
    LUN = f"{PORTAL}/lun/lun_0"
    through = ()

    def __init__(self):
        for module in ("sd_mod", "target_core_iblock", "tcm_loop"):
            st.run("modprobe", module)
        if not os.path.ismount(self.CONFIG):
            st.run("mount", "-t", "configfs", "configfs", self.CONFIG)
        self.below = st.Stall()
        os.makedirs(self.BACKSTORE)
        write_text(f"{self.BACKSTORE}/control", f"udev_path={self.below.PATH}")
        write_text(f"{self.BACKSTORE}/enable", "1")
        os.makedirs(self.FABRIC, exist_ok=True)
        for path in (f"{self.FABRIC}/{self.WWN}", self.PORTAL):
            os.mkdir(path)
        write_text(f"{self.PORTAL}/nexus", self.WWN)
        os.mkdir(self.LUN)
        os.symlink(self.BACKSTORE, f"{self.LUN}/stall")
        self.PATH = st.poll(self.disk)
        if not self.PATH:
            raise st.Mismatch("the target makes no disk")
        self.names = (self.PATH, os.path.basename(self.PATH))
        self.suspend, self.resume = self.below.suspend, self.below.resume

    @staticmethod
    def disk():
        """Path of the disk; once it can be read, the kernel has read all that it wants from it."""
        for path in glob.glob("/sys/block/sd*"):
            path = f"/dev/{os.path.basename(path)}"
            try:
                with open(path, "rb") as file:
                    if len(file.read(st.PAGE)) == st.PAGE:
                        return path
            except OSError:
                continue  # it comes or goes
        return None

    def remove(self):
        self.resume()
        os.unlink(f"{self.LUN}/stall")
        if not st.poll(lambda: not glob.glob("/sys/block/sd*")):
            raise st.Mismatch(f"{self.PATH} stays")
        write_text(f"{self.PORTAL}/nexus", "NULL")
        for path in (self.LUN, self.PORTAL, f"{self.FABRIC}/{self.WWN}", self.BACKSTORE):
            os.rmdir(path)


class Raid:
    """A degraded RAID 1 array, of which the one device there is stalls."""
    PATH = "/dev/md9"
    KIB = 8 << 10
    names = (PATH, "md9")

    def __init__(self):
        self.below = st.Stall()
        self.through = device_names(self.below.PATH)
        st.run("modprobe", "raid1")
        write_text("/sys/module/md_mod/parameters/new_array", "md9")
        number = os.stat(self.below.PATH).st_rdev
        self.set("metadata_version", "none")
        self.set("level", "raid1")
        self.set("raid_disks", "2")
        self.set("component_size", str(self.KIB))
        self.set("new_dev", f"{os.major(number)}:{os.minor(number)}")
        self.set(f"dev-{self.through[1]}/slot", "0")
        self.set("array_state", "active")
        with open(self.PATH, "rb") as file:  # the first one to do so reads its partitions
            file.read(st.PAGE)
        self.suspend, self.resume = self.below.suspend, self.below.resume

    @staticmethod
    def set(name, value):
        write_text(os.path.join("/sys/block/md9/md", name), value)

    def remove(self):
        self.resume()
        self.set("array_state", "clear")


class SuspendedRaid(Raid):
    """All of an array is kept from being written to, as mdadm does with a part that it reshapes."""

    def __init__(self):
        super().__init__()
        self.through = ()
        self.suspend, self.resume = self.keep_out, self.let_in

    def keep_out(self):
        self.set("suspend_lo", "0")
        self.set("suspend_hi", str(2 * self.KIB))

    def let_in(self):
        self.set("suspend_hi", "0")


class NvmeTcp:
    """An NVMe disk over TCP, of the kernel's own target on this machine: no packet gets there."""
    CONFIG, PEER = "/sys/kernel/config", "127.0.0.1:4420"
    SUBSYSTEM, PORT = f"{CONFIG}/nvmet/subsystems/vm", f"{CONFIG}/nvmet/ports/1"
    NAMESPACE = f"{SUBSYSTEM}/namespaces/1"
    UUID = "00000000-0000-4000-8000-000000000001"
    through = ()

    def __init__(self):
        for module in ("nvmet_tcp", "nvme_tcp", "sch_netem"):
            st.run("modprobe", module)
        if not os.path.ismount(self.CONFIG):
            st.run("mount", "-t", "configfs", "configfs", self.CONFIG)
        st.run("ip", "link", "set", "lo", "up")
        for path in (self.SUBSYSTEM, self.NAMESPACE, self.PORT):
            os.mkdir(path)
        address, service = self.PEER.split(":")
        for path, text in ((f"{self.SUBSYSTEM}/attr_allow_any_host", "1"),
                           (f"{self.NAMESPACE}/device_path", st.Stall.BELOW),
                           (f"{self.NAMESPACE}/enable", "1"),
                           (f"{self.PORT}/addr_trtype", "tcp"),
                           (f"{self.PORT}/addr_adrfam", "ipv4"),
                           (f"{self.PORT}/addr_traddr", address),
                           (f"{self.PORT}/addr_trsvcid", service)):
            write_text(path, text)
        os.symlink(self.SUBSYSTEM, f"{self.PORT}/subsystems/vm")
        write_text("/dev/nvme-fabrics", f"transport=tcp,traddr={address},trsvcid={service},nqn=vm,"
                   f"hostnqn=nqn.2014-08.org.nvmexpress:uuid:{self.UUID},hostid={self.UUID}")
        self.PATH = st.poll(self.disk)
        if not self.PATH:
            raise st.Mismatch("the NVMe target makes no disk")
        self.names = (self.PATH, os.path.basename(self.PATH))
        self.lost = False

    @staticmethod
    def disk():
        for path in glob.glob("/dev/nvme*n1"):
            with open(path, "rb") as file:  # the first one to do so reads its partitions
                file.read(st.PAGE)
            return path
        return None

    def suspend(self):
        st.run("tc", "qdisc", "add", "dev", "lo", "root", "netem", "loss", "100%")
        self.lost = True

    def resume(self):
        if self.lost:
            st.run("tc", "qdisc", "delete", "dev", "lo", "root")
            self.lost = False

    def remove(self):
        self.resume()
        for path in glob.glob("/sys/class/nvme/nvme*/delete_controller"):
            write_text(path, "1")
        os.unlink(f"{self.PORT}/subsystems/vm")
        write_text(f"{self.NAMESPACE}/enable", "0")
        for path in (self.PORT, self.NAMESPACE, self.SUBSYSTEM):
            os.rmdir(path)


class SlowDisk(st.Stall):
    """A device-mapper target over persistent memory: DAX goes through it, I/O can be stalled."""
    NAME = "slow"
    PATH = f"/dev/mapper/{NAME}"
    BELOW = st.SPARE_DEVICE


class Lower:
    """A filesystem without DAX that holds one file."""
    POINT = "/mnt/lower"
    FILE = f"{POINT}/target"
    MAKERS = {"ext4": lambda device: st.run("mkfs.ext4", "-q", "-F", device),
              "xfs": lambda device: st.run("mkfs.xfs", "-q", "-f", "-K", device),
              "btrfs": lambda device: st.run("mkfs.btrfs", "-q", "-f", "-K", "-m", "single", device),
              "vfat": lambda device: st.run("busybox", "mkdosfs", device)}
    SIZE = 4 * MIB

    def __init__(self, fstype, device):
        os.makedirs(self.POINT, exist_ok=True)
        self.MAKERS[fstype](device)
        st.run("mount", "-t", fstype, device, self.POINT)
        with open(self.FILE, "wb") as file:
            file.write(bytes(self.SIZE))
            os.fsync(file.fileno())
        st.run("sync", "-f", self.POINT)

    def umount(self):
        st.run("umount", self.POINT)


class FileOnDisk:
    """A file of an ordinary filesystem whose disk stalls."""
    PATH = Lower.FILE
    names = (PATH,)

    def __init__(self, fstype):
        self.disk = SlowDisk()
        self.lower = Lower(fstype, self.disk.PATH)
        self.through = device_names(self.disk.PATH)

    def suspend(self):
        self.disk.suspend()

    def resume(self):
        self.disk.resume()

    def remove(self):
        self.resume()
        self.lower.umount()
        self.disk.remove()


class FileInOverlay(FileOnDisk):
    """The same, opened as a container does: by its name in an overlay."""
    POINT, LAYERS = "/run/merged", f"{Lower.POINT}/layers"
    PATH = f"{POINT}/target"
    names = (f"{LAYERS}/upper/target",)

    def __init__(self, fstype):
        super().__init__(fstype)
        for name in ("lower", "upper", "work"):
            os.makedirs(os.path.join(self.LAYERS, name))
        os.makedirs(self.POINT, exist_ok=True)
        os.rename(Lower.FILE, self.names[0])
        st.run("sync", "-f", Lower.POINT)
        layers = ",".join(f"{name}dir={self.LAYERS}/{name}" for name in ("lower", "upper", "work"))
        st.run("mount", "-t", "overlay", "-o", layers, "overlay", self.POINT)

    def remove(self):
        self.resume()
        st.run("umount", self.POINT)
        super().remove()


class FrozenLoop:
    """A loop device over a file whose filesystem is frozen."""
    PATH = "/dev/loop0"
    names = (PATH, "loop0")
    through = (Lower.FILE,)

    def __init__(self):
        st.run("modprobe", "loop")
        self.lower = Lower("ext4", st.SPARE_DEVICE)
        st.run("losetup", self.PATH, Lower.FILE)
        self.frozen = False

    def suspend(self):
        st.run("fsfreeze", "-f", Lower.POINT)
        self.frozen = True

    def resume(self):
        if self.frozen:
            os.system(f"fsfreeze -u {Lower.POINT} 2>/dev/null")  # the advice may have been to
            self.frozen = False

    def remove(self):
        self.resume()
        st.run("losetup", "-d", self.PATH)
        self.lower.umount()
