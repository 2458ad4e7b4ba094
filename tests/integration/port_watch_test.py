"""The daemon watches its own port: one that ran out of descriptors and went deaf exits so that it is started anew, and one that
is merely busy, or stood still for a while, goes on."""

import os
import shutil
import signal
import socket
import tempfile
import threading
import time
import unittest

import harness
from harness import event_store_pb2, event_store_pb2_grpc, grpc

DESCRIPTORS_MAX = 96
# Documented: 14 seconds after the port went deaf at the latest, and a second for open calls; three times that for a machine
# that has other things to do.
DEAF_SECONDS_MAX = 45
# Longer than it takes to call a port deaf.
BUSY_SECONDS = 15
# How processes are stopped again and again, and for how long they run between: longer than a connection of the watch may take, as
# when a virtual machine is moved; and as by a quota of two hundredths of a core.
STOPS = {"stopped": (4.5, 0.005), "starved": (0.098, 0.002)}


class PortWatchTest(unittest.TestCase):
    def setUp(self):
        self.directory = tempfile.mkdtemp(prefix="daybook-test-")
        self.addCleanup(shutil.rmtree, self.directory, ignore_errors=True)
        self.data = os.path.join(self.directory, "data")

    def start(self, *flags, data=None, **options):
        daemon = harness.Daemon(data or self.data, *flags, **options)
        self.addCleanup(os.unlink, daemon.log.name)
        self.addCleanup(daemon.stop)
        return daemon

    def certificate(self):
        """The flags of a daemon with TLS."""
        key, certificate = os.path.join(self.directory, "key"), os.path.join(self.directory, "certificate")
        made = harness.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
                            "-days", "1", "-subj", "/CN=daybook", "-keyout", key, "-out", certificate])
        self.assertEqual(0, made.returncode, made.stderr)
        return "--tls-certificate", certificate, "--tls-key", key

    def head(self, address):
        with grpc.insecure_channel(address, options=[("grpc.use_local_subchannel_pool", 1)]) as channel:
            store = event_store_pb2_grpc.EventStoreStub(channel)
            return store.Head(event_store_pb2.HeadRequest(), timeout=harness.PATIENCE_SECONDS).head

    def flood(self, daemon):
        """More connections than the daemon has descriptors; gone again when it has seen it."""
        connections = [socket.create_connection(("127.0.0.1", daemon.port)) for _ in range(2 * DESCRIPTORS_MAX)]
        harness.wait_until(lambda: "Too many open files" in daemon.log_text(), "the lack of descriptors")
        for connection in connections:
            connection.close()

    def expect_deaf(self, daemon):
        with socket.create_connection(("127.0.0.1", daemon.port)) as connection:
            connection.settimeout(1)
            connection.sendall(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\4\0\0\0\0\0")
            self.assertRaises(TimeoutError, connection.recv, 1)

    def test_a_deaf_daemon_exits_and_serves_when_it_is_started_anew(self):
        """Who is connected is answered until the drain."""
        plain = self.start("--connections-max", "0", descriptors_max=DESCRIPTORS_MAX)
        encrypted = self.start(*self.certificate(), "--connections-max", "0", data=self.data + "-encrypted", descriptors_max=DESCRIPTORS_MAX)
        with grpc.insecure_channel(plain.address, options=[("grpc.use_local_subchannel_pool", 1)]) as channel:
            store = event_store_pb2_grpc.EventStoreStub(channel)
            store.Head(event_store_pb2.HeadRequest(), timeout=harness.PATIENCE_SECONDS)
            for daemon in (plain, encrypted):
                self.wait_until_watched(daemon)
                self.flood(daemon)
            self.expect_deaf(plain)
            answered = 0
            deadline = time.monotonic() + DEAF_SECONDS_MAX
            while plain.process.poll() is None and time.monotonic() < deadline:
                try:
                    store.Head(event_store_pb2.HeadRequest(), timeout=harness.PATIENCE_SECONDS)
                    answered += 1
                except grpc.RpcError as error:
                    self.assertIn("draining", plain.log_text(), error)
        self.assertGreater(answered, 0)
        for daemon in (plain, encrypted):
            self.assertEqual(70, daemon.process.wait(DEAF_SECONDS_MAX), daemon.log_text())
            self.assertIn("the own port no longer answers", daemon.log_text())
        again = self.start(port=plain.port, descriptors_max=DESCRIPTORS_MAX)
        self.assertEqual(0, self.head(again.address))

    def wait_until_watched(self, daemon):
        """The watch's socket is one of the daemon's descriptors from the start; the first answer is on its way then."""
        self.assertNotIn("not watched", daemon.log_text())
        # A second answered connection of ours comes after the watch's first, which was begun before the daemon served.
        for _ in range(2):
            with socket.create_connection(("127.0.0.1", daemon.port)) as connection:
                connection.settimeout(harness.PATIENCE_SECONDS)
                connection.shutdown(socket.SHUT_WR)
                while connection.recv(4096):
                    pass

    def test_a_busy_daemon_goes_on(self):
        """Connections that come and go, and calls."""
        daemon = self.start()
        others = [self.start(data=f"{self.data}-{name}") for name in STOPS]
        for other in others:
            self.wait_until_watched(other)
        end = time.monotonic() + BUSY_SECONDS

        def stop(process, stopped_seconds, running_seconds):
            while time.monotonic() < end:
                process.send_signal(signal.SIGSTOP)
                time.sleep(stopped_seconds)
                process.send_signal(signal.SIGCONT)
                time.sleep(running_seconds)

        def connect(failures):
            try:
                while time.monotonic() < end:
                    connections = [socket.create_connection(("127.0.0.1", daemon.port)) for _ in range(200)]
                    for connection in connections:
                        connection.close()
                    self.head(daemon.address)
            except Exception as error:
                failures.append(error)

        failures = []
        threads = [threading.Thread(target=connect, args=(failures,)) for _ in range(3)]
        threads += [threading.Thread(target=stop, args=(other.process, *times)) for other, times in zip(others, STOPS.values())]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual([], failures, daemon.log_text())
        for each in (daemon, *others):
            self.assertEqual(0, self.head(each.address), each.log_text())
            self.assertNotIn("no longer answers", each.log_text())
            self.assertEqual(0, each.stop())


if __name__ == "__main__":
    harness.main()
