"""Hostile bytes: what no well-behaved client sends. Each is refused with the documented code or taken for what it is;
nothing is written by what is refused, and the same daemon goes on to serve."""

import struct

import harness
from harness import event_pb2, event_store_pb2, grpc

INVALID = grpc.StatusCode.INVALID_ARGUMENT
EXHAUSTED = grpc.StatusCode.RESOURCE_EXHAUSTED
ID = b"01890a5d-ac96-774b-bcce-b302099a8057"

# Field numbers of the messages on the way to an entry of an event's metadata.
REQUEST_WRITES, WRITE_STREAM, WRITE_EVENTS, EVENT_TYPE, EVENT_TAGS, EVENT_METADATA = 1, 1, 4, 2, 3, 8
UNKNOWN = 999


def varint(value):
    out = b""
    while value >= 0x80:
        out += bytes([value & 0x7f | 0x80])
        value >>= 7
    return out + bytes([value])


def field(number, content):
    return varint(number << 3 | 2) + varint(len(content)) + content


def append_of(event, stream=b"s"):
    """An encoded AppendRequest with one event, given as its bytes."""
    return field(REQUEST_WRITES, field(WRITE_STREAM, stream) + field(WRITE_EVENTS, event))


def event_of(*fields):
    return field(EVENT_TYPE, b"T") + b"".join(fields)


def entry_of(key, value, *unknown):
    return field(EVENT_METADATA, field(1, key) + field(2, value) + b"".join(unknown))


# One unknown field of every wire type, and of several sizes.
UNKNOWN_FIELDS = [
    varint(UNKNOWN << 3) + b"\x01",
    varint(UNKNOWN << 3) + b"\xff" * 9 + b"\x01",
    varint(UNKNOWN << 3 | 1) + b"12345678",
    varint(UNKNOWN << 3 | 5) + b"1234",
    varint(UNKNOWN << 3 | 3) + varint(UNKNOWN << 3 | 4),
    *(field(UNKNOWN, b"x" * size) for size in (0, 1, 2, 7, 15, 16, 17, 31, 127, 128, 4096)),
]


class HostileTest(harness.DaemonTest):
    def setUp(self):
        super().setUp()
        self.process = self.daemon.process
        self.raw_append = self.channel.unary_unary("/daybook.v1.EventStore/Append")
        self.written = 0

    def tearDown(self):
        self.assertIsNone(self.process.poll(), self.daemon.log_text())
        self.assertEqual(self.written, self.head(), "something was left behind, or lost")
        self.append("still-alive", "T")
        self.assertEqual(self.written + 1, self.head())

    def refuse(self, request, code=INVALID, reason=None):
        error, details = self.assert_refused(
            code, reason, lambda: self.raw_append(request, timeout=harness.PATIENCE_SECONDS))
        self.assertIsNone(self.process.poll(), self.daemon.log_text())
        return error, details

    def take(self, request):
        """An append that must succeed; returns its event."""
        answer = event_store_pb2.AppendResponse.FromString(
            self.raw_append(request, timeout=harness.PATIENCE_SECONDS))
        self.written = answer.results[-1].last_position
        response = next(self.store.Read(event_store_pb2.ReadRequest(**{"from": self.written})))
        return response.events[0].event

    def test_unknown_fields_in_an_entry_of_metadata(self):
        # They end the message, where a decoder that reads ahead would leave its buffer.
        for unknown in UNKNOWN_FIELDS:
            for size in (0, 1, 5, 16, 31, 100):
                event = event_of(entry_of(b"k" * (size + 1), b"v" * size, unknown))
                _, details = self.refuse(append_of(event), reason="INVALID_FIELD")
                self.assertIn("unknown", self.violations(details)["writes[0].events[0].metadata"])

    def test_entries_that_are_hidden_in_unknown_fields_are_not_stored(self):
        # Taken for unknown by the decoder, for metadata by every reader: its limits hold for these, too.
        hidden = varint(UNKNOWN << 3) + b"\x01"
        for entries in ([entry_of(b"", b"v", hidden)], [entry_of(b"a\nb", b"v", hidden)],
                        [entry_of(b"k", b"v" * 9000, hidden)],
                        [entry_of(b"%d" % n, b"", hidden) for n in range(65)],
                        [entry_of(b"good", b"v"), entry_of(b"k", b"v", hidden), entry_of(b"good too", b"v")]):
            self.refuse(append_of(event_of(*entries)), reason="INVALID_FIELD")

    def test_unknown_fields_beside_metadata_are_stored(self):
        for unknown in UNKNOWN_FIELDS:
            event = self.take(append_of(event_of(entry_of(b"k", b"v"), unknown)))
            self.assertEqual({"k": "v"}, dict(event.metadata))
            self.assertEqual("T", event.type)

    def test_invalid_utf8_in_every_text(self):
        bad = [b"\xff", b"a\xc3", b"\xc0\x80", b"\xed\xa0\x80", b"\xf4\x90\x80\x80", b"\xe2\x82", b"x" * 20 + b"\x80"]
        for text in bad:
            for request in (append_of(event_of(), stream=text),
                            append_of(field(EVENT_TYPE, text)),
                            append_of(event_of(field(EVENT_TAGS, b"good"), field(EVENT_TAGS, text))),
                            append_of(event_of(field(1, text))),
                            append_of(event_of(field(5, text))),
                            append_of(event_of(field(7, text))),
                            append_of(event_of(entry_of(text, b"v"))),
                            append_of(event_of(entry_of(b"k", text)))):
                error, _ = self.refuse(request)
                self.assertIn("UTF-8", error.details())
        for method, request in (("Read", field(1, b"\xff")), ("Subscribe", field(4, b"\xff")),
                                ("Read", field(2, field(1, field(1, b"\xff"))))):
            call = self.channel.unary_stream("/daybook.v1.EventStore/" + method)
            self.assert_refused(INVALID, None, lambda: call(request, timeout=harness.PATIENCE_SECONDS))

    def test_any_bytes_are_good_data(self):
        data = bytes(range(256))
        self.assertEqual(data, self.take(append_of(event_of(field(4, data)))).data)

    def test_a_request_that_was_cut_off(self):
        good = append_of(event_of(field(1, ID), field(EVENT_TAGS, b"tag"), entry_of(b"key", b"value")))
        for size in range(1, len(good)):
            self.refuse(good[:size])

    def test_lengths_that_lie(self):
        for length in (1, 127, 1 << 14, 1 << 24, (1 << 31) - 1, 1 << 31, (1 << 32) - 1, 1 << 32, (1 << 63) - 1,
                       1 << 63, (1 << 64) - 1):
            self.refuse(varint(REQUEST_WRITES << 3 | 2) + varint(length))
            self.refuse(field(REQUEST_WRITES, varint(WRITE_EVENTS << 3 | 2) + varint(length + 1)))
        self.refuse(varint(REQUEST_WRITES << 3 | 2) + b"\xff" * 11)

    def test_tags_that_are_none(self):
        for tag in (b"\x00", b"\x06", b"\x07", b"\x0c", varint(1 << 32), b"\xff" * 10 + b"\x01"):
            self.refuse(tag)
            self.refuse(append_of(event_of(tag)))

    def test_messages_that_nest_without_end(self):
        deep = varint(UNKNOWN << 3 | 3) * 100000
        self.refuse(deep)
        self.refuse(append_of(event_of(deep)))
        self.refuse(deep + varint(UNKNOWN << 3 | 4) * 100000)

    def test_fields_of_another_type(self):
        # Known numbers of another wire type are unknown fields: what is needed is then missing.
        stream_as_number = varint(WRITE_STREAM << 3) + b"\x05"
        request = field(REQUEST_WRITES, stream_as_number + field(WRITE_EVENTS, event_of()))
        _, details = self.refuse(request, reason="INVALID_FIELD")
        self.assertIn("writes[0].stream", self.violations(details))
        _, details = self.refuse(append_of(varint(EVENT_TYPE << 3) + b"\x05"), reason="INVALID_FIELD")
        self.assertIn("writes[0].events[0].type", self.violations(details))

    def test_sizes(self):
        _, details = self.refuse(append_of(event_of(field(4, b"x" * (1 << 20)))), reason="EVENT_TOO_LARGE")
        self.assertIn("writes[0].events[0]", self.violations(details))
        self.assertEqual(1 << 20, self.take(append_of(event_of(field(4, b"x" * ((1 << 20) - 45))))).ByteSize())
        events = [event_pb2.Event(type="T", data=b"x" * 1000000) for _ in range(16)]
        request = event_store_pb2.AppendRequest(writes=[event_store_pb2.Write(stream="s", events=events)])
        request.writes[0].events.append(event_pb2.Event(type="T", data=b"x" * 777000))
        spare = (16 << 20) - request.ByteSize()
        self.assertGreater(spare, 0)
        request.writes[0].events[-1].data += b"x" * spare
        self.assertEqual(16 << 20, request.ByteSize())
        request.writes[0].events[-1].data += b"x"
        error, _ = self.refuse(request.SerializeToString(), EXHAUSTED)
        self.assertIn("16777216", error.details())
        request.writes[0].events[-1].data = request.writes[0].events[-1].data[:-1]
        self.raw_append(request.SerializeToString(), timeout=harness.PATIENCE_SECONDS)
        self.written += 17
        self.refuse(request.SerializeToString() * 4, EXHAUSTED)

    def test_too_many_of_everything(self):
        event = field(WRITE_EVENTS, event_of())
        write = field(REQUEST_WRITES, field(WRITE_STREAM, b"s") + event)
        for count in (1025, 100000):
            self.refuse(field(REQUEST_WRITES, field(WRITE_STREAM, b"s") + event * count), reason="TOO_MANY_EVENTS")
            self.refuse(write * count, reason="TOO_MANY_WRITES")
            self.refuse(write + field(2, field(1, b"s") + b"\x18\x01") * count, reason="TOO_MANY_CHECKS")
            self.refuse(append_of(event_of(*(field(EVENT_TAGS, b"%d" % n) for n in range(count)))),
                        reason="TOO_MANY_TAGS")
            self.refuse(append_of(event_of(*(entry_of(b"%d" % n, b"") for n in range(count)))),
                        reason="TOO_MANY_METADATA")

    def test_metadata_of_the_call_that_is_too_large(self):
        # On a connection of its own: gRPC closes one that sends such headers.
        headers = [(f"x-{n}", "v" * 1000) for n in range(40)]
        options = [("grpc.use_local_subchannel_pool", 1)]
        with grpc.insecure_channel(self.daemon.address, options=options) as channel:
            call = channel.unary_unary("/daybook.v1.EventStore/Append")
            with self.assertRaises(grpc.RpcError) as caught:
                call(append_of(event_of()), metadata=headers, timeout=harness.PATIENCE_SECONDS)
        self.assertIn(caught.exception.code(), (EXHAUSTED, grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.INTERNAL))

    def test_a_request_that_inflates(self):
        # 16 MiB of zeroes are 16 KiB on the wire.
        with self.assertRaises(grpc.RpcError) as caught:
            self.raw_append(b"\0" * (17 << 20), compression=grpc.Compression.Gzip, timeout=harness.PATIENCE_SECONDS)
        self.assertIn(caught.exception.code(), (EXHAUSTED, grpc.StatusCode.UNIMPLEMENTED))

    def test_mutations_of_a_request(self):
        chance = harness.seeded("hostile_test")
        good = append_of(event_of(field(1, ID), field(EVENT_TAGS, b"tag"), field(4, b"data"), entry_of(b"key", b"value"),
                                  field(9, b"\x08\x01\x10\x02")))
        good += field(2, field(1, b"nobody") + b"\x10\x00")
        refusals = (INVALID, grpc.StatusCode.ABORTED, grpc.StatusCode.ALREADY_EXISTS, grpc.StatusCode.UNIMPLEMENTED)
        for _ in range(2000):
            request = bytearray(good)
            for _ in range(chance.randint(1, 4)):
                at = chance.randrange(len(request))
                kind = chance.randrange(4)
                if kind == 0:
                    request[at] = chance.randrange(256)
                elif kind == 1:
                    request[at] ^= 1 << chance.randrange(8)
                elif kind == 2:
                    del request[at:at + chance.randint(1, 9)]
                else:
                    request[at:at] = struct.pack("<Q", chance.getrandbits(64))[:chance.randint(1, 8)]
                if not request:
                    break
            try:
                answer = event_store_pb2.AppendResponse.FromString(
                    self.raw_append(bytes(request), timeout=harness.PATIENCE_SECONDS))
                if not answer.replayed:
                    self.written += sum(result.last_position - result.first_position + 1 for result in answer.results)
            except grpc.RpcError as error:
                self.assertIn(error.code(), refusals, f"{error.details()}: {bytes(request).hex()}")
        self.assertEqual(self.written, len(self.read()), "every event that was taken can be read")


if __name__ == "__main__":
    harness.main()
