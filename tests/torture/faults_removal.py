"""Deletions, erasures, limits of streams and compactions under kills: what is taken away stays away, and nothing else goes."""

import pathlib
import re
import time

import removals
from campaign import Campaign
from clients import CHANNEL_OPTIONS
from entry import Entry
from faults_kill import POINTS, killed_at
from ledger import digest, event_store_pb2, grpc, harness
from harness import admin_pb2
from removal_clients import STREAMS_PREFIX, Compactor, Names, Remover, Scribe, until_known

FLAGS = ("--retention-interval-ms", "100")
# The beginnings of all texts, and the tags of those that are taken away.
MARK = re.compile(rb"(?:of:)?(?:writer|pipelined|scribe)\d+/\d+[ ;]")
KINDS = {"delete": "deletions", "tombstone": "tombstones", "settings": "settings", "erase": "erasures"}


class RemovalCampaign(Campaign):
    """One whose log may have gaps: of those the ledger must know everything."""

    def __init__(self, fault, seed, failpoints=()):
        super().__init__(fault, seed, failpoints=failpoints, flags=FLAGS)
        self.ledger.served = removals.Served()
        self.names = Names()
        self.marks_gone_count = 0

    def takers_start(self):
        for client in (Scribe("scribe0", self), Scribe("scribe1", self), Remover("remover", self),
                       Compactor("compactor", self)):
            self.client_start(client)

    def _read_log(self, store):
        for client in self.of(Remover) + self.of(Compactor):
            client.close()
        for request in self.ledger.requests:
            until_known(self.ledger, request, store)
        self.ledger.served.final_ns = begun_ns = time.monotonic_ns()
        shown = []
        for response in store.Read(event_store_pb2.ReadRequest(), wait_for_ready=True, timeout=harness.PATIENCE_SECONDS):
            for event in response.events:
                self.ledger.serve(event, begun_ns)
                shown.append(Entry(event, digest))
        return removals.whole_log(self.ledger, shown)

    def _marks(self):
        """What is in the files of log, index and names."""
        marks = set()
        for path in pathlib.Path(self.data).rglob("*"):
            if path.is_file():
                marks.update(MARK.findall(path.read_bytes()))
        return marks

    def _check_files(self, log):
        """After a compaction nothing of what is erased is in any file, and nothing of what is gone once the retention has been
        there; of all others the bytes are there. The index follows on its own."""
        texts = {name: event.text.split()[0] for request in self.ledger.requests for write in request.message.writes
                 for name, event in ((event.id, event) for event in write.events)}
        away = {texts[entry.id] for entry in log if entry.id in texts and (entry.is_gone or entry.is_erased)}
        # Others than those that take away have no more to do with it; events may still become too old.
        live = {texts[entry.id] for entry in log if entry.id in texts and not entry.stream.startswith(STREAMS_PREFIX)} - away

        def is_clean():
            for _ in self.admin().Compact(admin_pb2.CompactRequest(), wait_for_ready=True, timeout=harness.PATIENCE_SECONDS):
                pass
            found = {mark.decode() for mark in self._marks()}
            self.left = [text for text in away if f"{text} " in found or f"of:{text};" in found]
            self.missing = [text for text in live if f"{text} " not in found]
            return not self.left

        try:
            harness.wait_until(is_clean, "the end of what was taken away")
        except AssertionError:
            self.ledger.violation(f"I10: {len(self.left)} of {len(away)} texts that were taken away are in the files: "
                                  f"{self.left[:3]}")
        if self.missing:
            self.ledger.violation(f"I10: {len(self.missing)} texts are in no file: {self.missing[:3]}")
        self.marks_gone_count = len(away)

    def _settle(self):
        log = super()._settle()
        self._check_files(log)
        return log


def removed(budget, seed, failpoints=()):
    """Kills at random moments and at the points of appends and compactions, which changes pass, too."""
    campaign = RemovalCampaign("deletion, erasure, limits, compaction", seed, failpoints)
    campaign.start()
    campaign.clients_start(writers=2)
    campaign.takers_start()
    points = POINTS["append"] + POINTS["compaction"]
    campaign.randomness.shuffle(points)
    while budget.goes_on(campaign.row):
        if campaign.row.rounds % 2 == 0:
            campaign.acknowledged_more(campaign.randomness.randrange(400))
            changes_count = len(campaign.ledger.changes) + campaign.randomness.randrange(10)
            harness.wait_until(lambda count=changes_count: len(campaign.ledger.changes) >= count or
                               campaign.ledger.violations, "changes")
            campaign.kill()
        else:
            campaign.kill()
            point = points[campaign.row.rounds // 2 % len(points)]
            # The first removal of leftovers is that of the start.
            least = 2 if point == "leftovers_removed" else 1
            most = least + 1 if point in POINTS["compaction"] else 120
            campaign.start([f"{point}=kill:{campaign.randomness.randrange(least, most)}"])
            killed_at(campaign, point)
        campaign.start()
        campaign.row.rounds += 1
    row = campaign.finish()
    counts = {name: sum(1 for change in campaign.ledger.changes if change.kind == kind and change.outcome == "ok")
              for kind, name in KINDS.items()}
    compactions_count = sum(client.compactions_count for client in campaign.of(Compactor))
    row.note = " ".join([row.note] * bool(row.note) + [f"{count} {name}" for name, count in counts.items()] +
                        [f"{compactions_count} compactions", f"{campaign.marks_gone_count} texts gone"])
    return row
