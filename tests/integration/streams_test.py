"""Settings, deletion, tombstones, erasure and retention of streams, as a client sees them."""

import hashlib

import harness
from harness import event_pb2, event_store_pb2, grpc, wait_until


def settings(**fields):
    return event_store_pb2.StreamSettings(**fields)


class StreamsTest(harness.DaemonTest):
    FLAGS = ("--retention-interval-ms", "100")

    def update(self, stream, expected_revision=None, **fields):
        return self.store.UpdateStreamSettings(event_store_pb2.UpdateStreamSettingsRequest(
            stream=stream, settings=settings(**fields), expected_revision=expected_revision)).settings

    def delete(self, stream, **fields):
        return self.store.DeleteStream(event_store_pb2.DeleteStreamRequest(stream=stream, **fields))

    def erase(self, *positions):
        return self.store.EraseEvents(event_store_pb2.EraseEventsRequest(positions=positions))

    def revisions(self, stream, **fields):
        return [event[2] for event in self.read(stream=stream, **fields)]

    def removed_count(self):
        """How many of the stored records have lost their events, by the daemon's log lines."""
        return sum(int(line.rsplit("count=", 1)[1]) for line in self.daemon.log_text().splitlines()
                   if "events removed" in line)

    # --- Deletion ---

    def test_a_deleted_stream_is_gone_and_its_revisions_go_on(self):
        self.append("order-1", "Placed", "Paid", "Sent")
        self.append("order-2", "Placed")
        deleted = self.delete("order-1", expected_revision=3)
        self.assertEqual((5, 4), (deleted.position, deleted.revision))
        self.assert_refused(grpc.StatusCode.NOT_FOUND, "STREAM_NOT_FOUND", lambda: self.read(stream="order-1"))
        # Whoever reads the store sees what is left, and that there was a deletion.
        self.assertEqual([(4, "order-2", 1, "Placed"), (5, "order-1", 4, "$StreamDeleted")], self.read())
        self.assert_refused(grpc.StatusCode.ABORTED, "REVISION_CONFLICT",
                            lambda: self.append("order-1", "Placed", stream_exists=True))
        # The name can be used again, as a new one or by the revision that the deletion told.
        result = self.append("order-1", "Placed", expected_revision=0).results[0]
        self.assertEqual((5, 5, 6), (result.first_revision, result.last_revision, result.first_position))
        self.assertEqual([5], self.revisions("order-1"))
        self.assertEqual([5], self.revisions("order-1", direction=event_store_pb2.DIRECTION_BACKWARD))
        self.append("order-1", "Paid", expected_revision=5)
        self.assertEqual([5, 6], self.revisions("order-1", **{"from": 2}))
        self.restart(kill=True)
        self.assertEqual([5, 6], self.revisions("order-1"))

    def test_subscribers_learn_of_a_deletion(self):
        self.append("order-1", "Placed")
        self.append("other-1", "Placed")
        clause = event_pb2.Clause(stream_prefixes=["order-"])
        responses = self.store.Subscribe(event_store_pb2.SubscribeRequest(filter=event_pb2.Filter(any_of=[clause])))
        self.assertEqual(["Placed"], [event.event.type for event in next(responses).events])
        self.delete("order-1")
        event = next(response for response in responses if response.events).events[0]
        self.assertEqual(("$StreamDeleted", "order-1", 2), (event.event.type, event.stream, event.revision))
        request = event_store_pb2.DeleteStreamRequest()
        self.assertTrue(event.event.message.Unpack(request))
        self.assertEqual("order-1", request.stream)
        responses.cancel()

    def test_a_tombstone_is_for_ever(self):
        self.append("order-1", "Placed")
        self.delete("order-1")
        self.delete("order-1", tombstone=True)
        for _ in range(2):
            _, details = self.assert_refused(grpc.StatusCode.FAILED_PRECONDITION, "STREAM_TOMBSTONED",
                                             lambda: self.append("order-1", "Placed", expected_revision=0))
            conflicts = event_store_pb2.AppendConflicts.FromString(details["daybook.v1.AppendConflicts"])
            self.assertEqual(["order-1"], [conflict.stream for conflict in conflicts.streams])
            self.restart(kill=True)
        self.assert_refused(grpc.StatusCode.FAILED_PRECONDITION, "STREAM_TOMBSTONED",
                            lambda: self.delete("order-1", tombstone=True))
        self.assert_refused(grpc.StatusCode.FAILED_PRECONDITION, "STREAM_TOMBSTONED",
                            lambda: self.update("order-1", max_count=1))
        self.assert_refused(grpc.StatusCode.NOT_FOUND, "STREAM_NOT_FOUND", lambda: self.read(stream="order-1"))

    def test_a_deletion_is_refused_at_another_revision(self):
        self.append("order-1", "Placed", "Paid")
        _, details = self.assert_refused(grpc.StatusCode.ABORTED, "REVISION_CONFLICT",
                                         lambda: self.delete("order-1", expected_revision=1))
        conflict = event_store_pb2.AppendConflicts.FromString(details["daybook.v1.AppendConflicts"]).streams[0]
        self.assertEqual((1, 2), (conflict.expected_revision, conflict.actual_revision))
        self.assertEqual(2, self.head())
        self.assert_refused(grpc.StatusCode.NOT_FOUND, "STREAM_NOT_FOUND", lambda: self.delete("nobody"))

    # --- Settings ---

    def test_events_beyond_max_count_vanish_at_once_and_then_from_the_disk(self):
        self.update("order-1", max_count=2)
        self.append("order-1", *["Placed"] * 5)
        self.assertEqual([4, 5], self.revisions("order-1"))
        self.append("order-1", "Paid")
        self.assertEqual([5, 6], self.revisions("order-1"))
        self.assertEqual([5, 6], [event[0] for event in self.read()])
        clause = event_pb2.Clause(types=["Placed"])
        self.assertEqual([5], [event[0] for event in self.read(filter=event_pb2.Filter(any_of=[clause]))])
        self.update("order-1", max_count=1)
        self.assertEqual([6], self.revisions("order-1"))
        # What has disappeared does not come back.
        self.update("order-1")
        self.assertEqual([6], self.revisions("order-1"))
        self.append("order-1", "Sent", expected_revision=6)
        wait_until(lambda: self.removed_count() == 5, "the removal of five events")
        self.restart()
        self.assertEqual([6, 7], self.revisions("order-1"))

    def test_events_that_are_too_old_vanish(self):
        self.append("order-1", "Placed")
        self.update("order-1", max_age_seconds=1)
        wait_until(lambda: self.revisions("order-1") == [], "the event's end")
        wait_until(lambda: self.removed_count() == 1, "the event's removal")
        self.append("order-1", "Paid", expected_revision=1)
        self.assertEqual([2], self.revisions("order-1"))

    def test_truncation_does_not_reach_into_the_future(self):
        self.append("order-1", "Placed", "Paid")
        answer = self.update("order-1", expected_revision=2, truncate_before=100, metadata={"owner": "sales"})
        self.assertEqual((3, "sales"), (answer.truncate_before, answer.metadata["owner"]))
        self.assertEqual([], self.revisions("order-1"))
        self.append("order-1", "Sent")
        self.assertEqual([3], self.revisions("order-1"))
        self.assert_refused(grpc.StatusCode.ABORTED, "REVISION_CONFLICT",
                            lambda: self.update("order-1", expected_revision=2))

    def test_what_nobody_can_read_does_not_violate_a_condition(self):
        def claim(stream):
            clause = event_pb2.Clause(tags=["username:ada"])
            event = event_pb2.Event(type="AccountRegistered", tags=["username:ada"])
            return self.store.Append(event_store_pb2.AppendRequest(
                writes=[event_store_pb2.Write(stream=stream, events=[event])],
                condition=event_store_pb2.Condition(none_match=event_pb2.Filter(any_of=[clause]))))

        claim("account-1")
        self.assert_refused(grpc.StatusCode.ABORTED, "CONDITION_FAILED", lambda: claim("account-2"))
        self.delete("account-1")
        claim("account-2")
        self.assert_refused(grpc.StatusCode.ABORTED, "CONDITION_FAILED", lambda: claim("account-3"))

    def test_a_retry_is_recognised_when_its_events_have_been_removed(self):
        event = event_pb2.Event(id="01890a5d-ac96-774b-bcce-b302099a8057", type="Placed", text="x" * 100)
        request = event_store_pb2.AppendRequest(writes=[event_store_pb2.Write(stream="order-1", events=[event])])
        self.store.Append(request)
        self.delete("order-1")
        wait_until(lambda: self.removed_count() == 1, "the event's removal")
        again = self.store.Append(request)
        self.assertEqual((True, 1), (again.replayed, again.results[0].first_position))
        self.assertEqual(2, self.head())

    # --- Descriptions ---

    def describe(self, stream):
        return self.store.GetStream(event_store_pb2.GetStreamRequest(stream=stream)).stream

    def test_a_stream_is_described_as_it_can_be_read(self):
        self.update("order-1", max_count=3, metadata={"owner": "sales", "empty": ""})
        stream = self.describe("order-1")
        self.assertEqual((event_store_pb2.STREAM_STATE_ACTIVE, 0, 0), (stream.state, stream.last_revision,
                                                                       stream.events_count))
        self.append("order-1", *["Placed"] * 5)
        stream = self.describe("order-1")
        self.assertEqual((3, 5, 3), (stream.first_revision, stream.last_revision, stream.events_count))
        self.assertEqual((3, {"owner": "sales", "empty": ""}),
                         (stream.settings.max_count, dict(stream.settings.metadata)))
        first = next(self.store.Read(event_store_pb2.ReadRequest(stream="order-1", limit=1))).events[0]
        self.assertEqual(first.recorded_at, stream.first_recorded_at)
        self.delete("order-1")
        stream = self.describe("order-1")
        self.assertEqual((event_store_pb2.STREAM_STATE_DELETED, 0, 6, 0),
                         (stream.state, stream.first_revision, stream.last_revision, stream.events_count))
        self.assertFalse(stream.HasField("first_recorded_at"))
        self.append("order-1", "Placed")
        self.assertEqual((7, 7, 1), (self.describe("order-1").first_revision, self.describe("order-1").last_revision,
                                     self.describe("order-1").events_count))
        self.delete("order-1", tombstone=True)
        listed = self.store.ListStreams(event_store_pb2.ListStreamsRequest()).streams
        self.assertEqual([("order-1", event_store_pb2.STREAM_STATE_TOMBSTONED)],
                         [(stream.name, stream.state) for stream in listed])
        self.assert_refused(grpc.StatusCode.NOT_FOUND, "STREAM_NOT_FOUND", lambda: self.describe("nobody"))

    def test_what_is_too_old_is_not_counted(self):
        self.append("order-1", "Placed")
        self.append("order-1", "Paid")
        first, second = [event.recorded_at.ToNanoseconds()
                         for response in self.store.Read(event_store_pb2.ReadRequest(stream="order-1"))
                         for event in response.events]
        self.assertLess(first, second)
        self.update("order-1", max_age_seconds=1)
        wait_until(lambda: self.describe("order-1").events_count == 0, "the events' end")
        self.append("order-1", "Sent")
        self.assertEqual((3, 1), (self.describe("order-1").first_revision, self.describe("order-1").events_count))

    # --- Erasure ---

    def test_an_erased_event_keeps_its_place_its_type_and_a_digest(self):
        event = event_pb2.Event(id="01890a5d-ac96-774b-bcce-b302099a8057", type="CustomerMoved",
                                tags=["customer:7"], text="Rue de Rivoli 1", metadata={"by": "ada"})
        request = event_store_pb2.AppendRequest(writes=[event_store_pb2.Write(stream="customer-7", events=[event])])
        self.store.Append(request)
        self.append("order-1", "Placed")
        stored = next(self.store.Read(event_store_pb2.ReadRequest(limit=1))).events[0]
        answer = self.erase(1, 1)
        self.assertEqual((1, 3), (answer.erased_count, answer.position))
        events = [event for response in self.store.Read(event_store_pb2.ReadRequest()) for event in response.events]
        self.assertEqual(["CustomerMoved", "Placed", "$EventsErased"], [event.event.type for event in events])
        erased = events[0]
        self.assertEqual(event_pb2.Event(id=event.id, type=event.type), erased.event)
        self.assertEqual((1, "customer-7", 1, stored.recorded_at),
                         (erased.position, erased.stream, erased.revision, erased.recorded_at))
        digest = hashlib.sha256(stored.event.SerializeToString(deterministic=True)).digest()
        self.assertEqual(digest, erased.erasure.digest_sha256)
        self.assertGreater(erased.erasure.erased_at.seconds, 0)
        self.assertEqual("$erasures", events[2].stream)
        # By its tag it is found no more; its append is still recognised, by the digest.
        clause = event_pb2.Clause(tags=["customer:7"])
        self.assertEqual([], self.read(filter=event_pb2.Filter(any_of=[clause])))
        self.assertTrue(self.store.Append(request).replayed)
        request.writes[0].events[0].text = "Rue de Rivoli 2"
        self.assert_refused(grpc.StatusCode.ALREADY_EXISTS, "EVENT_ID_CONFLICT", lambda: self.store.Append(request))
        self.assertEqual((0, 0), (self.erase(1).erased_count, self.erase(1).position))
        self.assertEqual(3, self.head())
        self.restart(kill=True)
        self.assertEqual([(1, "customer-7", 1, "CustomerMoved")], self.read(stream="customer-7"))

    # --- Bad input ---

    def test_what_is_wrong_is_said(self):
        self.append("order-1", "Placed")
        invalid = grpc.StatusCode.INVALID_ARGUMENT
        for field, call in [
            ("stream", lambda: self.delete("")),
            ("stream", lambda: self.delete("$erasures")),
            ("stream", lambda: self.update("")),
            ("settings.max_age_seconds", lambda: self.update("a", max_age_seconds=2**40)),
            ("settings.metadata", lambda: self.update("a", metadata={str(n): "x" * 8000 for n in range(9)})),
            ("settings.metadata.key", lambda: self.update("a", metadata={"": "x"})),
            ("positions", lambda: self.erase()),
            ("positions[1]", lambda: self.erase(1, 2)),
            ("positions[0]", lambda: self.erase(0)),
            ("writes[0].stream", lambda: self.append("$mine", "Placed")),
            ("writes[0].events[0].type", lambda: self.append("order-1", "$Placed")),
        ]:
            with self.subTest(field):
                _, details = self.assert_refused(invalid, "INVALID_FIELD", call)
                self.assertIn(field, self.violations(details))
        self.assert_refused(invalid, "TOO_MANY_EVENTS", lambda: self.erase(*[1] * 1025))
        self.assertEqual(1, self.head())


if __name__ == "__main__":
    harness.main()
