"""The n-th call on a file fails, or the n-th allocation, once and for ever, for every n until a workload passes without one.

Usage: nth_fault.py [--stride N] [--seed N] [--first N] [--only WORKLOAD,...] [--fault FAULT-DURATION]

Short workloads: `serve` on an empty directory (appends of all kinds, settings, a deletion, an erasure, a backup, a verification,
a compaction, a rebuild of the index, a stop), `restart` (the same on what such a run has left), `index` (runs of the index and of
names are written, merged and built anew; the test build whose runs hold two events), `restore` of a backup, `verify` of a
directory. Whatever fails, the daemon answers truthfully or ends with its documented code; then it is started without faults,
serves, and has what was acknowledged, nothing that was refused, and what nobody knows wholly or not at all. With --stride only
every so many calls fail, the first chosen by the seed.

EIO and ENOSPC are those of files (io_faults.c), ENOMEM is that of our own code's allocations (memory_faults.c).
"""

import argparse
import collections
import os
import pathlib
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from concurrent import futures

import nth_workload
from campaign import EXIT_STORAGE
from nth_workload import BINARY, harness

HERE = harness.BINARIES / "tests" / "torture"
FAULTS = [("EIO", "once"), ("EIO", "ever"), ("ENOSPC", "once"), ("ENOSPC", "ever"), ("ENOMEM", "once"), ("ENOMEM", "ever")]
EXIT_RESOURCES = 70
# More than cores, because a daemon whose disk has failed takes a while to end.
WORKERS_COUNT = 4
STRIDE_SMALL_MAX = 16
PROBLEMS_COUNT_MAX = 20
COPY = "copy"


def memory_directory():
    """Where files are fastest: what fails here is not the disk."""
    shared = "/dev/shm"
    if os.path.isdir(shared) and os.access(shared, os.W_OK) and shutil.disk_usage(shared).free > 1 << 30:
        return shared
    return None


class Round:
    """One run of a workload in a directory of its own."""

    def __init__(self, number, error, duration):
        self.number, self.error, self.duration = number, error, duration
        self.directory = tempfile.mkdtemp(prefix="daybook-io-", dir=memory_directory())
        self.data = os.path.join(self.directory, "data")
        self.report = os.path.join(self.directory + ".report")
        self.problems = []
        self.binary, self.variables = BINARY, {}

    @property
    def is_memory(self):
        """Without memory a call may end without an outcome and the daemon go on."""
        return self.error == "ENOMEM"

    @property
    def codes(self):
        """What the daemon may end with by itself; an index that has no memory ends it as a disk does."""
        return (EXIT_RESOURCES, EXIT_STORAGE) if self.is_memory else (EXIT_STORAGE,)

    @property
    def environment(self):
        if self.number == 0:
            return self.variables
        if self.is_memory:
            return {**self.variables, "LD_PRELOAD": str(HERE / "memory_faults.so"), "DAYBOOK_MEMORY_REPORT": self.report,
                    "DAYBOOK_MEMORY_FAULT": f"{self.number} {self.duration}"}
        return {**self.variables, "LD_PRELOAD": str(HERE / "io_faults.so"), "DAYBOOK_IO_FILES": self.directory,
                "DAYBOOK_IO_FAULT": f"{self.number} {self.error} {self.duration}", "DAYBOOK_IO_REPORT": self.report}

    def failed_call(self):
        """What failed, or None when the workload made fewer calls."""
        path = pathlib.Path(self.report)
        return path.read_text(encoding="utf-8").strip() if path.exists() else None

    def problem(self, text):
        self.problems.append(text)

    def close(self):
        shutil.rmtree(self.directory, ignore_errors=True)
        pathlib.Path(self.report).unlink(missing_ok=True)


def check_code(this, code, what):
    """It says what failed, or it did not need it."""
    if code not in (0, *this.codes):
        this.problem(f"{what} ended with {code}")


def serve(this, ledger=None, workload=nth_workload.run):
    """The workload under the fault, then without it what is there."""
    ledger = ledger or nth_workload.Ledger()
    daemon, words = None, ""
    try:
        daemon = harness.Daemon(this.data, *nth_workload.FLAGS, binary=this.binary, environment=this.environment)
    except AssertionError as error:
        words = str(error)
        if not any(f"daybookd ended with {code}:" in words for code in this.codes):
            this.problem(f"the start: {words[-400:]}")
    if daemon is not None:
        workload(daemon, ledger, this)
        code = daemon.stop()
        words = daemon.log_text()
        # A signal that comes while it ends for a failure is a second one, which ends it at once.
        if code != -signal.SIGTERM or "draining reason=failure" not in words:
            check_code(this, code, f"the stop ({words[-300:]})")
        os.unlink(daemon.log.name)
    nth_workload.after(ledger, this)


def restart(this, template):
    """The same on a store that has been used."""
    directory, ledger = template
    shutil.copytree(os.path.join(directory, "data"), this.data)
    serve(this, ledger.copy())


def index(this, template):
    """What the index thread does."""
    this.binary, this.variables = nth_workload.INDEX_BINARY, nth_workload.INDEX_VARIABLES
    directory, ledger = template
    shutil.copytree(os.path.join(directory, "data"), this.data)
    serve(this, ledger.copy(), nth_workload.index_run)


def task(this, *flags, environment=None):
    done = subprocess.run([BINARY, "--data", this.data, *flags], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True, check=False, timeout=harness.PATIENCE_SECONDS,
                          env={**os.environ, **(environment or {})})
    return done.returncode, done.stdout[-300:]


def restore(this, template):
    """A restore under the fault leaves nothing or a whole store; the next one, if it is needed, makes it."""
    directory, _ = template
    path = os.path.join(this.directory, COPY)
    shutil.copyfile(os.path.join(directory, COPY), path)
    code, text = task(this, "--restore", path, environment=this.environment)
    check_code(this, code, f"the restore ({text})")
    is_there = os.path.exists(os.path.join(this.data, "FORMAT"))
    if code == 0 and not is_there:
        this.problem("the restore said that it was done")
    if not is_there:
        code, text = task(this, "--restore", path)
        if code != 0:
            this.problem(f"the next restore ended with {code}: {text}")
    code, text = task(this, "--verify")
    if code != 0:
        this.problem(f"I8: the restored store: {code}: {text}")


def verify(this, template):
    """A verification that cannot read says so, and never that a sound store is damaged."""
    directory, _ = template
    shutil.copytree(os.path.join(directory, "data"), this.data)
    code, text = task(this, "--verify", environment=this.environment)
    check_code(this, code, f"the verification ({text})")


WORKLOADS = {"serve": serve, "restart": restart, "index": index, "restore": restore, "verify": verify}
# They make a third of the calls, in a tenth of the time.
SHORT_WORKLOADS, SHORT_SHARE = {"restore", "verify"}, 4


def template_make():
    """A used store, what is known of it, and a copy of it, made without faults."""
    this = Round(0, "", "")
    ledger = nth_workload.Ledger()
    serve(this, ledger)
    if this.problems or ledger.copies == []:
        raise AssertionError(f"without a fault: {this.problems}")
    with open(os.path.join(this.directory, COPY), "wb") as file:
        file.write(ledger.copies[-1])
    ledger.copies.clear()
    return this, ledger


def index_template_make():
    """A store whose index is about to merge its runs, and what is known of it."""
    this = Round(0, "", "")
    ledger = nth_workload.Ledger()
    daemon = harness.Daemon(this.data, binary=nth_workload.INDEX_BINARY, environment=nth_workload.INDEX_VARIABLES)
    nth_workload.index_fill(daemon, ledger, this)
    code = daemon.stop()
    if code != 0 or this.problems:
        raise AssertionError(f"without a fault: {code}, {this.problems}")
    os.unlink(daemon.log.name)
    return this, ledger


TEMPLATES = {"index": index_template_make}


class Sweep:
    """All n of one workload and one kind of failure."""

    def __init__(self, name, fault, template, stride, first):
        self.name, self.fault, self.template, self.stride = name, fault, template, stride
        self.next = first
        self.rounds = 0
        self.last = None      # the first n that nothing reaches
        self.calls = collections.Counter()
        self.problems = []
        self.mutex = threading.Lock()

    def _number(self):
        with self.mutex:
            if (self.last is not None and self.next >= self.last) or len(self.problems) >= PROBLEMS_COUNT_MAX:
                return None
            number = self.next
            self.next += self.stride
            return number

    def _work(self):
        number = self._number()
        while number is not None:
            this = Round(number, *self.fault)
            try:
                if self.name == "serve":
                    serve(this)
                else:
                    WORKLOADS[self.name](this, self.template)
            except Exception as error:  # whatever it is, the run must not pass
                this.problem(f"{type(error).__name__}: {error}")
            call = this.failed_call()
            with self.mutex:
                if call is None:
                    self.last = number if self.last is None else min(self.last, number)
                else:
                    self.rounds += 1
                    self.calls[call.split()[0]] += 1
                self.problems += [f"call {number} ({call}): {text}" for text in this.problems]
            this.close()
            number = self._number()

    def run(self, workers_count):
        begun = time.monotonic()
        with futures.ThreadPoolExecutor(workers_count) as workers:
            for done in [workers.submit(self._work) for _ in range(workers_count)]:
                done.result()
        calls = ", ".join(f"{count} {name}" for name, count in sorted(self.calls.items()))
        lines = [f"  {self.name:8} {self.fault[0]:6} {self.fault[1]:4} {self.rounds:5} of about {self.last} calls, "
                 f"{time.monotonic() - begun:5.0f} s  {'pass' if not self.problems else 'FAILED'}  ({calls})"]
        print("\n".join(lines + [f"    {problem}" for problem in self.problems[:PROBLEMS_COUNT_MAX]]), flush=True)
        return not self.problems


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--stride", type=int, default=1)
    parser.add_argument("--seed", type=int, default=int(os.environ.get("DAYBOOK_TEST_SEED", random.randrange(1 << 32))))
    parser.add_argument("--first", type=int, default=0, help="the first call that fails")
    parser.add_argument("--only", help="workloads, separated by commas")
    parser.add_argument("--fault", help="one of " + ", ".join("-".join(fault) for fault in FAULTS))
    arguments = parser.parse_args()
    print(f"the n-th call fails: seed {arguments.seed} (DAYBOOK_TEST_SEED), stride {arguments.stride}", flush=True)
    randomness = random.Random(arguments.seed)
    names = arguments.only.split(",") if arguments.only else list(WORKLOADS)
    templates = {make: make() for make in {TEMPLATES.get(name, template_make) for name in names}}
    sweeps = []
    for name in names:
        this, ledger = templates[TEMPLATES.get(name, template_make)]
        stride = max(1, arguments.stride // SHORT_SHARE) if name in SHORT_WORKLOADS else arguments.stride
        for fault in FAULTS:
            first = arguments.first or randomness.randrange(stride) + 1
            if arguments.fault is None or arguments.fault == "-".join(fault):
                sweeps.append(Sweep(name, fault, (this.directory, ledger), stride, first))
    # Every worker of a sweep finds its end by a round in which nothing fails: one is enough where there are few others.
    workers_count = WORKERS_COUNT if arguments.stride < STRIDE_SMALL_MAX else 1
    with futures.ThreadPoolExecutor(WORKERS_COUNT // workers_count) as runners:
        is_good = all(list(runners.map(lambda sweep: sweep.run(workers_count), sweeps)))
    for this, _ in templates.values():
        this.close()
    return 0 if is_good else 1


if __name__ == "__main__":
    sys.exit(main())
