"""A gevent-websocket `WebSocket` that opens when it is first used, and closes as RFC 6455 says.

The library's own engine sends the 101 before the application has seen the request, never sends its close codes, takes unmasked
and endless frames. Here the handshake is completed by the first `receive`, `send`, `close` or look at `closed`, so a view can
refuse with an ordinary answer (404, 403); frames are masked and bounded.
"""

from __future__ import annotations

import struct
from typing import Any

from gevent.lock import BoundedSemaphore
from geventwebsocket.exceptions import ProtocolError, WebSocketError
from geventwebsocket.websocket import Header, WebSocket

from app.settings import MIB

PROTOCOL_ERROR = 1002
NOT_UTF8 = 1007
TOO_LONG = 1009
OUR_ERROR = 1011
RESTART = 1012

#: A close frame carries at most 125 bytes, two of them the code (RFC 6455, 5.5).
MAX_REASON = 123


class TooLong(ProtocolError):  # type: ignore[misc]
    """A message is longer than HELIOGRAPH_WS_MAX_MESSAGE."""


class Socket(WebSocket):  # type: ignore[misc]
    def __init__(self, environ: dict[str, Any], stream: Any, handler: Any, max_message: int = MIB) -> None:
        self._closed = False
        self.accepted = False
        self.max_message = max_message
        self._message_size = 0
        self._writing = BoundedSemaphore()
        super().__init__(environ, stream, handler)

    def __del__(self) -> None:
        """Nothing: the library closes here, which would complete the handshake of a socket that was refused."""

    @property
    def closed(self) -> bool:
        self.accept()
        return self._closed

    @closed.setter
    def closed(self, value: bool) -> None:
        self._closed = value

    def accept(self) -> None:
        """Complete the handshake, once."""
        if not self.accepted and not self._closed and self.handler is not None:
            self.accepted = True
            try:
                self.handler.switch_protocols()
            except OSError as exc:
                self._abandon()
                raise WebSocketError("the client is gone") from exc

    def receive(self) -> str | bytes | None:
        """The next message; None once the connection is closed."""
        if self.closed:
            return None
        try:
            message = self.read_message()
        except TooLong as exc:
            self.close(TOO_LONG, str(exc))
        except UnicodeError:
            self.close(NOT_UTF8)
        except ProtocolError as exc:
            self.close(PROTOCOL_ERROR, str(exc))
        except (OSError, WebSocketError):
            self._abandon()
        else:
            # What arrives after our own close frame is for nobody.
            return None if self._closed else bytes(message) if isinstance(message, bytearray) else message
        return None

    def read_frame(self) -> tuple[Header, bytes]:
        stream = self.stream  # another greenlet may close this socket while we wait
        if stream is None:
            raise WebSocketError("closed")
        header = Header.decode_header(stream)
        if header.flags:
            raise ProtocolError("reserved bits are set")
        if not header.mask:
            raise ProtocolError("frames of clients are masked")
        self._check_size(header)
        payload: bytes = stream.read(header.length) if header.length else b""
        if len(payload) != header.length:
            raise WebSocketError("the connection ended in a frame")
        return header, unmask(payload, header.mask)

    def _check_size(self, header: Header) -> None:
        """Raise TooLong when the frame, with those of its message before it, is longer than a message may be."""
        if header.opcode in (self.OPCODE_TEXT, self.OPCODE_BINARY):
            self._message_size = header.length
        elif header.opcode == self.OPCODE_CONTINUATION:
            self._message_size += header.length
        if self._message_size > self.max_message:
            raise TooLong(f"at most {self.max_message} bytes")

    def send_frame(self, message: str | bytes, opcode: int) -> None:
        """Send one frame, whole: a ping's answer, or the goodbye of another greenlet, waits until it is out."""
        with self._writing:
            super().send_frame(message, opcode)

    def validate_utf8(self, payload: bytes) -> None:
        """Nothing: `_decode_bytes` checks the whole message at C speed."""

    def _decode_bytes(self, bytestring: bytes) -> str:
        return bytes(bytestring).decode()

    def handle_close(self, header: Header, payload: bytes) -> None:
        if len(payload) == 1:
            raise ProtocolError("a close frame of one byte")
        code = struct.unpack("!H", payload[:2])[0] if payload else 1000
        bytes(payload[2:]).decode()
        if not self._is_valid_close_code(code):
            raise ProtocolError("an invalid close code")
        self.close(code)

    def _is_valid_close_code(self, code: int) -> bool:
        return code in (1000, 1001, 1002, 1003) or 1007 <= code <= 1014 or 3000 <= code <= 4999

    def close(self, code: int = 1000, message: str | bytes = b"") -> None:
        """Send a close frame with its code, once."""
        if self.closed:
            return
        reason = message if isinstance(message, bytes) else message.encode()
        try:
            self.send_frame(struct.pack("!H", code) + reason[:MAX_REASON], self.OPCODE_CLOSE)
        except (OSError, WebSocketError) as exc:
            self.logger.debug("the close frame could not be sent: %s", exc)
        finally:
            self._abandon()

    def _abandon(self) -> None:
        self._closed = True
        self.stream: Any = None
        self.raw_write: Any = None
        self.raw_read: Any = None


def unmask(payload: bytes, mask: bytes) -> bytes:
    """RFC 6455, 5.3, by one operation on long integers: the library's loop holds the event loop for 60 ms a megabyte."""
    length = len(payload)
    key = (mask * (length // 4 + 1))[:length]
    return (int.from_bytes(payload, "little") ^ int.from_bytes(key, "little")).to_bytes(length, "little")
