"""Frames in bytes, read back by `websockets`."""

from __future__ import annotations

import pytest
from websockets.frames import Frame, Opcode
from websockets.streams import StreamReader

from heliograph.websocket.frames import (
    BINARY,
    CLOSE,
    FIN,
    MAX_REASON,
    PING,
    TEXT,
    read_head,
    serialize,
    short_reason,
)
from tests.heliograph.websocket.raw import frame


@pytest.mark.parametrize("size", [0, 1, 125, 126, 127, 65535, 65536, 70000])
@pytest.mark.parametrize("opcode", [TEXT, BINARY])
def test_what_is_made_here_websockets_makes_too(opcode: int, size: int) -> None:
    payload = b"x" * size
    assert serialize(FIN | opcode, payload) == Frame(Opcode(opcode), payload).serialize(mask=False)


@pytest.mark.parametrize("size", [0, 5, 125, 126, 65535, 65536])
def test_a_head_is_read_as_soon_as_it_is_whole(size: int) -> None:
    data = bytearray(b"??" + frame(BINARY, b"x" * size))
    heads = [read_head(data, 2, end) for end in range(2, 20)]
    first = next(number for number, head in enumerate(heads) if head is not None)
    assert first == {0: 2, 5: 2, 125: 2, 126: 4, 65535: 4, 65536: 10}[size]
    head = heads[first]
    assert head is not None
    assert (head.size, head.masked, head.final, head.opcode, head.compressed) == (
        size,
        True,
        True,
        BINARY,
        False,
    )
    assert head.end == len(data)
    assert head.payload(data) == b"x" * size


def test_the_bits_of_a_head_are_told_apart() -> None:
    head = read_head(bytearray(frame(PING, b"?", fin=False, mask=None, flags=0x40)), 0, 3)
    assert head is not None
    assert (head.opcode, head.final, head.masked, head.compressed) == (PING, False, False, True)


def test_a_reason_is_cut_between_characters() -> None:
    assert short_reason("short") == "short"
    cut = short_reason("\u2603" * 100)
    assert cut == "\u2603" * (MAX_REASON // 3)
    assert len(serialize(FIN | CLOSE, b"\x03\xe8" + cut.encode())) <= 2 + 125


def test_the_stream_reader_of_websockets_agrees() -> None:
    reader = StreamReader()
    reader.feed_data(serialize(FIN | TEXT, b"hello"))
    parsing = Frame.parse(reader.read_exact, mask=False)
    with pytest.raises(StopIteration) as done:
        next(parsing)
    assert done.value.value == Frame(Opcode.TEXT, b"hello")
