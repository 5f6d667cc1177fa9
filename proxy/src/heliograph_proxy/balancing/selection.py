"""Which backends may have a request, which of them have a free slot, and what one client may have of all. Pure."""

from __future__ import annotations

import math
from collections.abc import Collection
from typing import Final

from heliograph_proxy.balancing.backends import Backend

#: Decimal places of a share of slots that count. 0.07 * 100 is a little more than 7 and must not be rounded up to 8.
PLACES: Final = 6


def candidates(backends: list[Backend], now: float, tried: Collection[str]) -> list[Backend]:
    """The backends that may have the request, all of the best rank that there is.

    A backend that says it is not ready is used only while no other is ready, and of these a backup only while there is no
    other.
    """
    found: list[Backend] = []
    best = 4
    for one in backends:
        if one.available(now) and one.name not in tried:
            rank = (0 if one.ready else 2) + (1 if one.settings.backup else 0)
            if rank < best:
                best, found = rank, [one]
            elif rank == best:
                found.append(one)
    return found


def with_room(backends: list[Backend], tunnel: bool) -> list[Backend]:
    """Those that have a free slot."""
    return [one for one in backends if one.has_room(tunnel)]


def part_of_queue(length: int, share: float) -> int:
    """How many of the requests that wait may be of one client: half, or all where a client may have all slots."""
    return length if share >= 1.0 else (length + 1) // 2


class ClientShare:
    """How many of the slots for requests one client may have: a share of all of them, rounded up.

    What is left is free for others at any moment, however long the requests of that client take.
    """

    def __init__(self, share: float = 1.0) -> None:
        self.share = share
        #: As long as all clients together have less, each of them is within its share.
        self._least = 0

    def refresh(self, backends: list[Backend], now: float) -> None:
        """The backends or the share have changed."""
        self._least = self._of(candidates(backends, now, ()))

    def allows(self, client: str, in_flight: int, backends: list[Backend], now: float) -> bool:
        """Whether this client may have another slot."""
        if self.share >= 1.0 or in_flight < self._least:
            return True
        usable = candidates(backends, now, ())
        return sum([one.clients.get(client, 0) for one in usable]) < self._of(usable)

    def _of(self, usable: list[Backend]) -> int:
        slots = sum([one.settings.max_connections for one in usable])
        return math.ceil(round(self.share * slots, PLACES))
