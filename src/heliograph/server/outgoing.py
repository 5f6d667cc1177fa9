"""How the end of an answer is told, whatever the application gives: its length, chunks, or the end of the connection.

No more bytes are sent than were announced, an answer that has fewer closes the connection, and one without a body has none. So
a client, and a proxy in between, always sees where the answer ends, or that it was cut (RFC 9112, 6.3 and 9.3).
"""

from __future__ import annotations

import logging
import re
from collections.abc import Callable
from typing import Any

from gevent.pywsgi import WSGIHandler
from gunicorn.workers.ggevent import PyWSGIHandler

from heliograph.server.exchange import BODILESS
from heliograph.server.sending import Outgoing

log = logging.getLogger("heliograph")

Fields = list[tuple[str, str]]

#: Bytes of a piece that is sent together with the head: copying that many costs less than a system call.
SENT_WITH_HEAD = 64 << 10

_LENGTH = re.compile(r"[0-9]{1,18}", re.ASCII)


class FramingHandler(PyWSGIHandler):  # type: ignore[misc]
    """The sending half of pywsgi's handler."""

    headers_sent: bool
    code: int
    response_headers: list[tuple[bytes, bytes]]
    #: Bytes that may still be sent of an answer whose length is known; None where it is not.
    _left: int | None = None
    _outgoing: Outgoing

    def start_response(self, status: str, headers: Fields, exc_info: Any = None) -> Callable[[bytes], None]:
        bodiless = int(status[:3]) in BODILESS
        # Not the one of gevent-websocket's handler, for which a socket that was not opened yet is a WebSocket.
        write: Callable[[bytes], None] = WSGIHandler.start_response(
            self, status, _framed_by_us(headers, bodiless), exc_info
        )
        self._left = None
        return write

    @property
    def sending_failed(self) -> bool:
        """Whether the client took no more of the answer: pywsgi negates the code then."""
        return self.code < 0

    def finalize_headers(self) -> None:
        super().finalize_headers()
        fields = self.response_headers
        if self.command == "HEAD" or self.code in BODILESS:
            self.response_use_chunked, self._left = False, 0
            self.response_headers = [field for field in fields if field[0] != b"Transfer-Encoding"]
        elif not self.response_use_chunked and self.code != 101:
            length = next((value for name, value in fields if name.lower() == b"content-length"), None)
            if length is not None:
                self._left = int(length)
            else:  # the end of the connection is the only end that HTTP/1.0 can see
                self.close_connection = True
        if self.wsgi_input.waits_for_100:
            self.close_connection = True
        if self.close_connection:
            kept = [field for field in self.response_headers if field[0].lower() != b"connection"]
            self.response_headers = [*kept, (b"Connection", b"close")]

    def write(self, data: bytes) -> None:
        if self.headers_sent:
            self._write(data)
        elif self.status:
            self._write_with_headers(data)
        else:
            raise self.ApplicationError("The application did not call start_response()")

    def _write_with_headers(self, data: bytes) -> None:
        self.finalize_headers()
        parts = [b"HTTP/1.1 ", self.status, b"\r\n"]
        for name, value in self.response_headers:
            parts += (name, b": ", value, b"\r\n")
        parts.append(b"\r\n")
        piece = self._piece(data)
        together = len(piece) <= SENT_WITH_HEAD
        if together:
            parts.append(piece)
        head = b"".join(parts)
        self.headers_sent = True
        self._sendall(head)
        if not together:
            self._sendall(piece)

    def _sendall(self, data: bytes) -> None:
        """What pywsgi calls for all that it sends."""
        try:
            self._outgoing.send(data)
        except OSError:
            self.code = -abs(self.code)
            raise
        self.response_length += len(data)

    def _write(self, data: bytes) -> None:
        piece = self._piece(data)
        if piece:
            self._sendall(piece)

    def _piece(self, data: bytes) -> bytes:
        """What is sent of a piece that the application gave."""
        left = self._left
        if left is not None:
            if len(data) > left:
                data = data[:left]
            self._left = left - len(data)
        elif self.response_use_chunked and data:
            return b"%x\r\n%b\r\n" % (len(data), data)
        return data

    def process_result(self) -> None:
        for data in self.result:
            if not data:
                continue
            if self._left == 0 and self.headers_sent:
                self._drop()
                break
            self.write(data)
        if not self.headers_sent:
            self.write(b"")  # an empty answer; it is an error that start_response was not called
        if self.response_use_chunked:
            self._sendall(b"0\r\n\r\n")
        if self._left:
            log.warning("an answer lacks %d of the bytes that its Content-Length announced", self._left)
            self.close_connection = True

    def _drop(self) -> None:
        if self.command != "HEAD" and self.code not in BODILESS:
            log.warning("an answer has more bytes than its Content-Length announced")


def _framed_by_us(headers: Fields, bodiless: bool) -> Fields:
    """The fields of an application without those that would contradict how the answer is framed."""
    kept: Fields = []
    for name, value in headers:
        key = name.lower()
        if key == "transfer-encoding" or (bodiless and key == "content-length"):
            continue
        if key == "content-length" and not _LENGTH.fullmatch(value):
            raise ValueError(f"Content-Length {value!r} is not a number")
        kept.append((name, "close") if key == "connection" and "close" in value.lower() else (name, value))
    return kept
