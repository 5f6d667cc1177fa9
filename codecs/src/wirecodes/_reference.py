"""The kernels in Python, to be read: Huffman blocks as FORMAT.md has them.

`_kernels` gives the same, bit for bit.

`encode_blocks` and `decode_blocks` work on whole blocks; who calls them keeps the running checksum and what
is left over. Positions in errors count from the start of the given data. Speed comes from few, long
operations: a block's code words are joined as text of 0 and 1 and become bytes through one long integer.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable, Iterator, Sequence

from wirecodes._reference_codes import (
    MAX_BITS,
    check_counts,
    code_lengths,
    code_words,
    fano_lengths,
    histogram,
)
from wirecodes.errors import DecodeError

__all__ = ["check_counts", "code_lengths", "decode_blocks", "encode_blocks", "fano_lengths", "histogram"]

#: What the encoder puts into a block: shorter ones follow the data better (0.4 % on source text), longer ones
#: save tables.
BLOCK = 32 * 1024
#: What a block may have, so that a decoder knows what memory it needs.
MAX_BLOCK = 128 * 1024
#: From this length on four streams are worth the six bytes of their sizes.
FOUR_STREAMS = 1024
#: A block of four streams has at least this many bytes, so that none of them is empty.
MIN_FOUR_STREAMS = 16

END, STORED, SINGLE, ONE_STREAM, STREAMS = range(5)
#: Kind, length and checksum; in coded blocks the size of what follows.
HEADER = 8
SIZE = 3

_SYMBOLS = 256
_FULL = 1 << MAX_BITS
_WINDOW = _FULL - 1

#: Nibbles of a table above the lengths 0 to 12: how many lengths a run has at least, and by how many nibbles
#: it says more.
_SHORT_ZEROS, _LONG_ZEROS, _REPEAT = 13, 14, 15
_SHORTEST_RUN = 3
_LONG_RUN = _SHORTEST_RUN + 16
_LONGEST_RUN = _LONG_RUN + 255


def encode_blocks(
    data: bytes, check: int, fano: bool = False, before: bytes = b"", end: bool = False
) -> tuple[bytes, int]:
    """`before`, then `data` as blocks of BLOCK bytes, the last one shorter, and the checksum of all content so far.

    With Huffman's code lengths, or Shannon and Fano's; with `end` also the end mark.
    """
    out = [before]
    for start in range(0, len(data), BLOCK):
        content = data[start : start + BLOCK]
        check = zlib.crc32(content, check)
        kind, body = _encoded(content, fano_lengths if fano else code_lengths)
        out += (bytes((kind,)), len(content).to_bytes(3, "little"), check.to_bytes(4, "little"), body)
    if end:
        out += (bytes((END, 0, 0, 0)), check.to_bytes(4, "little"))
    return b"".join(out), check


def _encoded(content: bytes, lengths_of: Callable[[Sequence[int]], bytes]) -> tuple[int, bytes]:
    if content == content[:1] * len(content):
        return SINGLE, content[:1]
    lengths = lengths_of(histogram(content))
    words = code_words(lengths)
    kind = STREAMS if len(content) >= FOUR_STREAMS else ONE_STREAM
    streams = [_packed("".join(map(words.__getitem__, part))) for part in _parts(content, kind)]
    sizes = [len(stream).to_bytes(2, "little") for stream in streams[:-1]]
    body = b"".join((_write_table(lengths), *sizes, *streams))
    if SIZE + len(body) >= len(content):
        return STORED, content
    return kind, len(body).to_bytes(SIZE, "little") + body


def _parts(content: bytes, kind: int) -> list[bytes]:
    """What each stream of the block encodes."""
    part = part_length(len(content), kind)
    return [content[start : start + part] for start in range(0, len(content), part)]


def part_length(length: int, kind: int) -> int:
    return -(-length // 4) if kind == STREAMS else length


def _packed(bits: str) -> bytes:
    """The first of `bits` is the lowest of the first byte."""
    return int(bits[::-1], 2).to_bytes((len(bits) + 7) // 8, "little")


def _write_table(lengths: bytes) -> bytes:
    nibbles: list[int] = []
    index = 0
    while index < _SYMBOLS:
        length = lengths[index]
        run = 1
        while index + run < _SYMBOLS and lengths[index + run] == length:
            run += 1
        index += _write_run(nibbles, length, run)
    nibbles += [0] * (len(nibbles) % 2)
    return bytes(low | high << 4 for low, high in zip(nibbles[::2], nibbles[1::2], strict=True))


def _write_run(nibbles: list[int], length: int, run: int) -> int:
    """Write some of `run` equal lengths as shortly as can be; how many these were."""
    if length == 0 and run >= _LONG_RUN:
        run = min(run, _LONGEST_RUN)
        nibbles += (_LONG_ZEROS, (run - _LONG_RUN) & 15, (run - _LONG_RUN) >> 4)
    elif length == 0 and run >= _SHORTEST_RUN:
        nibbles += (_SHORT_ZEROS, run - _SHORTEST_RUN)
    elif length and run > _SHORTEST_RUN:
        run = min(run, _LONG_RUN)
        nibbles += (length, _REPEAT, run - 1 - _SHORTEST_RUN)
    else:
        run = 1
        nibbles.append(length)
    return run


def decode_blocks(data: bytes, position: int, check: int, room: int) -> tuple[bytes, int, int, bool]:
    """The content of the whole blocks from `position` on, as far as `room` bytes take it (at least MAX_BLOCK).

    Also where the blocks used end, the new checksum, and whether the end mark was among them.
    """
    out: list[bytes] = []
    ended = False
    while not ended and (extent := block_extent(data, position)) <= len(data):
        kind, length = data[position], int.from_bytes(data[position + 1 : position + 4], "little")
        if length > room:
            break
        content = _decoded(kind, length, data[position + HEADER : extent], position)
        room -= length
        check = zlib.crc32(content, check)
        if check != int.from_bytes(data[position + 4 : position + HEADER], "little"):
            raise DecodeError("the checksum does not fit the content", position)
        out.append(content)
        position = extent
        ended = kind == END
    return b"".join(out), position, check, ended


def block_extent(data: bytes | bytearray, position: int) -> int:
    """Where the block at `position` ends; beyond the data where its header is not complete yet."""
    beyond = len(data) + 1
    if len(data) < position + HEADER:
        return beyond
    kind, length = data[position], int.from_bytes(data[position + 1 : position + 4], "little")
    if kind > STREAMS:
        raise DecodeError(f"no block is of kind {kind}", position)
    if not (kind != END) <= length <= (kind != END) * MAX_BLOCK or (
        kind == STREAMS and length < MIN_FOUR_STREAMS
    ):
        raise DecodeError(f"a block of kind {kind} cannot have {length} bytes", position + 1)
    body = position + HEADER
    if kind < ONE_STREAM:
        return body + (0, length, 1)[kind]
    if len(data) < body + SIZE:
        return beyond
    size = int.from_bytes(data[body : body + SIZE], "little")
    if SIZE + size >= length:
        raise DecodeError("a coded block that is not shorter than its content", body)
    return body + SIZE + size


def _decoded(kind: int, length: int, body: bytes, position: int) -> bytes:
    if kind in (END, STORED):
        return body
    if kind == SINGLE:
        return body * length
    body = body[SIZE:]
    position += HEADER + SIZE
    lengths, start = _read_table(body, position)
    windows = _windows(lengths)
    part = part_length(length, kind)
    out: list[bytes] = []
    for begin, end in _stream_extents(body, start, kind, position):
        left = length - part * len(out)
        out.append(_decode_stream(body[begin:end], windows, min(part, left), position + begin))
    return b"".join(out)


def _read_table(body: bytes, position: int) -> tuple[bytes, int]:
    """The 256 lengths at the start of `body`, and where what follows begins."""
    nibbles = _Nibbles(body, position)
    lengths: list[int] = []
    after_zeros = False
    while len(lengths) < _SYMBOLS:
        nibble = nibbles.take()
        if after_zeros and nibble in (0, _SHORT_ZEROS, _LONG_ZEROS):
            raise DecodeError("a code table with a run of zeros in two parts", position)
        after_zeros = nibble in (_SHORT_ZEROS, _LONG_ZEROS)
        if nibble <= MAX_BITS:
            lengths.append(nibble)
        elif nibble == _SHORT_ZEROS:
            lengths += [0] * (_SHORTEST_RUN + nibbles.take())
        elif nibble == _LONG_ZEROS:
            lengths += [0] * (_LONG_RUN + nibbles.take() + 16 * nibbles.take())
        elif lengths:
            lengths += lengths[-1:] * (_SHORTEST_RUN + nibbles.take())
        else:
            raise DecodeError("a code table that begins with a repetition", position)
    start = nibbles.end()
    if len(lengths) > _SYMBOLS:
        raise DecodeError("a code table for more than 256 symbols", position)
    if sum(_FULL >> length for length in lengths if length) != _FULL:
        raise DecodeError("a code table that is not a complete prefix code", position)
    return bytes(lengths), start


class _Nibbles:
    """The halves of bytes, the lower first."""

    def __init__(self, body: bytes, position: int) -> None:
        self._body = body
        self._position = position
        self._taken = 0

    def take(self) -> int:
        index, high = divmod(self._taken, 2)
        if index >= len(self._body):
            raise DecodeError("a code table that is cut off", self._position + index)
        self._taken += 1
        return self._body[index] >> 4 if high else self._body[index] & 15

    def end(self) -> int:
        """How many bytes were used; the unused half of the last one is zero."""
        if self._taken % 2 and self.take():
            raise DecodeError(
                "a code table with padding that is not zero", self._position + self._taken // 2 - 1
            )
        return self._taken // 2


def _stream_extents(body: bytes, start: int, kind: int, position: int) -> Iterator[tuple[int, int]]:
    """Where in `body` each stream begins and ends."""
    if kind == STREAMS:
        sizes = body[start : start + 6]
        start += 6
        for field in range(0, 6, 2):
            size = int.from_bytes(sizes[field : field + 2], "little")
            yield start, min(start + size, len(body))
            start += size
    if start > len(body):
        raise DecodeError("streams that are longer than their block", position)
    yield start, len(body)


def _windows(lengths: bytes) -> tuple[list[int], list[int]]:
    """Which symbol the next MAX_BITS bits begin with, and how many of them are its word."""
    symbols = [0] * _FULL
    used = [0] * _FULL
    for symbol, word in enumerate(code_words(lengths)):
        if word:
            first, step = int(word[::-1], 2), 1 << len(word)
            symbols[first::step] = [symbol] * (_FULL >> len(word))
            used[first::step] = [len(word)] * (_FULL >> len(word))
    return symbols, used


def _decode_stream(stream: bytes, windows: tuple[list[int], list[int]], count: int, position: int) -> bytes:
    """The `count` symbols of a stream, which has just the bits for them and zeros up to the end of its last
    byte.
    """
    symbols, used = windows
    out: list[int] = []
    append = out.append
    bits = held = 0
    whole = len(stream) - len(stream) % 4
    for (word,) in struct.iter_unpack("<I", stream[:whole]):
        bits |= word << held
        held += 32
        while held >= MAX_BITS:
            window = bits & _WINDOW
            append(symbols[window])
            length = used[window]
            bits >>= length
            held -= length
    bits |= int.from_bytes(stream[whole:], "little") << held
    held += 8 * (len(stream) - whole)
    while len(out) < count and held >= 0:
        window = bits & _WINDOW
        append(symbols[window])
        bits >>= used[window]
        held -= used[window]
    if len(out) != count or not 0 <= held < 8 or bits:
        raise DecodeError("a stream that does not end with its last symbol", position)
    return bytes(out)
