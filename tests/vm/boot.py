# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""The boot in which scenarios run, and how they ask the tool."""

import json
import os
import shutil
import subprocess
import time

import stage as st
import verdict
from stage import Mismatch


class Session:
    """The boot in which scenarios run: the kernel, the tool, where logs go."""
    TOOL = "/run/daxtrace"  # a copy: a checkout may be where only root can read

    def __init__(self, tool, out):
        self.kernel, self.tool, self.out = st.Kernel(), None, out
        if tool:
            self.tool = shutil.copy(tool, self.TOOL)
        self.stuck = []  # tasks that scenarios left in a wait which nothing can end
        self.took = 0    # seconds of the last run of the tool
        self.freed = ()  # kinds of BPF objects of which nothing may stay

    def daxtrace(self, *options, by=(), stdout=subprocess.PIPE):
        start = time.monotonic()
        done = subprocess.run([*by, self.tool, *options], stdin=subprocess.DEVNULL, timeout=20,
                              stdout=stdout, stderr=subprocess.PIPE, encoding="utf-8")
        self.took = time.monotonic() - start
        return done.returncode, done.stdout, done.stderr

    def run(self, scenario, fstype):
        self.freed = getattr(scenario, "freed_of_bpf", tuple(st.BPF_GET_NEXT_ID))
        scenario.run(self, fstype)

    def begin(self, scenario, stage):
        """Called before anything is staged."""

    def ask(self, *options, by=()):
        """Status, document as text and errors."""
        return self.daxtrace("-J", "-e", *options, by=by)

    def explain(self, name, truths, *options, by=()):
        """Run the tool on what is staged; the document, once it is found to be right."""
        before = st.bpf_objects()
        status, text, errors = self.ask(*options, by=by)
        with open(os.path.join(self.out, f"{name}.json"), "w", encoding="utf-8") as file:
            file.write(text)
        try:
            document = json.loads(text)
        except ValueError:
            raise Mismatch(f"daxtrace: status {status}, no JSON: {errors.strip()[-300:]}") from None
        bad = verdict.check(document, status, truths, self.stuck)
        if not st.poll(lambda: not st.bpf_left(before, self.freed), 2):
            bad.append(f"left in the kernel: {st.bpf_left(before, self.freed)}")
        if bad:
            raise Mismatch("; ".join(bad))
        return document
