"""The server of gRPC's interoperability suite on Python's gRPC. Prints its port and serves until SIGTERM."""

import concurrent.futures
import signal
import threading
import time

import grpc
import python_peer
from python_peer import INITIAL_KEY, TRAILING_KEY, message, payload

# Streams that wait hold a thread each, and concurrent calls need some beside them.
THREADS = 16
GRACE_SECONDS = 1


def echo_metadata(context):
    received = dict(context.invocation_metadata())
    if INITIAL_KEY in received:
        context.send_initial_metadata(((INITIAL_KEY, received[INITIAL_KEY]),))
    if TRAILING_KEY in received:
        context.set_trailing_metadata(((TRAILING_KEY, received[TRAILING_KEY]),))


def echo_status(request, context):
    wanted = request.response_status
    if wanted.code != 0:
        code = next(code for code in grpc.StatusCode if code.value[0] == wanted.code)
        context.abort(code, wanted.message)


def respond(request, context):
    echo_status(request, context)
    for parameters in request.response_parameters:
        time.sleep(parameters.interval_us / 1e6)
        yield message("StreamingOutputCallResponse", payload=payload(parameters.size))


class TestService:
    @staticmethod
    def EmptyCall(_request, _context):
        return message("Empty")

    @staticmethod
    def UnaryCall(request, context):
        echo_metadata(context)
        echo_status(request, context)
        # Empty without a certificate of the client.
        identities = context.peer_identities() if request.fill_username else None
        return message("SimpleResponse", payload=payload(request.response_size),
                       username=identities[0] if identities else "")

    @staticmethod
    def StreamingOutputCall(request, context):
        yield from respond(request, context)

    @staticmethod
    def StreamingInputCall(requests, _context):
        size = sum(len(request.payload.body) for request in requests)
        return message("StreamingInputCallResponse", aggregated_payload_size=size)

    @staticmethod
    def FullDuplexCall(requests, context):
        echo_metadata(context)
        for request in requests:
            yield from respond(request, context)

    @staticmethod
    def HalfDuplexCall(requests, context):
        for request in list(requests):
            yield from respond(request, context)


def handlers():
    """The handlers of the methods that TestService has, as a generated registration makes them."""
    found = {}
    for method in python_peer.SERVICES["TestService"].method:
        if not hasattr(TestService, method.name):
            continue
        kinds = ["unary", "stream"]
        make = getattr(grpc, f"{kinds[method.client_streaming]}_{kinds[method.server_streaming]}_rpc_method_handler")
        found[method.name] = make(getattr(TestService, method.name), python_peer.codec(method.input_type).FromString,
                                  python_peer.codec(method.output_type).SerializeToString)
    return grpc.method_handlers_generic_handler("grpc.testing.TestService", found)


def main():
    flags = python_peer.flags("port", "use_tls", "tls_cert_file", "tls_key_file", "tls_client_ca_file")
    stopping = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stopping.set())
    server = grpc.server(concurrent.futures.ThreadPoolExecutor(THREADS), handlers=[handlers()])
    address = f"127.0.0.1:{flags.port}"
    if flags.use_tls == "true":
        pair = (python_peer.read(flags.tls_key_file), python_peer.read(flags.tls_cert_file))
        authorities = python_peer.read(flags.tls_client_ca_file)
        credentials = grpc.ssl_server_credentials([pair], authorities, require_client_auth=authorities is not None)
        port = server.add_secure_port(address, credentials)
    else:
        port = server.add_insecure_port(address)
    server.start()
    print(f"serving port={port}", flush=True)
    stopping.wait()
    server.stop(GRACE_SECONDS).wait()


if __name__ == "__main__":
    main()
