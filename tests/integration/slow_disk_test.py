"""A disk that does not answer for a while: what waits is written or expires, health tells, and afterwards all is as before."""

import fcntl
import os
import pathlib
import threading
import time

import harness
from harness import event_pb2, event_store_pb2, grpc

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
        late = [self.submit("late", timeout=LATE_SECONDS) for _ in range(3)]
        patient = self.submit("patient")
        harness.wait_until(lambda: self.stats().queue_requests_count >= 4, "the queue")
        arrived = time.monotonic()
        for call in late:
            self.assertEqual(grpc.StatusCode.DEADLINE_EXCEEDED, call.exception(harness.PATIENCE_SECONDS).code())
        # For the daemon their time began when they arrived.
        time.sleep(max(0, arrived + LATE_SECONDS - time.monotonic()))
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
