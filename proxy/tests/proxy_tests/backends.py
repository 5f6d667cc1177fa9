"""Real servers for tests of the proxy: they listen on a port, and do what the test tells them, right or
wrong.

A `Backend` answers health checks and records every request that it reads. What it does with a request is its
`script`, a function of one `Peer`, which a test may change at any time: it is looked up for each request, so
that a connection that was kept alive can turn bad. On gevent, so a test, its backends and the proxy share one
process and can be checked for what they leave behind.
"""

from __future__ import annotations

import hashlib
import socket
from base64 import b64encode
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gevent
from gevent import socket as gsocket
from gevent.server import StreamServer

from proxy_tests.listening import Listening, reset_socket

#: What a test waits for at most before it is said to hang: generous, as a busy machine must not fail a test.
PATIENCE = 30.0


@dataclass(frozen=True)
class Received:
    """A request as a backend read it."""

    head: bytes
    body: bytes

    @property
    def line(self) -> bytes:
        return self.head.split(b"\r\n")[0]

    def field(self, name: str) -> list[str]:
        """The values of a header field."""
        wanted = name.lower().encode()
        pairs = [line.split(b":", 1) for line in self.head.split(b"\r\n")[1:] if line]
        return [value.strip().decode("latin-1") for key, value in pairs if key.lower() == wanted]


class Peer:
    """One connection to a backend, as a script sees it."""

    def __init__(self, sock: gsocket.socket) -> None:
        self.sock = sock
        self.buffer = b""
        sock.settimeout(PATIENCE)

    def arrived(self) -> bool:
        """Wait until something of a request has come; False at the connection's end."""
        return bool(self.buffer or self.sock.recv(1, socket.MSG_PEEK))

    def read_head(self) -> bytes:
        """Up to the empty line; nothing if the connection ended."""
        while b"\r\n\r\n" not in self.buffer:
            data = self.sock.recv(65536)
            if not data:
                return b""
            self.buffer += data
        head, self.buffer = self.buffer.split(b"\r\n\r\n", 1)
        return head

    def read_exactly(self, size: int) -> bytes:
        while len(self.buffer) < size:
            data = self.sock.recv(65536)
            if not data:
                raise ConnectionError("the request's body was cut")
            self.buffer += data
        wanted, self.buffer = self.buffer[:size], self.buffer[size:]
        return wanted

    def read_line(self) -> bytes:
        while b"\r\n" not in self.buffer:
            data = self.sock.recv(65536)
            if not data:
                raise ConnectionError("the request's body was cut")
            self.buffer += data
        line, self.buffer = self.buffer.split(b"\r\n", 1)
        return line

    def read_body(self, head: bytes) -> bytes:
        request = Received(head, b"")
        if request.field("Transfer-Encoding"):
            body = b""
            while size := int(self.read_line(), 16):
                body += self.read_exactly(size)
                assert self.read_line() == b""
            assert self.read_line() == b""
            return body
        length = request.field("Content-Length")
        return self.read_exactly(int(length[0])) if length else b""

    def send(self, data: bytes) -> None:
        self.sock.sendall(data)

    def answer(self, body: bytes = b"ok", status: str = "200 OK", **fields: str) -> None:
        extra = "".join(f"{name.replace('_', '-')}: {value}\r\n" for name, value in fields.items())
        self.send(f"HTTP/1.1 {status}\r\nContent-Length: {len(body)}\r\n{extra}\r\n".encode() + body)

    def reset(self) -> None:
        """Close so that the other side gets a reset."""
        reset_socket(self.sock)


Script = Callable[[Peer, Received], Any]

#: A script returns this to close the connection after it.
CLOSE = object()


class Backend:
    """A server on a free port of 127.0.0.1, or on a Unix socket. Use as a context manager."""

    def __init__(self, script: Script | None = None, path: Path | None = None) -> None:
        self.script: Script = script or echo_target
        #: If set, called for each new connection instead of reading a request.
        self.on_accept: Callable[[Peer], Any] | None = None
        #: If set, called when something of a request has come instead of reading it, also on a connection
        #: that was kept.
        self.on_arrival: Callable[[Peer], Any] | None = None
        #: What a health check is answered; None: it gets no answer but the script's.
        self.health: str | None = "200 OK"
        self.requests: list[Received] = []
        self.connections = 0
        self._open: set[gsocket.socket] = set()
        self._listening = Listening()
        where: Any = ("127.0.0.1", 0)
        if path is not None:
            where = gsocket.socket(socket.AF_UNIX)
            where.bind(str(path))
            where.listen()
        self._server = StreamServer(where, self._serve)

    def __enter__(self) -> Backend:
        self._server.start()
        self.port: int = self._server.server_port or 0
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def stop(self) -> None:
        self._listening.stop()
        self._server.stop()
        for sock in list(self._open):
            sock.close()

    def drop_connections(self) -> None:
        """Close what is open, as a server that restarts does."""
        for sock in list(self._open):
            sock.shutdown(socket.SHUT_RDWR)

    # What may be wrong with new connections; those that are open go on.

    def refuse_connections(self) -> None:
        self._server.close()

    def reset_connections(self) -> None:
        self._server.stop_accepting()
        self._listening.reset(self._server.socket.fileno())

    def ignore_connections(self) -> None:
        self._server.stop_accepting()
        self._listening.fill(self._server.socket, self.port)

    def _serve(self, sock: gsocket.socket, _: Any) -> None:
        self._open.add(sock)
        self.connections += 1
        try:
            peer = Peer(sock)
            if self.on_accept is not None:
                self.on_accept(peer)
                return
            while self._serve_one(peer):
                pass
        except (OSError, ConnectionError):
            return  # the proxy closed the connection, which the test looks at from the other side
        finally:
            self._open.discard(sock)
            sock.close()

    def _serve_one(self, peer: Peer) -> bool:
        if not peer.arrived():
            return False
        if self.on_arrival is not None:
            return self.on_arrival(peer) is not CLOSE
        head = peer.read_head()
        if not head:
            return False
        if self.health is not None and head.startswith(b"GET /-/health "):
            self.connections -= 1
            peer.answer(b"{}", self.health)
            return False
        request = Received(head, b"" if self.script in READS_ITSELF else peer.read_body(head))
        self.requests.append(request)
        return self.script(peer, request) is not CLOSE


# Scripts. Good ones first.


def echo_target(peer: Peer, request: Received) -> None:
    """The target of the request as the body."""
    peer.answer(request.line.split(b" ")[1])


def echo_body(peer: Peer, request: Received) -> None:
    peer.answer(request.body)


def echo_head(peer: Peer, request: Received) -> None:
    peer.answer(request.head)


def saying(raw: bytes, *, close: bool = False) -> Script:
    """Exactly these bytes as the answer."""

    def script(peer: Peer, request: Received) -> Any:
        peer.send(raw)
        return CLOSE if close else None

    return script


def handshake(request: Received) -> bytes:
    """The head that accepts a WebSocket."""
    key = request.field("Sec-WebSocket-Key")[0].encode()
    accept = b64encode(hashlib.sha1(key + b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11").digest())
    return (
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        b"Sec-WebSocket-Accept: " + accept + b"\r\n\r\n"
    )


def websocket_echo(peer: Peer, request: Received) -> Any:
    """A handshake, and then every byte comes back: a tunnel does not look at frames."""
    peer.send(handshake(request))
    data = peer.buffer or peer.sock.recv(65536)
    while data:
        peer.send(data)
        data = peer.sock.recv(65536)
    return CLOSE


def echo_stream(peer: Peer, request: Received) -> None:
    """Answers with the pieces of a chunked request while they come."""
    if request.field("Expect"):
        peer.send(b"HTTP/1.1 100 Continue\r\n\r\n")
    peer.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
    while size := int(peer.read_line(), 16):
        piece = peer.read_exactly(size)
        peer.read_line()
        peer.send(b"%x\r\n%b\r\n" % (len(piece), piece))
    peer.read_line()
    peer.send(b"0\r\n\r\n")


# And what goes wrong.


def silent(peer: Peer, request: Received) -> Any:
    """A black hole: takes the request and never answers."""
    peer.sock.recv(1)
    return CLOSE


def reset(peer: Peer, request: Received) -> Any:
    peer.reset()
    return CLOSE


def close_early(peer: Peer, request: Received) -> Any:
    """The end instead of an answer."""
    return CLOSE


def slowly(raw: bytes, pause: float) -> Script:
    """These bytes, one at a time."""

    def script(peer: Peer, request: Received) -> None:
        for byte in raw:
            peer.send(bytes([byte]))
            gevent.sleep(pause)

    return script


def reset_after(raw: bytes) -> Script:
    def script(peer: Peer, request: Received) -> Any:
        peer.send(raw)
        let_it_be_read()
        peer.reset()
        return CLOSE

    return script


def let_it_be_read() -> None:
    """A reset overtakes what the other side has not read yet."""
    for _ in range(2):
        gevent.sleep(0.005)
        gevent.idle()


#: Scripts that get the head only and read the body themselves.
READS_ITSELF: set[Script] = {echo_stream, websocket_echo}
