# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""The live view: daxtop runs in a terminal before, during and after a hang."""

import json
import os
import re
import shutil
import subprocess
import sys
import time

import stage as st
from hang import Scenario
from holder import PipeHolder
from stage import Mismatch

sys.path.append(os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "top"))
from tmux import Terminal, Timeout  # noqa: E402

STEP = 3600  # seconds by which somebody sets the clock
SHOWN = 2          # seconds from the sleep of the waiter to the verdict on the screen
LOOK = 0.25        # seconds that one daxtrace takes in a guest that has its cores for itself
TOOL = "/run/daxtop"  # a copy, like daxtrace's
RECORDING = "/run/daxtop.dxt"


def step_clock(seconds):
    time.clock_settime(time.CLOCK_REALTIME, time.clock_gettime(time.CLOCK_REALTIME) + seconds)


class LiveView(Scenario):
    """It says that nobody waits, names the hang within two seconds, and says when it is over.

    It also says who was seen to take the reference. Meanwhile the filesystem goes with its module and
    comes back elsewhere in memory, the clock is set, and what is shown is recorded.
    """

    def __init__(self, **settings):
        super().__init__("live-view", "truncate", [PipeHolder()], **settings)
        self.before, self.terminal, self.stepped, self.reloaded = set(), None, 0, False

    def start(self):
        self.before = st.bpf_objects()
        if os.path.exists(TOOL):  # one of an earlier attempt may run yet
            os.unlink(TOOL)
        shutil.copy(os.path.join(st.TOOLS, "daxtop"), TOOL)
        self.terminal = Terminal(120, 40)
        self.terminal.run(f"{TOOL} -w {RECORDING}")
        self.wait(lambda screen: "OK: nobody waits" in screen, st.PATIENCE)

    def mounts(self, number):
        self.wait(lambda screen: f"DAX mounts {number}," in screen, st.PATIENCE)

    def change_the_machine(self, fstype):
        """Where the module is in use elsewhere, only the filesystem goes."""
        self.mounts(len(st.FILESYSTEMS))
        st.run("umount", st.mount_point(fstype))
        self.mounts(len(st.FILESYSTEMS) - 1)
        self.reloaded = not subprocess.run(["modprobe", "-r", fstype], check=False,
                                           stderr=subprocess.DEVNULL).returncode
        st.mount(fstype)
        self.mounts(len(st.FILESYSTEMS))
        step_clock(STEP)
        self.stepped = STEP

    def wait(self, shown, seconds):
        try:
            return self.terminal.wait(shown, seconds)
        except Timeout as screen:
            raise Mismatch(f"daxtop: {screen}") from None

    def stage(self, stage):
        self.start()
        self.change_the_machine(stage.fstype)
        super().stage(stage)

    def is_named(self, screen):
        holder = self.holders[0].program
        return (f"truncate by {self.waiter.name}[{self.waiter.pid}]" in screen
                and f"{holder.ready['object']} by {holder.name}[{holder.pid}]" in screen
                and f"kill {holder.pid}" in screen and self.waiter.name in screen
                # whatever the clock says: not an hour
                and re.search(r"has waited (\d+ms|\d+\.\ds) ", screen))

    def prove(self, session, stage, log_name):
        asleep = time.monotonic()
        screen = self.wait(self.is_named, SHOWN + st.PATIENCE)
        took = time.monotonic() - asleep
        limit = SHOWN * self.slowness(session)
        with open(os.path.join(session.out, f"{log_name}.screen"), "w", encoding="utf-8") as file:
            file.write(f"{screen}\nshown after {took:.1f} of {limit:.1f} s\n"
                       f"{stage.fstype}: module {'' if self.reloaded else 'not '}reloaded\n")
        if took > limit:
            raise Mismatch(f"the verdict was on the screen only after {took:.1f} s of {limit:.1f}")
        if str(self.bystander.pid) in screen:
            raise Mismatch("an innocent task is on the screen")
        self.terminal.press("F8")
        self.wait(lambda text: "WHAT HELPS" in text, st.PATIENCE)
        self.terminal.press("Enter")
        holder = self.holders[0].program
        self.wait(lambda text: f"taken by {holder.name}[{holder.pid}]" in text, st.PATIENCE)
        self.terminal.press("Enter")
        self.end_bystander()
        self.end_holders(stage, None)
        self.proceeds(stage)
        self.wait(lambda text: "OK: nobody waits" in text and "ended 1" in text, st.PATIENCE)
        self.terminal.press("q")
        if not st.poll(lambda: st.bpf_objects() <= self.before):
            raise Mismatch(f"left in the kernel: {sorted(st.bpf_objects() - self.before)}")
        self.replay()
        self.check_traced(session)

    def check_traced(self, session):
        """Hooks saw how the wait ended, which looks cannot see."""
        document = json.loads(session.daxtrace("-J", "-r", RECORDING)[1])
        ends = [end for end in document["ended"] if end["tid"] == self.waiter.tid]
        if [end["result"] for end in ends] != ["done"] or not ends[0]["ended_mono_ns"]:
            raise Mismatch(f"hooks did not see the end of the wait: {ends}")

    @staticmethod
    def slowness(session):
        """How much longer than alone everything takes here and now, beside other guests."""
        start = time.monotonic()
        session.daxtrace("-q")
        return max(1, (time.monotonic() - start) / LOOK)

    def replay(self):
        """The recording, on the same screen: the wait is over, and one step back it is there."""
        self.terminal.run(f"clear; {TOOL} -r {RECORDING}")
        self.wait(lambda screen: re.search(r"REPLAY (\d+)/\1\]", screen)
                  and "OK: nobody waits" in screen and "ended 1" in screen, st.PATIENCE)
        for _ in range(8):
            self.terminal.press("t")
            time.sleep(0.5)
            if self.is_named(self.terminal.screen()):
                self.terminal.press("q")
                return
        raise Mismatch(f"the wait is not in the recording: {self.terminal.screen()}")

    def run(self, session, fstype):
        if not session.tool:
            raise st.Unavailable("there is nothing to show without a tool")
        try:
            super().run(session, fstype)
        finally:
            if self.terminal:
                self.terminal.close()
            step_clock(-self.stepped)
            if not os.path.ismount(st.mount_point(fstype)):
                st.mount(fstype)
