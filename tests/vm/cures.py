# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""Hangs of which the way out is what the tool advises."""

import os
import signal
import subprocess
import time

import stage as st
import verdict
from hang import SOON, STILL_ASLEEP, Eviction, Scenario
from stage import Mismatch, Unavailable


class Cure(Scenario):
    """The way out is the command that the tool prints, and nothing else."""
    cure = ""

    def cures(self, document):
        if not document:
            return [self.cure.format_map(self.waiter.ready)]
        wait = verdict.wait_of(document, self.waiter.tid)
        found = verdict.commands(document, wait, self.findings())
        if not found:
            raise Mismatch("no command is advised")
        return found

    def may_act_on(self, stage):
        """Processes that a command may end."""
        return {program.pid for program in stage.programs}

    def carry_out(self, stage, command):
        if not verdict.is_known(command):
            raise Mismatch(f"advice is no command that is known here: {command}")
        if not verdict.targets(command) <= self.may_act_on(stage):
            raise Mismatch(f"advice acts on a stranger: {command}")
        done = subprocess.run(["sh", "-c", command], stdin=subprocess.DEVNULL, timeout=SOON,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        if done.returncode:
            raise Mismatch(f"advice failed: {command}: {done.stdout.strip()}")

    def is_free(self):
        """Not if it only restarts its wait, as it does after a signal that is then ignored."""
        if st.waits_for_page(self.waiter.tid):
            return False
        time.sleep(STILL_ASLEEP / 2)
        return not st.waits_for_page(self.waiter.tid)

    def must_be_free(self, command):
        if not st.poll(self.is_free, SOON):
            raise Mismatch(f"advice did not help: {command}")

    def prove(self, session, stage, log_name):
        document = session.explain(log_name, [self.truth(stage)]) if session.tool else None
        self.end_bystander()
        command = self.cures(document)[0]
        self.carry_out(stage, command)
        self.must_be_free(command)


class SelfDeadlock(Cure):
    """The waiter is the only task that could let the page go."""

    def stage(self, stage):
        self.bystander = self.start_bystander(stage)
        self.holders[0].start(stage, self.index)
        self.waiter = self.holders[0].program
        self.started = time.monotonic()
        self.waiter.tell("go")
        self.asleep("waiter", self.waiter.tid, st.waits_for_page, self.state())

    def findings(self):
        return ("SELF_DEADLOCK",)


class SelfTruncate(SelfDeadlock):
    cure = "kill -INT {pid}"


class SelfClose(SelfDeadlock):
    """Eviction by the last close of an unlinked file whose page is in a pipe of the same task."""
    cure = "dd if=/proc/{pid}/fd/{read_fd} of=/dev/null bs=4096 count=1"
    file_of_bystander = Eviction.file_of_bystander

    def state(self):
        return "D"

    def release(self, stage):
        self.carry_out(stage, self.cures(None)[0])

    def truth(self, stage):
        truth = super().truth(stage)
        truth.ops, truth.path, truth.deleted = ("evict",), None, True
        return truth


class SelfExit(SelfClose):
    """The same while the task exits: no descriptor is left to drain the pipe by."""
    last = 1

    def release(self, stage):
        """Nothing can."""

    def prove(self, session, stage, log_name):
        session.stuck.append(self.waiter.tid)
        if session.tool:
            document = session.explain(log_name, [self.truth(stage)])
            if verdict.commands(document, verdict.wait_of(document, self.waiter.tid),
                                self.findings()):
                raise Mismatch("a command is advised where none can help")
        self.end_bystander()
        os.kill(self.waiter.pid, signal.SIGKILL)
        self.still_asleep("SIGKILL")


class LostWakeup(Cure):
    """Direct I/O that completes without waking the waiter: the page is idle, nobody holds it."""
    cure = "kill -STOP {pid}; kill -CONT {pid}"

    def unavailable(self, session, fstype):
        if not session.kernel.bio_release_may_not_wake:
            return "completion of direct I/O wakes the waiter on this kernel"
        return super().unavailable(session, fstype)

    def stage(self, stage):
        super().stage(stage)
        holder = self.holders.pop()
        holder.end(stage, set(), self.still_asleep)
        holder.program.kill()
        if not holder.program.ended(SOON):
            raise Mismatch("the holder did not end")
        time.sleep(STILL_ASLEEP)
        if not st.waits_for_page(self.waiter.tid):
            raise Unavailable("completion of direct I/O woke the waiter")

    def findings(self):
        return ("LOST_WAKEUP",)

    def prove(self, session, stage, log_name):
        super().prove(session, stage, log_name)
        self.proceeds(stage)

    def may_miss_wakeup(self, stage):
        return False


class Advice(Cure):
    """Each command that is advised for an ordinary wait, on a hang staged anew for it."""
    turn = 0   # the command that is followed now
    known = 1  # how many there are, once a report has been read
    ends_waiter = False  # whether to follow what ends the waiter, too: it is the same everywhere

    def cures(self, document):
        end = f"kill -INT {self.waiter.pid}"
        found = [cure for cure in super().cures(document) if self.ends_waiter or cure != end]
        if not found:
            raise Mismatch("nothing is advised but to end the waiter")
        return found

    def run(self, session, fstype):
        if not session.tool:
            raise Unavailable("there is no advice without a verdict")
        while self.turn < self.known:
            super().run(session, fstype)
            self.turn += 1

    def prove(self, session, stage, log_name):
        document = session.explain(log_name, [self.truth(stage)])
        self.end_bystander()
        commands = self.cures(document)
        self.known = len(commands)
        command = commands[self.turn]
        self.carry_out(stage, command)
        if verdict.INSPECTIONS.fullmatch(command):
            self.still_asleep("a command that changes nothing")
        elif self.may_miss_wakeup(stage) and not command.startswith("kill"):
            self.follow_up(session, stage, log_name)
        else:
            self.must_be_free(command)

    def follow_up(self, session, stage, log_name):
        """The I/O is done but the waiter was not woken: the next report must say so and help."""
        self.still_asleep("direct I/O whose completion does not wake")
        truth = self.truth(stage)
        truth.holders, truth.findings = [], ("LOST_WAKEUP",)
        document = session.explain(f"{log_name}.after", [truth])
        wait = verdict.wait_of(document, self.waiter.tid)
        for command in verdict.commands(document, wait, truth.findings)[:1]:
            self.carry_out(stage, command)
        self.must_be_free("dmsetup resume and what is advised after it")


class EveryAdvice(Advice):
    ends_waiter = True


class Sentence(Scenario):
    """What is advised is a sentence: somebody does what it says, and the waiter goes on."""
    sentence = ""

    def follow(self, stage):
        raise NotImplementedError

    def check_sentence(self, document):
        found = [advice for finding in document["findings"] for advice in finding["advice"]
                 if self.sentence in advice["do"]]
        if not found or found[0]["proven_by"] != self.holder:
            raise Mismatch(f"{self.sentence!r} is not advised, or not proven here: {found}")

    def prove(self, session, stage, log_name):
        if session.tool:
            self.check_sentence(session.explain(log_name, [self.truth(stage)], *self.options))
        self.end_bystander()
        self.follow(stage)
        self.proceeds(stage)
