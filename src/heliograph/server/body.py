"""The body of a request: pywsgi's, with the proxy's grammar of chunks, errors that applications know, and a bounded end."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import gevent
from gevent.pywsgi import Input, _InvalidClientInput  # type: ignore[attr-defined]
from heliograph_proxy.http1 import framing, grammar
from werkzeug.exceptions import ClientDisconnected, RequestTimeout

from heliograph.settings import MIB

#: Bytes that are read of a body that the application did not read, and seconds this may take, before the connection is closed.
#: Reading lets the answer arrive: closing at once would reset the connection under it.
MAX_DISCARDED = 256 * MIB
DISCARD_TIMEOUT = 2.0

#: Bytes of the line with a chunk's size: as at the proxy.
_MAX_SIZE_LINE = framing.MAX_EXTENSIONS + 18

_HEX_DIGITS = b"0123456789abcdefABCDEF"


class BodyError(ClientDisconnected, _InvalidClientInput):  # type: ignore[misc]
    """The body ended in the middle, or is not valid. An OSError for any application, and a 400 for Werkzeug's."""


class SilentBody(RequestTimeout, TimeoutError):
    """Nothing more came of the body. The same with 408."""


class BoundedInput(Input):
    """Of which only so much is read after the answer. Closes the connection when that was not all."""

    #: The connection's handler.
    handler: Any
    _extensions = 0

    def _discard(self) -> None:
        broken = self._chunked_input_error
        if broken or not (self.position < (self.content_length or 0) or self.chunked_input):
            return
        if self.waits_for_100 or not discard(self.read):
            self.handler.close_connection = True

    @property
    def waits_for_100(self) -> bool:
        """Whether the client may send its body, or its next request: nobody told it to go on."""
        return self.socket is not None

    def _do_read(self, length: int | None = None, use_readline: bool = False) -> bytes:
        return self._checked(super()._do_read, length, use_readline)  # type: ignore[misc]

    def _chunked_read(self, length: int | None = None, use_readline: bool = False) -> bytes:
        return self._checked(super()._chunked_read, length, use_readline)  # type: ignore[misc]

    def _checked(self, read: Callable[..., bytes], length: int | None, use_readline: bool) -> bytes:
        try:
            return read(length, use_readline)
        except _InvalidClientInput:
            raise
        except TimeoutError as exc:
            self._chunked_input_error = True
            raise SilentBody("Nothing more came of the body.") from exc
        except OSError as exc:
            self._chunked_input_error = True
            raise BodyError("The body ended in the middle.") from exc

    # pywsgi calls these two by their names as it sees them.

    def _Input__read_chunk_length(self, rfile: Any) -> int:
        if rfile.peek(1)[:1] not in _HEX_DIGITS:  # a line that will not become a good one is not waited for
            raise self._invalid("A chunk's size line is not valid.")
        line = rfile.readline(_MAX_SIZE_LINE)
        match = framing.SIZE_LINE.fullmatch(line)
        self._extensions += len(match[2]) if match else 0
        size = int(match[1], 16) if match else -1
        if not 0 <= size <= framing.MAX_CHUNK or self._extensions > framing.MAX_EXTENSIONS:
            raise self._invalid("A chunk's size line is not valid.")
        if size == 0:
            self._read_trailers(rfile)
        return size

    def _read_trailers(self, rfile: Any) -> None:
        left = framing.MAX_TRAILERS
        while (line := rfile.readline(left + 2)) != b"\r\n":
            left -= len(line)
            if left < 0 or not grammar.FIELD_LINE.fullmatch(line):
                raise self._invalid("The trailers of the body are not valid, or too long.")

    def _invalid(self, detail: str) -> BodyError:
        self._chunked_input_error = True
        return BodyError(detail)


def discard(read: Callable[[int], bytes]) -> bool:
    """Read until the end; False when that is too far away or never comes."""
    left = MAX_DISCARDED
    with gevent.Timeout(DISCARD_TIMEOUT, False):  # type: ignore[arg-type]
        try:
            while left > 0:
                piece = read(min(left, 64 << 10))
                if not piece:
                    return True
                left -= len(piece)
        except (OSError, ValueError):  # the client is gone, or what it sends is no body
            return False
    return False
