"""Certificates are renewed while the real daemon serves, as Kubernetes does it: by a link that leads elsewhere."""

import json
import os
import pathlib
import shutil
import signal
import socket
import ssl
import tempfile
import threading
import time

import harness
from certificates import CertifiedTest
from harness import admin_pb2, admin_pb2_grpc, event_pb2, event_store_pb2, event_store_pb2_grpc, grpc

FILES = {"ca.crt": "authority.crt", "tls.crt": "{}.crt", "tls.key": "{}.key"}
ROTATIONS = 5


class Secret:
    """A mounted secret: NAME leads to ..data/NAME, and ..data to the folder of one version."""

    def __init__(self, certificates, directory):
        self.certificates = certificates
        self.directory = pathlib.Path(directory)
        self.versions = 0
        self.directory.mkdir()
        for name in FILES:
            (self.directory / name).symlink_to(f"..data/{name}")

    def path(self, name):
        return str(self.directory / name)

    def put(self, **contents):
        """Exchanges all files at once; contents name PEM files of the certificates, or None for a file that is not there."""
        self.versions += 1
        folder = self.directory / f"..{self.versions}"
        folder.mkdir()
        for name in FILES:
            source = contents[name.replace(".", "_")]
            if source is not None:
                shutil.copy(self.certificates.path(source), folder / name)
        link = self.directory / "..data_tmp"
        link.symlink_to(folder.name)
        link.rename(self.directory / "..data")

    def put_pair(self, name, authority="authority"):
        self.put(ca_crt=f"{authority}.crt", tls_crt=f"{name}.crt", tls_key=f"{name}.key")


class Load:
    """Clients that never stop: appends on one connection, a subscription, and connections that are made anew each time."""

    def __init__(self, test, address):
        self.test = test
        self.address = address
        self.failures = []
        self.appended = self.received = self.connected = 0
        self.ending = threading.Event()
        self.threads = [threading.Thread(target=self._guarded, args=(work,))
                        for work in (self._append, self._subscribe, self._connect)]
        self.subscription = None
        for thread in self.threads:
            thread.start()

    def _guarded(self, work):
        try:
            work()
        except Exception as error:  # whatever it is, it is a call that failed
            self.failures.append(f"{work.__name__}: {error!r}")

    def _append(self):
        with self.test.channel(self.address) as channel:
            store = event_store_pb2_grpc.EventStoreStub(channel)
            while not self.ending.is_set():
                write = event_store_pb2.Write(stream="load", events=[event_pb2.Event(type="Tick", text="{}")])
                store.Append(event_store_pb2.AppendRequest(writes=[write]), timeout=harness.PATIENCE_SECONDS)
                self.appended += 1

    def _subscribe(self):
        with self.test.channel(self.address) as channel:
            store = event_store_pb2_grpc.EventStoreStub(channel)
            self.subscription = store.Subscribe(event_store_pb2.SubscribeRequest(beginning={}))
            try:
                for response in self.subscription:
                    self.received += len(response.events)
            except grpc.RpcError as error:
                if not self.ending.is_set():
                    raise AssertionError(error) from error

    def _connect(self):
        while not self.ending.is_set():
            with self.test.channel(self.address) as channel:
                event_store_pb2_grpc.EventStoreStub(channel).Head(event_store_pb2.HeadRequest(),
                                                                  timeout=harness.PATIENCE_SECONDS)
            self.connected += 1

    def end(self):
        self.ending.set()
        if self.subscription is not None:
            self.subscription.cancel()
        for thread in self.threads:
            thread.join(harness.PATIENCE_SECONDS)


class TlsReloadTest(CertifiedTest):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        both = cls.certificates.read("authority.crt") + cls.certificates.read("stranger.crt")
        (pathlib.Path(cls.directory) / "both.crt").write_bytes(both)
        (pathlib.Path(cls.directory) / "garbage.crt").write_text(
            "-----BEGIN CERTIFICATE-----\nTUlJQg==\n-----END CERTIFICATE-----\n", encoding="ascii")

    def setUp(self):
        directory = tempfile.mkdtemp(prefix="case-", dir=self.directory)
        self.secret = Secret(self.certificates, os.path.join(directory, "tls"))
        self.secret.put_pair("first")
        self.daemon = harness.Daemon(os.path.join(directory, "data"), "--tls-certificate", self.secret.path("tls.crt"),
                                     "--tls-key", self.secret.path("tls.key"), "--tls-client-authorities",
                                     self.secret.path("ca.crt"))
        self.addCleanup(os.unlink, self.daemon.log.name)
        self.addCleanup(self.daemon.stop)

    def channel(self, address, own="client", trust="both"):
        read = self.certificates.read
        credentials = grpc.ssl_channel_credentials(root_certificates=read(f"{trust}.crt"),
                                                   private_key=read(f"{own}.key"), certificate_chain=read(f"{own}.crt"))
        # Channels of one address share a connection otherwise.
        return grpc.secure_channel(address, credentials, options=[("grpc.use_local_subchannel_pool", 1)])

    def shown(self):
        """The certificate that a new connection is shown, by the name of its file."""
        context = ssl.create_default_context(cafile=self.certificates.path("both.crt"))
        context.load_cert_chain(self.certificates.path("client.crt"), self.certificates.path("client.key"))
        with socket.create_connection(("127.0.0.1", self.daemon.port), harness.PATIENCE_SECONDS) as plain:
            with context.wrap_socket(plain, server_hostname="127.0.0.1") as encrypted:
                shown = encrypted.getpeercert(binary_form=True)
        names = [name for name in ("first", "second", "intruder")
                 if ssl.PEM_cert_to_DER_cert(self.certificates.read(f"{name}.crt").decode()) == shown]
        self.assertEqual(1, len(names))
        return names[0]

    def stats(self):
        with self.channel(self.daemon.address) as channel:
            return admin_pb2_grpc.AdminStub(channel).GetStats(admin_pb2.GetStatsRequest(),
                                                              timeout=harness.PATIENCE_SECONDS)

    def problems(self):
        return [line for line in self.daemon.log_text().splitlines() if "error the certificates were not read" in line]

    def wait_for_failures(self, count):
        harness.wait_until(lambda: self.stats().tls_reload_failures_count >= count, f"{count} failures")
        self.assertEqual(count, self.stats().tls_reload_failures_count)

    def test_renewals_under_load_fail_no_call(self):
        load = Load(self, self.daemon.address)
        self.addCleanup(load.end)
        slowest_seconds = 0
        for number in range(ROTATIONS):
            name = ("second", "first")[number % 2]
            appended, connected = load.appended, load.connected
            begun = time.monotonic()
            self.secret.put_pair(name)
            harness.wait_until(lambda wanted=name: self.shown() == wanted, f"the certificate {name}")
            slowest_seconds = max(slowest_seconds, time.monotonic() - begun)
            harness.wait_until(lambda: load.failures or (load.appended > appended and load.connected > connected),
                               "clients that go on")
        load.end()
        print(f"{ROTATIONS} renewals, the slowest seen after {slowest_seconds:.2f} s; {load.appended} appends, "
              f"{load.received} received, {load.connected} connections, failures {load.failures}")
        self.assertEqual([], load.failures)
        self.assertGreater(load.received, 0)
        stats = self.stats()
        self.assertEqual(ROTATIONS, stats.tls_reloads_count)
        self.assertEqual(0, stats.tls_reload_failures_count)
        self.assertIn("new connections get the certificate that was read anew expires_at=", self.daemon.log_text())

    def test_what_is_wrong_is_refused_and_told(self):
        wrong = [("do not belong together", {"ca_crt": "authority.crt", "tls_crt": "second.crt", "tls_key": "first.key"}),
                 ("cannot be read", {"ca_crt": "authority.crt", "tls_crt": "garbage.crt", "tls_key": "first.key"}),
                 ("No such file", {"ca_crt": "authority.crt", "tls_crt": "second.crt", "tls_key": None}),
                 ("ca.crt holds an authority", {"ca_crt": "garbage.crt", "tls_crt": "second.crt",
                                                "tls_key": "second.key"})]
        for count, (words, contents) in enumerate(wrong, 1):
            self.secret.put(**contents)
            self.wait_for_failures(count)
            harness.wait_until(lambda wanted=words: any(wanted in line for line in self.problems()), words)
            self.assertEqual(count, len(self.problems()))
            self.assertEqual("first", self.shown())
        self.secret.put_pair("second")
        harness.wait_until(lambda: self.shown() == "second", "the certificate that is right")
        self.assertEqual(1, self.stats().tls_reloads_count)
        self.assertEqual(len(wrong), self.stats().tls_reload_failures_count)

    def test_clients_need_the_new_authority_and_the_command_sees_when_it_ends(self):
        with self.channel(self.daemon.address) as before, self.channel(self.daemon.address, own="intruder") as refused:
            head = event_store_pb2_grpc.EventStoreStub(before).Head
            head(event_store_pb2.HeadRequest(), timeout=harness.PATIENCE_SECONDS)
            with self.assertRaises(grpc.RpcError):
                event_store_pb2_grpc.EventStoreStub(refused).Head(event_store_pb2.HeadRequest(),
                                                                  timeout=harness.PATIENCE_SECONDS)
            self.secret.put_pair("second", authority="stranger")
            flags = ("--server", self.daemon.address, "--tls-authorities", self.certificates.path("authority.crt"))
            stranger = (*flags, "--tls-certificate", self.certificates.path("intruder.crt"), "--tls-key",
                        self.certificates.path("intruder.key"))
            harness.wait_until(lambda: harness.run([harness.DAYBOOK, "head", *stranger]).returncode == 0,
                               "a client of the new authority")
            known = (*flags, "--tls-certificate", self.certificates.path("client.crt"), "--tls-key",
                     self.certificates.path("client.key"))
            self.assertEqual(69, harness.run([harness.DAYBOOK, "head", *known]).returncode)
            head(event_store_pb2.HeadRequest(), timeout=harness.PATIENCE_SECONDS)
            stats = json.loads(harness.run([harness.DAYBOOK, "stats", "--json", *stranger]).stdout)
            self.assertEqual(1, stats["tls_reloads_count"])
            self.assertRegex(stats["tls_certificate_expires_at"], r"^20\d\d-")
            self.assertIn("certificate ends", harness.run([harness.DAYBOOK, "stats", *stranger]).stdout)

    def test_sighup_reads_at_once(self):
        self.daemon.process.send_signal(signal.SIGHUP)
        harness.wait_until(lambda: self.stats().tls_reloads_count == 1, "the reload")
        self.secret.put(ca_crt="authority.crt", tls_crt="second.crt", tls_key=None)
        self.daemon.process.send_signal(signal.SIGHUP)
        harness.wait_until(lambda: self.stats().tls_reload_failures_count >= 1, "the refusal")
        self.assertEqual("first", self.shown())
        self.assertEqual(0, self.daemon.stop())

    def test_sighup_does_no_harm_without_tls(self):
        daemon = harness.Daemon(tempfile.mkdtemp(prefix="data-", dir=self.directory))
        self.addCleanup(os.unlink, daemon.log.name)
        self.addCleanup(daemon.stop)
        daemon.process.send_signal(signal.SIGHUP)
        harness.wait_until(lambda: "there are none" in daemon.log_text(), "its answer")
        self.assertEqual("0\n", harness.run([harness.DAYBOOK, "head", "--server", daemon.address]).stdout)
        self.assertNotIn("certificate ends", harness.run([harness.DAYBOOK, "stats", "--server", daemon.address]).stdout)


if __name__ == "__main__":
    harness.main()
