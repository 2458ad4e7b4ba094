"""The daemon under the pod's own settings: the probes' names are served, and SIGTERM ends it within the grace period."""

import json
import os
import pathlib
import shutil
import signal
import subprocess
import tempfile
import time
import unittest

import grpc

import manifests

# grpc.health.v1.HealthCheckResponse.ServingStatus
SERVING, NOT_SERVING = 1, 2


def _request(service):
    """A HealthCheckRequest: field 1, the service's name."""
    name = service.encode()
    return b"\x0a" + bytes([len(name)]) + name if name else b""


def _status(response):
    """The status of a HealthCheckResponse: field 1, an enumeration; all its values take one byte."""
    return response[1] if response[:1] == b"\x08" else 0


class PodTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.objects = manifests.render("base")
        cls.pod = manifests.find(cls.objects, "StatefulSet")["spec"]["template"]["spec"]

    def setUp(self):
        self.directory = pathlib.Path(tempfile.mkdtemp(prefix="daybook-pod-"))
        self.addCleanup(shutil.rmtree, self.directory, ignore_errors=True)
        # The pod's variables and nothing else; a test keeps to its own directory and to loopback.
        settings = manifests.environment(self.objects)
        settings |= {"DAYBOOK_DATA": str(self.directory / "data"), "DAYBOOK_LISTEN": "127.0.0.1:0"}
        # As a volume of ext4 is when a pod gets it.
        (self.directory / "data" / "lost+found").mkdir(parents=True)
        self.log = open(self.directory / "log", "w+", encoding="utf-8")  # closed by the cleanup below
        self.addCleanup(self.log.close)
        self.daemon = subprocess.Popen([manifests.DAYBOOKD], env=settings, cwd="/", stdin=subprocess.DEVNULL,
                                       stderr=self.log)
        self.addCleanup(self._end)
        channel = grpc.insecure_channel(f"127.0.0.1:{self._port()}")
        self.addCleanup(channel.close)
        self.check = channel.unary_unary("/grpc.health.v1.Health/Check")
        self.watch = channel.unary_stream("/grpc.health.v1.Health/Watch")

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
        begun = time.monotonic()
        self.daemon.send_signal(signal.SIGTERM)
        self.assertEqual(NOT_SERVING, _status(next(watching)))
        watching.cancel()
        self.assertEqual(0, self.daemon.wait(self.pod["terminationGracePeriodSeconds"]), self._lines())
        self.assertLess(time.monotonic() - begun, self.pod["terminationGracePeriodSeconds"])
        # Nothing but its own directory was written to.
        self.assertEqual({"data", "log"}, set(os.listdir(self.directory)))


if __name__ == "__main__":
    unittest.main(verbosity=2)
