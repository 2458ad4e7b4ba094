"""The daemon as a process: settings, exit codes and one-line messages, signals, kill -9."""

import os
import pathlib
import shutil
import signal
import socket
import subprocess
import tempfile
import unittest

import harness


class StartTest(unittest.TestCase):
    def setUp(self):
        self.directory = tempfile.mkdtemp(prefix="daybook-test-")
        self.addCleanup(shutil.rmtree, self.directory, ignore_errors=True)
        self.data = os.path.join(self.directory, "data")

    def refuse(self, code, words, *flags, data=None, env=None):
        result = harness.run([harness.DAYBOOKD, "--data", data or self.data, "--listen", "127.0.0.1:0", *flags],
                             env={**os.environ, **(env or {})})
        self.assertEqual(code, result.returncode, result.stderr)
        message = [line for line in result.stderr.splitlines() if line.startswith("daybookd: ")]
        self.assertEqual(1, len(message), result.stderr)
        for word in words:
            self.assertIn(word, message[0])

    def test_wrong_settings(self):
        self.refuse(64, ["--log-level", "loud", "debug, info, warn or error"], "--log-level", "loud")
        self.refuse(64, ["--event-bytes-max", "12", "1024"], "--event-bytes-max", "12")
        self.refuse(64, ["--drain-ms", "-1"], "--drain-ms=-1")
        self.refuse(64, ["DAYBOOK_DRAIN_MS", "soon"], env={"DAYBOOK_DRAIN_MS": "soon"})
        self.refuse(64, ["extra"], "extra")
        self.assertFalse(os.path.exists(self.data))

    def test_flags_win_over_variables(self):
        os.environ["DAYBOOK_DRAIN_MS"] = "1234"
        self.addCleanup(os.environ.pop, "DAYBOOK_DRAIN_MS")
        daemon = harness.Daemon(self.data, "--event-bytes-max", "2048")
        self.addCleanup(os.unlink, daemon.log.name)
        self.assertEqual(0, daemon.stop())
        self.assertIn("drain_ms=1234", daemon.log_text())
        self.assertIn("event_bytes_max=2048", daemon.log_text())

    def test_a_second_daemon_on_the_directory(self):
        first = harness.Daemon(self.data)
        self.addCleanup(os.unlink, first.log.name)
        self.addCleanup(first.stop)
        self.refuse(75, [self.data])
        self.assertIsNone(first.process.poll())

    def test_a_busy_port(self):
        with socket.socket() as busy:
            busy.bind(("127.0.0.1", 0))
            busy.listen()
            address = f"127.0.0.1:{busy.getsockname()[1]}"
            self.refuse(69, [address], "--listen", address)

    def test_a_file_in_the_place_of_the_directory(self):
        pathlib.Path(self.data).write_text("not a directory")
        self.refuse(73, [self.data])

    def test_an_unwritable_directory(self):
        self.refuse(73, ["/proc/daybook"], data="/proc/daybook")

    def test_a_newer_format_is_not_touched(self):
        daemon = harness.Daemon(self.data)
        self.addCleanup(os.unlink, daemon.log.name)
        daemon.stop()
        path = pathlib.Path(self.data, "FORMAT")
        path.write_text(path.read_text().replace("store 1", "store 99"))
        before = {file: (file.stat().st_mtime_ns, file.read_bytes())
                  for file in pathlib.Path(self.data, "log").iterdir()}
        self.refuse(65, ["99"])
        self.assertEqual(before, {file: (file.stat().st_mtime_ns, file.read_bytes())
                                  for file in pathlib.Path(self.data, "log").iterdir()})

    def test_a_foreign_directory(self):
        os.mkdir(self.data)
        pathlib.Path(self.data, "precious.txt").write_text("mine")
        self.refuse(65, [self.data])
        self.assertEqual(["precious.txt"], os.listdir(self.data))

    def test_a_log_that_was_cut_off(self):
        daemon = harness.Daemon(self.data)
        self.addCleanup(os.unlink, daemon.log.name)
        daemon.stop()
        os.truncate(pathlib.Path(self.data, "log", "data.mdb"), 9000)
        self.refuse(65, ["data.mdb"])


class SignalTest(harness.DaemonTest):
    def test_both_signals_stop_it_well(self):
        for number in (signal.SIGTERM, signal.SIGINT):
            self.append("s", "T")
            self.daemon.process.send_signal(number)
            self.assertEqual(0, self.daemon.process.wait(harness.PATIENCE_SECONDS))
            self.restart()
        self.assertEqual(2, self.head())

    def test_a_second_signal_ends_it_at_once(self):
        # A subscription that its client does not read cannot be finished within the grace.
        call = self.store.Subscribe(harness.event_store_pb2.SubscribeRequest())
        next(call)
        events = [harness.event_pb2.Event(type="T", text="x" * 60000) for _ in range(100)]
        for _ in range(5):
            self.store.Append(harness.event_store_pb2.AppendRequest(
                writes=[harness.event_store_pb2.Write(stream="s", events=events)]))
        self.daemon.process.send_signal(signal.SIGTERM)
        harness.wait_until(lambda: "draining" in self.daemon.log_text(), "the drain")
        self.daemon.process.send_signal(signal.SIGTERM)
        self.assertIn(self.daemon.process.wait(10), (0, -signal.SIGTERM))

    def test_kill_loses_nothing(self):
        for round_number in range(1, 6):
            self.append("s", "A", "B")
            self.restart(kill=True)
            self.assertEqual(2 * round_number, self.head())
        self.assertEqual(list(range(1, 11)), [event[2] for event in self.read(stream="s")])


if __name__ == "__main__":
    harness.main()
