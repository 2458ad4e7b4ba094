"""The commands of `daybook` that look after streams, against the real daemon."""

import hashlib
import json
import subprocess

import harness
from harness import event_store_pb2


class StreamCommandsTest(harness.DaemonTest):
    FLAGS = ("--retention-interval-ms", "100")

    def daybook(self, *arguments, code=0, stdin=None):
        result = subprocess.run([str(harness.DAYBOOK), *arguments, "--server", self.daemon.address], input=stdin,
                                stdin=None if stdin is not None else subprocess.DEVNULL, capture_output=True, text=True,
                                timeout=harness.PATIENCE_SECONDS, check=False)
        self.assertEqual(code, result.returncode, result.stdout + result.stderr)
        return result.stdout if code == 0 else result.stderr

    def lines(self, *arguments):
        return [json.loads(line) for line in self.daybook(*arguments, "--json").splitlines()]

    def test_lists_go_through_all_pages(self):
        names = [f"order-{number:04d}" for number in range(1500)]
        for first in range(0, len(names), 500):
            self.store.Append(event_store_pb2.AppendRequest(writes=[
                event_store_pb2.Write(stream=name, events=[{"type": f"T{first}", "tags": [f"tag-{name}"]}])
                for name in names[first:first + 500]]))
        self.daybook("append", "other", "Other")
        self.assertEqual(names + ["other"], [line["name"] for line in self.lines("streams")])
        self.assertEqual(names, [line["name"] for line in self.lines("streams", "order-")])
        changed = [line["name"] for line in self.lines("streams", "--order", "last-change", "--limit", "2")]
        self.assertEqual(["other", names[-1]], changed)
        self.assertEqual([("Other", 1), ("T0", 500), ("T1000", 500), ("T500", 500)],
                         [(line["name"], line["events_count"]) for line in self.lines("types")])
        self.assertEqual(1500, len(self.lines("tags", "tag-")))

    def test_settings_change_what_is_named(self):
        self.daybook("settings", "order-1", "--max-count", "2", "--metadata", "owner=sales")
        for _ in range(3):
            self.daybook("append", "order-1", "Placed")
        self.assertEqual(2, len(self.daybook("read", "order-1").splitlines()))
        self.daybook("settings", "order-1", "--max-age", "30d")
        settings = self.lines("stream", "order-1")[0]["settings"]
        self.assertEqual((2, 30 * 86400, {"owner": "sales"}),
                         (settings["max_count"], settings["max_age_seconds"], settings["metadata"]))

    def test_delete_and_tombstone(self):
        self.daybook("append", "order-1", "Placed")
        self.assertIn("--yes", self.daybook("delete", "order-1", code=64))
        self.assertIn("REVISION_CONFLICT", self.daybook("delete", "order-1", "--expect", "5", "--yes", code=1))
        self.daybook("delete", "order-1", "--yes")
        self.assertIn("STREAM_NOT_FOUND", self.daybook("read", "order-1", code=1))
        self.assertIn("$StreamDeleted", self.daybook("read"))
        self.assertEqual("position 3, order-1@3\n", self.daybook("append", "order-1", "Placed", "--expect", "new"))
        self.daybook("delete", "order-1", "--tombstone", "--yes")
        error = self.daybook("append", "order-1", "Placed", code=1)
        self.assertIn("STREAM_TOMBSTONED", error)
        self.assertIn("writes[0] order-1: is tombstoned, last at 4", error)

    def test_erase(self):
        self.daybook("append", "customer-1", "Moved", "Rue de Rivoli 1", "--text")
        event = next(self.store.Read(event_store_pb2.ReadRequest())).events[0].event
        self.assertEqual("1 of 1 events erased, told at position 2\n", self.daybook("erase", "1", "--yes"))
        self.assertIn("<erased>", self.daybook("read", "customer-1"))
        told = self.lines("read", "customer-1")[0]["erasure"]["digest_sha256"]
        self.assertEqual(hashlib.sha256(event.SerializeToString(deterministic=True)).hexdigest(), told)
        self.assertIn("0 of 1", self.daybook("erase", "1", "--yes"))

    def test_compact_reindex_and_stats(self):
        for stream, count in (("gone", 1000), ("stays", 29)):
            self.store.Append(event_store_pb2.AppendRequest(writes=[event_store_pb2.Write(
                stream=stream, events=[{"type": "Placed", "text": "x" * 500} for _ in range(count)])]))
        self.daybook("delete", "gone", "--yes")
        harness.wait_until(lambda: self.lines("stats")[0]["events_removed_count"] == 1000, "the removal")
        before = self.daybook("read")
        used = self.lines("stats")[0]["log_bytes"]
        progress = self.lines("compact")
        self.assertEqual((1030, 1030), (progress[-1]["events_copied_count"], progress[-1]["events_count"]))
        # Half-empty pages are packed; the file itself is given back in pieces of 16 MiB.
        self.assertLess(self.lines("stats")[0]["log_bytes"], used / 2)
        self.assertEqual(before, self.daybook("read"))
        self.assertEqual((1030, 1030), tuple(self.lines("reindex")[-1][key] for key in ("position", "head")))
        self.assertEqual(before, self.daybook("read"))
        stats = self.lines("stats")[0]
        self.assertEqual((1030, 1030), (stats["head"], stats["events_appended_count"]))

    def test_trace_and_conditions(self):
        cause = "01890a5d-ac96-774b-bcce-b302099a0001"
        self.daybook("append", "order-1", "OrderPlaced", "--id", cause, "--tag", f"correlation:{cause}",
                     "--if-none", "type=OrderPlaced,stream=order-1")
        self.daybook("append", "pay-1", "PaymentTaken", "--correlation-id", cause, "--causation-id", cause,
                     "--tag", f"correlation:{cause}")
        self.assertIn("└─ PaymentTaken  pay-1@1", self.daybook("trace", cause))
        self.assertIn("CONDITION_FAILED", self.daybook("append", "order-1", "OrderPlaced", "--if-none",
                                                       "type=OrderPlaced,stream=order-1", code=1))


if __name__ == "__main__":
    harness.main()
