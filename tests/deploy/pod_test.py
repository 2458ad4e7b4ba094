"""The daemon under the pod's own settings: the probes' names are served, and SIGTERM ends it within the grace period."""

import contextlib
import json
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import unittest

import grpc

import manifests

sys.path.insert(0, str(manifests.ROOT / "tests" / "integration"))
from certificates import Certificates  # noqa: E402

# grpc.health.v1.HealthCheckResponse.ServingStatus
SERVING, NOT_SERVING = 1, 2


def _request(service):
    """A HealthCheckRequest: field 1, the service's name."""
    name = service.encode()
    return b"\x0a" + bytes([len(name)]) + name if name else b""


def _status(response):
    """The status of a HealthCheckResponse: field 1, an enumeration; all its values take one byte."""
    return response[1] if response[:1] == b"\x08" else 0


class Pod(unittest.TestCase):
    """A daemon with the settings of a variant's pod."""

    VARIANT = None

    @classmethod
    def setUpClass(cls):
        cls.objects = manifests.render(cls.VARIANT)
        cls.pod = manifests.find(cls.objects, "StatefulSet")["spec"]["template"]["spec"]

    def setUp(self):
        self.directory = pathlib.Path(tempfile.mkdtemp(prefix="daybook-pod-"))
        self.addCleanup(shutil.rmtree, self.directory, ignore_errors=True)
        # The pod's variables and nothing else; a test keeps to its own directory and to loopback.
        settings = manifests.environment(self.objects)
        settings = {name: self.placed(value) for name, value in settings.items()}
        settings |= {"DAYBOOK_DATA": str(self.directory / "data"), "DAYBOOK_LISTEN": "127.0.0.1:0"}
        self.fill()
        # As a volume of ext4 is when a pod gets it.
        (self.directory / "data" / "lost+found").mkdir(parents=True)
        self.log = open(self.directory / "log", "w+", encoding="utf-8")  # closed by the cleanup below
        self.addCleanup(self.log.close)
        self.daemon = subprocess.Popen([manifests.DAYBOOKD], env=settings, cwd="/", stdin=subprocess.DEVNULL,
                                       stderr=self.log)
        self.addCleanup(self._end)
        self.port = self._port()

    def fill(self):
        """What the pod's other volumes hold."""

    def placed(self, text):
        """Where the pod has its secret, the test has a folder of its own."""
        return text.replace("/tls/", f"{self.directory}/tls/")

    def _end(self):
        if self.daemon.poll() is None:
            self.daemon.kill()
        self.daemon.wait(manifests.PATIENCE_SECONDS)

    def _lines(self):
        """The log's whole lines; the image logs JSON, so each of them must be an object."""
        text = (self.directory / "log").read_text(encoding="utf-8")
        return [json.loads(line) for line in text.splitlines(keepends=True) if line.endswith("\n")]

    def _port(self):
        deadline = time.monotonic() + manifests.PATIENCE_SECONDS
        while time.monotonic() < deadline:
            found = [line["port"] for line in self._lines() if line["message"] == "serving"]
            if found:
                return found[0]
            self.assertIsNone(self.daemon.poll(), self._lines())
            time.sleep(0.01)
        raise AssertionError("the daemon does not serve")

    @contextlib.contextmanager
    def _stopping(self):
        """From SIGTERM to the end: within the time that the pod is given, and nothing but its directory was written to."""
        begun = time.monotonic()
        self.daemon.send_signal(signal.SIGTERM)
        yield
        self.assertEqual(0, self.daemon.wait(self.pod["terminationGracePeriodSeconds"]), self._lines())
        self.assertLess(time.monotonic() - begun, self.pod["terminationGracePeriodSeconds"])
        self.assertEqual({"data", "log"}, set(os.listdir(self.directory)) - {"tls"})


class PlainPodTest(Pod):
    VARIANT = "base"

    def setUp(self):
        super().setUp()
        channel = grpc.insecure_channel(f"127.0.0.1:{self.port}")
        self.addCleanup(channel.close)
        self.check = channel.unary_unary("/grpc.health.v1.Health/Check")
        self.watch = channel.unary_stream("/grpc.health.v1.Health/Watch")

    def _probes(self):
        return {name: _request(probe["grpc"]["service"])
                for name, probe in manifests.container(self.objects).items() if name.endswith("Probe")}

    def test_every_probe_is_answered(self):
        self.assertEqual({"startupProbe", "livenessProbe", "readinessProbe"}, set(self._probes()))
        for name, request in self._probes().items():
            with self.subTest(probe=name):
                self.assertEqual(SERVING, _status(self.check(request, timeout=manifests.PATIENCE_SECONDS)))
        with self.assertRaises(grpc.RpcError) as caught:
            self.check(_request("elsewhere"), timeout=manifests.PATIENCE_SECONDS)
        self.assertEqual(grpc.StatusCode.NOT_FOUND, caught.exception.code())

    def test_stopping_first_takes_it_out_of_service(self):
        watching = self.watch(self._probes()["readinessProbe"], timeout=manifests.PATIENCE_SECONDS)
        self.assertEqual(SERVING, _status(next(watching)))
        with self._stopping():
            self.assertEqual(NOT_SERVING, _status(next(watching)))
            watching.cancel()


class EncryptedPodTest(Pod):
    """The probes are commands here: each is run as the pod would, with the secret where the test has it."""

    VARIANT = "overlays/mutual-tls"

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.secrets = tempfile.mkdtemp(prefix="daybook-secrets-")
        cls.addClassCleanup(shutil.rmtree, cls.secrets, ignore_errors=True)
        cls.certificates = Certificates(cls.secrets)
        cls.certificates.authority("authority")
        wanted = manifests.find(cls.objects, "Certificate", "daybook-tls")["spec"]["dnsNames"]
        for name in ("first", "second"):
            cls.certificates.issue("authority", name, ",".join(f"DNS:{name}" for name in wanted))
        cls.certificates.issue("authority", "client", "DNS:daybook-client")

    def setUp(self):
        self.versions = 0
        super().setUp()

    def fill(self):
        (self.directory / "tls").mkdir()
        for name in ("ca.crt", "tls.crt", "tls.key"):
            (self.directory / "tls" / name).symlink_to(f"..data/{name}")
        self.renew("first")

    def renew(self, name):
        """As the kubelet does it: one rename exchanges every file of the secret."""
        self.versions += 1
        folder = self.directory / "tls" / f"..{self.versions}"
        folder.mkdir()
        for source, target in (("authority.crt", "ca.crt"), (f"{name}.crt", "tls.crt"), (f"{name}.key", "tls.key")):
            shutil.copy(self.certificates.path(source), folder / target)
        (self.directory / "tls" / "..next").symlink_to(folder.name)
        (self.directory / "tls" / "..next").rename(self.directory / "tls" / "..data")

    def _probe(self, name):
        command = manifests.container(self.objects)[name]["exec"]["command"]
        self.assertEqual("/usr/bin/daybook", command[0])
        words = [self.placed(word).replace(":50051", f":{self.port}") for word in command[1:]]
        return subprocess.run([manifests.DAYBOOK, *words], stdin=subprocess.DEVNULL, capture_output=True, text=True,
                              check=False, timeout=manifests.PATIENCE_SECONDS)

    def assert_every_probe_is_answered(self):
        for name in ("startupProbe", "livenessProbe", "readinessProbe"):
            answer = self._probe(name)
            self.assertEqual((0, "SERVING\n"), (answer.returncode, answer.stdout), answer.stderr)

    def test_probes_are_answered_before_and_after_a_renewal(self):
        self.assert_every_probe_is_answered()
        self.renew("second")
        deadline = time.monotonic() + manifests.PATIENCE_SECONDS
        while not any("read anew" in line["message"] for line in self._lines()):
            self.assertLess(time.monotonic(), deadline, self._lines())
            time.sleep(0.01)
        self.assert_every_probe_is_answered()

    def test_clients_need_a_certificate(self):
        arguments = ["head", f"--server=127.0.0.1:{self.port}", "--tls-server-name=daybook",
                     f"--tls-authorities={self.certificates.path('authority.crt')}"]
        own = [f"--tls-certificate={self.certificates.path('client.crt')}",
               f"--tls-key={self.certificates.path('client.key')}"]
        self.assertEqual("0\n", manifests.output(manifests.DAYBOOK, *arguments, *own))
        with self.assertRaises(AssertionError):
            manifests.output(manifests.DAYBOOK, *arguments)

    def test_stopping_ends_in_time_and_then_the_probes_fail(self):
        with self._stopping():
            pass
        for name in ("livenessProbe", "readinessProbe"):
            self.assertEqual(69, self._probe(name).returncode)


if __name__ == "__main__":
    unittest.main(verbosity=2)
