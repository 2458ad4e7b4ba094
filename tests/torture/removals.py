"""I10: what must be gone from the log, what may be, and that nothing else is.

A deletion and an erasure tell of themselves in the log ($StreamDeleted, $EventsErased): each happened there, or not at all,
whatever its client was told. Settings tell nobody: what they hide is at least what acknowledged ones must hide, and at most what
any that were asked for may. What was taken away stays away: no call that begins after its acknowledgement serves it.
"""

import bisect
import collections
import threading

from entry import Entry
from ledger import digest, event_pb2

FOREVER_NS = 1 << 62
CLOCK_SLACK_NS = 100_000_000  # between the daemon's clock and ours, and their resolutions
NANOSECONDS_PER_SECOND = 1_000_000_000
DELETIONS = {"$StreamDeleted", "$StreamTombstoned"}


class Served:
    """All that any call has served. Threads: any."""

    def __init__(self):
        self.mutex = threading.Lock()
        self.records = {}  # (position, hash) -> [begin of the latest call, entry]
        self.final_ns = FOREVER_NS  # when the log at the end was read

    def note(self, event, begun_ns):
        key = (event.position, hash(event.SerializeToString(deterministic=True)))
        with self.mutex:
            found = self.records.setdefault(key, [begun_ns, None])
            found[0] = max(found[0], begun_ns)
            if found[1] is None:
                found[1] = Entry(event, digest)


def whole_log(ledger, shown):
    """The log with what is gone: that is known of the acknowledgements, because every append was tried until it had one."""
    entries = {entry.position: entry for entry in shown}
    if len(entries) < len(shown):
        ledger.violation("I4: a read has a position twice")
    for request in ledger.requests:
        if request.acknowledged is None:
            continue
        for write, (first_revision, _, first_position, _) in zip(request.message.writes, request.acknowledged.results):
            for index, event in enumerate(write.events):
                position = first_position + index
                if position not in entries:
                    gone = event_pb2.RecordedEvent(position=position, stream=write.stream, revision=first_revision + index,
                                                   event=event)
                    entries[position] = Entry(gone, digest, is_gone=True)
    return [entries[position] for position in sorted(entries)]


def allow(ledger, log, verdict):
    """Of what is gone or erased at the end, other records were served before: each the event as it was written, or erased."""
    if ledger.served is None:
        return
    changed = {entry.position: entry for entry in log if entry.is_gone or entry.is_erased}
    times = {position: entry.recorded_at for position, entry in changed.items() if not entry.is_gone}
    for (position, served_hash), (_, record) in ledger.served.records.items():
        entry = changed.get(position)
        if entry is None:
            continue
        same = all(getattr(record, name) == getattr(entry, name) for name in ("stream", "revision", "id", "type", "digest"))
        if same and record.recorded_at == times.setdefault(position, record.recorded_at):
            entry.hashes.add(served_hash)
        else:
            verdict.wrong += 1
            verdict.problem(f"I10: {entry.id} was served at {position} as something else before it was taken away")


def _told(ledger, log, verdict=None):
    """{position: change}: who asked for what the log tells."""
    kinds = {"delete": "$StreamDeleted", "tombstone": "$StreamTombstoned", "erase": "$EventsErased"}
    by_position, unknown = {}, []
    for change in ledger.changes:
        if change.outcome == "ok" and change.kind != "settings" and change.response.position > 0:
            by_position[change.response.position] = change
        elif change.outcome == "unknown":
            unknown.append(change)
    found = {}
    for entry in log:
        if not entry.is_system:
            continue
        change = by_position.get(entry.position) or next(
            (change for change in unknown if kinds.get(change.kind) == entry.type and
             entry.told.value == change.message.SerializeToString(deterministic=True)), None)
        if change in unknown:
            unknown.remove(change)
        if change is not None and (kinds[change.kind] == entry.type and
                                   entry.told.value == change.message.SerializeToString(deterministic=True)):
            found[entry.position] = change
        elif verdict is not None:
            verdict.problem(f"I10: nobody asked for the {entry.type} at {entry.position}")
    if verdict is not None:
        for position, change in by_position.items():
            if position not in found:
                verdict.lost += 1
                verdict.problem(f"I10: the acknowledged {change.kind} is not at {position}")
    return found


def deletions(ledger, log):
    """The events that tell of them: [(stream, revision, begun, acknowledged or None, id)]."""
    if ledger.served is None:
        return []
    told = _told(ledger, log)
    return [(entry.stream, entry.revision, told[entry.position].begun_ns,
             told[entry.position].ended_ns if told[entry.position].outcome == "ok" else None, entry.id)
            for entry in log if entry.position in told and entry.type in DELETIONS]


class Limits:
    """Of each stream: below which revision events may be gone, and from which time on they must not be served."""

    def __init__(self, ledger, log, bounds, told):
        self.bounds, self.final_ns = bounds, ledger.served.final_ns
        self.may = collections.Counter()             # stream -> revision
        self.must = collections.defaultdict(list)    # stream -> [(time, revision)]
        self.times = collections.defaultdict(list)   # stream -> [(begun, acknowledged, revision)]
        for entry in log:
            if entry.position in told and entry.type in DELETIONS:
                change = told[entry.position]
                # One of unknown outcome was there when the log was read.
                self._take(entry.stream, entry.revision, change.ended_ns if change.outcome == "ok" else self.final_ns,
                           entry.revision)
        for request in ledger.requests:
            if request.acknowledged is not None:
                for (stream, _, _), (_, last_revision, _, _) in zip(request.writes, request.acknowledged.results):
                    self.times[stream].append((request.attempts[0].begun_ns, request.acknowledged.ended_ns, last_revision))
        by_stream = collections.defaultdict(list)
        for change in ledger.changes:
            if change.kind == "settings" and change.outcome != "refused":
                by_stream[change.message.stream].append(change)
        for stream, changes in by_stream.items():
            for index, change in enumerate(changes):
                self._settings(stream, change, changes[index + 1:])
        for points in self.must.values():
            points.sort()
            for index in range(1, len(points)):
                points[index] = (points[index][0], max(points[index][1], points[index - 1][1]))

    def _take(self, stream, may, time_ns, must):
        self.may[stream] = max(self.may[stream], may)
        if time_ns is not None:
            self.must[stream].append((time_ns, must))

    def _settings(self, stream, change, later):
        """They hold from some time of their call until another call may have replaced them, at the latest until one has."""
        settings, is_ok = change.message.settings, change.outcome == "ok"
        least_ns = min(later[0].begun_ns, self.final_ns) if later else self.final_ns
        most_ns = next((after.ended_ns for after in later if after.outcome == "ok"), FOREVER_NS)
        most = self.bounds.at_most(stream, most_ns)
        if settings.truncate_before > 0:
            self._take(stream, min(settings.truncate_before, most + 1), change.ended_ns if is_ok else None,
                       change.response.settings.truncate_before if is_ok else 0)
        if settings.max_count > 0:
            for time_ns, since_ns in ((change.ended_ns, change.begun_ns), (least_ns, least_ns)):
                self._take(stream, most - settings.max_count + 1, time_ns if is_ok else None,
                           self.bounds.at_least(stream, since_ns) - settings.max_count + 1)
        if settings.max_age_seconds > 0:
            age_ns = settings.max_age_seconds * NANOSECONDS_PER_SECOND
            most_ns = min(most_ns, self.final_ns + CLOCK_SLACK_NS) - age_ns + CLOCK_SLACK_NS
            old = [revision for begun_ns, _, revision in self.times[stream] if begun_ns < most_ns]
            sure = [revision for _, ended_ns, revision in self.times[stream]
                    if ended_ns < self.final_ns - age_ns - CLOCK_SLACK_NS]
            # What was only too old may come back with other settings: they must hold at the end.
            self._take(stream, max(old, default=0) + 1, self.final_ns if is_ok and not later else None,
                       max(sure, default=0) + 1)

    def must_before(self, stream, time_ns):
        points = self.must.get(stream, ())
        index = bisect.bisect_right(points, (time_ns, FOREVER_NS))
        return points[index - 1][1] if index > 0 else 0


def _check_log(log, limits, erased, verdict):
    gone, shown = collections.Counter(), {}
    for entry in log:
        if entry.is_gone:
            gone[entry.stream] = max(gone[entry.stream], entry.revision)
            if entry.revision >= limits.may[entry.stream]:
                verdict.lost += 1
                verdict.problem(f"I10: {entry.id} is gone from {entry.position}, nothing took it away")
        elif not entry.is_system:
            shown.setdefault(entry.stream, entry.revision)
            if entry.is_erased and entry.position not in erased:
                verdict.wrong += 1
                verdict.problem(f"I10: {entry.id} at {entry.position} is erased, nobody asked for that")
            if not entry.is_erased and entry.position in erased:
                verdict.problem(f"I10: {entry.id} at {entry.position} was erased and is there")
    for stream, revision in shown.items():
        if gone[stream] > revision:
            verdict.problem(f"I10: of {stream} revision {revision} is there, {gone[stream]} is gone")


def _check_served(ledger, limits, verdict):
    erased_ns = {}
    for change in ledger.changes:
        if change.kind == "erase" and change.outcome == "ok":
            for position in change.message.positions:
                erased_ns[position] = min(change.ended_ns, erased_ns.get(position, FOREVER_NS))
    for (position, _), (begun_ns, record) in ledger.served.records.items():
        if record.is_system:
            continue
        if record.revision < limits.must_before(record.stream, begun_ns):
            verdict.problem(f"I10: {record.id} at {position} was served by a call that began after it was taken away")
        if not record.is_erased and begun_ns > erased_ns.get(position, FOREVER_NS):
            verdict.problem(f"I10: the payload of {record.id} at {position} was served by a call that began after its erasure")


def check(ledger, log, bounds, verdict):
    """I10."""
    if ledger.served is None:
        return
    told = _told(ledger, log, verdict)
    limits = Limits(ledger, log, bounds, told)
    asked = [change for change in ledger.changes if change.kind == "erase" and change.outcome == "ok"] + \
            [change for change in told.values() if change.kind == "erase"]
    _check_log(log, limits, {position for change in asked for position in change.message.positions}, verdict)
    _check_served(ledger, limits, verdict)
