# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""The device side of vhost-user: a virtio device that QEMU shows to its guest and we serve.

One thread, one connection. The numbers are those of QEMU's docs/interop/vhost-user.rst and of the
virtio specification, split virtqueues.
"""

import array
import mmap
import os
import select
import socket
import struct

HEADER = struct.Struct("<III")  # request, flags, size of what follows
VERSION, REPLY, NEED_REPLY = 1, 1 << 2, 1 << 3

GET_FEATURES, SET_MEM_TABLE = 1, 5
SET_VRING_NUM, SET_VRING_ADDR, SET_VRING_BASE, GET_VRING_BASE = 8, 9, 10, 11
SET_VRING_KICK, SET_VRING_CALL = 12, 13
GET_PROTOCOL_FEATURES, GET_QUEUE_NUM, SET_VRING_ENABLE = 15, 17, 18
SET_BACKEND_REQ_FD, GET_CONFIG, GET_SHMEM_CONFIG = 21, 24, 44
BACKEND_SHMEM_MAP, BACKEND_SHMEM_UNMAP = 9, 10
SHMEM_REGIONS = 256

VIRTIO_F_VERSION_1, F_PROTOCOL_FEATURES = 1 << 32, 1 << 30
# queues, acknowledgements, requests to QEMU and file descriptors with them, the configuration
# space, shared memory
PROTOCOL_FEATURES = 1 << 0 | 1 << 3 | 1 << 5 | 1 << 9 | 1 << 10 | 1 << 22

DESC_NEXT, DESC_WRITE = 1, 2


class Gone(Exception):
    """QEMU has closed the connection."""


def receive(sock, size):
    data = b""
    while len(data) < size:
        part = sock.recv(size - len(data))
        if not part:
            raise Gone
        data += part
    return data


def receive_message(sock):
    """(request, flags, payload, file descriptors)"""
    data, fds, _, _ = socket.recv_fds(sock, HEADER.size, 16)
    if not data:
        raise Gone
    request, flags, size = HEADER.unpack(data + receive(sock, HEADER.size - len(data)))
    return request, flags, receive(sock, size), fds


class Region:
    """Memory of the guest, under its own addresses and under QEMU's."""

    def __init__(self, guest, size, user, offset, fd):
        self.guest, self.size, self.user, self.offset = guest, size, user, offset
        self.map = mmap.mmap(fd, size + offset)
        os.close(fd)

    def at(self, start, addr, size):
        """A view of memory; None when it is not in here, as counted from start."""
        if not start <= addr <= addr + size <= start + self.size:
            return None
        at = addr - start + self.offset
        return memoryview(self.map)[at:at + size]


class Queue:
    """A split virtqueue."""

    def __init__(self):
        self.size = self.next = 0
        self.addresses = None
        self.kick = self.call = -1

    def ready(self):
        return self.kick >= 0 and self.addresses and self.size


class Device:
    """What a subclass serves: handle() gets the bytes of a request and returns those of a reply."""

    def __init__(self, connection, queues, config, shared_memory):
        self.connection, self.config, self.shared_memory = connection, config, shared_memory
        self.queues = [Queue() for _ in range(queues)]
        self.memory = []
        self.backend = None
        self.answers = {
            GET_FEATURES: lambda *_: struct.pack("<Q", VIRTIO_F_VERSION_1 | F_PROTOCOL_FEATURES),
            GET_PROTOCOL_FEATURES: lambda *_: struct.pack("<Q", PROTOCOL_FEATURES),
            GET_QUEUE_NUM: lambda *_: struct.pack("<Q", len(self.queues)),
            GET_CONFIG: self.get_config, GET_SHMEM_CONFIG: self.get_shared_memory,
            SET_BACKEND_REQ_FD: self.set_backend, SET_MEM_TABLE: self.set_memory,
            SET_VRING_NUM: self.set_number, SET_VRING_ADDR: self.set_addresses,
            SET_VRING_BASE: self.set_base, GET_VRING_BASE: self.get_base,
            SET_VRING_KICK: self.set_kick, SET_VRING_CALL: self.set_call,
        }

    def handle(self, request):
        raise NotImplementedError

    # Messages of QEMU; each returns the payload of its reply, or None

    def get_config(self, payload, _):
        offset, size, _ = struct.unpack_from("<III", payload)
        return payload[:12] + self.config.ljust(256, b"\0")[offset:offset + size]

    def get_shared_memory(self, *_):
        return struct.pack(f"<II{SHMEM_REGIONS}Q", 1, 0, self.shared_memory,
                           *[0] * (SHMEM_REGIONS - 1))

    def set_backend(self, _, fds):
        self.backend = socket.socket(fileno=fds[0])

    def set_memory(self, payload, fds):
        self.memory = [Region(*struct.unpack_from("<QQQQ", payload, 8 + 32 * i), fd)
                       for i, fd in enumerate(fds)]

    def set_number(self, payload, _):
        index, size = struct.unpack("<II", payload)
        self.queues[index].size = size

    def set_addresses(self, payload, _):
        index, _, *addresses = struct.unpack("<IIQQQQ", payload)
        self.queues[index].addresses = addresses[:3]  # descriptors, used, available

    def set_base(self, payload, _):
        index, base = struct.unpack("<II", payload)
        self.queues[index].next = base

    def get_base(self, payload, _):
        """Stops the queue, too."""
        index, _ = struct.unpack("<II", payload)
        self.set_kick(struct.pack("<Q", index | 0x100), [])
        return struct.pack("<II", index, self.queues[index].next)

    def set_kick(self, payload, fds):
        self.set_event("kick", payload, fds)

    def set_call(self, payload, fds):
        self.set_event("call", payload, fds)

    def set_event(self, name, payload, fds):
        queue = self.queues[struct.unpack("<Q", payload)[0] & 0xff]
        if getattr(queue, name) >= 0:
            os.close(getattr(queue, name))
        setattr(queue, name, fds[0] if fds else -1)

    def serve_message(self):
        request, flags, payload, fds = receive_message(self.connection)
        answer = self.answers.get(request, lambda *_: None)(payload, fds)
        if answer is None and flags & NEED_REPLY:
            answer = struct.pack("<Q", 0)
        if answer is not None:
            self.connection.sendall(HEADER.pack(request, VERSION | REPLY, len(answer)) + answer)

    # The shared memory

    def ask(self, request, payload, fd=None):
        """
        A request to QEMU; 0 when it was carried out. QEMU may have to tell us of a change of memory
        before it answers, and waits for us then.
        """
        fds = [] if fd is None else [fd]
        socket.send_fds(self.backend, [HEADER.pack(request, VERSION | NEED_REPLY, len(payload))
                                       + payload], fds)
        while self.backend not in select.select([self.backend, self.connection], [], [])[0]:
            self.serve_message()
        return struct.unpack("<Q", receive_message(self.backend)[2])[0]

    def map_shared(self, fd, fd_offset, offset, size):
        return self.ask(BACKEND_SHMEM_MAP, struct.pack("<QQQQQ", 0, fd_offset, offset, size, 1), fd)

    def unmap_shared(self, offset, size):
        return self.ask(BACKEND_SHMEM_UNMAP, struct.pack("<QQQQQ", 0, 0, offset, size, 0))

    # The virtqueues

    def view(self, which, addr, size):
        for region in self.memory:
            found = region.at(getattr(region, which), addr, size)
            if found is not None:
                return found
        raise ValueError(f"{addr:#x} is no memory of the guest")

    def chain(self, descriptors, head):
        """(buffers to read, buffers to write) of one request"""
        to_read, to_write, more = [], [], DESC_NEXT
        while more:
            addr, size, flags, following = struct.unpack_from("<QIHH", descriptors, 16 * head)
            (to_write if flags & DESC_WRITE else to_read).append(self.view("guest", addr, size))
            more, head = flags & DESC_NEXT, following
        return to_read, to_write

    def serve_request(self, descriptors, head):
        """Bytes written to the guest."""
        to_read, to_write = self.chain(descriptors, head)
        reply = self.handle(b"".join(to_read))
        sent = 0
        for buffer in to_write:
            part = reply[sent:sent + len(buffer)]
            buffer[:len(part)] = part
            sent += len(part)
        return sent

    def serve_queue(self, queue):
        os.read(queue.kick, 8)
        while queue.ready():
            desc, used, avail = queue.addresses
            available = self.view("user", avail, 4 + 2 * queue.size)
            if struct.unpack_from("<H", available, 2)[0] == queue.next:
                return
            head, = struct.unpack_from("<H", available, 4 + 2 * (queue.next % queue.size))
            queue.next = (queue.next + 1) & 0xffff
            size = self.serve_request(self.view("user", desc, 16 * queue.size), head)
            self.complete(queue, self.view("user", used, 4 + 8 * queue.size), head, size)

    @staticmethod
    def complete(queue, used, head, size):
        index, = struct.unpack_from("<H", used, 2)
        struct.pack_into("<II", used, 4 + 8 * (index % queue.size), head, size)
        struct.pack_into("<H", used, 2, (index + 1) & 0xffff)
        if queue.call >= 0:
            os.write(queue.call, array.array("Q", [1]).tobytes())

    def serve(self):
        """Until QEMU closes the connection."""
        while True:
            kicks = {queue.kick: queue for queue in self.queues if queue.ready()}
            for source in select.select([self.connection, *kicks], [], [])[0]:
                if source is self.connection:
                    self.serve_message()
                    break  # it may have stopped a queue
                self.serve_queue(kicks[source])
