"""SIGTERM under load: what was acknowledged is there, what failed is not, and everybody is told where to go on."""

import signal
import threading
import uuid

import harness
from harness import event_pb2, event_store_pb2, event_store_pb2_grpc, grpc

WRITERS_COUNT = 6
PIPELINED_COUNT = 64
UNAVAILABLE = grpc.StatusCode.UNAVAILABLE


class Client(threading.Thread):
    """A thread with a connection of its own, until an error ends it."""

    def __init__(self, address):
        super().__init__(daemon=True)
        self.channel = grpc.insecure_channel(address, options=[("grpc.use_local_subchannel_pool", 1),
                                                               ("grpc.enable_retries", 0)])
        self.store = event_store_pb2_grpc.EventStoreStub(self.channel)
        self.error = None

    def run(self):
        try:
            self.work()
        except grpc.RpcError as error:
            self.error = error


class Writer(Client):
    """Appends one after the other; keeps a ledger of what was acknowledged, and of the last, which was not."""

    def __init__(self, address, stream):
        super().__init__(address)
        self.stream = stream
        self.acknowledged = {}  # id -> position
        self.failed = None

    def work(self):
        while True:
            event = event_pb2.Event(id=str(uuid.uuid4()), type="T", text="x" * 100)
            self.failed = event.id
            write = event_store_pb2.Write(stream=self.stream, events=[event])
            response = self.store.Append(event_store_pb2.AppendRequest(writes=[write]),
                                         timeout=harness.PATIENCE_SECONDS)
            self.acknowledged[event.id] = response.results[0].first_position
            self.failed = None


class Pipeliner(Client):
    """The same on one AppendMany call, many ahead; those without an answer are unknown to it.

    There is an end to how many: who writes without one writes on a connection that is closed already, and then gRPC does not
    read any more what has come before."""

    def __init__(self, address, stream):
        super().__init__(address)
        self.stream = stream
        self.sent = []
        self.acknowledged = {}
        self.ended = threading.Event()
        self.room = threading.Semaphore(PIPELINED_COUNT)

    def requests(self):
        while not self.ended.is_set():
            if not self.room.acquire(timeout=0.05):
                continue
            event = event_pb2.Event(id=str(uuid.uuid4()), type="T")
            self.sent.append(event.id)
            yield event_store_pb2.AppendRequest(writes=[event_store_pb2.Write(stream=self.stream, events=[event])])

    def work(self):
        try:
            for response in self.store.AppendMany(self.requests()):
                for outcome in response.outcomes:
                    self.acknowledged[self.sent[len(self.acknowledged)]] = outcome.appended.results[0].first_position
                    self.room.release()
        finally:
            self.ended.set()


class Subscriber(Client):
    def __init__(self, address):
        super().__init__(address)
        self.seen = []  # (position, id)
        self.position = 0

    def work(self):
        for response in self.store.Subscribe(event_store_pb2.SubscribeRequest()):
            self.seen += [(event.position, event.event.id) for event in response.events]
            self.position = response.position


class Watcher(Client):
    """What the health of readiness was, one after the other."""

    def __init__(self, address):
        super().__init__(address)
        self.states = []

    def work(self):
        watch = self.channel.unary_stream("/grpc.health.v1.Health/Watch")
        for answer in watch(b"\x0a\x09readiness"):
            self.states.append({b"\x08\x01": "SERVING", b"\x08\x02": "NOT_SERVING"}[answer])


class DrainTest(harness.DaemonTest):
    def begin(self):
        address = self.daemon.address
        self.writers = [Writer(address, f"writer-{number}") for number in range(WRITERS_COUNT)]
        self.pipeliner = Pipeliner(address, "pipelined")
        self.subscribers = [Subscriber(address) for _ in range(2)]
        self.watcher = Watcher(address)
        self.clients = [*self.writers, self.pipeliner, *self.subscribers, self.watcher]
        for client in self.clients:
            client.start()
        harness.wait_until(lambda: all(len(writer.acknowledged) > 20 for writer in self.writers), "writers at work")
        harness.wait_until(lambda: len(self.pipeliner.acknowledged) > 100, "the pipeliner at work")
        harness.wait_until(lambda: all(subscriber.seen for subscriber in self.subscribers), "subscribers at work")
        harness.wait_until(lambda: self.watcher.states, "the watcher")

    def join(self):
        for client in self.clients:
            client.join(harness.PATIENCE_SECONDS)
            self.assertFalse(client.is_alive())
            client.channel.close()

    def log_now(self):
        """The log after a restart: id -> position."""
        self.channel.close()
        self.daemon = harness.Daemon(self.data)
        self.connect()
        found = {}
        for response in self.store.Read(event_store_pb2.ReadRequest(), timeout=harness.PATIENCE_SECONDS):
            for event in response.events:
                self.assertEqual(len(found) + 1, event.position)
                self.assertNotIn(event.event.id, found)
                found[event.event.id] = event.position
        return found

    def expect_acknowledged(self, log):
        for writer in [*self.writers, self.pipeliner]:
            for identity, position in writer.acknowledged.items():
                self.assertEqual(position, log.get(identity), identity)

    def test_a_drain_leaves_nobody_in_doubt(self):
        self.begin()
        self.daemon.process.send_signal(signal.SIGTERM)
        self.assertEqual(0, self.daemon.process.wait(harness.PATIENCE_SECONDS))
        self.join()
        log = self.log_now()
        self.expect_acknowledged(log)
        for writer in self.writers:
            self.assertEqual(UNAVAILABLE, writer.error.code(), writer.error.details())
            self.assertNotIn(writer.failed, log, "what failed was not written")
        # What the stream had taken in was answered before it ended.
        self.assertEqual(UNAVAILABLE, self.pipeliner.error.code())
        self.assertEqual(1000, harness.retry_delay_ms(self.pipeliner.error))
        for identity in self.pipeliner.sent:
            self.assertEqual(identity in self.pipeliner.acknowledged, identity in log)
        self.assertEqual(len(log), sum(len(writer.acknowledged) for writer in [*self.writers, self.pipeliner]))
        self.assertEqual(["SERVING", "NOT_SERVING"], self.watcher.states[:2])
        in_order = sorted((position, identity) for identity, position in log.items())
        for subscriber in self.subscribers:
            self.assertEqual(UNAVAILABLE, subscriber.error.code())
            self.assertEqual(1000, harness.retry_delay_ms(subscriber.error))
            self.assertEqual(in_order[:len(subscriber.seen)], subscriber.seen)
            self.assertGreaterEqual(subscriber.position, subscriber.seen[-1][0])

    def test_a_second_signal_loses_nothing_that_was_acknowledged(self):
        self.begin()
        self.daemon.process.send_signal(signal.SIGTERM)
        harness.wait_until(lambda: "draining" in self.daemon.log_text(), "the drain")
        self.daemon.process.send_signal(signal.SIGTERM)
        # By the signal's default action, unless the drain was faster.
        self.assertIn(self.daemon.process.wait(harness.PATIENCE_SECONDS), (0, -signal.SIGTERM))
        self.join()
        self.expect_acknowledged(self.log_now())


if __name__ == "__main__":
    harness.main()
