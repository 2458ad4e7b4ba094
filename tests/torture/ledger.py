"""What clients did and what became of it: a line before and a line after every call.

The lines are in memory for the oracle and in a file for a person (and for the check of linearisability). A request may be
called several times with the same event ids; each call is an attempt with an outcome:
  ok        acknowledged, with the positions and revisions of every write
  refused   the daemon said no, with the reason
  unknown   nobody told: it is there wholly and once, or not at all
A change (a deletion, settings, an erasure) is called once and has the same outcomes.
"""

import hashlib
import json
import pathlib
import sys
import threading
import time
import uuid

sys.path.insert(0, str(pathlib.Path(__file__).parent.parent / "integration"))
import harness  # noqa: E402
from harness import error_details_pb2, event_pb2, event_store_pb2, grpc, status_pb2  # noqa: E402

REFUSALS = {grpc.StatusCode.ABORTED, grpc.StatusCode.ALREADY_EXISTS, grpc.StatusCode.FAILED_PRECONDITION,
            grpc.StatusCode.RESOURCE_EXHAUSTED, grpc.StatusCode.INVALID_ARGUMENT}
UNKNOWNS = {grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.CANCELLED, grpc.StatusCode.DEADLINE_EXCEEDED}


def digest(event):
    """Of an Event: what was sent is what must be stored."""
    return hashlib.sha256(event.SerializeToString(deterministic=True)).hexdigest()


class Request:
    """One append, whatever the number of its attempts. `claim`: a tag that at most one event ever has."""

    def __init__(self, client, writes, claim=None):
        self.client = client
        self.claim = claim
        self.message = event_store_pb2.AppendRequest(writes=writes)
        if claim is not None:
            clause = event_pb2.Clause(tags=[claim])
            self.message.condition.CopyFrom(
                event_store_pb2.Condition(none_match=event_pb2.Filter(any_of=[clause])))
        # (stream, expected revision or None, [(id, digest)])
        self.writes = [(write.stream, write.expected_revision if write.HasField("expected_revision") else None,
                        [(event.id, digest(event)) for event in write.events]) for write in writes]
        self.events_count = sum(len(events) for _, _, events in self.writes)
        self.attempts = []

    @property
    def acknowledged(self):
        return next((attempt for attempt in self.attempts if attempt.outcome == "ok"), None)


class Attempt:
    """One call. Times are of CLOCK_MONOTONIC, in nanoseconds."""

    def __init__(self, request):
        self.request = request
        self.begun_ns = time.monotonic_ns()
        self.ended_ns = None
        self.outcome = "unknown"
        self.results = None   # [(first revision, last revision, first position, last position)]
        self.replayed = False
        self.reason = None
        self.actual = {}      # stream -> revision, from the conflicts of a refusal


class Change:
    """One call that takes something away: `kind` is delete, settings or erase. The response is there when it is ok."""

    def __init__(self, kind, message):
        self.kind, self.message = kind, message
        self.begun_ns = time.monotonic_ns()
        self.ended_ns = None
        self.outcome = "unknown"
        self.reason = self.response = None


def new_event(kind, text, tags=()):
    return event_pb2.Event(id=str(uuid.uuid4()), type=kind, text=text, tags=tags)


def details_of(error):
    """{type: bytes} of the details in an error's trailers."""
    for key, value in error.trailing_metadata() or ():
        if key == "grpc-status-details-bin":
            return {detail.type_url.split("/")[-1]: detail.value for detail in status_pb2.Status.FromString(value).details}
    return {}


class Ledger:
    """All requests of all clients. Threads: any."""

    def __init__(self, path):
        self.file = open(path, "w", encoding="utf-8")
        self.mutex = threading.Lock()
        self.requests = []
        self.changes = []
        self.served = None  # removals.Served, when somebody changes
        self.violations = []
        self.position_acknowledged = 0
        self.events_acknowledged = 0
        self.attempts_count = 0

    def close(self):
        with self.mutex:
            self.file.close()

    def _line(self, **fields):
        if not self.file.closed:  # a client that was left behind
            self.file.write(json.dumps(fields) + "\n")

    def violation(self, text):
        with self.mutex:
            self.violations.append(text)
            self._line(violation=text)

    def begin(self, request):
        attempt = Attempt(request)
        with self.mutex:
            if not request.attempts:
                self.requests.append(request)
            attempt.number = self.attempts_count
            self.attempts_count += 1
            request.attempts.append(attempt)
            self._line(call=attempt.number, client=request.client, time_ns=attempt.begun_ns, writes=request.writes,
                       claim=request.claim)
        return attempt

    def change_begin(self, kind, message):
        change = Change(kind, message)
        with self.mutex:
            change.number = len(self.changes)
            self.changes.append(change)
            self._line(change=change.number, kind=kind, time_ns=change.begun_ns, message=str(message))
        return change

    def change_end(self, change, outcome, reason=None, response=None):
        change.ended_ns = time.monotonic_ns()
        change.outcome, change.reason, change.response = outcome, reason, response
        with self.mutex:
            self._line(change_end=change.number, time_ns=change.ended_ns, outcome=outcome, reason=reason,
                       response=str(response))

    def change_failed(self, change, error):
        if error.code() in REFUSALS or error.code() == grpc.StatusCode.NOT_FOUND:
            info = error_details_pb2.ErrorInfo.FromString(details_of(error).get("google.rpc.ErrorInfo", b""))
            self.change_end(change, "refused", info.reason)
        else:
            self.change_end(change, "unknown", error.code().name)
            if error.code() not in UNKNOWNS:
                self.violation(f"a change ended with {error.code().name}: {error.details()}")

    def serve(self, event, begun_ns):
        """An event was served by a call that began then."""
        if self.served is not None:
            self.served.note(event, begun_ns)

    def appended(self, attempt, response):
        attempt.ended_ns = time.monotonic_ns()
        results = [(result.first_revision, result.last_revision, result.first_position, result.last_position)
                   for result in response.results]
        with self.mutex:
            if attempt.request.acknowledged is None:
                self.events_acknowledged += attempt.request.events_count
            attempt.outcome, attempt.results, attempt.replayed = "ok", results, response.replayed
            self.position_acknowledged = max([self.position_acknowledged] + [result[3] for result in results])
            self._line(end=attempt.number, time_ns=attempt.ended_ns, outcome="ok", results=results,
                       replayed=response.replayed)

    def refused(self, attempt, reason, conflicts):
        attempt.ended_ns = time.monotonic_ns()
        attempt.outcome, attempt.reason = "refused", reason
        if conflicts is not None:
            attempt.actual = {conflict.stream: conflict.actual_revision for conflict in conflicts.streams}
        with self.mutex:
            self._line(end=attempt.number, time_ns=attempt.ended_ns, outcome="refused", reason=reason,
                       actual=attempt.actual)

    def unknown(self, attempt, reason):
        attempt.ended_ns = time.monotonic_ns()
        attempt.reason = reason
        with self.mutex:
            self._line(end=attempt.number, time_ns=attempt.ended_ns, outcome="unknown", reason=reason)

    def failed(self, attempt, error):
        """The error of a unary call."""
        details = details_of(error)
        if error.code() in REFUSALS:
            info = error_details_pb2.ErrorInfo.FromString(details.get("google.rpc.ErrorInfo", b""))
            conflicts = details.get("daybook.v1.AppendConflicts")
            if conflicts is not None:
                conflicts = event_store_pb2.AppendConflicts.FromString(conflicts)
            self.refused(attempt, info.reason, conflicts)
        else:
            self.unknown(attempt, error.code().name)
            if error.code() not in UNKNOWNS:
                self.violation(f"an append ended with {error.code().name}: {error.details()}")

    def unknown_count(self):
        return sum(1 for request in self.requests if all(attempt.outcome == "unknown" for attempt in request.attempts))

    def unknown_attempts_count(self, since_ns):
        """Of those that began then or later and have ended: the reason is the last that is noted of an end."""
        with self.mutex:
            return sum(1 for request in self.requests for attempt in request.attempts if attempt.begun_ns >= since_ns and
                       attempt.reason is not None and attempt.outcome == "unknown")

    def refused_count(self):
        return sum(1 for request in self.requests if request.attempts[-1].outcome == "refused")
