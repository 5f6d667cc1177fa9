"""What a view and gevent-websocket's programs see of a WebSocket: `environ["wsgi.websocket"]`.

gevent-websocket's interface on our engine: `receive`, `send`, `close`, `closed`, `origin`, `protocol`, `version`, `path`,
`handler`, `stream`, `environ`. What differs: a routed view may refuse with an ordinary answer, since the 101 goes out when such a
view begins; close codes are sent; binary messages are `bytes`; `receive` takes a timeout.
"""

from __future__ import annotations

import logging
import secrets
import socket
from collections.abc import Callable, Sequence
from typing import Any, Protocol

import gevent
from gevent import GreenletExit
from geventwebsocket.exceptions import WebSocketError
from geventwebsocket.websocket import MSG_ALREADY_CLOSED, WebSocket

from heliograph.request.threads import in_thread
from heliograph.websocket.connection import WebSocketConnection
from heliograph.websocket.deflate import MAX_INLINE, Deflate, message_frame
from heliograph.websocket.frames import (
    ABNORMAL,
    BINARY,
    CLOSE,
    FIN,
    MAX_CONTROL,
    NORMAL,
    OUR_ERROR,
    PING,
    PONG,
    RESTART,
    TEXT,
    serialize,
)
from heliograph.websocket.handshake import Agreement
from heliograph.websocket.inbound import Inbound
from heliograph.websocket.registry import ConnectionRegistry

Message = str | bytes | bytearray | memoryview

log = logging.getLogger("heliograph")


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
    __slots__ = (
        "_agreement",
        "_connection",
        "_ended",
        "_gave_none",
        "_host",
        "_registry",
        "deflate",
        "max_message",
        "subprotocol",
    )

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
        #: Bytes of the longest message; None: what is set for the server.
        self.max_message: int | None = None
        self.deflate: Deflate | None = agreement.deflate
        #: What client and server agreed on, or None.
        self.subprotocol = agreement.subprotocol
        self._host: Host | None = host
        self._agreement: Agreement | None = agreement
        self._registry: ConnectionRegistry | None = registry
        self._connection: WebSocketConnection | None = None
        self._ended = self._gave_none = False

    def __del__(self) -> None:
        """Nothing: the library closes here, which would complete the handshake of a socket that was refused."""

    @property
    def accepted(self) -> bool:
        """Whether the handshake is complete."""
        return self._connection is not None

    def choose_subprotocol(self, known: Sequence[str]) -> None:
        """Agree on the first of `known` that the client offers, if any. To be called before the handshake is complete."""
        if self._agreement is not None and self.subprotocol is None:
            self._agreement = self._agreement.choosing(known, self.environ)
            self.subprotocol = self._agreement.subprotocol

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
            inbound = Inbound(self.max_message or registry.max_message, self.deflate)
            self._connection = WebSocketConnection(_bare(host.socket), inbound, registry, early)
            registry.close_if_stopping(self._connection)
        return self._connection

    def receive(self, timeout: float | None = None) -> str | bytes | None:
        """The next message; None when the connection has ended, and WebSocketError after that.

        Raises TimeoutError when nothing came for `timeout` seconds; the connection stays open then.
        """
        connection = self._connection or self.accept()
        if self._ended:
            raise WebSocketError(MSG_ALREADY_CLOSED)
        message = connection.receive() if timeout is None else _within(timeout, connection.receive)
        if message is None:
            self._ended = self._gave_none = True
        return message

    def send(self, message: Message, binary: bool | None = None) -> None:
        """Send a message, and wait while the peer takes none.

        `binary`: by default text for `str` and binary for bytes. Raises WebSocketError when the connection has ended, whatever the
        message; TypeError for what is neither text nor bytes; ValueError for a text that is not UTF-8.
        """
        connection = self._open_connection()
        if binary is None:
            binary = not isinstance(message, str)
        payload = _binary(message) if binary else _utf8(message)
        opcode = BINARY if binary else TEXT
        if self.deflate is not None and len(payload) > MAX_INLINE:
            connection.send(in_thread(message_frame, opcode, payload, self.deflate))
        else:
            connection.send(message_frame(opcode, payload, self.deflate))

    def send_frame(self, message: Message, opcode: int) -> None:
        """Send a message of this opcode, or a ping with OPCODE_PING. Errors are those of `send`; ValueError for other opcodes."""
        if opcode in (TEXT, BINARY):
            self.send(message, binary=opcode == BINARY)
            return
        connection = self._open_connection()
        payload = _binary(message)
        if opcode == CLOSE:
            self.close(int.from_bytes(payload[:2], "big") or NORMAL, payload[2:])
        elif opcode not in (PING, PONG):
            raise ValueError(f"a frame of opcode {opcode} cannot be sent alone")
        elif len(payload) > MAX_CONTROL:
            raise ValueError(f"control frames carry at most {MAX_CONTROL} bytes")
        else:
            connection.send(serialize(FIN | opcode, payload))

    def close(self, code: int = NORMAL, message: Message | None = None) -> None:
        """Send a close frame, once, and do not wait for its answer. Raises ValueError for a code that cannot be sent."""
        if isinstance(message, bytes | bytearray | memoryview):
            message = bytes(message).decode(errors="replace")
        reason = str(message or "")
        try:
            connection = self.accept()
        except WebSocketError:  # then it is closed
            return
        connection.close(code, reason)
        self._ended = True

    def _open_connection(self) -> WebSocketConnection:
        """Raises WebSocketError when the connection has ended."""
        connection = self._connection or self.accept()
        if self._ended or not connection.is_open:
            raise WebSocketError(MSG_ALREADY_CLOSED)
        return connection

    def explains(self, exc: BaseException) -> bool:
        """Whether an exception is that of a loop which takes the None for a message that `receive` gives at the end.

        Programs of gevent-websocket do so: `json.loads(socket.receive())`. Nothing is wrong but that the client has left.
        """
        return self._gave_none and isinstance(exc, AttributeError | TypeError) and "NoneType" in str(exc)

    def fail(self, exc: BaseException) -> None:
        """Close for an exception that ended the application's part: with 1012 where its greenlet is killed, else with 1011."""
        if self._connection is None:
            return
        if isinstance(exc, GreenletExit):
            self.close(RESTART)
            return
        self.close(OUR_ERROR)
        self.finish()

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
        """Whether nothing can be sent any more. True may be assigned, as with gevent-websocket: it closes the connection."""
        return self._ended or not self.accept().is_open

    @closed.setter
    def closed(self, closed: bool) -> None:
        if closed:
            self.close()
        elif self.closed:
            raise WebSocketError(MSG_ALREADY_CLOSED)

    @property
    def close_code(self) -> int:
        """How the connection ended: the code of the client's close frame, else of ours; 1006 without any."""
        return ABNORMAL if self._connection is None else self._connection.close_code

    def handle_close(self, header: Any, payload: bytes) -> None:
        """Close as a close frame with this payload asks for. The library's name."""
        self.send_frame(payload, CLOSE)

    @property
    def stream(self) -> FrameStream:
        return FrameStream(self.handler, self.accept())


def log_left(exc: BaseException) -> None:
    """Where `Socket.explains` an exception. Its traceback is there for those who look for more."""
    log.info("a WebSocket's client has left, and the program took the None of receive for a message: %s", exc)
    log.debug("the program took it for a message here", exc_info=exc)


def _within(seconds: float, receive: Callable[[], str | bytes | None]) -> str | bytes | None:
    timeout = gevent.Timeout(seconds)
    with timeout:
        try:
            return receive()
        except gevent.Timeout as exc:
            if exc is not timeout:  # one of the view's own
                raise
            raise TimeoutError(f"no message came in {seconds} s") from exc


def _binary(message: Message) -> bytes:
    if isinstance(message, str):
        return message.encode()
    if isinstance(message, bytes | bytearray | memoryview):
        return bytes(message)
    raise TypeError(f"a message is text or bytes, not {type(message).__name__}")


def _utf8(message: Message) -> bytes:
    payload = _binary(message)
    if not isinstance(message, str):
        payload.decode()  # RFC 6455, 8.1: the peer must fail the connection for a text that is not UTF-8
    return payload


def _bare(connection: Any) -> socket.socket:
    """The kernel's socket, which never blocks: that below gevent's, or one of a server without gevent."""
    bare: socket.socket = getattr(connection, "_sock", connection)
    if bare is connection:
        bare.setblocking(False)
    if bare.family in (socket.AF_INET, socket.AF_INET6):
        bare.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return bare
