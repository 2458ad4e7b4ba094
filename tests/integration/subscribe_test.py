"""Subscribe, from Python: catch-up and live, marks, heartbeats, filters, the end of the server."""

import threading

import harness
from harness import event_pb2, event_store_pb2, grpc
from google.protobuf import empty_pb2


class Subscription:
    """Collects the responses of a subscription on a thread."""

    def __init__(self, store, **fields):
        self.call = store.Subscribe(event_store_pb2.SubscribeRequest(**fields))
        self.responses = []
        self.error = None
        self.thread = threading.Thread(target=self._collect, daemon=True)
        self.thread.start()

    def _collect(self):
        try:
            for response in self.call:
                self.responses.append(response)
        except grpc.RpcError as error:
            self.error = error

    def positions(self):
        return [event.position for response in list(self.responses) for event in response.events]

    def wait_positions(self, expected):
        harness.wait_until(lambda: len(self.positions()) >= len(expected), f"{len(expected)} events")
        assert self.positions() == expected, self.positions()

    def wait_mark(self, name, count=1):
        harness.wait_until(lambda: sum(getattr(r, name) for r in list(self.responses)) >= count, name)

    def end(self):
        self.call.cancel()
        self.thread.join(harness.PATIENCE_SECONDS)


class SubscribeTest(harness.DaemonTest):
    def subscribe(self, **fields):
        subscription = Subscription(self.store, **fields)
        self.addCleanup(subscription.end)
        return subscription

    def test_from_the_beginning_and_on(self):
        self.append("a", "A", "B")
        subscription = self.subscribe(beginning=empty_pb2.Empty())
        subscription.wait_positions([1, 2])
        subscription.wait_mark("caught_up")
        self.append("b", "C")
        subscription.wait_positions([1, 2, 3])
        self.assertEqual(3, subscription.responses[-1].position)
        self.assertEqual(1, sum(response.caught_up for response in subscription.responses))

    def test_an_append_too_large_for_one_response_comes_in_several(self):
        # 16 MiB in one append, to a client with gRPC's usual limit of 4 MiB.
        event = event_pb2.Event(type="T", data=b"x" * 16000)
        self.append("before", "A", "B")
        self.store.Append(event_store_pb2.AppendRequest(
            writes=[event_store_pb2.Write(stream="s", events=[event] * 1024)]))
        self.append("after", "C")
        with grpc.insecure_channel(self.daemon.address) as channel:
            store = harness.event_store_pb2_grpc.EventStoreStub(channel)
            subscription = Subscription(store, beginning=empty_pb2.Empty())
            subscription.wait_positions(list(range(1, 1028)))
            subscription.end()
        responses = [response for response in subscription.responses if response.events]
        self.assertGreater(len(responses), 5)
        for response in responses:
            last = response.events[-1].position
            self.assertEqual(last, response.position)
            self.assertEqual(2 < last < 1026, response.append_continues, f"position {last}")

    def test_from_the_end(self):
        self.append("a", "A", "B")
        subscription = self.subscribe(end=empty_pb2.Empty())
        subscription.wait_mark("caught_up")
        self.assertEqual(2, subscription.responses[0].position)
        self.append("a", "C")
        subscription.wait_positions([3])

    def test_after_a_position_also_one_that_is_not_there_yet(self):
        self.append("a", "A", "B", "C")
        middle = self.subscribe(after=2)
        beyond = self.subscribe(after=5)
        middle.wait_positions([3])
        self.append("a", "D", "E", "F")
        middle.wait_positions([3, 4, 5, 6])
        beyond.wait_positions([6])

    def test_one_stream_and_a_category(self):
        stream = self.subscribe(filter=event_pb2.Filter(any_of=[event_pb2.Clause(streams=["order-1"])]))
        category = self.subscribe(filter=event_pb2.Filter(any_of=[event_pb2.Clause(stream_prefixes=["order-"])]))
        for name in ("order-1", "cart-1", "order-2", "order-1"):
            self.append(name, "T")
        stream.wait_positions([1, 4])
        category.wait_positions([1, 3, 4])

    def test_a_filtered_subscriber_knows_where_it_is(self):
        nothing = self.subscribe(filter=event_pb2.Filter(any_of=[event_pb2.Clause(streams=["nobody"])]),
                                 heartbeat_ms=100)
        nothing.wait_mark("caught_up")
        self.append("a", "A", "B")
        harness.wait_until(lambda: nothing.responses[-1].position == 2, "the position of a filtered subscriber")
        self.assertTrue(nothing.responses[-1].heartbeat)
        self.assertEqual([], nothing.positions())

    def test_heartbeats_of_an_idle_subscriber(self):
        idle = self.subscribe(heartbeat_ms=100)
        idle.wait_mark("heartbeat", 3)

    def test_responses_end_where_appends_end(self):
        sizes = [700, 1, 500, 1000, 3]
        ends = []
        for size in sizes:
            events = [event_pb2.Event(type="T", text="x" * 900) for _ in range(size)]
            response = self.store.Append(event_store_pb2.AppendRequest(
                writes=[event_store_pb2.Write(stream="s", events=events)]))
            ends.append(response.results[0].last_position)
        subscription = self.subscribe(beginning=empty_pb2.Empty())
        subscription.wait_positions(list(range(1, sum(sizes) + 1)))
        self.assertGreater(len(subscription.responses), 1)
        for response in subscription.responses:
            self.assertIn(response.position, ends)
            self.assertEqual(response.position, response.events[-1].position)

    def test_a_reader_that_stops_reading_loses_nothing(self):
        call = self.store.Subscribe(event_store_pb2.SubscribeRequest(beginning=empty_pb2.Empty()))
        next(call)
        events = [event_pb2.Event(type="T", text="x" * 2000) for _ in range(1000)]
        for _ in range(20):
            self.store.Append(event_store_pb2.AppendRequest(
                writes=[event_store_pb2.Write(stream="s", events=events)]))
        seen = []
        while len(seen) < 20000:
            seen += [event.position for event in next(call).events]
        call.cancel()
        self.assertEqual(list(range(1, 20001)), seen)

    def test_the_server_stops(self):
        subscription = self.subscribe(beginning=empty_pb2.Empty())
        subscription.wait_mark("caught_up")
        self.assertEqual(0, self.daemon.stop())
        subscription.thread.join(harness.PATIENCE_SECONDS)
        self.assertEqual(grpc.StatusCode.UNAVAILABLE, subscription.error.code())
        self.assertIn("stopping", subscription.error.details())


if __name__ == "__main__":
    harness.main()
