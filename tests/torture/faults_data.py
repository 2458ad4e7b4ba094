"""Damaged files: flipped bits, torn and lost sectors, pages of elsewhere, truncation. No wrong byte may ever be served.

A store is made once; each round damages it at one place, before the daemon starts or while it serves (what it has mapped is the
file). The daemon may refuse to start, or answer DATA_LOSS for what is damaged; every event that it does serve must be the one
that was stored.
"""

import collections
import os
import shutil
import signal
import struct

from campaign import EXIT_DATA, EXIT_STORAGE, Campaign, task
from clients import CHANNEL_OPTIONS
from ledger import digest, event_store_pb2, grpc, harness, new_event
from harness import event_store_pb2_grpc
from oracle import Entry

EVENTS_COUNT = 400
PAGE_BYTES, SECTOR_BYTES = 4096, 512
META_LAST_PAGE_OFFSET, META_TRANSACTION_OFFSET = 136, 144
KINDS = ("bit", "bit", "bit", "bit", "sector lost", "sector torn", "page of elsewhere", "page lost", "meta", "cut short")


def _fill(campaign):
    """Events of all sizes: many to a page, a page each, many pages each; in several streams."""
    with grpc.insecure_channel(campaign.address, options=CHANNEL_OPTIONS) as channel:
        store = event_store_pb2_grpc.EventStoreStub(channel)
        for number in range(EVENTS_COUNT):
            size = campaign.randomness.choice([10, 100, 100, 100, 1000, 3000, 20000])
            event = new_event("Kept", f"{number} " + chr(97 + number % 26) * size, [f"tag:{number % 7}"])
            write = event_store_pb2.Write(stream=f"kept-{number % 10}", events=[event])
            store.Append(event_store_pb2.AppendRequest(writes=[write]), wait_for_ready=True,
                         timeout=harness.PATIENCE_SECONDS)


class Image:
    """The bytes of a log that is not open."""

    def __init__(self, path):
        self.path = path
        with open(path, "rb") as file:
            self.bytes = file.read()
        metas = [struct.unpack_from("<QQ", self.bytes, page * PAGE_BYTES + META_LAST_PAGE_OFFSET) for page in (0, 1)]
        self.pages_count = max(metas, key=lambda meta: meta[1])[0] + 1

    def restore(self):
        with open(self.path, "wb") as file:
            file.write(self.bytes)

    def damage(self, kind, randomness):
        """Writes the damaged bytes into the file; returns what was done."""
        content = bytearray(self.bytes)
        page = randomness.randrange(2, self.pages_count)
        sector = randomness.randrange(2 * PAGE_BYTES // SECTOR_BYTES, self.pages_count * PAGE_BYTES // SECTOR_BYTES)
        at = sector * SECTOR_BYTES
        if kind in ("bit", "meta"):
            if kind == "bit":
                offset = randomness.randrange(2 * PAGE_BYTES, self.pages_count * PAGE_BYTES)
            else:
                offset = randomness.randrange(2) * PAGE_BYTES + randomness.randrange(152)
            content[offset] ^= 1 << randomness.randrange(8)
            what = f"bit in byte {offset}"
        elif kind == "sector lost":
            content[at:at + SECTOR_BYTES] = bytes(SECTOR_BYTES)
            what = f"zeros in sector {sector}"
        elif kind == "sector torn":
            other = randomness.randrange(2 * PAGE_BYTES // SECTOR_BYTES, self.pages_count * PAGE_BYTES // SECTOR_BYTES)
            content[at:at + SECTOR_BYTES] = self.bytes[other * SECTOR_BYTES:(other + 1) * SECTOR_BYTES]
            what = f"sector {other} in sector {sector}"
        elif kind == "page of elsewhere":
            other = randomness.randrange(2, self.pages_count)
            content[page * PAGE_BYTES:(page + 1) * PAGE_BYTES] = self.bytes[other * PAGE_BYTES:(other + 1) * PAGE_BYTES]
            what = f"page {other} in page {page}"
        elif kind == "page lost":
            content[page * PAGE_BYTES:(page + 1) * PAGE_BYTES] = bytes(PAGE_BYTES)
            what = f"zeros in page {page}"
        else:
            size = randomness.randrange(1, self.pages_count * PAGE_BYTES)
            content = content[:size]
            what = f"cut to {size} bytes"
        with open(self.path, "r+b") as file:
            self._write(file, content)
        return what

    def _write(self, file, content):
        """Only what differs: a running daemon may have written elsewhere."""
        if len(content) < len(self.bytes):
            file.truncate(len(content))
            return
        for at in range(0, self.pages_count * PAGE_BYTES, PAGE_BYTES):
            if content[at:at + PAGE_BYTES] != self.bytes[at:at + PAGE_BYTES]:
                file.seek(at)
                file.write(content[at:at + PAGE_BYTES])


def _read_all(store, head, **where):
    """Every event that is served, going on behind each that is not. Returns ([entry], DATA_LOSS answers)."""
    entries, losses, position = [], 0, 1
    while position <= head:
        try:
            for response in store.Read(event_store_pb2.ReadRequest(**{"from": position}, **where),
                                       wait_for_ready=True, timeout=harness.PATIENCE_SECONDS):
                entries += [Entry(event, digest) for event in response.events]
                if response.events:
                    position = (response.events[-1].revision if where else response.events[-1].position) + 1
            return entries, losses
        except grpc.RpcError as error:
            # What LMDB itself trips over is no damaged event but a failing read.
            if error.code() != grpc.StatusCode.DATA_LOSS and "disk failed" not in error.details():
                raise
            losses += 1
            position += 1
    return entries, losses


def _served(campaign, kept, counts, verified):
    """What a daemon on a damaged log serves. Returns the number of wrong events."""
    by_position = {entry.position: entry for entry in kept}
    wrong = 0
    with grpc.insecure_channel(campaign.address, options=CHANNEL_OPTIONS) as channel:
        store = event_store_pb2_grpc.EventStoreStub(channel)
        head = store.Head(event_store_pb2.HeadRequest(), wait_for_ready=True, timeout=harness.PATIENCE_SECONDS).head
        entries, losses = _read_all(store, head)
        stream, stream_losses = _read_all(store, EVENTS_COUNT // 10, stream="kept-3")
        for entry in entries + stream:
            there = by_position.get(entry.position)
            wrong += there is None or there.hash != entry.hash
        missing = len({entry.position for entry in entries}) + losses < len(kept)
        if verified == 0 and (losses or stream_losses):
            campaign.row.problems.append("--verify found nothing, a read ended with DATA_LOSS")
        if wrong == 0:
            counts["DATA_LOSS" if losses or stream_losses else "rolled back" if missing else "no effect"] += 1
    return wrong


def _round(campaign, image, kept, counts):
    """Damages the log at one place and looks at what becomes of it."""
    while_serving, verified = campaign.randomness.random() < 0.6, None
    kind = campaign.randomness.choice(KINDS[:-1] if while_serving else KINDS)  # a file that is cut while it is mapped: SIGBUS
    image.restore()
    try:
        if while_serving:
            campaign.start()
        what = image.damage(kind, campaign.randomness)
        if not while_serving:
            verified, text = task(campaign.data, "--verify")
            if verified not in (0, EXIT_DATA, EXIT_STORAGE):
                campaign.row.problems.append(f"--verify ended with {verified}: {kind}, {what}: {text}")
            counts[f"--verify {verified}"] += 1
            campaign.start()
    except AssertionError as error:
        code = int(str(error).split("ended with ")[1].split(":")[0])
        counts["refused to start" if code == EXIT_DATA else f"start ended with {_name(code)}"] += 1
        if verified == 0:
            campaign.row.problems.append(f"--verify found nothing, the start ended with {_name(code)}: {kind}, {what}")
        return
    try:
        wrong = _served(campaign, kept, counts, verified)
    except grpc.RpcError as error:
        code = campaign.daemon.process.poll()
        if error.code() != grpc.StatusCode.UNAVAILABLE:
            counts[f"reads ended with {error.code().name}"] += 1
        else:
            code = campaign.daemon.process.wait(harness.PATIENCE_SECONDS)
            counts[f"ended with {_name(code)}"] += 1
    else:
        if wrong > 0:
            campaign.row.wrong += wrong
            campaign.row.problems.append(f"{wrong} wrong events were served: {kind}, {what}")
    campaign.kill()


def _name(code):
    return signal.Signals(-code).name if code < 0 else str(code)


def damage(budget, seed, failpoints=()):
    """See above. The verdict is the number of wrong events; what became of the rest is in the note."""
    campaign = Campaign("damaged files", seed, failpoints=failpoints)
    counts = collections.Counter()
    try:
        campaign.start()
        _fill(campaign)
        with grpc.insecure_channel(campaign.address, options=CHANNEL_OPTIONS) as channel:
            kept, losses = _read_all(event_store_pb2_grpc.EventStoreStub(channel), EVENTS_COUNT)
        assert len(kept) == EVENTS_COUNT and losses == 0
        assert campaign.daemon.stop() == 0
        campaign.forget()
        image = Image(os.path.join(campaign.data, "log", "data.mdb"))
        while budget.goes_on(campaign.row, rounds_min=20):
            _round(campaign, image, kept, counts)
            campaign.row.rounds += 1
    finally:
        campaign.abandon()
    row = campaign.row
    row.acknowledged = EVENTS_COUNT
    row.note = ", ".join(f"{count} {name}" for name, count in counts.most_common())
    shutil.rmtree(campaign.directory, ignore_errors=True)
    return row
