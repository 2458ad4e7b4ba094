"""Attacks by what is in a message: bombs, bytes that are no protobuf, and sizes at the limits."""

import gzip
import os
import random
import uuid

import http2
from model import Attack
from target import event_pb2, event_store_pb2, grpc, harness

APPEND = "/daybook.v1.EventStore/Append"
EVENT_BYTES_MAX, REQUEST_BYTES_MAX, EVENTS_COUNT_MAX = 1 << 20, 16 << 20, 1024
NAME_BYTES_MAX, TAGS_COUNT_MAX, METADATA_COUNT_MAX = 255, 64, 64
INVALID, EXHAUSTED = grpc.StatusCode.INVALID_ARGUMENT, grpc.StatusCode.RESOURCE_EXHAUSTED
UNIMPLEMENTED = 12
UNKNOWN_GROUP, UNKNOWN_GROUP_END = b"\xbb\x3e", b"\xbc\x3e"  # field 999 begins, ends
UNKNOWN_NUMBER = b"\xb8\x3e\x01"


def compression_bomb(target):
    """64 MiB of zeroes in 64 KiB: refused before they are inflated."""
    calls_count = target.scale(64, 8)
    bomb = gzip.compress(bytes(64 << 20), 9)
    with http2.Connection(target.port) as connection:
        for _ in range(calls_count):
            for compression in (b"gzip", b"deflate"):
                code, message = connection.status(connection.open_call(APPEND, payload=bomb, compression=compression))
                assert code == UNIMPLEMENTED, f"a compressed message was answered with {code}: {message}"
    return f"{2 * calls_count} messages of {len(bomb) >> 10} KiB that inflate to 64 MiB"


def append_raw(channel, content):
    """The status code; OK is None."""
    try:
        channel.unary_unary(APPEND)(content, timeout=harness.PATIENCE_SECONDS)
    except grpc.RpcError as error:
        return error.code()
    return None


def field(number, content):
    return _varint(number << 3 | 2) + _varint(len(content)) + content


def _varint(value):
    out = bytearray()
    while value >= 0x80:
        out.append(value & 0x7f | 0x80)
        value >>= 7
    return bytes(out) + bytes([value])


def nested(depth):
    """Messages in messages: unknown to the daemon, but well formed."""
    content = b""
    for _ in range(depth):
        content = field(999, content)
    return content


def malformed_messages(target):
    """Bytes that are no request: refused with INVALID_ARGUMENT, each of them, in requests as large as they may be."""
    half = REQUEST_BYTES_MAX // 2
    hostile = {
        "groups without an end": UNKNOWN_GROUP * (half // 2 - 8),
        "groups in groups": UNKNOWN_GROUP * 100000 + UNKNOWN_GROUP_END * 100000,
        "messages in messages": nested(2000),
        "unknown fields": UNKNOWN_NUMBER * (half // 3 - 8),
        "empty writes": field(1, b"") * (half // 2 - 8),
        "empty events": field(1, field(1, b"s") + field(4, b"") * (half // 2 - 1024)),
        "empty tags": field(1, field(1, b"s") + field(4, field(2, b"T") + field(3, b"") * (half // 2 - 1024))),
        "entries of metadata": field(1, field(1, b"s") + field(4, field(2, b"T") + field(8, b"") * 100000)),
        "invalid UTF-8": field(1, field(1, b"\xff" * half) + field(4, field(2, b"T"))),
        "a length that lies": field(1, b"x")[:1] + _varint((1 << 64) - 1) + b"x" * half,
        "nothing but 0xff": b"\xff" * half,
        "zeroes": bytes(half),
    }
    with target.connect() as channel:
        for name, content in [*hostile.items()] * target.scale(4, 1):
            code = append_raw(channel, content)
            assert code in (INVALID, EXHAUSTED), f"{name}: answered with {code}"
    return f"{len(hostile)} kinds of bytes that are no request, up to {half >> 20} MiB"


def random_messages(target):
    """Random changes of a good request, over the wire."""
    seed = os.environ.get("DAYBOOK_TEST_SEED") or str(random.SystemRandom().getrandbits(32))
    chance = random.Random(seed)
    count = target.scale(20000, 1000)
    event = event_pb2.Event(id=str(uuid.UUID(int=7)), type="T", tags=["a", "b"], data=b"data", metadata={"k": "v"})
    write = event_store_pb2.Write(stream="random", events=[event])
    good = event_store_pb2.AppendRequest(writes=[write]).SerializeToString()
    allowed = (None, INVALID, grpc.StatusCode.ABORTED, grpc.StatusCode.ALREADY_EXISTS, grpc.StatusCode.FAILED_PRECONDITION)
    with target.connect() as channel:
        for _ in range(count):
            content = bytearray(good)
            for _ in range(chance.randint(1, 6)):
                at = chance.randrange(len(content))
                content[at] = chance.choice((chance.randrange(256), content[at] ^ 1 << chance.randrange(8)))
            code = append_raw(channel, bytes(content))
            assert code in allowed, f"DAYBOOK_TEST_SEED={seed}: {content.hex()} was answered with {code}"
    return f"{count} changed requests, DAYBOOK_TEST_SEED={seed}"


# --- Limits ---------------------------------------------------------------------------------------------------------------

def event(**fields):
    return event_pb2.Event(**{"id": str(uuid.uuid4()), "type": "T", **fields})


def request(*events, stream="limits"):
    return event_store_pb2.AppendRequest(writes=[event_store_pb2.Write(stream=stream, events=events)])


def event_of_size(size):
    """An event that is encoded in exactly so many bytes."""
    one = event(data=b"x" * (size - 60))
    one.data += b"x" * (size - one.ByteSize())
    return one


def request_of_size(size):
    events = [event_of_size(1000000) for _ in range(16)]
    one = request(*events, event_of_size(500000))
    last = one.writes[0].events[16]
    last.data += b"x" * (size - one.ByteSize())
    assert one.ByteSize() == size
    return one


# What is built with a number, how much of it is allowed, and how more is refused.
LIMITS = [
    ("bytes of an event", EVENT_BYTES_MAX, INVALID, lambda n: request(event_of_size(n))),
    ("bytes of a request", REQUEST_BYTES_MAX, EXHAUSTED, request_of_size),
    ("events", EVENTS_COUNT_MAX, INVALID, lambda n: request(*(event() for _ in range(n)))),
    ("bytes of a stream's name", NAME_BYTES_MAX, INVALID, lambda n: request(event(), stream="s" * n)),
    ("bytes of a type", NAME_BYTES_MAX, INVALID, lambda n: request(event(type="T" * n))),
    ("bytes of a tag", NAME_BYTES_MAX, INVALID, lambda n: request(event(tags=["t" * n]))),
    ("tags", TAGS_COUNT_MAX, INVALID, lambda n: request(event(tags=[f"tag:{i}" for i in range(n)]))),
    ("metadata", METADATA_COUNT_MAX, INVALID, lambda n: request(event(metadata={f"k{i}": "v" for i in range(n)}))),
]


def sizes_at_the_limits(target):
    """One below, at, and one above each limit: taken, taken, refused with the documented code."""
    with target.connect() as channel:
        for name, limit, refusal, build in LIMITS:
            for size, expected in ((limit - 1, None), (limit, None), (limit + 1, refusal)):
                code = append_raw(channel, build(size).SerializeToString())
                assert code == expected, f"{size} {name}: answered with {code} and not {expected}"
    return f"{len(LIMITS)} limits: one below, at, one above"


ATTACKS = [
    Attack("compression bomb", 8, compression_bomb),
    Attack("malformed messages", 128, malformed_messages),
    Attack("random messages", 32, random_messages),
    Attack("sizes at the limits", 128, sizes_at_the_limits),
]
