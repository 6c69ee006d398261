# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""The kernel's NFS server, with one directory exported, and a client of it that never gives back
what the server asks it for. Nothing but the kernel is needed: what mountd would answer is written
into the server's caches beforehand."""

import contextlib
import glob
import os
import select
import socket
import struct
import threading
import time

import stage as st
from devices import read_text, write_text
from nfs import LAST_FRAGMENT, opaque, read_opaque
from stage import Mismatch

FILESYSTEM = "/proc/fs/nfsd"
CACHES = "/proc/net/rpc"
DOMAIN = "clients"
NEVER = 2**31 - 1  # seconds since 1970
# include/uapi/linux/nfsd/export.h
INSECURE_PORT, NO_SUBTREE_CHECK, FSID, PNFS = 0x2, 0x400, 0x2000, 0x20000

NFS, CALLBACKS = 100003, 0x40000000
COMPOUND = 1
CALL, REPLY = 0, 1
AUTH_SYS = 1
# RFC 8881
GETFH, LOOKUP, OPEN, PUTFH, PUTROOTFH = 10, 15, 18, 22, 24
SETATTR = 34
EXCHANGE_ID, CREATE_SESSION, LAYOUTGET, SEQUENCE, RECLAIM_COMPLETE = 42, 43, 50, 53, 58
BACK_CHANNEL = 2            # CREATE_SESSION4_FLAG_CONN_BACK_CHAN
READ, BOTH = 1, 3           # OPEN4_SHARE_ACCESS_
WANTS = {READ: 0x100, BOTH: 0x200}
DELEGATIONS = {READ: 1, BOTH: 2}
WANTS_NONE = 0x400
BLOCK_VOLUME, IOMODE_READ = 3, 1
RESULT_SIZES = {SEQUENCE: 36, PUTFH: 0, PUTROOTFH: 0, LOOKUP: 0}


def client_directory(address):
    """Where the server shows the client with this address."""
    for path in glob.glob(f"{FILESYSTEM}/clients/*/info"):
        if f'address: "{address}:' in read_text(path):
            return os.path.dirname(path)
    raise Mismatch(f"the NFS server has no client {address}")


class Daemon(threading.Thread):
    """What nfsdcld is: it keeps no list of clients, so there is no grace period for them either."""
    PIPES = "/run/rpc_pipefs"
    PIPE = f"{PIPES}/nfsd/cld"
    HEAD = struct.Struct("=BBhI")  # of struct cld_msg, include/uapi/linux/nfsd/cld.h
    GET_VERSION = 5

    def __init__(self):
        super().__init__(daemon=True)
        if not st.is_mounted(self.PIPES):
            os.makedirs(self.PIPES, exist_ok=True)
            st.run("mount", "-t", "rpc_pipefs", "rpc_pipefs", self.PIPES)

    def run(self):
        """The server makes the pipe when it starts, and gives up soon if nobody opens it."""
        end = time.monotonic() + st.PATIENCE
        while not os.path.exists(self.PIPE):
            if time.monotonic() > end:
                return
            time.sleep(0.002)
        fd = os.open(self.PIPE, os.O_RDWR)
        with contextlib.suppress(OSError):
            while select.select([fd], [], []) and (message := os.read(fd, st.PAGE)):
                version, command, _, number = self.HEAD.unpack_from(message)
                body = message[self.HEAD.size:]
                if command == self.GET_VERSION:
                    body = b"\1" + body[1:]
                os.write(fd, self.HEAD.pack(version, command, 0, number) + body)
        os.close(fd)


class Server:
    """Exports a directory to clients on this machine."""
    PORT = 2049
    LEASE = 900  # seconds; a tenth of it is the limit of a call to a client

    def __init__(self, directory, *addresses):
        st.run("ip", "link", "set", "lo", "up")
        st.run("modprobe", "-q", "-a", "nfsd", "crypto-sha256")
        if not st.is_mounted(FILESYSTEM):
            st.run("mount", "-t", "nfsd", "nfsd", FILESYSTEM)
        self.tell("nfsv4leasetime", str(self.LEASE))
        self.tell("nfsv4gracetime", str(self.LEASE))
        self.tell("versions", "-2 -3 +4")
        self.tell("portlist", f"tcp {self.PORT}")
        flags = INSECURE_PORT | NO_SUBTREE_CHECK | FSID | PNFS
        for address in addresses:
            self.answer("auth.unix.ip", f"nfsd {address} {NEVER} {DOMAIN}")
        self.answer("nfsd.export", f"{DOMAIN} {directory} {NEVER} {flags} 65534 65534 0")
        self.answer("nfsd.fh", f"{DOMAIN} 1 \\x00000000 {NEVER} {directory}")
        Daemon().start()
        self.tell("threads", "2")

    @staticmethod
    def tell(name, text):
        write_text(os.path.join(FILESYSTEM, name), text + "\n")

    @staticmethod
    def answer(cache, text):
        write_text(os.path.join(CACHES, cache, "channel"), text + "\n")

    def stop(self):
        self.tell("threads", "0")


class Client:
    """A client of NFS 4.1 that answers no call of the server."""
    SERVER = "127.0.0.1"

    def __init__(self, address, name):
        self.answers, self.answered = {}, threading.Condition()
        self.xid = self.slot = 0
        self.connection = socket.create_connection((self.SERVER, Server.PORT), st.PATIENCE,
                                                   (address, 0))
        self.connection.settimeout(None)
        threading.Thread(target=self.listen, daemon=True).start()
        self.session = b""
        self.id, sequence = struct.unpack_from(">QI", self.compound(
            (EXCHANGE_ID, bytes(8) + opaque(name) + struct.pack(">III", 0, 0, 0))))
        channel = struct.pack(">IIIIIII", 0, 1 << 16, 1 << 16, 4096, 16, 4, 0)
        self.session = self.compound(
            (CREATE_SESSION, struct.pack(">QII", self.id, sequence, BACK_CHANNEL) + channel * 2
             + struct.pack(">III", CALLBACKS, 1, 0)))[:16]
        self.compound((RECLAIM_COMPLETE, bytes(4)))

    def listen(self):
        with contextlib.suppress(OSError, ValueError), \
                self.connection.makefile("rb") as stream:
            while header := stream.read(4):
                record = stream.read(struct.unpack(">I", header)[0] & ~LAST_FRAGMENT)
                xid, kind = struct.unpack_from(">II", record)
                if kind == REPLY:
                    with self.answered:
                        self.answers[xid] = record
                        self.answered.notify_all()

    def send(self, record):
        self.connection.sendall(struct.pack(">I", LAST_FRAGMENT | len(record)) + record)

    def ask(self, *operations):
        """Sends a COMPOUND and does not wait for what comes back; its number."""
        if self.session:
            self.slot += 1
            operations = ((SEQUENCE, self.session + struct.pack(">IIII", self.slot, 0, 0, 0)),
                          *operations)
        self.xid += 1
        credentials = opaque(struct.pack(">I", 0) + opaque(b"client") + struct.pack(">III", 0, 0, 0))
        call = struct.pack(">7I", self.xid, CALL, 2, NFS, 4, COMPOUND, AUTH_SYS) + credentials
        call += struct.pack(">IIIII", 0, 0, 0, 1, len(operations))
        call += b"".join(struct.pack(">I", number) + body for number, body in operations)
        self.send(call)
        return self.xid

    def result(self, xid, seconds=st.PATIENCE):
        """Of the last operation, behind its status; those before it have results of known size."""
        with self.answered:
            if not self.answered.wait_for(lambda: xid in self.answers, seconds):
                raise Mismatch("the NFS server does not answer")
            data = self.answers.pop(xid)
        at = 24  # the head of a reply that was accepted
        status, _, count = struct.unpack_from(">III", data, at)
        at += 12
        for left in reversed(range(count)):
            number, status = struct.unpack_from(">II", data, at)
            at += 8
            if status:
                raise Mismatch(f"operation {number} of NFS fails: {status}")
            if left:
                at += RESULT_SIZES[number]
        return data[at:]

    def compound(self, *operations):
        return self.result(self.ask(*operations))

    def find(self, name):
        handle = self.compound((PUTROOTFH, b""), (LOOKUP, opaque(name)), (GETFH, b""))
        return read_opaque(handle, 0)[0]

    def open(self, name, access, wants):
        """The state that the server keeps for it, and the kind of delegation that it gave."""
        owner = struct.pack(">Q", self.id) + opaque(b"owner")
        body = self.compound((PUTROOTFH, b""), (
            OPEN, struct.pack(">III", 0, access | wants, 0) + owner
            + struct.pack(">II", 0, 0) + opaque(name)))
        words = struct.unpack_from(">I", body, 40)[0]  # of attrset
        return body[:16], struct.unpack_from(">I", body, 44 + 4 * words)[0]

    def delegate(self, name, access):
        """Not before the server has made its way back to the client."""
        if not st.poll(lambda: self.open(name, access, WANTS[access])[1] == DELEGATIONS[access]):
            raise Mismatch("the NFS server gives no delegation")

    def lay_out(self, name):
        """Where the file's blocks are, which must not move until the layout was given back."""
        state = self.open(name, READ, WANTS_NONE)[0]
        self.compound((PUTFH, opaque(self.find(name))), (
            LAYOUTGET, struct.pack(">IIIQQQ", 0, BLOCK_VOLUME, IOMODE_READ, 0, st.PAGE, st.PAGE)
            + state + struct.pack(">I", st.PAGE)))

    def truncate(self, name):
        """Asks for it; answer() tells when it is done."""
        size = struct.pack(">I", 1) + struct.pack(">I", 1 << 4) + opaque(bytes(8))
        return self.ask((PUTFH, opaque(self.find(name))), (SETATTR, bytes(16) + size))

    def close(self):
        self.connection.close()
