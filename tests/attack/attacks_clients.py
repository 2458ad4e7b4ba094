"""Attacks by clients that take nothing, give nothing, or go away: each keeps something of the daemon for as long as it can."""

import contextlib
import socket

import http2
from model import Attack
from target import event_pb2, event_store_pb2, harness

SUBSCRIBE = "/daybook.v1.EventStore/Subscribe"
APPEND = "/daybook.v1.EventStore/Append"
APPEND_MANY = "/daybook.v1.EventStore/AppendMany"
HEAD = "/daybook.v1.EventStore/Head"
LIST_STREAMS = "/daybook.v1.EventStore/ListStreams"
REQUEST_BYTES_MAX = 16 << 20
CONNECTION_CALLS_MAX = 1024


def connections(target, count, own_settings=None):
    """A context of so many connections."""
    stack = contextlib.ExitStack()
    return stack, [stack.enter_context(http2.Connection(target.port, own_settings)) for _ in range(count)]


def vanishing_clients(target):
    """Subscribers that go in the middle of a message, without a word."""
    count = target.scale(1000, 200)
    for number in range(count):
        connection = http2.Connection(target.port)
        connection.open_call(SUBSCRIBE, payload=b"")
        while connection.next_frame()[0] != http2.DATA:
            pass
        connection.close(with_reset=number % 2 == 0)
    harness.wait_until(lambda: target.subscriptions_count() == 0, "the end of the subscriptions")
    return f"{count} subscribers, gone while they were sent to"


def slow_readers(target):
    """Subscribers of everything that let the daemon send a byte."""
    connections_count, calls_count = target.scale((4, 250), (2, 100))
    stack, opened = connections(target, connections_count, {http2.SETTING_INITIAL_WINDOW_SIZE: 1})
    with stack:
        for connection in opened:
            for _ in range(calls_count):
                connection.open_call(SUBSCRIBE, payload=b"")
        harness.wait_until(lambda: target.subscriptions_count() == connections_count * calls_count, "the subscriptions")
        target.bystander.go_on(100)
    return f"{connections_count} x {calls_count} subscribers with a window of one byte"


def zero_window_appenders(target):
    """Streams of appends that never take an answer, and go on until the daemon takes no more."""
    connections_count, calls_count = target.scale((4, 64), (2, 16))
    event = event_pb2.Event(type="Flood", data=b"v" * 100)
    request = event_store_pb2.AppendRequest(writes=[event_store_pb2.Write(stream="flood", events=[event])])
    requests = http2.message(request.SerializeToString()) * 1500
    stack, opened = connections(target, connections_count, {http2.SETTING_INITIAL_WINDOW_SIZE: 0})
    with stack:
        sent = 0
        for connection in opened:
            for _ in range(calls_count):
                stream = connection.open_call(APPEND_MANY, end=False)
                sent += connection.send_while_taken(http2.data_frames(stream, requests), stall_seconds=2)
        target.bystander.go_on(100)
    return f"{connections_count} x {calls_count} streams, {sent / 2**20:.0f} MiB of requests, no window for answers"


def costly_request(stream):
    """An append that takes twenty times its bytes when it is decoded, and few when it is written."""
    metadata = {chr(ord("0") + number): "" for number in range(64)}
    events = [event_pb2.Event(type="Flood", metadata=metadata) for _ in range(256)]
    write = event_store_pb2.Write(stream=stream, events=events)
    return event_store_pb2.AppendRequest(writes=[write]).SerializeToString()


def refused_request():
    """An append that is small, and answered with a kilobyte of what is wrong with it."""
    write = event_store_pb2.Write(stream="s", events=[event_pb2.Event() for _ in range(8)])
    return event_store_pb2.AppendRequest(writes=[write]).SerializeToString()


def append_small(target, count):
    """What another client appends on a stream of its own: whatever others hold, small requests are taken."""
    event = event_pb2.Event(type="Stood", data=b"v" * 100)
    request = event_store_pb2.AppendRequest(writes=[event_store_pb2.Write(stream="small", events=[event])])
    responses = target.store.AppendMany(iter([request] * count), timeout=harness.PATIENCE_SECONDS)
    kinds = [outcome.WhichOneof("outcome") for response in responses for outcome in response.outcomes]
    assert kinds == ["appended"] * count, f"{kinds.count('appended')} of {count} small appends were taken"


def send_appends(target, scale, requests, own_settings=None):
    """Opens AppendMany calls, sends requests on all of them, and reads no answer; says what it did."""
    connections_count, calls_count = scale
    stack, opened = connections(target, connections_count, own_settings)
    with stack:
        sent = 0
        for connection in opened:
            streams = [connection.open_call(APPEND_MANY, end=False) for _ in range(calls_count)]
            sent += connection.send_within_windows({stream: requests for stream in streams}, stall_seconds=2)
        append_small(target, 200)
        target.bystander.go_on(100)
        stats = target.stats()
    return (f"{connections_count} x {calls_count} streams, {sent / 2**20:.0f} MiB; "
            f"{stats.append_many_refused_count} refused, {stats.append_many_bytes / 2**20:.0f} MiB held")


def crowded_appenders(target):
    """As many streams as a connection may have, each with requests that wait for the queue."""
    return send_appends(target, target.scale((2, CONNECTION_CALLS_MAX), (1, 256)), http2.message(costly_request("flood")))


def untaken_outcomes(target):
    """Streams of large appends that take no answer, behind so many answers that those to the appends cannot leave."""
    requests = http2.message(refused_request()) * 100 + http2.message(costly_request("flood")) * 4
    return send_appends(target, target.scale((4, 256), (1, 128)), requests, {http2.SETTING_INITIAL_WINDOW_SIZE: 0})


def held_uploads(target):
    """Requests of the largest size of which the last byte never comes."""
    connections_count, calls_count, size = target.scale((8, 16, REQUEST_BYTES_MAX - 4096), (2, 16, REQUEST_BYTES_MAX // 4))
    part = b"\0" * size
    stack, opened = connections(target, connections_count)
    with stack:
        sent = 0
        for connection in opened:
            for _ in range(calls_count):
                stream = connection.new_stream()
                head = http2.headers_frames(stream, http2.request_block(APPEND))
                start = b"\0" + REQUEST_BYTES_MAX.to_bytes(4, "big")
                sent += connection.send_while_taken(head + http2.data_frames(stream, start + part), stall_seconds=1)
        target.bystander.go_on(100)
    return f"{connections_count} x {calls_count} requests of 16 MiB without their end, {sent / 2**20:.0f} MiB"


def answers_not_taken(target):
    """Calls whose answers find no window."""
    connections_count, calls_count = target.scale((16, CONNECTION_CALLS_MAX), (2, CONNECTION_CALLS_MAX))
    stack, opened = connections(target, connections_count, {http2.SETTING_INITIAL_WINDOW_SIZE: 0})
    with stack:
        for connection in opened:
            for _ in range(calls_count):
                connection.open_call(HEAD, payload=b"")
        target.bystander.go_on(100)
    return f"{connections_count} x {calls_count} calls with a window of zero for the answer"


def lists_not_taken(target):
    """The same with large answers: pages of a thousand streams with long names. More than some hundred at once are refused."""
    pages_count, at_once_count, page_size = target.scale((1920, 128, 1000), (256, 64, 1000))
    event = event_pb2.Event(type="Named", data=b"v")
    writes = [event_store_pb2.Write(stream=f"named-{number}-".ljust(200, "n"), events=[event]) for number in range(page_size)]
    target.store.Append(event_store_pb2.AppendRequest(writes=writes), timeout=harness.PATIENCE_SECONDS)
    request = event_store_pb2.ListStreamsRequest(prefix="named-", page_size=page_size).SerializeToString()
    stack, opened = connections(target, 2, {http2.SETTING_INITIAL_WINDOW_SIZE: 0})
    with stack:
        for number in range(pages_count // at_once_count):
            for _ in range(at_once_count):
                opened[number % len(opened)].open_call(LIST_STREAMS, payload=request)
            target.bystander.go_on(5)
            assert target.stats().calls_open_count < CONNECTION_CALLS_MAX * len(opened)
        target.bystander.go_on(100)
    return f"{pages_count} pages of {page_size} streams with a window of zero for the answer"


def silent_connections(target):
    """Connections on which nothing is ever said."""
    count = target.scale(4000, 300)
    before = target.sample().descriptors_count
    with contextlib.ExitStack() as stack:
        for _ in range(count):
            stack.enter_context(socket.create_connection(("127.0.0.1", target.port)))
        # The first are closed by the handshake's time limit while a slow machine still accepts the last.
        harness.wait_until(lambda: target.sample().descriptors_count > before + count // 20, "the connections")
        target.bystander.go_on(100)
    return f"{count} connections without a byte"


def idle_connections(target):
    """Connections that speak HTTP/2 and then nothing more."""
    count = target.scale(4000, 300)
    stack, _ = connections(target, count)
    with stack:
        target.bystander.go_on(100)
    return f"{count} connections with a preface and nothing more"


ATTACKS = [
    Attack("vanishing clients", 32, vanishing_clients),
    Attack("slow readers", 192, slow_readers),
    Attack("zero-window appenders", 96, zero_window_appenders),
    Attack("crowded appenders", 512, crowded_appenders),
    Attack("untaken outcomes", 576, untaken_outcomes),
    Attack("held uploads", 256, held_uploads),
    Attack("answers not taken", 256, answers_not_taken),
    Attack("lists not taken", 320, lists_not_taken),
    Attack("silent connections", 128, silent_connections),
    Attack("idle connections", 128, idle_connections),
]
