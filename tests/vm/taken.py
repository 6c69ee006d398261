# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""Holds that hooks see being taken: before the hang, beside what a look finds, or instead of it."""

import verdict
from calls import NfsWrite
from hang import INDEX, SOON
from holder import AsyncIO, PipeHolder
from recorded import same
from stage import Mismatch
from traced import Watch, check
from variations import WithVerdict

EARLY, LATE = "/run/early.dxt", "/run/late.dxt"


class Taken(WithVerdict):
    """One watch begins before the hold and one when all is stuck: both are right, one knows more."""
    filesystems = ("ext4",)
    hidden = ()                   # options that make looks miss the hold
    seen = ["snapshot", "trace"]

    def __init__(self, holder, holders):
        super().__init__(holder, "truncate", holders)
        self.session = self.early = None

    def new_stage(self, session, fstype):
        self.session = session
        return super().new_stage(session, fstype)

    def stage(self, stage):
        if self.session.tool:
            self.early = Watch(self.session, "-w", EARLY, *self.hidden)
            stage.at_end.append(lambda: self.early.__exit__())
            self.early.hooked()
            self.take_and_release(stage)
        super().stage(stage)

    @staticmethod
    def take_and_release(stage):
        """Somebody had the page, too, but that is over."""
        program = stage.start("hold_pipe", stage.path, INDEX)
        program.kill()
        if not program.ended(SOON):
            raise Mismatch("the first holder did not end")

    def exact(self, stage):
        truth = self.truth(stage)
        for holder in truth.holders:
            holder.confidences = ("exact",)
        return truth

    def late(self, stage):
        return self.truth(stage)

    def prove(self, session, stage, log_name):
        with Watch(session, "-w", LATE, *self.hidden).hooked() as late:
            same(late.end(), session.daxtrace("-J", "-k", "-r", LATE))
        same(self.early.end(), session.daxtrace("-J", "-k", "-r", EARLY))
        truth = self.exact(stage)
        document = session.explain(f"{log_name}.early", [truth], "-r", EARLY)
        wait = verdict.wait_of(document, truth.tid)
        self.check_taken(wait, truth.holders[0])
        document = session.explain(f"{log_name}.late", [self.late(stage)], "-r", LATE)
        for holder in verdict.wait_of(document, truth.tid)["holders"]:
            check("hooks that came later", (holder["seen_by"], holder["taken_by"]),
                  (["snapshot"], None))
        self.end_bystander()
        self.end_holders(stage, wait)
        self.proceeds(stage)

    def check_taken(self, wait, truth):
        holder = verdict.holder_of(wait, truth)
        check("who took it", (holder["taken_by"] or {}).get("pid"), self.holders[0].program.pid)
        check("who saw it", holder["seen_by"], self.seen)
        if holder["held_s"] is None or holder["held_s"] < (wait["age_s"] or 0):
            raise Mismatch(f"held for {holder['held_s']} s, and waited for {wait['age_s']} s")
        if not any("try_grab_" in frame for frame in holder["kstack"][:2]):
            raise Mismatch(f"taken in {holder['kstack']}")


class Full(WithVerdict):
    """What finds no room in the map is counted."""
    filesystems = ("ext4",)

    def __init__(self):
        super().__init__("taken-full", "truncate", [])

    def stage(self, stage):
        pass  # nobody has to wait

    def prove(self, session, stage, log_name):
        other = f"{stage.path}.other"
        stage.create(other)
        with Watch(session, "--max-pins", "1").hooked() as watch:
            for path in (stage.path, other, other):
                stage.start("hold_pipe", path, INDEX)
            document = watch.stop()
        check("losses", document["coverage"]["losses"],
              [{"kind": "lost", "count": 2, "where": "references taken (map full)"}])


class FullOfStacks(Full):
    """A stack that finds no room is counted, and who took the reference is told without it."""

    def __init__(self):
        super().__init__()
        self.holder = "taken-stacks-full"

    def prove(self, session, stage, log_name):
        with Watch(session, "--max-stacks", "1").hooked() as watch:
            for _ in range(2):  # by one way
                stage.start("hold_pipe", stage.path, INDEX)
            AsyncIO("aio").start(stage, INDEX)
            document = watch.stop()
        check("losses", document["coverage"]["losses"],
              [{"kind": "lost", "count": 1, "where": "stacks of references taken (map full)"}])


class Hidden(Taken):
    """No look finds this I/O, as if its driver kept it in its own way: only hooks name its task."""
    hidden = ("--without", "blockdev_superblock", "--search", "off")
    seen = ["trace"]

    def truth(self, stage):
        truth = super().truth(stage)
        truth.holders = [verdict.Holder("aio", {self.holders[0].program.pid})]
        return truth

    def late(self, stage):
        truth = self.truth(stage)
        truth.holders, truth.unseen = [], 1
        return truth


def taken():
    return [Taken("taken", [PipeHolder()]), Taken("taken-nfs", [NfsWrite()]),
            Hidden("taken-hidden", [AsyncIO("aio")]), Full(), FullOfStacks()]
