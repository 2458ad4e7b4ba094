"""HTTP/2 by hand, as a hostile client needs it: frames and header blocks of any shape, and no care for what the peer allows.

Header blocks are written without Huffman codes. What comes back is decoded as far as an answer's status needs: names and
values of literals, and what gRPC has put into the dynamic table. A Connection belongs to one thread.
"""

import collections
import select
import socket
import struct
import time

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
DATA, HEADERS, PRIORITY, RST_STREAM, SETTINGS, PUSH_PROMISE, PING, GOAWAY, WINDOW_UPDATE, CONTINUATION = range(10)
END_STREAM, ACK, END_HEADERS, PADDED = 0x1, 0x1, 0x4, 0x8
SETTING_HEADER_TABLE_SIZE, SETTING_INITIAL_WINDOW_SIZE, SETTING_MAX_FRAME_SIZE = 0x1, 0x4, 0x5
CANCEL = 0x8
WINDOW_BYTES_MAX = (1 << 31) - 1
WINDOW_BYTES_DEFAULT = 65535
FRAME_BYTES_MAX = 16384
FRAME_HEADER_BYTES = 9
# Entries of HPACK's static table; its names are of no use here.
STATIC_COUNT = 61


class Gone(Exception):
    """The peer has closed the connection, or said GOAWAY and then closed it."""


# --- Frames ---------------------------------------------------------------------------------------------------------------

def frame(kind, flags=0, stream=0, payload=b""):
    return struct.pack(">I", len(payload))[1:] + bytes([kind, flags]) + struct.pack(">I", stream) + payload


def settings(values):
    return frame(SETTINGS, payload=b"".join(struct.pack(">HI", key, value) for key, value in values.items()))


def window_update(stream, increment):
    return frame(WINDOW_UPDATE, stream=stream, payload=struct.pack(">I", increment))


def reset(stream, code=CANCEL):
    return frame(RST_STREAM, stream=stream, payload=struct.pack(">I", code))


def data_frames(stream, payload, end=False):
    """The payload in frames of the size that every peer takes."""
    frames = [frame(DATA, 0, stream, payload[at:at + FRAME_BYTES_MAX]) for at in range(0, len(payload), FRAME_BYTES_MAX)]
    return b"".join(frames) + (frame(DATA, END_STREAM, stream) if end else b"")


def message(payload, compressed=False):
    """A message of gRPC's with its prefix."""
    return bytes([compressed]) + struct.pack(">I", len(payload)) + payload


# --- Header blocks --------------------------------------------------------------------------------------------------------

def integer(value, prefix_bits, first=0):
    limit = (1 << prefix_bits) - 1
    if value < limit:
        return bytes([first | value])
    out = bytearray([first | limit])
    value -= limit
    while value >= 0x80:
        out.append(value & 0x7f | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def text(content):
    return integer(len(content), 7) + content


def literal(name, value):
    """A header that the peer does not put into its table."""
    return b"\x00" + text(name) + text(value)


def indexed_literal(name, value):
    """A header that the peer keeps in its table as the newest entry."""
    return b"\x40" + text(name) + text(value)


def reference(index):
    """A header of the table."""
    return integer(index, 7, 0x80)


def request_block(path, *more, compression=None):
    """What every call of gRPC begins with; `more` are encoded headers behind it."""
    block = [literal(b":method", b"POST"), literal(b":scheme", b"http"), literal(b":path", path.encode()),
             literal(b":authority", b"localhost"), literal(b"te", b"trailers"),
             literal(b"content-type", b"application/grpc")]
    if compression is not None:
        block.append(literal(b"grpc-encoding", compression))
    return b"".join(block) + b"".join(more)


def headers_frames(stream, block, flags=0):
    """HEADERS, and CONTINUATION for what does not fit."""
    parts = [block[at:at + FRAME_BYTES_MAX] for at in range(0, len(block), FRAME_BYTES_MAX)]
    out = []
    for number, part in enumerate(parts):
        kind, kind_flags = (HEADERS, flags) if number == 0 else (CONTINUATION, 0)
        out.append(frame(kind, kind_flags | (END_HEADERS if number == len(parts) - 1 else 0), stream, part))
    return b"".join(out)


class Decoder:
    """Header blocks of the peer, in order."""

    def __init__(self):
        self.entries = []

    def decode(self, block):
        """The headers as (name, value); those of the static table are left out, Huffman codes stay as they are."""
        headers, at = [], 0
        while at < len(block):
            first = block[at]
            if first & 0x80:
                index, at = self._integer(block, at, 7)
                if index > STATIC_COUNT:
                    headers.append(self.entries[index - STATIC_COUNT - 1])
            elif first & 0xe0 == 0x20:
                _, at = self._integer(block, at, 5)
            else:
                is_kept = bool(first & 0x40)
                index, at = self._integer(block, at, 6 if is_kept else 4)
                if index == 0:
                    name, at = self._text(block, at)
                else:
                    name = self.entries[index - STATIC_COUNT - 1][0] if index > STATIC_COUNT else b""
                value, at = self._text(block, at)
                headers.append((name, value))
                if is_kept:
                    self.entries.insert(0, (name, value))
        return headers

    def _integer(self, block, at, prefix_bits):
        limit = (1 << prefix_bits) - 1
        value = block[at] & limit
        at += 1
        if value < limit:
            return value, at
        shift = 0
        while True:
            byte = block[at]
            at += 1
            value += (byte & 0x7f) << shift
            shift += 7
            if byte < 0x80:
                return value, at

    def _text(self, block, at):
        size, at = self._integer(block, at, 7)
        return block[at:at + size], at + size


# --- A connection ---------------------------------------------------------------------------------------------------------

class Connection:
    """A TCP connection that has begun to speak HTTP/2. Leaving it as a context closes it, with a reset when asked for."""

    def __init__(self, port, own_settings=None, patience_seconds=60):
        self.patience_seconds = patience_seconds
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=patience_seconds)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.received = bytearray()
        self.decoder = Decoder()
        self.next_stream = 1
        # What the peer takes: at first for a stream of its own, beyond that on each, and on the connection.
        self.initial_window = WINDOW_BYTES_DEFAULT
        self.stream_windows = collections.defaultdict(int)
        self.window = WINDOW_BYTES_DEFAULT
        self.send(PREFACE + settings(own_settings or {}))

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self, with_reset=False):
        if with_reset:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.socket.close()

    def send(self, content):
        try:
            self.socket.sendall(content)
        except (BrokenPipeError, ConnectionResetError) as error:
            raise Gone(str(error)) from error

    def send_while_taken(self, content, stall_seconds):
        """Sends until the peer has taken nothing for so long, or has gone; returns how many bytes have left."""
        sent = 0
        self.socket.settimeout(stall_seconds)
        view = memoryview(content)
        try:
            while sent < len(view):
                sent += self.socket.send(view[sent:sent + 65536])
        except (TimeoutError, BrokenPipeError, ConnectionResetError):
            pass
        finally:
            self.socket.settimeout(self.patience_seconds)
        return sent

    def new_stream(self):
        stream = self.next_stream
        self.next_stream += 2
        return stream

    def open_call(self, path, *more, payload=None, end=True, compression=None):
        """Begins a call and sends one message of it; returns its stream."""
        stream = self.new_stream()
        out = headers_frames(stream, request_block(path, *more, compression=compression))
        if payload is not None:
            out += data_frames(stream, message(payload, compression is not None))
        if end:
            out += frame(DATA, END_STREAM, stream)
        self.send(out)
        return stream

    def _receive(self, size, deadline):
        while len(self.received) < size:
            remaining = deadline - time.monotonic()
            if remaining <= 0:
                raise TimeoutError("the peer says nothing")
            self.socket.settimeout(remaining)
            try:
                content = self.socket.recv(65536)
            except ConnectionResetError as error:
                raise Gone(str(error)) from error
            finally:
                self.socket.settimeout(self.patience_seconds)
            if not content:
                raise Gone("closed")
            self.received += content
        part = bytes(self.received[:size])
        del self.received[:size]
        return part

    def next_frame(self, seconds=None):
        """(kind, flags, stream, payload); acknowledges what must be."""
        deadline = time.monotonic() + (self.patience_seconds if seconds is None else seconds)
        head = self._receive(FRAME_HEADER_BYTES, deadline)
        size = int.from_bytes(head[:3], "big")
        kind, flags, stream = head[3], head[4], int.from_bytes(head[5:], "big")
        payload = self._receive(size, deadline)
        if kind == SETTINGS and not flags & ACK:
            for key, value in struct.iter_unpack(">HI", payload):
                if key == SETTING_INITIAL_WINDOW_SIZE:
                    self.initial_window = value
            self.send(frame(SETTINGS, ACK))
        elif kind == WINDOW_UPDATE and stream == 0:
            self.window += struct.unpack(">I", payload)[0]
        elif kind == WINDOW_UPDATE:
            self.stream_windows[stream] += struct.unpack(">I", payload)[0]
        elif kind == PING and not flags & ACK:
            self.send(frame(PING, ACK, payload=payload))
        return kind, flags, stream, payload

    def send_within_windows(self, contents, stall_seconds):
        """Sends bytes on streams, all at once, as the peer's windows allow; `contents`: stream to bytes. Ends when all have left,
        or when the peer has said nothing for so long; returns how many have left."""
        left = {stream: memoryview(content) for stream, content in contents.items()}
        sent = 0
        while left:
            frames = []
            for stream, content in list(left.items()):
                size = min(len(content), FRAME_BYTES_MAX, self.window, self.initial_window + self.stream_windows[stream])
                if size <= 0:
                    continue
                frames.append(frame(DATA, 0, stream, content[:size]))
                self.window -= size
                self.stream_windows[stream] -= size
                sent += size
                left[stream] = content[size:]
                if not left[stream]:
                    del left[stream]
            self.send(b"".join(frames))
            if not self._hear(0 if frames else stall_seconds) and not frames:
                break
        return sent

    def _hear(self, seconds):
        """Takes the frames that have come, or come within the time; whether anything has."""
        if not select.select([self.socket], [], [], seconds)[0]:
            return False
        content = self.socket.recv(1 << 20)
        if not content:
            raise Gone("closed")
        self.received += content
        while len(self.received) >= FRAME_HEADER_BYTES + int.from_bytes(self.received[:3].ljust(3, b"\xff"), "big"):
            self.next_frame()
        return True

    def status(self, stream):
        """Waits for the call's end; (code, message), or ("reset", code) when there is no status."""
        while True:
            kind, flags, about, payload = self.next_frame()
            if kind == HEADERS:
                headers = dict(self.decoder.decode(payload))
                if about == stream and b"grpc-status" in headers:
                    return int(headers[b"grpc-status"]), headers.get(b"grpc-message", b"").decode()
                if about == stream and flags & END_STREAM:
                    return "ended", None
            elif kind == RST_STREAM and about == stream:
                return "reset", int.from_bytes(payload, "big")
