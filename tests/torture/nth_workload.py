"""A fixed short workload of the whole API, and what must be there after it, whatever the daemon said.

Every call has an outcome: "ok", "refused" (nothing was done) or "unknown" (all of it was done or nothing).
"""

import copy
import os
import subprocess
import time
import uuid

from campaign import DAYBOOKD_FAILPOINTS, variables
from ledger import details_of, digest, error_details_pb2, event_pb2, event_store_pb2, grpc, harness
from harness import admin_pb2, admin_pb2_grpc, event_store_pb2_grpc

BINARY = harness.DAYBOOKD
# Whose index has runs of so few events that a handful of them fills one, and eight of those are merged.
INDEX_BINARY = DAYBOOKD_FAILPOINTS
INDEX_RUN_EVENTS, INDEX_RUNS_MERGED = 2, 8
INDEX_VARIABLES = variables([f"index_run_events=limit:{INDEX_RUN_EVENTS}"])
# Of a store whose next few events make a merge due.
INDEX_EVENTS = INDEX_RUN_EVENTS * INDEX_RUNS_MERGED - 3
# A step of the index that had no space or no memory is tried again after a second.
SETTLE_SECONDS, SETTLE_SECONDS_MAX = 2.5, 20
# The retention comes by within the workload.
FLAGS = ("--retention-interval-ms", "100")
CALL_SECONDS = 30
# What a daemon whose disk has failed takes at most until it has ended: its drain, and gRPC's ten seconds.
END_SECONDS = 20
# Nothing was done.
REFUSALS = {"STORAGE_FULL", "DRAINING", "OUT_OF_MEMORY"}
PIPELINED_COUNT = 8
CHANNEL_OPTIONS = [("grpc.use_local_subchannel_pool", 1), ("grpc.max_receive_message_length", -1)]


class Append:
    """One request."""

    def __init__(self, stream, events, **fields):
        self.stream = stream
        write = event_store_pb2.Write(stream=stream, events=events)
        self.message = event_store_pb2.AppendRequest(writes=[write], **fields)
        self.digests = {event.id: digest(event) for event in events}
        self.outcome = "refused"
        self.result = None


class Ledger:
    """What was asked for and what became of it."""

    def __init__(self):
        self.runs = 0
        self.appends = []
        self.checkpoints = {}  # consumer -> positions that it may have
        self.deleted = {}      # stream -> outcome
        self.trimmed = {}      # stream -> outcome
        self.erased = {}       # event id -> outcome
        self.copies = []       # whole backups

    def copy(self):
        return copy.deepcopy(self)


class Gone(Exception):
    """The daemon has ended, or is about to."""


class Calls:
    """Calls to one daemon."""

    def __init__(self, daemon, ledger, this):
        self.daemon, self.ledger, self.this = daemon, ledger, this
        # Calls that are open when it ends for a failure are cancelled after a moment.
        self.unknowns = {grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.CANCELLED}
        if this.is_memory:
            self.unknowns.add(grpc.StatusCode.RESOURCE_EXHAUSTED)
        self.channel = grpc.insecure_channel(daemon.address, options=CHANNEL_OPTIONS)
        self.store = event_store_pb2_grpc.EventStoreStub(self.channel)
        self.admin = admin_pb2_grpc.AdminStub(self.channel)

    def call(self, what, call):
        """Returns the outcome and the answer. When the daemon has ended, another one may have its port."""
        outcome, answer = self._call(what, call)
        if self.daemon.process.poll() is not None:
            return "unknown", None
        return outcome, answer

    def _call(self, what, call):
        try:
            return "ok", call()
        except grpc.RpcError as error:
            info = error_details_pb2.ErrorInfo.FromString(details_of(error).get("google.rpc.ErrorInfo", b""))
            if info.reason in REFUSALS:
                return "refused", None
            if error.code() not in self.unknowns:
                self.this.problem(f"{what} ended with {error.code().name}: {error.details()}")
            return "unknown", None

    def end_await(self, what):
        """Who cannot say what became of a request stops, unless it was its answer alone that had no memory."""
        if self.this.is_memory and self.daemon.process.poll() is None:
            return
        deadline = time.monotonic() + END_SECONDS
        while self.daemon.process.poll() is None:
            if time.monotonic() > deadline:
                self.this.problem(f"{what} has an unknown outcome and the daemon goes on")
                break
            time.sleep(0.01)
        raise Gone

    def append(self, stream, count=1, **fields):
        events = [event_pb2.Event(id=str(uuid.uuid4()), type="Happened", text=f"{stream} " + "x" * 100, tags=["tag:" + stream])
                  for _ in range(count)]
        append = Append(stream, events, **fields)
        append.outcome = "unknown"
        self.ledger.appends.append(append)
        append.outcome, append.result = self.call(f"an append to {stream}",
                                                  lambda: self.store.Append(append.message, timeout=CALL_SECONDS))
        if append.outcome == "unknown":
            self.end_await("an append")
        return append

    def append_many(self, stream):
        appends = [Append(stream, [event_pb2.Event(id=str(uuid.uuid4()), type="Streamed", text="y" * 50)])
                   for _ in range(PIPELINED_COUNT)]
        for append in appends:
            append.outcome = "unknown"
        self.ledger.appends += appends
        rest, outcomes = list(appends), []

        def pipeline():
            for response in self.store.AppendMany((append.message for append in appends), timeout=CALL_SECONDS):
                for outcome in response.outcomes:
                    append = rest.pop(0)
                    reason = outcome.error.info.reason
                    if outcome.HasField("appended"):
                        outcomes.append((append, "ok"))
                    elif reason in REFUSALS:
                        outcomes.append((append, "refused"))
                    elif reason != "OUTCOME_UNKNOWN" and not self.this.is_memory:
                        self.this.problem(f"AppendMany: {reason}: {outcome.error.message}")

        outcome, _ = self.call("AppendMany", pipeline)
        if self.daemon.process.poll() is None:
            for append, known in outcomes:
                append.outcome = known
        if outcome == "ok" and rest:
            self.this.problem(f"AppendMany ended well without {len(rest)} answers")
        if any(append.outcome == "unknown" for append in appends):
            self.end_await("AppendMany")

    def change(self, what, call):
        """A call whose outcome must be known while the daemon lives."""
        outcome, answer = self.call(what, call)
        if outcome == "unknown":
            self.end_await(what)
        return outcome, answer

    def log(self, **fields):
        return [event for response in self.store.Read(event_store_pb2.ReadRequest(**fields), timeout=CALL_SECONDS)
                for event in response.events]


def run(daemon, ledger, this):
    """The workload, to its end or the daemon's."""
    calls = Calls(daemon, ledger, this)
    ledger.runs += 1
    try:
        _appends(calls, ledger.runs)
        _changes(calls, ledger.runs)
        _maintenance(calls)
        calls.append(f"orders-{ledger.runs}", 2)
        _read(calls)
    except Gone:
        pass
    finally:
        calls.channel.close()


def _runs_count(position):
    """Runs of an index that has all these events in them, and has merged what can be merged."""
    count, runs = 0, position // INDEX_RUN_EVENTS
    while runs > 0:
        count += runs % INDEX_RUNS_MERGED
        runs //= INDEX_RUNS_MERGED
    return count


def _settled(calls, seconds):
    """Waits for the index thread. Whether it has written and merged all runs, of entries and of names."""
    deadline = time.monotonic() + seconds
    while True:
        outcome, stats = calls.call("GetStats", lambda: calls.admin.GetStats(admin_pb2.GetStatsRequest(), timeout=CALL_SECONDS))
        if outcome == "ok":
            full = stats.head // INDEX_RUN_EVENTS * INDEX_RUN_EVENTS
            if (stats.indexed_position, stats.names_position, stats.index_runs_count) == (full, full, _runs_count(full)):
                return True
        if time.monotonic() > deadline or calls.daemon.process.poll() is not None:
            return False
        time.sleep(0.005)


def _index_goes_on(calls, stream):
    """An index that has failed once goes on, or the daemon ends at the next append."""
    if calls.this.duration == "ever":
        _settled(calls, 0)
        return
    if _settled(calls, SETTLE_SECONDS if calls.this.error != "EIO" else SETTLE_SECONDS / 10):
        return
    calls.append(stream)
    if not _settled(calls, SETTLE_SECONDS_MAX) and calls.daemon.process.poll() is None:
        calls.this.problem("the index stands still and the daemon goes on")


def index_fill(daemon, ledger, this):
    """The store that the workload of the index begins with."""
    calls = Calls(daemon, ledger, this)
    for number in range(INDEX_EVENTS):
        calls.append(f"before-{number % 3}")
    if not _settled(calls, SETTLE_SECONDS_MAX):
        this.problem("the index is not written")
    calls.channel.close()


def index_run(daemon, ledger, this):
    """Runs of the index and of names are written and merged, with every few events and all anew."""
    calls = Calls(daemon, ledger, this)
    try:
        for number in range(4):
            calls.append(f"indexed-{number % 2}")
        _index_goes_on(calls, "indexed-0")
        _index_read(calls)
        calls.call("Reindex", lambda: list(calls.admin.Reindex(admin_pb2.ReindexRequest(), timeout=CALL_SECONDS)))
        calls.append("indexed-1")
        _index_goes_on(calls, "indexed-1")
        _index_read(calls)
    except Gone:
        pass
    finally:
        calls.channel.close()


def _index_check(calls, log, what):
    """What the index finds is what the log has."""
    for stream in sorted({append.stream for append in calls.ledger.appends}):
        wanted = [event.position for event in log if "tag:" + stream in event.event.tags]
        query = event_pb2.Filter(any_of=[event_pb2.Clause(tags=["tag:" + stream])])
        outcome, found = calls.call("a filtered read", lambda asked=query: calls.log(filter=asked))
        positions = [event.position for event in found or ()]
        if outcome == "ok" and positions != wanted:
            calls.this.problem(f"{what}: the index finds {positions} of {stream}, there are {wanted}")


def _index_read(calls):
    outcome, log = calls.change("a read", calls.log)
    if outcome == "ok":
        check_log(log, calls.ledger, calls.this, "a read in the workload")
        _index_check(calls, log, "in the workload")


def _index_verify(calls):
    parts = list(calls.admin.Verify(admin_pb2.VerifyRequest(), timeout=CALL_SECONDS))
    if any(part.problems_count for part in parts):
        calls.this.problem(f"after the retries: Verify: {[list(part.problems) for part in parts][-1][:3]}")


def _read(calls):
    """What is acknowledged is shown."""
    outcome, log = calls.change("a read", calls.log)
    if outcome == "ok":
        check_log(log, calls.ledger, calls.this, "a read in the workload")


def _appends(calls, number):
    orders = f"orders-{number}"
    first = calls.append(orders, 2)
    consumer = f"consumer-{number}"
    calls.ledger.checkpoints[consumer] = {0}
    for position in (1, 2) if first.outcome == "ok" else ():
        calls.ledger.checkpoints[consumer].add(position)
        checkpoint = event_store_pb2.Checkpoint(consumer=consumer, position=position)
        append = calls.append(orders, 1, checkpoint=checkpoint)
        if append.outcome == "ok":
            calls.ledger.checkpoints[consumer] = {position}
        else:
            calls.ledger.checkpoints[consumer].discard(position)
    calls.append_many(f"many-{number}")
    for _ in range(3):
        calls.append(f"kept-{number}")
    calls.append(f"doomed-{number}", 3)
    _read(calls)


def _changes(calls, number):
    ledger, kept, doomed = calls.ledger, f"kept-{number}", f"doomed-{number}"
    settings = event_store_pb2.StreamSettings(max_count=1, metadata={"owner": "x" * 3000})
    request = event_store_pb2.UpdateStreamSettingsRequest(stream=kept, settings=settings)
    ledger.trimmed[kept] = "unknown"
    ledger.trimmed[kept], _ = calls.change("UpdateStreamSettings",
                                           lambda: calls.store.UpdateStreamSettings(request, timeout=CALL_SECONDS))
    if any(append.stream == doomed and append.outcome == "ok" for append in ledger.appends):
        request = event_store_pb2.DeleteStreamRequest(stream=doomed)
        ledger.deleted[doomed] = "unknown"
        ledger.deleted[doomed], _ = calls.change("DeleteStream",
                                                 lambda: calls.store.DeleteStream(request, timeout=CALL_SECONDS))
    known = next((append for append in ledger.appends if append.stream == f"orders-{number}" and append.outcome == "ok"), None)
    if known is not None:
        result = known.result.results[0]
        erased = list(known.digests)[0]
        request = event_store_pb2.EraseEventsRequest(positions=[result.first_position])
        ledger.erased[erased] = "unknown"
        ledger.erased[erased], _ = calls.change("EraseEvents",
                                                lambda: calls.store.EraseEvents(request, timeout=CALL_SECONDS))


def _maintenance(calls):
    """These may fail and the daemon go on: they promise nothing."""
    outcome, parts = calls.call("Backup", lambda: list(calls.admin.Backup(admin_pb2.BackupRequest(), timeout=CALL_SECONDS)))
    if outcome == "ok":
        calls.ledger.copies.append(b"".join(part.data for part in parts))
    outcome, parts = calls.call("Verify", lambda: list(calls.admin.Verify(admin_pb2.VerifyRequest(), timeout=CALL_SECONDS)))
    if outcome == "ok" and any(part.problems_count for part in parts):
        calls.this.problem(f"Verify found damage where none is: {[list(part.problems) for part in parts][:3]}")
    calls.call("Compact", lambda: list(calls.admin.Compact(admin_pb2.CompactRequest(), timeout=CALL_SECONDS)))
    calls.append(f"orders-{calls.ledger.runs}", 1)
    calls.call("Reindex", lambda: list(calls.admin.Reindex(admin_pb2.ReindexRequest(), timeout=CALL_SECONDS)))


# --- What must be there. ---------------------------------------------------------------------------------------------------


def _stream_check(appends, shown, ledger, problem):
    """The appends to one stream and the ids of it that are shown."""
    stream = appends[0].stream
    expected = [append for append in appends if append.outcome == "ok"]
    if ledger.deleted.get(stream, "refused") != "refused" and not shown:
        return
    if ledger.deleted.get(stream) == "ok":
        problem(f"{stream} was deleted and has {len(shown)} events")
    trimmed = ledger.trimmed.get(stream, "refused")
    if trimmed != "refused" and len(shown) == min(1, len(expected)) and shown <= set(list(appends[-1].digests) + [
            name for append in expected for name in append.digests]):
        return
    if trimmed == "ok":
        problem(f"{stream} keeps one event and shows {len(shown)}")
    for append in appends:
        count = sum(name in shown for name in append.digests)
        if append.outcome == "ok" and count != len(append.digests):
            problem(f"{len(append.digests) - count} acknowledged events of {stream} are not there")
        if append.outcome == "refused" and count != 0:
            problem(f"{count} refused events of {stream} are there")
        if append.outcome == "unknown" and count not in (0, len(append.digests)):
            problem(f"{count} of {len(append.digests)} events of an append to {stream} are there")


def check_log(log, ledger, this, what):
    """Order, bytes, and what is there and what is not."""
    digests = {name: value for append in ledger.appends for name, value in append.digests.items()}
    streams = {}
    last, revisions = 0, {}

    def problem(text):
        this.problem(f"{what}: {text}")

    for event in log:
        if event.position <= last:
            problem(f"position {event.position} after {last}")
        last = event.position
        if event.stream.startswith("$") or event.event.type.startswith("$"):
            continue
        before = revisions.setdefault(event.stream, 0 if event.stream not in ledger.trimmed else event.revision - 1)
        if event.revision != before + 1:
            problem(f"revision {event.revision} of {event.stream} after {before}")
        revisions[event.stream] = event.revision
        name = event.event.id
        if name in streams.setdefault(event.stream, set()):
            problem(f"{name} is there twice")
        streams[event.stream].add(name)
        is_same = digest(event.event) == digests.get(name)
        erased = ledger.erased.get(name)
        if not is_same and erased not in ("ok", "unknown"):
            problem(f"the event at {event.position} of {event.stream} is not as it was sent")
        if is_same and erased == "ok":
            problem(f"the event at {event.position} was erased and is there")
    by_stream = {}
    for append in ledger.appends:
        by_stream.setdefault(append.stream, []).append(append)
    for stream, appends in by_stream.items():
        _stream_check(appends, streams.get(stream, set()), ledger, problem)


def _checkpoints_check(calls, ledger, this):
    for consumer, positions in ledger.checkpoints.items():
        request = event_store_pb2.GetCheckpointRequest(consumer=consumer)
        try:
            position = calls.store.GetCheckpoint(request, timeout=CALL_SECONDS).checkpoint.position
        except grpc.RpcError as error:
            if error.code() != grpc.StatusCode.NOT_FOUND:
                this.problem(f"GetCheckpoint: {error.code().name}: {error.details()}")
                continue
            position = 0
        if position not in positions:
            this.problem(f"{consumer} is at {position}, it may be at {sorted(positions)}")


def _retry(calls, ledger, this):
    """What nobody knew is tried again and is there once; a new append works."""
    for append in ledger.appends:
        if append.outcome != "unknown" or append.message.HasField("checkpoint"):
            continue
        outcome, _ = calls.call("a retry", lambda retried=append: calls.store.Append(retried.message, timeout=CALL_SECONDS))
        if outcome != "ok":
            this.problem(f"a retry is {outcome}")
        append.outcome = outcome
    if calls.append("after").outcome != "ok":
        this.problem("an append after the restart was refused")


def _copy_check(ledger, this):
    """A backup that was whole is one."""
    path, target = os.path.join(this.directory, "backup"), os.path.join(this.directory, "restored")
    with open(path, "wb") as file:
        file.write(ledger.copies[-1])
    done = subprocess.run([BINARY, "--data", target, "--restore", path], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True, check=False, timeout=harness.PATIENCE_SECONDS)
    if done.returncode != 0:
        this.problem(f"a backup that ended well is not whole: {done.returncode}: {done.stdout[-300:]}")


def after(ledger, this):
    """Without faults everything is as the ledger has it, and the daemon works."""
    try:
        daemon = harness.Daemon(this.data, *FLAGS, binary=this.binary, environment=this.variables)
    except AssertionError as error:
        this.problem(f"the restart: {str(error)[-400:]}")
        return
    calls = Calls(daemon, ledger, this)
    try:
        check_log(calls.log(), ledger, this, "after the restart")
        _checkpoints_check(calls, ledger, this)
        _retry(calls, ledger, this)
        log = calls.log()
        check_log(log, ledger, this, "after the retries")
        if this.binary == INDEX_BINARY:
            if not _settled(calls, SETTLE_SECONDS_MAX):
                this.problem("after the restart: the index is not written")
            _index_check(calls, log, "after the retries")
            _index_verify(calls)
    except (Gone, grpc.RpcError) as error:
        this.problem(f"after the restart: {type(error).__name__}: {error}")
    calls.channel.close()
    if daemon.stop() != 0:
        this.problem(f"the stop without faults: {daemon.process.returncode}")
    os.unlink(daemon.log.name)
    if ledger.copies:
        _copy_check(ledger, this)
    done = subprocess.run([BINARY, "--data", this.data, "--verify"], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True, check=False, timeout=harness.PATIENCE_SECONDS)
    if done.returncode != 0:
        this.problem(f"I8: --verify: {done.returncode}: {done.stdout[-300:]}")
