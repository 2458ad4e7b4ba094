"""A store that has lost its newest commits is not served until somebody says that they are gone: --accept-loss."""

import os
import pathlib
import shutil
import struct
import tempfile
import unittest

import harness
from harness import event_pb2, event_store_pb2, event_store_pb2_grpc, grpc

EXIT_DATA = 65
# Of LMDB's file: two meta pages, in which the number of the page that names the tables and, two numbers on, that of the commit.
PAGE_BYTES, META_TABLES_OFFSET = 4096, 128
# As in service/base/limits.h: the index writes what is older to disk, so it can be ahead of a log that has lost something.
RUN_EVENTS_COUNT, REQUEST_EVENTS_COUNT_MAX = 65536, 1024
KEPT_COUNT = RUN_EVENTS_COUNT - 100


def event(name, number=None):
    """One with a number has an id of the test's."""
    identity = "" if number is None else f"0190b8a0-0000-7000-8000-{number:012x}"
    return event_pb2.Event(id=identity, type="T", tags=[f"tag:{name}"], text=name)


class AcceptLossTest(unittest.TestCase):
    def setUp(self):
        self.directory = tempfile.mkdtemp(prefix="daybook-test-")
        self.addCleanup(shutil.rmtree, self.directory, ignore_errors=True)
        self.data = os.path.join(self.directory, "data")
        self.log = pathlib.Path(self.data, "log", "data.mdb")
        self.channel = self.store = self.daemon = None

    def start(self, *flags, environment=None):
        self.daemon = harness.Daemon(self.data, *flags, environment=environment)
        self.addCleanup(os.unlink, self.daemon.log.name)
        self.addCleanup(self.daemon.kill)
        self.channel = grpc.insecure_channel(self.daemon.address, options=[("grpc.max_receive_message_length", -1)])
        self.addCleanup(self.channel.close)
        self.store = event_store_pb2_grpc.EventStoreStub(self.channel)

    def end(self):
        self.channel.close()
        self.daemon.kill()

    def append(self, stream, events, **fields):
        """Returns (first position, last position, whether it was a retry)."""
        write = event_store_pb2.Write(stream=stream, events=events)
        answer = self.store.Append(event_store_pb2.AppendRequest(writes=[write], **fields), timeout=harness.PATIENCE_SECONDS)
        return answer.results[0].first_position, answer.results[0].last_position, answer.replayed

    def head(self):
        return self.store.Head(event_store_pb2.HeadRequest(), timeout=harness.PATIENCE_SECONDS).head

    def read(self, **fields):
        return [(recorded.position, recorded.stream, recorded.revision, recorded.event.text)
                for response in self.store.Read(event_store_pb2.ReadRequest(**fields), timeout=harness.PATIENCE_SECONDS)
                for recorded in response.events]

    def checkpoint(self, consumer):
        request = event_store_pb2.GetCheckpointRequest(consumer=consumer)
        return self.store.GetCheckpoint(request, timeout=harness.PATIENCE_SECONDS).checkpoint.position

    def newest_commit_lose(self, before):
        """Takes away what the newest commit wrote last, as a disk does that lies about its syncs: its meta page and the page that
        names the tables are what they were before, and the newest commit that LMDB finds is an older one."""
        after = self.log.read_bytes()
        metas = []
        for page in (0, 1):
            tables, _, commit = struct.unpack_from("<QQQ", after, page * PAGE_BYTES + META_TABLES_OFFSET)
            metas.append((commit, page, tables))
        _, page, tables = max(metas)
        with open(self.log, "r+b") as file:
            for lost in (page, tables):
                file.seek(lost * PAGE_BYTES)
                file.write(before[lost * PAGE_BYTES:(lost + 1) * PAGE_BYTES])

    def expect_refused(self, missing, *flags, environment=None):
        """The daemon does not start, says why, and leaves the store as it is."""
        before = self.log.read_bytes()
        done = harness.run([harness.DAYBOOKD, "--data", self.data, "--listen", "127.0.0.1:0", *flags],
                           env={**os.environ, **(environment or {})})
        self.assertEqual(EXIT_DATA, done.returncode, done.stderr)
        message = [line for line in done.stderr.splitlines() if line.startswith("daybookd: ")]
        self.assertEqual(1, len(message), done.stderr)
        for words in (f"{self.data}/log has lost what was acknowledged", missing, "restore it from a backup", "--accept-loss"):
            self.assertIn(words, message[0])
        self.assertEqual(before, self.log.read_bytes())

    def expect_given_up(self, last, lost_last):
        self.assertRegex(self.daemon.log_text(), "warn the log has lost its newest commits; that is accepted "
                         f"directory={self.data} position={last} position_lost_last={lost_last}\n")
        self.assertEqual(last, self.head())

    def test_the_newest_commit_is_gone(self):
        self.start()
        self.append("order-1", [event("a"), event("b"), event("c")])
        self.append("order-1", [event("d")], checkpoint=event_store_pb2.Checkpoint(consumer="mail", position=2))
        lost = [event("e", 5), event("f", 6)]
        before = self.log.read_bytes()
        self.append("order-2", lost, checkpoint=event_store_pb2.Checkpoint(consumer="mail", position=4))
        self.end()
        self.newest_commit_lose(before)

        missing = "it ends at position 4, 5 to 6 are missing"
        self.expect_refused(missing)
        self.expect_refused(missing, "--verify")
        # Nobody accepts a loss by a variable that is set for ever.
        self.expect_refused(missing, environment={"DAYBOOK_ACCEPT_LOSS": "true"})

        self.start("--accept-loss")
        self.expect_given_up(4, 6)
        kept = [(1, "order-1", 1, "a"), (2, "order-1", 2, "b"), (3, "order-1", 3, "c"), (4, "order-1", 4, "d")]
        self.assertEqual(kept, self.read())
        self.assertEqual(2, self.checkpoint("mail"))
        # What was lost is new when it is sent again, and has the position that follows.
        self.assertEqual((5, 6, False), self.append("order-2", lost))
        self.assertEqual((5, 6, True), self.append("order-2", lost))
        kept += [(5, "order-2", 1, "e"), (6, "order-2", 2, "f")]
        self.end()

        for flags in ((), ("--accept-loss",)):
            self.start(*flags)
            self.assertEqual(kept, self.read())
            self.assertNotIn("has lost", self.daemon.log_text())
            position = kept[-1][0] + 1
            self.assertEqual((position, position, False), self.append("order-3", [event("g")]))
            kept.append((position, "order-3", position - 6, "g"))
            self.channel.close()
            self.assertEqual(0, self.daemon.stop())
        verified = harness.run([harness.DAYBOOKD, "--data", self.data, "--verify"])
        self.assertEqual(0, verified.returncode, verified.stdout + verified.stderr)

    def append_all(self, first, last):
        """Events with these positions; returns the last request of them."""
        events = []
        while first <= last:
            count = min(REQUEST_EVENTS_COUNT_MAX, last - first + 1)
            events = [event(str(position), position) for position in range(first, first + count)]
            self.assertEqual((first, first + count - 1, False), self.append("many", events))
            first += count
        return events

    def test_an_index_that_is_ahead_of_its_log_forgets_what_is_gone(self):
        """The log becomes an older one, as a disk leaves it that has lied about its syncs; the index has the ids on disk."""
        self.start()
        self.append_all(1, KEPT_COUNT)
        self.end()
        older = os.path.join(self.directory, "older")
        shutil.copyfile(self.log, older)
        self.start("--log-level=debug")
        lost_last = KEPT_COUNT + REQUEST_EVENTS_COUNT_MAX
        lost = self.append_all(KEPT_COUNT + 1, lost_last)
        harness.wait_until(lambda: "a run of the index is written" in self.daemon.log_text(), "the index")
        self.end()
        shutil.copyfile(older, self.log)

        missing = f"it ends at position {KEPT_COUNT}, {KEPT_COUNT + 1} to {lost_last} are missing"
        self.expect_refused(missing)
        self.start("--accept-loss")
        self.expect_given_up(KEPT_COUNT, lost_last)
        tag = event_pb2.Filter(any_of=[event_pb2.Clause(tags=[f"tag:{KEPT_COUNT + 1}"])])
        self.assertEqual([], self.read(filter=tag))
        self.assertEqual((KEPT_COUNT + 1, lost_last, False), self.append("many", lost))
        self.end()
        self.start()
        self.assertEqual(lost_last, self.head())
        self.assertEqual([(KEPT_COUNT + 1, "many", KEPT_COUNT + 1, str(KEPT_COUNT + 1))], self.read(filter=tag))
        self.assertEqual((KEPT_COUNT + 1, lost_last, True), self.append("many", lost))


if __name__ == "__main__":
    harness.main()
