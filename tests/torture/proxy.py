"""A network between clients and the daemon that is slow, tears what is sent into pieces, and cuts connections at any byte."""

import math
import random
import selectors
import socket
import struct
import threading

PIECE_BYTES_MAX = 16384
# Most connections live for a few calls, one in four for long enough to catch up.
BYTES_MAX_SHORT, BYTES_MAX_LONG = 1 << 15, 1 << 21


class Proxy:
    """Listens on a port of its own and passes everything on to `target`, a port of this machine, with faults until `calm`."""

    def __init__(self, target, seed):
        self.target = target
        self.randomness = random.Random(f"{seed}/proxy")
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.address = "127.0.0.1:%d" % self.listener.getsockname()[1]
        self.cuts_count = self.connections_count = 0
        self.is_calm = threading.Event()
        self.is_closed = False
        threading.Thread(target=self._accept, daemon=True).start()

    def calm(self):
        """From now on nothing is cut or slow, not even what is open."""
        self.is_calm.set()

    def close(self):
        self.is_closed = True
        self.listener.close()

    def _accept(self):
        while True:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            self.connections_count += 1
            randomness = random.Random(self.randomness.getrandbits(64))
            threading.Thread(target=self._serve, args=(client, randomness), daemon=True).start()

    @staticmethod
    def _cut(client, server):
        """The daemon's side without a farewell, by a reset. The client's by an end of the stream: after a reset grpcio 1.62 was
        seen to hold calls open for ever, on a channel that says READY and whose socket is gone."""
        try:
            server.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            client.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass  # it has gone by itself
        server.close()
        client.close()

    def _serve(self, client, randomness):
        try:
            server = socket.create_connection(("127.0.0.1", self.target))
        except OSError:
            client.close()
            return
        bytes_max = BYTES_MAX_LONG if randomness.random() < 0.25 else BYTES_MAX_SHORT
        budget = int(math.exp(randomness.uniform(0, math.log(bytes_max))))
        try:
            self._pass_on(client, server, randomness, budget)
        except OSError:
            pass
        self._cut(client, server)

    def _pass_on(self, client, server, randomness, budget):
        """Until one side ends, or the budget does: bytes of both directions together."""
        other = {client: server, server: client}
        with selectors.DefaultSelector() as selector:
            for connection in other:
                connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                selector.register(connection, selectors.EVENT_READ)
            while not self.is_closed:
                for key, _ in selector.select(1):
                    piece = key.fileobj.recv(randomness.randrange(1, PIECE_BYTES_MAX))
                    if not piece:
                        return
                    if not self.is_calm.is_set():
                        piece = piece[:budget]
                        budget -= len(piece)
                        if randomness.random() < 0.05:
                            self.is_calm.wait(randomness.uniform(0, 0.03))
                    other[key.fileobj].sendall(piece)
                    if budget == 0:
                        self.cuts_count += 1
                        return
