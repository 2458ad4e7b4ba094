"""gRPC's interoperability suite: our client and server against those of other languages and against each other, plain and
over TLS; grpc-go against itself is the control.

Prints a line for each direction and case; fails when one of them does.
"""

import sys
import tempfile

import peers

# (client, server)
DIRECTIONS = [
    ("daybook", "daybook"), ("daybook", "go"), ("go", "daybook"), ("go", "go"), ("daybook", "python"),
    ("python", "daybook"),
]

# What every client knows and every server answers.
CASES = [
    "empty_unary", "large_unary", "client_streaming", "server_streaming", "ping_pong", "empty_stream",
    "custom_metadata", "status_code_and_message", "special_status_message", "unimplemented_method",
    "unimplemented_service", "cancel_after_begin", "cancel_after_first_response", "timeout_on_sleeping_server",
]
# What single clients know beyond that.
MORE_CASES = {
    "daybook": ["concurrent_large_unary", "half_duplex", "intervals"],
    "go": ["rpc_soak", "channel_soak"],
    "python": ["half_duplex", "intervals"],
}
# Server features that not every server has: {case of a client: servers}.
MORE_SERVERS = {"pick_first_unary": ["daybook"]}
# A soak is about what the calls bring, not about how fast this machine is at the moment.
SOAK_FLAGS = ["--soak_per_iteration_max_acceptable_latency_ms=60000", "--soak_overall_timeout_seconds=60"]
# Clients must refuse to speak to these servers: {case: what is wrong with the connection}.
REFUSALS = {
    "tls_other_authority": {"authority": "other"},
    "tls_other_name": {"server_name": "other.test"},
}
# How a client says that it could not connect.
REFUSED = {"daybook": "UNAVAILABLE", "go": "x509", "python": "StatusCode.UNAVAILABLE"}


class Matrix:
    def __init__(self):
        self.results = {}
        self.failures = []

    def add(self, client, server, case, security, problem):
        self.results.setdefault((client, server, case), {})[security] = "FAIL" if problem else "PASS"
        if problem:
            self.failures.append(f"{client} -> {server} {case} ({security}): {problem.strip()}")

    @staticmethod
    def _direction(result):
        client, server, _ = result[0]
        return DIRECTIONS.index((client, server)) if client in peers.CLIENTS else len(DIRECTIONS)

    def print(self):
        print(f"{'client':9}{'server':9}{'case':30}{'plain':7}TLS")
        for (client, server, case), found in sorted(self.results.items(), key=self._direction):
            print(f"{client:9}{server:9}{case:30}{found.get('plain', '-'):7}{found.get('TLS', '-')}")
        verdicts = [verdict for found in self.results.values() for verdict in found.values()]
        print(f"{verdicts.count('PASS')} passed, {len(self.failures)} failed")
        for failure in self.failures:
            print(f"FAIL {failure}")


def cases_of(client, server):
    more = [case for case, servers in MORE_SERVERS.items() if client == "go" and server in servers]
    return CASES + MORE_CASES.get(client, []) + more


def clients_of(server):
    return [client for client, its_server in DIRECTIONS if its_server == server]


def run_cases(matrix, server, security, flags):
    for client in clients_of(server.peer):
        for case in cases_of(client, server.peer):
            code, text = peers.run_case(client, server.port, case, flags + (SOAK_FLAGS if "soak" in case else []))
            problem = None if code == 0 else f"exit code {code}: {text}"
            matrix.add(client, server.peer, case, security, problem)


def run_refusals(matrix, server, certificates):
    for client in clients_of(server.peer):
        for case, wrong in REFUSALS.items():
            code, text = peers.run_case(client, server.port, "empty_unary", certificates.client_flags(**wrong))
            # A client that was killed or does not know the case has refused nothing.
            is_refused = code == 1 and REFUSED[client] in text
            matrix.add(client, server.peer, case, "TLS", None if is_refused else f"exit code {code}: {text}")


def main():
    matrix = Matrix()
    with tempfile.TemporaryDirectory(prefix="interop-") as directory:
        certificates = peers.Certificates(directory)
        for peer in peers.SERVERS:
            for security in ("plain", "TLS"):
                server = peers.Server(peer, certificates.server_flags() if security == "TLS" else [])
                try:
                    run_cases(matrix, server, security, certificates.client_flags() if security == "TLS" else [])
                    if security == "TLS":
                        run_refusals(matrix, server, certificates)
                finally:
                    problem = server.stop()
                matrix.add("-", peer, "server stops", security, problem)
    matrix.print()
    return 1 if matrix.failures else 0


if __name__ == "__main__":
    sys.exit(main())
