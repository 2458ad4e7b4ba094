"""Clients that take away: deletions, limits, erasures and compactions, and a writer whose streams they are about."""

import time

from clients import Client, Writer
from ledger import Request, event_store_pb2, grpc, harness
from harness import admin_pb2, admin_pb2_grpc

STREAMS_COUNT = 6
STREAMS_PREFIX = "vanishing-"
ERASED_COUNT_MAX = 6
RECENT_COUNT = 400


class Names:
    """The streams that are taken from: a name that is used up has a successor."""

    def __init__(self):
        self.generations = [0] * STREAMS_COUNT

    def name(self, slot):
        return f"{STREAMS_PREFIX}{slot}-{self.generations[slot]}"


class Scribe(Writer):
    """Appends to streams that others delete and shorten meanwhile; each event has a tag of its own."""

    def learn(self, request, attempt):
        pass

    def request(self):
        slots = self.randomness.sample(range(STREAMS_COUNT), self.randomness.choice([1, 1, 2]))
        writes = []
        for slot in slots:
            events = self.events()
            for event in events:
                event.tags.append(f"of:{event.text.split()[0]};")
            writes.append(event_store_pb2.Write(stream=self.campaign.names.name(slot), events=events))
        return Request(self.name, writes)


class Remover(Client):
    """One change after the other, so that of two settings of a stream it is known which is the later."""

    def __init__(self, name, campaign):
        super().__init__(name, campaign)
        self.names = campaign.names

    def change(self, kind, call, message):
        change = self.ledger.change_begin(kind, message)
        try:
            response = call(message, wait_for_ready=True, timeout=harness.PATIENCE_SECONDS)
        except grpc.RpcError as error:
            self.ledger.change_failed(change, error)
        else:
            self.ledger.change_end(change, "ok", response=response)
        return change

    def delete(self, slot):
        tombstone = self.randomness.random() < 0.2
        message = event_store_pb2.DeleteStreamRequest(stream=self.names.name(slot), tombstone=tombstone)
        if self.randomness.random() < 0.2:
            message.expected_revision = self.randomness.randrange(1, 50)
        change = self.change("tombstone" if tombstone else "delete", self.store.DeleteStream, message)
        if tombstone and change.outcome != "refused" or change.reason == "STREAM_TOMBSTONED":
            self.names.generations[slot] += 1

    def limit(self, slot):
        settings, which = event_store_pb2.StreamSettings(), self.randomness.randrange(5)
        if which in (0, 1):
            settings.max_count = self.randomness.randrange(1, 40)
        if which in (1, 2):
            settings.truncate_before = self.randomness.choice([self.randomness.randrange(1, 200), 1 << 40])
        if which == 3:
            settings.max_age_seconds = self.randomness.randrange(1, 4)
        self.change("settings", self.store.UpdateStreamSettings,
                    event_store_pb2.UpdateStreamSettingsRequest(stream=self.names.name(slot), settings=settings))

    def erase(self):
        """Some of the newer events, of whatever stream; none that a condition is about."""
        positions = []
        recent = self.ledger.requests[-RECENT_COUNT:]
        for request in self.randomness.sample(recent, min(len(recent), 3)):
            if request.acknowledged is not None and request.claim is None:
                positions += [position for result in request.acknowledged.results
                              for position in range(result[2], result[3] + 1)]
        if positions:
            self.change("erase", self.store.EraseEvents,
                        event_store_pb2.EraseEventsRequest(positions=positions[:ERASED_COUNT_MAX]))

    def step(self):
        slot, dice = self.randomness.randrange(STREAMS_COUNT), self.randomness.random()
        if dice < 0.15:
            self.delete(slot)
        elif dice < 0.45:
            self.limit(slot)
        else:
            self.erase()
        self.stop_event.wait(0.02)


class Compactor(Client):
    """One compaction after the other."""

    def __init__(self, name, campaign):
        super().__init__(name, campaign)
        self.admin = admin_pb2_grpc.AdminStub(self.channel)
        self.compactions_count = 0

    def step(self):
        try:
            for _ in self.admin.Compact(admin_pb2.CompactRequest(), wait_for_ready=True, timeout=harness.PATIENCE_SECONDS):
                pass
            self.compactions_count += 1
        except grpc.RpcError as error:
            if error.code() not in (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.CANCELLED):
                self.ledger.violation(f"a compaction ended with {error.code().name}: {error.details()}")
        self.stop_event.wait(0.1)


def until_known(ledger, request, store):
    """Tries an append again until its outcome is known."""
    deadline = time.monotonic() + harness.PATIENCE_SECONDS
    while all(attempt.outcome == "unknown" for attempt in request.attempts):
        attempt = ledger.begin(request)
        try:
            ledger.appended(attempt, store.Append(request.message, timeout=harness.PATIENCE_SECONDS))
        except grpc.RpcError as error:
            ledger.failed(attempt, error)
        if time.monotonic() > deadline:
            ledger.violation(f"an append of {request.client} has no outcome")
            return
