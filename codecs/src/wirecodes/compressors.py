"""Compressors and decompressors of other packages behind one interface, that of bz2, lzma and zstd."""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from typing import Any, Protocol

import brotli  # type: ignore[import-untyped]

from wirecodes.coder import OUTPUT_PIECE

#: brotli's buffer grows in steps and may pass the limit by one step.
_BROTLI_OUTPUT = OUTPUT_PIECE // 2

#: Bytes of brotli's input that are kept, so that damage and an end in them are found to the byte.
_BROTLI_KEPT = 1024 * 1024

_BROTLI_REASON = "it is damaged, or was written for a large window"


class Compressor(Protocol):
    def compress(self, data: bytes, /) -> bytes: ...
    def flush(self) -> bytes: ...


class Decompressor(Protocol):
    """As bz2, lzma and zstd have it."""

    @property
    def eof(self) -> bool: ...
    @property
    def needs_input(self) -> bool: ...
    @property
    def unused_data(self) -> bytes: ...
    def decompress(self, data: bytes, max_length: int = -1) -> bytes: ...


class Inflater:
    """zlib's decompressor behind the common interface."""

    def __init__(self, wbits: int) -> None:
        self._inner = zlib.decompressobj(wbits)
        self.needs_input = True

    @property
    def eof(self) -> bool:
        return self._inner.eof

    @property
    def unused_data(self) -> bytes:
        return self._inner.unused_data

    def decompress(self, data: bytes, max_length: int = -1) -> bytes:
        out = self._inner.decompress(self._inner.unconsumed_tail + data, max_length)
        # Output that zlib still holds back comes with the next input: the checksum at the end always follows
        # it.
        self.needs_input = not self._inner.unconsumed_tail
        return out


class DamagedInput(Exception):
    """Data that cannot be read from `offset` of the last piece on."""

    def __init__(self, reason: str, offset: int) -> None:
        super().__init__(reason)
        self.offset = offset


class BrotliReader:
    """brotli's decompressor behind the common interface.

    It fails for a whole piece and does not say where; so the beginning of the input is kept, and read again byte by byte then.
    """

    def __init__(self) -> None:
        self._inner = brotli.Decompressor()
        self._full = False
        self._eof = False
        self.unused_data = b""
        #: The input but for its last piece, whose output may still be under way, and that piece.
        self._seen, self._last = bytearray(), b""
        self._given = 0  # bytes of output so far

    @property
    def eof(self) -> bool:
        return self._eof or bool(self._inner.is_finished())

    @property
    def needs_input(self) -> bool:
        # With all input taken it says it could accept more, though output it was not asked for may be left.
        return bool(self._inner.can_accept_more_data()) and not self._full

    def decompress(self, data: bytes, max_length: int = -1) -> bytes:
        if data:
            if len(self._seen) <= _BROTLI_KEPT:
                self._seen += self._last
            self._last = data
        try:
            out = bytes(self._inner.process(data, output_buffer_limit=_BROTLI_OUTPUT))
        except brotli.error as error:
            return self._read_again(error)
        self._full = len(out) >= _BROTLI_OUTPUT
        self._given += len(out)
        return out

    def _read_again(self, error: Exception) -> bytes:
        """The output left of what of the last piece belongs to the stream. Raises DamagedInput where that does not end in it."""
        if len(self._seen) > _BROTLI_KEPT:
            raise DamagedInput(_BROTLI_REASON, 0) from error
        inner, out, made = brotli.Decompressor(), bytearray(), 0
        steps = [bytes(self._seen), *(self._last[at : at + 1] for at in range(len(self._last)))]
        for index, step in enumerate(steps):
            try:
                for piece in _processed(inner, step):
                    out += piece[max(0, self._given - made) :]
                    made += len(piece)
            except brotli.error:
                raise DamagedInput(_BROTLI_REASON, max(0, index - 1)) from error
            if inner.is_finished():
                self._eof, self.unused_data = True, self._last[index:]
                return bytes(out)
        raise DamagedInput(_BROTLI_REASON, 0) from error


def _processed(inner: Any, data: bytes) -> Iterator[bytes]:
    """All output for `data`, in bounded pieces."""
    while True:
        piece = bytes(inner.process(data, output_buffer_limit=_BROTLI_OUTPUT))
        yield piece
        if len(piece) < _BROTLI_OUTPUT:
            return
        data = b""


class BrotliWriter:
    """brotli's compressor behind the common interface."""

    def __init__(self, quality: int) -> None:
        self._inner = brotli.Compressor(quality=quality)

    def compress(self, data: bytes, /) -> bytes:
        return bytes(self._inner.process(data))

    def flush(self) -> bytes:
        return bytes(self._inner.finish())
