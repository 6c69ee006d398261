# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""What the tool refuses: a status, nothing on stdout, and the reason on stderr."""

import contextlib
import os

import stage as st
from boot import Session
from holder import PipeHolder
from stage import Mismatch, Unavailable
from variations import WithVerdict

ERROR, LACKING, NO_PRIVILEGE = 1, 2, 3
LOCKDOWN = "/sys/kernel/security/lockdown"
BTF = "/sys/kernel/btf/vmlinux"
NO_CAPABILITIES = ("setpriv", "--inh-caps", "-all", "--bounding-set", "-all")
UNPRIVILEGED = ("setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups")
CONTAINER = ("unshare", "--pid", "--fork", "--mount-proc")
NO_SYSLOG = ("setpriv", "--inh-caps", "-all", "--bounding-set", "-all,+bpf,+perfmon")


@contextlib.contextmanager
def setting(path, value):
    """A kernel setting, and the old one afterwards."""
    with open(path, encoding="ascii") as file:
        old = file.read()
    write(path, value)
    try:
        yield
    finally:
        write(path, old)


@contextlib.contextmanager
def emptied(path):
    """An empty file laid over another one."""
    st.run("mount", "--bind", "/dev/null", path)
    try:
        yield
    finally:
        st.run("umount", path)


def write(path, text):
    with open(path, "w", encoding="ascii") as file:
        file.write(text)


class Refusal:
    """One reason to refuse; what it is about does not depend on a filesystem, so it runs once."""
    last = 0
    filesystems = ("ext4",)
    holder = "refusals"

    def __init__(self, op, status, words, options=("-J",), *, around=None, explained=True, **how):
        self.op, self.status, self.words, self.options = op, status, words, options
        self.around = around or contextlib.nullcontext
        self.explained = explained  # by cause, consequence and command
        self.how = how
        self.name = f"{self.holder}/{op}"

    def run(self, session, fstype):
        if not session.tool:
            raise Unavailable("nothing to see without a verdict")
        with self.around():
            check(session.daxtrace(*self.options, **self.how), self.status, self.words,
                  self.explained)


def check(result, status, words, explained=True):
    """All of it or a list of what is wrong."""
    got, out, errors = result
    wanted = [*words, *(("without it: ", "run: ") if explained else ())]
    bad = [f"{word!r} is not said" for word in wanted if word not in errors]
    if got != status:
        bad.append(f"status {got}, not {status}")
    if out:
        bad.append(f"stdout is not empty: {out[:80]!r}")
    if not errors.startswith("daxtrace: "):
        bad.append("stderr does not start with the program's name")
    if bad:
        raise Mismatch(f"{'; '.join(bad)}; stderr: {errors.strip()[-400:]!r}")


class Namespace(Refusal):
    """Where tasks of the host are not listed, nobody would be seen to wait."""
    holder = "namespace"


class Full(Refusal):
    """The answer does not fit on the disk."""

    def run(self, session, fstype):
        with open("/dev/full", "w", encoding="utf-8") as full:
            self.how["stdout"] = full
            super().run(session, fstype)


class Lockdown(WithVerdict):
    """
    Lockdown for integrity changes nothing; lockdown for confidentiality forbids to read kernel
    memory. There is no way back from it, so this is the last that a guest does.
    """
    last = 2
    filesystems = ("ext4",)

    def __init__(self):
        super().__init__("lockdown", "truncate", [PipeHolder()])

    def unavailable(self, session, fstype):
        if not os.path.exists(LOCKDOWN):
            os.system("mount -t securityfs securityfs /sys/kernel/security")
        if not os.path.exists(LOCKDOWN):
            return "this kernel has no lockdown"
        return super().unavailable(session, fstype)

    def prove(self, session, stage, log_name):
        write(LOCKDOWN, "integrity")
        session.explain(log_name, [self.truth(stage)])
        write(LOCKDOWN, "confidentiality")
        for options in (("-J",), ()):
            check(session.daxtrace(*options), NO_PRIVILEGE, ["lockdown", "confidentiality"])


def refusals():
    gone, tmpfs = "/mnt/ext4/never-was", Session.TOOL
    return [
        Refusal("unprivileged", NO_PRIVILEGE, ["CAP_BPF", "CAP_PERFMON"], by=UNPRIVILEGED),
        Refusal("unprivileged-report", NO_PRIVILEGE, ["CAP_BPF", "CAP_PERFMON"], (),
                by=UNPRIVILEGED),
        Refusal("no-capabilities", NO_PRIVILEGE, ["CAP_BPF", "CAP_PERFMON"], by=NO_CAPABILITIES),
        Refusal("no-syslog", NO_PRIVILEGE, ["CAP_SYSLOG"], by=NO_SYSLOG),
        Refusal("path-gone", ERROR, [gone, "no such file"], ("-J", gone)),
        Refusal("not-dax", ERROR, [tmpfs, "not on DAX"], ("-J", tmpfs)),
        Refusal("root-not-dax", ERROR, ["not on DAX"], ("-J", "/")),
        Refusal("directory", ERROR, ["is a directory"], ("-J", "/mnt/ext4/lost+found")),
        Refusal("unknown-option", ERROR, ["--nonsense", "--help"], ("--nonsense",),
                explained=False),
        Full("full-disk", ERROR, ["No space left"], explained=False),
        Full("full-disk-report", ERROR, ["No space left"], (), explained=False),
        Full("full-disk-check", ERROR, ["No space left"], ("--check",), explained=False),
        Refusal("hidden-addresses", NO_PRIVILEGE, ["kptr_restrict"],
                around=lambda: setting("/proc/sys/kernel/kptr_restrict", "2")),
        Namespace("pid", NO_PRIVILEGE, ["PID namespace", "--pid=host"], by=CONTAINER,
                  explained=False),
        Refusal("no-btf", LACKING, ["BTF"], around=lambda: emptied(BTF)),
    ]
