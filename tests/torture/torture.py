"""Harms the daemon in every way that is known and proves that nothing acknowledged is lost.

Usage: torture.py [--minutes N] [--seed N] [--only NAME,...] [--rounds N] [--sanitizer asan|tsan] [--list]
                  [--prove [--only SWITCH,...]]

Each fault has a share of the minutes, and at least a few rounds; without --minutes it has those alone. A line for each is
printed as it ends; the exit code is 1 if anything is wrong. The seed of a line replays its choices (not its timing).
With --sanitizer the daemon must have been built with it, and whatever that finds is wrong.
"""

import argparse
import os
import random
import shutil
import sys
import tempfile
import time
import traceback

import campaign
import faults_backup
import faults_data
import faults_disk
import faults_kill
import faults_network
import faults_process
import faults_removal
import mounts
import proofs
from ledger import harness

# name: (what runs it, its share of the time, its least rounds)
FAULTS = {
    "kill": (faults_kill.random_kills, 4, 5),
    "begin": (faults_kill.points_begin, 0, 1),
    "append": (faults_kill.points_append, 4, 1),
    "pause": (faults_kill.pauses, 2, 2),
    "growth": (faults_kill.points_growth, 1, 1),
    "index": (faults_kill.points_index, 1, 1),
    "compaction": (faults_kill.points_compaction, 2, 1),
    "removal": (faults_removal.removed, 3, 4),
    "clock": (faults_kill.wall_clock, 1, 2),
    "clock-process": (faults_process.clock_jumps, 1, 2),
    "memory": (faults_process.out_of_memory, 2, 2),
    "two": (faults_kill.two_daemons, 1, 2),
    "eio": (faults_disk.errors, 3, 5),
    "eio-index": (faults_disk.errors_index, 1, 1),
    "eio-start": (faults_disk.errors_start, 1, 3),
    "slow": (faults_disk.slow, 1, 1),
    "full-disk": (faults_disk.disk_full, 1, 2),
    "full-map": (faults_disk.map_full, 1, 1),
    "power": (faults_disk.power_cut, 4, 5),
    "damage": (faults_data.damage, 3, 20),
    "backup": (faults_backup.backups, 2, 2),
    "proxy": (faults_network.cut_connections, 2, 2),
}


class Budget:
    """How long a fault goes on."""

    def __init__(self, seconds, rounds_min, rounds=None):
        self.deadline = time.monotonic() + seconds
        self.rounds_min, self.rounds = rounds_min, rounds

    def goes_on(self, row, rounds_min=None):
        if campaign.has_failed(row):
            return False
        if self.rounds is not None:
            return row.rounds < self.rounds
        return row.rounds < max(self.rounds_min, rounds_min or 0) or time.monotonic() < self.deadline


PROBLEM_CHARACTERS_MAX = 6000  # a sanitizer's report is long
HEADINGS = ("fault", "rounds", "acknowledged", "lost", "wrong", "unknown", "refused", "recovery", "seed")
FORMAT = "{:<44} {:>6} {:>12} {:>5} {:>5} {:>8} {:>8} {:>9} {:>11}  {}"


def line(row):
    if row.is_skipped:
        return f"{row.fault:<44} skipped: {row.note}"
    return FORMAT.format(row.fault, row.rounds, row.acknowledged, row.lost, row.wrong, row.unknown, row.refused,
                         f"{row.recovery_ms_max} ms", row.seed, row.note if row.is_good else f"FAILED  {row.note}")


def run_one(run, budget, seed):
    """A fault that cannot go on has failed; the others still run."""
    try:
        return run(budget, seed)
    except Exception as error:
        traceback.print_exc()
        row = campaign.Campaign.open[-1].row if campaign.Campaign.open else campaign.Row(run.__name__, seed)
        row.problems.append(f"{type(error).__name__}: {error}")
        for left in list(campaign.Campaign.open):
            left.abandon()
        return row


def run_all(arguments, names):
    """Prints the table; returns whether nothing is wrong."""
    shares = sum(FAULTS[name][1] for name in names)
    print(f"torture: seed {arguments.seed} (DAYBOOK_TEST_SEED)\n" + FORMAT.format(*HEADINGS, ""), flush=True)
    rows = []
    for name in names:
        run, share, rounds_min = FAULTS[name]
        seconds = arguments.minutes * 60 * share / shares if shares else 0
        row = run_one(run, Budget(seconds, rounds_min, arguments.rounds), arguments.seed)
        row.problems += harness.sanitizer_reports()
        rows.append(row)
        print(line(row), flush=True)
        for problem in row.problems[:8]:
            print(f"    {problem[:PROBLEM_CHARACTERS_MAX]}", flush=True)
    total = sum(row.acknowledged for row in rows)
    print(f"torture: {sum(row.rounds for row in rows)} rounds, {total} events acknowledged, "
          f"{sum(row.lost for row in rows)} lost, {sum(row.wrong for row in rows)} wrong, "
          f"{sum(1 for row in rows if not row.is_good)} of {len(rows)} faults failed")
    return all(row.is_good for row in rows)


def sanitizer_check(name):
    """A run without the sanitizer would find nothing."""
    code = campaign.DAYBOOKD_FAILPOINTS.read_bytes()
    for known in ("asan", "tsan"):
        assert (f"__{known}_init".encode() in code) == (known == name), f"{campaign.DAYBOOKD_FAILPOINTS}: not built for this"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=0)
    parser.add_argument("--seed", type=int, default=int(os.environ.get("DAYBOOK_TEST_SEED", random.randrange(1 << 32))))
    parser.add_argument("--only", help="names, separated by commas")
    parser.add_argument("--rounds", type=int, help="of each fault, instead of minutes")
    parser.add_argument("--list", action="store_true", help="the names of all faults")
    parser.add_argument("--prove", action="store_true", help="break the daemon on purpose; it must be noticed")
    parser.add_argument("--sanitizer", choices=("asan", "tsan"), help="the one that the daemon is built with")
    arguments = parser.parse_args()
    if arguments.list:
        print("\n".join(FAULTS))
        return 0
    directory = tempfile.mkdtemp(prefix="daybook-torture-")
    tempfile.tempdir = directory
    faults_disk.no_mounts = mounts.namespace_enter()
    faults_kill.names_check()
    sanitizer_check(arguments.sanitizer)
    names = arguments.only.split(",") if arguments.only else None
    is_good = proofs.run(arguments.seed, names) if arguments.prove else run_all(arguments, names or list(FAULTS))
    if is_good or arguments.prove:
        shutil.rmtree(directory, ignore_errors=True)
    else:
        print(f"torture: ledgers, logs and stores of what failed are below {directory}")
    return 0 if is_good else 1


if __name__ == "__main__":
    sys.exit(main())
