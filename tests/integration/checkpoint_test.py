"""The progress of consumers: stored with their appends, read, listed, subscribed from."""

import harness
from harness import event_pb2, event_store_pb2, grpc


class CheckpointTest(harness.DaemonTest):
    def react(self, consumer, position, *types, **fields):
        """A consumer's append that also says how far it has come."""
        events = [event_pb2.Event(type=name) for name in types]
        return self.store.Append(event_store_pb2.AppendRequest(
            writes=[event_store_pb2.Write(stream=f"{consumer}-output", events=events)],
            checkpoint=event_store_pb2.Checkpoint(consumer=consumer, position=position), **fields))

    def progress(self, consumer):
        request = event_store_pb2.GetCheckpointRequest(consumer=consumer)
        return self.store.GetCheckpoint(request).checkpoint.position

    def pages(self, page_size):
        token = ""
        while True:
            response = self.store.ListCheckpoints(
                event_store_pb2.ListCheckpointsRequest(page_size=page_size, page_token=token))
            yield [entry.checkpoint.consumer for entry in response.checkpoints]
            token = response.next_page_token
            if not token:
                return

    def test_a_checkpoint_goes_forward_only_and_survives_restarts(self):
        self.append("order-1", "A", "B", "C")
        self.assert_refused(grpc.StatusCode.NOT_FOUND, "CONSUMER_NOT_FOUND", lambda: self.progress("inventory"))
        self.react("inventory", 2, "Reserved")
        for kill in (None, False, True):
            if kill is not None:
                self.restart(kill=kill)
            self.assertEqual(2, self.progress("inventory"))
            for stale in (1, 2):
                _, details = self.assert_refused(grpc.StatusCode.ABORTED, "CHECKPOINT_STALE",
                                                 lambda at=stale: self.react("inventory", at, "Reserved"))
                conflicts = event_store_pb2.AppendConflicts.FromString(details["daybook.v1.AppendConflicts"])
                self.assertEqual(("inventory", 2), (conflicts.checkpoint.consumer, conflicts.checkpoint.position))
        response = self.store.GetCheckpoint(event_store_pb2.GetCheckpointRequest(consumer="inventory"))
        self.assertEqual(self.recorded_at(4), response.recorded_at)
        self.assertEqual(4, self.head())

    def recorded_at(self, position):
        [event] = [event for response in self.store.Read(event_store_pb2.ReadRequest(limit=1, **{"from": position}))
                   for event in response.events]
        return event.recorded_at

    def test_what_is_refused_moves_no_checkpoint(self):
        self.append("order-1", "A")
        condition = event_store_pb2.Condition(none_match=event_pb2.Filter(any_of=[event_pb2.Clause(types=["A"])]))
        self.assert_refused(grpc.StatusCode.ABORTED, "CONDITION_FAILED",
                            lambda: self.react("inventory", 1, "X", condition=condition))
        self.assert_refused(grpc.StatusCode.NOT_FOUND, "CONSUMER_NOT_FOUND", lambda: self.progress("inventory"))

    def next_order(self, is_first):
        """The event that the consumer gets when it starts."""
        start = {"beginning": {}} if is_first else {"consumer": "mail"}
        orders = event_pb2.Filter(any_of=[event_pb2.Clause(streams=["orders"])])
        call = self.store.Subscribe(event_store_pb2.SubscribeRequest(filter=orders, **start))
        event = next(event for response in call for event in response.events)
        call.cancel()
        return event

    def test_every_event_is_processed_once_though_the_consumer_dies_anywhere(self):
        self.append("orders", *["OrderPlaced"] * 30)
        for position in range(1, 31):
            event = self.next_order(position == 1)
            if position % 3 == 0:  # It dies before its append: the event comes again.
                event = self.next_order(position == 1)
            self.assertEqual(position, event.position)
            append = event_store_pb2.AppendRequest(
                writes=[event_store_pb2.Write(stream="mail", events=[event_pb2.Event(type="Sent", text=str(position))])],
                checkpoint=event_store_pb2.Checkpoint(consumer="mail", position=position))
            self.store.Append(append)
            if position % 5 == 0:  # Two of its processes run, or one has missed the answer.
                self.assert_refused(grpc.StatusCode.ABORTED, "CHECKPOINT_STALE", lambda: self.store.Append(append))
            if position % 7 == 0:
                self.restart(kill=True)
        sent = [event.event.text for response in self.store.Read(event_store_pb2.ReadRequest(stream="mail"))
                for event in response.events]
        self.assertEqual([str(position) for position in range(1, 31)], sent)

    def test_pages(self):
        self.append("order-1", "A")
        names = sorted([f"consumer-{number:03}" for number in range(25)] + ["ä", "Z"], key=lambda name: name.encode())
        for name in names:
            self.react(name, 1, "X")
        self.assertEqual([names], list(self.pages(0)))
        self.assertEqual([names[0:10], names[10:20], names[20:27]], list(self.pages(10)))
        self.assertEqual([names], list(self.pages(27)))
        self.assertEqual([[name] for name in names], list(self.pages(1)))
        self.assertEqual([names], list(self.pages(2000000000)))

    def test_bad_requests(self):
        self.append("order-1", "A")
        for call, field in (
                (lambda: self.react("", 1, "X"), "checkpoint.consumer"),
                (lambda: self.react("c", 0, "X"), "checkpoint.position"),
                (lambda: self.react("c", 2, "X"), "checkpoint.position"),
                (lambda: self.progress("x" * 256), "consumer"),
                (lambda: list(self.store.Subscribe(event_store_pb2.SubscribeRequest(consumer=""))), "consumer"),
                (lambda: self.store.ListCheckpoints(event_store_pb2.ListCheckpointsRequest(page_token="streams:a")),
                 "page_token")):
            _, details = self.assert_refused(grpc.StatusCode.INVALID_ARGUMENT, "INVALID_FIELD", call)
            self.assertIn(field, self.violations(details))
        self.assert_refused(grpc.StatusCode.NOT_FOUND, "CONSUMER_NOT_FOUND",
                            lambda: list(self.store.Subscribe(event_store_pb2.SubscribeRequest(consumer="nobody"))))
        self.assertEqual(1, self.head())


if __name__ == "__main__":
    harness.main()
