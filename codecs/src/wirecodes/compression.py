"""The common compressions, streaming, with bounded windows: gzip, zlib, bz2, xz, zstd, brotli.

Decoders take what the command-line tools take: several members one after another (gzip with zero padding, xz
with padding to four bytes), zlib and brotli exactly one. Anything else after the end is an error, and so is
input that stops early. A position says where in the input the damage was noticed, in steps of INPUT_SLICE
bytes.
"""

from __future__ import annotations

import bz2
import lzma
import sys
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Protocol

import brotli  # type: ignore[import-untyped]

from wirecodes.coder import OUTPUT_PIECE, Coder
from wirecodes.errors import DecodeError
from wirecodes.options import Option

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

#: A decompressor may ask its reader for this much memory to look back in: what `xz -9` and `zstd --ultra -21`
#: need.
MAX_WINDOW = 64 * 1024 * 1024
_ZSTD_MAX_WINDOW_LOG = 26
#: liblzma counts its own tables too; they take less than this.
_XZ_MEMORY = MAX_WINDOW + 1024 * 1024

#: What liblzma takes to compress at each level, by xz(1), and what is ample for the others at their highest.
_XZ_MEMORY_BY_LEVEL = tuple(mib << 20 for mib in (3, 9, 17, 32, 48, 94, 94, 186, 370, 674))
_USUAL_MEMORY = 96 << 20

#: Decompressors are fed in slices, because none of them says where in its input it failed. Smaller slices
#: cost speed.
INPUT_SLICE = 4096

#: brotli's buffer grows in steps and may pass the limit by one step.
_BROTLI_OUTPUT = OUTPUT_PIECE // 2

#: zlib's wbits: the largest window, with gzip's or zlib's frame.
_GZIP_FRAME = 16 + zlib.MAX_WBITS
_ZLIB_FRAME = zlib.MAX_WBITS

_ERRORS = (zlib.error, OSError, EOFError, lzma.LZMAError, zstd.ZstdError, brotli.error, MemoryError)


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


class _Inflater:
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


class _BrotliReader:
    """brotli's decompressor behind the common interface."""

    unused_data = b""

    def __init__(self) -> None:
        self._inner = brotli.Decompressor()
        self._full = False

    @property
    def eof(self) -> bool:
        return bool(self._inner.is_finished())

    @property
    def needs_input(self) -> bool:
        # With all input taken it says it could accept more, though output it was not asked for may be left.
        return bool(self._inner.can_accept_more_data()) and not self._full

    def decompress(self, data: bytes, max_length: int = -1) -> bytes:
        out = bytes(self._inner.process(data, output_buffer_limit=_BROTLI_OUTPUT))
        self._full = len(out) >= _BROTLI_OUTPUT
        return out


class _BrotliWriter:
    """brotli's compressor behind the common interface."""

    def __init__(self, quality: int) -> None:
        self._inner = brotli.Compressor(quality=quality)

    def compress(self, data: bytes, /) -> bytes:
        return bytes(self._inner.process(data))

    def flush(self) -> bytes:
        return bytes(self._inner.finish())


@dataclass(frozen=True)
class Format:
    """How a compression is read and written."""

    title: str
    description: str
    level: Option
    compressor: Callable[[int], Compressor]
    decompressor: Callable[[], Decompressor]
    concatenates: bool = True
    #: Zero bytes after a member are skipped where their number is a multiple of this; 0: there are none.
    padding: int = 0
    #: Bytes of memory by level, of the compressor.
    memory: Callable[[int], int] = lambda _: _USUAL_MEMORY


class CompressionEncoder(Coder):
    def __init__(self, compressor: Compressor) -> None:
        self._compressor = compressor

    def _feed(self, piece: bytes) -> Iterator[bytes]:
        yield self._compressor.compress(piece)

    def _flush(self) -> Iterator[bytes]:
        yield self._compressor.flush()


class CompressionDecoder(Coder):
    """Reads members one after another; `_member` is None between them."""

    def __init__(self, format: Format) -> None:
        self._format = format
        self._member: Decompressor | None = format.decompressor()
        self._position = 0
        self._padding = 0

    def _feed(self, piece: bytes) -> Iterator[bytes]:
        for start in range(0, len(piece), INPUT_SLICE):
            rest = piece[start : start + INPUT_SLICE]
            while rest := self._at_member(rest):
                before = len(rest)
                member = self._member or self._begin()
                yield from self._read(member, rest)
                rest = member.unused_data if member.eof else b""
                self._position += before - len(rest)

    def _flush(self) -> Iterator[bytes]:
        if self._member is not None:
            raise DecodeError("the input ends before the compressed data does", self._position)
        self._check_padding()
        yield from ()

    def _read(self, member: Decompressor, data: bytes) -> Iterator[bytes]:
        """All output of `member` for `data`, a bounded piece at a time."""
        while True:
            try:
                out = member.decompress(data, OUTPUT_PIECE)
            except _ERRORS as error:
                raise DecodeError(f"not {self._format.title} data: {_told(error)}", self._position) from error
            yield out
            data = b""
            if member.eof:
                self._member = None
                return
            if member.needs_input:
                return

    def _at_member(self, rest: bytes) -> bytes:
        """`rest` without the padding that may follow a member."""
        if self._member is not None or not self._format.padding:
            return rest
        stripped = rest.lstrip(b"\0")
        self._padding += len(rest) - len(stripped)
        self._position += len(rest) - len(stripped)
        return stripped

    def _begin(self) -> Decompressor:
        """A decompressor for what follows a complete member."""
        if not self._format.concatenates:
            raise DecodeError("data after the end of the compressed data", self._position)
        self._check_padding()
        self._padding = 0
        self._member = self._format.decompressor()
        return self._member

    def _check_padding(self) -> None:
        if self._padding and self._padding % self._format.padding:
            raise DecodeError(f"padding that is no multiple of {self._format.padding} bytes", self._position)


def _told(error: BaseException) -> str:
    return " ".join(str(error).split()) or type(error).__name__


def _level(default: int, minimum: int, maximum: int, note: str = "") -> Option:
    return Option(
        "level",
        "integer",
        default,
        f"How hard to compress: {minimum} is fastest, {maximum} smallest{note}.",
        "encode",
        minimum=minimum,
        maximum=maximum,
    )


def _zstd_writer(level: int) -> Compressor:
    parameters: dict[int, int] = {
        zstd.CompressionParameter.compression_level: level,
        zstd.CompressionParameter.checksum_flag: 1,
    }
    return zstd.ZstdCompressor(options=parameters)


def _zstd_reader() -> Decompressor:
    return zstd.ZstdDecompressor(options={zstd.DecompressionParameter.window_log_max: _ZSTD_MAX_WINDOW_LOG})


FORMATS: dict[str, Format] = {
    "gzip": Format(
        "gzip",
        "RFC 1952, without name and time, so that the same input always gives the same output.",
        _level(9, 0, 9),
        lambda level: zlib.compressobj(level, zlib.DEFLATED, _GZIP_FRAME),
        lambda: _Inflater(_GZIP_FRAME),
        padding=1,
    ),
    "zlib": Format(
        "zlib",
        "RFC 1950, the frame that HTTP calls deflate.",
        _level(6, 0, 9),
        lambda level: zlib.compressobj(level, zlib.DEFLATED, _ZLIB_FRAME),
        lambda: _Inflater(_ZLIB_FRAME),
        concatenates=False,
    ),
    "bz2": Format(
        "bzip2",
        "Burrows-Wheeler block sorting, as the bzip2 command writes it.",
        _level(9, 1, 9),
        bz2.BZ2Compressor,
        bz2.BZ2Decompressor,
    ),
    "xz": Format(
        "xz",
        "LZMA2 in the .xz container with a CRC-64.",
        _level(6, 0, 9, " (9 takes 674 MiB of memory, 6 takes 94)"),
        lambda level: lzma.LZMACompressor(preset=level),
        lambda: lzma.LZMADecompressor(lzma.FORMAT_XZ, memlimit=_XZ_MEMORY),
        padding=4,
        memory=_XZ_MEMORY_BY_LEVEL.__getitem__,
    ),
    "zstd": Format(
        "Zstandard",
        "RFC 8878 frames with a checksum.",
        _level(3, 1, 19),
        _zstd_writer,
        _zstd_reader,
    ),
    "brotli": Format(
        "Brotli",
        "RFC 7932. Brotli has no checksum: damaged data can decode to something else.",
        _level(5, 0, 11),
        _BrotliWriter,
        _BrotliReader,
        concatenates=False,
    ),
}
