"""Feeds bytes to the inbound half: whole, byte by byte, from a buffer that is used again."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from heliograph.websocket.inbound import Inbound
from tests.heliograph.websocket.raw import CLOSE, Frame

Cut = Callable[[bytes], Iterable[bytes]]


def whole(data: bytes) -> list[bytes]:
    return [data]


def in_bytes(data: bytes) -> Iterable[bytes]:
    """Byte by byte; what is long only at its ends, for each byte has its price."""
    for at in range(min(len(data), 300)):
        yield data[at : at + 1]
    for at in range(300, len(data) - 20, 9973):
        yield data[at : min(at + 9973, len(data) - 20)]
    for at in range(max(300, len(data) - 20), len(data)):
        yield data[at : at + 1]


CUTS = [whole, in_bytes]


def feed(inbound: Inbound, pieces: Iterable[bytes]) -> Inbound:
    for piece in pieces:
        buffer = bytearray(piece) + b"\xff" * 20  # what is beyond its size may be anything
        inbound.feed(buffer, len(piece))
        buffer[:] = b"\0" * len(buffer)  # and so may the rest be afterwards
    return inbound


def close_frame_of(inbound: Inbound) -> Frame:
    assert inbound.ending is not None
    data = inbound.ending.data
    assert data[0] == 0x88
    assert len(data) == 2 + data[1]
    return Frame(CLOSE, data[2:])
