"""The daemon under attack, with the well-behaved client beside it, and what is measured of both.

The memory that counts is anonymous (RssAnon): what the daemon has allocated, without the pages of its files that the kernel
keeps in memory for as long as nobody else needs them. It is looked at every few milliseconds, so a shorter peak can escape.
"""

import json
import os
import pathlib
import subprocess
import sys
import threading
import time

sys.path.insert(0, str(pathlib.Path(__file__).parent.parent / "integration"))
import harness  # noqa: E402
from harness import admin_pb2, admin_pb2_grpc, event_pb2, event_store_pb2, event_store_pb2_grpc, grpc  # noqa: E402

SAMPLE_SECONDS = 0.004
# Two looks at the memory of a daemon at rest, so far apart, differ by less than this.
STEADY_SECONDS = 0.5
STEADY_MIB = 0.5
RECOVERY_SECONDS_MAX = 60
# What may stay behind an attack: pages that the allocator cannot give back because something small is still on them, names
# and index entries of what was appended meanwhile. The most of it are gRPC's objects of descriptors, which are used again and
# never freed: of a connection that says nothing one keeps two pages, of 4,000 such connections 29 MiB, also of the next 4,000.
RECOVERED_MIB = 40
RECOVERED_DESCRIPTORS = 4
RECOVERED_THREADS = 2


class Sample:
    """The daemon at this moment."""

    def __init__(self, pid):
        with open(f"/proc/{pid}/status", encoding="ascii") as file:
            status = dict(line.split(":", 1) for line in file if ":" in line)
        self.memory_mib = int(status["RssAnon"].split()[0]) / 1024
        self.threads_count = int(status["Threads"])
        self.descriptors_count = len(os.listdir(f"/proc/{pid}/fd"))
        with open(f"/proc/{pid}/stat", encoding="ascii") as file:
            fields = file.read().rsplit(")", 1)[1].split()
        self.processor_seconds = (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


class PeakMemory(threading.Thread):
    """The most anonymous memory of a process from start to finish."""

    def __init__(self, pid):
        super().__init__(daemon=True)
        self.pid = pid
        self.finished = threading.Event()
        self.peak_mib = 0.0

    def run(self):
        with open(f"/proc/{self.pid}/status", "rb", buffering=0) as file:
            while not self.finished.wait(SAMPLE_SECONDS):
                file.seek(0)
                status = file.read(4096)
                at = status.find(b"RssAnon:")
                if at < 0:
                    return
                self.peak_mib = max(self.peak_mib, int(status[at + 8:].split(maxsplit=1)[0]) / 1024)

    def finish(self):
        self.finished.set()
        self.join()
        return self.peak_mib


class Bystander:
    """See bystander.py."""

    def __init__(self, address):
        self.process = subprocess.Popen([sys.executable, pathlib.Path(__file__).parent / "bystander.py", address],
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        warm_up = self._answer()
        if warm_up["errors"]:
            raise AssertionError(f"before any attack: {warm_up['errors']}")

    def _answer(self):
        line = self.process.stdout.readline()
        if not line:
            raise AssertionError("the well-behaved client has ended")
        return json.loads(line)

    def ask(self, command):
        self.process.stdin.write(command + "\n")
        self.process.stdin.flush()
        return self._answer()

    def go_on(self, calls_count):
        """Waits until so many more calls were well, or one was not."""
        before = self.ask("count")["calls_count"]

        def has_gone_on():
            now = self.ask("count")
            return now["errors"] or now["calls_count"] >= before + calls_count
        harness.wait_until(has_gone_on, "calls of the well-behaved client")

    def stop(self):
        self.process.stdin.close()
        self.process.stdout.close()
        self.process.kill()
        self.process.wait()


class Target:
    """A daemon with a well-behaved client. `is_short`: attacks do a part of what they can."""

    def __init__(self, data, is_short, *flags, **options):
        self.is_short = is_short
        self.daemon = harness.Daemon(data, *flags, **options)
        self.port = self.daemon.port
        self.pid = self.daemon.process.pid
        self.bystander = Bystander(self.daemon.address)
        self.channel = self.connect()
        self.store = event_store_pb2_grpc.EventStoreStub(self.channel)
        self.admin = admin_pb2_grpc.AdminStub(self.channel)

    def close(self):
        """Returns the daemon's exit code."""
        self.channel.close()
        self.bystander.stop()
        code = self.daemon.stop()
        os.unlink(self.daemon.log.name)
        return code

    def connect(self):
        return grpc.insecure_channel(self.daemon.address, options=[("grpc.use_local_subchannel_pool", 1),
                                                                   ("grpc.max_receive_message_length", -1)])

    def scale(self, full, short):
        return short if self.is_short else full

    def sample(self):
        return Sample(self.pid)

    def peak_memory(self):
        """Looks at the memory from now on."""
        peak = PeakMemory(self.pid)
        peak.start()
        return peak

    def daemon_stays_alive(self, seconds):
        """Fails when it ends in that time."""
        try:
            code = self.daemon.process.wait(seconds)
        except subprocess.TimeoutExpired:
            return
        raise AssertionError(f"the daemon ended with {code}")

    def is_alive(self):
        return self.daemon.process.poll() is None

    def subscriptions_count(self):
        """Without the well-behaved client's."""
        return self.stats().subscriptions_count - 1

    def stats(self):
        return self.admin.GetStats(admin_pb2.GetStatsRequest(), timeout=harness.PATIENCE_SECONDS)

    def serve_a_new_client(self):
        with self.connect() as channel:
            store = event_store_pb2_grpc.EventStoreStub(channel)
            return store.Head(event_store_pb2.HeadRequest(), timeout=harness.PATIENCE_SECONDS).head

    def settle(self):
        """The daemon at rest: its memory no longer changes."""
        deadline = time.monotonic() + RECOVERY_SECONDS_MAX
        before = self.sample()
        while time.monotonic() < deadline:
            time.sleep(STEADY_SECONDS)
            now = self.sample()
            if abs(now.memory_mib - before.memory_mib) < STEADY_MIB:
                return now
            before = now
        return before

    def recover(self, baseline):
        """Waits until the daemon is as it was; returns what it is not, and the seconds."""
        begun = time.monotonic()
        problems = ["not looked at"]
        while problems and time.monotonic() < begun + RECOVERY_SECONDS_MAX:
            self.serve_a_new_client()
            now = self.sample()
            found = {"MiB": (now.memory_mib - baseline.memory_mib, RECOVERED_MIB),
                     "descriptors": (now.descriptors_count - baseline.descriptors_count, RECOVERED_DESCRIPTORS),
                     "threads": (now.threads_count - baseline.threads_count, RECOVERED_THREADS),
                     "subscriptions": (self.subscriptions_count(), 0)}
            problems = [f"{value:.0f} {what} are left" for what, (value, most) in found.items() if value > most]
            if problems:
                time.sleep(0.05)
        return problems, time.monotonic() - begun
