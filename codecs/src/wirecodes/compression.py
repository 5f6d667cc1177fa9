"""The common compressions, streaming, with bounded windows: gzip, zlib, bz2, xz, zstd, brotli.

Decoders take what the command-line tools take: several members one after another (gzip with zero padding, xz
with padding to four bytes), zlib and brotli exactly one; xz takes the older .lzma, too. Anything else after the
end is an error that says where it begins, unless trailing=ignore; input that stops early is one. The position of
damage says where in the input it was noticed, in steps of INPUT_SLICE bytes.
"""

from __future__ import annotations

import bz2
import lzma
import sys
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial

from wirecodes.coder import OUTPUT_PIECE, Coder
from wirecodes.compressors import BrotliReader, BrotliWriter, Compressor, DamagedInput, Decompressor, Inflater
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
USUAL_COMPRESSION_MEMORY = 96 << 20

#: Decompressors are fed in slices, because none of them says where in its input it failed. Smaller slices
#: cost speed.
INPUT_SLICE = 4096

#: zlib's wbits: the largest window, with gzip's or zlib's frame.
_Z_NEED_DICT = 2
_GZIP_FRAME = 16 + zlib.MAX_WBITS
_ZLIB_FRAME = zlib.MAX_WBITS


_ERRORS = (zlib.error, OSError, EOFError, lzma.LZMAError, zstd.ZstdError, DamagedInput, MemoryError)


@dataclass(frozen=True)
class Format:
    """How a compression is read and written."""

    title: str
    description: str
    level: Option
    compressor: Callable[[int], Compressor]
    decompressor: Callable[[], Decompressor]
    #: What another member after the first may begin with, all of one length; none: there is one member only.
    magics: tuple[bytes, ...] = ()
    #: Zero bytes after a member are skipped where their number is a multiple of this; 0: there are none.
    padding: int = 0
    #: Bytes of memory by level, of the compressor; none: USUAL_COMPRESSION_MEMORY for all.
    memory: tuple[int, ...] = ()

    def memory_of(self, level: int) -> int:
        """Bytes that the compressor may need at this level."""
        return self.memory[level] if self.memory else USUAL_COMPRESSION_MEMORY


class CompressionEncoder(Coder):
    def __init__(self, compressor: Compressor) -> None:
        self._compressor = compressor

    def _feed(self, piece: bytes) -> Iterator[bytes]:
        yield self._compressor.compress(piece)

    def _flush(self) -> Iterator[bytes]:
        yield self._compressor.flush()


class CompressionDecoder(Coder):
    """Reads members one after another; `_member` is None between them."""

    def __init__(self, format: Format, trailing: str = "error") -> None:
        self._format = format
        self._ignores_trailing = trailing == "ignore"
        self._member: Decompressor | None = format.decompressor()
        self._position = 0
        self._padding = 0
        #: What came after a member, as long as it may become the beginning of another one.
        self._held = b""
        self._ignoring = False

    def _feed(self, piece: bytes) -> Iterator[bytes]:
        for start in range(0, len(piece), INPUT_SLICE):
            rest = self._beginning(piece[start : start + INPUT_SLICE])
            while rest and self._member is not None:
                before = len(rest)
                member = self._member
                yield from self._read(member, rest)
                rest = member.unused_data if member.eof else b""
                self._position += before - len(rest)
                rest = self._beginning(rest)

    def _flush(self) -> Iterator[bytes]:
        if self._member is not None:
            raise DecodeError("the input ends before the compressed data does", self._position)
        if self._held:
            self._end_here()
        if not self._ignoring:
            self._check_padding()
        yield from ()

    def _read(self, member: Decompressor, data: bytes) -> Iterator[bytes]:
        """All output of `member` for `data`, a bounded piece at a time."""
        while True:
            try:
                out = member.decompress(data, OUTPUT_PIECE)
            except _ERRORS as error:
                offset = error.offset if isinstance(error, DamagedInput) else 0
                reason = f"not {self._format.title} data: {_told(error)}"
                raise DecodeError(reason, self._position + offset) from error
            yield out
            data = b""
            if member.eof:
                self._member = None
                return
            if member.needs_input:
                return

    def _beginning(self, rest: bytes) -> bytes:
        """What there is to read for a member: between two, the first bytes decide whether another one follows."""
        if self._member is not None or self._ignoring:
            return b"" if self._ignoring else rest
        if self._format.padding and not self._held:
            stripped = rest.lstrip(b"\0")
            self._padding += len(rest) - len(stripped)
            self._position += len(rest) - len(stripped)
            rest = stripped
        data = self._held + rest
        if not data:
            return b""
        if not any(data.startswith(magic[: len(data)]) for magic in self._format.magics):
            self._end_here()
            return b""
        if len(data) < len(self._format.magics[0]):
            self._held = data
            return b""
        self._check_padding()
        self._padding, self._held, self._member = 0, b"", self._format.decompressor()
        return data

    def _end_here(self) -> None:
        """What follows is no member."""
        if not self._ignores_trailing:
            raise DecodeError("data after the end of the compressed data", self._position)
        self._ignoring, self._held = True, b""

    def _check_padding(self) -> None:
        if self._padding and self._padding % self._format.padding:
            raise DecodeError(f"padding that is no multiple of {self._format.padding} bytes", self._position)


def _told(error: BaseException) -> str:
    if isinstance(error, zlib.error) and str(error).startswith(f"Error {_Z_NEED_DICT} "):
        return "it needs a preset dictionary"
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


def _deflater(frame: int, level: int) -> Compressor:
    return zlib.compressobj(level, zlib.DEFLATED, frame)


def _xz_writer(level: int) -> Compressor:
    return lzma.LZMACompressor(preset=level)


def _zstd_writer(level: int) -> Compressor:
    parameters: dict[int, int] = {
        zstd.CompressionParameter.compression_level: level,
        zstd.CompressionParameter.checksum_flag: 1,
    }
    return zstd.ZstdCompressor(options=parameters)


def _zstd_reader() -> Decompressor:
    return zstd.ZstdDecompressor(options={zstd.DecompressionParameter.window_log_max: _ZSTD_MAX_WINDOW_LOG})


TRAILING = Option(
    "trailing",
    "string",
    "error",
    "What to do about other data after the end.",
    "decode",
    choices=("error", "ignore"),
)

FORMATS: dict[str, Format] = {
    "gzip": Format(
        "gzip",
        "RFC 1952, without name and time, so that the same input always gives the same output.",
        _level(9, 0, 9),
        partial(_deflater, _GZIP_FRAME),
        partial(Inflater, _GZIP_FRAME),
        magics=(b"\x1f\x8b",),
        padding=1,
    ),
    "zlib": Format(
        "zlib",
        "RFC 1950, the frame that HTTP calls deflate.",
        _level(6, 0, 9),
        partial(_deflater, _ZLIB_FRAME),
        partial(Inflater, _ZLIB_FRAME),
    ),
    "bz2": Format(
        "bzip2",
        "Burrows-Wheeler block sorting, as the bzip2 command writes it.",
        _level(9, 1, 9),
        bz2.BZ2Compressor,
        bz2.BZ2Decompressor,
        magics=(b"BZh",),
    ),
    "xz": Format(
        "xz",
        "LZMA2 in the .xz container with a CRC-64; decodes the older .lzma, too.",
        _level(6, 0, 9, " (9 takes 674 MiB of memory, 6 takes 94)"),
        _xz_writer,
        partial(lzma.LZMADecompressor, lzma.FORMAT_AUTO, _XZ_MEMORY),
        magics=(b"\xfd7zXZ\0",),
        padding=4,
        memory=_XZ_MEMORY_BY_LEVEL,
    ),
    "zstd": Format(
        "Zstandard",
        "RFC 8878 frames with a checksum.",
        _level(3, 1, 19),
        _zstd_writer,
        _zstd_reader,
        # A frame, and the sixteen kinds of frames to skip (RFC 8878, 3.1.2).
        magics=(b"\x28\xb5\x2f\xfd", *(bytes((0x50 + kind, 0x2A, 0x4D, 0x18)) for kind in range(16))),
    ),
    "brotli": Format(
        "Brotli",
        "RFC 7932. Brotli has no checksum: damaged data can decode to something else.",
        _level(5, 0, 11),
        BrotliWriter,
        BrotliReader,
    ),
}
