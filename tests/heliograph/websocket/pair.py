"""One connection of the engine without a server: a socket pair in this process, the client's end in the test's hands."""

from __future__ import annotations

import errno
import socket
import struct
from collections.abc import Iterator
from contextlib import contextmanager

import gevent
from gevent import socket as green

from heliograph.websocket.connection import WebSocketConnection
from heliograph.websocket.deflate import Deflate, message_frame
from heliograph.websocket.inbound import Inbound
from heliograph.websocket.registry import ConnectionRegistry
from tests.heliograph.websocket.raw import Frame

#: Seconds after which a test gives up. Nothing here takes a tenth of a second, but a busy machine must not fail a test.
PATIENCE = 10.0

MAX_MESSAGE = 1 << 20


class Pair:
    """`connection` is the server's end; `client` sends and reads bytes, waiting in gevent's way."""

    def __init__(
        self,
        max_message: int = MAX_MESSAGE,
        deflate: Deflate | None = None,
        registry: ConnectionRegistry | None = None,
    ) -> None:
        ours, theirs = socket.socketpair()
        ours.setblocking(False)
        self._ours = ours
        self.client = green.socket(fileno=theirs.detach())
        self.client.settimeout(PATIENCE)
        self.registry = registry or ConnectionRegistry()
        self.connection = WebSocketConnection(ours, Inbound(max_message, deflate), self.registry)

    def send(self, data: bytes) -> None:
        try:
            self.client.sendall(data)
        except OSError as exc:
            if (
                exc.errno != errno.EBADF
            ):  # closed under a greenlet of the test that the server reads nothing of
                raise

    def exactly(self, size: int) -> bytes:
        data = b""
        while len(data) < size:
            piece = self.client.recv(size - len(data))
            assert piece, f"the connection ended after {data!r}"
            data += piece
        return data

    def frame(self) -> Frame:
        """The next frame of the server."""
        first, size = self.exactly(2)
        assert first & 0x80, "servers have no reason to fragment"
        if size == 126:
            (size,) = struct.unpack("!H", self.exactly(2))
        elif size == 127:
            (size,) = struct.unpack("!Q", self.exactly(8))
        return Frame(first & 0x7F, self.exactly(size))

    def ended(self) -> bool:
        """Wait for the end of what the server sends."""
        return self.client.recv(1) == b""

    def close(self) -> None:
        self.connection.abort()
        self._ours.close()
        self.client.close()


@contextmanager
def pair(max_message: int = MAX_MESSAGE, deflate: Deflate | None = None) -> Iterator[Pair]:
    """A pair, after which nothing is left of its connection."""
    made = Pair(max_message, deflate)
    try:
        with gevent.Timeout(PATIENCE):
            yield made
    finally:
        made.close()
    assert (made.registry.open, len(made.registry.wheel)) == (set(), 0)


def echoing(made: Pair) -> gevent.Greenlet[..., None]:
    """A view that echoes, as a greenlet."""

    def echo() -> None:
        while (message := made.connection.receive()) is not None:
            opcode, payload = (1, message.encode()) if isinstance(message, str) else (2, message)
            made.connection.send(message_frame(opcode, payload, None))
        made.connection.finish()

    return gevent.spawn(echo)


def turns(count: int = 3) -> None:
    """Let everybody run who can."""
    for _ in range(count):
        gevent.sleep(0)
