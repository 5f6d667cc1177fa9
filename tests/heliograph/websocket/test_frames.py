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
    TEXT,
    serialize,
    short_reason,
)


@pytest.mark.parametrize("size", [0, 1, 125, 126, 127, 65535, 65536, 70000])
@pytest.mark.parametrize("opcode", [TEXT, BINARY])
def test_what_is_made_here_websockets_makes_too(opcode: int, size: int) -> None:
    payload = b"x" * size
    assert serialize(FIN | opcode, payload) == Frame(Opcode(opcode), payload).serialize(mask=False)


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
