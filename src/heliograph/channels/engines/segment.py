"""Segments: the messages of one channel that were committed together, packed into one value. Pure.

A database stores and finds a row much faster than it does hundreds: with 100 messages in a commit one row for all of them makes
an append several times cheaper. At low rates a segment has one message.

Format: for each message the kind (one byte), the length (four bytes, big-endian), the data. Offsets follow from the first one.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable

from heliograph.channels.message import Kind, StoredMessage

#: Messages and bytes of a segment. It is read and trimmed as a whole, so it must stay small beside a history and a page.
MAX_SEGMENT_MESSAGES, MAX_SEGMENT_BYTES = 256, 256 << 10

_HEAD = struct.Struct(">BI")


class DamagedSegment(ValueError):
    """The bytes of a segment are not what was written."""


def pack(messages: Iterable[tuple[Kind, bytes]]) -> bytes:
    return b"".join(part for kind, data in messages for part in (_HEAD.pack(kind, len(data)), data))


def unpack(first: int, time: float, packed: bytes, after: int = 0) -> list[StoredMessage]:
    """The messages with an offset above `after`; `first` is the offset of the first one. Raises DamagedSegment."""
    found, offset, at = [], first, 0
    try:
        while at < len(packed):
            kind, length = _HEAD.unpack_from(packed, at)
            start = at + _HEAD.size
            at = start + length
            if offset > after:
                found.append(StoredMessage(offset, time, Kind(kind), packed[start:at]))
            offset += 1
    except (struct.error, ValueError) as exc:
        raise DamagedSegment("a segment is damaged") from exc
    if at != len(packed):
        raise DamagedSegment("a segment is cut short")
    return found
