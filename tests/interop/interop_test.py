"""gRPC's interoperability suite: our client and server against those of other languages and against each other, plain,
over TLS and over TLS with clients that are known by certificate; grpc-go against itself is the control.

Of the suite's cases those are left out that need a cloud's credentials, a load balancer's reports, a caching proxy, or
compression, which the SDK does not offer.

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

SECURITIES = ["plain", "TLS", "mTLS"]
# grpc-go's programs of the suite have no flags for it.
MUTUAL_PEERS = ["daybook", "python"]

# What every client knows and every server answers.
CASES = [
    "empty_unary", "large_unary", "client_streaming", "server_streaming", "ping_pong", "empty_stream",
    "custom_metadata", "status_code_and_message", "special_status_message", "unimplemented_method",
    "unimplemented_service", "cancel_after_begin", "cancel_after_first_response", "timeout_on_sleeping_server",
]
# What single clients know beyond that.
MORE_CASES = {
    "daybook": ["concurrent_large_unary", "half_duplex", "intervals", "cancel_in_interval", "cancel_at_any_moment"],
    "go": ["rpc_soak", "channel_soak", "pick_first_unary"],
    "python": ["half_duplex", "intervals", "compression_refused"],
}
# What not every server has.
SERVERS_OF_CASE = {
    "pick_first_unary": ["daybook"],
    # Python's holds a thread for the whole pause, and so would not stop.
    "cancel_in_interval": ["daybook", "go"],
}
MUTUAL_CASES = ["empty_unary", "client_identity"]
# A soak is about what the calls bring, not about how fast this machine is at the moment.
SOAK_FLAGS = ["--soak_per_iteration_max_acceptable_latency_ms=60000", "--soak_overall_timeout_seconds=60"]

# Connections that must not come about: {security: {case: what is wrong}}.
REFUSALS = {
    "plain": {},
    "TLS": {
        "other_authority": {"authority": "other"},
        "other_server_name": {"server_name": "other.test"},
    },
    "mTLS": {
        "no_certificate": {"certificate": None},
        "other_certificate": {"certificate": "other"},
    },
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
        rows = [("client", "server", "case", SECURITIES)]
        for (client, server, case), found in sorted(self.results.items(), key=self._direction):
            rows.append((client, server, case, [found.get(security, "-") for security in SECURITIES]))
        for client, server, case, columns in rows:
            print(f"{client:9}{server:9}{case:30}" + "".join(f"{column:6}" for column in columns).rstrip())
        verdicts = [verdict for found in self.results.values() for verdict in found.values()]
        print(f"{verdicts.count('PASS')} passed, {verdicts.count('FAIL')} failed")
        for failure in self.failures:
            print(f"FAIL {failure}")


def clients_of(server, security):
    clients = [client for client, its_server in DIRECTIONS if its_server == server]
    return [client for client in clients if security != "mTLS" or client in MUTUAL_PEERS]


def cases_of(client, server, security):
    if security == "mTLS":
        return MUTUAL_CASES
    return CASES + [case for case in MORE_CASES[client] if server in SERVERS_OF_CASE.get(case, [server])]


def client_flags(certificates, security, **wrong):
    if security == "plain":
        return []
    return certificates.client_flags(**{"certificate": "client" if security == "mTLS" else None, **wrong})


def server_flags(certificates, security):
    return [] if security == "plain" else certificates.server_flags(is_mutual=security == "mTLS")


def run_client(matrix, client, server, security, certificates):
    for case in cases_of(client, server.peer, security):
        flags = client_flags(certificates, security) + (SOAK_FLAGS if "soak" in case else [])
        code, text = peers.run_case(client, server.port, case, flags)
        matrix.add(client, server.peer, case, security, None if code == 0 else f"exit code {code}: {text}")
    for case, wrong in REFUSALS[security].items():
        code, text = peers.run_case(client, server.port, "empty_unary", client_flags(certificates, security, **wrong))
        # A client that was killed or does not know the case has refused nothing.
        is_refused = code == 1 and REFUSED[client] in text
        matrix.add(client, server.peer, case, security, None if is_refused else f"exit code {code}: {text}")


def run_server(matrix, peer, security, certificates):
    server = peers.Server(peer, server_flags(certificates, security))
    try:
        for client in clients_of(peer, security):
            run_client(matrix, client, server, security, certificates)
    finally:
        problem = server.stop()
    matrix.add("-", peer, "server stops", security, problem)


def main():
    matrix = Matrix()
    with tempfile.TemporaryDirectory(prefix="interop-") as directory:
        certificates = peers.Certificates(directory)
        for peer in peers.SERVERS:
            for security in SECURITIES:
                if security != "mTLS" or peer in MUTUAL_PEERS:
                    run_server(matrix, peer, security, certificates)
    matrix.print()
    return 1 if matrix.failures else 0


if __name__ == "__main__":
    sys.exit(main())
