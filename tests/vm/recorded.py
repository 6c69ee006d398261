# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""Hangs that are recorded while they last: the recording says what the live run said."""

import difflib
import itertools
import os
import shutil
import signal
import subprocess

import stage as st
from holder import PipeHolder
from refusals import UNPRIVILEGED
from stage import Mismatch
from variations import WithVerdict

CASE, WATCH, READABLE = "/run/case.dxt", "/run/watch.dxt", "/run/readable.dxt"
DIFFERENCES_SHOWN = 20


class Recorded(WithVerdict):
    """One look, replayed without privilege; then a watch that sees the wait end."""
    filesystems = ("ext4",)

    def __init__(self):
        super().__init__("recorded", "truncate", [PipeHolder()])
        self.watch = None

    def prove(self, session, stage, log_name):
        self.one_look(session, stage, log_name)
        self.command(session)
        with open(f"{WATCH}.out", "w+", encoding="utf-8") as lines:
            self.watch = subprocess.Popen(
                [session.tool, "--follow", "--interval", "100ms", "-w", WATCH],
                stdin=subprocess.DEVNULL, stdout=lines, stderr=subprocess.STDOUT)
            try:
                self.see_the_end(session, stage, lines.name)
            finally:
                self.watch.kill()
                self.watch.wait()

    def one_look(self, session, stage, log_name):
        live = session.daxtrace("-J", "-k", "-e", "-w", CASE)
        shutil.copyfile(CASE, READABLE)
        os.chmod(READABLE, 0o644)
        same(live, session.daxtrace("-J", "-k", "-e", "-r", READABLE, by=UNPRIVILEGED))
        session.explain(log_name, [self.truth(stage)], "-r", CASE)

    @staticmethod
    def command(session):
        status, out, errors = session.daxtrace("-q", "--", "sh", "-c", "exit 5")
        if status != 5 or "BLOCKED" not in out:
            raise Mismatch(f"a command's status 5 is {status}: {out!r} {errors!r}")

    def see_the_end(self, session, stage, lines):
        self.told(lines, "BLOCKED: truncate by wait_op")
        self.end_bystander()
        self.end_holders(stage, None)
        self.proceeds(stage)
        self.told(lines, "ENDED: truncate by wait_op")
        self.watch.send_signal(signal.SIGINT)
        if self.watch.wait(st.PATIENCE) != 0:
            raise Mismatch(f"SIGINT ended the watch with status {self.watch.returncode}")
        with open(lines, encoding="utf-8") as file:
            same((0, file.read(), ""), session.daxtrace("--follow", "-r", WATCH))

    @staticmethod
    def told(lines, text):
        def said():
            with open(lines, encoding="utf-8") as file:
                return text in file.read()
        if not st.poll(said):
            raise Mismatch(f"the watch does not say {text!r}")


def same(live, replayed):
    """Both are a status, a document as text, and errors."""
    if live != replayed:
        texts = ["\n".join(map(str, told)).splitlines() for told in (live, replayed)]
        lines = difflib.unified_diff(*texts, "live", "replayed", n=0, lineterm="")
        raise Mismatch("; ".join(itertools.islice(lines, DIFFERENCES_SHOWN)))
