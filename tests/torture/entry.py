"""An event as the oracle looks at it."""


class Entry:
    """One event of the log, as it was served; of one that is gone, what the ledger knows of it (removals.whole_log)."""

    def __init__(self, event, digest, is_gone=False):
        self.position = event.position
        self.stream = event.stream
        self.revision = event.revision
        self.recorded_at = (event.recorded_at.seconds, event.recorded_at.nanos)
        self.id = event.event.id
        self.type = event.event.type
        self.tags = tuple(event.event.tags)
        self.is_gone = is_gone
        self.is_erased = event.HasField("erasure")
        self.digest = digest(event.event)
        if self.is_erased:
            is_reduced = event.event == type(event.event)(id=self.id, type=self.type)
            self.digest = event.erasure.digest_sha256.hex() if is_reduced else "of an erased event more than id and type"
        # What the server tells of itself: a DeleteStreamRequest or an EraseEventsRequest.
        self.told = event.event.message if self.is_system else None
        self.hash = hash(event.SerializeToString(deterministic=True))
        self.hashes = {self.hash}  # of all that may have been served at its position

    @property
    def is_system(self):
        return self.type.startswith("$")
