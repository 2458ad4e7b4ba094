"""Faults of the process: SIGKILL at any moment and at every named point, pauses, the wall clock, a second daemon."""

import signal
import subprocess

from campaign import DAYBOOKD_FAILPOINTS, EXIT_BUSY, EXIT_USAGE, Campaign, Row, variables
from clients import PipelinedWriter
from ledger import grpc, harness
from harness import admin_pb2

# Where the daemon is killed, by what makes it come by there. Together with VALUES these are all names that the daemon has.
POINTS = {
    "begin": ["log_filled", "log_renamed", "log_created", "format_written", "format_renamed", "format_synced"],
    "append": ["group_taken", "transaction_begun", "put_before", "put_after", "group_applied", "commit_before",
               "commit_after", "index_added", "tail_published", "head_advanced", "readers_woken", "answer_before",
               "answer_after", "group_answered"],
    "growth": ["file_grown"],
    "index": ["run_before", "run_committed", "run_published"],
    "compaction": ["copy_stepped", "switch_before", "switch_exchanged", "switch_synced", "switch_published",
                   "leftovers_removed"],
}
VALUES = {"wall_clock", "index_run_events", "break_ack_early", "break_tail_publish", "break_checksum", "break_meta_sync",
          "break_visibility", "break_erasure"}
PAUSED = ["group_applied", "commit_after", "index_added", "tail_published", "head_advanced", "answer_before", "answer_after"]


def random_kills(budget, seed, failpoints=()):
    """SIGKILL under load, at a random moment or after a random number of acknowledgements."""
    campaign = Campaign("kill", seed, failpoints=failpoints)
    campaign.start()
    campaign.clients_start()
    while budget.goes_on(campaign.row):
        if campaign.randomness.random() < 0.5:
            campaign.acknowledged_more(campaign.randomness.randrange(400))
        else:
            campaign.for_a_while(campaign.randomness.randrange(1, 500))
        if campaign.daemon.process.poll() is not None:
            campaign.ledger.violation(f"the daemon ended by itself with {campaign.daemon.process.returncode}")
            break
        campaign.kill()
        campaign.start()
        campaign.row.rounds += 1
    return campaign.finish()


def names_check():
    """The table above is complete: a point that nobody kills at would be a point that nobody has tested. A wrong name is
    noticed, and the daemon that is delivered has no such points."""
    def run(rules):
        return subprocess.run([DAYBOOKD_FAILPOINTS], env=variables([rules]), capture_output=True, text=True, check=False)

    names = set(run("list").stdout.split())
    known = VALUES.union(*POINTS.values())
    assert names == known, f"points without a test: {names - known}; tests without a point: {known - names}"
    assert run("group_takn=kill").returncode == EXIT_USAGE
    for binary, is_there in ((DAYBOOKD_FAILPOINTS, True), (harness.DAYBOOKD, False)):
        assert (b"DAYBOOK_FAILPOINTS" in binary.read_bytes()) == is_there, binary


def killed_at(campaign, point):
    code = campaign.ended(f"the kill at {point}")
    if code != -signal.SIGKILL or f"failpoint {point}: killed" not in campaign.last_words:
        campaign.ledger.violation(f"at {point} the daemon ended with {code}: {campaign.last_words[-300:]}")


def points_begin(budget, seed):
    """The first start is killed at each of its steps, again and again: the next one makes the store."""
    total = Row("kill at each step of a store's beginning", seed)
    for point in POINTS["begin"]:
        campaign = Campaign("kill at " + point, seed)
        for _ in range(2):
            code, text = campaign.start_in_vain([f"{point}=kill"])
            # What is made is not made again: then the point is not reached any more.
            if code != -signal.SIGKILL:
                campaign.ledger.violation(f"at {point} the daemon ended with {code}: {text[-300:]}")
            campaign.row.rounds += 1
            if point.endswith(("renamed", "synced")) and point.startswith("format") or point == "log_renamed":
                break
        campaign.start()
        campaign.clients_start(writers=1, pipelined=0, subscribers=1)
        campaign.acknowledged_more(20)
        total.add(campaign.finish())
    return total


def points_append(budget, seed):
    """Every point on the way of an append, in turn, at a random time it is passed."""
    campaign = Campaign("kill at each point of an append", seed)
    campaign.start()
    campaign.clients_start()
    points = POINTS["append"]
    while budget.goes_on(campaign.row, rounds_min=len(points)):
        point = points[campaign.row.rounds % len(points)]
        campaign.kill()
        campaign.start([f"{point}=kill:{campaign.randomness.randrange(1, 120)}"])
        killed_at(campaign, point)
        campaign.start()
        campaign.acknowledged_more(campaign.randomness.randrange(50))
        campaign.row.rounds += 1
    return campaign.finish()


def pauses(budget, seed):
    """A stop at a point of an append holds the gap open in which others may look; then SIGKILL."""
    campaign = Campaign("pause at a point, then kill", seed)
    campaign.start()
    campaign.clients_start()
    while budget.goes_on(campaign.row, rounds_min=2):
        campaign.kill()
        campaign.start([f"{point}=pause:{campaign.randomness.randrange(1, 40)}"
                        for point in campaign.randomness.sample(PAUSED, 2)])
        campaign.for_a_while(campaign.randomness.randrange(200, 1500))
        campaign.row.rounds += 1
    return campaign.finish()


def points_growth(budget, seed):
    """Large events make the file grow; it is killed behind that."""
    campaign = Campaign("kill when the file has grown", seed)
    campaign.start(["file_grown=pause:0"])
    campaign.clients_start(writers=1, pipelined=0, subscribers=1)
    campaign.client_start(PipelinedWriter("large", campaign, events_count=4, text_bytes=200000))
    while budget.goes_on(campaign.row):
        campaign.kill()
        campaign.start(["file_grown=kill"])
        killed_at(campaign, "file_grown")
        campaign.start()
        campaign.row.rounds += 1
    return campaign.finish()


def points_index(budget, seed):
    """65,536 events make a run of the index; it is killed before, between and behind its commit."""
    campaign = Campaign("kill when a run of the index is written", seed)
    campaign.start()
    campaign.clients_start(writers=1, pipelined=0, subscribers=1)
    campaign.client_start(PipelinedWriter("many", campaign, events_count=1024, text_bytes=16))
    while budget.goes_on(campaign.row):
        point = campaign.randomness.choice(POINTS["index"])
        campaign.kill()
        campaign.start([f"{point}=kill"])
        killed_at(campaign, point)
        campaign.start()
        campaign.row.rounds += 1
    return campaign.finish()


def _compact(campaign):
    """One compaction, which the kill may end."""
    try:
        for _ in campaign.admin().Compact(admin_pb2.CompactRequest(), wait_for_ready=True,
                                          timeout=harness.PATIENCE_SECONDS):
            pass
    except grpc.RpcError as error:
        if error.code() not in (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.CANCELLED):
            campaign.ledger.violation(f"a compaction ended with {error.code().name}: {error.details()}")


def points_compaction(budget, seed):
    """A compaction under load, killed at each of its points in turn."""
    campaign = Campaign("kill at each point of a compaction", seed)
    campaign.start()
    campaign.clients_start()
    points = POINTS["compaction"]
    while budget.goes_on(campaign.row, rounds_min=len(points)):
        point = points[campaign.row.rounds % len(points)]
        campaign.acknowledged_more(campaign.randomness.randrange(1, 100))
        campaign.kill()
        # The first removal of leftovers is that of the start.
        campaign.start([f"{point}=kill:{2 if point == 'leftovers_removed' else 1}"])
        campaign.acknowledged_more(campaign.randomness.randrange(1, 60))
        _compact(campaign)
        killed_at(campaign, point)
        campaign.start()
        campaign.row.rounds += 1
    return campaign.finish()


def wall_clock(budget, seed):
    """The wall clock jumps by an hour back, a day forth and back again, within a run and between two."""
    campaign = Campaign("wall clock jumps", seed)
    campaign.start()
    campaign.clients_start()
    hour_ms = 3600 * 1000
    while budget.goes_on(campaign.row):
        jumps = [f"wall_clock=shift:{campaign.randomness.choice([-hour_ms, 24 * hour_ms, -25 * hour_ms, 1, -1])}:{number}"
                 for number in sorted(campaign.randomness.sample(range(1, 400), 5))]
        campaign.kill()
        campaign.start(jumps)
        campaign.acknowledged_more(300)
        if campaign.daemon.process.poll() is not None:
            campaign.ledger.violation(f"the daemon ended by itself with {campaign.daemon.process.returncode}")
            break
        campaign.row.rounds += 1
    return campaign.finish()


def two_daemons(budget, seed):
    """A second daemon on the directory of one that serves ends with 75, and the first does not notice."""
    campaign = Campaign("two daemons on one directory", seed)
    campaign.start()
    campaign.clients_start()
    while budget.goes_on(campaign.row):
        campaign.acknowledged_more(50)
        code, text = campaign.start_in_vain()
        if code != EXIT_BUSY or "is in use by process" not in text:
            campaign.ledger.violation(f"a second daemon ended with {code}: {text[-300:]}")
        campaign.row.rounds += 1
    return campaign.finish()
