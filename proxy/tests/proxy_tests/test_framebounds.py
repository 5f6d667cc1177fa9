"""Where frames of a WebSocket end, however they are cut into pieces."""

from __future__ import annotations

import itertools
import random
import struct

import pytest
from heliograph_proxy.framebounds import CLOSE_FRAME, FrameBounds


def frame(size: int, *, masked: bool = False, opcode: int = 0x82) -> bytes:
    short = size if size < 126 else 126 if size < 1 << 16 else 127
    more = b"" if size < 126 else struct.pack("!H" if size < 1 << 16 else "!Q", size)
    mask = b"\x81\x8a\xff\x00" if masked else b""
    return bytes([opcode, short | (0x80 if masked else 0)]) + more + mask + b"\x88" * size


@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize("size", [0, 1, 125, 126, 127, 65535, 65536])
def test_a_frame_ends_with_its_last_byte_and_no_sooner(size: int, masked: bool) -> None:
    data = frame(size, masked=masked)
    whole = FrameBounds()
    assert whole.between
    whole.feed(data)
    assert whole.between
    pieces = FrameBounds()
    # Byte by byte where the header is and where the frame ends, in one piece between.
    cuts = [*range(16), *range(max(16, len(data) - 16), len(data) + 1)]
    for start, end in itertools.pairwise(cuts):
        pieces.feed(data[start:end])
        assert pieces.between == (end >= len(data))
        if end >= len(data):
            break


def test_many_frames_in_pieces_of_any_size_end_where_they_end() -> None:
    chance = random.Random(7)
    frames = [
        frame(chance.choice((0, 1, 5, 125, 126, 300, 70000)), masked=chance.random() < 0.5)
        for _ in range(200)
    ]
    ends, total = set(), 0
    for one in frames:
        total += len(one)
        ends.add(total)
    data, at, bounds = b"".join(frames), 0, FrameBounds()
    while at < total:
        size = chance.choice((1, 2, 3, 7, 100, 65536))
        bounds.feed(data[at : at + size])
        at = min(at + size, total)
        assert bounds.between == (at in ends)


def test_the_rest_of_a_frame_that_has_begun_is_told() -> None:
    bounds = FrameBounds()
    bounds.feed(frame(10)[:5])
    after = frame(10)[5:] + frame(3)
    assert bounds.end_in(after) == 7
    assert bounds.end_in(after[:4]) == 4
    bounds.feed(after[:7])
    assert bounds.between
    assert bounds.end_in(frame(3)) == 0


def test_the_close_frame_is_one_with_its_code() -> None:
    assert CLOSE_FRAME == b"\x88\x02\x03\xf4"
