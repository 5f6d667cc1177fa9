"""What a view and gevent-websocket's programs see of a WebSocket: `environ["wsgi.websocket"]`.

gevent-websocket's interface on our engine: `receive`, `send`, `close`, `closed`, `origin`, `protocol`, `version`, `path`,
`handler`, `stream`, `environ`. What differs: the 101 goes out when the socket is first used (by the first `receive`, `send`,
`close` or look at `closed`), so that a view can refuse with an ordinary answer; close codes are sent; binary messages are `bytes`.
"""

from __future__ import annotations

import secrets
import socket
from typing import Any, Protocol

from geventwebsocket.exceptions import WebSocketError
from geventwebsocket.websocket import MSG_ALREADY_CLOSED, WebSocket

from heliograph.request.threads import in_thread
from heliograph.settings import MIB
from heliograph.websocket.connection import WebSocketConnection
from heliograph.websocket.deflate import MAX_INLINE, Deflate, message_frame
from heliograph.websocket.frames import BINARY, CLOSE, FIN, NORMAL, TEXT, serialize
from heliograph.websocket.handshake import Agreement
from heliograph.websocket.inbound import Inbound
from heliograph.websocket.registry import ConnectionRegistry


class Host(Protocol):
    """The server that a request came through."""

    @property
    def socket(self) -> Any: ...

    def take_over(self) -> bytes:
        """Leave the socket to the engine until the application returns; return what was read from it already."""


class FrameStream:
    """gevent-websocket's `stream`, for programs that look for the handler in it, or write frames themselves."""

    __slots__ = ("_connection", "handler")

    def __init__(self, handler: Any, connection: WebSocketConnection) -> None:
        self.handler = handler
        self._connection = connection

    def write(self, frames: bytes) -> None:
        """Send bytes that are whole frames."""
        self._connection.send(frames)


class Socket(WebSocket):  # type: ignore[misc]
    __slots__ = ("_agreement", "_connection", "_ended", "_host", "_registry", "deflate", "max_message")

    def __init__(
        self,
        environ: dict[str, Any],
        handler: Any,
        host: Host,
        agreement: Agreement,
        registry: ConnectionRegistry,
    ) -> None:
        """`handler` is gevent-websocket's, None under other servers. The base's __init__ belongs to its engine."""
        self.environ = environ  # type: ignore[misc]  # slots of the base, which has no types
        self.handler = handler  # type: ignore[misc]
        self.max_message = MIB
        self.deflate: Deflate | None = agreement.deflate
        self._host: Host | None = host
        self._agreement: Agreement | None = agreement
        self._registry: ConnectionRegistry | None = registry
        self._connection: WebSocketConnection | None = None
        self._ended = False

    def __del__(self) -> None:
        """Nothing: the library closes here, which would complete the handshake of a socket that was refused."""

    @property
    def accepted(self) -> bool:
        """Whether the handshake is complete."""
        return self._connection is not None

    def accept(self) -> WebSocketConnection:
        """Complete the handshake, once. Raises WebSocketError when the client is gone already."""
        if self._connection is None:
            host, agreement, registry = self._host, self._agreement, self._registry
            if host is None or agreement is None or registry is None:
                raise WebSocketError("the client is gone")
            # Let go of what only the handshake needs.
            self._host = self._agreement = self._registry = None
            request_id = str(self.environ.get("heliograph.request_id") or secrets.token_hex(16))
            try:
                early = host.take_over()
                host.socket.sendall(agreement.head(request_id))
            except OSError as exc:
                self._ended = True
                raise WebSocketError("the client is gone") from exc
            inbound = Inbound(self.max_message, self.deflate)
            self._connection = WebSocketConnection(_bare(host.socket), inbound, registry, early)
            registry.close_if_stopping(self._connection)
        return self._connection

    def receive(self) -> str | bytes | None:
        """The next message; None when the connection has ended, and WebSocketError after that."""
        connection = self._connection or self.accept()
        if self._ended:
            raise WebSocketError(MSG_ALREADY_CLOSED)
        message = connection.receive()
        if message is None:
            self._ended = True
        return message

    def send(self, message: str | bytes, binary: bool | None = None) -> None:
        """Send a message, and wait while the peer takes none. Raises WebSocketError when the connection has ended."""
        connection = self._connection or self.accept()
        payload = message.encode() if isinstance(message, str) else bytes(message)
        if binary is None:
            binary = not isinstance(message, str)
        opcode = BINARY if binary else TEXT
        if self.deflate is not None and len(payload) > MAX_INLINE:
            connection.send(in_thread(message_frame, opcode, payload, self.deflate))
        else:
            connection.send(message_frame(opcode, payload, self.deflate))

    def send_frame(self, message: str | bytes, opcode: int) -> None:
        """Send a frame of any kind, such as a ping with OPCODE_PING."""
        payload = message.encode() if isinstance(message, str) else bytes(message)
        if opcode == CLOSE:
            self.close(int.from_bytes(payload[:2], "big") or NORMAL, payload[2:])
        elif opcode > CLOSE and len(payload) > 125:
            raise ValueError("control frames carry at most 125 bytes")
        else:
            self.accept().send(serialize(FIN | opcode, payload))

    def close(self, code: int = NORMAL, message: str | bytes = b"") -> None:
        """Send a close frame, once, and do not wait for its answer. Raises ValueError for a code that cannot be sent."""
        reason = message.decode(errors="replace") if isinstance(message, bytes) else message
        try:
            connection = self.accept()
        except WebSocketError:  # then it is closed
            return
        connection.close(code, reason)
        self._ended = True

    def finish(self) -> None:
        """Close what is still open, and wait until the peer has answered or had its time."""
        if self._connection is not None:
            self._connection.finish()

    def abort(self) -> None:
        """End the connection without a word."""
        if self._connection is not None:
            self._connection.abort()

    @property
    def closed(self) -> bool:
        """Whether nothing can be sent any more."""
        return not self.accept().is_open

    @property
    def stream(self) -> FrameStream:
        return FrameStream(self.handler, self.accept())


def _bare(connection: Any) -> socket.socket:
    """The kernel's socket below gevent's, which never blocks."""
    bare: socket.socket = connection._sock
    if bare.family in (socket.AF_INET, socket.AF_INET6):
        bare.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return bare
