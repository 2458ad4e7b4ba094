"""The oracle itself: it takes a good history, and finds every kind of a bad one."""

import os
import tempfile
import unittest

import history
import oracle
from ledger import Ledger, Request, digest, event_pb2, event_store_pb2, harness, new_event


class Seen:
    """What a subscriber was told."""

    def __init__(self, seen):
        self.name, self.type_name, self.seen = "subscriber", None, seen


class Read:
    """What a reader was told."""

    def __init__(self, reads=(), newest=()):
        self.name, self.reads, self.newest = "reader", reads, newest


class OracleTest(unittest.TestCase):
    """A history of three appends to one stream, each acknowledged before the next began; then one thing is wrong."""

    def setUp(self):
        self.directory = tempfile.TemporaryDirectory()
        self.addCleanup(self.directory.cleanup)
        self.ledger = Ledger(os.path.join(self.directory.name, "ledger.jsonl"))
        self.addCleanup(self.ledger.close)
        self.stored = []
        self.requests = [self.append(expected=number) for number in range(3)]

    def request(self, expected=None, claim=None, stream="s"):
        event = new_event("Kept", "text", [claim] if claim else [])
        write = event_store_pb2.Write(stream=stream, events=[event])
        if expected is not None:
            write.expected_revision = expected
        return Request("writer", [write], claim)

    def store(self, request):
        position = len(self.stored) + 1
        for event in request.message.writes[0].events:
            recorded = event_pb2.RecordedEvent(position=position, stream=request.writes[0][0], revision=position, event=event)
            recorded.recorded_at.seconds = position
            self.stored.append(recorded)

    def acknowledge(self, attempt, revision, position):
        result = event_store_pb2.WriteResult(first_revision=revision, last_revision=revision, first_position=position,
                                             last_position=position)
        self.ledger.appended(attempt, event_store_pb2.AppendResponse(results=[result]))

    def append(self, expected=None, claim=None):
        request = self.request(expected, claim)
        attempt = self.ledger.begin(request)
        self.store(request)
        self.acknowledge(attempt, len(self.stored), len(self.stored))
        return request

    def refuse(self, request, reason, actual=None):
        conflicts = event_store_pb2.AppendConflicts(
            streams=[] if actual is None else [event_store_pb2.StreamConflict(stream="s", actual_revision=actual)])
        self.ledger.refused(self.ledger.begin(request), reason, conflicts)

    def log(self):
        return [oracle.Entry(event, digest) for event in self.stored]

    def seen(self):
        return [(entry.position, entry.hash) for entry in self.log()]

    def verdict(self, subscribers=(), readers=()):
        return oracle.check(self.ledger, self.log(), subscribers, readers)

    def assert_found(self, invariant, verdict):
        self.assertTrue(any(text.startswith(invariant) for text in verdict.problems), verdict.problems)
        self.assertFalse(verdict.is_good)

    def test_takes_what_is_good(self):
        unknown = [self.request(), self.request()]
        for request in unknown:
            self.ledger.unknown(self.ledger.begin(request), "UNAVAILABLE")
        self.store(unknown[0])
        self.refuse(self.request(expected=2), "REVISION_CONFLICT", 4)
        readers = [Read([(2, self.seen()[1:3], 3, 2)])]
        verdict = self.verdict([Seen(self.seen())], readers)
        self.assertTrue(verdict.is_good, verdict.problems)

    def test_finds_what_is_lost(self):
        self.stored.pop()
        verdict = self.verdict()
        self.assertEqual(1, verdict.lost)
        self.assert_found("I1", verdict)

    def test_finds_other_bytes(self):
        self.stored[1].event.text = "texts"
        verdict = self.verdict()
        self.assertEqual(1, verdict.wrong)
        self.assert_found("I1", verdict)

    def test_finds_another_place(self):
        first, second = self.stored[0].event, self.stored[1].event
        kept = event_pb2.Event()
        kept.CopyFrom(first)
        first.CopyFrom(second)
        second.CopyFrom(kept)
        self.assert_found("I1", self.verdict())

    def test_finds_what_was_refused(self):
        request = self.request(expected=1)
        self.refuse(request, "REVISION_CONFLICT", 3)
        self.store(request)
        self.assert_found("I2", self.verdict())

    def test_finds_what_is_there_twice(self):
        self.store(self.requests[2])
        self.assert_found("I3", self.verdict())

    def test_finds_a_half(self):
        write = event_store_pb2.Write(stream="s", events=[new_event("Kept", "one"), new_event("Kept", "two")])
        request = Request("writer", [write])
        self.ledger.unknown(self.ledger.begin(request), "UNAVAILABLE")
        self.store(request)
        self.stored.pop()
        self.assert_found("I3", self.verdict())

    def test_finds_gaps_and_strangers_and_times(self):
        self.stored[1].position = 5
        self.assert_found("I4", self.verdict())
        self.stored[1].position = 2
        self.stored[2].revision = 4
        self.assert_found("I4", self.verdict())
        self.stored[2].revision = 3
        self.stored[2].recorded_at.seconds = 1
        self.assert_found("I4", self.verdict())
        self.stored[2].recorded_at.seconds = 3
        self.store(self.request())
        self.assert_found("I4", self.verdict())

    def test_finds_what_subscribers_and_readers_saw(self):
        seen = self.seen()
        for wrong in (seen[:2], seen[1:], [seen[0], seen[2]], seen + seen[2:], [seen[1], seen[0], seen[2]],
                      [seen[0], (2, 0), seen[2]]):
            self.assert_found("I5", self.verdict([Seen(wrong)]))
        self.assert_found("I5", self.verdict((), [Read([(1, [seen[0], seen[2]], 3, 5)])]))
        self.assert_found("I5", self.verdict((), [Read([(1, seen[:2], 3, 5)])]))

    def test_finds_another_answer_to_a_retry(self):
        self.acknowledge(self.ledger.begin(self.requests[0]), 2, 2)
        self.assert_found("I6", self.verdict())

    def test_finds_an_order_that_cannot_be(self):
        self.stored[1].event.id, self.stored[2].event.id = self.stored[2].event.id, self.stored[1].event.id
        for request, position in ((self.requests[1], 3), (self.requests[2], 2)):
            request.attempts[0].results = [(position, position, position, position)]
        self.assert_found("I7", self.verdict())

    def test_finds_refusals_that_were_not_due(self):
        self.refuse(self.request(expected=3), "REVISION_CONFLICT", 3)
        self.assert_found("I7", self.verdict())

    def test_finds_refusals_for_what_never_was(self):
        self.refuse(self.request(expected=1), "REVISION_CONFLICT", 9)
        self.assert_found("I7", self.verdict())

    def test_finds_claims_that_two_have(self):
        self.append(claim="claim:a")
        self.assertTrue(self.verdict().is_good)
        self.append(claim="claim:a")
        self.assert_found("I7", self.verdict())

    def test_finds_claims_that_nobody_has(self):
        self.refuse(self.request(claim="claim:a"), "CONDITION_FAILED")
        self.assert_found("I7", self.verdict())

    def porcupine(self, readers=()):
        return history.check(self.ledger, self.log(), readers, os.path.join(self.directory.name, "history.jsonl"))

    def test_porcupine_finds_reads_of_the_past(self):
        begun = self.requests[2].attempts[0].ended_ns + 1
        self.assertIsNone(self.porcupine([Read((), [("s", begun, begun + 1, 3, self.stored[2].event.id)])]))
        self.assertIn("not linearizable",
                      self.porcupine([Read((), [("s", begun, begun + 1, 2, self.stored[1].event.id)])]))

    def test_porcupine_finds_refusals_that_were_not_due(self):
        self.refuse(self.request(expected=1), "REVISION_CONFLICT", 3)
        self.assertIsNone(self.porcupine())
        self.refuse(self.request(expected=1), "REVISION_CONFLICT", 2)
        self.assertIn("not linearizable", self.porcupine())


if __name__ == "__main__":
    harness.main()
