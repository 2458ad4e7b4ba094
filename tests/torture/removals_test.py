"""The oracle on what is taken away: it takes a good history, and finds every kind of a bad one."""

import hashlib
import os
import tempfile
import time
import unittest

import history
import oracle
import removals
from entry import Entry
from ledger import Ledger, Request, digest, event_pb2, event_store_pb2, harness, new_event

RESPONSES = {"delete": event_store_pb2.DeleteStreamResponse, "erase": event_store_pb2.EraseEventsResponse}
TYPES = {"delete": "$StreamDeleted", "erase": "$EventsErased"}


class Observer:
    """What a subscriber was told."""

    def __init__(self, seen):
        self.name, self.type_name, self.seen = "subscriber", None, seen


class RemovalsTest(unittest.TestCase):
    """Four events of the stream "s" and one of "t", at positions 1 to 5; each test takes some away."""

    def setUp(self):
        self.directory = tempfile.TemporaryDirectory()
        self.addCleanup(self.directory.cleanup)
        self.ledger = Ledger(os.path.join(self.directory.name, "ledger.jsonl"))
        self.addCleanup(self.ledger.close)
        self.ledger.served = removals.Served()
        self.stored = {}
        for stream in "sssst":
            self.append(stream)
        self.whole = dict(self.stored)

    def store(self, stream, event):
        position = max(self.stored, default=0) + 1
        revision = 1 + sum(1 for recorded in self.stored.values() if recorded.stream == stream)
        recorded = event_pb2.RecordedEvent(position=position, stream=stream, revision=revision, event=event)
        recorded.recorded_at.seconds = position
        self.stored[position] = recorded
        return recorded

    def append(self, stream):
        event = new_event("Kept", "text", ["tag"])
        request = Request("writer", [event_store_pb2.Write(stream=stream, events=[event])])
        attempt = self.ledger.begin(request)
        recorded = self.store(stream, event)
        self.ledger.appended(attempt, event_store_pb2.AppendResponse(results=[event_store_pb2.WriteResult(
            first_revision=recorded.revision, last_revision=recorded.revision, first_position=recorded.position,
            last_position=recorded.position)]))

    def told(self, kind, message, stream):
        event = new_event(TYPES[kind], "")
        event.message.Pack(message)
        return self.store(stream, event)

    def change(self, kind, message, stream, outcome="ok", tells=True):
        change = self.ledger.change_begin(kind, message)
        recorded = self.told(kind, message, stream) if tells else None
        response = RESPONSES[kind](position=recorded.position if recorded else 0) if outcome == "ok" else None
        self.ledger.change_end(change, outcome, response=response)

    def delete(self, stream="s", outcome="ok", tells=True):
        self.change("delete", event_store_pb2.DeleteStreamRequest(stream=stream), stream, outcome, tells)

    def erase(self, *positions, outcome="ok", tells=True):
        self.change("erase", event_store_pb2.EraseEventsRequest(positions=positions), "$erasures", outcome, tells)

    def settings(self, outcome="ok", **fields):
        settings = event_store_pb2.StreamSettings(**fields)
        change = self.ledger.change_begin("settings", event_store_pb2.UpdateStreamSettingsRequest(stream="s", settings=settings))
        self.ledger.change_end(change, outcome, response=event_store_pb2.UpdateStreamSettingsResponse(settings=settings))

    def gone(self, *positions):
        for position in positions:
            del self.stored[position]

    def erased(self, position):
        recorded = event_pb2.RecordedEvent()
        recorded.CopyFrom(self.stored[position])
        recorded.erasure.erased_at.seconds = 1000
        recorded.erasure.digest_sha256 = hashlib.sha256(recorded.event.SerializeToString(deterministic=True)).digest()
        recorded.event.CopyFrom(event_pb2.Event(id=recorded.event.id, type=recorded.event.type))
        self.stored[position] = recorded

    def verdict(self, observers=()):
        """Of the log as it is stored now; each observer is [recorded]."""
        self.ledger.served.final_ns = time.monotonic_ns()
        shown = [self.stored[position] for position in sorted(self.stored)]
        for recorded in shown:
            self.ledger.serve(recorded, self.ledger.served.final_ns)
        log = removals.whole_log(self.ledger, [Entry(recorded, digest) for recorded in shown])
        self.log = log
        subscribers = [Observer([(recorded.position, Entry(recorded, digest).hash) for recorded in seen]) for seen in observers]
        return oracle.check(self.ledger, log, subscribers, [])

    def serve(self, *records, begun_ns=None):
        begun_ns = begun_ns or time.monotonic_ns()
        for recorded in records:
            self.ledger.serve(recorded, begun_ns)

    def assert_good(self, verdict):
        self.assertTrue(verdict.is_good, verdict.problems)

    def assert_found(self, text, verdict):
        self.assertTrue(any(text in problem for problem in verdict.problems), verdict.problems)
        self.assertFalse(verdict.is_good)

    # --- Deletion ---

    def test_takes_a_deletion_and_runs_with_what_is_gone_or_without(self):
        before = [self.whole[position] for position in (1, 2)]
        self.serve(*before)
        self.delete()
        self.gone(1, 2, 3, 4)
        left = [self.stored[position] for position in (5, 6)]
        self.assert_good(self.verdict([left, before + left]))
        self.assertIsNone(history.check(self.ledger, self.log, [], os.path.join(self.directory.name, "history.jsonl")))

    def test_takes_a_deletion_of_unknown_outcome(self):
        self.delete(outcome="unknown", tells=False)
        self.assert_good(self.verdict())
        self.delete(outcome="unknown")
        self.gone(1, 2, 3, 4)
        self.assert_good(self.verdict())

    def test_finds_a_live_event_that_is_gone(self):
        self.delete()
        self.gone(1, 2, 3, 4, 5)
        verdict = self.verdict()
        self.assertEqual(1, verdict.lost)
        self.assert_found("nothing took it away", verdict)

    def test_finds_events_that_are_gone_without_a_deletion(self):
        self.delete(outcome="unknown", tells=False)
        self.gone(1, 2, 3, 4)
        self.assertEqual(4, self.verdict().lost)

    def test_finds_a_deletion_that_is_lost(self):
        self.delete()
        self.gone(6)
        self.assert_found("the acknowledged delete is not at 6", self.verdict())

    def test_finds_a_deletion_that_nobody_asked_for(self):
        self.told("delete", event_store_pb2.DeleteStreamRequest(stream="s"), "s")
        self.gone(1, 2, 3, 4)
        self.assert_found("nobody asked for the $StreamDeleted", self.verdict())

    def test_finds_a_deleted_event_that_is_there(self):
        self.delete()
        self.gone(1, 2, 3)
        self.assert_found("served by a call that began after it was taken away", self.verdict())

    def test_finds_a_deleted_event_that_comes_back_for_a_while(self):
        self.delete()
        self.gone(1, 2, 3, 4)
        self.serve(self.whole[2])
        self.assert_found("served by a call that began after it was taken away", self.verdict())

    # --- Erasure ---

    def test_takes_an_erasure(self):
        self.serve(self.whole[2])
        original = list(self.whole.values())
        self.erase(2)
        self.erased(2)
        verdict = self.verdict([original + [self.stored[6]], list(self.stored.values())])
        self.assert_good(verdict)

    def test_finds_an_erased_payload_that_is_there(self):
        self.erase(2)
        verdict = self.verdict()
        self.assert_found("was erased and is there", verdict)
        self.assert_found("served by a call that began after its erasure", verdict)

    def test_finds_an_erased_payload_that_is_served_for_a_while(self):
        self.erase(2)
        self.erased(2)
        self.serve(self.whole[2])
        self.assert_found("served by a call that began after its erasure", self.verdict())

    def test_finds_an_erasure_that_nobody_asked_for(self):
        self.erase(2)
        self.erased(2)
        self.erased(3)
        self.assert_found("is erased, nobody asked for that", self.verdict())

    def test_finds_an_erasure_with_another_digest_and_one_that_leaves_something(self):
        self.erase(2)
        self.erased(2)
        self.stored[2].erasure.digest_sha256 = bytes(32)
        self.assertEqual(1, self.verdict().wrong)
        self.setUp()
        self.erase(2)
        self.erased(2)
        self.stored[2].event.tags.append("tag")
        self.assertEqual(1, self.verdict().wrong)

    def test_finds_other_bytes_that_were_served_before(self):
        other = event_pb2.RecordedEvent()
        other.CopyFrom(self.whole[2])
        other.event.text = "texts"
        self.serve(other)
        self.delete()
        self.gone(1, 2, 3, 4)
        self.assert_found("as something else", self.verdict())

    # --- Limits ---

    def test_takes_limits(self):
        self.settings(max_count=2)
        self.gone(1, 2)
        self.assert_good(self.verdict())
        self.settings(truncate_before=4, outcome="unknown")
        self.assert_good(self.verdict())
        self.gone(3)
        self.assert_good(self.verdict())

    def test_finds_what_is_beyond_a_limit(self):
        self.settings(max_count=2)
        self.gone(1)
        self.assert_found("served by a call that began after it was taken away", self.verdict())
        self.setUp()
        self.settings(truncate_before=3)
        self.assert_found("served by a call that began after it was taken away", self.verdict())

    def test_finds_what_is_gone_within_a_limit(self):
        self.settings(max_count=2)
        self.gone(1, 2, 3)
        self.assertEqual(1, self.verdict().lost)
        self.setUp()
        self.settings(truncate_before=2, outcome="unknown")
        self.gone(1, 2)
        self.assertEqual(1, self.verdict().lost)
        self.setUp()
        self.settings(max_age_seconds=100)
        self.gone(1)
        self.assertEqual(1, self.verdict().lost)

    def test_finds_what_comes_back_with_other_settings(self):
        self.settings(max_count=2)
        self.settings()
        self.gone(1)
        self.assert_found("served by a call that began after it was taken away", self.verdict())

    def test_finds_holes(self):
        self.settings(truncate_before=5, outcome="unknown")
        self.gone(2)
        self.assert_found("revision 1 is there, 2 is gone", self.verdict())

    # --- Runs ---

    def test_finds_runs_with_gaps(self):
        self.delete()
        self.gone(1, 2, 3, 4)
        self.assert_found("I5", self.verdict([[self.stored[6]]]))
        self.serve(self.whole[1], self.whole[2], begun_ns=1)
        self.assert_found("I5", self.verdict([[self.whole[2], self.whole[1], self.stored[5], self.stored[6]]]))


if __name__ == "__main__":
    harness.main()
