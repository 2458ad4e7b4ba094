"""Attacks the real daemon and prints a table: what was sent, what memory it took, who was served, how soon it was over.

    attack.py [--short] [--list] [--only NAME]...

Each attack has a bound for the daemon's anonymous memory above what it has at rest. Meanwhile a well-behaved client's calls
must all succeed; afterwards a new client is served, and memory, descriptors and threads are as before (target.py has the
bounds). Ends with 1 when anything of it does not hold.
"""

import argparse
import os
import resource
import shutil
import sys
import tempfile
import time

import attacks_clients
import attacks_connections
import attacks_frames
import attacks_messages
import http2
from target import Target

ATTACKS = [*attacks_frames.ATTACKS, *attacks_messages.ATTACKS, *attacks_clients.ATTACKS]
# These have a daemon of their own.
LONE_ATTACKS = attacks_connections.ATTACKS
# While an attack goes on, the well-behaved client must get at least so far.
BYSTANDER_CALLS_MIN = 10


def run(target, attack):
    """One attack; returns its row and what did not hold."""
    baseline = target.settle()
    peak = target.peak_memory()
    target.bystander.ask("begin")
    begun, problems = time.monotonic(), []
    try:
        sent = attack.run(target)
        target.bystander.go_on(BYSTANDER_CALLS_MIN)
    except (AssertionError, OSError, http2.Gone) as error:
        sent = "-"
        problems.append(f"{type(error).__name__}: {error}")
    seconds = time.monotonic() - begun
    served = target.bystander.ask("end")
    peak_mib = max(0.0, peak.finish() - baseline.memory_mib)
    if not target.is_alive() or "draining" in target.daemon.log_text():
        return None, [*problems, f"the daemon has ended: {target.daemon.log_text()[-1000:]}"]
    processor_seconds = target.sample().processor_seconds - baseline.processor_seconds
    left, recovery_seconds = target.recover(baseline)
    problems += left + served["errors"][:3]
    if peak_mib > attack.bound_mib:
        problems.append(f"{peak_mib:.0f} MiB, allowed are {attack.bound_mib}")
    return [attack.name, sent, f"{peak_mib:.1f}", str(attack.bound_mib), str(served["calls_count"]),
            f"{served['slowest_ms']}", f"{processor_seconds:.1f}", f"{seconds:.1f}", f"{recovery_seconds:.1f}"], problems


HEADINGS = ["attack", "sent", "peak MiB", "bound", "others' calls", "slowest ms", "CPU s", "took s", "recovered s"]


class Table:
    """Rows as they come; the exit code at the end."""

    def __init__(self):
        self.is_violated = False
        self.print_row(HEADINGS, "")

    def print_row(self, row, verdict):
        print(f"{row[0]:22} {row[1]:62} " + " ".join(f"{value:>{len(heading)}}" for value, heading in
                                                     zip(row[2:], HEADINGS[2:])) + f"  {verdict}", flush=True)

    def add(self, name, row, problems):
        self.is_violated = self.is_violated or bool(problems)
        self.print_row(row or [name, *["-"] * (len(HEADINGS) - 1)], "MISSED" if problems else "pass")
        for problem in problems:
            print(f"    {problem}", flush=True)


def run_all(directory, attacks, is_short, table):
    target = Target(os.path.join(directory, "data"), is_short)
    try:
        for attack in attacks:
            row, problems = run(target, attack)
            table.add(attack.name, row, problems)
            if row is None:
                break
    finally:
        if target.close() != 0:
            table.add("the end", None, ["the daemon did not stop well"])


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--short", action="store_true", help="each with a part of what it can do")
    parser.add_argument("--list", action="store_true", help="the names")
    parser.add_argument("--only", action="append", default=[], help="this attack; may be repeated")
    options = parser.parse_args()
    chosen = [one for one in [*ATTACKS, *LONE_ATTACKS] if not options.only or one.name in options.only]
    if options.list or not chosen:
        print("\n".join(one.name for one in [*ATTACKS, *LONE_ATTACKS]))
        return 0 if options.list else 2
    descriptors_max = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (descriptors_max, descriptors_max))
    directory = tempfile.mkdtemp(prefix="daybook-attack-")
    table = Table()
    try:
        shared = [one for one in chosen if one not in LONE_ATTACKS]
        if shared:
            run_all(directory, shared, options.short, table)
        for attack in chosen:
            if attack in LONE_ATTACKS:
                table.add(attack.name, *attack.run(os.path.join(directory, attack.name.replace(" ", "-")), options.short))
    finally:
        shutil.rmtree(directory, ignore_errors=True)
    return 1 if table.is_violated else 0


if __name__ == "__main__":
    sys.exit(main())
