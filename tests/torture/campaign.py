"""One store under one kind of fault: a daemon that is started, harmed and started again, with clients that go on all the time.

At the end a healthy daemon serves, the clients come to rest, requests are tried again, and the oracle compares.
"""

import os
import pathlib
import random
import shutil
import signal
import socket
import subprocess
import tempfile
import time

import history
import oracle
from clients import CHANNEL_OPTIONS, PipelinedWriter, Reader, Subscriber, Writer
from ledger import Ledger, digest, event_store_pb2, grpc, harness
from harness import admin_pb2, admin_pb2_grpc, event_store_pb2_grpc

HERE = harness.BINARIES / "tests" / "torture"
DAYBOOKD_FAILPOINTS = HERE / "daybookd_failpoints"
DISK_FAULTS = HERE / "disk_faults.so"
CLOCK_FAULTS = HERE / "clock_faults.so"
RETRIES_COUNT = 40
EXIT_USAGE, EXIT_DATA, EXIT_STORAGE, EXIT_BUSY = 64, 65, 74, 75


class Row:
    """A line of the table."""

    def __init__(self, fault, seed):
        self.fault, self.seed = fault, seed
        self.rounds = self.acknowledged = self.unknown = self.refused = self.lost = self.wrong = 0
        self.recovery_ms_max = 0
        self.problems = []
        self.note = ""
        self.is_skipped = False

    def add(self, row):
        """Takes another campaign of the same fault into the line."""
        for name in ("rounds", "acknowledged", "unknown", "refused", "lost", "wrong"):
            setattr(self, name, getattr(self, name) + getattr(row, name))
        self.recovery_ms_max = max(self.recovery_ms_max, row.recovery_ms_max)
        self.problems += row.problems
        self.note = self.note or row.note

    @property
    def is_good(self):
        return self.lost == 0 and self.wrong == 0 and not self.problems


def task(data, *flags):
    """What daybookd does to a directory instead of serving it. Returns its exit code and what it said."""
    done = subprocess.run([DAYBOOKD_FAILPOINTS, "--data", data, *flags], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True, check=False, timeout=harness.PATIENCE_SECONDS)
    return done.returncode, done.stdout[-300:]


def has_failed(row):
    """Whether more rounds would only hide what has gone wrong."""
    return not row.is_good or any(campaign.ledger.violations for campaign in Campaign.open)


def free_port():
    """A port that nobody is given who connects: a daemon that is started again must find it free."""
    first_given = int(pathlib.Path("/proc/sys/net/ipv4/ip_local_port_range").read_text(encoding="ascii").split()[0])
    while True:
        port = random.SystemRandom().randrange(first_given // 2, first_given)
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port


def variables(failpoints=(), disk=None, time_file=None, files=None):
    """The environment of a daemon that is to fail."""
    environment = {}
    if failpoints:
        environment["DAYBOOK_FAILPOINTS"] = ",".join(failpoints)
    if disk is not None:
        environment |= {"LD_PRELOAD": str(DISK_FAULTS), "DAYBOOK_DISK_FAULTS": disk}
    if time_file is not None:
        environment["DAYBOOK_DISK_FAULT_TIME"] = time_file
    if files is not None:
        environment["DAYBOOK_DISK_FILES"] = files
    return environment


class Campaign:
    """See above. `failpoints` and `flags` are those of every start, for proofs and settings."""

    open = []  # whose daemons may run

    def __init__(self, fault, seed, data=None, failpoints=(), flags=()):
        self.seed, self.flags, self.failpoints = seed, tuple(flags), tuple(failpoints)
        self.randomness = random.Random(f"{seed}/{fault}")
        self.directory = tempfile.mkdtemp(prefix="daybook-torture-")
        self.data = data or os.path.join(self.directory, "data")
        self.port = free_port()
        self.address = f"127.0.0.1:{self.port}"
        self.ledger = Ledger(os.path.join(self.directory, "ledger.jsonl"))
        self.daemon = None
        self.serving_since = 0.0  # by time.monotonic
        self.log = []  # at the end
        self.clients = []
        self.shared_revisions = {}
        self.row = Row(fault, seed)
        Campaign.open.append(self)

    # --- The daemon ------------------------------------------------------------------------------------------------

    def start(self, failpoints=(), disk=None, files=None, flags=None, environment=None, prefix=()):
        """Starts a daemon that must serve, by the command `prefix` if there is one. Where it is to be killed, a client that has
        waited may make that happen before it has said that it serves."""
        begun = time.monotonic()
        self.time_file = os.path.join(self.directory, "fault-time")
        pathlib.Path(self.time_file).unlink(missing_ok=True)
        self.daemon = harness.Daemon(self.data, *(self.flags if flags is None else flags), port=self.port,
                                     binary=DAYBOOKD_FAILPOINTS, prefix=prefix,
                                     may_end=any("=kill" in rule for rule in failpoints),
                                     environment=variables([*self.failpoints, *failpoints], disk, self.time_file, files) |
                                     (environment or {}))
        self.serving_since = time.monotonic()
        self.row.recovery_ms_max = max(self.row.recovery_ms_max, int((self.serving_since - begun) * 1000))

    def start_in_vain(self, failpoints=(), disk=None, files=None, flags=None):
        """Starts a daemon that must end by itself. Returns its exit code and what it said."""
        ended = subprocess.run([DAYBOOKD_FAILPOINTS, "--data", self.data, "--listen", self.address,
                                *(self.flags if flags is None else flags)],
                               stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, check=False,
                               timeout=harness.PATIENCE_SECONDS,
                               env={**os.environ, **variables([*self.failpoints, *failpoints], disk, None, files)})
        return ended.returncode, ended.stderr

    def kill(self):
        self.daemon.kill()
        self.forget()

    def forget(self):
        os.unlink(self.daemon.log.name)
        self.daemon = None

    def ended(self, what):
        """Waits until the daemon has ended by itself. Returns its exit code."""
        harness.wait_until(lambda: self.daemon.process.poll() is not None, what)
        code = self.daemon.process.returncode
        self.last_words = self.daemon.log_text()[-2000:]
        self.forget()
        return code

    def fault_ns(self):
        """When the disk failed, or None."""
        path = pathlib.Path(self.time_file)
        text = path.read_text(encoding="utf-8").strip() if path.exists() else ""
        return int(text) if text else None

    # --- The clients -----------------------------------------------------------------------------------------------

    def clients_start(self, writers=3, pipelined=1, subscribers=2, readers=1):
        self.clients += [Writer(f"writer{number}", self) for number in range(writers)]
        self.clients += [PipelinedWriter(f"pipelined{number}", self) for number in range(pipelined)]
        self.clients += [Subscriber(f"subscriber{number}", self) for number in range(subscribers)]
        self.clients += [Subscriber("filtering", self, "Claimed")] if subscribers else []
        self.clients += [Reader(f"reader{number}", self) for number in range(readers)]
        for client in self.clients:
            client.start()

    def client_start(self, client):
        self.clients.append(client)
        client.start()

    def of(self, kind):
        return [client for client in self.clients if isinstance(client, kind)]

    def acknowledged_more(self, count):
        """Waits for further acknowledgements, or the end of the daemon."""
        target = self.ledger.events_acknowledged + count
        harness.wait_until(lambda: self.ledger.events_acknowledged >= target or self.daemon.process.poll() is not None or
                           self.ledger.violations, "acknowledgements")

    def for_a_while(self, milliseconds):
        """Lets the load go on for so long, or until the daemon ends."""
        try:
            self.daemon.process.wait(milliseconds / 1000)
        except subprocess.TimeoutExpired:
            pass

    def admin(self):
        return admin_pb2_grpc.AdminStub(grpc.insecure_channel(self.address, options=CHANNEL_OPTIONS))

    # --- The end ---------------------------------------------------------------------------------------------------

    def _read_log(self, store):
        return [oracle.Entry(event, digest) for response in
                store.Read(event_store_pb2.ReadRequest(), wait_for_ready=True, timeout=harness.PATIENCE_SECONDS)
                for event in response.events]

    def _retry(self, store):
        """I6: what was acknowledged before is tried again, after recovery."""
        known = [request for request in self.ledger.requests if request.acknowledged is not None]
        for request in self.randomness.sample(known, min(RETRIES_COUNT, len(known))):
            attempt = self.ledger.begin(request)
            try:
                self.ledger.appended(attempt, store.Append(request.message, timeout=harness.PATIENCE_SECONDS))
            except grpc.RpcError as error:
                self.ledger.failed(attempt, error)
                self.ledger.violation(f"I6: a retry failed: {error.code().name}: {error.details()}")
            if attempt.outcome == "ok" and not attempt.replayed:
                self.ledger.violation("I6: a retry was appended again")

    @staticmethod
    def _has_come(subscriber, last):
        if subscriber.is_orphan():
            subscriber.reconnect()
        return subscriber.position >= last or not subscriber.is_alive()

    def _settle(self):
        if self.daemon is None or self.daemon.process.poll() is not None:
            self.start()
        for client in self.of(Writer) + self.of(PipelinedWriter) + self.of(Reader):
            client.close()
        with grpc.insecure_channel(self.address, options=CHANNEL_OPTIONS) as channel:
            store = event_store_pb2_grpc.EventStoreStub(channel)
            log = self._read_log(store)
            self._retry(store)
            last = store.Head(event_store_pb2.HeadRequest(), timeout=harness.PATIENCE_SECONDS).head
        if last != len(log):
            self.ledger.violation(f"I6: after retries the head is {last}, before them the log had {len(log)} events")
        for subscriber in self.of(Subscriber):
            try:
                harness.wait_until(lambda waiting=subscriber: self._has_come(waiting, last),
                                   f"{subscriber.name} to come to {last}")
            except AssertionError as error:
                subscriptions_count = self.admin().GetStats(admin_pb2.GetStatsRequest(),
                                                            timeout=harness.PATIENCE_SECONDS).subscriptions_count
                self.ledger.violation(f"I5: {error}: {subscriber.standstill(subscriptions_count)}")
            subscriber.close()
        return log

    def finish(self):
        """Recovers, compares, cleans up; returns the row."""
        row = self.row
        try:
            log = self.log = self._settle()
            verdict = oracle.check(self.ledger, log, self.of(Subscriber), self.of(Reader))
            row.lost, row.wrong = verdict.lost, verdict.wrong
            row.problems += verdict.problems
            unexplained = history.check(self.ledger, log, self.of(Reader), os.path.join(self.directory, "history.jsonl"))
            if unexplained is not None:
                row.problems.append(unexplained)
            code = self.daemon.stop()
            if code != 0:
                row.problems.append(f"the daemon ended with {code} when it was told to stop")
            code, text = task(self.data, "--verify")
            if code != 0:
                row.problems.append(f"I8: --verify ended with {code}: {text}")
        except Exception as error:  # a daemon that does not come back is the worst of all
            row.problems += [f"after the faults: {type(error).__name__}: {error}"] + self.ledger.violations[:5]
        finally:
            self.abandon()
        row.acknowledged = self.ledger.events_acknowledged
        row.unknown, row.refused = self.ledger.unknown_count(), self.ledger.refused_count()
        if row.is_good:
            shutil.rmtree(self.directory, ignore_errors=True)
        else:
            row.note = os.path.basename(self.directory)
        return row

    def abandon(self):
        """Leaves nothing that runs. May be called again."""
        if self not in Campaign.open:
            return
        Campaign.open.remove(self)
        for client in self.clients:
            client.stop_event.set()
            client.channel.close()
        if self.daemon is not None:
            if self.daemon.process.poll() is None:
                self.daemon.process.send_signal(signal.SIGKILL)
                self.daemon.process.wait(harness.PATIENCE_SECONDS)
            self.forget()
        self.ledger.close()
