"""Lists of streams, types and tags, and what is known of one stream."""

import json
import threading

import harness
from harness import event_pb2, event_store_pb2, event_store_pb2_grpc, grpc

STREAMS_COUNT = 2500


class ListsTest(harness.DaemonTest):
    def ask(self, method, **fields):
        """A call, again for as long as the catalogue is behind the log."""
        request = getattr(event_store_pb2, method + "Request")(**fields)

        def answered():
            try:
                return getattr(self.store, method)(request, timeout=harness.PATIENCE_SECONDS)
            except grpc.RpcError as error:
                if error.code() == grpc.StatusCode.UNAVAILABLE and "catalogue" in error.details():
                    return None
                raise

        return harness.wait_until(answered, method)

    def pages(self, method, field, between=lambda: None, **fields):
        token = ""
        while True:
            response = self.ask(method, page_token=token, **fields)
            yield list(getattr(response, field))
            between()
            token = response.next_page_token
            if not token:
                return

    def names(self, method, field, **fields):
        return [entry.name for page in self.pages(method, field, **fields) for entry in page]

    def append_tagged(self, stream, *events):
        """Events as (type, tags)."""
        events = [event_pb2.Event(type=name, tags=tags) for name, tags in events]
        self.store.Append(event_store_pb2.AppendRequest(
            writes=[event_store_pb2.Write(stream=stream, events=events)]), timeout=harness.PATIENCE_SECONDS)

    def grpcurl(self, method, data):
        result = harness.run([harness.GRPCURL, "-plaintext", "-d", json.dumps(data), self.daemon.address,
                              "daybook.v1.EventStore/" + method])
        self.assertEqual(0, result.returncode, result.stderr)
        return json.loads(result.stdout)

    def test_what_grpcurl_shows(self):
        self.append_tagged("order-1", ("OrderPlaced", ["customer:7"]), ("OrderPaid", []))
        self.append_tagged("order-2", ("OrderPlaced", ["customer:7", "customer:8"]))
        stream = self.grpcurl("GetStream", {"stream": "order-1"})["stream"]
        self.assertEqual(("order-1", "STREAM_STATE_ACTIVE", "1", "2", "2"),
                         tuple(stream[key] for key in ("name", "state", "firstRevision", "lastRevision", "eventsCount")))
        self.assertEqual(["order-1", "order-2"],
                         [entry["name"] for entry in self.grpcurl("ListStreams", {"prefix": "order-"})["streams"]])
        self.assertEqual(["order-2", "order-1"],
                         [entry["name"] for entry in
                          self.grpcurl("ListStreams", {"order": "STREAM_ORDER_LAST_CHANGE"})["streams"]])
        self.assertEqual([{"name": "OrderPaid", "eventsCount": "1", "lastPosition": "2"},
                          {"name": "OrderPlaced", "eventsCount": "2", "lastPosition": "3"}],
                         self.grpcurl("ListTypes", {})["types"])
        self.assertEqual([{"name": "customer:7", "eventsCount": "2", "lastPosition": "3"},
                          {"name": "customer:8", "eventsCount": "1", "lastPosition": "3"}],
                         self.grpcurl("ListTags", {"prefix": "customer:"})["tags"])

    def test_a_stream_is_described_by_its_events(self):
        self.append("order-1", "A", "B")
        self.append("order-2", "A")
        self.append("order-1", "C")
        for kill in (None, True):
            if kill:
                self.restart(kill=True)
            events = [event for response in self.store.Read(event_store_pb2.ReadRequest(stream="order-1"))
                      for event in response.events]
            stream = self.ask("GetStream", stream="order-1").stream
            self.assertEqual((1, 3, 3), (stream.first_revision, stream.last_revision, stream.events_count))
            self.assertEqual(events[0].recorded_at, stream.first_recorded_at)
            self.assertEqual(events[2].recorded_at, stream.last_recorded_at)
            self.assertEqual(sum(event.ByteSize() for event in events), stream.size_bytes)
            self.assertEqual([stream], list(self.ask("ListStreams", prefix="order-1").streams))
        self.assert_refused(grpc.StatusCode.NOT_FOUND, "STREAM_NOT_FOUND", lambda: self.ask("GetStream", stream="order"))

    def test_an_empty_store_has_no_names(self):
        self.assertEqual([], self.names("ListStreams", "streams"))
        self.assertEqual([], self.names("ListStreams", "streams", order=event_store_pb2.STREAM_ORDER_LAST_CHANGE))
        self.assertEqual([], self.names("ListTypes", "types"))
        self.assertEqual([], self.names("ListTags", "tags"))

    def fill(self):
        """2,500 streams of one to three events, and a few of other names."""
        names = [f"order-{number:05}" for number in range(STREAMS_COUNT)]
        for first in range(0, STREAMS_COUNT, 250):
            self.store.Append(event_store_pb2.AppendRequest(writes=[
                event_store_pb2.Write(stream=name, events=[event_pb2.Event(type="T")] * (1 + number % 3))
                for number, name in enumerate(names[first:first + 250], first)]), timeout=harness.PATIENCE_SECONDS)
        self.append("order", "T")
        self.append("other", "T")
        self.append("ä", "T")
        return names

    def test_paging_while_others_append_loses_nothing_and_has_nothing_twice(self):
        names = self.fill()
        done = threading.Event()
        failures = []

        def others():
            channel = grpc.insecure_channel(self.daemon.address)
            store = event_store_pb2_grpc.EventStoreStub(channel)
            number = 0
            while not done.is_set():
                try:
                    store.Append(event_store_pb2.AppendRequest(writes=[
                        event_store_pb2.Write(stream=names[number * 97 % STREAMS_COUNT],
                                              events=[event_pb2.Event(type="Again")]),
                        event_store_pb2.Write(stream=f"order-new-{number}", events=[event_pb2.Event(type="New")])]))
                except grpc.RpcError as error:
                    failures.append(error)
                    return
                number += 1
            channel.close()

        thread = threading.Thread(target=others)
        thread.start()
        try:
            for order in (event_store_pb2.STREAM_ORDER_NAME, event_store_pb2.STREAM_ORDER_LAST_CHANGE):
                for page_size in (0, 333, 5000):
                    head = self.head()
                    pages = list(self.pages("ListStreams", "streams", prefix="order-", order=order, page_size=page_size,
                                            between=lambda at=head: harness.wait_until(lambda: self.head() > at, "appends")))
                    self.assertTrue(all(len(page) <= (page_size if page_size in range(1, 1001) else
                                                      1000 if page_size else 100) for page in pages))
                    listed = [stream.name for page in pages for stream in page]
                    self.assertEqual(len(listed), len(set(listed)), "a stream is there twice")
                    self.assertLessEqual(set(names), set(listed))
                    self.assertNotIn("order", listed)
        finally:
            done.set()
            thread.join()
        self.assertEqual([], failures)
        changed = self.names("ListStreams", "streams", order=event_store_pb2.STREAM_ORDER_LAST_CHANGE, page_size=1000)
        newest = {}
        for position, stream, _, _ in self.read():
            newest[stream] = position
        self.assertEqual(sorted(newest, key=lambda name: -newest[name]), changed)
        self.assertEqual(sorted(newest, key=lambda name: name.encode()), self.names("ListStreams", "streams"))

    def test_prefixes_and_pages(self):
        names = self.fill()
        self.assertEqual(names[1200:1300], self.names("ListStreams", "streams", prefix="order-012"))
        self.assertEqual(["order"] + names[:1], self.names("ListStreams", "streams", prefix="order", page_size=1)[:2])
        self.assertEqual(["ä"], self.names("ListStreams", "streams", prefix="ä"))
        self.assertEqual([names[7]], self.names("ListStreams", "streams", prefix=names[7]))
        self.assertEqual([], self.names("ListStreams", "streams", prefix=names[7] + "0"))
        self.assertEqual(list(reversed(names[1200:1300])),
                         self.names("ListStreams", "streams", prefix="order-012", page_size=7,
                                    order=event_store_pb2.STREAM_ORDER_LAST_CHANGE))
        self.assertEqual([len(names[:1000]), 1000, 500],
                         [len(page) for page in self.pages("ListStreams", "streams", prefix="order-", page_size=2000000000)])

    def test_counts_are_right_across_runs_and_the_tail(self):
        """More events than three runs of the index take."""
        requests, streams, each = 220, 64, 16
        for request in range(requests):
            writes = [event_store_pb2.Write(stream=f"s-{(request + number) % 100:02}", events=[
                event_pb2.Event(type=f"T{number % 10}", tags=[f"customer:{request * streams + number}", "all"])] * each)
                for number in range(streams)]
            self.store.Append(event_store_pb2.AppendRequest(writes=writes), timeout=harness.PATIENCE_SECONDS)
        total = requests * streams * each
        for kill in (None, True, False):
            if kill is not None:
                self.restart(kill=kill)
            self.assertEqual([("all", total, total)],
                             [(tag.name, tag.events_count, tag.last_position)
                              for tag in self.ask("ListTags", prefix="all").tags])
            self.assertEqual(total, sum(count.events_count for count in self.ask("ListTypes").types))
            listed = self.ask("ListStreams", prefix="s-").streams
            self.assertEqual((100, total), (len(listed), sum(stream.events_count for stream in listed)))
            for tag in self.ask("ListTags", prefix="customer:1", page_size=1000).tags:
                self.assertEqual((each, int(tag.name[9:]) * each + each), (tag.events_count, tag.last_position))
            pages = list(self.pages("ListTags", "tags", prefix="customer:", page_size=1000))
            self.assertEqual(requests * streams, sum(len(page) for page in pages))
        changed = [stream.name for stream in
                   self.ask("ListStreams", order=event_store_pb2.STREAM_ORDER_LAST_CHANGE, page_size=streams).streams]
        self.assertEqual([f"s-{(requests - 1 + number) % 100:02}" for number in reversed(range(streams))], changed)

    def test_bad_requests(self):
        for number in range(3):
            self.append_tagged(f"a-{number}", (f"a-{number}", [f"a-{number}"]))
        by_change = event_store_pb2.STREAM_ORDER_LAST_CHANGE
        tokens = {
            "streams": self.ask("ListStreams", page_size=1).next_page_token,
            "streams of a": self.ask("ListStreams", prefix="a", page_size=1).next_page_token,
            "changes": self.ask("ListStreams", order=by_change, page_size=1).next_page_token,
            "changes of a": self.ask("ListStreams", order=by_change, prefix="a", page_size=1).next_page_token,
            "types": self.ask("ListTypes", page_size=1).next_page_token,
            "tags": self.ask("ListTags", page_size=1).next_page_token,
        }
        self.assertEqual(len(tokens), len(set(tokens.values())))
        calls = {
            "streams": ("ListStreams", {}),
            "streams of a": ("ListStreams", {"prefix": "a"}),
            "changes": ("ListStreams", {"order": by_change}),
            "changes of a": ("ListStreams", {"order": by_change, "prefix": "a"}),
            "types": ("ListTypes", {}),
            "tags": ("ListTags", {}),
        }
        for of_token, token in tokens.items():
            for of_call, (method, fields) in calls.items():
                def call(method=method, fields=fields, token=token):
                    return self.ask(method, page_token=token, **fields)
                if of_token == of_call:
                    call()
                    continue
                _, details = self.assert_refused(grpc.StatusCode.INVALID_ARGUMENT, "INVALID_FIELD", call)
                self.assertIn("page_token", self.violations(details), (of_token, of_call))
        for method, fields, field in (
                ("ListStreams", {"prefix": "x" * 256}, "prefix"), ("ListTypes", {"prefix": "\n"}, "prefix"),
                ("ListTags", {"prefix": "a\x7f"}, "prefix"), ("ListStreams", {"order": 3}, "order"),
                ("ListStreams", {"order": by_change, "prefix": "\x00"}, "prefix"),
                ("ListStreams", {"order": by_change, "page_token": "streams@9/9:"}, "page_token"),
                ("ListStreams", {"order": by_change, "page_token": "streams@3/0:"}, "page_token"),
                ("ListStreams", {"order": by_change, "page_token": "streams@2/3:"}, "page_token"),
                ("GetStream", {"stream": ""}, "stream"), ("GetStream", {"stream": "x" * 256}, "stream")):
            _, details = self.assert_refused(grpc.StatusCode.INVALID_ARGUMENT, "INVALID_FIELD",
                                             lambda method=method, fields=fields: self.ask(method, **fields))
            self.assertEqual([field], list(self.violations(details)))


if __name__ == "__main__":
    harness.main()
