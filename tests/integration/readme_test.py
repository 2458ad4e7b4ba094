"""The README's five minutes, typed in their order: each command works and prints what the README says it prints.

A command begins with `$ ` and goes on after a line that ends with a backslash or a `|` or leaves a quote open. What stands
below it is its output; ids, times and the address may differ, and a line that begins with `...` stands for the rest.
A block of output without a command belongs to the command before it, run again. What goes on for ever is left once it has
printed what it should.
"""

import itertools
import os
import pathlib
import re
import signal
import subprocess
import threading
import unittest

import harness

INDENT = "    "
ENDLESS = ("Subscribe", "daybook tail")
UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d+Z")

SIZE = re.compile(r'"sizeBytes": "\d+"')  # a time's nanoseconds take four bytes or five
DELAY = re.compile(r"\+\d+\.\d{3}s")


def blocks_of(text):
    """The code blocks, each a list of lines without their indentation."""
    block = []
    for line in text.splitlines():
        if line.startswith(INDENT):
            block.append(line[len(INDENT):])
        elif line.strip() == "" and block:
            block.append("")
        else:
            if block:
                yield block
            block = []
    if block:
        yield block


def goes_on(command):
    return command.rstrip().endswith(("|", "\\")) or command.count("'") % 2 == 1


class Step:
    """A command, None for the one before, and the lines of output that the README shows."""

    def __init__(self, command):
        self.command = command
        self.output = []

    def __repr__(self):
        return self.command or "the command before, again"


def steps_of(text):
    steps = []
    for block in blocks_of(text):
        step = None
        in_command = False
        for line in block:
            if line.startswith("$ "):
                step, in_command = Step(line[2:]), True
                steps.append(step)
            elif in_command and goes_on(step.command):
                step.command += "\n" + line
            else:
                in_command = False
                if step is None:
                    step = Step(None)
                    steps.append(step)
                step.output.append(line)
    return steps


def plain(text, address):
    """What is compared: without what differs from run to run."""
    text = text.replace(address, "ADDRESS").replace("127.0.0.1:50051", "ADDRESS")
    for pattern, word in ((UUID, "ID"), (TIME, "TIME"), (SIZE, '"sizeBytes"'), (DELAY, "+SECONDS")):
        text = pattern.sub(word, text)
    return [line.rstrip() for line in text.strip("\n").splitlines() if line.strip()]


class ReadmeTest(harness.DaemonTest):
    def setUp(self):
        super().setUp()
        self.tools = pathlib.Path(self.directory) / "bin"
        self.tools.mkdir()
        (self.tools / "grpcurl").symlink_to(harness.GRPCURL)
        (self.tools / "daybook").symlink_to(harness.DAYBOOK)

    def start(self, command):
        environment = dict(os.environ, PATH=f"{self.tools}:{os.environ['PATH']}", DAYBOOK_SERVER=self.daemon.address)
        return subprocess.Popen(["bash", "-c", command.replace("127.0.0.1:50051", self.daemon.address)], text=True,
                                stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                                env=environment, process_group=0)

    def output_of(self, command):
        process = self.start(command)
        output, _ = process.communicate(timeout=harness.PATIENCE_SECONDS)
        return output

    def first_output_of(self, command, lines_count):
        """Of a command that goes on for ever: its first lines, at least one."""
        process = self.start(command)
        watchdog = threading.Timer(harness.PATIENCE_SECONDS, os.killpg, (process.pid, signal.SIGKILL))
        watchdog.start()
        lines = list(itertools.islice(process.stdout, max(1, lines_count)))
        watchdog.cancel()
        os.killpg(process.pid, signal.SIGKILL)
        process.stdout.close()
        process.wait(harness.PATIENCE_SECONDS)
        return "".join(lines)

    def check(self, step, command):
        shown = plain("\n".join(step.output), self.daemon.address)
        if any(word in command for word in ENDLESS):
            output = self.first_output_of(command, len(shown))
        else:
            output = self.output_of(command)
        printed = plain(output, self.daemon.address)
        if not shown:
            self.assertFalse(any(line.startswith(("ERROR", "Error", "daybook:")) for line in printed), output)
            return
        rest = next((number for number, line in enumerate(shown) if line.startswith("...")), None)
        if rest is not None:
            shown, printed = shown[:rest], printed[:rest]
        self.assertEqual(shown, printed)

    def test_five_minutes(self):
        text = (harness.ROOT / "README.md").read_text(encoding="utf-8")
        tour = text[text.index("\n## Five minutes"):]
        steps = steps_of(tour[:tour.index("\n## ", 1)])
        self.assertGreater(len(steps), 20)
        command = None
        for number, step in enumerate(steps, 1):
            command = step.command or command
            with self.subTest(step=number, command=repr(step)):
                self.check(step, command)


if __name__ == "__main__":
    unittest.main(verbosity=2)
