# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""Checks a document of `daxtrace -J` against the contract and against what was staged."""

import os
import re
import time
from dataclasses import dataclass, field

NUMBER = (int, float)
TASK = {"pid": int, "tid": int, "comm": str, "uid": int, "start_ns": int, "cgroup": (str, None),
        "exiting": bool}
HOLDER = {"how": str, "confidence": str, "seen": str, "seen_by": [str], "tasks": [TASK],
          "taken_by": ({"pid": int, "tid": int, "comm": str}, None),
          "object": ({"kind": str, "id": str}, None), "target": (str, None),
          "held_s": (NUMBER, None), "refs": int, "kstack": [str], "ustack": [str]}
FILE = {"path": (str, None), "deleted": bool, "dev": str, "ino": int, "fstype": str,
        "mount": (str, None)}
WAIT = {"id": str, "op": str, "on": str, "task": TASK, "state": str, "interruptible": bool,
        "age_s": (NUMBER, None), "file": (FILE, None),
        "pages": [{"index": int, "offset": int, "order": int, "refs": int, "idle_refs": int}],
        "holders": [HOLDER], "unattributed_refs": int, "queued": [TASK], "kstack": [str],
        "ustack": [str]}
FINDING = {"code": str, "waits": [str], "text": str, "cycle": [TASK],
           "advice": [{"do": str, "effect": str, "proven_by": (str, None), "command": bool}]}
DOCUMENT = {"schema": str, "host": str, "kernel": str, "boot_id": str, "time": str, "mono_ns": int,
            "source": {"snapshot": bool, "trace": bool, "recording": (str, None)},
            "waits": [WAIT], "findings": [FINDING],
            "coverage": {"lost": int, "torn": int,
                         "probes": [{"name": str, "state": str, "costs": (str, None)}]}}
# Unknown is absent or null; without these a reader could not go on.
REQUIRED = {"schema", "waits", "findings", "coverage", "id", "op", "on", "task", "pid", "tid",
            "how", "confidence", "tasks", "code", "holders"}

DEADLOCKS = {"LOST_WAKEUP", "SELF_DEADLOCK", "DEADLOCK"}


@dataclass
class Holder:
    """One holder as the scenario staged it."""
    how: str
    pids: set
    confidences: tuple = ("exact",)
    object: str = None
    kind: str = None
    targets: tuple = ()  # of which the target has one
    through: tuple = ()  # and it has one of these
    refs: int = None


@dataclass
class Truth:
    """One wait as the scenario staged it."""
    tid: int
    ops: tuple
    state: str
    path: str
    dev: int
    ino: int
    fstype: str
    index: int
    idle_refs: int
    holders: list
    started: float  # monotonic clock, before the waiter called
    deleted: bool = False
    huge: bool = False
    findings: tuple = ("BLOCKED",)
    on: str = "page"
    trigger: str = None   # of an eviction; unknown is not checked
    shared: bool = False  # the page belongs to several files, so it has no index of its own
    outside: bool = None  # the page lies outside of what is freed; not checked if None
    unseen: int = 0       # references that nothing can explain
    bystanders: set = field(default_factory=set)
    queued: set = field(default_factory=set)


def shape(value, spec, where="document"):
    """Complaints about types that differ from the contract."""
    if isinstance(spec, tuple) and None in spec:
        return [] if value is None else shape(value, spec[0], where)
    if isinstance(spec, dict):
        if not isinstance(value, dict):
            return [f"{where} is not an object"]
        missing = [f"{where}.{key} is missing" for key in spec if key in REQUIRED - value.keys()]
        return missing + [text for key, sub in spec.items() if value.get(key) is not None
                          for text in shape(value[key], sub, f"{where}.{key}")]
    if isinstance(spec, list):
        if not isinstance(value, list):
            return [f"{where} is not a list"]
        return [text for i, item in enumerate(value)
                for text in shape(item, spec[0], f"{where}[{i}]")]
    if not isinstance(value, spec) or (isinstance(value, bool) and spec is not bool):
        return [f"{where} is {value!r}"]
    return []


def pids(tasks):
    return {task["pid"] for task in tasks}


def all_exact(wait):
    """Each reference has a holder that was seen; a candidate that holds none does not matter."""
    holding = [holder for holder in wait["holders"] if holder.get("refs")]
    return (holding and not wait.get("unattributed_refs")
            and all(holder["confidence"] == "exact" for holder in holding))


def expected_status(document):
    """The exit status that contract.md gives to such a document under --exit-code."""
    if DEADLOCKS & {finding["code"] for finding in document["findings"]}:
        return 12
    if not document["waits"]:
        return 13 if document["coverage"].get("lost") else 0
    return 10 if all(map(all_exact, document["waits"])) else 11


def wait_of(document, tid):
    found = [wait for wait in document["waits"] if wait["task"]["tid"] == tid]
    return found[0] if len(found) == 1 else None


def matches(holder, truth):
    if holder["how"] != truth.how:
        return False
    if truth.kind and (holder.get("object") or {}).get("kind") != truth.kind:
        return False
    return not truth.object or (holder.get("object") or {}).get("id") == truth.object


def holder_of(wait, truth):
    found = [holder for holder in wait["holders"] if matches(holder, truth)]
    return found[0] if len(found) == 1 else None


def check_file(wait, truth):
    file = wait.get("file")
    if not file:
        return ["file is not named"]
    wanted = {"dev": f"{os.major(truth.dev)}:{os.minor(truth.dev)}", "ino": truth.ino,
              "fstype": truth.fstype, "deleted": truth.deleted}
    bad = [f"file.{key} is {file.get(key)!r}, not {value!r}" for key, value in wanted.items()
           if file.get(key) != value]
    # A file without a name, or of a filesystem being unmounted, has no path any more.
    if truth.path and file.get("path") != truth.path:
        bad.append(f"file.path is {file.get('path')!r}, not {truth.path!r}")
    return bad


def check_index(page, truth):
    first, count, bad = page["index"], 1 << page["order"], []
    if not first <= truth.index < first + count:
        bad.append(f"page {truth.index} is not in {first}..{first + count - 1}")
    if page["offset"] != first * 4096:
        bad.append(f"page offset is {page['offset']} for index {first}")
    return bad


def check_page(wait, truth):
    if not wait.get("pages"):
        return ["no page is named"]
    page, bad = wait["pages"][0], []
    if not truth.shared or page.get("index") is not None:
        bad += check_index(page, truth)
    if truth.huge and page["order"] != 9:
        bad.append(f"page order is {page['order']}, not 9")
    if page["idle_refs"] != truth.idle_refs:
        bad.append(f"idle_refs is {page['idle_refs']}, not {truth.idle_refs}")
    if (page["refs"] > page["idle_refs"]) == ("LOST_WAKEUP" in truth.findings):
        bad.append(f"refs is {page['refs']} with idle_refs {page['idle_refs']}")
    return bad


def check_outside(document, wait, truth):
    """Whether the page lies in what the operation frees is said in the verdict."""
    if truth.outside is None or truth.shared or truth.huge or truth.findings != ("BLOCKED",):
        return []
    text = " ".join(finding["text"] for finding in document["findings"]
                    if wait["id"] in finding["waits"])
    if ("outside of what it frees" in text) != truth.outside:
        return [f"the page is{'' if truth.outside else ' not'} outside of what is freed: {text!r}"]
    return []


def check_holder(wait, truth):
    holder = holder_of(wait, truth)
    if not holder:
        return [f"not named exactly once: {truth}"]
    bad = []
    if holder["confidence"] not in truth.confidences:
        bad.append(f"{truth.how} is only {holder['confidence']}")
    if pids(holder["tasks"]) != truth.pids:
        bad.append(f"{truth.how} names tasks {sorted(pids(holder['tasks']))}, "
                   f"not {sorted(truth.pids)}")
    if truth.refs not in (None, holder["refs"]):
        bad.append(f"{truth.how} has {holder['refs']} references, not {truth.refs}")
    for names in filter(None, (truth.targets, truth.through)):
        if not any(name in (holder.get("target") or "") for name in names):
            bad.append(f"target is {holder.get('target')!r}, none of {names}")
    return bad


def check_innocents(wait, truth):
    guilty = set().union(*(holder.pids for holder in truth.holders))
    named = set().union(*(pids(holder["tasks"]) for holder in wait["holders"]
                          if holder["confidence"] in ("exact", "likely")))
    bad = [f"innocent task {pid} is named as holder" for pid in sorted(named - guilty)]
    bad += [f"bystander {pid} is named as holder" for pid in sorted(named & truth.bystanders)]
    return bad


def check_findings(document, wait, truth):
    codes = {finding["code"] for finding in document["findings"] if wait["id"] in finding["waits"]}
    bad = [f"finding {code} is missing, there is {sorted(codes)}"
           for code in truth.findings if code not in codes]
    bad += [f"finding {code} is wrong" for code in sorted(codes & DEADLOCKS - set(truth.findings))]
    return bad


PIN_BIAS = 1024  # what a FOLL_PIN adds to the count of a page that keeps no count of pins


def check_sum(wait):
    """References found and not found make up the page's count; what is a pin is not told."""
    page, rest = wait["pages"][0], wait.get("unattributed_refs") or 0
    told = rest + sum(holder["refs"] for holder in wait["holders"]
                      if holder["confidence"] != "candidate")
    pins = page["refs"] - page["idle_refs"] - told
    if pins < 0 or pins % (PIN_BIAS - 1):
        return [f"{told} references are told of {page['refs']}, idle at {page['idle_refs']}"]
    return []


def check_rest(wait, truth):
    """No reference may stay unexplained, unless a candidate may have it."""
    rest = wait.get("unattributed_refs")
    if truth.unseen:
        return [] if rest == truth.unseen else [f"unattributed_refs is {rest}, not {truth.unseen}"]
    found = [holder_of(wait, holder) for holder in truth.holders]
    if rest and "candidate" not in [holder["confidence"] for holder in found if holder]:
        return [f"unattributed_refs is {rest}, all is known here"]
    return []


def check_wait(document, truth):
    wait = wait_of(document, truth.tid)
    if not wait:
        waiters = [wait["task"]["tid"] for wait in document["waits"]]
        return [f"waiter {truth.tid} is not named exactly once, waiters are {waiters}"]
    bad = []
    if wait["op"] not in truth.ops:
        bad.append(f"op is {wait['op']!r}, not {' or '.join(truth.ops)}")
    if wait["on"] != truth.on:
        bad.append(f"on is {wait['on']!r}, not {truth.on!r}")
    if truth.trigger and wait.get("trigger") != truth.trigger:
        bad.append(f"trigger is {wait.get('trigger')!r}, not {truth.trigger!r}")
    if wait["state"] != truth.state:
        bad.append(f"state is {wait['state']!r}, not {truth.state!r}")
    if wait.get("spins") != (truth.state == "R"):
        bad.append(f"spins is {wait.get('spins')} in state {truth.state}")
    if wait.get("interruptible") != (truth.state == "S"):
        bad.append(f"interruptible is {wait.get('interruptible')} in state {truth.state}")
    if (wait.get("age_s") or 0) > time.monotonic() - truth.started:
        bad.append(f"age_s is {wait['age_s']}, the waiter has not run that long")
    bad += check_file(wait, truth)
    if truth.on == "entry_lock" and (wait.get("entry") or {}).get("index") != truth.index:
        bad.append(f"entry is {wait.get('entry')}, not of page {truth.index}")
    if truth.on == "page":
        bad += check_page(wait, truth)
        bad += check_sum(wait) if wait.get("pages") else []
        bad += check_outside(document, wait, truth)
    for holder in truth.holders:
        bad += check_holder(wait, holder)
    bad += check_innocents(wait, truth) + check_rest(wait, truth)
    missing = truth.queued - pids(wait.get("queued", []))
    if missing:
        bad.append(f"queued tasks {sorted(missing)} are not named")
    return bad + check_findings(document, wait, truth)


def check(document, status, truths, stuck=()):
    """All complaints about a document, given what waits there are beside long stuck tasks."""
    bad = shape(document, DOCUMENT)
    if bad:
        return bad
    if document["schema"] != "daxtrace/1":
        bad.append(f"schema is {document['schema']!r}")
    for truth in truths:
        bad += check_wait(document, truth)
    bad += check_proofs(document)
    others = {wait["task"]["tid"] for wait in document["waits"]} - {truth.tid for truth in truths}
    if others - set(stuck):
        bad.append(f"tasks {sorted(others - set(stuck))} do not wait")
    if status != expected_status(document):
        bad.append(f"exit status is {status}, not {expected_status(document)}")
    return bad


# What advised commands may look like: nothing else is carried out here.
COMMANDS = re.compile(r"kill (-[A-Z]+ )?\d+( \d+)*(; kill -CONT( \d+)+)?"
                      r"|kill -STOP \d+ *(;|&&) *kill -CONT \d+"
                      r"|dd if=/proc/\d+/fd/\d+ of=/dev/null bs=\d+ count=\d+( iflag=nonblock)?"
                      r"|dmsetup resume [\w./-]+|fsfreeze -u [\w./-]+|nbd-client -d /dev/nbd\d+"
                      r"|echo 1 > /sys/fs/fuse/connections/\d+/abort"
                      r"|echo expire > /proc/fs/nfsd/clients/\d+/ctl"
                      r"|ss -tK src [\d.:]+ dst [\d.:]+"
                      r"|taskset -c \d+ ping -c 1 127\.0\.0\.1")
INSPECTIONS = re.compile(r"dmsetup (info|status|table) [\w./-]+"
                         r"|cat( /sys/block/md\d+/md/\w+)+|cat /proc/fs/nfsd/clients/\d+/info")
# The names that advice may give as its proof: scenarios follow it and see it work.
PROOFS = {
    "advice-core-handler", "advice-coredump", "advice-cork", "advice-deadlock",
    "advice-deadlock-pipe", "advice-deferred", "advice-dio", "advice-entry-lock", "advice-fuse",
    "advice-lease", "advice-loop", "advice-nbd", "advice-orphan", "advice-peer",
    "advice-process-vm", "advice-read", "advice-retouch", "advice-socket", "advice-stopped",
    "advice-vmsplice", "before-unbind", "deadlock-fault", "delay-aio", "fuse-pwrite", "iomax-aio",
    "layout", "lease-limit", "lost-wakeup", "multipath-bio", "nbd-dio", "nfs-pwrite",
    "packet-queued", "packet-tls", "raid-suspended", "self/close", "self/ftruncate", "sg_io",
    "tcp-reset", "tcp-splice-dropped", "tcp-splice-full", "tcp-splice-stuck", "thin-aio",
    "unprotected",
}


def commands(document, wait, codes):
    """The commands that findings of these codes advise for a wait."""
    return [advice["do"] for finding in document["findings"]
            if finding["code"] in codes and wait["id"] in finding["waits"]
            for advice in finding["advice"] if advice.get("command")]


def is_known(command):
    return COMMANDS.fullmatch(command) or INSPECTIONS.fullmatch(command)


def targets(command):
    """The processes that such a command acts on."""
    found = re.findall(r"/proc/(\d+)/", command)
    for numbers in re.findall(r"kill (?:-[A-Z]+ )?((?:\d+ ?)+)", command):
        found += numbers.split()
    return {int(pid) for pid in found}


def check_proofs(document):
    claims = {advice.get("proven_by") for finding in document["findings"]
              for advice in finding["advice"]}
    return [f"advice claims the unknown proof {name!r}" for name in claims - {None} - PROOFS]
