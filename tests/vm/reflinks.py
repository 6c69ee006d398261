# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""Hangs on XFS files that share extents, or are about to."""

import errno
import fcntl
import mmap
import os

import stage as st
import verdict
from hang import SOON, Scenario
from holder import DirectIO, Retouch
from stage import Mismatch, Unavailable

FICLONE = 0x40049409
CANNOT = (errno.EOPNOTSUPP, errno.ENOTTY, errno.EINVAL)
ATTEMPTS = 8  # files made until one has a higher inode number than another


def write_all(path, pages):
    """Extents that are allocated but not written are no part of what a clone shares."""
    with open(path, "r+b") as file:
        file.write(os.urandom(pages * st.PAGE))
        os.fsync(file.fileno())


def load_all(path):
    """Each page of the file gets an entry in its page cache, which then shares the page."""
    with open(path, "rb") as file, \
            mmap.mmap(file.fileno(), 0, prot=mmap.PROT_READ, flags=mmap.MAP_SHARED) as memory:
        assert len(memory[::st.PAGE]) == len(memory) // st.PAGE


def share_extents(stage):
    """A clone of the stage's file, of which each page is known to both."""
    clone = f"{stage.path}.clone"
    stage.create(clone)
    write_all(stage.path, stage.pages)
    with open(stage.path, "rb") as source, open(clone, "r+b") as target:
        try:
            fcntl.ioctl(target.fileno(), FICLONE, source.fileno())
        except OSError as error:
            if error.errno not in CANNOT:
                raise
            raise Unavailable("no reflink together with DAX on this kernel") from None
    load_all(clone)


class Reflinked(Scenario):
    """The page is shared with a clone and names no file: only the waiter can tell which it is."""
    filesystems = ("xfs",)

    def stage(self, stage):
        share_extents(stage)
        super().stage(stage)

    def start_bystander(self, stage):
        return stage.start("hold_map", "--read", self.file_of_bystander(stage))

    def truth(self, stage):
        truth = super().truth(stage)
        truth.shared = True
        return truth


class SharedDirectIO(DirectIO):
    """Reads the shared page; storing to it would make a copy that is not shared."""

    def __init__(self):
        super().__init__("--read", "pwrite")

    def start(self, stage, index):
        """
        Up to 6.14 a shared page passes for anonymous: PAGE_MAPPING_DAX_SHARED and _ANON are the
        same bit. So a pin, which direct I/O takes on 6.12, faults for ever to have it unshared.
        """
        try:
            super().start(stage, index)
        except Mismatch as reason:
            if "SPINS" not in str(reason):
                raise
            raise Unavailable("direct I/O from a shared page spins on this kernel") from None


class CloneMapped(Retouch):
    """A task that maps the clone: the waiter cannot take the page out of that page table."""

    def start(self, stage, index):
        self.pin = stage.start("hold_pipe", "--read", stage.path, index)
        self.program = stage.start("hold_map", "--read", f"{stage.path}.clone")

    def once_asleep(self, stage, index):
        self.pin.kill()
        if not self.pin.ended(SOON):
            raise Mismatch("the pin did not end")

    def truth(self):
        return verdict.Holder("mapping", {self.program.pid}, ("exact", "likely", "candidate"))


class ReflinkMapped(Reflinked):
    """Both files are named: the one that is truncated and the one whose mapping holds the page."""

    def end_holders(self, stage, wait):
        if wait:
            holder = verdict.holder_of(wait, self.holders[0].truth())
            if f"{stage.path}.clone (xfs)" not in (holder["detail"] or "") or \
                    wait["file"]["path"] != stage.path:
                raise Mismatch(f"the other file is not named: {holder['detail']!r}")
        super().end_holders(stage, wait)


class IntoPinned(Scenario):
    """
    The waiter shares or exchanges extents with a file of which a page is held. That file has the
    lower inode number: with the higher one the kernel does not sleep but spins for ever.
    """
    filesystems = ("xfs",)

    def __init__(self, *args):
        super().__init__(*args)
        self.source = None

    def create_source(self, stage):
        for number in range(ATTEMPTS):
            path = f"{stage.path}.source{number}"
            if stage.create(path).st_ino > stage.stat.st_ino:
                write_all(path, stage.pages)
                return path
        raise Unavailable("no inode number higher than that of the pinned file")

    def try_unpinned(self, stage):
        """Whether the kernel can do it at all is told by doing it while nothing is held."""
        done = self.start_waiter(stage).done()
        if done and done[0] < 0 and done[1] in CANNOT:
            raise Unavailable(f"no {self.op} together with DAX on this kernel")
        if not done or done[0] < 0:
            raise Mismatch(f"{self.op} between files that nobody holds: {done}")

    def start_waiter(self, stage):
        return stage.start("wait_op", self.op, stage.path, self.source)

    def truth(self, stage):
        """The trial made the file share extents; up to 6.14 a copied page names no file either."""
        truth = super().truth(stage)
        truth.shared = True
        return truth

    def stage(self, stage):
        self.source = self.create_source(stage)
        self.try_unpinned(stage)
        super().stage(stage)
