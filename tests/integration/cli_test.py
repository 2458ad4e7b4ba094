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
        for command in ("append", "read", "tail", "head", "status"):
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
