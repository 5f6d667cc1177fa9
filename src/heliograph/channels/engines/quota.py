"""What the whole log may hold, and which channels are cut when it holds more. Pure.

Stores keep a sum for each channel. When all of them together are above `Limits.log_bytes`, the largest channels are cut to one
level, the oldest messages first, until the rest fits.
"""

from __future__ import annotations

from collections.abc import Iterable

from heliograph.channels.engines.segment import MAX_SEGMENT_BYTES
from heliograph.channels.message import StoredMessage
from heliograph.channels.records import Limits

#: What a store needs for a message beside its data, about. So messages without data count, too.
OVERHEAD = 64

#: Channels that one step looks at and cuts. Those behind them are smaller; the next step finds them if that is needed.
LARGEST = 64

#: How far a step cuts below the largest channel that it did not look at. Equal channels lose alike, and each step cuts something.
_BELOW = 15 / 16

#: Segments go as a whole, so each is a small part of the whole log.
_SEGMENTS = 512


def weight(data: int, messages: int) -> int:
    """What messages with so many bytes of data count."""
    return data + OVERHEAD * messages


def level(largest: Iterable[int], excess: int, next_largest: int = 0) -> int:
    """The weight to which these channels have to be cut so that together they lose `excess`.

    `next_largest` is the weight of the largest channel that is not among them.
    """
    weights = sorted(largest, reverse=True)
    lowest = int(next_largest * _BELOW)
    lost = 0
    for count, weight_now in enumerate(weights, 1):
        following = weights[count] if count < len(weights) else 0
        step = count * (weight_now - following)
        if lost + step >= excess:
            return max(lowest, weight_now - -(-(excess - lost) // count))
        lost += step
    return lowest


def whole_segments(sizes: Iterable[tuple[int, int]], excess: int) -> tuple[int, int]:
    """Which of the oldest segments, given as last offset and size, are beyond the bytes that a history may have.

    `excess`: what the whole history has too much. The last offset of those, and what of the excess lies behind them.
    """
    offset = 0
    for last, size in sizes:
        if size > excess:
            break
        offset, excess = last, excess - size
    return offset, excess


def offset_beyond(messages: Iterable[StoredMessage], excess: int) -> int:
    """The last offset of the oldest `messages` that begin within `excess`: those are not history any more."""
    offset = 0
    for message in messages:
        if excess <= 0:
            break
        offset, excess = message.offset, excess - len(message.data)
    return offset


def segment_bytes(limits: Limits) -> int:
    """How long a segment may become."""
    return min(MAX_SEGMENT_BYTES, max(1, limits.log_bytes // _SEGMENTS))
