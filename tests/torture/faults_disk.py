"""Faults of the disk: errors, torn writes, slowness, no space, a map that is full, power cuts."""

import errno
import os
import shutil

import mounts
from campaign import EXIT_STORAGE, Campaign
from clients import PipelinedWriter
from ledger import harness

MIB = 1 << 20
ERRORS = ["sync=fail", "sync=fail_once", "write=fail", "write=fail_once", "write=short"]
FULL_DISK_BYTES, FULL_DISK_ROUNDS = 320 * MIB, 6
POWER_CUT_BYTES = 512 * MIB
# Why file systems of the test's own cannot be; set by torture.py before the first thread.
no_mounts = None


def _acknowledged_after(campaign, time_ns):
    """Nothing that began after the disk had failed may be acknowledged, but what was there before."""
    for request in campaign.ledger.requests:
        for attempt in request.attempts:
            if attempt.outcome == "ok" and not attempt.replayed and attempt.begun_ns > time_ns:
                yield attempt


def errors(budget, seed, failpoints=()):
    """EIO from sync and write, once and for ever, and torn writes: exit code 74, no acknowledgement after it."""
    campaign = Campaign("EIO on sync and write, torn writes", seed, failpoints=failpoints)
    campaign.start()
    campaign.clients_start()
    while budget.goes_on(campaign.row, rounds_min=len(ERRORS)):
        error = ERRORS[campaign.row.rounds % len(ERRORS)]
        campaign.kill()
        begun = campaign.ledger.attempts_count
        campaign.start(disk=f"{error}:{campaign.randomness.randrange(20, 200)}", files="/log/data.mdb")
        code = campaign.ended(f"the end after {error}")
        failed_ns = campaign.fault_ns()
        if code != EXIT_STORAGE or failed_ns is None:
            campaign.ledger.violation(f"after {error} the daemon ended with {code}: {campaign.last_words[-300:]}")
        else:
            for attempt in _acknowledged_after(campaign, failed_ns):
                if attempt.number >= begun:
                    campaign.ledger.violation(f"{attempt.results} was acknowledged after {error}")
        campaign.start()
        campaign.row.rounds += 1
    return campaign.finish()


def errors_index(budget, seed):
    """The same under the index, which is written every 65,536 events: the daemon stops, the log has everything."""
    campaign = Campaign("EIO under the index", seed)
    campaign.start()
    campaign.clients_start(writers=1, pipelined=0, subscribers=1)
    campaign.client_start(PipelinedWriter("many", campaign, events_count=1024, text_bytes=16))
    while budget.goes_on(campaign.row):
        error = campaign.randomness.choice(ERRORS)
        campaign.kill()
        try:
            campaign.start(disk=f"{error}:{campaign.randomness.randrange(1, 8)}", files="/index/data.mdb")
            code = campaign.ended(f"the end after {error} of the index")
            words = campaign.last_words[-300:]
        except AssertionError as failure:  # a start may have to write the index, too
            words = str(failure)
            code = EXIT_STORAGE if f"daybookd ended with {EXIT_STORAGE}:" in words else None
        if code != EXIT_STORAGE:
            campaign.ledger.violation(f"after {error} of the index it ended with {code}: {words}")
        campaign.start()
        campaign.row.rounds += 1
    return campaign.finish()


def errors_start(budget, seed):
    """EIO at a start: it ends with 74 (or does not need that call); the next start serves everything."""
    campaign = Campaign("EIO at the start", seed)
    campaign.start()
    campaign.clients_start()
    while budget.goes_on(campaign.row, rounds_min=3):
        campaign.acknowledged_more(30)
        campaign.kill()
        call = ("read", "write", "sync")[campaign.row.rounds % 3]
        number = 1 if campaign.row.rounds < 3 else campaign.randomness.randrange(1, 4)
        try:
            campaign.start(disk=f"{call}=fail:{number}")
        except AssertionError as error:
            if f"ended with {EXIT_STORAGE}:" not in str(error):
                campaign.ledger.violation(f"{call} failed at the start: {error}")
            campaign.start()
        else:
            if call == "read":
                campaign.ledger.violation(f"the start did not notice that read number {number} failed")
            campaign.kill()
            campaign.start()
        campaign.row.rounds += 1
    return campaign.finish()


def slow(budget, seed):
    """Each sync takes a long time: appends go on, slowly; then SIGKILL."""
    campaign = Campaign("slow disk", seed)
    campaign.start()
    campaign.clients_start()
    while budget.goes_on(campaign.row):
        campaign.kill()
        campaign.start(disk=f"sync=delay:{campaign.randomness.randrange(20, 300)}:1")
        campaign.acknowledged_more(campaign.randomness.randrange(10, 60))
        if campaign.daemon.process.poll() is not None:
            campaign.ledger.violation(f"the daemon ended by itself with {campaign.daemon.process.returncode}")
            break
        campaign.row.rounds += 1
    return campaign.finish()


def _skipped(campaign, reason):
    campaign.abandon()
    shutil.rmtree(campaign.directory, ignore_errors=True)
    campaign.row.is_skipped, campaign.row.note = True, reason
    return campaign.row


def _refusals(campaign, reason):
    return sum(1 for request in campaign.ledger.requests for attempt in request.attempts if attempt.reason == reason)


def _until_full(campaign, writer_name):
    """Large events until the daemon refuses some for want of space. It goes on serving."""
    before = _refusals(campaign, "STORAGE_FULL")
    writer = PipelinedWriter(writer_name, campaign, events_count=4, text_bytes=400000)
    campaign.client_start(writer)
    harness.wait_until(lambda: _refusals(campaign, "STORAGE_FULL") > before + 10 or campaign.ledger.violations or
                       campaign.daemon.process.poll() is not None, "refusals for want of space")
    writer.stop_event.set()
    if campaign.daemon.process.poll() is not None:
        campaign.ledger.violation(f"without space the daemon ended with {campaign.daemon.process.returncode}: "
                                  f"{campaign.daemon.log_text()[-300:]}")


def _reads_go_on(campaign):
    reader = next(client for client in campaign.clients if client.name == "reader0")
    count = len(reader.reads)
    harness.wait_until(lambda: len(reader.reads) > count + 2 or not reader.is_alive(), "reads without space")


def _repeat(once, budget, seed):
    """A store that fills its disk has only so many rounds in it."""
    total = once(budget, seed)
    while not total.is_skipped and budget.goes_on(total):
        total.add(once(budget, seed + total.rounds))
    return total


def _disk_fill(disk, ballast, rest_bytes):
    """Leaves so much; less when the store takes space meanwhile."""
    with open(ballast, "wb") as file:
        while True:
            free = os.statvfs(disk)
            free_bytes = free.f_bavail * free.f_frsize
            try:
                os.posix_fallocate(file.fileno(), 0, max(free_bytes - rest_bytes, MIB))
                return
            except OSError as error:
                if error.errno != errno.ENOSPC or free_bytes < MIB:
                    raise


def disk_full(budget, seed):
    """No space left: appends are refused, everything else goes on, and appends resume when there is space."""
    return _repeat(_disk_full, budget, seed)


def _disk_full(budget, seed):
    campaign = Campaign("full disk", seed)
    reason = no_mounts
    if reason is None:
        disk = os.path.join(campaign.directory, "small")
        reason = mounts.tmpfs_mount(disk, FULL_DISK_BYTES)
    if reason is not None:
        return _skipped(campaign, reason)
    campaign.data, ballast = os.path.join(disk, "data"), os.path.join(disk, "ballast")
    campaign.start()
    campaign.clients_start()
    while budget.goes_on(campaign.row) and campaign.row.rounds < FULL_DISK_ROUNDS:
        _disk_fill(disk, ballast, campaign.randomness.randrange(0, 24 * MIB))
        _until_full(campaign, f"large{campaign.row.rounds}")
        if campaign.ledger.violations:
            break
        _reads_go_on(campaign)
        if campaign.randomness.random() < 0.5:  # a start on a full disk serves reads, too
            campaign.kill()
            campaign.start()
            _reads_go_on(campaign)
        os.unlink(ballast)
        campaign.acknowledged_more(50)
        campaign.row.rounds += 1
    row = campaign.finish()
    reason = mounts.unmount(disk)
    if reason is not None:
        row.problems.append(reason)
    if row.is_good:
        shutil.rmtree(campaign.directory, ignore_errors=True)
    return row


def map_full(budget, seed):
    """The map is full: appends are refused, reads go on; a start with a larger one resumes."""
    return _repeat(_map_full, budget, seed)


def _map_full(budget, seed):
    campaign = Campaign("full map", seed)
    size = 16 * MIB
    campaign.flags = (f"--log-map-bytes={size}",)
    campaign.start()
    campaign.clients_start()
    while budget.goes_on(campaign.row) and size <= 64 * MIB:
        _until_full(campaign, f"large{campaign.row.rounds}")
        if campaign.ledger.violations:
            break
        _reads_go_on(campaign)
        size += 16 * MIB
        campaign.kill()
        campaign.flags = (f"--log-map-bytes={size}",)
        campaign.start()
        campaign.acknowledged_more(50)
        campaign.row.rounds += 1
    return campaign.finish()


def power_cut(budget, seed, failpoints=()):
    """The file system stops as it does when the power fails: what was not synced is gone. Everything acknowledged stays."""
    campaign = Campaign("power cut (ext4)", seed, failpoints=failpoints)
    disk = mounts.Ext4(campaign.directory, POWER_CUT_BYTES)
    reason = no_mounts or disk.make()
    if reason is not None:
        return _skipped(campaign, reason)
    campaign.data = os.path.join(disk.path, "data")
    campaign.start()
    campaign.clients_start()
    while budget.goes_on(campaign.row):
        if campaign.randomness.random() < 0.5:
            campaign.acknowledged_more(campaign.randomness.randrange(200))
        else:
            campaign.for_a_while(campaign.randomness.randrange(1, 300))
        disk.power_cut()
        if campaign.randomness.random() < 0.5:  # the daemon sees the errors first
            code = campaign.ended("the end after the power cut")
            if code != EXIT_STORAGE:
                campaign.ledger.violation(f"after the power cut the daemon ended with {code}: {campaign.last_words[-300:]}")
        else:
            campaign.kill()
        reason = disk.unmount() or disk.mount()
        if reason is not None:
            campaign.ledger.violation(reason)
            break
        try:
            campaign.start()
        except AssertionError as error:
            campaign.ledger.violation(f"after a power cut: {error}")
            break
        campaign.row.rounds += 1
    row = campaign.finish()
    reason = disk.unmount()
    if row.is_good:
        shutil.rmtree(campaign.directory, ignore_errors=True)
    if reason is not None:
        row.problems.append(reason)
    return row
