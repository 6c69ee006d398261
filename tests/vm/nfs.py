# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""A server of NFS version 3 with one file, as far as it takes to write to it, that answers no WRITE
before it is told to. It speaks MOUNT on the same port and needs no portmapper."""

import contextlib
import socket
import struct
import threading

MOUNT, NFS = 100005, 100003
ROOT, FILE = b"root", b"file"
NULL = 0
MNT = 1
GETATTR, LOOKUP, ACCESS, WRITE, FSSTAT, FSINFO, PATHCONF = 1, 3, 4, 7, 18, 19, 20
NOT_SUPPORTED = 10004
SIZE = 1 << 20
LAST_FRAGMENT = 1 << 31


def opaque(data):
    return struct.pack(">I", len(data)) + data + bytes(-len(data) % 4)


def attributes(handle):
    is_dir = handle == ROOT
    return struct.pack(">5I5Q6I", 2 if is_dir else 1, 0o777 if is_dir else 0o666, 1, 0, 0,
                       SIZE, SIZE, 0, 1, 1 if is_dir else 2, 0, 0, 0, 0, 0, 0)


def post_op(handle):
    return struct.pack(">I", 1) + attributes(handle)


def results(handle, procedure, count):
    """The body of a reply, with its status in front."""
    done = struct.pack(">I", 0)
    bodies = {
        GETATTR: lambda: attributes(handle),
        LOOKUP: lambda: opaque(FILE) + post_op(FILE) + post_op(ROOT),
        ACCESS: lambda: post_op(handle) + struct.pack(">I", 0x3f),
        WRITE: lambda: struct.pack(">IIII8s", 0, 0, count, 2, b"verifier"),
        FSSTAT: lambda: post_op(handle) + struct.pack(">6QI", *[1 << 30] * 6, 0),
        FSINFO: lambda: post_op(handle) + struct.pack(">7IQIII", *[1 << 16, 1 << 16, 4096] * 2,
                                                      4096, 1 << 40, 0, 1, 0x1b),
        PATHCONF: lambda: post_op(handle) + struct.pack(">6I", 1, 255, 1, 1, 0, 1),
    }
    if procedure not in bodies:
        return struct.pack(">I", NOT_SUPPORTED)
    return done + bodies[procedure]()


def read_opaque(data, at):
    size = struct.unpack_from(">I", data, at)[0]
    return data[at + 4:at + 4 + size], at + 4 + size + -size % 4


class Server:
    """Runs in threads of its own until it is closed."""

    def __init__(self):
        self.answers, self.asked = threading.Event(), threading.Event()
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self.accept, daemon=True).start()

    def options(self):
        return (f"vers=3,proto=tcp,port={self.port},mountvers=3,mountproto=tcp,"
                f"mountport={self.port},addr=127.0.0.1,nolock,hard")

    def accept(self):
        with contextlib.suppress(OSError):
            while True:
                connection = self.listener.accept()[0]
                threading.Thread(target=self.serve, args=(connection,), daemon=True).start()

    def serve(self, connection):
        with contextlib.suppress(OSError), connection, connection.makefile("rb") as stream:
            while header := stream.read(4):
                call = stream.read(struct.unpack(">I", header)[0] & ~LAST_FRAGMENT)
                threading.Thread(target=self.answer, args=(connection, call), daemon=True).start()

    def answer(self, connection, call):
        xid, _, _, program, _, procedure = struct.unpack_from(">6I", call)
        at = read_opaque(call, 28)[1]       # the credentials
        at = read_opaque(call, at + 4)[1]   # the verifier
        if procedure == NULL:
            body = b""
        elif program == MOUNT:
            body = struct.pack(">I", 0) + opaque(ROOT) + struct.pack(">II", 1, 1)
        else:
            handle, at = read_opaque(call, at)
            count = 0
            if procedure == WRITE:
                count = struct.unpack_from(">QI", call, at)[1]
                self.asked.set()
                self.answers.wait()
            body = results(handle, procedure, count)
        reply = struct.pack(">6I", xid, 1, 0, 0, 0, 0) + body
        with contextlib.suppress(OSError):
            connection.sendall(struct.pack(">I", LAST_FRAGMENT | len(reply)) + reply)

    def close(self):
        self.answers.set()
        self.listener.close()
