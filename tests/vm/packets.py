# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""Hangs on pages in packets that no queue of a socket shows."""

import subprocess

import stage as st
import verdict
from cures import Sentence
from hang import Searched
from holder import PipeHolder
from remote import RemotePeer
from stage import Unavailable


class StuckDevice:
    """A network device whose queueing discipline keeps each packet for longer than any scenario."""
    NAME, ADDRESS, PEER = "stuck0", "10.9.0.1/24", "10.9.0.2"

    def __init__(self):
        for module in ("dummy", "sch_netem"):
            if subprocess.run(["modprobe", "-q", module]).returncode:
                raise Unavailable(f"this kernel has no {module}")
        st.run("ip", "link", "add", self.NAME, "type", "dummy")

    def start(self):
        st.run("ip", "address", "add", self.ADDRESS, "dev", self.NAME)
        st.run("ip", "link", "set", self.NAME, "up")
        st.run("tc", "qdisc", "add", "dev", self.NAME, "root", "netem", "delay", "250s")

    def release(self):
        st.run("tc", "qdisc", "delete", "dev", self.NAME, "root")

    def remove(self):
        st.run("ip", "link", "delete", self.NAME)


class Packet(PipeHolder):
    """One of the ways of hold_packet."""

    def __init__(self, way, how, confidences=("exact",)):
        super().__init__(way)
        self.how, self.confidences = how, confidences

    def start(self, stage, index):
        for module in ("tls", "vsock_loopback"):
            subprocess.run(["modprobe", "-q", module])
        st.run("ip", "link", "set", "lo", "up")
        self.program = stage.start("hold_packet", *self.options, stage.path, index)
        if self.program.ready["refused"]:
            raise Unavailable("this kernel cannot")

    def truth(self):
        named = None if self.how == "unknown" else self.program.ready["object"]
        return verdict.Holder(self.how, {self.program.pid}, self.confidences, object=named)


class KeptOrCopied(Searched):
    """A page given to a protocol; whether that keeps or copies it is told by trying."""

    def start_waiter(self, stage):
        waiter = super().start_waiter(stage)
        if waiter.done(1) == (0, 0):
            raise Unavailable("this protocol copies what is spliced into it on this kernel")
        return waiter


class Queued(Packet):
    """A packet that its device does not send; it goes when the queue does, not with its sender."""

    def __init__(self, way):
        super().__init__(way, "zerocopy")
        self.device = None

    def start(self, stage, index):
        self.device = StuckDevice()
        stage.at_end.append(self.device.remove)
        self.device.start()
        self.program = stage.start("hold_packet", *self.options, stage.path, index,
                                   self.device.PEER)

    def truth(self):
        if self.options[0] == "gone":
            return verdict.Holder(self.how, set(), kind="socket", targets=(self.device.PEER,))
        return super().truth()

    def end(self, stage, pids, still_asleep):
        self.program.kill()
        still_asleep("the sender had ended, but not its packet")
        self.device.release()


class Vsock(Searched):
    """Packets of a closed socket stay for VSOCK_CLOSE_TIMEOUT, 8 s, if its peer says nothing."""
    soon = 12


class DatagramCompleted(Sentence, KeptOrCopied):
    """Who has corked the socket sends what was missing."""
    sentence = " complete the datagram of "

    def follow(self, stage):
        self.holders[0].program.order("complete")


class ToRemote(Packet):
    """Sent over TCP to another machine, which does not say that it has it."""

    def __init__(self):
        super().__init__("tcp", "zerocopy")
        self.peer = None

    def start(self, stage, index):
        self.peer = RemotePeer()
        stage.at_end.append(self.peer.remove)
        self.peer.start()
        self.program = stage.start("hold_packet", *self.options, stage.path, index,
                                   self.peer.ADDRESS)


class PeerReads(Sentence):
    sentence = f"Let the peer {RemotePeer.ADDRESS}:"

    def follow(self, stage):
        self.holders[0].peer.read()


def packets():
    """Each is of networking alone, so one filesystem is enough."""
    one = {"filesystems": ("ext4",)}
    return [Searched(f"packet-{way}", "truncate", [Queued(way)], **one)
            for way in ("queued", "gone")] + \
        [KeptOrCopied("packet-cork", "truncate", [Packet("cork", "socket")], **one),
         DatagramCompleted("advice-cork", "truncate", [Packet("cork", "socket")], **one),
         PeerReads("advice-peer", "truncate", [ToRemote()], **one),
         KeptOrCopied("packet-tls", "truncate", [Packet("tls", "unknown", ("likely",))], **one),
         Vsock("packet-vsock", "truncate", [Packet("vsock", "zerocopy")], **one)]
