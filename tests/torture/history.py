"""The ledger as a history for porcupine: an independent check of I7, in another language.

An acknowledged request is one operation on each of its streams, from its first attempt to its first acknowledgement; one of
unknown outcome that is in the log may have happened at any time after it began; one that is not there did not happen. The event
that tells of a deletion is appended like any other.
"""

import json
import subprocess

import removals
from ledger import harness

PROGRAM = harness.TOOLS / "bin" / "linearizability"


def _operations(ledger, log, readers):
    clients, by_id = {}, {entry.id: entry for entry in log}
    end_ns = max((attempt.ended_ns or 0 for request in ledger.requests for attempt in request.attempts), default=0) + 1

    def operation(client, **fields):
        return {"client": clients.setdefault(client, len(clients)), **fields}

    for request in ledger.requests:
        first = request.acknowledged
        for stream, expected, events in request.writes:
            entries = [by_id[name] for name, _ in events if name in by_id]
            if entries:
                yield operation(request.client, stream=stream, kind="append", call=request.attempts[0].begun_ns,
                                **{"return": first.ended_ns if first else end_ns}, expected=expected,
                                first=entries[0].revision, revision=entries[-1].revision, id=entries[-1].id)
            for attempt in request.attempts:
                if attempt.reason == "REVISION_CONFLICT" and stream in attempt.actual:
                    yield operation(request.client, stream=stream, kind="refused", call=attempt.begun_ns,
                                    **{"return": attempt.ended_ns}, expected=expected, revision=attempt.actual[stream])
    for stream, revision, begun_ns, ended_ns, name in removals.deletions(ledger, log):
        yield operation("remover", stream=stream, kind="append", call=begun_ns, **{"return": ended_ns or end_ns},
                        first=revision, revision=revision, id=name)
    for reader in readers:
        for stream, begun_ns, ended_ns, revision, name in reader.newest:
            yield operation(reader.name, stream=stream, kind="read", call=begun_ns, **{"return": ended_ns},
                            revision=revision, id=name)


def check(ledger, log, readers, path):
    """Returns what is wrong, or None."""
    if not PROGRAM.exists():
        return f"{PROGRAM} is missing: run `make setup-test`"
    with open(path, "w", encoding="utf-8") as file:
        for operation in _operations(ledger, log, readers):
            file.write(json.dumps(operation) + "\n")
    done = subprocess.run([PROGRAM, path], capture_output=True, text=True, check=False)
    return None if done.returncode == 0 else f"porcupine: {done.stderr.strip()}"
