"""The clients and servers of gRPC's interoperability suite that are on this machine: ours, and those of other languages."""

import os
import pathlib
import re
import signal
import subprocess
import sys
import tempfile
import time

if "TEST_SRCDIR" in os.environ:
    BINARIES = pathlib.Path(os.environ["TEST_SRCDIR"]) / "daybook" / "tests" / "interop"
else:
    BINARIES = pathlib.Path(__file__).resolve().parent.parent.parent / "bazel-bin" / "tests" / "interop"
TOOLS = pathlib.Path(os.environ["DAYBOOK_TOOLS"]) / "bin"
HERE = pathlib.Path(__file__).parent
# Long enough for a machine that does many other things; a program that takes so long has failed.
PATIENCE_SECONDS = 60
# The server's certificate is for this name alone.
SERVER_NAME = "interop.test"

CLIENTS = {
    "daybook": [BINARIES / "interop_client"],
    "go": [TOOLS / "grpc-go-interop-client"],
    "python": [sys.executable, HERE / "python_client.py"],
}
SERVERS = {
    "daybook": [BINARIES / "interop_server"],
    "go": [TOOLS / "grpc-go-interop-server"],
    "python": [sys.executable, HERE / "python_server.py"],
}
# How a server tells its port.
PORT = re.compile(r"(?:serving port=|listening on \[::\]:)(\d+)")
# grpc-go is told by its environment to log.
ENVIRONMENT = dict(os.environ, GRPC_GO_LOG_SEVERITY_LEVEL="info")


class Certificates:
    """An authority with a server's certificate, and an authority that nobody was certified by."""

    def __init__(self, directory):
        self.directory = pathlib.Path(directory)
        self._openssl("req", "-x509", *self._key("ca"), "-out", "ca.pem", "-subj", "/CN=authority", "-days", "2")
        self._openssl("req", "-x509", *self._key("other"), "-out", "other.pem", "-subj", "/CN=other", "-days", "2")
        self._openssl("req", *self._key("server"), "-out", "server.csr", "-subj", "/CN=server")
        (self.directory / "extensions").write_text(f"subjectAltName=DNS:{SERVER_NAME}\n", encoding="utf-8")
        self._openssl("x509", "-req", "-in", "server.csr", "-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial",
                      "-extfile", "extensions", "-out", "server.pem", "-days", "2")

    @staticmethod
    def _key(name):
        return ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-keyout", f"{name}.key"]

    def _openssl(self, *arguments):
        subprocess.run(["openssl", *arguments], cwd=self.directory, check=True, capture_output=True)

    def server_flags(self):
        return ["--use_tls=true", f"--tls_cert_file={self.directory / 'server.pem'}",
                f"--tls_key_file={self.directory / 'server.key'}"]

    def client_flags(self, authority="ca", server_name=SERVER_NAME):
        return ["--use_tls=true", f"--ca_file={self.directory / (authority + '.pem')}",
                f"--server_host_override={server_name}"]


class Server:
    """A server process on a free port of its own choice."""

    def __init__(self, peer, flags):
        self.log = tempfile.TemporaryFile(mode="w+", prefix="interop-server-")
        self.process = subprocess.Popen([*SERVERS[peer], "--port=0", *flags], stdin=subprocess.DEVNULL,
                                        stdout=self.log, stderr=self.log, env=ENVIRONMENT)
        self.peer = peer
        self.port = self._wait_for_port()

    def text(self):
        self.log.seek(0)
        return self.log.read()

    def _wait_for_port(self):
        deadline = time.monotonic() + PATIENCE_SECONDS
        while time.monotonic() < deadline and self.process.poll() is None:
            found = PORT.search(self.text())
            if found:
                return found.group(1)
            time.sleep(0.01)
        self.process.kill()
        self.process.wait()
        raise AssertionError(f"the server of {self.peer} does not serve: {self.text()}")

    def stop(self):
        """Ends the process and returns what was wrong with it: a server that ended before, or badly."""
        if self.process.poll() is not None:
            return f"it ended with {self.process.returncode}: {self.text()}"
        self.process.send_signal(signal.SIGTERM)
        try:
            code = self.process.wait(PATIENCE_SECONDS)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            return f"it does not stop: {self.text()}"
        # grpc-go's has no handler of the signal.
        if code not in (0, -signal.SIGTERM):
            return f"it ended with {code}: {self.text()}"
        return None


def run_case(peer, port, name, flags):
    """Runs a case of a client; returns its exit code, and what it said."""
    command = [*CLIENTS[peer], "--server_host=127.0.0.1", f"--server_port={port}", f"--test_case={name}", *flags]
    if peer == "go" and "--use_tls=true" in flags:
        command.append("--use_test_ca=true")  # without it, it does not look at --ca_file
    try:
        # Longer than every wait inside of a client, so that it is the client who tells what it waits for.
        result = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False,
                                env=ENVIRONMENT, timeout=2 * PATIENCE_SECONDS)
    except subprocess.TimeoutExpired as expired:
        return None, f"does not end: {expired.stderr}"
    return result.returncode, result.stdout + result.stderr
