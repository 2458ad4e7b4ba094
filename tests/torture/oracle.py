"""Compares the ledger with the log that is there after recovery, and says what does not fit.

  I1  every acknowledged event is at its position, with its revision and its very bytes
  I2  a refused request left nothing
  I3  a request of unknown outcome is there wholly and once, or not at all
  I4  positions and the revisions of each stream have no gaps; recorded_at never goes back; nothing is there that nobody wrote
  I5  every subscriber saw one contiguous run of the log, each event once, and nothing else; so did every read
  I6  attempts of one request that were acknowledged have the same result
  I7  appends are linearisable: what was acknowledged before another append began comes before it; expectations and
      conditions held where the event is, and what was refused for them was true at some moment of the call

  I10 what was deleted, erased or is beyond a limit, and nothing else, is gone (removals.py)

I8, that the daemon itself finds nothing wrong (--verify), is asked by the campaign.
"""

import bisect
import collections

import removals
from entry import Entry  # noqa: F401, for those who have a log

PROBLEMS_COUNT_MAX = 20
# Refusals that the sequencer has decided, with everything before them in sight.
DECIDED = {"REVISION_CONFLICT", "CONDITION_FAILED", "EVENT_ID_CONFLICT", "STREAM_TOMBSTONED"}


class Verdict:
    """What is wrong: `lost` acknowledged events, `wrong` bytes, and the rest in words."""

    def __init__(self):
        self.lost = 0
        self.wrong = 0
        self.problems = []

    def problem(self, text):
        if len(self.problems) < PROBLEMS_COUNT_MAX:
            self.problems.append(text)

    @property
    def is_good(self):
        return self.lost == 0 and self.wrong == 0 and not self.problems


def check_log(log, verdict):
    """I4 but for events that nobody wrote. Returns {id: entry}."""
    by_id, revisions = {}, collections.Counter()
    previous = (0, 0)
    for index, entry in enumerate(log):
        if entry.position != index + 1:
            verdict.problem(f"I4: position {entry.position} is where {index + 1} belongs")
        revisions[entry.stream] += 1
        if entry.revision != revisions[entry.stream]:
            verdict.problem(f"I4: {entry.stream} has revision {entry.revision} where {revisions[entry.stream]} belongs")
        if not entry.is_gone:
            if entry.recorded_at < previous:
                verdict.problem(f"I4: recorded_at goes back at {entry.position}")
            previous = entry.recorded_at
        if entry.id in by_id:
            verdict.problem(f"I3: {entry.id} is there twice, at {by_id[entry.id].position} and {entry.position}")
        by_id[entry.id] = entry
    return by_id


def check_acknowledged(request, by_id, verdict):
    """I1 and I6."""
    first = request.acknowledged
    for attempt in request.attempts:
        if attempt.outcome == "ok" and attempt.results != first.results:
            verdict.problem(f"I6: a retry of {request.client} said {attempt.results}, before {first.results}")
    for (stream, _, events), (first_revision, _, first_position, last_position) in zip(request.writes, first.results):
        if last_position - first_position + 1 != len(events):
            verdict.problem(f"I1: positions {first_position} to {last_position} for {len(events)} events")
        for index, (name, digest) in enumerate(events):
            entry = by_id.get(name)
            if entry is None:
                verdict.lost += 1
                verdict.problem(f"I1: {name} is lost, acknowledged at {first_position + index}")
            elif entry.digest != digest:
                verdict.wrong += 1
                verdict.problem(f"I1: {name} at {entry.position} has other bytes")
            elif (entry.stream, entry.position, entry.revision) != (stream, first_position + index,
                                                                    first_revision + index):
                verdict.problem(f"I1: {name} is at {entry.position}, acknowledged at {first_position + index}")


def check_not_acknowledged(request, by_id, verdict):
    """I2 and I3."""
    there = [by_id[name] for _, _, events in request.writes for name, _ in events if name in by_id]
    if not there:
        return
    # After an unknown outcome a retry is refused by a conflict only when nothing of the request is there.
    last = request.attempts[-1]
    if last.outcome == "refused" and (last.reason in DECIDED or
                                      all(attempt.outcome == "refused" for attempt in request.attempts)):
        verdict.problem(f"I2: {request.client} was refused ({request.attempts[-1].reason}), {there[0].id} is there")
    if len(there) != request.events_count:
        verdict.problem(f"I3: {len(there)} of {request.events_count} events of {request.client} are there")
    if [entry.position for entry in there] != list(range(there[0].position, there[0].position + len(there))):
        verdict.problem(f"I3: the events of a request from {there[0].position} on are not together")
    digests = {name: digest for _, _, events in request.writes for name, digest in events}
    for entry in there:
        if entry.digest != digests[entry.id]:
            verdict.wrong += 1
            verdict.problem(f"I3: {entry.id} at {entry.position} has other bytes")


def check_requests(ledger, log, by_id, verdict):
    written = set()
    for request in ledger.requests:
        written.update(name for _, _, events in request.writes for name, _ in events)
        if request.acknowledged is not None:
            check_acknowledged(request, by_id, verdict)
        else:
            check_not_acknowledged(request, by_id, verdict)
    for entry in log:
        if entry.id not in written and not entry.is_system:
            verdict.problem(f"I4: nobody wrote {entry.id} at {entry.position}")


def difference(seen, entries):
    """Where a run [(position, hash)] is not that of the log: (its number, what was seen, the entry); one of the two may be None.
    What is gone at the end may be missing."""
    at = 0
    for number, (position, digest) in enumerate(seen):
        while at < len(entries) and entries[at].is_gone and entries[at].position < position:
            at += 1
        if at == len(entries):
            return number, position, None
        if entries[at].position != position or digest not in entries[at].hashes:
            return number, position, entries[at]
        at += 1
    missing = next((entry for entry in entries[at:] if not entry.is_gone), None)
    return (len(seen), None, missing) if missing is not None else None


def check_subscriber(subscriber, log, verdict):
    """I5."""
    expected = [entry for entry in log if subscriber.type_name is None or entry.type == subscriber.type_name]
    found = difference(subscriber.seen, expected)
    if found is None:
        return
    number, position, entry = found
    if position is None or entry is None:
        verdict.problem(f"I5: {subscriber.name} saw {len(subscriber.seen)} events, the log has {len(expected)}")
        return
    if position == entry.position:
        verdict.wrong += 1
    verdict.problem(f"I5: {subscriber.name} saw {position} as number {number}, the log has {entry.position}" +
                    (" with other bytes" if position == entry.position else ""))


def check_reads(reader, log, verdict):
    """I5 for finite reads."""
    for begin, events, head, limit in reader.reads:
        found = difference(events, log[begin - 1:])
        if found is None:
            continue
        number, _, entry = found
        if number < len(events):
            verdict.wrong += 1
            verdict.problem(f"I5: a read from {begin} is not what the log has")
        elif len(events) < limit and entry.position <= head:
            verdict.problem(f"I5: a read from {begin} ended before the head {head}")


def check_order(ledger, verdict):
    """I7, real time: the highest position acknowledged before an append began is below its own."""
    ended = sorted((attempt.ended_ns, attempt.results[-1][3]) for request in ledger.requests
                   for attempt in request.attempts if attempt.outcome == "ok")
    times, highest = [time for time, _ in ended], []
    for _, position in ended:
        highest.append(max(position, highest[-1]) if highest else position)
    for request in ledger.requests:
        for attempt in request.attempts:
            if attempt.outcome != "ok" or attempt.replayed:
                continue
            before = bisect.bisect_left(times, attempt.begun_ns)
            if before > 0 and attempt.results[0][2] <= highest[before - 1]:
                verdict.problem(f"I7: position {attempt.results[0][2]} was given after {highest[before - 1]} was known")


class Bounds:
    """How far each stream was at a time: at least what was acknowledged, at most what had been asked for. `more` revisions:
    removals.deletions."""

    def __init__(self, ledger, by_id, more=()):
        self.acknowledged = collections.defaultdict(list)  # stream -> [(time, revision)]
        self.begun = collections.defaultdict(list)
        for request in ledger.requests:
            for stream, _, events in request.writes:
                revisions = [by_id[name].revision for name, _ in events if name in by_id]
                if not revisions:
                    continue
                self.begun[stream].append((request.attempts[0].begun_ns, max(revisions)))
                if request.acknowledged is not None:
                    self.acknowledged[stream].append((request.acknowledged.ended_ns, max(revisions)))
        for stream, revision, begun_ns, ended_ns, _ in more:
            self.begun[stream].append((begun_ns, revision))
            if ended_ns is not None:
                self.acknowledged[stream].append((ended_ns, revision))
        for table in (self.acknowledged, self.begun):
            for points in table.values():
                points.sort()
                for index in range(1, len(points)):
                    points[index] = (points[index][0], max(points[index][1], points[index - 1][1]))

    @staticmethod
    def _at(points, time):
        index = bisect.bisect_left(points, (time, 0))
        return points[index - 1][1] if index > 0 else 0

    def at_least(self, stream, time):
        return self._at(self.acknowledged[stream], time)

    def at_most(self, stream, time):
        return self._at(self.begun[stream], time)


def check_expectations(ledger, bounds, verdict):
    """I7, expectations: those that held, and those that did not."""
    for request in ledger.requests:
        if request.acknowledged is not None:
            for (stream, expected, _), result in zip(request.writes, request.acknowledged.results):
                if expected is not None and result[0] != expected + 1:
                    verdict.problem(f"I7: {stream} was expected at {expected}, the event has revision {result[0]}")
        for attempt in request.attempts:
            if attempt.outcome != "refused" or attempt.reason != "REVISION_CONFLICT":
                continue
            for stream, actual in attempt.actual.items():
                least = bounds.at_least(stream, attempt.begun_ns)
                most = bounds.at_most(stream, attempt.ended_ns)
                if not least <= actual <= most:
                    verdict.problem(f"I7: {stream} was said to be at {actual}, it was between {least} and {most}")
                if all(actual == expected for name, expected, _ in request.writes if name == stream):
                    verdict.problem(f"I7: {stream} was refused at {actual}, which was expected")


def check_claims(ledger, log, by_id, verdict):
    """I7, conditions: a claimed tag is on one event alone; who was refused it came second."""
    owners = {}
    for entry in log:
        for tag in entry.tags:
            if tag.startswith("claim:"):
                if tag in owners:
                    verdict.problem(f"I7: {tag} is at {owners[tag].position} and at {entry.position}")
                owners.setdefault(tag, entry)
    begun = {name: request.attempts[0].begun_ns for request in ledger.requests if request.claim is not None
             for _, _, events in request.writes for name, _ in events}
    for request in ledger.requests:
        for attempt in request.attempts:
            if attempt.outcome != "refused" or attempt.reason != "CONDITION_FAILED":
                continue
            owner = owners.get(request.claim)
            if owner is None:
                verdict.problem(f"I7: {request.claim} was refused and nobody has it")
            elif begun[owner.id] > attempt.ended_ns:
                verdict.problem(f"I7: {request.claim} was refused before anybody asked for it")


def check(ledger, log, subscribers, readers):
    """The verdict over one campaign, after recovery."""
    verdict = Verdict()
    for text in ledger.violations:
        verdict.problem(text)
    removals.allow(ledger, log, verdict)
    by_id = check_log(log, verdict)
    check_requests(ledger, log, by_id, verdict)
    for subscriber in subscribers:
        check_subscriber(subscriber, log, verdict)
    for reader in readers:
        check_reads(reader, log, verdict)
    check_order(ledger, verdict)
    bounds = Bounds(ledger, by_id, removals.deletions(ledger, log))
    check_expectations(ledger, bounds, verdict)
    check_claims(ledger, log, by_id, verdict)
    removals.check(ledger, log, bounds, verdict)
    return verdict
