"""What the WebSockets and event streams of one server hold in memory in all: unfinished and unsent messages. Pure.

Each connection has bounds, but thousands that use them would together take all memory. Above the limit those that hold most are
closed with 1013, so that the others go on. What these still hold until they have taken their close frame is counted apart, and
those are cut when it comes to the same limit: twice the limit is the most that there is.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable
from typing import Protocol

from heliograph.websocket.frames import OVERLOADED

#: Bytes that a connection may hold without being counted: most hold nothing, or a part of a small frame for a moment.
FLOOR = 1024

#: So much of the limit is free after some were closed, so that they are not chosen anew for each byte that arrives.
_RELIEF = 0.9

#: Connections that are looked for at once.
_GREEDIEST = 16


class Holder(Protocol):
    """A connection."""

    def close(self, code: int, reason: str, *, drop: bool) -> None:
        """Close, and let go of what is held, but for a frame that has begun. Never waits."""

    def abort(self) -> None:
        """End at once."""


class _Group:
    """Connections, with what each holds and the sum of it."""

    def __init__(self) -> None:
        self.held = 0
        self._sizes: dict[Holder, int] = {}

    def __contains__(self, holder: Holder) -> bool:
        return holder in self._sizes

    def set(self, holder: Holder, size: int) -> None:
        self.held += size - self._sizes.get(holder, 0)
        self._sizes[holder] = size

    def remove(self, holder: Holder) -> None:
        self.held -= self._sizes.pop(holder, 0)

    def relieve(self, most: float, end: Callable[[Holder], None]) -> None:
        """Call `end`, which removes a connection, for the greediest until no more than `most` bytes are held."""
        while self.held > most:
            for holder, _ in heapq.nlargest(_GREEDIEST, self._sizes.items(), key=lambda item: item[1]):
                if self.held <= most:
                    return
                end(holder)


class MemoryLimit:
    def __init__(self, limit: int, later: Callable[[Callable[[], None]], object]) -> None:
        """`limit` in bytes; `later` has the event loop call a function: what reports may be in the middle of sending."""
        self.limit = limit
        self._later = later
        self._open, self._closing = _Group(), _Group()
        self._relieving = False

    @property
    def held(self) -> int:
        return self._open.held + self._closing.held

    def report(self, holder: Holder, size: int) -> None:
        """`holder` holds `size` bytes now."""
        group = self._closing if holder in self._closing else self._open
        if size > FLOOR or group is self._closing:
            group.set(holder, size)
        else:
            group.remove(holder)
        if group.held > self.limit and not self._relieving:
            self._relieving = True
            self._later(self._relieve)

    def forget(self, holder: Holder) -> None:
        """It is closed."""
        self._open.remove(holder)
        self._closing.remove(holder)

    def _relieve(self) -> None:
        self._relieving = False
        self._open.relieve(self.limit * _RELIEF, self._overload)
        self._closing.relieve(self.limit, self._abort)

    def _overload(self, holder: Holder) -> None:
        self._open.remove(holder)
        self._closing.set(holder, 0)
        holder.close(OVERLOADED, "overloaded", drop=True)

    def _abort(self, holder: Holder) -> None:
        self._closing.remove(holder)
        holder.abort()
