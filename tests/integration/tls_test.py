"""TLS and mutual TLS of the real daemon: Python, grpcurl and the command, with certificates that are made here."""

import json
import os
import pathlib
import subprocess
import tempfile

import harness
from certificates import CertifiedTest
from harness import event_store_pb2, event_store_pb2_grpc, grpc


class TlsTest(CertifiedTest):
    ISSUED = (("authority", "server", "IP:127.0.0.1"), ("authority", "client", "DNS:client.example"),
              ("stranger", "intruder", "DNS:client.example"))

    def start(self, *flags):
        data = tempfile.mkdtemp(prefix="data-", dir=self.directory)
        path = self.certificates.path
        daemon = harness.Daemon(data, "--tls-certificate", path("server.crt"), "--tls-key", path("server.key"), *flags)
        self.addCleanup(os.unlink, daemon.log.name)
        self.addCleanup(daemon.stop)
        return daemon

    def start_mutual(self):
        return self.start("--tls-client-authorities", self.certificates.path("authority.crt"))

    def daybook(self, daemon, *arguments, code=0):
        result = harness.run([harness.DAYBOOK, *arguments, "--server", daemon.address])
        self.assertEqual(code, result.returncode, result.stdout + result.stderr)
        return result.stdout if code == 0 else result.stderr

    def grpcurl(self, daemon, *arguments):
        return harness.run([harness.GRPCURL, *arguments, daemon.address, "daybook.v1.EventStore/Head"])

    def grpcurl_is_refused(self, daemon, *arguments):
        self.assertNotEqual(0, self.grpcurl(daemon, "-connect-timeout", "2", *arguments).returncode)

    def python_head(self, daemon, **credentials):
        with grpc.secure_channel(daemon.address, grpc.ssl_channel_credentials(**credentials)) as channel:
            store = event_store_pb2_grpc.EventStoreStub(channel)
            return store.Head(event_store_pb2.HeadRequest(), timeout=harness.PATIENCE_SECONDS).head

    def trust(self):
        return ("--tls-authorities", self.certificates.path("authority.crt"))

    def show(self, name):
        return ("--tls-certificate", self.certificates.path(f"{name}.crt"), "--tls-key",
                self.certificates.path(f"{name}.key"))

    def test_a_server_with_a_certificate(self):
        daemon = self.start()
        self.assertIn("tls=server", daemon.log_text())
        self.daybook(daemon, "append", "order-1", "OrderPlaced", '{"total":42}', *self.trust())
        self.assertEqual("1\n", self.daybook(daemon, "head", *self.trust()))
        shown = self.grpcurl(daemon, "-cacert", self.certificates.path("authority.crt"))
        self.assertEqual("1", json.loads(shown.stdout)["head"], shown.stderr)
        self.assertEqual(1, self.python_head(daemon, root_certificates=self.certificates.read("authority.crt")))

    def test_who_does_not_speak_tls_or_does_not_trust_gets_nowhere(self):
        daemon = self.start()
        self.assertIn("cannot reach", self.daybook(daemon, "head", code=69))
        self.assertIn("cannot reach", self.daybook(daemon, "head", "--tls", code=69))
        stranger = self.certificates.path("stranger.crt")
        self.assertIn("cannot reach", self.daybook(daemon, "head", "--tls-authorities", stranger, code=69))
        self.grpcurl_is_refused(daemon, "-plaintext")
        self.grpcurl_is_refused(daemon, "-cacert", stranger)
        self.assertEqual("0\n", self.daybook(daemon, "head", *self.trust()))

    def test_mutual_tls(self):
        daemon = self.start_mutual()
        self.assertIn("tls=mutual", daemon.log_text())
        self.assertEqual("0\n", self.daybook(daemon, "head", *self.trust(), *self.show("client")))
        self.assertIn("cannot reach", self.daybook(daemon, "head", *self.trust(), code=69))
        self.assertIn("cannot reach", self.daybook(daemon, "head", *self.trust(), *self.show("intruder"), code=69))
        path = self.certificates.path
        with_certificate = self.grpcurl(daemon, "-cacert", path("authority.crt"), "-cert", path("client.crt"), "-key",
                                        path("client.key"))
        self.assertEqual(0, with_certificate.returncode, with_certificate.stderr)
        self.grpcurl_is_refused(daemon, "-cacert", path("authority.crt"))
        read = self.certificates.read
        self.assertEqual(0, self.python_head(daemon, root_certificates=read("authority.crt"),
                                             private_key=read("client.key"), certificate_chain=read("client.crt")))
        with self.assertRaises(grpc.RpcError) as refused:
            self.python_head(daemon, root_certificates=read("authority.crt"))
        self.assertEqual(grpc.StatusCode.UNAVAILABLE, refused.exception.code())

    def test_a_subscription_goes_over_tls(self):
        daemon = self.start_mutual()
        arguments = (*self.trust(), *self.show("client"))
        with subprocess.Popen([str(part) for part in (harness.DAYBOOK, "tail", "--beginning", "--json", "--server",
                                                      daemon.address, *arguments)],
                              stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True) as process:
            self.addCleanup(lambda: process.poll() is None and process.kill())
            for number in range(1, 4):
                self.daybook(daemon, "append", "order-1", "OrderPlaced", *arguments)
                self.assertEqual(number, json.loads(process.stdout.readline())["position"])
            process.kill()

    def test_a_probe_shows_the_daemons_own_certificate(self):
        daemon = self.start_mutual()
        with_own = (*self.trust(), *self.show("server"))
        for service in ("", "liveness", "readiness", "daybook.v1.EventStore"):
            self.assertEqual("SERVING\n", self.daybook(daemon, "status", "--service", service, *with_own))
        self.assertIn("NOT_FOUND", self.daybook(daemon, "status", "--service", "elsewhere", *with_own, code=1))
        self.daybook(daemon, "status", "--service", "liveness", *self.trust(), code=69)
        self.daybook(daemon, "status", "--service", "liveness", code=69)

    def test_a_certificate_may_be_for_another_name(self):
        self.certificates.issue("authority", "named", "DNS:daybook.example")
        daemon = self.start("--tls-certificate", self.certificates.path("named.crt"), "--tls-key",
                            self.certificates.path("named.key"))
        self.daybook(daemon, "head", *self.trust(), code=69)
        self.assertEqual("0\n", self.daybook(daemon, "head", *self.trust(), "--tls-server-name", "daybook.example"))

    def test_a_token_is_sent_over_tls_alone(self):
        daemon = self.start()
        token = pathlib.Path(self.directory) / "token"
        token.write_text("abc.def\n")
        self.assertEqual("0\n", self.daybook(daemon, "head", *self.trust(), "--token-file", token))
        self.assertIn("--tls", self.daybook(daemon, "head", "--token-file", token, code=64))
        token.write_text("two words\n")
        self.assertIn("token", self.daybook(daemon, "head", *self.trust(), "--token-file", token, code=64))

    def test_the_commands_own_mistakes(self):
        daemon = self.start()
        missing = self.daybook(daemon, "head", "--tls-authorities", self.certificates.path("nothing.crt"), code=64)
        self.assertIn("nothing.crt", missing)
        certificate = self.certificates.path("client.crt")
        self.assertIn("key", self.daybook(daemon, "head", *self.trust(), "--tls-certificate", certificate, code=64))

    def refuse(self, words, *flags, env=None):
        data = os.path.join(self.directory, "never")
        result = harness.run([harness.DAYBOOKD, "--data", data, "--listen", "127.0.0.1:0", *flags],
                             env={**os.environ, **(env or {})})
        self.assertEqual(64, result.returncode, result.stderr)
        message = [line for line in result.stderr.splitlines() if line.startswith("daybookd: ")]
        self.assertEqual(1, len(message), result.stderr)
        for word in words:
            self.assertIn(word, message[0])

    def test_the_daemons_own_mistakes(self):
        path = self.certificates.path
        self.refuse(["--tls-certificate", "without --tls-key"], "--tls-certificate", path("server.crt"))
        self.refuse(["--tls-key", "without --tls-certificate"], env={"DAYBOOK_TLS_KEY": path("server.key")})
        self.refuse(["--tls-client-authorities"], "--tls-client-authorities", path("authority.crt"))
        self.refuse(["nothing.crt"], "--tls-certificate", path("nothing.crt"), "--tls-key", path("server.key"))
        self.refuse(["server.key"], "--tls-certificate", path("server.key"), "--tls-key", path("server.key"))
        self.refuse(["do not belong together"], "--tls-certificate", path("server.crt"), "--tls-key",
                    path("client.key"))


if __name__ == "__main__":
    harness.main()
