# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""Pages that are held though nobody waits for one, and what comes of unbinding their device."""

import json
import os
import re
import subprocess

import stage as st
import verdict
from hang import INDEX, SOON
from holder import PipeHolder
from stage import Mismatch, Unavailable

DEVICE = os.path.basename(st.SPARE_DEVICE)


class Unbinding:
    """The spare device is taken from its driver, and given back."""

    def __init__(self):
        device = os.path.realpath(f"/sys/class/block/{DEVICE}/device")
        self.name, self.driver = os.path.basename(device), os.path.realpath(f"{device}/driver")
        self.process = None

    def write(self, attribute):
        return subprocess.Popen(["sh", "-c", f"echo {self.name} > {self.driver}/{attribute}"])

    def start(self):
        self.process = self.write("unbind")

    def ended(self, seconds=st.PATIENCE):
        return st.poll(lambda: self.process.poll() is not None, seconds)

    def bind(self):
        if self.write("bind").wait() or not st.poll(lambda: os.path.exists(st.SPARE_DEVICE)):
            raise Mismatch(f"{DEVICE} cannot be bound again")


class Held:
    """What is staged is no hang, so that the document has no wait but what it lists."""
    last = 0
    filesystems = ("ext4",)
    name = None

    def __init__(self):
        self.session = None

    def ask(self, *options):
        status, text, errors = self.session.daxtrace("-J", *options)
        with open(os.path.join(self.session.out, f"{self.name.replace('/', '.')}.json"), "w",
                  encoding="utf-8") as file:
            file.write(text)
        try:
            document = json.loads(text)
        except ValueError:
            raise Mismatch(f"{options}: status {status}, {errors.strip()[-300:]!r}") from None
        bad = verdict.shape(document, verdict.DOCUMENT) + verdict.check_proofs(document)
        if bad or document["waits"]:
            raise Mismatch(f"{options}: {bad}, waits: {document['waits']}")
        return status, document

    def pins(self, *options):
        return self.ask("--pins", *options)[1]["pins"]

    def run(self, session, fstype):
        if not session.tool:
            raise Unavailable("nothing to see without a verdict")
        self.session = session
        self.stage_and_prove(session, fstype)

    def stage_and_prove(self, session, fstype):
        raise NotImplementedError

    @staticmethod
    def end(program, pids=None):
        """All that the tool names, and no other."""
        if pids is not None and pids != program.pids():
            raise Mismatch(f"{sorted(pids)} are named, not {sorted(program.pids())}")
        program.kill()
        if not program.ended(SOON):
            raise Mismatch(f"{program.name} did not end")

    @staticmethod
    def check_pin(pin, stage, holder, mappers=frozenset()):
        """Nobody but the holder, and who maps the page where that counts; who the holder is."""
        truth = holder.truth()
        bad = [] if pin["page"]["index"] == INDEX else [f"index is {pin['page']['index']}"]
        if not pin["file"] or pin["file"]["path"] != stage.path:
            bad.append(f"file is {pin['file']}")
        told = set().union(*(verdict.pids(other["tasks"]) for other in pin["holders"]))
        if pin["unattributed_refs"] or told - mappers != truth.pids:
            bad.append(f"unattributed {pin['unattributed_refs']}, told {told}")
        named = verdict.holder_of(pin, truth)
        if not named or named["confidence"] != "exact" or \
                verdict.pids(named["tasks"]) != truth.pids:
            bad.append(f"the holder is not named: {pin['holders']}")
        if bad:
            raise Mismatch("; ".join(bad))
        return verdict.pids(named["tasks"])


class BeforeUnbind(Held):
    """
    A page in a pipe: the device must not be unbound. Page table entries alone forbid it where they
    count as references. When what was named has ended, the unbinding is tried.
    """
    name = "before-unbind/vmsplice"
    maps_count = False

    def may_unbind(self, may, device=DEVICE):
        status, document = self.ask("--before-unbind", device)
        if (status == 0) != may or status not in (0, 10):
            raise Mismatch(f"--before-unbind {device}: status {status}, {document['findings']}")
        codes = [finding["code"] for finding in document["findings"]]
        if codes != ([] if may else ["UNBIND"]):
            raise Mismatch(f"findings are {codes}")
        return document

    def referenced(self, effect):
        """Of each page the holders, once the whole is checked."""
        document = self.may_unbind(False)
        if document["unbind"] != {"device": DEVICE, "mount": st.SpareStage.POINT,
                                  "effect": effect}:
            raise Mismatch(f"unbind is {document['unbind']}, effect {effect} was expected")
        return document["pins"]

    def only_mapped(self, stage):
        bystander = stage.start("hold_map", stage.path)
        if self.maps_count:
            for pin in self.referenced("crashes"):
                if [holder["how"] for holder in pin["holders"]] != ["mapping"] or \
                        verdict.pids(pin["holders"][0]["tasks"]) != bystander.pids():
                    raise Mismatch(f"a mapped page: {pin}")
        else:
            self.may_unbind(True)
        if self.pins(stage.path):
            raise Mismatch("a page that is only mapped is told to be held")
        return bystander

    def held(self, stage, bystander):
        holder = PipeHolder()
        holder.start(stage, INDEX)
        for path in (stage.path, stage.POINT, st.SPARE_DEVICE):
            pin, = self.pins(path)
            self.check_pin(pin, stage, holder, {bystander.pid})
        for fstype, device in st.FILESYSTEMS.items():
            if self.pins(st.mount_point(fstype)):
                raise Mismatch(f"pages are held on {device}")
            self.may_unbind(True, device)
        return holder

    @staticmethod
    def live_view():
        """Nobody waits, but the page is seen, in a few short looks."""
        frames = subprocess.run([os.path.join(st.TOOLS, "daxtop"), "-b", "-n", "20", "-d", "100ms",
                                 "--pins=20ms"], stdin=subprocess.DEVNULL, timeout=120,
                                stdout=subprocess.PIPE, encoding="utf-8").stdout
        last = re.findall(r"held: .*? \(\d+ unattributed\)", frames)[-1:]
        if not last or not re.match(r"held: 1 page, .* \(0 unattributed\)", last[0]):
            raise Mismatch(f"daxtop does not see the held page: {last}")

    def stage_and_prove(self, session, fstype):
        self.maps_count = session.kernel.page_counts_from_zero
        effect = "hangs" if session.kernel.unbind_waits_for_pages else "crashes"
        unbinding = Unbinding()
        with st.SpareStage(session.kernel, fstype, self.name.replace("/", "."), 16) as stage:
            self.may_unbind(True)
            bystander = self.only_mapped(stage)
            holder = self.held(stage, bystander)
            self.referenced(effect)
            self.live_view()
            self.end(bystander)
            pin, = self.referenced(effect) if not self.maps_count else self.pins()
            self.end(holder.program, self.check_pin(pin, stage, holder))
            self.may_unbind(True)
        self.may_unbind(True)
        unbinding.start()
        if not unbinding.ended():
            raise Mismatch("the device that was said to be free cannot be unbound")
        unbinding.bind()


class Unprotected(Held):
    """
    A truncate that does not wait, as nobody maps the file any more: the block is freed while the
    page is in a pipe. Only afterwards something is to be seen of it.
    """
    name = "unprotected/vmsplice"

    def findings(self, *codes):
        _, document = self.ask("--pins")
        found = [finding["code"] for finding in document["findings"]]
        if found != list(codes):
            raise Mismatch(f"findings are {found}")
        return document

    def check_orphan(self, pin, stage):
        if pin["file"] or not pin["page"]["orphan"]:
            raise Mismatch(f"the page has no file any more, but it is told {pin}")
        device = os.path.basename(st.FILESYSTEMS[stage.fstype])
        if pin["page"]["device"] != device or not 0 < pin["page"]["device_offset"] < 1 << 30:
            raise Mismatch(f"the page is one of {device}, but it is told {pin['page']}")

    def stage_and_prove(self, session, fstype):
        if session.kernel.page_counts_from_zero:
            raise Unavailable("truncate waits for pages that nobody maps on this kernel")
        with st.Stage(session.kernel, fstype, self.name.replace("/", "."), 16) as stage:
            holder = PipeHolder("--unmap")
            holder.start(stage, INDEX)
            self.findings()
            if stage.start("wait_op", "truncate", stage.path).done() != (0, 0):
                raise Mismatch("the truncate did wait")
            pin, = self.findings("UNPROTECTED_FREE")["pins"]
            self.check_orphan(pin, stage)
            named = verdict.holder_of(pin, holder.truth())
            self.end(holder.program, verdict.pids(named["tasks"]) if named else set())
            self.findings()


def held():
    return [BeforeUnbind(), Unprotected()]
