"""The client of gRPC's interoperability suite on Python's gRPC: runs one case, fails by an exception."""

import threading
import time

import grpc
import python_peer
from python_peer import INITIAL_KEY, PATIENCE_SECONDS, TRAILING_KEY, message, payload, responses

REQUEST_SIZES = [27182, 8, 1828, 45904]
RESPONSE_SIZES = [31415, 9, 2653, 58979]
CUSTOM_METADATA = ((INITIAL_KEY, "test_initial_metadata_value"), (TRAILING_KEY, b"\xab\xab\xab"))
# In the certificate that the test makes.
CLIENT_NAME = "client.interop.test"
STATUS_MESSAGE = "test status message"
SPECIAL_MESSAGE = "\t\ntest with whitespace\r\nand Unicode BMP \u263a and non-BMP \U0001f608\t\n"


class Requests:
    """An iterator of requests that a case adds to while the call runs."""

    def __init__(self):
        self._changed = threading.Condition()
        self._waiting = []
        self._is_done = False

    def add(self, request):
        with self._changed:
            self._waiting.append(request)
            self._changed.notify()

    def done(self):
        with self._changed:
            self._is_done = True
            self._changed.notify()

    def __iter__(self):
        return self

    def __next__(self):
        with self._changed:
            self._changed.wait_for(lambda: self._waiting or self._is_done)
            if not self._waiting:
                raise StopIteration
            return self._waiting.pop(0)


class Stub:
    """The methods of a service, as a generated stub has them."""

    def __init__(self, channel, service):
        for method in python_peer.SERVICES[service].method:
            kinds = ["unary", "stream"]
            kind = f"{kinds[method.client_streaming]}_{kinds[method.server_streaming]}"
            request, response = python_peer.codec(method.input_type), python_peer.codec(method.output_type)
            call = getattr(channel, kind)(f"/grpc.testing.{service}/{method.name}", request.SerializeToString,
                                          response.FromString)
            setattr(self, method.name, call)


def expect(found, expected):
    assert found == expected, f"found {found!r}, not {expected!r}"


def expect_failure(call, code, details=None):
    try:
        call()
    except grpc.RpcError as error:
        expect(error.code(), code)
        if details is not None:
            expect(error.details(), details)
        return
    raise AssertionError(f"the call went well, without {code}")


def expect_metadata(call):
    expect(dict(call.initial_metadata())[INITIAL_KEY], CUSTOM_METADATA[0][1])
    expect(dict(call.trailing_metadata())[TRAILING_KEY], CUSTOM_METADATA[1][1])


def empty_unary(stub, _):
    expect(stub.EmptyCall(message("Empty"), timeout=PATIENCE_SECONDS), message("Empty"))


def large_unary(stub, _):
    request = message("SimpleRequest", response_size=314159, payload=payload(271828))
    response = stub.UnaryCall(request, timeout=PATIENCE_SECONDS)
    expect(response.payload, payload(314159))


def client_identity(stub, _):
    response = stub.UnaryCall(message("SimpleRequest", fill_username=True), timeout=PATIENCE_SECONDS)
    expect(response.username, CLIENT_NAME)


def client_streaming(stub, _):
    requests = [message("StreamingInputCallRequest", payload=payload(size)) for size in REQUEST_SIZES]
    response = stub.StreamingInputCall(iter(requests), timeout=PATIENCE_SECONDS)
    expect(response.aggregated_payload_size, sum(REQUEST_SIZES))


def expect_sizes(call):
    expect([response.payload for response in call], [payload(size) for size in RESPONSE_SIZES])


def server_streaming(stub, _):
    request = message("StreamingOutputCallRequest", response_parameters=responses(*RESPONSE_SIZES))
    expect_sizes(stub.StreamingOutputCall(request, timeout=PATIENCE_SECONDS))


def intervals(stub, _):
    parameters = responses(*RESPONSE_SIZES, interval_us=20000)
    began = time.monotonic()
    expect_sizes(stub.StreamingOutputCall(message("StreamingOutputCallRequest", response_parameters=parameters),
                                          timeout=PATIENCE_SECONDS))
    took = time.monotonic() - began
    assert took >= 0.08, f"the responses came after {took} s"


def duplex_request(request_size, *response_sizes):
    return message("StreamingOutputCallRequest", payload=payload(request_size),
                   response_parameters=responses(*response_sizes))


def ping_pong(stub, _):
    requests = Requests()
    call = stub.FullDuplexCall(requests, timeout=PATIENCE_SECONDS)
    for request_size, response_size in zip(REQUEST_SIZES, RESPONSE_SIZES):
        requests.add(duplex_request(request_size, response_size))
        expect(next(call).payload, payload(response_size))
    requests.done()
    expect(list(call), [])


def half_duplex(stub, _):
    requests = [duplex_request(*sizes) for sizes in zip(REQUEST_SIZES, RESPONSE_SIZES)]
    expect_sizes(stub.HalfDuplexCall(iter(requests), timeout=PATIENCE_SECONDS))


def empty_stream(stub, _):
    expect(list(stub.FullDuplexCall(iter([]), timeout=PATIENCE_SECONDS)), [])


def custom_metadata(stub, _):
    request = message("SimpleRequest", response_size=314159, payload=payload(271828))
    _, call = stub.UnaryCall.with_call(request, metadata=CUSTOM_METADATA, timeout=PATIENCE_SECONDS)
    expect_metadata(call)
    call = stub.FullDuplexCall(iter([duplex_request(271828, 314159)]), metadata=CUSTOM_METADATA,
                               timeout=PATIENCE_SECONDS)
    expect([response.payload for response in call], [payload(314159)])
    expect_metadata(call)


def status_code_and_message(stub, _):
    status = message("EchoStatus", code=2, message=STATUS_MESSAGE)
    expect_failure(lambda: stub.UnaryCall(message("SimpleRequest", response_status=status), timeout=PATIENCE_SECONDS),
                   grpc.StatusCode.UNKNOWN, STATUS_MESSAGE)
    requests = [message("StreamingOutputCallRequest", response_status=status)]
    expect_failure(lambda: list(stub.FullDuplexCall(iter(requests), timeout=PATIENCE_SECONDS)),
                   grpc.StatusCode.UNKNOWN, STATUS_MESSAGE)


def special_status_message(stub, _):
    status = message("EchoStatus", code=2, message=SPECIAL_MESSAGE)
    expect_failure(lambda: stub.UnaryCall(message("SimpleRequest", response_status=status), timeout=PATIENCE_SECONDS),
                   grpc.StatusCode.UNKNOWN, SPECIAL_MESSAGE)


def compression_refused(stub, _):
    """Not one of the suite's: servers of the SDK offer no compression, and must say so to a client that uses it."""
    request = message("SimpleRequest", response_size=1, payload=payload(271828))
    how = {"compression": grpc.Compression.Gzip, "timeout": PATIENCE_SECONDS}
    expect_failure(lambda: stub.UnaryCall(request, **how), grpc.StatusCode.UNIMPLEMENTED)
    requests = [duplex_request(*sizes) for sizes in zip(REQUEST_SIZES, RESPONSE_SIZES)]
    expect_failure(lambda: list(stub.FullDuplexCall(iter(requests), **how)), grpc.StatusCode.UNIMPLEMENTED)
    empty_unary(stub, None)


def unimplemented_method(stub, _):
    expect_failure(lambda: stub.UnimplementedCall(message("Empty"), timeout=PATIENCE_SECONDS),
                   grpc.StatusCode.UNIMPLEMENTED)


def unimplemented_service(_, channel):
    unimplemented_method(Stub(channel, "UnimplementedService"), channel)


def cancel_after_begin(stub, _):
    requests = Requests()
    call = stub.StreamingInputCall.future(requests, timeout=PATIENCE_SECONDS)
    call.cancel()
    expect(call.code(), grpc.StatusCode.CANCELLED)
    requests.done()


def cancel_after_first_response(stub, _):
    requests = Requests()
    call = stub.FullDuplexCall(requests, timeout=PATIENCE_SECONDS)
    requests.add(duplex_request(27182, 31415))
    expect(next(call).payload, payload(31415))
    call.cancel()
    expect_failure(lambda: next(call), grpc.StatusCode.CANCELLED)
    requests.done()


def timeout_on_sleeping_server(stub, _):
    requests = Requests()
    requests.add(duplex_request(27182))
    expect_failure(lambda: next(stub.FullDuplexCall(requests, timeout=0.001)), grpc.StatusCode.DEADLINE_EXCEEDED)
    requests.done()


CASES = [
    empty_unary, large_unary, client_streaming, server_streaming, ping_pong, empty_stream, custom_metadata,
    status_code_and_message, special_status_message, unimplemented_method, unimplemented_service, cancel_after_begin,
    cancel_after_first_response, timeout_on_sleeping_server, half_duplex, intervals, client_identity,
    compression_refused,
]


def open_channel(flags):
    target = f"{flags.server_host}:{flags.server_port}"
    if flags.use_tls != "true":
        return grpc.insecure_channel(target)
    files = (flags.ca_file, flags.tls_key_file, flags.tls_cert_file)
    credentials = grpc.ssl_channel_credentials(*[python_peer.read(file) for file in files])
    return grpc.secure_channel(target, credentials, [("grpc.ssl_target_name_override", flags.server_host_override)])


def main():
    flags = python_peer.flags("server_host", "server_port", "test_case", "use_tls", "ca_file", "server_host_override",
                              "tls_cert_file", "tls_key_file")
    case = {case.__name__: case for case in CASES}[flags.test_case]
    with open_channel(flags) as channel:
        case(Stub(channel, "TestService"), channel)


if __name__ == "__main__":
    main()
