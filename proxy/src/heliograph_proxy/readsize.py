"""How much to read at once when one connection is relayed to another. Pure.

Each read costs a system call, a buffer and a turn; a large one costs memory for as long as the other side does not take it. So
reads grow while the source fills them and the sink takes all of it at once, and fall back to the least when it does not: a
thousand slow readers hold little, one fast transfer goes at the speed of large copies (half the processor time of 64 KiB).
"""

from __future__ import annotations

from typing import Final

#: Enough for most messages of a WebSocket and for what a slow reader takes in a moment.
LEAST: Final = 1 << 14
#: Beyond this a read is no faster here.
MOST: Final = 1 << 18
#: Where the ends of frames are looked for, too: frames of two bytes take 0.25 ms a KiB.
MOST_FRAMES: Final = 1 << 16

_FACTOR: Final = 4


class ReadSize:
    """`size` is for the next read; tell it with `relayed` how the last one went."""

    __slots__ = ("_most", "size")

    def __init__(self, most: int = MOST) -> None:
        self.size = LEAST
        self._most = most

    def relayed(self, length: int, *, at_once: bool) -> None:
        """So many bytes came, and the sink took them at once or not."""
        if not at_once:
            self.size = LEAST
        elif length >= self.size:
            self.size = min(self.size * _FACTOR, self._most)
        elif length < self.size // _FACTOR:
            self.size = max(self.size // _FACTOR, LEAST)
