"""What a client may say on a WebSocket, rightly or wrongly, and what has to come back. For hypothesis: `conversations()`.

A conversation is turns and an ending. Turns become pieces of the byte stream when it is known whether messages may be
compressed; each piece says what it has to bring about.
"""

from __future__ import annotations

import itertools
import zlib
from collections.abc import Callable
from dataclasses import dataclass, field

from hypothesis import strategies as st

from tests.heliograph.websocket.raw import BINARY, CLOSE, CONTINUATION, PING, PONG, TEXT, Frame, frame

#: The longest message that the server takes.
LIMIT = 64 << 10

RSV1, RSV2, RSV3 = 0x40, 0x20, 0x10

PROTOCOL_ERROR, NOT_UTF8, TOO_LONG = 1002, 1007, 1009

#: Around the borders of the three forms of a length, and of the limit.
SIZES = (0, 1, 2, 7, 125, 126, 127, 1000, 4096, 65535, LIMIT)


@dataclass(frozen=True)
class Piece:
    """Bytes, and what comes back once the server has all of them: an echo, a pong, an end with one of these codes."""

    data: bytes
    echo: Frame | None = None
    pong: bytes | None = None
    ends: frozenset[int] = frozenset()


class Deflater:
    """Compresses messages as the client of a WebSocket does (RFC 7692, section 7.2.1)."""

    def __init__(self, window: int, takeover: bool) -> None:
        self._window, self._takeover = window, takeover
        self._stream = self._fresh()

    def _fresh(self) -> zlib._Compress:
        return zlib.compressobj(wbits=-self._window)

    def __call__(self, payload: bytes) -> bytes:
        if not self._takeover:
            self._stream = self._fresh()
        return (self._stream.compress(payload) + self._stream.flush(zlib.Z_SYNC_FLUSH)).removesuffix(
            b"\x00\x00\xff\xff"
        )


@dataclass(frozen=True)
class Control:
    opcode: int
    payload: bytes
    mask: bytes

    def pieces(self, _: Deflater | None) -> list[Piece]:
        pong = self.payload if self.opcode == PING else None
        return [Piece(frame(self.opcode, self.payload, mask=self.mask), pong=pong)]


@dataclass(frozen=True)
class Message:
    """`cuts` are parts of the (maybe compressed) payload's length where it is cut into fragments; `between` may stand there."""

    opcode: int
    payload: bytes
    mask: bytes
    compressed: bool = False
    cuts: tuple[float, ...] = ()
    between: tuple[Control, ...] = ()
    ends: frozenset[int] = frozenset()

    def pieces(self, deflate: Deflater | None) -> list[Piece]:
        squeeze = self.compressed and deflate is not None
        payload = deflate(self.payload) if deflate is not None and squeeze else self.payload
        places = [0, *(int(cut * len(payload)) for cut in sorted(self.cuts)), len(payload)]
        found = []
        for number, (start, end) in enumerate(itertools.pairwise(places)):
            last = number == len(places) - 2
            data = frame(
                CONTINUATION if number else self.opcode,
                payload[start:end],
                fin=last,
                mask=self.mask,
                flags=RSV1 if squeeze and not number else 0,
            )
            whole = last and not self.ends
            found.append(
                Piece(
                    data,
                    Frame(self.opcode, self.payload) if whole else None,
                    ends=self.ends if last else frozenset(),
                )
            )
            if not last and number < len(self.between):
                found += self.between[number].pieces(deflate)
        return found


@dataclass(frozen=True)
class Raw:
    """Bytes that end the connection. `begun`: a message is begun and not finished before."""

    data: bytes
    ends: frozenset[int]
    begun: bool = False

    def pieces(self, _: Deflater | None) -> list[Piece]:
        first = [Piece(frame(TEXT, b"begun ", fin=False))] if self.begun else []
        return [*first, Piece(self.data, ends=self.ends)]


@dataclass(frozen=True)
class Corrupt:
    """A message whose compressed bytes are `data`; where nothing is compressed the bit itself is wrong."""

    data: Callable[[], bytes]
    ends: frozenset[int]

    def pieces(self, deflate: Deflater | None) -> list[Piece]:
        ends = self.ends if deflate else frozenset({PROTOCOL_ERROR})
        return [Piece(frame(BINARY, self.data(), flags=RSV1), ends=ends)]


Turn = Message | Control | Raw | Corrupt


@dataclass(frozen=True)
class Conversation:
    """`after` are bytes that nobody may heed; `chunks` parts of the stream's length where it is cut into sends."""

    turns: tuple[Turn, ...]
    after: bytes = b""
    chunks: tuple[float, ...] = ()
    #: Of the stream's length: where the client falls silent and ends its side, or 1 for never.
    silent: float = 1.0
    byte_by_byte: bool = field(default=False)


def masks() -> st.SearchStrategy[bytes]:
    return st.binary(min_size=4, max_size=4)


def controls() -> st.SearchStrategy[Control]:
    return st.builds(Control, st.sampled_from((PING, PING, PONG)), st.binary(max_size=125), masks())


def payloads() -> st.SearchStrategy[bytes]:
    """Any bytes, mostly few."""
    sized = st.builds(
        lambda seed, size: (seed * (size // len(seed) + 1))[:size],
        st.binary(min_size=1),
        st.sampled_from(SIZES),
    )
    return st.one_of(st.binary(max_size=200), sized)


def texts() -> st.SearchStrategy[bytes]:
    """UTF-8, cut where a character ends."""
    sized = st.builds(
        lambda seed, size: (seed * size)[:size].encode()[:size].decode(errors="ignore").encode(),
        st.text(min_size=1),
        st.sampled_from(SIZES),
    )
    return st.one_of(st.text().map(str.encode), sized)


def not_utf8() -> st.SearchStrategy[bytes]:
    bad = st.sampled_from(
        (b"\xff", b"\xc3", b"\xc0\xaf", b"\xed\xa0\x80", b"\xf4\x90\x80\x80", b"\xe2\x82", b"\x80")
    )
    return st.builds(
        lambda before, middle, after: before.encode() + middle + after.encode(), st.text(), bad, st.text()
    )


def messages() -> st.SearchStrategy[Message]:
    cuts = st.lists(st.floats(0, 1), max_size=5).map(tuple)
    between = st.lists(controls(), max_size=3).map(tuple)
    kinds = ((TEXT, texts()), (BINARY, payloads()))
    return st.one_of(
        [
            st.builds(Message, st.just(kind), payload, masks(), st.booleans(), cuts, between)
            for kind, payload in kinds
        ]
    )


def violations() -> st.SearchStrategy[Turn]:
    """What breaks the protocol, with the codes that may answer it."""
    error, long, text = frozenset({PROTOCOL_ERROR}), frozenset({TOO_LONG}), frozenset({NOT_UTF8})
    small = st.binary(max_size=125)
    cuts = st.lists(st.floats(0, 1), max_size=3).map(tuple)

    def raw(data: st.SearchStrategy[bytes], ends: frozenset[int]) -> st.SearchStrategy[Turn]:
        return st.builds(Raw, data, st.just(ends), st.booleans())

    any_opcode = st.sampled_from((TEXT, BINARY, PING, PONG, CLOSE))
    unknown = st.sampled_from((3, 4, 5, 6, 7, 11, 12, 13, 14, 15))
    control = st.sampled_from((PING, PONG, CLOSE))
    reserved = st.sampled_from((RSV2, RSV3, RSV2 | RSV3))
    codes = st.one_of(
        st.integers(0, 999), st.sampled_from((1004, 1005, 1006, 1015, 1016, 2999)), st.integers(5000, 65535)
    )
    reason = not_utf8().map(lambda bad: bad[:100] + b"\xff")
    return st.one_of(
        raw(st.builds(lambda opcode: frame(opcode, b"hi", mask=None), any_opcode), error),
        raw(st.builds(lambda opcode, flags: frame(opcode, b"hi", flags=flags), any_opcode, reserved), error),
        raw(st.builds(lambda opcode, data: frame(opcode, data, flags=RSV1), control, small), error),
        raw(st.builds(frame, unknown, small), error),
        st.builds(Raw, st.builds(frame, st.just(CONTINUATION), small), st.just(error)),
        st.builds(
            Raw, st.builds(frame, st.sampled_from((TEXT, BINARY)), small), st.just(error), st.just(True)
        ),
        raw(st.builds(lambda opcode, data: frame(opcode, data, fin=False), control, small), error),
        raw(
            st.builds(lambda opcode, size: frame(opcode, b"x" * size), control, st.integers(126, 70_000)),
            error,
        ),
        raw(st.builds(lambda byte: frame(CLOSE, byte), st.binary(min_size=1, max_size=1)), error),
        raw(codes.map(lambda code: frame(CLOSE, code.to_bytes(2, "big"))), error),
        raw(reason.map(lambda bad: frame(CLOSE, (1000).to_bytes(2, "big") + bad)), text),
        st.builds(Message, st.just(TEXT), not_utf8(), masks(), st.booleans(), cuts, ends=st.just(text)),
        st.builds(
            Message,
            st.just(BINARY),
            st.integers(LIMIT + 1, 2 * LIMIT).map(bytes),
            masks(),
            st.booleans(),
            ends=st.just(long),
        ),
        raw(st.integers(LIMIT + 1, (1 << 63) - 1).map(announced), long),
        raw(st.integers(1 << 63, (1 << 64) - 1).map(announced), error | long),
        st.builds(Corrupt, st.just(lambda: b"\xff\xff\xff\xff"), st.just(error | text)),
        st.builds(Corrupt, st.just(lambda: Deflater(15, True)(bytes(10 << 20))), st.just(long)),
    )


def announced(size: int) -> bytes:
    """The head of a frame that long, and no payload."""
    return bytes((0x80 | BINARY, 0xFF)) + size.to_bytes(8, "big") + b"mask"


def closes() -> st.SearchStrategy[Turn]:
    """A close frame. Without a code the answer may have none either (1005)."""
    codes = st.one_of(
        st.sampled_from((1000, 1001, 1002, 1003, 1007, 1011, 1012, 1014)), st.integers(3000, 4999)
    )
    return st.one_of(
        st.just(Raw(frame(CLOSE), frozenset({1000, 1005}))),
        st.builds(
            lambda code, reason, begun: Raw(
                frame(
                    CLOSE, code.to_bytes(2, "big") + reason.encode()[:123].decode(errors="ignore").encode()
                ),
                frozenset({code}),
                begun,
            ),
            codes,
            st.text(max_size=60),
            st.booleans(),
        ),
    )


def conversations() -> st.SearchStrategy[Conversation]:
    talk = st.lists(st.one_of(messages(), controls()), max_size=5)
    ending = st.one_of(closes(), violations(), violations())
    return st.builds(
        Conversation,
        st.builds(lambda turns, last: (*turns, last), talk, ending),
        st.binary(max_size=300),
        st.lists(st.floats(0, 1), max_size=6).map(tuple),
        st.one_of(st.just(1.0), st.just(1.0), st.floats(0, 1)),
        st.booleans(),
    )
