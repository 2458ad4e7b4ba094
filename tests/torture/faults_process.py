"""Faults of what the machine gives a process: a wall clock that jumps under every library of it, memory that is not there."""

import pathlib
import signal
import struct
import time

from campaign import CLOCK_FAULTS, Campaign
from clients import PipelinedWriter
from ledger import harness
from memory_group import MemoryGroup

HOUR_MS, DAY_MS = 3600 * 1000, 24 * 3600 * 1000
SHIFTS_MS = [-HOUR_MS, DAY_MS, -25 * HOUR_MS, 0, 1, -1]
JUMPS_COUNT = 4
KIB, MIB = 1 << 10, 1 << 20


def clock_jumps(budget, seed, failpoints=()):
    """The clock of the whole process jumps while it serves and between two runs: nobody's call ends early, events go on."""
    campaign = Campaign("wall clock of the process jumps", seed, failpoints=failpoints)
    file = pathlib.Path(campaign.directory, "clock")
    file.write_bytes(struct.pack("=q", 0))
    environment = {"LD_PRELOAD": str(CLOCK_FAULTS), "DAYBOOK_CLOCK_FILE": str(file)}
    campaign.start(environment=environment)
    campaign.clients_start()
    while budget.goes_on(campaign.row):
        begun_ns = time.monotonic_ns()
        for _ in range(JUMPS_COUNT):
            with open(file, "r+b") as opened:
                opened.write(struct.pack("=q", campaign.randomness.choice(SHIFTS_MS)))
            campaign.acknowledged_more(campaign.randomness.randrange(20, 150))
        if campaign.daemon.process.poll() is not None:
            campaign.ledger.violation(f"the daemon ended by itself with {campaign.daemon.process.returncode}")
            break
        if campaign.ledger.unknown_attempts_count(begun_ns) > 0:
            campaign.ledger.violation("calls ended without an answer when the clock jumped")
        if campaign.randomness.random() < 0.5:  # the next run begins in the past or the future of this one
            campaign.kill()
            campaign.start(environment=environment)
            campaign.acknowledged_more(20)
        campaign.row.rounds += 1
    return campaign.finish()


def _starve(campaign, group):
    """Takes away what memory there is until the kernel kills the daemon."""
    room_bytes = campaign.randomness.randrange(16 * KIB, MIB)

    def is_dead():
        if campaign.daemon.process.poll() is not None or campaign.ledger.violations:
            return True
        group.limit(group.used_bytes() + room_bytes)
        return False

    harness.wait_until(is_dead, "the kernel to kill the daemon")


def out_of_memory(budget, seed, failpoints=()):
    """The kernel kills the daemon because its control group has no memory left: an end like any other."""
    campaign = Campaign("killed for want of memory", seed, failpoints=failpoints)
    group = MemoryGroup()
    reason = group.make()
    if reason is not None:
        campaign.abandon()
        campaign.row.is_skipped, campaign.row.note = True, reason
        return campaign.row
    campaign.start(prefix=group.start_command)
    campaign.clients_start()
    campaign.client_start(PipelinedWriter("large", campaign, events_count=4, text_bytes=200000))
    while budget.goes_on(campaign.row):
        campaign.acknowledged_more(campaign.randomness.randrange(20, 200))
        kills = group.kills_count()
        _starve(campaign, group)
        code = campaign.ended("the end for want of memory")
        if code != -signal.SIGKILL or group.kills_count() == kills:
            campaign.ledger.violation(f"without memory the daemon ended with {code}: {campaign.last_words[-300:]}")
        group.limit(None)
        campaign.start(prefix=group.start_command)
        campaign.row.rounds += 1
    row = campaign.finish()
    group.remove()
    return row
