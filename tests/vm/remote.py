# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""The peer of a TCP connection on another machine, which is behind a tun device and is no more."""

import fcntl
import os
import socket
import struct
import threading

import stage as st


class RemotePeer(threading.Thread):
    """Accepts any connection, and acknowledges no data until it is told to read."""
    NAME, LOCAL, ADDRESS = "remote0", "10.8.0.1/24", "10.8.0.2"
    TUNSETIFF, IFF_TUN_NO_PI = 0x400454ca, 0x1001
    SYN, ACK = 0x02, 0x10
    IP, TCP = struct.Struct(">BBHHHBBH4s4s"), struct.Struct(">HHIIBBHHH")
    FIRST = 1000  # number of its first byte

    def __init__(self):
        super().__init__(daemon=True)
        st.run("modprobe", "-q", "tun")
        self.fd = os.open("/dev/net/tun", os.O_RDWR)
        fcntl.ioctl(self.fd, self.TUNSETIFF,
                    struct.pack("16sH22x", self.NAME.encode(), self.IFF_TUN_NO_PI))
        st.run("ip", "address", "add", self.LOCAL, "dev", self.NAME)
        st.run("ip", "link", "set", self.NAME, "up")
        self.reads = False
        self.last = None  # source, ports and next number of the last segment with data

    def run(self):
        try:
            while True:
                self.take(os.read(self.fd, 1 << 16))
        except OSError:
            pass  # it was removed

    def take(self, packet):
        if packet[0] >> 4 != 4 or packet[9] != socket.IPPROTO_TCP:
            return
        start = (packet[0] & 15) * 4
        source, target, number, _, offset, flags, *_ = self.TCP.unpack_from(packet, start)
        size = len(packet) - start - (offset >> 4) * 4
        if flags & self.SYN:
            self.send(packet[12:16], target, source, self.FIRST, number + 1, self.SYN | self.ACK)
        elif size:
            self.last = packet[12:16], target, source, self.later(number + size)
            if self.reads:
                self.acknowledge()

    def later(self, number):
        """What was sent again ends before what has come already."""
        return max(number, self.last[3]) if self.last else number

    def acknowledge(self):
        address, source, target, number = self.last
        self.send(address, source, target, self.FIRST + 1, number, self.ACK)

    def read(self):
        self.reads = True
        self.acknowledge()

    def send(self, address, source, target, number, acknowledged, flags):
        own = socket.inet_aton(self.ADDRESS)
        fields = [source, target, number, acknowledged & 0xffffffff, 5 << 4, flags, 0xffff, 0, 0]
        pseudo = own + address + struct.pack(">HH", socket.IPPROTO_TCP, self.TCP.size)
        fields[7] = self.checksum(pseudo + self.TCP.pack(*fields))
        head = [0x45, 0, self.IP.size + self.TCP.size, 0, 0, 64, socket.IPPROTO_TCP, 0, own, address]
        head[7] = self.checksum(self.IP.pack(*head))
        os.write(self.fd, self.IP.pack(*head) + self.TCP.pack(*fields))

    @staticmethod
    def checksum(data):
        total = sum(struct.unpack(f">{len(data) // 2}H", data))
        total = (total & 0xffff) + (total >> 16)
        return ~((total & 0xffff) + (total >> 16)) & 0xffff

    def remove(self):
        """The device goes with its last descriptor; the thread may sleep in a read of it."""
        st.run("ip", "link", "delete", self.NAME)
        self.join(st.PATIENCE)
        os.close(self.fd)
