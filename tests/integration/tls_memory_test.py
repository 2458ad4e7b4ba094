"""Connections with TLS that come and go, well or not, and certificates that are taken anew, leave no memory behind."""

import os
import pathlib
import re
import shutil
import signal
import socket
import ssl
import tempfile

import harness
from certificates import CertifiedTest
from harness import admin_pb2, admin_pb2_grpc, grpc

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\4\0\0\0\0\0"
# Two rounds warm the allocator up. What the others may add is less than half a kilobyte for each of their connections and three for
# each renewal; one object of OpenSSL's that is left behind is more (a session takes one, a certificate three, a connection ten, a
# context a hundred).
ROUNDS_COUNT, WARM_ROUNDS_COUNT = 5, 2
ROUND_CONNECTIONS, ROUND_RENEWALS = 400, 60
# A sanitizer sees one at the end, and has whole stacks of every allocation.
SANITIZED_SHARE = 10
GROWTH_BYTES_MAX = 512 << 10


class TlsMemoryTest(CertifiedTest):
    @classmethod
    def setUpClass(cls):
        harness.suppress_by_name()
        super().setUpClass()

    def setUp(self):
        for kind in ("crt", "key"):
            shutil.copy(self.certificates.path(f"first.{kind}"), self.certificates.path(f"tls.{kind}"))
        path = self.certificates.path
        self.daemon = harness.Daemon(tempfile.mkdtemp(prefix="data-", dir=self.directory), "--tls-certificate", path("tls.crt"),
                                     "--tls-key", path("tls.key"), "--tls-client-authorities", path("authority.crt"))
        self.addCleanup(os.unlink, self.daemon.log.name)
        self.addCleanup(self.daemon.stop)
        read = self.certificates.read
        self.channel = grpc.secure_channel(self.daemon.address, grpc.ssl_channel_credentials(
            root_certificates=read("authority.crt"), private_key=read("client.key"), certificate_chain=read("client.crt")))
        self.addCleanup(self.channel.close)
        self.admin = admin_pb2_grpc.AdminStub(self.channel)
        self.stats()
        self.contexts = {name: self.context(name) for name in ("client", "intruder")}
        self.contexts["older"] = self.context("client")
        self.contexts["older"].maximum_version = ssl.TLSVersion.TLSv1_2
        self.contexts["nobody"] = self.context(None)

    def context(self, name):
        context = ssl.create_default_context(cafile=self.certificates.path("authority.crt"))
        if name is not None:
            context.load_cert_chain(self.certificates.path(f"{name}.crt"), self.certificates.path(f"{name}.key"))
        return context

    def stats(self):
        return self.admin.GetStats(admin_pb2.GetStatsRequest(), timeout=harness.PATIENCE_SECONDS)

    def anonymous_bytes(self):
        status = pathlib.Path(f"/proc/{self.daemon.process.pid}/status").read_text(encoding="utf-8")
        return int(re.search(r"RssAnon:\s+(\d+) kB", status).group(1)) * 1024

    def descriptors_count(self):
        return len(os.listdir(f"/proc/{self.daemon.process.pid}/fd"))

    def connect(self, name):
        """A connection that ends once the server has spoken HTTP/2, or has hung up."""
        with socket.create_connection(("127.0.0.1", self.daemon.port), harness.PATIENCE_SECONDS) as plain:
            if name is None:
                plain.sendall(b"GET / HTTP/1.1\r\n\r\n")
                plain.recv(1)
                return False
            context = self.contexts[name]
            context.set_alpn_protocols(["h2"])
            with context.wrap_socket(plain, server_hostname="127.0.0.1") as encrypted:
                encrypted.sendall(PREFACE)
                return encrypted.recv(1) != b""

    def connects(self, name):
        try:
            return self.connect(name)
        except (ssl.SSLError, ConnectionError):
            return False

    def share(self, count):
        return count // SANITIZED_SHARE if harness.IS_SANITIZED else count

    def expect_flat(self, work):
        """Does the work in rounds; after a few, memory and descriptors are what they were."""
        if harness.IS_SANITIZED:
            work()
            return
        descriptors = self.descriptors_count()
        sizes = []
        for _ in range(ROUNDS_COUNT):
            work()
            harness.wait_until(lambda: self.descriptors_count() <= descriptors, "the ends of all connections")
            sizes.append(self.anonymous_bytes())
        print(f"anonymous memory after each round: {[size >> 10 for size in sizes]} KiB")
        # What is free goes back once there is nothing to do for a second.
        limit = sizes[WARM_ROUNDS_COUNT - 1] + GROWTH_BYTES_MAX
        harness.wait_until(lambda: self.anonymous_bytes() <= limit, f"memory below {limit >> 10} KiB that comes back")

    def test_connections(self):
        def connect_all():
            for _ in range(self.share(ROUND_CONNECTIONS // 5)):
                self.assertTrue(self.connect("client"))
                self.assertTrue(self.connect("older"))
                for refused in ("intruder", "nobody", None):
                    self.assertFalse(self.connects(refused))

        self.expect_flat(connect_all)

    def test_renewals(self):
        def renew_all():
            for _ in range(self.share(ROUND_RENEWALS)):
                count = self.stats().tls_reloads_count
                self.daemon.process.send_signal(signal.SIGHUP)
                harness.wait_until(lambda before=count: self.stats().tls_reloads_count > before, "the renewal")
                # It is asked for by the next connection.
                self.assertTrue(self.connect("client"))

        self.expect_flat(renew_all)


if __name__ == "__main__":
    harness.main()
