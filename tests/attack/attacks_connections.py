"""More connections than the daemon has descriptors: gRPC 1.51 then accepts nobody ever again (CVE-2023-4785).

By default that cannot happen: the daemon refuses what is too much, and serves new clients when others have gone. Without the
limit its watch of its own port finds that it is deaf and ends it with 70; started anew it serves. Each has a daemon of its own.
"""

import os
import socket
import time

from model import LoneAttack
from target import Target, event_store_pb2, event_store_pb2_grpc, grpc, harness

DESCRIPTORS_MAX = 256
BOUND_MIB = 32
EXIT_DEAF = 70
# Documented: 14 seconds after the port went deaf, and one for open calls; twice that for a machine that does other things.
DEAF_SECONDS_MAX = 30


def connection_flood(data, is_short):
    """Returns the row and what did not hold."""
    target = Target(data, is_short, "--connections-max", "0", descriptors_max=DESCRIPTORS_MAX)
    baseline, problems = target.sample(), []
    peak = target.peak_memory()
    target.bystander.ask("begin")
    target.bystander.go_on(20)
    connections = [socket.create_connection(("127.0.0.1", target.port)) for _ in range(2 * DESCRIPTORS_MAX)]
    harness.wait_until(lambda: "Too many open files" in target.daemon.log_text(), "the lack of descriptors")
    begun = time.monotonic()
    # Who is connected is served all the time.
    target.bystander.go_on(20)
    served = target.bystander.ask("end")
    peak_mib = peak.finish() - baseline.memory_mib
    for connection in connections:
        connection.close()
    code = target.daemon.process.wait(harness.PATIENCE_SECONDS)
    seconds = time.monotonic() - begun
    port = target.port
    target.close()
    if code != EXIT_DEAF or seconds > DEAF_SECONDS_MAX:
        problems.append(f"ended with {code} after {seconds:.1f} s, which is to be {EXIT_DEAF} within {DEAF_SECONDS_MAX} s")
    again = harness.Daemon(data, port=port, descriptors_max=DESCRIPTORS_MAX)
    with grpc.insecure_channel(again.address, options=[("grpc.use_local_subchannel_pool", 1)]) as channel:
        store = event_store_pb2_grpc.EventStoreStub(channel)
        head = store.Head(event_store_pb2.HeadRequest(), timeout=harness.PATIENCE_SECONDS).head
    if head < served["calls_count"] // 2 or again.stop() != 0:
        problems.append(f"the daemon that was started anew is at {head}, or did not stop well")
    os.unlink(again.log.name)
    problems += served["errors"][:3]
    if peak_mib > BOUND_MIB:
        problems.append(f"{peak_mib:.0f} MiB, allowed are {BOUND_MIB}")
    sent = f"{len(connections)} connections to {DESCRIPTORS_MAX} descriptors; exit {code}, restarted"
    return ["connection flood", sent, f"{peak_mib:.1f}", str(BOUND_MIB), str(served["calls_count"]),
            f"{served['slowest_ms']}", "-", "-", f"{seconds:.1f}"], problems


def connection_limit(data, is_short):
    """The same, with the limit: nobody who is connected is harmed, and the daemon goes on for longer than its watch takes."""
    target = Target(data, is_short, descriptors_max=DESCRIPTORS_MAX)
    baseline, problems = target.settle(), []
    peak = target.peak_memory()
    target.bystander.ask("begin")
    connections = [socket.create_connection(("127.0.0.1", target.port)) for _ in range(2 * DESCRIPTORS_MAX)]
    harness.wait_until(lambda: "connections were refused" in target.daemon.log_text(), "refused connections")
    target.bystander.go_on(100)
    if not is_short:
        target.daemon_stays_alive(DEAF_SECONDS_MAX)
    served = target.bystander.ask("end")
    for connection in connections:
        connection.close()
    left, seconds = target.recover(baseline)
    peak_mib = peak.finish() - baseline.memory_mib
    problems += left + served["errors"][:3]
    if "Too many open files" in target.daemon.log_text():
        problems.append("gRPC has run out of descriptors")
    if peak_mib > BOUND_MIB:
        problems.append(f"{peak_mib:.0f} MiB, allowed are {BOUND_MIB}")
    if target.close() != 0:
        problems.append("the daemon did not stop well")
    sent = f"{len(connections)} connections to {DESCRIPTORS_MAX} descriptors; limited"
    return ["connection limit", sent, f"{peak_mib:.1f}", str(BOUND_MIB), str(served["calls_count"]),
            f"{served['slowest_ms']}", "-", "-", f"{seconds:.1f}"], problems


ATTACKS = [LoneAttack("connection limit", connection_limit), LoneAttack("connection flood", connection_flood)]
