"""HTTP/2 that nobody should speak, by h2spec: the daemon fails in no case in which gRPC's core alone does not fail, too, and
serves afterwards as before.

The cases in which the core fails are in h2spec_baseline.txt, which `tests/support/python.sh tests/http2/h2spec_test.py --measure`
prints anew.
"""

import os
import pathlib
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parent.parent / "integration"))
import h2spec  # noqa: E402
import harness  # noqa: E402
from harness import event_store_pb2  # noqa: E402

H2SPEC = harness.TOOLS / "bin" / "h2spec"
BARE_SERVER = harness.BINARIES / "tests" / "http2" / "bare_server"
BASELINE = harness.ROOT / "tests" / "http2" / "h2spec_baseline.txt"
# What fails for want of time on a busy machine does not fail again with so much of it.
TIMEOUT_SECONDS = 5


def failures(port):
    """The cases that fail."""
    outcomes = h2spec.run_all(H2SPEC, port)
    return {case for case, passed in outcomes.items() if passed is False}


def baseline():
    return set(BASELINE.read_text(encoding="utf-8").splitlines())


class BareServer:
    def __enter__(self):
        self.process = subprocess.Popen([BARE_SERVER], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True,
                                        stderr=subprocess.DEVNULL)
        return int(self.process.stdout.readline())

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()
        self.process.stdout.close()


class H2specTest(harness.DaemonTest):
    def descriptors_count(self):
        return len(os.listdir(f"/proc/{self.daemon.process.pid}/fd"))

    def test_the_daemon_fails_where_the_library_does_and_serves_on(self):
        self.append("before", "T")
        before = self.descriptors_count()
        # One that looks on, by a connection of its own, sees every event and no end.
        watching = self.store.Subscribe(event_store_pb2.SubscribeRequest())
        first = next(watching)
        unexpected = failures(self.daemon.port) - baseline()
        if unexpected:
            again = h2spec.run_all(H2SPEC, self.daemon.port, TIMEOUT_SECONDS)
            unexpected = {case for case in unexpected if again[case] is False}
        self.assertEqual(set(), unexpected)
        self.assertIsNone(self.daemon.process.poll(), self.daemon.log_text())
        self.append("after", "T")
        seen = [event.stream for event in first.events]
        for response in watching:
            seen += [event.stream for event in response.events]
            if len(seen) == 2:
                break
        self.assertEqual(["before", "after"], seen)
        watching.cancel()
        self.assertEqual([(1, "before", 1, "T"), (2, "after", 1, "T")], self.read())
        self.assertEqual("SERVING", self.health("readiness"))
        harness.wait_until(lambda: self.descriptors_count() <= before, f"{before} descriptors, as before")
        harness.wait_until(lambda: self.stats().subscriptions_count == 0, "no subscription")

    def test_the_baseline_is_the_librarys(self):
        """No case is in it in which the library alone does well."""
        with BareServer() as port:
            self.assertEqual(set(), baseline() - failures(port))


def main():
    if sys.argv[1:] != ["--measure"]:
        harness.main()
        return
    with BareServer() as port:
        print("\n".join(sorted(failures(port))))


if __name__ == "__main__":
    main()
