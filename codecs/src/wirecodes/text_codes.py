"""Codes that keep plain text readable: quoted-printable, percent-encoding, rot13, streaming.

The encoders give what quopri.encodestring and urllib.parse.quote(safe="") give for the whole. The decoders
are strict: an escape is complete and in hexadecimal, and quoted-printable holds nothing but printable ASCII,
tabs and line ends.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from urllib.parse import quote_from_bytes, unquote_to_bytes

from wirecodes.coder import Coder
from wirecodes.errors import CodecError, DecodeError, quoted
from wirecodes.text import Utf8Reader

_ROT13 = str.maketrans(
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz",
    "NOPQRSTUVWXYZABCDEFGHIJKLMnopqrstuvwxyzabcdefghijklm",
)


class Rot13(Coder):
    def __init__(self, error_type: type[CodecError]) -> None:
        self._reader = Utf8Reader(error_type)

    def _feed(self, piece: bytes) -> Iterator[bytes]:
        yield self._reader.read(piece).translate(_ROT13).encode()

    def _flush(self) -> Iterator[bytes]:
        yield self._reader.read(b"", final=True).encode()


class PercentEncoder(Coder):
    def _feed(self, piece: bytes) -> Iterator[bytes]:
        yield quote_from_bytes(piece, safe="").encode()

    def _flush(self) -> Iterator[bytes]:
        yield from ()


class EscapeDecoder(Coder):
    """Decodes text in which one character starts an escape; an escape at the end of a piece waits for its
    rest.
    """

    def __init__(
        self,
        mark: bytes,
        bad: re.Pattern[bytes],
        unfinished: re.Pattern[bytes],
        decode: Callable[[bytes], bytes],
    ) -> None:
        self._mark = mark
        self._bad = bad
        self._unfinished = unfinished
        self._decode = decode
        self._rest = b""
        self._read = 0

    def _feed(self, piece: bytes) -> Iterator[bytes]:
        text = self._rest + piece
        cut = self._unfinished.search(text, max(0, text.rfind(self._mark)))
        end = cut.start() if cut else len(text)
        yield self._decoded(text[:end])
        self._rest = text[end:]
        self._read += end

    def _flush(self) -> Iterator[bytes]:
        if self._rest:
            raise DecodeError("the input ends inside an escape", self._read + len(self._rest))
        yield from ()

    def _decoded(self, text: bytes) -> bytes:
        bad = self._bad.search(text)
        if bad is not None:
            # One character alone: how much of what follows is here depends on how the input was cut.
            first = bad.group()[:1]
            what = "begins no escape here" if first == self._mark else "does not belong here"
            raise DecodeError(f"{quoted(first.decode('latin-1'))} {what}", self._read + bad.start())
        return self._decode(text)


def percent_decoder() -> EscapeDecoder:
    bad = re.compile(rb"%(?![0-9A-Fa-f]{2}).{0,2}", re.DOTALL)
    return EscapeDecoder(b"%", bad, re.compile(rb"%[0-9A-Fa-f]?\Z"), unquote_to_bytes)
