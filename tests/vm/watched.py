# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""Any scenario, with the verdict of a watch instead of that of one look: hooks must do no harm.

A watch that is older than the hold must know who took it and when the wait began, too. What it
recorded must give the same document.
"""

import json

import boot
import verdict
from recorded import same
from stage import Mismatch, Unavailable
from traced import SECOND, Watch

MODES = ("before", "after")
EARLY_CASE, CASE = "/run/watched-early.dxt", "/run/watched.dxt"
# References that get_user_pages() takes, where hooks see it: not the copies that tee(2) makes of one.
PINS = {"vmsplice", "socket", "direct_io", "aio", "io_uring"}
# Hooks keep as many tasks of a page, and 1024 references of it may be one of FOLL_PIN.
TAKERS_MAX, REFS_MAX = 3, 1023


class Session(boot.Session):
    """Its watches begin before anything is staged, or when a document is wanted."""

    def __init__(self, mode, tool, out):
        super().__init__(tool, out)
        self.mode, self.scenario = mode, None
        self.early = None  # the watch that has begun, until it is asked
        self.from_early = False  # whether the last document is of such a watch
        self.watched = 0  # documents of watches

    def run(self, scenario, fstype):
        self.early, self.watched = None, 0
        super().run(scenario, fstype)
        if not self.watched:
            raise Unavailable("it asks for nothing that a watch could tell")

    def begin(self, scenario, stage):
        self.scenario = scenario
        if self.mode == "before":
            self.early = Watch(self, "-e", "-w", EARLY_CASE, *scenario.options)
            stage.at_end.append(self.early.__exit__)
            self.early.hooked()

    def ask(self, *options, by=()):
        self.from_early = False
        if by or "-r" in options:
            return super().ask(*options, by=by)
        if self.early and options == self.scenario.options:
            case, watch, self.early, self.from_early = EARLY_CASE, self.early, None, True
        else:
            case, watch = CASE, Watch(self, "-e", "-w", CASE, *options)
        with watch:
            told = watch.end() if self.from_early else watch.hooked().end()
        if any(wait["spins"] for wait in json.loads(told[1] or '{"waits": []}')["waits"]):
            told = (*told[:2], "")  # the hooks stay until it ends, and that is told
        else:
            watch.must_be_gone(self.freed)
        same(told, self.daxtrace("-J", "-k", "-e", "-r", case))
        self.watched += 1
        return told

    def explain(self, name, truths, *options, by=()):
        if self.early:  # what a look takes to be likely may have been seen
            for holder in [holder for truth in truths for holder in truth.holders]:
                holder.confidences += ("exact",)
        document = super().explain(name, truths, *options, by=by)
        bad = [text for truth in truths if self.from_early
               for text in self.known_better(verdict.wait_of(document, truth.tid), truth)]
        if bad:
            raise Mismatch("; ".join(bad))
        return document

    def known_better(self, wait, truth):
        """Complaints about what only a watch can know that has seen it all."""
        bad, began = [], wait["began_mono_ns"]
        if "unbind" in truth.ops:  # no hook sees it, and it changes the count of an idle page
            return bad
        if truth.on == "page" and (not began or began < truth.started * SECOND):
            bad.append(f"the wait began at {began}, not after {truth.started} s")
        if len(truth.holders) > TAKERS_MAX or \
                any(page["busy"] > REFS_MAX for page in wait["pages"]):
            return bad
        taken = [named for named in wait["holders"] if self.is_seen_taken(named, truth)]
        for holder in truth.holders:
            if holder.how in PINS and holder.pids and not any(
                    named["how"] == holder.how and verdict.pids(named["tasks"]) == holder.pids
                    for named in taken):
                bad.append(f"nobody was seen to take what {holder} has")
        return bad

    def is_seen_taken(self, named, truth):
        programs = [getattr(holder, "taker", holder.program) for holder in self.scenario.holders]
        programs = list(filter(None, programs))  # of a holder on another machine there is none
        pids = set().union(*(program.family() for program in programs),
                           *(holder.pids for holder in truth.holders),
                           # a child that gave away what it took
                           ((program.ready or {}).get("taker") for program in programs))
        return "trace" in named["seen_by"] and (named["taken_by"] or {}).get("pid", 0) in pids
