"""Starts the real daemon for a test and speaks to it with Python stubs generated from our protos.

Binaries and protos are found in Bazel's runfiles, or in the checkout and its bazel-bin; the tools by DAYBOOK_TOOLS.
"""

import atexit
import json
import os
import pathlib
import random
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import unittest

if "TEST_SRCDIR" in os.environ:
    ROOT = BINARIES = pathlib.Path(os.environ["TEST_SRCDIR"]) / "daybook"
else:
    ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
    BINARIES = ROOT / "bazel-bin"
TOOLS = pathlib.Path(os.environ["DAYBOOK_TOOLS"])
DAYBOOKD = BINARIES / "service" / "daybookd"
DAYBOOK = BINARIES / "sdk" / "cli" / "daybook"
GRPCURL = TOOLS / "bin" / "grpcurl"
# Long enough for a machine that does many other things; a test that waits so long has failed.
PATIENCE_SECONDS = 60


# What a sanitizer finds, in whatever process of a test, is in a file of its own here, and the test fails.
_REPORTS = pathlib.Path(tempfile.mkdtemp(prefix="daybook-reports-"))
atexit.register(shutil.rmtree, _REPORTS, ignore_errors=True)
_SANITIZER_OPTIONS = {
    # A preloaded library comes before the runtime.
    "ASAN_OPTIONS": "verify_asan_link_order=0",
    "UBSAN_OPTIONS": "print_stacktrace=1",
    # What OpenSSL keeps for a thread of gRPC that still ends while the process exits. Of its stacks only the first frame is known,
    # because the system's library has no frame pointers; suppress_by_name has whole ones.
    "LSAN_OPTIONS": f"print_suppressions=0:suppressions={_REPORTS}/suppressions",
    # As in .bazelrc: what gRPC's threads do among themselves would look like races without its atomics in sight.
    "TSAN_OPTIONS": "ignore_noninstrumented_modules=1:second_deadlock_stack=1",
}
(_REPORTS / "suppressions").write_text("leak:libcrypto.so\n", encoding="utf-8")
for _name, _value in _SANITIZER_OPTIONS.items():
    os.environ[_name] = ":".join(filter(None, (os.environ.get(_name), _value, f"log_path={_REPORTS}/report")))


# Such a daemon keeps what it has freed, so its memory says nothing.
IS_SANITIZED = any(name in DAYBOOKD.read_bytes() for name in (b"libasan.so", b"libtsan.so"))


def faults_are_the_daemons(test):
    """For a test of damaged files: until its end faults of the daemon's are its own to handle, as in every other build, and no
    findings of a sanitizer's."""
    for name in ("ASAN_OPTIONS", "TSAN_OPTIONS"):
        test.addCleanup(os.environ.__setitem__, name, os.environ[name])
        os.environ[name] += ":handle_segv=0:handle_sigbus=0"


def suppress_by_name():
    """For a test of OpenSSL's own memory: slow, whole stacks, and left out is only what the library makes once for each thread."""
    os.environ["ASAN_OPTIONS"] += ":fast_unwind_on_malloc=0"
    (_REPORTS / "suppressions").write_text("leak:RAND_get0_public\nleak:RAND_get0_private\nleak:ERR_\n", encoding="utf-8")


def sanitizer_reports():
    """What sanitizers have found since the last call."""
    texts = []
    for path in sorted(_REPORTS.glob("report*")):
        texts.append(path.read_text(encoding="utf-8", errors="replace"))
        path.unlink()
    return texts


def _generate_stubs():
    from grpc_tools import protoc
    import grpc_tools

    out = tempfile.mkdtemp(prefix="daybook-stubs-")
    protos = ROOT / "protos"
    names = ["daybook/v1/admin.proto", "daybook/v1/event.proto", "daybook/v1/event_store.proto"]
    well_known = pathlib.Path(grpc_tools.__file__).parent / "_proto"
    code = protoc.main(["protoc", f"-I{protos}", f"-I{well_known}", f"--python_out={out}", f"--grpc_python_out={out}"]
                       + names)
    if code != 0:
        raise RuntimeError("the protos do not compile for Python")
    sys.path.insert(0, out)
    atexit.register(shutil.rmtree, out, ignore_errors=True)
    return out


_generate_stubs()
import grpc  # noqa: E402
from daybook.v1 import admin_pb2, admin_pb2_grpc, event_pb2, event_store_pb2, event_store_pb2_grpc  # noqa: E402
from google.rpc import error_details_pb2, status_pb2  # noqa: E402


def wait_until(condition, what):
    """Returns the condition's first true value; fails after PATIENCE_SECONDS."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < deadline:
        value = condition()
        if value:
            return value
        time.sleep(0.01)
    raise AssertionError(f"waited in vain for {what}")


def seeded(name):
    """Random numbers that DAYBOOK_TEST_SEED replays."""
    seed = int(os.environ.get("DAYBOOK_TEST_SEED", random.SystemRandom().getrandbits(32)))
    print(f"{name}: seed {seed} (DAYBOOK_TEST_SEED)", flush=True)
    return random.Random(seed)


def retry_delay_ms(error):
    """The delay of a call's RetryInfo; None without one."""
    for key, value in error.trailing_metadata() or ():
        if key != "grpc-status-details-bin":
            continue
        for detail in status_pb2.Status.FromString(value).details:
            if detail.type_url.endswith("google.rpc.RetryInfo"):
                return error_details_pb2.RetryInfo.FromString(detail.value).retry_delay.ToMilliseconds()
    return None


class Daemon:
    """A daybookd of the test's own, on a free port; with descriptors_max, with so few of them; `prefix` is a command that starts
    another. One that may end is on a port that the test has chosen, and may be killed before it says that it serves."""

    def __init__(self, data, *flags, port=0, binary=DAYBOOKD, environment=None, descriptors_max=None, prefix=(), may_end=False):
        self.data = data
        self.port_when_ended = port if may_end else None
        self.log = tempfile.NamedTemporaryFile(mode="w+", prefix="daybookd-", suffix=".log", delete=False)
        limits = [] if descriptors_max is None else ["prlimit", f"--nofile={descriptors_max}:{descriptors_max}"]
        self.process = subprocess.Popen(
            [*prefix, *limits, binary, "--data", data, "--listen", f"127.0.0.1:{port}", *flags],
            stdin=subprocess.DEVNULL, stderr=self.log, env={**os.environ, **(environment or {})})
        self.port = int(wait_until(self._port_found, "the daemon's port"))
        self.address = f"127.0.0.1:{self.port}"

    def _port_found(self):
        text = self.log_text()
        found = re.search(r"serving port=(\d+)", text)
        if found:
            return found.group(1)
        if self.process.poll() is not None:
            if self.port_when_ended is not None:
                return self.port_when_ended
            raise AssertionError(f"daybookd ended with {self.process.returncode}: {text}")
        return None

    def log_text(self):
        with open(self.log.name, encoding="utf-8") as file:
            return file.read()

    def kill(self):
        self.process.kill()
        self.process.wait(PATIENCE_SECONDS)

    def stop(self):
        """SIGTERM; returns the exit code."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        return self.process.wait(PATIENCE_SECONDS)


class DaemonTest(unittest.TestCase):
    """A test with a daemon on an empty directory, a channel and a stub."""

    FLAGS = ()

    def setUp(self):
        self.addCleanup(lambda: self.assertEqual("", "\n".join(sanitizer_reports())))
        self.directory = tempfile.mkdtemp(prefix="daybook-test-")
        self.addCleanup(shutil.rmtree, self.directory, ignore_errors=True)
        self.data = os.path.join(self.directory, "data")
        self.daemon = Daemon(self.data, *self.FLAGS)
        self.addCleanup(self._stop_daemon)
        self.connect()

    def _stop_daemon(self):
        self.channel.close()
        if self.daemon.process.poll() is None:
            self.daemon.kill()
        os.unlink(self.daemon.log.name)

    def connect(self):
        options = [("grpc.max_receive_message_length", -1), ("grpc.initial_reconnect_backoff_ms", 100)]
        self.channel = grpc.insecure_channel(self.daemon.address, options=options)
        self.store = event_store_pb2_grpc.EventStoreStub(self.channel)
        self.admin = admin_pb2_grpc.AdminStub(self.channel)

    def restart(self, kill=False, port=0):
        self.channel.close()
        if kill:
            self.daemon.kill()
        else:
            self.assertEqual(0, self.daemon.stop())
        os.unlink(self.daemon.log.name)
        self.daemon = Daemon(self.data, *self.FLAGS, port=port)
        self.connect()

    def append(self, stream, *types, **expectation):
        events = [event_pb2.Event(type=name, text=json.dumps({"n": index})) for index, name in enumerate(types)]
        write = event_store_pb2.Write(stream=stream, events=events, **expectation)
        return self.store.Append(event_store_pb2.AppendRequest(writes=[write]), timeout=PATIENCE_SECONDS)

    def read(self, **fields):
        """All events of a read, as (position, stream, revision, type)."""
        events = []
        for response in self.store.Read(event_store_pb2.ReadRequest(**fields), timeout=PATIENCE_SECONDS):
            events += response.events
        return [(event.position, event.stream, event.revision, event.event.type) for event in events]

    def head(self):
        return self.store.Head(event_store_pb2.HeadRequest(), timeout=PATIENCE_SECONDS).head

    def health(self, service=""):
        """What grpc.health.v1 answers: SERVING, NOT_SERVING or a number."""
        check = self.channel.unary_unary("/grpc.health.v1.Health/Check")
        answer = check(bytes([0x0a, len(service)]) + service.encode(), timeout=PATIENCE_SECONDS)
        return {b"\x08\x01": "SERVING", b"\x08\x02": "NOT_SERVING"}.get(answer, answer)

    def stats(self):
        return self.admin.GetStats(admin_pb2.GetStatsRequest(), timeout=PATIENCE_SECONDS)

    def assert_refused(self, code, reason, call):
        """Runs a call that must fail, and returns (error, {detail type: message})."""
        with self.assertRaises(grpc.RpcError) as caught:
            result = call()
            if hasattr(result, "__iter__"):
                list(result)
        error = caught.exception
        self.assertEqual(code, error.code(), error.details())
        details = {}
        for key, value in error.trailing_metadata() or ():
            if key == "grpc-status-details-bin":
                for detail in status_pb2.Status.FromString(value).details:
                    details[detail.type_url.split("/")[-1]] = detail.value
        if reason is not None:
            info = error_details_pb2.ErrorInfo.FromString(details["google.rpc.ErrorInfo"])
            self.assertEqual((reason, "daybook"), (info.reason, info.domain))
        return error, details

    def violations(self, details):
        bad = error_details_pb2.BadRequest.FromString(details["google.rpc.BadRequest"])
        return {violation.field: violation.description for violation in bad.field_violations}


def run(command, **options):
    return subprocess.run([str(part) for part in command], stdin=subprocess.DEVNULL, capture_output=True, text=True,
                          timeout=PATIENCE_SECONDS, check=False, **options)


def main():
    done = unittest.main(verbosity=2, exit=False).result.wasSuccessful()
    reports = sanitizer_reports()
    print("\n".join(reports), file=sys.stderr, end="")
    sys.exit(0 if done and not reports else 1)
