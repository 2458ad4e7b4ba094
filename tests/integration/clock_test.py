"""The wall clock is set back by an hour and forth by a day while the daemon serves, and between two of its runs. Positions and
times of events go on, and so does everything that waits: calls, deadlines, subscriptions, keep-alive."""

import os
import pathlib
import socket
import struct
import subprocess
import time

import harness
from harness import event_pb2, event_store_pb2

CLOCK_FAULTS = harness.ROOT / "tests" / "torture" / "clock_faults.so"
if not CLOCK_FAULTS.exists():
    CLOCK_FAULTS = harness.BINARIES / "tests" / "torture" / "clock_faults.so"
HOUR_MS, DAY_MS = 3600 * 1000, 24 * 3600 * 1000
PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\4\0\0\0\0\0"
# Twice a second and what a busy machine needs more; with a clock that is set back it would be an hour.
CLOSED_SECONDS_MAX = 30


class Clock:
    """The wall clock of the programs that get its variables."""

    def __init__(self, directory):
        self.file = pathlib.Path(directory, "clock")
        self.file.write_bytes(struct.pack("=q", 0))
        self.variables = {"LD_PRELOAD": str(CLOCK_FAULTS), "DAYBOOK_CLOCK_FILE": str(self.file)}

    def shift(self, milliseconds):
        with open(self.file, "r+b") as file:
            file.write(struct.pack("=q", milliseconds))


class ClockTest(harness.DaemonTest):
    def setUp(self):
        super().setUp()
        self.clock = Clock(self.directory)
        self.start_anew()

    def start_anew(self):
        self.channel.close()
        self.assertEqual(0, self.daemon.stop())
        os.unlink(self.daemon.log.name)
        self.daemon = harness.Daemon(self.data, "--keepalive-ms=1000", "--keepalive-timeout-ms=1000",
                                     "--retention-interval-ms=100", environment=self.clock.variables)
        self.connect()

    def recorded(self, **fields):
        """Nanoseconds since 1970 of all events."""
        return [event.recorded_at.ToNanoseconds()
                for response in self.store.Read(event_store_pb2.ReadRequest(**fields), timeout=harness.PATIENCE_SECONDS)
                for event in response.events]

    def test_events_go_on(self):
        watching = self.store.Subscribe(event_store_pb2.SubscribeRequest(heartbeat_ms=100))
        seen, expected = [], []
        for shift in (0, -HOUR_MS, DAY_MS, -DAY_MS, 0):
            self.clock.shift(shift)
            for _ in range(3):
                expected.append(self.append("s", "T").results[0].last_position)
            # A heartbeat, which comes after a silence by the daemon's own clock, as well as the events.
            has_heartbeat = False
            while len(seen) < len(expected) or not has_heartbeat:
                response = next(watching)
                seen += [event.position for event in response.events]
                has_heartbeat = has_heartbeat or not response.events
        watching.cancel()
        self.assertEqual(list(range(1, 16)), expected)
        self.assertEqual(expected, seen)
        times = self.recorded()
        self.assertEqual(sorted(times), times)
        self.assertEqual(len(set(times)), len(times))
        # A day ahead for a moment: later events follow it until the clock is there, and say so.
        self.assertGreater(times[-1], time.time_ns() + (DAY_MS - HOUR_MS) * 1000000)

    def test_a_start_in_the_past(self):
        self.append("s", "Before")
        before = self.recorded()
        self.clock.shift(-30 * DAY_MS)
        self.start_anew()
        self.append("s", "After")
        times = self.recorded()
        self.assertEqual(before, times[:1])
        self.assertGreater(times[1], times[0])
        self.assertLess(times[1] - times[0], 1000)
        self.assertEqual([(1, "s", 1, "Before"), (2, "s", 2, "After")], self.read())

    def silent_connection_closes(self):
        """Whether one that answers no ping is closed, as documented."""
        with socket.create_connection(("127.0.0.1", self.daemon.port)) as connection:
            connection.sendall(PREFACE)
            connection.settimeout(CLOSED_SECONDS_MAX)
            self.assertNotEqual(b"", connection.recv(1))
            yield
            try:
                while connection.recv(4096):
                    pass
            except ConnectionError:
                pass

    def test_keep_alive_goes_on(self):
        for shift in (-HOUR_MS, DAY_MS, 0):
            closing = self.silent_connection_closes()
            next(closing)
            self.clock.shift(shift)
            self.assertIsNone(next(closing, None))

    def test_no_deadline_comes_early(self):
        """Calls that are open when the clock goes forth by a day."""
        calls = [self.store.Append.future(event_store_pb2.AppendRequest(writes=[event_store_pb2.Write(
            stream=f"s{number}", events=[event_pb2.Event(type="T", text="x" * 100000)])]), timeout=harness.PATIENCE_SECONDS)
            for number in range(64)]
        self.clock.shift(DAY_MS)
        self.assertEqual(64, len({call.result().results[0].last_position for call in calls}))
        self.assertEqual(0, self.stats().queue_expired_count)

    def test_no_deadline_comes_late(self):
        """The command waits for a server that says nothing, and its own clock is set back meanwhile."""
        with socket.create_server(("127.0.0.1", 0)) as listener:
            command = subprocess.Popen([harness.DAYBOOK, "head", "--timeout-ms=2000", "--server",
                                        f"127.0.0.1:{listener.getsockname()[1]}"], stdin=subprocess.DEVNULL,
                                       stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
                                       env={**os.environ, **self.clock.variables})
            self.addCleanup(command.stderr.close)
            self.addCleanup(command.wait)
            self.addCleanup(command.kill)
            with listener.accept()[0]:
                self.clock.shift(-HOUR_MS)
                self.assertEqual(69, command.wait(CLOSED_SECONDS_MAX))

    def test_the_age_of_events_is_by_the_wall_clock(self):
        """What is too old by it is hidden at once, and what was taken away by then does not come back with the clock."""
        self.append("s", "Old")
        self.store.UpdateStreamSettings(event_store_pb2.UpdateStreamSettingsRequest(
            stream="s", settings=event_store_pb2.StreamSettings(max_age_seconds=3600)), timeout=harness.PATIENCE_SECONDS)
        self.clock.shift(-HOUR_MS)
        self.assertEqual(["Old"], [name for *_, name in self.read(stream="s")])
        self.clock.shift(DAY_MS)
        self.assertEqual([], self.read(stream="s"))
        harness.wait_until(lambda: self.stats().events_removed_count == 1, "the retention")
        self.clock.shift(0)
        self.assertEqual([], self.read(stream="s"))
        self.append("s", "New")
        self.assertEqual([(2, "New")], [(revision, name) for _, _, revision, name in self.read(stream="s")])


if __name__ == "__main__":
    harness.main()
