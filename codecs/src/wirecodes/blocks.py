"""Streams of coded blocks, as FORMAT.md specifies them: what the codecs `huffman` and `shannon-fano` are made
of.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from functools import partial

from wirecodes._reference import BLOCK, block_extent
from wirecodes.codec import BuiltCodec, Description
from wirecodes.coder import OUTPUT_PIECE, Buffer, Coder, as_bytes
from wirecodes.errors import DecodeError
from wirecodes.kernel import decode_blocks, encode_blocks

MAGIC = b"\x89HUF"
VERSION = 1
_START = MAGIC + bytes((VERSION,))


class BlockEncoder(Coder):
    """Holds what does not fill a block yet."""

    input_piece = OUTPUT_PIECE // 2

    def __init__(self, fano: bool = False) -> None:
        self._fano = fano
        self._held = bytearray()
        self._check = 0
        self._begun = False

    def _feed(self, piece: bytes) -> Iterator[bytes]:
        yield self._start()
        data = bytes(self._held) + piece if self._held else piece
        whole = len(data) - len(data) % BLOCK
        if whole:
            yield self._encoded(data[:whole])
            data = data[whole:]
            self._held.clear()
            piece = data
        self._held += piece

    def _flush(self) -> Iterator[bytes]:
        yield self._start()
        if self._held:
            yield self._encoded(bytes(self._held))
        yield encode_blocks(b"", self._check, end=True)[0]

    def _start(self) -> bytes:
        begun, self._begun = self._begun, True
        return b"" if begun else _START

    def _encoded(self, content: bytes) -> bytes:
        blocks, self._check = encode_blocks(content, self._check, self._fano)
        return blocks


class BlockDecoder(Coder):
    """Holds a block until it is complete; what a block holds is put out only after its checksum was right."""

    input_piece = OUTPUT_PIECE // 2

    def __init__(self) -> None:
        self._held = bytearray()
        self._position = 0
        self._check = 0
        self._ended = False

    def _feed(self, piece: bytes) -> Iterator[bytes]:
        self._held += piece
        if self._position == 0 and not self._read_start():
            return
        try:
            yield from self._blocks()
        except DecodeError as error:
            raise DecodeError(error.reason, self._position + (error.position or 0)) from None
        if self._ended and self._held:
            raise DecodeError("data after the end mark", self._position)

    def _flush(self) -> Iterator[bytes]:
        if not self._ended:
            raise DecodeError("the input ends before the end mark", self._position + len(self._held))
        yield from ()

    def _read_start(self) -> bool:
        """Whether the magic number and version have come, and were right."""
        start = bytes(self._held[: len(_START)])
        if start != _START[: len(start)]:
            wrong = next(index for index, (a, b) in enumerate(zip(start, _START, strict=False)) if a != b)
            reason = (
                f"version {start[wrong]} of the format"
                if wrong == len(MAGIC)
                else "not a stream of coded blocks"
            )
            raise DecodeError(reason, wrong)
        if len(start) < len(_START):
            return False
        self._drop(len(_START))
        return True

    def _blocks(self) -> Iterator[bytes]:
        # Asked first, so that small pieces do not copy what is held again and again.
        if self._ended or block_extent(self._held, 0) > len(self._held):
            return
        data = bytes(self._held)
        used, before = 0, -1
        while used > before and not self._ended:
            before = used
            content, used, self._check, self._ended = decode_blocks(data, used, self._check, OUTPUT_PIECE)
            yield content
        self._drop(used)

    def _drop(self, used: int) -> None:
        del self._held[:used]
        self._position += used


class BlockCodec(BuiltCodec):
    """Codes whole data into one piece of memory: to make pieces and join them takes up to twice the time."""

    def __init__(self, description: Description, fano: bool = False) -> None:
        super().__init__(description, partial(BlockEncoder, fano), BlockDecoder)
        self._fano = fano

    def encode(self, data: Buffer | str, /, **options: object) -> bytes:
        if isinstance(data, str) or options:
            return super().encode(data, **options)
        return encode_blocks(bytes(as_bytes(data)), 0, self._fano, _START, end=True)[0]

    def decode(self, data: Buffer | str, /, *, max_output: int | None = None, **options: object) -> bytes:
        if not isinstance(data, str) and not options:
            whole, room = bytes(as_bytes(data)), sys.maxsize if max_output is None else max_output
            try:
                content, used, _, ended = decode_blocks(whole, len(_START), 0, room)
            except DecodeError:
                ended = False
            if ended and used == len(whole) and whole.startswith(_START):
                return content
        # Whatever is wrong, the decoder finds it in order and tells where.
        return super().decode(data, max_output=max_output, **options)
