"""A disk that does not answer for a while: what waits is written or expires, health tells, and afterwards all is as before."""

import collections
import fcntl
import os
import pathlib
import re
import threading
import time

import harness
from harness import event_pb2, event_store_pb2, grpc

# As in service/base/limits.h.
QUEUE_BYTES_MAX = 192 << 20
APPEND_STREAMS_BYTES_MAX = 256 << 20
STALLING_DISK = harness.ROOT / "tests" / "integration" / "libstalling_disk.so"
if not STALLING_DISK.exists():
    STALLING_DISK = harness.BINARIES / "tests" / "integration" / "libstalling_disk.so"

LATE_SECONDS = 2


class SlowDiskTest(harness.DaemonTest):
    def setUp(self):
        super().setUp()
        self._stop_daemon_first()
        self.stall = pathlib.Path(self.directory, "stall")
        self.daemon = harness.Daemon(self.data, "--stall-ms", "1000",
                                     environment={"LD_PRELOAD": str(STALLING_DISK), "DAYBOOK_TEST_STALL": str(self.stall)})
        self.connect()
        self.reached = pathlib.Path(self.directory, "stall.reached")
        self.lock = None
        self.addCleanup(self.stall_end)

    def _stop_daemon_first(self):
        self.channel.close()
        self.assertEqual(0, self.daemon.stop())
        os.unlink(self.daemon.log.name)

    def submit(self, stream, timeout=harness.PATIENCE_SECONDS):
        write = event_store_pb2.Write(stream=stream, events=[event_pb2.Event(type="T")])
        return self.store.Append.future(event_store_pb2.AppendRequest(writes=[write]), timeout=timeout)

    def stall_begin(self):
        self.reached.unlink(missing_ok=True)
        self.lock = open(self.stall, "w", encoding="utf-8")
        fcntl.flock(self.lock, fcntl.LOCK_EX)

    def stall_end(self):
        if self.lock is not None:
            self.lock.close()

    def stall_with(self, stream):
        """Stalls the disk under an append; returns the call, which the sequencer has taken."""
        self.stall_begin()
        call = self.submit(stream)
        harness.wait_until(self.reached.exists, "the commit")
        return call

    def test_what_nobody_waits_for_is_not_written(self):
        self.append("before", "T")
        taken = self.stall_with("taken")
        queued_count = self.stats().queue_requests_count + 4
        late = [self.submit("late", timeout=LATE_SECONDS) for _ in range(3)]
        patient = self.submit("patient")
        harness.wait_until(lambda: self.stats().queue_requests_count >= queued_count, "the queue")
        arrived = time.monotonic()
        for call in late:
            self.assertEqual(grpc.StatusCode.DEADLINE_EXCEEDED, call.exception(harness.PATIENCE_SECONDS).code())
        # For the daemon their time began when they arrived, and gRPC rounds it up on the wire: to 2,010 ms.
        time.sleep(max(0, arrived + LATE_SECONDS * 1.25 - time.monotonic()))
        self.assertEqual(1, self.head(), "reads go on, and nothing is acknowledged")
        self.stall_end()
        taken.result(harness.PATIENCE_SECONDS)
        patient.result(harness.PATIENCE_SECONDS)
        self.assertEqual(["before", "taken", "patient"], [event[1] for event in self.read()])
        self.assertEqual(3, self.stats().queue_expired_count)

    def test_health_tells_of_a_long_stall_and_of_its_end(self):
        taken = self.stall_with("taken")
        harness.wait_until(lambda: "does not answer" in self.daemon.log_text(), "the stall to be noticed")
        harness.wait_until(lambda: self.health("readiness") == "NOT_SERVING", "readiness")
        self.assertEqual("NOT_SERVING", self.health())
        self.assertEqual("SERVING", self.health("liveness"))
        self.assertFalse(taken.done())
        self.stall_end()
        taken.result(harness.PATIENCE_SECONDS)
        harness.wait_until(lambda: self.health("readiness") == "SERVING", "readiness again")
        self.append("after", "T")
        self.assertEqual(["taken", "after"], [event[1] for event in self.read()])

    def anonymous_bytes(self):
        """Zero where it says nothing."""
        if harness.IS_SANITIZED:
            return 0
        status = pathlib.Path(f"/proc/{self.daemon.process.pid}/status").read_text(encoding="utf-8")
        return int(re.search(r"RssAnon:\s+(\d+) kB", status).group(1)) * 1024

    def test_what_a_full_queue_refuses_is_not_written_and_its_memory_comes_back(self):
        self.append("before", "T")
        taken = self.stall_with("taken")
        before = self.anonymous_bytes()
        text = "x" * 1000000
        calls = {}
        while not any(call.done() for call in calls.values()):
            stream = f"large-{len(calls)}"
            event = event_pb2.Event(type="T", text=text)
            write = event_store_pb2.Write(stream=stream, events=[event])
            calls[stream] = self.store.Append.future(event_store_pb2.AppendRequest(writes=[write]),
                                                     timeout=harness.PATIENCE_SECONDS)
            # Each is in the queue, or has its answer, before the next is made.
            harness.wait_until(lambda: calls[stream].done() or self.stats().queue_requests_count == len(calls), "the queue")
        refused = [stream for stream, call in calls.items() if call.done()]
        error = calls[refused[0]].exception()
        self.assertEqual(grpc.StatusCode.RESOURCE_EXHAUSTED, error.code(), error.details())
        self.assertEqual(50, harness.retry_delay_ms(error))
        self.assertEqual(len(calls) - 1, self.stats().queue_requests_count)
        self.assertEqual(1, self.stats().queue_rejected_count)
        # What waits, the one that is being written, and the call that asks.
        self.assertEqual(len(calls) + 1, self.stats().calls_open_count)
        self.assertGreater(self.stats().calls_open_bytes, (len(calls) - 1) * len(text))
        self.assertLess(self.anonymous_bytes() - before, QUEUE_BYTES_MAX + (64 << 20))
        self.stall_end()
        taken.result(harness.PATIENCE_SECONDS)
        for stream, call in calls.items():
            if stream not in refused:
                call.result(harness.PATIENCE_SECONDS)
        self.append("after", "T")
        self.assertEqual(len(calls) + 2, self.head(), "the refused one is not among them")
        self.assertEqual(0, self.stats().queue_requests_count)
        harness.wait_until(lambda: self.anonymous_bytes() - before < 48 << 20, "memory that comes back")

    def test_what_open_calls_have_no_room_for_is_refused_in_its_place(self):
        """Requests of AppendMany that wait for the disk hold no more than they may together."""
        taken = self.stall_with("taken")
        before = self.anonymous_bytes()
        text = "x" * 1000000
        calls = []

        def requests(number):
            for name, events_count in (("before", 1), ("large", 15), ("after", 1)):
                events = [event_pb2.Event(type="T", text=text if name == "large" else "") for _ in range(events_count)]
                yield event_store_pb2.AppendRequest(
                    writes=[event_store_pb2.Write(stream=f"{name}-{number}", events=events)])
        while self.stats().append_many_refused_count < 2:
            held_before = self.stats().append_many_bytes
            refused_before = self.stats().append_many_refused_count
            calls.append(self.store.AppendMany(requests(len(calls)), timeout=harness.PATIENCE_SECONDS))
            harness.wait_until(lambda: self.stats().append_many_bytes > held_before + 15 * len(text) or
                               self.stats().append_many_refused_count > refused_before, "the large one")
        self.assertLess(self.stats().append_many_bytes, APPEND_STREAMS_BYTES_MAX)
        self.assertLess(self.anonymous_bytes() - before, APPEND_STREAMS_BYTES_MAX + (128 << 20))
        self.stall_end()
        taken.result(harness.PATIENCE_SECONDS)
        written = ["taken"]
        for number, call in enumerate(calls):
            first, large, last = [outcome for response in call for outcome in response.outcomes]
            self.assertEqual(("appended", "appended"), (first.WhichOneof("outcome"), last.WhichOneof("outcome")))
            written += [f"before-{number}", f"after-{number}"]
            if large.WhichOneof("outcome") == "appended":
                written += [f"large-{number}"] * 15
                continue
            self.assertEqual((grpc.StatusCode.RESOURCE_EXHAUSTED.value[0], "QUEUE_FULL"),
                             (large.error.code, large.error.info.reason), large)
            self.assertEqual(50, large.error.retry.retry_delay.ToMilliseconds())
        self.assertEqual(len(calls) * 17 + 1 - 2 * 15, len(written), "two were refused")
        self.assertEqual(collections.Counter(written), collections.Counter(event[1] for event in self.read()))
        harness.wait_until(lambda: self.stats().append_many_bytes == 0, "nothing to be held any more")
        harness.wait_until(lambda: self.anonymous_bytes() - before < 48 << 20, "memory that comes back")

    def test_what_expires_while_the_disk_stalls_is_wholly_there_or_not_at_all(self):
        calls = {}
        for round_number in range(4):
            self.stall_with(f"taken-{round_number}")
            for number in range(20):
                stream = f"stream-{round_number}-{number}"
                write = event_store_pb2.Write(stream=stream, events=[event_pb2.Event(type="T") for _ in range(3)])
                calls[stream] = self.store.Append.future(event_store_pb2.AppendRequest(writes=[write]),
                                                         timeout=0.3 if number % 2 else harness.PATIENCE_SECONDS)
            for number in range(1, 20, 2):
                calls[f"stream-{round_number}-{number}"].exception(harness.PATIENCE_SECONDS)
            self.stall_end()
            for call in calls.values():
                call.exception(harness.PATIENCE_SECONDS)
        self.append("last", "T")
        written = collections.Counter()
        for event in self.read():
            written[event[1]] += 1
        for number, (stream, call) in enumerate(calls.items()):
            error = call.exception()
            if error is None:
                self.assertEqual(3, written[stream], stream)
                continue
            self.assertEqual(1, number % 2, stream)
            self.assertEqual(grpc.StatusCode.DEADLINE_EXCEEDED, error.code(), error.details())
            self.assertIn(written[stream], (0, 3), stream)

    def test_many_short_stalls_lose_and_repeat_nothing(self):
        stop = threading.Event()
        done = {}

        def write(number):
            count = 0
            while not stop.is_set():
                done[(number, count)] = self.append(f"writer-{number}", "T").results[0].first_position
                count += 1

        writers = [threading.Thread(target=write, args=(number,)) for number in range(4)]
        for writer in writers:
            writer.start()
        for _ in range(5):
            self.stall_begin()
            harness.wait_until(self.reached.exists, "a commit that waits")
            before = len(done)
            self.stall_end()
            harness.wait_until(lambda: len(done) > before + 20, "writers that go on")
        stop.set()
        for writer in writers:
            writer.join(harness.PATIENCE_SECONDS)
        places = {event[0]: event[1] for event in self.read()}
        self.assertEqual(sorted(done.values()), sorted(places))
        for (number, _), position in done.items():
            self.assertEqual(f"writer-{number}", places[position])


if __name__ == "__main__":
    harness.main()
