"""What is in the stores of tests/compat/stores, and how they were made.

    contents.py DAYBOOKD stores/NAME.tar.xz

fills a store with this daybookd, kills it, and packs the directory with what it showed of itself. Each release that changes a
stored format leaves one here; none is ever made again with a later daybookd.
"""

import json
import os
import pathlib
import sys
import tarfile
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).parent.parent / "integration"))
import harness  # noqa: E402
from harness import PATIENCE_SECONDS, event_pb2, event_store_pb2, grpc  # noqa: E402
from daybook.v1 import event_store_pb2_grpc  # noqa: E402

EVENTS_COUNT = 300
CONSUMERS = ("billing", "mail")


def fill(store):
    """Events of several kinds and sizes, checkpoints, a deletion."""
    for number in range(EVENTS_COUNT):
        payload = [{"text": json.dumps({"n": number})}, {"data": bytes(range(256)) * (number % 40)}][number % 2]
        event = event_pb2.Event(id=f"00000000-0000-4000-8000-{number:012}", type=f"Type{number % 5}",
                                tags=[f"tag:{number % 7}", "tag:all"], metadata={"n": str(number)}, **payload)
        write = event_store_pb2.Write(stream=f"kept-{number % 9}", events=[event])
        store.Append(event_store_pb2.AppendRequest(writes=[write]), timeout=PATIENCE_SECONDS)
    for consumer, position in zip(CONSUMERS, (17, 42)):
        write = event_store_pb2.Write(stream=f"reactions-{consumer}", events=[event_pb2.Event(type="Reacted", text="{}")])
        store.Append(event_store_pb2.AppendRequest(
            writes=[write], checkpoint=event_store_pb2.Checkpoint(consumer=consumer, position=position)),
            timeout=PATIENCE_SECONDS)
    store.DeleteStream(event_store_pb2.DeleteStreamRequest(stream="kept-8"), timeout=PATIENCE_SECONDS)


def shown(store):
    """All that the store shows of itself, as JSON knows it."""
    events = [event for response in store.Read(event_store_pb2.ReadRequest(), timeout=PATIENCE_SECONDS)
              for event in response.events]
    streams = {}
    for name in (f"kept-{number}" for number in range(9)):
        try:
            streams[name] = [event.position for response in
                             store.Read(event_store_pb2.ReadRequest(stream=name), timeout=PATIENCE_SECONDS)
                             for event in response.events]
        except grpc.RpcError as error:
            streams[name] = error.code().name
    tagged = event_store_pb2.ReadRequest(filter=event_pb2.Filter(any_of=[event_pb2.Clause(tags=["tag:3"])]))
    return {
        "events": [event.SerializeToString(deterministic=True).hex() for event in events],
        "streams": streams,
        "tagged": [event.position for response in store.Read(tagged, timeout=PATIENCE_SECONDS) for event in response.events],
        "checkpoints": {consumer: store.GetCheckpoint(event_store_pb2.GetCheckpointRequest(consumer=consumer),
                                                      timeout=PATIENCE_SECONDS).checkpoint.position for consumer in CONSUMERS},
        "head": store.Head(event_store_pb2.HeadRequest(), timeout=PATIENCE_SECONDS).head,
    }


def main():
    binary, archive = sys.argv[1:]
    with tempfile.TemporaryDirectory() as directory:
        data = os.path.join(directory, "data")
        daemon = harness.Daemon(data, binary=binary)
        try:
            with grpc.insecure_channel(daemon.address) as channel:
                store = event_store_pb2_grpc.EventStoreStub(channel)
                fill(store)
                with open(os.path.join(directory, "shown.json"), "w", encoding="utf-8") as file:
                    json.dump(shown(store), file, indent=1)
        finally:
            daemon.kill()
            os.unlink(daemon.log.name)
        with tarfile.open(archive, "w:xz") as packed:
            for name in ("shown.json", "data"):
                packed.add(os.path.join(directory, name), name)


if __name__ == "__main__":
    main()
