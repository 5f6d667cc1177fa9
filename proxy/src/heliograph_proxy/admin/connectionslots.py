"""Who may be connected to the admin listener at once. Pure.

A connection is unproven until a request came on it that shows an operator: with the token, or where there is none, with a whole
head. While all slots are taken a new connection gets the one of the oldest that is unproven, so silent ones keep no operator out.
Streams may not take the kept slots, which are for requests that end.
"""

from __future__ import annotations

from typing import Generic, TypeVar

T = TypeVar("T")

#: Operators and their pages; each holds a descriptor.
MOST = 200

#: Of these, slots that no stream gets.
KEPT = 16

#: What all connections may take of the descriptors of the process, as a divisor.
SHARE = 8


def most_slots(descriptors: int) -> int:
    """Fewer where the process may have few descriptors."""
    return min(MOST, max(2 * KEPT, descriptors // SHARE))


class ConnectionSlots(Generic[T]):
    """`enter`, then perhaps `prove` and `stream`, then `leave`."""

    def __init__(self, most: int, kept: int) -> None:
        self._most = most
        self._streams_at_most = most - kept
        #: Oldest first.
        self._unproven: dict[T, None] = {}
        self._proven: set[T] = set()
        self._streams: set[T] = set()

    def __len__(self) -> int:
        return len(self._unproven) + len(self._proven)

    def enter(self, visitor: T) -> T | None:
        """Take a slot. Returns the one that has to go for it, if any: the visitor itself where all others are proven."""
        leaving = None
        if len(self) >= self._most:
            leaving = next(iter(self._unproven), visitor)
            if leaving is visitor:
                return visitor
            self.leave(leaving)
        self._unproven[visitor] = None
        return leaving

    def prove(self, visitor: T) -> None:
        if visitor in self._unproven:
            del self._unproven[visitor]
            self._proven.add(visitor)

    def stream(self, visitor: T) -> bool:
        """Whether its answer may go on for ever."""
        if len(self._streams) >= self._streams_at_most:
            return False
        self._streams.add(visitor)
        return True

    def leave(self, visitor: T) -> None:
        self._unproven.pop(visitor, None)
        self._proven.discard(visitor)
        self._streams.discard(visitor)
