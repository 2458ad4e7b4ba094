"""The clients of a soak: appends of all kinds, reads, subscriptions that come and go, deletions, compactions.

Each is a thread that goes on until it is told to stop. What a writer was told is kept as one number for each stream, so that
a soak of any length takes the same memory here.
"""

import random
import sys
import threading
import uuid
import pathlib

sys.path.insert(0, str(pathlib.Path(__file__).parent.parent / "integration"))
import harness  # noqa: E402
from harness import admin_pb2, admin_pb2_grpc, event_pb2, event_store_pb2, event_store_pb2_grpc, grpc  # noqa: E402

STREAMS_PER_WRITER = 500
TYPES_COUNT = 10
BATCH_COUNT = 200


class Client(threading.Thread):
    """A thread with a connection; an error that its work does not expect stops the soak."""

    def __init__(self, soak, number):
        super().__init__(daemon=True, name=f"{type(self).__name__} {number}")
        self.soak = soak
        self.number = number
        self.random = random.Random(f"{soak.seed} {self.name}")
        self.channel = grpc.insecure_channel(soak.address, options=[("grpc.use_local_subchannel_pool", 1),
                                                                    ("grpc.max_receive_message_length", -1)])
        self.store = event_store_pb2_grpc.EventStoreStub(self.channel)
        self.admin = admin_pb2_grpc.AdminStub(self.channel)

    def run(self):
        try:
            while not self.soak.stop.is_set():
                self.work()
        except Exception as error:  # pylint: disable=broad-except
            self.soak.fail(f"{self.name}: {error}")
        self.channel.close()

    def event(self):
        return event_pb2.Event(id=str(uuid.UUID(int=self.random.getrandbits(128))),
                               type=f"Type{self.random.randrange(TYPES_COUNT)}",
                               tags=[f"customer:{self.random.randrange(1000)}"],
                               text="x" * self.random.randrange(400))


class Writer(Client):
    """One request at a time, to streams of its own; some with the revision that the stream must have, some with a wrong one."""

    def __init__(self, soak, number):
        super().__init__(soak, number)
        self.revisions = {}  # stream -> last revision acknowledged
        self.generations = [0] * STREAMS_PER_WRITER  # what was deleted gets a new name
        self.stream_bytes = {}
        self.event_bytes = 0  # of streams that are there
        self.deleted_count = 0

    @property
    def streams_count(self):
        """Different ones so far."""
        return len(self.revisions) + self.deleted_count

    def work(self):
        slot = self.random.randrange(STREAMS_PER_WRITER)
        stream = f"writer{self.number}-{slot}-{self.generations[slot]}"
        write = event_store_pb2.Write(stream=stream, events=[self.event() for _ in range(self.random.randrange(1, 4))])
        dice = self.random.random()
        if dice < 0.3:
            write.expected_revision = self.revisions.get(stream, 0)
        elif dice < 0.35:
            write.expected_revision = self.revisions.get(stream, 0) + 7
        request = event_store_pb2.AppendRequest(writes=[write])
        try:
            result = self.store.Append(request, timeout=harness.PATIENCE_SECONDS).results[0]
        except grpc.RpcError as error:
            if error.code() != grpc.StatusCode.ABORTED or not 0.3 <= dice < 0.35:
                raise
            return
        self.revisions[stream] = result.last_revision
        appended_bytes = sum(event.ByteSize() for event in write.events)
        self.stream_bytes[stream] = self.stream_bytes.get(stream, 0) + appended_bytes
        self.event_bytes += appended_bytes
        if self.random.random() < 0.002:
            self.delete(stream)
            self.generations[slot] += 1

    def delete(self, stream):
        self.store.DeleteStream(event_store_pb2.DeleteStreamRequest(stream=stream), timeout=harness.PATIENCE_SECONDS)
        del self.revisions[stream]
        self.event_bytes -= self.stream_bytes.pop(stream)
        self.deleted_count += 1


class Pipeliner(Client):
    """A call of AppendMany after the other, each of some hundred requests."""

    def __init__(self, soak, number):
        super().__init__(soak, number)
        self.appended_count = 0
        self.event_bytes = 0

    def work(self):
        requests = [event_store_pb2.AppendRequest(writes=[event_store_pb2.Write(stream="pipelined", events=[self.event()])])
                    for _ in range(BATCH_COUNT)]
        count = 0
        for response in self.store.AppendMany(iter(requests), timeout=harness.PATIENCE_SECONDS):
            count += sum(outcome.HasField("appended") for outcome in response.outcomes)
        if count != BATCH_COUNT:
            raise AssertionError(f"{count} of {BATCH_COUNT} were appended")
        self.appended_count += count
        self.event_bytes += sum(event.ByteSize() for request in requests for event in request.writes[0].events)
        self.soak.stop.wait(0.2)


class Reader(Client):
    """Reads a part of what is there by a filter; positions must ascend."""

    def work(self):
        clause = event_pb2.Clause(types=[f"Type{self.random.randrange(TYPES_COUNT)}"],
                                        tags=[f"customer:{self.random.randrange(1000)}"])
        request = event_store_pb2.ReadRequest(filter=event_pb2.Filter(any_of=[clause]), limit=500)
        last = 0
        for response in self.store.Read(request, timeout=harness.PATIENCE_SECONDS):
            for event in response.events:
                if event.position <= last:
                    raise AssertionError(f"position {event.position} after {last}")
                last = event.position
        self.soak.stop.wait(0.05)


class Subscriber(Client):
    """Follows for a while from somewhere near the head, then leaves without a word."""

    def work(self):
        head = self.store.Head(event_store_pb2.HeadRequest(), timeout=harness.PATIENCE_SECONDS).head
        start = max(0, head - self.random.randrange(2000))
        call = self.store.Subscribe(event_store_pb2.SubscribeRequest(after=start))
        last = start
        for count, response in enumerate(call):
            for event in response.events:
                if event.position <= last:
                    raise AssertionError(f"position {event.position} after {last}")
                last = event.position
            if count > self.random.randrange(100) or self.soak.stop.is_set():
                break
        call.cancel()


class Compactor(Client):
    """Now and then a compaction, to its end."""

    def work(self):
        if self.soak.stop.wait(self.soak.compaction_seconds):
            return
        for _ in self.admin.Compact(admin_pb2.CompactRequest()):
            pass
        self.soak.compactions_count += 1
