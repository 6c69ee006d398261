# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""Hangs on pages in network packets: in sockets, between them, and on the way to be freed."""

import os
import re
import subprocess
import time

import stage as st
import verdict
from cures import Advice
from hang import SOON, STILL_ASLEEP, Scenario
from holder import PipeHolder, SocketHolder
from stage import Mismatch, Unavailable


def has_symbol(name):
    """Whether the kernel has a function, by which what it can do is told."""
    with open("/proc/kallsyms", encoding="ascii") as file:
        return bool(re.search(rf" {name}\b", file.read()))


class NetworkStage(st.Stage):
    """Leaves no packet of its file behind: the file could not go while there is one."""

    def settle(self):
        subprocess.run(["ss", "-tK", "state", "fin-wait-1"], stdout=subprocess.DEVNULL)
        self.free_packets()

    @staticmethod
    def free_packets():
        """What a CPU has yet to free goes when it receives something."""
        subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
        for cpu in range(os.cpu_count()):
            st.run("taskset", "-c", str(cpu), "ping", "-c", "1", "127.0.0.1")


class TcpHolder(PipeHolder):
    """One end of a TCP connection, or two, or none: hold_tcp has the states."""

    def __init__(self, how, state, by_reading=False):
        super().__init__(how, state)
        self.how = "socket" if how == "splice" else "zerocopy"
        self.by_reading = by_reading

    def start(self, stage, index):
        self.program = stage.start("hold_tcp", *self.options, stage.path, index)

    def received(self):
        return verdict.Holder("socket", {self.program.pid}, object=self.program.ready["receiver"])

    def sent(self, name):
        """In the sender's queue, from which only the receiver can take it."""
        return verdict.Holder(self.how, {self.program.pid}, object=self.program.ready[name])

    def truths(self):
        """What is sent with zero copy gets to a receiver over loopback as a copy."""
        state = self.options[1]
        received = [self.received()] if self.how == "socket" else []
        if state == "alone":
            return [verdict.Holder(self.how, set(), object=self.program.ready["orphan"])]
        if state == "deferred":
            return [verdict.Holder("kernel", set(), object="CPU 0")]
        if state == "window":
            return [self.sent("sender")]
        if state == "dropped":
            return [verdict.Holder(self.how, {self.program.ready["taker"]},
                                   object=self.program.ready["sender"])]
        if state == "full":
            return [self.sent("sender"), *received]
        if state == "stuck":
            pipe = verdict.Holder("vmsplice", {self.program.ready["taker"]},
                                  targets=(self.program.ready["sender"],),
                                  object=self.program.ready["pipe"])
            return [self.sent("sender"), *received, pipe]
        if state == "orphan":
            return [self.sent("orphan"), *received]
        if state == "netns":  # where the name says so
            return received
        return [self.received()]

    def truth(self):
        return self.truths()[0]

    def end(self, stage, pids, still_asleep):
        if self.by_reading:
            self.program.order("read")
        else:
            super().end(stage, pids, still_asleep)


class Network(Scenario):
    """A page in the packets of a holder that has one or more queues of them."""
    filesystems = ("ext4",)  # it cannot matter to a packet

    def __init__(self, name, holder, symbol=None):
        super().__init__(name, "truncate", [holder])
        self.symbol = symbol

    def new_stage(self, session, fstype):
        return NetworkStage(session.kernel, fstype, self.name.replace("/", "."), self.pages)

    def unavailable(self, session, fstype):
        if self.symbol and not has_symbol(self.symbol):
            return f"a kernel without {self.symbol}() does not hold such a page"
        return super().unavailable(session, fstype)

    def truth(self, stage):
        truth = super().truth(stage)
        if isinstance(self.holders[0], TcpHolder):
            truth.holders = self.holders[0].truths()
        return truth

    def check_sum(self, wait):
        """Each reference is of one holder: no more and no fewer than the page has."""
        page = wait["pages"][0]
        found = sum(holder["refs"] for holder in wait["holders"])
        if found != page["refs"] - page["idle_refs"]:
            raise Mismatch(f"{found} references are explained of {page}")

    def proceeds(self, stage):
        """Ended from another CPU, a holder may leave packets that this one has yet to free."""
        time.sleep(STILL_ASLEEP)
        if st.waits_for_page(self.waiter.tid):
            stage.free_packets()
        super().proceeds(stage)

    def end_holders(self, stage, wait):
        pids = self.holders[0].program.pids()
        if wait:
            self.check_sum(wait)
            pids = set().union(*(verdict.pids(holder["tasks"]) for holder in wait["holders"]
                                 if holder["refs"]))
        self.holders[0].end(stage, pids, self.still_asleep)


class NetworkAdvice(Network, Advice):
    """Each command that is advised is followed, on a hang staged anew."""

    def unavailable(self, session, fstype):
        reason = Network.unavailable(self, session, fstype)
        return reason or (None if session.tool else "there is no advice without a verdict")

    def run(self, session, fstype):
        reason = self.unavailable(session, fstype)
        if reason:
            raise Unavailable(reason)
        Advice.run(self, session, fstype)

    def prove(self, session, stage, log_name):
        """Where no task is named the program that staged it is a bystander."""
        if not self.truth(stage).holders[0].pids:
            program = self.holders[0].program
            program.kill()
            if not program.ended(SOON):
                raise Mismatch("the program that staged it did not end")
            self.still_asleep("the program that had staged it had ended")
        Advice.prove(self, session, stage, log_name)


class Cipher(Network):
    """A page given to a cipher; whether the kernel keeps or copies it is told by trying."""
    RESTRICTED = "/proc/sys/crypto/af_alg_restrict"  # v7.3: to ciphers that programs are known to use

    def stage(self, stage):
        for module in ("af_alg", "algif_skcipher", "crypto_null"):
            subprocess.run(["modprobe", "-q", module])
        if os.path.exists(self.RESTRICTED):
            with open(self.RESTRICTED, "w", encoding="ascii") as file:
                file.write("0")
        super().stage(stage)

    def start_waiter(self, stage):
        waiter = super().start_waiter(stage)
        if waiter.done(1) == (0, 0):
            raise Unavailable("splice(2) into AF_ALG copies on this kernel")
        return waiter


def network():
    """Each way for a page to stay in a packet."""
    def tcp(how, state, **settings):
        return Network(f"tcp-{how}-{state}".replace("_", "-"), TcpHolder(how, state, **settings))

    def late(name, state):
        return NetworkAdvice(name, TcpHolder("splice", state))

    found = [tcp("splice", "unread"), tcp("splice", "half"), tcp("splice", "full", by_reading=True),
             tcp("splice", "orphan", by_reading=True), tcp("splice", "netns"),
             tcp("splice", "unaccepted"),
             tcp("splice", "dropped", by_reading=True),
             tcp("splice", "stuck", by_reading=True),
             tcp("zerocopy", "window"), tcp("zerocopy", "full"), tcp("zerocopy", "orphan")]
    found += [Network("tcp-send-zc-window", TcpHolder("send_zc", "window"),
                      symbol="io_send_zc_prep")]
    found += [Network(f"socket-{mode}", SocketHolder(mode))
              for mode in ("unix", "unaccepted", "scm", "chain")]
    found += [Cipher("socket-alg", SocketHolder("alg"))]
    found += [late("advice-socket", "full"), late("advice-orphan", "alone"),
              late("tcp-reset", "dropped")]
    found += [NetworkAdvice("advice-deferred", TcpHolder("splice", "deferred"),
                            symbol="skb_attempt_defer_free")]
    return found
