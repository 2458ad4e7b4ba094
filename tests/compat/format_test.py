"""Stores of every format that was ever released: each is read as it was written. One that is newer is refused and stays as it is."""

import json
import os
import pathlib
import shutil
import subprocess
import tarfile
import tempfile
import unittest

import contents
import harness
from harness import DAYBOOKD, PATIENCE_SECONDS, grpc
from daybook.v1 import event_store_pb2_grpc

STORES = sorted((pathlib.Path(__file__).parent / "stores").glob("*.tar.xz"))
EXIT_DATA = 65


class FormatTest(unittest.TestCase):
    def setUp(self):
        self.directory = tempfile.mkdtemp(prefix="daybook-compat-")
        self.addCleanup(shutil.rmtree, self.directory, ignore_errors=True)
        self.data = os.path.join(self.directory, "data")

    def unpack(self, archive):
        shutil.rmtree(self.data, ignore_errors=True)
        with tarfile.open(archive) as packed:
            packed.extractall(self.directory)
        with open(os.path.join(self.directory, "shown.json"), encoding="utf-8") as file:
            return json.load(file)

    def run_once(self, *flags):
        return subprocess.run([DAYBOOKD, "--data", self.data, "--listen", "127.0.0.1:0", *flags], stdin=subprocess.DEVNULL,
                              capture_output=True, text=True, check=False, timeout=PATIENCE_SECONDS)

    def state(self):
        """Bytes and time of every file that holds something."""
        state = {}
        for folder, _, names in os.walk(self.data):
            for name in sorted(set(names) - {"LOCK", "lock.mdb"}):
                path = os.path.join(folder, name)
                with open(path, "rb") as file:
                    state[path] = (os.stat(path).st_mtime_ns, file.read())
        return state

    def test_each_is_read_as_it_was_written(self):
        self.assertGreater(len(STORES), 0)
        for archive in STORES:
            with self.subTest(archive.name):
                expected = self.unpack(archive)
                verified = self.run_once("--verify")
                self.assertEqual(0, verified.returncode, verified.stdout + verified.stderr)
                for _ in range(2):  # as it was, and after this daemon has had it
                    daemon = harness.Daemon(self.data)
                    with grpc.insecure_channel(daemon.address) as channel:
                        self.assertEqual(expected, contents.shown(event_store_pb2_grpc.EventStoreStub(channel)))
                    self.assertEqual(0, daemon.stop())
                    os.unlink(daemon.log.name)

    def refused(self, what):
        before = self.state()
        for flags in ((), ("--accept-loss",), ("--verify",)):
            done = self.run_once(*flags)
            self.assertEqual(EXIT_DATA, done.returncode, f"{what}, {flags}: {done.stderr}")
            self.assertIn("format 2", done.stderr, what)
        self.assertEqual(before, self.state(), what)

    def test_a_newer_one_is_refused_and_stays_as_it_is(self):
        for archive in STORES:
            self.unpack(archive)
            file = pathlib.Path(self.data, "FORMAT")
            file.write_bytes(file.read_bytes().replace(b"daybook store 1\n", b"daybook store 2\n"))
            self.refused("FORMAT")
            self.unpack(archive)
            file = pathlib.Path(self.data, "log", "data.mdb")
            content = file.read_bytes()
            newer = content.replace(b"format\x01\x00\x00\x00", b"format\x02\x00\x00\x00")
            self.assertNotEqual(content, newer)
            file.write_bytes(newer)
            self.refused("the log's own number")

    def test_an_index_of_another_format_is_made_anew(self):
        for archive in STORES:
            expected = self.unpack(archive)
            file = pathlib.Path(self.data, "index", "data.mdb")
            content = file.read_bytes()
            other = content.replace(b"format\x05\x00\x00\x00", b"format\x06\x00\x00\x00")
            self.assertNotEqual(content, other)
            file.write_bytes(other)
            daemon = harness.Daemon(self.data)
            with grpc.insecure_channel(daemon.address) as channel:
                self.assertEqual(expected, contents.shown(event_store_pb2_grpc.EventStoreStub(channel)))
            self.assertIn("the index is begun anew", daemon.log_text())
            self.assertEqual(0, daemon.stop())
            os.unlink(daemon.log.name)


if __name__ == "__main__":
    unittest.main()
