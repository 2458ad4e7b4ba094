"""Backups under load and their restore; copies that are cut or damaged; a kill in the middle of either."""

import os
import shutil
import signal
import subprocess

from campaign import DAYBOOKD_FAILPOINTS, Campaign, task
from clients import CHANNEL_OPTIONS
from ledger import digest, event_store_pb2, grpc, harness
from harness import admin_pb2, event_store_pb2_grpc
from oracle import Entry


def _backup(campaign, path):
    """Writes a copy to the file while the load goes on. Returns its head; 0 when the daemon went away."""
    head = 0
    try:
        with open(path, "wb") as file:
            for response in campaign.admin().Backup(admin_pb2.BackupRequest(), wait_for_ready=True,
                                                    timeout=harness.PATIENCE_SECONDS):
                head = head or response.head
                file.write(response.data)
    except grpc.RpcError as error:
        if error.code() != grpc.StatusCode.UNAVAILABLE or campaign.daemon.process.poll() is None:
            campaign.ledger.violation(f"a backup ended with {error.code().name}: {error.details()}")
        return 0
    return head


def _served(data):
    """What a daemon on a restored directory has: the hashes of all events."""
    daemon = harness.Daemon(data, binary=DAYBOOKD_FAILPOINTS)
    try:
        with grpc.insecure_channel(daemon.address, options=CHANNEL_OPTIONS) as channel:
            store = event_store_pb2_grpc.EventStoreStub(channel)
            return [Entry(event, digest).hash for response in
                    store.Read(event_store_pb2.ReadRequest(), wait_for_ready=True, timeout=harness.PATIENCE_SECONDS)
                    for event in response.events]
    finally:
        daemon.kill()
        os.unlink(daemon.log.name)


def _restore_whole(campaign, path, head, copies):
    """A restore, one that is killed first every other time; what it has made is kept to be compared with the log."""
    target = os.path.join(campaign.directory, "restored")
    if campaign.randomness.random() < 0.5:
        begun = subprocess.Popen([DAYBOOKD_FAILPOINTS, "--data", target, "--restore", path], stdin=subprocess.DEVNULL,
                                 stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            begun.wait(campaign.randomness.random() * 0.05)
        except subprocess.TimeoutExpired:
            begun.send_signal(signal.SIGKILL)
            begun.wait(harness.PATIENCE_SECONDS)
    code, text = task(target, "--restore", path)
    if code != 0 and "is a store" not in text and not os.path.exists(os.path.join(target, "FORMAT")):
        campaign.ledger.violation(f"a restore ended with {code}: {text}")
        return
    code, text = task(target, "--verify")
    if code != 0:
        campaign.ledger.violation(f"I8: of a restored store: {code}: {text}")
        return
    copies.append((head, _served(target)))
    if task(target, "--restore", path)[0] == 0:
        campaign.ledger.violation("a restore has replaced a store")
    shutil.rmtree(target)


def _restore_damaged(campaign, path):
    """A copy that is cut or changed at one place is refused, and nothing is made of it."""
    with open(path, "rb") as file:
        content = bytearray(file.read())
    at = campaign.randomness.randrange(len(content))
    if campaign.randomness.random() < 0.3:
        del content[at:]
    else:
        content[at] ^= 1 << campaign.randomness.randrange(8)
    with open(path, "wb") as file:
        file.write(content)
    target = os.path.join(campaign.directory, "damaged")
    code, text = task(target, "--restore", path)
    if code == 0 or os.path.exists(os.path.join(target, "FORMAT")):
        campaign.ledger.violation(f"a copy that was damaged at byte {at} of {len(content)} was restored: {text}")
    shutil.rmtree(target, ignore_errors=True)


def backups(budget, seed):
    """Each copy, restored, is the log up to a head that is not before what was acknowledged when it began."""
    campaign = Campaign("backups under load and their restore", seed)
    copies, path = [], os.path.join(campaign.directory, "copy")
    campaign.start()
    campaign.clients_start()
    while budget.goes_on(campaign.row, rounds_min=2):
        campaign.acknowledged_more(campaign.randomness.randrange(1, 200))
        acknowledged = campaign.ledger.position_acknowledged
        head = _backup(campaign, path)
        if campaign.ledger.violations:
            break
        if head < acknowledged:
            campaign.ledger.violation(f"a backup has head {head}, {acknowledged} was acknowledged before it")
        _restore_whole(campaign, path, head, copies)
        _restore_damaged(campaign, path)
        campaign.row.rounds += 1
    row = campaign.finish()
    for head, hashes in copies:
        if len(hashes) != head or hashes != [entry.hash for entry in campaign.log[:head]]:
            row.problems.append(f"a restored copy with head {head} has {len(hashes)} events, or others than the log")
    return row
