"""Mixed load for a long time: memory, descriptors and threads stay as they are, and the log grows by what was appended.

Usage: soak.py [MINUTES] (default 5). DAYBOOK_TEST_SEED replays what the clients do; SOAK_DIR is where the store goes (a
temporary directory). Prints a line for each sample and a table at the end; exits 1 when a bar is missed.

Memory is what only the daemon can free (RssAnon): pages of the maps are the kernel's, which takes them back as it likes. The
slope is that of the least squares over the samples after the first third, in which caches and tables fill.
"""

import os
import random
import shutil
import sys
import tempfile
import threading
import time

import load
from load import harness, event_store_pb2

SAMPLE_SECONDS = 10
# What is shorter says nothing of slopes: caches and tables fill.
SLOPE_MINUTES_MIN = 15
WARMUP_SHARE = 1 / 3
MEMORY_MIB_PER_MINUTE_MAX = 1.0
# An event's record is its bytes with place, time and stream; LMDB's pages and the tables of streams come on top.
RECORD_OVERHEAD_BYTES = 60
GROWTH_MIN, GROWTH_MAX = 0.9, 1.5


class Soak:
    """What all clients share."""

    def __init__(self, seed, address, minutes):
        self.seed = seed
        self.address = address
        self.stop = threading.Event()
        self.errors = []
        self.compaction_seconds = max(15, minutes * 60 / 10)
        self.compactions_count = 0

    def fail(self, text):
        self.errors.append(text)
        self.stop.set()


def sample(daemon, admin):
    """The daemon at this moment."""
    status = {}
    with open(f"/proc/{daemon.process.pid}/status", encoding="utf-8") as file:
        for line in file:
            key, _, value = line.partition(":")
            status[key] = value.split()[0] if value.split() else ""
    stats = admin.GetStats(load.admin_pb2.GetStatsRequest(), timeout=harness.PATIENCE_SECONDS)
    return {"seconds": time.monotonic(), "memory_kib": int(status["RssAnon"]), "threads": int(status["Threads"]),
            "descriptors": len(os.listdir(f"/proc/{daemon.process.pid}/fd")), "log_bytes": stats.log_bytes,
            "events": stats.events_appended_count, "head": stats.head}


def slope_per_minute(samples, key):
    """Least squares."""
    times = [(one["seconds"] - samples[0]["seconds"]) / 60 for one in samples]
    values = [one[key] for one in samples]
    mean_time, mean_value = sum(times) / len(times), sum(values) / len(values)
    spread = sum((moment - mean_time) ** 2 for moment in times)
    if spread == 0:
        return 0.0
    return sum((moment - mean_time) * (value - mean_value) for moment, value in zip(times, values)) / spread


def run_clients(soak, daemon, admin, minutes):
    clients = [load.Writer(soak, number) for number in range(3)]
    clients += [load.Pipeliner(soak, 0), load.Reader(soak, 0), load.Compactor(soak, 0)]
    clients += [load.Subscriber(soak, number) for number in range(2)]
    for client in clients:
        client.start()
    samples = [sample(daemon, admin)]
    end = time.monotonic() + minutes * 60
    interval = min(SAMPLE_SECONDS, minutes * 60 / 10)
    while time.monotonic() < end and not soak.stop.wait(interval):
        samples.append(sample(daemon, admin))
        last = samples[-1]
        print(f"{last['seconds'] - samples[0]['seconds']:7.0f} s  memory {last['memory_kib'] / 1024:7.1f} MiB  descriptors "
              f"{last['descriptors']:4}  threads {last['threads']:3}  log {last['log_bytes'] / 2**20:8.1f} MiB  events "
              f"{last['events']}", flush=True)
    soak.stop.set()
    for client in clients:
        client.join(harness.PATIENCE_SECONDS)
        if client.is_alive():
            soak.errors.append(f"{client.name} does not end")
    return clients, samples


def check_log(soak, clients, store):
    """Every stream has exactly the events that were acknowledged."""
    expected = {stream: revision for client in clients if isinstance(client, load.Writer)
                for stream, revision in client.revisions.items()}
    expected["pipelined"] = sum(client.appended_count for client in clients if isinstance(client, load.Pipeliner))
    found = {}
    last = 0
    for response in store.Read(event_store_pb2.ReadRequest(), timeout=600):
        for event in response.events:
            if event.position <= last:
                soak.errors.append(f"position {event.position} after {last}")
            last = event.position
            if event.event.type == "$StreamDeleted":
                continue  # all that is left of its stream
            if event.revision != found.get(event.stream, 0) + 1:
                soak.errors.append(f"revision {event.revision} of {event.stream} after {found.get(event.stream, 0)}")
            found[event.stream] = event.revision
    wrong = [stream for stream, revision in expected.items() if found.get(stream) != revision]
    if wrong:
        soak.errors.append(f"{len(wrong)} streams are not as acknowledged, {wrong[0]} is at {found.get(wrong[0])} and not "
                           f"{expected[wrong[0]]}")
    return len(expected)


def bars(soak, clients, samples, minutes):
    """Prints the table; returns whether all hold."""
    warm = samples[int(len(samples) * WARMUP_SHARE):]
    if len(warm) < 3:
        warm = samples
    event_bytes = sum(client.event_bytes for client in clients if hasattr(client, "event_bytes"))
    events = samples[-1]["events"] - samples[0]["events"]
    growth = (samples[-1]["log_bytes"] - samples[0]["log_bytes"]) / (event_bytes + events * RECORD_OVERHEAD_BYTES)
    memory = slope_per_minute(warm, "memory_kib") / 1024
    is_long = minutes >= SLOPE_MINUTES_MIN
    flat = {key: max(one[key] for one in warm) - min(one[key] for one in warm) for key in ("descriptors", "threads")}
    rows = [
        ("memory, MiB a minute", f"{memory:.2f}", f"< {MEMORY_MIB_PER_MINUTE_MAX}", not is_long or memory < MEMORY_MIB_PER_MINUTE_MAX),
        ("descriptors, a minute", f"{slope_per_minute(warm, 'descriptors'):.2f}", "< 0.5",
         not is_long or slope_per_minute(warm, "descriptors") < 0.5),
        ("descriptors, most - least", str(flat["descriptors"]), "<= 20", flat["descriptors"] <= 20),
        ("threads, most - least", str(flat["threads"]), "<= 4", flat["threads"] <= 4),
        ("growth of the log / computed", f"{growth:.2f}", f"{GROWTH_MIN} to {GROWTH_MAX}",
         not is_long or GROWTH_MIN < growth < GROWTH_MAX),
        ("errors", str(len(soak.errors)), "0", not soak.errors),
    ]
    if not is_long:
        print("  too short for slopes and growth: these are for information")
    for name, value, limit, holds in rows:
        print(f"  {name:32} {value:>10}   {limit:<12} {'pass' if holds else 'MISSED'}")
    for error in soak.errors[:10]:
        print(f"  {error}")
    return all(row[3] for row in rows)


def main():
    minutes = float(sys.argv[1]) if len(sys.argv) > 1 else 5
    seed = os.environ.get("DAYBOOK_TEST_SEED") or str(random.randrange(2**32))
    directory = tempfile.mkdtemp(prefix="daybook-soak-", dir=os.environ.get("SOAK_DIR"))
    daemon = harness.Daemon(os.path.join(directory, "data"), "--log-level", "info")
    print(f"soak: {minutes:g} minutes, DAYBOOK_TEST_SEED={seed}", flush=True)
    try:
        soak = Soak(seed, daemon.address, minutes)
        channel = load.grpc.insecure_channel(daemon.address, options=[("grpc.max_receive_message_length", -1)])
        clients, samples = run_clients(soak, daemon, load.admin_pb2_grpc.AdminStub(channel), minutes)
        streams_count = check_log(soak, clients, load.event_store_pb2_grpc.EventStoreStub(channel))
        channel.close()
        if daemon.stop() != 0:
            soak.errors.append("the daemon did not stop well")
        print(f"\n{samples[-1]['events']} events, {streams_count} streams checked, {soak.compactions_count} compactions")
        return 0 if bars(soak, clients, samples, minutes) else 1
    finally:
        if daemon.process.poll() is None:
            daemon.kill()
        os.unlink(daemon.log.name)
        shutil.rmtree(directory, ignore_errors=True)


if __name__ == "__main__":
    sys.exit(main())
