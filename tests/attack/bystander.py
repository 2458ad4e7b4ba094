"""The well-behaved client beside an attack, in a process of its own: it appends and reads back, and subscribes.

    bystander.py ADDRESS      commands on the standard input, a line each, each answered by a line of JSON:
        begin                 works from now on
        count                 how many calls were well until now
        end                   rests; how many calls were well since `begin`, the slowest of them, and what was wrong

Every append must get the next revision of the bystander's stream, be read back as it was written, and be delivered once and
in order to its subscription. The connection and the subscription are the same all the time.
"""

import json
import pathlib
import sys
import threading
import time

sys.path.insert(0, str(pathlib.Path(__file__).parent.parent / "integration"))
import harness  # noqa: E402
from harness import event_pb2, event_store_pb2, event_store_pb2_grpc, grpc  # noqa: E402

STREAM = "bystander"
# What is appended before the first attack, so that the daemon's ring of the newest events is as full as it gets.
WARM_UP_EVENTS_COUNT = 512
WARM_UP_EVENT_BYTES = 16 << 10


class Bystander:
    def __init__(self, address):
        self.channel = grpc.insecure_channel(address, options=[("grpc.max_receive_message_length", -1)])
        self.store = event_store_pb2_grpc.EventStoreStub(self.channel)
        self.active = threading.Event()
        self.resting = threading.Event()
        self.changed = threading.Condition()
        self.revision = 0
        self.delivered_revision = 0
        self.begin()
        self.active.clear()
        self.warm_up()
        self.subscription = self.store.Subscribe(event_store_pb2.SubscribeRequest(
            after=0, filter=event_pb2.Filter(any_of=[event_pb2.Clause(streams=[STREAM])])))
        threading.Thread(target=self.follow, daemon=True).start()
        threading.Thread(target=self.work, daemon=True).start()

    def begin(self):
        self.calls_count = 0
        self.slowest_seconds = 0.0
        self.errors = []
        self.resting.clear()
        self.active.set()

    def call(self, method, request):
        begun = time.monotonic()
        answer = method(request, timeout=harness.PATIENCE_SECONDS)
        self.slowest_seconds = max(self.slowest_seconds, time.monotonic() - begun)
        self.calls_count += 1
        return answer

    def append(self, content):
        event = event_pb2.Event(type="Stood", data=content)
        write = event_store_pb2.Write(stream=STREAM, expected_revision=self.revision, events=[event])
        result = self.call(self.store.Append, event_store_pb2.AppendRequest(writes=[write])).results[0]
        if result.last_revision != self.revision + 1:
            self.errors.append(f"revision {result.last_revision} after {self.revision}")
        self.revision = result.last_revision
        return result.last_position

    def warm_up(self):
        for number in range(WARM_UP_EVENTS_COUNT):
            self.append(bytes([number % 256]) * WARM_UP_EVENT_BYTES)

    def read_all(self, request):
        return [event for response in self.store.Read(request, timeout=harness.PATIENCE_SECONDS) for event in response.events]

    def work(self):
        while True:
            if not self.active.is_set():
                self.resting.set()
                self.active.wait()
            try:
                content = f"event after {self.revision}".encode()
                position = self.append(content)
                request = event_store_pb2.ReadRequest(**{"from": position}, limit=1)
                events = self.call(lambda one, timeout: self.read_all(one), request)
                found = [(one.position, one.stream, one.revision, one.event.data) for one in events]
                if found != [(position, STREAM, self.revision, content)]:
                    self.errors.append(f"read {found} at {position}")
            except grpc.RpcError as error:
                self.errors.append(f"{error.code()}: {error.details()}")
                self.active.clear()

    def follow(self):
        try:
            for response in self.subscription:
                for event in response.events:
                    if event.revision != self.delivered_revision + 1:
                        self.errors.append(f"delivered revision {event.revision} after {self.delivered_revision}")
                    with self.changed:
                        self.delivered_revision = event.revision
                        self.changed.notify_all()
        except grpc.RpcError as error:
            self.errors.append(f"the subscription ended: {error.code()} {error.details()}")

    def end(self):
        self.active.clear()
        self.resting.wait(harness.PATIENCE_SECONDS)
        with self.changed:
            if not self.changed.wait_for(lambda: self.delivered_revision == self.revision, harness.PATIENCE_SECONDS):
                self.errors.append(f"delivered up to {self.delivered_revision}, appended up to {self.revision}")
        return {"calls_count": self.calls_count, "slowest_ms": round(self.slowest_seconds * 1000), "errors": self.errors}


def main():
    bystander = Bystander(sys.argv[1])
    print(json.dumps(bystander.end()), flush=True)
    for line in sys.stdin:
        command = line.strip()
        if command == "begin":
            bystander.begin()
            answer = {}
        elif command == "count":
            answer = {"calls_count": bystander.calls_count, "errors": bystander.errors}
        else:
            answer = bystander.end()
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main()
