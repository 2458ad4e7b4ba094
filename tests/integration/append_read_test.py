"""Append, Read and Head, from Python, through restarts."""

import harness
from harness import event_pb2, event_store_pb2, grpc


class AppendReadTest(harness.DaemonTest):
    def test_an_empty_store(self):
        self.assertEqual(0, self.head())
        self.assertEqual([], self.read())
        self.assert_refused(grpc.StatusCode.NOT_FOUND, "STREAM_NOT_FOUND", lambda: self.read(stream="order-1"))

    def test_positions_and_revisions_have_no_gaps(self):
        first = self.append("order-1", "OrderPlaced", "ProductSold").results[0]
        self.assertEqual((1, 2, 1, 2),
                         (first.first_revision, first.last_revision, first.first_position, first.last_position))
        self.append("order-2", "OrderPlaced")
        third = self.append("order-1", "OrderPaid").results[0]
        self.assertEqual((3, 4), (third.first_revision, third.first_position))
        self.assertEqual([(1, "order-1", 1, "OrderPlaced"), (2, "order-1", 2, "ProductSold"),
                          (3, "order-2", 1, "OrderPlaced"), (4, "order-1", 3, "OrderPaid")], self.read())
        self.assertEqual(4, self.head())

    def test_one_request_writes_to_several_streams_atomically(self):
        writes = [event_store_pb2.Write(stream=name, events=[event_pb2.Event(type=f"T{index}")])
                  for index, name in enumerate(["a", "b", "a"])]
        response = self.store.Append(event_store_pb2.AppendRequest(writes=writes))
        self.assertEqual([(1, 1), (1, 2), (2, 3)],
                         [(result.first_revision, result.first_position) for result in response.results])
        writes[0].expected_revision = 9
        writes[1].expected_revision = 0
        error, details = self.assert_refused(
            grpc.StatusCode.ABORTED, "REVISION_CONFLICT",
            lambda: self.store.Append(event_store_pb2.AppendRequest(writes=writes)))
        conflicts = event_store_pb2.AppendConflicts.FromString(details["daybook.v1.AppendConflicts"])
        self.assertEqual([("writes[0]", "a", 9, 2), ("writes[1]", "b", 0, 1)],
                         [(conflict.field, conflict.stream, conflict.expected_revision, conflict.actual_revision)
                          for conflict in conflicts.streams])
        self.assertEqual(3, self.head())

    def test_expectations(self):
        self.append("s", "A", expected_revision=0)
        self.append("s", "B", expected_revision=1)
        self.append("s", "C", stream_exists=True)
        for expectation in ({"expected_revision": 0}, {"expected_revision": 2}, {"expected_revision": 4}):
            self.assert_refused(grpc.StatusCode.ABORTED, "REVISION_CONFLICT",
                                lambda given=expectation: self.append("s", "X", **given))
        self.assert_refused(grpc.StatusCode.ABORTED, "REVISION_CONFLICT",
                            lambda: self.append("unknown", "X", stream_exists=True))
        self.assertEqual(["A", "B", "C"], [event[3] for event in self.read(stream="s")])

    def test_checks_of_streams_that_are_not_written(self):
        self.append("account", "Opened")
        write = event_store_pb2.Write(stream="order", events=[event_pb2.Event(type="OrderPlaced")])
        good = event_store_pb2.StreamCheck(stream="account", expected_revision=1)
        bad = event_store_pb2.StreamCheck(stream="account", expected_revision=2)
        self.store.Append(event_store_pb2.AppendRequest(writes=[write], checks=[good]))
        _, details = self.assert_refused(
            grpc.StatusCode.ABORTED, "REVISION_CONFLICT",
            lambda: self.store.Append(event_store_pb2.AppendRequest(writes=[write], checks=[good, bad])))
        conflicts = event_store_pb2.AppendConflicts.FromString(details["daybook.v1.AppendConflicts"])
        self.assertEqual([("checks[1]", 1)], [(c.field, c.actual_revision) for c in conflicts.streams])

    def test_a_retry_has_the_original_result(self):
        def request(*ids, stream="order-1", text="x"):
            events = [event_pb2.Event(id=id, type="OrderPlaced", text=text, metadata={"b": "2", "a": "1"}) for id in ids]
            return event_store_pb2.AppendRequest(
                writes=[event_store_pb2.Write(stream=stream, expected_revision=0, events=events)])
        first, second, third = (f"01890a5d-ac96-774b-bcce-00000000000{number}" for number in (1, 2, 3))
        original = self.store.Append(request(first, second))
        self.assertFalse(original.replayed)
        self.append("order-1", "OrderPaid")
        for kill in (None, False, True):
            if kill is not None:
                self.restart(kill=kill)
            again = self.store.Append(request(first, second.upper()))
            self.assertTrue(again.replayed)
            self.assertEqual(original.results, again.results)
        for refused, positions in ((request(first, second, third), [1, 2]), (request(third, second), [2]),
                                   (request(second, first), [2, 1]), (request(first, second, text="y"), [1, 2]),
                                   (request(first, second, stream="order-2"), [1, 2])):
            _, details = self.assert_refused(grpc.StatusCode.ALREADY_EXISTS, "EVENT_ID_CONFLICT",
                                             lambda given=refused: self.store.Append(given))
            conflicts = event_store_pb2.AppendConflicts.FromString(details["daybook.v1.AppendConflicts"])
            self.assertEqual(positions, [conflict.position for conflict in conflicts.events])
        self.assertEqual(3, self.head())

    def test_reads_forward_backward_from_and_limited(self):
        for index in range(5):
            self.append("a", f"A{index}")
            self.append("b", f"B{index}")
        backward = event_store_pb2.DIRECTION_BACKWARD
        types = lambda **fields: [event[3] for event in self.read(**fields)]
        self.assertEqual(["A1", "B1", "A2"], types(**{"from": 3}, limit=3))
        self.assertEqual(["B4", "A4"], types(direction=backward, limit=2))
        self.assertEqual(["A1", "B0", "A0"], types(direction=backward, **{"from": 3}))
        self.assertEqual(["A3", "A4"], types(stream="a", **{"from": 4}))
        self.assertEqual(["A4", "A3", "A2", "A1", "A0"], types(stream="a", direction=backward))
        self.assertEqual(["A1", "A0"], types(stream="a", direction=backward, **{"from": 2}))
        self.assertEqual([], types(**{"from": 11}))
        self.assertEqual([], types(stream="a", **{"from": 6}))
        self.assertEqual(["B4"], types(direction=backward, limit=1, **{"from": 1000}))

    def test_filters(self):
        self.store.Append(event_store_pb2.AppendRequest(writes=[
            event_store_pb2.Write(stream="order-1", events=[
                event_pb2.Event(type="ProductSold", tags=["product:1", "customer:7"]),
                event_pb2.Event(type="ProductSold", tags=["product:2"]),
                event_pb2.Event(type="OrderPaid", tags=["customer:7"])]),
            event_store_pb2.Write(stream="cart-1", events=[event_pb2.Event(type="CartOpened")])]))
        positions = lambda *clauses: [event[0] for event in self.read(filter=event_pb2.Filter(any_of=clauses))]
        self.assertEqual([1, 3], positions(event_pb2.Clause(tags=["customer:7"])))
        self.assertEqual([1], positions(event_pb2.Clause(tags=["customer:7", "product:1"])))
        self.assertEqual([1, 2], positions(event_pb2.Clause(types=["ProductSold"])))
        self.assertEqual([4], positions(event_pb2.Clause(stream_prefixes=["cart-"])))
        self.assertEqual([3, 4], positions(event_pb2.Clause(type_prefixes=["Order"]),
                                           event_pb2.Clause(streams=["cart-1"])))
        self.assertEqual([], positions(event_pb2.Clause(types=["ProductSold"], streams=["cart-1"])))

    def test_everything_survives_restarts_byte_for_byte(self):
        event = event_pb2.Event(id="01890A5D-AC96-774B-BCCE-B302099A8057", type="Ünïcode ✓", tags=["b", "a"],
                                data=bytes(range(256)), content_type="application/octet-stream",
                                metadata={"correlation_id": "c", "traceparent": "t"})
        event.occurred_at.seconds = 1
        self.store.Append(event_store_pb2.AppendRequest(
            writes=[event_store_pb2.Write(stream="s", events=[event])]))
        before = [response.SerializeToString() for response in self.store.Read(event_store_pb2.ReadRequest())]
        store_id = self.store.Head(event_store_pb2.HeadRequest()).store_id
        for kill in (False, True):
            self.restart(kill=kill)
            after = [response.SerializeToString() for response in self.store.Read(event_store_pb2.ReadRequest())]
            self.assertEqual(before, after)
            self.assertEqual(store_id, self.store.Head(event_store_pb2.HeadRequest()).store_id)
        event.id = event.id.lower()
        [response] = [event_store_pb2.ReadResponse.FromString(data) for data in before]
        self.assertEqual(event, response.events[0].event)
        self.append("s", "Next", expected_revision=1)

    def test_reads_from_a_time(self):
        for index in range(6):
            self.append("a" if index % 2 == 0 else "b", f"E{index}", f"F{index}")
        events = [event for response in self.store.Read(event_store_pb2.ReadRequest()) for event in response.events]
        backward = event_store_pb2.DIRECTION_BACKWARD

        def positions(nanoseconds, **fields):
            time = {"seconds": nanoseconds // 10**9, "nanos": nanoseconds % 10**9}
            return [event[0] for event in self.read(from_time=time, **fields)]

        for place in (0, 4, 10):
            at = events[place].recorded_at.ToNanoseconds()
            self.assertEqual(list(range(place + 1, 13)), positions(at), "an append has one time, that of both its events")
            self.assertEqual(list(range(place + 3, 13)), positions(at + 1))
            self.assertEqual(list(range(place + 2, 0, -1)), positions(at, direction=backward))
            self.assertEqual(list(range(place, 0, -1)), positions(at - 1, direction=backward))
        at = events[4].recorded_at.ToNanoseconds()
        self.assertEqual([7, 8, 11, 12], positions(at, stream="b"))
        self.assertEqual([4, 3], positions(at, stream="b", direction=backward))
        self.assertEqual([5], positions(at, limit=1))
        self.assertEqual([5, 7, 9, 11], positions(at, filter=event_pb2.Filter(
            any_of=[event_pb2.Clause(types=["E2", "E3", "E4", "E5"])])))
        self.assertEqual([], positions(4102444800 * 10**9), "2100")
        self.assertEqual([], positions(4102444800 * 10**9, stream="b"))
        self.assertEqual(12, len(positions(4102444800 * 10**9, direction=backward)))
        self.assertEqual([], positions(10**9, direction=backward))
        self.assertEqual(12, len(positions(10**9)))
        for seconds, nanos in ((253402300800, 0), (1, -1), (1, 10**9)):
            request = event_store_pb2.ReadRequest(from_time={"seconds": seconds, "nanos": nanos})
            _, details = self.assert_refused(grpc.StatusCode.INVALID_ARGUMENT, "INVALID_FIELD",
                                             lambda given=request: list(self.store.Read(given)))
            self.assertIn("from_time", self.violations(details))
        self.assert_refused(grpc.StatusCode.NOT_FOUND, "STREAM_NOT_FOUND", lambda: positions(at, stream="nobody"))

    def test_a_long_history_is_read_whole(self):
        events = [event_pb2.Event(type="T", text="x" * 1000) for _ in range(1000)]
        for _ in range(5):
            self.store.Append(event_store_pb2.AppendRequest(
                writes=[event_store_pb2.Write(stream="long", events=events)]))
        for fields in ({}, {"stream": "long"}):
            read = self.read(**fields)
            self.assertEqual(list(range(1, 5001)), [event[0] for event in read])
            self.assertEqual(list(range(1, 5001)), [event[2] for event in read])


if __name__ == "__main__":
    harness.main()
