"""Damaged files: flipped bits, torn and lost sectors, pages of elsewhere, truncation, other files in the place of the log.

A store is made once; each round damages it at one place, before the daemon starts or while it serves (what it has mapped is the
file). The daemon may repair it, refuse to start (65), answer DATA_LOSS for what is damaged, or end (74); every event that it does
serve must be the one that was stored, none may be missing without a word, and no signal may end it.
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
META_ROOT_OFFSET = 128  # then the last page and the number of the commit
PAGES = ("bit", "bit", "bit", "bit", "bit near the root", "sector lost", "sector torn", "page of elsewhere", "page lost", "meta",
         "meta", "meta lost", "metas swapped", "cut short")
FILES = ("older log", "foreign log", "newer format", "older format", "newer FORMAT")


def _fill(campaign, count):
    """Events of all sizes: many to a page, a page each, many pages each; in several streams."""
    with grpc.insecure_channel(campaign.address, options=CHANNEL_OPTIONS) as channel:
        store = event_store_pb2_grpc.EventStoreStub(channel)
        for number in range(count):
            size = campaign.randomness.choice([10, 100, 100, 100, 1000, 3000, 20000])
            event = new_event("Kept", f"{number} " + chr(97 + number % 26) * size, [f"tag:{number % 7}"])
            write = event_store_pb2.Write(stream=f"kept-{number % 10}", events=[event])
            store.Append(event_store_pb2.AppendRequest(writes=[write]), wait_for_ready=True,
                         timeout=harness.PATIENCE_SECONDS)


class Image:
    """The bytes of a log that is not open, and of what lies beside it."""

    def __init__(self, data):
        self.data, self.path = data, os.path.join(data, "log", "data.mdb")
        with open(self.path, "rb") as file:
            self.bytes = file.read()
        self.beside = {}
        for name in ("FORMAT", os.path.join("log", "COMMIT")):
            with open(os.path.join(data, name), "rb") as file:
                self.beside[name] = file.read()
        metas = [struct.unpack_from("<QQQ", self.bytes, page * PAGE_BYTES + META_ROOT_OFFSET) for page in (0, 1)]
        self.root, last_page, _ = max(metas, key=lambda meta: meta[2])
        self.pages_count = last_page + 1

    def restore(self):
        with open(self.path, "wb") as file:
            file.write(self.bytes)
        for name, content in self.beside.items():
            with open(os.path.join(self.data, name), "wb") as file:
                file.write(content)

    def _page_damage(self, kind, randomness, content):
        """Changes the pages of `content`; returns what was done."""
        page, other = (randomness.randrange(2, self.pages_count) for _ in range(2))
        sector, other_sector = (randomness.randrange(2 * PAGE_BYTES // SECTOR_BYTES, self.pages_count * PAGE_BYTES // SECTOR_BYTES)
                                for _ in range(2))
        at, page_at = sector * SECTOR_BYTES, page * PAGE_BYTES
        if kind == "sector lost":
            content[at:at + SECTOR_BYTES] = bytes(SECTOR_BYTES)
            return f"zeros in sector {sector}"
        if kind == "sector torn":
            content[at:at + SECTOR_BYTES] = self.bytes[other_sector * SECTOR_BYTES:(other_sector + 1) * SECTOR_BYTES]
            return f"sector {other_sector} in sector {sector}"
        if kind == "page of elsewhere":
            content[page_at:page_at + PAGE_BYTES] = self.bytes[other * PAGE_BYTES:(other + 1) * PAGE_BYTES]
            return f"page {other} in page {page}"
        content[page_at:page_at + PAGE_BYTES] = bytes(PAGE_BYTES)
        return f"zeros in page {page}"

    def _bit_damage(self, kind, randomness, content):
        if kind == "meta":
            offset = randomness.randrange(2) * PAGE_BYTES + randomness.randrange(152)
        elif kind == "bit near the root":
            offset = self.root * PAGE_BYTES + randomness.randrange(PAGE_BYTES)
        else:
            offset = randomness.randrange(2 * PAGE_BYTES, self.pages_count * PAGE_BYTES)
        bit = randomness.randrange(8)
        content[offset] ^= 1 << bit
        return f"bit {bit} of byte {offset}"

    def damage(self, kind, randomness):
        """Writes the damaged bytes into the file; returns what was done."""
        content = bytearray(self.bytes)
        if kind in ("bit", "meta", "bit near the root"):
            what = self._bit_damage(kind, randomness, content)
        elif kind == "meta lost":
            page = randomness.randrange(2)
            content[page * PAGE_BYTES:(page + 1) * PAGE_BYTES] = bytes(PAGE_BYTES)
            what = f"zeros in meta page {page}"
        elif kind == "metas swapped":
            content[:2 * PAGE_BYTES] = self.bytes[PAGE_BYTES:2 * PAGE_BYTES] + self.bytes[:PAGE_BYTES]
            what = "one in the place of the other"
        elif kind == "cut short":
            size = randomness.randrange(1, self.pages_count * PAGE_BYTES)
            content = content[:size]
            what = f"cut to {size} bytes"
        else:
            what = self._page_damage(kind, randomness, content)
        with open(self.path, "r+b") as file:
            self._write(file, content)
        return what

    def exchange(self, kind, older, foreign):
        """Puts another file in the place of one of the store's; returns what was done."""
        if kind == "newer FORMAT":
            with open(os.path.join(self.data, "FORMAT"), "wb") as file:
                file.write(self.beside["FORMAT"].replace(b"daybook store 1", b"daybook store 2"))
            return "format 2"
        if kind in ("newer format", "older format"):
            number = b"\x02" if kind == "newer format" else b"\x00"
            content = self.bytes.replace(b"format\x01\x00\x00\x00", b"format" + number + b"\x00\x00\x00")
            assert content != self.bytes
        else:
            content = older if kind == "older log" else foreign
        with open(self.path, "wb") as file:
            file.write(content)
        return f"{len(content)} bytes"

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


def _append(store, counts):
    """One more event. Returns whether it was acknowledged; a daemon that cannot write must say so, or end."""
    write = event_store_pb2.Write(stream="kept-3", events=[new_event("Kept", "one more", [])])
    try:
        store.Append(event_store_pb2.AppendRequest(writes=[write]), timeout=harness.PATIENCE_SECONDS)
        return True
    except grpc.RpcError as error:
        if error.code() == grpc.StatusCode.UNAVAILABLE:
            raise
        counts[f"append {error.code().name}"] += 1
        return False


def _served(campaign, kept, counts, verified, appended):
    """What a daemon on a damaged log serves. Returns whether an event was appended to it."""
    by_position = {entry.position: entry for entry in kept}
    problems = campaign.row.problems
    with grpc.insecure_channel(campaign.address, options=CHANNEL_OPTIONS) as channel:
        store = event_store_pb2_grpc.EventStoreStub(channel)
        head = store.Head(event_store_pb2.HeadRequest(), wait_for_ready=True, timeout=harness.PATIENCE_SECONDS).head
        entries, losses = _read_all(store, head)
        stream, stream_losses = _read_all(store, EVENTS_COUNT // 10, stream="kept-3")
        for entry in entries + stream:
            there = by_position.get(entry.position)
            if entry.position <= EVENTS_COUNT and (there is None or there.hash != entry.hash):
                campaign.row.wrong += 1
                problems.append(f"a wrong event was served at position {entry.position}")
        if head < EVENTS_COUNT + appended or len({entry.position for entry in entries}) + losses < EVENTS_COUNT + appended:
            problems.append(f"silently gone: the head is {head}, {len(entries)} events, {losses} losses")
        if len({entry.position for entry in stream}) + stream_losses < EVENTS_COUNT // 10 + appended:
            problems.append(f"silently gone from a stream: {len(stream)} events, {stream_losses} losses")
        if verified == 0 and (losses or stream_losses):
            problems.append("--verify found nothing, a read ended with DATA_LOSS")
        counts["DATA_LOSS" if losses or stream_losses else "served whole"] += 1
        return _append(store, counts)


def _ended(campaign, counts, when):
    """The daemon ends by itself: with 74, never by a signal."""
    code = campaign.daemon.process.wait(harness.PATIENCE_SECONDS)
    counts[f"ended with {_name(code)}"] += 1
    if code != EXIT_STORAGE:
        campaign.row.problems.append(f"{when}: ended with {_name(code)}: {campaign.daemon.log_text()[-600:]}")


def _start(campaign, counts, verified):
    """Starts a daemon. Returns whether it serves."""
    try:
        campaign.start()
        return True
    except AssertionError as error:
        code = int(str(error).split("ended with ")[1].split(":")[0])
        counts["refused to start" if code == EXIT_DATA else f"start ended with {_name(code)}"] += 1
        if code not in (EXIT_DATA, EXIT_STORAGE):
            campaign.row.problems.append(f"the start ended with {_name(code)}: {error}")
        if verified == 0:
            campaign.row.problems.append(f"--verify found nothing, the start ended with {_name(code)}: {error}")
        return False


def _verify(campaign, counts):
    verified, text = task(campaign.data, "--verify")
    if verified not in (0, EXIT_DATA, EXIT_STORAGE):
        campaign.row.problems.append(f"--verify ended with {verified}: {text}")
    counts[f"--verify {verified}"] += 1
    return verified


def _look(campaign, kept, counts, verified, appended):
    """What a daemon that has started serves. Returns whether an event was appended."""
    added = False
    try:
        added = _served(campaign, kept, counts, verified, appended)
    except grpc.RpcError as error:
        if error.code() == grpc.StatusCode.UNAVAILABLE:
            _ended(campaign, counts, "while it served")
        else:
            campaign.row.problems.append(f"reads ended with {error.code().name}: {error.details()}")
    campaign.kill()
    return added


def _round(campaign, image, others, kept, counts):
    """Damages the log at one place and looks at what becomes of it, twice: the second start finds what the first one wrote."""
    randomness, verified = campaign.randomness, None
    while_serving = randomness.random() < 0.5
    kind = randomness.choice(PAGES if while_serving or randomness.random() < 0.8 else FILES)
    problems_before = len(campaign.row.problems)
    image.restore()
    if while_serving and not _start(campaign, counts, None):
        raise AssertionError("an undamaged store does not open")
    what = image.exchange(kind, *others) if kind in FILES else image.damage(kind, randomness)
    if not while_serving:
        verified = _verify(campaign, counts)
    if while_serving or _start(campaign, counts, verified):
        if kind in FILES:
            campaign.row.problems.append("another file was taken for the log")
        added = _look(campaign, kept, counts, verified, 0)
        if _start(campaign, counts, None):
            _look(campaign, kept, counts, None, 1 if added else 0)
    for index in range(problems_before, len(campaign.row.problems)):
        when = "while it served" if while_serving else "before the start"
        campaign.row.problems[index] = f"{kind}, {what}, {when}: {campaign.row.problems[index]}"


def _name(code):
    return signal.Signals(-code).name if code < 0 else str(code)


def _log_bytes(campaign):
    with open(os.path.join(campaign.data, "log", "data.mdb"), "rb") as file:
        return file.read()


def damage(budget, seed, failpoints=()):
    """See above. The verdict is the number of wrong events, and of whatever else may not be; what became of the rest is in the
    note."""
    campaign = Campaign("damaged files", seed, failpoints=failpoints)
    counts = collections.Counter()
    try:
        campaign.start()
        assert campaign.daemon.stop() == 0
        campaign.forget()
        foreign = _log_bytes(campaign)
        shutil.rmtree(campaign.data)
        campaign.start()
        _fill(campaign, EVENTS_COUNT - 1)
        older = _log_bytes(campaign)
        _fill(campaign, 1)
        with grpc.insecure_channel(campaign.address, options=CHANNEL_OPTIONS) as channel:
            kept, losses = _read_all(event_store_pb2_grpc.EventStoreStub(channel), EVENTS_COUNT)
        assert len(kept) == EVENTS_COUNT and losses == 0
        assert campaign.daemon.stop() == 0
        campaign.forget()
        image = Image(campaign.data)
        while budget.goes_on(campaign.row, rounds_min=20):
            _round(campaign, image, (older, foreign), kept, counts)
            campaign.row.rounds += 1
    finally:
        campaign.abandon()
    row = campaign.row
    row.acknowledged = EVENTS_COUNT
    row.note = ", ".join(f"{count} {name}" for name, count in counts.most_common())
    shutil.rmtree(campaign.directory, ignore_errors=True)
    return row
