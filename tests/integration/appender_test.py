"""The SDK's appender against daemons that are killed and stopped under it: each append once, in order, and acknowledged so."""

import subprocess

import harness
from harness import event_store_pb2

APPENDING = harness.BINARIES / "tests" / "integration" / "appending"
THREADS_COUNT = 3
# More than the appender and the pipe of its ledger hold together: the last restart finds it at work.
EVENTS_BETWEEN_RESTARTS = 3000
RESTARTS_COUNT = 6


class AppenderTest(harness.DaemonTest):
    def log(self):
        """What is in the log: {(stream, number): (position, revision)}, asserting that nothing is there twice."""
        found = {}
        for response in self.store.Read(event_store_pb2.ReadRequest(), timeout=harness.PATIENCE_SECONDS):
            for recorded in response.events:
                key = (recorded.stream, int(recorded.event.text))
                self.assertNotIn(key, found, "appended twice")
                found[key] = (recorded.position, recorded.revision)
        return found

    def test_each_append_is_there_once_in_order_through_kills_and_stops(self):
        count = EVENTS_BETWEEN_RESTARTS * (RESTARTS_COUNT + 2) // THREADS_COUNT
        process = subprocess.Popen([APPENDING, self.daemon.address, str(count)], stdin=subprocess.DEVNULL,
                                   stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        self.addCleanup(process.stderr.close)
        self.addCleanup(process.stdout.close)
        self.addCleanup(process.wait)
        self.addCleanup(process.kill)
        ledger = {}
        resent = replayed = 0
        for line in process.stdout:
            stream, *numbers = line.split()
            number, position, revision, attempts, is_replayed = map(int, numbers)
            self.assertNotIn((stream, number), ledger, "acknowledged twice")
            ledger[stream, number] = (position, revision)
            resent += attempts > 1
            replayed += is_replayed
            restarts_count, rest = divmod(len(ledger), EVENTS_BETWEEN_RESTARTS)
            if rest == 0 and restarts_count <= RESTARTS_COUNT:
                self.restart(kill=restarts_count % 3 > 0, port=self.daemon.port)  # the appender looks for it there
        self.assertEqual(0, process.wait(harness.PATIENCE_SECONDS), process.stderr.read())
        print(f"{len(ledger)} appends, {resent} of them sent again, {replayed} found committed", flush=True)
        self.assertGreater(resent, 0, "no restart was in anybody's way")
        self.assertEqual({(f"thread-{thread}", number) for thread in range(THREADS_COUNT) for number in range(1, count + 1)},
                         set(ledger))
        self.assertEqual(ledger, self.log())
        for (stream, number), (_, revision) in ledger.items():
            self.assertEqual(number, revision, f"{stream} is out of order")


if __name__ == "__main__":
    harness.main()
