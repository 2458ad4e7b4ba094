"""Runs h2spec, the conformance suite of HTTP/2, against a server: its groups side by side, because most of it is waiting."""

import concurrent.futures
import os
import subprocess
import tempfile
import xml.etree.ElementTree

# All cases of h2spec 2.2.1, in parts that take about as long as each other where the library says nothing and is waited for.
GROUPS = [
    ["generic", "hpack", "http2/3", "http2/7", "http2/5.1.2"],
    ["http2/4", "http2/5.1.1", "http2/5.3", "http2/5.4", "http2/5.5"],
    ["http2/5.1/1", "http2/5.1/2", "http2/5.1/3", "http2/5.1/4", "http2/5.1/5", "http2/5.1/6", "http2/5.1/7"],
    ["http2/5.1/8", "http2/5.1/9", "http2/5.1/10", "http2/5.1/11", "http2/5.1/12", "http2/5.1/13"],
    ["http2/6.1", "http2/6.2", "http2/6.3"],
    ["http2/6.4", "http2/6.5", "http2/6.6", "http2/6.7", "http2/6.8", "http2/6.9", "http2/6.10"],
    ["http2/8.1/1", "http2/8.1.2/1", "http2/8.1.2.1", "http2/8.1.2.2"],
    ["http2/8.1.2.3"],
    ["http2/8.1.2.6", "http2/8.2"],
]
CASES_COUNT = 145


def run(program, port, specs, timeout_seconds):
    """{case: passed, or None when it was skipped}; a case is its group and its title."""
    with tempfile.TemporaryDirectory(prefix="daybook-h2spec-") as directory:
        report = os.path.join(directory, "report.xml")
        done = subprocess.run([program, "-p", str(port), "-o", str(timeout_seconds), "-j", report, *specs],
                              stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=600, check=False)
        if not os.path.exists(report):
            raise AssertionError(f"h2spec {' '.join(specs)} ended with {done.returncode}: {done.stdout[-500:]} {done.stderr}")
        suites = xml.etree.ElementTree.parse(report).getroot()
    outcomes = {}
    for suite in suites:
        for case in suite:
            is_skipped = case.find("skipped") is not None
            is_good = case.find("error") is None and case.find("failure") is None
            outcomes[f"{suite.get('package')} {case.get('classname')}"] = None if is_skipped else is_good
    return outcomes


def run_all(program, port, timeout_seconds=1):
    """The same for all cases."""
    outcomes, count = {}, 0
    with concurrent.futures.ThreadPoolExecutor(len(GROUPS)) as pool:
        for part in pool.map(lambda specs: run(program, port, specs, timeout_seconds), GROUPS):
            outcomes |= part
            count += len(part)
    if (count, len(outcomes)) != (CASES_COUNT, CASES_COUNT):
        raise AssertionError(f"{count} cases were run, {len(outcomes)} different ones, of {CASES_COUNT}")
    return outcomes
