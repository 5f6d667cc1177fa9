"""How much each client has of something that is bounded for all. Pure."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager


def three_quarters(total: int) -> int:
    """The part of a bound that one client may have where others must not wait: three quarters, rounded up."""
    return math.ceil(total * 3 / 4)


class Shares:
    """One client has at most `most`. Who has nothing is not kept, so this is bounded by what is shared.

    The empty client is the application itself, which has no bound here.
    """

    def __init__(self, most: int) -> None:
        self.most = most
        self._taken: dict[str, int] = {}

    def of(self, client: str) -> int:
        return self._taken.get(client, 0)

    def has_room(self, client: str, amount: int = 1) -> bool:
        return not client or self.of(client) + amount <= self.most

    def take(self, client: str, amount: int = 1) -> None:
        """Also beyond `most`: ask `has_room` before."""
        if client and amount:
            self._taken[client] = self.of(client) + amount

    @contextmanager
    def holding(self, client: str, amount: int = 1) -> Iterator[None]:
        self.take(client, amount)
        try:
            yield
        finally:
            self.give_back(client, amount)

    def give_back(self, client: str, amount: int = 1) -> None:
        left = self.of(client) - amount
        if left > 0:
            self._taken[client] = left
        else:
            self._taken.pop(client, None)
