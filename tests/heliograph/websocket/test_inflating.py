"""Compressed messages on their way in: however they are cut, bounded before they inflate."""

from __future__ import annotations

import random
import zlib

import pytest

from heliograph.websocket.deflate import Deflate
from heliograph.websocket.frames import RSV1
from heliograph.websocket.inbound import Inbound
from tests.heliograph.websocket.breaches import LIMIT
from tests.heliograph.websocket.feeding import CUTS, Cut, close_frame_of, feed
from tests.heliograph.websocket.raw import BINARY, CONTINUATION, PING, TEXT, frame

DEFLATE = Deflate(12)


def compressed(payload: bytes, level: int = 9) -> bytes:
    compressor = zlib.compressobj(level, zlib.DEFLATED, -15)
    return compressor.compress(payload) + compressor.flush(zlib.Z_SYNC_FLUSH)[:-4]


@pytest.mark.parametrize("cut", CUTS)
@pytest.mark.parametrize("size", [0, 1, 100, 5000, LIMIT])
def test_a_compressed_message_is_inflated(size: int, cut: Cut) -> None:
    payload = (b"abcdefghij" * LIMIT)[:size]
    data = frame(BINARY, compressed(payload), flags=RSV1) + frame(TEXT, b"plain")
    assert feed(Inbound(LIMIT, DEFLATE), cut(data)).messages == [payload, "plain"]


@pytest.mark.parametrize("cut", CUTS)
def test_a_compressed_message_may_come_in_fragments(cut: Cut) -> None:
    data = compressed("grüße ☃ ".encode() * 100)
    pieces = (
        frame(TEXT, data[:7], fin=False, flags=RSV1)
        + frame(PING)
        + frame(CONTINUATION, data[7:20], fin=False)
        + frame(CONTINUATION, data[20:])
        + frame(TEXT, b"next")
    )
    assert feed(Inbound(LIMIT, DEFLATE), cut(pieces)).messages == ["grüße ☃ " * 100, "next"]


@pytest.mark.parametrize("cut", CUTS)
@pytest.mark.parametrize("pieces", [1, 2, 7])
def test_a_bomb_is_stopped_before_it_inflates(cut: Cut, pieces: int) -> None:
    bomb = compressed(b"\0" * 50_000_000)
    assert len(bomb) < LIMIT
    step = len(bomb) // pieces + 1
    parts = [bomb[at : at + step] for at in range(0, len(bomb), step)]
    data = b"".join(
        frame(
            CONTINUATION if number else BINARY,
            part,
            fin=number == len(parts) - 1,
            flags=0 if number else RSV1,
        )
        for number, part in enumerate(parts)
    )
    inbound = feed(Inbound(LIMIT, DEFLATE), cut(data))
    assert close_frame_of(inbound).code == 1009
    assert inbound.messages == []


BROKEN_DEFLATE = {
    "no deflate": (frame(BINARY, b"\xff\xff\xff\xff", flags=RSV1), 1002),
    "random": (frame(BINARY, random.Random(5).randbytes(500), flags=RSV1), 1002),
    "not UTF-8": (frame(TEXT, compressed(b"\xc3\x28"), flags=RSV1), 1007),
    "reserved bit of a continuation": (
        frame(BINARY, compressed(b"abc")[:2], fin=False, flags=RSV1)
        + frame(CONTINUATION, compressed(b"abc")[2:], flags=RSV1),
        1002,
    ),
    "one byte too long": (frame(BINARY, compressed(b"x" * (LIMIT + 1)), flags=RSV1), 1009),
}


@pytest.mark.parametrize("cut", CUTS)
@pytest.mark.parametrize("name", BROKEN_DEFLATE)
def test_what_cannot_be_inflated_has_its_code(name: str, cut: Cut) -> None:
    data, code = BROKEN_DEFLATE[name]
    assert close_frame_of(feed(Inbound(LIMIT, DEFLATE), cut(data))).code == code
