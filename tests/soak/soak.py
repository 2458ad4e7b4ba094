"""Mixed load for a long time: memory, descriptors and threads stay as they are, and the files grow by what was appended.

Usage: soak.py [MINUTES] (default 5). DAYBOOK_TEST_SEED replays what the clients do; SOAK_DIR is where the store goes (a
temporary directory). Prints a line for each sample and a table at the end; exits 1 when a bar is missed. Slopes and growth are
bars from SLOPE_MINUTES_MIN on; below that they are for information. The first third is a warm-up.

What is measured, and what may grow:
  memory       RssAnon: what only the daemon can free. Pages of the maps (RssFile) are the kernel's, which takes them back as it
               likes. Two things grow by design, are bounded, and are subtracted from each sample:
               - the cache of streams' revisions, a table of 24 MiB of which a stream that is new touches one page at random. Of
                 P = 6,144 pages, S streams have touched P * (1 - (1 - 1 / P) ** S).
               - the entries of the newest events that are not yet in a run of the index: up to 65,536 events with four entries
                 of 40 bytes each and, for the id, two to four slots of 8 bytes.
               What comes and goes (the pages that a compaction or a merge of runs is about to write, and what malloc keeps until
               the daemon gives it back, every 30 seconds) is not seen in the least of each window of a minute; the slope is that
               of the least squares through those.
  descriptors, threads: the least of each window, too. Of descriptors it must be the same in all windows; of threads it may be one
               more, because gRPC's timers start a thread when one is late.
  log          its used bytes: records are the events' bytes, their place and time, and LMDB's pages. Of the events of streams
               that were deleted the bytes are gone, the place is not.
  log file     is longer than what is used by a step of growth (16 MiB) and by what a commit was thought to need (environment.h):
               three times its bytes, which are 16 MiB at most, and 9 MiB.
  index        four entries of 33 bytes for each event, and while runs are merged these and their sources.
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

SAMPLE_SECONDS = 5
WINDOW_SECONDS = 60
# What is shorter says nothing of slopes: caches and tables fill.
SLOPE_MINUTES_MIN = 10
WARMUP_SHARE = 1 / 3
MEMORY_MIB_PER_MINUTE_MAX = 1.0
REVISION_CACHE_PAGES_COUNT = 24 * 1024 // 4
INDEX_TAIL_BYTES_PER_EVENT = 4 * 40 + 24
# Beside its bytes an event takes: position, revision and time with their tags (22), the stream (15), the event's tag and length
# (3), a checksum (4) and LMDB's key, node and pointer (18); and a page of 4 KiB is full but for half an event.
RECORD_OVERHEAD_BYTES = 62
GROWTH_MIN, GROWTH_MAX = 0.95, 1.15
LOG_FILE_BEYOND_MIB_MAX = 16 + 3 * 16 + 9
INDEX_BYTES_PER_EVENT = 4 * 33
INDEX_GROWTH_MAX = 3.0
REST_SECONDS = 5


class Soak:
    """What all clients share."""

    def __init__(self, seed, address, minutes):
        self.seed = seed
        self.address = address
        self.stop = threading.Event()
        self.errors = []
        self.compaction_seconds = max(15, minutes * 60 / 10)
        self.compactions_count = 0
        self.memory_at_rest_kib = 0

    def fail(self, text):
        self.errors.append(text)
        self.stop.set()


def resident(process):
    """What /proc/PID/status says."""
    status = {}
    with open(f"/proc/{process.pid}/status", encoding="utf-8") as file:
        for line in file:
            key, _, value = line.partition(":")
            status[key] = value.split()[0] if value.split() else ""
    return status


def sample(daemon, admin, clients):
    """The daemon at this moment."""
    stats = admin.GetStats(load.admin_pb2.GetStatsRequest(), timeout=harness.PATIENCE_SECONDS)
    status = resident(daemon.process)
    streams = sum(client.streams_count for client in clients if hasattr(client, "streams_count"))
    pages = REVISION_CACHE_PAGES_COUNT * (1 - (1 - 1 / REVISION_CACHE_PAGES_COUNT) ** streams)
    by_design_kib = pages * 4 + stats.index_tail_events_count * INDEX_TAIL_BYTES_PER_EVENT / 1024
    return {"seconds": time.monotonic(), "memory_kib": int(status["RssAnon"]), "mapped_kib": int(status["RssFile"]),
            "by_design_kib": by_design_kib, "rest_kib": int(status["RssAnon"]) - by_design_kib,
            "threads": int(status["Threads"]), "descriptors": len(os.listdir(f"/proc/{daemon.process.pid}/fd")),
            "log_bytes": stats.log_bytes, "index_bytes": stats.index_bytes,
            "log_file_bytes": os.stat(os.path.join(daemon.data, "log", "data.mdb")).st_size,
            "events": stats.events_appended_count}


def least(samples, key):
    """The least value of each window, but for the last, which may be a short one."""
    windows = {}
    for one in samples:
        window = int((one["seconds"] - samples[0]["seconds"]) // WINDOW_SECONDS)
        windows[window] = min(windows.get(window, one[key]), one[key])
    values = list(windows.values())
    return values[:-1] if len(values) > 1 else values


def slope(values):
    """Least squares, for a window."""
    count = len(values)
    mean = sum(values) / count
    spread = sum((index - (count - 1) / 2) ** 2 for index in range(count))
    return sum((index - (count - 1) / 2) * (value - mean) for index, value in enumerate(values)) / spread if spread else 0.0


def run_clients(soak, daemon, admin, minutes):
    clients = [load.Writer(soak, number) for number in range(3)]
    clients += [load.Pipeliner(soak, 0), load.Reader(soak, 0), load.Compactor(soak, 0)]
    clients += [load.Subscriber(soak, number) for number in range(2)]
    for client in clients:
        client.start()
    samples = [sample(daemon, admin, clients)]
    end = time.monotonic() + minutes * 60
    interval = min(SAMPLE_SECONDS, minutes * 60 / 10)
    while time.monotonic() < end and not soak.stop.wait(interval):
        samples.append(sample(daemon, admin, clients))
        last = samples[-1]
        print(f"{last['seconds'] - samples[0]['seconds']:7.0f} s  memory {last['memory_kib'] / 1024:6.1f} MiB, by design "
              f"{last['by_design_kib'] / 1024:5.1f}, mapped {last['mapped_kib'] / 1024:6.1f}  descriptors {last['descriptors']:3}"
              f"  threads {last['threads']:3}  log {last['log_bytes'] / 2**20:6.1f} of {last['log_file_bytes'] / 2**20:4.0f} MiB"
              f"  index {last['index_bytes'] / 2**20:6.1f}  events {last['events']}", flush=True)
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
    event_bytes = sum(client.event_bytes for client in clients if hasattr(client, "event_bytes"))
    events = samples[-1]["events"] - samples[0]["events"]
    growth = (samples[-1]["log_bytes"] - samples[0]["log_bytes"]) / (event_bytes + events * RECORD_OVERHEAD_BYTES)
    index_growth = (samples[-1]["index_bytes"] - samples[0]["index_bytes"]) / (events * INDEX_BYTES_PER_EVENT)
    beyond = max(one["log_file_bytes"] - one["log_bytes"] for one in warm) / 2**20
    memory = slope(least(warm, "rest_kib")) / 1024 * 60 / WINDOW_SECONDS
    is_long = minutes >= SLOPE_MINUTES_MIN
    rows = [
        ("memory, MiB a minute", f"{memory:.2f}", f"< {MEMORY_MIB_PER_MINUTE_MAX}", memory < MEMORY_MIB_PER_MINUTE_MAX),
        ("log / computed", f"{growth:.2f}", f"{GROWTH_MIN} to {GROWTH_MAX}", GROWTH_MIN < growth < GROWTH_MAX),
        ("index / computed", f"{index_growth:.2f}", f"< {INDEX_GROWTH_MAX}", index_growth < INDEX_GROWTH_MAX),
        ("log file beyond what is used, MiB", f"{beyond:.0f}", f"< {LOG_FILE_BEYOND_MIB_MAX}", beyond < LOG_FILE_BEYOND_MIB_MAX),
    ]
    for key, more in (("descriptors", 0), ("threads", 1)):
        values = least(warm, key)
        rows.append((f"{key}, least of each minute", f"{min(values)} to {max(values)}", f"{more} apart",
                     max(values) - min(values) <= more))
    if not is_long:
        rows = [(name, value, "", None) for name, value, _, _ in rows]
    for key, most in (("descriptors", 20), ("threads", 6)):
        spread = max(one[key] for one in warm) - min(one[key] for one in warm)
        rows.append((f"{key}, most - least", str(spread), f"<= {most}", spread <= most))
    rows.append(("errors", str(len(soak.errors)), "0", not soak.errors))
    print("  memory beyond that by design, least of each minute, MiB: " +
          " ".join(f"{value / 1024:.1f}" for value in least(samples, "rest_kib")))
    print(f"  memory {samples[0]['memory_kib'] / 1024:.1f} MiB at first, {warm[0]['memory_kib'] / 1024:.1f} after the warm-up, "
          f"{samples[-1]['memory_kib'] / 1024:.1f} at last, {soak.memory_at_rest_kib / 1024:.1f} at rest")
    for name, value, limit, holds in rows:
        print(f"  {name:36} {value:>10}   {limit:<14} {'' if holds is None else 'pass' if holds else 'MISSED'}")
    for error in soak.errors[:10]:
        print(f"  {error}")
    return all(row[3] is not False for row in rows)


def memory_at_rest(daemon):
    """Once nobody asks for anything, free memory goes back."""
    least_kib = int(resident(daemon.process)["RssAnon"])
    deadline = time.monotonic() + REST_SECONDS
    while time.monotonic() < deadline:
        time.sleep(0.5)
        least_kib = min(least_kib, int(resident(daemon.process)["RssAnon"]))
    return least_kib


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
        soak.memory_at_rest_kib = memory_at_rest(daemon)
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
