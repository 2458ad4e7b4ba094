"""Compactions of a daemon at work: space comes back, nobody notices, and a kill in the middle loses nothing."""

import os
import random
import threading
import uuid

import harness
from harness import event_pb2, event_store_pb2, grpc, wait_until
from daybook.v1 import admin_pb2, admin_pb2_grpc, event_store_pb2_grpc

CHANNEL_OPTIONS = [("grpc.initial_reconnect_backoff_ms", 100), ("grpc.max_reconnect_backoff_ms", 200),
                   ("grpc.min_reconnect_backoff_ms", 100), ("grpc.max_receive_message_length", -1),
                   ("grpc.use_local_subchannel_pool", 1)]
WRITERS_COUNT = 2
COMPACTIONS_COUNT = 8
KILLS_COUNT = 5


class Worker(threading.Thread):
    """Something that goes on until it is stopped; what goes wrong in it is kept."""

    def __init__(self, address, stop):
        super().__init__(daemon=True)
        self.stop_event = stop
        self.channel = grpc.insecure_channel(address, options=CHANNEL_OPTIONS)
        self.store = event_store_pb2_grpc.EventStoreStub(self.channel)
        self.problem = None

    def run(self):
        try:
            while not self.stop_event.is_set():
                self.step()
        except Exception as problem:  # pylint: disable=broad-except
            self.problem = problem
        finally:
            self.channel.close()

    def step(self):
        raise NotImplementedError


class Writer(Worker):
    """Appends, and keeps what was acknowledged. An append of unknown outcome is tried again with its id until it is known."""

    def __init__(self, number, address, stop):
        super().__init__(address, stop)
        self.stream = f"writer-{number}"
        self.acknowledged = {}  # id -> (position, revision, text)
        self.randomness = random.Random(number)
        self.event = None

    def step(self):
        if self.event is None:
            self.event = event_pb2.Event(id=str(uuid.uuid4()), type="Counted",
                                         text=f"{len(self.acknowledged)} " + "x" * self.randomness.randrange(800))
        write = event_store_pb2.Write(stream=self.stream, events=[self.event])
        try:
            response = self.store.Append(event_store_pb2.AppendRequest(writes=[write]), wait_for_ready=True,
                                         timeout=harness.PATIENCE_SECONDS)
        except grpc.RpcError as error:
            if error.code() != grpc.StatusCode.UNAVAILABLE:
                raise
            return
        result = response.results[0]
        self.acknowledged[self.event.id] = (result.first_position, result.first_revision, self.event.text)
        self.event = None


class Subscriber(Worker):
    """Follows everything from the beginning and notes (position, id)."""

    def __init__(self, address, stop):
        super().__init__(address, stop)
        self.seen = []
        self.position = 0
        self.call = None

    def step(self):
        try:
            self.call = self.store.Subscribe(event_store_pb2.SubscribeRequest(after=self.position),
                                             wait_for_ready=True)
            for response in self.call:
                self.seen += [(event.position, event.event.id) for event in response.events]
                self.position = response.position
        except grpc.RpcError as error:
            if error.code() not in (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.CANCELLED):
                raise


class Reader(Worker):
    """Reads everything, from both ends in turn: there is never a gap."""

    def __init__(self, address, stop):
        super().__init__(address, stop)
        self.reads_count = 0

    def step(self):
        direction = (event_store_pb2.DIRECTION_BACKWARD if self.reads_count % 2 else
                     event_store_pb2.DIRECTION_FORWARD)
        try:
            positions = [event.position for response in
                         self.store.Read(event_store_pb2.ReadRequest(direction=direction), wait_for_ready=True)
                         for event in response.events]
        except grpc.RpcError as error:
            if error.code() != grpc.StatusCode.UNAVAILABLE:
                raise
            return
        if self.reads_count % 2:
            positions.reverse()
        assert positions == list(range(1, len(positions) + 1)), "a read has a gap"
        self.reads_count += 1


class CompactTest(harness.DaemonTest):
    def connect(self):
        super().connect()
        self.admin = admin_pb2_grpc.AdminStub(self.channel)

    def compact(self, admin=None):
        """All responses of a compaction."""
        return list((admin or self.admin).Compact(admin_pb2.CompactRequest(), timeout=harness.PATIENCE_SECONDS))

    def fill(self, count, size, text="x"):
        """Events of about `size` bytes, five hundred an append."""
        for first in range(0, count, 500):
            events = [event_pb2.Event(type="Filled", text=(f"{text} {number} " + "y" * size)[:size])
                      for number in range(first, min(first + 500, count))]
            write = event_store_pb2.Write(stream="filler", events=events)
            self.store.Append(event_store_pb2.AppendRequest(writes=[write]), timeout=harness.PATIENCE_SECONDS)

    def erase(self, positions):
        for first in range(0, len(positions), 1000):
            self.store.EraseEvents(event_store_pb2.EraseEventsRequest(positions=positions[first:first + 1000]),
                                   timeout=harness.PATIENCE_SECONDS)

    def log_file(self):
        return os.path.join(self.data, "log", "data.mdb")

    def leftovers(self):
        return [name for name in os.listdir(self.data) if name.startswith("log.")]

    # --- Space ---

    def test_erased_bytes_leave_the_file_and_the_disk(self):
        self.fill(20000, 1500, "secret")
        self.fill(100, 100, "public")
        self.erase(list(range(1, 20001)))
        before = self.read()
        blocks = os.stat(self.log_file()).st_blocks
        responses = self.compact()
        last = responses[-1]
        head = self.head()
        self.assertEqual((head, head), (last.events_copied_count, last.events_count))
        self.assertEqual((blocks - os.stat(self.log_file()).st_blocks) * 512, last.reclaimed_bytes)
        self.assertGreater(last.reclaimed_bytes, 10 << 20)
        self.assertTrue(all(response.reclaimed_bytes == 0 for response in responses[:-1]))
        with open(self.log_file(), "rb") as file:
            data = file.read()
        self.assertNotIn(b"secret", data)
        self.assertIn(b"public", data)
        self.assertEqual(before, self.read())
        self.assertEqual([], self.leftovers())
        self.restart()
        self.assertEqual(before, self.read())

    def test_an_empty_store(self):
        last = self.compact()[-1]
        self.assertEqual((0, 0), (last.events_copied_count, last.events_count))
        self.append("s", "T")
        self.assertEqual([(1, "s", 1, "T")], self.read())

    def test_what_was_known_is_known_afterwards(self):
        """Revisions, ids, conditions and checkpoints: what appends are decided by."""
        event = event_pb2.Event(id=str(uuid.uuid4()), type="Placed", tags=["customer:1"])
        request = event_store_pb2.AppendRequest(
            writes=[event_store_pb2.Write(stream="order-1", events=[event], expected_revision=0)])
        first = self.store.Append(request)
        self.append("order-1", "Paid", expected_revision=1)
        self.store.Append(event_store_pb2.AppendRequest(
            writes=[event_store_pb2.Write(stream="c", events=[event_pb2.Event(type="Seen")])],
            checkpoint=event_store_pb2.Checkpoint(consumer="mailer", position=2)))
        self.compact()
        replayed = self.store.Append(request)
        self.assertTrue(replayed.replayed)
        self.assertEqual(first.results, replayed.results)
        self.assert_refused(grpc.StatusCode.ABORTED, "REVISION_CONFLICT",
                            lambda: self.append("order-1", "Paid", expected_revision=1))
        clause = event_pb2.Clause(tags=["customer:1"])
        condition = event_store_pb2.Condition(none_match=event_pb2.Filter(any_of=[clause]))
        write = event_store_pb2.Write(stream="x", events=[event_pb2.Event(type="T")])
        self.assert_refused(grpc.StatusCode.ABORTED, "CONDITION_FAILED", lambda: self.store.Append(
            event_store_pb2.AppendRequest(writes=[write], condition=condition)))
        stored = self.store.GetCheckpoint(event_store_pb2.GetCheckpointRequest(consumer="mailer"))
        self.assertEqual(2, stored.checkpoint.position)
        self.assertEqual(3, self.append("order-1", "Sent", expected_revision=2).results[0].first_revision)

    # --- Ends before the end ---

    def test_a_cancelled_one_leaves_no_copy(self):
        self.fill(20000, 1000)
        call = self.admin.Compact(admin_pb2.CompactRequest())
        next(call)
        call.cancel()
        wait_until(lambda: not self.leftovers(), "the copy's removal")
        self.assertEqual(20000, len(self.read()))
        self.assertEqual(20000, self.compact()[-1].events_copied_count)

    def test_a_drain_ends_it(self):
        self.fill(40000, 1000)
        call = self.admin.Compact(admin_pb2.CompactRequest())
        next(call)
        self.assertEqual(0, self.daemon.stop())
        try:
            list(call)
        except grpc.RpcError as error:
            self.assertEqual(grpc.StatusCode.UNAVAILABLE, error.code())
        self.restart()
        self.assertEqual(40000, len(self.read()))
        self.assertEqual([], self.leftovers())

    # --- Load ---

    def start_workers(self):
        stop = threading.Event()
        writers = [Writer(number, self.daemon.address, stop) for number in range(WRITERS_COUNT)]
        others = [Subscriber(self.daemon.address, stop), Reader(self.daemon.address, stop)]
        for worker in writers + others:
            worker.start()
        return stop, writers, others

    def wait_for_appends(self, writers, count):
        total = lambda: sum(len(writer.acknowledged) for writer in writers)
        target = total() + count
        wait_until(lambda: total() >= target or any(writer.problem for writer in writers), "appends")

    def end_workers(self, stop, writers, others):
        """Stops everybody and compares what they were told with the log."""
        subscriber, reader = others
        stop.set()
        for worker in writers + [reader]:
            worker.join(harness.PATIENCE_SECONDS)
            self.assertIsNone(worker.problem)
        end = self.head()
        wait_until(lambda: subscriber.position >= end or subscriber.problem, "the subscriber")
        subscriber.call.cancel()
        subscriber.join(harness.PATIENCE_SECONDS)
        self.assertIsNone(subscriber.problem)
        log = [event for response in self.store.Read(event_store_pb2.ReadRequest()) for event in response.events]
        self.assertEqual(list(range(1, end + 1)), [event.position for event in log])
        self.assertEqual([(event.position, event.event.id) for event in log], subscriber.seen)
        by_id = {event.event.id: (event.position, event.revision, event.event.text) for event in log}
        for writer in writers:
            for name, told in writer.acknowledged.items():
                self.assertEqual(told, by_id.get(name), "an acknowledged event is lost")
            known = {name for name in by_id if name in writer.acknowledged or
                     (writer.event is not None and name == writer.event.id)}
            in_log = {event.event.id for event in log if event.stream == writer.stream}
            self.assertEqual(in_log, known, "an event is there that nobody appended")
        return log

    def test_nobody_notices(self):
        stop, writers, others = self.start_workers()
        for _ in range(COMPACTIONS_COUNT):
            self.wait_for_appends(writers, 50)
            self.assertEqual(0, len(self.leftovers()))
            last = self.compact()[-1]
            self.assertEqual(last.events_count, last.events_copied_count)
        log = self.end_workers(stop, writers, others)
        self.assertGreater(others[1].reads_count, 0)
        self.restart()
        self.assertEqual([event.position for event in log], [event[0] for event in self.read()])

    def compact_always(self, stop, ends):
        """Compactions one after the other, through every restart."""
        with grpc.insecure_channel(self.daemon.address, options=CHANNEL_OPTIONS) as channel:
            admin = admin_pb2_grpc.AdminStub(channel)
            while not stop.is_set():
                try:
                    list(admin.Compact(admin_pb2.CompactRequest(), wait_for_ready=True,
                                       timeout=harness.PATIENCE_SECONDS))
                    ends.append("done")
                except grpc.RpcError as error:
                    ends.append(error.code())
                    if error.code() not in (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.ABORTED):
                        return

    def test_kills_in_the_middle_lose_nothing(self):
        randomness = harness.seeded("compact_test")
        self.fill(20000, 500)
        stop, writers, others = self.start_workers()
        ends = []
        compacting = threading.Thread(target=self.compact_always, args=(stop, ends), daemon=True)
        compacting.start()
        for _ in range(KILLS_COUNT):
            self.wait_for_appends(writers, randomness.randrange(1, 60))
            self.daemon.kill()
            port = self.daemon.port
            os.unlink(self.daemon.log.name)
            self.daemon = harness.Daemon(self.data, *self.FLAGS, port=port)
        self.wait_for_appends(writers, 20)
        wait_until(lambda: "done" in ends or not compacting.is_alive(), "a compaction that is not killed")
        self.channel.close()
        self.connect()
        self.end_workers(stop, writers, others)
        compacting.join(harness.PATIENCE_SECONDS)
        self.assertLessEqual(set(ends), {"done", grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.ABORTED})
        self.assertIn("done", ends)


if __name__ == "__main__":
    harness.main()
