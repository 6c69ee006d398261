# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""What keeps a page: a program that holds it in a known way, and how that is ended."""

import os
import signal

import stage as st
import verdict
from hang import SOON
from stage import Mismatch


class PipeHolder:
    """A page in a pipe that nobody reads."""
    frees_by_bio = False

    def __init__(self, *options):
        self.options, self.program = options, None

    def start(self, stage, index):
        self.program = stage.start("hold_pipe", *self.options, stage.path, index)

    def once_asleep(self, stage, index):
        pass

    def truth(self):
        return verdict.Holder("vmsplice", self.program.pids(), object=self.program.ready["object"])

    def end(self, stage, pids, still_asleep):
        for pid in pids:
            os.kill(pid, signal.SIGKILL)
        if not self.program.ended(SOON):
            raise Mismatch(f"ending {sorted(pids)} did not end {sorted(self.program.pids())}")


class SharedPipe(PipeHolder):
    """A pipe that two tasks have open: it goes when both have ended, and not before."""

    def __init__(self):
        super().__init__("--share")

    def end(self, stage, pids, still_asleep):
        first, *rest = sorted(pids)
        os.kill(first, signal.SIGKILL)
        still_asleep("one of two tasks with the pipe had ended")
        super().end(stage, rest, still_asleep)


class DirectIO:
    """A page under synchronous direct I/O to a device that stalls."""
    frees_by_bio = True
    how = "direct_io"

    def __init__(self, *call):
        self.call, self.program = call, None
        self.names = self.through = ()

    def stall(self, stage):
        device = stage.stall()
        self.names, self.through = device.names, device.through

    def start(self, stage, index):
        self.stall(stage)
        self.program = stage.start("hold_dio", *self.call, stage.path, index, stage.stalled.PATH)

    def once_asleep(self, stage, index):
        pass

    def truth(self):
        return verdict.Holder(self.how, {self.program.pid}, ("exact", "likely"),
                              targets=self.names, through=self.through)

    def end(self, stage, pids, still_asleep):
        stage.resume()
        if self.program.done(SOON) != (st.PAGE, 0):
            raise Mismatch("the direct I/O did not complete once its device was resumed")


class AsyncIO(DirectIO):
    """The same, submitted through libaio or io_uring: its task is free to do something else."""
    PROGRAMS = {"aio": ("hold_aio",), "io_uring": ("hold_uring", "write")}

    def __init__(self, how, *options, pages=1, times=1):
        super().__init__()
        self.how, self.options, self.pages, self.times = how, options, pages, times

    def arguments(self, stage, index):
        program, *call = self.PROGRAMS[self.how]
        times = [self.times] if self.how == "aio" else []
        return [program, *self.options, *call, stage.path, index, self.pages, *times]

    def start(self, stage, index):
        self.stall(stage)
        self.program = stage.start(*self.arguments(stage, index), stage.stalled.PATH)

    def truth(self):
        return verdict.Holder(self.how, {self.program.pid}, targets=self.names,
                              through=self.through, refs=self.times)

    def end(self, stage, pids, still_asleep):
        stage.resume()
        if self.program.done(SOON) != (self.pages * st.PAGE, 0):
            raise Mismatch("the direct I/O did not complete once its device answered")


class SocketHolder(PipeHolder):
    """A page in a socket, or in a pipe that is in flight in one."""

    def start(self, stage, index):
        self.program = stage.start("hold_socket", *self.options, stage.path, index)

    def truth(self):
        ready = self.program.ready
        return verdict.Holder(ready["how"], self.program.pids(), object=ready["object"])


class Retouch(PipeHolder):
    """A task that maps the page again after a pin, since gone, made the waiter sleep."""

    def __init__(self, *options):
        super().__init__(*options)
        self.pin = None

    def start(self, stage, index):
        self.pin = stage.start("hold_pipe", stage.path, index)
        self.program = stage.start("hold_map", *self.options, stage.path)

    def once_asleep(self, stage, index):
        self.program.order(f"touch {index}")
        self.pin.kill()
        if not self.pin.ended(SOON):
            raise Mismatch("the pin did not end")

    def truth(self):
        return verdict.Holder("mapping", {self.program.pid}, ("exact", "likely"))
