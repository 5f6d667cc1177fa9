"""Our side of permessage-deflate, read by `websockets`' own extension."""

from __future__ import annotations

import random

import pytest
from websockets.extensions.permessage_deflate import PerMessageDeflate
from websockets.frames import Frame, Opcode
from websockets.streams import StreamReader

from heliograph.websocket.deflate import MIN_SIZE, Deflate, message_frame
from heliograph.websocket.frames import BINARY, RSV1, TEXT, serialize


def read(data: bytes, bits: int) -> Frame:
    """One frame as a client reads it that agreed to a window of `bits`, and to messages without context."""
    extension = PerMessageDeflate(True, True, bits, 15)
    reader = StreamReader()
    reader.feed_data(data)
    parsing = Frame.parse(reader.read_exact, mask=False, extensions=[extension])
    with pytest.raises(StopIteration) as done:
        next(parsing)
    frame = done.value.value
    assert isinstance(frame, Frame)
    return frame


PAYLOADS = {
    "prose": b"the quick brown fox jumps over the lazy dog. " * 500,
    "noise": random.Random(1).randbytes(5000),
    "zeros": bytes(300_000),
    "just enough": b"ab" * (MIN_SIZE // 2),
}


@pytest.mark.parametrize("bits", range(9, 16))
@pytest.mark.parametrize("name", PAYLOADS)
def test_every_window_is_inflated_again(name: str, bits: int) -> None:
    data = message_frame(BINARY, PAYLOADS[name], Deflate(bits))
    assert data[0] & RSV1
    assert read(data, bits) == Frame(Opcode.BINARY, PAYLOADS[name])


def test_each_message_stands_alone() -> None:
    deflate = Deflate(12)
    assert message_frame(TEXT, PAYLOADS["prose"], deflate) == message_frame(TEXT, PAYLOADS["prose"], deflate)


def test_prose_becomes_much_shorter() -> None:
    assert len(message_frame(TEXT, PAYLOADS["prose"], Deflate(12))) < len(PAYLOADS["prose"]) / 20


def test_short_messages_and_those_of_others_go_as_they_are() -> None:
    short = b"x" * (MIN_SIZE - 1)
    assert message_frame(TEXT, short, Deflate(12)) == serialize(0x81, short)
    assert message_frame(TEXT, PAYLOADS["prose"], None) == serialize(0x81, PAYLOADS["prose"])
