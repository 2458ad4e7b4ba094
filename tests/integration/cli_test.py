"""The `daybook` command: what it prints, what it answers, how it goes on after a restart."""

import json
import os
import pathlib
import signal
import subprocess

import harness


class CommandTest(harness.DaemonTest):
    def daybook(self, *arguments, code=0, stdin=None):
        result = subprocess.run([str(harness.DAYBOOK), *arguments, "--server", self.daemon.address], input=stdin,
                                capture_output=True, text=True, timeout=harness.PATIENCE_SECONDS, check=False)
        self.assertEqual(code, result.returncode, result.stdout + result.stderr)
        return result.stdout if code == 0 else result.stderr

    def test_append_read_head_status(self):
        self.assertEqual("position 1, order-1@1\n", self.daybook("append", "order-1", "OrderPlaced", '{"total":42}'))
        self.daybook("append", "order-1", "Note", "any words", "--text", "--tag", "a", "--tag", "b")
        self.daybook("append", "order-2", "OrderPlaced")
        self.assertEqual("3\n", self.daybook("head"))
        lines = self.daybook("read").splitlines()
        self.assertEqual(3, len(lines))
        self.assertIn('order-1@1', lines[0])
        self.assertIn('OrderPlaced  {"total":42}', lines[0])
        events = [json.loads(line) for line in self.daybook("read", "order-1", "--backward", "--json").splitlines()]
        self.assertEqual([(2, "any words", ["a", "b"]), (1, '{"total":42}', [])],
                         [(event["revision"], event["text"], event["tags"]) for event in events])
        self.assertEqual(1, len(self.daybook("read", "--from", "2", "--limit", "1").splitlines()))
        status = json.loads(self.daybook("status", "--json"))
        self.assertEqual(("SERVING", 3), (status["health"], status["head"]))

    def test_read_by_type_tag_and_time(self):
        self.daybook("append", "s", "A", "--tag", "x")
        self.daybook("append", "s", "B", "--tag", "x", "--tag", "y")
        self.daybook("append", "t", "B")
        positions = lambda *arguments: [json.loads(line)["position"]
                                        for line in self.daybook("read", *arguments, "--json").splitlines()]
        self.assertEqual([1, 2], positions("--tag", "x"))
        self.assertEqual([2], positions("--tag", "x", "--tag", "y"))
        self.assertEqual([1, 2, 3], positions("--type", "A", "--type", "B"))
        self.assertEqual([2], positions("s", "--type", "B"))
        times = [json.loads(line)["recorded_at"] for line in self.daybook("read", "--json").splitlines()]
        self.assertEqual([2, 3], positions("--from-time", times[1]))
        self.assertEqual([1], positions("--from-time", times[0], "--backward"))
        self.assertEqual([], positions("--from-time", "2100-01-01T00:00:00Z"))
        for wrong in ("yesterday", "2026-11-23", "2026-11-23T10:00:00", "2026-11-23T10:00:00.Z", "1969-01-01T00:00:00Z"):
            self.assertIn("2026-11-23T19:11:00Z", self.daybook("read", "--from-time", wrong, code=64))
        self.assertIn("not both", self.daybook("read", "--from", "1", "--from-time", times[0], code=64))

    def test_append_with_an_id_and_an_expectation(self):
        arguments = ("append", "s", "A", "{}", "--id", "01890a5d-ac96-774b-bcce-b302099a8057", "--expect", "0")
        self.assertEqual("position 1, s@1\n", self.daybook(*arguments))
        self.assertEqual("position 1, s@1, recorded before\n", self.daybook(*arguments))
        self.assertTrue(json.loads(self.daybook(*arguments, "--json"))["replayed"])
        self.assertIn("EVENT_ID_CONFLICT", self.daybook("append", "s", "B", "--id", arguments[5], code=1))
        self.assertIn("REVISION_CONFLICT", self.daybook("append", "s", "A", "--expect", "0", code=1))
        self.assertIn("REVISION_CONFLICT", self.daybook("append", "t", "A", "--expect", "exists", code=1))
        self.daybook("append", "s", "A", "--expect", "exists")
        self.daybook("append", "s", "A", "--expect", "2")
        self.assertIn("number", self.daybook("append", "s", "A", "--expect", "some", code=64))
        self.assertIn("one event", self.daybook("append", "s", "A", "-", "--expect", "3", code=64))
        self.assertEqual("3\n", self.daybook("head"))

    def test_append_with_what_must_hold(self):
        place = ("append", "order-1", "OrderPlaced", "{}", "--tag", "customer:7", "--expect", "new")
        self.daybook(*place)
        clause = ("--if-none", "type=OrderPlaced,tag=customer:7")
        self.assertIn("CONDITION_FAILED", self.daybook("append", "order-2", "OrderPlaced", *clause, code=1))
        self.assertIn("position 1", self.daybook("append", "order-2", "OrderPlaced", *clause, code=1))
        self.daybook("append", "order-2", "OrderPlaced", *clause, "--after", "1")
        self.daybook("append", "order-2", "OrderPlaced", "--if-none", "type=OrderPlaced,tag=customer:8",
                     "--if-none", r"tag=a\,b")
        self.daybook("append", "order-2", "T", "--tag", "a,b")
        self.assertIn("CONDITION_FAILED", self.daybook("append", "t", "T", "--if-none", r"tag=a\,b", code=1))
        checks = ("--check", "order-1@1", "--check", "order-2@exists", "--check", "order-9@new")
        self.daybook("append", "t", "T", *checks)
        message = self.daybook("append", "t", "T", "--expect", "9", "--check", "order-1@7", "--check", "no@exists", code=1)
        for words in ("REVISION_CONFLICT", "writes[0] t: expected at revision 9, is at 1",
                      "checks[0] order-1: expected at revision 7, is at 1",
                      "checks[1] no: expected to have events, does not exist"):
            self.assertIn(words, message)
        self.assertIn("writes[0].events[0].tags[0] is missing", self.daybook("append", "t", "", "--tag", "", code=1))
        self.assertIn("KEY=TEXT", self.daybook("append", "t", "T", "--if-none", "OrderPlaced", code=64))

    def test_a_checkpoint_goes_along_and_tail_begins_there(self):
        for _ in range(3):
            self.daybook("append", "s", "T")
        self.daybook("append", "done", "Done", "--checkpoint", "billing@2")
        self.assertIn("billing is at 2", self.daybook("append", "done", "Done", "--checkpoint", "billing@2", code=1))
        self.daybook("append", "done", "Done", "--checkpoint", "a@4")
        consumers = [json.loads(line) for line in self.daybook("consumers", "--json").splitlines()]
        self.assertEqual([("a", 4), ("billing", 2)], [(each["consumer"], each["position"]) for each in consumers])
        self.assertEqual(1, len(self.daybook("consumers", "--limit", "1").splitlines()))
        self.assertIn("CONSUMER_NOT_FOUND", self.daybook("tail", "--consumer", "nobody", code=1))
        output = pathlib.Path(self.directory, "tail")
        with open(output, "w") as out:
            tail = subprocess.Popen([str(harness.DAYBOOK), "tail", "--consumer", "billing", "--type", "T", "--type-prefix",
                                     "T", "--json", "--server", self.daemon.address], stdout=out)
        self.addCleanup(lambda: tail.poll() is None and tail.kill())
        positions = lambda: [json.loads(line)["position"] for line in output.read_text().splitlines()]
        harness.wait_until(lambda: positions() == [3], "the event after the checkpoint")
        self.daybook("append", "s", "T")
        harness.wait_until(lambda: positions() == [3, 6], "the event that came")
        tail.send_signal(signal.SIGINT)
        self.assertEqual(0, tail.wait(harness.PATIENCE_SECONDS))

    def test_read_filters(self):
        for stream, kind in (("order-1", "OrderPlaced"), ("order-2", "OrderPaid"), ("parcel-1", "ParcelSent")):
            self.daybook("append", stream, kind)
        positions = lambda *arguments: [json.loads(line)["position"]
                                        for line in self.daybook("read", *arguments, "--json").splitlines()]
        self.assertEqual([1, 2], positions("--stream-prefix", "order-"))
        self.assertEqual([1, 2], positions("--type-prefix", "Order"))
        self.assertEqual([1, 3], positions("--stream", "order-1", "--stream", "parcel-1"))
        self.assertEqual([3], positions("--stream-prefix", "order-", "--stream-prefix", "parcel-", "--type", "ParcelSent"))
        self.assertEqual([2, 1], positions("--stream-prefix", "order-", "--backward"))

    def test_trace_draws_causes_across_streams(self):
        ids = [f"01890a5d-ac96-774b-bcce-b3020000000{digit}" for digit in range(6)]
        def record(stream, kind, index, *arguments):
            self.daybook("append", stream, kind, "--id", ids[index], *arguments)
        record("order-1", "OrderPlaced", 0)
        record("payment-1", "PaymentTaken", 1, "--correlation-id", ids[0], "--causation-id", ids[0])
        record("other", "Other", 2, "--correlation-id", ids[2], "--tag", "correlation:" + ids[2])
        record("parcel-1", "ParcelSent", 3, "--correlation-id", ids[0], "--causation-id", ids[1])
        record("mail-1", "MailSent", 4, "--correlation-id", ids[0], "--causation-id", ids[0])
        record("mail-2", "MailSent", 5, "--metadata", "correlation_id=" + ids[0], "--causation-id", ids[2])
        def traced(*arguments, locale="C.UTF-8"):
            return subprocess.run([str(harness.DAYBOOK), "trace", *arguments, "--server", self.daemon.address],
                                  capture_output=True, text=True, encoding="utf-8", check=False,
                                  timeout=harness.PATIENCE_SECONDS, env={**os.environ, "LC_ALL": locale})
        result = traced(ids[0])
        self.assertEqual(0, result.returncode, result.stderr)
        self.assertIn("every event is read for its metadata", result.stderr)
        rows = [(int(line.split()[0]), line.split("s  ", 1)[1]) for line in result.stdout.splitlines()]
        self.assertEqual([(1, "OrderPlaced  order-1@1"), (2, "├─ PaymentTaken  payment-1@1"),
                          (4, "│  └─ ParcelSent  parcel-1@1"), (5, "└─ MailSent  mail-1@1"),
                          (6, f"MailSent  mail-2@1  (its cause {ids[2]} is not among these)")], rows)
        self.assertIn("`- MailSent", traced(ids[0], locale="C").stdout)
        tagged = traced(ids[2], "--json")
        self.assertIn("found by the tag", tagged.stderr)
        self.assertEqual([3], [json.loads(line)["position"] for line in tagged.stdout.splitlines()])
        nothing = traced("nobody")
        self.assertEqual((1, ""), (nothing.returncode, nothing.stdout))

    def test_what_cannot_be_taken_back_needs_a_yes(self):
        self.daybook("append", "s", "T")
        self.assertIn("--yes", self.daybook("delete", "s", code=64, stdin="yes\n"))
        self.assertIn("--yes", self.daybook("erase", "1", code=64, stdin="yes\n"))
        self.assertEqual(1, len(self.daybook("read", "s").splitlines()))

    def test_lines_of_standard_input(self):
        lines = "".join(json.dumps({"n": n}) + "\n" for n in range(1234)) + "\n"
        self.assertEqual("1234 events appended to s\n", self.daybook("append", "s", "T", "-", stdin=lines))
        events = [json.loads(json.loads(line)["text"])["n"] for line in self.daybook("read", "s", "--json").splitlines()]
        self.assertEqual(list(range(1234)), events)
        message = self.daybook("append", "s", "T", "-", stdin='{"n":1}\n{oops\n', code=65)
        self.assertIn("line 2", message)

    def test_mistakes(self):
        self.assertIn("STREAM_NOT_FOUND", self.daybook("read", "nobody", code=1))
        self.assertIn("JSON", self.daybook("append", "s", "T", "{oops", code=65))
        self.assertIn("a stream and a type", self.daybook("append", "s", code=64))
        self.assertIn("number", self.daybook("read", "--limit", "many", code=64))
        self.assertIn("no command", self.daybook("dance", code=64))
        result = harness.run([harness.DAYBOOK, "head", "--server", "127.0.0.1:1", "--timeout-ms", "2000"])
        self.assertEqual(69, result.returncode)
        self.assertIn("cannot reach 127.0.0.1:1", result.stderr)
        self.assertEqual(74, subprocess.run([str(harness.DAYBOOK), "head", "--server", self.daemon.address],
                                            stdout=open("/dev/full", "w"), check=False).returncode)

    def test_help_tells_the_exit_codes(self):
        self.assertIn("Exit codes", harness.run([harness.DAYBOOK, "--help"]).stdout)
        for command in ("append", "read", "tail", "trace", "streams", "types", "tags", "consumers", "stream", "settings",
                        "delete", "erase", "head", "status", "stats", "compact", "reindex"):
            shown = harness.run([harness.DAYBOOK, command, "--help"]).stdout
            self.assertIn(f"daybook {command}", shown)
            self.assertIn("--server", shown)

    def test_tail_goes_on_after_a_restart(self):
        output = pathlib.Path(self.directory, "tail")
        with open(output, "w") as out:
            tail = subprocess.Popen([str(harness.DAYBOOK), "tail", "--beginning", "--json", "--server",
                                     self.daemon.address], stdout=out, stderr=subprocess.DEVNULL)
        self.addCleanup(lambda: tail.poll() is None and tail.kill())
        positions = lambda: [json.loads(line)["position"] for line in output.read_text().splitlines()]
        self.append("s", "A", "B")
        harness.wait_until(lambda: positions() == [1, 2], "two events")
        port = self.daemon.port
        self.channel.close()
        self.daemon.kill()
        os.unlink(self.daemon.log.name)
        self.daemon = harness.Daemon(self.data, port=port)
        self.connect()
        self.append("s", "C")
        harness.wait_until(lambda: len(positions()) >= 3, "the third event")
        self.assertEqual([1, 2, 3], positions())
        tail.send_signal(signal.SIGINT)
        self.assertEqual(0, tail.wait(harness.PATIENCE_SECONDS))

    def test_tail_takes_the_largest_append_behind_others(self):
        event = harness.event_pb2.Event(type="T" * 255, data=b"x" * 16000)
        name = "s" * 255
        writes = [harness.event_store_pb2.Write(stream=name, events=[event] * count) for count in (30, 1024)]
        for write in writes:
            request = harness.event_store_pb2.AppendRequest(writes=[write])
            self.assertLess(request.ByteSize(), 16 << 20)
            self.store.Append(request)
        output = pathlib.Path(self.directory, "tail")
        with open(output, "w") as out:
            tail = subprocess.Popen([str(harness.DAYBOOK), "tail", "--beginning", "--json", "--server",
                                     self.daemon.address], stdout=out, stderr=subprocess.PIPE)
        self.addCleanup(lambda: tail.poll() is None and tail.kill())
        harness.wait_until(lambda: tail.poll() is not None or output.read_text().count("\n") >= 1054, "all events")
        self.assertIsNone(tail.poll(), tail.poll() is not None and tail.stderr.read())
        tail.send_signal(signal.SIGINT)
        self.assertEqual(0, tail.wait(harness.PATIENCE_SECONDS))
        tail.stderr.close()


if __name__ == "__main__":
    harness.main()
