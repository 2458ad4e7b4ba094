"""The load under which faults happen: writers of all kinds, subscribers, readers. All write into the ledger."""

import random
import sys
import threading
import time
import traceback

from ledger import Request, event_pb2, event_store_pb2, grpc, harness, new_event
from harness import event_store_pb2_grpc

# How long one attempt to connect may take is left at gRPC's 20 s: on a busy machine a handshake takes its time.
CHANNEL_OPTIONS = [("grpc.initial_reconnect_backoff_ms", 100), ("grpc.max_reconnect_backoff_ms", 200),
                   ("grpc.max_receive_message_length", -1), ("grpc.use_local_subchannel_pool", 1)]
SHARED_STREAMS_COUNT = 4
CLAIMS_COUNT = 12
PIPELINED_COUNT = 32
ORPHAN_SECONDS = 10


class Client(threading.Thread):
    """A thread with a connection of its own that goes on until it is told to stop. What it dies of is a violation."""

    def __init__(self, name, campaign):
        super().__init__(name=name, daemon=True)
        self.ledger = campaign.ledger
        self.stop_event = threading.Event()
        self.channel = grpc.insecure_channel(campaign.address, options=CHANNEL_OPTIONS)
        self.store = event_store_pb2_grpc.EventStoreStub(self.channel)
        self.randomness = random.Random(f"{campaign.seed}/{name}")
        self.campaign = campaign

    def run(self):
        try:
            while not self.stop_event.is_set():
                self.step()
        except Exception as error:  # whatever it is, the run must not pass
            self.ledger.violation(f"{self.name} ended: {type(error).__name__}: {error}")

    def close(self):
        self.stop_event.set()
        self.join(harness.PATIENCE_SECONDS)
        if self.is_alive():
            self.ledger.violation(f"{self.name} hangs")
        self.channel.close()


class Writer(Client):
    """Unary appends: alone, on shared streams, over several streams, with expectations and conditions; retries."""

    def __init__(self, name, campaign):
        super().__init__(name, campaign)
        self.count = 0
        self.revisions = {}  # of own streams

    def event(self, kind="Counted", tags=()):
        self.count += 1
        return new_event(kind, f"{self.name}/{self.count} " + "x" * self.randomness.randrange(400), tags)

    def events(self):
        return [self.event() for _ in range(self.randomness.randrange(1, 4))]

    def own_write(self):
        stream = f"{self.name}-{self.randomness.randrange(3)}"
        write = event_store_pb2.Write(stream=stream, events=self.events())
        if stream in self.revisions:
            write.expected_revision = self.revisions[stream]
        return write

    def shared_write(self):
        stream = f"shared-{self.randomness.randrange(SHARED_STREAMS_COUNT)}"
        write = event_store_pb2.Write(stream=stream, events=self.events())
        if self.randomness.random() < 0.7:
            write.expected_revision = self.campaign.shared_revisions.get(stream, 0)
        return write

    def request(self):
        kind = self.randomness.random()
        if kind < 0.40:
            return Request(self.name, [self.own_write()])
        if kind < 0.70:
            return Request(self.name, [self.shared_write()])
        if kind < 0.85:
            return Request(self.name, [self.own_write(), self.shared_write()])
        # Claims of a name that only one event may have; new names come with the number of events.
        epoch = self.ledger.position_acknowledged // 500
        claim = f"claim:{epoch}/{self.randomness.randrange(CLAIMS_COUNT)}"
        write = event_store_pb2.Write(stream=f"claims-{self.name}", events=[self.event("Claimed", [claim])])
        return Request(self.name, [write], claim)

    def learn(self, request, attempt):
        for index, (stream, _, _) in enumerate(request.writes):
            table = self.campaign.shared_revisions if stream.startswith("shared-") else self.revisions
            if attempt.outcome == "ok":
                table[stream] = max(table.get(stream, 0), attempt.results[index][1])
            elif stream in attempt.actual:
                table[stream] = attempt.actual[stream]
            elif attempt.outcome == "unknown" and table is self.revisions:
                table.pop(stream, None)

    def attempt(self, request):
        attempt = self.ledger.begin(request)
        try:
            response = self.store.Append(request.message, wait_for_ready=True, timeout=harness.PATIENCE_SECONDS)
        except grpc.RpcError as error:
            self.ledger.failed(attempt, error)
        else:
            self.ledger.appended(attempt, response)
        return attempt

    def step(self):
        request = self.request()
        attempt = self.attempt(request)
        while attempt.outcome == "unknown" and not self.stop_event.is_set() and self.randomness.random() < 0.7:
            attempt = self.attempt(request)
        self.learn(request, attempt)
        if attempt.outcome == "ok" and self.randomness.random() < 0.02:
            self.attempt(request)  # again, though it is known: the same result
        if attempt.reason == "STORAGE_FULL":
            self.stop_event.wait(0.05)


class PipelinedWriter(Client):
    """AppendMany: requests on their way all the time; after a broken call those without an answer are sent again."""

    def __init__(self, name, campaign, events_count=2, text_bytes=200):
        super().__init__(name, campaign)
        self.events_count = events_count
        self.text_bytes = text_bytes
        self.count = 0
        self.again = []

    def make(self):
        events = []
        for _ in range(self.randomness.randrange(1, self.events_count + 1)):
            self.count += 1
            events.append(new_event("Streamed", f"{self.name}/{self.count} " +
                                    "y" * self.randomness.randrange(self.text_bytes)))
        stream = f"{self.name}-{self.randomness.randrange(8)}"
        return Request(self.name, [event_store_pb2.Write(stream=stream, events=events)])

    def step(self):
        pending, room = [], threading.Semaphore(PIPELINED_COUNT)
        ended = threading.Event()
        begun = time.monotonic()

        def requests():
            while not self.stop_event.is_set() and not ended.is_set() and time.monotonic() < begun + 1:
                if not room.acquire(timeout=0.05):
                    continue
                request = self.again.pop(0) if self.again else self.make()
                pending.append(self.ledger.begin(request))
                yield request.message

        try:
            for response in self.store.AppendMany(requests(), wait_for_ready=True, timeout=harness.PATIENCE_SECONDS):
                for outcome in response.outcomes:
                    attempt = pending.pop(0)
                    room.release()
                    if outcome.HasField("appended"):
                        self.ledger.appended(attempt, outcome.appended)
                    elif outcome.error.info.reason == "OUTCOME_UNKNOWN":
                        self.ledger.unknown(attempt, "OUTCOME_UNKNOWN")
                    else:
                        self.ledger.refused(attempt, outcome.error.info.reason, outcome.error.conflicts)
                        self.stop_event.wait(0.01)
        except grpc.RpcError as error:
            ended.set()
            if error.code() not in (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.CANCELLED):
                self.ledger.violation(f"AppendMany ended with {error.code().name}: {error.details()}")
        for attempt in list(pending):
            self.ledger.unknown(attempt, "BROKEN")
            if self.randomness.random() < 0.7:
                self.again.append(attempt.request)


class Subscriber(Client):
    """Follows from the beginning and goes on after the last position it was told, whenever the connection breaks.

    A killed daemon with unread bytes sends a reset, after which Python's gRPC 1.62 sometimes hangs: the socket is gone, the
    channel is READY and the call never ends. `reconnect` gets it out of that."""

    def __init__(self, name, campaign, type_name=None):
        super().__init__(name, campaign)
        self.filter = None
        self.type_name = type_name
        if type_name is not None:
            self.filter = event_pb2.Filter(any_of=[event_pb2.Clause(types=[type_name])])
        self.seen = []  # (position, hash of the whole record)
        self.position = 0
        self.call = None
        self.call_begun = self.heard = time.monotonic()

    def step(self):
        begun_ns = time.monotonic_ns()
        try:
            self.call_begun = self.heard = time.monotonic()
            self.call = self.store.Subscribe(event_store_pb2.SubscribeRequest(
                after=self.position, filter=self.filter, heartbeat_ms=200), wait_for_ready=True)
            for response in self.call:
                self.heard = time.monotonic()
                for event in response.events:
                    self.ledger.serve(event, begun_ns)
                    self.seen.append((event.position, hash(event.SerializeToString(deterministic=True))))
                if response.position < self.position:
                    self.ledger.violation(f"{self.name}: position went back to {response.position}")
                self.position = response.position
                # A connection that is broken off by the client, too.
                if self.randomness.random() < 0.002:
                    self.call.cancel()
        except grpc.RpcError as error:
            if error.code() not in (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.CANCELLED):
                self.ledger.violation(f"{self.name}: {error.code().name}: {error.details()}")
                self.stop_event.wait(0.2)

    def is_orphan(self):
        """Whether its call is of an earlier daemon than the one that serves, which it would hear every 200 ms. A call of this
        daemon that hears nothing is the daemon's fault, and stays."""
        serving_since = self.campaign.serving_since
        now = time.monotonic()
        return self.call_begun < serving_since and now - max(self.heard, serving_since) > ORPHAN_SECONDS

    def reconnect(self):
        """Leaves the connection on which nothing comes any more, and begins on a new one."""
        before = self.channel
        self.channel = grpc.insecure_channel(self.campaign.address, options=CHANNEL_OPTIONS)
        self.store = event_store_pb2_grpc.EventStoreStub(self.channel)
        before.close()

    def standstill(self, subscriptions_count):
        """Whose fault it may be that this one does not move: what the daemon, a new subscriber at the same place, the
        connection and the thread have to say."""
        try:
            with grpc.insecure_channel(self.campaign.address, options=CHANNEL_OPTIONS) as channel:
                store = event_store_pb2_grpc.EventStoreStub(channel)
                call = store.Subscribe(event_store_pb2.SubscribeRequest(after=self.position, filter=self.filter),
                                       wait_for_ready=True, timeout=10)
                newcomer = f"comes to {next(iter(call)).position}"
                call.cancel()
        except grpc.RpcError as error:
            newcomer = f"ends with {error.code().name}"
        states = []
        self.channel.subscribe(states.append)
        self.stop_event.wait(1)
        stack = traceback.format_stack(sys._current_frames()[self.ident]) if self.is_alive() else ["has ended"]
        return (f"{self.name} stands at {self.position}; a newcomer there {newcomer}; the daemon has "
                f"{subscriptions_count} subscriptions; its channel is {states}; its thread: {''.join(stack[-3:])}")

    def close(self):
        self.stop_event.set()
        if self.call is not None:
            self.call.cancel()
        super().close()


class Reader(Client):
    """Whoever holds an acknowledgement can read the event; finite reads are parts of the log."""

    def __init__(self, name, campaign):
        super().__init__(name, campaign)
        self.reads = []   # (from, [(position, hash)], head, limit)
        self.newest = []  # (stream, begun, ended, revision, id): of its last event

    def step(self):
        try:
            self.log_read()
            self.newest_read()
        except grpc.RpcError as error:
            if error.code() not in (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.CANCELLED):
                self.ledger.violation(f"{self.name}: {error.code().name}: {error.details()}")
            self.stop_event.wait(0.05)

    def newest_read(self):
        """Where a stream is that several write to."""
        stream = f"shared-{self.randomness.randrange(SHARED_STREAMS_COUNT)}"
        request = event_store_pb2.ReadRequest(stream=stream, direction=event_store_pb2.DIRECTION_BACKWARD, limit=1)
        begun_ns = time.monotonic_ns()
        revision, name = 0, ""
        try:
            for response in self.store.Read(request, timeout=harness.PATIENCE_SECONDS):
                for event in response.events:
                    revision, name = event.revision, event.event.id
        except grpc.RpcError as error:
            if error.code() != grpc.StatusCode.NOT_FOUND:
                raise
        self.newest.append((stream, begun_ns, time.monotonic_ns(), revision, name))

    def log_read(self):
        acknowledged = self.ledger.position_acknowledged
        begin = max(1, acknowledged - self.randomness.randrange(200))
        limit = self.randomness.randrange(1, 50)
        head = self.store.Head(event_store_pb2.HeadRequest(), wait_for_ready=True, timeout=harness.PATIENCE_SECONDS).head
        if head < acknowledged:
            self.ledger.violation(f"{self.name}: the head is {head}, {acknowledged} was acknowledged before")
        request = event_store_pb2.ReadRequest(limit=limit, **{"from": begin})
        begun_ns = time.monotonic_ns()
        events = [event for response in self.store.Read(request, timeout=harness.PATIENCE_SECONDS)
                  for event in response.events]
        for event in events:
            self.ledger.serve(event, begun_ns)
        self.reads.append((begin, [(event.position, hash(event.SerializeToString(deterministic=True)))
                                   for event in events], head, limit))
        self.stop_event.wait(0.01)
