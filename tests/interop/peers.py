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
# The server's certificate is for this name alone, the client's for the other.
SERVER_NAME = "interop.test"
CLIENT_NAME = "client.interop.test"

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
    """An authority, the certificates that a server and a client have from it, and a certificate of another authority."""

    def __init__(self, directory):
        self.directory = pathlib.Path(directory)
        self._openssl("req", "-x509", *self._key("ca"), "-out", "ca.pem", "-subj", "/CN=authority", "-days", "2")
        self._openssl("req", "-x509", *self._key("other"), "-out", "other.pem", "-subj", "/CN=other", "-days", "2")
        self._certify("server", SERVER_NAME)
        self._certify("client", CLIENT_NAME)

    def _certify(self, owner, name):
        self._openssl("req", *self._key(owner), "-out", f"{owner}.csr", "-subj", f"/CN={owner}")
        (self.directory / "extensions").write_text(f"subjectAltName=DNS:{name}\n", encoding="utf-8")
        self._openssl("x509", "-req", "-in", f"{owner}.csr", "-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial",
                      "-extfile", "extensions", "-out", f"{owner}.pem", "-days", "2")

    @staticmethod
    def _key(name):
        return ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-keyout", f"{name}.key"]

    def _openssl(self, *arguments):
        subprocess.run(["openssl", *arguments], cwd=self.directory, check=True, capture_output=True)

    def _pair(self, owner):
        return [f"--tls_cert_file={self.directory / owner}.pem", f"--tls_key_file={self.directory / owner}.key"]

    def server_flags(self, is_mutual=False):
        authority = [f"--tls_client_ca_file={self.directory / 'ca.pem'}"] if is_mutual else []
        return ["--use_tls=true", *self._pair("server"), *authority]

    def client_flags(self, authority="ca", server_name=SERVER_NAME, certificate=None):
        return ["--use_tls=true", f"--ca_file={self.directory / authority}.pem",
                f"--server_host_override={server_name}", *(self._pair(certificate) if certificate else [])]


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
