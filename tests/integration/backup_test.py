"""Backups of a daemon at work, and what is made of them: a store that shows what the first one has shown at the backup's head."""

import os
import shutil
import subprocess
import threading

import harness
from harness import DAYBOOK, DAYBOOKD, PATIENCE_SECONDS, event_pb2, event_store_pb2, grpc, run, wait_until
from daybook.v1 import admin_pb2, admin_pb2_grpc, event_store_pb2_grpc

EXIT_DAMAGED = 65
BACKUPS_COUNT = 6


def read_file(path):
    with open(path, "rb") as file:
        return file.read()


class BackupTest(harness.DaemonTest):
    # What has disappeared is looked for all the time, so that a backup which lets it go is found out.
    FLAGS = ("--retention-interval-ms", "100")

    def path(self, name):
        return os.path.join(self.directory, name)

    def command(self, *arguments, **options):
        return run([DAYBOOK, *arguments, "--server", self.daemon.address], **options)

    def backup(self, name):
        done = self.command("backup", self.path(name))
        self.assertEqual(0, done.returncode, done.stderr)
        self.assertFalse(os.path.exists(self.path(name) + ".partial"))
        return self.path(name)

    def restore(self, file, name):
        done = run([DAYBOOKD, "--data", self.path(name), "--restore", file])
        self.assertEqual(0, done.returncode, done.stderr)
        self.assertIn("restored", done.stdout)
        return self.path(name)

    def verify_offline(self, data):
        return run([DAYBOOKD, "--data", data, "--verify"])

    def contents(self, stub):
        """All that a store shows of itself."""
        events = [event for response in stub.Read(event_store_pb2.ReadRequest(), timeout=PATIENCE_SECONDS)
                  for event in response.events]
        names = sorted({event.stream for event in events} | {"settings", "deleted", "tombstone"})
        streams = []
        for name in names:
            try:
                stream = stub.GetStream(event_store_pb2.GetStreamRequest(stream=name),
                                        timeout=PATIENCE_SECONDS).stream
                stream.ClearField("size_bytes")  # counts what has disappeared until the index is built anew
                streams.append(stream)
            except grpc.RpcError as error:
                streams.append((name, error.code()))
        checkpoints = stub.ListCheckpoints(event_store_pb2.ListCheckpointsRequest(), timeout=PATIENCE_SECONDS)
        return events, streams, checkpoints

    def served(self, data):
        """The contents of another directory, and its head and id."""
        daemon = harness.Daemon(data)
        try:
            with grpc.insecure_channel(daemon.address) as channel:
                stub = event_store_pb2_grpc.EventStoreStub(channel)
                head = stub.Head(event_store_pb2.HeadRequest(), timeout=PATIENCE_SECONDS)
                return self.contents(stub), head
        finally:
            code = daemon.stop()
            os.unlink(daemon.log.name)
            self.assertEqual(0, code)

    def append_with_checkpoint(self, stream, consumer):
        """The reaction and the checkpoint of what it is the reaction to, in one."""
        position = self.head()
        write = event_store_pb2.Write(stream=stream, events=[event_pb2.Event(type="Reacted", text=str(position))])
        self.store.Append(event_store_pb2.AppendRequest(
            writes=[write], checkpoint=event_store_pb2.Checkpoint(consumer=consumer, position=position)),
            timeout=PATIENCE_SECONDS)

    def delete(self, stream, stub=None, **fields):
        (stub or self.store).DeleteStream(event_store_pb2.DeleteStreamRequest(stream=stream, **fields),
                                          timeout=PATIENCE_SECONDS)

    def fill_with_everything(self):
        self.append("plain", *["A"] * 50)
        self.append("settings", *["B"] * 20)
        self.append("deleted", *["C"] * 5)
        self.append("tombstone", *["D"] * 5)
        done = self.command("settings", "settings", "--max-count", "7")
        self.assertEqual(0, done.returncode, done.stderr)
        self.delete("deleted")
        self.append("deleted", "C")
        self.delete("tombstone", tombstone=True)
        self.store.EraseEvents(event_store_pb2.EraseEventsRequest(positions=[3, 4]), timeout=PATIENCE_SECONDS)
        for consumer in ("first", "second"):
            self.append_with_checkpoint("reactions", consumer)

    def test_everything_is_as_it_was(self):
        self.fill_with_everything()
        file = self.backup("copy")
        expected = self.contents(self.store)
        id_before = self.store.Head(event_store_pb2.HeadRequest()).store_id
        data = self.restore(file, "restored")
        found, head = self.served(data)
        self.assertEqual(expected[0], found[0])
        self.assertEqual(expected[1], found[1])
        self.assertEqual(expected[2], found[2])
        self.assertEqual((self.head(), id_before), (head.head, head.store_id))
        self.assertEqual(0, self.verify_offline(data).returncode)
        self.assertEqual(0o600, os.stat(file).st_mode & 0o777, "it holds everything that the store does")

    def test_a_copy_of_a_stopped_daemons_directory_is_a_store(self):
        self.fill_with_everything()
        expected = self.contents(self.store)
        self.assertEqual(0, self.daemon.stop())
        shutil.copytree(self.data, self.path("copied"))
        self.assertEqual(0, self.verify_offline(self.path("copied")).returncode)
        self.assertEqual(expected, self.served(self.path("copied"))[0])

    # --- Under load. ------------------------------------------------------------------------------------------------------

    def workers_start(self, stop, problems):
        def run_always(step):
            def work():
                try:
                    with grpc.insecure_channel(self.daemon.address,
                                               options=[("grpc.use_local_subchannel_pool", 1)]) as channel:
                        stub = event_store_pb2_grpc.EventStoreStub(channel)
                        number = 0
                        while not stop.is_set():
                            step(stub, number)
                            number += 1
                except Exception as problem:  # pylint: disable=broad-except
                    problems.append(problem)
            thread = threading.Thread(target=work, daemon=True)
            thread.start()
            return thread

        def append(stub, stream, texts, **fields):
            events = [event_pb2.Event(type="T", text=text) for text in texts]
            return stub.Append(event_store_pb2.AppendRequest(
                writes=[event_store_pb2.Write(stream=stream, events=events)], **fields), timeout=PATIENCE_SECONDS)

        def write(stub, number):
            append(stub, f"writer-{number % 5}", ["x" * 500] * 20)

        def react(stub, number):
            position = number + 1
            append(stub, "reactions", [str(position)],
                   checkpoint=event_store_pb2.Checkpoint(consumer="reactor", position=position))

        def come_and_go(stub, number):
            append(stub, f"short-{number}", ["x" * 2000] * 3)
            append(stub, f"short-{number}", ["x" * 2000] * 3)
            self.delete(f"short-{number}", stub)

        def erase(stub, number):
            position = append(stub, "secrets", ["secret"]).results[0].first_position
            stub.EraseEvents(event_store_pb2.EraseEventsRequest(positions=[position]), timeout=PATIENCE_SECONDS)

        return [run_always(step) for step in (write, react, come_and_go, erase)]

    def check_restored(self, contents, head, live):
        events, _, checkpoints = contents
        shown = {event.position: event for event in events}
        # Everything that both show is the same to the byte, but for what was erased in between.
        for event in live:
            if event.position > head or event.position not in shown:
                continue
            copy = shown[event.position]
            self.assertEqual((copy.stream, copy.revision, copy.recorded_at, copy.event.id),
                             (event.stream, event.revision, event.recorded_at, event.event.id))
            if not event.HasField("erasure"):
                self.assertEqual(event, copy)
        # What the first one still shows up to the head, the copy shows: what has disappeared only becomes more.
        missing = [event.position for event in live if event.position <= head and event.position not in shown]
        self.assertEqual([], missing)
        # The checkpoint is that of the last reaction, because they are of one append.
        last = [event for event in events if event.stream == "reactions"][-1]
        self.assertEqual([int(last.event.text)], [entry.checkpoint.position for entry in checkpoints.checkpoints])
        # A stream that is deleted shows its deletion alone; one that is not shows all that it has, without a gap.
        short = {}
        for event in events:
            if event.stream.startswith("short-"):
                short.setdefault(event.stream, []).append(event)
        for name, own in short.items():
            types = [event.event.type for event in own]
            revisions = [event.revision for event in own]
            if "$StreamDeleted" in types:
                self.assertEqual((["$StreamDeleted"], [7]), (types, revisions), name)
            else:
                self.assertIn((set(types), revisions), [({"T"}, [1, 2, 3]), ({"T"}, [1, 2, 3, 4, 5, 6])], name)

    def test_backups_in_a_loop_under_load(self):
        stop = threading.Event()
        problems = []
        self.append("writer-0", "T")
        threads = self.workers_start(stop, problems)
        files = []
        for number in range(BACKUPS_COUNT):
            before = self.head()
            wait_until(lambda: problems or self.head() >= before + 1500, "appends")
            self.assertEqual([], problems)
            files.append((self.backup(f"copy-{number}"), self.head()))
        verified = self.command("verify")
        stop.set()
        for thread in threads:
            thread.join(PATIENCE_SECONDS)
        self.assertEqual([], problems)
        self.assertEqual(0, verified.returncode, verified.stdout)
        live = self.contents(self.store)[0]
        for number, (file, head_after) in enumerate(files):
            contents, head = self.served(self.restore(file, f"restored-{number}"))
            self.assertLessEqual(head.head, head_after)
            self.check_restored(contents, head.head, live)

    # --- The calls and the command. -------------------------------------------------------------------------------------------

    def fill_megabytes(self, count):
        for _ in range(count):
            events = [event_pb2.Event(type="Large", text="x" * 100000) for _ in range(10)]
            self.store.Append(event_store_pb2.AppendRequest(
                writes=[event_store_pb2.Write(stream="large", events=events)]), timeout=PATIENCE_SECONDS)

    def test_one_at_a_time_and_a_client_that_goes_frees_the_place(self):
        self.fill_megabytes(20)
        first = self.admin.Backup(admin_pb2.BackupRequest())
        self.assertGreater(len(next(first).data), 0)  # it is at work, and nothing more is taken
        self.assert_refused(grpc.StatusCode.ABORTED, "OPERATION_RUNNING",
                            lambda: self.admin.Backup(admin_pb2.BackupRequest(), timeout=PATIENCE_SECONDS))
        first.cancel()

        def second():
            try:
                return list(self.admin.Backup(admin_pb2.BackupRequest(), timeout=PATIENCE_SECONDS))
            except grpc.RpcError as error:
                self.assertEqual(grpc.StatusCode.ABORTED, error.code())
                return None
        responses = wait_until(second, "the place")
        self.assertEqual(self.head(), responses[0].head)
        self.assertEqual(self.head(), responses[-1].position)
        self.assertEqual(32, len(responses[-1].checksum))
        self.assertLessEqual(max(len(response.data) for response in responses), 1 << 20)
        self.assertEqual([""] * (len(responses) - 1), [response.checksum for response in responses[:-1]])

    def test_what_disappears_meanwhile_is_in_the_copy(self):
        self.fill_megabytes(20)
        self.append("victim", *["T"] * 6)
        expected = self.contents(self.store)
        call = self.admin.Backup(admin_pb2.BackupRequest(), timeout=PATIENCE_SECONDS)
        data = next(call).data  # the rest is larger than what is on its way
        self.delete("victim")
        for _ in range(300):  # time enough for the retention, if it did not wait
            self.append("other", "T")
        self.assertEqual(0, self.stats().events_removed_count)
        for response in call:
            data += response.data
        with open(self.path("copy"), "wb") as file:
            file.write(data)
        self.assertEqual(expected, self.served(self.restore(self.path("copy"), "restored"))[0])
        wait_until(lambda: self.stats().events_removed_count == 6, "the retention, which goes on")

    def test_a_drain_ends_a_backup_that_nobody_takes(self):
        self.fill_megabytes(20)
        call = self.admin.Backup(admin_pb2.BackupRequest())
        next(call)
        self.assertEqual(0, self.daemon.stop())
        with self.assertRaises(grpc.RpcError) as caught:
            list(call)
        self.assertEqual(grpc.StatusCode.UNAVAILABLE, caught.exception.code())

    def test_the_command_replaces_nothing_unasked(self):
        self.append("s", "T")
        file = self.backup("copy")
        before = read_file(file)
        done = self.command("backup", file)
        self.assertEqual(74, done.returncode)
        self.assertIn("--replace", done.stderr)
        self.assertEqual(before, read_file(file))
        self.append("s", "T")
        self.assertEqual(0, self.command("backup", "--replace", file).returncode)
        self.assertNotEqual(before, read_file(file))
        gone = self.command("backup", self.path("no/where"))
        self.assertEqual(74, gone.returncode)

    def test_a_pipe_from_one_to_the_other(self):
        self.append("s", *["T"] * 30)
        with subprocess.Popen([DAYBOOK, "backup", "-", "--server", self.daemon.address], stdin=subprocess.DEVNULL,
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE) as copying:
            restored = subprocess.run([DAYBOOKD, "--data", self.path("restored"), "--restore", "-"],
                                      stdin=copying.stdout, capture_output=True, text=True, check=False,
                                      timeout=PATIENCE_SECONDS)
            self.assertIn(b"30 events", copying.stderr.read())
        self.assertEqual((0, 0), (copying.returncode, restored.returncode), restored.stderr)
        self.assertEqual(self.contents(self.store), self.served(self.path("restored"))[0])

    # --- Damage. -------------------------------------------------------------------------------------------------------------

    def flip(self, path, offset, mask):
        with open(path, "r+b") as file:
            file.seek(offset)
            byte = file.read(1)[0]
            file.seek(offset)
            file.write(bytes([byte ^ mask]))

    def test_verify_names_what_is_flipped_while_the_daemon_serves(self):
        self.append("s", *["T"] * 20)
        done = self.command("verify")
        self.assertEqual((0, "20 events checked, nothing is wrong\n"), (done.returncode, done.stdout))
        path = os.path.join(self.data, "log", "data.mdb")
        offset = read_file(path).find(b'{"n": 12}')
        self.flip(path, offset, 4)
        done = self.command("verify")
        self.assertEqual(1, done.returncode, done.stdout)
        self.assertIn("the event at position 13 is damaged", done.stdout)
        found = list(self.admin.Verify(admin_pb2.VerifyRequest(), timeout=PATIENCE_SECONDS))
        self.assertEqual([13], [position for response in found for position in response.corrupt_positions])
        self.assertEqual((20, 20, 1), (found[-1].events_checked_count, found[-1].events_count,
                                       found[-1].problems_count))
        self.assertEqual(1, self.command("backup", self.path("copy")).returncode, "damage is never copied")
        self.assertFalse(os.path.exists(self.path("copy")) or os.path.exists(self.path("copy.partial")))
        self.flip(path, offset, 4)
        self.assertEqual(0, self.command("verify").returncode)

    def test_verify_of_a_stopped_store_finds_flipped_bits(self):
        randomness = harness.seeded("backup_test")
        texts = ["%032x" % randomness.getrandbits(128) for _ in range(60)]
        events = [event_pb2.Event(type="T", text=text) for text in texts]
        self.store.Append(event_store_pb2.AppendRequest(
            writes=[event_store_pb2.Write(stream="s", events=events)]), timeout=PATIENCE_SECONDS)
        self.assertEqual(75, self.verify_offline(self.data).returncode, "a daemon has it")
        self.assertEqual(0, self.daemon.stop())
        path = os.path.join(self.data, "log", "data.mdb")
        whole = read_file(path)
        for position, text in enumerate(texts, 1):
            offset = whole.find(text.encode()) + randomness.randrange(32)
            mask = 1 << randomness.randrange(8)
            self.flip(path, offset, mask)
            done = self.verify_offline(self.data)
            self.assertEqual(EXIT_DAMAGED, done.returncode)
            self.assertEqual(f"the event at position {position} is damaged (its bytes are not those that were stored)\n",
                             done.stdout)
            self.flip(path, offset, mask)
        self.assertEqual(0, self.verify_offline(self.data).returncode)

    def test_flips_anywhere_in_the_file_serve_nothing_wrong(self):
        """LMDB's own pages have no checksums: what verify does not find must not change what is shown."""
        harness.faults_are_the_daemons(self)
        randomness = harness.seeded("backup_test")
        self.append("s", *["T"] * 300)
        expected = self.contents(self.store)[0]
        self.assertEqual(0, self.daemon.stop())
        path = os.path.join(self.data, "log", "data.mdb")
        used = len(read_file(path).rstrip(b"\0"))
        found = 0
        for _ in range(60):
            offset, mask = randomness.randrange(used), 1 << randomness.randrange(8)
            copied = self.path("flipped")
            shutil.copytree(self.data, copied)
            self.flip(os.path.join(copied, "log", "data.mdb"), offset, mask)
            done = self.verify_offline(copied)
            self.assertIn(done.returncode, (0, EXIT_DAMAGED), f"byte {offset}: {done.stderr}")
            found += done.returncode != 0
            if done.returncode == 0:
                self.assertEqual(expected, self.served(copied)[0][0], f"byte {offset}, mask {mask}")
            shutil.rmtree(copied)
        self.assertGreater(found, 0)

    def test_a_file_that_is_cut_short_is_damage(self):
        randomness = harness.seeded("backup_test")
        self.append("s", *["T"] * 300)
        self.assertEqual(0, self.daemon.stop())
        path = os.path.join(self.data, "log", "data.mdb")
        used = len(read_file(path).rstrip(b"\0")) // 4096 * 4096
        for size in [0, 1, 4095, 4096, 8192] + [randomness.randrange(used) for _ in range(20)]:
            copied = self.path("short")
            shutil.copytree(self.data, copied)
            os.truncate(os.path.join(copied, "log", "data.mdb"), size)
            done = self.verify_offline(copied)
            self.assertEqual(EXIT_DAMAGED, done.returncode, f"{size} bytes: {done.stdout} {done.stderr}")
            shutil.rmtree(copied)

    def test_a_restore_that_is_killed_is_no_store(self):
        self.fill_megabytes(8)
        whole = read_file(self.backup("copy"))
        data = self.path("restored")
        with subprocess.Popen([DAYBOOKD, "--data", data, "--restore", "-"], stdin=subprocess.PIPE,
                              stderr=subprocess.DEVNULL) as restoring:
            restoring.stdin.write(whole[:len(whole) // 2])
            restoring.stdin.flush()
            wait_until(lambda: os.path.exists(os.path.join(data, "restore.new", "log", "data.mdb")), "its beginning")
            restoring.kill()
            restoring.wait()
        refused = run([DAYBOOKD, "--data", data, "--listen", "127.0.0.1:0"])
        self.assertNotEqual(0, refused.returncode)
        self.assertIn("restore.new", refused.stderr)
        self.restore(self.path("copy"), "restored")
        self.assertEqual(self.contents(self.store), self.served(data)[0])


if __name__ == "__main__":
    harness.main()
