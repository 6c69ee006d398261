# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""A workload that takes new references as fast as old ones go: the waiter never gets to the end."""

import json

import stage as st
import verdict
from holder import PipeHolder
from stage import Mismatch
from traced import Watch
from variations import WithVerdict


class Churn(WithVerdict):
    """Who is watched sees it go from page to page; one look cannot."""
    filesystems = ("ext4",)
    PAGES = (7, 9)  # behind the one that is held first

    def __init__(self):
        super().__init__("churn", "truncate", [PipeHolder()])

    def waits_for(self, session, index):
        def is_there():
            wait = verdict.wait_of(json.loads(session.daxtrace("-J")[1]), self.waiter.tid)
            return wait and wait["pages"] and wait["pages"][0]["index"] == index
        # two looks of ours: between them falls one of the watch
        if not (st.poll(is_there) and is_there()):
            raise Mismatch(f"the waiter does not go on to page {index}")

    def go_on(self, session, stage):
        """
        Each holder comes before the last one goes. It must not map the page of the last one any more:
        where page table entries count, that alone would keep the waiter there.
        """
        for index in self.PAGES:
            following = PipeHolder("--unmap")
            following.start(stage, index)
            before, self.holders = self.holders[0], [following]
            before.end(stage, before.program.pids(), None)
            self.waits_for(session, index)

    @staticmethod
    def texts(document, wait):
        return " ".join(finding["text"] for finding in document["findings"]
                        if wait["id"] in finding["waits"])

    def prove(self, session, stage, log_name):
        with Watch(session, "--search=off", interval="100ms").hooked() as watch:
            self.waits_for(session, self.index)
            self.go_on(session, stage)
            document = watch.stop()
        wait = verdict.wait_of(document, self.waiter.tid)
        if not wait or f"go on to another page {len(self.PAGES)} times" not in \
                self.texts(document, wait):
            raise Mismatch(f"nothing is said of {len(self.PAGES)} moves: {document['findings']}")
        if verdict.pids(wait["holders"][0]["tasks"]) != self.holders[0].program.pids():
            raise Mismatch(f"who holds the last page is not named: {wait['holders']}")
        truth = self.truth(stage)
        truth.index = self.PAGES[-1]
        once = session.explain(log_name, [truth])
        if "another page" in self.texts(once, verdict.wait_of(once, self.waiter.tid)):
            raise Mismatch("one look cannot see that the waiter goes on")
        self.end_bystander()
        self.end_holders(stage, None)
        self.proceeds(stage)
