"""kill -9 of the daemon under load, again and again: nothing acknowledged is lost, no subscriber is told twice.

Usage: kill_test.py [ROUNDS] (default 5). DAYBOOK_TEST_SEED replays the moments of the kills.

Writers note each call before and after it; subscribers note every position they are told, and go on after the last one
whenever the connection breaks. At the end the log itself is read and must agree with all of them:
  - every acknowledged event is at the position that was acknowledged, with the very payload;
  - one whose outcome is unknown is there once or not at all;
  - positions and revisions have no gaps;
  - each subscriber was told every position once, in order, and of the event that is in the log.
"""

import os
import pathlib
import random
import shutil
import sys
import tempfile
import threading
import uuid

sys.path.insert(0, str(pathlib.Path(__file__).parent.parent / "integration"))
import harness  # noqa: E402
from harness import event_pb2, event_store_pb2, event_store_pb2_grpc, grpc  # noqa: E402

WRITERS_COUNT = 4
SUBSCRIBERS_COUNT = 3
EVENTS_BETWEEN_KILLS_MAX = 400
CHANNEL_OPTIONS = [("grpc.initial_reconnect_backoff_ms", 100), ("grpc.max_reconnect_backoff_ms", 200),
                   ("grpc.min_reconnect_backoff_ms", 100), ("grpc.max_receive_message_length", -1),
                   ("grpc.use_local_subchannel_pool", 1)]


class Writer(threading.Thread):
    """Appends to streams of its own and keeps the ledger of what became of each event."""

    def __init__(self, number, address, stop):
        super().__init__(daemon=True)
        self.number = number
        self.stop_event = stop
        self.channel = grpc.insecure_channel(address, options=CHANNEL_OPTIONS)
        self.store = event_store_pb2_grpc.EventStoreStub(self.channel)
        self.acknowledged = {}  # id -> (stream, position, revision, text)
        self.unknown = {}       # id -> (stream, text)
        self.randomness = random.Random(number)

    def run(self):
        count = 0
        while not self.stop_event.is_set():
            stream = f"writer{self.number}-{self.randomness.randrange(5)}"
            events = []
            for _ in range(self.randomness.randrange(1, 4)):
                count += 1
                events.append(event_pb2.Event(id=str(uuid.uuid4()), type="Counted",
                                              text=f"{self.number}/{count} " + "x" * self.randomness.randrange(500)))
            write = event_store_pb2.Write(stream=stream, events=events)
            try:
                response = self.store.Append(event_store_pb2.AppendRequest(writes=[write]), wait_for_ready=True,
                                             timeout=harness.PATIENCE_SECONDS)
            except grpc.RpcError as error:
                if error.code() != grpc.StatusCode.UNAVAILABLE:
                    raise
                for event in events:
                    self.unknown[event.id] = (stream, event.text)
                continue
            result = response.results[0]
            for index, event in enumerate(events):
                self.acknowledged[event.id] = (stream, result.first_position + index, result.first_revision + index,
                                               event.text)
        self.channel.close()


class Subscriber(threading.Thread):
    """Follows everything from the beginning and notes (position, id)."""

    def __init__(self, address, stop):
        super().__init__(daemon=True)
        self.stop_event = stop
        self.channel = grpc.insecure_channel(address, options=CHANNEL_OPTIONS)
        self.store = event_store_pb2_grpc.EventStoreStub(self.channel)
        self.seen = []
        self.position = 0
        self.call = None

    def run(self):
        while not self.stop_event.is_set():
            try:
                self.call = self.store.Subscribe(event_store_pb2.SubscribeRequest(after=self.position),
                                                 wait_for_ready=True)
                for response in self.call:
                    self.seen += [(event.position, event.event.id) for event in response.events]
                    self.position = response.position
            except grpc.RpcError as error:
                if error.code() not in (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.CANCELLED):
                    raise
        self.channel.close()


def kill_rounds(data, rounds, randomness, writers, daemon):
    """Kills and restarts the daemon; each kill comes after a random number of further acknowledgements."""
    for _ in range(rounds):
        count = lambda: sum(len(writer.acknowledged) for writer in writers)
        target = count() + randomness.randrange(EVENTS_BETWEEN_KILLS_MAX)
        harness.wait_until(lambda: count() >= target or not all(writer.is_alive() for writer in writers), "appends")
        daemon.kill()
        os.unlink(daemon.log.name)
        daemon = harness.Daemon(data, port=daemon.port)
    return daemon


def read_log(address):
    with grpc.insecure_channel(address, options=CHANNEL_OPTIONS) as channel:
        store = event_store_pb2_grpc.EventStoreStub(channel)
        return [event for response in store.Read(event_store_pb2.ReadRequest()) for event in response.events]


def check(log, writers, subscribers):
    assert [event.position for event in log] == list(range(1, len(log) + 1)), "positions have gaps"
    revisions = {}
    by_id = {}
    for event in log:
        revisions[event.stream] = revisions.get(event.stream, 0) + 1
        assert event.revision == revisions[event.stream], f"revision of {event.position}"
        assert event.event.id not in by_id, f"{event.event.id} is there twice"
        by_id[event.event.id] = event
    times = [(event.recorded_at.seconds, event.recorded_at.nanos) for event in log]
    assert times == sorted(times), "recorded_at goes back"
    lost = 0
    for writer in writers:
        for name, (stream, position, revision, text) in writer.acknowledged.items():
            event = by_id.pop(name, None)
            if event is None:
                lost += 1
                continue
            assert (event.stream, event.position, event.revision, event.event.text) == (stream, position, revision, text)
        for name, (stream, text) in writer.unknown.items():
            event = by_id.pop(name, None)
            assert event is None or (event.stream, event.event.text) == (stream, text)
    assert lost == 0, f"{lost} acknowledged events are lost"
    assert not by_id, f"{len(by_id)} events are in the log that nobody wrote"
    history = [(event.position, event.event.id) for event in log]
    for subscriber in subscribers:
        assert subscriber.seen == history, "a subscriber saw something else than the log"


def main():
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 5
    seed = int(os.environ.get("DAYBOOK_TEST_SEED", random.randrange(1 << 32)))
    print(f"kill_test: seed {seed} (DAYBOOK_TEST_SEED), {rounds} rounds", flush=True)
    directory = tempfile.mkdtemp(prefix="daybook-kill-")
    data = os.path.join(directory, "data")
    stop_writers, stop_subscribers = threading.Event(), threading.Event()
    daemon = harness.Daemon(data)
    writers = [Writer(number, daemon.address, stop_writers) for number in range(WRITERS_COUNT)]
    subscribers = [Subscriber(daemon.address, stop_subscribers) for _ in range(SUBSCRIBERS_COUNT)]
    try:
        for thread in writers + subscribers:
            thread.start()
        daemon = kill_rounds(data, rounds, random.Random(seed), writers, daemon)
        stop_writers.set()
        for writer in writers:
            writer.join(harness.PATIENCE_SECONDS)
            assert not writer.is_alive(), "a writer hangs"
        log = read_log(daemon.address)
        for subscriber in subscribers:
            harness.wait_until(lambda waiting=subscriber: len(waiting.seen) >= len(log), "the subscribers")
        stop_subscribers.set()
        for subscriber in subscribers:
            subscriber.call.cancel()
            subscriber.join(harness.PATIENCE_SECONDS)
        check(log, writers, subscribers)
        assert daemon.stop() == 0
        acknowledged = sum(len(writer.acknowledged) for writer in writers)
        unknown = sum(len(writer.unknown) for writer in writers)
        print(f"kill_test: {rounds} kills, {acknowledged} events acknowledged, 0 lost, {unknown} of unknown outcome, "
              f"{len(log)} in the log, {SUBSCRIBERS_COUNT} subscribers saw each once and in order")
    finally:
        if daemon.process.poll() is None:
            daemon.kill()
        os.unlink(daemon.log.name)
        shutil.rmtree(directory, ignore_errors=True)


if __name__ == "__main__":
    main()
