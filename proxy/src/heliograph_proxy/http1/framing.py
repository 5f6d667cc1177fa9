"""Bodies: wire bytes in, payload out, and where the message ends. Pure.

Each reader takes pieces of any size with `feed`, returns the payload in them, and is `complete` when the
message has ended; bytes beyond that are in `rest`. `ended` tells it that the connection did. Doubt is a
`FramingError`. Extensions and trailers are checked and dropped.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from enum import Enum, auto
from typing import Final, Protocol

from heliograph_proxy.errors import FramingError
from heliograph_proxy.http1 import grammar

#: All extensions of one body: only attackers use them. HAProxy and Go stop at similar sizes.
MAX_EXTENSIONS: Final = 4096
#: All trailers of one body, which are dropped anyway.
MAX_TRAILERS: Final = 8190
#: 16 hexadecimal digits; the value must also fit a signed 64-bit number, as backends count in those.
MAX_CHUNK: Final = (1 << 63) - 1

# RFC 9112 section 7.1: chunk = chunk-size [ chunk-ext ] CRLF; chunk-ext = *( BWS ";" BWS name [ BWS "=" BWS
# value ] )
_QUOTED: Final = rb'"(?:[\t\x20-\x21\x23-\x5b\x5d-\x7e\x80-\xff]|\\[\t\x20-\x7e\x80-\xff])*+"'
_EXTENSION: Final = (
    rb"[ \t]*+;[ \t]*+"
    + grammar.TOKEN
    + rb"(?:[ \t]*+=[ \t]*+(?:"
    + grammar.TOKEN
    + rb"|"
    + _QUOTED
    + rb"))?+"
)
SIZE_LINE: Final = re.compile(rb"([0-9A-Fa-f]{1,16}+)((?:" + _EXTENSION + rb")*+)\r\n")
_PLAIN_SIZE: Final = re.compile(rb"([0-9A-Fa-f]{1,8}+)\r\n")
#: As what may stand first in a piece of a size line: nothing yet, or one of them.
_HEX_DIGITS: Final = frozenset((b"", *(b"%c" % digit for digit in b"0123456789abcdefABCDEF")))

LAST_CHUNK: Final = b"0\r\n\r\n"


def chunk(payload: bytes) -> bytes:
    """One chunk on the wire; nothing for no payload, as an empty chunk would end the body."""
    return b"%x\r\n%b\r\n" % (len(payload), payload) if payload else b""


class BodyReader(Protocol):
    """What the three framings have in common."""

    complete: bool
    rest: bytes

    def feed(self, data: bytes) -> bytes: ...

    def ended(self) -> None: ...


class LengthReader:
    """A body of a known length; 0 is complete from the start."""

    __slots__ = ("complete", "remaining", "rest")

    def __init__(self, length: int) -> None:
        self.remaining = length
        self.complete = length == 0
        self.rest = b""

    def feed(self, data: bytes) -> bytes:
        size = len(data)
        if size > self.remaining:
            data, self.rest = data[: self.remaining], data[self.remaining :]
            size = self.remaining
        self.remaining -= size
        self.complete = not self.remaining
        return data

    def ended(self) -> None:
        if not self.complete:
            raise FramingError(f"the body ended {self.remaining} bytes before its Content-Length")


class UntilClosed:
    """A response's body that ends with the connection."""

    __slots__ = ("complete", "rest")

    def __init__(self) -> None:
        self.complete = False
        self.rest = b""

    def feed(self, data: bytes) -> bytes:
        return data

    def ended(self) -> None:
        self.complete = True


class _State(Enum):
    SIZE = auto()
    DATA = auto()
    AFTER_DATA = auto()
    TRAILER = auto()
    DONE = auto()


class ChunkedReader:
    """The state machine of RFC 9112 section 7.1."""

    __slots__ = (
        "_buffer",
        "_extensions",
        "_position",
        "_remaining",
        "_state",
        "_trailers",
        "complete",
        "rest",
    )

    def __init__(self) -> None:
        self._state = _State.SIZE
        self._buffer = b""
        self._position = 0
        self._remaining = 0
        self._extensions = 0
        self._trailers = 0
        self.complete = False
        self.rest = b""

    def feed(self, data: bytes) -> bytes:
        self._buffer = self._buffer + data if self._buffer else data
        self._position = 0
        pieces: list[bytes] = []
        while self._state is not _State.DONE and _STEPS[self._state](self, pieces):
            pass
        remainder = self._buffer[self._position :]
        if self._state is _State.DONE:
            self.complete, self.rest, remainder = True, remainder, b""
        self._buffer = remainder
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    def ended(self) -> None:
        if not self.complete:
            raise FramingError("the body ended before its last chunk")

    # Each step consumes what it can and says whether it got on.

    def _size(self, pieces: list[bytes]) -> bool:
        self._take_plain(pieces)
        line = self._line(MAX_EXTENSIONS + 18)
        if line is None:
            # Do not wait for the end of a line that cannot become a good one.
            if self._buffer[self._position : self._position + 1] not in _HEX_DIGITS:
                raise FramingError("a chunk's size line is malformed")
            return False
        match = SIZE_LINE.fullmatch(line)
        self._extensions += len(match[2]) if match else 0
        if not match or self._extensions > MAX_EXTENSIONS or int(match[1], 16) > MAX_CHUNK:
            raise FramingError("a chunk's size line is malformed")
        self._remaining = int(match[1], 16)
        self._state = _State.DATA if self._remaining else _State.TRAILER
        return True

    def _take_plain(self, pieces: list[bytes]) -> None:
        """Whole chunks without extensions, as nearly all are. Five times as fast as the steps, which matters
        when a client sends a body as chunks of one byte; anything unusual is left to the steps."""
        buffer, position = self._buffer, self._position
        while match := _PLAIN_SIZE.match(buffer, position):
            start = match.end()
            end = start + int(match[1], 16)
            if end == start or buffer[end : end + 2] != b"\r\n":
                break
            pieces.append(buffer[start:end])
            position = end + 2
        self._position = position

    def _data(self, pieces: list[bytes]) -> bool:
        piece = self._buffer[self._position : self._position + self._remaining]
        if piece:
            pieces.append(piece)
        self._position += len(piece)
        self._remaining -= len(piece)
        if self._remaining:
            return False
        self._state = _State.AFTER_DATA
        return True

    def _after_data(self, pieces: list[bytes]) -> bool:
        ending = self._buffer[self._position : self._position + 2]
        if not b"\r\n".startswith(ending):
            raise FramingError("a chunk's data is not followed by CRLF")
        if len(ending) < 2:
            return False
        self._position += 2
        self._state = _State.SIZE
        return True

    def _trailer(self, pieces: list[bytes]) -> bool:
        line = self._line(MAX_TRAILERS)
        if line is None:
            return False
        self._trailers += len(line)
        if line == b"\r\n":
            self._state = _State.DONE
        elif self._trailers > MAX_TRAILERS or not grammar.FIELD_LINE.fullmatch(line):
            raise FramingError("a trailer is malformed")
        return True

    def _line(self, limit: int) -> bytes | None:
        """The next line with its end, or None while it is not there; a bare CR or LF is refused by either
        grammar."""
        end = self._buffer.find(b"\n", self._position)
        line = self._buffer[self._position : end + 1 if end >= 0 else None]
        if len(line) > limit or (end < 0 and b"\r" in line[:-1]):
            raise FramingError("a line of the chunked framing is too long or has a bare CR")
        if end < 0:
            return None
        self._position = end + 1
        return line


_STEPS: dict[_State, Callable[[ChunkedReader, list[bytes]], bool]] = {
    _State.SIZE: ChunkedReader._size,
    _State.DATA: ChunkedReader._data,
    _State.AFTER_DATA: ChunkedReader._after_data,
    _State.TRAILER: ChunkedReader._trailer,
}
