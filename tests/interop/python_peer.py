"""What the suite's client and server in Python share: the messages and the methods, taken from the protos at run time.

There are no generated modules: the package of the protos, grpc.testing, would be looked for inside of gRPC's own package.
"""

import argparse
import pathlib
import tempfile

import grpc_tools
from google.protobuf import descriptor_pb2, message_factory
from grpc_tools import protoc

HERE = pathlib.Path(__file__).parent


def _load():
    well_known = pathlib.Path(grpc_tools.__file__).parent / "_proto"
    with tempfile.NamedTemporaryFile(suffix=".binpb") as file:
        code = protoc.main(["protoc", f"-I{HERE}", f"-I{well_known}", "--include_imports",
                            f"--descriptor_set_out={file.name}", "grpc/testing/test.proto"])
        if code != 0:
            raise RuntimeError("the protos do not compile")
        return descriptor_pb2.FileDescriptorSet.FromString(pathlib.Path(file.name).read_bytes())


_FILES = _load().file
_CLASSES = message_factory.GetMessages(_FILES)
SERVICES = {service.name: service for file in _FILES for service in file.service}

INITIAL_KEY = "x-grpc-test-echo-initial"
TRAILING_KEY = "x-grpc-test-echo-trailing-bin"
PATIENCE_SECONDS = 60


def message(name, **fields):
    return _CLASSES[f"grpc.testing.{name}"](**fields)


def codec(type_name):
    """The class of a method's input or output, as descriptors name it."""
    return _CLASSES[type_name.lstrip(".")]


def payload(size):
    return message("Payload", body=bytes(size))


def responses(*sizes, interval_us=0):
    return [message("ResponseParameters", size=size, interval_us=interval_us) for size in sizes]


def flags(*names):
    """Parses the suite's flags."""
    parser = argparse.ArgumentParser(allow_abbrev=False)
    for name in names:
        parser.add_argument(f"--{name}")
    return parser.parse_args()


def read(path):
    return pathlib.Path(path).read_bytes() if path else None
