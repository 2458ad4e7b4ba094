"""Bad input: each mistake gets the documented code, a reason and words that help; nothing is written, the daemon lives."""

import harness
from harness import event_pb2, event_store_pb2, grpc

INVALID = grpc.StatusCode.INVALID_ARGUMENT


def request(stream="s", **event):
    event.setdefault("type", "T")
    return event_store_pb2.AppendRequest(
        writes=[event_store_pb2.Write(stream=stream, events=[event_pb2.Event(**event)])])


class ErrorsTest(harness.DaemonTest):
    def tearDown(self):
        self.assertEqual(0, self.head(), "a refused append left something behind")
        self.append("still-alive", "T")

    def refuse(self, append_request, reason, field, *words):
        _, details = self.assert_refused(INVALID, reason, lambda: self.store.Append(append_request))
        violations = self.violations(details)
        self.assertIn(field, violations)
        for word in words:
            self.assertIn(word, violations[field])

    def test_names(self):
        self.refuse(request(stream=""), "INVALID_FIELD", "writes[0].stream", "missing", "255")
        self.refuse(request(stream="x" * 256), "INVALID_FIELD", "writes[0].stream", "256 bytes", "255")
        self.refuse(request(stream="a\nb"), "INVALID_FIELD", "writes[0].stream", "control character")
        self.refuse(request(stream="a\u0085b"), "INVALID_FIELD", "writes[0].stream", "control character")
        self.refuse(request(type=""), "INVALID_FIELD", "writes[0].events[0].type", "missing")
        self.refuse(request(type="\x7f"), "INVALID_FIELD", "writes[0].events[0].type", "control character")
        self.refuse(request(tags=["ok", ""]), "INVALID_FIELD", "writes[0].events[0].tags[1]", "missing")
        self.refuse(request(tags=["a", "b", "a"]), "INVALID_FIELD", "writes[0].events[0].tags", "twice")
        self.refuse(request(content_type="a\tb"), "INVALID_FIELD", "writes[0].events[0].content_type", "control")
        self.refuse(request(metadata={"": "v"}), "INVALID_FIELD", "writes[0].events[0].metadata.key", "missing")
        self.refuse(request(metadata={"k": "v" * 8193}), "INVALID_FIELD", "writes[0].events[0].metadata.value", "8192")

    def test_names_at_their_limits_are_taken(self):
        writes = [event_store_pb2.Write(stream="é" * 127 + "x", expected_revision=0,
                                        events=[event_pb2.Event(type="t" * 255, tags=[str(n) for n in range(64)])])]
        check = event_store_pb2.StreamCheck(stream="nobody", stream_exists=True)
        # The check refuses it, so that this test writes nothing either: everything before the check was good.
        self.assert_refused(grpc.StatusCode.ABORTED, "REVISION_CONFLICT", lambda: self.store.Append(
            event_store_pb2.AppendRequest(writes=writes, checks=[check])))

    def test_ids_and_times(self):
        for bad in ("x", "01890a5d-ac96-774b-bcce-b302099a805", "01890a5dac96774bbcceb302099a8057----",
                    "01890a5d-ac96-774b-bcce-b302099a805g"):
            self.refuse(request(id=bad), "INVALID_FIELD", "writes[0].events[0].id", "UUID")
        bad_time = request()
        bad_time.writes[0].events[0].occurred_at.nanos = -1
        self.refuse(bad_time, "INVALID_FIELD", "writes[0].events[0].occurred_at", "nanos")

    def test_counts(self):
        event = event_pb2.Event(type="T")
        self.refuse(event_store_pb2.AppendRequest(), "INVALID_FIELD", "writes", "empty")
        self.refuse(event_store_pb2.AppendRequest(writes=[event_store_pb2.Write(stream="s")]),
                    "INVALID_FIELD", "writes[0].events", "empty")
        self.refuse(event_store_pb2.AppendRequest(writes=[event_store_pb2.Write(stream="s", events=[event] * 1025)]),
                    "TOO_MANY_EVENTS", "writes", "1025", "1024")
        self.refuse(event_store_pb2.AppendRequest(writes=[event_store_pb2.Write(stream="s", events=[event])] * 1025),
                    "TOO_MANY_WRITES", "writes", "1025", "1024")
        self.refuse(request(tags=[str(n) for n in range(65)]), "TOO_MANY_TAGS", "writes[0].events[0].tags", "65", "64")
        self.refuse(request(metadata={str(n): "" for n in range(65)}), "TOO_MANY_METADATA",
                    "writes[0].events[0].metadata", "65", "64")

    def test_expectations(self):
        event = event_pb2.Event(type="T")
        both = event_store_pb2.Write(stream="s", events=[event], expected_revision=1, stream_exists=True)
        self.refuse(event_store_pb2.AppendRequest(writes=[both]), "INVALID_FIELD", "writes[0]", "both")
        plain = event_store_pb2.Write(stream="s", events=[event])
        second = event_store_pb2.Write(stream="s", events=[event], expected_revision=1)
        self.refuse(event_store_pb2.AppendRequest(writes=[plain, second]), "INVALID_FIELD", "writes[1]", "first write")
        nothing = event_store_pb2.StreamCheck(stream="s")
        self.refuse(event_store_pb2.AppendRequest(writes=[plain], checks=[nothing]), "INVALID_FIELD", "checks[0]",
                    "expects nothing")
        self.assert_refused(grpc.StatusCode.ABORTED, "REVISION_CONFLICT",
                            lambda: self.append("s", "T", expected_revision=7))

    def test_all_wrong_fields_are_named_at_once(self):
        wrong = event_store_pb2.AppendRequest(writes=[
            event_store_pb2.Write(stream="", events=[event_pb2.Event(type="", id="x")])])
        _, details = self.assert_refused(INVALID, "INVALID_FIELD", lambda: self.store.Append(wrong))
        self.assertEqual({"writes[0].stream", "writes[0].events[0].id", "writes[0].events[0].type"},
                         set(self.violations(details)))

    def test_sizes(self):
        self.refuse(request(data=b"x" * (1 << 20)), "EVENT_TOO_LARGE", "writes[0].events[0]", "1048576")
        big = event_store_pb2.AppendRequest(writes=[event_store_pb2.Write(
            stream="s", events=[event_pb2.Event(type="T", data=b"x" * 1000000) for _ in range(17)])])
        self.assert_refused(grpc.StatusCode.RESOURCE_EXHAUSTED, None, lambda: self.store.Append(big))

    def test_bytes_that_are_no_message(self):
        append = self.channel.unary_unary("/daybook.v1.EventStore/Append")
        error, _ = self.assert_refused(INVALID, None, lambda: append(b"\xff\xff\xff\xff"))
        self.assertIn("Append", error.details())
        # writes[0].stream is the byte 0xff, which is no UTF-8.
        error, _ = self.assert_refused(INVALID, None, lambda: append(b"\x0a\x03\x0a\x01\xff"))
        self.assertIn("UTF-8", error.details())
        subscribe = self.channel.unary_stream("/daybook.v1.EventStore/Subscribe")
        self.assert_refused(INVALID, None, lambda: subscribe(b"\xff"))
        unknown = self.channel.unary_unary("/daybook.v1.EventStore/Nonsense")
        self.assert_refused(grpc.StatusCode.UNIMPLEMENTED, None, lambda: unknown(b""))

    def test_reads_and_subscriptions(self):
        self.assert_refused(grpc.StatusCode.NOT_FOUND, "STREAM_NOT_FOUND", lambda: self.read(stream="unknown"))
        _, details = self.assert_refused(INVALID, "INVALID_FIELD", lambda: self.read(stream="x" * 256))
        self.assertIn("stream", self.violations(details))
        _, details = self.assert_refused(INVALID, "INVALID_FIELD", lambda: self.read(direction=7))
        self.assertIn("direction", self.violations(details))
        empty = event_pb2.Filter(any_of=[event_pb2.Clause()])
        _, details = self.assert_refused(INVALID, "INVALID_FIELD", lambda: self.read(filter=empty))
        self.assertIn("filter.any_of[0]", self.violations(details))
        many = event_pb2.Filter(any_of=[event_pb2.Clause(types=["T"])] * 65)
        self.assert_refused(INVALID, "TOO_MANY_CLAUSES", lambda: self.read(filter=many))
        _, details = self.assert_refused(INVALID, "INVALID_FIELD", lambda: self.store.Subscribe(
            event_store_pb2.SubscribeRequest(heartbeat_ms=99)))
        self.assertIn("heartbeat_ms", self.violations(details))


if __name__ == "__main__":
    harness.main()
