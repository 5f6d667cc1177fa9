"""A second reader of FORMAT.md, bit by bit, and a writer of blocks by hand. It shares nothing with the
package.
"""

from __future__ import annotations

import zlib

START = b"\x89HUF\x01"


def block(kind: int, length: int, content: bytes, body: bytes = b"") -> bytes:
    """A block whose checksum is that of `content`."""
    return bytes((kind,)) + length.to_bytes(3, "little") + zlib.crc32(content).to_bytes(4, "little") + body


def coded(kind: int, content: bytes, rest: bytes) -> bytes:
    return block(kind, len(content), content, len(rest).to_bytes(3, "little") + rest)


def end(content: bytes) -> bytes:
    return block(0, 0, content)


def table(lengths: dict[int, int]) -> bytes:
    """A table without any runs but of 16 + 19 zeros at most."""
    nibbles = [lengths.get(symbol, 0) for symbol in range(256)]
    return bytes(nibbles[index] | nibbles[index + 1] << 4 for index in range(0, 256, 2))


def read(stream: bytes) -> bytes:
    """The content; AssertionError, KeyError or IndexError for what FORMAT.md does not allow."""
    assert stream[:5] == START
    content = b""
    position = 5
    while True:
        kind, length = stream[position], int.from_bytes(stream[position + 1 : position + 4], "little")
        check = int.from_bytes(stream[position + 4 : position + 8], "little")
        position += 8
        if kind == 1:
            content += stream[position : position + length]
            position += length
        elif kind == 2:
            content += stream[position : position + 1] * length
            position += 1
        elif kind in (3, 4):
            size = int.from_bytes(stream[position : position + 3], "little")
            assert 3 + size < length
            content += read_coded(kind, length, stream[position + 3 : position + 3 + size])
            position += 3 + size
        assert zlib.crc32(content) == check
        if kind == 0:
            assert position == len(stream)
            return content


def read_coded(kind: int, length: int, body: bytes) -> bytes:
    lengths, start = read_lengths(body)
    words = {}
    word = 0
    before = 0
    for own, symbol in sorted((own, symbol) for symbol, own in enumerate(lengths) if own):
        word <<= own - before
        before = own
        words[f"{word:0{own}b}"] = symbol
        word += 1
    assert word == 1 << before
    if kind == 3:
        return read_symbols(words, body[start:], length)
    part = (length + 3) // 4
    out = b""
    begin = start + 6
    for index in range(3):
        size = int.from_bytes(body[start + 2 * index : start + 2 * index + 2], "little")
        out += read_symbols(words, body[begin : begin + size], part)
        begin += size
    return out + read_symbols(words, body[begin:], length - 3 * part)


def read_lengths(body: bytes) -> tuple[list[int], int]:
    nibbles = [half for byte in body for half in (byte & 15, byte >> 4)]
    lengths: list[int] = []
    index = 0
    before = None
    while len(lengths) < 256:
        nibble = nibbles[index]
        index += 1
        assert not (before in (13, 14) and nibble in (0, 13, 14))
        before = nibble
        if nibble <= 12:
            lengths.append(nibble)
        elif nibble == 13:
            lengths += [0] * (nibbles[index] + 3)
            index += 1
        elif nibble == 14:
            lengths += [0] * (nibbles[index] + 16 * nibbles[index + 1] + 19)
            index += 2
        else:
            lengths += [lengths[-1]] * (nibbles[index] + 3)
            index += 1
    assert len(lengths) == 256
    return lengths, (index + 1) // 2


def read_symbols(words: dict[str, int], stream: bytes, count: int) -> bytes:
    bits = "".join(str(byte >> bit & 1) for byte in stream for bit in range(8))
    out: list[int] = []
    place = 0
    while len(out) < count:
        width = next(width for width in range(1, 13) if bits[place : place + width] in words)
        out.append(words[bits[place : place + width]])
        place += width
    assert len(bits) - place < 8
    assert "1" not in bits[place:]
    return bytes(out)
